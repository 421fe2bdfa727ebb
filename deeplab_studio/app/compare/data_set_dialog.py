"""The dialog that measures models on all images with ground truth: what, where to, how far it is, how it went."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QLocale, Qt, QUrl
from PySide6.QtGui import QCloseEvent, QDesktopServices
from PySide6.QtWidgets import (
    QAbstractItemView,
    QCheckBox,
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QLineEdit,
    QProgressBar,
    QPushButton,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from deeplab_studio.app.compare.data_set_run import Measured, Plan, crfs_of, measure
from deeplab_studio.app.crf_batch_dialog import duration
from deeplab_studio.app.jobs import Job, Lane
from deeplab_studio.app.panels.controls import GAP

if TYPE_CHECKING:
    from deeplab_studio.app.compare.answers import Answers
    from deeplab_studio.app.compare.choice import PaneChoice
    from deeplab_studio.app.session import Session
    from deeplab_studio.app.settings import Settings
    from deeplab_studio.core.errors import StudioError

_SHOWN_PROBLEMS = 5


class DataSetDialog(QDialog):
    """Measures the panes' models. It does not block the window.

    Parameters
    ----------
    session : Session
    answers : Answers
    choices : sequence of PaneChoice
        Models and their CRFs.
    settings : Settings
    parent : QWidget, optional
    """

    def __init__(
        self,
        session: Session,
        answers: Answers,
        choices: Sequence[PaneChoice],
        settings: Settings,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.setWindowTitle(self.tr("Compare models over the data set"))
        self.resize(620, 420)
        self._answers = answers
        self._choices = list(choices)
        self._settings = settings
        self._plan = Plan.of(session)
        self._lane = Lane("compare data set", self)
        self._started = 0.0
        self.measured: Measured | None = None
        """What came of it, once it is done."""

        models = QLabel("\n".join(path.stem for path in crfs_of(self._choices, both=False)) or self.tr("None"))
        self.both_box = QCheckBox(self.tr("Every model without and with the CRF"))
        self.both_box.setToolTip(self.tr("Otherwise as its panes show it"))
        self.both_box.setChecked(True)
        images = self.tr("{0} with ground truth").format(len(self._plan.found))
        if self._plan.missing:
            images += "  ·  " + self.tr("{0} without are left out").format(len(self._plan.missing))
        folder = Path(settings.get("files/last_export_folder") or Path.home()) / "comparison"
        self.folder_edit = QLineEdit(str(folder))
        self.folder_edit.setAccessibleName(self.tr("Folder for the report"))
        self.folder_edit.textChanged.connect(lambda _text: self._update())
        browse = QPushButton(self.tr("Browse…"))
        browse.setAutoDefault(False)
        browse.clicked.connect(self._browse)
        row = QHBoxLayout()
        row.addWidget(self.folder_edit, 1)
        row.addWidget(browse)
        form = QFormLayout()
        form.addRow(self.tr("Models"), models)
        form.addRow("", self.both_box)
        form.addRow(self.tr("Images"), QLabel(images))
        form.addRow(self.tr("Report in"), row)

        self.progress_bar = QProgressBar()
        self.progress_bar.setTextVisible(False)
        self.progress_label = QLabel(textFormat=Qt.TextFormat.PlainText)
        self.result_label = QLabel(wordWrap=True, textFormat=Qt.TextFormat.PlainText)
        self.result_label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.table = self._make_table()
        for part in (self.progress_bar, self.progress_label, self.result_label, self.table):
            part.hide()
        self.buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        self.start_button = self.buttons.addButton(self.tr("Measure"), QDialogButtonBox.ButtonRole.AcceptRole)
        self.start_button.setDefault(True)
        self.stop_button = self.buttons.addButton(self.tr("Stop"), QDialogButtonBox.ButtonRole.ActionRole)
        self.open_button = self.buttons.addButton(self.tr("Open report"), QDialogButtonBox.ButtonRole.ActionRole)
        self.start_button.clicked.connect(self.start)
        self.stop_button.clicked.connect(self.stop)
        self.open_button.clicked.connect(self._open_report)
        self.buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        layout.setSpacing(2 * GAP)
        layout.addLayout(form)
        layout.addWidget(self.progress_bar)
        layout.addWidget(self.progress_label)
        layout.addWidget(self.table, 1)
        layout.addWidget(self.result_label)
        layout.addStretch()
        layout.addWidget(self.buttons)
        self._update()

    @property
    def running(self) -> bool:
        """Whether models are being measured."""
        return self._lane.find("measure") is not None

    @property
    def folder(self) -> Path:
        """Where the report goes."""
        return Path(self.folder_edit.text().strip())

    def start(self) -> None:
        """Begin."""
        plan, choices, answers = self._plan, self._choices, self._answers
        folder, both = self.folder, self.both_box.isChecked()

        def work(job: Job) -> Measured:
            return measure(plan, choices, answers, folder, both=both, cancel=job.token, progress=job.report)

        self.measured = None
        self._started = time.monotonic()
        self.progress_bar.setRange(0, len(plan.found))
        self.progress_bar.setValue(0)
        self.progress_label.setText(self.tr("Loading the models"))
        self.result_label.hide()
        self.table.hide()
        self._lane.submit("measure", work, self._on_done, self._on_failed, on_progress=self._on_progress)
        self._update()

    def stop(self) -> None:
        """End without a report."""
        self._lane.keep_only(())
        self._say(self.tr("Stopped; no report was written."))
        self._update()

    def done(self, result: int) -> None:
        """Close; what is under way is stopped."""
        self._lane.close()
        super().done(result)

    def closeEvent(self, event: QCloseEvent) -> None:
        """The window's own close button is the same as Close."""
        self.done(0)
        super().closeEvent(event)

    def _on_progress(self, done: int) -> None:
        total = self.progress_bar.maximum()
        self.progress_bar.setValue(done)
        text = self.tr("{0} of {1}").format(done, total)
        if done < total:
            left = (time.monotonic() - self._started) / done * (total - done)
            text += "  ·  " + self.tr("about {0} left").format(duration(left))
        self.progress_label.setText(text)

    def _on_done(self, measured: Measured) -> None:
        self.measured = measured
        self._settings.set("files/last_export_folder", str(self.folder.absolute().parent))
        failed = [problem for problem in measured.problems if problem.path not in self._plan.missing]
        lines = [*measured.notes, self.tr("Report: {0}").format(self.folder / "report.html")]
        lines += [str(problem) for problem in failed[:_SHOWN_PROBLEMS]]
        if len(failed) > _SHOWN_PROBLEMS:
            lines.append(self.tr("… and {0} more that were left out.").format(len(failed) - _SHOWN_PROBLEMS))
        self._fill_table(measured)
        self._say("\n".join(lines))
        self._update()

    def _on_failed(self, error: StudioError) -> None:
        self._say(str(error))
        self._update()

    def _fill_table(self, measured: Measured) -> None:
        number = QLocale().toString
        self.table.setRowCount(len(measured.outcomes))
        best = max((each.matrix.miou() for each in measured.outcomes), default=math.nan)
        for row, each in enumerate(measured.outcomes):
            values = (100 * each.matrix.miou(), 100 * each.matrix.pixel_accuracy(), each.seconds / max(each.images, 1))
            cells = [QTableWidgetItem(each.name), *(QTableWidgetItem(number(value, "f", 2)) for value in values)]
            for column, cell in enumerate(cells):
                if column:
                    cell.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
                if each.matrix.miou() == best:
                    font = cell.font()
                    font.setBold(True)
                    cell.setFont(font)
                cell.setToolTip(cell.text())
                self.table.setItem(row, column, cell)
        self.table.show()

    def _make_table(self) -> QTableWidget:
        table = QTableWidget(0, 4)
        table.setHorizontalHeaderLabels(
            [self.tr("Model"), self.tr("mIoU %"), self.tr("Pixels %"), self.tr("s / image")]
        )
        table.setAccessibleName(self.tr("Results"))
        table.verticalHeader().hide()
        table.verticalHeader().setDefaultSectionSize(24)
        table.horizontalHeader().setHighlightSections(False)
        table.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        table.horizontalHeader().setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        table.setShowGrid(False)
        table.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        return table

    def _say(self, text: str) -> None:
        self.result_label.setText(text)
        self.result_label.show()

    def _update(self) -> None:
        busy = self.running
        self.start_button.setEnabled(
            not busy and bool(self._choices) and bool(self._plan.found) and bool(self.folder_edit.text().strip())
        )
        self.stop_button.setVisible(busy)
        self.open_button.setVisible(self.measured is not None)
        self.progress_bar.setVisible(busy)
        self.progress_label.setVisible(busy)
        self.both_box.setEnabled(not busy)
        self.folder_edit.setEnabled(not busy)

    def _browse(self) -> None:
        name = QFileDialog.getExistingDirectory(self, self.tr("Folder for the report"), str(self.folder.parent))
        if name:
            self.folder_edit.setText(name)

    def _open_report(self) -> None:
        QDesktopServices.openUrl(QUrl.fromLocalFile(str(self.folder / "report.html")))
