"""The list of images: ten thousand rows, thumbnails only where somebody looks, filter, states, keys."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
from PySide6.QtCore import QEvent, QItemSelectionModel, QMimeData, QPoint, Qt, QUrl
from PySide6.QtGui import QContextMenuEvent, QDragEnterEvent, QGuiApplication, QImage
from PySide6.QtWidgets import QApplication, QMenu

from deeplab_studio.app.panels.file_model import STATES, ListOrder, Thumbnails, duration
from deeplab_studio.app.panels.files import STATE_MARKS, FilesPanel, ItemRow
from deeplab_studio.core.item_figures import Figures
from deeplab_studio.core.labels import LabelSet


def rows(count: int) -> list[ItemRow]:
    return [ItemRow(1000 + n, f"IMG_{n:05}.jpg", Path(f"/data/photos/IMG_{n:05}.jpg")) for n in range(count)]


def picture(panel: FilesPanel, side: int = 0) -> QImage:
    image = QImage(panel.thumbnail_size() if not side else panel.thumbnail_size() * side, QImage.Format.Format_RGB32)
    image.fill(Qt.GlobalColor.darkGreen)
    return image


@pytest.fixture
def panel(qtbot):
    panel = FilesPanel()
    qtbot.addWidget(panel)
    panel.asked = []
    panel.thumbnailNeeded.connect(panel.asked.append)
    panel.resize(260, 560)
    panel.show()
    return panel


def settle(qtbot, panel):
    """Wait until the list has asked for what it wants to ask for."""
    qtbot.waitUntil(lambda: not panel._near.isActive())


def visible_rows(panel) -> int:
    return panel.list.viewport().height() // panel._delegate.sizeHint(None, None).height() + 1


def click_row(qtbot, panel, row, button=Qt.MouseButton.LeftButton, modifier=Qt.KeyboardModifier.NoModifier):
    place = panel.list.visualRect(panel._model.index(row)).center()
    qtbot.mouseClick(panel.list.viewport(), button, modifier, place)


class TestThumbnails:
    def test_only_rows_near_the_view_are_asked_for_out_of_ten_thousand(self, panel, qtbot):
        panel.set_items(rows(10_000))
        settle(qtbot, panel)
        assert panel._model.rowCount() == 10_000
        seen = visible_rows(panel)
        assert seen <= len(panel.asked) <= 2 * seen + 2
        assert panel.asked[:3] == [1000, 1001, 1002]
        assert max(panel.asked) < 1000 + 2 * seen + 2

    def test_nothing_is_asked_for_twice_while_the_answer_is_awaited(self, panel, qtbot):
        panel.set_items(rows(500))
        settle(qtbot, panel)
        panel.list.verticalScrollBar().setValue(10)
        settle(qtbot, panel)
        assert len(panel.asked) == len(set(panel.asked))

    def test_scrolling_far_asks_there_and_no_longer_wants_what_is_behind(self, panel, qtbot):
        panel.set_items(rows(10_000))
        settle(qtbot, panel)
        first = list(panel.asked)
        panel.list.scrollTo(panel._model.index(5000))
        settle(qtbot, panel)
        new = panel.asked[len(first) :]
        assert new
        assert all(abs(item_id - 6000) < 3 * visible_rows(panel) for item_id in new)
        assert not any(panel.wants_thumbnail(item_id) for item_id in first)
        assert all(panel.wants_thumbnail(item_id) for item_id in new)

    def test_a_hidden_panel_asks_for_nothing_until_it_is_shown(self, qtbot):
        panel = FilesPanel()
        qtbot.addWidget(panel)
        asked = []
        panel.thumbnailNeeded.connect(asked.append)
        panel.set_items(rows(50))
        settle(qtbot, panel)
        assert asked == []
        panel.show()
        settle(qtbot, panel)
        assert asked

    def test_memory_stays_bounded_while_walking_through_ten_thousand(self, qtbot):
        bound = 40 * 60 * 44 * 4
        panel = FilesPanel(thumbnail_bytes=bound)
        qtbot.addWidget(panel)
        panel.resize(260, 400)
        panel.show()
        panel.thumbnailNeeded.connect(lambda item_id: panel.set_thumbnail(item_id, picture(panel)))
        panel.set_items(rows(10_000))
        answered = 0
        panel.thumbnailNeeded.connect(lambda _: None)
        for row in range(0, 10_000, 500):
            panel.list.scrollTo(panel._model.index(row))
            settle(qtbot, panel)
            assert panel.thumbnail_bytes() <= bound
            answered += panel._thumbnails.get(1000 + row) is not None
        assert answered == 20

    def test_the_rows_in_view_keep_their_pictures_when_memory_runs_out(self):
        store = Thumbnails(4 * 100 * 100 * 3)
        image = QImage(100, 100, QImage.Format.Format_RGB32)
        for item_id in (1, 2, 3):
            store.put(item_id, image)
        assert store.ask([2, 3, 1, 4]) == [4]
        store.put(4, image)
        assert [item_id for item_id in (1, 2, 3, 4) if store.get(item_id) is not None] == [2, 3, 4]

    def test_a_picture_that_cannot_be_had_is_not_asked_for_again(self, panel, qtbot):
        panel.set_items(rows(3))
        settle(qtbot, panel)
        panel.set_thumbnail(1001, QImage())
        panel.list.nearChanged.emit()
        settle(qtbot, panel)
        assert panel.asked.count(1001) == 1
        panel.refresh_thumbnail(1001)
        settle(qtbot, panel)
        assert panel.asked.count(1001) == 2

    def test_the_picture_is_drawn_in_its_row(self, panel, qtbot):
        panel.set_items(rows(3))
        settle(qtbot, panel)
        panel.set_thumbnail(1001, picture(panel))
        row = panel.list.visualRect(panel._model.index(1))
        shot = panel.list.viewport().grab(row).toImage()
        assert shot.pixelColor(38, shot.height() // 2) == Qt.GlobalColor.darkGreen

    def test_pictures_stay_when_the_list_is_set_again(self, panel, qtbot):
        panel.set_items(rows(5))
        settle(qtbot, panel)
        panel.set_thumbnail(1002, picture(panel))
        panel.set_items(rows(5)[1:3])
        settle(qtbot, panel)
        assert panel._thumbnails.get(1002) is not None
        assert len(panel._thumbnails) == 1


class TestFilter:
    @pytest.fixture(autouse=True)
    def filled(self, panel):
        names = ["강남역_001.jpg", unicodedata.normalize("NFD", "강남역_002.jpg"), "Beach.JPG", "beach 10.png", "x.tif"]
        panel.set_items([ItemRow(n, name, Path("/d") / name, STATES[n % 3]) for n, name in enumerate(names)])

    @pytest.mark.parametrize(
        ("typed", "ids"),
        [("BEACH", [2, 3]), ("강남", [0, 1]), ("002", [1]), ("nothing", []), ("  x.t ", [4]), (".", [0, 1, 2, 3, 4])],
    )
    def test_names_hold_what_is_typed_whatever_the_case_or_the_make_of_the_letters(self, panel, qtbot, typed, ids):
        if typed.isascii():
            qtbot.keyClicks(panel.filter_edit, typed)
        else:  # Qt's simulated keyboard has no Hangul
            panel.filter_edit.setText(typed)
        assert panel.shown_ids() == ids

    def test_states_are_filtered_alone_and_with_the_name(self, panel, qtbot):
        panel.filters.chips["in progress"].click()
        assert panel.shown_ids() == [1, 4]
        qtbot.keyClicks(panel.filter_edit, "x")
        assert panel.shown_ids() == [4]
        panel.filters.chips["done"].click()
        panel.filter_edit.clear()
        assert panel.shown_ids() == [1, 2, 4]
        panel.filters.clear_button.click()
        assert panel.shown_ids() == [0, 1, 2, 3, 4]

    def test_problems_are_a_filter_of_their_own(self, panel):
        assert panel.filters.chips["problem"].isHidden()
        panel.set_problem(3, "The file is empty.")
        panel.filters.chips["problem"].click()
        assert panel.shown_ids() == [3]

    def test_a_row_stays_while_its_new_state_does_not_match_so_that_next_has_a_place_to_go_on_from(self, panel):
        panel.filters.chips["new"].click()
        assert panel.arrange_button.isHidden()
        panel.set_state(0, "done")
        assert panel.shown_ids() == [0, 3]
        panel.arrange_button.click()
        assert panel.shown_ids() == [3]
        assert panel.arrange_button.isHidden()

    def test_filtering_never_opens_an_image(self, panel, qtbot):
        panel.set_current(2)
        with qtbot.assertNotEmitted(panel.itemActivated):
            qtbot.keyClicks(panel.filter_edit, "x")
            panel.filter_edit.clear()
        assert panel.current == 2
        assert panel.selected_ids() == [2]

    def test_escape_empties_the_filter_and_down_goes_into_the_list(self, panel, qtbot):
        panel.focus_filter()
        qtbot.keyClicks(panel.filter_edit, "beach")
        qtbot.keyClick(panel.filter_edit, Qt.Key.Key_Escape)
        assert panel.filter_edit.text() == ""
        qtbot.keyClicks(panel.filter_edit, "beach")
        with qtbot.waitSignal(panel.itemActivated) as opened:
            qtbot.keyClick(panel.filter_edit, Qt.Key.Key_Down)
        assert opened.args == [2]


def figured(panel) -> None:
    """Six images with figures, the last one without any."""
    panel.set_items([ItemRow(n, f"{n}.jpg", Path(f"/d/{n}.jpg")) for n in (10, 2, 3, 4, 5, 6)])
    panel.set_figures(
        {
            10: Figures({0: 90, 1: 10}, 0.5, 0.1, 7, 60.0, "net"),
            2: Figures({0: 50, 255: 50}, 0.9, 0.0, 0, 5.0, "net"),
            3: Figures({1: 100}, 0.1, 0.8, 80, 0.0, "net"),
            4: Figures({0: 100}, None, None, None, 10.0),
            5: Figures({}, 0.7, None, None, 0.5, "net"),
        }
    )


class TestOrder:
    @pytest.mark.parametrize(
        ("key", "descending", "ids"),
        [
            ("order", False, [10, 2, 3, 4, 5, 6]),
            ("order", True, [6, 5, 4, 3, 2, 10]),
            ("name", False, [2, 3, 4, 5, 6, 10]),
            ("uncertainty", True, [2, 5, 10, 3, 4, 6]),
            ("uncertainty", False, [3, 10, 5, 2, 4, 6]),
            ("disagreement", True, [3, 10, 2, 4, 5, 6]),
            ("changed", True, [3, 10, 2, 4, 5, 6]),
            ("seconds", True, [10, 4, 2, 5, 3, 6]),
        ],
    )
    def test_what_is_not_known_comes_last_both_ways(self, panel, key, descending, ids):
        figured(panel)
        panel.filters.set_order(ListOrder(key, descending))
        assert panel.shown_ids() == ids

    def test_states_sort_in_the_order_of_the_work(self, panel):
        figured(panel)
        panel.set_state(10, "reviewed")
        panel.set_state(4, "in progress")
        panel.filters.set_order(ListOrder("state"))
        assert panel.shown_ids() == [2, 3, 5, 6, 4, 10]

    def test_the_menu_offers_figures_with_the_most_first_and_turns_round(self, panel):
        figured(panel)
        actions = {action.text().replace("&", ""): action for action in panel.filters.sort_menu.actions()}
        actions["Uncertainty of the model"].trigger()
        assert panel.shown_ids()[0] == 2
        actions["Ascending"].trigger()
        assert panel.shown_ids()[0] == 3
        actions["Name"].trigger()
        assert panel.shown_ids()[0] == 2

    def test_rows_stay_while_figures_change_until_the_list_is_arranged_again(self, panel, qtbot):
        figured(panel)
        panel.filters.set_order(ListOrder("uncertainty", True))
        before = panel.shown_ids()
        panel.update_figures(6, Figures({}, 0.95))
        assert panel.shown_ids() == before
        assert not panel.arrange_button.isHidden()
        with qtbot.waitSignal(panel.arranged) as arranged:
            panel.arrange()
        assert arranged.args == [[6, 2, 5, 10, 3, 4]]

    def test_the_row_tells_what_the_order_is_about(self, panel):
        figured(panel)
        model = panel.model
        assert model.detail(model.item(10)) == ""
        panel.filters.set_order(ListOrder("uncertainty", True))
        assert model.detail(model.item(10)) == "50 % unsure"
        assert model.detail(model.item(6)) == ""
        panel.filters.set_order(ListOrder("seconds", True))
        assert model.detail(model.item(10)) == "60 s"

    def test_the_image_on_the_canvas_stays_chosen_when_the_order_changes(self, panel, qtbot):
        figured(panel)
        panel.set_current(3)
        with qtbot.assertNotEmitted(panel.itemActivated):
            panel.filters.set_order(ListOrder("uncertainty", True))
        assert panel.selected_ids() == [3]


class TestClassFilter:
    def test_only_images_with_enough_pixels_of_a_class_are_listed(self, panel):
        figured(panel)
        panel.filters.set_class(1)
        assert panel.shown_ids() == [10, 3]
        panel.filters.popup.least.setValue(50)
        assert panel.shown_ids() == [3]
        panel.filters.set_class(255)
        assert panel.shown_ids() == [2]
        panel.filters.set_order(ListOrder("pixels", True))
        panel.filters.set_class(0)
        assert panel.shown_ids() == [4, 10, 2]
        panel.filters.clear()
        assert len(panel.shown_ids()) == 6

    def test_the_classes_are_offered_with_the_number_of_their_images(self, panel, qtbot):
        figured(panel)
        panel.filters.class_button.click()
        popup = panel.filters.popup
        texts = [popup.list.item(row).text() for row in range(popup.list.count())]
        assert texts[:3] == ["Any class", "background  (3)", "aeroplane  (2)"]
        assert texts[-1] == "void  (1)"
        qtbot.keyClicks(popup.search, "aero")
        qtbot.keyClick(popup.search, Qt.Key.Key_Return)
        assert panel.shown_ids() == [10, 3]
        assert panel.filters.class_button.text().strip() == "aeroplane"
        assert not popup.isVisible()

    def test_the_filter_follows_the_figures_when_the_list_is_arranged(self, panel):
        figured(panel)
        panel.filters.set_class(1)
        panel.update_figures(6, Figures({1: 3}))
        assert panel.shown_ids() == [10, 3]
        panel.arrange()
        assert panel.shown_ids() == [10, 3, 6]
        assert panel.model.images_of(1) == 3

    def test_a_class_the_label_set_no_longer_has_is_not_asked_for(self, panel):
        figured(panel)
        panel.filters.set_class(1)
        panel.set_label_set(LabelSet.from_names(["only one"]))
        assert len(panel.shown_ids()) == 6

    def test_an_empty_list_says_why(self, panel):
        figured(panel)
        full = panel.list.viewport().grab().toImage()
        panel.filters.set_class(7)
        assert panel.shown_ids() == []
        area = panel.list.viewport().rect()
        blank = panel.list.viewport().grab().toImage()
        assert blank != full
        assert len({blank.pixel(x, y) for x in range(area.width()) for y in range(20, 60)}) > 2


class TestChoosing:
    @pytest.fixture(autouse=True)
    def filled(self, panel):
        panel.set_items(rows(30))

    def test_a_click_opens(self, panel, qtbot):
        with qtbot.waitSignal(panel.itemActivated) as opened:
            click_row(qtbot, panel, 2)
        assert opened.args == [1002]
        assert panel.current == 1002

    def test_arrow_keys_open_the_next_and_the_end_key_the_last(self, panel, qtbot):
        panel.set_current(1000)
        opened = []
        panel.itemActivated.connect(opened.append)
        qtbot.keyClick(panel.list, Qt.Key.Key_Down)
        qtbot.keyClick(panel.list, Qt.Key.Key_Down)
        qtbot.keyClick(panel.list, Qt.Key.Key_Up)
        qtbot.keyClick(panel.list, Qt.Key.Key_End)
        assert opened == [1001, 1002, 1001, 1029]

    def test_a_second_click_on_the_open_image_does_not_open_it_again(self, panel, qtbot):
        click_row(qtbot, panel, 2)
        with qtbot.assertNotEmitted(panel.itemActivated):
            click_row(qtbot, panel, 2)

    def test_set_current_scrolls_there_and_tells_nobody(self, panel, qtbot):
        with qtbot.assertNotEmitted(panel.itemActivated):
            panel.set_current(1029)
        assert panel.list.viewport().rect().intersects(panel.list.visualRect(panel._model.index(29)))
        assert panel.current == 1029
        panel.set_current(None)
        assert panel.current is None
        assert panel.selected_ids() == []

    def test_selecting_several_opens_nothing_more(self, panel, qtbot):
        click_row(qtbot, panel, 1)
        with qtbot.assertNotEmitted(panel.itemActivated):
            click_row(qtbot, panel, 4, modifier=Qt.KeyboardModifier.ShiftModifier)
        assert panel.selected_ids() == [1001, 1002, 1003, 1004]
        assert "4 selected" in panel.count_label.text()

    def test_delete_asks_to_remove_the_selected(self, panel, qtbot):
        click_row(qtbot, panel, 1)
        click_row(qtbot, panel, 2, modifier=Qt.KeyboardModifier.ControlModifier)
        with qtbot.waitSignal(panel.removeRequested) as asked:
            qtbot.keyClick(panel.list, Qt.Key.Key_Delete)
        assert asked.args == [[1001, 1002]]
        assert len(panel.shown_ids()) == 30

    def test_letters_are_left_to_the_window(self, panel, qtbot):
        panel.set_current(1000)
        with qtbot.assertNotEmitted(panel.itemActivated):
            qtbot.keyClicks(panel.list, "IMG_00020")
        assert panel.current == 1000


class TestMenu:
    @pytest.fixture(autouse=True)
    def filled(self, panel):
        panel.set_items(rows(10))

    def actions(self, menu: QMenu) -> dict:
        return {action.text(): action for action in menu.actions() if action.text()}

    def test_a_state_is_asked_for_and_not_set(self, panel, qtbot):
        action = self.actions(panel.row_menu(1003))["Mark as done"]
        with qtbot.waitSignal(panel.stateRequested) as asked:
            action.trigger()
        assert asked.args == [[1003], "done"]
        assert panel._model.item(1003).state == "new"

    def test_the_state_an_item_has_is_not_offered(self, panel):
        assert not self.actions(panel.row_menu(1003))["Mark as new"].isEnabled()

    def test_the_menu_of_a_selected_row_is_for_all_selected(self, panel, qtbot):
        flag = QItemSelectionModel.SelectionFlag.Select
        for row in (2, 5):
            panel.list.selectionModel().select(panel._model.index(row), flag)
        actions = self.actions(panel.row_menu(1005))
        with qtbot.waitSignal(panel.removeRequested) as asked:
            actions["Remove 2 from list"].trigger()
        assert asked.args == [[1002, 1005]]
        with qtbot.waitSignal(panel.removeRequested) as asked:
            self.actions(panel.row_menu(1000))["Remove from list"].trigger()
        assert asked.args == [[1000]]

    def test_the_file_is_shown_in_its_folder_and_its_path_copied(self, panel, qtbot):
        actions = self.actions(panel.row_menu(1004))
        with qtbot.waitSignal(panel.showInFolderRequested) as asked:
            actions["Show in folder"].trigger()
        assert asked.args == [1004]
        actions["Copy path"].trigger()
        assert QGuiApplication.clipboard().text() == str(Path("/data/photos/IMG_00004.jpg"))

    def test_the_menu_opens_on_the_row_under_the_pointer(self, panel, qtbot):
        seen = []

        def look() -> None:
            menu = QApplication.activePopupWidget()
            seen.extend(action.text() for action in menu.actions())
            menu.close()

        from PySide6.QtCore import QTimer

        QTimer.singleShot(0, look)
        place = panel.list.visualRect(panel._model.index(0)).center()
        event = QContextMenuEvent(QContextMenuEvent.Reason.Mouse, place, panel.list.viewport().mapToGlobal(place))
        QApplication.sendEvent(panel.list.viewport(), event)
        assert "Remove from list" in seen


class TestLooks:
    def test_the_line_below_counts(self, panel):
        assert panel.count_label.text() == "No images"
        panel.set_items(rows(236))
        panel.set_current(1011)
        for item_id, state in ((1000, "done"), (1001, "reviewed"), (1002, "empty"), (1003, "in progress")):
            panel.set_state(item_id, state)
        assert panel.count_label.text() == "12 of 236"
        panel.set_problem(1004, "The file is empty.")
        assert panel.count_label.text() == "12 of 236, 1 with problems"
        panel.filter_edit.setText("0001")
        assert panel.count_label.text() == "3 of 11 (236 in all), 1 with problems"

    def test_progress_counts_what_is_done_and_reviewed_of_all_that_are_not_empty(self, panel):
        assert panel.header.isHidden()
        panel.set_items(rows(21))
        for item_id, state in ((1000, "done"), (1001, "reviewed"), (1002, "empty"), (1003, "in progress")):
            panel.set_state(item_id, state)
        assert panel.header.label.text() == "2 of 20 done"
        assert panel.header.share_label.text() == "10 %"
        panel.set_states([row.id for row in rows(21)[:-1]], "done")
        assert panel.header.share_label.text() == "95 %"
        panel.set_states([row.id for row in rows(21)], "empty")
        assert panel.header.label.text() == "0 of 0 done"

    def test_every_state_has_a_shape_of_its_own(self):
        assert set(STATE_MARKS) == set(STATES)
        assert len({name for name, _ in STATE_MARKS.values()}) == len(STATES)

    def test_the_tooltip_tells_the_whole_path_and_the_problem(self, panel):
        path = Path("/very/long") / ("folder" * 20) / "사진.jpg"
        panel.set_items([ItemRow(1, path.name, path, "new", "The file is empty.")])
        index = panel._model.index(0)
        tip = index.data(Qt.ItemDataRole.ToolTipRole)
        assert str(path) in tip
        assert "The file is empty." in tip
        assert "The file is empty." in index.data(Qt.ItemDataRole.AccessibleTextRole)

    def test_states_change_what_is_drawn(self, panel, qtbot):
        panel.set_items(rows(1))
        shots = []
        for state in STATES:
            panel.set_state(1000, state)
            shots.append(panel.list.viewport().grab().toImage())
        assert all(first != second for i, first in enumerate(shots) for second in shots[:i])

    def test_drops_go_past_the_list_to_the_window(self, panel):
        data = QMimeData()
        data.setUrls([QUrl.fromLocalFile("/a.jpg")])
        actions, buttons = Qt.DropAction.CopyAction, Qt.MouseButton.LeftButton
        event = QDragEnterEvent(QPoint(20, 80), actions, data, buttons, Qt.KeyboardModifier.NoModifier)
        event.ignore()
        QApplication.sendEvent(panel.list.viewport(), event)
        assert not event.isAccepted()
        assert event.type() == QEvent.Type.DragEnter

    @pytest.mark.parametrize(
        ("seconds", "text"), [(0.4, "0 s"), (89, "89 s"), (90, "2 min"), (3599, "1 h 0 min"), (4800, "1 h 20 min")]
    )
    def test_times_are_said_as_people_say_them(self, seconds, text):
        assert duration(seconds) == text
