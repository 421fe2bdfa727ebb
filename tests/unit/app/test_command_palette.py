"""Few letters find the right thing, and Enter does it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLineEdit, QMainWindow, QMenu
from pytestqt.qtbot import QtBot

from deeplab_studio.app.command_palette import CommandPalette
from deeplab_studio.app.fuzzy import match
from deeplab_studio.app.palette_entries import MOST, Entry, class_entries, find, image_entries, menu_entries, ranked
from deeplab_studio.core.labels import VOC_LABELS
from deeplab_studio.core.project import Item


def entries(*titles: str) -> list[Entry]:
    return [Entry(title, title, lambda: None) for title in titles]


def titles(found: list[Entry]) -> list[str]:
    return [entry.title for entry in found]


class TestMatch:
    @pytest.mark.parametrize(
        ("typed", "better", "worse"),
        [
            ("un", "Undo", "Mark as done (unseen)"),
            ("md", "Mark as done", "Method"),
            ("mark do", "Mark as done", "Mark as in progress: do"),
            ("zoom", "Zoom in", "Z of one model"),
            ("crf", "Refine with the CRF", "Clear for"),
        ],
    )
    def test_beginnings_of_words_and_letters_in_a_row_are_worth_more(self, typed: str, better: str, worse: str) -> None:
        assert match(typed, better).score > match(typed, worse).score

    def test_the_letters_that_were_meant_are_told(self) -> None:
        assert match("md", "Mark as done").places == (0, 8)
        assert match("", "anything").places == ()
        assert match("사 1", "내 사진 1.png").places == (2, 5)
        assert match("xyz", "Undo") is None
        assert match("longer than it", "Undo") is None

    @given(typed=st.text(min_size=1, max_size=6), name=st.text(max_size=12))
    def test_places_spell_what_was_typed_and_there_is_a_match_whenever_there_can_be(
        self, typed: str, name: str
    ) -> None:
        wanted = [letter for letter in typed.casefold() if not letter.isspace()]
        found = match(typed, name)
        rest = iter([letter.casefold()[:1] for letter in name])
        assert (found is not None) == all(letter in rest for letter in wanted)
        if found is not None and wanted:
            assert [name[place].casefold()[:1] for place in found.places] == wanted
            assert list(found.places) == sorted(set(found.places))


class TestFinding:
    def test_nothing_typed_shows_what_was_used_of_late_first_and_what_cannot_be_done_last(self) -> None:
        known = entries("Open", "Undo", "Redo", "Export")
        known[0] = replace(known[0], enabled=False)
        assert titles(ranked("", known, ["Export", "Open"])) == ["Export", "Undo", "Redo", "Open"]

    def test_the_menu_counts_too_but_less_than_the_name(self) -> None:
        known = [
            Entry("1", "Smaller", lambda: None, "Brush"),
            Entry("2", "Brush", lambda: None, "Tools"),
            Entry("3", "Larger", lambda: None, "Brush"),
        ]
        assert titles(ranked("brush", known)) == ["Brush", "Larger", "Smaller"]
        assert titles(ranked("brush sm", known)) == ["Smaller"]

    def test_signs_choose_what_is_looked_for(self) -> None:
        images = [Entry(f"@{n}", f"IMG_{n:05}.jpg", lambda: None) for n in range(10_000)]
        classes = class_entries(VOC_LABELS, print, lambda _id: "")
        actions = entries("Image size", "Undo")
        assert titles(find("#per", actions, images, classes, ())) == ["15  person"]
        assert titles(find("#15", actions, images, classes, ()))[0] == "15  person"
        assert titles(find("#255", actions, images, classes, ())) == ["255  void"]
        assert titles(find("@04242", actions, images, classes, ()))[0] == "IMG_04242.jpg"
        assert len(find("@", actions, images, classes, ())) == MOST
        assert titles(find("@i99", actions, images, classes, ()))[0].startswith("IMG_")
        assert titles(find("04242", actions, images, classes, ())) == ["IMG_04242.jpg"]
        assert titles(find("img", actions, images, classes, ()))[-1].startswith("IMG_")
        assert titles(find("u", actions, images, classes, ())) == ["Undo"]

    def test_images_carry_the_sign_of_their_state_and_open(self, qapp: object) -> None:
        opened: list[int] = []
        items = [Item(n, f"{n}.jpg", Path(f"/d/{n}.jpg"), "done", str(n)) for n in (7, 8)]
        found = image_entries(items, opened.append)
        found[1].run()
        assert opened == [8]
        assert not found[0].icon.isNull()


@pytest.fixture
def window(qtbot: QtBot) -> QMainWindow:
    window = QMainWindow()
    qtbot.addWidget(window)
    window.setCentralWidget(QLineEdit())
    window.resize(900, 600)
    window.show()
    qtbot.waitExposed(window)
    window.activateWindow()
    window.centralWidget().setFocus()
    return window


def test_the_menus_are_read_with_their_paths_keys_and_states(window: QMainWindow) -> None:
    menu = window.menuBar().addMenu("&View")
    fit = menu.addAction("&Fit in window…")
    fit.setShortcuts(["Ctrl+0", "F"])
    menu.addSeparator()
    held = menu.addAction("Bare photo\tH")
    below = QMenu("&Panels", window)
    menu.addMenu(below)
    images = below.addAction("Images")
    images.setCheckable(True)
    images.setChecked(True)
    images.setEnabled(False)
    found = menu_entries(window.menuBar())
    assert [(entry.title, entry.path, entry.keys) for entry in found] == [
        ("Fit in window", "View", "Ctrl+0, F"),
        ("Bare photo", "View", "H"),
        ("Images", "View › Panels", ""),
    ]
    assert [entry.enabled for entry in found] == [True, False, False]
    assert found[2].checked
    assert held.isEnabled()


class TestPalette:
    @pytest.fixture
    def known(self) -> list[Entry]:
        return [*entries("Open", "Undo", "Redo"), Entry("x", "Export", lambda: None, enabled=False)]

    @pytest.fixture
    def palette(self, window: QMainWindow, known: list[Entry], qtbot: QtBot) -> CommandPalette:
        palette = CommandPalette(window, lambda typed: ranked(typed, known))
        palette.open()
        qtbot.waitUntil(palette.edit.hasFocus)
        return palette

    def test_arrows_choose_and_enter_runs_what_is_chosen(self, palette: CommandPalette, qtbot: QtBot) -> None:
        qtbot.keyClick(palette.edit, Qt.Key.Key_Down)
        qtbot.keyClick(palette.edit, Qt.Key.Key_Down)
        qtbot.keyClick(palette.edit, Qt.Key.Key_Up)
        with qtbot.waitSignal(palette.chosen) as chosen:
            qtbot.keyClick(palette.edit, Qt.Key.Key_Return)
        assert chosen.args[0].title == "Undo"
        assert not palette.isVisible()

    def test_the_list_goes_round_and_pages_do_not(self, palette: CommandPalette, qtbot: QtBot) -> None:
        qtbot.keyClick(palette.edit, Qt.Key.Key_Up)
        assert palette.current.title == "Export"
        qtbot.keyClick(palette.edit, Qt.Key.Key_Down)
        assert palette.current.title == "Open"
        qtbot.keyClick(palette.edit, Qt.Key.Key_PageDown)
        assert palette.current.title == "Export"
        qtbot.keyClick(palette.edit, Qt.Key.Key_PageDown)
        assert palette.current.title == "Export"

    def test_typing_narrows_and_chooses_the_first(self, palette: CommandPalette, qtbot: QtBot) -> None:
        qtbot.keyClicks(palette.edit, "re")
        assert titles(palette.entries)[0] == "Redo"
        assert palette.current.title == "Redo"
        qtbot.keyClicks(palette.edit, "zzz")
        assert palette.current is None
        assert palette.foot.text() == "Nothing is called that."
        with qtbot.assertNotEmitted(palette.chosen):
            qtbot.keyClick(palette.edit, Qt.Key.Key_Return)

    def test_what_cannot_be_done_says_so_and_stays(self, palette: CommandPalette, qtbot: QtBot) -> None:
        qtbot.keyClicks(palette.edit, "export")
        with qtbot.assertNotEmitted(palette.chosen, wait=50):
            qtbot.keyClick(palette.edit, Qt.Key.Key_Return)
        assert palette.isVisible()
        assert "cannot be done now" in palette.foot.text()

    def test_escape_gives_the_focus_back(self, palette: CommandPalette, window: QMainWindow, qtbot: QtBot) -> None:
        qtbot.keyClick(palette.edit, Qt.Key.Key_Escape)
        assert not palette.isVisible()
        assert window.focusWidget() is window.centralWidget()

    def test_a_click_elsewhere_closes_it_and_leaves_the_focus_there(
        self, palette: CommandPalette, window: QMainWindow, qtbot: QtBot
    ) -> None:
        window.centralWidget().setFocus()
        assert not palette.isVisible()

    def test_it_stays_inside_the_window_and_follows_its_size(
        self, palette: CommandPalette, window: QMainWindow, qtbot: QtBot
    ) -> None:
        for size in ((900, 600), (420, 300)):
            window.resize(*size)
            qtbot.wait(1)
            assert window.rect().contains(palette.geometry())

    def test_the_letters_typed_are_set_off(self, palette: CommandPalette, qtbot: QtBot) -> None:
        plain = palette.list.viewport().grab(palette.list.visualRect(palette._model.index(0))).toImage()
        qtbot.keyClicks(palette.edit, "op")
        marked = palette.list.viewport().grab(palette.list.visualRect(palette._model.index(0))).toImage()
        assert palette.current.places == (0, 1)
        assert plain != marked
