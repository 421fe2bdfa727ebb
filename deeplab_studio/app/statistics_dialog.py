"""The data set in numbers: a table and bars of the classes, states, time, CSV."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QLocale, QSize, Qt, QTimer, Signal
from PySide6.QtGui import QColor, QFont, QIcon
from PySide6.QtWidgets import (
    QAbstractItemView,
    QCheckBox,
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QGridLayout,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QMenu,
    QPushButton,
    QScrollArea,
    QSplitter,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from deeplab_studio.app.panels.bar_plot import Bar, BarPlot
from deeplab_studio.app.panels.controls import GAP, Muted, SwatchIcon
from deeplab_studio.app.panels.file_model import STATES, duration, state_text
from deeplab_studio.app.panels.progress_header import ProgressHeader
from deeplab_studio.core.errors import StudioError
from deeplab_studio.core.labels import VOID, VOID_COLOUR, LabelSet
from deeplab_studio.core.statistics import Statistics, summarise, write_classes, write_images

if TYPE_CHECKING:
    from deeplab_studio.core.item_figures import Figures
    from deeplab_studio.core.project import Item

REFRESH_MS = 500
"""Figures that change while the dialog is open are added up at most this often."""


class _Number(QTableWidgetItem):
    """A number that sorts as one."""

    def __init__(self, value: float, text: str) -> None:
        super().__init__(text)
        self.value = value
        self.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)

    def __lt__(self, other: QTableWidgetItem) -> bool:
        return self.value < other.value if isinstance(other, _Number) else super().__lt__(other)


class StatisticsDialog(QDialog):
    """Statistics of the images in the list. It does not block the window and follows what is done there.

    Parameters
    ----------
    source : callable
        The items, their figures and the label set as they are now.
    parent : QWidget, optional

    Attributes
    ----------
    classChosen : Signal(int)
        The person wants to see the images of a class.
    """

    classChosen = Signal(int)

    def __init__(
        self,
        source: Callable[[], tuple[Sequence[Item], Mapping[int, Figures], LabelSet]],
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.setWindowTitle(self.tr("Statistics"))
        self.resize(860, 620)
        self._source = source
        self.statistics: Statistics | None = None
        self._refresh = QTimer(self, singleShot=True, interval=REFRESH_MS)
        self._refresh.timeout.connect(self.update_now)
        self.header = ProgressHeader()
        self.header.setContentsMargins(-GAP, 0, -GAP, 0)  # in line with what stands above and below
        self._facts: dict[str, QLabel] = {}
        self.table = QTableWidget(0, 4)
        self.table.setHorizontalHeaderLabels([self.tr("Class"), self.tr("Images"), self.tr("Pixels"), self.tr("Share")])
        self.table.setAccessibleName(self.tr("Classes"))
        self.table.verticalHeader().hide()
        self.table.verticalHeader().setDefaultSectionSize(26)
        self.table.horizontalHeader().setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        for column in (1, 2, 3):
            self.table.horizontalHeader().setSectionResizeMode(column, QHeaderView.ResizeMode.ResizeToContents)
        self.table.horizontalHeader().setSortIndicatorClearable(True)
        self.table.horizontalHeader().setSortIndicator(-1, Qt.SortOrder.AscendingOrder)
        self.table.horizontalHeader().setHighlightSections(False)
        self.table.setShowGrid(False)
        self.table.setIconSize(QSize(14, 14))
        self.table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.table.setToolTip(self.tr("Double-click a class to list its images"))
        self.table.activated.connect(lambda index: self._choose(index.row()))
        self.plot = BarPlot()
        self.plot.setAccessibleName(self.tr("Bars of the classes"))
        self.kind_box = QComboBox()
        self.kind_box.setAccessibleName(self.tr("What the bars show"))
        self.kind_box.addItem(self.tr("Pixels"), "pixels")
        self.kind_box.addItem(self.tr("Images"), "images")
        self.log_box = QCheckBox(self.tr("Logarithmic"))
        self.log_box.setToolTip(self.tr("Shows rare classes beside a large background"))
        self.log_box.setChecked(True)
        self.kind_box.currentIndexChanged.connect(self._show_bars)
        self.log_box.toggled.connect(self._show_bars)
        self.message = Muted()
        self.buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        self.buttons.rejected.connect(self.reject)
        self.export_button = QPushButton(self.tr("Export as CSV"))
        self.export_button.setAutoDefault(False)
        menu = QMenu(self.export_button)
        menu.addAction(self.tr("&Classes…"), lambda: self._ask("classes"))
        menu.addAction(self.tr("&Images…"), lambda: self._ask("images"))
        self.export_button.setMenu(menu)
        self.buttons.addButton(self.export_button, QDialogButtonBox.ButtonRole.ActionRole)
        self._lay_out()
        self.update_now()

    def update_soon(self) -> None:
        """Something changed."""
        if not self._refresh.isActive():
            self._refresh.start()

    def update_now(self) -> None:
        """Add everything up and show it."""
        items, figures, label_set = self._source()
        statistics = summarise(items, figures, label_set)
        self.statistics = statistics
        number = QLocale().toString
        self.header.set_counts(statistics.states, statistics.images)
        self._facts["images"].setText(number(statistics.images))
        self._facts["labelled"].setText(number(statistics.labelled))
        self._facts["time"].setText(duration(statistics.seconds))
        per_image = statistics.median_seconds
        self._facts["per image"].setText("–" if per_image is None else duration(per_image))
        for state in STATES:
            self._facts[state].setText(number(statistics.states[state]))
        self._fill_table(statistics, label_set)
        self._show_bars()

    def write(self, what: str, path: Path) -> None:
        """Write "classes" or "images" as CSV and say so."""
        items, figures, label_set = self._source()
        try:
            if what == "classes":
                write_classes(path, summarise(items, figures, label_set))
            else:
                write_images(path, items, figures, label_set)
        except StudioError as error:
            self.message.setText(str(error))
            return
        self.message.setText(self.tr("Written to {0}.").format(path.name))

    def _ask(self, what: str) -> None:
        start = str(Path.home() / f"{what}.csv")
        name, _ = QFileDialog.getSaveFileName(self, self.tr("Export as CSV"), start, self.tr("Tables (*.csv)"))
        if name:
            self.write(what, Path(name))

    def _choose(self, row: int) -> None:
        cell = self.table.item(row, 0)
        if cell is not None:
            self.classChosen.emit(cell.data(Qt.ItemDataRole.UserRole))

    def _fill_table(self, statistics: Statistics, label_set: LabelSet) -> None:
        number = QLocale().toString
        chosen = self.table.currentRow()
        self.table.setSortingEnabled(False)
        self.table.setRowCount(len(statistics.classes))
        for row, total in enumerate(statistics.classes):
            name = QTableWidgetItem(QIcon(SwatchIcon(QColor(*_colour(total.class_id, label_set)))), total.name)
            name.setData(Qt.ItemDataRole.UserRole, total.class_id)
            cells = [
                name,
                _Number(total.images, number(total.images)),
                _Number(total.pixels, number(total.pixels)),
                _Number(total.share, f"{number(100 * total.share, 'f', 2)} %"),
            ]
            for column, cell in enumerate(cells):
                if not total.pixels:
                    cell.setForeground(self.palette().placeholderText())
                self.table.setItem(row, column, cell)
        # In the order of the classes until a person clicks on a column.
        self.table.setSortingEnabled(True)
        if chosen >= 0:
            self.table.selectRow(chosen)

    def _show_bars(self) -> None:
        if self.statistics is None:
            return
        *_, label_set = self._source()
        kind = self.kind_box.currentData()
        number = QLocale().toString
        bars = [
            Bar(
                total.name,
                _colour(total.class_id, label_set),
                getattr(total, kind),
                number(getattr(total, kind)),
                total.class_id == VOID,
            )
            for total in self.statistics.classes
        ]
        self.plot.set_bars(bars, log=self.log_box.isChecked() and kind == "pixels")
        self.log_box.setEnabled(kind == "pixels")

    def _lay_out(self) -> None:
        facts = QGridLayout()
        facts.setHorizontalSpacing(3 * GAP)
        facts.setVerticalSpacing(0)
        names = {
            "images": self.tr("Images"),
            "labelled": self.tr("With a class map"),
            **{state: state_text(state) for state in STATES},
            "time": self.tr("Time spent"),
            "per image": self.tr("Per finished image"),
        }
        for column, (key, name) in enumerate(names.items()):
            value = QLabel("0")
            font = value.font()
            font.setPointSizeF(font.pointSizeF() * 1.25)
            font.setWeight(QFont.Weight.DemiBold)
            value.setFont(font)
            caption = QLabel(name)
            caption.setFont(Muted().font())
            caption.setForegroundRole(self.palette().ColorRole.PlaceholderText)
            facts.addWidget(value, 0, column)
            facts.addWidget(caption, 1, column)
            self._facts[key] = value
        facts.setColumnStretch(len(names), 1)
        self._facts["per image"].setToolTip(self.tr("Median of the images that are done or reviewed"))
        area = QScrollArea()
        area.setWidget(self.plot)
        area.setWidgetResizable(True)
        area.setFrameShape(QScrollArea.Shape.NoFrame)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        choice = QHBoxLayout()
        choice.addWidget(self.kind_box)
        choice.addWidget(self.log_box)
        choice.addStretch(1)
        right = QWidget()
        bars = QVBoxLayout(right)
        bars.setContentsMargins(GAP, 0, 0, 0)
        bars.addLayout(choice)
        bars.addWidget(area, 1)
        halves = QSplitter()
        halves.addWidget(self.table)
        halves.addWidget(right)
        halves.setStretchFactor(0, 1)
        halves.setStretchFactor(1, 1)
        halves.setChildrenCollapsible(False)
        foot = QHBoxLayout()
        foot.addWidget(self.message, 1)
        foot.addWidget(self.buttons)
        layout = QVBoxLayout(self)
        layout.setSpacing(GAP)
        layout.addLayout(facts)
        layout.addWidget(self.header)
        layout.addWidget(halves, 1)
        layout.addLayout(foot)


def _colour(class_id: int, label_set: LabelSet) -> tuple[int, int, int]:
    if class_id == VOID:
        return VOID_COLOUR
    red, green, blue = (int(channel) for channel in label_set.palette()[class_id])
    return red, green, blue
