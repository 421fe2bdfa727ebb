"""What models say about the image on screen: all of them through one lane, on one device."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from PySide6.QtCore import QObject, Signal

from deeplab_studio.app.compare.choice import PaneChoice
from deeplab_studio.app.jobs import Job, Lane

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from deeplab_studio.app.document import Document
    from deeplab_studio.app.predictions import ModelInfo, Scorer
    from deeplab_studio.app.session import Session
    from deeplab_studio.core.errors import StudioError
    from deeplab_studio.core.labels import ClassMapping
    from deeplab_studio.engine.cache import ByteCache
    from deeplab_studio.engine.predictor import Predictor
    from deeplab_studio.engine.refiner import Refiner
    from deeplab_studio.engine.scores import Scores

    Bytes = npt.NDArray[np.uint8]


class Cost(NamedTuple):
    """What a network costs for one photo.

    Attributes
    ----------
    multiply_adds : int
        Of all convolutions.
    input_size : (int, int)
        Height and width of what it computes on.
    tiled : bool
        Whether that is one tile of several.
    """

    multiply_adds: int
    input_size: tuple[int, int]
    tiled: bool


@dataclass(frozen=True, eq=False)
class Answer:
    """What a pane's model says about one image.

    Attributes
    ----------
    item_id : int
    choice : PaneChoice
        What was asked for.
    labels : (H, W) uint8 array
        In the project's class ids.
    known : frozenset of int
        The project's classes that it can name.
    model : ModelInfo or None
        None for the person's class map and for ground truth.
    scores : Scores or None
    device : str
        Where it was computed.
    seconds : float or None
        Of the prediction; None if nobody measured it.
    crf_seconds : float
        Of the CRF, 0 without it.
    cost : Cost or None
        None if the network cannot be taken apart at this size.
    """

    item_id: int
    choice: PaneChoice
    labels: Bytes
    known: frozenset[int]
    model: ModelInfo | None = None
    scores: Scores | None = None
    device: str = ""
    seconds: float | None = None
    crf_seconds: float = 0.0
    cost: Cost | None = None


@dataclass(frozen=True, eq=False)
class _Predicted:
    scores: Scores
    device: str
    seconds: float | None
    cost: Cost | None

    @property
    def nbytes(self) -> int:
        return self.scores.nbytes


@dataclass(frozen=True, eq=False)
class _Refined:
    """A class map in the model's ids."""

    labels: Bytes
    seconds: float

    @property
    def nbytes(self) -> int:
        return self.labels.nbytes


class _Source(NamedTuple):
    """A model that can predict."""

    model: ModelInfo
    score: Scorer
    device: Callable[[], str]


class Progress(NamedTuple):
    """What is being done for a pane: "loading", "predicting" or "refining", and how much of it is done, if known."""

    what: str
    fraction: float | None = None


