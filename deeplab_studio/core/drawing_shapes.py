"""Closed shapes as pixel masks: polygons, boxes and ellipses.

A pixel belongs to a shape when its middle lies inside. On the border itself the middle counts where the shape lies to
its right or below, so that two shapes with a common side share no pixel and leave none out.

Every shape can be asked for a part of the image and for every n-th pixel only: a preview on the screen then costs what
the screen has pixels, whatever the size of the photo.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from deeplab_studio.core.drawing import Mask, Patch
from deeplab_studio.core.geometry import Rect

Point = tuple[float, float]


class Area(Protocol):
    """Something that covers pixels."""

    @property
    def box(self) -> Rect:
        """A box around every pixel it covers; it may reach beyond the image."""
        ...

    def patch(self, bounds: Rect, step: int = 1) -> Patch:
        """The pixels it covers inside `bounds`.

        Parameters
        ----------
        bounds : Rect
            In the grid of every `step`-th pixel.
        step : int
            1 for every pixel; otherwise only pixels whose row and column are multiples of it are looked at, and row,
            column and mask of the result count those.

        Returns
        -------
        Patch
        """
        ...


@dataclass(frozen=True)
class Polygon:
    """The inside of a closed line.

    Where the line crosses itself a pixel is inside if the line goes around it, in all, at least once (nonzero winding
    number): a loop drawn twice has no hole.

    Parameters
    ----------
    points : sequence of (float, float)
        Corners ``(x, y)``; pixel *i* spans ``i`` to ``i + 1``. The last one is joined to the first.
    """

    points: Sequence[Point]

    @property
    def box(self) -> Rect:
        """The box around its corners."""
        if not self.points:
            return Rect(0, 0, 0, 0)
        xs, ys = zip(*self.points, strict=True)
        return Rect(math.floor(min(ys)), math.floor(min(xs)), math.ceil(max(ys)), math.ceil(max(xs)))

    def patch(self, bounds: Rect, step: int = 1) -> Patch:
        """The pixels whose middle is inside; see `Area.patch`."""
        inside = _on_grid(self.box, step).intersection(bounds)
        if len(self.points) < 3 or inside.is_empty:
            return _nothing(bounds)
        corners = (np.asarray(self.points, np.float64) - 0.5) / step + 0.5
        return _fill_runs(inside, *_runs(corners, inside))


@dataclass(frozen=True)
class Box:
    """A level rectangle of whole pixels.

    Parameters
    ----------
    rect : Rect
    """

    rect: Rect

    @property
    def box(self) -> Rect:
        """The rectangle."""
        return self.rect

    def patch(self, bounds: Rect, step: int = 1) -> Patch:
        """Its pixels; see `Area.patch`."""
        inside = _on_grid(self.rect, step).intersection(bounds)
        if inside.is_empty:
            return _nothing(bounds)
        return Patch(inside.top, inside.left, np.ones((inside.height, inside.width), np.bool_))


@dataclass(frozen=True)
class Ellipse:
    """The ellipse that touches the four sides of a rectangle.

    Parameters
    ----------
    rect : Rect
    """

    rect: Rect

    @property
    def box(self) -> Rect:
        """The rectangle."""
        return self.rect

    def patch(self, bounds: Rect, step: int = 1) -> Patch:
        """The pixels whose middle is inside or on the line; see `Area.patch`."""
        rect = self.rect
        inside = _on_grid(rect, step).intersection(bounds)
        if inside.is_empty:
            return _nothing(bounds)
        y = np.arange(inside.top, inside.bottom) * step + 0.5
        x = np.arange(inside.left, inside.right) * step + 0.5
        down = (2 * y - rect.top - rect.bottom) / rect.height
        across = (2 * x - rect.left - rect.right) / rect.width
        return Patch(inside.top, inside.left, np.add.outer(down**2, across**2) <= 1 + 1e-12)


@dataclass(frozen=True)
class Region:
    """Pixels found one by one.

    Parameters
    ----------
    patch_ : Patch
    """

    patch_: Patch

    @property
    def box(self) -> Rect:
        """The box of the mask."""
        top, left, mask = self.patch_
        return Rect(top, left, top + mask.shape[0], left + mask.shape[1])

    def patch(self, bounds: Rect, step: int = 1) -> Patch:
        """Its pixels; see `Area.patch`. The mask is a view of the one it was made of."""
        top, left, mask = self.patch_
        inside = _on_grid(self.box, step).intersection(bounds)
        if inside.is_empty:
            return _nothing(bounds)
        rows = slice(inside.top * step - top, (inside.bottom - 1) * step - top + 1, step)
        columns = slice(inside.left * step - left, (inside.right - 1) * step - left + 1, step)
        return Patch(inside.top, inside.left, mask[rows, columns])


def _on_grid(box: Rect, step: int) -> Rect:
    """The box of the grid's pixels inside a box of image pixels."""
    return Rect(-(-box.top // step), -(-box.left // step), -(-box.bottom // step), -(-box.right // step))


def _nothing(bounds: Rect) -> Patch:
    return Patch(bounds.top, bounds.left, np.zeros((0, 0), np.bool_))


Indices = npt.NDArray[np.int64]


def _runs(corners: npt.NDArray[np.float64], inside: Rect) -> tuple[Indices, Indices, Indices]:
    """Row, first and one past the last column of every run of pixels inside a polygon, within `inside`."""
    following = np.roll(corners, -1, axis=0)
    downward = following[:, 1] > corners[:, 1]
    # Every side is followed from its upper end, or two polygons with a common side would round differently on it.
    upper = np.where(downward[:, None], corners, following)
    lower = np.where(downward[:, None], following, corners)
    first = np.maximum(np.ceil(upper[:, 1] - 0.5), inside.top).astype(np.int64)
    stop = np.minimum(np.ceil(lower[:, 1] - 0.5), inside.bottom).astype(np.int64)
    count = np.maximum(stop - first, 0)
    side = np.repeat(np.arange(len(corners)), count)
    row = first[side] + np.arange(len(side)) - np.repeat(np.cumsum(count) - count, count)
    start, end = upper[side], lower[side]
    x = start[:, 0] + (row + 0.5 - start[:, 1]) * (end[:, 0] - start[:, 0]) / (end[:, 1] - start[:, 1])
    column = np.clip(np.ceil(x - 0.5), inside.left, inside.right).astype(np.int64)

    order = np.lexsort((column, row))
    row, column = row[order], column[order]
    # In every row the sides going down and up cancel out, so one sum over all rows is as good as one per row.
    winding = np.cumsum(np.where(downward[side[order]], 1, -1))
    before = np.concatenate([[0], winding[:-1]])
    opens, closes = (before == 0) & (winding != 0), (before != 0) & (winding == 0)
    return row[opens], column[opens], column[closes]


def _fill_runs(inside: Rect, rows: Indices, firsts: Indices, stops: Indices) -> Patch:
    """The mask of runs of pixels, cut to the rows and columns they need."""
    kept = firsts < stops
    if not kept.any():
        return _nothing(inside)
    rows, firsts, stops = rows[kept], firsts[kept], stops[kept]
    top, left = int(rows.min()), int(firsts.min())
    mask: Mask = np.zeros((int(rows.max()) + 1 - top, int(stops.max()) - left), np.bool_)
    for row, first, stop in zip((rows - top).tolist(), (firsts - left).tolist(), (stops - left).tolist(), strict=True):
        mask[row, first:stop] = True
    return Patch(top, left, mask)
