"""Brush shapes as pixel masks.

A brush of size *s* covers an *s* by *s* box of whole pixels: its centre snaps to the middle of a pixel when *s* is odd
and to a corner of four when it is even. So every stamp of one brush looks the same wherever it is put down, and a
brush of size 1 paints exactly the pixel under the cursor. A pixel belongs to the brush when its middle does.

Strokes are swept rather than stamped: the mask between two points holds every pixel the brush passes over on the
straight way from one to the other, so that a fast hand leaves no gaps.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

Shape = Literal["round", "square"]
Mask = npt.NDArray[np.bool_]
Labels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]

MIN_SIZE = 1
MAX_SIZE = 2000

# A pixel whose middle lies on the rim belongs to the brush, whichever way its coordinates were rounded.
_RIM = 1e-9


class Patch(NamedTuple):
    """A mask and where its upper left pixel lies: image row `top`, image column `left`, ``(h, w)`` bool `mask`.

    The mask may be empty (``h`` or ``w`` is 0) when nothing of the shape is inside the bounds it was asked for.
    """

    top: int
    left: int
    mask: Mask


class Stamp(NamedTuple):
    """One position of a brush: centre in image coordinates (pixel *i* spans ``i`` to ``i + 1``) and size in pixels."""

    x: float
    y: float
    size: int

    def snapped(self) -> Stamp:
        """The position the brush really takes: its box on whole pixels."""
        half = self.size / 2
        return Stamp(
            float(np.floor(self.x - half + 0.5)) + half, float(np.floor(self.y - half + 0.5)) + half, self.size
        )


@lru_cache(maxsize=32)
def footprint(size: int, shape: Shape = "round") -> Mask:
    """The pixels of one stamp.

    Parameters
    ----------
    size : int
        Width and height in pixels, 1 to `MAX_SIZE`.
    shape : {"round", "square"}
        A disc of that diameter, or a full square.

    Returns
    -------
    (size, size) bool array, read-only

    Raises
    ------
    ValueError
        If `size` is out of range.
    """
    _check_size(size)
    middle = Stamp(size / 2, size / 2, size)
    mask = _fill(*_swept_rows(middle, middle, shape), bounds=(size, size)).mask
    mask.setflags(write=False)
    return mask


@lru_cache(maxsize=32)
def footprint_outline(size: int, shape: Shape = "round") -> npt.NDArray[np.int32]:
    """The stair-stepped rim of `footprint`, along the edges of its pixels.

    Returns
    -------
    (n, 2) int32 array, read-only
        Corners ``(x, y)`` in pixels from the upper left corner of the footprint, in order around it.
    """
    mask = footprint(size, shape)
    first = mask.argmax(axis=1)
    last = size - mask[:, ::-1].argmax(axis=1)
    rows = np.arange(size)
    down = np.stack([np.repeat(last, 2), np.stack([rows, rows + 1], axis=1).ravel()], axis=1)
    up = np.stack([np.repeat(first, 2), np.stack([rows, rows + 1], axis=1).ravel()], axis=1)[::-1]
    outline = np.concatenate([down, up]).astype(np.int32)
    outline.setflags(write=False)
    return outline


def dab(stamp: Stamp, shape: Shape = "round", bounds: tuple[int, int] | None = None) -> Patch:
    """The pixels under a brush at one place.

    Parameters
    ----------
    stamp : Stamp
        Where, and how large; it need not be snapped.
    shape : {"round", "square"}
        Shape of the brush.
    bounds : (height, width), optional
        Size of the image; what lies outside is cut off.

    Returns
    -------
    Patch
        Its mask is shared with other calls when nothing was cut off: do not write to it.
    """
    snapped = stamp.snapped()
    mask = footprint(stamp.size, shape)
    left, top = int(snapped.x - stamp.size / 2), int(snapped.y - stamp.size / 2)
    if bounds is None:
        return Patch(top, left, mask)
    rows = slice(max(0, -top), max(0, min(stamp.size, bounds[0] - top)))
    columns = slice(max(0, -left), max(0, min(stamp.size, bounds[1] - left)))
    return Patch(max(top, 0), max(left, 0), mask[rows, columns])


def sweep(start: Stamp, end: Stamp, shape: Shape = "round", bounds: tuple[int, int] | None = None) -> Patch:
    """The pixels a brush passes over on the straight way between two places.

    Where the sizes differ (pen pressure) the brush grows or shrinks evenly on the way.

    Parameters
    ----------
    start, end : Stamp
        Both ends, covered as well; they need not be snapped.
    shape : {"round", "square"}
        Shape of the brush.
    bounds : (height, width), optional
        Size of the image; what lies outside is cut off.

    Returns
    -------
    Patch

    Raises
    ------
    ValueError
        If a size is out of range.

    Notes
    -----
    A disc or square that moves and scales evenly covers the convex hull of its two ends. Each row of a convex shape is
    one run of pixels, so only the ends of the runs are computed: the cost is that of the rows, not of the pixels.
    """
    _check_size(start.size)
    _check_size(end.size)
    start, end = start.snapped(), end.snapped()
    if start == end:
        return dab(start, shape, bounds)
    return _fill(*_swept_rows(start, end, shape, bounds), bounds=bounds)


def _check_size(size: int) -> None:
    if not MIN_SIZE <= size <= MAX_SIZE:
        raise ValueError(f"a brush has {MIN_SIZE} to {MAX_SIZE} pixels, not {size}")


def _swept_rows(
    start: Stamp, end: Stamp, shape: Shape, bounds: tuple[int, int] | None = None
) -> tuple[int, Floats, Floats]:
    """First row, then the leftmost and rightmost x covered at the middle of each row (inf and -inf where none is)."""
    top = int(min(start.y - start.size / 2, end.y - end.size / 2))
    bottom = int(max(start.y + start.size / 2, end.y + end.size / 2))
    if bounds is not None:
        top, bottom = max(top, 0), min(bottom, bounds[0])
    y = np.arange(top, max(top, bottom)) + 0.5
    lefts, rights = np.full(len(y), np.inf), np.full(len(y), -np.inf)
    for stamp in (start, end):
        radius = stamp.size / 2
        away = np.abs(y - stamp.y)
        if shape == "round":
            half = np.sqrt(np.maximum(radius**2 - away**2, 0))
        else:
            half = np.full(len(y), radius)
        inside = away <= radius
        np.minimum(lefts, stamp.x - half, out=lefts, where=inside)
        np.maximum(rights, stamp.x + half, out=rights, where=inside)
    for (x0, y0), (x1, y1) in _sides(start, end, shape):
        if y0 == y1:
            continue  # level with the rows: its ends lie on the two stamps, which are covered already
        along = (y - y0) / (y1 - y0)
        inside = (along >= 0) & (along <= 1)
        x = x0 + along * (x1 - x0)
        np.minimum(lefts, x, out=lefts, where=inside)
        np.maximum(rights, x, out=rights, where=inside)
    return top, lefts, rights


Point = tuple[float, float]


def _sides(start: Stamp, end: Stamp, shape: Shape) -> list[tuple[Point, Point]]:
    """The straight sides of the swept shape that are not sides of one of its ends."""
    first, last = start.size / 2, end.size / 2
    if shape == "square":
        corners = [(-1, -1), (-1, 1), (1, -1), (1, 1)]
        return [((start.x + i * first, start.y + j * first), (end.x + i * last, end.y + j * last)) for i, j in corners]
    dx, dy = end.x - start.x, end.y - start.y
    distance = float(np.hypot(dx, dy))
    if distance <= abs(first - last):
        return []  # one disc lies inside the other
    # Both tangents touch the two discs in the same direction, seen from the centres.
    cosine = (first - last) / distance
    sine = float(np.sqrt(1 - cosine**2))
    ux, uy = dx / distance, dy / distance
    sides = []
    for sign in (-1, 1):
        nx, ny = cosine * ux - sign * sine * uy, cosine * uy + sign * sine * ux
        sides.append(((start.x + first * nx, start.y + first * ny), (end.x + last * nx, end.y + last * ny)))
    return sides


def _fill(top: int, lefts: Floats, rights: Floats, bounds: tuple[int, int] | None) -> Patch:
    """The mask of rows that run from `lefts` to `rights`."""
    covered = lefts <= rights
    if not covered.any():
        return Patch(top, 0, np.zeros((0, 0), np.bool_))
    first = np.zeros(len(lefts), np.int64)
    stop = np.zeros(len(lefts), np.int64)
    first[covered] = np.ceil(lefts[covered] - 0.5 - _RIM).astype(np.int64)
    stop[covered] = np.floor(rights[covered] - 0.5 + _RIM).astype(np.int64) + 1
    if bounds is not None:
        np.clip(first, 0, bounds[1], out=first)
        np.clip(stop, 0, bounds[1], out=stop)
    left = int(first[covered].min())
    width = int(stop[covered].max()) - left
    mask = np.zeros((len(first), max(width, 0)), np.bool_)
    # Row by row: no arithmetic on every pixel, which is what counts for large brushes.
    for row, (a, b) in enumerate(zip((first - left).tolist(), (stop - left).tolist(), strict=True)):
        mask[row, max(a, 0) : max(b, 0)] = True
    return Patch(top, left, mask)
