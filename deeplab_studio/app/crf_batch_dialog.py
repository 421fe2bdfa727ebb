"""The dialog that refines many images: which ones, how far it is, how it went."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtGui import QCloseEvent
from PySide6.QtWidgets import (
    QCheckBox,
    QDialog,
    QDialogButtonBox,
    QFormLayout,
    QLabel,
    QProgressBar,
    QRadioButton,
    QVBoxLayout,
    QWidget,
)

from deeplab_studio.app.crf_batch import CrfBatch, Summary, plan
from deeplab_studio.app.document import CrfSettings
from deeplab_studio.app.panels.controls import GAP
from deeplab_studio.app.panels.crf import params_in_short
from deeplab_studio.core.errors import StudioError

if TYPE_CHECKING:
    from deeplab_studio.app.session import Session
    from deeplab_studio.crf.params import CrfParams

SHOWN_FAILURES = 8


class CrfBatchDialog(QDialog):
    """Applies CRF parameters to all images. It does not block the window: a person may go on working.

    Parameters
    ----------
    session : Session
    params : CrfParams
    parent : QWidget, optional
    """

    def __init__(self, session: Session, params: CrfParams, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(self.tr("Apply the CRF to all images"))
        self.setMinimumWidth(480)
        self._session = session
        self._settings = CrfSettings(True, params)
        self.batch: CrfBatch | None = None
        self._started = 0.0
        self._open_plan = plan(session, finished=False)
        self._full_plan = plan(session, finished=True)

        self.open_button = QRadioButton(
            self.tr("Images that are not finished  ({0})").format(len(self._open_plan.items))
        )
        self.all_button = QRadioButton(self.tr("All images  ({0})").format(len(self._full_plan.items)))
        self.reopen_box = QCheckBox(self.tr("Mark finished images that change as in progress"))
        self.reopen_box.setToolTip(self.tr("Otherwise every image keeps its state"))
        (self.open_button if self._open_plan.items else self.all_button).setChecked(True)
        self.all_button.toggled.connect(lambda _on: self._update())
        form = QFormLayout()
        form.addRow(self.tr("Parameters"), QLabel(params_in_short(params)))
        form.addRow(self.tr("Images"), self.open_button)
        form.addRow("", self.all_button)
        form.addRow("", self.reopen_box)
        note = QLabel(self._note(), wordWrap=True)
        note.setForegroundRole(self.palette().ColorRole.PlaceholderText)

        self.progress_bar = QProgressBar()
        self.progress_bar.setTextVisible(False)
        self.progress_label = QLabel(textFormat=Qt.TextFormat.PlainText)
        self.result_label = QLabel(wordWrap=True, textFormat=Qt.TextFormat.PlainText)
        self.result_label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        for part in (self.progress_bar, self.progress_label, self.result_label):
            part.hide()
        self.buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        self.start_button = self.buttons.addButton(self.tr("Apply"), QDialogButtonBox.ButtonRole.AcceptRole)
        self.stop_button = self.buttons.addButton(self.tr("Stop"), QDialogButtonBox.ButtonRole.ActionRole)
        self.start_button.setDefault(True)
        self.start_button.clicked.connect(self.start)
        self.stop_button.clicked.connect(self.stop)
        self.buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        layout.setSpacing(2 * GAP)
        layout.addLayout(form)
        layout.addWidget(note)
        layout.addWidget(self.progress_bar)
        layout.addWidget(self.progress_label)
        layout.addWidget(self.result_label)
        layout.addWidget(self.buttons)
        self._update()

    @property
    def running(self) -> bool:
        """Whether images are being refined."""
        return self.batch is not None

    def start(self) -> None:
        """Begin with the images chosen."""
        chosen = self._full_plan if self.all_button.isChecked() else self._open_plan
        reopen = self.all_button.isChecked() and self.reopen_box.isChecked()
        batch = CrfBatch(self._session, chosen.items, self._settings, reopen=reopen, parent=self)
        batch.progressed.connect(self._on_progress)
        batch.ended.connect(self._on_ended)
        self.batch = batch
        self._started = time.monotonic()
        self.progress_bar.setRange(0, len(chosen.items))
        self.progress_bar.setValue(0)
        self.result_label.hide()
        self.progress_bar.show()
        self.progress_label.show()
        self._update()
        try:
            batch.start()
        except StudioError as error:
            self._close_batch()
            self._say(str(error))

    def stop(self) -> None:
        """End after the image that is being saved."""
        if self.batch is not None:
            self.batch.stop()

    def reject(self) -> None:
        """Close; what is left over stays as it was."""
        self._close_batch()
        super().reject()

    def closeEvent(self, event: QCloseEvent) -> None:
        """The window's own close button is the same as Close."""
        self._close_batch()
        super().closeEvent(event)

    def _on_progress(self, done: int, name: str) -> None:
        total = self.progress_bar.maximum()
        self.progress_bar.setValue(done)
        text = self.tr("{0} of {1}: {2}").format(done + 1, total, name)
        if done:
            left = (time.monotonic() - self._started) / done * (total - done)
            text += "  ·  " + self.tr("about {0} left").format(duration(left))
        self.progress_label.setText(text)

    def _on_ended(self, summary: Summary) -> None:
        lines = [self.tr("{0} of {1} images refined.").format(summary.refined, summary.total)]
        if summary.stopped:
            lines[0] = self.tr("Stopped: {0} of {1} images refined.").format(summary.refined, summary.total)
        lines += [str(error) for error in summary.failures[:SHOWN_FAILURES]]
        if len(summary.failures) > SHOWN_FAILURES:
            lines.append(self.tr("… and {0} more that failed.").format(len(summary.failures) - SHOWN_FAILURES))
        self._close_batch()
        self._say("\n".join(lines))

    def _close_batch(self) -> None:
        batch, self.batch = self.batch, None
        if batch is not None:
            batch.close()
            batch.deleteLater()
        self.progress_bar.hide()
        self.progress_label.hide()
        self._update()

    def _say(self, text: str) -> None:
        self.result_label.setText(text)
        self.result_label.show()
        self.adjustSize()

    def _update(self) -> None:
        busy = self.running
        chosen = self._full_plan if self.all_button.isChecked() else self._open_plan
        self.start_button.setEnabled(not busy and bool(chosen.items) and not self._session.read_only)
        self.stop_button.setVisible(busy)
        self.open_button.setEnabled(not busy and bool(self._open_plan.items))
        self.all_button.setEnabled(not busy and bool(self._full_plan.items))
        self.reopen_box.setEnabled(not busy and self.all_button.isChecked())

    def _note(self) -> str:
        parts = [self.tr("Images are predicted where that is missing. Pinned pixels stay.")]
        if self._full_plan.labelled_elsewhere:
            text = self.tr("{0} images keep the masks that came with the data set.")
            parts.append(text.format(self._full_plan.labelled_elsewhere))
        if self._session.read_only:
            parts = [self.tr("The data set is open for reading only: nothing can be saved.")]
        return " ".join(parts)


def duration(seconds: float) -> str:
    """A time as a person says it: 40 s, 3 min, 2 h 10 min."""
    if seconds < 60:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
