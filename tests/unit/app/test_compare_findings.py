"""What a comparison works out of class maps, and how it is drawn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix

from deeplab_studio.app.compare import overlays
from deeplab_studio.app.compare.findings import Findings, Voice, compare
from deeplab_studio.core.boundaries import boundary_f_score
from deeplab_studio.core.cancel import Cancelled, CancelToken
from deeplab_studio.core.labels import VOID, LabelSet

LABELS = LabelSet.from_names(["background", "cat", "dog", "cow"])
ALL = frozenset(range(len(LABELS)))


def maps(*values: list[list[int]]) -> list[np.ndarray]:
    return [np.array(each, np.uint8) for each in values]


def compared(*voices: np.ndarray, truth: np.ndarray | None = None, labels: LabelSet = LABELS) -> Findings:
    known = frozenset(range(len(labels)))
    return compare([Voice(pane, each, known) for pane, each in enumerate(voices)], labels, truth)


def test_pairs_agree_as_far_as_their_pixels_do():
    a, b, c = maps([[0, 1, 1, 2]], [[0, 1, 2, 2]], [[0, 0, 0, 0]])
    findings = compared(a, b, c)
    assert [(pair.first, pair.second) for pair in findings.pairs] == [(0, 1), (0, 2), (1, 2)]
    assert [pair.agreement for pair in findings.pairs] == [0.75, 0.25, 0.25]
    assert findings.pairs[0].iou[1] == 0.5
    assert np.isnan(findings.pairs[0].iou[3])
    assert findings.present == (0, 1, 2)
    assert findings.differing.tolist() == [[1, 2, 3, 2]]
    assert findings.disagreement == 0.75


def test_void_is_no_answer_and_so_no_difference():
    a, b = maps([[0, 1, 1, VOID]], [[0, VOID, 2, VOID]])
    findings = compared(a, b)
    assert findings.differing.tolist() == [[1, 1, 2, 1]]
    assert findings.pairs[0].agreement == 0.5  # of the two pixels where both say something


def test_what_only_some_know_counts_as_background_and_is_named():
    a, b = maps([[0, 1, 2, 3]], [[0, 1, 0, 3]])
    findings = compare([Voice(0, a, ALL), Voice(1, b, ALL - {2})], LABELS)
    assert findings.shared == (0, 1, 3)
    assert findings.left_out == ("dog",)
    assert findings.voices[0].labels.tolist() == [[0, 1, 0, 3]]
    assert not findings.differences


def test_without_a_background_it_counts_as_no_answer():
    labels = LabelSet.from_names(["cat", "dog", "cow"])
    a, b = maps([[0, 1, 2]], [[0, 0, 0]])
    findings = compare([Voice(0, a, frozenset({0, 1, 2})), Voice(1, b, frozenset({0, 2}))], labels)
    assert findings.background is None
    assert findings.voices[0].labels.tolist() == [[0, VOID, 2]]
    assert findings.differing.tolist() == [[1, 1, 2]]


def test_differences_come_by_size_with_what_each_says_there():
    a, b = np.zeros((40, 40), np.uint8), np.zeros((40, 40), np.uint8)
    a[2:6, 2:6] = 1
    b[20:30, 20:30] = 2
    a[20:22, 20:30] = 3
    findings = compared(a, b)
    assert [(each.region.pixels, each.answers) for each in findings.differences] == [(100, (0, 2)), (16, (1, 0))]
    assert findings.mask_of(findings.differences[1]).sum() == 16


def test_scores_are_those_of_scikit_learn_without_void():
    rng = np.random.default_rng(3)
    truth = rng.choice(np.array([0, 1, 2, VOID], np.uint8), (30, 40))
    said = rng.integers(0, 4, (30, 40), np.uint8)
    score = compared(said, truth=truth).scores[0]
    scored = truth != VOID
    expected = confusion_matrix(truth[scored], said[scored], labels=range(5))
    np.testing.assert_array_equal(score.matrix.counts, expected)
    assert set(score.boundary) == {0, 1, 2}
    assert score.boundary[1] == pytest.approx(boundary_f_score(truth, said, 1, 1.0))


def test_a_comparison_can_be_cancelled():
    token = CancelToken()
    token.cancel()
    a, b = maps([[0]], [[1]])
    with pytest.raises(Cancelled):
        compare([Voice(0, a, ALL), Voice(1, b, ALL)], LABELS, cancel=token)


def colour_at(overlay: overlays.Overlay, x: int) -> tuple[int, ...]:
    assert overlay.colours is not None
    return tuple(overlay.colours[overlay.values[0, x]].tolist())


def test_differences_of_two_panes_say_who_sees_something():
    findings = compared(*maps([[0, 1, 0, 2, 1]], [[0, 0, 1, 1, 1]]))
    overlay, key = overlays.differences(findings, None)
    expected = [None, overlays.FIRST, overlays.SECOND, overlays.APART, None]
    for x, colour in enumerate(expected):
        shown = colour_at(overlay, x)
        assert shown[3] == 0 if colour is None else shown[:3] == colour
    assert [entry.colour for entry in key] == [overlays.FIRST, overlays.SECOND, overlays.APART]
    overlay, key = overlays.differences(findings, 1)
    assert [colour_at(overlay, x)[:3] for x in (1, 2, 4)] == [overlays.FIRST, overlays.SECOND, overlays.TOGETHER]
    assert key[1].text.format(*key[1].arguments) == "only A"


def test_differences_of_more_panes_are_counted():
    findings = compared(*maps([[0, 1, 1]], [[0, 1, 2]], [[0, 2, 3]]))
    overlay, key = overlays.differences(findings, None)
    assert colour_at(overlay, 0)[3] == 0
    assert [colour_at(overlay, x)[:3] for x in (1, 2)] == list(overlays.ANSWERS[:2])
    assert len(key) == 2
    overlay, key = overlays.differences(findings, 1)
    assert colour_at(overlay, 1)[:3] == overlays.ANSWERS[1]  # two of three
    assert [entry.text.format(*entry.arguments) for entry in key] == ["1 of 3 panes", "2 of 3 panes", "all"]


def test_errors_are_missed_false_or_confused_and_void_is_none():
    truth, said = maps([[1, 0, 1, 1, VOID]], [[0, 1, 2, 1, 2]])
    overlay = overlays.errors(compared(said, truth=truth), 0)
    assert [colour_at(overlay, x)[:3] for x in range(3)] == [overlays.FIRST, overlays.SECOND, overlays.APART]
    assert [colour_at(overlay, x)[3] for x in (3, 4)] == [0, 0]


def test_classes_are_shown_where_panes_differ_and_veiled_elsewhere():
    findings = compared(*maps([[0, 1]], [[0, 2]]))
    overlay = overlays.differing_classes(findings, 1, LABELS.palette())
    assert colour_at(overlay, 1)[:3] == LABELS[2].colour
    assert colour_at(overlay, 0)[0] == colour_at(overlay, 0)[1]  # gray
