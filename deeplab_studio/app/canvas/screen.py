"""What is drawn at the resolution of the screen: class boundaries, the hatch of void, the veil over pinned pixels.

A boundary drawn in image pixels is a staircase when one zooms in and vanishes when one zooms out. Here the class under
every device pixel of the exposed part is looked up first, and lines are drawn on that: they stay equally thin at every
zoom, and the work depends on the size of the screen, never on that of the photo.

Pictures are ``(h, w)`` uint32 arrays, one premultiplied 0xAARRGGBB value per device pixel.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from deeplab_studio.app.canvas.mips import LabelMips, level_for
from deeplab_studio.core.labels import VOID

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
    """``picture[rows][:, columns]`` for ascending indices, touching only what is needed, C-contiguous."""
    top, left = rows[0], columns[0]
    part = picture[top : rows[-1] + 1, left : columns[-1] + 1]
    picked: Bytes
    if len(rows) < len(part):
        picked = np.take(np.take(part, rows - top, axis=0), columns - left, axis=1)
    else:
        picked = np.take(np.take(part, columns - left, axis=1), rows - top, axis=0)
    return picked


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
    around = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * width + 1, 2 * width + 1))
    inside = np.s_[width:-width, width:-width]
    near = cv2.dilate(classes, around)[inside] != cv2.erode(classes, around)[inside]
    return np.where(near, colours[classes[inside]], np.uint32(0))


def void_hatch(classes: Bytes, exposure: Exposure, opacity: float) -> Argb:
    """Diagonal lines over void, standing still on the photo when it is moved.

    Parameters
    ----------
    classes : (h, w) uint8 array
        Class under every device pixel of `exposure`.
    exposure : Exposure
        What is drawn.
    opacity : float
        0..1.

    Returns
    -------
    (h, w) uint32 array
    """
    return np.where(classes == VOID, _tiled(_hatch(exposure.device_ratio, opacity), exposure), np.uint32(0))


def pin_veil(pinned: npt.NDArray[np.bool_], exposure: Exposure) -> Argb:
    """Fine dots over pinned pixels.

    Parameters
    ----------
    pinned : (h, w) bool array
        Whether the pixel under every device pixel of `exposure` is pinned.
    exposure : Exposure
        What is drawn.

    Returns
    -------
    (h, w) uint32 array
    """
    return np.where(pinned, _tiled(_dots(exposure.device_ratio), exposure), np.uint32(0))


def _tiled(tile: Argb, exposure: Exposure) -> Argb:
    """A square pattern laid over the exposure, tied to the photo's corner."""
    period = len(tile)
    rows = (np.arange(exposure.height) + exposure.top - round(exposure.origin_y)) % period
    columns = (np.arange(exposure.width) + exposure.left - round(exposure.origin_x)) % period
    return np.take(np.take(tile, columns, axis=1), rows, axis=0)


@lru_cache(maxsize=8)
def _hatch(device_ratio: float, opacity: float) -> Argb:
    """Dark diagonals: void's own colour under them is light."""
    line = max(1, round(1.25 * device_ratio))
    period = max(3 * line, round(6 * device_ratio))
    diagonal = np.add.outer(np.arange(period), np.arange(period)) % period
    return np.where(diagonal < line, np.uint32(premultiplied((40, 40, 30), opacity)), np.uint32(0))


@lru_cache(maxsize=8)
def _dots(device_ratio: float) -> Argb:
    """White dots with a faint shadow, in rows shifted by half a period."""
    side = max(1, round(device_ratio))
    period = 2 * round(4 * device_ratio)
    tile = np.zeros((period, period), np.uint32)
    for corner in (0, period // 2):
        tile[corner : corner + 2 * side, corner : corner + 2 * side] = premultiplied((0, 0, 0), 0.4)
        tile[corner : corner + side, corner : corner + side] = premultiplied((255, 255, 255), 0.9)
    return tile