class Answers(QObject):
    """Asks models, one after the other, and keeps what they said up to a number of bytes.

    Parameters
    ----------
    session : Session
    max_bytes : int
        For scores and class maps together.
    parent : QObject, optional

    Signals
    -------
    answered : int, Answer
        Pane and what its model says.
    previewed : int, Answer
        Pane and what to look at while a slider moves; its labels may be smaller than the photo. Of a drag's last
        parameters it comes before the answer.
    failed : int, StudioError
    progressed : int, Progress
    """

    answered = Signal(int, object)
    previewed = Signal(int, object)
    failed = Signal(int, object)
    progressed = Signal(int, object)

    def __init__(self, session: Session, max_bytes: int, parent: QObject | None = None) -> None:
        super().__init__(parent)
        from deeplab_studio.engine.cache import ByteCache

        self._session = session
        self.lane = Lane("compare", self)
        self.cache: ByteCache[_Predicted | _Refined] = ByteCache(max_bytes)
        self._models: dict[Path, ModelInfo] = {}
        self._predictors: dict[Path, Predictor] = {}
        self._refiner: tuple[tuple[object, ...], Refiner] | None = None  # only the lane's thread uses it

    def ask(self, pane: int, document: Document, choice: PaneChoice) -> Answer | None:
        """What a pane's model says, at once if it is known; else None, and it comes with `answered` or `failed`.

        Parameters
        ----------
        pane : int
        document : Document
        choice : PaneChoice
            Of a model that is chosen.
        """
        assert choice.path is not None
        model = self._model_in_use(choice.path) or self._models.get(choice.path)
        if model is not None:
            key = _key(document, model)
            predicted, refined = self.cache.get(key), self.cache.get((*key, _params(choice)))
            if isinstance(predicted, _Predicted) and isinstance(refined, _Refined):
                self.drop([pane])
                return self._answer(document, choice, model, predicted, refined)
        self._submit(pane, document, choice, live=False)
        return None

    def follow(self, pane: int, document: Document, choice: PaneChoice) -> None:
        """Show soon, about, what other CRF parameters give; nothing queues up."""
        self._submit(pane, document, choice, live=True)

    def drop(self, panes: Collection[int]) -> None:
        """Ask no longer for these panes."""
        for pane in panes:
            self.lane.cancel(("answer", pane))
            self.lane.cancel(("live", pane))

    def predictor(self, path: Path) -> Predictor:
        """A model for other work than a pane's, on any thread; loaded if no pane has it.

        Raises
        ------
        StudioError
            If it cannot be loaded.
        """
        return self._predictors.get(path) or self._load(path)

    def keep_models(self, paths: Collection[Path]) -> None:
        """Let go of the networks of all other models; what they said stays."""
        self._predictors = {path: predictor for path, predictor in self._predictors.items() if path in paths}

    def forget_model(self, path: Path) -> None:
        """A model is used in another way from now on."""
        self._predictors.pop(path, None)
        self._models.pop(path, None)

    def stop(self) -> None:
        """Ask nothing any longer, and let go of all networks."""
        self.lane.keep_only(())
        self.keep_models(())
        # Refiners hold as much as the scores they were made of; the lane's thread drops it after what it is doing.
        self.lane.submit("rest", lambda _job: setattr(self, "_refiner", None))

    def forget(self) -> None:
        """Keep nothing of what was said."""
        self.stop()
        self.cache.clear()

    def close(self) -> None:
        """Stop and wait for the thread."""
        self.lane.close()
        self._predictors.clear()
        self._refiner = None

    # In the window's thread

    def _submit(self, pane: int, document: Document, choice: PaneChoice, *, live: bool) -> None:
        path = choice.path
        assert path is not None
        predictions = self._session.predictions
        model, scorer = self._model_in_use(path), predictions.scorer()
        ready = None
        if model is not None and scorer is not None:
            device = model.device
            ready = _Source(model, scorer, lambda: device)
        engine, engine_device = self._session.refinement.engine

        def work(job: Job) -> tuple[ModelInfo, _Predicted, _Refined]:
            source = ready or self._loaded(job, path)
            predicted = self._predict(job, document, source)
            key = (*_key(document, source.model), _params(choice))
            refined = None if live else self.cache.get(key)
            if not isinstance(refined, _Refined):
                refined = self._refine(job, document, choice, predicted, key[:-1], engine, engine_device, live=live)
                if not live:
                    self.cache.put(key, refined)
            return source.model, predicted, refined

        def done(outcome: tuple[ModelInfo, _Predicted, _Refined]) -> None:
            answer = self._answer(document, choice, *outcome)
            (self.previewed if live else self.answered).emit(pane, answer)

        self.lane.submit(
            ("live" if live else "answer", pane),
            work,
            done,
            None if live else lambda error: self._on_failed(pane, error),
            on_progress=lambda progress: self.progressed.emit(pane, progress),
            priority=100 if live else -pane,
            interrupt=not live,
        )

    def _on_failed(self, pane: int, error: StudioError) -> None:
        self.failed.emit(pane, error)

    def _model_in_use(self, path: Path) -> ModelInfo | None:
        model = self._session.predictions.model
        return model if model is not None and model.path == path else None

    def _answer(
        self, document: Document, choice: PaneChoice, model: ModelInfo, predicted: _Predicted, refined: _Refined
    ) -> Answer:
        import cv2
        import numpy as np

        session = self._session
        mapping = session.mappings.between(model, session.label_set)
        labels = np.asarray(cv2.LUT(refined.labels, mapping.to_target), np.uint8)
        return Answer(
            document.item.id,
            choice,
            labels,
            known_ids(mapping),
            model,
            predicted.scores,
            predicted.device,
            predicted.seconds,
            refined.seconds,
            predicted.cost,
        )

    # In the lane's thread

    def _loaded(self, job: Job, path: Path) -> _Source:
        predictor = self._predictors.get(path)
        if predictor is None:
            job.report(Progress("loading"))
            predictor = self._load(path)
            job.token.raise_if_cancelled()
        loaded, model = predictor, self._models[path]
        return _Source(
            model,
            lambda _path, pixels, cancel: loaded.predict(
                pixels, cancel=cancel, progress=lambda share: job.report(Progress("predicting", share))
            ),
            lambda: loaded.device,
        )

    def _load(self, path: Path) -> Predictor:
        from deeplab_studio.app.predictions import ModelInfo
        from deeplab_studio.engine import Predictor

        predictions = self._session.predictions
        precision = predictions.precision
        model = predictions.loader(path)
        predictor = Predictor(model, predictions.device, predictions.noticed.emit, precision=precision)
        self._models[path] = ModelInfo.of(path, model, predictor.device, precision)
        self._predictors[path] = predictor
        return predictor

    def _predict(self, job: Job, document: Document, source: _Source) -> _Predicted:
        from deeplab_studio.engine.anatomy import examine

        model = source.model
        key = _key(document, model)
        known = self.cache.get(key)
        if isinstance(known, _Predicted):
            return known
        job.report(Progress("predicting"))
        pixels = document.image.pixels
        path, predictions = document.item.path, self._session.predictions
        start = time.perf_counter()
        scores = source.score(path, pixels, job.token)
        seconds: float | None = time.perf_counter() - start
        if self._model_in_use(model.path) is model:
            seconds = predictions.seconds(path, pixels.shape)
        try:
            anatomy = examine(model.profile, model.preprocessing, *pixels.shape[:2])
            inspection = anatomy.inspection
            cost = Cost(inspection.trace.multiply_adds, inspection.input_size, anatomy.tiled)
        except ValueError:  # too small a photo for a network that pads it itself
            cost = None
        predicted = _Predicted(scores, source.device(), seconds, cost)
        self.cache.put(key, predicted)
        return predicted

    def _refine(
        self,
        job: Job,
        document: Document,
        choice: PaneChoice,
        predicted: _Predicted,
        key: tuple[object, ...],
        engine: object,
        device: str,
        *,
        live: bool,
    ) -> _Refined:
        from deeplab_studio.engine.refiner import Refiner

        if not choice.crf.on:
            return _Refined(predicted.scores.class_map(), 0.0)
        if not live:
            job.report(Progress("refining"))
        start = time.perf_counter()
        kept, place = self._refiner, (*key, engine, device)
        if kept is None or kept[0] != place or kept[1].scores is not predicted.scores:
            refiner = Refiner(document.image.pixels, predicted.scores, engine=engine, device=device)  # type: ignore[arg-type]
            kept = self._refiner = (place, refiner)
        params = choice.crf.on_photo(*document.class_map.shape)
        labels = kept[1].refine(params, preview=live, cancel=job.token)
        return _Refined(labels, time.perf_counter() - start)


def known_ids(mapping: ClassMapping) -> frozenset[int]:
    """The target classes that a model can name: those with a counterpart."""
    return frozenset(i for i, source in enumerate(mapping.to_source.tolist()) if source >= 0)


def _key(document: Document, model: ModelInfo) -> tuple[object, ...]:
    return (document.item.path, document.image.pixels.shape, model.model_id, model.device, model.precision)


def _params(choice: PaneChoice) -> object:
    return choice.crf.params if choice.crf.on else None
