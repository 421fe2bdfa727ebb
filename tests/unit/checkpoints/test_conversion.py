from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from deeplab_studio.checkpoints import load_checkpoint
from deeplab_studio.checkpoints.library import ModelLibrary
from deeplab_studio.checkpoints.native import read_header, save_native
from deeplab_studio.core.errors import StudioError
from deeplab_studio.core.labels import VOC_LABELS
from deeplab_studio.engine import Predictor
from tests.fixture_checkpoints import torchvision_network, write_zoo


@pytest.fixture
def library(tmp_path: Path) -> ModelLibrary:
    return ModelLibrary(tmp_path / "models", None)


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    path = tmp_path / "elsewhere" / "mine.pth"
    path.parent.mkdir()
    torch.save(torchvision_network(classes=3, aux=False).state_dict(), path)
    return path


def logits_of(library: ModelLibrary, path: Path) -> np.ndarray:
    image = np.random.default_rng(0).integers(0, 256, (65, 65, 3), np.uint8)
    return Predictor(library.load(path), "cpu").native_logits(image)


def test_a_converted_file_lies_in_the_library_and_the_original_is_untouched(library: ModelLibrary, mine: Path) -> None:
    before, when = mine.read_bytes(), mine.stat().st_mtime_ns
    model = library.convert(mine)
    assert model.path == library.folder / "mine.safetensors"
    assert (model.origin, model.state) == ("library", "ready")
    assert model.source == str(mine)
    assert (mine.read_bytes(), mine.stat().st_mtime_ns) == (before, when)
    np.testing.assert_array_equal(logits_of(library, model.path), logits_of(library, mine))


def test_it_is_found_again_under_its_id_and_title(library: ModelLibrary, mine: Path) -> None:
    model = library.convert(mine)
    assert model.title == "DeepLabv3 MobileNetV3-Large (torchvision)"
    for name in (model.id, model.path.name, model.title):
        assert library.find(name) == model
    assert library.load(model.path).model_id == model.id


def test_the_same_content_is_converted_once(library: ModelLibrary, mine: Path) -> None:
    first = library.convert(mine)
    copy = mine.with_name("copy.pth")
    copy.write_bytes(mine.read_bytes())
    assert library.convert(copy) == first
    assert library.convert(first.path) == first
    assert len(library.installed()) == 1


def test_another_file_of_the_same_name_does_not_replace_the_first(library: ModelLibrary, mine: Path) -> None:
    first = library.convert(mine)
    other = mine.parent / "other" / "mine.pth"
    other.parent.mkdir()
    torch.save(torchvision_network(classes=4, aux=False).state_dict(), other)
    second = library.convert(other)
    assert second.path != first.path
    assert library.verify(first).state == "ready"


def test_verifying_keeps_what_is_known_of_it(library: ModelLibrary, mine: Path) -> None:
    model = library.convert(mine)
    assert library.verify(model) == model


def test_a_published_file_keeps_its_card_and_licence(shared: Path, tmp_path: Path, library: ModelLibrary) -> None:
    # The hash of a fixture is not the published one: a card without a published hash is told by its name.
    path = write_zoo(tmp_path / "deeplab_mobilenetv2.npz")
    model = library.convert(path)
    header = read_header(model.path)
    assert header is not None
    assert header.provenance.source == str(path)
    assert header.provenance.dialect == "tensorflow-zoo"


def test_float16_halves_the_file(library: ModelLibrary, tmp_path: Path) -> None:
    path = write_zoo(tmp_path / "zoo.npz")
    model = library.convert(path, half=True)
    assert model.size < 0.6 * 4 * sum(parameter.numel() for parameter in load_checkpoint(path).network.parameters())


def test_class_names_are_given_at_conversion(library: ModelLibrary, mine: Path) -> None:
    model = library.convert(mine, names=["background", " cat ", "개"])
    loaded = load_checkpoint(model.path)
    assert loaded.classes.names == ("background", "cat", "개")
    assert [label.colour for label in loaded.classes] == [label.colour for label in VOC_LABELS.classes[:3]]


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["a", "b"], "3 classes, 2 names"),
        (["a", "b", "a"], "two classes are called 'a'"),
        (["a", "", "c"], "a class needs a name"),
    ],
)
def test_names_that_do_not_fit_leave_the_library_as_it_was(
    library: ModelLibrary, mine: Path, names: list[str], words: str
) -> None:
    with pytest.raises(StudioError, match=words):
        library.convert(mine, names=names)
    assert library.installed() == []


def test_names_given_later_are_remembered_for_the_content_whatever_the_file_is_called(
    library: ModelLibrary, mine: Path
) -> None:
    library.set_class_names(load_checkpoint(mine).sha256, ("x", "y", "z"))
    moved = mine.rename(mine.with_name("moved.pth"))
    assert ModelLibrary(library.folder).load(moved).classes.names == ("x", "y", "z")
    library.set_class_names(load_checkpoint(moved).sha256, None)
    assert library.load(moved).classes.names == ("class 0", "class 1", "class 2")


def test_names_remembered_before_go_into_the_converted_file(library: ModelLibrary, mine: Path) -> None:
    library.set_class_names(load_checkpoint(mine).sha256, ("x", "y", "z"))
    assert load_checkpoint(library.convert(mine).path).classes.names == ("x", "y", "z")


def test_naming_a_file_that_was_converted_before_renames_the_classes(library: ModelLibrary, mine: Path) -> None:
    library.convert(mine)
    model = library.convert(mine, names=["x", "y", "z"])
    assert library.load(model.path).classes.names == ("x", "y", "z")


def test_remembered_names_in_a_wrong_number_are_ignored(library: ModelLibrary, mine: Path) -> None:
    library.set_class_names(load_checkpoint(mine).sha256, ("x", "y"))
    assert len(library.load(mine).classes) == 3


def test_a_native_file_is_copied_as_it_is(tmp_path: Path, library: ModelLibrary, mine: Path) -> None:
    given = tmp_path / "from a friend.safetensors"
    save_native(load_checkpoint(mine), given)
    model = library.convert(given)
    assert model.path.parent == library.folder
    assert model.path.read_bytes() == given.read_bytes()
    assert model.title == "DeepLabv3 MobileNetV3-Large (torchvision)"


def test_what_cannot_be_loaded_is_not_added(tmp_path: Path, library: ModelLibrary) -> None:
    page = tmp_path / "model.pth"
    page.write_text("<html>not found</html>")
    with pytest.raises(StudioError, match="web page"):
        library.convert(page)
    assert library.installed() == []
    assert not library.folder.exists()


def test_a_list_of_an_earlier_release_is_read(library: ModelLibrary, mine: Path) -> None:
    model = library.add(mine)
    index = library.folder / "index.json"
    document = json.loads(index.read_text("utf-8"))
    for record in document["files"]:
        for later in ("name", "source", "source_sha256"):
            del record[later]
    index.write_text(json.dumps(document), "utf-8")
    assert library.installed() == [model]
    assert library.notices == []
