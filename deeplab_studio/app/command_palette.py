"""The command palette: type a few letters, press Enter."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PySide6.QtCore import (
    QAbstractListModel,
    QEvent,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    QRect,
    QRectF,
    QSize,
    Qt,
    QTimer,
    Signal,
)
from PySide6.QtGui import QColor, QKeyEvent, QPainter, QPaintEvent, QPen, QTextCharFormat, QTextLayout
from PySide6.QtWidgets import (
    QApplication,
    QFrame,
    QLineEdit,
    QListView,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QVBoxLayout,
    QWidget,
)

from deeplab_studio.app.icons import icon, paint_icon
from deeplab_studio.app.palette_entries import Entry
from deeplab_studio.app.panels.controls import GAP, Muted, small_font
from deeplab_studio.app.theme import tones

Index = QModelIndex | QPersistentModelIndex

_ROW = 30
_SHOWN_ROWS = 11
_MOVES = {
    Qt.Key.Key_Up: -1,
    Qt.Key.Key_Down: 1,
    Qt.Key.Key_PageUp: -(_SHOWN_ROWS - 1),
    Qt.Key.Key_PageDown: _SHOWN_ROWS - 1,
}


class _Entries(QAbstractListModel):
    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self.entries: Sequence[Entry] = ()

    def show(self, entries: Sequence[Entry]) -> None:
        self.beginResetModel()
        self.entries = entries
        self.endResetModel()

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008
        return 0 if parent.isValid() else len(self.entries)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        if not index.isValid():
            return None
        entry = self.entries[index.row()]
        if role == Qt.ItemDataRole.DisplayRole:
            return entry.title
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return ", ".join(filter(None, (entry.title, entry.path, entry.keys)))
        return None


class _Delegate(QStyledItemDelegate):
    """Draws icon, name with the letters typed, place in the menus, keys."""

    def __init__(self, model: _Entries, parent: QWidget) -> None:
        super().__init__(parent)
        self._model, self._widget = model, parent

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        return QSize(0, _ROW)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        entry = self._model.entries[index.row()]
        area: QRect = option.rect
        chosen = bool(option.state & QStyle.StateFlag.State_Selected)
        tone = tones()
        text = tone.text if entry.enabled else tone.disabled
        muted = tone.muted if entry.enabled else tone.disabled
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if chosen:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(tone.active_row)
            painter.drawRoundedRect(QRectF(area).adjusted(4, 1, -4, -1), 4, 4)
        left = area.left() + 12
        side = QRect(left, area.center().y() - 7, 16, 16)
        if entry.icon is not None and not entry.icon.isNull():
            entry.icon.paint(painter, side)
        left += 26
        right = area.right() - 14
        small = small_font(self._widget)
        if entry.keys:
            painter.setFont(small)
            width = painter.fontMetrics().horizontalAdvance(entry.keys)
            painter.setPen(QColor(muted))
            painter.drawText(
                QRect(right - width, area.top(), width, area.height()), Qt.AlignmentFlag.AlignVCenter, entry.keys
            )
            right -= width + 2 * GAP
        if entry.checked:
            paint_icon(painter, QRect(right - 14, area.center().y() - 6, 14, 14), "check", tone.colour("accent"))
            right -= 14 + GAP
        used = self._paint_name(painter, entry, QRect(left, area.top(), right - left, area.height()), text)
        if entry.path:
            painter.setFont(small)
            painter.setPen(QColor(muted))
            room = QRect(left + used + 10, area.top(), right - left - used - 10, area.height())
            path = painter.fontMetrics().elidedText(entry.path, Qt.TextElideMode.ElideRight, room.width())
            painter.drawText(room, Qt.AlignmentFlag.AlignVCenter, path)
        painter.restore()

    def _paint_name(self, painter: QPainter, entry: Entry, area: QRect, colour: str) -> int:
        """Draw the name with the letters that were typed set off; its width."""
        font = self._widget.font()
        metrics = self._widget.fontMetrics()
        title = metrics.elidedText(entry.title, Qt.TextElideMode.ElideMiddle, area.width())
        layout = QTextLayout(title, font)
        if title == entry.title and entry.enabled:
            meant = QTextCharFormat()
            meant.setForeground(tones().colour("accent"))
            ranges = []
            for place in entry.places:
                each = QTextLayout.FormatRange()
                each.start, each.length, each.format = place, 1, meant
                ranges.append(each)
            layout.setFormats(ranges)
        layout.beginLayout()
        line = layout.createLine()
        line.setLineWidth(max(area.width(), 1))
        layout.endLayout()
        painter.setPen(QColor(colour))
        layout.draw(painter, QRectF(area.left(), area.center().y() - line.height() / 2 + 0.5, 0, 0).topLeft())
        return round(line.naturalTextWidth())


class CommandPalette(QFrame):
    """A field with a list under it, over the top of the window. The keyboard does everything, the mouse can.

    Parameters
    ----------
    window : QWidget
        What it lies on.
    search : callable
        The rows for what is typed.

    Attributes
    ----------
    chosen : Signal(object)
        The `Entry` that the person wants done; the palette is gone by then.
    """

    chosen = Signal(object)

    def __init__(self, window: QWidget, search: Callable[[str], Sequence[Entry]]) -> None:
        super().__init__(window)
        self._window = window
        self._search = search
        self._before: QWidget | None = None
        self.setObjectName("palette")
        self.setAutoFillBackground(False)
        self.edit = QLineEdit()
        self.edit.setAccessibleName(self.tr("Command"))
        self.edit.setPlaceholderText(self.tr("Type a command, @ and an image, or # and a class"))
        self.edit.addAction(icon("search", tone="muted"), QLineEdit.ActionPosition.LeadingPosition)
        self.edit.textChanged.connect(self._find)
        self.edit.installEventFilter(self)
        self._model = _Entries(self)
        self.list = QListView()
        self.list.setAccessibleName(self.tr("Commands"))
        self.list.setModel(self._model)
        self.list.setItemDelegate(_Delegate(self._model, self.list))
        self.list.setUniformItemSizes(True)
        self.list.setFrameShape(QFrame.Shape.NoFrame)
        self.list.setStyleSheet("QListView { border: none; background: transparent; }")
        self.list.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.list.setMouseTracking(True)
        self.list.entered.connect(self.list.setCurrentIndex)
        self.list.clicked.connect(lambda _index: self.run())
        self.foot = Muted()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(GAP, GAP, GAP, GAP // 2)
        layout.setSpacing(GAP // 2)
        layout.addWidget(self.edit)
        layout.addWidget(self.list, 1)
        layout.addWidget(self.foot)
        window.installEventFilter(self)
        self.hide()

    @property
    def entries(self) -> Sequence[Entry]:
        """The rows that are listed."""
        return self._model.entries

    @property
    def current(self) -> Entry | None:
        """The row that Enter would run."""
        row = self.list.currentIndex().row()
        return self._model.entries[row] if 0 <= row < len(self._model.entries) else None

    def open(self, text: str = "") -> None:
        """Show it with this text; the focus comes back to where it was when it closes."""
        if not self.isVisible():
            self._before = QApplication.focusWidget()
        self.edit.setText(text)
        self._find(text)
        self.show()
        self.raise_()
        self.edit.setFocus(Qt.FocusReason.PopupFocusReason)

    def dismiss(self) -> None:
        """Hide it and give the focus back."""
        if self.isVisible():
            self.hide()
            if self._before is not None:
                self._before.setFocus(Qt.FocusReason.PopupFocusReason)
            self._before = None

    def run(self) -> None:
        """Do what is chosen; what cannot be done now says so and stays."""
        entry = self.current
        if entry is None:
            return
        if not entry.enabled:
            self.foot.setText(self.tr("“{0}” cannot be done now.").format(entry.title))
            return
        self.dismiss()
        # After this event: what runs may open a dialog, and the key that started it is still being handled.
        QTimer.singleShot(0, self, lambda: self.chosen.emit(entry))

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Take the keys of the list before the field or the window does; follow the window's size."""
        kind = event.type()
        if watched is self.edit:
            if kind == QEvent.Type.ShortcutOverride and isinstance(event, QKeyEvent):
                # No key of the window works in here, but those that open it close it.
                event.accept()
                return False
            if kind == QEvent.Type.KeyPress and isinstance(event, QKeyEvent):
                return self._key(event)
            if kind == QEvent.Type.FocusOut and self.isVisible():
                self._before = None  # the focus has gone where the person wanted it
                self.hide()
        elif kind == QEvent.Type.Resize and self.isVisible():
            self._place()
        return False

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw the surface and its edge."""
        tone = tones()
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(QColor(tone.border_strong), 1))
        painter.setBrush(QColor(tone.alternate))
        painter.drawRoundedRect(QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5), 6, 6)

    def _key(self, event: QKeyEvent) -> bool:
        key = Qt.Key(event.key())
        if key == Qt.Key.Key_Escape:
            self.dismiss()
        elif key in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.run()
        elif key in _MOVES:
            self._move(_MOVES[key])
        elif key in (Qt.Key.Key_Tab, Qt.Key.Key_Backtab):
            self._move(1 if key == Qt.Key.Key_Tab else -1)
        elif key == Qt.Key.Key_P and event.modifiers() & Qt.KeyboardModifier.ControlModifier:
            self.dismiss()
        else:
            return False
        return True

    def _move(self, by: int) -> None:
        count = len(self._model.entries)
        if not count:
            return
        row = self.list.currentIndex().row() + by
        if abs(by) == 1:
            row %= count
        self.list.setCurrentIndex(self._model.index(min(max(row, 0), count - 1)))

    def _find(self, text: str) -> None:
        self._model.show(self._search(text))
        self.foot.setText(
            self.tr("@ images    # classes    ↑ ↓ Enter") if self._model.entries else self.tr("Nothing is called that.")
        )
        if self._model.entries:
            self.list.setCurrentIndex(self._model.index(0))
        self._place()

    def _place(self) -> None:
        window = self._window
        width = min(600, window.width() - 40)
        rows = min(max(len(self._model.entries), 1), _SHOWN_ROWS)
        frame = self.edit.sizeHint().height() + self.foot.sizeHint().height() + 3 * GAP + GAP // 2
        height = min(rows * _ROW + frame, window.height() - 80)
        self.setGeometry((window.width() - width) // 2, 56, width, height)
