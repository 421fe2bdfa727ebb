"""A view of one picture that is zoomed, moved and fitted."""

from __future__ import annotations

import math
from collections.abc import Iterable

from PySide6.QtCore import QEvent, QPointF, QRectF, QSizeF, Qt, Signal
from PySide6.QtGui import QPolygonF, QResizeEvent, QTransform
from PySide6.QtWidgets import QFrame, QGraphicsScene, QGraphicsView, QWidget

MAX_SCALE = 64.0
"""Device pixels per image pixel one can zoom in to."""

_FIT_MARGIN = 8
"""Logical pixels left free around an image that is fitted."""


class PictureView(QGraphicsView):
    """A view of a picture whose upper left corner is the scene's origin and whose pixels are the scene's units.

    Scales are device pixels per image pixel throughout, so 1.0 is one to one on any screen.
    """

    zoomChanged = Signal(float)
    """The new scale."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._scene = QGraphicsScene(self)
        self._scene.setItemIndexMethod(QGraphicsScene.ItemIndexMethod.NoIndex)
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
        self._scale = 1.0
        self._fitted = True
        self._centre = QPointF(0.5, 0.5)
        self._pan_from: tuple[QPointF, int, int] | None = None
        self._zoomed_at: tuple[QPointF, QPointF] | None = None

    @property
    def image_size(self) -> tuple[int, int] | None:
        """(height, width) of the picture, or None without one."""
        raise NotImplementedError

    def view_changed(self) -> None:
        """Called after the picture was zoomed or moved."""

    # Scale and place

    def scale(self) -> float:  # type: ignore[override] # QGraphicsView.scale(sx, sy) bypasses the limits; nobody needs it
        """Device pixels per image pixel."""
        return self._scale

    def zoom_fit(self) -> None:
        """Show the whole image as large as it goes, and keep it so while the window is resized."""
        size = self.image_size
        if size:
            middle = QPointF(size[1] / 2, size[0] / 2)
            self._place(self._fit_scale(size), self._middle(), middle)
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
        anchor = at if at is not None else self._middle()
        limited = min(max(scale, min(fit, 1.0) / 4), max(MAX_SCALE, fit))
        if limited != self._scale:
            # The picture moves by whole pixels, so its point under the anchor is a little off after each step. A series
            # of steps at one place goes on with the first one's point: the errors do not add up.
            if self._zoomed_at is not None and self._zoomed_at[0] == anchor:
                point = self._zoomed_at[1]
            else:
                point = self.to_image(anchor)
            self._place(limited, anchor, point)
            self._zoomed_at = (anchor, point)
        self._fitted = False

    def to_image(self, position: QPointF) -> QPointF:
        """The image coordinates of a place in the viewport; pixel *i* spans ``i`` to ``i + 1``."""
        inverse, _ = self.viewportTransform().inverted()
        return inverse.map(position)

    def to_viewport(self, x: float, y: float) -> QPointF:
        """The place in the viewport of image coordinates."""
        return self.viewportTransform().map(QPointF(x, y))

    def line_in_viewport(self, points: Iterable[tuple[float, float]]) -> QPolygonF:
        """The places in the viewport of many image coordinates."""
        return self.viewportTransform().map(QPolygonF([QPointF(x, y) for x, y in points]))

    def _middle(self) -> QPointF:
        return QRectF(self.viewport().rect()).center()

    def _fit_scale(self, size: tuple[int, int]) -> float:
        height, width = size
        room = QSizeF(self.viewport().size()) - QSizeF(2 * _FIT_MARGIN, 2 * _FIT_MARGIN)
        logical = min(max(room.width(), 1) / width, max(room.height(), 1) / height)
        # A hair-thin picture rather reaches beyond the view than vanishes.
        return max(logical * self.devicePixelRatioF(), 1 / min(height, width))

    def remember_view(self) -> None:
        """Keep in mind which part of the picture is shown. Called before another one takes its place."""
        size = self.image_size
        if size:
            middle = self.to_image(self._middle())
            self._centre = QPointF(middle.x() / size[1], middle.y() / size[0])

    def restore_view(self) -> None:
        """Show the part kept in mind, in fractions of the picture, at the same scale; fitted if it was fitted."""
        size = self.image_size
        if size is None or self._fitted:
            self.zoom_fit()
        else:
            middle = QPointF(self._centre.x() * size[1], self._centre.y() * size[0])
            self._place(self._scale, self._middle(), middle)

    def _place(self, scale: float, anchor: QPointF, point: QPointF) -> None:
        """Show the image at `scale` with the image coordinates `point` at `anchor` in the viewport."""
        height, width = self.image_size or (0, 0)
        changed = scale != self._scale
        self._scale = scale
        self._zoomed_at = None
        logical = scale / self.devicePixelRatioF()
        self.setTransform(QTransform.fromScale(logical, logical))
        # Any point of the image may be moved to the middle of the view, and no further: it cannot get lost.
        across, down = self.viewport().width() / 2 / logical, self.viewport().height() / 2 / logical
        self.setSceneRect(QRectF(0, 0, width, height).adjusted(-across, -down, across, down))
        self.horizontalScrollBar().setValue(round(point.x() * logical - anchor.x()))
        self.verticalScrollBar().setValue(round(point.y() * logical - anchor.y()))
        if changed:
            self.zoomChanged.emit(scale)
        self.view_changed()

    # Moving the picture

    def start_pan(self, position: QPointF) -> None:
        """Take hold of the picture at a place in the viewport."""
        self._pan_from = (position, self.horizontalScrollBar().value(), self.verticalScrollBar().value())

    def pan_to(self, position: QPointF) -> None:
        """Move the picture so that what was taken hold of is at this place."""
        if self._pan_from is None:
            return
        start, across, down = self._pan_from
        moved = position - start
        self._fitted = False
        self._zoomed_at = None
        self.horizontalScrollBar().setValue(across - round(moved.x()))
        self.verticalScrollBar().setValue(down - round(moved.y()))

    def end_pan(self) -> None:
        """Let go of the picture."""
        self._pan_from = None

    def pan_by(self, across: float, down: float) -> None:
        """Move the picture by logical pixels, to the right and down."""
        self._fitted = False
        self._zoomed_at = None
        for bar, amount in ((self.horizontalScrollBar(), across), (self.verticalScrollBar(), down)):
            bar.setValue(bar.value() - round(amount))

    # Events

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
            self._place(self._scale, self._middle(), middle)

    def event(self, event: QEvent) -> bool:
        """Follow the screen's resolution."""
        if event.type() == QEvent.Type.DevicePixelRatioChange and self.image_size:
            if self._fitted:
                self.zoom_fit()
            else:
                self._place(self._scale, self._middle(), self.to_image(self._middle()))
        return super().event(event)

    def scrollContentsBy(self, dx: int, dy: int) -> None:
        """Scroll the picture."""
        super().scrollContentsBy(dx, dy)
        self.view_changed()
