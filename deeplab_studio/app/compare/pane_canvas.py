"""The canvas of a pane: a picture that moves along with others and shows where their pointer is."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from PySide6.QtCore import QObject, QPointF, QRect, QRectF, Signal
from PySide6.QtGui import QPainter, QPainterPath

from deeplab_studio.app.canvas import CanvasView
from deeplab_studio.app.canvas.cursors import draw_contrasted, draw_tag, tag_rect

if TYPE_CHECKING:
    from PySide6.QtWidgets import QWidget

    from deeplab_studio.core.geometry import Rect

_ARM = 9.0
_FREE = 3.0
"""The ghost of a pointer: a cross with a free middle, in logical pixels."""

_REGION_SHARE = 0.5
"""A region that is gone to takes so much of the pane..."""

_REGION_SCALE = 8.0
"""...but is not made larger than so many device pixels per image pixel."""


class Place(NamedTuple):
    """What a canvas shows: device pixels per image pixel, the image point in its middle, and whether it is fitted."""

    scale: float
    x: float
    y: float
    fitted: bool


class PaneCanvas(CanvasView):
    """A canvas of one of several panes.

    Signals
    -------
    moved
        It was zoomed or moved, other than by `follow`.
    """

    moved = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._quiet = False
        self._ghost: tuple[int, int, str] | None = None
        self._marked: Rect | None = None

    @property
    def place(self) -> Place:
        """What it shows."""
        middle = self.to_image(self._middle())
        return Place(self._scale, middle.x(), middle.y(), self._fitted)

    def follow(self, place: Place) -> None:
        """Show what another canvas shows."""
        self._quiet = True
        try:
            if place.fitted:
                self.zoom_fit()
            elif self.image_size is not None:
                self._place(place.scale, self._middle(), QPointF(place.x, place.y))
                self._fitted = False
        finally:
            self._quiet = False

    def go_to(self, box: Rect) -> None:
        """Show a box of the image in the middle, as large as it is well seen."""
        size = self.image_size
        if size is None:
            return
        room, ratio = self.viewport().size(), self.devicePixelRatioF()
        scale = _REGION_SHARE * ratio * min(room.width() / box.width, room.height() / box.height)
        scale = min(max(scale, self._fit_scale(size)), max(_REGION_SCALE * ratio, self._fit_scale(size)))
        self._fitted = False
        self._place(scale, self._middle(), QPointF((box.left + box.right) / 2, (box.top + box.bottom) / 2))

    def set_ghost(self, x: int, y: int, text: str) -> None:
        """Show that the pointer of another pane is at an image pixel, and what this pane says there; -1 for nowhere."""
        ghost = (x, y, text) if x >= 0 else None
        if ghost != self._ghost:
            self._expose(self._ghost_rect())
            self._ghost = ghost
            self._expose(self._ghost_rect())

    def mark(self, box: Rect | None) -> None:
        """Frame a box of the image, or none."""
        self._marked = box
        self.viewport().update()

    def zoom_fit(self) -> None:
        """Show the whole image."""
        self._told_once(super().zoom_fit)

    def set_scale(self, scale: float, at: QPointF | None = None) -> None:
        """Set the device pixels per image pixel."""
        self._told_once(lambda: CanvasView.set_scale(self, scale, at))

    def view_changed(self) -> None:
        """Let the others follow."""
        super().view_changed()
        self._tell()

    def drawForeground(self, painter: QPainter, rect: QRectF | QRect) -> None:
        """Draw frame and ghost, then the tool's overlay."""
        if self.image_size is not None and (self._ghost is not None or self._marked is not None):
            painter.save()
            painter.resetTransform()
            if self._marked is not None:
                self._draw_frame(painter, self._marked)
            if self._ghost is not None:
                self._draw_ghost(painter, *self._ghost)
            painter.restore()
        super().drawForeground(painter, rect)

    def scrollContentsBy(self, dx: int, dy: int) -> None:
        """Scroll; frame and ghost are drawn anew where they were and where they are."""
        ghost = self._ghost_rect()
        super().scrollContentsBy(dx, dy)
        for part in (ghost, ghost.translated(dx, dy), self._ghost_rect()):
            self._expose(part)
        if self._marked is not None:
            self.viewport().update()

    def _told_once(self, change: Callable[[], None]) -> None:
        """Let the others follow once it is done: whether it counts as fitted is settled last."""
        quiet, self._quiet = self._quiet, True
        try:
            change()
        finally:
            self._quiet = quiet
        self._tell()

    def _tell(self) -> None:
        if not self._quiet and self.image_size is not None:
            self.moved.emit()

    def _expose(self, rect: QRectF) -> None:
        if not rect.isEmpty():
            self.viewport().update(rect.toAlignedRect().adjusted(-2, -2, 2, 2))

    def _ghost_at(self) -> QPointF:
        assert self._ghost is not None
        return self.to_viewport(self._ghost[0] + 0.5, self._ghost[1] + 0.5)

    def _ghost_rect(self) -> QRectF:
        if self._ghost is None or self.image_size is None:
            return QRectF()
        at = self._ghost_at()
        cross = QRectF(at.x() - _ARM - 2, at.y() - _ARM - 2, 2 * _ARM + 4, 2 * _ARM + 4)
        return cross | self._tag_rect(at, self._ghost[2]) if self._ghost[2] else cross

    def _tag_rect(self, at: QPointF, text: str) -> QRectF:
        return tag_rect(text, at - QPointF(6, 6), QRectF(self.viewport().rect()))

    def _draw_ghost(self, painter: QPainter, _x: int, _y: int, text: str) -> None:
        at = self._ghost_at()
        path = QPainterPath()
        for dx, dy in ((1, 0), (-1, 0), (0, 1), (0, -1)):
            path.moveTo(at + QPointF(_FREE * dx, _FREE * dy))
            path.lineTo(at + QPointF(_ARM * dx, _ARM * dy))
        draw_contrasted(painter, path)
        if text:
            draw_tag(painter, self._tag_rect(at, text), text)

    def _draw_frame(self, painter: QPainter, box: Rect) -> None:
        """Corners around a box, at a little distance."""
        frame = QRectF(self.to_viewport(box.left, box.top), self.to_viewport(box.right, box.bottom))
        frame = frame.adjusted(-5, -5, 5, 5)
        arm = min(14.0, frame.width() / 3, frame.height() / 3)
        path = QPainterPath()
        for corner, along, down in (
            (frame.topLeft(), 1, 1),
            (frame.topRight(), -1, 1),
            (frame.bottomRight(), -1, -1),
            (frame.bottomLeft(), 1, -1),
        ):
            path.moveTo(corner + QPointF(arm * along, 0))
            path.lineTo(corner)
            path.lineTo(corner + QPointF(0, arm * down))
        draw_contrasted(painter, path, smooth=False)


class PaneLink(QObject):
    """Keeps canvases at one place while it is on.

    Parameters
    ----------
    parent : QObject, optional
    """

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._canvases: list[PaneCanvas] = []
        self._connected: list[PaneCanvas] = []
        self._on = True
        self._busy = False

    @property
    def on(self) -> bool:
        """Whether canvases follow each other."""
        return self._on

    def set_on(self, on: bool) -> None:
        """Let them follow each other from now on, beginning with the first, or no longer."""
        self._on = on
        if on and self._canvases:
            self._spread(self._canvases[0])

    def set_canvases(self, canvases: list[PaneCanvas]) -> None:
        """Say which ones; new ones go where the others are."""
        for canvas in canvases:
            if canvas not in self._connected:
                self._connected.append(canvas)
                canvas.moved.connect(lambda source=canvas: self._spread(source))
        self._canvases = list(canvases)

    def _spread(self, source: PaneCanvas) -> None:
        if not self._on or self._busy or source not in self._canvases:
            return
        self._busy = True
        try:
            place = source.place
            for canvas in self._canvases:
                if canvas is not source:
                    canvas.follow(place)
        finally:
            self._busy = False
