"""What the mouse, the pen and the keys do on the canvas."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from PySide6.QtCore import QObject, QPointF, QRectF, Qt, Signal
from PySide6.QtGui import QCursor, QKeyEvent, QPainter, QPainterPath, QPolygonF, QTransform

from deeplab_studio.app.canvas.cursors import crosshair, draw_contrasted
from deeplab_studio.core import drawing
from deeplab_studio.core.drawing import MAX_SIZE, MIN_SIZE, Patch, Shape, Stamp

if TYPE_CHECKING:
    from deeplab_studio.app.canvas.view import CanvasView
    from deeplab_studio.core.geometry import Rect

_TINY = 8
"""Brushes of fewer logical pixels on the screen are shown by the crosshair alone."""

_STAIRS_FROM = 4
"""From this many device pixels per image pixel on, the cursor follows the edges of the pixels it would paint..."""

_STAIRS_UP_TO = 1500
"""...unless it is so large on the screen that nobody sees them."""


class PaintTarget(Protocol):
    """What a painting tool paints on: the open image's class map, with the active class and the painting rules."""

    @property
    def labels(self) -> drawing.Labels | None:
        """The (H, W) class map, for reading; None without an image."""
        ...

    @property
    def photo(self) -> drawing.Labels | None:
        """The (H, W, 3) uint8 RGB photo, for reading; None without an image."""
        ...

    @property
    def active_class(self) -> int:
        """The class that is painted."""
        ...

    def begin(self, name: str, *, erase: bool = False) -> bool:
        """Start one undo step called `name`; False when nothing can be painted now."""
        ...

    def paint(self, top: int, left: int, mask: drawing.Mask) -> Rect | None:
        """Paint where `mask` is set, its upper left pixel at (`top`, `left`); the box that changed, if any did."""
        ...

    def put(self, top: int, left: int, labels: drawing.Labels, mask: drawing.Mask, *, pin: bool = True) -> Rect | None:
        """Give the pixels under `mask` the classes in `labels`; the box that changed, if any did."""
        ...

    def restore(self, rect: Rect | None = None) -> Rect | None:
        """Within the undo step, go back to what was there before it, inside `rect` or everywhere; the box that did."""
        ...

    def commit(self) -> None:
        """End the undo step."""
        ...

    def abort(self) -> Rect | None:
        """Take the undo step back; the box that changed, if any did."""
        ...

    def pick(self, x: int, y: int) -> None:
        """Make the class at a pixel the active one."""
        ...


@dataclass(frozen=True, slots=True)
class Pointer:
    """The mouse or pen at one moment.

    Parameters
    ----------
    x, y : float
        Image coordinates: pixel *i* spans ``i`` to ``i + 1``. May lie outside the image.
    position : QPointF
        Logical pixels in the viewport.
    button : Qt.MouseButton
        The button of the gesture, or none while hovering.
    modifiers : Qt.KeyboardModifier
        Keys held.
    pressure : float
        0..1; 1 for a mouse.
    eraser : bool
        Whether it is the eraser end of a pen.
    """

    x: float
    y: float
    position: QPointF
    button: Qt.MouseButton
    modifiers: Qt.KeyboardModifier
    pressure: float = 1.0
    eraser: bool = False


