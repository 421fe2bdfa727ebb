from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deeplab_studio.app.canvas import screen
from deeplab_studio.app.canvas.mips import LabelMips
from deeplab_studio.app.canvas.screen import Exposure

SCALES = st.one_of(st.sampled_from([0.25, 0.5, 1.0, 2.0, 8.0]), st.floats(0.05, 20))


@st.composite
def exposures(draw):
    return Exposure(
        left=draw(st.integers(-30, 300)),
        top=draw(st.integers(-30, 300)),
        width=draw(st.integers(1, 120)),
        height=draw(st.integers(1, 120)),
        scale=draw(SCALES),
        origin_x=draw(st.floats(-200, 200)),
        origin_y=draw(st.floats(-200, 200)),
        device_ratio=draw(st.sampled_from([1.0, 1.5, 2.0])),
    )


def part(exposure: Exposure, top: int, left: int, height: int, width: int) -> Exposure:
    return Exposure(
        exposure.left + left,
        exposure.top + top,
        width,
        height,
        exposure.scale,
        exposure.origin_x,
        exposure.origin_y,
        exposure.device_ratio,
    )


@given(st.integers(1, 50), st.integers(1, 50), st.data())
def test_picking_is_indexing(height, width, data) -> None:
    picture = np.arange(height * width, dtype=np.uint64).astype(np.uint8).reshape(height, width)
    rows = np.sort(data.draw(st.lists(st.integers(0, height - 1), min_size=1, max_size=80)))
    columns = np.sort(data.draw(st.lists(st.integers(0, width - 1), min_size=1, max_size=80)))
    np.testing.assert_array_equal(screen.pick(picture, rows, columns), picture[rows][:, columns])


@given(exposures(), st.integers(1, 700), st.integers(1, 700), st.integers(0, 99))
def test_each_device_pixel_gets_the_class_under_its_middle(exposure, height, width, seed) -> None:
    labels = np.random.default_rng(seed).integers(0, 256, (height, width), np.uint8)
    got = screen.classes_on_screen(LabelMips(labels), exposure, height, width)
    step = max(1, 2 ** int(np.floor(np.log2(1 / exposure.scale)))) if exposure.scale <= 0.5 else 1
    y = np.clip(
        np.floor((np.arange(exposure.height) + exposure.top + 0.5 - exposure.origin_y) / exposure.scale), 0, height - 1
    )
    x = np.clip(
        np.floor((np.arange(exposure.width) + exposure.left + 0.5 - exposure.origin_x) / exposure.scale), 0, width - 1
    )
    step = min(step, 2 ** LabelMips(labels).last_level)
    y, x = y.astype(int) // step * step, x.astype(int) // step * step
    np.testing.assert_array_equal(got, labels[y][:, x])


@given(exposures(), st.data())
def test_a_part_of_the_screen_looks_as_it_does_with_the_rest(exposure, data) -> None:
    labels = np.random.default_rng(5).integers(0, 3, (80, 90), np.uint8)
    labels[20:50, 20:50] = 255
    mips = LabelMips(labels)
    colours = np.arange(256, dtype=np.uint32) * 0x01010101
    top, left = data.draw(st.integers(0, exposure.height - 1)), data.draw(st.integers(0, exposure.width - 1))
    height = data.draw(st.integers(1, exposure.height - top))
    width = data.draw(st.integers(1, exposure.width - left))

    def fill(shown: Exposure) -> np.ndarray:
        classes = screen.classes_on_screen(mips, shown, 80, 90)
        picture = screen.paint_classes(classes, colours)
        screen.draw_hatch(picture, classes, shown, colours, 0.5)
        screen.draw_pins(picture, classes == 1, shown)
        screen.draw_grid(picture, shown, 80, 90, 0.4)
        return picture

    def lines(shown: Exposure) -> np.ndarray:
        picture = np.zeros((shown.height, shown.width), np.uint32)
        screen.draw_outlines(picture, screen.classes_on_screen(mips, shown.grown(2), 80, 90), colours, 2)
        return picture

    for draw in (fill, lines):
        whole = draw(exposure)[top : top + height, left : left + width]
        np.testing.assert_array_equal(draw(part(exposure, top, left, height, width)), whole)


@given(st.lists(st.integers(0, 255), min_size=3, max_size=3), st.floats(0, 1), st.integers(0, 255), st.floats(0, 1))
def test_a_gray_is_laid_over_a_colour(colour, alpha, level, opacity) -> None:
    below = screen.premultiplied(tuple(colour), alpha)
    mixed = int(screen.colours_over(np.array([below], np.uint32), level, opacity)[0])
    for shift, full in ((0, level), (8, level), (16, level), (24, 255)):
        expected = (below >> shift & 255) * (1 - opacity) + full * opacity
        assert (mixed >> shift & 255) == pytest.approx(expected, abs=2)


def test_outlines_lie_on_both_sides_of_a_boundary_only() -> None:
    classes = np.ones((24, 30), np.uint8)
    classes[:, 15:] = 2
    picture = np.zeros((20, 26), np.uint32)
    colours = np.zeros(256, np.uint32)
    colours[1], colours[2] = 0xFF112233, 0xFF445566
    screen.draw_outlines(picture, classes, colours, 2)
    expected = np.zeros((20, 26), np.uint32)
    expected[:, 11:13], expected[:, 13:15] = 0xFF112233, 0xFF445566
    np.testing.assert_array_equal(picture, expected)


def test_a_class_without_a_line_leaves_what_is_there() -> None:
    classes = np.ones((7, 9), np.uint8)
    classes[:, 4:] = 2
    picture = np.full((5, 7), 0x80808080, np.uint32)
    screen.draw_outlines(picture, classes, np.zeros(256, np.uint32), 1)
    assert (picture == 0x80808080).all()
