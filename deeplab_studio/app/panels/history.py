"""The panel of steps: what was done to the image on screen, where it stands now, and a way to any point of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import (
    QAbstractListModel,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    QRect,
    QRectF,
    QSignalBlocker,
    QSize,
    Qt,
    Signal,
)
from PySide6.QtGui import QColor, QFont, QKeyEvent, QPainter, QPen
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHBoxLayout,
    QListView,
    QSpinBox,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QVBoxLayout,
    QWidget,
)

from deeplab_studio.app.icons import paint_icon
from deeplab_studio.app.panels.controls import GAP, Muted
from deeplab_studio.app.theme import tones

if TYPE_CHECKING:
    from deeplab_studio.app.edits import HistoryRow

Index = QModelIndex | QPersistentModelIndex

MIB = 1 << 20


class StepModel(QAbstractListModel):
    """The steps, below a row that stands for how the image was before any of them."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._rows: list[HistoryRow] = []
        self.first = ""

    @property
    def position(self) -> int:
        """Row of where the image stands."""
        return sum(row.done for row in self._rows)

    def set_rows(self, first: str, rows: Sequence[HistoryRow]) -> None:
        """Take other steps over."""
        self.beginResetModel()
        self.first, self._rows = first, list(rows)
        self.endResetModel()

    def step(self, row: int) -> HistoryRow | None:
        """The step in a row; None in the first."""
        return self._rows[row - 1] if row > 0 else None

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008
        """Steps and the row above them; none at all without an image."""
        return 0 if parent.isValid() or not self.first else len(self._rows) + 1

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Name, tooltip, and a sentence for who cannot see the row."""
        if not index.isValid():
            return None
        step = self.step(index.row())
        if role == Qt.ItemDataRole.DisplayRole:
            return self.first if step is None else step.name
        if role == Qt.ItemDataRole.ToolTipRole:
            return self._tip(step)
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return self._sentence(index.row(), step)
        return None

    def _tip(self, step: HistoryRow | None) -> str:
        if step is None:
            return self.tr("Click to take everything below back")
        lines = [step.name, self.tr("Click to go there: later steps are undone, earlier ones made again")]
        if step.of_project:
            lines.append(self.tr("A step of the whole data set"))
        return "\n".join(lines)

    def _sentence(self, row: int, step: HistoryRow | None) -> str:
        parts = [self.first if step is None else step.name]
        if row == self.position:
            parts.append(self.tr("current position"))
        elif step is not None and not step.done:
            parts.append(self.tr("undone"))
        if step is not None and step.of_project:
            parts.append(self.tr("whole data set"))
        return ", ".join(parts)


class _StepDelegate(QStyledItemDelegate):
    """Draws a step: a bar at the current position, undone ones in grey, a mark on those of the whole data set."""

    _ICON = 14

    def __init__(self, model: StepModel, parent: QWidget) -> None:
        super().__init__(parent)
        self._model, self._widget = model, parent

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        return QSize(0, max(20, self._widget.fontMetrics().height() + 5))

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        row: QRect = option.rect
        flags: QStyle.StateFlag = option.state
        tone = tones(option.palette)
        step = self._model.step(index.row())
        current = index.row() == self._model.position
        painter.save()
        if current:
            painter.fillRect(row, tone.active_row)
            painter.fillRect(QRect(row.left(), row.top(), 3, row.height()), QColor(tone.accent))
        elif flags & QStyle.StateFlag.State_MouseOver:
            painter.fillRect(row, QColor(tone.hover))
        if flags & QStyle.StateFlag.State_HasFocus:
            painter.setPen(QPen(QColor(tone.accent), 1))
            painter.drawRect(QRectF(row).adjusted(0.5, 0.5, -0.5, -0.5))
        undone = step is not None and not step.done
        font = self._widget.font()
        font.setItalic(step is None)
        if current:
            font.setWeight(QFont.Weight.DemiBold)
        painter.setFont(font)
        colour = QColor(tone.disabled if undone else tone.muted if step is None else tone.text)
        painter.setPen(colour)
        room = row.adjusted(GAP + 3, 0, -GAP, 0)
        if step is not None and step.of_project:
            mark = QRect(0, 0, self._ICON, self._ICON)
            mark.moveCenter(room.center())
            mark.moveRight(room.right())
            paint_icon(painter, mark, "project", QColor(tone.disabled if undone else tone.muted))
            room.setRight(mark.left() - GAP // 2)
        text = painter.fontMetrics().elidedText(
            str(index.data(Qt.ItemDataRole.DisplayRole)), Qt.TextElideMode.ElideRight, room.width()
        )
        painter.drawText(room, Qt.AlignmentFlag.AlignVCenter, text)
        painter.restore()


class _StepList(QListView):
    """The list itself: a click or Enter goes to a step."""

    chosen = Signal(int)

    def __init__(self, model: StepModel, parent: QWidget) -> None:
        super().__init__(parent)
        self.setModel(model)
        self.setItemDelegate(_StepDelegate(model, self))
        self.setUniformItemSizes(True)
        self.setMouseTracking(True)
        self.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.clicked.connect(lambda index: self.chosen.emit(index.row()))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Enter is a click."""
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Space) and self.currentIndex().isValid():
            self.chosen.emit(self.currentIndex().row())
            return
        super().keyPressEvent(event)