class Tool(QObject):
    """A way to act on the canvas. One gesture goes `press`, `move`..., then `release`, `finish` or `cancel`.

    The base class does nothing with any of them.
    """

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._canvas: CanvasView | None = None

    @property
    def canvas(self) -> CanvasView:
        """The canvas it works on. Only to be asked for while the tool is chosen."""
        if self._canvas is None:
            raise RuntimeError(f"{type(self).__name__} is not on a canvas")
        return self._canvas

    def attach(self, canvas: CanvasView | None) -> None:
        """Become the tool of a canvas, or of none."""
        self._canvas = canvas

    @property
    def busy(self) -> bool:
        """Whether a gesture is under way."""
        return False

    def press(self, pointer: Pointer) -> None:
        """The left or right button, or the pen, went down."""

    def move(self, pointer: Pointer) -> None:
        """It moved while down."""

    def release(self, pointer: Pointer) -> None:
        """It went up: the gesture is done."""

    def hover(self, pointer: Pointer) -> None:
        """It moved while up."""

    def leave(self) -> None:
        """It left the canvas."""

    def wheel(self, steps: float, modifiers: Qt.KeyboardModifier) -> bool:
        """The wheel turned by so many notches, away from the hand counted positive; True if the tool used it."""
        return False

    def key(self, event: QKeyEvent, *, pressed: bool) -> bool:
        """A key went down or up while the canvas has the focus; True if the tool used it."""
        return False

    def finish(self) -> None:
        """End a gesture that cannot go on, keeping what it did."""

    def cancel(self) -> None:
        """End a gesture and take back what it did."""

    def forget(self) -> None:
        """Another image is shown: what was remembered of places in the old one has no meaning."""

    def cursor(self) -> QCursor:
        """The shape of the mouse pointer."""
        return QCursor(Qt.CursorShape.ArrowCursor)

    def overlay_rect(self) -> QRectF:
        """Where `paint_cursor` draws, in logical pixels of the viewport; may be empty."""
        return QRectF()

    def paint_cursor(self, painter: QPainter) -> None:
        """Draw over the canvas, in logical pixels of the viewport."""


class PanTool(Tool):
    """Moves the picture under the left button."""

    def press(self, pointer: Pointer) -> None:
        """Take hold of the picture."""
        if pointer.button == Qt.MouseButton.LeftButton:
            self.canvas.start_pan(pointer.position)

    def move(self, pointer: Pointer) -> None:
        """Move it."""
        self.canvas.pan_to(pointer.position)

    def release(self, pointer: Pointer) -> None:
        """Let go."""
        self.canvas.end_pan()

    def finish(self) -> None:
        """Let go."""
        self.canvas.end_pan()

    def cancel(self) -> None:
        """Let go."""
        self.canvas.end_pan()

    def cursor(self) -> QCursor:
        """A hand."""
        return QCursor(Qt.CursorShape.OpenHandCursor)


class PickerTool(Tool):
    """Makes the class under the pointer the active one, at every pixel while the button is down."""

    def __init__(self, target: PaintTarget, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._target = target

    def press(self, pointer: Pointer) -> None:
        """Pick here."""
        self._pick(pointer)

    def move(self, pointer: Pointer) -> None:
        """Pick here."""
        self._pick(pointer)

    def _pick(self, pointer: Pointer) -> None:
        size = self.canvas.image_size
        x, y = math.floor(pointer.x), math.floor(pointer.y)
        if size and 0 <= y < size[0] and 0 <= x < size[1]:
            self._target.pick(x, y)

    def cursor(self) -> QCursor:
        """A crosshair."""
        return crosshair()


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

    sizeChanged = Signal(int)
    """The size in image pixels, 1 to 2000."""
    shapeChanged = Signal(str)
    """``"round"`` or ``"square"``."""

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

    @property
    def size(self) -> int:
        """Width of the brush in image pixels."""
        return self._size

    def set_size(self, size: int) -> None:
        """Set the width in image pixels; held within 1 and 2000."""
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
            self.sizeChanged.emit(size)

    @property
    def shape(self) -> Shape:
        """Shape of the brush."""
        return self._shape

    def set_shape(self, shape: Shape) -> None:
        """Paint with discs or squares."""
        if shape != self._shape:
            self._shape = shape
            self._refresh_overlay()
            self.shapeChanged.emit(shape)

    @property
    def busy(self) -> bool:
        """Whether a stroke is under way."""
        return self._painting

    def press(self, pointer: Pointer) -> None:
        """Begin a stroke."""
        if self._painting:
            return
        erase = self.erases or pointer.eraser or pointer.button == Qt.MouseButton.RightButton
        name = self.tr("Eraser stroke") if erase else self.tr("Brush stroke")
        if self.canvas.image_size is None or not self._target.begin(name, erase=erase):
            return
        self._painting = True
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
        self.finish()

    def finish(self) -> None:
        """End the stroke and keep it."""
        if self._painting:
            self._painting = False
            self._target.commit()

    def cancel(self) -> None:
        """Take the stroke back."""
        if self._painting:
            self._painting = False
            self._last = None
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
