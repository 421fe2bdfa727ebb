from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deeplab_studio.core.drawing import MAX_SIZE, Patch, Stamp, dab, footprint, footprint_outline, sweep

SHAPES = st.sampled_from(["round", "square"])
SIZES = st.integers(1, 25)
PLACES = st.floats(-15, 45, allow_nan=False)
BOUNDS = (30, 34)


def painted(patch: Patch, height: int = BOUNDS[0], width: int = BOUNDS[1]) -> np.ndarray:
    """The patch in a picture; what lies outside is dropped."""
    padded = np.zeros((height + 400, width + 400), bool)
    top, left = patch.top + 200, patch.left + 200
    padded[top : top + patch.mask.shape[0], left : left + patch.mask.shape[1]] = patch.mask
    return padded[200 : 200 + height, 200 : 200 + width]


def inside_sweep(x: Fraction, y: Fraction, start: Stamp, end: Stamp, shape: str) -> bool:
    """Whether a point is ever under a brush of one size on its way: exact arithmetic, no square roots."""
    ax, ay, bx, by = (Fraction(v) for v in (start.x, start.y, end.x, end.y))
    radius = Fraction(start.size, 2)
    dx, dy = bx - ax, by - ay
    if shape == "round":
        length = dx * dx + dy * dy
        t = max(Fraction(0), min(Fraction(1), ((x - ax) * dx + (y - ay) * dy) / length)) if length else Fraction(0)
        return (x - ax - t * dx) ** 2 + (y - ay - t * dy) ** 2 <= radius**2
    low, high = Fraction(0), Fraction(1)
    for at, origin, step in ((x, ax, dx), (y, ay, dy)):
        if step == 0:
            if abs(at - origin) > radius:
                return False
            continue
        ends = sorted(((at - origin - radius) / step, (at - origin + radius) / step))
        low, high = max(low, ends[0]), min(high, ends[1])
    return low <= high


@given(SHAPES, SIZES, PLACES, PLACES, PLACES, PLACES)
def test_a_sweep_covers_exactly_what_the_brush_passes_over(shape, size, x0, y0, x1, y1) -> None:
    start, end = Stamp(x0, y0, size), Stamp(x1, y1, size)
    got = painted(sweep(start, end, shape, BOUNDS))
    a, b = start.snapped(), end.snapped()
    half = Fraction(1, 2)
    expected = [[inside_sweep(x + half, y + half, a, b, shape) for x in range(BOUNDS[1])] for y in range(BOUNDS[0])]
    np.testing.assert_array_equal(got, expected)


@given(SHAPES, SIZES, SIZES, PLACES, PLACES, PLACES, PLACES)
def test_a_brush_that_changes_size_covers_every_size_in_between(shape, size0, size1, x0, y0, x1, y1) -> None:
    start, end = Stamp(x0, y0, size0).snapped(), Stamp(x1, y1, size1).snapped()
    got = painted(sweep(start, end, shape))
    y, x = np.mgrid[: BOUNDS[0], : BOUNDS[1]] + 0.5
    distance = np.full(BOUNDS, np.inf)
    for t in np.linspace(0, 1, 600):
        dx, dy = x - (start.x + t * (end.x - start.x)), y - (start.y + t * (end.y - start.y))
        away = np.hypot(dx, dy) if shape == "round" else np.maximum(abs(dx), abs(dy))
        distance = np.minimum(distance, away - (size0 + t * (size1 - size0)) / 2)
    assert got[distance <= -1e-9].all()
    assert not got[distance > 0.06].any()  # between two of the 600 steps


@given(SHAPES, SIZES, PLACES, PLACES, PLACES, PLACES)
def test_bounds_only_cut_off(shape, size, x0, y0, x1, y1) -> None:
    start, end = Stamp(x0, y0, size), Stamp(x1, y1, size)
    free, bound = sweep(start, end, shape), sweep(start, end, shape, BOUNDS)
    np.testing.assert_array_equal(painted(free), painted(bound))
    assert bound.mask.size == 0 or (
        bound.top >= 0
        and bound.left >= 0
        and bound.top + bound.mask.shape[0] <= BOUNDS[0]
        and bound.left + bound.mask.shape[1] <= BOUNDS[1]
    )
    np.testing.assert_array_equal(painted(dab(start, shape)), painted(dab(start, shape, BOUNDS)))


@given(SHAPES, SIZES, PLACES, PLACES)
def test_a_dab_is_a_sweep_that_stays_where_it_is(shape, size, x, y) -> None:
    stamp = Stamp(x, y, size)
    np.testing.assert_array_equal(painted(dab(stamp, shape)), painted(sweep(stamp, stamp, shape)))


@given(st.floats(0, 30, exclude_max=True), st.floats(0, 30, exclude_max=True))
def test_the_smallest_brush_paints_the_pixel_under_the_pointer(x, y) -> None:
    expected = np.zeros(BOUNDS, bool)
    expected[int(y), int(x)] = True
    np.testing.assert_array_equal(painted(dab(Stamp(x, y, 1))), expected)


@given(st.integers(1, 60))
def test_a_disc_holds_the_pixels_whose_middle_is_within_the_radius(size) -> None:
    y, x = np.mgrid[:size, :size]
    twice = (2 * x + 1 - size) ** 2 + (2 * y + 1 - size) ** 2  # squared distance in half pixels: whole numbers
    np.testing.assert_array_equal(footprint(size), twice <= size**2)
    assert footprint(size, "square").all()


@pytest.mark.parametrize("shape", ["round", "square"])
@pytest.mark.parametrize("size", [1, 2, 3, 8, 21])
def test_the_outline_runs_around_the_footprint(shape, size) -> None:
    outline = footprint_outline(size, shape)
    x, y = outline[:, 0].astype(int), outline[:, 1].astype(int)
    steps = np.abs(np.diff(outline, axis=0, append=outline[:1]))
    assert (steps.min(axis=1) == 0).all()  # along pixel edges only
    area = abs((x * np.roll(y, -1) - np.roll(x, -1) * y).sum()) / 2
    assert area == footprint(size, shape).sum()


def test_footprints_are_made_once_and_cannot_be_written() -> None:
    assert footprint(81) is footprint(81)
    with pytest.raises(ValueError, match="read-only"):
        footprint(81)[0, 0] = True


@pytest.mark.parametrize("size", [0, -3, MAX_SIZE + 1])
def test_sizes_no_brush_has_are_refused(size) -> None:
    with pytest.raises(ValueError, match=f"not {size}"):
        footprint(size)
    with pytest.raises(ValueError, match=f"not {size}"):
        sweep(Stamp(0, 0, 5), Stamp(9, 9, size))


def test_the_largest_brush_crosses_an_image_in_one_sweep() -> None:
    patch = sweep(Stamp(0, 0, MAX_SIZE), Stamp(6000, 4000, MAX_SIZE), "round", (4000, 6000))
    assert patch.mask.shape == (4000, 6000)
    assert patch.mask[0, 0]
    assert patch.mask[3999, 5999]
    assert not patch.mask[0, 5999]
