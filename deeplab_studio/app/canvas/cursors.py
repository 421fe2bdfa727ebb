"""Pointers and lines that show on any picture."""

from __future__ import annotations

from functools import cache

from PySide6.QtCore import QPointF, QRectF, QSizeF, Qt
from PySide6.QtGui import QColor, QCursor, QFontMetricsF, QGuiApplication, QPainter, QPainterPath, QPen, QPixmap

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


HANDLE = 7.0
"""Side of a handle in logical pixels."""


def draw_handle(painter: QPainter, at: QPointF, *, marked: bool = False) -> None:
    """Draw a point that can be taken hold of; a marked one does something when it is clicked."""
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(QPen(_DARK, 1))
    painter.setBrush(QColor("#4a9bff") if marked else _LIGHT)
    side = HANDLE + (4 if marked else 0)
    box = QRectF(at.x() - side / 2, at.y() - side / 2, side, side)
    if marked:
        painter.drawEllipse(box)
    else:
        painter.drawRoundedRect(box, 1.5, 1.5)
    painter.restore()


def tag_rect(text: str, at: QPointF, within: QRectF) -> QRectF:
    """Where a few words beside the pointer go: below to the right of it, unless that is outside `within`."""
    metrics = QFontMetricsF(QGuiApplication.font())
    size = QSizeF(metrics.horizontalAdvance(text) + 12, metrics.height() + 6)
    rect = QRectF(at + QPointF(16, 16), size)
    if rect.right() > within.right():
        rect.moveRight(at.x() - 12)
    if rect.bottom() > within.bottom():
        rect.moveBottom(at.y() - 12)
    return rect


def draw_tag(painter: QPainter, rect: QRectF, text: str) -> None:
    """Draw a few words, white on dark, in a box of `tag_rect`."""
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(_DARK)
    painter.drawRoundedRect(rect, 4, 4)
    painter.setFont(QGuiApplication.font())
    painter.setPen(_LIGHT)
    painter.drawText(rect, Qt.AlignmentFlag.AlignCenter, text)
    painter.restore()
