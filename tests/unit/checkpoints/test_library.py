from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from deeplab_studio.checkpoints import library as library_module
from deeplab_studio.checkpoints.catalogue import ModelCard, find_card
from deeplab_studio.checkpoints.digest import Digest
from deeplab_studio.checkpoints.download import Downloaded
from deeplab_studio.checkpoints.library import ModelLibrary, default_folder
from deeplab_studio.checkpoints.library_index import ModelFacts
from deeplab_studio.core.errors import StudioError

REPOSITORY = Path(__file__).resolve().parents[3]
KAZUTO = find_card("kazuto1011-v2-resnet101-voc")
RESNET50 = find_card("torchvision-v3-resnet50")
assert KAZUTO is not None
assert RESNET50 is not None


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def library(tmp_path: Path) -> ModelLibrary:
    shipped = tmp_path / "shipped"
    shipped.mkdir()
    return ModelLibrary(tmp_path / "models", shipped)


@pytest.fixture
def own(tmp_path: Path) -> Path:
    path = tmp_path / "elsewhere" / "mine.pth"
    path.parent.mkdir()
    path.write_bytes(b"weights")
    return path


def put(library: ModelLibrary, name: str, data: bytes = b"weights") -> Path:
    library.folder.mkdir(exist_ok=True)
    path = library.folder / name
    path.write_bytes(data)
    return path


# --- What is there ----------------------------------------------------------------------------------------------------


def test_an_empty_library_makes_no_folder(library: ModelLibrary) -> None:
    assert library.installed() == []
    assert library.disk_use() == 0
    assert not library.folder.exists()


def test_the_default_folder_is_in_the_users_data(user_folders: Path) -> None:
    assert user_folders in default_folder().parents
    assert ModelLibrary().folder == default_folder()


def test_files_put_into_the_folder_are_found_but_not_trusted(library: ModelLibrary) -> None:
    put(library, "b10.pth")
    put(library, "b9.npz")
    put(library, "model.pth.part")
    put(library, "notes.txt")
    models = library.installed()
    assert [model.path.name for model in models] == ["b9.npz", "b10.pth"]
    assert {(model.origin, model.state, model.sha256) for model in models} == {("library", "unchecked", "")}


def test_a_first_look_makes_a_file_ready(library: ModelLibrary) -> None:
    put(library, "mine.pth")
    model = library.verify(library.installed()[0])
    assert (model.state, model.sha256) == ("ready", sha256(b"weights"))
    assert library.installed() == [model]


def test_shipped_models_come_first_and_stay(library: ModelLibrary) -> None:
    put(library, "a.pth")
    assert library.shipped is not None
    (library.shipped / "z.safetensors").write_bytes(b"ours")
    first, second = library.installed()
    assert (first.origin, first.path.name, second.path.name) == ("shipped", "z.safetensors", "a.pth")
    with pytest.raises(StudioError, match="part of the program"):
        library.remove(first)
    assert first.path.exists()


def test_a_finished_download_is_known_by_its_card(library: ModelLibrary) -> None:
    path = put(library, KAZUTO.file)
    model = library.register(Downloaded(path, 7, sha256(b"weights")), KAZUTO)
    assert (model.card, model.state, model.title) == (KAZUTO, "ready", KAZUTO.title)
    assert library.of_card(KAZUTO) == model
    assert library.of_card(RESNET50) is None


def test_models_are_found_by_any_of_their_names(library: ModelLibrary) -> None:
    path = put(library, KAZUTO.file)
    model = library.register(Downloaded(path, 7, sha256(b"weights")), KAZUTO)
    for name in (model.id, path.name, str(path), path.stem, KAZUTO.id, KAZUTO.title):
        assert library.find(name) == model
    assert model.id == f"{path.stem}-{sha256(b'weights')[:8]}"
    assert library.find("nothing") is None


# --- Files elsewhere --------------------------------------------------------------------------------------------------


def test_a_file_elsewhere_is_registered_and_not_touched(library: ModelLibrary, own: Path) -> None:
    before = own.stat()
    model = library.add(own)
    assert (model.path, model.origin, model.state) == (own, "external", "ready")
    assert library.installed() == [model]
    after = own.stat()
    assert (after.st_mtime_ns, after.st_size, after.st_ino) == (before.st_mtime_ns, before.st_size, before.st_ino)
    assert library.disk_use() < 1000
    library.remove(model)
    assert own.exists()
    assert library.installed() == []


