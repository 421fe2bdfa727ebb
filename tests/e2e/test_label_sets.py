"""The label set editor, the mapping screen and the panel of steps in the real window."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QColor
from PySide6.QtWidgets import QColorDialog, QDialog, QFileDialog, QLineEdit, QMessageBox
from pytestqt.qtbot import QtBot

from deeplab_studio.app.label_set_editor import LabelSetEditor
from deeplab_studio.app.mapping_dialogs import BecomesDialog, MappingDialog
from deeplab_studio.app.model_mapping import ModelMappingDialog
from deeplab_studio.app.panels.mapping_table import NEW
from deeplab_studio.app.window import MainWindow
from deeplab_studio.checkpoints.stand_in import write_stand_in
from deeplab_studio.core.label_sets import builtin_label_set, load_label_set
from deeplab_studio.core.labels import VOC_LABELS, VOID
from tests.e2e.kit import wait_for_photo

LEFT = Qt.MouseButton.LeftButton
CAT, DOG, PERSON = (VOC_LABELS.names.index(name) for name in ("cat", "dog", "person"))


@pytest.fixture
def open_window(window: MainWindow, photos: list[Path], qtbot: QtBot) -> MainWindow:
    window.settings.set("model/paint_only", True)
    window.open_paths([photos[0].parent])
    wait_for_photo(qtbot, window, photos[0])
    return window


def brush(window: MainWindow, top: int, left: int, size: int, class_id: int) -> None:
    painting = window.session.painting
    painting.set_active_class(class_id)
    assert painting.begin("Brush stroke")
    painting.paint(top, left, np.ones((size, size), bool))
    painting.commit()


def settle(window: MainWindow, qtbot: QtBot) -> None:
    qtbot.waitUntil(
        lambda: not window.session.edits.frozen and not window.session.disk.busy and not window.session.unsaved
    )


def editor_of(window: MainWindow, qtbot: QtBot) -> LabelSetEditor:
    qtbot.mouseClick(window.classes_panel.edit_button, LEFT)
    editor = window.label_sets.dialog
    assert isinstance(editor, LabelSetEditor)
    qtbot.waitUntil(lambda: editor.counts is not None)
    return editor


def apply(editor: LabelSetEditor, window: MainWindow, qtbot: QtBot) -> None:
    qtbot.mouseClick(editor.apply_button, LEFT)
    qtbot.waitUntil(lambda: window.label_sets.dialog is None)
    settle(window, qtbot)


def select(editor: LabelSetEditor, *names: str) -> None:
    keys = {row.name: row.key for row in editor.draft.rows}
    editor.table.select_keys([keys[name] for name in names])


def answer_becomes(monkeypatch: pytest.MonkeyPatch, name: str | None) -> list[str]:
    """Answer the question what pixels become; the questions asked."""
    asked: list[str] = []

    def answer(dialog: BecomesDialog) -> int:
        asked.append(dialog.windowTitle())
        rows = [dialog.box.itemText(i) for i in range(dialog.box.count())]
        dialog.box.setCurrentIndex(0 if name is None else rows.index(name))
        return int(QDialog.DialogCode.Accepted)

    monkeypatch.setattr(BecomesDialog, "exec", answer)
    return asked


def labels(window: MainWindow) -> np.ndarray:
    return window.session.current.class_map.labels


# The editor


def test_merging_with_a_preview_and_taking_it_back_with_ctrl_z(
    open_window: MainWindow, photos: list[Path], qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    window = open_window
    brush(window, 10, 10, 20, CAT)
    brush(window, 100, 100, 30, DOG)
    before = labels(window).copy()
    window.session.step(1)
    wait_for_photo(qtbot, window, photos[1])
    brush(window, 50, 50, 10, CAT)
    editor = editor_of(window, qtbot)
    row = editor.table.labels.row_of(CAT)
    assert editor.table.labels.count(CAT) == (2, 500)
    assert not editor.apply_button.isEnabled()
    asked = answer_becomes(monkeypatch, "dog")
    select(editor, "cat")
    qtbot.mouseClick(editor.merge_button, LEFT)
    assert asked == ["Merge: cat"]
    assert "cat → dog" in editor.preview.text()
    assert "1400 pixels in 2 of 2 images" in editor.preview.text().replace(",", "")  # 500 of cat, 900 of dog move
    assert editor.table.labels.rows[row].name == "chair"
    apply(editor, window, qtbot)
    dog = window.session.label_set.names.index("dog")
    assert (labels(window)[50:60, 50:60] == dog).all()
    assert window.classes_panel._state.label_set == window.session.label_set
    assert window.actions_["undo"].text() == "&Undo Merge cat into dog"
    window.actions_["undo"].trigger()
    settle(window, qtbot)
    assert window.session.label_set == VOC_LABELS
    assert (labels(window)[50:60, 50:60] == CAT).all()
    window.session.step(-1)
    wait_for_photo(qtbot, window, photos[0])
    assert np.array_equal(labels(window), before)


def test_deleting_into_void_and_what_was_hidden_follows_its_class(
    open_window: MainWindow, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    window = open_window
    brush(window, 10, 10, 20, CAT)
    brush(window, 100, 100, 30, PERSON)
    window.classes_panel._part_clicked(PERSON, _part("EYE"), False)
    window.classes_panel._part_clicked(DOG, _part("LOCK"), False)
    editor = editor_of(window, qtbot)
    answer_becomes(monkeypatch, None)
    select(editor, "cat")
    qtbot.keyClick(editor.table, Qt.Key.Key_Delete)
    assert "Deleted, pixels become void: cat." in editor.preview.text()
    apply(editor, window, qtbot)
    assert (labels(window)[10:30, 10:30] == VOID).all()
    assert window.classes_panel.hidden == {0, PERSON - 1}
    assert window.classes_panel.protected == {DOG - 1}
    assert window.session.painting.rules.protect == {DOG - 1}
    assert window.session.painting.active_class == PERSON - 1


def _part(name: str) -> object:
    from deeplab_studio.app.panels.class_rows import Part

    return Part[name]


def test_adding_renaming_and_refusing_a_name_that_is_taken(open_window: MainWindow, qtbot: QtBot) -> None:
    window = open_window
    editor = editor_of(window, qtbot)
    qtbot.mouseClick(editor.add_button, LEFT)
    line = editor.table.findChild(QLineEdit)
    assert line.text() == "new class"
    qtbot.keyClicks(line, "cat")
    qtbot.keyClick(line, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: "There is a class called 'cat' already" in editor.problem.text())
    qtbot.waitUntil(lambda: editor.table.findChild(QLineEdit) is None)
    editor.table.edit_name(editor.draft.rows[-1].key)
    line = editor.table.findChild(QLineEdit)
    line.selectAll()
    qtbot.keyClicks(line, "tree")
    qtbot.keyClick(line, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: editor.draft.rows[-1].name == "tree")
    assert editor.preview.text().splitlines() == ["New: tree.", "No id changes: the class maps stay as they are."]
    apply(editor, window, qtbot)
    assert window.session.label_set.names[21] == "tree"
    assert window.actions_["undo"].text() == "&Undo Add class tree"


def test_colours_by_the_dialog_and_by_themselves(
    open_window: MainWindow, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    window = open_window
    editor = editor_of(window, qtbot)
    monkeypatch.setattr(QColorDialog, "getColor", lambda *_args: QColor(1, 2, 3))
    select(editor, "cat")
    qtbot.mouseClick(editor.colour_button, LEFT)
    assert editor.draft.row(CAT).colour == (1, 2, 3)
    select(editor)
    qtbot.mouseClick(editor.distinct_button, LEFT)
    colours = [row.colour for row in editor.draft.rows]
    assert len(set(colours)) == 21
    assert colours[0] == (0, 0, 0)
    apply(editor, window, qtbot)
    assert [label.colour for label in window.session.label_set] == colours


def test_moving_a_class_gives_it_another_id_and_its_pixels_follow(open_window: MainWindow, qtbot: QtBot) -> None:
    window = open_window
    brush(window, 10, 10, 20, CAT)
    editor = editor_of(window, qtbot)
    select(editor, "cat")
    for _ in range(3):
        qtbot.mouseClick(editor.up_button, LEFT)
    assert editor.table.selected_keys() == [CAT]
    assert "Another order." in editor.preview.text()
    apply(editor, window, qtbot)
    assert window.session.label_set.names[CAT - 3] == "cat"
    assert (labels(window)[10:30, 10:30] == CAT - 3).all()


def test_going_over_to_another_label_set_asks_about_classes_that_hold_pixels(
    open_window: MainWindow, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    window = open_window
    brush(window, 10, 10, 20, CAT)
    brush(window, 100, 100, 30, PERSON)
    editor = editor_of(window, qtbot)
    seen: list[list[str]] = []

    def decide(dialog: MappingDialog) -> int:
        seen.append([row.name for row in dialog.table.model.rows])
        assert not dialog.buttons.buttons()[0].isEnabled()
        dialog.table.choose([0, CAT], VOID)
        return int(QDialog.DialogCode.Accepted)

    monkeypatch.setattr(MappingDialog, "exec", decide)
    street = builtin_label_set("cityscapes")
    action = next(each for each in editor.replace_button.menu().actions() if each.text().startswith("Cityscapes ("))
    action.trigger()
    assert seen == [["background", "cat"]]
    assert editor.name_edit.text() == "Cityscapes"
    apply(editor, window, qtbot)
    assert window.session.label_set == street
    assert (labels(window)[100:130, 100:130] == street.names.index("person")).all()
    assert (labels(window)[10:30, 10:30] == VOID).all()
    assert window.actions_["undo"].text() == "&Undo Label set Cityscapes"


def test_label_sets_are_saved_to_and_loaded_from_files(
    open_window: MainWindow, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    window = open_window
    editor = editor_of(window, qtbot)
    path = tmp_path / "mine.json"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_args: (str(path.with_suffix("")), "JSON (*.json)"))
    qtbot.mouseClick(editor.save_button, LEFT)
    assert load_label_set(path) == VOC_LABELS
    path.write_text('["a", "a"]')
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_args: (str(path), ""))
    editor.load()
    assert "two classes are called 'a'" in editor.problem.text()
    path.write_text('["ground", "cat"]')
    editor.load()
    assert [row.name for row in editor.draft.rows] == ["ground", "cat"]


def test_an_id_without_a_class_is_listed_and_can_become_one(open_window: MainWindow, qtbot: QtBot) -> None:
    window = open_window
    brush(window, 10, 10, 20, 77)
    editor = editor_of(window, qtbot)
    assert editor.draft.rows[-1].name == "class 77"
    assert editor.table.labels.count(77) == (1, 400)
    editor._rename(77, "gravel")
    apply(editor, window, qtbot)
    assert window.session.label_set.names[21] == "gravel"
    assert (labels(window)[10:30, 10:30] == 21).all()


def test_a_failure_is_said_in_the_editor_and_nothing_changes(
    open_window: MainWindow, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    window = open_window
    brush(window, 10, 10, 20, CAT)
    editor = editor_of(window, qtbot)
    answer_becomes(monkeypatch, "dog")
    select(editor, "cat")
    editor.delete_selected()
    with window.session.project._writing() as connection:
        connection.execute(
            "CREATE TRIGGER full BEFORE UPDATE ON maps BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END"
        )
    qtbot.mouseClick(editor.apply_button, LEFT)
    settle(window, qtbot)
    qtbot.waitUntil(lambda: "disk is full" in editor.problem.text())
    assert editor.isVisible()
    assert editor.apply_button.isEnabled()
    assert window.session.label_set == VOC_LABELS
    editor.reject()
    assert window.label_sets.dialog is None


# The panel of steps


def test_steps_are_shown_and_a_click_goes_there(open_window: MainWindow, photos: list[Path], qtbot: QtBot) -> None:
    window = open_window
    assert not window.findChild(type(window.history_list._dock), "history").isVisible()
    window.actions_["history"].trigger()
    panel = window.history_list.panel
    qtbot.waitUntil(panel.isVisible)
    for i in range(4):
        brush(window, 20 * i, 20 * i, 20, i + 1)
    qtbot.waitUntil(lambda: panel.model.rowCount() == 5)
    after = labels(window).copy()
    rect = panel.list.visualRect(panel.model.index(2))
    qtbot.mouseClick(panel.list.viewport(), LEFT, pos=rect.center())
    assert np.count_nonzero(labels(window)) == 800
    qtbot.waitUntil(lambda: panel.model.position == 2)
    window.session.step(1)
    wait_for_photo(qtbot, window, photos[1])
    qtbot.waitUntil(lambda: panel.model.rowCount() == 1)
    window.session.step(-1)
    wait_for_photo(qtbot, window, photos[0])
    qtbot.waitUntil(lambda: panel.model.rowCount() == 5)
    window.session.edits.go_to(4)
    assert np.array_equal(labels(window), after)
    panel.bound_box.setValue(64)
    assert window.settings.get("memory/history_bytes") == 64 << 20
    assert window.session.edits.histories.max_bytes == 64 << 20
    window.actions_["history"].trigger()
    assert not panel.isVisible()


def test_taking_a_change_back_after_other_images_were_painted_asks_first(
    open_window: MainWindow, photos: list[Path], qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    window = open_window
    editor = editor_of(window, qtbot)
    editor._rename(CAT, "kitty")
    apply(editor, window, qtbot)
    brush(window, 10, 10, 20, DOG)
    window.session.step(1)
    wait_for_photo(qtbot, window, photos[1])
    questions: list[str] = []

    def answer(_parent: object, _title: str, text: str, *_buttons: object) -> QMessageBox.StandardButton:
        questions.append(text)
        return QMessageBox.StandardButton.No

    monkeypatch.setattr(QMessageBox, "question", answer)
    window.actions_["undo"].trigger()
    settle(window, qtbot)
    assert "Rename cat to kitty" in questions[0]
    assert window.session.label_set.names[CAT] == "kitty"


# A model whose classes are not the data set's


def test_a_models_classes_are_mapped_from_the_notice_and_that_is_remembered(
    open_window: MainWindow,
    new_window: Callable[[], MainWindow],
    photos: list[Path],
    qtbot: QtBot,
    tmp_path: Path,
) -> None:
    window = open_window
    editor = editor_of(window, qtbot)
    editor._rename(CAT, "kitty")
    editor._rename(DOG, "hound")
    editor._rename(PERSON, "human")
    apply(editor, window, qtbot)
    write_stand_in(tmp_path / "model.npz")
    window.models.open(tmp_path / "model.npz")
    line = window.status_area.notices
    qtbot.waitUntil(lambda: line.current is not None and line.current.action is not None, timeout=30_000)
    assert "3 of the model's classes are not in the data set" in line.current.text
    qtbot.mouseClick(line.action_button, LEFT)
    dialog = window.label_sets.dialog
    assert isinstance(dialog, ModelMappingDialog)
    assert [row.name for row in dialog.table.undecided()] == ["cat", "dog", "person"]
    dialog.table.choose([CAT], CAT)
    dialog.table.choose([DOG], VOID)
    dialog.table.choose([PERSON], NEW)
    dialog.accept()
    settle(window, qtbot)
    session = window.session
    qtbot.waitUntil(lambda: len(session.label_set) == 22 and not session.mapping().unmatched)
    table = session.mapping().to_target
    assert (table[CAT], table[DOG], table[PERSON], table[1]) == (CAT, VOID, 21, 1)
    assert session.label_set.names[21] == "person"
    settle(window, qtbot)
    window.close()
    again = new_window()
    again.settings.set("model/paint_only", True)
    again.models.open(tmp_path / "model.npz")
    qtbot.waitUntil(lambda: again.session.predictions.model is not None, timeout=30_000)
    again.open_paths([photos[0].parent])
    wait_for_photo(qtbot, again, photos[0])
    assert again.session.mapping().to_target[[CAT, DOG, PERSON]].tolist() == [CAT, VOID, 21]
    assert again.session.mapping().unmatched == ()


def test_the_editor_closes_by_its_own_button_and_by_escape(open_window: MainWindow, qtbot: QtBot) -> None:
    window = open_window
    for _ in range(2):
        editor = editor_of(window, qtbot)
        qtbot.keyClick(editor, Qt.Key.Key_Escape)
        assert window.label_sets.dialog is None
    editor = editor_of(window, qtbot)
    editor.close()
    qtbot.waitUntil(lambda: window.label_sets.dialog is None)
