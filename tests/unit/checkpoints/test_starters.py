from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from deeplab_studio.checkpoints import load_checkpoint
from deeplab_studio.checkpoints.errors import CheckpointError
from deeplab_studio.checkpoints.library import ModelLibrary
from deeplab_studio.checkpoints.native import Provenance, save_native
from deeplab_studio.checkpoints.starters import best_starter, is_intact, list_starters, read_card, starter_id
from deeplab_studio.core.resources import MODELS_VARIABLE, shipped_models
from deeplab_studio.engine import Predictor
from deeplab_studio.networks.profile import Version
from deeplab_studio.networks.starter import STARTER_VERSIONS
from tests.starter_kit import card_of, drawn_model, write_starters


@pytest.fixture
def models(tmp_path: Path) -> Path:
    write_starters(tmp_path / "shipped", ("v1", "v3+"))
    return tmp_path / "shipped"


@pytest.fixture
def library(tmp_path: Path, models: Path) -> ModelLibrary:
    return ModelLibrary(tmp_path / "mine", models)


@pytest.mark.parametrize("version", STARTER_VERSIONS)
@pytest.mark.parametrize("output_stride", [8, 16])
def test_a_saved_model_predicts_at_its_stride(version: Version, output_stride: int, tmp_path: Path) -> None:
    model = drawn_model(version, output_stride)
    save_native(model, tmp_path / "starter.safetensors", provenance=Provenance())
    loaded = load_checkpoint(tmp_path / "starter.safetensors")
    assert (loaded.profile, loaded.preprocessing) == (model.profile, model.preprocessing)
    photo = np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8)
    scores = Predictor(loaded, device="cpu").predict(photo)
    stride = model.profile.score_stride
    # 97 x 72, and the rows that make it 32 k + 1.
    assert scores.logits.shape == (21, 96 // stride + 1, 96 // stride + 1)
    assert np.isfinite(scores.logits).all()


def test_a_card_comes_back_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "starter-v2.safetensors"
    path.write_bytes(b"weights")
    card = card_of(path, "v2")
    (tmp_path / "starter-v2.json").write_text(card.dump(), "utf-8")
    assert read_card(tmp_path / "starter-v2.json") == card
    assert str(tmp_path) not in card.dump()


def test_the_starters_of_a_folder_are_those_whose_weights_are_there(models: Path) -> None:
    assert [card.id for card in list_starters(models)] == ["starter-v1", "starter-v3plus"]
    (models / "starter-v1.safetensors").unlink()
    assert [card.id for card in list_starters(models)] == ["starter-v3plus"]


def test_without_a_folder_there_are_none(tmp_path: Path) -> None:
    assert list_starters(tmp_path) == []
    assert list_starters(tmp_path / "nowhere") == []
    assert list_starters() == []
    assert best_starter([]) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"format": 2}',
        '{"format": 1, "file": "../other.safetensors", "result": {}}',
    ],
)
def test_a_damaged_card_is_refused_and_left_out(text: str, models: Path, caplog: pytest.LogCaptureFixture) -> None:
    (models / "starter-v1.json").write_text(text, "utf-8")
    with pytest.raises(CheckpointError, match=r"starter-v1\.json: it is no card"):
        read_card(models / "starter-v1.json")
    assert [card.id for card in list_starters(models)] == ["starter-v3plus"]
    assert "starter-v1.json" in caplog.text


def test_a_card_with_an_impossible_figure_is_refused(models: Path) -> None:
    values = json.loads((models / "starter-v1.json").read_text("utf-8"))
    values["result"]["iou"]["cat"] = 62.0
    (models / "starter-v1.json").write_text(json.dumps(values), "utf-8")
    with pytest.raises(CheckpointError, match="between 0 and 1"):
        read_card(models / "starter-v1.json")


