"""Pointers and lines that show on any picture."""

from __future__ import annotations

from functools import cache

from PySide6.QtCore import QPointF, Qt
from PySide6.QtGui import QColor, QCursor, QPainter, QPainterPath, QPen, QPixmap

_DARK = QColor(0, 0, 0, 190)
_LIGHT = QColor(255, 255, 255)


@cache
def crosshair() -> QCursor:
    """A thin cross with a free middle, white on black."""
    side, ratio = 25, 2
    pixmap = QPixmap(side * ratio, side * ratio)
    pixmap.setDevicePixelRatio(ratio)
    pixmap.fill(Qt.GlobalColor.transparent)
    middle, free, arm = side / 2, 2.5, 8.0
    path = QPainterPath()
    for dx, dy in ((1, 0), (-1, 0), (0, 1), (0, -1)):
        path.moveTo(QPointF(middle + free * dx, middle + free * dy))
        path.lineTo(QPointF(middle + arm * dx, middle + arm * dy))
    painter = QPainter(pixmap)
    draw_contrasted(painter, path)
    painter.end()
    return QCursor(pixmap, side // 2, side // 2)


def draw_contrasted(painter: QPainter, path: QPainterPath, *, dashed: bool = False, smooth: bool = True) -> None:
    """Stroke a path with a white line on a wider black one.

    Parameters
    ----------
    painter : QPainter
        Left as it was found.
    path : QPainterPath
        In the painter's coordinates; the lines reach 1.5 of its units beyond it.
    dashed : bool
        Whether the white line is broken.
    smooth : bool
        Whether it is worth smoothing: long level and upright lines are drawn much faster without.
    """
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing, smooth)
    painter.setBrush(Qt.BrushStyle.NoBrush)
    for colour, width in ((_DARK, 3.0), (_LIGHT, 1.25)):
        pen = QPen(colour, width)
        pen.setJoinStyle(Qt.PenJoinStyle.RoundJoin)
        pen.setCapStyle(Qt.PenCapStyle.FlatCap if dashed else Qt.PenCapStyle.RoundCap)
        if dashed and colour is _LIGHT:
            pen.setDashPattern([4, 3])
        painter.setPen(pen)
        painter.drawPath(path)
    painter.restore()
