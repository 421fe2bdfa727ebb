"""Labels of other programs: asked for in the menu, or dropped on the window."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject
from PySide6.QtWidgets import QWidget

if TYPE_CHECKING:
    from deeplab_studio.app.label_sets import LabelSets
    from deeplab_studio.app.session import Session
    from deeplab_studio.app.settings import Settings

LABEL_SUFFIXES = frozenset({".json"})
"""Files dropped on the window that are taken for labels rather than photos."""


class LabelImport(QObject):
    """Shows the import of one window.

    Parameters
    ----------
    session : Session
    label_sets : LabelSets
        Its dialogs and this one exclude each other: all change what class ids mean.
    settings : Settings
    window : QWidget
    """

    def __init__(self, session: Session, label_sets: LabelSets, settings: Settings, window: QWidget) -> None:
        super().__init__(window)
        self._session = session
        self._label_sets = label_sets
        self._settings = settings
        self._window = window

    def callbacks(self) -> dict[str, Callable[..., None]]:
        """What the actions do."""
        return {"import_labels": self.show}

    def show(self, path: Path | None = None) -> None:
        """Show the dialog, which looks at once where it is told."""
        from deeplab_studio.app.label_import_dialog import LabelImportDialog

        session = self._session
        project = session.project
        if project is None or not session.items:
            session.noticed.emit("warning", self.tr("Open the photos first, then import their labels."))
            return
        if project.read_only:
            session.noticed.emit("warning", project.notice or "")
            return
        if session.edits.frozen:
            return
        dialog = self._label_sets.dialog
        if dialog is None:
            dialog = LabelImportDialog(session, self._folder(), self._window)
        self._label_sets.open(dialog)
        if path and isinstance(dialog, LabelImportDialog):
            dialog.look(path)

    def open_when_read(self, path: Path) -> None:
        """Import a file that was dropped, once the photos dropped with it are open."""
        # "open" has a priority of 20 there, so that is over when this comes.
        self._session.disk.submit(("import", path), lambda _job: None, lambda _nothing: self.show(path), priority=19)

    def _folder(self) -> Path:
        project = self._session.project
        if project is not None and project.root is not None:
            return project.root
        return Path(self._settings.get("files/last_folder") or Path.home())
