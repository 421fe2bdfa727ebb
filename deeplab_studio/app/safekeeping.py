"""What keeps a window's work safe: leaving only when it is saved, copies of the project, what a crash left open."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject

from deeplab_studio.app.backups import Backups
from deeplab_studio.app.last_run import LastRun
from deeplab_studio.app.leaving import Leaving

if TYPE_CHECKING:
    from deeplab_studio.app.window import MainWindow


class Safekeeping(QObject):
    """Constructed by the window, which asks it before it closes.

    Parameters
    ----------
    window : MainWindow
    """

    def __init__(self, window: MainWindow) -> None:
        super().__init__(window)
        from platformdirs import user_state_path

        self._window = window
        session = window.session
        marks = user_state_path("deeplab-studio", appauthor=False) / "running"
        self.leaving = Leaving(session, window)
        self.backups = Backups(session, window.status_area, window.open_paths, self)
        self.last_run = LastRun(session, window.empty_state, window.status_area, window, marks)
        session.may_leave = partial(self.leaving.settle, closing=False)
        self._notices = window.status_area.notices
        self._told: set[str] = set()
        session.autosave.failed.connect(lambda error: self._told.add(str(error)))
        session.autosave.recovered.connect(self._on_recovered)

    def _on_recovered(self) -> None:
        """What could not be saved is: the messages about it have had their day."""
        for text in self._told:
            self._notices.withdraw(text)
        self._told.clear()
        self._window.session.noticed.emit("success", self.tr("Everything is saved again."))

    def may_close(self) -> bool:
        """Save everything; whether the window may close."""
        return self.leaving.settle(closing=True)

    def close(self) -> None:
        """The window closes."""
        self.backups.close()
        self.last_run.close()
