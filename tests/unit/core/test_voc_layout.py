"""Finding a data set, and what its items are called."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deeplab_studio.core.errors import StudioError
from deeplab_studio.core.voc import find_voc, read_voc, safe_id
from deeplab_studio.core.voc.layout import is_safe_id


def make(root: Path) -> Path:
    (root / "JPEGImages").mkdir(parents=True)
    (root / "SegmentationClass").mkdir()
    return root


@pytest.mark.parametrize(
    "inside", ["", "VOC2012", "VOCdevkit/VOC2012", "VOCdevkit/VOC2007", "TrainVal/VOCdevkit/VOC2011"]
)
def test_it_is_found_wherever_the_releases_put_it(tmp_path: Path, inside: str) -> None:
    root = make(tmp_path / inside)
    assert find_voc(tmp_path) == root
    assert find_voc(root / "JPEGImages") == root
    assert find_voc(root / "SegmentationClass") == root


def test_the_newest_year_wins(tmp_path: Path) -> None:
    make(tmp_path / "VOCdevkit/VOC2007")
    newest = make(tmp_path / "VOCdevkit/VOC2010")
    assert find_voc(tmp_path) == newest
    assert find_voc(tmp_path / "VOCdevkit") == newest


def test_photos_with_lists_or_classes_alone_are_enough(tmp_path: Path) -> None:
    (tmp_path / "JPEGImages").mkdir()
    assert find_voc(tmp_path) is None
    (tmp_path / "labelmap.txt").touch()
    assert find_voc(tmp_path) == tmp_path


def test_other_folders_and_files_hold_none(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").touch()
    for path in (tmp_path, tmp_path / "a.jpg", tmp_path / "missing"):
        assert find_voc(path) is None
        with pytest.raises(StudioError, match=path.name):
            read_voc(path)


@pytest.mark.parametrize("name", ["2007_000129", "a", "IMG-1.2_b", "x" * 100])
def test_safe_names_are_kept(name: str) -> None:
    assert safe_id(name) == name


def test_folders_are_joined_readably() -> None:
    assert safe_id("day 1/cam") != safe_id("day_1/cam")
    assert safe_id("day1/cam") == "day1__cam"
    assert safe_id("a/b/c") == "a__b__c"


def test_unsafe_names_keep_what_they_can() -> None:
    assert safe_id("name with spaces (1)").startswith("name_with_spaces_1_")
    assert safe_id("사진").startswith("image_")
    assert safe_id("con") != "con"


@given(st.lists(st.text(min_size=1, max_size=150), min_size=2, max_size=20, unique=True))
def test_ids_are_safe_stable_and_told_apart(names: list[str]) -> None:
    ids = [safe_id(name) for name in names]
    assert all(is_safe_id(item_id) for item_id in ids)
    assert ids == [safe_id(name) for name in names]
    by_path = {}
    for name, item_id in zip(names, ids, strict=True):
        by_path.setdefault(item_id, set()).add(Path(name).as_posix())
    # Only what is the same path, or differs in how the slashes are written, may share an id.
    assert all(len(paths) == 1 or len({p.replace("__", "/") for p in paths}) == 1 for paths in by_path.values())
