"""The table of classes in the label set editor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import (
    QAbstractTableModel,
    QItemSelectionModel,
    QLocale,
    QMimeData,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    QRect,
    QRectF,
    QSize,
    Qt,
    Signal,
)
from PySide6.QtGui import QColor, QKeyEvent, QMouseEvent, QPainter
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QLineEdit,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTableView,
    QWidget,
)

from deeplab_studio.app.panels.controls import GAP, paint_swatch, small_font
from deeplab_studio.app.theme import tones

if TYPE_CHECKING:
    from deeplab_studio.core.relabel import DraftClass, LabelDraft

Index = QModelIndex | QPersistentModelIndex

ID, NAME, IMAGES, PIXELS = range(4)
"""Columns."""

_KEYS = "application/x-deeplab-studio-classes"
_SWATCH = 14


class LabelTableModel(QAbstractTableModel):
    """The rows of a `LabelDraft`, and how many images and pixels of the data set are of each class.

    Attributes
    ----------
    renamed : Signal(int, str)
        The person typed another name for the class of a key.
    moved : Signal(list, int)
        The person dragged the classes of these keys to a place.
    """

    renamed = Signal(int, str)
    moved = Signal(list, int)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.rows: list[DraftClass] = []
        self._counts: dict[int, tuple[int, int]] = {}

    def fill(self, draft: LabelDraft, counts: Mapping[int, Mapping[int, int]] | None) -> None:
        """Show a draft.

        Parameters
        ----------
        draft : LabelDraft
        counts : mapping of int to mapping of int to int, optional
            Pixels of every old id by image; None while they are being counted.
        """
        self.beginResetModel()
        self.rows = draft.rows
        self._counts = {}
        if counts is not None:
            for row in self.rows:
                pixels = [sum(of_image.get(origin, 0) for origin in row.origins) for of_image in counts.values()]
                self._counts[row.key] = (sum(n > 0 for n in pixels), sum(pixels))
        self.endResetModel()

    def count(self, key: int) -> tuple[int, int]:
        """Images and pixels of a row."""
        return self._counts.get(key, (0, 0))

    def row_of(self, key: int) -> int:
        """Where a key is, -1 if nowhere."""
        return next((i for i, row in enumerate(self.rows) if row.key == key), -1)

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008
        """Number of classes."""
        return 0 if parent.isValid() else len(self.rows)

    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008
        """Id, name, images, pixels."""
        return 4

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Titles of the columns."""
        if orientation != Qt.Orientation.Horizontal:
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            return (self.tr("Id"), self.tr("Class"), self.tr("Images"), self.tr("Pixels"))[section]
        if role == Qt.ItemDataRole.TextAlignmentRole and section != NAME:
            return int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        return None

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Texts and tooltips."""
        if not index.isValid():
            return None
        row = self.rows[index.row()]
        images, pixels = self._counts.get(row.key, (None, None))
        number = QLocale().toString
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.EditRole):
            own_id = str(index.row()) if row.known else str(min(row.origins))
            shown = (
                own_id,
                row.name,
                "" if images is None else number(images),
                "" if pixels is None else number(pixels),
            )
            return shown[index.column()]
        if role == Qt.ItemDataRole.ToolTipRole and not row.known:
            return self.tr("Class maps hold this id, but it is no class. Give it a name, merge it or delete it.")
        if role == Qt.ItemDataRole.ToolTipRole and index.column() == NAME:
            return self.tr("Double-click to rename, click the colour to change it, drag to give another id")
        return None

    def flags(self, index: Index) -> Qt.ItemFlag:
        """Names can be edited, rows dragged."""
        flags = Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable
        if not index.isValid():
            return flags | Qt.ItemFlag.ItemIsDropEnabled
        if index.column() == NAME:
            flags |= Qt.ItemFlag.ItemIsEditable
        return flags | Qt.ItemFlag.ItemIsDragEnabled if self.rows[index.row()].known else flags

    def setData(self, index: Index, value: Any, role: int = Qt.ItemDataRole.EditRole) -> bool:
        """Ask for another name."""
        if role == Qt.ItemDataRole.EditRole and str(value) != self.rows[index.row()].name:
            self.renamed.emit(self.rows[index.row()].key, str(value))
        return True

    def supportedDropActions(self) -> Qt.DropAction:
        """Rows are moved."""
        return Qt.DropAction.MoveAction

    def mimeTypes(self) -> list[str]:
        """Keys of rows."""
        return [_KEYS]

    def mimeData(self, indexes: Sequence[QModelIndex]) -> QMimeData:
        """What is dragged."""
        keys = [self.rows[row].key for row in sorted({index.row() for index in indexes})]
        mime = QMimeData()
        mime.setData(_KEYS, ",".join(map(str, keys)).encode())
        return mime

    def dropMimeData(self, data: QMimeData, action: Qt.DropAction, row: int, column: int, parent: Index) -> bool:
        """Ask for the move; the draft makes it, not the view."""
        if data.hasFormat(_KEYS):
            keys = [int(key) for key in bytes(data.data(_KEYS).data()).decode().split(",")]
            self.moved.emit(keys, row if row >= 0 else parent.row() if parent.isValid() else len(self.rows))
        return False


class _LabelDelegate(QStyledItemDelegate):
    """Draws a class with its swatch; edits its name beside it."""

    def __init__(self, model: LabelTableModel, parent: QWidget) -> None:
        super().__init__(parent)
        self._model, self._widget = model, parent

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        metrics = self._widget.fontMetrics()
        text = str(index.data(Qt.ItemDataRole.DisplayRole))
        return QSize(metrics.horizontalAdvance(text) + 2 * GAP, metrics.height() + 8)

    def swatch(self, cell: QRect) -> QRectF:
        """Where in the cell of a name its colour is."""
        return QRectF(cell.left() + GAP, cell.center().y() - _SWATCH / 2 + 0.5, _SWATCH, _SWATCH)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        row = self._model.rows[index.row()]
        area: QRect = option.rect
        tone = tones(option.palette)
        selected = bool(option.state & QStyle.StateFlag.State_Selected)
        painter.save()
        painter.fillRect(area, tone.active_row if selected else QColor(tone.base))
        font = self._widget.font() if index.column() == NAME else small_font(self._widget)
        font.setItalic(not row.known)
        painter.setFont(font)
        painter.setPen(QColor(tone.text if index.column() == NAME and row.known else tone.muted))
        room, align = area.adjusted(GAP, 0, -GAP, 0), Qt.AlignmentFlag.AlignRight
        if index.column() == NAME:
            paint_swatch(painter, self.swatch(area), QColor(*row.colour))
            room, align = room.adjusted(_SWATCH + GAP, 0, 0, 0), Qt.AlignmentFlag.AlignLeft
        text = painter.fontMetrics().elidedText(
            str(index.data(Qt.ItemDataRole.DisplayRole)), Qt.TextElideMode.ElideRight, room.width()
        )
        painter.drawText(room, align | Qt.AlignmentFlag.AlignVCenter, text)
        painter.restore()

    def createEditor(self, parent: QWidget, option: QStyleOptionViewItem, index: Index) -> QWidget:
        editor = QLineEdit(parent)
        editor.setAccessibleName(self.tr("Name of the class"))
        return editor

    def updateEditorGeometry(self, editor: QWidget, option: QStyleOptionViewItem, index: Index) -> None:
        area: QRect = option.rect
        editor.setGeometry(area.adjusted(_SWATCH + 2 * GAP - 4, 0, 0, 0))


class LabelTable(QTableView):
    """The table itself.

    Attributes
    ----------
    colourClicked : Signal(int)
        The colour of the class of a key was clicked.
    deleteAsked : Signal()
    selectionChangedByHand : Signal()
    """

    colourClicked = Signal(int)
    deleteAsked = Signal()
    selectionChangedByHand = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.labels = LabelTableModel(self)
        self._rows = _LabelDelegate(self.labels, self)
        self.setModel(self.labels)
        self.setItemDelegate(self._rows)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setShowGrid(False)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setTabKeyNavigation(False)
        self.setDragDropMode(QAbstractItemView.DragDropMode.InternalMove)
        self.setDragDropOverwriteMode(False)
        self.setDefaultDropAction(Qt.DropAction.MoveAction)
        self.setAccessibleName(self.tr("Classes"))
        rows = self.verticalHeader()
        rows.hide()
        rows.setDefaultSectionSize(self.fontMetrics().height() + 8)
        header = self.horizontalHeader()
        header.setHighlightSections(False)
        header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        for column in (ID, IMAGES, PIXELS):
            header.setSectionResizeMode(column, QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(NAME, QHeaderView.ResizeMode.Stretch)
        self.selectionModel().selectionChanged.connect(lambda *_: self.selectionChangedByHand.emit())

    def selected_keys(self) -> list[int]:
        """Keys of the selected classes, in the order of the ids."""
        rows = sorted(index.row() for index in self.selectionModel().selectedRows())
        return [self.labels.rows[row].key for row in rows]

    def select_keys(self, keys: Sequence[int]) -> None:
        """Select these classes and bring the first into view."""
        selection = self.selectionModel()
        selection.clearSelection()
        flags = QItemSelectionModel.SelectionFlag.Select | QItemSelectionModel.SelectionFlag.Rows
        rows = [row for key in keys if (row := self.labels.row_of(key)) >= 0]
        for row in rows:
            selection.select(self.labels.index(row, NAME), flags)
        if rows:
            index = self.labels.index(rows[0], NAME)
            selection.setCurrentIndex(index, QItemSelectionModel.SelectionFlag.NoUpdate)
            self.scrollTo(index)

    def edit_name(self, key: int) -> None:
        """Let the person type a name."""
        row = self.labels.row_of(key)
        if row >= 0:
            self.setFocus()
            self.setCurrentIndex(self.labels.index(row, NAME))
            self.edit(self.labels.index(row, NAME))

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """A click on a colour."""
        super().mouseReleaseEvent(event)
        index = self.indexAt(event.position().toPoint())
        on_name = event.button() == Qt.MouseButton.LeftButton and index.isValid() and index.column() == NAME
        if on_name and self._rows.swatch(self.visualRect(index)).contains(event.position()):
            self.colourClicked.emit(self.labels.rows[index.row()].key)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Delete asks to delete."""
        if event.key() == Qt.Key.Key_Delete and self.state() != QAbstractItemView.State.EditingState:
            self.deleteAsked.emit()
            return
        super().keyPressEvent(event)
