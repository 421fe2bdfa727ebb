"""The model inspector's window: it follows the model and the photo on screen, and counts in the background."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject
from PySide6.QtWidgets import QDialog, QFileDialog, QVBoxLayout, QWidget

from deeplab_studio.app.jobs import Job, Lane
from deeplab_studio.core.errors import StudioError

if TYPE_CHECKING:
    from deeplab_studio.app.models import ModelChoices
    from deeplab_studio.app.panels.inspector import InspectorPanel
    from deeplab_studio.app.session import Session
    from deeplab_studio.checkpoints.starters import StarterCard
    from deeplab_studio.engine.anatomy import Anatomy


class ModelInspector(QObject):
    """Shows what the model in use is made of.

    Parameters
    ----------
    session : Session
    models : ModelChoices
    window : QWidget
    """

    def __init__(self, session: Session, models: ModelChoices, window: QWidget) -> None:
        super().__init__(window)
        self._session = session
        self._models = models
        self._window = window
        self._lane: Lane | None = None
        self.dialog: QDialog | None = None
        self.panel: InspectorPanel | None = None
        session.currentChanged.connect(lambda _document: self._refresh())
        session.predictions.modelChanged.connect(lambda _model: self._refresh())

    def callbacks(self) -> dict[str, Callable[..., None]]:
        """What the window's actions call."""
        return {"inspect_model": self.show}

    def show(self) -> None:
        """Show the window, or bring it to the front."""
        if self.dialog is None:
            self._build()
        assert self.dialog is not None
        self.dialog.show()
        self.dialog.raise_()
        self.dialog.activateWindow()
        self._refresh()

    def close(self) -> None:
        """End the thread and the window."""
        if self._lane is not None:
            self._lane.close()
        if self.dialog is not None:
            self.dialog.close()

    def _build(self) -> None:
        from deeplab_studio.app.panels.inspector import InspectorPanel

        self._lane = Lane("inspect", self)
        self.dialog = QDialog(self._window)
        self.dialog.setWindowTitle(self.tr("Model inspector"))
        self.dialog.setModal(False)
        self.dialog.resize(860, 620)
        self.panel = InspectorPanel()
        self.panel.classNamesChosen.connect(self._models.name_classes)
        self.panel.classNamesReset.connect(lambda: self._models.name_classes(None))
        self.panel.namesFileRequested.connect(self._read_names)
        layout = QVBoxLayout(self.dialog)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.panel)

    def _refresh(self) -> None:
        panel, lane = self.panel, self._lane
        if panel is None or lane is None or self.dialog is None or not self.dialog.isVisible():
            return
        model, document = self._session.predictions.model, self._session.current
        if model is None:
            lane.keep_only(())
            panel.show_message(self.tr("Choose a model first"))
            return
        panel.show_model(model.title, model.version, str(model.path), model.classes)
        photo = document.image.pixels.shape[:2] if document is not None else None
        profile, preprocessing, sha256 = model.profile, model.preprocessing, model.sha256
        path, library = model.path, self._models.library

        def work(_job: Job) -> tuple[Anatomy, str, bool, StarterCard | None]:
            from deeplab_studio.engine.anatomy import TYPICAL_PHOTO, backbone_title, examine

            try:
                anatomy = examine(profile, preprocessing, *(photo or TYPICAL_PHOTO))
            except ValueError as error:
                raise StudioError(str(error), hint="Open a larger photo.") from error
            known = library.find(str(path.absolute()))
            starter = known.starter if known is not None else None
            return anatomy, backbone_title(profile.backbone.name), library.class_names(sha256) is not None, starter

        def failed(error: StudioError) -> None:
            panel.show_message(str(error))

        lane.submit("inspect", work, lambda found: panel.show_anatomy(*found), failed)

    def _read_names(self) -> None:
        """Ask for a file of names and put them into the table; the person looks at them before they count."""
        assert self.panel is not None
        filters = f"{self.tr('Text files')} (*.txt *.names *.csv);;{self.tr('All files')} (*)"
        name, _ = QFileDialog.getOpenFileName(self.dialog, self.tr("Read class names"), "", filters)
        if name:
            self.read_names(Path(name))

    def read_names(self, path: Path) -> None:
        """Put the names of a text file, one per line, into the table."""
        from deeplab_studio.checkpoints.class_names import read_class_names

        assert self.panel is not None
        try:
            self.panel.set_names(read_class_names(path))
        except StudioError as error:
            self.panel.tell_problem(str(error))