def test_the_best_is_the_best_on_what_it_knows_and_of_equals_the_latest(models: Path) -> None:
    first, last = list_starters(models)
    assert best_starter([first, last]) == last
    better = replace(first, result=replace(first.result, miou_known=0.7))
    assert best_starter([better, last]) == better
    equal = replace(first, result=last.result)
    assert best_starter([equal, last]) == last


def test_changed_weights_are_noticed(models: Path) -> None:
    card = list_starters(models)[0]
    assert is_intact(card)
    data = bytearray(card.path.read_bytes())
    data[-1] ^= 1
    card.path.write_bytes(data)
    assert not is_intact(card)
    card.path.unlink()
    assert not is_intact(card)


def test_the_folder_of_shipped_models_can_be_named(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(MODELS_VARIABLE, str(models))
    assert shipped_models() == models
    assert len(list_starters()) == 2
    monkeypatch.setenv(MODELS_VARIABLE, str(models / "nowhere"))
    assert shipped_models() is None
    assert list_starters() == []


def test_the_starters_that_ship_are_what_their_cards_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(MODELS_VARIABLE)
    folder = shipped_models()
    assert folder is not None
    cards = list_starters(folder)
    assert len(cards) == len(list(folder.glob("starter-*.json"))) == len(list(folder.glob("*.safetensors")))
    assert all(is_intact(card) and card.id == starter_id(card.version) for card in cards)
    assert sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) <= 32_000_000
    assert all(card.agreement >= 0.999 for card in cards)


# --- In the library ---------------------------------------------------------------------------------------------------


def test_the_library_knows_a_starter_by_its_card(library: ModelLibrary) -> None:
    first, last = library.installed()
    assert (first.id, first.title, first.version, first.state) == ("starter-v1", "Starter v1", "v1", "unchecked")
    assert last.starter is not None
    assert last.starter.known[1] == "cat"
    for name in ("starter-v3plus", "starter-v3+", "Starter v3+", "starter-v3plus.safetensors"):
        found = library.find(name)
        assert found is not None
        assert found.path == last.path


def test_a_starter_is_checked_against_its_card(library: ModelLibrary) -> None:
    first, last = library.installed()
    assert library.verify(first).state == "ready"
    assert library.installed()[0].state == "ready"
    data = bytearray(last.path.read_bytes())
    data[-1] ^= 1
    last.path.write_bytes(data)
    assert library.verify(last).state == "changed"
    assert library.installed()[1].state == "changed"
    last.path.write_bytes(data[:-10])
    assert library.installed()[1].state == "changed"


def test_another_release_may_bring_another_file_of_the_same_name(library: ModelLibrary, models: Path) -> None:
    library.verify(library.installed()[0])
    path = models / "starter-v1.safetensors"
    save_native(drawn_model("v1", 8), path, half=True, provenance=Provenance(source="the next release"))
    (models / "starter-v1.json").write_text(card_of(path, "v1").dump(), "utf-8")
    assert library.installed()[0].state == "unchecked"
    assert library.verify(library.installed()[0]).state == "ready"


def test_a_program_that_moved_leaves_no_lost_models_behind(library: ModelLibrary, tmp_path: Path) -> None:
    library.add(library.installed()[0].path)
    library.add(library.installed()[1].path)
    assert len(ModelLibrary(library.folder, tmp_path / "elsewhere").installed()) == 0


def test_the_first_choice_is_the_persons_own_model_then_the_best_starter(library: ModelLibrary, tmp_path: Path) -> None:
    choice = library.first_choice()
    assert choice is not None
    assert choice.id == "starter-v3plus"
    (tmp_path / "own.pth").write_bytes(b"own")
    library.add(tmp_path / "own.pth")
    choice = library.first_choice()
    assert choice is not None
    assert choice.path == tmp_path / "own.pth"
    starter = library.starter()
    assert starter is not None
    assert starter.id == "starter-v3plus"


def test_without_models_there_is_no_choice(tmp_path: Path) -> None:
    empty = ModelLibrary(tmp_path / "mine", tmp_path / "nothing")
    assert (empty.first_choice(), empty.starter()) == (None, None)
