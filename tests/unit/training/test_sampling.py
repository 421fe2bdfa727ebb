from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deeplab_studio.training.sampling import class_weights, epoch_order, interpolation, repeat_factors


def test_positions_on_cells_take_their_values_and_between_them_the_mean() -> None:
    weights = interpolation(np.array([0.0, 2.0, 0.5]), 3)
    np.testing.assert_allclose(weights, [[1, 0, 0], [0, 0, 1], [0.5, 0.5, 0]])


def test_positions_beyond_the_ends_take_the_ends_value() -> None:
    np.testing.assert_allclose(interpolation(np.array([-3.0, 9.0]), 2), [[1, 0], [0, 1]])


def test_a_coarser_grid_sees_every_cell() -> None:
    weights = interpolation(np.arange(0.5, 12, 3), 12, spacing=3)
    assert (weights.sum(axis=0) > 0).all()


@given(st.lists(st.floats(-5, 30), min_size=1, max_size=8), st.integers(1, 25), st.floats(0.1, 8))
def test_weights_are_a_mean(positions: list[float], cells: int, spacing: float) -> None:
    weights = interpolation(np.array(positions), cells, spacing=spacing)
    assert (weights >= 0).all()
    np.testing.assert_allclose(weights.sum(axis=1), 1, rtol=1e-5)


def test_photos_of_rare_classes_are_seen_more_often_up_to_a_bound() -> None:
    presence = np.zeros((100, 3), bool)
    presence[:, 0] = True
    presence[:8, 1] = True
    presence[0, 2] = True
    factors = repeat_factors(presence, threshold=0.32, most=3)
    assert factors[50] == 1
    assert factors[5] == pytest.approx(2)  # sqrt(0.32 / 0.08)
    assert factors[0] == 3


def test_without_a_threshold_all_photos_are_alike() -> None:
    assert (repeat_factors(np.eye(5, dtype=bool), threshold=0) == 1).all()


def test_an_epoch_shows_each_photo_as_often_as_its_factor_says() -> None:
    factors = np.array([1.0] * 60 + [3.0] * 20)
    seen = np.bincount(np.concatenate([epoch_order(factors, 1, epoch) for epoch in range(30)]), minlength=80)
    assert len(epoch_order(factors, 1, 0)) == 80
    np.testing.assert_allclose(seen[:60], 20, atol=8)
    np.testing.assert_allclose(seen[60:], 60, atol=8)


def test_the_order_depends_on_seed_and_epoch_alone() -> None:
    factors = np.ones(50)
    assert (epoch_order(factors, 4, 2) == epoch_order(factors, 4, 2)).all()
    assert (epoch_order(factors, 4, 2) != epoch_order(factors, 4, 3)).any()
    assert sorted(epoch_order(factors, 5, 0)) == list(range(50))


def test_rare_classes_weigh_more_within_bounds() -> None:
    weights = class_weights(np.array([1600, 100, 0, 1]), 0.5, most=10)
    assert weights[:4].tolist() == [1, 4, 1, 10]
    assert weights[255] == 1
    assert (class_weights(np.array([5, 1]), 0) == 1).all()
