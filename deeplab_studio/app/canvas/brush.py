"""Brush and eraser."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from PySide6.QtCore import QObject, QPointF, QRectF, Qt
from PySide6.QtGui import QCursor, QKeyEvent, QPainter, QPainterPath, QPolygonF, QTransform

from deeplab_studio.app.canvas.cursors import crosshair, draw_contrasted
from deeplab_studio.app.canvas.options import Choice, ToolOption
from deeplab_studio.app.canvas.tools import PaintTarget, Pointer, Tool
from deeplab_studio.app.translate import QT_TRANSLATE_NOOP
from deeplab_studio.core import drawing
from deeplab_studio.core.drawing import MAX_SIZE, MIN_SIZE, Patch, Shape, Stamp

BRUSH_SIZE = ToolOption(
    "tools/brush_size",
    QT_TRANSLATE_NOOP("ToolOptions", "Size"),
    QT_TRANSLATE_NOOP("ToolOptions", "Width of the brush in pixels of the photo"),
    slider=(1, 500),
    log=True,
    suffix=" px",
)

BRUSH_SHAPE = ToolOption(
    "tools/brush_shape",
    "",
    choices=(
        Choice("round", icon="round", tip=QT_TRANSLATE_NOOP("ToolOptions", "Round brush")),
        Choice("square", icon="square", tip=QT_TRANSLATE_NOOP("ToolOptions", "Square brush")),
    ),
)

_TINY = 8
"""Brushes of fewer logical pixels on the screen are shown by the crosshair alone."""

_STAIRS_FROM = 4
"""From this many device pixels per image pixel on, the cursor follows the edges of the pixels it would paint..."""

_STAIRS_UP_TO = 1500
"""...unless it is so large on the screen that nobody sees them."""


class BrushTool(Tool):
    """Paints the active class, one undo step from press to release.

    The right button, and the eraser end of a pen, erase. With Shift a press draws straight from where the last stroke
    ended. The wheel with Ctrl or Alt changes the size. Escape takes the stroke back. A pen pressed lightly paints
    narrower.

    Parameters
    ----------
    target : PaintTarget
        Where the strokes go.
    """

    options = (BRUSH_SIZE, BRUSH_SHAPE)
    size_option = BRUSH_SIZE
    paints = True
    erases = False

    def __init__(self, target: PaintTarget, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._target = target
        self._size = 20
        self._fine_size = 20.0  # what fractions of a wheel notch add up to
        self._shape: Shape = "round"
        self._painting = False
        self._straight = False
        self._at: Pointer | None = None  # None while the pointer is elsewhere
        self._last: Stamp | None = None

    def hint(self) -> str:
        """Say what keys and buttons do."""
        if self._painting:
            return self.tr("Esc takes the stroke back")
        if self.erases:
            return self.tr("Drag erases · Shift: straight · Ctrl+wheel: size")
        return self.tr("Drag paints · Right button erases · Shift: straight · Ctrl+wheel: size")

    def set_option(self, key: str, value: Any) -> None:
        """Take over size or shape."""
        if key == self.size_option.key:
            self.set_size(value)
        elif key == BRUSH_SHAPE.key:
            self.set_shape(value)

    @property
    def size(self) -> int:
        """Width of the brush in image pixels."""
        return self._size

    def set_size(self, size: int) -> None:
        """Set the width in image pixels; held within 1 and 2000."""
        if size == self._size:
            return  # or what fractions of a notch add up to would be lost
        self._fine_size = float(min(max(size, MIN_SIZE), MAX_SIZE))
        self._adopt_size()

    def change_size(self, steps: float) -> None:
        """Grow (or shrink) by a tenth per step, by one pixel at least."""
        wanted = self._fine_size * 1.1**steps
        if abs(steps) >= 1 and round(wanted) == self._size:
            wanted = self._size + math.copysign(1, steps)
        self._fine_size = min(max(wanted, float(MIN_SIZE)), float(MAX_SIZE))
        self._adopt_size()

    def _adopt_size(self) -> None:
        size = round(self._fine_size)
        if size != self._size:
            self._size = size
            self._refresh_overlay()
            self.optionChanged.emit(self.size_option.key, size)

    @property
    def shape(self) -> Shape:
        """Shape of the brush."""
        return self._shape

    def set_shape(self, shape: Shape) -> None:
        """Paint with discs or squares."""
        if shape != self._shape:
            self._shape = shape
            self._refresh_overlay()

    @property
    def busy(self) -> bool:
        """Whether a stroke is under way."""
        return self._painting

    def press(self, pointer: Pointer) -> None:
        """Begin a stroke."""
        if self._painting:
            return
        erase = self.erases or pointer.eraser or pointer.button == Qt.MouseButton.RightButton
        if self.canvas.image_size is None or not self._begin(erase):
            return
        self._painting = True
        self.hintChanged.emit()
        stamp = self._stamp(pointer)
        straight = self._last is not None and bool(pointer.modifiers & Qt.KeyboardModifier.ShiftModifier)
        self._paint(drawing.sweep(self._last if straight and self._last else stamp, stamp, self._shape, self._bounds()))
        self._last = stamp
        self._point_at(pointer)

    def move(self, pointer: Pointer) -> None:
        """Paint on, along the straight way from the last position."""
        if self._painting and self._last is not None:
            stamp = self._stamp(pointer)
            if stamp.snapped() != self._last.snapped():
                self._paint(drawing.sweep(self._last, stamp, self._shape, self._bounds()))
                self._last = stamp
        self._point_at(pointer)

    def release(self, pointer: Pointer) -> None:
        """End the stroke."""
        # A pen's last report has no pressure left and would draw a tail.
        if pointer.pressure == 1.0:
            self.move(pointer)
        self.end_stroke()

    def finish(self) -> None:
        """End the stroke and keep it."""
        self.end_stroke()

    def cancel(self) -> None:
        """Take the stroke back."""
        self.drop_stroke()

    def end_stroke(self) -> None:
        """End the stroke under way."""
        if self._painting:
            self._painting = False
            self._keep()
            self.hintChanged.emit()

    def drop_stroke(self) -> None:
        """Take the stroke under way back."""
        if self._painting:
            self._painting = False
            self._last = None
            self._take_back()
            self.hintChanged.emit()

    # What a stroke does. Tools that scribble do something else with it.

    def _begin(self, erase: bool) -> bool:
        return self._target.begin(self.tr("Eraser stroke") if erase else self.tr("Brush stroke"), erase=erase)

    def _keep(self) -> None:
        self._target.commit()

    def _take_back(self) -> None:
        changed = self._target.abort()
        if changed is not None:
            self.canvas.refresh_labels(changed)

    def forget(self) -> None:
        """No stroke to go on from."""
        self._last = None

    def hover(self, pointer: Pointer) -> None:
        """Show the brush here."""
        self._point_at(pointer)

    def leave(self) -> None:
        """Hide the brush."""
        self._at = None
        self._refresh_overlay()

    def wheel(self, steps: float, modifiers: Qt.KeyboardModifier) -> bool:
        """Change the size with Ctrl or Alt."""
        if modifiers & (Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.AltModifier):
            self.change_size(steps)
            return True
        return False

    def key(self, event: QKeyEvent, *, pressed: bool) -> bool:
        """Show the way a straight stroke would take while Shift is down."""
        if event.key() == Qt.Key.Key_Shift:
            self._straight = pressed
            self._refresh_overlay()
        return False

    def cursor(self) -> QCursor:
        """A crosshair at the middle of the brush."""
        return crosshair()

    def overlay_rect(self) -> QRectF:
        """Around the brush, and the way from the last stroke."""
        if self._at is None:
            return QRectF()
        _, rect = self._stamp_shown(self._at)
        start = self._straight_start()
        if start is not None:
            rect |= QRectF(start, self._at.position).normalized()
        return rect.adjusted(-3, -3, 3, 3)

    def paint_cursor(self, painter: QPainter) -> None:
        """Draw the brush in its true size."""
        if self._at is None:
            return
        path = QPainterPath()
        start = self._straight_start()
        if start is not None:
            path.moveTo(start)
            path.lineTo(self._at.position)
        stamp, box = self._stamp_shown(self._at)
        if box.width() >= _TINY:
            path.addPath(self._rim(stamp, box))
        erasing = self.erases or self._at.button == Qt.MouseButton.RightButton
        level = self._shape == "square" or self._shows_pixels(box)
        draw_contrasted(painter, path, dashed=erasing, smooth=start is not None or not level)

    def _point_at(self, pointer: Pointer) -> None:
        self._at = pointer
        self._straight = bool(pointer.modifiers & Qt.KeyboardModifier.ShiftModifier)
        self._refresh_overlay()

    def _refresh_overlay(self) -> None:
        if self._canvas is not None:
            self._canvas.update_overlay()

    def _straight_start(self) -> QPointF | None:
        if not self._straight or self._painting or self._last is None:
            return None
        return self.canvas.to_viewport(self._last.x, self._last.y)

    def _stamp(self, pointer: Pointer) -> Stamp:
        return Stamp(pointer.x, pointer.y, max(MIN_SIZE, round(self._size * pointer.pressure)))

    def _bounds(self) -> tuple[int, int] | None:
        return self.canvas.image_size

    def _paint(self, patch: Patch) -> None:
        if patch.mask.size:
            changed = self._target.paint(*patch)
            if changed is not None:
                self.canvas.refresh_labels(changed)

    def _stamp_shown(self, pointer: Pointer) -> tuple[Stamp, QRectF]:
        """Where a stamp would go now, in the image and in the viewport."""
        # From the pointer's place on the screen: the picture may have moved under it since the last event.
        stamp = self._stamp(replace(pointer, x=(at := self.canvas.to_image(pointer.position)).x(), y=at.y())).snapped()
        corner = self.canvas.to_viewport(stamp.x - stamp.size / 2, stamp.y - stamp.size / 2)
        side = stamp.size * self.canvas.scale() / self.canvas.devicePixelRatioF()
        return stamp, QRectF(corner.x(), corner.y(), side, side)

    def _shows_pixels(self, box: QRectF) -> bool:
        """Whether a brush this large on the screen is drawn along the edges of its pixels."""
        return self.canvas.scale() >= _STAIRS_FROM and box.width() <= _STAIRS_UP_TO

    def _rim(self, stamp: Stamp, box: QRectF) -> QPainterPath:
        """The rim of the brush in the viewport."""
        path = QPainterPath()
        if self._shape == "square":
            path.addRect(box)
        elif self._shows_pixels(box):
            corners = drawing.footprint_outline(stamp.size, self._shape).tolist()
            zoom = box.width() / stamp.size
            to_viewport = QTransform(zoom, 0, 0, zoom, box.left(), box.top())
            path.addPolygon(to_viewport.map(QPolygonF([QPointF(x, y) for x, y in corners])))
            path.closeSubpath()
        else:
            path.addEllipse(box)
        return path


class EraserTool(BrushTool):
    """A brush that erases with either button."""

    erases = True
