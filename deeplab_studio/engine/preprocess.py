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


def input_size(height: int, width: int, *, at_least: int, remainder: int) -> tuple[int, int]:
    """Height and width of the network's input around a photo of this size.

    Parameters
    ----------
    at_least : int
        Smallest side, see `Preprocessing.pad_to`.
    remainder : int
        See `Profile.input_remainder`.
    """

    def side(length: int) -> int:
        length = max(length, at_least)
        return length + (remainder - length) % 32 if remainder else length

    return side(height), side(width)


def resize(pixels: Pixels, height: int, width: int, rule: SizeRule) -> Pixels:
    """The photo (H, W, 3) at another size, with the filter of `rule`; the same array if it has that size already."""
    if pixels.shape[:2] == (height, width):
        return pixels
    return np.asarray(Image.fromarray(pixels).resize((width, height), _FILTERS[rule.filter]))


def normalise(pixels: Pixels, preprocessing: Preprocessing, height: int, width: int) -> npt.NDArray[np.float32]:
    """The network's input for a piece of the resized photo.

    Parameters
    ----------
    pixels : (h, w, 3) uint8 array
    preprocessing : Preprocessing
    height, width : int
        Size of the input; what lies beyond `pixels` is 0.

    Returns
    -------
    (height, width, 3) float32 array
        Channels in the network's order.
    """
    result = np.zeros((height, width, 3), np.float32)
    inside = result[: pixels.shape[0], : pixels.shape[1]]
    inside[:] = pixels if preprocessing.colour_order == "RGB" else pixels[..., ::-1]
    inside /= np.float32(preprocessing.divisor)
    inside -= np.asarray(preprocessing.mean, np.float32)
    inside /= np.asarray(preprocessing.std, np.float32)
    return result
