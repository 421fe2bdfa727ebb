"""Superpixels cover the photo, hold together and keep to edges."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deeplab_studio.core.cancel import Cancelled, CancelToken
from deeplab_studio.core.drawing import Patch, Stamp, sweep
from deeplab_studio.core.superpixels import Superpixels, find_superpixels
from tests.unit.core.test_flood import two_shapes


def pieces_of(found: Superpixels) -> np.ndarray:
    """A number for every superpixel, from 0: connected regions of one colour."""
    pieces, count = np.full(found.colours.shape, -1), 0
    for colour in np.unique(found.colours):
        many, here = cv2.connectedComponents((found.colours == colour).astype(np.uint8), connectivity=4)
        pieces[here > 0] = here[here > 0] - 1 + count
        count += many - 1
    assert (pieces >= 0).all()
    return pieces


WORK = pytest.mark.parametrize("work", [{}, {"work_pixels": 6000}, {"work_size": 8}])
"""In all pixels, and at a reduced size for either reason."""


@WORK
def test_superpixels_are_about_as_large_as_asked_for(work: dict[str, int]) -> None:
    photo, _ = two_shapes(240, 320)
    found = find_superpixels(photo, 16, **work)
    pieces = pieces_of(found)
    assert 220 < pieces.max() + 1 < 380  # 15 x 20 cells
    rows, columns = np.mgrid[:240, :320]
    for number in range(0, pieces.max() + 1, 7):
        member = pieces == number
        assert np.ptp(rows[member]) <= 3 * found.size
        assert np.ptp(columns[member]) <= 3 * found.size


@WORK
def test_superpixels_keep_to_edges(work: dict[str, int]) -> None:
    photo, truth = two_shapes(240, 320)
    pieces = pieces_of(find_superpixels(photo, 16, **work))
    votes = np.zeros((pieces.max() + 1, 3), int)
    np.add.at(votes, (pieces.ravel(), truth.ravel()), 1)
    wrong = truth.size - votes.max(axis=1).sum()
    rim = (cv2.dilate(truth, np.ones((3, 3))) != cv2.erode(truth, np.ones((3, 3)))).sum()
    assert wrong < 0.2 * rim


def test_a_photo_of_one_colour_is_cut_into_squares() -> None:
    found = find_superpixels(np.full((64, 64, 3), 120, np.uint8), 16)
    assert pieces_of(found).max() + 1 == 16
    patch = found.at(20, 40)
    assert (patch.top, patch.left, patch.mask.shape) == (16, 32, (16, 16))
    assert patch.mask.all()


@settings(max_examples=20)
@given(st.integers(1, 60), st.integers(1, 60), st.integers(4, 30), st.integers(0, 99), st.sampled_from([10**9, 200]))
def test_any_photo_is_covered(height, width, size, seed, work_pixels) -> None:
    rng = np.random.default_rng(seed)
    photo = rng.integers(0, 256, (height, width, 3), np.uint8)
    found = find_superpixels(photo, size, work_pixels=work_pixels)
    assert found.colours.shape == (height, width)
    pieces = pieces_of(found)
    y, x = int(rng.integers(height)), int(rng.integers(width))
    patch = found.at(y, x)
    member = np.zeros((height, width), bool)
    member[patch.top : patch.top + patch.mask.shape[0], patch.left : patch.left + patch.mask.shape[1]] = patch.mask
    assert member[y, x]
    np.testing.assert_array_equal(member, pieces == pieces[y, x])


def test_a_stroke_takes_every_superpixel_it_touches_whole() -> None:
    photo, _ = two_shapes(120, 160)
    found = find_superpixels(photo, 12)
    pieces = pieces_of(found)
    stroke = sweep(Stamp(30, 40, 9), Stamp(70, 55, 9), "round", photo.shape[:2])
    patch = found.under(stroke)
    member, under = np.zeros((2, 120, 160), bool)
    member[patch.top : patch.top + patch.mask.shape[0], patch.left : patch.left + patch.mask.shape[1]] = patch.mask
    under[stroke.top : stroke.top + stroke.mask.shape[0], stroke.left : stroke.left + stroke.mask.shape[1]] = (
        stroke.mask
    )
    np.testing.assert_array_equal(member, np.isin(pieces, np.unique(pieces[under])))
    assert found.under(Patch(3, 3, np.zeros((0, 4), bool))).mask.size == 0


def test_sizes_below_what_a_reduced_photo_can_show_are_raised() -> None:
    photo, _ = two_shapes(240, 320)
    assert find_superpixels(photo, 4, work_pixels=240 * 320 // 16).size == 16
    assert find_superpixels(photo, 4).size == 4


def test_what_cannot_be_cut_is_refused() -> None:
    photo, _ = two_shapes()
    with pytest.raises(ValueError, match="on a side"):
        find_superpixels(photo, 3)
    with pytest.raises(ValueError, match="uint8"):
        find_superpixels(photo[..., 0], 10)
    with pytest.raises(IndexError):
        find_superpixels(photo, 10).at(0, 160)
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        find_superpixels(photo, 10, cancel=token)
