"""Random views of a labelled photo: scale, position, mirror image, colours."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from deeplab_studio.core.classmap import Labels
from deeplab_studio.core.image_pixels import Pixels
from deeplab_studio.core.labels import VOID

FILL = (124, 116, 104)
"""RGB levels around a photo that does not fill its crop: the mean that normalisation takes off, rounded."""

TARGET_STRIDE = 4
"""Crop pixels per target: the finest scores there are, those behind a decoder, have this stride."""

MIX_STEP = 16
"""Pixels to which rectangles of other crops are aligned: the encoder's stride."""

_HALF_BELOW = 0.65
"""Factor below which a photo is halved before it is resized."""


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """Which part of a photo a crop shows, and how.

    Parameters
    ----------
    side : int
        Pixels of the crop's sides.
    height, width : int
        Size to which the photo is resized.
    top, left : int
        Row and column of the resized photo at which the crop begins; less than 0 where it begins before the photo.
    mirrored : bool
        Whether the crop is then mirrored left to right.
    """

    side: int
    height: int
    width: int
    top: int
    left: int
    mirrored: bool

    def photo_rows(self, photo_height: int, step: int) -> npt.NDArray[np.float64]:
        """Photo rows, pixel centres on whole numbers, under every `step`-th row of the crop; some may lie outside."""
        rows = np.arange(0, self.side, step, dtype=np.float64)
        return (rows + self.top + 0.5) * (photo_height / self.height) - 0.5

    def photo_columns(self, photo_width: int, step: int) -> npt.NDArray[np.float64]:
        """The same for columns, from the crop's left to its right."""
        columns = np.arange(0, self.side, step, dtype=np.float64)
        if self.mirrored:
            columns = self.side - 1 - columns
        return (columns + self.left + 0.5) * (photo_width / self.width) - 0.5


def random_view(
    rng: np.random.Generator,
    photo: tuple[int, int],
    side: int,
    scale: tuple[float, float],
    *,
    stretch: float = 0.15,
) -> View:
    """Draw a view.

    Parameters
    ----------
    rng : numpy.random.Generator
    photo : (int, int)
        Height and width.
    side : int
        Of the crop.
    scale : (float, float)
        Smallest and largest factor by which the photo is resized, drawn evenly on a logarithmic scale. (DeepLabv3,
        section 4.1, draws from 0.5 to 2 of photos of 500 pixels for crops of 513.)
    stretch : float
        Largest deviation of the aspect ratio, as logarithm.
    """
    factor = math.exp(rng.uniform(math.log(scale[0]), math.log(scale[1])))
    aspect = math.exp(rng.uniform(-stretch, stretch) / 2)
    height = max(1, round(photo[0] * factor * aspect))
    width = max(1, round(photo[1] * factor / aspect))

    def begin(length: int) -> int:
        spare = length - side
        return int(rng.integers(min(0, spare), max(0, spare) + 1))

    return View(
        side=side,
        height=height,
        width=width,
        top=begin(height),
        left=begin(width),
        mirrored=bool(rng.random() < 0.5),
    )


def cut_photo(photo: Pixels, view: View) -> Pixels:
    """The crop of a photo, (side, side, 3) uint8, with `FILL` where there is no photo."""
    resized = cv2.resize(_halved(photo, view), (view.width, view.height), interpolation=cv2.INTER_LINEAR)
    crop = np.empty((view.side, view.side, 3), np.uint8)
    crop[:] = FILL
    piece = resized[max(0, view.top) : view.top + view.side, max(0, view.left) : view.left + view.side]
    row, column = max(0, -view.top), max(0, -view.left)
    crop[row : row + piece.shape[0], column : column + piece.shape[1]] = piece
    return np.ascontiguousarray(crop[:, ::-1]) if view.mirrored else crop


def _halved(photo: Pixels, view: View) -> Pixels:
    """The photo, made half as large first where bilinear interpolation would pass over pixels.

    Both steps have fast paths; one resizing by area takes five times as long.
    """
    height, width = (length & ~1 for length in photo.shape[:2])
    if height < 2 or width < 2 or max(view.height / height, view.width / width) > _HALF_BELOW:
        return photo
    half = cv2.resize(photo[:height, :width], (width // 2, height // 2), interpolation=cv2.INTER_AREA)
    return np.asarray(half, np.uint8)


def cut_mask(mask: Labels, view: View) -> Labels:
    """Class ids under every `TARGET_STRIDE`-th pixel of the crop, (t, t) uint8; void where there is no photo."""
    rows = np.rint(view.photo_rows(mask.shape[0], TARGET_STRIDE)).astype(int)
    columns = np.rint(view.photo_columns(mask.shape[1], TARGET_STRIDE)).astype(int)
    inside_rows = (rows >= 0) & (rows < mask.shape[0])
    inside_columns = (columns >= 0) & (columns < mask.shape[1])
    target = mask[np.ix_(rows.clip(0, mask.shape[0] - 1), columns.clip(0, mask.shape[1] - 1))]
    return np.where(inside_rows[:, None] & inside_columns, target, np.uint8(VOID))


def random_box(rng: np.random.Generator, side: int) -> tuple[slice, slice]:
    """Rows and columns of a rectangle in a crop that another crop takes, in units of `MIX_STEP` pixels.

    CutMix (Yun et al., ICCV 2019, section 3.1), for segmentation as in French et al., BMVC 2020; between an eighth and
    a half of the crop.
    """
    cells = -(-side // MIX_STEP)
    share = rng.uniform(0.125, 0.5)
    aspect = math.exp(rng.uniform(-0.7, 0.7))

    def span(length: float) -> slice:
        size = min(cells, max(1, round(cells * length)))
        begin = int(rng.integers(0, cells - size + 1))
        return slice(begin, begin + size)

    return span(math.sqrt(share * aspect)), span(math.sqrt(share / aspect))


def jitter_colours(rng: np.random.Generator, crop: Pixels, strength: float) -> Pixels:
    """Change brightness, contrast, saturation and hue, by one linear map of the colours.

    Parameters
    ----------
    rng : numpy.random.Generator
    crop : (h, w, 3) uint8 array
    strength : float
        Largest change of brightness, contrast and saturation as a share, 0..1; the hue turns by up to a quarter of
        that, in radians.
    """
    if strength <= 0:
        return crop
    luma = np.array([0.299, 0.587, 0.114])
    brightness, contrast, saturation = rng.uniform(1 - strength, 1 + strength, 3)
    angle = rng.uniform(-strength, strength) / 4
    # A turn about the grey axis (Rodrigues' formula), then towards or away from grey, then levels.
    k = np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]]) / math.sqrt(3)
    turn = np.eye(3) + math.sin(angle) * k + (1 - math.cos(angle)) * (k @ k)
    grey = np.ones((3, 1)) * luma
    matrix = brightness * contrast * (saturation * np.eye(3) + (1 - saturation) * grey) @ turn
    mean = float(luma @ crop[::8, ::8].reshape(-1, 3).mean(axis=0))
    offset = np.full((3, 1), brightness * (1 - contrast) * mean)
    return np.asarray(cv2.transform(crop, np.hstack([matrix, offset])), np.uint8)
