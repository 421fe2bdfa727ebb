"""The label set at work: its editor, and what the classes of a model become when they are not the data set's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QLocale, QObject, Qt
from PySide6.QtWidgets import QDialog, QMessageBox, QProgressDialog, QWidget

if TYPE_CHECKING:
    from deeplab_studio.app.label_changes import LabelStep
    from deeplab_studio.app.model_mapping import ModelMappingDialog
    from deeplab_studio.app.panels.classes import ClassesPanel
    from deeplab_studio.app.panels.status import StatusArea
    from deeplab_studio.app.session import Session
    from deeplab_studio.app.settings import Settings

SHOW_AFTER_MS = 400
"""Undoing a change of the label set shows its progress if it takes longer than this."""


class LabelSets(QObject):
    """The label set editor and the mapping screen of one window.

    Parameters
    ----------
    session : Session
    panel : ClassesPanel
    status : StatusArea
    settings : Settings
    window : QWidget
    """

    def __init__(
        self, session: Session, panel: ClassesPanel, status: StatusArea, settings: Settings, window: QWidget
    ) -> None:
        super().__init__(window)
        self._session = session
        self._status = status
        self._settings = settings
        self._window = window
        self._progress: QProgressDialog | None = None
        self.dialog: QDialog | None = None
        """The editor or the mapping screen, while one is open."""
        panel.editRequested.connect(self.edit)
        session.classesUnmatched.connect(self._tell_unmatched)
        session.edits.ask = self._ask
        changes = session.edits.label_changes
        changes.started.connect(self._on_started)
        changes.progressed.connect(self._on_progress)
        changes.ended.connect(self._on_ended)

    def callbacks(self) -> dict[str, Callable[..., None]]:
        """What the actions do."""
        return {"label_set": self.edit, "map_classes": self.map_classes}

    def edit(self) -> None:
        """Show the editor."""
        if self._session.project is None or self._session.edits.frozen:
            return
        from deeplab_studio.app.label_set_editor import LabelSetEditor

        root = self._session.project.root
        folder = root or Path(self._settings.get("files/last_folder") or Path.home())
        self.open(LabelSetEditor(self._session, folder, self._window))

    def map_classes(self) -> None:
        """Show the mapping screen for the model in use."""
        model = self._session.predictions.model
        if model is None or self._session.edits.frozen:
            return
        from deeplab_studio.app.model_mapping import ModelMappingDialog

        dialog = ModelMappingDialog(model, self._session.label_set, self._session.mappings.choices(model), self._window)
        dialog.accepted.connect(lambda: self._decide(dialog))
        self.open(dialog)

    def close(self) -> None:
        """Close the dialog that is open."""
        if self.dialog is not None:
            self.dialog.close()

    def open(self, dialog: QDialog) -> None:
        """Show a dialog unless another one is open, which is shown instead."""
        if self.dialog is not None:
            if dialog is not self.dialog:
                dialog.deleteLater()
            self.dialog.raise_()
            self.dialog.activateWindow()
            return
        self.dialog = dialog
        dialog.finished.connect(lambda _result: self._closed())
        dialog.show()

    def _closed(self) -> None:
        dialog, self.dialog = self.dialog, None
        if dialog is not None:
            dialog.deleteLater()

    def _decide(self, dialog: ModelMappingDialog) -> None:
        session, model = self._session, dialog.model
        additions = dialog.additions()
        if additions is None:
            session.decide_mapping(model, dialog.choices(session.label_set))
            return

        def ended(_step: LabelStep, _back: bool, problem: object) -> None:
            session.edits.label_changes.ended.disconnect(ended)
            if problem is None:
                session.decide_mapping(model, choices)

        choices = dialog.choices(additions.new)
        session.edits.label_changes.ended.connect(ended)
        session.edits.relabel(additions)

    def _tell_unmatched(self, text: str) -> None:
        self._status.show_notice(text, "warning", (self.tr("Map classes…"), self.map_classes))

    def _ask(self, question: str) -> bool:
        yes = QMessageBox.StandardButton.Yes
        no = QMessageBox.StandardButton.No
        answer = QMessageBox.question(self._window, self.tr("Take the change back"), question, yes | no, no)
        return answer == yes

    def _on_started(self, step: LabelStep) -> None:
        if self.dialog is not None:
            return  # the editor shows it
        progress = QProgressDialog(step.name, self.tr("Stop"), 0, 1000, self._window)
        progress.setWindowTitle(self.tr("Class maps"))
        progress.setWindowModality(Qt.WindowModality.WindowModal)
        progress.setMinimumDuration(SHOW_AFTER_MS)
        progress.setAutoReset(False)
        progress.canceled.connect(self._session.edits.label_changes.cancel)
        progress.setValue(0)
        self._progress = progress

    def _on_progress(self, share: float) -> None:
        if self._progress is not None:
            self._progress.setValue(round(1000 * share))

    def _on_ended(self, step: LabelStep, back: bool, problem: object) -> None:
        from deeplab_studio.app.label_changes import ImportStep

        changes = self._session.edits.label_changes
        if problem is None and not back and changes.pixels and not isinstance(step, ImportStep):
            number = QLocale().toString
            text = self.tr("{0}: {1} pixels in {2} images changed. Undo takes it back.")
            self._status.show_notice(text.format(step.name, number(changes.pixels), number(changes.images)), "success")
        progress, self._progress = self._progress, None
        if progress is not None:
            progress.canceled.disconnect()
            progress.close()
            progress.deleteLater()
