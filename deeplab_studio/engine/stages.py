"""What happens to a photo's scores on their way to a class map, stage by stage: pictures, uncertainty, changes.

The pipeline is that of DeepLab v1 (Chen et al., ICLR 2015): coarse scores of the network, bilinear upsampling,
mean-field iterations of the dense CRF.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from deeplab_studio.crf.params import CrfParams
    from deeplab_studio.engine.scores import Scores

Bytes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]

TRACE_BYTES = 192 << 20
"""A trace that would hold more keeps every second, third, ... pixel of every second, third, ... row."""

KERNEL_PIXELS = 250_000
"""Size at which the weights of the appearance kernel are shown on larger photos."""

_Value = TypeVar("_Value", bound=np.generic)

_TINY = np.float32(1e-12)

_NOTHING = np.float32(-12)
"""An exponent as good as minus infinity: further down lie numbers next to zero, which processors are slow at."""

StageName = Literal["photo", "coarse", "upsampled", "iteration", "result"]


class Stage(NamedTuple):
    """A place in the pipeline; `iteration` counts from 1 and is 0 at all other stages."""

    name: StageName
    iteration: int = 0


PHOTO, COARSE, UPSAMPLED, RESULT = Stage("photo"), Stage("coarse"), Stage("upsampled"), Stage("result")


def stages_of(iterations: int) -> list[Stage]:
    """All stages in their order; the result is what an image's class map holds in the end."""
    return [PHOTO, COARSE, UPSAMPLED, *(Stage("iteration", n) for n in range(1, iterations + 1)), RESULT]


