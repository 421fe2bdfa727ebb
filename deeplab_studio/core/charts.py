"""Small charts as pictures: lines, points and bars, for reports and training curves."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

import numpy as np
import numpy.typing as npt
from PIL import Image as PilImage
from PIL import ImageDraw, ImageFont

from deeplab_studio.core.labels import Colour

COLOURS: tuple[Colour, ...] = (
    (31, 119, 180),
    (214, 96, 30),
    (44, 140, 60),
    (180, 50, 60),
    (128, 90, 170),
    (120, 85, 70),
    (200, 90, 165),
    (90, 95, 100),
)
"""Told apart on white, also in print."""

_FINE = 3
"""Everything is drawn so many times larger and then reduced: Pillow's lines have no smooth edges."""

_INK, _FAINT, _PAPER = (40, 44, 50), (222, 225, 229), (255, 255, 255)
_TEXT = 12


@dataclass(frozen=True, slots=True)
class Series:
    """What one colour of a chart shows.

    Parameters
    ----------
    name : str
        For the key.
    points : sequence of (float, float)
        Values that are not finite are left out, with a gap in the line.
    dashed : bool
    """

    name: str
    points: Sequence[tuple[float, float]]
    dashed: bool = False


@dataclass(frozen=True, slots=True)
class Axes:
    """What is written around a chart.

    Parameters
    ----------
    title, x_label, y_label : str
    y_range : (float, float), optional
        From the values if left out.
    percent : bool
        Whether values along y are shares to be written in per cent.
    width, height : int
        Of the picture in pixels.
    """

    title: str = ""
    x_label: str = ""
    y_label: str = ""
    y_range: tuple[float, float] | None = None
    percent: bool = False
    width: int = 640
    height: int = 400


def line_chart(
    series: Sequence[Series], axes: Axes, *, marks: Literal["line", "points", "both"] = "both"
) -> PilImage.Image:
    """Values over a number.

    Parameters
    ----------
    series : sequence of Series
    axes : Axes
    marks : {"line", "points", "both"}

    Returns
    -------
    PIL.Image.Image
        RGB, of the size the axes say.
    """
    finite = [point for each in series for point in each.points if all(map(math.isfinite, point))]
    x_low, x_high = _range([x for x, _ in finite])
    y_low, y_high = axes.y_range or _range([y for _, y in finite])
    frame = _Frame(axes, [each.name for each in series if each.name])
    x_ticks, y_ticks = ticks(x_low, x_high), ticks(y_low, y_high)
    x_low, x_high = min(x_low, x_ticks[0]), max(x_high, x_ticks[-1])
    y_low, y_high = min(y_low, y_ticks[0]), max(y_high, y_ticks[-1])

    def across(x: float) -> float:
        return frame.left + (x - x_low) / (x_high - x_low) * frame.inner_width

    def down(y: float) -> float:
        return frame.bottom - (y - y_low) / (y_high - y_low) * frame.inner_height

    frame.rule_y(y_ticks, down)
    for tick in x_ticks:
        frame.text(across(tick), frame.bottom + 6, _number(tick, False), "ma")
    for place, each in enumerate(series):
        colour = COLOURS[place % len(COLOURS)]
        run: list[tuple[float, float]] = []
        for x, y in [*each.points, (math.nan, math.nan)]:
            if math.isfinite(x) and math.isfinite(y):
                run.append((across(x), down(min(max(y, y_low), y_high))))
                continue
            if marks != "points":
                frame.line(run, colour, dashed=each.dashed)
            if marks != "line":
                for dot in run:
                    frame.dot(dot, colour)
            run = []
    return frame.finish()


