"""Tools that fill a closed shape: rectangle, ellipse, lasso and polygon.

Until it ends such a gesture touches no pixel of the class map: the canvas shows a draft, at the cost of the screen's
pixels, and the shape is painted as one undo step at the end.
"""

from __future__ import annotations

import math
from abc import abstractmethod

from PySide6.QtCore import QObject, QPointF, QRectF, Qt
from PySide6.QtGui import QCursor, QKeyEvent, QPainter, QPainterPath, QPolygonF

from deeplab_studio.app.canvas.cursors import crosshair, draw_contrasted, draw_tag, tag_rect
from deeplab_studio.app.canvas.drafts import Draft
from deeplab_studio.app.canvas.tools import PaintTarget, Pointer, Tool
from deeplab_studio.core.drawing_shapes import Area, Box, Ellipse, Point, Polygon
from deeplab_studio.core.geometry import Rect

_SHIFT = Qt.KeyboardModifier.ShiftModifier
_ALT = Qt.KeyboardModifier.AltModifier


class AreaTool(Tool):
    """A tool that works out an area, shows it as a draft, and paints it in one step.

    Parameters
    ----------
    target : PaintTarget
    """

    paints = True

    def __init__(self, target: PaintTarget, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._target = target
        self._erase = False

    @abstractmethod
    def area(self) -> Area | None:
        """What the gesture covers as it is now."""

    @abstractmethod
    def step_name(self) -> str:
        """What the undo step is called."""

    def forget(self) -> None:
        """Nothing is left of the gesture on another image."""
        self.cancel()

    def target_changed(self) -> None:
        """Show what would be painted now."""
        if self._canvas is not None:
            self._show()

    def cursor(self) -> QCursor:
        """A crosshair."""
        return crosshair()

    def _start(self, *, erase: bool) -> bool:
        """Begin a gesture, if anything can be painted on."""
        if self.canvas.image_size is None or not self._target.ready():
            return False
        self._erase = erase
        return True

    def _class(self) -> int:
        return 0 if self._erase else self._target.active_class

    def _show(self) -> None:
        """Show the gesture as it is now."""
        area = self.area()
        self.canvas.show_draft(None if area is None else Draft(area, self._class(), self._target.rules))
        self.canvas.update_overlay()
        self.hintChanged.emit()

    def _paint(self, area: Area | None) -> None:
        """Paint an area as one undo step."""
        size = self.canvas.image_size
        if area is None or size is None:
            return
        patch = area.patch(Rect(0, 0, *size))
        if patch.mask.size and self._target.begin(self.step_name(), erase=self._erase):
            changed = self._target.paint(*patch)
            self._target.commit()
            if changed is not None:
                self.canvas.refresh_labels(changed)


class DragTool(AreaTool):
    """A shape between the pixel where the button went down and the one under the pointer."""

    smooth = False

    def __init__(self, target: PaintTarget, parent: QObject | None = None) -> None:
        super().__init__(target, parent)
        self._from: Pointer | None = None
        self._to: Pointer | None = None

    @abstractmethod
    def shape(self, rect: Rect) -> Area:
        """The shape that fills a box of pixels."""

    @abstractmethod
    def outline(self, path: QPainterPath, box: QRectF) -> None:
        """Add the shape's line to a path, in a box of the viewport."""

    @property
    def busy(self) -> bool:
        """Whether a shape is being drawn."""
        return self._from is not None

    def press(self, pointer: Pointer) -> None:
        """Set the first corner."""
        if not self.busy and self._start(erase=pointer.eraser or pointer.button == Qt.MouseButton.RightButton):
            self._from = self._to = pointer
            self._show()

    def move(self, pointer: Pointer) -> None:
        """Draw the other corner along."""
        if self.busy:
            self._to = pointer
            self._show()

    def release(self, pointer: Pointer) -> None:
        """Fill the shape."""
        self.move(pointer)
        self.finish()

    def finish(self) -> None:
        """Fill the shape as it is."""
        area = self.area()
        self.cancel()
        self._paint(area)

    def cancel(self) -> None:
        """Fill nothing."""
        self._from = self._to = None
        if self._canvas is not None:
            self._show()

    def key(self, event: QKeyEvent, *, pressed: bool) -> bool:
        """Shift and Alt count as soon as they go down or up."""
        changed = self._to.with_key(event, pressed=pressed) if self._to is not None else None
        if changed is None:
            return False
        self._to = changed
        self._show()
        return True

    def area(self) -> Area | None:
        """The shape between both corners, once they are apart."""
        rect = self._rect()
        return None if rect is None else self.shape(rect)

    def _rect(self) -> Rect | None:
        if self._from is None or self._to is None or self._from.position == self._to.position:
            return None
        row, column = math.floor(self._from.y), math.floor(self._from.x)
        down, across = math.floor(self._to.y) - row, math.floor(self._to.x) - column
        if self._to.modifiers & _SHIFT:
            side = max(abs(down), abs(across))
            down, across = int(math.copysign(side, down)), int(math.copysign(side, across))
        up, back = (-down, -across) if self._to.modifiers & _ALT else (0, 0)
        return Rect(
            row + min(down, up), column + min(across, back), row + max(down, up) + 1, column + max(across, back) + 1
        )

    def overlay_rect(self) -> QRectF:
        """Around the shape and its size in words."""
        rect = self._rect()
        if rect is None or self._to is None:
            return QRectF()
        return self._box(rect).adjusted(-3, -3, 3, 3) | self._tag_rect(rect, self._to.position)

    def paint_cursor(self, painter: QPainter) -> None:
        """Draw the outline and the size."""
        rect = self._rect()
        if rect is None or self._to is None:
            return
        path = QPainterPath()
        self.outline(path, self._box(rect))
        draw_contrasted(painter, path, dashed=self._erase, smooth=self.smooth)
        draw_tag(painter, self._tag_rect(rect, self._to.position), self._tag(rect))

    def _box(self, rect: Rect) -> QRectF:
        return QRectF(self.canvas.to_viewport(rect.left, rect.top), self.canvas.to_viewport(rect.right, rect.bottom))

    def _tag_rect(self, rect: Rect, at: QPointF) -> QRectF:
        return tag_rect(self._tag(rect), at, QRectF(self.canvas.viewport().rect()))

    def _tag(self, rect: Rect) -> str:
        return self.tr("{0} × {1} px").format(rect.width, rect.height)


class RectangleTool(DragTool):
    """Fills rectangles of whole pixels."""

    def shape(self, rect: Rect) -> Area:
        """The rectangle."""
        return Box(rect)

    def outline(self, path: QPainterPath, box: QRectF) -> None:
        """Its four sides."""
        path.addRect(box)

    def hint(self) -> str:
        """Say what the keys do."""
        if self.busy:
            return self.tr("Shift: square · Alt: from the middle · Esc takes it back")
        return self.tr("Drag fills · Right button erases · Shift: square · Alt: centred")

    def step_name(self) -> str:
        """For the history."""
        return self.tr("Rectangle erased") if self._erase else self.tr("Rectangle")


class EllipseTool(DragTool):
    """Fills ellipses."""

    smooth = True

    def shape(self, rect: Rect) -> Area:
        """The ellipse in the box."""
        return Ellipse(rect)

    def outline(self, path: QPainterPath, box: QRectF) -> None:
        """The ellipse."""
        path.addEllipse(box)

    def hint(self) -> str:
        """Say what the keys do."""
        if self.busy:
            return self.tr("Shift: circle · Alt: from the middle · Esc takes it back")
        return self.tr("Drag fills · Right button erases · Shift: circle · Alt: centred")

    def step_name(self) -> str:
        """For the history."""
        return self.tr("Ellipse erased") if self._erase else self.tr("Ellipse")


class LassoTool(AreaTool):
    """Fills what is drawn around."""

    _STEP = 1.0
    """Logical pixels between two points: nobody sees less."""

    def __init__(self, target: PaintTarget, parent: QObject | None = None) -> None:
        super().__init__(target, parent)
        self._points: list[Point] = []

    def hint(self) -> str:
        """Say what happens on release."""
        if self.busy:
            return self.tr("Letting go fills what is drawn around · Esc takes it back")
        return self.tr("Draw around what is to be filled · Right button erases")

    @property
    def busy(self) -> bool:
        """Whether a line is being drawn."""
        return bool(self._points)

    def press(self, pointer: Pointer) -> None:
        """Begin the line."""
        if not self.busy and self._start(erase=pointer.eraser or pointer.button == Qt.MouseButton.RightButton):
            self._points = [(pointer.x, pointer.y)]
            self._show()

    def move(self, pointer: Pointer) -> None:
        """Draw on."""
        if not self.busy:
            return
        last = self.canvas.to_viewport(*self._points[-1])
        if math.hypot(pointer.position.x() - last.x(), pointer.position.y() - last.y()) >= self._STEP:
            self._points.append((pointer.x, pointer.y))
            self._show()

    def release(self, pointer: Pointer) -> None:
        """Close the line and fill."""
        self.move(pointer)
        self.finish()

    def finish(self) -> None:
        """Fill what is drawn around so far."""
        area = self.area()
        self.cancel()
        self._paint(area)

    def cancel(self) -> None:
        """Fill nothing."""
        self._points = []
        if self._canvas is not None:
            self._show()

    def area(self) -> Area | None:
        """What is drawn around."""
        return Polygon(tuple(self._points)) if len(self._points) > 2 else None

    def step_name(self) -> str:
        """For the history."""
        return self.tr("Lasso erased") if self._erase else self.tr("Lasso")

    def overlay_rect(self) -> QRectF:
        """Around the line."""
        return self._line().boundingRect().adjusted(-3, -3, 3, 3) if self.busy else QRectF()

    def paint_cursor(self, painter: QPainter) -> None:
        """Draw the line, and how it would be closed."""
        if not self.busy:
            return
        line = self._line()
        closing, path = QPainterPath(line.last()), QPainterPath()
        closing.lineTo(line.first())
        path.addPolygon(line)
        draw_contrasted(painter, closing, dashed=True)
        draw_contrasted(painter, path, dashed=self._erase)

    def _line(self) -> QPolygonF:
        return self.canvas.line_in_viewport(self._points)
