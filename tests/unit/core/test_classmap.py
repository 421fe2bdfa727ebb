from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deeplab_studio.core.classmap import ClassMap, PaintRules
from deeplab_studio.core.geometry import Rect
from deeplab_studio.core.history import History

HEIGHT, WIDTH = 300, 520  # more than one tile each way, no multiple of the tile


def square(size: int) -> np.ndarray:
    return np.ones((size, size), bool)


def test_a_stroke_of_several_dabs_is_one_edit_and_goes_back_and_forth() -> None:
    class_map = ClassMap.empty(HEIGHT, WIDTH)
    stroke = class_map.begin("Brush stroke")
    assert stroke.paint(250, 250, square(10), 3) == Rect(250, 250, 260, 260)
    stroke.paint(252, 255, square(10), 3)
    edit = stroke.commit()
    assert edit is not None
    painted = class_map.labels.copy()
    assert edit.changed_pixels == np.count_nonzero(painted == 3) == 160
    assert class_map.pinned.sum() == 160
    assert class_map.undo(edit) == Rect(250, 250, 262, 265)
    assert not class_map.labels.any()
    assert not class_map.pinned.any()
    class_map.redo(edit)
    assert np.array_equal(class_map.labels, painted)
    assert class_map.pinned.sum() == 160


def test_the_labels_buffer_never_moves() -> None:
    class_map = ClassMap.empty(40, 40)
    address = class_map.labels.ctypes.data
    stroke = class_map.begin("a")
    stroke.paint(0, 0, square(5), 1)
    edit = stroke.commit()
    class_map.replace(np.full((40, 40), 2, np.uint8), "b")
    assert edit is not None
    class_map.undo(edit)
    assert class_map.labels.ctypes.data == address


def test_masks_that_reach_over_the_edge_are_cut() -> None:
    class_map = ClassMap.empty(20, 20)
    stroke = class_map.begin("a")
    assert stroke.paint(-5, 16, square(10), 1) == Rect(0, 16, 5, 20)
    assert stroke.paint(30, 0, square(10), 1) is None
    stroke.commit()
    assert class_map.labels.sum() == 5 * 4


def test_a_prediction_never_changes_pinned_pixels() -> None:
    class_map = ClassMap.empty(HEIGHT, WIDTH)
    stroke = class_map.begin("a")
    stroke.paint(10, 10, square(20), 7)
    stroke.commit()
    edit = class_map.replace(np.full((HEIGHT, WIDTH), 4, np.uint8), "Prediction")
    assert edit is not None
    assert (class_map.labels[10:30, 10:30] == 7).all()
    assert np.count_nonzero(class_map.labels == 4) == HEIGHT * WIDTH - 400
    class_map.undo(edit)
    assert np.count_nonzero(class_map.labels == 7) == 400
    assert np.count_nonzero(class_map.labels) == 400


def test_painting_the_class_that_is_there_pins_it() -> None:
    class_map = ClassMap.empty(10, 10)
    stroke = class_map.begin("a")
    stroke.paint(0, 0, square(4), 0)
    edit = stroke.commit()
    assert edit is not None
    assert edit.changed_pixels == 0
    assert class_map.pinned.sum() == 16
    class_map.undo(edit)
    assert not class_map.pinned.any()


def test_rules_protect_classes_and_restrict_to_classes() -> None:
    labels = np.zeros((4, 9), np.uint8)
    labels[:, 3:6] = 1
    labels[:, 6:] = 2
    class_map = ClassMap(labels)
    stroke = class_map.begin("a", PaintRules(protect=frozenset({1})))
    stroke.paint(0, 0, np.ones((4, 9), bool), 5)
    stroke.commit()
    assert class_map.labels[0].tolist() == [5, 5, 5, 1, 1, 1, 5, 5, 5]
    assert not class_map.pinned[:, 3:6].any()
    stroke = class_map.begin("b", PaintRules(only_over=frozenset({1})))
    stroke.paint(0, 0, np.ones((4, 9), bool), 8)
    stroke.commit()
    assert class_map.labels[0].tolist() == [5, 5, 5, 8, 8, 8, 5, 5, 5]
    stroke = class_map.begin("c", PaintRules(only_over=frozenset({77})))
    assert stroke.paint(0, 0, np.ones((4, 9), bool), 1) is None
    assert stroke.commit() is None


def test_an_aborted_stroke_leaves_nothing() -> None:
    class_map = ClassMap.empty(HEIGHT, WIDTH)
    stroke = class_map.begin("a")
    stroke.paint(200, 200, square(100), 9)
    assert stroke.abort() == Rect(0, 0, 300, 512)
    assert not class_map.labels.any()
    assert not class_map.pinned.any()
    assert not class_map.stroke_open
    with pytest.raises(RuntimeError, match="over"):
        stroke.paint(0, 0, square(1), 1)


def test_a_stroke_puts_several_classes_at_once_where_the_rules_allow_it() -> None:
    labels = np.zeros((6, 9), np.uint8)
    labels[:, 6:] = 2
    class_map = ClassMap(labels)
    stroke = class_map.begin("a", PaintRules(protect=frozenset({2})))
    given = np.tile(np.arange(10, 20, dtype=np.uint8), (4, 1))
    mask = np.ones((4, 10), bool)
    mask[:, 3] = False
    assert stroke.put(-1, -1, given, mask) == Rect(0, 0, 3, 9)
    edit = stroke.commit()
    assert class_map.labels[0].tolist() == [11, 12, 0, 14, 15, 16, 2, 2, 2]
    assert class_map.pinned[0].tolist() == [True, True, False, True, True, True, False, False, False]
    assert not class_map.labels[3:, :6].any()
    assert edit is not None
    class_map.undo(edit)
    assert np.array_equal(class_map.labels, labels)
    assert not class_map.pinned.any()


