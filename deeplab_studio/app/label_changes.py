"""Carries out a change of all class maps: those on disk in the background, then everything in memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from PySide6.QtCore import QObject, Signal

from deeplab_studio.core.cancel import Cancelled, CancelToken
from deeplab_studio.core.errors import StudioError

if TYPE_CHECKING:
    from deeplab_studio.app.document import Document
    from deeplab_studio.app.edits import Edits
    from deeplab_studio.app.jobs import Job
    from deeplab_studio.app.session import Session
    from deeplab_studio.core.classmap import ClassMap
    from deeplab_studio.core.project import Project
    from deeplab_studio.core.project_imports import IncomingMaps
    from deeplab_studio.core.project_labels import Outcome
    from deeplab_studio.core.relabel import Relabelling


@dataclass(frozen=True, eq=False)
class LabelStep:
    """A change of the label set as a step of the data set's history.

    Parameters
    ----------
    name : str
    serial : int
    change : Relabelling
    """

    name: str
    serial: int
    change: Relabelling = field(repr=False)


@dataclass(frozen=True, eq=False)
class ImportStep(LabelStep):
    """Class maps that came from elsewhere, with the classes added for them, as a step of the data set's history."""


class _Changed(NamedTuple):
    """What came out of the work on disk."""

    outcome: Outcome
    class_map: ClassMap | None
    """The class map on screen as it is now."""
    mappings: dict[str, dict[str, str | None]]


class LabelChanges(QObject):
    """Changes the label set of the open data set, or brings labels from elsewhere into it, back and forth.

    While it works nothing else changes class maps: what is painted, predicted or refined speaks of ids that are about
    to mean something else.

    Parameters
    ----------
    session : Session
    edits : Edits

    Attributes
    ----------
    forgotten : frozenset of int
        Serials of steps that the last change made impossible to take back.
    pixels, images : int
        How much the last change changed.
    problems : list of StudioError
        Of labels that were to come in with the last change and could not be read.

    Signals
    -------
    started : LabelStep
    progressed : float
        Share done, 0..1.
    ended : LabelStep, bool, object
        The step, whether it was taken back, and None; a StudioError if it failed, or "cancelled".
    """

    started = Signal(object)
    progressed = Signal(float)
    ended = Signal(object, bool, object)

    def __init__(self, session: Session, edits: Edits) -> None:
        super().__init__(edits)
        self._session = session
        self._edits = edits
        self._token: CancelToken | None = None
        self.forgotten: frozenset[int] = frozenset()
        self.images = self.pixels = 0
        self.problems: list[StudioError] = []

    @property
    def busy(self) -> bool:
        """Whether a change is under way."""
        return self._token is not None

    def cancel(self) -> None:
        """Stop and leave everything as it was, unless it is too late for that."""
        if self._token is not None:
            self._token.cancel()

    def run(self, step: LabelStep, *, back: bool, incoming: IncomingMaps | None = None) -> None:
        """Make a change, or take it back.

        Parameters
        ----------
        step : LabelStep
        back : bool
        incoming : IncomingMaps, optional
            The class maps of an `ImportStep` that is made for the first time.
        """
        session = self._session
        project = session.project
        if self.busy or project is None:
            return
        session.painting.abort()
        self._token = CancelToken()
        self.forgotten = frozenset()
        self._quiet()
        self.started.emit(step)
        if project.read_only:
            self._end(step, back, StudioError(project.notice or "the data set is open for reading only"))
            return
        session.save()
        session.autosave.when_tried(lambda: self._saved(project, step, incoming, back=back))

    def _saved(self, project: Project, step: LabelStep, incoming: IncomingMaps | None, *, back: bool) -> None:
        session, token = self._session, self._token
        assert token is not None
        if session.unsaved:
            self._end(
                step,
                back,
                StudioError("what was painted last could not be saved, so the label set stays as it is"),
            )
            return
        document = session.current
        mask = session.masks.get(document.item.id) if document is not None else None
        change = step.change

        def work(job: Job) -> _Changed | None:
            from deeplab_studio.app.opening import read_map
            from deeplab_studio.core.classmap import ClassMap
            from deeplab_studio.core.project_labels import MAPPINGS

            try:
                if back:
                    outcome = project.labels.take_back(change, step.serial, token, job.report)
                else:
                    outcome = project.labels.relabel(change, step.serial, token, job.report, incoming)
            except Cancelled:
                return None
            class_map = None
            if document is not None:
                shape = document.class_map.shape
                class_map = read_map(project, document.item, mask, shape).class_map
                if class_map is None and document.item.id in outcome.states:
                    class_map = ClassMap.empty(*shape)
                elif class_map is None:
                    labels = (change.back if back else change.table)[document.class_map.labels]
                    class_map = ClassMap(labels, document.class_map.pinned)
            return _Changed(outcome, class_map, project.setting(MAPPINGS) or {})

        def done(changed: _Changed | None) -> None:
            if changed is None:
                self._end(step, back, "cancelled")
            elif session.project is project:
                self._install(step, document, changed, back=back)
            else:
                self._end(step, back, "cancelled")

        session.disk.submit(
            "label set",
            work,
            done,
            lambda error: self._end(step, back, error),
            on_progress=self.progressed.emit,
            priority=40,
        )

    def _install(self, step: LabelStep, document: Document | None, changed: _Changed, *, back: bool) -> None:
        session, histories = self._session, self._edits.histories
        change, outcome = step.change, changed.outcome
        self._quiet()
        lost = 0
        for history in histories:
            if back:
                lost += not history.unrelabel(step.serial)
            else:
                history.relabel(change.table, step.serial)
        for item_id, stamp in outcome.stamps.items():
            known = histories.find(item_id)
            if known is not None:
                known.stamp = stamp
        for item_id, serial in outcome.released.items():
            known = histories.find(item_id)
            if known is not None:
                known.forget_done_before(serial)
        if document is not None and changed.class_map is not None:
            document.class_map.labels[:] = changed.class_map.labels
            document.class_map.pinned[:] = changed.class_map.pinned
            if document.item.id in outcome.states:
                # Also when it is empty again: a prediction that came by itself would be a new step.
                document.labelled = True
        self.images, self.pixels, self.forgotten = len(outcome.stamps), outcome.pixels, outcome.forgotten
        self.problems = outcome.problems
        self._edits.show_states(outcome.states)
        active = int((change.back if back else change.table)[session.painting.active_class])
        session.label_set_changed(document, changed.mappings)
        # Void is what is painted with only if it was so before.
        if active != session.painting.active_class and (active < len(session.label_set)):
            session.painting.set_active_class(active)
        if lost:
            text = self.tr("In {0} images that were changed since, earlier steps can no longer be undone.")
            session.noticed.emit("info", text.format(lost))
        if outcome.damaged:
            text = self.tr("{0} class maps are damaged and stay as they were.")
            session.noticed.emit("warning", text.format(outcome.damaged))
        self._end(step, back, None)

    def _quiet(self) -> None:
        """Stop everything that would bring labels in the ids of before."""
        session = self._session
        session.predictions.drop()
        session.refinement.forget()
        session.previewed.emit(None)

    def _end(self, step: LabelStep, back: bool, problem: object) -> None:
        self._token = None
        if isinstance(problem, StudioError):
            self._session.noticed.emit("error", str(problem))
        self.ended.emit(step, back, problem)
        self._session.want_predictions()
