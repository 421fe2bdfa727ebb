"""The export dialog: which images go where, and how it went."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, QUrl, Signal
from PySide6.QtGui import QCloseEvent, QDesktopServices
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QProgressBar,
    QPushButton,
    QRadioButton,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from deeplab_studio.app.exporting import SCOPES, Scope, export_items, in_scope
from deeplab_studio.app.jobs import Job, Lane

if TYPE_CHECKING:
    from deeplab_studio.core.errors import StudioError
    from deeplab_studio.core.project import Item, Project
    from deeplab_studio.core.voc import ExportReport


class ExportDialog(QDialog):
    """Exports images of the open data set as Pascal VOC.

    Parameters
    ----------
    project : Project
    items : sequence of Item
        The images in the list.
    current : int or None
        The one on screen.
    mapped : collection of int
        Items that have a class map.
    masks : mapping of int to Path
        Mask files of items that were labelled elsewhere and not changed since.
    wait_until_saved : callable
        Returns once the project holds all that was done before the dialog opened; called in the background.
    folder : Path
        Where to suggest to export to.

    Signals
    -------
    exported : ExportReport
    """

    exported = Signal(object)

    def __init__(
        self,
        project: Project,
        items: Sequence[Item],
        current: int | None,
        mapped: Collection[int],
        masks: Mapping[int, Path],
        wait_until_saved: Callable[[], object],
        folder: Path,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.setWindowTitle(self.tr("Export as Pascal VOC"))
        self._project = project
        self._items = list(items)
        self._current = current
        self._mapped = frozenset(mapped)
        self._masks = dict(masks)
        self._wait_until_saved = wait_until_saved
        self._lane = Lane("export", self)
        self._out: Path | None = None

        self.folder_edit = QLineEdit(str(folder))
        self.folder_edit.setMinimumWidth(340)
        self.folder_edit.textChanged.connect(self._update)
        browse = QPushButton(self.tr("Choose…"))
        browse.setAutoDefault(False)
        browse.clicked.connect(self._choose_folder)
        folder_row = QHBoxLayout()
        folder_row.addWidget(self.folder_edit, 1)
        folder_row.addWidget(browse)

        self.scope_box = QComboBox()
        texts = {
            "current": self.tr("This image"),
            "done": self.tr("Images that are done"),
            "touched": self.tr("Images that are done or in progress"),
            "labelled": self.tr("All images with a class map, also mere predictions"),
        }
        for scope in SCOPES:
            count = len(in_scope(scope, self._items, self._current, self._mapped, self._masks))
            self.scope_box.addItem(f"{texts[scope]}  ({count})", scope)
            if not count:
                item = self.scope_box.model().index(self.scope_box.count() - 1, 0)
                self.scope_box.model().setData(item, 0, Qt.ItemDataRole.UserRole - 1)  # greyed: nothing to export
        best = next((scope for scope in ("done", "touched", "labelled") if self._count(scope)), "current")
        self.scope_box.setCurrentIndex(SCOPES.index(best))
        self.scope_box.currentIndexChanged.connect(self._update)

        self.truth_button = QRadioButton(self.tr("Ground truth for training: void (255) is kept"))
        self.prediction_button = QRadioButton(self.tr("Predictions for scoring: void is not allowed"))
        self.truth_button.setChecked(True)

        self.void_box = QComboBox()
        self.void_box.setToolTip(
            self.tr("What happens to pixels painted as void (255), which a prediction cannot hold")
        )
        self.void_box.addItem(self.tr("leave the image out"), None)
        for class_id, name in enumerate(project.label_set.names):
            self.void_box.addItem(self.tr("becomes {0}").format(name), class_id)
        self.prediction_button.toggled.connect(self._update)

        self.nested_box = QCheckBox(self.tr("In VOCdevkit/VOC2012, as torchvision looks for it"))

        self.share_box = QSpinBox(minimum=0, maximum=100, value=20, suffix=" %")
        self.share_box.setToolTip(
            self.tr("How many images go to val.txt instead of train.txt. The same image always goes to the same list.")
        )

        form = QFormLayout()
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow(self.tr("Folder"), folder_row)
        form.addRow(self.tr("Images"), self.scope_box)
        form.addRow(self.tr("Masks"), self.truth_button)
        form.addRow("", self.prediction_button)
        form.addRow(self.tr("Void pixels"), self.void_box)
        form.addRow(self.tr("For validation"), self.share_box)
        form.addRow(self.tr("Folders"), self.nested_box)

        self._inputs = (
            self.folder_edit,
            browse,
            self.scope_box,
            self.truth_button,
            self.prediction_button,
            self.share_box,
            self.nested_box,
        )
        self.result_label = QLabel(wordWrap=True, textFormat=Qt.TextFormat.PlainText)
        self.result_label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.result_label.hide()
        self.progress_bar = QProgressBar(textVisible=False)
        self.progress_bar.hide()

        self.buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        self.export_button = self.buttons.addButton(self.tr("Export"), QDialogButtonBox.ButtonRole.AcceptRole)
        self.open_button = self.buttons.addButton(self.tr("Show folder"), QDialogButtonBox.ButtonRole.ActionRole)
        self.open_button.hide()
        self.export_button.setDefault(True)
        self.export_button.clicked.connect(self.start)
        self.open_button.clicked.connect(self._show_folder)
        self.buttons.rejected.connect(self.reject)

        layout = QVBoxLayout(self)
        layout.addLayout(form)
        layout.addWidget(self.progress_bar)
        layout.addWidget(self.result_label)
        layout.addWidget(self.buttons)
        self._update()

    @property
    def scope(self) -> Scope:
        """Which images are chosen."""
        scope: Scope = self.scope_box.currentData()
        return scope

    def start(self) -> None:
        """Export in the background."""
        from deeplab_studio.core.voc import write_voc

        out = Path(self.folder_edit.text()).expanduser()
        self._out = out
        truth = self.truth_button.isChecked()
        void_as = None if truth else self.void_box.currentData()
        share, nested = self.share_box.value() / 100, self.nested_box.isChecked()
        scope, project = self.scope, self._project
        chosen = in_scope(scope, self._items, self._current, self._mapped, self._masks)

        def work(job: Job) -> ExportReport:
            self._wait_until_saved()
            items = export_items(project, chosen, self._masks)
            return write_voc(
                items,
                out,
                project.label_set,
                mode="ground-truth" if truth else "prediction",
                void_as=void_as,
                val_share=share,
                nested=nested,
                progress=job.report,
                cancel=job.token,
            )

        self.result_label.hide()
        self.open_button.hide()
        self.progress_bar.setRange(0, 1000)
        self.progress_bar.setValue(0)
        self.progress_bar.show()
        self._lane.submit("export", work, self._done, self._failed, on_progress=self._progress)
        self._update()

    def reject(self) -> None:
        """Close; a running export is cancelled and leaves only whole files."""
        self._lane.close()
        super().reject()

    def closeEvent(self, event: QCloseEvent) -> None:
        """The window's own close button is the same as Close."""
        self._lane.close()
        super().closeEvent(event)

    def _count(self, scope: Scope) -> int:
        return len(in_scope(scope, self._items, self._current, self._mapped, self._masks))

    def _update(self) -> None:
        busy = self._lane.busy
        self.export_button.setEnabled(
            not busy and bool(self.folder_edit.text().strip()) and self._count(self.scope) > 0
        )
        for widget in self._inputs:
            widget.setEnabled(not busy)
        self.void_box.setEnabled(not busy and self.prediction_button.isChecked())

    def _choose_folder(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, self.tr("Export to"), self.folder_edit.text())
        if folder:
            self.folder_edit.setText(folder)

    def _show_folder(self) -> None:
        if self._out is not None:
            QDesktopServices.openUrl(QUrl.fromLocalFile(str(self._out)))

    def _progress(self, fraction: float) -> None:
        self.progress_bar.setValue(round(fraction * 1000))

    def _done(self, report: ExportReport) -> None:
        self.progress_bar.hide()
        self._out = report.root
        self._say("\n".join([report.summary(), *(str(problem) for problem in report.problems)]))
        self.open_button.show()
        self._update()
        self.exported.emit(report)

    def _failed(self, error: StudioError) -> None:
        self.progress_bar.hide()
        self._say(str(error))
        self._update()

    def _say(self, text: str) -> None:
        self.result_label.setText(text)
        self.result_label.show()
        self.adjustSize()
