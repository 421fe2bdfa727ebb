"""Strokes that grow along the edges of a photo."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from deeplab_studio.core import flood as flood_module
from deeplab_studio.core.cancel import Cancelled, CancelToken
from deeplab_studio.core.drawing import Patch, Stamp, sweep
from deeplab_studio.core.flood import Grown, Marks, around, flood, flood_in_bands, grow, without_borders
from deeplab_studio.core.geometry import Rect


def two_shapes(height: int = 120, width: int = 160) -> tuple[np.ndarray, np.ndarray]:
    """A photo with noise, and where its disc (1) and its square (2) are."""
    truth = np.zeros((height, width), np.uint8)
    cv2.circle(truth, (width // 3, height // 2), height // 4, 1, -1)
    cv2.rectangle(truth, (width * 3 // 5, height // 3), (width * 4 // 5, height * 2 // 3), 2, -1)
    colours = np.array([(80, 120, 90), (200, 70, 60), (60, 80, 210)], np.float32)
    photo = colours[truth] + np.random.default_rng(1).normal(0, 6, (height, width, 3))
    return photo.clip(0, 255).astype(np.uint8), truth


def marks_on(shape: tuple[int, int], *strokes: tuple[int, float, float, float, float]) -> Marks:
    marks = Marks(*shape)
    for value, x0, y0, x1, y1 in strokes:
        marks.begin(value)
        marks.extend(sweep(Stamp(x0, y0, 3), Stamp(x1, y1, 3), "round", shape))
    return marks


def in_full(grown: Grown, shape: tuple[int, int], stays: int = 99) -> np.ndarray:
    labels = np.full(shape, stays, np.uint8)
    box = labels[grown.top : grown.top + grown.mask.shape[0], grown.left : grown.left + grown.mask.shape[1]]
    box[grown.mask] = grown.labels[grown.mask]
    return labels


def share_right(labels: np.ndarray, truth: np.ndarray, class_id: int, shown: int) -> float:
    """Intersection over union of one class."""
    here, there = labels == shown, truth == class_id
    return float((here & there).sum() / (here | there).sum())


@pytest.mark.parametrize("work_pixels", [10**9, 3000])
def test_a_stroke_grows_to_the_edges_of_its_shape(work_pixels: int) -> None:
    photo, truth = two_shapes()
    marks = marks_on(truth.shape, (7, 36, 60, 70, 60))
    grown = grow(photo, marks, reach=1.0, work_pixels=work_pixels)
    assert grown is not None
    labels = in_full(grown, truth.shape)
    assert set(np.unique(labels)) == {7, 99}
    assert share_right(labels, truth, 1, 7) > 0.93


def test_several_classes_grow_at_once_and_meet() -> None:
    photo, truth = two_shapes()
    marks = marks_on(truth.shape, (1, 36, 60, 70, 60), (2, 105, 55, 120, 65), (0, 5, 5, 150, 5), (0, 90, 30, 90, 80))
    labels = in_full(grow(photo, marks), truth.shape)
    assert (labels == 0).sum() > 0.4 * truth.size
    assert share_right(labels, truth, 1, 1) > 0.93
    assert share_right(labels, truth, 2, 2) > 0.93


def test_a_rough_picture_of_a_large_frame_comes_at_its_size() -> None:
    photo, truth = two_shapes(480, 640)
    marks = marks_on(truth.shape, (5, 190, 240, 240, 240))
    rough = grow(photo, marks, reach=3.0, exact=False, work_pixels=20_000)
    exact = grow(photo, marks, reach=3.0, work_pixels=20_000)
    assert rough.mask.shape == exact.mask.shape
    good, better = (share_right(in_full(each, truth.shape), truth, 1, 5) for each in (rough, exact))
    assert 0.85 < good <= better


def test_what_is_marked_to_stay_and_what_is_fixed_hold_against_strokes() -> None:
    photo, truth = two_shapes()
    free = marks_on(truth.shape, (7, 36, 60, 70, 60))
    stays = marks_on(truth.shape, (7, 36, 60, 70, 60), (Marks.STAYS, 50, 75, 60, 75))
    labels = in_full(grow(photo, stays, reach=1.0), truth.shape)
    assert (labels[74:77, 50:60] == 99).all()
    assert (labels == 7).sum() < (in_full(grow(photo, free, reach=1.0), truth.shape) == 7).sum()
    fixed = np.zeros(truth.shape, bool)
    fixed[70:80, 45:60] = fixed[59:62, 50] = True
    labels = in_full(grow(photo, free, fixed, reach=1.0), truth.shape)
    assert (labels[70:80, 45:60] == 99).all()
    assert (labels[59:62, 50] == 7).all()  # a stroke is a stroke


def test_one_class_alone_does_not_take_the_whole_photo() -> None:
    photo, truth = two_shapes()
    labels = in_full(grow(photo, marks_on(truth.shape, (3, 36, 60, 70, 60)), reach=50), truth.shape)
    assert (labels == 99).sum() > (truth != 1).sum() * 0.9


def test_strokes_far_from_the_sides_of_the_photo_do_not_take_all_of_it() -> None:
    photo, truth = two_shapes()
    marks = marks_on(truth.shape, (1, 36, 60, 70, 60), (2, 105, 55, 120, 65))
    labels = in_full(grow(photo, marks), truth.shape)
    assert (labels[truth == 0] == 99).mean() > 0.9


def test_a_shape_that_leaves_the_photo_is_not_held_back_there() -> None:
    photo, truth = two_shapes()
    photo, truth = photo[:, 45:], truth[:, 45:]
    marks = marks_on(truth.shape, (7, 2, 60, 26, 60))
    labels = in_full(grow(photo, marks, reach=2.0), truth.shape)
    assert (labels[46:75, 0] == 7).all()
    assert share_right(labels, truth, 1, 7) > 0.9


def test_the_last_stroke_can_be_taken_away_and_what_it_covered_comes_back() -> None:
    marks = marks_on((50, 60), (3, 5, 5, 30, 30))
    before = marks.labels.copy(), marks.drawn.copy()
    marks.begin(Marks.STAYS)
    marks.extend(sweep(Stamp(20, 20, 5), Stamp(40, 40, 5), "round", (50, 60)))
    copied = marks.copy(Rect(0, 0, 50, 60))
    assert not marks.drawn[20, 20]
    assert marks.staying[20, 20]
    assert marks.drop_last() is not None
    np.testing.assert_array_equal(marks.drawn, before[1])
    np.testing.assert_array_equal(marks.labels, before[0])
    assert not marks.staying.any()
    assert copied.staying[20, 20]
    assert (marks.classes, len(marks), len(copied)) == ({3}, 1, 2)
    assert marks.drop_last() is not None
    assert marks.drop_last() is None
    assert marks.box is None
    assert grow(np.zeros((50, 60, 3), np.uint8), marks) is None


def test_later_strokes_cover_earlier_ones() -> None:
    marks = Marks(10, 10)
    marks.begin(3)
    marks.extend(Patch(2, 2, np.ones((4, 4), bool)))
    marks.begin(Marks.STAYS)
    marks.extend(Patch(4, 4, np.ones((6, 6), bool)))
    codes = np.zeros(256, np.uint8)
    codes[3] = 30
    coded = marks.coded(Rect(0, 0, 10, 10), codes, 1)
    assert (coded[2:4, 2:6] == 30).all()
    assert (coded[4:, 4:] == 1).all()
    assert coded[5, 3] == 30
    assert coded[:2].sum() == 0


def test_the_frame_stays_inside_the_photo() -> None:
    assert around(Rect(10, 20, 30, 120), (200, 130), 0.5) == Rect(0, 0, 80, 130)
    assert around(Rect(100, 100, 101, 101), (500, 500), 0.5) == Rect(76, 76, 125, 125)


@given(
    hnp.arrays(np.uint8, st.tuples(st.integers(1, 7), st.integers(1, 7)), elements=st.sampled_from([0, 0, 0, 1, 2, 9])),
    st.integers(0, 99),
)
def test_every_pixel_gets_a_marker_that_reaches_it(markers, seed) -> None:
    photo = np.random.default_rng(seed).integers(0, 256, (*markers.shape, 3), np.uint8)
    flooded = flood(photo, markers)
    np.testing.assert_array_equal(flooded[markers > 0], markers[markers > 0])
    if not markers.any():
        assert not flooded.any()
        return
    assert flooded.all()
    for value in np.unique(markers[markers > 0]):
        _, pieces = cv2.connectedComponents((flooded == value).astype(np.uint8), connectivity=8)
        assert set(np.unique(pieces[flooded == value])) <= set(np.unique(pieces[markers == value]))


def test_borders_between_markers_become_open_again() -> None:
    markers = np.repeat(np.array([[1, 1, 1, 2, 2, 2]], np.uint8), 3, axis=0)
    np.testing.assert_array_equal(without_borders(markers)[1], [1, 1, 0, 0, 2, 2])


def test_growing_stops_when_asked_to() -> None:
    photo, truth = two_shapes()
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        grow(photo, marks_on(truth.shape, (7, 36, 60, 70, 60)), cancel=token)


def test_bands_leave_no_seams(monkeypatch: pytest.MonkeyPatch) -> None:
    photo, truth = two_shapes(300, 160)
    markers = without_borders((truth + 1).astype(np.uint8))
    whole = flood(photo, markers)
    monkeypatch.setattr(flood_module, "_BAND_PIXELS", 160 * 40)
    np.testing.assert_array_equal(flood_in_bands(photo, markers, 8), whole)
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        flood_in_bands(photo, markers, 8, cancel=token)
