from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from deeplab_studio.core.errors import StudioError
from deeplab_studio.core.voc import VocItem, read_mask, read_voc
from deeplab_studio.training.photos import Photos, open_photos
from tests.training_sets import CLASSES, write_set


@pytest.fixture
def items(tmp_path: Path) -> list[VocItem]:
    return read_voc(write_set(tmp_path / "set", 4)).items


def opened(items: list[VocItem], folder: Path, side: int = 100) -> tuple[Photos, list[StudioError]]:
    problems: list[StudioError] = []
    return open_photos(items, CLASSES, folder, side=side, on_problem=problems.append), problems


def test_photos_and_masks_are_kept_bit_for_bit(items: list[VocItem], tmp_path: Path) -> None:
    photos, problems = opened(items, tmp_path / "cache")
    assert not problems
    assert photos.names == tuple(item.name for item in items)
    for i, item in enumerate(items):
        assert item.mask is not None
        np.testing.assert_array_equal(photos.photo(i), np.asarray(Image.open(item.image)))
        np.testing.assert_array_equal(photos.mask(i), read_mask(item.mask))


def test_larger_photos_are_made_smaller_with_their_masks(items: list[VocItem], tmp_path: Path) -> None:
    photos, _ = opened(items, tmp_path / "cache", side=32)
    assert photos.photo(0).shape == (24, 32, 3)
    assert photos.mask(0).shape == (24, 32)
    assert set(np.unique(photos.mask(0))) <= {0, 1, 2}


def test_the_second_time_nothing_is_decoded(items: list[VocItem], tmp_path: Path) -> None:
    first, _ = opened(items, tmp_path / "cache")
    for item in items:
        state = item.image.stat()
        item.image.write_bytes(b"x" * state.st_size)
        os.utime(item.image, ns=(state.st_atime_ns, state.st_mtime_ns))
    again, problems = opened(items, tmp_path / "cache")
    assert not problems
    np.testing.assert_array_equal(first.pixels, again.pixels)


def test_a_changed_file_is_decoded_again(items: list[VocItem], tmp_path: Path) -> None:
    first, _ = opened(items, tmp_path / "cache")
    Image.new("RGB", (64, 48), "red").save(items[0].image)
    again, _ = opened(items, tmp_path / "cache")
    assert again.key != first.key
    assert (again.photo(0) == (255, 0, 0)).all()


def test_photos_that_cannot_be_used_are_named_and_left_out(items: list[VocItem], tmp_path: Path) -> None:
    assert items[1].mask is not None
    assert items[2].mask is not None
    Image.fromarray(np.full((48, 64), 9, np.uint8)).save(items[1].mask)
    Image.fromarray(np.zeros((5, 5), np.uint8)).save(items[2].mask)
    items[3].image.write_bytes(b"no photo")
    without_mask = replace(items[0], name="bare", mask=None)
    for _ in range(2):  # told again when they come from the cache
        photos, problems = opened([*items, without_mask], tmp_path / "cache")
        assert photos.names == (items[0].name,)
        assert [error.path.name for error in problems if error.path] == [
            items[1].mask.name,
            items[2].mask.name,
            items[3].image.name,
            items[0].image.name,
        ]
        assert "9" in problems[0].reason
        assert problems[3].reason == "it has no mask"


def test_no_usable_photo_at_all_is_an_empty_set(items: list[VocItem], tmp_path: Path) -> None:
    photos, problems = opened([replace(item, mask=None) for item in items], tmp_path / "cache")
    assert len(photos) == 0
    assert len(problems) == 4


def test_pixels_are_counted_by_photo_and_class(items: list[VocItem], tmp_path: Path) -> None:
    photos, _ = opened(items, tmp_path / "cache")
    pixels = photos.class_pixels(3)
    assert pixels.shape == (4, 3)
    for i in range(4):
        assert [int((photos.mask(i) == class_id).sum()) for class_id in range(3)] == pixels[i].tolist()
