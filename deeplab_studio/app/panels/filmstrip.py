"""A row of small pictures to choose from."""

from __future__ import annotations

from PySide6.QtCore import QAbstractItemModel, QModelIndex, QPersistentModelIndex, QRect, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QImage,
    QMouseEvent,
    QPainter,
    QPainterPath,
    QPen,
    QResizeEvent,
    QStandardItem,
    QStandardItemModel,
    QWheelEvent,
)
from PySide6.QtWidgets import (
    QAbstractItemView,
    QFrame,
    QListView,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QWidget,
)

from deeplab_studio.app.panels.controls import GAP, small_font
from deeplab_studio.app.theme import tones

PICTURE_ROLE = Qt.ItemDataRole.UserRole + 1

NARROWEST, WIDEST = 58, 116
"""Width of a frame in logical pixels; frames share the room between these."""

_PICTURE_HEIGHT = 66
_INSET = 3

_Index = QModelIndex | QPersistentModelIndex


class Filmstrip(QListView):
    """Frames side by side, each a picture with a word under it; one of them is chosen.

    Frames are as wide as the room allows. Dragging over them, the arrow keys and the wheel go through them.

    Attributes
    ----------
    chosen : Signal(int)
        The person went to another frame.
    """

    chosen = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._frames = QStandardItemModel(self)
        self.setModel(self._frames)
        self.setItemDelegate(_FrameDelegate(self))
        self.setFont(small_font(self))
        self.setFlow(QListView.Flow.LeftToRight)
        self.setWrapping(False)
        self.setSpacing(0)
        self.setUniformItemSizes(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setStyleSheet("QListView { border: none; background: transparent; }")
        self.setFixedHeight(self.frame_size().height())
        self.setMouseTracking(True)
        self.selectionModel().currentChanged.connect(self._on_current)
        self._quiet = False

    def set_frames(self, names: list[str], tips: list[str]) -> None:
        """Show frames with these words, pictures of frames that stay by their word kept."""
        pictures = {self._frames.item(row).text(): self.picture(row) for row in range(self._frames.rowCount())}
        current = self.current
        self._quiet = True
        self._frames.clear()
        for name, tip in zip(names, tips, strict=True):
            item = QStandardItem(name)
            item.setToolTip(tip)
            item.setData(pictures.get(name), PICTURE_ROLE)
            self._frames.appendRow(item)
        self._quiet = False
        self.set_current(min(max(current, 0), len(names) - 1))
        self.scheduleDelayedItemsLayout()

    @property
    def names(self) -> list[str]:
        """The word under each frame."""
        return [self._frames.item(row).text() for row in range(self._frames.rowCount())]

    def picture(self, row: int) -> QImage | None:
        """The picture of a frame."""
        image: QImage | None = self._frames.item(row).data(PICTURE_ROLE)
        return image

    def set_picture(self, row: int, image: QImage | None) -> None:
        """Give a frame its picture, as sharp as the screen: `picture_size` pixels at most."""
        self._frames.item(row).setData(image, PICTURE_ROLE)

    @property
    def current(self) -> int:
        """The chosen frame, -1 for none."""
        return self.currentIndex().row()

    def set_current(self, row: int) -> None:
        """Choose a frame, without a signal."""
        self._quiet = True
        self.setCurrentIndex(self._frames.index(row, 0))
        self._quiet = False

    def picture_size(self) -> int:
        """Longest side of a frame's picture in device pixels."""
        return round(WIDEST * self.devicePixelRatioF())

    def frame_size(self) -> QSize:
        """Size of one frame in logical pixels."""
        count = self._frames.rowCount()
        width = WIDEST if not count else min(max(self.viewport().width() // count, NARROWEST), WIDEST)
        return QSize(width, _PICTURE_HEIGHT + self.fontMetrics().height() + 2 * _INSET + 4)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Share the room out anew."""
        super().resizeEvent(event)
        self.scheduleDelayedItemsLayout()

    def wheelEvent(self, event: QWheelEvent) -> None:
        """One step of the wheel is one frame."""
        turned = event.angleDelta().y() or event.angleDelta().x()
        if abs(turned) >= 15 and self._frames.rowCount():
            row = min(max(self.current + (-1 if turned > 0 else 1), 0), self._frames.rowCount() - 1)
            self.setCurrentIndex(self._frames.index(row, 0))
        event.accept()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Go through the frames while the button is held."""
        if event.buttons() & Qt.MouseButton.LeftButton:
            index = self.indexAt(event.position().toPoint())
            if index.isValid():
                self.setCurrentIndex(index)
        else:
            super().mouseMoveEvent(event)

    def _on_current(self, index: QModelIndex) -> None:
        if index.isValid():
            self.scrollTo(index)
            if not self._quiet:
                self.chosen.emit(index.row())


class _FrameDelegate(QStyledItemDelegate):
    """Draws a frame."""

    def __init__(self, strip: Filmstrip) -> None:
        super().__init__(strip)
        self._strip = strip

    def sizeHint(self, option: QStyleOptionViewItem, index: _Index) -> QSize:
        """The same for all."""
        return self._strip.frame_size()

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: _Index) -> None:
        """Picture, word, and a border around the chosen one."""
        model: QAbstractItemModel = index.model()
        image: QImage | None = model.data(index, PICTURE_ROLE)
        name = str(model.data(index, Qt.ItemDataRole.DisplayRole))
        tone = tones()
        state = option.state
        chosen = bool(state & QStyle.StateFlag.State_Selected)
        hovered = bool(state & QStyle.StateFlag.State_MouseOver)
        rect: QRect = option.rect
        area = QRectF(rect).adjusted(_INSET, _INSET, -_INSET, -_INSET)
        area.setHeight(_PICTURE_HEIGHT)
        painter.save()
        painter.setRenderHints(QPainter.RenderHint.Antialiasing | QPainter.RenderHint.SmoothPixmapTransform)
        shown = area
        if image is not None and not image.isNull():
            scale = min(area.width() / image.width(), area.height() / image.height())
            shown = QRectF(0, 0, image.width() * scale, image.height() * scale)
            shown.moveCenter(area.center())
            outline = QPainterPath()
            outline.addRoundedRect(shown, 3, 3)
            painter.setClipPath(outline)
            painter.drawImage(shown, image)
            painter.setClipping(False)
        else:
            shown = area.adjusted(0, GAP / 2, 0, -GAP / 2)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        if chosen:
            painter.setPen(QPen(tone.colour("accent"), 2))
            painter.drawRoundedRect(shown, 3, 3)
        elif hovered or image is None:
            painter.setPen(QPen(tone.colour("border_strong" if hovered else "border"), 1))
            painter.drawRoundedRect(shown.adjusted(0.5, 0.5, -0.5, -0.5), 3, 3)
        painter.setPen(tone.colour("accent" if chosen else "muted"))
        painter.setFont(self._strip.font())
        text = QRectF(rect.left(), area.bottom() + 2, rect.width(), self._strip.fontMetrics().height())
        name = self._strip.fontMetrics().elidedText(name, Qt.TextElideMode.ElideRight, rect.width() - 2)
        painter.drawText(text, Qt.AlignmentFlag.AlignCenter, name)
        painter.restore()
