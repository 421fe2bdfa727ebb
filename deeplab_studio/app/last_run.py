"""Notices that the program was killed or crashed, and offers what it was working on."""

from __future__ import annotations

import json
import logging
import secrets
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from PySide6.QtCore import QObject

if TYPE_CHECKING:
    from deeplab_studio.app.panels.empty_state import EmptyState
    from deeplab_studio.app.panels.status import StatusArea
    from deeplab_studio.app.session import Session
    from deeplab_studio.app.window import MainWindow
    from deeplab_studio.core.project import Project
    from deeplab_studio.core.project_file import WriterLock

log = logging.getLogger(__name__)

_MOST_PATHS = 500
"""Loose photos that are remembered."""


class Interrupted(NamedTuple):
    """A run that did not end: what it had open, and what a person calls that."""

    paths: list[Path]
    name: str


class RunMark:
    """A file that is there while a window has a data set open, and stays if the program is killed.

    Beside it is a file with a lock that the system drops with the process, so a mark without one is left over.

    Parameters
    ----------
    folder : Path
        Where the marks of all windows are.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder / f"{secrets.token_hex(8)}.json"
        self._lock: WriterLock | None = None

    def put(self, paths: Sequence[Path], name: str) -> None:
        """Say that this is open.

        Raises
        ------
        OSError
            If the folder cannot be written.
        """
        from deeplab_studio.core.project_file import WriterLock

        self._folder.mkdir(parents=True, exist_ok=True)
        if self._lock is None:
            self._lock = WriterLock.acquire(self._path)
        content = {"paths": [str(path) for path in paths], "name": name}
        self._path.write_text(json.dumps(content), encoding="utf-8")

    def remove(self) -> None:
        """The window has ended as it should, or nothing is open any more."""
        with suppress(OSError):
            self._path.unlink(missing_ok=True)
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def take_left_over(self) -> list[Interrupted]:
        """The runs that were interrupted, the last one first; they are not told a second time."""
        marks = list(self._folder.glob("*.json"))
        if not marks:
            return []
        from deeplab_studio.core.project_file import WriterLock

        found: list[tuple[float, Interrupted]] = []
        for path in marks:
            try:
                lock = WriterLock.acquire(path)
                if lock is None:
                    continue
                try:
                    content = json.loads(path.read_text(encoding="utf-8"))
                    run = Interrupted([Path(each) for each in content["paths"]], str(content["name"]))
                    found.append((path.stat().st_mtime, run))
                except (ValueError, KeyError, TypeError) as error:
                    log.warning("%s is no mark of a run: %s", path, error)
                finally:
                    with suppress(OSError):
                        path.unlink()
                    lock.release()
            except OSError as error:
                log.warning("%s cannot be looked at: %s", path, error)
        found.sort(key=lambda pair: pair[0], reverse=True)
        return [run for _, run in found]


class LastRun(QObject):
    """Marks what the window has open, and says so once if the last run was interrupted.

    Parameters
    ----------
    session : Session
    empty_state : EmptyState
    status : StatusArea
    window : MainWindow
    folder : Path
        Where the marks are.
    """

    def __init__(
        self, session: Session, empty_state: EmptyState, status: StatusArea, window: MainWindow, folder: Path
    ) -> None:
        super().__init__(window)
        self._session = session
        self._empty_state = empty_state
        self._status = status
        self._window = window
        self._mark = RunMark(folder)
        self._found: Interrupted | None = None
        session.projectChanged.connect(self._on_project)
        session.itemsChanged.connect(lambda _items: self._put())

    def look(self) -> None:
        """Look for an interrupted run and offer what it had open."""
        found = self._mark.take_left_over()
        if not found:
            return
        self._found = found[0]
        session = self._session
        if session.project is not None:
            self._tell(session.project)
        elif session.disk.find("open") is None:
            # Nothing was asked for: it is offered where the person is about to choose.
            name = self._found.name
            self._empty_state.set_interrupted(self._sentence(name), self.tr("Open {0}").format(name), self._open)

    def close(self) -> None:
        """The window ends as it should."""
        self._mark.remove()

    def _sentence(self, name: str) -> str:
        text = self.tr("DeepLab Studio ended unexpectedly. “{0}” was restored up to the last change.")
        return text.format(name)

    def _open(self) -> None:
        if self._found is not None:
            self._window.open_paths(self._found.paths)

    def _on_project(self, project: Project | None) -> None:
        self._empty_state.set_interrupted("")
        if self._found is not None and project is not None:
            self._tell(project)
        self._put()

    def _tell(self, project: Project) -> None:
        """Say it in the status bar: something was opened already."""
        found = self._found
        assert found is not None
        same = [project.root] == found.paths or (project.root is None and not found.paths[0].is_dir())
        action = None if same else (self.tr("Open"), self._open)
        self._status.show_notice(self._sentence(found.name), "warning", action)
        if same:
            self._found = None

    def _put(self) -> None:
        project = self._session.project
        if project is None or project.read_only:
            self._mark.remove()
            return
        root = project.root
        paths = [root] if root is not None else [item.path for item in self._session.items[:_MOST_PATHS]]
        name = root.name if root is not None else self.tr("your photos")
        if not paths:
            return
        try:
            self._mark.put(paths, name or str(root))
        except OSError as error:
            log.warning("what is open cannot be marked: %s", error)
