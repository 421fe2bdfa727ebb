"""The CRF of one photo with one model's scores, as fast as a slider asks for it."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from deeplab_studio.core.cancel import CancelToken
from deeplab_studio.crf.backends import Backend, Engine, require_engine
from deeplab_studio.crf.params import CrfParams

if TYPE_CHECKING:
    from deeplab_studio.crf import DenseCRF
    from deeplab_studio.engine.scores import Scores
    from deeplab_studio.engine.stages import Trace

ACTIVE_PROBABILITY = 1e-3
"""A class below this probability everywhere is left out of the CRF, which halves the time. On 24 photos with the scores
of a real network and three presets, against all 21 classes, one label of 12.8 million became another."""

EXACT_BYTES = 2_150_000_000
"""Memory the CRF of one photo may take; photos that would take more are refined at a reduced size. With the program
around it a photo of 12 megapixels stays below 2.5 gigabytes, and is exact with up to ten classes."""

_BYTES: dict[Backend, tuple[int, int]] = {"kernel": (95, 8), "torch": (360, 32), "reference": (150, 28)}
"""What lattices take per pixel, and everything else per pixel and class; from peaks of photos of 2 to 12 megapixels
with 2 to 21 classes. Of pydensecrf both processes together."""

_ENLARGING_BYTES = 10
"""Per pixel of the photo, where marginals are enlarged to it."""

PREVIEW_PIXELS = 400_000
"""While a slider moves, larger photos are refined at about this size."""

PREVIEW_WORK = 1_200_000
"""Pixels times classes that a slider may wait for; the time of an iteration is about linear in both. Six classes on a
photo of 500 x 375. Leaving out the least probable ones costs far less than pixels: with those below
`PREVIEW_PROBABILITY` left out, 30 labels of a photo differ at most, of 24 photos with three presets."""

PREVIEW_PROBABILITY = 0.05
"""A class that gets above this somewhere is part of every preview."""

SLOW_MS = 50.0
"""Previews that take longer become smaller. A picture waits for the one before it, so a hand sees up to twice this."""

FAST_MS = 18.0
"""Previews that take less become larger again. Far from `SLOW_MS`, or sizes would alternate."""

SMALLEST_LEVEL = 4
"""Each level has half the pixels of the one before; level 0 is the largest preview."""


class Refiner:
    """Refines one photo's scores again and again with other parameters.

    Probabilities and lattices are kept: new weights cost only the mean-field iterations, a new sigma one lattice.

    What takes too long for a slider has a preview: with the most probable classes only, and, on large photos or slow
    machines, at a reduced size.

    Parameters
    ----------
    image : (H, W, 3) uint8 array
    scores : Scores
        Of that image.
    preview_pixels : int
        Size of the preview; photos that are not larger are reduced only if they prove too slow.
    preview_work : int
        Pixels times classes of the preview, about.
    level : int
        How slow the machine proved with another photo: its `level`.
    exact_bytes : int
        Memory the result may take, about; above it the CRF runs at a reduced size and its marginals are enlarged.
    engine : {"auto", "kernel", "torch", "reference"}
        See `DenseCRF`.
    device : str
        Torch device of the torch engine.

    Raises
    ------
    StudioError
        If the engine is not there.

    Attributes
    ----------
    level : int
        By how many halvings previews are smaller than they should be; found out while they are made.
    scale : float
        Width the CRF works at, divided by the photo's: 1 unless the photo is too large for the memory.
    engine : {"kernel", "torch", "reference"}
        What computes.
    """

    def __init__(
        self,
        image: npt.NDArray[np.uint8],
        scores: Scores,
        preview_pixels: int = PREVIEW_PIXELS,
        preview_work: int = PREVIEW_WORK,
        level: int = 0,
        exact_bytes: int = EXACT_BYTES,
        engine: Engine = "auto",
        device: str = "cpu",
    ) -> None:
        self.scores = scores
        self.engine = require_engine(engine)
        self.level = level
        self._image = image
        self._device = device
        height, width = image.shape[:2]
        self._classes = scores.active_classes(ACTIVE_PROBABILITY)
        self.scale = _scale_within(exact_bytes, height * width, bytes_per_pixel(self.engine, len(self._classes)))
        self._preview_pixels = min(preview_pixels, height * width)
        self._preview_classes = self._likeliest(round(preview_work / self._preview_pixels))
        self._stages: dict[bool, _Stage] = {}

    @property
    def large(self) -> bool:
        """Whether the photo is so large that its preview is always reduced."""
        height, width = self._image.shape[:2]
        return bool(self._preview_pixels < height * width)

    @property
    def has_preview(self) -> bool:
        """Whether the preview may differ from the exact result."""
        return self.large or self.level > 0 or self._preview_classes != self._classes

    def refine(
        self,
        params: CrfParams,
        evidence: npt.NDArray[np.int16] | None = None,
        *,
        preview: bool = False,
        cancel: CancelToken | None = None,
    ) -> npt.NDArray[np.uint8]:
        """The class map after the CRF.

        Parameters
        ----------
        params : CrfParams
            Sigmas in pixels of the photo.
        evidence : (H, W) int16 array, optional
            The model's class id of pixels a person has decided, -1 elsewhere.
        preview : bool
            The preview, if there is one. At a reduced size the spatial sigmas shrink along, so that it looks like the
            exact result.
        cancel : CancelToken, optional

        Returns
        -------
        (H, W) uint8 array of the model's class ids, (h, w) for a preview

        Raises
        ------
        Cancelled
        """
        fitted = self._fitted(evidence, preview)
        stage = self._stage(preview, fitted)
        pinned, params = stage.channels_of(fitted), params.scaled(self._scale(preview))
        if preview or stage.size == self._image.shape[:2]:
            with self._timed(stage, preview):
                channels = stage.crf.labels(stage.unaries, params, pinned, cancel)
            return stage.class_ids[channels]
        with self._timed(stage, preview):
            marginals = stage.crf.infer(stage.unaries, params, pinned, cancel)
        return stage.enlarged(marginals, self._image.shape[:2])

    def trace(
        self,
        params: CrfParams,
        evidence: npt.NDArray[np.int16] | None = None,
        *,
        preview: bool = False,
        cancel: CancelToken | None = None,
    ) -> tuple[npt.NDArray[np.uint8], Trace]:
        """As `refine`, with everything that happened on the way.

        Returns
        -------
        (h, w) uint8 array of the model's class ids
        Trace
        """
        from deeplab_studio.engine.stages import Recorder

        fitted = self._fitted(evidence, preview)
        stage = self._stage(preview, fitted)
        pinned, params = stage.channels_of(fitted), params.scaled(self._scale(preview))
        recorder = Recorder(self.scores, stage.classes, stage.probabilities, int(params.iterations))
        with self._timed(stage, preview):
            marginals = stage.crf.infer(stage.unaries, params, pinned, cancel, recorder.add)
        if preview or stage.size == self._image.shape[:2]:
            return stage.class_ids[marginals.argmax(axis=0)], recorder.trace()
        return stage.enlarged(marginals, self._image.shape[:2]), recorder.trace()

    @contextmanager
    def _timed(self, stage: _Stage, preview: bool) -> Iterator[None]:
        """Learn from the time of a run how large the next previews may be."""
        start = time.perf_counter()
        yield
        milliseconds = 1000 * (time.perf_counter() - start)
        if preview and stage.used:
            self._keep_pace(milliseconds)
        elif not preview:
            self._expect_pace(milliseconds, stage.unaries.logs.size)
        stage.used = True  # the first run builds all lattices and says little about the following ones

    def _expect_pace(self, milliseconds: float, work: int) -> None:
        """Begin with smaller previews where the exact result took so long that full ones cannot keep up."""
        expected = milliseconds * self._preview_pixels / 2**self.level * len(self._preview_classes) / work
        if expected > 4 * SLOW_MS:
            self._keep_pace(expected / 2)

    def _keep_pace(self, milliseconds: float) -> None:
        """Choose the size of the next preview by the time of this one."""
        level = self.level
        if milliseconds > SLOW_MS:
            level += max(1, round(math.log2(milliseconds / SLOW_MS)))
        elif milliseconds < FAST_MS:
            level -= 1
        level = min(max(level, 0), SMALLEST_LEVEL)
        if level != self.level:
            self.level = level
            self._stages.pop(True, None)

    def _likeliest(self, count: int) -> list[int]:
        """The classes of a preview: as many as `count` allows, but never without one that is probable somewhere."""
        threshold = ACTIVE_PROBABILITY
        chosen = self._classes
        while len(chosen) > count and threshold < PREVIEW_PROBABILITY:
            threshold = min(1.5 * threshold, PREVIEW_PROBABILITY)
            chosen = self.scores.active_classes(threshold)
        return chosen

    def _scale(self, preview: bool) -> float:
        height, width = self._image.shape[:2]
        return math.sqrt(self._preview_pixels / 2**self.level / (height * width)) if preview else self.scale

    def _size(self, preview: bool) -> tuple[int, int]:
        height, width = self._image.shape[:2]
        scale = self._scale(preview)
        return max(1, round(height * scale)), max(1, round(width * scale))

    def _fitted(self, evidence: npt.NDArray[np.int16] | None, preview: bool) -> npt.NDArray[np.int16] | None:
        size = self._size(preview)
        if evidence is None or evidence.shape == size:
            return evidence
        import cv2

        return np.asarray(cv2.resize(evidence, size[::-1], interpolation=cv2.INTER_NEAREST), np.int16)

    def _stage(self, preview: bool, evidence: npt.NDArray[np.int16] | None) -> _Stage:
        classes = set(self._preview_classes if preview else self._classes)
        if evidence is not None:
            decided = np.zeros(257, np.bool_)  # the last entry answers for -1
            decided[evidence] = True
            classes.update(int(class_id) for class_id in np.flatnonzero(decided[:-1]))
        wanted = sorted(classes)
        size = self._size(preview)
        alike = next((stage for stage in self._stages.values() if stage.classes == wanted and stage.size == size), None)
        if alike is None:
            alike = _Stage(self._crf(size), wanted, self.scores)
        self._stages[preview] = alike
        return alike

    def _crf(self, size: tuple[int, int]) -> DenseCRF:
        """The CRF of the photo at this size, with the lattices it has: they do not depend on the classes."""
        for stage in self._stages.values():
            if stage.size == size:
                return stage.crf
        import cv2

        from deeplab_studio.crf import DenseCRF

        image = self._image
        if image.shape[:2] != size:
            image = np.asarray(cv2.resize(image, size[::-1], interpolation=cv2.INTER_AREA), np.uint8)
        return DenseCRF(image, self.engine, device=self._device)


def bytes_per_pixel(engine: Backend, classes: int) -> int:
    """Memory that the CRF takes with so many classes, about, per pixel it works at."""
    lattices, each_class = _BYTES[engine]
    return lattices + each_class * classes


def _scale_within(exact_bytes: int, pixels: int, per_pixel: int) -> float:
    """Share of a photo's width at which the CRF takes no more memory than allowed."""
    if pixels * per_pixel <= exact_bytes:
        return 1.0
    rest = max(exact_bytes - pixels * _ENLARGING_BYTES, exact_bytes // 10)
    return min(1.0, math.sqrt(rest / (pixels * (per_pixel + 4))))  # the marginals are stored here


class _Stage:
    """The CRF at one size with the probabilities of some classes."""

    def __init__(self, crf: DenseCRF, classes: list[int], scores: Scores) -> None:
        from deeplab_studio.crf import Unaries

        self.crf = crf
        self.size = (crf.height, crf.width)
        self.classes = classes
        self.class_ids = np.array(classes, np.uint8)
        self.unaries = Unaries.of(scores.probabilities(self.size, classes), in_place=True)
        self.used = False
        self._scores = scores

    @cached_property
    def probabilities(self) -> npt.NDArray[np.float32]:
        """What the CRF starts from, (C, h, w)."""
        return self._scores.probabilities(self.size, self.classes)

    def channels_of(self, evidence: npt.NDArray[np.int16] | None) -> npt.NDArray[np.int16] | None:
        """The evidence in channels instead of class ids."""
        if evidence is None:
            return None
        table = np.full(257, -1, np.int16)  # the last entry answers for -1
        table[self.classes] = np.arange(len(self.classes))
        channels: npt.NDArray[np.int16] = table[evidence]
        return channels

    def enlarged(self, marginals: npt.NDArray[np.float32], size: tuple[int, int]) -> npt.NDArray[np.uint8]:
        """The likeliest class of every pixel of the photo, the marginals enlarged bilinearly."""
        import cv2

        # Class by class: all of them enlarged at once would take the memory that the reduced size saves.
        labels = np.full(size, self.class_ids[0], np.uint8)
        best = cv2.resize(marginals[0], size[::-1], interpolation=cv2.INTER_LINEAR)
        for class_id, marginal in zip(self.class_ids[1:], marginals[1:], strict=True):
            other = cv2.resize(marginal, size[::-1], interpolation=cv2.INTER_LINEAR)
            np.copyto(labels, class_id, where=other > best)
            np.maximum(best, other, out=best)
        return labels
