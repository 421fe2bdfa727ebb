"""Classes of somewhere else on the left, the data set's on the right: what becomes of each.

For models whose classes are called otherwise, for imported masks, for another label set.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from PySide6.QtCore import (
    QAbstractItemModel,
    QAbstractTableModel,
    QCoreApplication,
    QLocale,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    QRect,
    QRectF,
    QSize,
    QSortFilterProxyModel,
    Qt,
    QTimer,
    Signal,
)
from PySide6.QtGui import QColor, QIcon, QPainter, QPalette
from PySide6.QtWidgets import (
    QAbstractItemView,
    QCheckBox,
    QComboBox,
    QHBoxLayout,
    QHeaderView,
    QLineEdit,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTableView,
    QVBoxLayout,
    QWidget,
)

from deeplab_studio.app.icons import icon, paint_icon
from deeplab_studio.app.panels.class_rows import VOID
from deeplab_studio.app.panels.controls import GAP, Muted, SwatchIcon, paint_hatched_swatch, paint_swatch, small_font
from deeplab_studio.app.theme import tones

if TYPE_CHECKING:
    from deeplab_studio.core.labels import LabelSet

Index = QModelIndex | QPersistentModelIndex
Rgb = tuple[int, int, int]

NEW = -1
"""Target: a class of its own, added to the data set."""

SKIP = -2
"""Target: its pixels are not taken over."""

SOURCE, COUNT, TARGET = range(3)
"""Columns."""

_LONG = 12
"""From this many rows on there is a filter."""

_SWATCH = 13


class SourceRow(NamedTuple):
    """A class that is to become one of the data set.

    Attributes
    ----------
    id : int
    name : str
    colour : (int, int, int) or None
        RGB; None if it has none of its own.
    images, pixels : int or None
        How much of it there is; None if nobody counted.
    """

    id: int
    name: str
    colour: Rgb | None = None
    images: int | None = None
    pixels: int | None = None


class MappingModel(QAbstractTableModel):
    """The rows and what was chosen for each.

    Attributes
    ----------
    chosen : Signal()
        Something was chosen for a row.
    """

    chosen = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.rows: list[SourceRow] = []
        self.label_set: LabelSet | None = None
        self.allowed: tuple[int, ...] = (VOID, NEW)
        self._targets: dict[int, int] = {}

    def fill(
        self, rows: Sequence[SourceRow], label_set: LabelSet, targets: Mapping[int, int], allowed: tuple[int, ...]
    ) -> None:
        """Take other rows over."""
        self.beginResetModel()
        self.rows, self.label_set, self.allowed = list(rows), label_set, allowed
        self._targets = dict(targets)
        self.endResetModel()

    @property
    def counted(self) -> bool:
        """Whether anybody counted."""
        return any(row.pixels is not None or row.images is not None for row in self.rows)

    def target(self, row: int) -> int | None:
        """What was chosen for a row: a class id, 255 for void, `NEW`, `SKIP`; None for nothing yet."""
        return self._targets.get(self.rows[row].id)

    def targets(self) -> dict[int, int]:
        """What was chosen, by source id."""
        return dict(self._targets)

    def choose(self, rows: Iterable[int], target: int | None) -> None:
        """Choose the same for several rows; None takes the choice back."""
        for row in rows:
            if target is None:
                self._targets.pop(self.rows[row].id, None)
            else:
                self._targets[self.rows[row].id] = target
        if self.rows:
            self.dataChanged.emit(self.index(0, SOURCE), self.index(len(self.rows) - 1, TARGET))
        self.chosen.emit()

    def options(self, row: int | None) -> list[tuple[int, str, QColor | None]]:
        """What may be chosen for a row, or for several: target, text and colour."""
        label_set = self.label_set
        options: list[tuple[int, str, QColor | None]] = []
        if label_set is not None:
            options = [(i, label.name, QColor(*label.colour)) for i, label in enumerate(label_set)]
        for target in self.allowed:
            options.append((target, self.text(target, row), None))
        return options

    def text(self, target: int | None, row: int | None = None) -> str:
        """A target in words."""
        if target is None:
            return self.tr("Choose…")
        if target == VOID:
            return self.tr("void")
        if target == SKIP:
            return self.tr("leave out")
        if target == NEW:
            name = self.rows[row].name if row is not None else ""
            return self.tr("New class “{0}”").format(name) if name else self.tr("New class of the same name")
        return self.label_set.name_of(target) if self.label_set is not None else ""

    def colour(self, target: int) -> QColor | None:
        """The colour of a class id, or of void."""
        if self.label_set is None:
            return None
        red, green, blue = self.label_set.palette()[target].tolist()
        return QColor(red, green, blue)

    # Qt's side

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008
        """Number of rows."""
        return 0 if parent.isValid() else len(self.rows)

    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008
        """Source, count, target."""
        return 3

    def flags(self, index: Index) -> Qt.ItemFlag:
        """The target can be edited."""
        flags = Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable
        return flags | Qt.ItemFlag.ItemIsEditable if index.column() == TARGET else flags

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Titles of the columns."""
        if orientation == Qt.Orientation.Horizontal and role == Qt.ItemDataRole.DisplayRole:
            return (self.tr("Class"), self.tr("Found"), self.tr("Becomes"))[section]
        return None

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Texts, and a sentence for who cannot see the row."""
        if not index.isValid():
            return None
        row, column = self.rows[index.row()], index.column()
        if role == Qt.ItemDataRole.DisplayRole:
            return (row.name, count_text(row), self.text(self.target(index.row()), index.row()))[column]
        if role == Qt.ItemDataRole.ToolTipRole:
            return f"{row.id}  {row.name}" if column == SOURCE else None
        if role == Qt.ItemDataRole.AccessibleTextRole and column == TARGET:
            return self.tr("{0} becomes {1}").format(row.name, self.text(self.target(index.row()), index.row()))
        if role == Qt.ItemDataRole.TextAlignmentRole and column == COUNT:
            return int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        return None

    def setData(self, index: Index, value: Any, role: int = Qt.ItemDataRole.EditRole) -> bool:
        """Choose a target."""
        if index.column() != TARGET or role != Qt.ItemDataRole.EditRole:
            return False
        self.choose([index.row()], int(value))
        return True


def count_text(row: SourceRow) -> str:
    """How much there is of a class: "12 images, 3,401 px"."""
    number = QLocale().toString
    parts = []
    if row.images is not None:
        parts.append(_tr("1 image") if row.images == 1 else _tr("{0} images").format(number(row.images)))
    if row.pixels is not None:
        parts.append(_tr("{0} px").format(number(row.pixels)))
    return ", ".join(parts)


def option_icon(target: int, colour: QColor | None) -> QIcon:
    """A swatch for a class, a symbol for anything else."""
    if colour is not None:
        return QIcon(SwatchIcon(colour))
    return icon({VOID: "cancel", NEW: "add", SKIP: "less"}[target], tone="muted")


def _tr(text: str) -> str:
    return QCoreApplication.translate("MappingTable", text)


class _Rows(QSortFilterProxyModel):
    """The rows that pass the filter."""

    def __init__(self, model: MappingModel, parent: QObject) -> None:
        super().__init__(parent)
        self._model = model
        self._needle = ""
        self._open_only = False
        self.setSourceModel(model)

    def narrow(self, needle: str, *, open_only: bool) -> None:
        """Show rows with this in a name, or only those nothing was chosen for."""
        self.beginResetModel()
        self._needle, self._open_only = needle.strip().casefold(), open_only
        self.endResetModel()

    def filterAcceptsRow(self, row: int, parent: Index) -> bool:
        target = self._model.target(row)
        if self._open_only and target is not None:
            return False
        names = (self._model.rows[row].name, self._model.text(target, row))
        return any(self._needle in name.casefold() for name in names)


class _MappingDelegate(QStyledItemDelegate):
    """Draws swatches; a target is chosen from a list that opens with the first click."""

    def __init__(self, model: MappingModel, rows: _Rows, parent: QWidget) -> None:
        super().__init__(parent)
        self._model, self._rows, self._widget = model, rows, parent

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        metrics = self._widget.fontMetrics()
        text = str(index.data(Qt.ItemDataRole.DisplayRole))
        return QSize(metrics.horizontalAdvance(text) + 2 * GAP, metrics.height() + 10)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        row = self._rows.mapToSource(index).row()
        area: QRect = option.rect
        tone = tones(option.palette)
        selected = bool(option.state & QStyle.StateFlag.State_Selected)
        painter.save()
        painter.fillRect(area, tone.active_row if selected else QColor(tone.base))
        text = str(index.data(Qt.ItemDataRole.DisplayRole))
        ink, swatch, room = tone.text, None, area.adjusted(GAP, 0, -GAP, 0)
        if index.column() == SOURCE:
            swatch = self._model.rows[row].colour
            room = self._paint_swatch(painter, room, None if swatch is None else QColor(*swatch))
        elif index.column() == COUNT:
            painter.setFont(small_font(self._widget))
            ink = tone.muted
        else:
            target = self._model.target(row)
            box = area.adjusted(2, 2, -3, -3)
            painter.setPen(
                QColor(tone.border_strong if option.state & QStyle.StateFlag.State_MouseOver else tone.border)
            )
            painter.setBrush(QColor(tone.button))
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            painter.drawRoundedRect(QRectF(box).translated(0.5, 0.5), 3, 3)
            arrow = QRect(box.right() - 18, box.top(), 14, box.height())
            paint_icon(painter, arrow, "down", QColor(tone.muted))
            room = room.adjusted(0, 0, -18, 0)
            if target is None:
                ink = tone.warning
            elif target >= 0:
                room = self._paint_swatch(painter, room, self._model.colour(target), hatched=target == VOID)
            else:
                mark = QRect(room.left(), room.top(), 14, room.height())
                paint_icon(painter, mark, "add" if target == NEW else "less", QColor(tone.muted))
                room.setLeft(mark.right() + GAP)
        painter.setPen(QColor(ink))
        align = Qt.AlignmentFlag.AlignRight if index.column() == COUNT else Qt.AlignmentFlag.AlignLeft
        shown = painter.fontMetrics().elidedText(text, Qt.TextElideMode.ElideRight, room.width())
        painter.drawText(room, align | Qt.AlignmentFlag.AlignVCenter, shown)
        painter.restore()

    def _paint_swatch(self, painter: QPainter, room: QRect, colour: QColor | None, *, hatched: bool = False) -> QRect:
        if colour is None:
            return room
        swatch = QRectF(room.left(), room.center().y() - _SWATCH / 2 + 0.5, _SWATCH, _SWATCH)
        (paint_hatched_swatch if hatched else paint_swatch)(painter, swatch, colour)
        return room.adjusted(_SWATCH + GAP, 0, 0, 0)

    def createEditor(self, parent: QWidget, option: QStyleOptionViewItem, index: Index) -> QWidget:
        row = self._rows.mapToSource(index).row()
        box = QComboBox(parent)
        box.setMaxVisibleItems(24)
        for target, text, colour in self._model.options(row):
            if target == self._model.allowed[0]:
                box.insertSeparator(box.count())
            box.addItem(option_icon(target, colour), text, target)
        box.setAccessibleName(self.tr("What {0} becomes").format(self._model.rows[row].name))
        box.activated.connect(lambda _row: self._take(box))
        QTimer.singleShot(0, box, box.showPopup)
        return box

    def _take(self, box: QComboBox) -> None:
        self.commitData.emit(box)
        self.closeEditor.emit(box)

    def setEditorData(self, editor: QWidget, index: Index) -> None:
        assert isinstance(editor, QComboBox)
        target = self._model.target(self._rows.mapToSource(index).row())
        editor.setCurrentIndex(editor.findData(target))

    def setModelData(self, editor: QWidget, model: QAbstractItemModel, index: Index) -> None:
        assert isinstance(editor, QComboBox)
        if editor.currentData() is not None:
            model.setData(index, editor.currentData())


class MappingTable(QWidget):
    """A table in which a person says what becomes of each class.

    Attributes
    ----------
    changed : Signal()
        Something else is chosen.
    """

    changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.model = MappingModel(self)
        self._shown = _Rows(self.model, self)
        self.filter_edit = QLineEdit()
        self.filter_edit.setPlaceholderText(self.tr("Filter classes"))
        self.filter_edit.setAccessibleName(self.tr("Filter classes"))
        self.filter_edit.setClearButtonEnabled(True)
        self.filter_edit.addAction(icon("search", tone="muted"), QLineEdit.ActionPosition.LeadingPosition)
        self.open_box = QCheckBox(self.tr("Only undecided"))
        self.filter_edit.textChanged.connect(self._narrow)
        self.open_box.toggled.connect(self._narrow)

        self.view = QTableView()
        self.view.setModel(self._shown)
        self.view.setItemDelegate(_MappingDelegate(self.model, self._shown, self.view))
        self.view.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.view.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.view.setEditTriggers(
            QAbstractItemView.EditTrigger.DoubleClicked
            | QAbstractItemView.EditTrigger.EditKeyPressed
            | QAbstractItemView.EditTrigger.AnyKeyPressed
        )
        self.view.clicked.connect(self._clicked)
        self.view.setShowGrid(False)
        self.view.setMouseTracking(True)
        self.view.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.view.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.view.setAccessibleName(self.tr("What becomes of each class"))
        self.view.setTabKeyNavigation(False)
        rows = self.view.verticalHeader()
        rows.hide()
        rows.setDefaultSectionSize(self.view.fontMetrics().height() + 10)
        header = self.view.horizontalHeader()
        header.setHighlightSections(False)
        header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        for column, mode in (
            (SOURCE, QHeaderView.ResizeMode.Stretch),
            (COUNT, QHeaderView.ResizeMode.ResizeToContents),
            (TARGET, QHeaderView.ResizeMode.Stretch),
        ):
            header.setSectionResizeMode(column, mode)

        self.summary = Muted()
        self.selected_box = QComboBox()
        self.selected_box.setAccessibleName(self.tr("For all selected rows"))
        self.selected_box.setToolTip(self.tr("Choose the same for all rows that are selected"))
        self.selected_box.activated.connect(self._choose_for_selected)
        self.view.selectionModel().selectionChanged.connect(lambda *_: self._show_state())
        self.model.modelReset.connect(self._refilled)
        self.model.chosen.connect(self._on_chosen)
        self._lay_out()

    def set_rows(
        self,
        rows: Sequence[SourceRow],
        label_set: LabelSet,
        targets: Mapping[int, int],
        *,
        allow_new: bool = True,
        allow_skip: bool = False,
    ) -> None:
        """Show classes.

        Parameters
        ----------
        rows : sequence of SourceRow
        label_set : LabelSet
            The classes they may become.
        targets : mapping of int to int
            What is chosen already, by source id: a class id, 255 for void, `NEW` or `SKIP`.
        allow_new, allow_skip : bool
            Whether a class may be added, and whether pixels may be left out.
        """
        allowed = (VOID, *((NEW,) if allow_new else ()), *((SKIP,) if allow_skip else ()))
        self.model.fill(rows, label_set, targets, allowed)

    def targets(self) -> dict[int, int]:
        """What is chosen, by source id; those undecided are missing."""
        return self.model.targets()

    def undecided(self) -> list[SourceRow]:
        """Rows nothing is chosen for."""
        return [row for row in self.model.rows if row.id not in self.model.targets()]

    def choose(self, source_ids: Iterable[int], target: int | None) -> None:
        """Choose the same for several classes; None takes their choice back."""
        wanted = set(source_ids)
        self.model.choose([i for i, row in enumerate(self.model.rows) if row.id in wanted], target)

    def _clicked(self, index: QModelIndex) -> None:
        if index.column() == TARGET and len(self.view.selectionModel().selectedRows()) == 1:
            self.view.edit(index)

    def _choose_for_selected(self, _row: int) -> None:
        target = self.selected_box.currentData()
        rows = [self._shown.mapToSource(index).row() for index in self.view.selectionModel().selectedRows()]
        if target is not None and rows:
            self.model.choose(rows, int(target))
        self.selected_box.setCurrentIndex(0)

    def _narrow(self) -> None:
        self._shown.narrow(self.filter_edit.text(), open_only=self.open_box.isChecked())
        self._show_state()

    def _refilled(self) -> None:
        self.view.setColumnHidden(COUNT, not self.model.counted)
        self._bar.setVisible(len(self.model.rows) >= _LONG)
        self.selected_box.clear()
        self.selected_box.addItem(self.tr("Selected become…"))
        for target, text, colour in self.model.options(None):
            if target == VOID:
                self.selected_box.insertSeparator(self.selected_box.count())
            self.selected_box.addItem(option_icon(target, colour), text, target)
        self._show_state()

    def _on_chosen(self) -> None:
        self._show_state()
        self.changed.emit()

    def _show_state(self) -> None:
        open_rows = len(self.undecided())
        total = len(self.model.rows)
        self.summary.setText(
            self.tr("{0} of {1} undecided").format(open_rows, total)
            if open_rows
            else self.tr("All {0} decided").format(total)
        )
        self.summary.setForegroundRole(QPalette.ColorRole.PlaceholderText)
        self.selected_box.setEnabled(self.view.selectionModel().hasSelection())

    def _lay_out(self) -> None:
        self._bar = QWidget()
        bar = QHBoxLayout(self._bar)
        bar.setContentsMargins(0, 0, 0, 0)
        bar.setSpacing(GAP)
        bar.addWidget(self.filter_edit, 1)
        bar.addWidget(self.open_box)
        foot = QHBoxLayout()
        foot.setSpacing(GAP)
        foot.addWidget(self.summary, 1)
        foot.addWidget(self.selected_box)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.setSpacing(GAP)
        whole.addWidget(self._bar)
        whole.addWidget(self.view, 1)
        whole.addLayout(foot)
