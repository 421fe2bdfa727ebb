"""Refining one photo again and again: previews, kept lattices, decided pixels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from deeplab_studio.core.cancel import Cancelled, CancelToken
from deeplab_studio.core.labels import LabelSet
from deeplab_studio.crf import DenseCRF
from deeplab_studio.crf.params import CrfParams
from deeplab_studio.engine.refiner import Refiner
from deeplab_studio.engine.scores import AxisMap, Scores

PARAMS = CrfParams(3, 20, 30, 2, 2, iterations=5)


def make_scores(height: int, width: int, peaks: list[float]) -> Scores:
    """Scores in which class 0 holds most of the photo and every other class reaches its peak probability somewhere."""
    logits = np.zeros((len(peaks) + 1, 9, 12), np.float32)
    logits[1:] = -20
    for i, peak in enumerate(peaks, 1):
        logits[i, i % 9, (5 * i) % 12] = np.log(peak / (1 - peak))
    rows, columns = (
        AxisMap.of_network(pixels=pixels, shown=pixels, padded=pixels, cells=cells, align_corners=True)
        for pixels, cells in ((height, 9), (width, 12))
    )
    labels = LabelSet.from_names([f"class {i}" for i in range(len(peaks) + 1)])
    return Scores(logits, rows, columns, (height, width), labels, "test")


def make_photo(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[DenseCRF]:
    """Every CRF made in the test."""
    crfs: list[DenseCRF] = []
    real = DenseCRF.__init__

    def init(self: DenseCRF, *args: object, **kwargs: object) -> None:
        real(self, *args, **kwargs)
        crfs.append(self)

    monkeypatch.setattr(DenseCRF, "__init__", init)
    return crfs


def test_a_small_photo_with_few_classes_is_followed_exactly() -> None:
    refiner = Refiner(make_photo(60, 80), make_scores(60, 80, [0.9, 0.8]))
    assert not refiner.has_preview
    np.testing.assert_array_equal(refiner.refine(PARAMS, preview=True), refiner.refine(PARAMS))


def test_a_large_photo_is_followed_at_a_reduced_size_that_looks_alike() -> None:
    scores = make_scores(240, 320, [0.999, 0.998])
    photo = np.repeat(np.repeat(make_photo(24, 32), 10, axis=0), 10, axis=1)
    refiner = Refiner(photo, scores, preview_pixels=120 * 160)
    assert refiner.large
    preview = refiner.refine(PARAMS, preview=True)
    assert preview.shape == (120, 160)
    exact = refiner.refine(PARAMS)
    assert exact.shape == (240, 320)
    assert (preview == exact[::2, ::2]).mean() > 0.97


def test_too_many_classes_are_followed_without_the_improbable_ones() -> None:
    peaks = [0.9, 0.8, 0.7, 0.03, 0.02, 0.02]
    refiner = Refiner(make_photo(60, 80), make_scores(60, 80, peaks), preview_work=60 * 80 * 4)
    assert refiner.has_preview
    assert not refiner.large
    _, preview = refiner.trace(PARAMS, preview=True)
    _, exact = refiner.trace(PARAMS)
    assert preview.classes == (0, 1, 2, 3)
    assert exact.classes == tuple(range(7))


def test_classes_that_are_probable_somewhere_are_never_left_out() -> None:
    refiner = Refiner(make_photo(60, 80), make_scores(60, 80, [0.9] * 5), preview_work=60 * 80 * 2)
    _, preview = refiner.trace(PARAMS, preview=True)
    assert preview.classes == tuple(range(6))


def test_preview_and_result_share_what_does_not_depend_on_the_classes(made: list[DenseCRF]) -> None:
    refiner = Refiner(make_photo(60, 80), make_scores(60, 80, [0.9, 0.02, 0.03]), preview_work=1)
    for weight in (2, 3, 4):
        refiner.refine(replace(PARAMS, appearance_weight=weight), preview=True)
    refiner.refine(PARAMS)
    evidence = np.full((60, 80), -1, np.int16)
    evidence[:5] = 3
    refiner.refine(PARAMS, evidence)
    assert len(made) == 1


def test_decided_pixels_keep_their_class_also_one_the_model_did_not_think_of() -> None:
    evidence = np.full((60, 80), -1, np.int16)
    evidence[10:20, 30:50] = 2
    for preview in (False, True):
        refiner = Refiner(make_photo(60, 80), make_scores(60, 80, [0.9, 1e-6]), preview_pixels=1200)
        labels = refiner.refine(PARAMS, evidence, preview=preview)
        step = 60 // labels.shape[0]
        assert (labels[10 // step : 20 // step, 30 // step : 50 // step] == 2).all()


def test_a_run_is_cancelled() -> None:
    refiner = Refiner(make_photo(60, 80), make_scores(60, 80, [0.9]))
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        refiner.refine(PARAMS, cancel=token)


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (40, 1)])
def test_odd_sizes(size: tuple[int, int]) -> None:
    refiner = Refiner(make_photo(*size), make_scores(*size, [0.9]), preview_pixels=20)
    assert refiner.refine(PARAMS).shape == size
    assert refiner.refine(PARAMS, preview=True).size < max(size) or max(size) == 1


def test_slow_previews_become_smaller_and_fast_ones_larger_again() -> None:
    refiner = Refiner(make_photo(60, 80), make_scores(60, 80, [0.9]))
    refiner.refine(PARAMS, preview=True)
    refiner._keep_pace(70)
    assert refiner.level == 1
    assert refiner.has_preview
    assert refiner.refine(PARAMS, preview=True).shape == (42, 57)
    refiner._keep_pace(1000)
    assert refiner.level == 4
    refiner._keep_pace(30)
    assert refiner.level == 4
    for _ in range(6):
        refiner._keep_pace(9)
    assert refiner.level == 0
    np.testing.assert_array_equal(refiner.refine(PARAMS, preview=True), refiner.refine(PARAMS))


def test_the_next_photo_begins_at_the_pace_of_the_last() -> None:
    refiner = Refiner(make_photo(60, 80), make_scores(60, 80, [0.9]), level=2)
    assert refiner.refine(PARAMS, preview=True).shape == (30, 40)
    assert refiner.refine(PARAMS).shape == (60, 80)


def test_a_machine_that_is_too_slow_is_known_from_the_first_exact_result() -> None:
    refiner = Refiner(make_photo(60, 80), make_scores(60, 80, [0.9]))
    refiner._expect_pace(200, 2 * 60 * 80)
    assert refiner.level == 0
    refiner._expect_pace(960, 2 * 60 * 80)
    assert refiner.level == 3
