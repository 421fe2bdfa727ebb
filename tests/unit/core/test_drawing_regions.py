"""Regions found from a pixel, beside a search pixel by pixel."""

from __future__ import annotations

from collections import deque

import cv2
import numpy as np
import pytest

from deeplab_studio.core.drawing import Patch
from deeplab_studio.core.drawing_regions import as_likely, same_class, similar


def laid(patch: Patch, shape: tuple[int, ...]) -> np.ndarray:
    whole = np.zeros(shape[:2], bool)
    whole[patch.top : patch.top + patch.mask.shape[0], patch.left : patch.left + patch.mask.shape[1]] = patch.mask
    return whole


def joined(allowed: np.ndarray, row: int, column: int) -> np.ndarray:
    """What is joined to a pixel over the sides of pixels, looked up one by one."""
    found = np.zeros(allowed.shape, bool)
    if not allowed[row, column]:
        return found
    found[row, column] = True
    queue = deque([(row, column)])
    while queue:
        y, x = queue.popleft()
        for v, u in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)):
            if 0 <= v < allowed.shape[0] and 0 <= u < allowed.shape[1] and allowed[v, u] and not found[v, u]:
                found[v, u] = True
                queue.append((v, u))
    return found


@pytest.fixture
def labels() -> np.ndarray:
    rng = np.random.default_rng(5)
    coarse = rng.integers(0, 3, (12, 15), np.uint8)
    labels = cv2.resize(coarse, (75, 60), interpolation=cv2.INTER_NEAREST)
    labels[rng.random(labels.shape) < 0.2] = 255
    return labels


def test_the_region_of_a_pixel_is_what_is_joined_to_it_with_its_class(labels: np.ndarray) -> None:
    for row, column in ((0, 0), (59, 74), (30, 40), (10, 70), (33, 2)):
        expected = joined(labels == labels[row, column], row, column)
        assert np.array_equal(laid(same_class(labels, row, column), labels.shape), expected)


def test_without_connection_it_is_every_pixel_of_the_class(labels: np.ndarray) -> None:
    found = laid(same_class(labels, 30, 40, connected=False), labels.shape)
    assert np.array_equal(found, labels == labels[30, 40])


def test_a_region_larger_than_the_window_is_found_whole() -> None:
    labels = np.ones((900, 2500), np.uint8)
    labels[::2, 1:-1] = 0  # a comb with teeth as long as the image, joined at both ends
    expected = labels == 1
    assert np.array_equal(laid(same_class(labels, 451, 1200), labels.shape), expected)
    labels[:, 0] = labels[::2, -1] = 0  # teeth on their own
    patch = same_class(labels, 451, 1200)
    assert (patch.top, patch.left, patch.mask.shape) == (451, 1, (1, 2499))


def test_corners_do_not_join() -> None:
    labels = np.eye(6, dtype=np.uint8)
    assert laid(same_class(labels, 2, 2), labels.shape).sum() == 1


def test_what_looks_like_a_pixel_is_within_the_tolerance_in_every_channel() -> None:
    rng = np.random.default_rng(7)
    photo = cv2.GaussianBlur(rng.integers(0, 256, (50, 60, 3), np.uint8), (0, 0), 4)
    photo = cv2.normalize(photo, None, 0, 255, cv2.NORM_MINMAX)
    for tolerance in (0.0, 0.05, 0.2, 1.0):
        near = (np.abs(photo.astype(int) - photo[20, 30].astype(int)) <= round(255 * tolerance)).all(axis=2)
        assert np.array_equal(laid(similar(photo, 20, 30, tolerance), photo.shape), joined(near, 20, 30))
        assert np.array_equal(laid(similar(photo, 20, 30, tolerance, connected=False), photo.shape), near)
    assert laid(similar(photo, 20, 30, 1.0), photo.shape).all()


def test_more_tolerance_never_loses_a_pixel() -> None:
    rng = np.random.default_rng(8)
    photo = cv2.GaussianBlur(rng.integers(0, 256, (40, 40, 3), np.uint8), (0, 0), 2)
    for gap in (0, 2):
        last = np.zeros((40, 40), bool)
        for tolerance in np.linspace(0, 0.6, 20):
            found = laid(similar(photo, 11, 17, float(tolerance), gap=gap), photo.shape)
            assert found[11, 17]
            assert not (last & ~found).any()
            last = found


def test_a_narrow_opening_is_closed() -> None:
    photo = np.zeros((40, 80, 3), np.uint8)
    photo[:, 38:42] = 200
    photo[19:22, 38:42] = 0  # three pixels wide
    leaked = laid(similar(photo, 20, 10, 0.1), photo.shape)
    assert leaked[:, 60:].all()
    kept = laid(similar(photo, 20, 10, 0.1, gap=2), photo.shape)
    assert not kept[:, 42:].any()
    assert kept[:, :38].all()


def test_a_pixel_in_a_narrow_place_still_finds_its_region() -> None:
    photo = np.zeros((40, 80, 3), np.uint8)
    photo[:, :40] = 200
    photo[20, 30:40] = 0
    found = laid(similar(photo, 20, 38, 0.1, gap=3), photo.shape)
    assert found[20, 38]
    assert found[:, 45:].all()


def test_as_likely_takes_what_is_likelier_too() -> None:
    probability = np.tile(np.linspace(0, 1, 100, dtype=np.float32), (50, 1))
    found = laid(as_likely(probability, (50, 100), 25, 60, 0.1), (50, 100))
    assert np.array_equal(found.all(axis=0), found.any(axis=0))
    columns = np.flatnonzero(found[0])
    assert columns[-1] == 99
    assert columns[0] in (54, 55)
    assert laid(as_likely(probability, (50, 100), 25, 60, 1.0), (50, 100)).all()


def test_a_small_map_of_probabilities_is_stretched_over_the_image() -> None:
    rng = np.random.default_rng(2)
    small = rng.random((9, 13)).astype(np.float32)
    size = (700, 1100)
    whole = cv2.resize(small, size[::-1], interpolation=cv2.INTER_LINEAR)
    found = laid(as_likely(small, size, 350, 500, 0.25, connected=False), size)
    sure = np.abs(whole - (whole[350, 500] * 0.75)) > 1e-4
    assert np.array_equal(found & sure, (whole >= whole[350, 500] * 0.75) & sure)
    for row, column in ((0, 0), (350, 500), (699, 1099)):
        part = laid(as_likely(small, size, row, column, 0.0), size)
        assert part[row, column]
        assert not (part & ~laid(as_likely(small, size, row, column, 0.0, connected=False), size)).any()


@pytest.mark.parametrize(("row", "column"), [(-1, 0), (0, -1), (5, 0), (0, 6)])
def test_a_pixel_outside_is_refused(row: int, column: int) -> None:
    with pytest.raises(IndexError):
        same_class(np.zeros((5, 6), np.uint8), row, column)
    with pytest.raises(IndexError):
        similar(np.zeros((5, 6, 3), np.uint8), row, column, 0.1)
    with pytest.raises(IndexError):
        as_likely(np.zeros((2, 2), np.float32), (5, 6), row, column, 0.1)