def bar_chart(categories: Sequence[str], series: Sequence[Series], axes: Axes) -> PilImage.Image:
    """Values of categories, the bars of all series side by side.

    Parameters
    ----------
    categories : sequence of str
    series : sequence of Series
        The x of a point is the place of its category.
    axes : Axes
        `height` grows with long category names, which stand upright where there are many.
    """
    values = [y for each in series for _, y in each.points if math.isfinite(y)]
    low, high = axes.y_range or (0.0, _range([0.0, *values])[1])
    turned = len(categories) > 8
    probe = _Frame(axes, [])
    room = max((probe.text_width(name) for name in categories), default=0) if turned else 0
    frame = _Frame(replace(axes, height=axes.height + room), [each.name for each in series if each.name], room)
    y_ticks = ticks(low, high)
    low, high = min(low, y_ticks[0]), max(high, y_ticks[-1])

    def down(y: float) -> float:
        return frame.bottom - (y - low) / (high - low) * frame.inner_height

    frame.rule_y(y_ticks, down)
    slot = frame.inner_width / max(len(categories), 1)
    bar = slot * 0.8 / max(len(series), 1)
    for place, name in enumerate(categories):
        middle = frame.left + (place + 0.5) * slot
        if turned:
            frame.upright_text(middle, frame.bottom + 6, name)
        else:
            frame.text(middle, frame.bottom + 6, name, "ma")
    for number, each in enumerate(series):
        for x, y in each.points:
            if math.isfinite(y):
                start = frame.left + x * slot + slot * 0.1 + number * bar
                frame.box(start, down(y), start + bar * 0.92, down(max(low, 0.0)), COLOURS[number % len(COLOURS)])
    return frame.finish()


def matrix_chart(names: Sequence[str], shares: npt.NDArray[np.float64], axes: Axes) -> PilImage.Image:
    """A square of shares, the darker the larger: a confusion matrix, say.

    Parameters
    ----------
    names : sequence of str
        Of rows and columns.
    shares : (C, C) float64 array, 0..1
        nan for a row that holds nothing.
    axes : Axes
        `width` is that of the picture; the height follows from it.
    """
    probe = _Frame(axes, [])
    room = max((probe.text_width(name) for name in names), default=0)
    count = max(len(names), 1)
    cell = max((axes.width - room - 80) / count, 4.0)
    height = round(count * cell + room + 34 + (26 if axes.title else 0) + (22 if axes.x_label else 0))
    frame = _Frame(replace(axes, height=height, y_label=""), [], room)
    left = 24.0 + room
    top = frame.top
    for row, name in enumerate(names):
        middle = top + (row + 0.5) * cell
        frame.text(left - 6, middle, name, "rm")
        frame.upright_text(left + (row + 0.5) * cell, top + count * cell + 6, name)
        for column, share in enumerate(shares[row].tolist()):
            start = left + column * cell
            ink = (244, 245, 247) if math.isnan(share) else _shade(share)
            frame.box(start, top + row * cell, start + cell - 1, top + (row + 1) * cell - 1, ink)
            if cell >= 26 and share >= 0.005:
                frame.number_in_cell(start + cell / 2, middle, f"{100 * share:.0f}", light=share > 0.55)
    return frame.finish()


def _shade(share: float) -> Colour:
    """White to dark blue."""
    dark = (12, 62, 120)
    share = min(max(share, 0.0), 1.0) ** 0.6  # so that a confusion of a few per cent can be seen
    red, green, blue = (round(255 + (end - 255) * share) for end in dark)
    return red, green, blue


def ticks(low: float, high: float, wanted: int = 6) -> list[float]:
    """Round numbers that cover a range, about `wanted` of them.

    Parameters
    ----------
    low, high : float
        ``low < high``.
    wanted : int
    """
    rough = (high - low) / max(wanted - 1, 1)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [place * step for place in range(first, last + 1)]


def _range(values: Sequence[float]) -> tuple[float, float]:
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    if low == high:
        margin = abs(low) * 0.1 or 1.0
        return low - margin, high + margin
    return low, high


def _number(value: float, percent: bool) -> str:
    if percent:
        return f"{100 * value:.0f} %" if abs(100 * value - round(100 * value)) < 1e-6 else f"{100 * value:.1f} %"
    if value and abs(value) >= 10000:
        return f"{value / 1000:g}k"
    return f"{value:.6g}"


