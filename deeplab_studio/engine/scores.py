"""What a network says about a photo, at the network's own resolution. Works without torch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from deeplab_studio.core.geometry import Rect
from deeplab_studio.core.labels import LabelSet

Floats = npt.NDArray[np.float32]

_STRIP_VALUES = 1 << 20
"""Scores interpolated at a time: four megabytes stay in the processor's cache."""

_TINY = np.float32(1e-12)
"""In the place of a probability of zero, whose logarithm there is none of."""

_SAMPLES_PER_CELL = 4
"""Points per cell and axis at which the peak probability of a class is looked for."""


@dataclass(frozen=True, slots=True)
class AxisMap:
    """Where the pixels of one image axis lie on the score cells: cell coordinate = scale * pixel + offset.

    Coordinates outside the first and last cell take the value there, as in every bilinear upsampling.
    """

    scale: float
    offset: float

    @classmethod
    def of_network(
        cls, *, pixels: int, shown: int, padded: int, cells: int, align_corners: bool, before: int = 0
    ) -> AxisMap:
        """The rule of a network that saw the photo resized and padded.

        Parameters
        ----------
        pixels : int
            Image pixels along the axis.
        shown : int
            Pixels of the resized photo.
        padded : int
            Pixels of the network's input: the resized photo and its padding.
        cells : int
            Score cells.
        align_corners : bool
            Whether the first and last cell lie on the first and last input pixel, or cells are areas of equal size.
        before : int
            Pixels of padding before the photo.

        Notes
        -----
        Where the photo was not resized this is ``torch.nn.functional.interpolate(..., mode="bilinear")`` to the
        network's input followed by cutting off the padding. Where it was, both interpolations are taken in one step,
        pixel centres on pixel centres.
        """
        resize = shown / pixels
        centre = 0.5 * resize - 0.5 + before
        if align_corners:
            step = (cells - 1) / (padded - 1) if padded > 1 else 0.0
            return cls(resize * step, centre * step)
        step = cells / padded
        return cls(resize * step, (centre + 0.5) * step - 0.5)

    def resized(self, pixels: int, to: int) -> AxisMap:
        """The same axis seen with `to` pixels instead of `pixels`."""
        factor = pixels / to
        return AxisMap(self.scale * factor, self.offset + self.scale * (0.5 * factor - 0.5))

    def positions(self, pixels: int, cells: int) -> tuple[npt.NDArray[np.intp], Floats]:
        """The cell before every pixel, and how far the pixel lies between it and the next, 0..1."""
        position = np.clip(self.scale * np.arange(pixels, dtype=np.float64) + self.offset, 0, cells - 1)
        cell = np.minimum(position.astype(np.intp), max(cells - 2, 0))
        return cell, (position - cell).astype(np.float32)


