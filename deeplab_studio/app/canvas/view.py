"""The widget that shows a photo with its class map and takes the mouse."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from PySide6.QtCore import QEvent, QLineF, QPointF, QRect, QRectF, QSizeF, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QFocusEvent,
    QInputDevice,
    QKeyEvent,
    QMouseEvent,
    QNativeGestureEvent,
    QPainter,
    QPalette,
    QPen,
    QPointingDevice,
    QResizeEvent,
    QTabletEvent,
    QTransform,
    QWheelEvent,
)
from PySide6.QtWidgets import QApplication, QFrame, QGraphicsScene, QGraphicsView, QWidget

from deeplab_studio.app.canvas.layers import LayersItem, tone_table
from deeplab_studio.app.canvas.mips import PhotoMips, build_mips
from deeplab_studio.app.canvas.tools import PanTool, Pointer, Tool

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from deeplab_studio.core.geometry import Rect

MAX_SCALE = 64.0
"""Device pixels per image pixel one can zoom in to."""

GRID_SCALE = 8.0
"""Device pixels per image pixel from which on the pixel grid shows."""

_NOTCH = 2 ** (1 / 3)
"""What one notch of the wheel multiplies the scale by."""

_FIT_MARGIN = 8
"""Logical pixels left free around an image that is fitted."""


class CanvasView(QGraphicsView):
    """Shows one photo with its class map and hands the mouse to a tool.

    The middle button, Space with the left button, and two fingers on a touchpad move the picture; the wheel and a pinch
    zoom at the pointer. Everything else is the tool's.

    Scales are device pixels per image pixel throughout, so 1.0 is one to one on any screen.
    """

    hovered = Signal(int, int)
    """Column and row of the image pixel under the pointer; (-1, -1) outside the image."""
    zoomChanged = Signal(float)
    """The new scale."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._layers = LayersItem()
        self._scene = QGraphicsScene(self)
        self._scene.setItemIndexMethod(QGraphicsScene.ItemIndexMethod.NoIndex)
        self._scene.addItem(self._layers)
        self.setScene(self._scene)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setLayoutDirection(Qt.LayoutDirection.LeftToRight)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setViewportUpdateMode(QGraphicsView.ViewportUpdateMode.MinimalViewportUpdate)
        self.setOptimizationFlags(
            QGraphicsView.OptimizationFlag.DontSavePainterState
            | QGraphicsView.OptimizationFlag.DontAdjustForAntialiasing
        )
        self.setTransformationAnchor(QGraphicsView.ViewportAnchor.NoAnchor)
        self.setResizeAnchor(QGraphicsView.ViewportAnchor.NoAnchor)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        # The right button is the tools'; with any other policy the window would offer its own menu.
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.PreventContextMenu)
        self.setMouseTracking(True)
        # Files are dropped on the whole window.
        self.setAcceptDrops(False)
        self.viewport().setAcceptDrops(False)

        self._scale = 1.0
        self._fitted = True
        self._centre = QPointF(0.5, 0.5)  # of the view, in fractions of the image: what is kept between two images
        self._tool: Tool = PanTool(self)
        self._tool.attach(self)
        self._tool_button: Qt.MouseButton | None = None
        self._pan_button: Qt.MouseButton | None = None
        self._pan_from: tuple[QPointF, int, int] | None = None
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
        """Show another photo; labels, preview and pins of the last one go.

        Parameters
        ----------
        image : (H, W, 3) uint8 array, PhotoMips or None
            RGB; its memory is shared. Passing what `build_mips` made on another thread saves building it here.
        keep_view : bool
            Whether to keep the scale and the place in the image (in fractions of its size). An image that was fitted
            stays fitted. Otherwise the image is fitted.
        """
        self.finish_gesture()
        self._tool.forget()
        if self.image_size:
            self._centre = self._relative_centre()
        mips = image if isinstance(image, PhotoMips) or image is None else build_mips(image)
        self._layers.set_photo(mips)
        if mips is None:
            self.viewport().update()
        elif keep_view and not self._fitted:
            middle = QPointF(self._centre.x() * mips.width, self._centre.y() * mips.height)
            self._place(self._scale, QRectF(self.viewport().rect()).center(), middle)
        else:
            self.zoom_fit()
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

    def show_preview(self, labels: npt.NDArray[np.uint8] | None) -> None:
        """Show another class map, of any size, stretched over the photo; the shared one again with None."""
        self._layers.set_preview(labels)

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

    # Where it is shown

    def scale(self) -> float:  # type: ignore[override] # QGraphicsView.scale(sx, sy) bypasses the limits; nobody needs it
        """Device pixels per image pixel."""
        return self._scale

    def zoom_fit(self) -> None:
        """Show the whole image as large as it goes, and keep it so while the window is resized."""
        size = self.image_size
        if size:
            middle = QPointF(size[1] / 2, size[0] / 2)
            self._place(self._fit_scale(size), QRectF(self.viewport().rect()).center(), middle)
        self._fitted = True

    def zoom_actual(self) -> None:
        """Show one image pixel per device pixel, around the middle of the view."""
        self.set_scale(1.0)

    def zoom_by(self, factor: float, at: QPointF | None = None) -> None:
        """Multiply the scale, stopping at one to one on the way past it.

        Parameters
        ----------
        factor : float
            More than 1 zooms in.
        at : QPointF, optional
            The place in the viewport that keeps its image point; its middle by default.
        """
        wanted = self._scale * factor
        coarse = abs(math.log2(factor)) > 0.1  # a notch or a key, not the flow of a touchpad
        low, high = sorted((self._scale, wanted))
        if coarse and low < 0.999 and high > 1.001:
            wanted = 1.0
        self.set_scale(wanted, at)

    def set_scale(self, scale: float, at: QPointF | None = None) -> None:
        """Set the device pixels per image pixel, within the limits; `at` as in `zoom_by`."""
        size = self.image_size
        if size is None:
            return
        fit = self._fit_scale(size)
        anchor = at if at is not None else QRectF(self.viewport().rect()).center()
        limited = min(max(scale, min(fit, 1.0) / 4), max(MAX_SCALE, fit))
        if limited != self._scale:
            self._place(limited, anchor, self.to_image(anchor))
        self._fitted = False

    def to_image(self, position: QPointF) -> QPointF:
        """The image coordinates of a place in the viewport; pixel *i* spans ``i`` to ``i + 1``."""
        inverse, _ = self.viewportTransform().inverted()
        return inverse.map(position)

    def to_viewport(self, x: float, y: float) -> QPointF:
        """The place in the viewport of image coordinates."""
        return self.viewportTransform().map(QPointF(x, y))

    def _fit_scale(self, size: tuple[int, int]) -> float:
        height, width = size
        room = QSizeF(self.viewport().size()) - QSizeF(2 * _FIT_MARGIN, 2 * _FIT_MARGIN)
        logical = min(max(room.width(), 1) / width, max(room.height(), 1) / height)
        return logical * self.devicePixelRatioF()

    def _relative_centre(self) -> QPointF:
        height, width = self.image_size or (1, 1)
        middle = self.to_image(QRectF(self.viewport().rect()).center())
        return QPointF(middle.x() / width, middle.y() / height)

    def _place(self, scale: float, anchor: QPointF, point: QPointF) -> None:
        """Show the image at `scale` with the image coordinates `point` at `anchor` in the viewport."""
        height, width = self.image_size or (0, 0)
        changed = scale != self._scale
        self._scale = scale
        logical = scale / self.devicePixelRatioF()
        self.setTransform(QTransform.fromScale(logical, logical))
        # Any point of the image may be moved to the middle of the view, and no further: it cannot get lost.
        across, down = self.viewport().width() / 2 / logical, self.viewport().height() / 2 / logical
        self.setSceneRect(QRectF(0, 0, width, height).adjusted(-across, -down, across, down))
        self.horizontalScrollBar().setValue(round(point.x() * logical - anchor.x()))
        self.verticalScrollBar().setValue(round(point.y() * logical - anchor.y()))
        if changed:
            self.zoomChanged.emit(scale)
        self._report_hover()
        self.update_overlay()

    # Moving the picture

    def start_pan(self, position: QPointF) -> None:
        """Take hold of the picture at a place in the viewport."""
        self._pan_from = (position, self.horizontalScrollBar().value(), self.verticalScrollBar().value())
        self._show_cursor()

    def pan_to(self, position: QPointF) -> None:
        """Move the picture so that what was taken hold of is at this place."""
        if self._pan_from is None:
            return
        start, across, down = self._pan_from
        moved = position - start
        self._fitted = False
        self.horizontalScrollBar().setValue(across - round(moved.x()))
        self.verticalScrollBar().setValue(down - round(moved.y()))

    def end_pan(self) -> None:
        """Let go of the picture."""
        self._pan_from = None
        self._show_cursor()

    def pan_by(self, across: float, down: float) -> None:
        """Move the picture by logical pixels, to the right and down."""
        self._fitted = False
        for bar, amount in ((self.horizontalScrollBar(), across), (self.verticalScrollBar(), down)):
            bar.setValue(bar.value() - round(amount))

    # Tools

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
        self.mousePressEvent(event)

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
        """Keep the keys of a gesture from being taken as shortcuts, and follow the screen's resolution."""
        if event.type() == QEvent.Type.ShortcutOverride and isinstance(event, QKeyEvent):
            space = event.key() == Qt.Key.Key_Space and event.modifiers() == Qt.KeyboardModifier.NoModifier
            if space or (event.key() == Qt.Key.Key_Escape and self._tool.busy):
                event.accept()
                return True
        if event.type() == QEvent.Type.DevicePixelRatioChange and self.image_size:
            if self._fitted:
                self.zoom_fit()
            else:
                middle = QRectF(self.viewport().rect()).center()
                self._place(self._scale, middle, self.to_image(middle))
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

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Keep the image fitted, or its middle in the middle."""
        old = event.oldSize()
        middle = self.to_image(QPointF(old.width() / 2, old.height() / 2))
        super().resizeEvent(event)
        if self.image_size is None:
            return
        if self._fitted:
            self.zoom_fit()
        else:
            self._place(self._scale, QRectF(self.viewport().rect()).center(), middle)

    def changeEvent(self, event: QEvent) -> None:
        """Follow the theme."""
        if event.type() in (QEvent.Type.PaletteChange, QEvent.Type.StyleChange):
            self._follow_palette()
        super().changeEvent(event)

    def _follow_palette(self) -> None:
        """A neutral surround, darker than the window: colours beside it are judged as they are."""
        dark = self.palette().color(QPalette.ColorRole.Window).lightness() < 128
        self.setBackgroundBrush(QColor(26, 26, 26) if dark else QColor(72, 72, 72))

    def scrollContentsBy(self, dx: int, dy: int) -> None:
        """Scroll the picture without dragging the tool's overlay along."""
        super().scrollContentsBy(dx, dy)
        self.viewport().update(self._overlay.translated(dx, dy))
        self.update_overlay()
        self._report_hover()

    def drawForeground(self, painter: QPainter, rect: QRectF | QRect) -> None:
        """Draw the pixel grid and the tool's overlay."""
        painter.save()
        painter.resetTransform()
        if self.image_size and self._scale >= GRID_SCALE:
            self._draw_grid(painter, QRectF(rect))
        if self.image_size:
            self._tool.paint_cursor(painter)
        painter.restore()

    def _draw_grid(self, painter: QPainter, exposed: QRectF) -> None:
        height, width = self.image_size or (0, 0)
        box = exposed & QRectF(0, 0, width, height)
        if box.isEmpty():
            return
        ratio = self.devicePixelRatioF()
        to_viewport = self.viewportTransform()
        corner, end = to_viewport.map(box.topLeft()), to_viewport.map(box.bottomRight())

        def edge(at: float) -> float:
            """The middle of the first device pixel that shows the next image pixel."""
            return (round(at * ratio) + 0.5) / ratio

        lines = []
        for i in range(math.floor(box.left()), math.ceil(box.right()) + 1):
            x = edge(to_viewport.m11() * i + to_viewport.dx())
            lines.append(QLineF(x, corner.y(), x, end.y()))
        for i in range(math.floor(box.top()), math.ceil(box.bottom()) + 1):
            y = edge(to_viewport.m22() * i + to_viewport.dy())
            lines.append(QLineF(corner.x(), y, end.x(), y))
        strength = min(1.0, self._scale / GRID_SCALE - 0.5)
        painter.setPen(QPen(QColor(128, 128, 128, round(110 * strength)), 0))
        painter.drawLines(lines)