def test_what_a_file_turned_out_to_hold_is_remembered(library: ModelLibrary, own: Path) -> None:
    added = library.add(own)
    assert (added.title, added.version, added.facts.classes) == ("mine", "", 0)
    facts = ModelFacts("DeepLabv3 ResNet-50 (torchvision)", "v3", 21, "Pascal VOC")
    found = library.add(own, facts=facts)
    assert (found.title, found.version, found.facts) == (facts.name, "v3", facts)
    assert library.add(own) == found
    os.utime(own, ns=(1, 1))
    assert library.verify(library.installed()[0]).facts == facts
    own.unlink()
    assert library.installed()[0].title == facts.name


def test_what_another_content_holds_is_not_taken_over(library: ModelLibrary, own: Path) -> None:
    library.add(own, facts=ModelFacts("DeepLabv3 ResNet-50 (torchvision)", "v3", 21))
    own.write_bytes(b"other weights")
    assert library.add(own).title == "mine"


def test_a_file_elsewhere_can_be_copied(library: ModelLibrary, own: Path) -> None:
    put(library, "mine.pth", b"another model of that name")
    model = library.add(own, copy=True)
    assert (model.origin, model.path.name) == ("library", f"mine-{sha256(b'weights')[:8]}.pth")
    assert model.path.read_bytes() == own.read_bytes()
    library.remove(model)
    assert not model.path.exists()
    assert own.exists()


def test_the_same_content_is_one_model(library: ModelLibrary, own: Path) -> None:
    other = own.with_name("other name.pth")
    other.write_bytes(own.read_bytes())
    assert library.add(own) == library.add(other)
    assert len(library.installed()) == 1


def test_a_file_that_went_away_is_said_to_be_missing(library: ModelLibrary, own: Path) -> None:
    library.add(own)
    own.unlink()
    (model,) = library.installed()
    assert (model.state, model.size) == ("missing", 0)
    assert library.verify(model).state == "missing"
    library.remove(model)
    assert library.installed() == []


def test_folders_and_missing_files_are_refused(library: ModelLibrary, tmp_path: Path) -> None:
    with pytest.raises(StudioError, match="this is a folder"):
        library.add(tmp_path)
    with pytest.raises(StudioError, match="cannot be read"):
        library.add(tmp_path / "none.pth")
    assert library.installed() == []


def test_a_file_that_is_not_the_cards_is_refused_with_both_hashes(library: ModelLibrary, own: Path) -> None:
    with pytest.raises(StudioError, match=f"is not {RESNET50.file}: its sha256 is {sha256(b'weights')}, expected was"):
        library.add(own, card=RESNET50)
    assert library.installed() == []


def test_a_file_of_the_wrong_size_is_refused_where_no_hash_is_published(library: ModelLibrary, own: Path) -> None:
    card = dataclasses.replace(KAZUTO, bytes=8)
    with pytest.raises(StudioError, match="it has 7 bytes, the published file 8"):
        library.add(own, card=card)


def test_a_file_that_is_the_cards_is_taken_whatever_its_name(library: ModelLibrary, own: Path) -> None:
    card: ModelCard = dataclasses.replace(KAZUTO, digest=Digest("sha256", sha256(b"weights")[:8]))
    model = library.add(own, card=card)
    assert model.card is not None
    assert model.card.id == KAZUTO.id


def test_saying_later_which_model_a_file_is(library: ModelLibrary, own: Path) -> None:
    assert library.add(own).card is None
    assert library.add(own, card=KAZUTO).card == KAZUTO
    assert library.installed()[0].card == KAZUTO


# --- Changes ----------------------------------------------------------------------------------------------------------


def test_a_changed_file_under_a_known_name_is_noticed(library: ModelLibrary, own: Path) -> None:
    library.add(own)
    own.write_bytes(b"other weights")
    (model,) = library.installed()
    assert model.state == "unchecked"
    changed = library.verify(model)
    assert (changed.state, changed.sha256) == ("changed", sha256(b"other weights"))
    assert library.installed() == [changed]
    accepted = library.add(own)
    assert (accepted.state, library.installed()) == ("ready", [accepted])


