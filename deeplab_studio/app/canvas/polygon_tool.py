"""The polygon: corners set one by one, moved, put in and taken out until it is filled."""

from __future__ import annotations

import math

from PySide6.QtCore import QObject, QPointF, QRectF, Qt
from PySide6.QtGui import QKeyEvent, QPainter, QPainterPath

from deeplab_studio.app.canvas.cursors import HANDLE, draw_contrasted, draw_handle
from deeplab_studio.app.canvas.shape_tools import AreaTool
from deeplab_studio.app.canvas.tools import PaintTarget, Pointer
from deeplab_studio.core.drawing_shapes import Area, Point, Polygon

_REACH = 8.0
"""Logical pixels within which the pointer takes hold of a corner or a side."""

_MOVED = 3.0
"""Logical pixels after which a click is a drag."""

_SHIFT = Qt.KeyboardModifier.ShiftModifier
_ALT = Qt.KeyboardModifier.AltModifier
_CONTROL = Qt.KeyboardModifier.ControlModifier
_BACK = (Qt.Key.Key_Backspace, Qt.Key.Key_Delete)
_ENTER = (Qt.Key.Key_Return, Qt.Key.Key_Enter)


class PolygonTool(AreaTool):
    """Fills a polygon.

    Each click sets a corner. Until the polygon is filled its corners can be dragged; Alt+click takes one out,
    Ctrl+click on a side puts one in, Backspace, Ctrl+Z and the other mouse button take the last one back. A double
    click, Enter and a click on the first corner fill it. Shift keeps a side to steps of 45 degrees.
    """

    def __init__(self, target: PaintTarget, parent: QObject | None = None) -> None:
        super().__init__(target, parent)
        self._points: list[Point] = []
        self._button = Qt.MouseButton.LeftButton
        self._held: int | None = None
        self._pressed_at = QPointF()
        self._dragged = False
        self._closing = False
        self._pointer: Pointer | None = None  # where the next corner would go

    def hint(self) -> str:
        """Say what clicks and keys do."""
        if not self.busy:
            return self.tr("Click sets corners · Right button: to erase")
        if len(self._points) < 3:
            return self.tr("Click sets corners · Backspace: one back · Shift: 45° · Esc drops it")
        return self.tr("Enter fills · Corners: drag, Alt+click removes, Ctrl+click adds")

    @property
    def busy(self) -> bool:
        """Whether there is a polygon that is not filled yet."""
        return bool(self._points)

    def press(self, pointer: Pointer) -> None:
        """Set a corner, take hold of one, or fill the polygon."""
        if not self.busy:
            erase = pointer.eraser or pointer.button == Qt.MouseButton.RightButton
            if self._start(erase=erase):
                self._button = pointer.button
                self._points = [(pointer.x, pointer.y)]
                self._hold(0, pointer)
            return
        if pointer.button != self._button:
            self._take_back()
        elif pointer.double:
            self.finish()
        else:
            self._press_on(pointer)

    def _press_on(self, pointer: Pointer) -> None:
        corner, side = self._corner_at(pointer.position), self._side_at(pointer.position)
        if corner is not None and pointer.modifiers & _ALT:
            del self._points[corner]
            self._show()
        elif corner is not None:
            self._hold(corner, pointer)
            self._closing = corner == 0 and len(self._points) > 2
        elif side is not None and pointer.modifiers & _CONTROL:
            self._points.insert(side + 1, (pointer.x, pointer.y))
            self._hold(side + 1, pointer)
        else:
            self._points.append(self._straightened(pointer, len(self._points)))
            self._hold(len(self._points) - 1, pointer)

    def _hold(self, corner: int, pointer: Pointer) -> None:
        self._held, self._pressed_at, self._dragged, self._closing = corner, pointer.position, False, False
        self._pointer = pointer
        self._show()

    def move(self, pointer: Pointer) -> None:
        """Move the corner that is held."""
        self._pointer = pointer
        if self._held is None:
            return
        way = pointer.position - self._pressed_at
        self._dragged = self._dragged or math.hypot(way.x(), way.y()) >= _MOVED
        if self._dragged:
            self._points[self._held] = self._straightened(pointer, self._held)
            self._show()

    def release(self, pointer: Pointer) -> None:
        """Let go of the corner; a click on the first one fills the polygon."""
        self.move(pointer)
        close = self._closing and not self._dragged
        self._held, self._closing = None, False
        if close:
            self.finish()
        elif self.busy:
            self._show()

    def hover(self, pointer: Pointer) -> None:
        """Show where the next corner would go."""
        self._pointer = pointer
        if self.busy:
            self._show()

    def leave(self) -> None:
        """Show the polygon without a next corner."""
        self._pointer = None
        if self.busy:
            self._show()

    def wants(self, event: QKeyEvent) -> bool:
        """The keys that change the polygon, while there is one."""
        return self.busy and (event.key() in (*_BACK, *_ENTER) or _is_undo(event))

    def key(self, event: QKeyEvent, *, pressed: bool) -> bool:
        """Take back, fill, or straighten."""
        if not self.busy:
            return False
        changed = self._pointer.with_key(event, pressed=pressed) if self._pointer is not None else None
        if changed is not None:
            self._pointer = changed
            self._show()
        elif pressed and (event.key() in _BACK or _is_undo(event)):
            self._take_back()
        elif pressed and event.key() in _ENTER:
            self.finish()
        else:
            return False
        return True

    def finish(self) -> None:
        """Fill the polygon as it is, without the corner the pointer is looking for."""
        area = Polygon(tuple(self._points)) if len(self._points) > 2 else None
        self.cancel()
        self._paint(area)

    def cancel(self) -> None:
        """Drop the polygon."""
        self._points, self._held, self._closing = [], None, False
        if self._canvas is not None:
            self._show()

    def _take_back(self) -> None:
        self._points.pop()
        self._held, self._closing = None, False
        self._show()

    def area(self) -> Area | None:
        """What would be filled with the next corner under the pointer."""
        following = self._next()
        points = (*self._points, following) if following is not None else tuple(self._points)
        return Polygon(points) if len(points) > 2 else None

    def step_name(self) -> str:
        """For the history."""
        return self.tr("Polygon erased") if self._erase else self.tr("Polygon")

    def _next(self) -> Point | None:
        """Where the next corner would go; None over a corner, or while one is held."""
        if self._pointer is None or self._held is not None or not self.busy:
            return None
        if self._corner_at(self._pointer.position) is not None:
            return None
        if self._pointer.modifiers & _CONTROL and self._side_at(self._pointer.position) is not None:
            return None
        return self._straightened(self._pointer, len(self._points))

    def _straightened(self, pointer: Pointer, corner: int) -> Point:
        """Where a corner goes: with Shift, to a side at a multiple of 45 degrees."""
        # From the pointer's place on the screen: the picture may have moved under it since the last event.
        at = self.canvas.to_image(pointer.position)
        if not pointer.modifiers & _SHIFT or len(self._points) < 2 - (corner == len(self._points)):
            return at.x(), at.y()
        x, y = self._points[corner - 1]
        angle = round(math.atan2(at.y() - y, at.x() - x) / (math.pi / 4)) * (math.pi / 4)
        length = (at.x() - x) * math.cos(angle) + (at.y() - y) * math.sin(angle)
        return x + length * math.cos(angle), y + length * math.sin(angle)

    def _corner_at(self, position: QPointF) -> int | None:
        at = self._point_at(position)
        distances = [math.dist(point, at) for point in self._points]
        nearest = min(range(len(distances)), key=distances.__getitem__, default=None)
        return nearest if nearest is not None and distances[nearest] <= self._reach() else None

    def _side_at(self, position: QPointF) -> int | None:
        """The side near a place, by its first corner."""
        points = self._points
        if len(points) < 2:
            return None
        at = self._point_at(position)
        distances = [_distance(at, a, b) for a, b in zip(points, [*points[1:], points[0]], strict=True)]
        nearest = min(range(len(distances)), key=distances.__getitem__)
        return nearest if distances[nearest] <= self._reach() else None

    def _point_at(self, position: QPointF) -> Point:
        at = self.canvas.to_image(position)
        return at.x(), at.y()

    def _reach(self) -> float:
        """How near the pointer has to be, in image pixels."""
        return _REACH * self.canvas.devicePixelRatioF() / self.canvas.scale()

    def overlay_rect(self) -> QRectF:
        """Around corners and sides."""
        if not self.busy:
            return QRectF()
        following = self._next()
        line = self.canvas.line_in_viewport(self._points if following is None else [*self._points, following])
        room = HANDLE + 3
        return line.boundingRect().adjusted(-room, -room, room, room)

    def paint_cursor(self, painter: QPainter) -> None:
        """Draw sides and corners; broken lines for what the next click would add."""
        if not self.busy:
            return
        places, following = self.canvas.line_in_viewport(self._points), self._next()
        open_path, path = QPainterPath(places.last()), QPainterPath()
        if following is not None:
            open_path.lineTo(self.canvas.to_viewport(*following))
        open_path.lineTo(places.first())
        path.addPolygon(places)
        draw_contrasted(painter, open_path, dashed=True)
        draw_contrasted(painter, path, dashed=self._erase)
        over = self._corner_at(self._pointer.position) if self._pointer is not None else None
        for corner, place in enumerate(places.toList()):
            draw_handle(painter, place, marked=corner == (self._held if self._held is not None else over))


def _distance(at: Point, start: Point, end: Point) -> float:
    """From a place to a line between two others."""
    across, down = end[0] - start[0], end[1] - start[1]
    length = across**2 + down**2
    along = ((at[0] - start[0]) * across + (at[1] - start[1]) * down) / length if length else 0.0
    along = min(max(along, 0.0), 1.0)
    return math.hypot(at[0] - start[0] - along * across, at[1] - start[1] - along * down)


def _is_undo(event: QKeyEvent) -> bool:
    return event.key() == Qt.Key.Key_Z and event.modifiers() == _CONTROL
