from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deeplab_studio.engine.tiles import STEP, spans


@given(length=st.integers(1, 5000), side=st.sampled_from([256, 512, 1024]), stride=st.sampled_from([8, 16]))
def test_shares_sum_to_one_in_every_cell(length: int, side: int, stride: int) -> None:
    total = np.zeros(-(-length // stride))
    for span in spans(length, side, stride):
        assert span.start % STEP == 0
        assert span.start // stride == span.first_cell
        assert 0 < span.stop - span.start <= side
        assert len(span.weights) == -(-(span.stop - span.start) // stride)
        assert (span.weights >= 0).all()
        total[span.first_cell : span.first_cell + len(span.weights)] += span.weights
    np.testing.assert_allclose(total, 1, atol=1e-6)


@given(cells=st.integers(1, 150), side=st.sampled_from([256, 512]))
def test_tiles_keep_the_remainder_the_network_needs(cells: int, side: int) -> None:
    length = 32 * cells + 1
    found = spans(length, side, 8, remainder=1)
    assert found[0].start == 0
    assert found[-1].stop == length
    assert all((span.stop - span.start) % 32 == 1 for span in found)


def test_what_fits_is_one_tile() -> None:
    (span,) = spans(700, 1024, 8)
    assert (span.start, span.stop) == (0, 700)
    assert (span.weights == 1).all()


@pytest.mark.parametrize("length", [1025, 1500, 4000, 6000])
def test_neighbours_overlap_by_a_quarter_and_cut_borders_weigh_nothing(length: int) -> None:
    found = spans(length, 1024, 8)
    for before, after in pairwise(found):
        assert before.stop - after.start >= 256 - STEP
        assert before.weights[-1] < 0.01
        assert after.weights[0] < 0.01


def test_weights_change_smoothly() -> None:
    for span in spans(6000, 1024, 8):
        assert np.abs(np.diff(span.weights)).max() < 0.1
