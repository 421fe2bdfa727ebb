"""Regions found from one pixel: what has its class, what looks like it, what is as likely.

A connected region is looked for in a window around the pixel that grows as long as the region reaches its rim, so the
cost is that of the region and not of the image.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from deeplab_studio.core.drawing import Labels, Mask, Patch
from deeplab_studio.core.geometry import Rect

_WINDOW = 512
"""Side of the first window in pixels."""

_GROWTH = 3

Floats = npt.NDArray[np.float32]

Allowed = Callable[[Rect], Labels]
"""Which pixels of a box may belong to the region: a box inside the image -> (h, w) uint8, 0 or not."""


def same_class(labels: Labels, row: int, column: int, *, connected: bool = True) -> Patch:
    """The pixels of the class that one pixel has.

    Parameters
    ----------
    labels : (H, W) uint8 array
    row, column : int
        The pixel.
    connected : bool
        Only what is joined to it over the sides of pixels; otherwise all pixels of the class.

    Returns
    -------
    Patch

    Raises
    ------
    IndexError
        If the pixel is outside the image.
    """
    import cv2

    value = int(_checked(labels, row, column))
    lower, upper = np.array([value]), np.array([value])
    return region(
        lambda box: cv2.inRange(labels[box.slices], lower, upper),  # type: ignore[arg-type, return-value]
        (row, column),
        (labels.shape[0], labels.shape[1]),
        connected=connected,
    )


def similar(photo: Labels, row: int, column: int, tolerance: float, *, connected: bool = True, gap: int = 0) -> Patch:
    """The pixels that look like one pixel.

    Parameters
    ----------
    photo : (H, W, 3) uint8 array
    row, column : int
        The pixel.
    tolerance : float
        0..1: how far red, green and blue may each be from the pixel's, as a share of their range.
    connected : bool
        Only what is joined to it.
    gap : int
        Of a connected region: it does not leak through openings up to twice as many pixels wide.

    Returns
    -------
    Patch

    Raises
    ------
    IndexError
        If the pixel is outside the image.
    """
    import cv2

    colour = _checked(photo, row, column).astype(np.int64)
    reach = round(255 * tolerance)
    lower, upper = np.clip(colour - reach, 0, 255), np.clip(colour + reach, 0, 255)
    return region(
        lambda box: cv2.inRange(photo[box.slices], lower, upper),  # type: ignore[arg-type, return-value]
        (row, column),
        (photo.shape[0], photo.shape[1]),
        connected=connected,
        gap=gap,
    )


def as_likely(
    probability: Floats,
    size: tuple[int, int],
    row: int,
    column: int,
    tolerance: float,
    *,
    connected: bool = True,
    gap: int = 0,
) -> Patch:
    """The pixels at which a class is about as likely as at one pixel, or likelier.

    Parameters
    ----------
    probability : (h, w) float32 array
        Of the class, 0..1; stretched over the image.
    size : (int, int)
        Height and width of the image.
    row, column : int
        The pixel.
    tolerance : float
        0..1: how much less likely than at the pixel the class may be, as a share of what it is there.
    connected : bool
        Only what is joined to it.
    gap : int
        As in `similar`.

    Returns
    -------
    Patch

    Raises
    ------
    IndexError
        If the pixel is outside the image.
    """
    height, width = size
    if not (0 <= row < height and 0 <= column < width):
        raise IndexError(f"pixel ({row}, {column}) is outside an image of {height} x {width}")
    at = Rect(row, column, row + 1, column + 1)
    least = _stretched(probability, size, at)[0, 0] * np.float32(1 - tolerance)
    return region(
        lambda box: (_stretched(probability, size, box) >= least).view(np.uint8),
        (row, column),
        size,
        connected=connected,
        gap=gap,
    )


def region(
    allowed: Allowed, pixel: tuple[int, int], size: tuple[int, int], *, connected: bool = True, gap: int = 0
) -> Patch:
    """The pixels allowed, or those of them that are joined to one pixel over the sides of pixels.

    Parameters
    ----------
    allowed : callable
        See `Allowed`; may be asked for several boxes.
    pixel : (int, int)
        Row and column.
    size : (int, int)
        Height and width of the image.
    connected : bool
    gap : int
        Of a connected region: openings up to twice as many pixels wide count as closed.

    Returns
    -------
    Patch
        Empty if the pixel itself is not allowed.
    """
    height, width = size
    if not connected:
        return _cut(0, 0, allowed(Rect(0, 0, height, width)) != 0)
    row, column = pixel
    reach = _WINDOW // 2
    while True:
        window = Rect(row - reach, column - reach, row + reach, column + reach).clipped(height, width)
        mask = _joined(allowed(window), row - window.top, column - window.left, gap)
        if not _leaves(mask, window, height, width):
            return _cut(window.top, window.left, mask)
        reach *= _GROWTH


def _joined(allowed: Labels, row: int, column: int, gap: int) -> Mask:
    """The part of `allowed` that is joined to a pixel of it."""
    import cv2

    if not allowed[row, column]:
        return np.zeros(allowed.shape, np.bool_)
    passable = allowed
    if gap:
        disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * gap + 1, 2 * gap + 1))
        passable = cv2.erode(allowed, disc)  # type: ignore[assignment]
        # A pixel in a narrow place must get out of it, to where the erosion has left something.
        out = 2 * gap + 1
        near = np.s_[max(row - out, 0) : row + out + 1, max(column - out, 0) : column + out + 1]
        passable[near] = allowed[near]
    flooded = np.zeros((allowed.shape[0] + 2, allowed.shape[1] + 2), np.uint8)
    cv2.floodFill(passable, flooded, (column, row), 0, flags=4 | cv2.FLOODFILL_MASK_ONLY | 1 << 8)
    inner = flooded[1:-1, 1:-1]
    if gap:
        inner = cv2.dilate(inner, disc) & (allowed != 0)
    return np.ascontiguousarray(inner).view(np.bool_)


def _leaves(mask: Mask, window: Rect, height: int, width: int) -> bool:
    """Whether a region reaches a rim of the window that is not the image's."""
    return bool(
        (window.top > 0 and mask[0].any())
        or (window.bottom < height and mask[-1].any())
        or (window.left > 0 and mask[:, 0].any())
        or (window.right < width and mask[:, -1].any())
    )


