"""Stages of the pipeline, what differs between them, and the weights of the appearance kernel."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deeplab_studio.core.labels import LabelSet
from deeplab_studio.crf.params import CrfParams
from deeplab_studio.engine import stages
from deeplab_studio.engine.refiner import Refiner
from deeplab_studio.engine.scores import AxisMap, Scores
from deeplab_studio.engine.stages import COARSE, PHOTO, RESULT, UPSAMPLED, AppearanceKernel, Stage, compare, entropy_of

CLASSES = 4


def make_scores(height: int = 40, width: int = 60, cells: tuple[int, int] = (5, 8), *, corners: bool = True) -> Scores:
    rng = np.random.default_rng(3)
    logits = rng.normal(0, 4, (CLASSES, *cells)).astype(np.float32)
    rows, columns = (
        AxisMap.of_network(pixels=pixels, shown=pixels, padded=pixels, cells=count, align_corners=corners)
        for pixels, count in zip((height, width), cells, strict=True)
    )
    labels = LabelSet.from_names([f"c{i}" for i in range(CLASSES)])
    return Scores(logits, rows, columns, (height, width), labels, "test")


def make_photo(height: int = 40, width: int = 60) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (height, width, 3), np.uint8)


@pytest.fixture(scope="module")
def traced():
    scores, params = make_scores(), CrfParams(3, 20, 30, 2, 2, iterations=4)
    refiner = Refiner(make_photo(), scores)
    labels, trace = refiner.trace(params)
    return scores, params, refiner, labels, trace


def test_the_last_iteration_is_the_refined_class_map(traced) -> None:
    _, params, refiner, labels, trace = traced
    np.testing.assert_array_equal(labels, refiner.refine(params))
    np.testing.assert_array_equal(trace.class_map(Stage("iteration", 4)), labels)
    np.testing.assert_array_equal(trace.class_map(RESULT), labels)
    assert trace.iterations == 4


def test_each_iteration_is_what_the_crf_gives_with_that_many(traced) -> None:
    _, params, refiner, _, trace = traced
    for n in (1, 2, 3):
        fewer = CrfParams(**{**params.to_dict(), "iterations": n})
        np.testing.assert_array_equal(trace.class_map(Stage("iteration", n)), refiner.refine(fewer))


def test_the_upsampled_stage_is_the_scores_own_class_map(traced) -> None:
    scores, _, _, _, trace = traced
    np.testing.assert_array_equal(trace.class_map(UPSAMPLED), scores.class_map())


@pytest.mark.parametrize("corners", [True, False])
def test_the_coarse_stage_shows_every_cell_as_the_network_gave_it(corners: bool) -> None:
    scores = make_scores(corners=corners)
    _, trace = Refiner(make_photo(), scores).trace(CrfParams(iterations=0))
    shown = trace.class_map(COARSE)
    cells = scores.logits.argmax(axis=0)
    assert shown.shape == (40, 60)
    for y in range(40):
        for x in range(60):
            row = min(max(scores.rows.scale * y + scores.rows.offset, 0), 4)
            column = min(max(scores.columns.scale * x + scores.columns.offset, 0), 7)
            if abs(row % 1 - 0.5) > 0.01 and abs(column % 1 - 0.5) > 0.01:
                assert shown[y, x] == cells[round(row), round(column)]


def test_probabilities_of_all_classes_sum_to_one_at_every_stage(traced) -> None:
    trace = traced[-1]
    for stage in (COARSE, UPSAMPLED, Stage("iteration", 1), RESULT):
        total = sum(trace.probability(stage, class_id) for class_id in range(CLASSES))
        assert np.abs(total - 1).max() < 5e-3  # classes that are nowhere probable did not take part


def test_a_class_that_took_no_part_is_nowhere_probable() -> None:
    scores = make_scores()
    scores.logits[3] = -50
    _, trace = Refiner(make_photo(), scores).trace(CrfParams(iterations=1))
    assert 3 not in trace.classes
    assert not trace.probability(RESULT, 3).any()


def test_the_photo_has_no_probabilities(traced) -> None:
    with pytest.raises(ValueError, match="photo"):
        traced[-1].class_map(PHOTO)


def test_thumbnails_show_the_same_at_fewer_pixels(traced) -> None:
    trace = traced[-1]
    small = trace.thinned(16)
    assert small.size == (10, 15)
    for stage in (UPSAMPLED, Stage("iteration", 2), RESULT):
        np.testing.assert_array_equal(small.class_map(stage), trace.class_map(stage)[::4, ::4])
    assert small.class_map(COARSE).shape == (10, 15)


def test_a_large_trace_keeps_fewer_pixels_and_the_same_values(monkeypatch, traced) -> None:
    _, params, refiner, _, whole = traced
    monkeypatch.setattr(stages, "TRACE_BYTES", whole.marginals[0].nbytes * 5 // 4)
    _, thin = refiner.trace(params)
    assert thin.size == (20, 30)
    for n, marginals in enumerate(thin.marginals):
        np.testing.assert_array_equal(marginals, whole.marginals[n][:, ::2, ::2])
    assert thin.class_map(COARSE).shape == (20, 30)


def test_decided_pixels_are_certain_from_the_first_iteration_on() -> None:
    evidence = np.full((40, 60), -1, np.int16)
    evidence[10:20, 10:20] = 2
    _, trace = Refiner(make_photo(), make_scores()).trace(CrfParams(iterations=2), evidence)
    assert (trace.class_map(Stage("iteration", 1))[10:20, 10:20] == 2).all()
    assert not trace.entropy(RESULT)[10:20, 10:20].any()


def test_a_large_photo_is_traced_at_the_size_of_its_preview() -> None:
    refiner = Refiner(make_photo(), make_scores(), preview_pixels=600)
    labels, trace = refiner.trace(CrfParams(iterations=2), preview=True)
    assert labels.shape == trace.size == (20, 30)


def test_entropy_in_bits() -> None:
    certain = np.array([1, 0, 0, 0], np.float32).reshape(4, 1, 1)
    even = np.full((4, 1, 1), 0.25, np.float32)
    assert entropy_of(certain).item() == pytest.approx(0, abs=1e-6)
    assert entropy_of(even).item() == pytest.approx(2)


@given(st.integers(0, 2**32 - 1))
def test_changes_are_counted_per_class(seed: int) -> None:
    rng = np.random.default_rng(seed)
    before, after = rng.choice(np.array([0, 3, 7, 254, 255], np.uint8), (2, 9, 11))
    where = rng.random((9, 11)) < 0.7
    changes = compare(before, after, where)
    moved = (before != after) & where
    assert changes.pixels == moved.sum()
    for change in changes.classes:
        assert change.gained == ((after == change.class_id) & moved).sum()
        assert change.lost == ((before == change.class_id) & moved).sum()
    assert sum(change.lost for change in changes.classes) == changes.pixels
    np.testing.assert_array_equal(changes.picture != changes.unchanged, moved)
    np.testing.assert_array_equal(changes.picture[moved], after[moved])


def test_appearance_weights_follow_the_formula() -> None:
    photo, params = make_photo(12, 17), CrfParams(appearance_weight=5, appearance_position_sigma=6)
    params = CrfParams(**{**params.to_dict(), "appearance_colour_sigma": 40.0})
    weights = AppearanceKernel(photo).weights(4, 9, params)
    for y, x in ((4, 9), (0, 0), (11, 16), (4, 10)):
        colour = float(((photo[y, x].astype(float) - photo[4, 9]) ** 2).sum())
        expected = 5 * math.exp(-((y - 4) ** 2 + (x - 9) ** 2) / (2 * 36) - colour / (2 * 1600))
        assert weights[y, x] == pytest.approx(expected, rel=1e-4, abs=1e-7)


def test_weights_on_a_large_photo_are_those_of_the_photo_made_small() -> None:
    photo = np.full((200, 300, 3), 90, np.uint8)
    params = CrfParams(appearance_position_sigma=50)
    small = AppearanceKernel(photo, max_pixels=2400).weights(100, 150, params)
    assert small.shape == (40, 60)
    whole = AppearanceKernel(photo).weights(100, 150, params)
    np.testing.assert_allclose(small, whole.reshape(40, 5, 60, 5).mean(axis=(1, 3)), atol=0.02)
