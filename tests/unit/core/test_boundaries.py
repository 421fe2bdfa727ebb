from __future__ import annotations

import math

import numpy as np
import pytest

from deeplab_studio.core.boundaries import TrimapScore, boundary_distance, boundary_f_score


def test_distance_is_to_the_nearest_void_pixel():
    truth = np.zeros((5, 7), np.uint8)
    truth[:, 3] = 255
    assert boundary_distance(truth)[2].tolist() == [3, 2, 1, 0, 1, 2, 3]


def test_without_void_the_boundary_is_where_classes_meet():
    truth = np.zeros((4, 6), np.uint8)
    truth[:, 3:] = 5
    assert boundary_distance(truth)[0].tolist() == [2, 1, 0, 0, 1, 2]
    assert np.isinf(boundary_distance(np.zeros((4, 4), np.uint8))).all()


def test_a_wrong_pixel_counts_only_in_the_bands_that_hold_it():
    truth = np.zeros((1, 12), np.uint8)
    truth[0, 6:] = 1
    truth[0, 5] = 255
    prediction = truth.copy()
    prediction[0, 5] = 0
    prediction[0, 9] = 0  # four pixels from the void one
    score = TrimapScore(2, (1, 3, 4, 6))
    score.add(truth, prediction)
    # In the band of 4: background 1..4 and class 1 at 6..9, one of them wrong.
    assert score.miou() == [
        (1, 1.0),
        (3, 1.0),
        (4, pytest.approx((4 / 5 + 3 / 4) / 2)),
        (6, pytest.approx((5 / 6 + 5 / 6) / 2)),
    ]


def test_an_image_without_boundaries_adds_nothing():
    score = TrimapScore(2, (2,))
    score.add(np.ones((3, 3), np.uint8), np.zeros((3, 3), np.uint8))
    assert math.isnan(score.miou()[0][1])


@pytest.mark.parametrize("widths", [(), (0, 1), (3, 2), (2, 2)])
def test_widths_ascend(widths):
    with pytest.raises(ValueError, match="widths"):
        TrimapScore(2, widths)


def test_an_outline_moved_within_the_tolerance_is_met_and_beyond_it_is_not():
    truth, prediction = np.zeros((2, 20, 20), np.uint8)
    truth[5:15, 5:15] = 1
    prediction[5:15, 7:17] = 1
    assert boundary_f_score(truth, truth, 1, 0) == 1
    assert boundary_f_score(truth, prediction, 1, 2) == 1
    assert 0 < boundary_f_score(truth, prediction, 1, 1) < 1
    assert boundary_f_score(truth, np.zeros_like(truth), 1, 2) == 0
    assert math.isnan(boundary_f_score(truth, truth, 9, 2))


def test_what_is_predicted_on_void_does_not_count():
    truth = np.zeros((9, 9), np.uint8)
    truth[:, :4] = 1
    truth[:, 4:6] = 255
    prediction = truth.copy()
    prediction[:, 4:6] = 1
    assert boundary_f_score(truth, prediction, 1, 0) == 1
