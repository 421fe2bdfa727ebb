"""What the mouse, the pen and the keys do on the canvas."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

from PySide6.QtCore import QObject, QPointF, QRectF, Qt, Signal
from PySide6.QtGui import QCursor, QKeyEvent, QPainter

from deeplab_studio.app.canvas.cursors import crosshair

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    import numpy.typing as npt

    from deeplab_studio.app.canvas.options import ToolOption
    from deeplab_studio.app.canvas.view import CanvasView
    from deeplab_studio.core import drawing
    from deeplab_studio.core.classmap import PaintRules
    from deeplab_studio.core.geometry import Rect


_MODIFIERS = {
    Qt.Key.Key_Shift: Qt.KeyboardModifier.ShiftModifier,
    Qt.Key.Key_Control: Qt.KeyboardModifier.ControlModifier,
    Qt.Key.Key_Alt: Qt.KeyboardModifier.AltModifier,
}


class PaintTarget(Protocol):
    """What a painting tool paints on: the open image's class map, with the active class and the painting rules."""

    @property
    def labels(self) -> drawing.Labels | None:
        """The (H, W) class map, for reading; None without an image."""
        ...

    @property
    def pinned(self) -> drawing.Mask | None:
        """The (H, W) bool pins of the class map, for reading; None without an image."""
        ...

    @property
    def photo(self) -> drawing.Labels | None:
        """The (H, W, 3) uint8 RGB photo, for reading; None without an image."""
        ...

    @property
    def active_class(self) -> int:
        """The class that is painted."""
        ...

    @property
    def rules(self) -> PaintRules:
        """Which pixels may be changed."""
        ...

    def probability(self, class_id: int) -> Callable[[], npt.NDArray[np.float32]] | None:
        """What works out, on any thread, how likely the model finds a class: (h, w), 0..1, stretched over the photo.

        None while there are no scores, or if the model does not know the class.
        """
        ...

    def ready(self) -> bool:
        """Whether `begin` would start something; if not the person is told why."""
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
    double : bool
        Whether a press is the second of a double click.
    """

    x: float
    y: float
    position: QPointF
    button: Qt.MouseButton
    modifiers: Qt.KeyboardModifier
    pressure: float = 1.0
    eraser: bool = False
    double: bool = False

    def with_key(self, event: QKeyEvent, *, pressed: bool) -> Pointer | None:
        """The same with Shift, Control or Alt down or up, for a pointer that does not move; None for another key."""
        held = _MODIFIERS.get(Qt.Key(event.key()))
        if held is None:
            return None
        return replace(self, modifiers=self.modifiers | held if pressed else self.modifiers & ~held)


class Tool(QObject):
    """A way to act on the canvas. One gesture goes `press`, `move`..., then `release`, `finish` or `cancel`.

    The base class does nothing with any of them.

    Attributes
    ----------
    options : tuple of ToolOption
        What it can be set to, for the bar over the canvas.
    paints : bool
        Whether it paints the active class.
    optionChanged : Signal(str, object)
        Key and value of an option that was changed on the canvas, by wheel or drag.
    hintChanged : Signal()
        `hint` says something else now.
    """

    options: tuple[ToolOption, ...] = ()
    paints = False

    optionChanged = Signal(str, object)
    hintChanged = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._canvas: CanvasView | None = None

    @property
    def canvas(self) -> CanvasView:
        """The canvas it works on. Only to be asked for while the tool is chosen."""
        if self._canvas is None:
            raise RuntimeError(f"{type(self).__name__} is not on a canvas")
        return self._canvas

    def set_option(self, key: str, value: Any) -> None:
        """Take over the value of one of its `options`."""

    def hint(self) -> str:
        """What mouse and keys do now, in one line for the status bar."""
        return ""

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

    def wants(self, event: QKeyEvent) -> bool:
        """Whether it needs a key now that is otherwise the shortcut of an action."""
        return False

    def labels_changed(self) -> None:
        """Pixels of the class map on the canvas changed, by this tool or otherwise."""

    def target_changed(self) -> None:
        """The active class or the painting rules changed."""

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

    def hint(self) -> str:
        """Say how to move and zoom."""
        return self.tr("Drag moves the picture · Wheel zooms · Space: with any tool")

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

    def hint(self) -> str:
        """Say what a click does."""
        return self.tr("Click takes the class under the cursor")

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
