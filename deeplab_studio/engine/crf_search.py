"""Finding CRF parameters where ground truth exists, coarse to fine.

DeepLab v1 and v2 searched w1, sigma_alpha and sigma_beta on 100 validation images "from coarse to fine" and held w2 and
sigma_gamma at 3 (Chen et al., ICLR 2015 and PAMI 2018). Here each round tries a grid around the best parameters so far,
half as wide as the round before.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from deeplab_studio.core.cancel import CancelToken
from deeplab_studio.core.metrics import ConfusionMatrix
from deeplab_studio.crf.params import CrfParams
from deeplab_studio.crf.sizes import on_photo
from deeplab_studio.engine.refiner import Refiner

if TYPE_CHECKING:
    from deeplab_studio.core.labels import ClassMapping
    from deeplab_studio.engine.scores import Scores

Bytes = npt.NDArray[np.uint8]

SAMPLE_PIXELS = 250_000
"""Larger photos are searched on at about this size; relative sigmas mean the same there."""

_FIGURES = 3
"""Significant figures of values tried: what a person would type."""


@dataclass(frozen=True, slots=True)
class Axis:
    """One parameter to search.

    Parameters
    ----------
    field : str
        Of `CrfParams`.
    low, high : float
        Where the first round looks; later rounds stay inside.
    steps : int
        Values per round, at least 2.
    log : bool
        Whether values are spaced by factors; `low` must be positive then.
    """

    field: str
    low: float
    high: float
    steps: int = 3
    log: bool = False

    def __post_init__(self) -> None:
        if self.steps < 2 or not self.low < self.high or (self.log and self.low <= 0):
            raise ValueError(f"{self.field}: {self.steps} steps from {self.low:g} to {self.high:g} are no range")

    def values(self, centre: float | None, round_: int) -> list[float]:
        """What a round tries, ascending: the whole range first, then half as much around `centre` each time."""
        low, high = (math.log(self.low), math.log(self.high)) if self.log else (self.low, self.high)
        first, last = low, high
        if centre is not None:
            middle = math.log(centre) if self.log else centre
            reach = (high - low) / 2 ** (round_ + 1)
            first, last = max(low, middle - reach), min(high, middle + reach)
        places = (first + (last - first) * i / (self.steps - 1) for i in range(self.steps))
        values = {_rounded(math.exp(place) if self.log else place, self.low, self.high) for place in places}
        if centre is not None:
            values.add(centre)
        return sorted(values)


def default_axes() -> tuple[Axis, ...]:
    """What the papers searched, with ranges that hold all published values, and the smoothness kernel."""
    return (
        Axis("appearance_weight", 1, 10),
        Axis("appearance_position_sigma", 20, 160, log=True),
        Axis("appearance_colour_sigma", 2, 16, log=True),
        Axis("smoothness_weight", 0, 6),
        Axis("smoothness_sigma", 0.5, 5, log=True),
    )


class Sample:
    """One photo with its scores and its ground truth.

    Parameters
    ----------
    name : str
    image : (H, W, 3) uint8 array
    scores : Scores
        Of the photo.
    truth : (H, W) uint8 array
        Class ids of the data set, 255 where it is not scored.
    mapping : ClassMapping
        From the model's classes to the data set's.
    """

    def __init__(self, name: str, image: Bytes, scores: Scores, truth: Bytes, mapping: ClassMapping) -> None:
        import cv2

        if truth.shape != image.shape[:2]:
            raise ValueError(f"the ground truth of {name} is {truth.shape}, the photo {image.shape[:2]}")
        height, width = truth.shape
        scale = (SAMPLE_PIXELS / (height * width)) ** 0.5
        if scale < 1:
            size = max(1, round(width * scale)), max(1, round(height * scale))
            image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
            truth = np.asarray(cv2.resize(truth, size, interpolation=cv2.INTER_NEAREST), np.uint8)
        self.name = name
        self.truth = truth
        self._mapping = mapping
        self._refiner = Refiner(image, scores)

    def refined(self, params: CrfParams, cancel: CancelToken | None = None) -> Bytes:
        """The class map with relative parameters, in the data set's class ids."""
        labels = self._refiner.refine(on_photo(params, *self.truth.shape), cancel=cancel)
        mapped: Bytes = self._mapping.to_target[labels]
        return mapped


