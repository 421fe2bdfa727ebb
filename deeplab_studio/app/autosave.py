"""Every change reaches the disk by itself, soon after the hand rests and never later than the promised two seconds."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Mapping
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, QTimer, Signal

from deeplab_studio.app.jobs import Job, Lane
from deeplab_studio.core.errors import StudioError

if TYPE_CHECKING:
    from deeplab_studio.app.document import CrfSettings, Document
    from deeplab_studio.app.painting import Painting
    from deeplab_studio.core.project import Project
    from deeplab_studio.core.project_labels import MapStamp

REST_MS = 500
"""Rest after the last change before it is written."""

AT_LATEST_MS = 1000
"""A person who paints without a rest is saved this often; what is left of the two seconds is the disk's."""

RETRY_MS = 5000
"""After a failure (the disk is full) it is tried again this often."""


class Autosave(QObject):
    """Decides when to save, and writes in a lane of its own: reading a photo can take longer than the two seconds.

    What cannot be written is tried again until it can.

    Parameters
    ----------
    documents : callable
        The images that are in memory.
    parent : QObject, optional

    Attributes
    ----------
    lane : Lane

    Signals
    -------
    due
        Something should be saved now.
    failed : StudioError
        Something could not be saved; it is tried again.
    recovered
        Everything that could not be saved before is saved now.
    """

    due = Signal()
    failed = Signal(object)
    recovered = Signal()

    def __init__(self, documents: Callable[[], list[Document]], parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.lane = Lane("saving", self)
        self._documents = documents
        self._crf: tuple[Project, CrfSettings] | None = None
        self._states: dict[int, str] = {}
        self._settings: dict[str, Any] = {}
        self._problems: dict[Hashable, StudioError] = {}
        self._failing = False
        self._rest = QTimer(self, singleShot=True, interval=REST_MS)
        self._at_latest = QTimer(self, singleShot=True)
        self._rest.timeout.connect(self.due)
        self._at_latest.timeout.connect(self.due)

    @property
    def unsaved(self) -> bool:
        """Whether something is not on disk yet."""
        return bool(self._states or self._settings or self.unsaved_documents)

    @property
    def unsaved_documents(self) -> list[Document]:
        """The images of which something is not on disk yet."""
        return [document for document in self._documents() if document.unsaved]

    @property
    def unsaved_states(self) -> dict[int, str]:
        """The states of items that are not on disk yet."""
        return dict(self._states)

    @property
    def problem(self) -> StudioError | None:
        """Why something could not be saved, as far as the work that has ended tells; None if everything could."""
        return next(iter(list(self._problems.values())), None)

    def changed(self, document: Document) -> None:
        """Note that a document differs from what is on disk."""
        document.edited = True
        document.revision += 1
        self._rest.start()
        if not self._at_latest.isActive():
            self._at_latest.start(AT_LATEST_MS)

    def stroke_began(self) -> None:
        """Note that something is being painted: it is saved without waiting for the end of the stroke."""
        if not self._at_latest.isActive():
            self._at_latest.start(AT_LATEST_MS)

    def save(self, project: Project, crf: CrfSettings, painting: Painting) -> None:
        """Write those images that changed, and what new images of the data set start with, in the background."""
        self._rest.stop()
        self._at_latest.stop()
        if project.read_only:
            return
        stroke = painting.painted_on
        if stroke is not None:
            stroke.edited = True
            stroke.revision += 1
        changed = [document for document in self._documents() if document.submitted != document.revision]
        for document in changed:
            self._save(project, document)
        if self._states:
            self._save_states(project)
        # Settings alone are no reason to begin a project file: a person who only looks leaves nothing behind.
        if (changed or project.is_on_disk) and self._crf != (project, crf):
            self._crf = (project, crf)
            self._settings["crf"] = crf.to_dict()
        if self._settings:
            self._save_settings(project)
        if stroke is not None:
            stroke.revision += 1  # it goes on, or is taken back
        if painting.busy:
            self.stroke_began()

    def save_states(self, project: Project, states: Mapping[int, str]) -> None:
        """Write the states of items, now and until it works."""
        self._states |= states
        self._save_states(project)

    def save_setting(self, project: Project, name: str, value: Any) -> None:
        """Write a setting of the project, now and until it works."""
        self._settings[name] = value
        self._save_settings(project)

    def when_tried(self, on_done: Callable[[], None] | None = None) -> Callable[[], None]:
        """Wait for everything that is on its way to the disk.

        Parameters
        ----------
        on_done : callable, optional
            Called in the window's thread when it was tried.

        Returns
        -------
        callable
            For any other thread: waits until it was tried, and raises a StudioError if something could not be saved.
        """
        tried = threading.Event()

        def wait() -> None:
            tried.wait()
            if self.problem is not None:
                raise self.problem

        done = None if on_done is None else lambda _nothing: on_done()
        self.lane.submit(("tried", id(tried)), lambda _job: tried.set(), done, priority=40)
        return wait

    def forget(self) -> None:
        """The data set is left: what is not written by now was given up."""
        self._states, self._settings, self._crf, self._failing = {}, {}, None, False
        self._problems.clear()
        self._rest.stop()
        self._at_latest.stop()

    def _save(self, project: Project, document: Document) -> None:
        # Copies: the person paints on while they are written.
        labels, pinned = document.class_map.labels.copy(), document.class_map.pinned.copy()
        crf = document.crf.to_dict()
        item_id, revision = document.item.id, document.revision
        document.submitted = revision

        def work() -> MapStamp | None:
            project.save_map(item_id, labels, pinned, crf=crf)
            return project.labels.stamp(item_id)

        def done(stamp: MapStamp | None) -> None:
            document.history.stamp = stamp
            document.saved = revision

        def failed() -> None:
            if document.submitted == revision:
                document.submitted = document.saved

        self._submit(("save", item_id), work, done, failed, priority=50)

    def _save_states(self, project: Project) -> None:
        states = dict(self._states)

        def work() -> None:
            by_state: dict[str, list[int]] = {}
            for item_id, state in states.items():
                by_state.setdefault(state, []).append(item_id)
            for state, ids in by_state.items():
                project.set_states(ids, state)

        def done(_nothing: object) -> None:
            self._states = {key: state for key, state in self._states.items() if states.get(key) != state}

        self._submit("states", work, done, priority=60)

    def _save_settings(self, project: Project) -> None:
        settings = dict(self._settings)

        def work() -> None:
            for name, value in settings.items():
                project.save_setting(name, value)

        def done(_nothing: object) -> None:
            kept = self._settings.items()
            self._settings = {name: value for name, value in kept if name not in settings or settings[name] != value}

        self._submit("settings", work, done, priority=50)

    def _submit(
        self,
        key: Hashable,
        work: Callable[[], Any],
        on_done: Callable[[Any], None],
        on_failed: Callable[[], None] = lambda: None,
        *,
        priority: int,
    ) -> None:
        problems = self._problems

        def run(_job: Job) -> Any:
            try:
                result = work()
            except StudioError as error:
                problems[key] = error
                raise
            problems.pop(key, None)
            return result

        def done(result: Any) -> None:
            on_done(result)
            if self._failing and not problems:
                self._failing = False
                self.recovered.emit()

        def failed(error: StudioError) -> None:
            on_failed()
            self._failing = True
            self._at_latest.start(RETRY_MS)
            self.failed.emit(error)

        self.lane.submit(key, run, done, failed, priority=priority, interrupt=False)