@dataclass(frozen=True, eq=False)
class Trace:
    """One run of the pipeline.

    Parameters
    ----------
    scores : Scores
        What the network gave.
    classes : tuple of int
        The model's class id of each channel of `marginals`: those that took part in the CRF.
    marginals : tuple of (C', h, w) float32 arrays
        Probabilities after the upsampling, then after each iteration.
    """

    scores: Scores
    classes: tuple[int, ...]
    marginals: tuple[Floats, ...]

    @property
    def iterations(self) -> int:
        """Number of mean-field iterations."""
        return len(self.marginals) - 1

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of every picture made of this trace."""
        height, width = self.marginals[0].shape[1:]
        return height, width

    @cached_property
    def entropy_range(self) -> float:
        """The highest entropy, in bits, of a pixel before the CRF: rounded up to half bits, at least 1."""
        return max(1.0, math.ceil(2 * float(self.entropy(UPSAMPLED).max())) / 2)

    def class_map(self, stage: Stage) -> Bytes:
        """The most probable class of every pixel, (h, w) uint8 of the model's class ids."""
        if stage.name == "coarse":
            return self._on_photo(self.scores.logits.argmax(axis=0).astype(np.uint8))
        ids = np.array(self.classes, np.uint8)
        labels: Bytes = ids[self._channels(stage).argmax(axis=0)]
        return labels

    def probability(self, stage: Stage, class_id: int) -> Floats:
        """The probability of one of the model's classes, (h, w) float32, 0..1."""
        if stage.name == "coarse":
            return self._on_photo(_softmax(self.scores.logits)[class_id])
        if class_id not in self.classes:
            return np.zeros(self.size, np.float32)  # it did not take part, because it is nowhere probable
        probability: Floats = self._channels(stage)[self.classes.index(class_id)]
        return probability

    def entropy(self, stage: Stage) -> Floats:
        """How unsure every pixel is: the entropy of its probabilities in bits, (h, w) float32."""
        if stage.name == "coarse":
            return self._on_photo(entropy_of(_softmax(self.scores.logits)))
        return entropy_of(self._channels(stage))

    def thinned(self, longest: int) -> Trace:
        """The same seen at fewer pixels: no side of its pictures is longer than `longest`."""
        step = -(-max(self.size) // longest)
        return replace(self, marginals=tuple(marginals[:, ::step, ::step] for marginals in self.marginals))

    def _channels(self, stage: Stage) -> Floats:
        if stage.name == "photo":
            raise ValueError("a photo has no probabilities")
        if stage.name == "upsampled":
            return self.marginals[0]
        return self.marginals[stage.iteration if stage.name == "iteration" else -1]

    def _on_photo(self, cells: npt.NDArray[_Value]) -> npt.NDArray[_Value]:
        """A picture of score cells (h, w) seen on the photo: every pixel gets the cell nearest to it."""
        nearest = []
        for axis, length, whole, count in zip(
            (self.scores.rows, self.scores.columns), self.size, self.scores.image_size, cells.shape, strict=True
        ):
            cell, between = axis.resized(whole, length).positions(length, count)
            nearest.append(np.minimum(cell + (between >= 0.5), count - 1))
        picture: npt.NDArray[_Value] = cells[nearest[0][:, None], nearest[1]]
        return picture


class Recorder:
    """Collects the iterations of one CRF run into a `Trace`.

    Parameters
    ----------
    scores : Scores
    classes : sequence of int
        The model's class id of each channel.
    start : (C', h, w) float32 array
        What the CRF starts from.
    iterations : int
        How many will come; decides what fits into `TRACE_BYTES`.
    """

    def __init__(self, scores: Scores, classes: Sequence[int], start: Floats, iterations: int) -> None:
        self._scores = scores
        self._classes = tuple(classes)
        self._step = max(1, math.ceil(math.sqrt(start.nbytes * (iterations + 1) / TRACE_BYTES)))
        self._marginals = [self._thinned(start)]

    def add(self, _iteration: int, marginals: Floats) -> None:
        """The marginals after one more iteration; they must not change afterwards."""
        self._marginals.append(self._thinned(marginals))

    def trace(self) -> Trace:
        """What came so far."""
        return Trace(self._scores, self._classes, tuple(self._marginals))

    def _thinned(self, marginals: Floats) -> Floats:
        return np.ascontiguousarray(marginals[:, :: self._step, :: self._step])


class ClassChange(NamedTuple):
    """Pixels that became this class, and that were it before."""

    class_id: int
    gained: int
    lost: int


@dataclass(frozen=True, eq=False)
class Changes:
    """What differs between two class maps.

    Parameters
    ----------
    picture : (h, w) uint8 array
        The new class where it differs, `unchanged` elsewhere.
    unchanged : int
        A value that is no new class of any pixel.
    classes : tuple of ClassChange
        Those that gained or lost, the largest change first.
    """

    picture: Bytes
    unchanged: int
    classes: tuple[ClassChange, ...]

    @property
    def pixels(self) -> int:
        """Number of pixels that differ."""
        return sum(change.gained for change in self.classes)


def compare(before: Bytes, after: Bytes, where: npt.NDArray[np.bool_] | None = None) -> Changes:
    """What differs between two class maps of one size.

    Parameters
    ----------
    before, after : (h, w) uint8 array
    where : (h, w) bool array, optional
        Look only here.
    """
    changed = before != after
    if where is not None:
        changed &= where
    gained = np.bincount(after[changed], minlength=256)
    lost = np.bincount(before[changed], minlength=256)
    unchanged = int(np.flatnonzero(gained == 0)[-1]) if (gained == 0).any() else 0
    picture = np.full(after.shape, unchanged, np.uint8)
    picture[changed] = after[changed]
    classes = [ClassChange(int(i), int(gained[i]), int(lost[i])) for i in np.flatnonzero(gained + lost)]
    classes.sort(key=lambda change: -(change.gained + change.lost))
    return Changes(picture, unchanged, tuple(classes))


def entropy_of(probabilities: Floats) -> Floats:
    """Entropy in bits of probabilities (C, h, w), as (h, w) float32; 0 log 0 counts as 0."""
    entropy = np.zeros(probabilities.shape[1:], np.float32)
    for channel in probabilities:
        entropy -= channel * np.log2(np.maximum(channel, _TINY))
    return np.maximum(entropy, 0, out=entropy)


def as_levels(values: Floats, highest: float) -> Bytes:
    """Numbers from 0 to `highest` as levels from 0 to 255, rounded; what is beyond is held at the ends."""
    import cv2

    return np.asarray(cv2.convertScaleAbs(np.maximum(values, 0), alpha=255 / highest), np.uint8)


class AppearanceKernel:
    """How much every pixel of a photo pulls one pixel towards its class, by the formula itself, without a lattice.

    Parameters
    ----------
    image : (H, W, 3) uint8 array
    max_pixels : int
        Larger photos are looked at in about this size.
    """

    def __init__(self, image: Bytes, max_pixels: int = KERNEL_PIXELS) -> None:
        import cv2

        height, width = image.shape[:2]
        self._scale = min(1.0, (max_pixels / (height * width)) ** 0.5)
        self._image = image
        small = image
        if self._scale < 1:
            size = max(1, round(width * self._scale)), max(1, round(height * self._scale))
            small = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
        self._planes = [np.ascontiguousarray(small[:, :, channel]) for channel in range(3)]

    def weights(self, y: int, x: int, params: CrfParams) -> Floats:
        """``w1 exp(-|dp|^2 / 2 sigma_alpha^2 - |dI|^2 / 2 sigma_beta^2)`` from pixel (y, x) to all others.

        Parameters
        ----------
        y, x : int
            Row and column in the photo.
        params : CrfParams
            Sigmas in pixels of the photo.

        Returns
        -------
        (h, w) float32 array
            0..w1; the whole photo, perhaps at a reduced size.
        """
        import cv2

        levels = np.arange(256, dtype=np.float32)
        exponent: Floats = np.zeros(self._planes[0].shape, np.float32)
        for plane, level in zip(self._planes, self._image[y, x].tolist(), strict=True):
            table = -((levels - level) ** 2) / np.float32(2 * params.appearance_colour_sigma**2)
            exponent += cv2.LUT(plane, np.maximum(table, _NOTHING))
        height, width = self._planes[0].shape
        sigma = params.appearance_position_sigma
        weights = np.asarray(cv2.exp(exponent), np.float32)
        weights *= self._nearness(y, height, self._image.shape[0], sigma)[:, None]
        weights *= self._nearness(x, width, self._image.shape[1], sigma)
        weights *= np.float32(params.appearance_weight)
        return weights

    @staticmethod
    def _nearness(place: int, length: int, whole: int, sigma: float) -> Floats:
        """The factor of one axis for each of `length` rows or columns that stand for `whole`."""
        distance = (np.arange(length) + 0.5) * whole / length - 0.5 - place
        nearness: Floats = np.exp(np.maximum(-(distance**2) / (2 * sigma**2), 2 * _NOTHING)).astype(np.float32)
        return nearness


def _softmax(logits: Floats) -> Floats:
    raised: Floats = np.exp(logits - logits.max(axis=0))
    raised /= raised.sum(axis=0)
    return raised
