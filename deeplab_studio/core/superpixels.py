"""Superpixels: a photo cut into small connected pieces that keep to its edges.

SLIC (Achanta et al., PAMI 2012) in the form of gSLIC (Ren and Reid, 2011): every piece starts as one cell of a grid and
can reach into the eight cells around it only, so that a row of cells is one product of small matrices.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from deeplab_studio.core.cancel import CancelToken
from deeplab_studio.core.drawing import Patch
from deeplab_studio.core.flood import flood_in_bands, without_borders

if TYPE_CHECKING:
    from deeplab_studio.core.classmap import Labels

MIN_SIZE, MAX_SIZE = 4, 400
"""Sides of a superpixel in pixels of the photo."""

WORK_PIXELS = 2_000_000
"""Photos with more are cut at a reduced size first; only the boundaries are looked for in all pixels."""

WORK_SIZE = 20
"""Sides of superpixels have no more pixels than this where they are cut, for the same reason."""

_ITERATIONS = 5
"""Cells hardly move afterwards."""

_COMPACTNESS = 10.0
"""How many levels of CIE Lab weigh as much as the side of a cell (m in the paper, whose default this is)."""

_PERIOD = 8
"""Cells that share a colour are so many cells apart. They meet where they reach out by more than half of it."""

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Superpixels:
    """A photo cut into superpixels.

    Attributes
    ----------
    colours : (H, W) uint8 array
        Values 0..63 of which neighbouring superpixels never have the same: a superpixel is a connected region of one
        value. One byte per pixel, whatever the number of superpixels.
    size : int
        Side of a superpixel in pixels, about.
    """

    colours: Labels
    size: int

    def at(self, y: int, x: int) -> Patch:
        """The superpixel at a pixel: where its box lies, and which pixels of the box belong to it.

        Raises
        ------
        IndexError
            If the pixel is outside the photo.
        """
        import cv2

        height, width = self.colours.shape
        if not (0 <= y < height and 0 <= x < width):
            raise IndexError(f"pixel ({y}, {x}) is outside a photo of {height} x {width}")
        # It reaches into the neighbouring cells, and its own may lie anywhere around the pixel.
        reach = 3 * self.size
        top, left = max(0, y - reach), max(0, x - reach)
        part = self.colours[top : y + reach + 1, left : x + reach + 1]
        member = (part == self.colours[y, x]).view(np.uint8)
        filled = np.zeros((member.shape[0] + 2, member.shape[1] + 2), np.uint8)
        flags = 4 | cv2.FLOODFILL_MASK_ONLY | (1 << 8)
        _, _, _, (box_x, box_y, box_width, box_height) = cv2.floodFill(
            member, filled, (x - left, y - top), 1, flags=flags
        )
        inside = filled[1 + box_y : 1 + box_y + box_height, 1 + box_x : 1 + box_x + box_width]
        return Patch(top + box_y, left + box_x, inside.astype(np.bool_))

    def under(self, patch: Patch) -> Patch:
        """All superpixels that have a pixel under a mask.

        Parameters
        ----------
        patch : Patch
            Inside the photo.

        Returns
        -------
        Patch
            Empty if the mask is.
        """
        rest = patch.mask.copy()
        found: list[Patch] = []
        while rest.any():
            y, x = divmod(int(rest.argmax()), rest.shape[1])
            piece = self.at(patch.top + y, patch.left + x)
            found.append(piece)
            top, left = max(piece.top, patch.top), max(piece.left, patch.left)
            bottom = min(piece.top + piece.mask.shape[0], patch.top + rest.shape[0])
            right = min(piece.left + piece.mask.shape[1], patch.left + rest.shape[1])
            rest[top - patch.top : bottom - patch.top, left - patch.left : right - patch.left] &= ~piece.mask[
                top - piece.top : bottom - piece.top, left - piece.left : right - piece.left
            ]
        return _together(found) if found else Patch(patch.top, patch.left, np.zeros((0, 0), np.bool_))


def _together(pieces: list[Patch]) -> Patch:
    top, left = min(piece.top for piece in pieces), min(piece.left for piece in pieces)
    bottom = max(piece.top + piece.mask.shape[0] for piece in pieces)
    right = max(piece.left + piece.mask.shape[1] for piece in pieces)
    mask = np.zeros((bottom - top, right - left), np.bool_)
    for piece in pieces:
        height, width = piece.mask.shape
        mask[piece.top - top : piece.top - top + height, piece.left - left : piece.left - left + width] |= piece.mask
    return Patch(top, left, mask)


def find_superpixels(
    image: Labels,
    size: int,
    *,
    work_pixels: int = WORK_PIXELS,
    work_size: int = WORK_SIZE,
    cancel: CancelToken | None = None,
) -> Superpixels:
    """Cut a photo into superpixels.

    Parameters
    ----------
    image : (H, W, 3) uint8 array
        RGB.
    size : int
        Side of a superpixel in pixels, 4 to 400; in photos that are cut at a reduced size not below 4 pixels of that.
    work_pixels : int
        Larger photos are cut at about this size, and the boundaries are then moved to the edges in the photo itself.
    work_size : int
        The same for larger superpixels.
    cancel : CancelToken, optional

    Returns
    -------
    Superpixels

    Raises
    ------
    ValueError
        If the photo is not such an array or the size is out of range.
    Cancelled
    """
    import cv2

    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
        raise ValueError(f"a photo is (H, W, 3) uint8, not {image.shape} {image.dtype}")
    if not MIN_SIZE <= size <= MAX_SIZE:
        raise ValueError(f"superpixels have {MIN_SIZE} to {MAX_SIZE} pixels on a side, not {size}")
    height, width = image.shape[:2]
    scale = min(1.0, math.sqrt(work_pixels / (height * width)), work_size / size)
    # A cell needs some pixels to have a shape.
    side = max(MIN_SIZE, round(size * scale))
    small = image
    if scale < 1:
        small = np.asarray(
            cv2.resize(
                image, (max(1, round(width * scale)), max(1, round(height * scale))), interpolation=cv2.INTER_AREA
            ),
            np.uint8,
        )
    markers = _largest_pieces(*_clusters(small, side, cancel))
    if scale < 1:
        markers = without_borders(markers)
        markers = np.asarray(cv2.resize(markers, (width, height), interpolation=cv2.INTER_NEAREST), np.uint8)
    colours = flood_in_bands(image, markers, 2 * size, cancel=cancel) - np.uint8(1)
    return Superpixels(colours, max(size, math.ceil(side / scale)))


def _clusters(image: Labels, side: int, cancel: CancelToken | None) -> tuple[npt.NDArray[np.int32], int]:
    """The cluster of every pixel, numbered by its cell row by row, and how many cells a row has."""
    import cv2

    height, width = image.shape[:2]
    down, across = max(1, round(height / side)), max(1, round(width / side))
    cell_height, cell_width = -(-height // down), -(-width // across)
    down, across = -(-height // cell_height), -(-width // cell_width)
    lab = cv2.cvtColor(cv2.GaussianBlur(image, (3, 3), 0).astype(np.float32) / 255, cv2.COLOR_RGB2Lab)
    weight = _COMPACTNESS / ((cell_height + cell_width) / 2)
    # Six values per pixel: colour, place within its cell, and 1; all 0 beyond the photo, where nothing then counts.
    features = np.zeros((down * cell_height, across * cell_width, 6), np.float32)
    features[:height, :width, :3] = lab
    features[:height, :width, 3] = weight * ((np.arange(height) % cell_height) - (cell_height - 1) / 2)[:, None]
    features[:height, :width, 4] = weight * ((np.arange(width) % cell_width) - (cell_width - 1) / 2)
    features[:height, :width, 5] = 1
    cells = np.ascontiguousarray(
        features.reshape(down, cell_height, across, cell_width, 6).transpose(0, 2, 4, 1, 3)
    ).reshape(down, across, 6, -1)
    del features, lab
    shift = weight * np.array([cell_height, cell_width], np.float32)
    offsets = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
    sums = cells.sum(axis=3)
    nearest = np.empty((down, across, cells.shape[3]), np.uint8)
    centres = sums[..., :5] / np.maximum(sums[..., 5:], 1)
    for iteration in range(_ITERATIONS):
        if cancel is not None:
            cancel.raise_if_cancelled()
        # A frame of cells that nothing is near to.
        framed = np.full((down + 2, across + 2, 5), 1e4, np.float32)
        framed[1:-1, 1:-1] = centres
        totals = np.zeros((down + 2, across + 2, 6), np.float32)
        for row in range(down):
            around = np.stack([framed[row + 1 + dy, 1 + dx : across + 1 + dx] for dy, dx in offsets], axis=1)
            for k, (dy, dx) in enumerate(offsets):
                around[:, k, 3:] += shift * (dy, dx)
            terms = np.concatenate([-2 * around, (around**2).sum(axis=2, keepdims=True)], axis=2)
            distances = terms @ cells[row]  # without the pixel's own square, which is the same for all
            if iteration == _ITERATIONS - 1:
                nearest[row] = distances.argmin(axis=1)
                continue
            best = (distances == distances.min(axis=1, keepdims=True)).astype(np.float32)
            gained = best @ cells[row].transpose(0, 2, 1)
            for k, (dy, dx) in enumerate(offsets):
                part = gained[:, k]
                part[:, 3:5] -= shift * (dy, dx) * part[:, 5:]
                totals[row + 1 + dy, 1 + dx : across + 1 + dx] += part
        inner = totals[1:-1, 1:-1]
        centres = np.where(inner[..., 5:] > 0, inner[..., :5] / np.maximum(inner[..., 5:], 1), centres)
    numbers = (np.arange(down) * across)[:, None] + np.arange(across)
    steps = np.array([dy * across + dx for dy, dx in offsets])
    clusters = numbers[..., None] + steps[nearest]
    clusters = clusters.reshape(down, across, cell_height, cell_width).transpose(0, 2, 1, 3)
    return clusters.reshape(down * cell_height, -1)[:height, :width].astype(np.int32), across


def _largest_pieces(clusters: npt.NDArray[np.int32], across: int) -> Labels:
    """The colour, from 1, of every pixel in the largest connected piece of its cluster; 0 in the others."""
    import cv2

    # A picture in which every second pixel says whether its two neighbours are one: a single pass then finds the pieces
    # of all clusters.
    height, width = clusters.shape
    joined = np.zeros((2 * height - 1, 2 * width - 1), np.uint8)
    joined[::2, ::2] = 1
    joined[1::2, ::2] = clusters[1:] == clusters[:-1]
    joined[::2, 1::2] = clusters[:, 1:] == clusters[:, :-1]
    count, pieces = cv2.connectedComponents(joined, connectivity=4)
    piece_of = pieces[::2, ::2].reshape(-1)
    areas = np.bincount(piece_of, minlength=count)
    owner = np.full(count, -1, np.int64)
    owner[piece_of] = clusters.reshape(-1)
    order = np.lexsort((areas, owner))
    largest = np.ones(count, np.bool_)
    largest[order[:-1]] = owner[order[:-1]] != owner[order[1:]]
    colour = (owner // across % _PERIOD * _PERIOD + owner % across % _PERIOD + 1).astype(np.uint8)
    colour[~largest] = 0
    largest_pieces: Labels = colour[piece_of].reshape(height, width)
    return largest_pieces
