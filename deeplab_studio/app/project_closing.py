"""Closes projects only when everything that was to be saved in them was tried."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from deeplab_studio.app.autosave import Autosave
    from deeplab_studio.app.jobs import Lane
    from deeplab_studio.core.project import Project


class ProjectClosing:
    """Two lanes work on a project: one saves, the other does everything else.

    Parameters
    ----------
    autosave : Autosave
    disk : Lane
    """

    def __init__(self, autosave: Autosave, disk: Lane) -> None:
        self._autosave = autosave
        self._disk = disk
        self._waiting: set[Project] = set()

    def later(self, project: Project, on_closed: Callable[[], object]) -> None:
        """Close a project behind all work that was asked for, then call `on_closed` in the window's thread."""
        self._waiting.add(project)

        def closed(_nothing: object) -> None:
            self._waiting.discard(project)
            on_closed()

        def close() -> None:
            self._disk.submit(("close", id(project)), lambda _job: _close(project), closed, priority=1)

        self._autosave.when_tried(close)

    def now(self, project: Project | None) -> None:
        """Wait for all work, end both lanes and close this project and those that are waiting."""
        self._autosave.lane.close(finish=True)
        self._disk.close(finish=True)
        for each in {*self._waiting, *([project] if project is not None else [])}:
            _close(each)
        self._waiting.clear()


def _close(project: Project) -> None:
    project.labels.close()
    project.close()
