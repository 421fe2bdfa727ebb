"""Undo and redo across class maps, states and the label set, in a session without a window."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from pytestqt.qtbot import QtBot

from deeplab_studio.app.session import Session
from deeplab_studio.app.settings import Settings
from deeplab_studio.core.labels import VOC_LABELS, VOID
from deeplab_studio.core.project import Project
from deeplab_studio.core.relabel import LabelDraft, Relabelling
from deeplab_studio.core.voc import write_mask

CAT, DOG = VOC_LABELS.names.index("cat"), VOC_LABELS.names.index("dog")


@pytest.fixture
def new_session(qtbot: QtBot, tmp_path: Path) -> Iterator[Callable[[], Session]]:
    sessions: list[Session] = []

    def make() -> Session:
        session = Session(Settings(tmp_path / "settings.ini"))
        session.notices = []
        session.noticed.connect(lambda level, text: session.notices.append((level, text)))
        sessions.append(session)
        return session

    yield make
    for session in sessions:
        session.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for i in range(4):
        small = np.random.default_rng(i).integers(0, 256, (6, 8, 3), np.uint8)
        cv2.imwrite(str(folder / f"{i + 1}.png"), cv2.resize(small, (64, 48), interpolation=cv2.INTER_CUBIC))
    return folder


@pytest.fixture
def session(new_session: Callable[[], Session], qtbot: QtBot, folder: Path) -> Session:
    session = new_session()
    open_folder(qtbot, session, folder)
    return session


def open_folder(qtbot: QtBot, session: Session, folder: Path) -> None:
    session.open_paths([folder])
    qtbot.waitUntil(lambda: session.current is not None and session.current.item.id == session.current_id)


def go(qtbot: QtBot, session: Session, index: int) -> None:
    item_id = session.items[index].id
    session.select(item_id)
    qtbot.waitUntil(lambda: session.current is not None and session.current.item.id == item_id)


def brush(session: Session, top: int, left: int, size: int, class_id: int) -> None:
    session.painting.set_active_class(class_id)
    assert session.painting.begin("Brush stroke")
    session.painting.paint(top, left, np.ones((size, size), bool))
    session.painting.commit()


def labels(session: Session) -> np.ndarray:
    assert session.current is not None
    return session.current.class_map.labels


def merge(session: Session, source: str, target: str) -> Relabelling:
    draft = LabelDraft(session.label_set)
    names = session.label_set.names
    draft.delete(names.index(source), names.index(target))
    return draft.relabelling(f"Merge {source} into {target}")


def settle(qtbot: QtBot, session: Session) -> None:
    qtbot.waitUntil(lambda: not session.edits.frozen and not session.disk.busy and not session.unsaved)


def relabel(qtbot: QtBot, session: Session, change: Relabelling) -> None:
    session.edits.relabel(change)
    settle(qtbot, session)


def done_names(session: Session) -> list[str]:
    return [row.name for row in session.edits.rows() if row.done]


# Histories and images that come and go


def test_steps_can_be_undone_after_the_image_has_left_memory(session: Session, qtbot: QtBot) -> None:
    brush(session, 5, 5, 10, 3)
    brush(session, 20, 20, 10, 4)
    first = session.current
    settle_saved(qtbot, session)
    go(qtbot, session, 2)
    session._shelf.drop(first.item.id)
    go(qtbot, session, 0)
    assert session.current is not first
    assert done_names(session) == ["Brush stroke", "Brush stroke"]
    session.undo()
    assert (labels(session)[20:30, 20:30] == 0).all()
    assert (labels(session)[5:15, 5:15] == 3).all()
    session.redo()
    assert (labels(session)[20:30, 20:30] == 4).all()
    assert session.notices == []


def settle_saved(qtbot: QtBot, session: Session) -> None:
    session.save()
    qtbot.waitUntil(lambda: not session.unsaved and not session.disk.busy)


def test_steps_on_a_map_that_was_changed_elsewhere_are_forgotten_and_that_is_told(
    session: Session, qtbot: QtBot
) -> None:
    brush(session, 5, 5, 10, 3)
    first = session.current.item.id
    settle_saved(qtbot, session)
    go(qtbot, session, 2)
    session._shelf.drop(first)
    session.project.save_map(first, np.full((48, 64), 7, np.uint8), None)
    go(qtbot, session, 0)
    assert session.edits.rows() == []
    assert (labels(session) == 7).all()
    assert "can no longer be undone" in session.notices[-1][1]


def test_the_setting_bounds_all_histories_together(session: Session, qtbot: QtBot) -> None:
    session._settings.set("memory/history_bytes", 8 << 20)
    assert session.edits.histories.max_bytes == 8 << 20
    for i in range(3):
        go(qtbot, session, i)
        brush(session, 0, 0, 40, 3 + i)
    assert session.edits.histories.nbytes <= 8 << 20
    assert sum(len(history) for history in session.edits.histories) == 3


# Going to a step


def test_going_to_a_step_undoes_and_redoes_several_with_one_repaint(session: Session, qtbot: QtBot) -> None:
    for i in range(5):
        brush(session, 8 * i, 8 * i, 8, i + 1)
    after = labels(session).copy()
    repaints: list[object] = []
    session.labelsChanged.connect(repaints.append)
    session.edits.go_to(1)
    assert [row.done for row in session.edits.rows()] == [True, False, False, False, False]
    assert np.count_nonzero(labels(session)) == 64
    session.edits.go_to(5)
    assert np.array_equal(labels(session), after)
    assert len(repaints) == 2
    session.edits.go_to(0)
    assert not labels(session).any()
    assert session.edits.undo_name is None


def test_a_new_step_replaces_those_that_were_undone(session: Session, qtbot: QtBot) -> None:
    for i in range(3):
        brush(session, 8 * i, 8 * i, 8, i + 1)
    session.edits.go_to(1)
    brush(session, 0, 40, 8, 9)
    assert [(row.name, row.done) for row in session.edits.rows()] == [("Brush stroke", True)] * 2
    assert session.edits.redo_name is None


# States


def test_the_first_stroke_and_the_state_it_brings_are_one_step(session: Session, qtbot: QtBot) -> None:
    brush(session, 5, 5, 10, 3)
    assert session.current.item.state == "in progress"
    session.undo()
    assert session.current.item.state == "new"
    assert session.items[0].state == "new"
    session.redo()
    assert session.current.item.state == "in progress"
    settle(qtbot, session)
    assert session.project.item(session.current.item.id).state == "in progress"


def test_a_state_is_a_step_of_its_image(session: Session, qtbot: QtBot) -> None:
    brush(session, 5, 5, 10, 3)
    session.set_state(session.current_id, "done")
    assert session.edits.undo_name == "Mark as done"
    session.undo()
    assert session.current.item.state == "in progress"
    assert (labels(session)[5:15, 5:15] == 3).all()
    session.redo()
    settle(qtbot, session)
    assert session.project.item(session.current_id).state == "done"


def test_states_of_several_images_are_one_step_wherever_one_is(session: Session, qtbot: QtBot) -> None:
    ids = [item.id for item in session.items]
    session.set_states(ids, "done")
    go(qtbot, session, 2)
    assert session.edits.undo_name == "Mark as done: 4 images"
    session.undo()
    assert {item.state for item in session.items} == {"new"}
    settle(qtbot, session)
    assert {item.state for item in session.project.items()} == {"new"}
    session.redo()
    assert {item.state for item in session.items} == {"done"}


def test_the_newest_of_image_and_data_set_is_undone_first(session: Session, qtbot: QtBot) -> None:
    brush(session, 0, 0, 8, 3)
    session.set_states([item.id for item in session.items[1:]], "done")
    brush(session, 0, 20, 8, 4)
    assert done_names(session) == ["Brush stroke", "Mark as done: 3 images", "Brush stroke"]
    session.undo()
    assert not labels(session)[0:8, 20:28].any()
    session.undo()
    assert session.items[1].state == "new"
    session.undo()
    assert not labels(session).any()
    session.edits.go_to(3)
    assert session.items[1].state == "done"
    assert (labels(session)[0:8, 20:28] == 4).all()


# The label set


def test_merging_changes_what_is_on_screen_on_disk_and_in_the_list(
    session: Session, qtbot: QtBot, folder: Path, new_session: Callable[[], Session]
) -> None:
    brush(session, 5, 5, 10, CAT)
    go(qtbot, session, 1)
    brush(session, 5, 5, 10, DOG)
    change = merge(session, "cat", "dog")
    dog = change.new.names.index("dog")
    told: list[object] = []
    session.labelSetChanged.connect(told.append)
    relabel(qtbot, session, change)
    assert told == [change.new]
    assert session.label_set == change.new
    assert (labels(session)[5:15, 5:15] == dog).all()
    assert session.painting.active_class == dog
    go(qtbot, session, 0)
    assert (labels(session)[5:15, 5:15] == dog).all()
    assert session.current.class_map.pinned[5:15, 5:15].all()
    session.close()
    again = new_session()
    open_folder(qtbot, again, folder)
    assert again.label_set == change.new
    assert (labels(again)[5:15, 5:15] == dog).all()


def test_a_merge_is_taken_back_by_undo_on_any_image_and_made_again_by_redo(session: Session, qtbot: QtBot) -> None:
    brush(session, 5, 5, 10, CAT)
    brush(session, 5, 30, 10, DOG)
    before = labels(session).copy()
    change = merge(session, "cat", "dog")
    relabel(qtbot, session, change)
    after = labels(session).copy()
    assert session.edits.undo_name == "Merge cat into dog"
    go(qtbot, session, 3)
    session.undo()
    settle(qtbot, session)
    assert session.label_set == VOC_LABELS
    go(qtbot, session, 0)
    assert np.array_equal(labels(session), before)
    session.redo()
    settle(qtbot, session)
    assert np.array_equal(labels(session), after)
    assert session.label_set == change.new


def test_steps_after_a_merge_keep_their_ids_when_it_is_taken_back_and_made_again(
    session: Session, qtbot: QtBot
) -> None:
    brush(session, 5, 5, 10, CAT)
    session.save()
    go(qtbot, session, 1)
    brush(session, 5, 5, 10, DOG)
    brush(session, 5, 30, 10, CAT)
    session.undo()
    relabel(qtbot, session, merge(session, "cat", "dog"))
    assert session.edits.redo_name is None  # what was undone is gone, as after any new step
    brush(session, 30, 30, 5, CAT)
    session.edits.go_to(0)
    settle(qtbot, session)
    assert not labels(session).any()
    assert session.label_set == VOC_LABELS
    session.edits.go_to(3)
    settle(qtbot, session)
    assert (labels(session)[5:15, 5:15] == session.label_set.names.index("dog")).all()
    assert (labels(session)[30:35, 30:35] == CAT).all()


def test_going_back_over_a_merge_gives_every_pixel_back(session: Session, qtbot: QtBot) -> None:
    states = [labels(session).copy()]
    for i, class_id in enumerate((CAT, DOG, CAT)):
        brush(session, 8 * i, 8 * i, 12, class_id)
        states.append(labels(session).copy())
    relabel(qtbot, session, merge(session, "cat", "dog"))
    states.append(labels(session).copy())
    brush(session, 20, 0, 12, DOG - 1)
    states.append(labels(session).copy())
    for position in (4, 3, 1, 5, 0, 2, 4):
        session.edits.go_to(position)
        settle(qtbot, session)
        assert np.array_equal(labels(session), states[position]), position


def test_taking_a_change_back_asks_if_other_images_were_painted_since(session: Session, qtbot: QtBot) -> None:
    brush(session, 5, 5, 10, CAT)
    relabel(qtbot, session, merge(session, "cat", "dog"))
    brush(session, 20, 20, 10, 1)
    go(qtbot, session, 1)
    questions: list[str] = []
    session.edits.ask = lambda question: bool(questions.append(question))
    session.undo()
    settle(qtbot, session)
    assert "(1 of them)" in questions[0]
    assert len(session.label_set) == 20
    session.edits.ask = lambda _question: True
    session.undo()
    settle(qtbot, session)
    assert session.label_set == VOC_LABELS
    go(qtbot, session, 0)
    assert (labels(session)[5:15, 5:15] == CAT).all()
    assert (labels(session)[20:30, 20:30] == 1).all()
    assert done_names(session) == []


def test_a_change_that_fails_leaves_everything_as_it_was(session: Session, qtbot: QtBot) -> None:
    brush(session, 5, 5, 10, CAT)
    settle_saved(qtbot, session)
    before = labels(session).copy()
    with session.project._writing() as connection:
        connection.execute(
            "CREATE TRIGGER full BEFORE UPDATE ON maps BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END"
        )
    relabel(qtbot, session, merge(session, "cat", "dog"))
    assert session.label_set == VOC_LABELS
    assert np.array_equal(labels(session), before)
    assert any("disk is full" in text for _, text in session.notices)
    assert session.edits.undo_name == "Brush stroke"
    session.undo()
    assert not labels(session).any()


def test_a_cancelled_change_leaves_everything_as_it_was(session: Session, qtbot: QtBot) -> None:
    brush(session, 5, 5, 10, CAT)
    session.edits.relabel(merge(session, "cat", "dog"))
    session.edits.label_changes.cancel()
    settle(qtbot, session)
    assert session.label_set == VOC_LABELS
    assert (labels(session)[5:15, 5:15] == CAT).all()
    assert session.edits.undo_name == "Brush stroke"


def test_nothing_is_painted_while_the_ids_change(session: Session, qtbot: QtBot) -> None:
    brush(session, 5, 5, 10, CAT)
    session.edits.relabel(merge(session, "cat", "dog"))
    assert session.edits.frozen
    assert not session.painting.begin("Brush stroke")
    session.put_labels(session.document(session.items[0].id), np.full((48, 64), 9, np.uint8), "late")
    session.edits.clear()
    settle(qtbot, session)
    assert sorted(np.unique(labels(session))) == [0, session.label_set.names.index("dog")]


def test_masks_that_came_with_the_data_set_follow_the_label_set(
    new_session: Callable[[], Session], qtbot: QtBot, tmp_path: Path
) -> None:
    root = tmp_path / "voc"
    for name in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        (root / name).mkdir(parents=True)
    for stem, class_id in (("a", CAT), ("b", DOG)):
        cv2.imwrite(str(root / "JPEGImages" / f"{stem}.jpg"), np.full((20, 30, 3), 90, np.uint8))
        mask = np.full((20, 30), class_id, np.uint8)
        mask[0] = VOID
        write_mask(root / "SegmentationClass" / f"{stem}.png", mask, VOC_LABELS)
    (root / "ImageSets/Segmentation/train.txt").write_text("a\nb\n")
    session = new_session()
    open_folder(qtbot, session, root)
    assert (labels(session)[1:] == CAT).all()
    change = merge(session, "cat", "dog")
    dog = change.new.names.index("dog")
    relabel(qtbot, session, change)
    for index in (0, 1):
        go(qtbot, session, index)
        assert (labels(session)[1:] == dog).all()
        assert (labels(session)[0] == VOID).all()
    session.undo()
    settle(qtbot, session)
    for index, class_id in ((0, CAT), (1, DOG)):
        go(qtbot, session, index)
        assert (labels(session)[1:] == class_id).all()


def test_a_project_that_is_left_keeps_nothing_for_undo(session: Session, qtbot: QtBot, folder: Path) -> None:
    brush(session, 5, 5, 10, CAT)
    relabel(qtbot, session, merge(session, "cat", "dog"))
    session.close()
    with Project.for_folder(folder) as project, project._reading() as connection:
        assert connection.execute("SELECT count(*) FROM kept_maps").fetchone() == (0,)
