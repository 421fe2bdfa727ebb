"""Sees to it that nothing is lost when the window closes or another data set is opened."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from PySide6.QtCore import QEventLoop, QObject, Qt, QTimer
from PySide6.QtWidgets import QFileDialog, QMessageBox, QProgressDialog, QWidget

from deeplab_studio.core.errors import StudioError

if TYPE_CHECKING:
    from deeplab_studio.app.document import Document
    from deeplab_studio.app.jobs import Job
    from deeplab_studio.app.session import Session
    from deeplab_studio.core.project import Project

PATIENCE_MS = 600
"""Saving that takes longer is shown, and can be waited for no longer."""

Choice = Literal["again", "copy", "lose", "stay"]


class Leaving(QObject):
    """Saves everything before it goes out of reach, and asks what to do if that fails.

    Parameters
    ----------
    session : Session
    window : QWidget
        For the dialogs.
    """

    def __init__(self, session: Session, window: QWidget) -> None:
        super().__init__(window)
        self._session = session
        self._window = window
        self._settling = False

    def settle(self, *, closing: bool) -> bool:
        """Save everything and wait for it; the window goes on being drawn meanwhile.

        Parameters
        ----------
        closing : bool
            Whether the window is about to close, rather than another data set about to open.

        Returns
        -------
        bool
            Whether the data set may be left: everything is on disk, or the person gave it up or has it elsewhere.
        """
        session = self._session
        if self._settling:
            return False
        session.painting.abort()
        if session.project is None or session.project.read_only or self._is_saved():
            return True
        self._settling = True
        try:
            while True:
                if not self._wait(self._flush, self.tr("Saving…")):
                    return False
                if self._is_saved():
                    return True
                choice = self._ask(closing)
                if choice == "lose" or (choice == "copy" and self._save_copy()):
                    return True
                if choice == "stay":
                    return False
        finally:
            self._settling = False

    def _is_saved(self) -> bool:
        return not self._session.unsaved

    def _flush(self, done: Callable[[], None]) -> None:
        self._session.flush(done)

    def _wait(self, start: Callable[[Callable[[], None]], None], text: str) -> bool:
        """Start something and wait until it says that it is done; False if the person does not want to wait."""
        loop = QEventLoop(self)
        dialog = QProgressDialog(text, self.tr("Keep working"), 0, 0, self._window)
        dialog.setWindowTitle(self.tr("DeepLab Studio"))
        dialog.setWindowModality(Qt.WindowModality.ApplicationModal)
        dialog.setMinimumDuration(3_600_000)  # shown by the timer below alone
        dialog.canceled.connect(lambda: loop.exit(1))
        patience = QTimer(loop, singleShot=True, interval=PATIENCE_MS)
        patience.timeout.connect(dialog.show)
        patience.start()
        # Queued: what is waited for may be done before the loop runs.
        QTimer.singleShot(0, loop, lambda: start(lambda: loop.exit(0)))
        # Until the dialog is there to catch them, what a person presses goes nowhere.
        flags = QEventLoop.ProcessEventsFlag.ExcludeUserInputEvents
        patience.timeout.connect(lambda: loop.exit(2))
        outcome = loop.exec(flags)
        if outcome == 2:
            outcome = loop.exec()
        patience.stop()
        dialog.canceled.disconnect()
        dialog.hide()
        dialog.deleteLater()
        loop.deleteLater()
        return outcome == 0

    def _ask(self, closing: bool) -> Choice:
        saving = self._session.autosave
        images = {document.item.id for document in saving.unsaved_documents} | saving.unsaved_states.keys()
        box = QMessageBox(self._window)
        box.setIcon(QMessageBox.Icon.Warning)
        box.setWindowTitle(self.tr("Not everything is saved"))
        if len(images) == 1:
            box.setText(self.tr("Changes of one image could not be saved."))
        elif images:
            box.setText(self.tr("Changes of {0} images could not be saved.").format(len(images)))
        else:
            box.setText(self.tr("Settings of the data set could not be saved."))
        problem = saving.problem
        box.setInformativeText("" if problem is None else str(problem))
        roles = QMessageBox.ButtonRole
        again = box.addButton(self.tr("Try again"), roles.AcceptRole)
        copy = box.addButton(self.tr("Save a copy elsewhere…"), roles.AcceptRole)
        lose_text = self.tr("Close and lose them") if closing else self.tr("Leave and lose them")
        lose = box.addButton(lose_text, roles.DestructiveRole)
        stay = box.addButton(self.tr("Keep working"), roles.RejectRole)
        box.setDefaultButton(again)
        box.setEscapeButton(stay)
        box.exec()
        clicked = box.clickedButton()
        box.deleteLater()
        choices: dict[object, Choice] = {again: "again", copy: "copy", lose: "lose"}
        return choices.get(clicked, "stay")

    def _save_copy(self) -> bool:
        """Write the whole project, with what could not be saved, to a folder of the person's choice."""
        session = self._session
        project = session.project
        assert project is not None
        title = self.tr("Save a copy of the project to")
        folder = QFileDialog.getExistingDirectory(self._window, title, str(Path.home()))
        if not folder:
            return False
        target = _copy_name(Path(folder), project)
        documents, states = session.autosave.unsaved_documents, session.autosave.unsaved_states
        problems: list[StudioError] = []

        def work(_job: Job) -> None:
            write_copy(project, target, documents, states)

        def start(done: Callable[[], None]) -> None:
            def failed(error: StudioError) -> None:
                problems.append(error)
                done()

            session.disk.submit("copy", work, lambda _nothing: done(), failed, priority=70)

        if not self._wait(start, self.tr("Saving a copy…")):
            session.disk.cancel("copy")
            return False
        if problems:
            QMessageBox.warning(self._window, self.tr("The copy could not be saved"), str(problems[0]))
            return False
        text = self.tr("Everything is in {0}. Open this file in DeepLab Studio to go on from there.")
        QMessageBox.information(self._window, self.tr("Copy saved"), text.format(target))
        return True


def write_copy(project: Project, target: Path, documents: list[Document], states: dict[int, str]) -> None:
    """Copy a project, with what is in memory only, to a file that stands by itself.

    Parameters
    ----------
    project : Project
    target : Path
    documents : list of Document
        Images whose class map is not saved; nobody changes them meanwhile.
    states : dict of int to str
        States that are not saved, by item.

    Raises
    ------
    StudioError
        If it cannot be written; no half copy is left.
    """
    from deeplab_studio.core.project import Project as ProjectFile

    project.copy_to(target)
    try:
        with ProjectFile.open(target) as copy:
            for item_id, state in states.items():
                copy.set_state(item_id, state)
            for document in documents:
                class_map, crf = document.class_map, document.crf.to_dict()
                copy.save_map(document.item.id, class_map.labels, class_map.pinned, crf=crf)
    except StudioError:
        target.unlink(missing_ok=True)
        raise


def _copy_name(folder: Path, project: Project) -> Path:
    """A name that is free: of the data set, with the day."""
    from deeplab_studio.core.project import PROJECT_SUFFIX

    name = project.root.name if project.root is not None else project.path.stem
    stem = f"{name} {datetime.now():%Y-%m-%d}"
    names = (f"{stem}{f' ({number})' if number > 1 else ''}{PROJECT_SUFFIX}" for number in range(1, 1000))
    return next(folder / name for name in names if not (folder / name).exists())
