"""The CRF of one photo with one model's scores, as fast as a slider asks for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from deeplab_studio.core.cancel import CancelToken
from deeplab_studio.crf.params import CrfParams

if TYPE_CHECKING:
    from deeplab_studio.crf import DenseCRF
    from deeplab_studio.engine.scores import Scores
    from deeplab_studio.engine.stages import Trace

ACTIVE_PROBABILITY = 1e-3
"""A class below this probability everywhere is left out of the CRF: the result is the same to about 2e-3 in the
marginals and in every label, at a fraction of the time."""

PREVIEW_PIXELS = 400_000
"""Photos up to this size are refined exactly even while a slider moves; larger ones at about this size."""


class Refiner:
    """Refines one photo's scores again and again with other parameters.

    Probabilities and lattices are kept: new weights cost only the mean-field iterations, a new sigma one lattice.

    Parameters
    ----------
    image : (H, W, 3) uint8 array
    scores : Scores
        Of that image.
    preview_pixels : int
        Size of the preview; photos that are not larger have none.
    """

    def __init__(self, image: npt.NDArray[np.uint8], scores: Scores, preview_pixels: int = PREVIEW_PIXELS) -> None:
        self.scores = scores
        self._image = image
        height, width = image.shape[:2]
        self._preview_scale: float = min(1.0, (preview_pixels / (height * width)) ** 0.5)
        self._stages: dict[bool, _Stage] = {}

    @property
    def has_preview(self) -> bool:
        """Whether the photo is so large that the preview differs from the exact result."""
        return self._preview_scale < 1.0

    def refine(
        self,
        params: CrfParams,
        evidence: npt.NDArray[np.int16] | None = None,
        *,
        preview: bool = False,
        cancel: CancelToken | None = None,
        on_iteration: Callable[[int, npt.NDArray[np.float32]], None] | None = None,
    ) -> npt.NDArray[np.uint8]:
        """The class map after the CRF.

        Parameters
        ----------
        params : CrfParams
            Sigmas in pixels of the photo.
        evidence : (H, W) int16 array, optional
            The model's class id of pixels a person has decided, -1 elsewhere.
        preview : bool
            At reduced size if `has_preview`: the spatial sigmas shrink along, so that it looks like the exact result.
        cancel : CancelToken, optional
        on_iteration : callable, optional
            See `DenseCRF.infer`.

        Returns
        -------
        (H, W) uint8 array of the model's class ids, (h, w) for a preview

        Raises
        ------
        Cancelled
        """
        stage, marginals = self._infer(params, evidence, preview, cancel, on_iteration)
        return stage.labels_of(marginals)

    def trace(
        self,
        params: CrfParams,
        evidence: npt.NDArray[np.int16] | None = None,
        *,
        cancel: CancelToken | None = None,
    ) -> tuple[npt.NDArray[np.uint8], Trace]:
        """As `refine`, at the preview's size if there is one, with everything that happened on the way.

        Returns
        -------
        (h, w) uint8 array of the model's class ids
        Trace
        """
        from deeplab_studio.engine.stages import Recorder

        stage = self._stage(self.has_preview, self._fitted(evidence, self.has_preview))
        recorder = Recorder(self.scores, stage.classes, stage.probabilities, int(params.iterations))
        _, marginals = self._infer(params, evidence, True, cancel, recorder.add)
        return stage.labels_of(marginals), recorder.trace()

    def _infer(
        self,
        params: CrfParams,
        evidence: npt.NDArray[np.int16] | None,
        preview: bool,
        cancel: CancelToken | None,
        on_iteration: Callable[[int, npt.NDArray[np.float32]], None] | None,
    ) -> tuple[_Stage, npt.NDArray[np.float32]]:
        reduced = preview and self.has_preview
        evidence = self._fitted(evidence, reduced)
        stage = self._stage(reduced, evidence)
        pinned = stage.channels_of(evidence)
        if reduced:
            params = params.scaled(self._preview_scale)
        if cancel is not None:
            cancel.raise_if_cancelled()
        return stage, stage.crf.infer(stage.probabilities, params, pinned, cancel=cancel, on_iteration=on_iteration)

    def _size(self, reduced: bool) -> tuple[int, int]:
        height, width = self._image.shape[:2]
        scale = self._preview_scale if reduced else 1.0
        return max(1, round(height * scale)), max(1, round(width * scale))

    def _fitted(self, evidence: npt.NDArray[np.int16] | None, reduced: bool) -> npt.NDArray[np.int16] | None:
        size = self._size(reduced)
        if evidence is None or evidence.shape == size:
            return evidence
        import cv2

        return np.asarray(cv2.resize(evidence, size[::-1], interpolation=cv2.INTER_NEAREST), np.int16)

    def _stage(self, reduced: bool, evidence: npt.NDArray[np.int16] | None) -> _Stage:
        classes = set(self.scores.active_classes(ACTIVE_PROBABILITY))
        if evidence is not None:
            decided = np.zeros(257, np.bool_)  # the last entry answers for -1
            decided[evidence] = True
            classes.update(int(class_id) for class_id in np.flatnonzero(decided[:-1]))
        wanted = sorted(classes)
        stage = self._stages.get(reduced)
        if stage is None or stage.classes != wanted:
            crf = stage.crf if stage is not None else None
            self._stages[reduced] = stage = self._build(reduced, wanted, crf)
        return stage

    def _build(self, reduced: bool, classes: list[int], crf: DenseCRF | None) -> _Stage:
        import cv2

        from deeplab_studio.crf import DenseCRF

        image = self._image
        size = self._size(reduced)
        if crf is None and reduced:
            image = np.asarray(cv2.resize(image, size[::-1], interpolation=cv2.INTER_AREA), np.uint8)
        return _Stage(crf or DenseCRF(image), classes, self.scores.probabilities(size, classes))


class _Stage:
    """The CRF at one size with the probabilities of some classes."""

    def __init__(self, crf: DenseCRF, classes: list[int], probabilities: npt.NDArray[np.float32]) -> None:
        self.crf = crf
        self.classes = classes
        self.probabilities = probabilities
        self._class_ids = np.array(classes, np.uint8)

    def channels_of(self, evidence: npt.NDArray[np.int16] | None) -> npt.NDArray[np.int16] | None:
        if evidence is None:
            return None
        table = np.full(257, -1, np.int16)  # the last entry answers for -1
        table[self.classes] = np.arange(len(self.classes))
        channels: npt.NDArray[np.int16] = table[evidence]
        return channels

    def labels_of(self, marginals: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
        labels: npt.NDArray[np.uint8] = self._class_ids[marginals.argmax(axis=0)]
        return labels