class _Frame:
    """The paper of a chart, with all its margins; positions are in pixels of the finished picture."""

    def __init__(self, axes: Axes, names: Sequence[str], extra_bottom: float = 0) -> None:
        self._axes = axes
        self._picture = PilImage.new("RGB", (axes.width * _FINE, axes.height * _FINE), _PAPER)
        self._draw = ImageDraw.Draw(self._picture)
        self._font = ImageFont.load_default(_TEXT * _FINE)
        self._title_font = ImageFont.load_default(round(_TEXT * 1.25) * _FINE)
        self._names = names
        self._rows = self._key_rows(axes.width - 32)
        self.left = 64.0 if axes.y_label else 48.0
        self.top = 14.0 + (26 if axes.title else 0) + 20 * len(self._rows)
        self.right = axes.width - 18.0
        self.bottom = axes.height - 28.0 - (22 if axes.x_label else 0) - extra_bottom
        self._write_around()

    @property
    def inner_width(self) -> float:
        return self.right - self.left

    @property
    def inner_height(self) -> float:
        return self.bottom - self.top

    def text_width(self, text: str) -> int:
        return math.ceil(self._draw.textlength(text, self._font) / _FINE)

    def text(self, x: float, y: float, text: str, anchor: str) -> None:
        self._draw.text((x * _FINE, y * _FINE), text, _INK, self._font, anchor)

    def number_in_cell(self, x: float, y: float, text: str, *, light: bool) -> None:
        self._draw.text((x * _FINE, y * _FINE), text, _PAPER if light else _INK, self._font, "mm")

    def upright_text(self, x: float, y: float, text: str) -> None:
        """Text that reads from below, its end at (x, y)."""
        size = (max(self.text_width(text), 1) * _FINE, round(_TEXT * 1.5) * _FINE)
        strip = PilImage.new("RGB", size, _PAPER)
        ImageDraw.Draw(strip).text((size[0], size[1] // 2), text, _INK, self._font, "rm")
        turned = strip.transpose(PilImage.Transpose.ROTATE_90)
        self._picture.paste(turned, (round(x * _FINE - turned.width / 2), round(y * _FINE)))

    def line(self, points: Sequence[tuple[float, float]], colour: Colour, *, dashed: bool) -> None:
        scaled = [(x * _FINE, y * _FINE) for x, y in points]
        if len(scaled) > 1 and not dashed:
            self._draw.line(scaled, colour, 2 * _FINE, joint="curve")
        elif len(scaled) > 1:
            for (x0, y0), (x1, y1) in pairwise(scaled):
                length = math.hypot(x1 - x0, y1 - y0)
                count = max(1, round(length / (5 * _FINE)))
                for part in range(0, count, 2):
                    a, b = part / count, min(1.0, (part + 1) / count)
                    ends = [(x0 + (x1 - x0) * share, y0 + (y1 - y0) * share) for share in (a, b)]
                    self._draw.line(ends, colour, 2 * _FINE)

    def dot(self, point: tuple[float, float], colour: Colour) -> None:
        x, y, radius = point[0] * _FINE, point[1] * _FINE, 3 * _FINE
        self._draw.ellipse((x - radius, y - radius, x + radius, y + radius), colour)

    def box(self, left: float, top: float, right: float, bottom: float, colour: Colour) -> None:
        self._draw.rectangle((left * _FINE, min(top, bottom) * _FINE, right * _FINE, max(top, bottom) * _FINE), colour)

    def rule_y(self, values: Sequence[float], down: Callable[[float], float]) -> None:
        for value in values:
            y = down(value) * _FINE
            self._draw.line([(self.left * _FINE, y), (self.right * _FINE, y)], _FAINT, _FINE)
            self.text(self.left - 6, down(value), _number(value, self._axes.percent), "rm")
        self._draw.line(
            [(self.left * _FINE, self.bottom * _FINE), (self.right * _FINE, self.bottom * _FINE)], _INK, _FINE
        )

    def finish(self) -> PilImage.Image:
        return self._picture.reduce(_FINE)

    def _key_rows(self, room: float) -> list[list[int]]:
        """Which names stand in each row of the key."""
        rows: list[list[int]] = []
        used = math.inf
        for place, name in enumerate(self._names):
            width = self.text_width(name) + 40
            if used + width > room:
                rows.append([])
                used = 0
            rows[-1].append(place)
            used += width
        return rows

    def _write_around(self) -> None:
        axes = self._axes
        y = 10.0
        if axes.title:
            self._draw.text((16 * _FINE, y * _FINE), axes.title, _INK, self._title_font, "la")
            y += 26
        for row in self._rows:
            x = 16.0
            for place in row:
                self.box(x, y + 3, x + 14, y + 12, COLOURS[place % len(COLOURS)])
                self.text(x + 20, y + 8, self._names[place], "lm")
                x += self.text_width(self._names[place]) + 40
            y += 20
        if axes.x_label:
            self.text((self.left + self.right) / 2, axes.height - 8, axes.x_label, "md")
        if axes.y_label:
            # Its end in the middle of the axis, half its length further up.
            length = self.text_width(axes.y_label)
            self.upright_text(14, (self.top + self.bottom - length) / 2, axes.y_label)
