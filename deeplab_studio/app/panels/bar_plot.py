"""Horizontal bars: one for each class, in its colour."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from deeplab_studio.app.panels.controls import GAP, paint_hatched_swatch, paint_swatch
from deeplab_studio.app.theme import mix, tones

_ROW = 22


class Bar(NamedTuple):
    """One bar.

    Attributes
    ----------
    name : str
    colour : tuple of int
        RGB, 0..255 each.
    value : float
        Length; not negative.
    text : str
        What stands behind it.
    hatched : bool
    """

    name: str
    colour: tuple[int, int, int]
    value: float
    text: str
    hatched: bool = False


class BarPlot(QWidget):
    """Bars under each other, the longest as long as there is room."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.bars: Sequence[Bar] = ()
        self.log = False
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def set_bars(self, bars: Sequence[Bar], *, log: bool = False) -> None:
        """Show these.

        Parameters
        ----------
        bars : sequence of Bar
        log : bool
            Whether lengths are logarithms: 1 is where the bars begin.
        """
        self.bars, self.log = tuple(bars), log
        self.setAccessibleDescription(", ".join(f"{bar.name}: {bar.text}" for bar in self.bars))
        self.updateGeometry()
        self.update()

    def length(self, value: float) -> float:
        """Length of a bar as a share of the longest, 0..1."""
        most = max((bar.value for bar in self.bars), default=0)
        if value <= 0 or most <= 0:
            return 0.0
        if not self.log:
            return value / most
        return math.log1p(value) / math.log1p(most)

    def sizeHint(self) -> QSize:
        """A row for each bar."""
        return QSize(360, max(len(self.bars), 1) * _ROW + GAP)

    def minimumSizeHint(self) -> QSize:
        """The smallest that can be read."""
        return QSize(220, self.sizeHint().height())

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw names, bars, values."""
        tone = tones(self.palette())
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        metrics = self.fontMetrics()
        names = max((metrics.horizontalAdvance(bar.name) for bar in self.bars), default=0)
        names = min(names, self.width() // 3)
        values = max((metrics.horizontalAdvance(bar.text) for bar in self.bars), default=0)
        left, right = names + 2 * GAP, self.width() - values - GAP
        vertical = Qt.AlignmentFlag.AlignVCenter
        for number, bar in enumerate(self.bars):
            top = number * _ROW + GAP // 2
            if not event.rect().intersects(self.rect().adjusted(0, top, 0, top + _ROW - self.height())):
                continue
            painter.setPen(QColor(tone.text if bar.value else tone.disabled))
            name = metrics.elidedText(bar.name, Qt.TextElideMode.ElideRight, names)
            painter.drawText(QRectF(0, top, names + 2, _ROW), int(Qt.AlignmentFlag.AlignRight | vertical), name)
            room = QRectF(left, top + 4, max(right - left, 1), _ROW - 8)
            painter.fillRect(room, mix(QColor(tone.window), QColor(tone.border), 0.45))
            if bar.value:
                area = QRectF(room)
                area.setWidth(max(room.width() * self.length(bar.value), 2))
                (paint_hatched_swatch if bar.hatched else paint_swatch)(painter, area, QColor(*bar.colour))
            painter.setPen(QColor(tone.muted if bar.value else tone.disabled))
            painter.drawText(QRectF(right + GAP, top, values + 2, _ROW), int(vertical), bar.text)