def test_what_is_put_may_leave_the_pins_alone() -> None:
    class_map = ClassMap.empty(5, 5)
    stroke = class_map.begin("a")
    stroke.put(0, 0, np.full((5, 5), 3, np.uint8), np.eye(5, dtype=bool), pin=False)
    stroke.commit()
    assert np.array_equal(class_map.labels, 3 * np.eye(5))
    assert not class_map.pinned.any()


def test_labels_and_mask_of_different_shapes_are_refused() -> None:
    stroke = ClassMap.empty(9, 9).begin("a")
    with pytest.raises(ValueError, match="the mask is"):
        stroke.put(0, 0, np.zeros((3, 3), np.uint8), square(4))
    with pytest.raises(ValueError, match="int64"):
        stroke.put(0, 0, np.zeros((3, 3), np.int64), square(3))


def test_a_stroke_shows_one_result_and_then_another() -> None:
    class_map = ClassMap(np.full((HEIGHT, WIDTH), 4, np.uint8))
    stroke = class_map.begin("a")
    assert stroke.restore() is None
    stroke.paint(10, 10, square(300), 1)
    assert stroke.restore(Rect(20, 20, 30, 40)) == Rect(20, 20, 30, 40)
    assert (class_map.labels[20:30, 20:40] == 4).all()
    assert not class_map.pinned[20:30, 20:40].any()
    assert np.count_nonzero(class_map.labels == 1) == 290 * 300 - 200
    assert stroke.restore() == Rect(0, 0, HEIGHT, 512)
    assert (class_map.labels == 4).all()
    stroke.paint(0, 0, square(3), 2)
    edit = stroke.commit()
    assert edit is not None
    assert edit.bbox == Rect(0, 0, 3, 3)
    assert edit.changed_pixels == 9
    with pytest.raises(RuntimeError, match="over"):
        stroke.restore()


def test_nothing_else_changes_the_map_while_a_stroke_is_open() -> None:
    class_map = ClassMap.empty(10, 10)
    class_map.begin("Brush stroke")
    with pytest.raises(RuntimeError, match="Brush stroke"):
        class_map.begin("b")
    with pytest.raises(RuntimeError, match="Brush stroke"):
        class_map.replace(np.ones((10, 10), np.uint8), "c")


def test_pins_come_off_and_go_back() -> None:
    class_map = ClassMap(np.ones((HEIGHT, WIDTH), np.uint8), np.ones((HEIGHT, WIDTH), bool))
    where = np.zeros((HEIGHT, WIDTH), bool)
    where[:5] = True
    edit = class_map.set_pins(False, "Unpin", where)
    assert edit is not None
    assert class_map.pinned.sum() == (HEIGHT - 5) * WIDTH
    assert class_map.set_pins(False, "Unpin", where) is None
    class_map.undo(edit)
    assert class_map.pinned.all()
    assert (class_map.labels == 1).all()


def test_a_result_with_details_is_an_edit_even_without_changed_pixels() -> None:
    class_map = ClassMap.empty(10, 10)
    assert class_map.replace(np.zeros((10, 10), np.uint8), "CRF") is None
    edit = class_map.replace(np.zeros((10, 10), np.uint8), "CRF", {"crf": 1})
    assert edit is not None
    assert edit.details["crf"] == 1
    assert class_map.undo(edit).is_empty


@pytest.mark.parametrize("labels", [np.zeros((0, 4), np.uint8), np.zeros((4, 4), np.int64), np.zeros(4, np.uint8)])
def test_only_class_maps_are_taken(labels: np.ndarray) -> None:
    with pytest.raises(ValueError, match="uint8"):
        ClassMap(labels)


@given(st.integers(0, 2**32 - 1), st.booleans())
def test_any_edits_undone_give_the_first_map_back_bit_for_bit(seed: int, compact: bool) -> None:
    rng = np.random.default_rng(seed)
    class_map = ClassMap(rng.integers(0, 5, (HEIGHT, WIDTH), np.uint8), rng.random((HEIGHT, WIDTH)) < 0.01)
    history = History(class_map)
    states = [(class_map.labels.copy(), class_map.pinned.copy())]
    for _ in range(6):
        kind = rng.integers(4)
        if kind == 0:
            edit = class_map.replace(rng.integers(0, 5, (HEIGHT, WIDTH), np.uint8), "Prediction")
        elif kind == 1:
            edit = class_map.set_pins(bool(rng.integers(2)), "Pins", rng.random((HEIGHT, WIDTH)) < 0.5)
        else:
            stroke = class_map.begin("Brush", PaintRules(protect=frozenset({int(rng.integers(5))})))
            for _ in range(3):
                mask = rng.random(tuple(rng.integers(1, 80, 2))) < 0.7
                stroke.paint(
                    int(rng.integers(-50, HEIGHT)), int(rng.integers(-50, WIDTH)), mask, int(rng.integers(256))
                )
            edit = stroke.commit()
        if edit is not None:
            history.push(edit)
            states.append((class_map.labels.copy(), class_map.pinned.copy()))
    if compact:
        history.compact()
    for labels, pins in reversed(states[:-1]):
        assert history.undo() is not None
        assert np.array_equal(class_map.labels, labels)
        assert np.array_equal(class_map.pinned, pins)
    assert history.undo() is None
    for labels, pins in states[1:]:
        assert history.redo() is not None
        assert np.array_equal(class_map.labels, labels)
        assert np.array_equal(class_map.pinned, pins)
