"""The widget that shows a photo with its class map and takes the mouse."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from PySide6.QtCore import QEvent, QPointF, QRect, QRectF, Qt, Signal
from PySide6.QtGui import (
    QFocusEvent,
    QInputDevice,
    QKeyEvent,
    QMouseEvent,
    QNativeGestureEvent,
    QPainter,
    QPointingDevice,
    QTabletEvent,
    QWheelEvent,
)
from PySide6.QtWidgets import QApplication, QWidget

from deeplab_studio.app.canvas.layers import LayersItem, PhotoLayer, tone_table
from deeplab_studio.app.canvas.mips import PhotoMips, build_mips
from deeplab_studio.app.canvas.navigation import PictureView
from deeplab_studio.app.canvas.tools import PanTool, Pointer, Tool
from deeplab_studio.app.theme import tones

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from deeplab_studio.app.canvas.drafts import Draft
    from deeplab_studio.app.canvas.picture_drafts import PictureDraft
    from deeplab_studio.core.geometry import Rect

_NOTCH = 2 ** (1 / 3)
"""What one notch of the wheel multiplies the scale by."""


class CanvasView(PictureView):
    """Shows one photo with its class map and hands the mouse to a tool.

    The middle button, Space with the left button, and two fingers on a touchpad move the picture; the wheel and a pinch
    zoom at the pointer. Everything else is the tool's.
    """

    hovered = Signal(int, int)
    """Column and row of the image pixel under the pointer; (-1, -1) outside the image."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._layers = LayersItem()
        self._scene.addItem(self._layers)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        # The right button is the tools'; with any other policy the window would offer its own menu.
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.PreventContextMenu)
        self.setMouseTracking(True)
        # Files are dropped on the whole window.
        self.setAcceptDrops(False)
        self.viewport().setAcceptDrops(False)

        self._tool: Tool = PanTool(self)
        self._tool.attach(self)
        self._tool_button: Qt.MouseButton | None = None
        self._pan_button: Qt.MouseButton | None = None
        self._space = False
        self._pointer: QPointF | None = None
        self._hovered = (-1, -1)
        self._overlay = QRect()
        self._follow_palette()
        self._show_cursor()

    # What is shown

    @property
    def image_size(self) -> tuple[int, int] | None:
        """(height, width) of the photo, or None without one."""
        return self._layers.size

    def set_image(self, image: npt.NDArray[np.uint8] | PhotoMips | None, keep_view: bool = False) -> None:
        """Show another photo; labels, preview, overlay and pins of the last one go.

        Parameters
        ----------
        image : (H, W, 3) uint8 array, PhotoMips or None
            RGB; its memory is shared. Passing what `build_mips` made on another thread saves building it here.
        keep_view : bool
            Whether to keep the scale and the place in the image (in fractions of its size). An image that was fitted
            stays fitted. Otherwise the image is fitted. Showing None in between changes nothing about it.
        """
        self.finish_gesture()
        self._tool.forget()
        self.remember_view()
        mips = image if isinstance(image, PhotoMips) or image is None else build_mips(image)
        self._layers.set_photo(mips)
        if mips is not None and keep_view:
            self.restore_view()
        elif mips is not None:
            self.zoom_fit()
        self._report_hover()

    @property
    def photo(self) -> PhotoLayer | None:
        """The photo; canvases that share one have the same."""
        return self._layers.photo

    def share_photo(self, other: CanvasView) -> None:
        """Show the photo of another canvas, in its memory, with its tone; labels and overlay of the last one go."""
        self.finish_gesture()
        self._tool.forget()
        self.remember_view()
        self._layers.set_photo(other._layers.photo)
        self.restore_view()
        self._report_hover()

    def set_labels(self, labels: npt.NDArray[np.uint8] | None) -> None:
        """Show a class map of the photo's size over it.

        Parameters
        ----------
        labels : (H, W) uint8 array or None
            C-contiguous; its memory is shared. Whoever writes to it calls `refresh_labels`.

        Raises
        ------
        ValueError
            If the array does not fit the photo.
        """
        self.finish_gesture()
        self._layers.set_labels(labels)

    def refresh_labels(self, rect: Rect | None = None) -> None:
        """Show what the shared class map and pins hold now inside `rect`, or everywhere."""
        self._layers.refresh(rect, self._scale)
        self._tool.labels_changed()

    def show_preview(self, labels: npt.NDArray[np.uint8] | None) -> None:
        """Show another class map, of any size, stretched over the photo; the shared one again with None."""
        self._layers.set_preview(labels)

    def show_overlay(self, values: npt.NDArray[np.uint8] | None, colours: npt.NDArray[np.uint8] | None = None) -> None:
        """Show an 8-bit picture instead of class map, preview and pins; them again with None.

        Parameters
        ----------
        values : (h, w) uint8 array or None
            C-contiguous, of any size; stretched over the photo. It must not change afterwards.
        colours : (256, 4) uint8 array, optional
            RGBA with straight alpha of every value. Without, the values are class ids and look as such.
        """
        self._layers.set_overlay(values, colours)

    def show_draft(self, draft: Draft | PictureDraft | None) -> None:
        """Show what a gesture would paint if it ended now; nothing with None."""
        self._layers.set_draft(draft, self._scale)

    def expose(self, rect: Rect) -> None:
        """Draw a box of image pixels anew: a draft changed there."""
        self._layers.expose(rect, self._scale)

    def show_cells(self, colours: npt.NDArray[np.uint8] | None, side: int = 0) -> None:
        """Show the boundaries of superpixels faintly; none with None.

        Parameters
        ----------
        colours : (H, W) uint8 array or None
            C-contiguous; neighbouring superpixels have different values. It must not change afterwards.
        side : int
            Side of a superpixel in image pixels, about.
        """
        self._layers.set_cells(colours, side)

    def update_cursor(self) -> None:
        """Show the tool's cursor as it is now."""
        self._show_cursor()

    def set_palette(self, palette: npt.NDArray[np.uint8]) -> None:
        """Set the RGB colour of every id, a (256, 3) uint8 array."""
        self._layers.set_look(palette=palette)

    def set_opacity(self, opacity: float) -> None:
        """Set how much class colours cover the photo, 0..1."""
        self._layers.set_look(opacity=min(max(opacity, 0.0), 1.0))

    def set_hidden(self, hidden: frozenset[int]) -> None:
        """Do not draw these classes."""
        self._layers.set_look(hidden=hidden)

    def set_outlines(self, outlines: bool) -> None:
        """Draw class boundaries instead of filling."""
        self._layers.set_look(outlines=outlines)

    def set_pins(self, pinned: npt.NDArray[np.bool_] | None) -> None:
        """Veil pinned pixels: a C-contiguous (H, W) bool array whose memory is shared, or None to show no pins."""
        self._layers.set_pins(pinned)

    def set_labels_visible(self, visible: bool) -> None:
        """Show everything, or with False the bare photo."""
        self._layers.set_labels_visible(visible)

    def set_tone(self, brightness: float = 0.0, contrast: float = 0.0, gamma: float = 1.0) -> None:
        """Change the photo for the eye only.

        Parameters
        ----------
        brightness, contrast : float
            -1..1; 0 leaves the photo as it is.
        gamma : float
            Above 0; more than 1 lifts the shadows.
        """
        self._layers.set_tone(tone_table(brightness, contrast, gamma))

    # Tools

    def start_pan(self, position: QPointF) -> None:
        """Take hold of the picture at a place in the viewport."""
        super().start_pan(position)
        self._show_cursor()

    def end_pan(self) -> None:
        """Let go of the picture."""
        super().end_pan()
        self._show_cursor()

    def view_changed(self) -> None:
        """Keep the tool's overlay and the hovered pixel right."""
        self.update_overlay()
        self._report_hover()

    @property
    def tool(self) -> Tool:
        """The tool in use."""
        return self._tool

    def set_tool(self, tool: Tool) -> None:
        """Use another tool; a gesture of the last one is ended and kept."""
        if tool is self._tool:
            return
        self.finish_gesture()
        self._tool.leave()
        self._tool.attach(None)
        self._tool = tool
        tool.attach(self)
        if self._pointer is not None:
            tool.hover(self._pointed(self._pointer))
        self._show_cursor()
        self.update_overlay()

    def finish_gesture(self) -> None:
        """End a stroke or pan that is under way, keeping what it did. Call before the tool's target changes."""
        self._tool_button = self._pan_button = None
        self.end_pan()
        self._tool.finish()

    def update_overlay(self) -> None:
        """Draw the tool's overlay where it is now, and no longer where it was."""
        rect = self._tool.overlay_rect().toAlignedRect() & self.viewport().rect()
        for part in (self._overlay, rect):
            if not part.isEmpty():
                self.viewport().update(part)
        self._overlay = rect

    def _pointed(
        self,
        position: QPointF,
        button: Qt.MouseButton = Qt.MouseButton.NoButton,
        modifiers: Qt.KeyboardModifier | None = None,
        pressure: float = 1.0,
        eraser: bool = False,
    ) -> Pointer:
        point = self.to_image(position)
        keys = QApplication.keyboardModifiers() if modifiers is None else modifiers
        return Pointer(point.x(), point.y(), position, button, keys, pressure, eraser)

    def _show_cursor(self) -> None:
        if self._pan_from is not None:
            self.viewport().setCursor(Qt.CursorShape.ClosedHandCursor)
        elif self._space:
            self.viewport().setCursor(Qt.CursorShape.OpenHandCursor)
        else:
            self.viewport().setCursor(self._tool.cursor())

    def _report_hover(self) -> None:
        """Tell which pixel is under the pointer, if that is another one than before."""
        pixel = (-1, -1)
        size = self.image_size
        if self._pointer is not None and size is not None:
            point = self.to_image(self._pointer)
            x, y = math.floor(point.x()), math.floor(point.y())
            if 0 <= x < size[1] and 0 <= y < size[0]:
                pixel = (x, y)
        if pixel != self._hovered:
            self._hovered = pixel
            self.hovered.emit(*pixel)

    # Events: mouse and pen

    def _press(self, pointer: Pointer) -> None:
        left = pointer.button == Qt.MouseButton.LeftButton
        if self._pan_button is not None or self._tool_button is not None:
            return
        if pointer.button == Qt.MouseButton.MiddleButton or (left and self._space):
            self._pan_button = pointer.button
            self.start_pan(pointer.position)
        elif left or pointer.button == Qt.MouseButton.RightButton:
            self._tool_button = pointer.button
            self._tool.press(pointer)

    def _move(self, pointer: Pointer) -> None:
        self._pointer = pointer.position
        if self._pan_button is not None:
            self.pan_to(pointer.position)
        elif self._tool_button is not None:
            self._tool.move(pointer)
        else:
            self._tool.hover(pointer)
        self._report_hover()

    def _release(self, pointer: Pointer) -> None:
        if pointer.button == self._pan_button:
            self._pan_button = None
            self.end_pan()
        elif pointer.button == self._tool_button:
            self._tool_button = None
            self._tool.release(pointer)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Begin a gesture."""
        self._press(self._pointed(event.position(), event.button(), event.modifiers()))
        event.accept()

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        """Begin a gesture: the second of two quick dabs is a dab too."""
        self._press(replace(self._pointed(event.position(), event.button(), event.modifiers()), double=True))
        event.accept()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Go on with a gesture, or hover."""
        if event.buttons() == Qt.MouseButton.NoButton and (self._pan_button or self._tool_button):
            self.finish_gesture()  # the release went to somebody else, such as a dialog that came up
        button = self._tool_button or Qt.MouseButton.NoButton
        self._move(self._pointed(event.position(), button, event.modifiers()))
        event.accept()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """End a gesture."""
        self._release(self._pointed(event.position(), event.button(), event.modifiers()))
        event.accept()

    def _tablet(self, event: QTabletEvent) -> None:
        kind = event.type()
        button = event.button() if kind != QEvent.Type.TabletMove else self._tool_button or Qt.MouseButton.NoButton
        # A pen that hovers reports no pressure; the cursor then shows the full size.
        pressure = event.pressure() if event.pressure() > 0 or self._tool.busy else 1.0
        eraser = event.pointerType() == QPointingDevice.PointerType.Eraser
        pointer = self._pointed(event.position(), button, event.modifiers(), pressure, eraser)
        if kind == QEvent.Type.TabletPress:
            self._press(pointer)
        elif kind == QEvent.Type.TabletRelease:
            self._release(pointer)
        else:
            self._move(pointer)
        event.accept()  # or Qt would send a mouse event as well

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Zoom, move, or let the tool have it."""
        turned, rolled = event.angleDelta(), event.pixelDelta()
        keys = event.modifiers()
        event.accept()
        # Some systems turn a vertical wheel into a horizontal one while Alt or Shift is held.
        if self._tool.wheel((turned.y() or turned.x()) / 120, keys):
            return
        by_finger = event.device().type() == QInputDevice.DeviceType.TouchPad or (
            event.phase() != Qt.ScrollPhase.NoScrollPhase and not rolled.isNull()
        )
        if by_finger and not keys & Qt.KeyboardModifier.ControlModifier:
            moved = rolled if not rolled.isNull() else turned / 2
            self.pan_by(moved.x(), moved.y())
        elif keys & Qt.KeyboardModifier.ShiftModifier or not turned.y():
            self.pan_by((turned.x() or turned.y()) / 2, 0)
        else:
            self.zoom_by(_NOTCH ** (turned.y() / 120), event.position())

    # Events: the rest

    def viewportEvent(self, event: QEvent) -> bool:
        """Take what a scroll area has no handler for."""
        if isinstance(event, QTabletEvent):
            self._tablet(event)
            return True
        if isinstance(event, QNativeGestureEvent):
            if event.gestureType() == Qt.NativeGestureType.ZoomNativeGesture:
                self.zoom_by(max(0.1, 1 + event.value()), event.position())
                return True
            if event.gestureType() == Qt.NativeGestureType.SmartZoomNativeGesture:
                if self._fitted:
                    self.set_scale(1.0, event.position())
                else:
                    self.zoom_fit()
                return True
        if event.type() == QEvent.Type.Enter:
            self._take_focus()
        elif event.type() == QEvent.Type.Leave:
            self._pointer = None
            self._tool.leave()
            self._report_hover()
        return super().viewportEvent(event)

    def _take_focus(self) -> None:
        """Let Space and Escape work as soon as the pointer is here, unless somebody is typing elsewhere."""
        focus = QApplication.focusWidget()
        typing = focus is not None and focus.testAttribute(Qt.WidgetAttribute.WA_InputMethodEnabled)
        if self.isActiveWindow() and not typing:
            self.setFocus(Qt.FocusReason.MouseFocusReason)

    def event(self, event: QEvent) -> bool:
        """Keep the keys of a gesture from being taken as shortcuts."""
        if event.type() == QEvent.Type.ShortcutOverride and isinstance(event, QKeyEvent):
            space = event.key() == Qt.Key.Key_Space and event.modifiers() == Qt.KeyboardModifier.NoModifier
            if space or (event.key() == Qt.Key.Key_Escape and self._tool.busy) or self._tool.wants(event):
                event.accept()
                return True
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Space holds the picture, Escape takes a gesture back; the rest is the tool's or the window's."""
        if event.key() == Qt.Key.Key_Space:
            if not event.isAutoRepeat():
                self._space = True
                self._show_cursor()
        elif event.key() == Qt.Key.Key_Escape and self._tool.busy:
            self._tool.cancel()
            self._tool_button = None
        elif not self._tool.key(event, pressed=True):
            event.ignore()  # a scroll area would take the arrows

    def keyReleaseEvent(self, event: QKeyEvent) -> None:
        """Let go of the picture when Space goes up."""
        if event.key() == Qt.Key.Key_Space:
            if not event.isAutoRepeat():
                self._space = False
                self._show_cursor()
        elif not self._tool.key(event, pressed=False):
            event.ignore()

    def focusOutEvent(self, event: QFocusEvent) -> None:
        """Forget Space: its release goes to somebody else."""
        self._space = False
        self._show_cursor()
        super().focusOutEvent(event)

    def changeEvent(self, event: QEvent) -> None:
        """Follow the theme."""
        if event.type() in (QEvent.Type.PaletteChange, QEvent.Type.StyleChange):
            self._follow_palette()
        super().changeEvent(event)

    def _follow_palette(self) -> None:
        """A neutral surround, darker than the window: colours beside it are judged as they are."""
        self.setBackgroundBrush(tones(self.palette()).colour("canvas"))

    def scrollContentsBy(self, dx: int, dy: int) -> None:
        """Scroll the picture without dragging the tool's overlay along."""
        overlay = self._overlay
        super().scrollContentsBy(dx, dy)
        self.viewport().update(overlay.translated(dx, dy))

    def drawForeground(self, painter: QPainter, rect: QRectF | QRect) -> None:
        """Draw the tool's overlay."""
        if self.image_size:
            painter.save()
            try:
                painter.resetTransform()
                self._tool.paint_cursor(painter)
            finally:
                painter.restore()
