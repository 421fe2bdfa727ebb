"""Keys of one's own: kept, in conflict, refused, reset, taken to another machine; and the window for them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from pytestqt.qtbot import QtBot

from deeplab_studio.app.action_rows import ACTIONS
from deeplab_studio.app.keymap import Keymap, action_name, portable
from deeplab_studio.app.settings import Settings
from deeplab_studio.app.shortcuts_dialog import ShortcutsDialog
from deeplab_studio.core.errors import StudioError

CTRL, SHIFT = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.ShiftModifier


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(tmp_path / "settings.ini")


@pytest.fixture
def keymap(settings: Settings) -> Keymap:
    return Keymap(settings)


class TestKeymap:
    def test_without_changes_every_action_has_the_keys_of_the_table(self, keymap: Keymap) -> None:
        assert all(keymap.keys(spec.id) == spec.shortcuts for spec in ACTIONS)
        assert keymap.own() == {}

    def test_no_key_of_the_table_would_be_refused(self, keymap: Keymap) -> None:
        refused = {(spec.id, key): keymap.refusal(key, spec.id) for spec in ACTIONS for key in spec.shortcuts}
        assert {what: why for what, why in refused.items() if why} == {}

    def test_a_new_key_is_there_in_the_next_run(self, keymap: Keymap, settings: Settings, qtbot: QtBot) -> None:
        with qtbot.waitSignal(keymap.changed):
            keymap.add("undo", "j")
        assert keymap.keys("undo") == ("Ctrl+Z", "J")
        settings.sync()
        assert Keymap(Settings(settings.path)).keys("undo") == ("Ctrl+Z", "J")

    def test_a_key_has_one_owner(self, keymap: Keymap) -> None:
        assert keymap.owner("Ctrl+Z") == "undo"
        keymap.add("clear", "Ctrl+Z")
        assert keymap.owner("Ctrl+Z") == "clear"
        assert keymap.keys("undo") == ()
        keymap.add("redo", "Ctrl+Z")
        assert keymap.keys("clear") == ("Ctrl+Shift+Delete",)
        assert not keymap.is_own("clear")

    def test_reset_takes_the_keys_back_from_whoever_has_them(self, keymap: Keymap) -> None:
        keymap.add("clear", "Ctrl+Z")
        keymap.reset("undo")
        assert keymap.keys("undo") == ("Ctrl+Z",)
        assert keymap.keys("clear") == ("Ctrl+Shift+Delete",)
        keymap.add("undo", "J")
        keymap.reset_all()
        assert keymap.own() == {}

    def test_taking_all_keys_away_is_possible_and_kept(self, keymap: Keymap, settings: Settings) -> None:
        keymap.remove("undo", "Ctrl+Z")
        assert Keymap(settings).keys("undo") == ()

    @pytest.mark.parametrize(
        ("key", "words"),
        [
            ("Space", "moves the picture"),
            ("Esc", "takes back"),
            ("Shift", "straight"),
            ("Backspace", "last point"),
            ("Return", "completes"),
            ("Enter", "completes"),
            ("Tab", "next control"),
            ("Shift+Space", "moves the picture"),
            ("Control", "another one with it"),
            ("Left", "Arrow keys"),
            ("Alt+F", "menu File"),
            ("nonsense", "no key"),
            ("", "no key"),
            ("A, B", "no key"),
        ],
    )
    def test_keys_that_mean_something_by_themselves_are_refused_with_the_reason(
        self, keymap: Keymap, key: str, words: str
    ) -> None:
        assert words in keymap.refusal(key, "undo")
        with pytest.raises(ValueError, match=words):
            keymap.add("undo", key)

    @pytest.mark.parametrize("key", ["Ctrl+Space", "Ctrl+Return", "Alt+Left", "Shift+A", "F9", "Num+1", "Ctrl++"])
    def test_others_are_not(self, keymap: Keymap, key: str) -> None:
        assert keymap.refusal(key, "undo") == ""

    def test_a_key_to_hold_is_one_plain_key(self, keymap: Keymap) -> None:
        assert "hold" in keymap.refusal("Ctrl+J", "peek")
        keymap.add("peek", "T")
        assert keymap.keys("peek") == ("T",)

    def test_a_file_of_keys_goes_round(self, keymap: Keymap, tmp_path: Path) -> None:
        keymap.add("undo", "J")
        keymap.remove("next", "D")
        keymap.write(tmp_path / "keys.json")
        other = Keymap(Settings(tmp_path / "other.ini"))
        other.add("redo", "F9")
        assert other.read(tmp_path / "keys.json") == []
        assert other.own() == keymap.own()

    def test_what_a_file_cannot_mean_is_told_and_the_rest_is_taken(self, keymap: Keymap, tmp_path: Path) -> None:
        path = tmp_path / "keys.json"
        keys = {"undo": ["J", "Space"], "redo": ["J", "F9"], "dance": ["K"], "next": "D"}
        path.write_text(json.dumps({"format": "deeplab-studio keys 1", "keys": keys}))
        problems = keymap.read(path)
        assert [words in text for words, text in zip(["dance", "next", "Space", "J"], sorted_by(problems), strict=True)]
        assert keymap.keys("undo") == ("J",)
        assert keymap.keys("redo") == ("F9",)
        assert keymap.keys("next") == ("D", "PgDown")

    def test_a_key_of_the_table_goes_to_who_asks_for_it_in_a_file(self, keymap: Keymap, tmp_path: Path) -> None:
        path = tmp_path / "keys.json"
        path.write_text(json.dumps({"format": "deeplab-studio keys 1", "keys": {"clear": ["Ctrl+Z"]}}))
        assert keymap.read(path) == []
        assert keymap.keys("undo") == ()
        assert keymap.owner("Ctrl+Z") == "clear"

    @pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 3, "keys": {}}', '{"format": "other"}', "\0"])
    def test_a_file_of_something_else_changes_nothing(self, keymap: Keymap, tmp_path: Path, text: str) -> None:
        keymap.add("undo", "J")
        (tmp_path / "keys.json").write_text(text)
        with pytest.raises(StudioError, match=r"keys\.json: this is no file of keys"):
            keymap.read(tmp_path / "keys.json")
        with pytest.raises(StudioError, match=r"missing\.json: it cannot be read"):
            keymap.read(tmp_path / "missing.json")
        assert keymap.keys("undo") == ("Ctrl+Z", "J")

    def test_settings_edited_into_nonsense_leave_every_key_with_one_action(self, settings: Settings) -> None:
        settings.set("keys/own", {"undo": ["Ctrl+Y", 5, "Space"], "gone": ["A"], "redo": {"a": 1}})
        keymap = Keymap(settings)
        keys = [portable(key) for spec in ACTIONS for key in keymap.keys(spec.id)]
        assert len(keys) == len(set(keys))
        assert keymap.owner("Ctrl+Y") == "undo"


def sorted_by(problems: list[str]) -> list[str]:
    order = ["dance", "action next", "Space", " J "]
    return sorted(problems, key=lambda text: next(n for n, words in enumerate(order) if words in f" {text} "))


class TestDialog:
    @pytest.fixture
    def dialog(self, keymap: Keymap, qtbot: QtBot) -> ShortcutsDialog:
        dialog = ShortcutsDialog(keymap)
        qtbot.addWidget(dialog)
        dialog.show()
        return dialog

    def names(self, dialog: ShortcutsDialog) -> list[str]:
        return [row.text(0) for row in dialog._rows.values() if not row.isHidden()]

    def test_actions_are_found_by_name_by_key_and_by_menu(self, dialog: ShortcutsDialog, qtbot: QtBot) -> None:
        qtbot.keyClicks(dialog.filter_edit, "brush")
        assert "Brush" in self.names(dialog)
        assert "Undo" not in self.names(dialog)
        dialog.filter_edit.setText("ctrl+z")
        assert self.names(dialog) == ["Undo"]
        dialog.filter_edit.setText("help")
        assert "Keyboard shortcuts" in self.names(dialog)

    def test_a_free_key_is_recorded_by_pressing_it(self, dialog: ShortcutsDialog, keymap: Keymap, qtbot: QtBot) -> None:
        dialog.choose("undo")
        qtbot.keyClick(dialog.recorder, Qt.Key.Key_J, CTRL | SHIFT)
        assert keymap.keys("undo") == ("Ctrl+Z", "Ctrl+Shift+J")
        assert dialog._rows["undo"].text(1) == "Ctrl+Z, Ctrl+Shift+J"
        assert [button.text() for button in dialog.key_buttons] == ["Ctrl+Z", "Ctrl+Shift+J"]
        dialog.key_buttons[0].click()
        assert keymap.keys("undo") == ("Ctrl+Shift+J",)
        dialog.reset_button.click()
        assert keymap.keys("undo") == ("Ctrl+Z",)
        assert not dialog.reset_button.isEnabled()

    def test_a_taken_key_is_only_taken_when_the_person_says_so(
        self, dialog: ShortcutsDialog, keymap: Keymap, qtbot: QtBot
    ) -> None:
        dialog.choose("clear")
        qtbot.keyClick(dialog.recorder, Qt.Key.Key_B)
        assert "“Brush”" in dialog.message_label.text()
        assert keymap.owner("B") == "tool_brush"
        dialog.choose("undo")
        assert dialog.take_button.isHidden()
        dialog.choose("clear")
        qtbot.keyClick(dialog.recorder, Qt.Key.Key_B)
        dialog.take_button.click()
        assert keymap.owner("B") == "clear"
        assert "B" not in keymap.keys("tool_brush")
        dialog.reset_all_button.click()
        assert keymap.owner("B") == "tool_brush"

    @pytest.mark.parametrize(
        ("key", "words"), [(Qt.Key.Key_Space, "moves the picture"), (Qt.Key.Key_Escape, "takes back")]
    )
    def test_a_reserved_key_is_refused_with_the_reason_and_closes_nothing(
        self, dialog: ShortcutsDialog, keymap: Keymap, qtbot: QtBot, key: Qt.Key, words: str
    ) -> None:
        dialog.choose("undo")
        qtbot.keyClick(dialog.recorder, key)
        assert words in dialog.message_label.text()
        assert dialog.isVisible()
        assert keymap.own() == {}

    def test_shift_alone_is_refused_once_it_is_let_go(self, dialog: ShortcutsDialog, qtbot: QtBot) -> None:
        dialog.choose("undo")
        qtbot.keyPress(dialog.recorder, Qt.Key.Key_Shift)
        assert dialog.message_label.text() == ""
        qtbot.keyRelease(dialog.recorder, Qt.Key.Key_Shift)
        assert "straight" in dialog.message_label.text()

    def test_keys_travel_in_a_file(self, dialog: ShortcutsDialog, keymap: Keymap, tmp_path: Path) -> None:
        keymap.add("undo", "J")
        dialog.export_to(tmp_path / "keys.json")
        keymap.reset_all()
        dialog.import_from(tmp_path / "keys.json")
        assert keymap.keys("undo") == ("Ctrl+Z", "J")
        (tmp_path / "bad.json").write_text("nothing")
        dialog.import_from(tmp_path / "bad.json")
        assert "bad.json" in dialog.message_label.text()

    def test_every_action_is_listed_under_a_name_of_its_own(self, dialog: ShortcutsDialog) -> None:
        names = [action_name(spec) for spec in ACTIONS if spec.id.startswith("class_")]
        assert len(set(names)) == 10
        assert len(dialog._rows) == len(ACTIONS)
