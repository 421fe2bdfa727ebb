"""Going through a data set in the real window: order, filters, states, figures, time, and all of it by keyboard."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QDockWidget, QMenu, QWidget
from pytestqt.qtbot import QtBot

from benchmarks.flow import make_data_set
from deeplab_studio.app.action_rows import ACTIONS
from deeplab_studio.app.panels.file_model import ListOrder
from deeplab_studio.app.predictions import Prediction
from deeplab_studio.app.window import MainWindow
from deeplab_studio.core.labels import VOC_LABELS
from deeplab_studio.core.project import Project
from deeplab_studio.engine.scores import AxisMap, Scores
from tests.e2e.kit import wait_for_photo

CTRL, SHIFT = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.ShiftModifier


def idle(qtbot: QtBot, window: MainWindow) -> None:
    qtbot.waitUntil(lambda: not window.session.disk.busy and not window.session.unsaved, timeout=20_000)


def open_folder(qtbot: QtBot, window: MainWindow, folder: Path, count: int) -> None:
    window.open_paths([folder])
    qtbot.waitUntil(lambda: len(window.session.items) == count, timeout=20_000)
    qtbot.waitUntil(lambda: window.session.current is not None, timeout=20_000)
    idle(qtbot, window)


def scores_of(labels: np.ndarray, sureness: float) -> Scores:
    """Scores that say `labels`, the surer the larger `sureness`."""
    logits = np.zeros((21, *labels.shape), np.float32)
    np.put_along_axis(logits, labels[None].astype(np.intp), sureness, axis=0)
    axes = [
        AxisMap.of_network(pixels=side, shown=side, padded=side, cells=side, align_corners=False)
        for side in labels.shape
    ]
    return Scores(logits, *axes, labels.shape, VOC_LABELS, "net")


def predict(window: MainWindow, item_id: int, labels: np.ndarray, sureness: float = 5.0) -> None:
    window.session.predictions.predicted.emit(Prediction(item_id, scores_of(labels, sureness), labels))


def test_painting_saves_figures_that_the_next_window_sorts_and_filters_by(
    new_window: Callable[[], MainWindow], photos: list[Path], qtbot: QtBot
) -> None:
    window = new_window()
    open_folder(qtbot, window, photos[0].parent, 3)
    first = window.session.current.item.id
    predict(window, first, np.zeros((240, 320), np.uint8))
    painting = window.session.painting
    painting.set_active_class(15)
    painting.begin("Brush stroke")
    painting.paint(0, 0, np.ones((60, 320), bool))
    painting.commit()
    window.session.save()
    figures = window.files_panel.model.figures
    qtbot.waitUntil(lambda: figures(first).pixels == {0: 180 * 320, 15: 60 * 320}, timeout=10_000)
    qtbot.waitUntil(lambda: figures(first).changed == 60 * 320, timeout=10_000)
    assert figures(first).disagreement == pytest.approx(0.25)
    window.close()

    second = new_window()
    open_folder(qtbot, second, photos[0].parent, 3)
    panel = second.files_panel
    qtbot.waitUntil(lambda: panel.model.figures(first).changed == 60 * 320)
    panel.filters.set_class(15)
    assert panel.shown_ids() == [first]
    panel.filters.popup.least.setValue(60 * 320 + 1)
    assert panel.shown_ids() == []


def test_next_follows_the_order_that_is_shown_and_so_does_what_is_read_ahead(
    window: MainWindow, photos: list[Path], qtbot: QtBot
) -> None:
    open_folder(qtbot, window, photos[0].parent, 3)
    ids = [item.id for item in window.session.items]
    for item_id, sureness in zip(ids, (3.0, 0.5, 2.0), strict=True):
        qtbot.waitUntil(lambda item_id=item_id: window.session.document(item_id) is not None, timeout=10_000)
        predict(window, item_id, np.zeros((240, 320), np.uint8), sureness)
    figures = window.files_panel.model.figures
    qtbot.waitUntil(lambda: all(figures(item_id).uncertainty is not None for item_id in ids), timeout=10_000)
    window.files_panel.filters.set_order(ListOrder("uncertainty", True))
    assert window.files_panel.shown_ids() == [ids[1], ids[2], ids[0]]
    window.session.select(ids[1])
    wait_for_photo(qtbot, window, photos[1])
    qtbot.keyClick(window, Qt.Key.Key_D)
    wait_for_photo(qtbot, window, photos[2])
    qtbot.keyClick(window, Qt.Key.Key_D)
    wait_for_photo(qtbot, window, photos[0])
    assert [item.id for item in window.session._selection.around(ids[1])] == [ids[2], ids[0]]


def test_states_by_key_for_the_image_and_for_all_that_are_selected(
    window: MainWindow, photos: list[Path], qtbot: QtBot
) -> None:
    open_folder(qtbot, window, photos[0].parent, 3)
    for key, state in (
        (Qt.Key.Key_R, "reviewed"),
        (Qt.Key.Key_E, "empty"),
        (Qt.Key.Key_I, "in progress"),
        (Qt.Key.Key_D, "done"),
        (Qt.Key.Key_N, "new"),
    ):
        qtbot.keyClick(window, key, SHIFT)
        assert window.session.items[0].state == state
    window.files_panel.list.selectAll()
    qtbot.keyClick(window, Qt.Key.Key_R, SHIFT)
    assert {item.state for item in window.session.items} == {"reviewed"}
    assert window.files_panel.header.share_label.text() == "100 %"
    idle(qtbot, window)
    assert {item.state for item in window.session.project.items()} == {"reviewed"}


def test_done_goes_on_within_the_filter_and_says_when_it_is_through(
    window: MainWindow, photos: list[Path], qtbot: QtBot
) -> None:
    open_folder(qtbot, window, photos[0].parent, 3)
    qtbot.keyClick(window, Qt.Key.Key_F, CTRL)
    window.files_panel.filter_edit.setText("2")
    qtbot.keyClick(window.files_panel.filter_edit, Qt.Key.Key_Return)
    wait_for_photo(qtbot, window, photos[1])
    qtbot.keyClick(window, Qt.Key.Key_Return, CTRL)
    assert window.session.items[1].state == "done"
    assert "the filter lets through" in window.status_area.notices.history[-1].text
    window.actions_["clear_filter"].trigger()
    assert len(window.files_panel.shown_ids()) == 3


def test_masks_of_a_data_set_are_counted_in_the_background_without_beginning_a_project(
    window: MainWindow, photos: list[Path], qtbot: QtBot, tmp_path: Path
) -> None:
    from deeplab_studio.core.voc import write_mask

    root = tmp_path / "VOC2012"
    for name in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        (root / name).mkdir(parents=True)
    for number, photo in enumerate(photos):
        (root / "JPEGImages" / f"{number}.png").write_bytes(photo.read_bytes())
        write_mask(root / "SegmentationClass" / f"{number}.png", np.full((240, 320), number, np.uint8), VOC_LABELS)
    (root / "ImageSets/Segmentation/train.txt").write_text("0\n1\n2\n")
    open_folder(qtbot, window, root, 3)
    model = window.files_panel.model
    qtbot.waitUntil(lambda: [model.images_of(class_id) for class_id in (0, 1, 2)] == [1, 1, 1], timeout=10_000)
    assert not window.session.project.is_on_disk


def test_time_is_counted_for_the_image_on_screen_and_kept(window: MainWindow, photos: list[Path], qtbot: QtBot) -> None:
    open_folder(qtbot, window, photos[0].parent, 3)
    first = window.session.current.item.id
    clock = iter(range(0, 1000, 5))
    window.activity._clock = lambda: float(next(clock))
    for _ in range(3):
        QTest.keyClick(window.windowHandle(), Qt.Key.Key_Shift)
    qtbot.keyClick(window, Qt.Key.Key_D)
    figures = window.files_panel.model.figures
    qtbot.waitUntil(lambda: figures(first).seconds >= 10, timeout=10_000)
    idle(qtbot, window)
    assert window.session.project.figures.of(first).seconds == figures(first).seconds


def test_statistics_follow_the_work_and_lead_to_the_images_of_a_class(
    window: MainWindow, photos: list[Path], qtbot: QtBot, tmp_path: Path
) -> None:
    folder = photos[0].parent
    with Project.for_folder(folder) as project:
        for number, item in enumerate(project.add(photos)):
            project.save_map(item.id, np.full((240, 320), 3 * number, np.uint8), None, state="done")
    open_folder(qtbot, window, folder, 3)
    qtbot.waitUntil(lambda: len(window.files_panel.model.all_figures()) == 3)
    window.actions_["statistics"].trigger()
    dialog = window.statistics.dialog
    assert dialog.statistics.labelled == 3
    assert [dialog.table.item(row, 1).text() for row in (0, 3, 6, 1)] == ["1", "1", "1", "0"]
    assert dialog.plot.length(dialog.plot.bars[3].value) == 1
    dialog.kind_box.setCurrentIndex(dialog.kind_box.findData("images"))
    assert dialog.plot.bars[3].text == "1"
    window.session.set_state(window.session.items[0].id, "reviewed")
    qtbot.waitUntil(lambda: dialog._facts["reviewed"].text() == "1")
    dialog.table.setCurrentCell(6, 0)
    qtbot.keyClick(dialog.table, Qt.Key.Key_Return)
    assert window.files_panel.shown_ids() == [window.session.items[2].id]
    dialog.write("images", tmp_path / "images.csv")
    assert len((tmp_path / "images.csv").read_text("utf-8-sig").splitlines()) == 4
    dialog.write("classes", tmp_path / "missing" / "classes.csv")
    assert "classes.csv" in dialog.message.text()
    window.close()
    assert window.statistics.dialog is None


def test_the_palette_runs_actions_opens_images_and_chooses_classes(
    window: MainWindow, photos: list[Path], qtbot: QtBot
) -> None:
    open_folder(qtbot, window, photos[0].parent, 3)

    def run(typed: str, *keys: Qt.Key) -> None:
        qtbot.keyClick(window, Qt.Key.Key_P, CTRL | SHIFT)
        window.keyboard.palette.edit.setText(typed)
        for key in (*keys, Qt.Key.Key_Return):
            qtbot.keyClick(window.keyboard.palette.edit, key)
        assert not window.keyboard.palette.isVisible()

    run("mark rev")
    qtbot.waitUntil(lambda: window.session.items[0].state == "reviewed")
    run("@3.png")
    wait_for_photo(qtbot, window, photos[2])
    run("#person")
    qtbot.waitUntil(lambda: window.session.painting.active_class == 15)
    run("#255")
    qtbot.waitUntil(lambda: window.session.painting.active_class == 255)
    run("")  # what was used last comes first
    assert window.keyboard.palette.entries[0].title == "Mark as reviewed"
    assert window.settings.get("palette/recent")["ids"][0] == "state_reviewed"
    qtbot.keyClick(window, Qt.Key.Key_P, CTRL)
    assert window.keyboard.palette.isVisible()
    qtbot.keyClick(window.keyboard.palette.edit, Qt.Key.Key_P, CTRL)
    assert not window.keyboard.palette.isVisible()


def test_letters_typed_into_the_palette_reach_no_tool(window: MainWindow, photos: list[Path], qtbot: QtBot) -> None:
    open_folder(qtbot, window, photos[0].parent, 3)
    before = window.session.current_id
    tool = window.canvas.tool
    qtbot.keyClick(window, Qt.Key.Key_P, CTRL | SHIFT)
    for key in (Qt.Key.Key_D, Qt.Key.Key_P, Qt.Key.Key_PageDown, Qt.Key.Key_F6):
        qtbot.keyClick(window.keyboard.palette.edit, key)
    assert window.keyboard.palette.edit.text() == "dp"
    assert window.session.current_id == before
    assert window.canvas.tool is tool


def test_every_action_has_a_menu_entry_or_a_key(window: MainWindow) -> None:
    def inside(menu: QMenu) -> set[object]:
        below = [action.menu() for action in menu.actions() if isinstance(action.menu(), QMenu)]
        return set(menu.actions()).union(*(inside(each) for each in below))

    in_menus = set().union(*(inside(action.menu()) for action in window.menuBar().actions()))
    for spec in ACTIONS:
        action = window.actions_[spec.id]
        assert action in in_menus or action.shortcuts(), spec.id
        assert "&" not in action.toolTip(), spec.id
    mnemonics = [action.text()[action.text().index("&") + 1] for action in window.menuBar().actions()]
    assert len(set(mnemonics)) == len(mnemonics)


def test_every_panel_gets_the_focus_by_key_and_back(window: MainWindow, photos: list[Path], qtbot: QtBot) -> None:
    open_folder(qtbot, window, photos[0].parent, 3)
    window.empty_state.paintRequested.emit()
    window.activateWindow()
    window.canvas.setFocus()
    docks = [dock for dock in window.findChildren(QDockWidget) if dock.isVisible()]
    assert len(docks) >= 4

    def panel() -> object:
        focus = window.focusWidget()
        return next((dock for dock in docks if dock.isAncestorOf(focus)), focus)

    seen = []
    for _ in range(len(docks) + 3):
        qtbot.keyClick(window, Qt.Key.Key_F6)
        seen.append(panel())
    for dock in set(docks) - set(seen):  # nothing in it can be done now
        takers = [each for each in dock.findChildren(QWidget) if each.focusPolicy() & Qt.FocusPolicy.TabFocus]
        assert not [each for each in takers if each.isEnabled() and each.isVisible()]
    assert window.canvas in seen
    here = panel()
    qtbot.keyClick(window, Qt.Key.Key_F6)
    qtbot.keyClick(window, Qt.Key.Key_F6, SHIFT)
    assert panel() is here


def test_the_focus_comes_back_to_where_it_was_in_a_panel(window: MainWindow, photos: list[Path], qtbot: QtBot) -> None:
    open_folder(qtbot, window, photos[0].parent, 3)
    window.activateWindow()
    window.files_panel.focus_filter()
    qtbot.waitUntil(window.files_panel.filter_edit.hasFocus)
    qtbot.keyClick(QApplication.focusWidget(), Qt.Key.Key_F6)
    assert not window.files_panel.isAncestorOf(window.focusWidget())
    qtbot.keyClick(window, Qt.Key.Key_F6, SHIFT)
    assert window.files_panel.filter_edit.hasFocus()


def test_a_key_of_ones_own_works_at_once(window: MainWindow, photos: list[Path], qtbot: QtBot) -> None:
    open_folder(qtbot, window, photos[0].parent, 3)
    window.keyboard.keymap.add("next", "J")
    window.keyboard.keymap.remove("next", "D")
    qtbot.keyClick(window, Qt.Key.Key_J)
    wait_for_photo(qtbot, window, photos[1])
    qtbot.keyClick(window, Qt.Key.Key_D)
    assert window.session.current_id == window.session.items[1].id


def test_ten_thousand_labelled_images_are_sorted_filtered_and_walked_through(
    window: MainWindow, qtbot: QtBot, tmp_path: Path
) -> None:
    folder = tmp_path / "many"
    folder.mkdir()
    make_data_set(folder, 10_000, (24, 32))
    open_folder(qtbot, window, folder, 10_000)
    panel = window.files_panel
    qtbot.waitUntil(lambda: len(panel.model.all_figures()) == 10_000)
    figures = panel.model.figures
    panel.filters.set_order(ListOrder("uncertainty", True))
    values = [figures(item_id).uncertainty for item_id in panel.shown_ids()]
    assert values == sorted(values, reverse=True)
    panel.filters.set_states(frozenset({"new"}))
    class_id = next(iter(figures(panel.shown_ids()[0]).pixels))
    panel.filters.set_class(class_id)
    shown = panel.shown_ids()
    assert 0 < len(shown) < 2500
    assert all(class_id in figures(item_id).pixels for item_id in shown)
    window.session.select(shown[0])
    for item_id in shown[1:15]:
        qtbot.keyClick(window, Qt.Key.Key_D)
        qtbot.waitUntil(lambda item_id=item_id: window.session.current.item.id == item_id, timeout=10_000)
    window.session.set_states([item.id for item in window.session.items], "done")
    assert panel.header.share_label.text() == "100 %"
    assert panel.shown_ids() == shown
    window.actions_["arrange"].trigger()
    assert panel.shown_ids() == []
