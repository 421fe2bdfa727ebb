from __future__ import annotations

import importlib.util
from collections import Counter
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QMainWindow, QToolBar
from pytestqt.qtbot import QtBot

from deeplab_studio.app.action_rows import ACTIONS, MENUS
from deeplab_studio.app.actions import Actions
from deeplab_studio.app.icons import GLYPHS
from deeplab_studio.app.keymap import Keymap
from deeplab_studio.app.settings import Settings

REPOSITORY = Path(__file__).resolve().parents[3]


@pytest.fixture
def called() -> list[tuple[object, ...]]:
    return []


@pytest.fixture
def window(qtbot: QtBot) -> QMainWindow:
    window = QMainWindow()
    qtbot.addWidget(window)
    window.show()
    return window


@pytest.fixture
def actions(window: QMainWindow, called: list[tuple[object, ...]]) -> Actions:
    def callback(action_id: str):
        return lambda *values: called.append((action_id, *values))

    return Actions(window, {spec.id: callback(spec.id) for spec in ACTIONS})


def test_ids_and_keys_are_given_once() -> None:
    assert [name for name, count in Counter(spec.id for spec in ACTIONS).items() if count > 1] == []
    keys = Counter(key for spec in ACTIONS for key in spec.shortcuts)
    assert [key for key, count in keys.items() if count > 1] == []


def test_every_row_stands_in_a_menu_that_there_is_and_has_an_icon_that_there_is() -> None:
    assert {spec.menu for spec in ACTIONS} - {""} == set(MENUS)
    assert {spec.icon for spec in ACTIONS} - {""} <= set(GLYPHS)


def test_a_callback_is_missing_or_too_many(window: QMainWindow) -> None:
    with pytest.raises(KeyError, match="open_images"):
        Actions(window, {spec.id: print for spec in ACTIONS if spec.id != "open_images"})
    with pytest.raises(KeyError, match="dance"):
        Actions(window, {**{spec.id: print for spec in ACTIONS}, "dance": print})


def test_only_a_persons_click_calls_back(actions: Actions, called: list[tuple[object, ...]]) -> None:
    actions.set_checked("outlines", True)
    assert called == []
    actions["outlines"].trigger()
    actions["undo"].setEnabled(True)
    actions["undo"].trigger()
    assert called == [("outlines", False), ("undo",)]


def test_what_an_action_needs(actions: Actions) -> None:
    conditions = {name: False for spec in ACTIONS for name in spec.needs.split("+") if name}
    actions.update_enabled(conditions)
    assert not actions["predict"].isEnabled()
    actions.update_enabled({**conditions, "model": True})
    assert not actions["predict"].isEnabled()
    actions.update_enabled({**conditions, "model": True, "image": True})
    assert actions["predict"].isEnabled()
    assert actions["open_images"].isEnabled()


def test_a_held_key_says_when_it_goes_down_and_up(actions: Actions, called: list[tuple[object, ...]]) -> None:
    actions["peek"].setEnabled(True)
    assert actions.key_held(Qt.Key.Key_H, True)
    assert actions.key_held(Qt.Key.Key_H, False)
    assert not actions.key_held(Qt.Key.Key_F12, True)
    assert called == [("peek", True), ("peek", False)]


def test_menus_and_toolbar_hold_what_the_table_says(actions: Actions, window: QMainWindow) -> None:
    bar, tools = QToolBar(), QToolBar()
    actions.fill_toolbar(bar)
    actions.fill_toolbar(tools, tools=True)
    actions.fill_menu_bar(window.menuBar())
    for each, wanted in ((bar, False), (tools, True)):
        buttons = [action.objectName() for action in each.actions() if not action.isSeparator()]
        assert buttons == [spec.id for spec in ACTIONS if spec.toolbar and (spec.group == "tool") == wanted]
        assert not each.actions()[0].isSeparator()


def test_keys_a_person_has_chosen_work_at_once(
    window: QMainWindow, called: list[tuple[object, ...]], tmp_path: Path
) -> None:
    keymap = Keymap(Settings(tmp_path / "settings.ini"))
    actions = Actions(
        window, {spec.id: lambda *values, name=spec.id: called.append((name, *values)) for spec in ACTIONS}, keymap
    )
    keymap.add("undo", "J")
    keymap.add("peek", "T")
    assert [key.toString() for key in actions["undo"].shortcuts()] == ["Ctrl+Z", "J"]
    assert actions["undo"].toolTip() == "Undo (Ctrl+Z, J)"
    assert actions["peek"].text().endswith("\tT")
    assert not actions.key_held(Qt.Key.Key_H, True)
    actions["peek"].setEnabled(True)
    assert actions.key_held(Qt.Key.Key_T, True)
    assert called == [("peek", True)]
    keymap.remove("peek", "T")
    assert not actions.key_held(Qt.Key.Key_T, True)
    assert "\t" not in actions["peek"].text()


def test_the_page_of_keys_is_up_to_date() -> None:
    spec = importlib.util.spec_from_file_location("make_shortcuts", REPOSITORY / "docs" / "make_shortcuts.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.PAGE.read_text("utf-8") == module.page(), "run python docs/make_shortcuts.py"
