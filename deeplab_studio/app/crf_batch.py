"""The CRF on many images: predicted where that is missing, refined, saved, one after the other in the background."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from PySide6.QtCore import QObject, Signal

from deeplab_studio.app.jobs import Job, Lane
from deeplab_studio.core.errors import StudioError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from deeplab_studio.app.document import CrfSettings, Document
    from deeplab_studio.app.predictions import Scorer
    from deeplab_studio.app.session import Session
    from deeplab_studio.core.project import Item, Project

FINISHED = frozenset({"done", "reviewed", "empty"})


class Plan(NamedTuple):
    """Which images a batch takes.

    Attributes
    ----------
    items : list of Item
        Those it works on.
    finished : int
        How many are left alone because they are finished.
    labelled_elsewhere : int
        How many are left alone because their mask came with the data set and nobody has worked on it here.
    """

    items: list[Item]
    finished: int
    labelled_elsewhere: int


@dataclass
class Summary:
    """How a batch went."""

    total: int
    refined: int = 0
    failures: list[StudioError] = field(default_factory=list)
    stopped: bool = False


class _Outcome(NamedTuple):
    labels: npt.NDArray[np.uint8]
    pinned: npt.NDArray[np.bool_]
    changed: bool


def plan(session: Session, *, finished: bool) -> Plan:
    """What a batch over the images in the list would do.

    Parameters
    ----------
    session : Session
    finished : bool
        Whether to take finished images too.
    """
    own = session.project.items_with_maps() if session.project is not None else set()
    elsewhere = [item for item in session.items if item.id in session.masks and item.id not in own]
    rest = [item for item in session.items if item not in elsewhere]
    taken = [item for item in rest if finished or item.state not in FINISHED]
    return Plan(taken, len(rest) - len(taken), len(elsewhere))


class CrfBatch(QObject):
    """Refines images of the open data set with the same parameters.

    Pinned pixels stay. An image that is open gets its new class map as a step that can be undone; the others' are
    saved to the project. A person may go on working meanwhile, also on these images.

    Parameters
    ----------
    session : Session
    items : sequence of Item
    settings : CrfSettings
    reopen : bool
        Whether finished images that change are marked as in progress; otherwise states stay as they are.
    parent : QObject, optional

    Signals
    -------
    progressed : int, str
        Images done so far, and the name of the one worked on now.
    ended : Summary
    """

    progressed = Signal(int, str)
    ended = Signal(object)

    def __init__(
        self,
        session: Session,
        items: Sequence[Item],
        settings: CrfSettings,
        *,
        reopen: bool = False,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self.summary = Summary(len(items))
        self._session = session
        self._project = session.project
        self._waiting = list(items)
        self._done = 0
        self._settings = settings
        self._reopen = reopen
        self._scorer: Scorer | None = session.predictions.scorer()
        self._mapping = session.mapping()
        self._engine, self._device = session.refinement.engine
        self._lane = Lane("batch", self)
        self._over = False
        session.projectChanged.connect(self.stop)
        session.edits.label_changes.started.connect(self.stop)

    def start(self) -> None:
        """Begin.

        Raises
        ------
        StudioError
            If nothing can be saved, or there is no model.
        """
        if self._project is None or self._session.read_only:
            raise StudioError(
                "the data set is open for reading only", hint="Close the other window that has it open, or copy it."
            )
        if self._scorer is None:
            raise StudioError("there is no model to predict with", hint="Choose a model first.")
        self._session.save()
        self._next()

    def stop(self) -> None:
        """End after what is saved already."""
        if not self._over:
            self.summary.stopped = bool(self._waiting) or self._lane.busy
            self._waiting.clear()
            self._end()

    def close(self) -> None:
        """Stop and wait for the thread."""
        self.stop()
        self._lane.close()

    def _next(self) -> None:
        project, scorer = self._project, self._scorer
        if not self._waiting or project is None or scorer is None:
            self._end()
            return
        item = self._waiting.pop(0)
        self.progressed.emit(self._done, item.path.name)
        document = self._session.document(item.id)
        now = None
        pixels = None
        if document is not None:
            pixels = document.image.pixels
            now = document.class_map.labels.copy(), document.class_map.pinned.copy()
        # What was saved a moment ago may still be on its way to the disk.
        saved = threading.Event()
        self._session.autosave.when_tried(saved.set)

        def work(job: Job) -> _Outcome:
            while not saved.wait(0.05):
                job.token.raise_if_cancelled()
            return self._refine(job, project, item.id, item.path, scorer, pixels, now)

        self._lane.submit(item.id, work, lambda outcome: self._put(item, outcome), self._failed)

    def _refine(
        self,
        job: Job,
        project: Project,
        item_id: int,
        path: Path,
        scorer: Scorer,
        pixels: npt.NDArray[np.uint8] | None,
        now: tuple[npt.NDArray[np.uint8], npt.NDArray[np.bool_]] | None,
    ) -> _Outcome:
        """One image, in the lane's thread."""
        import numpy as np

        from deeplab_studio.core.images import load_image
        from deeplab_studio.engine.refiner import Refiner

        if pixels is None:
            pixels = load_image(path).pixels
        shape = pixels.shape[:2]
        if now is None:
            now = project.load_map(item_id)
            if now is not None and now[0].shape != shape:
                raise StudioError(
                    "its class map was made for another size of the photo",
                    path=path,
                    hint="Open it and label it again.",
                )
        labels, pinned = now or (np.zeros(shape, np.uint8), np.zeros(shape, np.bool_))
        scores = scorer(path, pixels, job.token)
        predicted = self._mapping.to_target[scores.class_map()]
        project.figures.save_prediction(item_id, predicted, scores.model_id, scores.uncertainty())
        evidence = None
        if pinned.any():
            evidence = self._mapping.to_source[labels]
            evidence[~pinned] = -1
        refiner = Refiner(pixels, scores, engine=self._engine, device=self._device)
        result = refiner.refine(self._settings.on_photo(*shape), evidence, cancel=job.token)
        refined = np.where(pinned, labels, self._mapping.to_target[result])
        return _Outcome(refined, pinned, not np.array_equal(refined, labels))

    def _put(self, item: Item, outcome: _Outcome) -> None:
        session, project, settings = self._session, self._project, self._settings
        if self._over or project is None or session.project is not project:
            return
        if self._reopen and outcome.changed and _state(session, item.id) in FINISHED:
            session.set_state(item.id, "in progress", undoable=False)
        document = session.document(item.id)
        if document is not None:
            self._put_into(document, outcome.labels)
            self._finished()
            return

        def save(_job: Job) -> None:
            project.save_map(item.id, outcome.labels, outcome.pinned)
            project.set_crf(item.id, settings.to_dict())

        def saved(_nothing: object) -> None:
            # The person may have opened the image while it was being saved, and have the class map from before.
            opened = session.document(item.id)
            if opened is not None and session.project is project:
                self._put_into(opened, outcome.labels)
            self._finished()

        session.disk.submit(("batch", item.id), save, saved, self._failed, priority=45)

    def _put_into(self, document: Document, labels: npt.NDArray[np.uint8]) -> None:
        session, settings = self._session, self._settings

        def put() -> None:
            if document.class_map.shape == labels.shape:
                session.put_labels(document, labels, self.tr("CRF on all images"), crf=settings)
                if document is session.current:
                    session.crfChanged.emit(settings)

        session.painting.when_no_stroke(put)

    def _finished(self) -> None:
        self.summary.refined += 1
        self._go_on()

    def _failed(self, error: StudioError) -> None:
        self.summary.failures.append(error)
        self._go_on()

    def _go_on(self) -> None:
        if not self._over:
            self._done += 1
            self._next()

    def _end(self) -> None:
        if not self._over:
            self._over = True
            self._lane.keep_only(())
            self.ended.emit(self.summary)


def _state(session: Session, item_id: int) -> str:
    item = session.item(item_id)
    return "" if item is None else item.state
