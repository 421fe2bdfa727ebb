"""The model in use and what it says about the open images."""

from __future__ import annotations

import atexit
import gc
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QCoreApplication, QObject, Signal

from deeplab_studio.app.jobs import Job, Lane
from deeplab_studio.core.errors import StudioError
from deeplab_studio.core.labels import ClassMapping, LabelSet

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from deeplab_studio.app.document import Document
    from deeplab_studio.checkpoints.model import Geometry, LoadedModel, Preprocessing
    from deeplab_studio.core.cancel import CancelToken
    from deeplab_studio.engine.cache import ByteCache
    from deeplab_studio.engine.precision import Precision
    from deeplab_studio.engine.predictor import Predictor
    from deeplab_studio.engine.scores import Scores
    from deeplab_studio.networks.profile import Profile

    Scorer = Callable[[Path, npt.NDArray[np.uint8], CancelToken], Scores]

_LOADING = "load model"


@dataclass(frozen=True)
class ModelInfo:
    """What the window shows of a loaded model."""

    path: Path
    model_id: str
    title: str
    version: str
    classes: LabelSet
    device: str
    precision: Precision
    sha256: str
    profile: Profile
    preprocessing: Preprocessing
    geometry: Geometry
    geometries: tuple[Geometry, ...]

    @classmethod
    def of(cls, path: Path, model: LoadedModel, device: str, precision: Precision) -> ModelInfo:
        """What there is to show of a model that was read from `path` and predicts on `device`."""
        return cls(
            path,
            model.model_id,
            model.title,
            model.version,
            model.classes,
            device,
            precision,
            model.sha256,
            model.profile,
            model.preprocessing,
            model.geometry,
            model.geometries,
        )


@dataclass(frozen=True)
class Prediction:
    """The scores of one image and the class map they give, in the project's class ids."""

    item_id: int
    scores: Scores
    labels: npt.NDArray[np.uint8] | None