def _cut(top: int, left: int, mask: Mask) -> Patch:
    rows = np.flatnonzero(mask.any(axis=1))
    if not rows.size:
        return Patch(top, left, np.zeros((0, 0), np.bool_))
    columns = np.flatnonzero(mask.any(axis=0))
    inside = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return Patch(top + int(rows[0]), left + int(columns[0]), mask[inside])


def _stretched(values: Floats, size: tuple[int, int], box: Rect) -> Floats:
    """The part of `values`, stretched over an image, that lies in a box of image pixels; pixel middles on middles."""
    # A pixel must come out the same in every box, which OpenCV's rounding of coordinates does not give.
    above, below, down = _between(values.shape[0], size[0], box.top, box.bottom)
    rows = values[above] + down[:, None] * (values[below] - values[above])
    before, after, right = _between(values.shape[1], size[1], box.left, box.right)
    start = np.take(rows, before, axis=1)
    stretched: Floats = start + right * (np.take(rows, after, axis=1) - start)
    return stretched


def _between(
    count: int, pixels: int, first: int, stop: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], Floats]:
    """The values before and after every pixel of an axis, and how far the pixel lies between them."""
    place = np.clip((np.arange(first, stop) + 0.5) * (count / pixels) - 0.5, 0, count - 1)
    before = np.floor(place).astype(np.int64)
    return before, np.minimum(before + 1, count - 1), (place - before).astype(np.float32)


def _checked(pixels: Labels, row: int, column: int) -> Labels:
    """A pixel; negative places do not count from the other end."""
    if row < 0 or column < 0:
        raise IndexError(f"pixel ({row}, {column}) is outside the image")
    pixel: Labels = pixels[row, column]
    return pixel
