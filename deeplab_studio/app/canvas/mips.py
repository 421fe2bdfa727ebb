"""A photo and a class map at halved resolutions, so that drawing never touches more pixels than the screen has.

Level *k* is the picture at ``1 / 2**k`` of its size. Nothing here needs Qt: the worker that reads a photo from disk
builds its levels too.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from deeplab_studio.core.geometry import Rect

Bytes = npt.NDArray[np.uint8]

_SMALLEST = 256
"""Levels stop when neither side is longer: drawing that few pixels costs nothing at any scale."""


@dataclass(frozen=True, eq=False)
class PhotoMips:
    """A photo with its smaller levels.

    Parameters
    ----------
    levels : tuple of (h, w, 3) uint8 arrays
        RGB; each half as large as the one before, odd sides rounded up. The first is the photo itself, not a copy.
    """

    levels: tuple[Bytes, ...]

    @property
    def nbytes(self) -> int:
        """Bytes of the smaller levels; the first one is the photo's own memory."""
        return sum(level.nbytes for level in self.levels[1:])

    @property
    def height(self) -> int:
        """Rows of the photo."""
        return int(self.levels[0].shape[0])

    @property
    def width(self) -> int:
        """Columns of the photo."""
        return int(self.levels[0].shape[1])


def build_mips(pixels: Bytes) -> PhotoMips:
    """Halve a photo until it is small; safe on any thread.

    Parameters
    ----------
    pixels : (H, W, 3) uint8 array
        RGB, C-contiguous. Shared with the result, so it must not change afterwards.

    Returns
    -------
    PhotoMips

    Raises
    ------
    ValueError
        If `pixels` is not such an array or is empty.
    """
    if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8 or not pixels.size:
        raise ValueError(f"a photo is (H, W, 3) uint8, not {pixels.shape} {pixels.dtype}")
    if not pixels.flags.c_contiguous:
        raise ValueError("the pixels of a photo lie row by row without gaps")
    levels = [pixels]
    while max(levels[-1].shape[:2]) > _SMALLEST:
        levels.append(_halved(levels[-1]))
    return PhotoMips(tuple(levels))


def _halved(pixels: Bytes) -> Bytes:
    """Mean of every 2 by 2 block; of the pixels there are where a block is cut by the lower or right rim."""
    import cv2

    height, width = pixels.shape[:2]
    half = np.empty(((height + 1) // 2, (width + 1) // 2, 3), np.uint8)
    rows, columns = height // 2, width // 2
    even_rows, even_columns = pixels[: 2 * rows], pixels[:, : 2 * columns]
    if rows and columns:
        cv2.resize(
            even_rows[:, : 2 * columns], (columns, rows), dst=half[:rows, :columns], interpolation=cv2.INTER_AREA
        )
    # The odd last row and column have one neighbour less; resizing them with the rest would leave the fast exact path.
    if width % 2 and rows:
        half[:rows, -1] = cv2.resize(even_rows[:, -1:], (1, rows), interpolation=cv2.INTER_AREA)[:, 0]
    if height % 2 and columns:
        half[-1, :columns] = cv2.resize(even_columns[-1:], (columns, 1), interpolation=cv2.INTER_AREA)[0]
    if height % 2 and width % 2:
        half[-1, -1] = pixels[-1, -1]
    return half


class LabelMips:
    """A class map with its smaller levels, each made when it is first asked for.

    Level *k* is every ``2**k``-th pixel of every ``2**k``-th row: a class id has no mean.

    Parameters
    ----------
    labels : (H, W) uint8 or bool array
        Level 0 is this very array, not a copy. Whoever changes it calls `refresh`.
    """

    def __init__(self, labels: npt.NDArray[np.uint8]) -> None:
        if labels.ndim != 2 or labels.dtype != np.uint8 or not labels.flags.c_contiguous or not labels.size:
            raise ValueError(f"a class map is a C-contiguous (H, W) uint8 array, not {labels.shape} {labels.dtype}")
        self.labels = labels
        self._levels: dict[int, Bytes] = {}

    @property
    def height(self) -> int:
        """Rows of the class map."""
        return int(self.labels.shape[0])

    @property
    def width(self) -> int:
        """Columns of the class map."""
        return int(self.labels.shape[1])

    @property
    def last_level(self) -> int:
        """The highest level there is."""
        return max(0, (max(self.height, self.width) - 1).bit_length() - (_SMALLEST - 1).bit_length())

    def level(self, k: int) -> Bytes:
        """The class map at ``1 / 2**k`` of its size, C-contiguous; the same array at every call."""
        if k == 0:
            return self.labels
        if k not in self._levels:
            self._levels[k] = np.ascontiguousarray(self.labels[:: 1 << k, :: 1 << k])
        return self._levels[k]

    def refresh(self, rect: Rect | None = None) -> None:
        """Carry changed pixels into the levels made so far.

        Parameters
        ----------
        rect : Rect, optional
            The box that holds every changed pixel; all of the class map without one.
        """
        box = (rect or Rect(0, 0, self.height, self.width)).clipped(self.height, self.width)
        if box.is_empty:
            return
        for k, level in self._levels.items():
            step = 1 << k
            top, left = -(-box.top // step), -(-box.left // step)
            bottom, right = -(-box.bottom // step), -(-box.right // step)
            level[top:bottom, left:right] = self.labels[top * step : box.bottom : step, left * step : box.right : step]


def level_for(scale: float, last_level: int) -> int:
    """The smallest level that still has a pixel for every pixel of the screen.

    Parameters
    ----------
    scale : float
        Device pixels per image pixel.
    last_level : int
        The highest level there is.

    Returns
    -------
    int
        The largest *k* with ``scale * 2**k <= 1``, within 0 and `last_level`.
    """
    k = 0
    while k < last_level and scale * (2 << k) <= 1:
        k += 1
    return k


class TileGrid:
    """Which squares of a picture are up to date.

    Parameters
    ----------
    height, width : int
        Size of the picture in pixels.
    side : int
        Side of a square in pixels.
    """

    def __init__(self, height: int, width: int, side: int = 512) -> None:
        self._size = (height, width)
        self._side = side
        self._fresh = np.zeros((-(-height // side), -(-width // side)), np.bool_)

    def clear(self) -> None:
        """Nothing is up to date any more."""
        self._fresh[:] = False

    def take_stale(self, rect: Rect) -> Iterator[Rect]:
        """The squares under `rect` that are out of date; they count as up to date from then on."""
        box = rect.clipped(*self._size)
        if box.is_empty:
            return
        side = self._side
        for row in range(box.top // side, -(-box.bottom // side)):
            for column in range(box.left // side, -(-box.right // side)):
                if not self._fresh[row, column]:
                    self._fresh[row, column] = True
                    yield Rect(row * side, column * side, (row + 1) * side, (column + 1) * side).clipped(*self._size)