class Predictions(QObject):
    """Loads models and predicts: the image on screen first, then the ones likely to be next.

    Parameters
    ----------
    cache_bytes : int
        Scores are kept up to this size, so that going back is instant.

    Signals
    -------
    modelChanged : ModelInfo or None
    modelLoading : str
        Name of the file being loaded, "" when it is over.
    predicted : Prediction
    progressed : int, float
        Item and fraction done.
    failed : StudioError
    noticed : str
        Something the person should know (stepped down to the CPU).
    busyChanged : bool
    """

    modelChanged = Signal(object)
    modelLoading = Signal(str)
    predicted = Signal(object)
    progressed = Signal(int, float)
    failed = Signal(object)
    noticed = Signal(str)
    busyChanged = Signal(bool)

    def __init__(self, cache_bytes: int, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.model: ModelInfo | None = None
        self.lane = Lane("predict", self)
        self.lane.busyChanged.connect(self.busyChanged)
        self.loader = _load
        """What reads a checkpoint; called in the lane's thread."""
        self._device = "auto"
        self._precision: Precision = "exact"
        self._predictor: Predictor | None = None
        self._cache_bytes = cache_bytes
        self._seconds: dict[tuple[object, ...], float] = {}

    @cached_property
    def _cache(self) -> ByteCache[Scores]:
        from deeplab_studio.engine.cache import ByteCache

        return ByteCache(self._cache_bytes)

    @property
    def device(self) -> str:
        """What the person chose: "auto", "cpu", "cuda:0", "mps"."""
        return self._device

    def load_model(self, path: Path) -> None:
        """Load a checkpoint; the model in use stays until it succeeded."""
        self.modelLoading.emit(path.name)
        device, precision, loader = self._device, self._precision, self.loader

        def work(_job: Job) -> tuple[Predictor, ModelInfo]:
            from deeplab_studio.engine import Predictor

            model = loader(path)
            _exempt_from_collection()
            predictor = Predictor(model, device, self.noticed.emit, precision=precision)
            return predictor, ModelInfo.of(path, model, predictor.device, precision)

        self.lane.keep_only(())
        self.lane.submit(_LOADING, work, self._model_loaded, self._model_failed, priority=100)

    def set_device(self, device: str) -> None:
        """Use another device from now on, for the loaded model too."""
        self._device = device
        if self.model is not None:
            self.load_model(self.model.path)

    @property
    def precision(self) -> Precision:
        """What the person chose: "exact" or "fast"."""
        return self._precision

    def seconds(self, path: Path, shape: tuple[int, ...]) -> float | None:
        """How long the model in use took for a photo; None if it was not asked yet, or elsewhere."""
        return None if self.model is None else self._seconds.get(_key_of(self.model, path, shape))

    @property
    def arithmetic(self) -> str:
        """The numbers the model computes with now: "float32", "bfloat16", "float16"; "" without a model."""
        return self._predictor.arithmetic if self._predictor is not None else ""

    def set_precision(self, precision: Precision) -> None:
        """Compute exactly or fast from now on, with the loaded model too."""
        self._precision = precision
        if self.model is not None and self.model.precision != precision:
            self.load_model(self.model.path)

    def unload(self) -> None:
        """Work without a model."""
        self.lane.keep_only(())
        self._predictor = None
        self.model = None
        self.modelChanged.emit(None)

    def cached(self, document: Document) -> bool:
        """Whether the scores of this image by this model are in memory."""
        return self.model is not None and self._key(document) in self._cache

    def want(self, wanted: Sequence[tuple[Document, ClassMapping | None]]) -> None:
        """Predict these images in this order and nothing else.

        Parameters
        ----------
        wanted : sequence of (Document, ClassMapping or None)
            With a mapping the class map is made too (the image on screen); without, only the scores (images likely to
            be next).
        """
        predictor = self._predictor
        if predictor is None:
            return
        keys = [self._key(document) for document, _ in wanted]
        loading = {_LOADING} if self.lane.find(_LOADING) else set()
        self.lane.keep_only({*keys, *loading})
        for rank, ((document, mapping), key) in enumerate(zip(wanted, keys, strict=True)):
            priority = len(wanted) - rank
            running = self.lane.find(key)
            if running is not None and mapping is None:
                running.priority = priority
            elif mapping is not None or key not in self._cache:
                self._submit(predictor, document, mapping, key, priority)

    def scorer(self) -> Scorer | None:
        """A function that scores any photo with the model in use, for worker threads; None without a model.

        It takes the photo's path and pixels and a token to cancel it, and looks among the scores kept first.
        """
        predictor, model, cache, times = self._predictor, self.model, self._cache, self._seconds
        if predictor is None or model is None:
            return None

        def score(path: Path, pixels: npt.NDArray[np.uint8], cancel: CancelToken) -> Scores:
            key = _key_of(model, path, pixels.shape)
            scores = cache.get(key)
            if scores is None:
                start = time.perf_counter()
                scores = predictor.predict(pixels, cancel=cancel)
                times[key] = time.perf_counter() - start
                cache.put(key, scores)
            return scores

        return score

    def stop(self) -> None:
        """Cancel what runs and waits."""
        self.lane.keep_only(())
        self.modelLoading.emit("")

    def drop(self) -> None:
        """Cancel every prediction under way; a model that is being loaded is still wanted."""
        self.lane.keep_only({_LOADING})

    def forget(self) -> None:
        """Drop all scores kept, and every prediction under way."""
        self.drop()
        self._cache.clear()
        self._seconds.clear()

    def close(self) -> None:
        """Stop and wait for the thread."""
        self.lane.close()

    def _submit(
        self,
        predictor: Predictor,
        document: Document,
        mapping: ClassMapping | None,
        key: tuple[object, ...],
        priority: int,
    ) -> None:
        pixels = document.image.pixels
        item_id = document.item.id
        cache, times = self._cache, self._seconds
        known = document.scores

        def work(job: Job) -> Prediction:
            scores = known or cache.get(key)
            if scores is None:
                start = time.perf_counter()
                scores = predictor.predict(pixels, cancel=job.token, progress=job.report)
                times[key] = time.perf_counter() - start
                cache.put(key, scores)
            labels = None if mapping is None else mapping.to_target[scores.class_map()]
            return Prediction(item_id, scores, labels)

        def report(fraction: float) -> None:
            self.progressed.emit(item_id, fraction)

        on_failed = self.failed.emit if mapping is not None else None
        self.lane.submit(key, work, self.predicted.emit, on_failed, on_progress=report, priority=priority)

    def _key(self, document: Document) -> tuple[object, ...]:
        assert self.model is not None
        return _key_of(self.model, document.item.path, document.image.pixels.shape)

    def _model_loaded(self, loaded: tuple[Predictor, ModelInfo]) -> None:
        self._predictor, self.model = loaded
        self.modelLoading.emit("")
        self.modelChanged.emit(self.model)

    def _model_failed(self, error: StudioError) -> None:
        self.modelLoading.emit("")
        self.failed.emit(error)


def _key_of(model: ModelInfo, path: Path, shape: tuple[int, ...]) -> tuple[object, ...]:
    return (path, shape, model.model_id, model.device, model.precision)


def unmatched_notice(mapping: ClassMapping) -> str:
    """What a person should know about a model's classes that the data set does not have; "" if it has all."""
    names = mapping.unmatched
    if not names:
        return ""
    shown = ", ".join(names[:5]) + ("…" if len(names) > 5 else "")
    text = QCoreApplication.translate(
        "Predictions", "{0} of the model's classes are not in the data set and become class 0: {1}."
    )
    return text.format(len(names), shown)


def _load(path: Path) -> LoadedModel:
    from deeplab_studio.checkpoints import load_checkpoint

    return load_checkpoint(path)


@cache
def _exempt_from_collection() -> None:
    """Leave what is imported by now out of garbage collections.

    With torch there are 190,000 objects more, and a full collection that looks at them all holds every thread, the
    window's too, for a tenth of a second.
    """
    gc.freeze()
    atexit.register(gc.unfreeze)
