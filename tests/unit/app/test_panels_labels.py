"""The table that maps classes, the table of the label set editor, the panel of steps."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QMimeData, QModelIndex, QPoint, Qt
from PySide6.QtWidgets import QComboBox
from pytestqt.qtbot import QtBot

from deeplab_studio.app.edits import HistoryRow
from deeplab_studio.app.panels.history import HistoryPanel
from deeplab_studio.app.panels.label_table import IMAGES, NAME, PIXELS, LabelTable
from deeplab_studio.app.panels.mapping_table import (
    COUNT,
    NEW,
    SKIP,
    SOURCE,
    TARGET,
    MappingTable,
    SourceRow,
    count_text,
)
from deeplab_studio.core.labels import VOC_LABELS, VOID, LabelSet
from deeplab_studio.core.relabel import LabelDraft

LEFT = Qt.MouseButton.LeftButton
PETS = LabelSet.from_names(["background", "cat", "dog"], name="pets")


class TestMappingTable:
    @pytest.fixture
    def table(self, qtbot: QtBot) -> MappingTable:
        table = MappingTable()
        qtbot.addWidget(table)
        rows = [SourceRow(3, "kitty", (1, 2, 3), 12, 3401), SourceRow(7, "dog"), SourceRow(9, "sky", None, 1, None)]
        table.set_rows(rows, PETS, {7: 2}, allow_skip=True)
        table.resize(500, 400)
        table.show()
        return table

    def test_rows_show_what_they_are_and_what_they_become(self, table: MappingTable) -> None:
        model = table.model
        shown = [[model.data(model.index(row, column)) for column in (SOURCE, TARGET)] for row in range(3)]
        assert shown == [["kitty", "Choose…"], ["dog", "dog"], ["sky", "Choose…"]]
        assert model.data(model.index(0, COUNT)).startswith("12 images, ")
        assert not table.view.isColumnHidden(COUNT)
        assert table.summary.text() == "2 of 3 undecided"
        assert [row.name for row in table.undecided()] == ["kitty", "sky"]

    def test_nobody_counted_so_there_is_no_column_for_it(self, table: MappingTable) -> None:
        table.set_rows([SourceRow(0, "a")], PETS, {})
        assert table.view.isColumnHidden(COUNT)
        assert count_text(SourceRow(0, "a", None, 1)) == "1 image"

    def test_a_target_is_chosen_from_a_list_of_classes_void_new_and_none(
        self, table: MappingTable, qtbot: QtBot
    ) -> None:
        index = table.view.model().index(0, TARGET)
        table.view.selectRow(0)
        table.view.edit(index)
        box = table.view.findChild(QComboBox)
        texts = [box.itemText(i) for i in range(box.count()) if box.itemText(i)]
        assert texts == ["background", "cat", "dog", "void", "New class “kitty”", "leave out"]
        with qtbot.waitSignal(table.changed):
            box.setCurrentIndex(1)
            box.activated.emit(1)
        assert table.targets() == {3: 1, 7: 2}

    def test_several_rows_become_the_same_at_once(self, table: MappingTable, qtbot: QtBot) -> None:
        table.view.selectAll()
        box = table.selected_box
        box.setCurrentIndex(box.findData(VOID))
        box.activated.emit(box.currentIndex())
        assert table.targets() == {3: VOID, 7: VOID, 9: VOID}
        assert table.summary.text() == "All 3 decided"
        assert box.currentIndex() == 0
        table.choose([3], NEW)
        table.choose([9], SKIP)
        table.choose([7], None)
        assert table.targets() == {3: NEW, 9: SKIP}

    def test_long_tables_can_be_searched_and_narrowed_to_what_is_open(self, table: MappingTable, qtbot: QtBot) -> None:
        assert not table.filter_edit.isVisible()
        rows = [SourceRow(i, name) for i, name in enumerate(VOC_LABELS.names)]
        table.set_rows(rows, PETS, {0: 0, 8: 1, 12: 2})
        assert table.filter_edit.isVisible()
        qtbot.keyClicks(table.filter_edit, "bo")
        names = [table.view.model().index(row, 0).data() for row in range(table.view.model().rowCount())]
        assert names == ["boat", "bottle"]
        table.filter_edit.clear()
        qtbot.mouseClick(table.open_box, LEFT, pos=QPoint(8, table.open_box.height() // 2))
        assert table.view.model().rowCount() == 18
        table.view.grab()


class TestLabelTable:
    @pytest.fixture
    def table(self, qtbot: QtBot) -> LabelTable:
        table = LabelTable()
        qtbot.addWidget(table)
        table.resize(420, 400)
        table.show()
        return table

    def test_classes_with_images_and_pixels(self, table: LabelTable) -> None:
        draft = LabelDraft(PETS)
        draft.delete(1, into=2)
        draft.set_strangers([77])
        table.labels.fill(draft, {1: {0: 10, 1: 5}, 2: {2: 7, 77: 1}})
        rows = [[table.labels.index(row, column).data() for column in range(4)] for row in range(3)]
        assert [row[NAME] for row in rows] == ["background", "dog", "class 77"]
        assert [row[0] for row in rows] == ["0", "1", "77"]
        assert [(row[IMAGES], row[PIXELS]) for row in rows] == [("1", "10"), ("2", "12"), ("1", "1")]
        table.grab()

    def test_while_it_is_counted_the_columns_are_empty(self, table: LabelTable) -> None:
        table.labels.fill(LabelDraft(PETS), None)
        assert table.labels.index(0, PIXELS).data() == ""

    def test_a_drop_asks_for_the_move(self, table: LabelTable, qtbot: QtBot) -> None:
        table.labels.fill(LabelDraft(PETS), None)
        mime: QMimeData = table.labels.mimeData([table.labels.index(2, NAME), table.labels.index(2, 0)])
        with qtbot.waitSignal(table.labels.moved) as moved:
            assert not table.labels.dropMimeData(mime, Qt.DropAction.MoveAction, 1, 0, QModelIndex())
        assert moved.args == [[2], 1]

    def test_a_click_on_a_colour_and_the_delete_key_ask(self, table: LabelTable, qtbot: QtBot) -> None:
        table.labels.fill(LabelDraft(PETS), None)
        rect = table.visualRect(table.labels.index(1, NAME))
        with qtbot.waitSignal(table.colourClicked) as clicked:
            qtbot.mouseClick(table.viewport(), LEFT, pos=QPoint(rect.left() + 14, rect.center().y()))
        assert clicked.args == [1]
        assert table.selected_keys() == [1]
        with qtbot.waitSignal(table.deleteAsked):
            qtbot.keyClick(table, Qt.Key.Key_Delete)


class TestHistoryPanel:
    @pytest.fixture
    def panel(self, qtbot: QtBot) -> HistoryPanel:
        panel = HistoryPanel()
        qtbot.addWidget(panel)
        panel.resize(260, 300)
        panel.show()
        rows = [
            HistoryRow("Brush stroke", True, False),
            HistoryRow("Merge", True, True),
            HistoryRow("CRF", False, False),
        ]
        panel.set_steps(rows, image=True, forgotten=False)
        return panel

    def test_the_position_is_marked_and_read_aloud(self, panel: HistoryPanel) -> None:
        texts = [panel.model.index(row).data() for row in range(4)]
        assert texts == ["As it was opened", "Brush stroke", "Merge", "CRF"]
        assert panel.model.position == panel.list.currentIndex().row() == 2
        said = [panel.model.index(row).data(Qt.ItemDataRole.AccessibleTextRole) for row in range(4)]
        assert said[2:] == ["Merge, current position, whole data set", "CRF, undone"]
        panel.grab()

    def test_a_click_or_enter_goes_there(self, panel: HistoryPanel, qtbot: QtBot) -> None:
        rect = panel.list.visualRect(panel.model.index(1))
        with qtbot.waitSignal(panel.chosen) as chosen:
            qtbot.mouseClick(panel.list.viewport(), LEFT, pos=rect.center())
        assert chosen.args == [1]
        panel.list.setCurrentIndex(panel.model.index(3))
        with qtbot.waitSignal(panel.chosen) as chosen:
            qtbot.keyClick(panel.list, Qt.Key.Key_Return)
        assert chosen.args == [3]

    def test_what_was_forgotten_is_said_and_without_an_image_there_is_nothing(self, panel: HistoryPanel) -> None:
        panel.set_steps([], image=True, forgotten=True)
        assert panel.model.index(0).data() == "Older steps are forgotten"
        panel.set_steps([], image=False, forgotten=False)
        assert panel.model.rowCount() == 0

    def test_the_bound_is_told_in_bytes_and_setting_it_is_not(self, panel: HistoryPanel, qtbot: QtBot) -> None:
        told: list[int] = []
        panel.boundChanged.connect(told.append)
        panel.set_memory(3 << 20, 64 << 20)
        assert told == []
        assert panel.bytes_label.text() == "Undo: 3.0 MB of"
        panel.bound_box.setValue(128)
        assert told == [128 << 20]
