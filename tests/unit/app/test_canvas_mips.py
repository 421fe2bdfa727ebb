from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deeplab_studio.app.canvas.layers import tone_table
from deeplab_studio.app.canvas.mips import LabelMips, TileGrid, build_mips, level_for
from deeplab_studio.core.geometry import Rect


def halved(pixels: np.ndarray) -> np.ndarray:
    """Mean of the pixels there are in every 2 by 2 block."""
    height, width = pixels.shape[:2]
    out = np.zeros(((height + 1) // 2, (width + 1) // 2, 3))
    for y in range(out.shape[0]):
        for x in range(out.shape[1]):
            out[y, x] = pixels[2 * y : 2 * y + 2, 2 * x : 2 * x + 2].mean(axis=(0, 1))
    return out


@pytest.mark.parametrize("shape", [(300, 400), (301, 400), (300, 401), (301, 401), (1, 257), (257, 1), (2, 600)])
def test_each_level_of_a_photo_is_the_mean_of_the_one_below(shape) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (*shape, 3), np.uint8)
    levels = build_mips(pixels).levels
    assert levels[0] is pixels
    assert max(levels[-1].shape[:2]) <= 256 < max(levels[-2].shape[:2])
    for below, level in pairwise(levels):
        np.testing.assert_allclose(level, halved(below), atol=0.51)


def test_a_small_photo_has_one_level() -> None:
    assert len(build_mips(np.zeros((1, 1, 3), np.uint8)).levels) == 1


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((4, 4, 3), np.float32),
        np.zeros((0, 4, 3), np.uint8),
        np.zeros((4, 8, 3), np.uint8)[:, ::2],
    ],
)
def test_what_is_no_photo_is_refused(pixels) -> None:
    with pytest.raises(ValueError, match="photo"):
        build_mips(pixels)


@st.composite
def edits(draw):
    height, width = draw(st.integers(1, 900)), draw(st.integers(1, 900))
    boxes = []
    for _ in range(draw(st.integers(1, 6))):
        top, left = draw(st.integers(-20, height)), draw(st.integers(-20, width))
        boxes.append(Rect(top, left, top + draw(st.integers(0, 300)), left + draw(st.integers(0, 300))))
    return height, width, boxes


@given(edits(), st.integers(0, 2**32 - 1))
def test_refreshing_the_changed_boxes_equals_refreshing_everything(case, seed) -> None:
    height, width, boxes = case
    random = np.random.default_rng(seed)
    labels = random.integers(0, 256, (height, width), np.uint8)
    mips = LabelMips(labels)
    kept = [mips.level(k) for k in range(5)]
    for box in boxes:
        inside = box.clipped(height, width)
        if not inside.is_empty:
            labels[inside.slices] = random.integers(0, 256, (inside.height, inside.width), np.uint8)
        mips.refresh(box)
    for k in range(5):
        assert mips.level(k) is kept[k]
        np.testing.assert_array_equal(kept[k], labels[:: 2**k, :: 2**k])


def test_refreshing_without_a_box_takes_all() -> None:
    labels = np.zeros((700, 900), np.uint8)
    mips = LabelMips(labels)
    level = mips.level(2)
    labels[:] = 3
    mips.refresh()
    assert (level == 3).all()


def test_level_0_of_a_class_map_is_the_class_map() -> None:
    labels = np.zeros((700, 900), np.uint8)
    mips = LabelMips(labels)
    assert mips.level(0) is labels
    assert max(mips.level(mips.last_level).shape) <= 256


@pytest.mark.parametrize(
    "labels", [np.zeros((4, 4), np.int64), np.zeros((4, 8), np.uint8)[:, ::2], np.zeros(4, np.uint8)]
)
def test_what_is_no_class_map_is_refused(labels) -> None:
    with pytest.raises(ValueError, match="class map"):
        LabelMips(labels)


@pytest.mark.parametrize(
    ("scale", "level"), [(2.0, 0), (1.0, 0), (0.51, 0), (0.5, 1), (0.26, 1), (0.25, 2), (0.01, 3), (64, 0)]
)
def test_a_level_has_a_pixel_for_every_pixel_of_the_screen(scale, level) -> None:
    assert level_for(scale, last_level=3) == level


def test_stale_tiles_are_handed_out_once() -> None:
    grid = TileGrid(1000, 700, side=512)
    first = list(grid.take_stale(Rect(500, 10, 520, 20)))
    assert first == [Rect(0, 0, 512, 512), Rect(512, 0, 1000, 512)]
    assert list(grid.take_stale(Rect(0, 0, 1000, 700))) == [Rect(0, 512, 512, 700), Rect(512, 512, 1000, 700)]
    assert list(grid.take_stale(Rect(-5, -5, 2000, 2000))) == []
    assert list(grid.take_stale(Rect(1000, 0, 1200, 9))) == []
    grid.clear()
    assert len(list(grid.take_stale(Rect(0, 0, 1000, 700)))) == 4


def test_a_neutral_tone_is_none() -> None:
    assert tone_table(0, 0, 1) is None


@given(st.floats(-1, 1), st.floats(-1, 1), st.floats(0.1, 10))
def test_tones_keep_the_order_of_levels(brightness, contrast, gamma) -> None:
    table = tone_table(brightness, contrast, gamma)
    assert table is None or (np.diff(table.astype(int)) >= 0).all()


def test_tones_do_what_their_names_say() -> None:
    identity = np.arange(256)
    assert tone_table(0.2, 0, 1)[100] == 151
    assert (tone_table(1, 0, 1) == 255).all()
    assert tone_table(0, 0, 2)[64] == 128
    assert tone_table(0, 0.5, 1)[64] < identity[64] < 128 < identity[192] < tone_table(0, 0.5, 1)[192]
    assert set(tone_table(0, -1, 1)) == {128}


@pytest.mark.parametrize("tone", [(1.1, 0, 1), (0, -1.1, 1), (0, 0, 0)])
def test_impossible_tones_are_refused(tone) -> None:
    with pytest.raises(ValueError, match="no such tone"):
        tone_table(*tone)
