from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from deeplab_studio.core.classmap import ClassMap, Edit, next_serial
from deeplab_studio.core.history import History, HistoryShelf


def painted(class_map: ClassMap, value: int) -> History:
    history = History(class_map)
    for i in range(value):
        history.push(class_map.replace(np.full(class_map.shape, i + 1, np.uint8), f"step {i + 1}"))
    return history


def test_a_new_edit_forgets_what_was_undone() -> None:
    class_map = ClassMap.empty(20, 20)
    history = painted(class_map, 3)
    history.undo()
    history.undo()
    assert (history.undo_name, history.redo_name) == ("step 1", "step 2")
    history.push(class_map.replace(np.full((20, 20), 9, np.uint8), "other"))
    assert history.redo_name is None
    assert history.names == ["step 1", "other"]
    assert history.redo() is None


def test_memory_is_bounded_by_forgetting_the_oldest_but_never_the_newest() -> None:
    class_map = ClassMap.empty(100, 100)
    history = History(class_map, max_bytes=50_000)
    for i in range(10):
        history.push(class_map.replace(np.full((100, 100), i + 1, np.uint8), f"step {i}"))
    assert history.names == ["step 8", "step 9"]
    assert history.nbytes <= 50_000
    tiny = History(class_map, max_bytes=1)
    tiny.push(class_map.replace(np.full((100, 100), 77, np.uint8), "large"))
    assert tiny.names == ["large"]


def test_compacting_shrinks_and_loses_nothing() -> None:
    class_map = ClassMap.empty(600, 600)
    history = painted(class_map, 2)
    before = history.nbytes
    history.compact()
    assert history.nbytes < before / 50
    history.undo()
    assert (class_map.labels == 1).all()


def test_a_thousand_edits_and_a_thousand_undos_give_the_first_map_back_bit_for_bit() -> None:
    rng = np.random.default_rng(3)
    class_map = ClassMap(rng.integers(0, 21, (300, 400), np.uint8), rng.random((300, 400)) < 0.1)
    labels, pinned = class_map.labels.copy(), class_map.pinned.copy()
    history = History(class_map)
    while history.done < 1000:
        height, width = rng.integers(1, 60, 2)
        stroke = class_map.begin("stroke")
        for _ in range(3):
            top, left = int(rng.integers(-30, 300)), int(rng.integers(-30, 400))
            stroke.paint(top, left, rng.random((height, width)) < 0.7, int(rng.integers(0, 256)))
        history.push(stroke.commit())
        if history.done % 100 == 0:
            history.compact()
    for _ in range(1000):
        history.undo()
    assert history.done == 0
    assert np.array_equal(class_map.labels, labels)
    assert np.array_equal(class_map.pinned, pinned)


def test_nothing_to_push_changes_nothing() -> None:
    class_map = ClassMap.empty(5, 5)
    history = History(class_map)
    history.push(class_map.replace(np.zeros((5, 5), np.uint8), "same"))
    assert history.undo() is None
    assert history.nbytes == 0


def test_a_history_outlives_its_map_and_goes_on_with_the_same_one() -> None:
    class_map = ClassMap.empty(20, 20)
    history = painted(class_map, 3)
    history.undo()
    history.stamp = "saved"
    history.detach()
    again = ClassMap(class_map.labels, class_map.pinned)
    assert history.attach(again, "saved")
    history.undo()
    assert (again.labels == 1).all()
    history.redo()
    history.redo()
    assert (again.labels == 3).all()


def test_a_history_of_another_map_is_forgotten_but_states_go_with_any() -> None:
    history = painted(ClassMap.empty(20, 20), 3)
    history.stamp = "saved"
    assert not history.attach(ClassMap.empty(20, 20), "saved elsewhere")
    assert history.undo() is None
    history.push(Edit.of_details("Done", {"state": ("new", "done")}))
    history.detach()
    assert history.attach(ClassMap.empty(9, 9), "a third one")
    assert history.names == ["Done"]
    assert history.undo() is not None


def test_steps_are_listed_in_the_order_they_were_made_whatever_was_undone() -> None:
    history = painted(ClassMap.empty(20, 20), 4)
    history.undo()
    history.undo()
    assert [(step.name, step.done) for step in history.steps] == [
        ("step 1", True),
        ("step 2", True),
        ("step 3", False),
        ("step 4", False),
    ]
    assert [step.serial for step in history.steps] == sorted(step.serial for step in history.steps)


