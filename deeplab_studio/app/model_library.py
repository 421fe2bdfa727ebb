"""The window in which a person gets models: what is published, what is installed, downloading, own files."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import QItemSelectionModel, QModelIndex, QSortFilterProxyModel, Qt, QUrl, Signal
from PySide6.QtGui import QDesktopServices, QPalette, QShowEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QDialog,
    QFileDialog,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QLineEdit,
    QMessageBox,
    QPushButton,
    QSizePolicy,
    QTableView,
    QVBoxLayout,
    QWidget,
)

from deeplab_studio.app.jobs import Job, Lane
from deeplab_studio.app.model_details import ModelDetails
from deeplab_studio.app.model_table import FILTER_ROLE, MODEL, SORT_ROLE, CardDelegate, ModelTable, Row, size_text
from deeplab_studio.app.panels.controls import GAP, icon_button
from deeplab_studio.checkpoints.catalogue import SUPPORTED_DIALECTS, VOC, ModelCard, cards
from deeplab_studio.checkpoints.download import Patience, download
from deeplab_studio.checkpoints.library import MODEL_SUFFIXES, InstalledModel, ModelLibrary
from deeplab_studio.checkpoints.partial import PartialFile, discard
from deeplab_studio.checkpoints.progress import Progress
from deeplab_studio.core.errors import StudioError


class ModelLibraryDialog(QDialog):
    """Get, add and remove models.

    Nothing is fetched and no page is opened without a click. Downloads belong to this window: closing it pauses them,
    and the next time they go on where they stopped.

    Parameters
    ----------
    library : ModelLibrary
        Where models go.
    offered : sequence of ModelCard, optional
        What can be downloaded; by default the catalogue's models that can be loaded.
    mirror : str
        See `deeplab_studio.checkpoints.download.mirrored`.
    patience : Patience, optional
        Time limits of downloads.
    parent : QWidget, optional

    Signals
    -------
    modelReady : Path
        A model was downloaded or added.
    modelChosen : Path
        A person wants to work with this one.
    modelsChanged :
        Something was added or removed.
    mirrorChanged : str
        Another mirror was typed.
    """

    modelReady = Signal(Path)
    modelChosen = Signal(Path)
    modelsChanged = Signal()
    mirrorChanged = Signal(str)

    def __init__(
        self,
        library: ModelLibrary,
        *,
        offered: Sequence[ModelCard] | None = None,
        mirror: str = "",
        patience: Patience | None = None,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._library = library
        self._offered = list(offered) if offered is not None else cards(SUPPORTED_DIALECTS)
        self._patience = patience
        self._lanes: dict[str, Lane] = {}
        self._unwanted: set[Path] = set()
        self.setWindowTitle(self.tr("Models"))
        self.resize(1200, 700)
        self._table = ModelTable(self)
        self._proxy = QSortFilterProxyModel(self)
        self._proxy.setSourceModel(self._table)
        self._proxy.setSortRole(SORT_ROLE)
        self._proxy.setFilterKeyColumn(MODEL)
        self._proxy.setFilterRole(FILTER_ROLE)
        self._proxy.setFilterCaseSensitivity(Qt.CaseSensitivity.CaseInsensitive)
        self.view = self._build_view()
        self.details = self._build_details()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(2 * GAP, 2 * GAP, 2 * GAP, 2 * GAP)
        layout.setSpacing(GAP)
        layout.addLayout(self._build_head())
        layout.addWidget(self.view, 1)
        layout.addWidget(self.details)
        layout.addLayout(self._build_foot(mirror))
        self.view.setFocus()
        self.refresh()

    # --- Parts -------------------------------------------------------------------------------------------------------

    def _build_head(self) -> QHBoxLayout:
        self.filter = QLineEdit(placeholderText=self.tr("Filter by name, version, classes…"), clearButtonEnabled=True)
        self.filter.textChanged.connect(self._proxy.setFilterFixedString)
        self.add_button = QPushButton(self.tr("Add a &model file…"))
        self.add_button.setToolTip(self.tr("Take up a DeepLab file that is on this computer; it stays where it is"))
        self.add_button.setAutoDefault(False)
        self.add_button.clicked.connect(lambda: self._choose_file(None))
        head = QHBoxLayout()
        head.setSpacing(GAP)
        head.addWidget(self.filter, 1)
        head.addWidget(self.add_button)
        return head

    def _build_view(self) -> QTableView:
        view = QTableView()
        view.setModel(self._proxy)
        view.setItemDelegate(CardDelegate(view))
        view.setAccessibleName(self.tr("Models"))
        view.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        view.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        view.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        view.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        view.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        view.setTabKeyNavigation(False)
        view.setShowGrid(False)
        view.setAlternatingRowColors(True)
        view.setWordWrap(False)
        view.verticalHeader().hide()
        view.verticalHeader().setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header = view.horizontalHeader()
        header.setHighlightSections(False)
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(MODEL, QHeaderView.ResizeMode.Stretch)
        view.setSortingEnabled(True)
        view.sortByColumn(-1, Qt.SortOrder.AscendingOrder)
        view.selectionModel().currentRowChanged.connect(self._show_current)
        view.doubleClicked.connect(self._use)
        return view

    def _build_details(self) -> ModelDetails:
        details = ModelDetails()
        details.downloadClicked.connect(self._download)
        details.pauseClicked.connect(self._pause)
        details.cancelClicked.connect(self._cancel)
        details.useClicked.connect(self._use)
        details.acceptClicked.connect(self._accept_change)
        details.ownFileClicked.connect(lambda: self._choose_file(self._current()))
        details.removeClicked.connect(self._ask_remove)
        details.fullClicked.connect(self._show_full)
        details.linkClicked.connect(lambda link: QDesktopServices.openUrl(QUrl(link)))
        return details

    def _build_foot(self, mirror: str) -> QHBoxLayout:
        self.mirror = QLineEdit(mirror, placeholderText=self.tr("none"), clearButtonEnabled=True)
        self.mirror.setToolTip(
            self.tr(
                "Where the network blocks the publishers' servers: an address to put in front of theirs,\n"
                "or one with {host}, {path} or {file} in it. Hashes are checked all the same."
            )
        )
        self.mirror.editingFinished.connect(lambda: self.mirrorChanged.emit(self.mirror.text().strip()))
        label = QLabel(self.tr("M&irror"))
        label.setBuddy(self.mirror)
        self.disk_use = QLabel()
        self.disk_use.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.disk_use.setForegroundRole(QPalette.ColorRole.PlaceholderText)
        folder = icon_button("open-folder", self.tr("Open the folder with the models"))
        folder.clicked.connect(self._open_folder)
        self.close_button = QPushButton(self.tr("Close"))
        self.close_button.setAutoDefault(False)
        self.close_button.clicked.connect(self.reject)
        foot = QHBoxLayout()
        foot.setSpacing(GAP)
        foot.addWidget(label)
        foot.addWidget(self.mirror, 2)
        foot.addSpacing(GAP)
        foot.addWidget(folder)
        foot.addWidget(self.disk_use, 3)
        foot.addWidget(self.close_button)
        return foot

    # --- What is shown -----------------------------------------------------------------------------------------------

    def refresh(self) -> None:
        """Read the library again; files nobody has looked into yet are checked in the background."""
        current = self._current()
        before = {row.key: row for row in self._table.rows}
        try:
            models = self._library.installed()
        except StudioError as error:
            models = []
            self._warn(str(error))
        models.sort(key=lambda model: model.state in ("missing", "changed"))
        rows = []
        for card in self._offered:
            row = before.get(card.id) or Row(card)
            row.model = next((model for model in models if model.is_of(card)), None)
            if row.usable:
                row.transfer, row.progress = "", None
            elif not row.transfer and (received := self._received(card)) is not None:
                row.transfer, row.progress = "paused", received
            rows.append(row)
        shown = {row.model.path for row in rows if row.model is not None}
        starters: list[Row] = []
        others: list[Row] = []
        for model in models:
            if model.path not in shown:
                row = before.get(str(model.path)) or Row()
                row.card, row.model = None, model
                (others if model.starter is None else starters).append(row)
        self._table.set_rows([*starters, *rows, *others])
        self._select(current.key if current is not None else None)
        text = self.tr("{0} in {1}").format(size_text(self._library.disk_use()), self._library.folder)
        self.disk_use.setText(text)
        self.disk_use.setToolTip(text)
        for model in models:
            if model.state == "unchecked":
                self._check(model)
        self._tell_notices()

    def select(self, key: str) -> None:
        """Show the model with this card id or path."""
        self._select(key)

    def _received(self, card: ModelCard) -> Progress | None:
        part = PartialFile(self._library.path_for(card))
        received, origin = part.received, part.origin
        return Progress(received, origin.total if origin is not None else card.bytes, 0.0) if received else None

    def _select(self, key: str | None) -> None:
        number = next((i for i, row in enumerate(self._table.rows) if row.key == key), 0)
        index = self._proxy.mapFromSource(self._table.index(number, 0))
        flags = QItemSelectionModel.SelectionFlag.ClearAndSelect | QItemSelectionModel.SelectionFlag.Rows
        self.view.selectionModel().setCurrentIndex(index, flags)
        self._show_current()

    def _current(self) -> Row | None:
        index = self.view.currentIndex()
        return self._table.rows[self._proxy.mapToSource(index).row()] if index.isValid() else None

    def _show_current(self, *_: QModelIndex) -> None:
        self.details.show_row(self._current())

    def _show_full(self) -> None:
        """Go from a starter model to the first full model of its version and its classes."""
        row = self._current()
        starter = row.starter if row is not None else None
        if starter is None:
            return
        cards = [card for card in self._offered if card.version == starter.version]
        cards.sort(key=lambda card: card.class_set != VOC)
        if cards:
            self.filter.clear()
            self._select(cards[0].id)
            self.view.scrollTo(self.view.currentIndex())

    def _row(self, key: str) -> Row | None:
        return next((row for row in self._table.rows if row.key == key), None)

    def _touch(self, row: Row) -> None:
        self._table.changed(row)
        if row is self._current():
            self.details.show_row(row)

    def _tell_notices(self) -> None:
        while self._library.notices:
            self._warn(self._library.notices.pop(0))

    def _warn(self, sentence: str) -> None:
        box = QMessageBox(QMessageBox.Icon.Warning, self.windowTitle(), sentence, parent=self)
        box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        box.open()

    # --- Downloading -------------------------------------------------------------------------------------------------

    def _lane(self, name: str) -> Lane:
        if name not in self._lanes:
            self._lanes[name] = Lane(name, self)
        return self._lanes[name]

    def _download(self) -> None:
        row = self._current()
        if row is None or row.card is None:
            return
        card, library, patience = row.card, self._library, self._patience
        mirror = self.mirror.text()

        def fetch(job: Job) -> InstalledModel:
            got = download(
                card.url,
                library.path_for(card),
                digest=card.digest,
                size=card.bytes,
                mirror=mirror,
                progress=job.report,
                cancel=job.token,
                patience=patience,
            )
            return library.register(got, card)

        row.transfer, row.error = "waiting", None
        self._lane("downloads").submit(
            card.id,
            fetch,
            lambda model: self._downloaded(card.id, model),
            lambda error: self._failed(card.id, error),
            on_progress=lambda progress: self._progressed(card.id, progress),
        )
        self._touch(row)

    def _progressed(self, key: str, progress: Progress) -> None:
        row = self._row(key)
        if row is None:
            return
        started = row.transfer != "running"
        row.transfer, row.progress = "running", progress
        self._table.changed(row)
        if row is self._current():
            self.details.show_row(row) if started else self.details.show_progress(row)

    def _downloaded(self, key: str, model: InstalledModel) -> None:
        row = self._row(key)
        if row is not None:
            row.transfer, row.progress, row.error = "", None, None
        self._ready(model)

    def _failed(self, key: str, error: StudioError) -> None:
        row = self._row(key)
        if row is None:
            return
        row.error = error
        row.progress = self._received(row.card) if row.card is not None else None
        row.transfer = "paused" if row.progress is not None else ""
        self._touch(row)

    def _pause(self) -> None:
        row = self._current()
        if row is not None and row.card is not None:
            self._lane("downloads").cancel(row.card.id)
            row.transfer = "paused"
            self._touch(row)

    def _cancel(self) -> None:
        row = self._current()
        if row is None or row.card is None:
            return
        target = self._library.path_for(row.card)
        lane = self._lane("downloads")
        lane.cancel(row.card.id)
        # Behind the download in the same thread: the part is deleted after the last byte was written to it.
        self._unwanted.add(target)
        lane.submit(("discard", target), lambda _: discard(target), lambda _: self._discarded(target), priority=1)
        row.transfer, row.progress, row.error = "", None, None
        self._touch(row)

    def _discarded(self, target: Path) -> None:
        self._unwanted.discard(target)
        self.refresh()

    # --- Files that are here -----------------------------------------------------------------------------------------

    def _choose_file(self, row: Row | None) -> None:
        """Ask for a file, as the published one of `row` or as a model of the person's own."""
        card = row.card if row is not None else None
        title = self.tr("Add a model file")
        if card is not None:
            expected = f"{card.file}, {card.digest}" if card.digest is not None else card.file
            title = self.tr("Choose {0}").format(expected)
        patterns = " ".join(f"*{suffix}" for suffix in sorted(MODEL_SUFFIXES))
        chooser = QFileDialog(self, title, "", self.tr("Models ({0});;All files (*)").format(patterns))
        chooser.setFileMode(QFileDialog.FileMode.ExistingFile)
        chooser.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        chooser.fileSelected.connect(lambda name: self._add(Path(name), card))
        chooser.open()

    def _add(self, path: Path, card: ModelCard | None) -> None:
        library = self._library
        key = card.id if card is not None else str(path)
        row = self._row(key)
        if row is not None:
            row.error = None
            self._touch(row)

        def add(job: Job) -> InstalledModel:
            model = library.add(path, card=card, cancel=job.token)
            if card is not None and model.path != library.path_for(card):
                discard(library.path_for(card))
            return model

        self._lane("model files").submit(
            ("add", key),
            add,
            self._ready,
            lambda error: self._not_added(key, error),
        )

    def _not_added(self, key: str, error: StudioError) -> None:
        row = self._row(key)
        if row is not None:
            row.error = error
            self._touch(row)
        else:
            self._warn(str(error))

    def _ready(self, model: InstalledModel) -> None:
        self.refresh()
        row = next((row for row in self._table.rows if row.model is not None and row.model.path == model.path), None)
        if row is not None:
            self._select(row.key)
        self.modelReady.emit(model.path)
        self.modelsChanged.emit()

    def _check(self, model: InstalledModel) -> None:
        library = self._library
        lane = self._lane("model files")
        if lane.find(("check", model.path)) is None:
            lane.submit(("check", model.path), lambda job: library.verify(model, job.token), self._checked)

    def _checked(self, model: InstalledModel) -> None:
        row = next((row for row in self._table.rows if row.model is not None and row.model.path == model.path), None)
        if row is not None and (row.card is None or model.is_of(row.card)):
            row.model = model
            self._touch(row)
        else:
            self.refresh()

    def _accept_change(self) -> None:
        row = self._current()
        if row is not None and row.model is not None:
            self._add(row.model.path, None)

    def _use(self) -> None:
        row = self._current()
        if row is not None and row.usable and row.model is not None:
            self.modelChosen.emit(row.model.path)
            self.accept()

    def _ask_remove(self) -> None:
        row = self._current()
        if row is None or row.model is None:
            return
        model = row.model
        text = self.tr("Remove {0} from the list? The file stays in {1}.").format(model.path.name, model.path.parent)
        if model.origin == "library":
            text = self.tr("Delete {0}? This frees {1}.").format(model.path.name, size_text(model.size))
        box = QMessageBox(QMessageBox.Icon.Question, self.windowTitle(), text, parent=self)
        remove = box.addButton(
            self.tr("&Delete") if model.origin == "library" else self.tr("&Remove"),
            QMessageBox.ButtonRole.DestructiveRole,
        )
        box.setDefaultButton(box.addButton(QMessageBox.StandardButton.Cancel))
        box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        box.buttonClicked.connect(lambda button: self._remove(model) if button is remove else None)
        box.open()

    def _remove(self, model: InstalledModel) -> None:
        row = self._current()
        try:
            self._library.remove(model)
        except StudioError as error:
            if row is not None:
                row.error = error
                self._touch(row)
            return
        if row is not None:
            row.model = row.error = None
        self.refresh()
        self.modelsChanged.emit()

    def _open_folder(self) -> None:
        folder = self._library.folder
        shown = next(path for path in (folder, *folder.parents) if path.is_dir())
        QDesktopServices.openUrl(QUrl.fromLocalFile(str(shown)))

    def showEvent(self, event: QShowEvent) -> None:
        """Bring the selected model into view."""
        super().showEvent(event)
        self.view.scrollTo(self.view.currentIndex())

    # --- Ending ------------------------------------------------------------------------------------------------------

    def done(self, result: int) -> None:
        """Close; whatever is being downloaded is paused."""
        self.stop()
        super().done(result)

    def stop(self) -> None:
        """Pause every download and end the threads. The window calls it when it closes with this dialog open."""
        for lane in self._lanes.values():
            lane.close()
            lane.deleteLater()
        self._lanes.clear()
        while self._unwanted:
            with contextlib.suppress(StudioError):  # then it is shown as paused the next time
                discard(self._unwanted.pop())
        for row in self._table.rows:
            if row.transfer in ("waiting", "running"):
                row.transfer = "paused" if row.card is not None and self._received(row.card) else ""
                self._touch(row)
