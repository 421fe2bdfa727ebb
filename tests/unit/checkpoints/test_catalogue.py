from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from deeplab_studio.checkpoints.catalogue import SUPPORTED_DIALECTS, VOC_VAL, ModelCard, card_for_file, cards, find_card
from deeplab_studio.checkpoints.digest import Digest, sha256_of
from deeplab_studio.core.errors import StudioError
from deeplab_studio.core.resources import resource, shipped_models

EVERY_CARD = cards(purpose=None)
REPOSITORY = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize("card", EVERY_CARD, ids=lambda card: card.id)
def test_every_card_is_complete_and_safe_to_follow(card: ModelCard) -> None:
    assert urlsplit(card.url).scheme == urlsplit(card.source).scheme == "https"
    assert card.version in {"v1", "v2", "v3", "v3+"}
    assert card.classes > 1
    assert card.title
    assert card.publisher
    assert card.dialect
    assert card.file == Path(card.file).name
    assert card.file in card.url
    assert card.caution in {None, "trained-on-val", "not-comparable"}
    assert card.purpose in {"segmentation", "initialisation"}
    for result in card.results:
        assert result.measured_on
        assert 0 < result.miou < 100
        assert result.miou_crf is None or result.miou < result.miou_crf < 100


def test_names_are_unique() -> None:
    for names in (
        [card.id for card in EVERY_CARD],
        [card.file for card in EVERY_CARD],
        [card.url for card in EVERY_CARD],
    ):
        assert len(set(names)) == len(names)


def test_all_four_versions_can_be_had() -> None:
    assert {card.version for card in cards()} == {"v1", "v2", "v3", "v3+"}


def test_a_short_hash_is_also_in_the_file_name() -> None:
    short = [card for card in EVERY_CARD if card.digest is not None and len(card.digest.value) == 8]
    assert len(short) == 10
    assert all(card.digest is not None and card.digest.value in card.file for card in short)


def test_torchvision_files_have_size_and_whole_hash() -> None:
    found = cards({"torchvision"})
    assert len(found) == 3
    for card in found:
        assert card.bytes is not None
        assert card.size == card.bytes
        assert card.digest is not None
        assert len(card.digest.value) == 64
        assert card.digest.value[:8] in card.file


def test_figures_on_coco_are_not_offered_as_figures_on_voc() -> None:
    for card in cards({"torchvision"}):
        assert card.result_on(VOC_VAL) is None
        assert card.results[0].measured_on == "COCO val2017, VOC classes"


def test_what_cannot_be_loaded_is_not_offered() -> None:
    assert cards(set()) == []
    assert {card.dialect for card in cards({"torchvision", "mmseg"})} == {"torchvision", "mmseg"}


def test_exactly_the_dialects_that_can_be_loaded_are_supported() -> None:
    from deeplab_studio.checkpoints.dialects import DIALECTS

    assert {dialect.name for dialect in DIALECTS} == SUPPORTED_DIALECTS


def test_starts_for_training_are_no_models() -> None:
    assert all(card.purpose == "segmentation" for card in cards())
    starts = cards(purpose="initialisation")
    assert starts
    assert not set(starts) & set(cards())
    assert not any(card.results for card in starts)


def test_models_that_have_seen_the_validation_photos_have_no_figure_on_them() -> None:
    marked = [card for card in EVERY_CARD if card.caution == "trained-on-val"]
    assert {"keras-v3plus-xception65", "keras-v3-mobilenetv2"} <= {card.id for card in marked}
    assert all(card.result_on(VOC_VAL) is None for card in marked)


def test_cards_are_found_by_id_and_by_file() -> None:
    card = find_card("torchvision-v3-resnet50")
    assert card is not None
    assert card_for_file("deeplabv3_resnet50_coco-cd0a2569.pth") is card
    assert find_card("nothing") is None
    assert card_for_file("nothing.pth") is None


def test_reading_the_catalogue_loads_neither_torch_nor_a_http_library() -> None:
    code = (
        "import sys; from deeplab_studio.checkpoints.catalogue import cards; assert cards();"
        "print({'torch', 'httpx', 'socket', 'ssl'} & set(sys.modules))"
    )
    result = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "set()"


# --- Hashes -----------------------------------------------------------------------------------------------------------


def test_a_file_is_known_by_its_sha256_or_the_beginning_of_it(tmp_path: Path) -> None:
    path = tmp_path / "abc"
    path.write_bytes(b"abc")
    whole = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-2, appendix B.1
    assert sha256_of(path) == whole
    assert Digest("sha256", whole).matches(path)
    assert Digest("sha256", whole[:8]).matches(path)
    assert not Digest("sha256", "ba7816be").matches(path)


def test_a_file_is_known_by_its_git_blob_id(tmp_path: Path) -> None:
    path = tmp_path / "hello"
    path.write_bytes(b"hello\n")
    assert Digest("git-blob", "ce013625030ba8dba906f756967f9e9ca394464a").matches(path)  # git hash-object
    path.write_bytes(b"hello")
    assert not Digest("git-blob", "ce013625030ba8dba906f756967f9e9ca394464a").matches(path)


@pytest.mark.parametrize(
    ("kind", "value"),
    [("sha256", "abc"), ("sha256", "G" * 64), ("sha256", "a" * 65), ("git-blob", "a" * 39), ("sha256", "A" * 64)],
)
def test_what_is_no_hash_is_refused(kind: str, value: str) -> None:
    with pytest.raises(ValueError, match="is no"):
        Digest(kind, value)


def test_a_missing_file_has_no_hash(tmp_path: Path) -> None:
    with pytest.raises(StudioError, match="cannot be read"):
        sha256_of(tmp_path / "none")


# --- Files of the program ---------------------------------------------------------------------------------------------


def test_resources_are_found_and_a_missing_one_is_named() -> None:
    assert resource("catalogue", "models.json").is_file()
    with pytest.raises(FileNotFoundError, match="resources/catalogue/none is missing"):
        resource("catalogue", "none")


def test_the_folder_of_shipped_models_is_a_folder_or_absent() -> None:
    folder = shipped_models()
    assert folder is None or folder.is_dir()