def test_a_change_that_keeps_size_and_time_is_noticed_by_verifying(library: ModelLibrary, own: Path) -> None:
    model = library.add(own)
    status = own.stat()
    own.write_bytes(b"WEIGHTS")
    os.utime(own, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert library.installed()[0].state == "ready"
    assert library.verify(model).state == "changed"


def test_a_touched_file_is_ready_again_after_a_look(library: ModelLibrary, own: Path) -> None:
    library.add(own, card=KAZUTO)
    os.utime(own, ns=(1, 1))
    (model,) = library.installed()
    assert model.state == "unchecked"
    assert library.verify(model).state == "ready"
    assert library.installed()[0].card == KAZUTO


def test_a_file_with_a_published_name_and_other_content_is_not_taken_for_it(library: ModelLibrary) -> None:
    put(library, "deeplabv3_resnet50_coco-cd0a2569.pth", b"<html>log in</html>")
    (model,) = library.installed()
    assert model.card is None
    assert library.of_card(RESNET50) is None
    assert library.verify(model).state == "changed"
    assert library.installed()[0].state == "changed"
    assert library.add(model.path).state == "ready"


# --- The index --------------------------------------------------------------------------------------------------------


def test_class_names_are_remembered_by_content(library: ModelLibrary, own: Path) -> None:
    model = library.add(own)
    assert library.class_names(model.sha256) is None
    library.set_class_names(model.sha256, ("background", "Käse", "猫"))
    library.remove(model)
    again = ModelLibrary(library.folder, library.shipped)
    assert again.class_names(model.sha256) == ("background", "Käse", "猫")


@pytest.mark.parametrize(
    "damage",
    ["", "{", "[]", "null", '{"format": 2}', '{"format": 1, "files": [{"path": 3}], "classes": {}}', "\udc80"],
)
def test_a_damaged_index_is_rebuilt_from_the_folder_and_said_so(library: ModelLibrary, damage: str) -> None:
    put(library, KAZUTO.file)
    library.verify(library.installed()[0])
    index = library.folder / "index.json"
    index.write_bytes(damage.encode("utf-8", "surrogateescape"))
    (model,) = library.installed()
    assert (model.path.name, model.card, model.state) == (KAZUTO.file, KAZUTO, "unchecked")
    assert len(library.notices) == 1
    assert "index-broken.json" in library.notices[0]
    assert (library.folder / "index-broken.json").exists()
    assert library.verify(model).state == "ready"
    assert json.loads(index.read_text("utf-8"))["files"][0]["path"] == KAZUTO.file


def test_the_folder_can_be_moved(library: ModelLibrary, tmp_path: Path) -> None:
    put(library, "mine.pth")
    library.verify(library.installed()[0])
    library.folder.rename(tmp_path / "moved")
    assert ModelLibrary(tmp_path / "moved", None).installed()[0].state == "ready"


def test_two_processes_do_not_lose_each_others_entries(library: ModelLibrary) -> None:
    code = """
import sys
from pathlib import Path
from deeplab_studio.checkpoints.library import ModelLibrary
library = ModelLibrary(Path(sys.argv[1]))
for i in range(20):
    library.set_class_names(f"{sys.argv[2]}{i}", ("a", "b"))
"""
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    children = [subprocess.Popen([sys.executable, "-c", code, library.folder, who], env=environment) for who in "xy"]
    assert [child.wait() for child in children] == [0, 0]
    assert all(library.class_names(f"{who}{i}") == ("a", "b") for who in "xy" for i in range(20))


def test_a_library_that_cannot_be_written_says_where(tmp_path: Path, own: Path) -> None:
    (tmp_path / "models").write_text("a file where the folder should be")
    library = ModelLibrary(tmp_path / "models", None)
    assert all(model.origin == "shipped" for model in library.installed())
    with pytest.raises(StudioError, match="models: it cannot be written to"):
        library.add(own)


def test_disk_use_counts_unfinished_downloads(library: ModelLibrary) -> None:
    put(library, "a.pth", bytes(1000))
    put(library, "b.pth.part", bytes(500))
    assert library.disk_use() == 1500


def test_importing_the_library_loads_neither_torch_nor_the_network() -> None:
    code = f"import sys, {library_module.__name__}; print({{'httpx', 'torch', 'asyncio', 'ssl'}} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "set()"
