from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deeplab_studio.core.charts import COLOURS, Axes, Series, bar_chart, line_chart, ticks


def columns_of(picture, colour) -> list[int]:
    pixels = np.asarray(picture)
    return np.flatnonzero((pixels == colour).all(axis=2)[50:].any(axis=0)).tolist()


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6))
def test_ticks_cover_the_range_in_equal_round_steps(low, span):
    found = ticks(low, low + span)
    step = found[1] - found[0]
    assert found[0] <= low + 1e-6 * span
    assert found[-1] >= low + span * (1 - 1e-6)
    assert np.allclose(np.diff(found), step)
    assert 2 <= len(found) <= 14


def test_higher_values_are_drawn_higher():
    picture = line_chart([Series("", [(0, 0), (1, 0)]), Series("", [(0, 1), (1, 1)])], Axes(width=300, height=200))
    pixels = np.asarray(picture)
    assert pixels.shape == (200, 300, 3)
    rows = [np.flatnonzero((pixels == colour).all(axis=2).any(axis=1)) for colour in COLOURS[:2]]
    assert rows[1].max() < rows[0].min()


def test_a_value_that_is_none_leaves_a_gap():
    whole = line_chart([Series("", [(x, 1) for x in range(5)])], Axes())
    gap = line_chart([Series("", [(x, math.nan if x == 2 else 1) for x in range(5)])], Axes())
    assert len(columns_of(gap, COLOURS[0])) < 0.7 * len(columns_of(whole, COLOURS[0]))


def test_bars_stand_over_their_categories():
    picture = bar_chart(["a", "b", "c"], [Series("", [(2, 0.5)])], Axes(width=300))
    assert min(columns_of(picture, COLOURS[0])) > 190
    many = bar_chart([f"a long name {i}" for i in range(20)], [Series("", [(0, 1)])], Axes(height=200))
    assert many.height > 240


@pytest.mark.parametrize("points", [[], [(0, 0)], [(1, math.inf)], [(3, 2), (3, 2)]])
def test_hardly_anything_to_draw_is_still_a_chart(points):
    axes = Axes("title", "x", "y")
    assert line_chart([Series("one", points)], axes).size == (640, 400)
    assert bar_chart([], [Series("one", points)], axes).size == (640, 400)
