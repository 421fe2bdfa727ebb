"""A small plot of a score against one parameter."""

from __future__ import annotations

import math
from collections.abc import Sequence

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QPainter, QPaintEvent, QPen, QPolygonF
from PySide6.QtWidgets import QSizePolicy, QWidget

from deeplab_studio.app.panels.controls import small_font
from deeplab_studio.app.theme import tones

_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 10, 22, 20


class TrialPlot(QWidget):
    """Points (value, score), a line through the best score of each value, and the values of interest.

    Parameters
    ----------
    name : str
        Of the parameter.
    log : bool
        Whether the axis of the values is logarithmic.
    """

    def __init__(self, name: str, *, log: bool = False, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._name = name
        self._log = log
        self._points: tuple[tuple[float, float], ...] = ()
        self._range = (0.0, 1.0)
        self._before: float | None = None
        self._best: tuple[float, float] | None = None
        self.setFont(small_font(self))
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setAccessibleName(self.tr("Score against {0}").format(name))

    def set_trials(
        self,
        points: Sequence[tuple[float, float]],
        scores: tuple[float, float],
        before: float | None,
        best: tuple[float, float] | None,
    ) -> None:
        """Show trials.

        Parameters
        ----------
        points : sequence of (float, float)
            Value and score, 0..1, of each.
        scores : (float, float)
            Range of the score's axis.
        before : float, optional
            The value the search began with.
        best : (float, float), optional
            Value and score of the best.
        """
        self._points = tuple(points)
        self._range = scores
        self._before = before
        self._best = best
        if best is not None:
            text = self.tr("best at {0}: {1} % of {2} trials")
            self.setAccessibleDescription(text.format(f"{best[0]:g}", f"{100 * best[1]:.1f}", len(self._points)))
        self.update()

    @property
    def envelope(self) -> list[tuple[float, float]]:
        """The best score of each value, by value."""
        best: dict[float, float] = {}
        for value, score in self._points:
            best[value] = max(score, best.get(value, 0.0))
        return sorted(best.items())

    def sizeHint(self) -> QSize:
        """Room for a readable curve."""
        return QSize(260, 150)

    def minimumSizeHint(self) -> QSize:
        """The smallest that can be read."""
        return QSize(180, 110)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw axes, points, line and marks."""
        tone = tones()
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        area = QRectF(self.rect()).adjusted(_LEFT, _TOP, -_RIGHT, -_BOTTOM)
        painter.setPen(tone.colour("text"))
        painter.drawText(QRectF(0, 0, self.width(), _TOP - 4), Qt.AlignmentFlag.AlignCenter, self._name)
        painter.fillRect(area, tone.colour("base"))
        low, high = self._range
        for share in (0.0, 0.5, 1.0):
            y = round(area.bottom() - share * area.height()) + 0.5
            painter.setPen(QPen(tone.colour("border"), 1))
            painter.drawLine(QPointF(area.left(), y), QPointF(area.right(), y))
            painter.setPen(tone.colour("muted"))
            label = QRectF(0, y - 8, _LEFT - 5, 16)
            side = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
            painter.drawText(label, side, f"{100 * (low + share * (high - low)):.1f}")
        if not self._points:
            return
        values = sorted({value for value, _ in self._points} | ({self._before} if self._before is not None else set()))
        painter.setPen(tone.colour("muted"))
        ends = (values[0], values[-1]) if len(values) > 1 else (values[0],)
        for value in ends:
            x = self._x(value, values, area)
            label = QRectF(min(max(x - 30, area.left() - 20), area.right() - 50), area.bottom() + 3, 60, _BOTTOM - 4)
            painter.drawText(label, Qt.AlignmentFlag.AlignHCenter, f"{value:g}")
        painter.setClipRect(area.adjusted(-6, -6, 6, 6))
        if self._before is not None:
            painter.setPen(QPen(tone.colour("muted"), 1, Qt.PenStyle.DashLine))
            x = self._x(self._before, values, area)
            painter.drawLine(QPointF(x, area.top()), QPointF(x, area.bottom()))
        painter.setPen(Qt.PenStyle.NoPen)
        dot = tone.colour("muted")
        dot.setAlpha(90)
        painter.setBrush(dot)
        for value, score in self._points:
            painter.drawEllipse(QPointF(self._x(value, values, area), self._y(score, area)), 2, 2)
        line = QPolygonF([QPointF(self._x(v, values, area), self._y(s, area)) for v, s in self.envelope])
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(QPen(tone.colour("accent"), 1.5))
        painter.drawPolyline(line)
        if self._best is not None:
            painter.setBrush(tone.colour("accent"))
            painter.setPen(QPen(tone.colour("base"), 1.5))
            painter.drawEllipse(QPointF(self._x(self._best[0], values, area), self._y(self._best[1], area)), 4.5, 4.5)

    def _x(self, value: float, values: Sequence[float], area: QRectF) -> float:
        low, high = values[0], values[-1]
        if low == high:
            return area.center().x()
        if self._log and low > 0:
            share = math.log(value / low) / math.log(high / low)
        else:
            share = (value - low) / (high - low)
        return area.left() + 4 + share * (area.width() - 8)

    def _y(self, score: float, area: QRectF) -> float:
        low, high = self._range
        return area.bottom() - (score - low) / (high - low) * area.height()
