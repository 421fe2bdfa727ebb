"""Polygons, boxes and ellipses beside a brute-force look at the middle of every pixel."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deeplab_studio.core.drawing import Patch
from deeplab_studio.core.drawing_shapes import Area, Box, Ellipse, Polygon, Region
from deeplab_studio.core.geometry import Rect

HEIGHT, WIDTH = 24, 30
IMAGE = Rect(0, 0, HEIGHT, WIDTH)


def laid(patch: Patch, height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    """The patch on the image; fails if it lies outside."""
    whole = np.zeros((height, width), bool)
    if patch.mask.size:
        place = whole[patch.top : patch.top + patch.mask.shape[0], patch.left : patch.left + patch.mask.shape[1]]
        assert place.shape == patch.mask.shape
        assert min(patch.top, patch.left) >= 0
        place[:] = patch.mask
    return whole


def winding(points: list[tuple[float, float]], x: float, y: float) -> int:
    """How often a closed line goes around a place: crossings of the ray to the left of it, counted with their sign."""
    turns = 0
    for (x0, y0), (x1, y1) in zip(points, points[1:] + points[:1], strict=True):
        sign = 1 if y1 > y0 else -1
        if y1 < y0:
            x0, y0, x1, y1 = x1, y1, x0, y0
        if y0 <= y < y1 and x0 + (y - y0) * (x1 - x0) / (y1 - y0) <= x:
            turns += sign
    return turns


def brute(points: list[tuple[float, float]]) -> np.ndarray:
    return np.array([[winding(points, x + 0.5, y + 0.5) != 0 for x in range(WIDTH)] for y in range(HEIGHT)])


places = (
    st.floats(-10, 45, allow_nan=False) | st.integers(-10, 45).map(float) | st.integers(-10, 45).map(lambda i: i / 2)
)
polygons = st.lists(st.tuples(places, places), min_size=0, max_size=9)


@given(polygons)
@settings(max_examples=150, deadline=None)
def test_a_polygon_covers_the_pixels_whose_middle_it_goes_around(points: list[tuple[float, float]]) -> None:
    expected = brute(points) if len(points) > 2 else np.zeros((HEIGHT, WIDTH), bool)
    assert np.array_equal(laid(Polygon(points).patch(IMAGE)), expected)


@given(polygons, st.integers(0, 12), st.integers(0, 12), st.integers(1, 12), st.integers(1, 18))
@settings(max_examples=100, deadline=None)
def test_a_part_of_a_polygon_is_what_the_whole_one_has_there(
    points: list[tuple[float, float]], top: int, left: int, height: int, width: int
) -> None:
    part = Rect(top, left, top + height, left + width)
    inside = np.zeros((HEIGHT, WIDTH), bool)
    inside[part.slices] = True
    assert np.array_equal(laid(Polygon(points).patch(part)), laid(Polygon(points).patch(IMAGE)) & inside)


def test_two_polygons_with_a_common_side_share_no_pixel_and_leave_none_out() -> None:
    rng = np.random.default_rng(3)
    for _ in range(50):
        a, b = ((float(x), float(y)) for x, y in rng.uniform(0, 24, (2, 2)))
        left = laid(Polygon([(-40.0, a[1]), a, b, (-40.0, b[1])]).patch(IMAGE))
        right = laid(Polygon([b, a, (70.0, a[1]), (70.0, b[1])]).patch(IMAGE))
        low, high = sorted((a[1], b[1]))
        rows = (np.arange(HEIGHT) + 0.5 >= low) & (np.arange(HEIGHT) + 0.5 < high)
        assert not (left & right).any()
        assert np.array_equal((left | right).all(axis=1), rows)


def test_a_loop_that_is_drawn_twice_has_no_hole() -> None:
    square = [(2.0, 2.0), (12.0, 2.0), (12.0, 12.0), (2.0, 12.0)]
    assert laid(Polygon(square * 2).patch(IMAGE)).sum() == 100


def test_a_square_on_the_grid_covers_just_its_pixels() -> None:
    patch = Polygon([(3, 4), (8, 4), (8, 6), (3, 6)]).patch(IMAGE)
    assert (patch.top, patch.left, patch.mask.shape) == (4, 3, (2, 5))
    assert patch.mask.all()


@pytest.mark.parametrize(
    "points",
    [[], [(1, 1)], [(1, 1), (20, 20)], [(1, 1), (20, 20), (1, 1)], [(50, 50), (60, 50), (60, 60)], [(2, 2)] * 5],
)
def test_a_line_without_an_inside_covers_nothing(points: list[tuple[float, float]]) -> None:
    assert not Polygon(points).patch(IMAGE).mask.any()


shapes = st.one_of(
    polygons.map(Polygon),
    *(
        st.tuples(*[st.integers(-20, 50)] * 4).map(
            lambda v, kind=kind: kind(Rect(min(v[0], v[1]), min(v[2], v[3]), max(v[0], v[1]) + 1, max(v[2], v[3]) + 1))
        )
        for kind in (Box, Ellipse)
    ),
)


@given(shapes, st.sampled_from([2, 4, 8]))
@settings(max_examples=150, deadline=None)
def test_every_nth_pixel_is_what_the_full_mask_has_there(shape: Area, step: int) -> None:
    whole = laid(shape.patch(IMAGE))
    sampled = whole[::step, ::step]
    bounds = Rect(0, 0, *sampled.shape)
    found = laid(shape.patch(bounds, step), *sampled.shape)
    if isinstance(shape, Polygon):
        # A middle that lies on the line within rounding may go either way.
        rows, columns = np.arange(0, HEIGHT, step) + 0.5, np.arange(0, WIDTH, step) + 0.5
        clear = np.array([[_distance(shape.points, x, y) > 1e-9 for x in columns] for y in rows])
        assert np.array_equal(found & clear, sampled & clear)
    else:
        assert np.array_equal(found, sampled)


def _distance(points, x: float, y: float) -> float:
    """From a place to the nearest side of a polygon."""
    best = np.inf
    for (x0, y0), (x1, y1) in zip(points, [*points[1:], *points[:1]], strict=True):
        length = (x1 - x0) ** 2 + (y1 - y0) ** 2
        along = 0.0 if length == 0 else min(max(((x - x0) * (x1 - x0) + (y - y0) * (y1 - y0)) / length, 0), 1)
        best = min(best, np.hypot(x - x0 - along * (x1 - x0), y - y0 - along * (y1 - y0)))
    return float(best)


def test_a_box_is_cut_at_the_image() -> None:
    patch = Box(Rect(-5, 28, 3, 40)).patch(IMAGE)
    assert (patch.top, patch.left, patch.mask.shape) == (0, 28, (3, 2))
    assert not Box(Rect(30, 30, 40, 40)).patch(IMAGE).mask.size


@pytest.mark.parametrize("rect", [Rect(2, 3, 13, 20), Rect(-6, -4, 9, 31), Rect(5, 5, 6, 6), Rect(4, 4, 6, 25)])
def test_an_ellipse_covers_the_pixels_whose_middle_is_inside(rect: Rect) -> None:
    y, x = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    cy, cx = (rect.top + rect.bottom) / 2, (rect.left + rect.right) / 2
    expected = ((y - cy) / (rect.height / 2)) ** 2 + ((x - cx) / (rect.width / 2)) ** 2 <= 1 + 1e-9
    found = laid(Ellipse(rect).patch(IMAGE))
    assert np.array_equal(found, expected)
    if rect.clipped(HEIGHT, WIDTH) == rect:
        assert np.array_equal(found[rect.slices], found[rect.slices][::-1, ::-1])


@given(
    st.integers(0, 20), st.integers(0, 20), st.integers(1, 4), st.integers(1, 8), st.sampled_from([1, 2, 4]), st.data()
)
@settings(max_examples=80, deadline=None)
def test_a_region_gives_its_own_pixels(top: int, left: int, height: int, width: int, step: int, data) -> None:
    bits = data.draw(st.lists(st.booleans(), min_size=height * width, max_size=height * width))
    mask = np.array(bits).reshape(height, width)
    region = Region(Patch(top, left, mask))
    whole = np.zeros((HEIGHT, WIDTH), bool)
    whole[top : top + height, left : left + width] = mask
    sampled = whole[::step, ::step]
    assert np.array_equal(laid(region.patch(Rect(0, 0, *sampled.shape), step), *sampled.shape), sampled)


def test_what_is_far_outside_costs_nothing() -> None:
    far = Polygon([(-1e7, -1e7), (1e7, -1e7), (1e7, 1e7), (-1e7, 1e7)])
    assert far.patch(Rect(0, 0, 5, 6)).mask.shape == (5, 6)
    assert far.patch(Rect(0, 0, 5, 6)).mask.all()
