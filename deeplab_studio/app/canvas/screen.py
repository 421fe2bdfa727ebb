"""What lies over the photo, composed at the resolution of the screen.

The class under every device pixel of the exposed part is looked up first; fill, boundaries, hatch, pins and grid are
drawn from that. So lines are equally thin at every zoom, the work depends on the size of the screen and never on that
of the photo, and a part of the screen comes out as it would with all of it. Handing Qt the class map as an indexed
image would be less code, but Qt looks colours up several times slower than OpenCV does.

A picture is an ``(h, w)`` uint32 array: one premultiplied 0xAARRGGBB value per device pixel.
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


def premultiplied_table(colours: Bytes) -> Argb:
    """A (256, 4) uint8 table of RGBA colours with straight alpha, as (256,) premultiplied 0xAARRGGBB."""
    return np.array([premultiplied((r, g, b), a / 255) for r, g, b, a in colours.tolist()], np.uint32)


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


def colours_over(colours: Argb, level: int, opacity: float) -> Argb:
    """Lay a gray over premultiplied colours.

    Parameters
    ----------
    colours : (n,) uint32 array
        Premultiplied 0xAARRGGBB.
    level : int
        The gray, 0..255.
    opacity : float
        Its opacity, 0..1.

    Returns
    -------
    (n,) uint32 array
    """
    share = round(256 * opacity)
    kept = np.uint32(256 - share)
    # Two channels at a time, with room for their product between them.
    pair = np.uint32(0x00FF00FF)
    low = ((colours & pair) * kept + np.uint32((level << 16 | level) * share)) >> np.uint32(8) & pair
    high = (colours >> np.uint32(8) & pair) * kept + np.uint32((0xFF << 16 | level) * share) & ~pair
    mixed: Argb = high | low
    return mixed


def paint_classes(classes: Bytes, colours: Argb) -> Argb:
    """The colour of every device pixel, (h, w) uint32, for classes (h, w) uint8 and their (256,) uint32 colours."""
    import cv2

    painted: Argb = cv2.LUT(classes, colours.view(np.int32)).view(np.uint32)
    return painted


def draw_outlines(picture: Argb, classes: Bytes, colours: Argb, width: int) -> None:
    """Draw class boundaries.

    Parameters
    ----------
    picture : (h, w) uint32 array
        Drawn on.
    classes : (h + 2 * width, w + 2 * width) uint8 array
        Class under every device pixel, with a margin of `width` on every side.
    colours : (256,) uint32 array
        Premultiplied colour of the line inside each class; 0 for a class without one.
    width : int
        Device pixels on each side of a boundary.
    """
    import cv2

    # A pixel is near a boundary when its neighbourhood holds more than one class, that is, when the highest and the
    # lowest id in it differ.
    around = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * width + 1, 2 * width + 1))
    inside = np.s_[width:-width, width:-width]
    near = cv2.dilate(classes, around)[inside] != cv2.erode(classes, around)[inside]
    lines = colours[classes[inside][near]]
    picture[near] = np.where(lines, lines, picture[near])


def draw_hatch(picture: Argb, classes: Bytes, exposure: Exposure, colours: Argb, opacity: float) -> None:
    """Draw diagonal lines over void, (h, w) uint8 `classes` painted in `colours`, which stand still on the photo."""
    void = classes == VOID
    if void.any():
        dark = colours_over(colours[VOID:], 40, opacity)  # void's own colour is light
        picture[void & _tiled(_hatch(exposure.device_ratio), exposure)] = dark[0]


def draw_pins(picture: Argb, pinned: npt.NDArray[np.bool_], exposure: Exposure) -> None:
    """Draw dots with a shadow where (h, w) bool `pinned` is set, which stand still on the photo."""
    if pinned.any():
        shadows, dots = _dots(exposure.device_ratio)
        for tile, level, opacity in ((shadows, 0, 0.4), (dots, 255, 0.9)):
            shade(picture, pinned & _tiled(tile, exposure), level, opacity)


def draw_grid(picture: Argb, exposure: Exposure, photo_height: int, photo_width: int, opacity: float) -> None:
    """Draw a line on the first device pixel of each image pixel."""
    wider = exposure.grown(1)
    rows = np.diff(wider.rows(photo_height)[:-1]) != 0
    columns = np.diff(wider.columns(photo_width)[:-1]) != 0
    lines = np.zeros(picture.shape, np.bool_)
    lines[rows] = True
    lines[:, columns] = True
    shade(picture, lines, 128, opacity)


def shade(picture: Argb, where: npt.NDArray[np.bool_], level: int, opacity: float) -> None:
    """Lay a gray of 0..255 at an opacity of 0..1 over the device pixels of a (h, w) mask."""
    places = np.flatnonzero(where)
    flat = picture.reshape(-1)
    flat[places] = colours_over(flat[places], level, opacity)


def _tiled(tile: npt.NDArray[np.bool_], exposure: Exposure) -> npt.NDArray[np.bool_]:
    """A square pattern laid over the exposure, tied to the photo's corner."""
    period = len(tile)
    rows = (np.arange(exposure.height) + exposure.top - round(exposure.origin_y)) % period
    columns = (np.arange(exposure.width) + exposure.left - round(exposure.origin_x)) % period
    tiled: npt.NDArray[np.bool_] = np.take(np.take(tile, columns, axis=1), rows, axis=0)
    return tiled


@lru_cache(maxsize=8)
def _hatch(device_ratio: float) -> npt.NDArray[np.bool_]:
    """Diagonal lines."""
    line = max(1, round(1.25 * device_ratio))
    period = max(3 * line, round(6 * device_ratio))
    diagonal = np.add.outer(np.arange(period), np.arange(period)) % period
    lines: npt.NDArray[np.bool_] = diagonal < line
    return lines


@lru_cache(maxsize=8)
def _dots(device_ratio: float) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Shadows, and the dots that throw them, in rows shifted by half a period."""
    side = max(1, round(device_ratio))
    period = 2 * round(4 * device_ratio)
    shadows, dots = np.zeros((2, period, period), np.bool_)
    for corner in (0, period // 2):
        shadows[corner : corner + 2 * side, corner : corner + 2 * side] = True
        dots[corner : corner + side, corner : corner + side] = True
    return shadows & ~dots, dots
