"""From a photo to a network's input."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from PIL import Image

from deeplab_studio.checkpoints.model import Preprocessing, SizeRule

Pixels = npt.NDArray[np.uint8]

ENLARGED_PIXELS = 4_000_000
"""A size rule does not enlarge a photo beyond this many pixels: a strip one pixel high would need a million columns."""

_FILTERS = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}


def shown_size(rule: SizeRule, height: int, width: int) -> tuple[int, int]:
    """Height and width at which the network sees a photo: the rule's, bounded for very long photos."""
    target_height, target_width = rule.target(height, width)
    allowed = max(height * width, ENLARGED_PIXELS)
    shrink = math.sqrt(allowed / (target_height * target_width))
    if shrink >= 1:
        return target_height, target_width
    return max(1, int(target_height * shrink)), max(1, int(target_width * shrink))


def input_size(height: int, width: int, *, at_least: int, remainder: int, multiple_of: int = 1) -> tuple[int, int]:
    """Height and width of the network's input around a photo of this size.

    Parameters
    ----------
    at_least : int
        Smallest side, see `Preprocessing.pad_to`.
    remainder : int
        See `Profile.input_remainder`.
    multiple_of : int
        See `Preprocessing.multiple_of`.
    """

    def side(length: int) -> int:
        length = max(length, at_least)
        length += -length % multiple_of
        return length + (remainder - length) % 32 if remainder else length

    return side(height), side(width)


def photo_place(shown: tuple[int, int], padded: tuple[int, int], preprocessing: Preprocessing) -> tuple[int, int]:
    """Row and column of the network's input at which the resized photo begins."""
    if preprocessing.pad_place == "end":
        return 0, 0
    return (padded[0] - shown[0]) // 2, (padded[1] - shown[1]) // 2


def resize(pixels: Pixels, height: int, width: int, rule: SizeRule) -> Pixels:
    """The photo (H, W, 3) at another size, with the filter of `rule`; the same array if it has that size already."""
    if pixels.shape[:2] == (height, width):
        return pixels
    if rule.filter == "linear":
        import cv2

        return np.asarray(cv2.resize(pixels, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)
    return np.asarray(Image.fromarray(pixels).resize((width, height), _FILTERS[rule.filter]))


def normalise(
    pixels: Pixels, preprocessing: Preprocessing, height: int, width: int, *, top: int = 0, left: int = 0
) -> npt.NDArray[np.float32]:
    """The network's input, or a piece of it, for a resized photo.

    Parameters
    ----------
    pixels : (h, w, 3) uint8 array
    preprocessing : Preprocessing
    height, width : int
        Size of the input.
    top, left : int
        Where in it the photo begins; less than 0 if the piece begins inside the photo. What the photo does not cover
        is filled as `Preprocessing.pad_level` says.

    Returns
    -------
    (height, width, 3) float32 array
        Channels in the network's order.
    """
    scale = np.float32(preprocessing.divisor)
    mean, std = np.asarray(preprocessing.mean, np.float32), np.asarray(preprocessing.std, np.float32)
    result = np.zeros((height, width, 3), np.float32)
    if preprocessing.pad_level is not None:
        result[:] = (np.float32(preprocessing.pad_level) / scale - mean) / std
    piece = pixels[max(0, -top) : max(0, height - top), max(0, -left) : max(0, width - left)]
    inside = result[max(0, top) : max(0, top) + piece.shape[0], max(0, left) : max(0, left) + piece.shape[1]]
    inside[:] = piece if preprocessing.colour_order == "RGB" else piece[..., ::-1]
    inside /= scale
    inside -= mean
    inside /= std
    return result
