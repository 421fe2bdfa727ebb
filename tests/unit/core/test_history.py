from __future__ import annotations

import numpy as np

from deeplab_studio.core.classmap import ClassMap
from deeplab_studio.core.history import History


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


def test_nothing_to_push_changes_nothing() -> None:
    class_map = ClassMap.empty(5, 5)
    history = History(class_map)
    history.push(class_map.replace(np.zeros((5, 5), np.uint8), "same"))
    assert history.undo() is None
    assert history.nbytes == 0
