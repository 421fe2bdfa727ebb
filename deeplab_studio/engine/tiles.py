"""Overlapping tiles on the grid of a network's cells, and the weights that blend them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

STEP = 32
"""Tiles begin at multiples of this: then every network's cells in a tile are cells of the whole."""

_OVERLAP_SHARE = 4
_MARGIN_SHARE = 8


@dataclass(frozen=True, slots=True)
class Span:
    """One tile along one axis.

    Attributes
    ----------
    start, stop : int
        Input pixels covered.
    first_cell : int
        The whole's cell that is the tile's first.
    weights : (cells,) float32 array
        Share of the tile in every cell; the shares of all tiles sum to 1 in every cell of the whole.
    """

    start: int
    stop: int
    first_cell: int
    weights: npt.NDArray[np.float32]


def spans(length: int, side: int, stride: int, remainder: int = 0) -> list[Span]:
    """Cover an axis with overlapping tiles.

    Neighbours overlap by at least a quarter of `side`. Their weights follow a squared sine across the overlap and are 0
    in its outermost eighth, where the tile's cut border shows.

    Parameters
    ----------
    length : int
        Input pixels along the axis.
    side : int
        Largest tile, a multiple of `STEP` above 4 * `STEP`.
    stride : int
        Input pixels per cell; divides `STEP`.
    remainder : int
        What `length` leaves when divided by `STEP` and every tile's length has to leave too; 0 for any.

    Returns
    -------
    list of Span
        One if `length` fits into a tile.
    """
    side += remainder
    cells = -(-length // stride)
    if length <= side:
        return [Span(0, length, 0, np.ones(cells, np.float32))]
    overlap = side // _OVERLAP_SHARE
    count = -(-(length - overlap) // (side - overlap))
    last = -(-(length - side) // STEP) * STEP
    starts = [round(i * last / (count - 1) / STEP) * STEP for i in range(count)]
    stops = [min(start + side, length) for start in starts]
    ranges = [(start // stride, -(-stop // stride)) for start, stop in zip(starts, stops, strict=True)]
    windows = []
    for i, (first, end) in enumerate(ranges):
        window = np.ones(end - first)
        if i > 0:
            window *= _ramp(ranges[i - 1][1] - first, len(window))
        if i < count - 1:
            window *= _ramp(end - ranges[i + 1][0], len(window))[::-1]
        windows.append(window)
    total = np.zeros(cells)
    for (first, end), window in zip(ranges, windows, strict=True):
        total[first:end] += window
    return [
        Span(start, stop, first, (window / total[first:end]).astype(np.float32))
        for start, stop, (first, end), window in zip(starts, stops, ranges, windows, strict=True)
    ]


def _ramp(overlap: int, length: int) -> npt.NDArray[np.float64]:
    """Rises from 0 to 1 across the first `overlap` of `length` cells; 1 after them."""
    margin = overlap // _MARGIN_SHARE
    position = (np.arange(length) + 0.5 - margin) / (overlap - 2 * margin)
    return np.sin(np.clip(position, 0, 1) * np.pi / 2) ** 2
