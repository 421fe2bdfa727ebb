"""The drawing tools in the real window: keys, mouse, bars, hints, one undo step each."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtWidgets import QCheckBox, QToolButton, QWidget
from pytestqt.qtbot import QtBot

from deeplab_studio.app.canvas.fill_tools import CONTIGUOUS, SOURCE, TOLERANCE
from deeplab_studio.app.window import MainWindow
from deeplab_studio.core.drawing_shapes import Box, Ellipse
from deeplab_studio.core.geometry import Rect
from tests.e2e.kit import wait_for_photo

LEFT, RIGHT = Qt.MouseButton.LeftButton, Qt.MouseButton.RightButton
NO_KEYS = Qt.KeyboardModifier.NoModifier


@pytest.fixture
def open_window(window: MainWindow, photos: list[Path], qtbot: QtBot) -> MainWindow:
    window.open_paths([photos[0]])
    wait_for_photo(qtbot, window, photos[0])
    window.canvas.setFocus()
    return window


def at(window: MainWindow, x: int, y: int) -> QPoint:
    """Where the middle of an image pixel is in the viewport."""
    return window.canvas.to_viewport(x + 0.5, y + 0.5).toPoint()


def drag(qtbot: QtBot, window: MainWindow, *pixels: tuple[int, int], button=LEFT, keys=NO_KEYS) -> None:
    viewport = window.canvas.viewport()
    qtbot.mousePress(viewport, button, keys, at(window, *pixels[0]))
    for pixel in pixels[1:]:
        qtbot.mouseMove(viewport, at(window, *pixel))
    qtbot.mouseRelease(viewport, button, keys, at(window, *pixels[-1]))


def labels(window: MainWindow) -> np.ndarray:
    return window.session.current.class_map.labels


def press(qtbot: QtBot, window: MainWindow, key: Qt.Key, keys=NO_KEYS) -> None:
    qtbot.keyClick(window.canvas, key, keys)


def option(window: MainWindow, key: str) -> QWidget:
    return window.toolbox.options_bar.page_widget(key)


def hint(window: MainWindow) -> str:
    return window.status_area.notices.label.text()


def test_rectangle_and_ellipse(open_window: MainWindow, qtbot: QtBot) -> None:
    window = open_window
    press(qtbot, window, Qt.Key.Key_M)
    press(qtbot, window, Qt.Key.Key_5)
    drag(qtbot, window, (20, 30), (60, 50), (80, 60))
    top, left, mask = Box(Rect(30, 20, 61, 81)).patch(Rect(0, 0, *labels(window).shape))
    assert (labels(window) == 5).sum() == mask.sum()
    assert (labels(window)[top : top + 31, left : left + 61] == 5).all()
    press(qtbot, window, Qt.Key.Key_M, Qt.KeyboardModifier.ShiftModifier)
    press(qtbot, window, Qt.Key.Key_6)
    drag(qtbot, window, (20, 30), (60, 50), (80, 60))
    assert (labels(window) == 6).sum() == Ellipse(Rect(30, 20, 61, 81)).patch(Rect(0, 0, 400, 400)).mask.sum()
    assert window.session.current.history.names[-2:] == ["Rectangle", "Ellipse"]
    window.actions_["undo"].trigger()
    assert (labels(window) == 5).sum() == mask.sum()
    window.actions_["undo"].trigger()
    assert not labels(window).any()


def test_polygon_takes_its_keys_before_the_window_does(open_window: MainWindow, qtbot: QtBot) -> None:
    window = open_window
    press(qtbot, window, Qt.Key.Key_M)
    press(qtbot, window, Qt.Key.Key_2)
    drag(qtbot, window, (5, 5), (9, 9))
    press(qtbot, window, Qt.Key.Key_Y)
    for place in ((20, 20), (80, 20), (80, 70), (200, 100)):
        drag(qtbot, window, place)
    press(qtbot, window, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert (labels(window) == 2).sum() == 25, "Ctrl+Z took a corner back, not the rectangle"
    press(qtbot, window, Qt.Key.Key_Return)
    assert (labels(window) == 2).sum() == pytest.approx(25 + 60 * 50 / 2, rel=0.05)
    press(qtbot, window, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert (labels(window) == 2).sum() == 25


def test_the_next_image_keeps_a_polygon_where_it_was_drawn(
    window: MainWindow, photos: list[Path], qtbot: QtBot
) -> None:
    window.open_paths([photos[0].parent])
    wait_for_photo(qtbot, window, photos[0])
    first = window.session.current
    press(qtbot, window, Qt.Key.Key_Y)
    press(qtbot, window, Qt.Key.Key_3)
    for place in ((20, 20), (80, 20), (80, 70)):
        drag(qtbot, window, place)
    press(qtbot, window, Qt.Key.Key_D)
    wait_for_photo(qtbot, window, photos[1])
    assert (first.class_map.labels == 3).any()
    assert not window.toolbox.tool("tool_polygon").busy
    assert not (labels(window) == 3).any()


def test_lasso(open_window: MainWindow, qtbot: QtBot) -> None:
    window = open_window
    press(qtbot, window, Qt.Key.Key_Q)
    press(qtbot, window, Qt.Key.Key_7)
    drag(qtbot, window, (20, 20), (80, 20), (80, 60), (20, 60))
    assert (labels(window) == 7).sum() == pytest.approx(60 * 40, rel=0.05)
    drag(qtbot, window, (20, 20), (50, 20), (50, 60), (20, 60), button=RIGHT)
    assert (labels(window) == 7).sum() == pytest.approx(30 * 40, rel=0.1)


def test_bucket(open_window: MainWindow, qtbot: QtBot) -> None:
    window = open_window
    press(qtbot, window, Qt.Key.Key_M)
    press(qtbot, window, Qt.Key.Key_4)
    drag(qtbot, window, (20, 20), (39, 39))
    drag(qtbot, window, (60, 20), (79, 39))
    press(qtbot, window, Qt.Key.Key_F)
    press(qtbot, window, Qt.Key.Key_8)
    drag(qtbot, window, (30, 30))
    assert ((labels(window) == 8).sum(), (labels(window) == 4).sum()) == (400, 400)
    box = option(window, CONTIGUOUS.key)
    assert isinstance(box, QCheckBox)
    box.click()
    assert window.settings.get(CONTIGUOUS.key) is False
    press(qtbot, window, Qt.Key.Key_9)
    drag(qtbot, window, (5, 5))
    assert ((labels(window) == 9).sum(), (labels(window) == 0).sum()) == (labels(window).size - 800, 0)


def test_wand_shows_its_tolerance_and_remembers_it(open_window: MainWindow, qtbot: QtBot) -> None:
    window = open_window
    press(qtbot, window, Qt.Key.Key_U)
    press(qtbot, window, Qt.Key.Key_1)
    tool = window.toolbox.tool("tool_wand")
    viewport = window.canvas.viewport()
    start = at(window, 60, 60)
    qtbot.mousePress(viewport, LEFT, pos=start)
    qtbot.mouseMove(viewport, start + QPoint(30, 0))
    qtbot.mouseMove(viewport, start + QPoint(54, 0))
    assert window.settings.get(TOLERANCE.key) == pytest.approx(10.0)
    assert option(window, TOLERANCE.key).value() == pytest.approx(10.0)
    qtbot.mouseRelease(viewport, LEFT, pos=start + QPoint(54, 0))
    qtbot.waitUntil(lambda: not tool.busy)
    assert labels(window)[60, 60] == 1
    assert window.session.current.history.names[-1] == "Magic wand"
    window.actions_["undo"].trigger()
    assert not labels(window).any()


def test_the_wand_says_why_it_cannot_work_on_scores(open_window: MainWindow, qtbot: QtBot) -> None:
    press(qtbot, open_window, Qt.Key.Key_U)
    source = option(open_window, SOURCE.key)
    assert not source.isEnabled()
    assert "model" in source.toolTip()


def test_void_is_a_key_away_and_hatched(open_window: MainWindow, qtbot: QtBot) -> None:
    window = open_window
    press(qtbot, window, Qt.Key.Key_V)
    assert window.session.painting.active_class == 255
    assert window.classes_panel.active == 255
    assert window.toolbox.options_bar.class_chip.accessibleDescription() == "void"
    press(qtbot, window, Qt.Key.Key_M)
    drag(qtbot, window, (20, 20), (99, 99))
    assert (labels(window) == 255).sum() == 6400
    picture = window.canvas.viewport().grab().toImage()
    colours = {picture.pixelColor(at(window, 40 + i, 50)).rgb() for i in range(20)}
    assert len(colours) > 2


def test_only_unlabelled_is_one_click(open_window: MainWindow, qtbot: QtBot) -> None:
    window = open_window
    press(qtbot, window, Qt.Key.Key_M)
    press(qtbot, window, Qt.Key.Key_4)
    drag(qtbot, window, (20, 20), (39, 39))
    button = next(
        each
        for each in window.toolbox.options_bar.findChildren(QToolButton)
        if each.defaultAction() is window.actions_["paint_unlabelled"]
    )
    button.click()
    assert window.classes_panel.only_over == {0}
    press(qtbot, window, Qt.Key.Key_5)
    drag(qtbot, window, (30, 30), (49, 49))
    assert ((labels(window) == 4).sum(), (labels(window) == 5).sum()) == (400, 300)
    press(qtbot, window, Qt.Key.Key_N)
    assert window.classes_panel.only_over is None
    drag(qtbot, window, (30, 30), (49, 49))
    assert ((labels(window) == 4).sum(), (labels(window) == 5).sum()) == (300, 400)


def test_the_rule_chosen_in_the_panel_shows_on_the_button(open_window: MainWindow) -> None:
    open_window.classes_panel.rule_box.setCurrentIndex(1)
    open_window.classes_panel.rule_box.activated.emit(1)
    assert open_window.actions_["paint_unlabelled"].isChecked()


def test_every_tool_has_a_button_an_icon_a_hint_and_a_page(open_window: MainWindow) -> None:
    window = open_window
    actions = [action for action in window.toolbox.bar.actions() if not action.isSeparator()]
    hints = set()
    for action in actions:
        assert not action.icon().isNull()
        assert action.toolTip()
        action.trigger()
        assert action.isChecked()
        assert window.toolbox.options_bar.name_label.text() == action.text().replace("&", "")
        hints.add(hint(window))
    assert "" not in hints
    assert len(hints) == len(actions)


def test_the_hint_gives_way_to_a_message_and_comes_back(open_window: MainWindow) -> None:
    window = open_window
    window.toolbox.use("tool_lasso")
    before = hint(window)
    window.status_area.show_notice("Something else", "info")
    assert hint(window) == "Something else"
    window.toolbox.use("tool_fill")
    assert hint(window) == "Something else"
    window.status_area.notices.dismiss()
    assert hint(window) not in ("", before, "Something else")


def test_options_are_what_they_were_in_the_last_run(open_window: MainWindow, qtbot: QtBot) -> None:
    window = open_window
    window.toolbox.use("tool_wand")
    option(window, "tools/wand_gap").setValue(3)
    assert window.settings.get("tools/wand_gap") == 3
    assert window.toolbox.tool("tool_wand")._gap == 3
    window.toolbox.use("tool_brush")
    window.toolbox.set_size(44)
    assert option(window, "tools/brush_size").value() == 44


def test_the_next_notch_of_a_size_is_not_lost_in_the_bar(open_window: MainWindow) -> None:
    brush = open_window.toolbox.brush
    open_window.toolbox.use("tool_brush")
    open_window.toolbox.set_size(30)
    for _ in range(10):
        open_window.toolbox.change_size(0.1)
    assert brush.size == 33


def test_a_data_set_that_is_open_elsewhere_is_not_drawn_on(
    new_window: Callable[[], MainWindow], photos: list[Path], qtbot: QtBot
) -> None:
    first = new_window()
    first.open_paths([photos[0].parent])
    wait_for_photo(qtbot, first, photos[0])
    press(qtbot, first, Qt.Key.Key_M)
    drag(qtbot, first, (20, 20), (40, 25))
    first.session.save()
    qtbot.waitUntil(lambda: not first.session.disk.busy and not first.session.unsaved)
    window = new_window()
    window.open_paths([photos[0].parent])
    wait_for_photo(qtbot, window, photos[0])
    before = labels(window).copy()
    for key in (Qt.Key.Key_M, Qt.Key.Key_Q, Qt.Key.Key_Y, Qt.Key.Key_F, Qt.Key.Key_U, Qt.Key.Key_P):
        window.status_area.notices.dismiss()
        press(qtbot, window, key)
        drag(qtbot, window, (120, 20), (140, 25), (150, 60))
        assert not window.canvas.tool.busy
        assert "Nothing can be painted" in hint(window)
    assert np.array_equal(labels(window), before)
