"""Several models, with and without the CRF, against the ground truth of one data set."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from deeplab_studio.core.boundaries import TRIMAP_WIDTHS, TrimapScore, boundary_distance
from deeplab_studio.core.cancel import CancelToken
from deeplab_studio.core.errors import StudioError
from deeplab_studio.core.images import load_image
from deeplab_studio.core.labels import MAX_CLASSES, VOID, ClassMapping, LabelSet, is_background
from deeplab_studio.core.metrics import ConfusionMatrix
from deeplab_studio.core.voc import read_mask
from deeplab_studio.crf.params import CrfParams
from deeplab_studio.crf.sizes import on_photo
from deeplab_studio.engine.refiner import Refiner

if TYPE_CHECKING:
    from deeplab_studio.core.classmap import Labels
    from deeplab_studio.core.voc import VocItem
    from deeplab_studio.engine.predictor import Predictor

_AHEAD = 2
"""Photos read, and results waiting to be counted, beside the one being predicted."""


@dataclass(frozen=True, eq=False)
class Contestant:
    """A model that is compared, and the CRFs to run on its scores.

    Parameters
    ----------
    name : str
        What the report calls it.
    version : str
        Of DeepLab: "v1" to "v3+".
    predictor : Predictor
    crfs : sequence of (str, CrfParams or None)
        Name and parameters; ("none", None) is the model alone.
    """

    name: str
    version: str
    predictor: Predictor
    crfs: Sequence[tuple[str, CrfParams | None]] = (("none", None),)


@dataclass(eq=False)
class Outcome:
    """How one model with one CRF did.

    Attributes
    ----------
    model, model_id, version : str
    crf : str
        Name of the parameters; "none" without a CRF.
    params : CrfParams or None
    matrix : ConfusionMatrix
        Of the shared classes and, behind them, "anything else", which no truth holds.
    trimap : TrimapScore
    seconds : float
        Spent on prediction and CRF, over all images.
    images : int
    """

    model: str
    model_id: str
    version: str
    crf: str
    params: CrfParams | None
    matrix: ConfusionMatrix
    trimap: TrimapScore
    seconds: float = 0.0
    images: int = 0

    @property
    def name(self) -> str:
        """Model and CRF, as one line of a table."""
        return self.model if self.params is None else f"{self.model} + CRF {self.crf}"


@dataclass(frozen=True)
class SharedClasses:
    """The classes on which models and a data set can be compared.

    Parameters
    ----------
    label_set : LabelSet
        Classes of the data set that all models know.
    from_truth : (256,) uint8 array
        Shared id of each id of the data set, 255 for a class that not all models know.
    from_models : tuple of (256,) uint8 array
        Shared id of each id of each model. What a model calls something else is background where the data set has one,
        and otherwise the id behind the last one.
    left_out : tuple of str
        Classes of the data set that a model does not know; their pixels are not scored.
    """

    label_set: LabelSet
    from_truth: npt.NDArray[np.uint8]
    from_models: tuple[npt.NDArray[np.uint8], ...]
    left_out: tuple[str, ...]

    @classmethod
    def of(cls, dataset: LabelSet, models: Sequence[LabelSet]) -> SharedClasses:
        """The shared classes, by name.

        Raises
        ------
        StudioError
            If there are fewer than two.
        """
        mappings = [ClassMapping.between(model, dataset) for model in models]
        known = [all(mapping.to_source[i] >= 0 for mapping in mappings) for i in range(len(dataset))]
        if sum(known) < 2:
            raise StudioError(
                "the models and the data set have fewer than two classes in common",
                hint="Compare models of one label set, on a data set with these classes.",
            )
        kept = [i for i, shared in enumerate(known) if shared]
        label_set = LabelSet(tuple(dataset[i] for i in kept), dataset.name)
        from_truth = np.full(256, VOID, np.uint8)
        from_truth[kept] = np.arange(len(kept))
        other = 0 if is_background(label_set.names[0]) else len(kept)
        from_models = []
        for mapping, model in zip(mappings, models, strict=True):
            table = np.full(256, other, np.uint8)
            for class_id, name in enumerate(model.names):
                target = from_truth[mapping.to_target[class_id]]
                if name not in mapping.unmatched and target != VOID:
                    table[class_id] = target
            from_models.append(table)
        left_out = tuple(name for name, shared in zip(dataset.names, known, strict=True) if not shared)
        return cls(label_set, from_truth, tuple(from_models), left_out)


def union_of(label_sets: Sequence[LabelSet]) -> LabelSet:
    """One label set with the classes of all, each once, in the order in which they turn up.

    Raises
    ------
    StudioError
        If there are more than a class map can hold.
    """
    classes = list(label_sets[0].classes)
    for label_set in label_sets[1:]:
        missing = set(ClassMapping.between(label_set, LabelSet(tuple(classes))).unmatched)
        classes += [label for label in label_set if label.name in missing]
    if len(classes) > MAX_CLASSES:
        raise StudioError(
            f"together the models have {len(classes)} classes, a class map holds {MAX_CLASSES}",
            hint="Compare fewer models at a time.",
        )
    return LabelSet(tuple(classes), label_sets[0].name)


@dataclass(frozen=True, eq=False)
class _Read:
    item: VocItem
    pixels: npt.NDArray[np.uint8]
    truth: Labels
    distance: npt.NDArray[np.float32]


@dataclass(eq=False)
class Comparison:
    """Runs the models over a data set. While one photo is predicted, the next is read and the last one counted.

    Parameters
    ----------
    contestants : sequence of Contestant
    shared : SharedClasses
    widths : sequence of int
        Of the bands along boundaries, in pixels.
    relative : bool
        Whether spatial sigmas are pixels of a photo of `REFERENCE_SIDE` and stretched to each photo.
    read_truth : callable, optional
        Reads the ground truth of an item whose photo has this height and width, in the ids of the data set; by default
        the item's mask file.

    Attributes
    ----------
    outcomes : list of Outcome
        One for each contestant and CRF.
    """

    contestants: Sequence[Contestant]
    shared: SharedClasses
    widths: Sequence[int] = TRIMAP_WIDTHS
    relative: bool = False
    read_truth: Callable[[VocItem, tuple[int, int]], Labels] | None = None
    outcomes: list[Outcome] = field(default_factory=list)

    def __post_init__(self) -> None:
        classes = len(self.shared.label_set) + 1
        for each in self.contestants:
            for name, params in each.crfs:
                self.outcomes.append(
                    Outcome(
                        each.name,
                        each.predictor.model_id,
                        each.version,
                        name,
                        params,
                        ConfusionMatrix(classes),
                        TrimapScore(classes, self.widths),
                    )
                )

    def run(
        self,
        items: Sequence[VocItem],
        *,
        on_failure: Callable[[StudioError], None],
        on_done: Callable[[], None] | None = None,
        cancel: CancelToken | None = None,
    ) -> None:
        """Score all items that have ground truth.

        Parameters
        ----------
        items : sequence of VocItem
        on_failure : callable
            Called with the reason for each item that is left out.
        on_done : callable, optional
            Called after each item.
        cancel : CancelToken, optional

        Raises
        ------
        Cancelled
            If `cancel` was set.
        """
        with (
            ThreadPoolExecutor(1, thread_name_prefix="read") as reader,
            ThreadPoolExecutor(1, thread_name_prefix="count") as counter,
        ):
            waiting = deque(items)
            reading: deque[Future[_Read]] = deque()
            counting: deque[Future[None]] = deque()
            try:
                while waiting or reading:
                    while waiting and len(reading) < _AHEAD:
                        reading.append(reader.submit(self._read, waiting.popleft()))
                    try:
                        read = reading.popleft().result()
                        predictions = self._predict(read, cancel)
                        while len(counting) >= _AHEAD:
                            counting.popleft().result()
                        counting.append(counter.submit(self._count, read, predictions))
                    except StudioError as error:
                        on_failure(error)
                    if on_done is not None:
                        on_done()
                while counting:
                    counting.popleft().result()
            finally:
                for unread in reading:
                    unread.cancel()

    def _read(self, item: VocItem) -> _Read:
        pixels = load_image(item.image).pixels
        truth = self.shared.from_truth[(self.read_truth or _read_mask)(item, pixels.shape[:2])]
        return _Read(item, pixels, truth, boundary_distance(truth))

    def _predict(self, read: _Read, cancel: CancelToken | None) -> list[Labels]:
        predictions = []
        seconds = []
        for contestant, table in zip(self.contestants, self.shared.from_models, strict=True):
            start = time.perf_counter()
            scores = contestant.predictor.predict(read.pixels, cancel=cancel)
            predicted = time.perf_counter() - start
            for _, params in contestant.crfs:
                start = time.perf_counter()
                if params is None:
                    labels = scores.class_map()
                else:
                    fitted = on_photo(params, *read.pixels.shape[:2]) if self.relative else params
                    labels = Refiner(read.pixels, scores).refine(fitted, cancel=cancel)
                seconds.append(predicted + time.perf_counter() - start)
                predictions.append(table[labels])
        for outcome, spent in zip(self.outcomes, seconds, strict=True):
            outcome.seconds += spent
            outcome.images += 1
        return predictions

    def _count(self, read: _Read, predictions: Sequence[Labels]) -> None:
        for outcome, labels in zip(self.outcomes, predictions, strict=True):
            outcome.matrix.add(read.truth, labels)
            outcome.trimap.add(read.truth, labels, read.distance)


def _read_mask(item: VocItem, size: tuple[int, int]) -> Labels:
    if item.mask is None:
        raise StudioError("it has no mask", path=item.image, hint="Label it or take it off the list.")
    return read_mask(item.mask, image_size=(size[1], size[0]))
