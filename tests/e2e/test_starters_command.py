"""``deeplab-studio models`` with starter models: publishing a run, listing, inspecting, using."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from deeplab_studio.checkpoints import load_checkpoint
from deeplab_studio.checkpoints.native import Provenance, save_native
from deeplab_studio.checkpoints.starters import is_intact, list_starters
from deeplab_studio.cli import main
from deeplab_studio.core.labels import VOC_LABELS
from deeplab_studio.core.resources import MODELS_VARIABLE
from tests.starter_kit import drawn_model, write_starters


@dataclass(frozen=True)
class Done:
    code: int
    stdout: str
    stderr: str


Run = Callable[..., Done]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """The command line, in this process: a new one would import torch once more for every call."""

    def call(*arguments: str | Path, models: Path | None = None) -> Done:
        if models is not None:
            monkeypatch.setenv(MODELS_VARIABLE, str(models))
        capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        return Done(code, *capsys.readouterr())

    return call


@pytest.fixture
def voc(tmp_path: Path) -> Path:
    """Three photos whose masks show background and dog, with a void border."""
    root = tmp_path / "voc"
    for name in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        (root / name).mkdir(parents=True)
    random = np.random.default_rng(0)
    names = [f"photo{i}" for i in range(3)]
    for name in names:
        photo = random.integers(0, 256, (48, 64, 3), np.uint8)
        Image.fromarray(photo).save(root / "JPEGImages" / f"{name}.jpg")
        mask = np.zeros((48, 64), np.uint8)
        mask[10:30, 20:50], mask[9, 20:50] = 12, 255
        Image.fromarray(mask).save(root / "SegmentationClass" / f"{name}.png")
    (root / "ImageSets/Segmentation/val.txt").write_text("\n".join(names))
    return root


def left_by_training(folder: Path, versions: Sequence[str]) -> Path:
    for version in versions:
        model = drawn_model(version)  # type: ignore[arg-type]
        path = folder / f"starter-{version.replace('+', 'plus')}.safetensors"
        path.parent.mkdir(parents=True, exist_ok=True)
        save_native(model, path, provenance=Provenance(source="deeplab-studio train, 48 crops"))
    (folder / "steps.csv").write_text("crops,loss\n16,3.0\n")
    (folder / "checkpoint.pt").write_bytes(b"large")
    return folder


def test_a_run_becomes_small_measured_models_with_cards(run: Run, tmp_path: Path, voc: Path) -> None:
    training = left_by_training(tmp_path / "run", ("v1", "v3+"))
    models = tmp_path / "models"
    options = ("--output-stride", "8", "--side", "65", "--known", "background,dog")
    done = run("models", "publish", training, models, "--voc", voc, *options)
    assert done.code == 0, done.stderr
    assert {path.name for path in models.rglob("*") if path.is_file()} == {
        "starter-v1.safetensors",
        "starter-v1.json",
        "starter-v3plus.safetensors",
        "starter-v3plus.json",
        "steps.csv",
    }
    first, last = list_starters(models)
    assert (first.id, last.id) == ("starter-v1", "starter-v3plus")
    assert all(is_intact(card) for card in (first, last))
    assert "not the paper's VGG-16" in first.description
    assert first.command == "deeplab-studio train models/starter.toml (best after 48 crops)"
    assert (first.known, len(first.hardly_known)) == (("background", "dog"), 19)
    assert first.result.images == 3
    assert first.result.iou["aeroplane"] == 0 or first.result.iou["aeroplane"] is None
    assert first.result.miou_known == pytest.approx(
        (first.result.iou["background"] + first.result.iou["dog"]) / 2, abs=1e-4
    )  # type: ignore[operator]
    assert (first.stored_as, first.agreement >= 0.999) == ("float16", True)
    stored = load_checkpoint(last.path)
    assert (stored.title, stored.version, stored.profile.output_stride) == ("Starter v3+", "v3+", 8)
    assert stored.preprocessing.size.pixels == 65
    assert [way.output_stride for way in stored.geometries] == [8, 16]
    assert 1.9 < 4 * first.parameters / first.bytes < 2.1


def test_published_figures_are_those_of_evaluate(run: Run, tmp_path: Path, voc: Path) -> None:
    training = left_by_training(tmp_path / "run", ("v2",))
    models = tmp_path / "models"
    assert run("models", "publish", training, models, "--voc", voc).code == 0
    done = run("evaluate", voc, "--model", "starter-v2", "--json", "-", models=models)
    assert done.code == 0, done.stderr
    evaluated = json.loads(done.stdout)
    (card,) = list_starters(models)
    assert card.result.iou == pytest.approx(evaluated["iou"], abs=1e-4, nan_ok=True)
    assert card.result.miou == pytest.approx(evaluated["miou"], abs=1e-4)
    refined = run("evaluate", voc, "--model", "starter-v2", "--crf", card.result.crf, "--json", "-", models=models)
    assert card.result.miou_crf == pytest.approx(json.loads(refined.stdout)["miou"], abs=1e-4)


def test_weights_that_float16_would_change_too_much_stay_float32(run: Run, tmp_path: Path, voc: Path) -> None:
    model = drawn_model("v2")
    with torch.no_grad():
        # All that tells the classes apart is smaller than what float16 can tell apart near 1.
        for branch in model.network.aspp.branches:  # type: ignore[union-attr]
            branch[0].weight.copy_(1.0 + 1e-5 * torch.randn_like(branch[0].weight))
            branch[0].bias.zero_()
    (tmp_path / "run").mkdir()
    save_native(model, tmp_path / "run" / "x-v2.safetensors", provenance=Provenance())
    done = run("models", "publish", tmp_path / "run", tmp_path / "models", "--voc", voc)
    assert done.code == 0, done.stderr
    assert "stored as float32" in done.stderr
    (card,) = list_starters(tmp_path / "models")
    assert (card.stored_as, card.agreement) == ("float32", 1.0)


def test_weights_that_are_float16_already_are_refused(run: Run, tmp_path: Path, voc: Path) -> None:
    write_starters(tmp_path / "run", ("v2",))
    done = run("models", "publish", tmp_path / "run", tmp_path / "models", "--voc", voc)
    assert done.code == 1
    assert "half = false" in done.stderr
    assert not (tmp_path / "models").exists()


def test_a_folder_without_models_is_refused_and_nothing_is_written(run: Run, tmp_path: Path, voc: Path) -> None:
    (tmp_path / "run").mkdir()
    done = run("models", "publish", tmp_path / "run", tmp_path / "models", "--voc", voc)
    assert done.code == 1
    assert "the run has no model of any version" in done.stderr
    assert not (tmp_path / "models").exists()


def test_a_data_set_of_other_classes_is_refused(run: Run, tmp_path: Path, voc: Path) -> None:
    training = left_by_training(tmp_path / "run", ("v2",))
    (voc / "labelmap.txt").write_text("sky:0,0,255::\nsea:0,255,255::\n")
    done = run("models", "publish", training, tmp_path / "models", "--voc", voc)
    assert done.code == 1
    assert not (tmp_path / "models").exists()


def test_starters_are_listed_inspected_and_used_by_name(run: Run, tmp_path: Path, voc: Path) -> None:
    models = tmp_path / "shipped"
    write_starters(models, ("v1", "v3+"))
    lines = [line.split("\t") for line in run("models", "list", models=models).stdout.splitlines()]
    assert lines[0][:4] == ["starter-v1", "v1", "Starter v1", "knows background, cat, dog, person"]
    assert lines[0][5] == "starter"
    document = json.loads(run("models", "list", "--json", models=models).stdout)
    assert document["installed"][1]["starter"]["miou_known"] == 0.6
    assert len(document["installed"][1]["starter"]["hardly_known"]) == len(VOC_LABELS) - 4
    shown = run("models", "inspect", "starter-v3+", models=models).stdout
    assert "knows\tbackground 0.60, cat 0.60, dog 0.60, person 0.60" in shown
    assert "hardly knows\taeroplane, bicycle 0.02" in shown
    done = run("segment", voc, "--model", "Starter v1", "--out", tmp_path / "out", models=models)
    assert done.code == 0, done.stderr


def test_verify_tells_a_damaged_starter(run: Run, tmp_path: Path) -> None:
    models = tmp_path / "shipped"
    (card,) = write_starters(models, ("v2",))
    assert run("models", "verify", "starter-v2", models=models).code == 0
    data = bytearray(card.path.read_bytes())
    data[-1] ^= 1
    card.path.write_bytes(data)
    done = run("models", "verify", "starter-v2", models=models)
    assert done.code == 1
    assert "changed\tstarter-v2" in done.stdout
