"""Confusion matrix, IoU and pixel accuracy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from deeplab_studio.core.metrics import ConfusionMatrix


def _matrix(truth: list[list[int]], prediction: list[list[int]], classes: int) -> ConfusionMatrix:
    matrix = ConfusionMatrix(classes)
    matrix.add(np.array(truth, np.uint8), np.array(prediction, np.uint8))
    return matrix


def test_hand_made_case() -> None:
    # class 0: TP 2, FP 1, FN 1; class 1: TP 1, FP 1, FN 1; class 2 is in neither.
    matrix = _matrix([[0, 0, 0], [1, 1, 255]], [[0, 0, 1], [1, 0, 2]], 3)
    np.testing.assert_array_equal(matrix.counts, [[2, 1, 0], [1, 1, 0], [0, 0, 0]])
    np.testing.assert_allclose(matrix.iou(), [2 / 4, 1 / 3, np.nan])
    assert matrix.miou() == pytest.approx((2 / 4 + 1 / 3) / 2)
    assert matrix.pixel_accuracy() == pytest.approx(3 / 5)


def test_a_class_only_predicted_has_no_iou_but_costs_the_others() -> None:
    matrix = _matrix([[0, 0]], [[0, 1]], 2)
    np.testing.assert_allclose(matrix.iou(), [0.5, np.nan])
    assert matrix.miou() == 0.5


def test_a_missed_class_counts_as_zero() -> None:
    assert _matrix([[0, 1]], [[0, 0]], 2).miou() == pytest.approx((0.5 + 0.0) / 2)


def test_void_in_the_truth_is_left_out_whatever_was_predicted() -> None:
    matrix = _matrix([[255, 255, 1]], [[255, 200, 1]], 2)
    assert matrix.pixels == 1
    assert matrix.pixel_accuracy() == 1.0


def test_nothing_counted_is_nan() -> None:
    matrix = ConfusionMatrix(4)
    assert np.isnan(matrix.miou())
    assert np.isnan(matrix.pixel_accuracy())


@pytest.mark.parametrize(
    ("truth", "prediction", "words"),
    [
        ([[0]], [[255]], "prediction holds class id 255"),
        ([[0]], [[2]], "prediction holds class id 2"),
        ([[7]], [[0]], "truth holds class id 7"),
        ([[0, 0]], [[0]], "truth is"),
    ],
)
def test_what_cannot_be_scored_is_refused_and_not_counted(
    truth: list[list[int]], prediction: list[list[int]], words: str
) -> None:
    matrix = ConfusionMatrix(2)
    with pytest.raises(ValueError, match=words):
        matrix.add(np.array(truth, np.uint8), np.array(prediction, np.uint8))
    assert matrix.pixels == 0


def test_other_dtypes_are_refused() -> None:
    with pytest.raises(ValueError, match="uint8"):
        ConfusionMatrix(2).add(np.zeros((2, 2), np.int64), np.zeros((2, 2), np.uint8))  # type: ignore[arg-type]


@pytest.mark.parametrize("classes", [0, 256])
def test_number_of_classes_is_checked(classes: int) -> None:
    with pytest.raises(ValueError, match="1 to 255"):
        ConfusionMatrix(classes)


def test_merging_equals_counting_together() -> None:
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 5, (2, 40, 30), dtype=np.uint8) for _ in range(4)]
    together, left, right = ConfusionMatrix(5), ConfusionMatrix(5), ConfusionMatrix(5)
    for number, (truth, prediction) in enumerate(images):
        together.add(truth, prediction)
        (left if number % 2 else right).add(truth, prediction)
    left.merge(right)
    np.testing.assert_array_equal(left.counts, together.counts)
    with pytest.raises(ValueError, match="classes"):
        left.merge(ConfusionMatrix(4))


def test_images_larger_than_one_strip_are_counted_whole() -> None:
    truth = np.full((1500, 1500), 3, np.uint8)
    truth[700:] = 254
    matrix = ConfusionMatrix(255)
    matrix.add(truth[:, ::-1], truth)
    assert matrix.counts[3, 3] == 700 * 1500
    assert matrix.pixels == truth.size


@pytest.mark.filterwarnings("ignore:A single label was found")
@given(
    st.integers(1, 12).flatmap(
        lambda c: st.tuples(
            st.just(c),
            hnp.arrays(np.uint8, (7, 9), elements=st.one_of(st.integers(0, c - 1), st.just(255))),
            hnp.arrays(np.uint8, (7, 9), elements=st.integers(0, c - 1)),
        )
    )
)
def test_agrees_with_scikit_learn(case: tuple[int, np.ndarray, np.ndarray]) -> None:
    sklearn = pytest.importorskip("sklearn.metrics", reason="scikit-learn is only compared with")
    classes, truth, prediction = case
    matrix = ConfusionMatrix(classes)
    matrix.add(truth, prediction)
    scored = truth != 255
    if not scored.any():
        assert matrix.pixels == 0
        return
    ids = np.arange(classes)
    expected = sklearn.confusion_matrix(truth[scored], prediction[scored], labels=ids)
    np.testing.assert_array_equal(matrix.counts, expected)
    occurs = [c for c in ids if (truth == c).any()]
    iou = sklearn.jaccard_score(truth[scored], prediction[scored], labels=occurs, average=None, zero_division=0)
    np.testing.assert_allclose(matrix.iou()[occurs], iou)
    assert matrix.miou() == pytest.approx(iou.mean())
    assert matrix.pixel_accuracy() == pytest.approx(sklearn.accuracy_score(truth[scored], prediction[scored]))
