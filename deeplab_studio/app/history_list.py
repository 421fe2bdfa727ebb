"""The panel of steps at work: what it shows of the session, and going to a step."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QTimer
from PySide6.QtWidgets import QDockWidget, QMainWindow

if TYPE_CHECKING:
    from deeplab_studio.app.actions import Actions
    from deeplab_studio.app.panels.history import HistoryPanel
    from deeplab_studio.app.session import Session
    from deeplab_studio.app.settings import Settings


class HistoryList(QObject):
    """Keeps the panel of steps up to date while it is seen.

    Parameters
    ----------
    session : Session
    settings : Settings
    window : QMainWindow
    """

    def __init__(self, session: Session, settings: Settings, window: QMainWindow) -> None:
        super().__init__(window)
        self._session = session
        self._settings = settings
        self._window = window
        self._dock: QDockWidget | None = None
        self._actions: Actions | None = None
        self.panel: HistoryPanel | None = None
        # Several changes within one gesture are one repaint of the list.
        self._due = QTimer(self, singleShot=True, interval=0)
        self._due.timeout.connect(self._show)
        session.historyChanged.connect(self._due.start)
        session.currentChanged.connect(lambda _document: self._due.start())

    def callbacks(self) -> dict[str, Callable[..., None]]:
        """What the actions do."""
        return {"history": self.show_dock}

    def attach(self, dock: QDockWidget, beside: QDockWidget, actions: Actions) -> None:
        """Live in `dock`, a tab of `beside`, hidden until somebody asks for it."""
        self._dock, self._actions = dock, actions
        self._window.tabifyDockWidget(beside, dock)
        dock.hide()
        dock.visibilityChanged.connect(self._on_visible)
        dock.toggleViewAction().toggled.connect(lambda on: actions.set_checked("history", on))

    def show_dock(self, on: bool) -> None:
        """Show or hide the panel."""
        if self._dock is None:
            return
        self._dock.setVisible(on)
        if on:
            self._dock.raise_()

    def _on_visible(self, visible: bool) -> None:
        if visible:
            self._build()
            self._show()

    def _build(self) -> None:
        if self.panel is not None or self._dock is None:
            return
        from deeplab_studio.app.panels.history import HistoryPanel

        self.panel = HistoryPanel()
        self.panel.chosen.connect(self._session.edits.go_to)
        self.panel.boundChanged.connect(lambda count: self._settings.set("memory/history_bytes", count))
        self._dock.setWidget(self.panel)

    def _show(self) -> None:
        panel, session = self.panel, self._session
        if panel is None or not panel.isVisible():
            return
        edits = session.edits
        panel.set_steps(edits.rows(), image=session.current is not None, forgotten=edits.forgotten)
        panel.set_memory(edits.histories.nbytes, edits.histories.max_bytes)