@dataclass(frozen=True, slots=True)
class Trial:
    """Parameters and what they reach on the sample."""

    params: CrfParams
    miou: float


@dataclass(frozen=True)
class Found:
    """What a search found.

    Parameters
    ----------
    without : float
        mIoU of the scores as they are, 0..1.
    start : Trial
        The parameters the search began with.
    trials : tuple of Trial
        All that was tried, `start` included, in the order of trying.
    """

    without: float
    start: Trial
    trials: tuple[Trial, ...] = field(default=())

    @property
    def best(self) -> Trial:
        """The trial with the highest mIoU, the first one of equals."""
        return max(self.trials, key=lambda trial: trial.miou)


def trial_count(axes: Sequence[Axis], rounds: int) -> int:
    """How many parameter sets a search tries at most, besides the one it starts with."""
    later = math.prod(axis.steps + 1 for axis in axes)
    return math.prod(axis.steps for axis in axes) + max(0, rounds - 1) * later


def search(
    samples: Sequence[Sample],
    start: CrfParams,
    axes: Sequence[Axis],
    num_classes: int,
    *,
    rounds: int = 3,
    cancel: CancelToken | None = None,
    progress: Callable[[float, Found], None] | None = None,
) -> Found:
    """Search parameters coarse to fine for the highest mIoU.

    Parameters
    ----------
    samples : sequence of Sample
        At least one.
    start : CrfParams
        Relative; what is not searched stays as it is here.
    axes : sequence of Axis
        At least one.
    num_classes : int
        Of the data set.
    rounds : int
        At least 1.
    cancel : CancelToken, optional
    progress : callable, optional
        Called after every trial, and after the first two figures, with the fraction done and what was found so far.

    Returns
    -------
    Found

    Raises
    ------
    Cancelled
    ValueError
        Without a sample or an axis.
    """
    if not samples or not axes or rounds < 1:
        raise ValueError("a search needs photos with ground truth, something to vary and a round")
    scores = _Scorer(samples, num_classes, cancel)
    without = scores.of([replace(start, iterations=0)])[0].miou
    found = Found(without, scores.of([start])[0])
    found = replace(found, trials=(found.start,))
    if progress is not None:
        progress(0.0, found)
    tried = {start}
    for round_ in range(rounds):
        best = found.best.params
        centre = None if round_ == 0 else best
        grid = [params for params in _grid(best, axes, centre, round_) if params not in tried]
        groups = [list(group) for _, group in itertools.groupby(sorted(grid, key=_sigmas), key=_sigmas)]
        done = 0
        for group in groups:
            found = replace(found, trials=(*found.trials, *scores.of(group)))
            tried.update(group)
            done += len(group)
            if progress is not None:
                progress((round_ + done / len(grid)) / rounds, found)
    return found


class _Scorer:
    """mIoU of parameters on the samples."""

    def __init__(self, samples: Sequence[Sample], num_classes: int, cancel: CancelToken | None) -> None:
        self._samples = samples
        self._num_classes = num_classes
        self._cancel = cancel

    def of(self, group: Sequence[CrfParams]) -> list[Trial]:
        """Trials of parameters that share their sigmas: every photo's lattices are built once for all of them."""
        matrices = [ConfusionMatrix(self._num_classes) for _ in group]
        for sample in self._samples:
            for params, matrix in zip(group, matrices, strict=True):
                if self._cancel is not None:
                    self._cancel.raise_if_cancelled()
                matrix.add(sample.truth, sample.refined(params, self._cancel))
        return [Trial(params, matrix.miou()) for params, matrix in zip(group, matrices, strict=True)]


def _grid(around: CrfParams, axes: Sequence[Axis], centre: CrfParams | None, round_: int) -> list[CrfParams]:
    values = [axis.values(None if centre is None else float(getattr(centre, axis.field)), round_) for axis in axes]
    names = [axis.field for axis in axes]
    changes: list[dict[str, Any]] = [dict(zip(names, point, strict=True)) for point in itertools.product(*values)]
    return [replace(around, **change) for change in changes]


def _sigmas(params: CrfParams) -> tuple[float, float, float]:
    return params.smoothness_sigma, params.appearance_position_sigma, params.appearance_colour_sigma


def _rounded(value: float, low: float, high: float) -> float:
    return min(max(float(f"{value:.{_FIGURES}g}"), low), high)
