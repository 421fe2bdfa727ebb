from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import jaccard_score

from deeplab_studio.core.agreement import (
    BOTH,
    DIFFERENT,
    NEITHER,
    ONLY_FIRST,
    ONLY_SECOND,
    class_overlap,
    component_at,
    distinct_answers,
    majority,
    overlap,
    pair_counts,
    pair_iou,
    pixel_agreement,
    region_mask,
    regions,
)
from deeplab_studio.core.geometry import Rect

maps_of_one_photo = st.integers(1, 4).flatmap(
    lambda count: st.lists(
        st.lists(st.sampled_from([0, 1, 2, 255]), min_size=12, max_size=12), min_size=count, max_size=count
    )
)


def as_maps(values: list[list[int]]) -> list[np.ndarray]:
    return [np.array(each, np.uint8).reshape(3, 4) for each in values]


@given(maps_of_one_photo)
def test_distinct_answers_are_counted_per_pixel(values):
    counted = distinct_answers(as_maps(values))
    assert counted.reshape(-1).tolist() == [len(set(column)) for column in zip(*values, strict=True)]


@given(maps_of_one_photo)
def test_a_majority_has_at_least_as_many_votes_as_any_other_class(values):
    chosen = majority(as_maps(values)).reshape(-1).tolist()
    for column, winner in zip(zip(*values, strict=True), chosen, strict=True):
        votes = Counter(value for value in column if value != 255)
        if not votes:
            assert winner == 255
            continue
        most = max(votes.values())
        assert winner == next(value for value in column if votes.get(value) == most)


def test_a_heavier_map_outvotes_two_light_ones():
    one, other = np.zeros((2, 2), np.uint8), np.ones((2, 2), np.uint8)
    assert majority([one, one, other]).tolist() == one.tolist()
    assert majority([one, one, other], [1, 1, 3]).tolist() == other.tolist()
    assert majority([one, other], [0.1 + 0.2, 0.3]).tolist() == one.tolist()
    with pytest.raises(ValueError, match="positive weights"):
        majority([one, other], [1, 0])


def test_two_maps_of_different_photos_are_refused():
    with pytest.raises(ValueError, match="one shape"):
        distinct_answers([np.zeros((2, 2), np.uint8), np.zeros((2, 3), np.uint8)])
    with pytest.raises(ValueError, match="no map"):
        majority([])


def test_overlap_tells_the_four_cases_of_a_class_apart():
    first, second = np.array([[7, 7, 1, 255]], np.uint8), np.array([[7, 0, 7, 3]], np.uint8)
    assert class_overlap(first, second, 7).tolist() == [[BOTH, ONLY_FIRST, ONLY_SECOND, NEITHER]]


@settings(max_examples=25)
@given(st.integers(0, 2**31))
def test_iou_of_a_pair_is_that_of_scikit_learn(seed):
    rng = np.random.default_rng(seed)
    first, second = rng.integers(0, 4, (2, 600, 3)).astype(np.uint8)
    counts = pair_counts(first, second)
    wanted = jaccard_score(first.reshape(-1), second.reshape(-1), average=None, labels=range(4))
    assert np.allclose(pair_iou(counts)[:4], wanted, equal_nan=True)
    assert np.isnan(pair_iou(counts)[4:]).all()
    assert pixel_agreement(counts) == pytest.approx((first == second).mean())


def test_regions_come_by_size_and_touch_at_corners():
    mask = np.zeros((6, 9), bool)
    mask[0, 0] = mask[1, 1] = True
    mask[3:5, 4:8] = True
    mask[0, 8] = True
    assert [(each.box, each.pixels) for each in regions(mask)] == [
        (Rect(3, 4, 5, 8), 8),
        (Rect(0, 0, 2, 2), 2),
        (Rect(0, 8, 1, 9), 1),
    ]
    assert len(regions(mask, min_pixels=2)) == 2
    assert len(regions(mask, limit=1)) == 1
    assert regions(np.zeros((3, 3), bool)) == []
    assert component_at(mask, 1, 1).sum() == 2
    assert not component_at(mask, 5, 0).any()


def test_two_maps_are_told_apart_by_who_sees_something():
    first = np.array([[0, 1, 1, 0, 2, 255, 1]], np.uint8)
    second = np.array([[0, 1, 0, 3, 1, 1, 255]], np.uint8)
    told = [NEITHER, NEITHER, ONLY_FIRST, ONLY_SECOND, DIFFERENT, NEITHER, NEITHER]
    assert overlap(first, second, 0).tolist() == [told]
    without_background = [DIFFERENT if value != NEITHER else NEITHER for value in told]
    assert overlap(first, second, None).tolist() == [without_background]


@given(st.lists(st.booleans(), min_size=48, max_size=48))
def test_every_region_is_cut_out_of_its_mask_again(bits):
    mask = np.array(bits).reshape(6, 8)
    total = np.zeros(mask.shape, np.int64)
    for region in regions(mask):
        inside = region_mask(mask, region)
        assert inside.shape == (region.box.height, region.box.width)
        assert inside.sum() == region.pixels
        total[region.box.slices] += inside
    assert (total <= mask).all() or total.sum() == mask.sum()