@dataclass(frozen=True, eq=False)
class Scores:
    """Logits of one photo and the rule that maps them onto it.

    Parameters
    ----------
    logits : (C, h, w) float32 array
        Scores before the softmax, one cell per output stride.
    rows, columns : AxisMap
        From image rows and columns to cells.
    image_size : (int, int)
        Height and width of the photo.
    label_set : LabelSet
        What the C channels stand for.
    model_id : str
        Who said so.
    seen : Scores, optional
        The same scores on the photo at the size the network saw it, where the softmax is to be taken there and the
        probabilities are to be resized to the photo.
    """

    logits: Floats
    rows: AxisMap
    columns: AxisMap
    image_size: tuple[int, int]
    label_set: LabelSet
    model_id: str
    seen: Scores | None = None

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return self.logits.nbytes

    def class_map(self) -> npt.NDArray[np.uint8]:
        """The class with the highest score at every pixel.

        Returns
        -------
        (H, W) uint8 array
            The logits are upsampled first. Memory beyond the result does not grow with the photo's height.
        """
        if self.seen is not None:
            return self._resized(self.seen).class_map()
        height, width = self.image_size
        result = np.empty((height, width), np.uint8)
        above = None
        for rows, cell, between in self._strips(height, width):
            upper, lower = self._cell_rows(cell)
            if above != cell:
                above, candidates = cell, _candidates(upper, lower)
                start = self._expand(upper[candidates], width)
                step = self._expand(lower[candidates], width) - start
            best = start[0] + between * step[0]
            strip = result[rows]
            strip[:] = candidates[0]
            for i, class_id in enumerate(candidates[1:], 1):
                value = start[i] + between * step[i]
                np.copyto(strip, np.uint8(class_id), where=value > best)
                np.maximum(best, value, out=best)
        return result

    def probabilities(self, size: tuple[int, int] | None = None, classes: Sequence[int] | None = None) -> Floats:
        """Softmax over all classes, taken after the upsampling.

        Parameters
        ----------
        size : (int, int), optional
            Height and width of the result; the photo's own if omitted.
        classes : sequence of int, optional
            Channels wanted, in this order; all if omitted. The others still count in the softmax.

        Returns
        -------
        (C', H', W') float32 array
            0..1; sums to 1 over all classes.
        """
        height, width = size or self.image_size
        wanted = np.arange(len(self.logits)) if classes is None else np.asarray(classes, np.intp)
        result = np.empty((len(wanted), height, width), np.float32)
        strips = self._softmax if self.seen is None else self._resized(self.seen)._interpolated
        for rows, strip in strips(height, width):
            result[:, rows] = strip[wanted]
        return result

    def active_classes(self, threshold: float = 1e-3) -> list[int]:
        """Classes whose probability exceeds `threshold` somewhere, ascending.

        Probabilities are looked at in every pixel, or at 4 points per cell and axis where the photo has more pixels.
        """
        return [int(class_id) for class_id in np.flatnonzero(self._peaks > threshold)]

    def uncertainty(self) -> float:
        """How unsure the network is about the photo as a whole.

        Returns
        -------
        float
            Mean entropy of the probabilities as a share of the highest possible, ``-sum(p log p) / log C``: 0 where one
            class is certain everywhere, 1 where all are as likely everywhere. Looked at once per cell.
        """
        if len(self.logits) < 2:
            return 0.0
        height, width = (min(side, cells) for side, cells in zip(self.image_size, self.logits.shape[1:], strict=True))
        probabilities = self.probabilities((height, width))
        entropy = -(probabilities * np.log(np.maximum(probabilities, _TINY))).sum(axis=0)
        return float(np.clip(entropy.mean(dtype=np.float64) / np.log(len(self.logits)), 0.0, 1.0))

    def at(self, y: int, x: int) -> Floats:
        """Upsampled logits (C,) at the image pixel in row `y`, column `x`."""
        height, width = self.image_size
        if not (0 <= y < height and 0 <= x < width):
            raise IndexError(f"pixel ({y}, {x}) is outside an image of {height} x {width}")
        cells_y, cells_x = self.logits.shape[1:]
        row, down = (part[y] for part in self.rows.positions(height, cells_y))
        column, right = (part[x] for part in self.columns.positions(width, cells_x))
        upper, lower = self._cell_rows(int(row))
        next_column = min(column + 1, cells_x - 1)
        left_side = upper[:, column] + down * (lower[:, column] - upper[:, column])
        right_side = upper[:, next_column] + down * (lower[:, next_column] - upper[:, next_column])
        result: Floats = left_side + right * (right_side - left_side)
        return result

    def cropped(self, rect: Rect) -> Scores:
        """The scores of a part of the photo.

        Where they are to be taken at the size the network saw (`seen`), the part's softmax is taken at its own size
        instead.

        Parameters
        ----------
        rect : Rect
            Inside the photo.

        Raises
        ------
        ValueError
            If it is empty or reaches outside.
        """
        if rect.is_empty or rect != rect.clipped(*self.image_size):
            raise ValueError(f"{rect} is no part of a photo of {self.image_size}")
        rows, columns = (
            AxisMap(axis.scale, axis.offset + axis.scale * first)
            for axis, first in ((self.rows, rect.top), (self.columns, rect.left))
        )
        return Scores(self.logits, rows, columns, (rect.height, rect.width), self.label_set, self.model_id)

    @cached_property
    def _peaks(self) -> Floats:
        """Highest probability of every class, (C,)."""
        height, width = (
            min(side, _SAMPLES_PER_CELL * cells)
            for side, cells in zip(self.image_size, self.logits.shape[1:], strict=True)
        )
        peaks = np.zeros(len(self.logits), np.float32)
        for _, strip in self._softmax(height, width):
            np.maximum(peaks, strip.max(axis=(1, 2)), out=peaks)
        return peaks

    def _resized(self, seen: Scores) -> Scores:
        """The probabilities of `seen`, in the place of logits, to be interpolated on this photo."""
        probabilities = seen.probabilities()
        rows, columns = (
            AxisMap.of_network(pixels=pixels, shown=pixels, padded=pixels, cells=cells, align_corners=False)
            for pixels, cells in zip(self.image_size, probabilities.shape[1:], strict=True)
        )
        return Scores(probabilities, rows, columns, self.image_size, self.label_set, self.model_id)

    def _softmax(self, height: int, width: int) -> Iterator[tuple[slice, Floats]]:
        """Probabilities (C, rows, width) strip by strip, for a photo seen at the given size."""
        for rows, strip in self._interpolated(height, width):
            strip -= strip.max(axis=0)
            np.exp(strip, out=strip)
            strip /= strip.sum(axis=0)
            yield rows, strip

    def _interpolated(self, height: int, width: int) -> Iterator[tuple[slice, Floats]]:
        """Logits (C, rows, width) strip by strip, for a photo seen at the given size."""
        above = None
        for rows, cell, between in self._strips(height, width):
            if above != cell:
                above = cell
                upper, lower = self._cell_rows(cell)
                start = self._expand(upper, width)
                step = self._expand(lower, width) - start
            strip = between * step[:, None]
            strip += start[:, None]
            yield rows, strip

    def _strips(self, height: int, width: int) -> Iterator[tuple[slice, int, Floats]]:
        """Runs of rows after the same row of cells: the rows, the row of cells, how far between it and the next."""
        at_most = max(1, _STRIP_VALUES // (width * len(self.logits)))
        cells, between = self.rows.resized(self.image_size[0], height).positions(height, self.logits.shape[1])
        borders = np.flatnonzero(np.diff(cells)) + 1
        for first, last in zip([0, *borders], [*borders, height], strict=True):
            for top in range(first, last, at_most):
                rows = slice(top, min(top + at_most, last))
                yield rows, int(cells[first]), between[rows, None]

    def _cell_rows(self, cell: int) -> tuple[Floats, Floats]:
        return self.logits[:, cell], self.logits[:, min(cell + 1, self.logits.shape[1] - 1)]

    def _expand(self, row: Floats, width: int) -> Floats:
        """A row of cells (C', w) interpolated at every pixel column, (C', width)."""
        count = row.shape[1]
        cells, between = self.columns.resized(self.image_size[1], width).positions(width, count)
        left = row[:, cells]
        result: Floats = row[:, np.minimum(cells + 1, count - 1)] - left
        result *= between
        result += left
        return result


def _candidates(upper: Floats, lower: Floats) -> list[int]:
    """Classes that can win anywhere between two rows of cells (C, w), at least one.

    Between four cells no class's score exceeds the largest of its corners, and the winner's is at least the best of the
    classes' smallest corners.
    """
    highest, lowest = np.maximum(upper, lower), np.minimum(upper, lower)
    if upper.shape[1] > 1:
        highest = np.maximum(highest[:, :-1], highest[:, 1:])
        lowest = np.minimum(lowest[:, :-1], lowest[:, 1:])
    return [int(class_id) for class_id in np.flatnonzero((highest >= lowest.max(axis=0)).any(axis=1))]
