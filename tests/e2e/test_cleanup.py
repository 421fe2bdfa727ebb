"""The clean-up in the real window."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from deeplab_studio.app.cleanup_dialog import CleanUpDialog
from deeplab_studio.app.window import MainWindow
from deeplab_studio.core.classmap import PaintRules
from tests.e2e.kit import wait_for_photo
from tests.unit.app.canvas_kit import drag

CONTROL, SHIFT = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.ShiftModifier


@pytest.fixture
def opened(window: MainWindow, photos: list[Path], qtbot: QtBot) -> MainWindow:
    """A window with a class map: a square of class 3 with a hole, two islands of class 4, a dab of void."""
    window.open_paths([photos[0].parent])
    wait_for_photo(qtbot, window, photos[0])
    window.empty_state.paintRequested.emit()
    painting = window.session.painting
    mask = np.zeros((240, 320), bool)
    for class_id, place in (
        (3, np.s_[40:140, 40:140]),
        (0, np.s_[60:65, 60:66]),
        (4, np.s_[200:203, 200:204]),
        (4, np.s_[180:190, 250:260]),
        (255, np.s_[10:12, 300:302]),
    ):
        mask[:] = False
        mask[place] = True
        painting.set_active_class(class_id)
        assert painting.begin("Brush stroke")
        painting.paint(0, 0, mask)
        painting.commit()
    window.session.edits.unpin()
    window.canvas.refresh_labels(None)
    return window


def open_dialog(opened: MainWindow, qtbot: QtBot) -> CleanUpDialog:
    qtbot.keyClick(opened, Qt.Key.Key_L, CONTROL | SHIFT)
    dialog = opened.region_tools.dialog
    assert dialog is not None
    settled(qtbot, dialog)
    return dialog


def settled(qtbot: QtBot, dialog: CleanUpDialog) -> None:
    """Wait until the dialog shows what was asked for last."""

    def known() -> bool:
        return dialog._result is not None and dialog._result[1] == dialog.wanted() and not dialog._due.isActive()

    for _ in range(2):
        qtbot.waitUntil(known, timeout=30_000)
        QApplication.processEvents()


def ask(qtbot: QtBot, dialog: CleanUpDialog, **values: int) -> None:
    for key, value in values.items():
        dialog.rows[key].box.setValue(value)
    settled(qtbot, dialog)


def preview(window: MainWindow) -> np.ndarray | None:
    shown = window.canvas._layers._preview
    return None if shown is None else shown.labels


def names(window: MainWindow) -> list[str]:
    return list(window.session.current.history.names)


def test_the_preview_shows_counts_and_pixels_and_apply_is_one_step(opened: MainWindow, qtbot: QtBot) -> None:
    labels = opened.session.current.class_map.labels
    before = labels.copy()
    dialog = open_dialog(opened, qtbot)
    assert not dialog.apply_button.isEnabled()
    assert preview(opened) is None
    ask(qtbot, dialog, holes=31, islands=100)
    assert dialog._counts["holes"].text() == "1 hole, 30 px"
    assert dialog._counts["islands"].text() == "1 island, 12 px"
    assert dialog.total_label.text().startswith("42 px")
    np.testing.assert_array_equal(labels, before)
    assert (preview(opened)[60:65, 60:66] == 3).all()
    ask(qtbot, dialog, islands=101)
    assert dialog._counts["islands"].text() == "2 islands, 112 px"
    steps = len(names(opened))
    qtbot.mouseClick(dialog.apply_button, Qt.MouseButton.LeftButton)
    assert names(opened)[steps:] == ["Clean up"]
    assert set(np.unique(labels)) == {0, 3, 255}
    assert preview(opened) is None
    settled(qtbot, dialog)
    assert not dialog.apply_button.isEnabled()  # everything is back at nothing
    qtbot.keyClick(dialog, Qt.Key.Key_Z, CONTROL)
    np.testing.assert_array_equal(labels, before)
    dialog.close()
    assert opened.region_tools.dialog is None


def test_only_ticked_classes_are_tidied(opened: MainWindow, qtbot: QtBot) -> None:
    dialog = open_dialog(opened, qtbot)
    ticked = {
        dialog.class_list.item(row).text(): dialog.class_list.item(row).checkState() == Qt.CheckState.Checked
        for row in range(dialog.class_list.count())
    }
    assert ticked == {"background": False, "bird": True, "boat": True, "void": False}
    dialog.class_list.item(2).setCheckState(Qt.CheckState.Unchecked)
    ask(qtbot, dialog, holes=31, islands=1000)
    assert dialog._counts["islands"].text() == "–"
    assert dialog._result[2].changed == 30
    dialog.close()


def test_pinned_pixels_and_protected_classes_stay(opened: MainWindow, qtbot: QtBot) -> None:
    class_map = opened.session.current.class_map
    class_map.pinned[40:140, 40:140] = True
    opened.session.painting.set_rules(PaintRules(protect=frozenset({4})))
    dialog = open_dialog(opened, qtbot)
    ask(qtbot, dialog, holes=100, islands=1000, smooth=5, void_ring=3)
    after = dialog._result[2].labels
    np.testing.assert_array_equal(after[40:140, 40:140], class_map.labels[40:140, 40:140])
    assert ((after == 4) == (class_map.labels == 4)).all()
    dialog.close()


def test_a_person_paints_on_while_it_is_open(opened: MainWindow, qtbot: QtBot) -> None:
    dialog = open_dialog(opened, qtbot)
    ask(qtbot, dialog, islands=1000)
    assert preview(opened) is not None
    opened.toolbox.use("tool_brush")
    opened.toolbox.set_size(6)
    opened.session.painting.set_active_class(4)
    drag(opened.canvas, [(20, 220), (26, 220)], release=False)
    assert preview(opened) is None  # what is painted has to be seen
    drag(opened.canvas, [(26, 220)])
    settled(qtbot, dialog)
    assert dialog._counts["islands"].text().startswith("2 islands")  # the new one is pinned
    assert preview(opened) is not None
    dialog.preview_box.setChecked(False)
    assert preview(opened) is None
    dialog.close()


def test_another_image_is_tidied_with_the_same_wishes(opened: MainWindow, photos: list[Path], qtbot: QtBot) -> None:
    dialog = open_dialog(opened, qtbot)
    ask(qtbot, dialog, islands=1000)
    qtbot.keyClick(dialog, Qt.Key.Key_D)
    wait_for_photo(qtbot, opened, photos[1])
    settled(qtbot, dialog)
    assert dialog._result[2].changed == 0
    assert dialog.class_list.count() == 1
    assert preview(opened) is None
    qtbot.keyClick(dialog, Qt.Key.Key_A)
    wait_for_photo(qtbot, opened, photos[0])
    settled(qtbot, dialog)
    assert dialog._result[2].islands.regions == 2
    assert preview(opened) is not None
    dialog.reject()
    assert preview(opened) is None
