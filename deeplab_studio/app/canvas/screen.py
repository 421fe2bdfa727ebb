"""What is drawn at the resolution of the screen: boundaries, the hatch of void, the veil over pins, the pixel grid.

A boundary drawn in image pixels is a staircase when one zooms in and vanishes when one zooms out. Here the class under
every device pixel of the exposed part is looked up first, and lines are drawn on that: they stay equally thin at every
zoom, and the work depends on the size of the screen, never on that of the photo.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from deeplab_studio.app.canvas.mips import LabelMips, level_for

Argb = npt.NDArray[np.uint32]
Bytes = npt.NDArray[np.uint8]
Indices = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Exposure:
    """The device pixels to draw and where the photo lies under them.

    Parameters
    ----------
    left, top, width, height : int
        The box of device pixels.
    scale : float
        Device pixels per image pixel.
    origin_x, origin_y : float
        Device position of the photo's upper left corner.
    device_ratio : float
        Device pixels per logical pixel: how many make a line of width 1.
    """

    left: int
    top: int
    width: int
    height: int
    scale: float
    origin_x: float
    origin_y: float
    device_ratio: float

    def grown(self, margin: int) -> Exposure:
        """The same with `margin` more device pixels on every side."""
        return Exposure(
            self.left - margin,
            self.top - margin,
            self.width + 2 * margin,
            self.height + 2 * margin,
            self.scale,
            self.origin_x,
            self.origin_y,
            self.device_ratio,
        )

    def rows(self, count: int, stretch: float = 1.0) -> Indices:
        """The row of a picture of `count` rows under the middle of each device row; rows outside give the nearest.

        `stretch` is how many photo rows one row of the picture covers.
        """
        return _under(self.top, self.height, self.origin_y, self.scale * stretch, count)

    def columns(self, count: int, stretch: float = 1.0) -> Indices:
        """The same for columns."""
        return _under(self.left, self.width, self.origin_x, self.scale * stretch, count)


def _under(first: int, length: int, origin: float, scale: float, count: int) -> Indices:
    middle = (np.arange(first, first + length) + 0.5 - origin) / scale
    under: Indices = np.clip(np.floor(middle), 0, count - 1).astype(np.int64)
    return under


def premultiplied(colour: tuple[int, int, int], alpha: float) -> int:
    """One RGB colour (0..255 each) at an opacity of 0..1, as 0xAARRGGBB."""
    red, green, blue = (round(channel * alpha) for channel in colour)
    return round(255 * alpha) << 24 | red << 16 | green << 8 | blue


def pick(picture: Bytes, rows: Indices, columns: Indices) -> Bytes:
    """``picture[rows][:, columns]`` for ascending indices, touching only what is needed; may be a view."""
    top, left = rows[0], columns[0]
    part = picture[top : rows[-1] + 1, left : columns[-1] + 1]
    across = part.shape[1] != len(columns) or bool((np.diff(columns) != 1).any())
    down = part.shape[0] != len(rows) or bool((np.diff(rows) != 1).any())
    # The shorter side first, so that the second step has less to do.
    if down and len(rows) < len(part):
        part, down = np.take(part, rows - top, axis=0), False
    if across:
        part = np.take(part, columns - left, axis=1)
    if down:
        part = np.take(part, rows - top, axis=0)
    return part


def classes_on_screen(mips: LabelMips, exposure: Exposure, photo_height: int, photo_width: int) -> Bytes:
    """The class under the middle of every device pixel.

    Parameters
    ----------
    mips : LabelMips
        A class map, of the photo's size or stretched over it.
    exposure : Exposure
        What is drawn; device pixels beside the photo get the class of the nearest pixel inside.
    photo_height, photo_width : int
        Size of the photo.

    Returns
    -------
    (exposure.height, exposure.width) uint8 array
    """
    across, down = photo_width / mips.width, photo_height / mips.height
    k = level_for(exposure.scale * min(across, down), mips.last_level)
    return pick(
        mips.level(k),
        exposure.rows(mips.height, down) >> k,
        exposure.columns(mips.width, across) >> k,
    )


def outlines(classes: Bytes, colours: Argb, width: int) -> Argb:
    """Class boundaries.

    Parameters
    ----------
    classes : (h + 2 * width, w + 2 * width) uint8 array
        Class under every device pixel, with a margin of `width` on every side.
    colours : (256,) uint32 array
        Premultiplied colour of the line inside each class; 0 for a class without one.
    width : int
        Device pixels on each side of a boundary.

    Returns
    -------
    (h, w) uint32 array
    """
    import cv2

    # A pixel is near a boundary when its neighbourhood holds more than one class, that is, when the highest and the
    # lowest id in it differ.
    classes = np.ascontiguousarray(classes)
    around = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * width + 1, 2 * width + 1))
    inside = np.s_[width:-width, width:-width]
    near = np.flatnonzero(cv2.dilate(classes, around)[inside] != cv2.erode(classes, around)[inside])
    lines = np.zeros(classes[inside].shape, np.uint32)
    lines.ravel()[near] = colours[np.ascontiguousarray(classes[inside]).ravel()[near]]
    return lines


HATCH, SHADOW, DOT, GRID = 1, 2, 4, 8
"""What a device pixel of `patterns` belongs to; several may be added up."""


@lru_cache(maxsize=64)
def pattern_colours(hatch_opacity: float, grid_opacity: float) -> tuple[int, ...]:
    """Straight 0xAARRGGBB of each of the 16 values of `patterns`: of several the finest counts."""

    def argb(level: int, opacity: float) -> int:
        return round(255 * opacity) << 24 | level << 16 | level << 8 | level

    # Void's own colour under the hatch is light.
    own = {HATCH: argb(40, hatch_opacity), GRID: argb(128, grid_opacity), SHADOW: argb(0, 0.4), DOT: argb(255, 0.9)}
    colours = [0] * 16
    for layer, colour in own.items():
        for value in range(16):
            if value & layer:
                colours[value] = colour
    return tuple(colours)


def patterns(
    exposure: Exposure,
    *,
    void: npt.NDArray[np.bool_] | None = None,
    pinned: npt.NDArray[np.bool_] | None = None,
    grid: tuple[int, int] | None = None,
) -> Bytes:
    """Hatch over void, dots over pins, lines between image pixels; all stand still on the photo when it is moved.

    Parameters
    ----------
    exposure : Exposure
        What is drawn.
    void, pinned : (h, w) bool array, optional
        Whether the pixel under every device pixel of `exposure` is void, or pinned.
    grid : (height, width), optional
        Size of the photo, to draw its pixel grid.

    Returns
    -------
    (h, w) uint8 array
        Sums of `HATCH`, `SHADOW`, `DOT` and `GRID`.
    """
    picture = np.zeros((exposure.height, exposure.width), np.uint8)
    if void is not None:
        np.multiply(_tiled(_hatch(exposure.device_ratio), exposure), void, out=picture)
    if pinned is not None:
        picture += np.multiply(_tiled(_dots(exposure.device_ratio), exposure), pinned)
    if grid is not None:
        # A line lies on the first device pixel of each image pixel.
        before = exposure.grown(1)
        picture[np.diff(before.rows(grid[0])[:-1]) != 0] |= GRID
        picture[:, np.diff(before.columns(grid[1])[:-1]) != 0] |= GRID
    return picture


def _tiled(tile: Bytes, exposure: Exposure) -> Bytes:
    """A square pattern laid over the exposure, tied to the photo's corner."""
    period = len(tile)
    rows = (np.arange(exposure.height) + exposure.top - round(exposure.origin_y)) % period
    columns = (np.arange(exposure.width) + exposure.left - round(exposure.origin_x)) % period
    tiled: Bytes = np.take(np.take(tile, columns, axis=1), rows, axis=0)
    return tiled


@lru_cache(maxsize=8)
def _hatch(device_ratio: float) -> Bytes:
    """Diagonal lines."""
    line = max(1, round(1.25 * device_ratio))
    period = max(3 * line, round(6 * device_ratio))
    diagonal = np.add.outer(np.arange(period), np.arange(period)) % period
    return np.where(diagonal < line, np.uint8(HATCH), np.uint8(0))


@lru_cache(maxsize=8)
def _dots(device_ratio: float) -> Bytes:
    """Dots with a shadow, in rows shifted by half a period."""
    side = max(1, round(device_ratio))
    period = 2 * round(4 * device_ratio)
    tile = np.zeros((period, period), np.uint8)
    for corner in (0, period // 2):
        tile[corner : corner + 2 * side, corner : corner + 2 * side] = SHADOW
        tile[corner : corner + side, corner : corner + side] = DOT
    return tile
