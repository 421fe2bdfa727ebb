"""Copies the project once a day while it is open, and goes back to a copy when the project turns out to be damaged."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QTimer

from deeplab_studio.app.jobs import Job, Lane
from deeplab_studio.core.errors import StudioError

if TYPE_CHECKING:
    from deeplab_studio.app.panels.status import StatusArea
    from deeplab_studio.app.session import Session
    from deeplab_studio.core.project_backups import Backup, Restored

log = logging.getLogger(__name__)

FIRST_MS = 5_000
"""Opening a data set has other things to do at first."""

LOOK_MS = 30 * 60_000
"""A window may stay open for days."""


class Backups(QObject):
    """Makes the copies, in a lane of its own: saving never waits for them.

    Parameters
    ----------
    session : Session
    status : StatusArea
        Says when the project is damaged.
    open_paths : callable
        Opens the data set again after going back to a copy.
    parent : QObject
    """

    def __init__(
        self, session: Session, status: StatusArea, open_paths: Callable[[Sequence[Path]], None], parent: QObject
    ) -> None:
        super().__init__(parent)
        self._session = session
        self._status = status
        self._open_paths = open_paths
        self._lane: Lane | None = None
        self._first = QTimer(self, singleShot=True, interval=FIRST_MS)
        self._again = QTimer(self, interval=LOOK_MS)
        self._first.timeout.connect(self.make_if_due)
        self._again.timeout.connect(self.make_if_due)
        session.projectChanged.connect(lambda _project: self._on_project())

    def make_if_due(self) -> None:
        """Copy the project if the newest copy is too old."""
        project = self._session.project
        if project is None or project.read_only or not project.is_on_disk:
            return
        path = project.path

        def work(job: Job) -> Backup | None:
            from deeplab_studio.core.project_backups import is_due, make_backup

            return make_backup(path, job.token) if is_due(path) else None

        def failed(error: StudioError) -> None:
            from deeplab_studio.core.project_schema import DamagedProject

            if isinstance(error, DamagedProject) and self._is_open(path):
                self._tell_damaged(path, error)
            else:
                log.warning("%s", error)

        if self._lane is None:
            self._lane = Lane("backups", self)
        self._lane.submit("backup", work, None, failed)

    def close(self) -> None:
        """Make no more; one under way is dropped."""
        self._first.stop()
        self._again.stop()
        if self._lane is not None:
            self._lane.close()

    def _on_project(self) -> None:
        if self._lane is not None:
            self._lane.cancel("backup")
        self._first.start()
        self._again.start()

    def _is_open(self, path: Path) -> bool:
        project = self._session.project
        return project is not None and project.path == path

    def _tell_damaged(self, path: Path, error: StudioError) -> None:
        from deeplab_studio.core.project_backups import backups

        newest = next(iter(backups(path)), None)
        self._again.stop()
        if newest is None:
            text = self.tr("{0} Save a copy elsewhere or export what is done: no copy of it was made before.")
            self._status.show_notice(text.format(error), "error")
            return
        text = self.tr("{0} What can be read of it can be put into the copy of {1}.")
        action = (self.tr("Go back to the copy"), lambda: self.go_back(path))
        self._status.show_notice(text.format(error, f"{newest.made:%Y-%m-%d %H:%M}"), "error", action)

    def go_back(self, path: Path) -> None:
        """Close the data set, put the newest whole copy in its place, and open it again."""
        session = self._session
        project = session.project
        if project is None or project.path != path or not session.may_leave():
            return
        root = project.root
        paths = [root] if root is not None else [item.path for item in session.items]

        def work(_job: Job) -> Restored | None:
            from deeplab_studio.core.project_backups import restore

            return restore(path)

        def done(restored: Restored | None) -> None:
            if restored is not None:
                session.noticed.emit("warning", restored.notice)
            else:
                session.noticed.emit("error", self.tr("No copy of the project can be read; it stays as it is."))
            self._open_paths(paths)

        session.leave(lambda: session.disk.submit("go back", work, done))