class HistoryPanel(QWidget):
    """The steps of the image on screen, and how much memory all images' steps take.

    Attributes
    ----------
    chosen : Signal(int)
        The person wants so many of the steps to be done.
    boundChanged : Signal(int)
        The person wants them to take no more than so many bytes.
    """

    chosen = Signal(int)
    boundChanged = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.model = StepModel(self)
        self.list = _StepList(self.model, self)
        self.list.setAccessibleName(self.tr("Steps"))
        self.list.chosen.connect(self.chosen)
        self.bytes_label = Muted()
        self.bound_box = QSpinBox()
        self.bound_box.setRange(8, 1 << 20)
        self.bound_box.setSuffix(self.tr(" MB"))
        self.bound_box.setKeyboardTracking(False)
        self.bound_box.setStepType(QSpinBox.StepType.AdaptiveDecimalStepType)
        self.bound_box.setFixedWidth(self.fontMetrics().horizontalAdvance("1048576 MB") + 4 * GAP)
        self.bound_box.setAccessibleName(self.tr("Memory for undo"))
        self.bound_box.setToolTip(
            self.tr("Memory for the steps of all images together; the oldest ones are forgotten when it is full")
        )
        self.bound_box.valueChanged.connect(lambda megabytes: self.boundChanged.emit(megabytes * MIB))
        foot = QHBoxLayout()
        foot.setContentsMargins(GAP, 0, GAP, GAP)
        foot.setSpacing(GAP)
        foot.addWidget(self.bytes_label, 1)
        foot.addWidget(self.bound_box)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.setSpacing(GAP)
        whole.addWidget(self.list, 1)
        whole.addLayout(foot)
        self.set_memory(0, 256 * MIB)

    def set_steps(self, rows: Sequence[HistoryRow], *, image: bool, forgotten: bool) -> None:
        """Show steps.

        Parameters
        ----------
        rows : sequence of HistoryRow
            Oldest first, those undone last.
        image : bool
            Whether an image is on screen.
        forgotten : bool
            Whether there were older steps that are forgotten.
        """
        first = self.tr("Older steps are forgotten") if forgotten else self.tr("As it was opened")
        self.model.set_rows(first if image or rows else "", rows)
        index = self.model.index(self.model.position)
        self.list.setCurrentIndex(index)
        self.list.scrollTo(index)

    def set_memory(self, held: int, bound: int) -> None:
        """Show how many bytes all steps take, and how many they may."""
        used = held / MIB
        text = self.tr("{0} MB of").format(f"{used:.0f}" if used >= 10 else f"{used:.1f}")
        self.bytes_label.setText(self.tr("Undo: {0}").format(text))
        with QSignalBlocker(self.bound_box):
            self.bound_box.setValue(round(bound / MIB))
