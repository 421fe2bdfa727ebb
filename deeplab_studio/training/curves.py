"""Curves of a run as a picture."""

from __future__ import annotations

import io
import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from PIL import Image as PilImage
from PIL import ImageDraw, ImageFont

_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f7f7f", "#000000")
"""Okabe and Ito's, which people who confuse red and green can tell apart."""

_WIDTH, _HEIGHT = 1200, 340
"""Pixels of one plot."""

_MARGINS = (70, 190, 40, 45)
"""Left, right (for the names), top, bottom."""

Row = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Curve:
    name: str
    points: list[tuple[float, float]]


def draw_curves(steps: Sequence[Row], evaluations: Sequence[Row]) -> bytes:
    """Plots of the losses, the scores and the learning rate over the crops, one below the other.

    Parameters
    ----------
    steps, evaluations : sequence of mapping
        Lines of the two logs, see `Records`.

    Returns
    -------
    bytes
        A PNG.
    """
    known = {"crops", "crops_per_second", "learning_rate", "loss", "gradient"}
    names = [name for name in steps[0] if name not in known and any(row[name] for row in steps)]
    losses = [_Curve(name, _smoothed(_column(steps, name))) for name in names]
    versions = list(dict.fromkeys(row["version"] for row in evaluations))
    scores = [
        _Curve(version, _column([row for row in evaluations if row["version"] == version], "score"))
        for version in versions
    ]
    plots = [
        ("losses", losses),
        ("mean IoU of the running mean of the weights", scores),
        ("learning rate", [_Curve("rate", _column(steps, "learning_rate"))]),
    ]
    shown = [(title, curves) for title, curves in plots if any(curve.points for curve in curves)]
    end = max(float(row["crops"]) for row in (*steps, *evaluations))
    picture = PilImage.new("RGB", (_WIDTH, _HEIGHT * len(shown)), "white")
    for i, (title, curves) in enumerate(shown):
        picture.paste(_plot(title, curves, end), (0, i * _HEIGHT))
    file = io.BytesIO()
    picture.save(file, "PNG", optimize=True)
    return file.getvalue()


def _column(rows: Sequence[Row], name: str) -> list[tuple[float, float]]:
    points = [(float(row["crops"]), float(row[name])) for row in rows if row.get(name)]
    return [point for point in points if math.isfinite(point[1])]


def _smoothed(points: list[tuple[float, float]], width: int = 60) -> list[tuple[float, float]]:
    """Means of neighbours where there are more points than can be told apart."""
    group = max(1, len(points) // width)
    parts = [run[i : i + group] for run in _runs(points) for i in range(0, len(run), group)]
    return [(sum(x for x, _ in part) / len(part), sum(y for _, y in part) / len(part)) for part in parts]


def _runs(points: list[tuple[float, float]]) -> list[list[tuple[float, float]]]:
    """Points that follow each other; where a loss was not taken for a while its curve has a gap."""
    if len(points) < 3:
        return [points]
    steps = [after[0] - before[0] for before, after in itertools.pairwise(points)]
    wide = 8 * sorted(steps)[len(steps) // 2]
    ends = [i + 1 for i, step in enumerate(steps) if step > wide]
    return [points[begin:end] for begin, end in itertools.pairwise([0, *ends, len(points)])]


def _plot(title: str, curves: Sequence[_Curve], end: float) -> PilImage.Image:
    left, right, top, bottom = _MARGINS
    picture = PilImage.new("RGB", (_WIDTH, _HEIGHT), "white")
    draw = ImageDraw.Draw(picture)
    text, heading = ImageFont.load_default(14), ImageFont.load_default(18)
    values = [y for curve in curves for _, y in curve.points]
    ticks = _ticks(min(0.0, *values), max(values))
    low, high = ticks[0], ticks[-1]

    def place(x: float, y: float) -> tuple[float, float]:
        across = left + x / max(end, 1) * (_WIDTH - left - right)
        return across, _HEIGHT - bottom - (y - low) / (high - low) * (_HEIGHT - top - bottom)

    draw.text((left, 8), title, "black", heading)
    for value in ticks:
        y = place(0, value)[1]
        draw.line([(left, y), (_WIDTH - right, y)], "#dddddd")
        draw.text((left - 8, y), f"{value:g}", "#444444", text, anchor="rm")
    for value in _ticks(0, end)[:-1] if end > 0 else ():
        x = place(value, low)[0]
        draw.line([(x, _HEIGHT - bottom), (x, _HEIGHT - bottom + 5)], "#888888")
        draw.text((x, _HEIGHT - bottom + 8), f"{value:,.0f}", "#444444", text, anchor="mt")
    draw.text((_WIDTH - right, _HEIGHT - 6), "crops", "#444444", text, anchor="rb")
    for i, curve in enumerate(curves):
        colour = _COLOURS[i % len(_COLOURS)]
        for run in _runs(curve.points):
            points = [place(*point) for point in run]
            if len(points) > 1:
                draw.line(points, colour, 2, "curve")
            if len(curve.points) < 40 or len(points) == 1:
                for x, y in points:
                    draw.ellipse((x - 3, y - 3, x + 3, y + 3), colour)
        y = top + 22 * i + 10
        draw.line([(_WIDTH - right + 15, y), (_WIDTH - right + 40, y)], colour, 3)
        last = f"  {curve.points[-1][1]:.3g}" if curve.points else ""
        draw.text((_WIDTH - right + 48, y), f"{curve.name}{last}", "black", text, anchor="lm")
    return picture


def _ticks(low: float, high: float) -> list[float]:
    """Four to nine round values whose ends enclose `low` and `high`."""
    span = max(high - low, abs(high) * 1e-6, 1e-12)
    power = 10.0 ** math.floor(math.log10(span))
    step = next(unit * power for unit in (0.2, 0.5, 1.0, 2.0) if span / (unit * power) <= 8)
    first = math.floor(low / step + 1e-9)
    last = max(first + 1, math.ceil(high / step - 1e-9))
    return [round(i * step, 12) for i in range(first, last + 1)]