def test_undo_and_redo_speak_the_class_ids_of_now() -> None:
    class_map = ClassMap.empty(8, 8)
    history = painted(class_map, 3)  # 0 -> 1 -> 2 -> 3
    history.undo()
    table = np.arange(256, dtype=np.uint8)
    table[:4] = [5, 6, 7, 8]
    class_map.labels[:] = table[class_map.labels]
    history.relabel(table, next_serial())
    history.redo()
    assert (class_map.labels == 8).all()
    history.undo()
    history.undo()
    history.undo()
    assert (class_map.labels == 5).all()


def test_taking_a_relabelling_back_gives_the_old_ids_back_even_where_classes_were_one() -> None:
    class_map = ClassMap.empty(8, 8)
    history = painted(class_map, 3)
    merged = np.arange(256, dtype=np.uint8)
    merged[2:4] = 1
    serial = next_serial()
    before = class_map.labels.copy()
    class_map.labels[:] = merged[before]
    history.relabel(merged, serial)
    class_map.labels[:] = before
    assert history.unrelabel(serial)
    history.undo()
    assert (class_map.labels == 2).all()


def test_taking_a_relabelling_back_forgets_what_was_painted_since() -> None:
    class_map = ClassMap.empty(8, 8)
    history = painted(class_map, 2)
    table = np.arange(256, dtype=np.uint8)
    serial = next_serial()
    history.relabel(table, serial)
    history.push(Edit.of_details("Done", {"state": ("new", "done")}))
    assert history.unrelabel(serial)
    assert history.names == ["step 1", "step 2", "Done"]
    history.relabel(table, serial)
    history.push(class_map.replace(np.full((8, 8), 9, np.uint8), "later"))
    assert not history.unrelabel(serial)
    assert len(history) == 0
    assert history.forgotten


def test_edits_undone_that_speak_of_classes_that_never_came_back_are_forgotten() -> None:
    class_map = ClassMap.empty(8, 8)
    history = painted(class_map, 1)
    serial = next_serial()
    history.push(class_map.replace(np.full((8, 8), 9, np.uint8), "later"))
    history.undo()
    history.undo()
    history.forget_undone_after(serial)
    assert [step.name for step in history.steps] == ["step 1"]


def test_all_images_together_are_bounded_and_the_one_used_longest_ago_pays() -> None:
    shelf = HistoryShelf(max_bytes=50_000)
    maps = [ClassMap.empty(100, 100) for _ in range(4)]
    for item_id, class_map in enumerate(maps):
        history = shelf.of(item_id)
        history.attach(class_map, None)
        history.push(class_map.replace(np.full((100, 100), 7, np.uint8), f"on {item_id}"))
        shelf.measure(item_id)
    assert shelf.nbytes == sum(history.nbytes for history in shelf) <= 50_000
    assert [len(shelf.of(item_id)) for item_id in range(4)] == [0, 0, 1, 1]
    assert all(history.forgotten for history in (shelf.find(0), shelf.find(1)))
    shelf.set_max_bytes(1)
    assert [len(history) for history in shelf] == [0, 0, 0, 1]  # the newest edit of the image used last stays


@given(st.lists(st.sampled_from("edit undo redo relabel state".split()), max_size=40))
def test_undoing_everything_gives_the_first_map_back(actions: list[str]) -> None:
    rng = np.random.default_rng(0)
    class_map = ClassMap(rng.integers(0, 9, (30, 40), np.uint8))
    expected = class_map.labels.copy()
    history = History(class_map)
    for action in actions:
        if action == "edit":
            top, left = rng.integers(0, 20, 2)
            stroke = class_map.begin("stroke")
            stroke.paint(int(top), int(left), np.ones((8, 8), bool), int(rng.integers(0, 9)))
            history.push(stroke.commit())
        elif action == "state":
            history.push(Edit.of_details("state", {"state": ("new", "done")}))
        elif action == "relabel":
            table = np.arange(256, dtype=np.uint8)
            table[:9] = rng.permutation(9)
            for labels in (class_map.labels, expected):
                labels[:] = table[labels]
            history.relabel(table, next_serial())
        elif action == "undo":
            history.undo()
        else:
            history.redo()
    while history.undo() is not None:
        pass
    assert np.array_equal(class_map.labels, expected)
    assert not class_map.pinned.any()
