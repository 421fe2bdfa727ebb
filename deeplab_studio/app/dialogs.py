"""What a person asks for through a dialog or the clipboard."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QMimeData, QObject, QUrl
from PySide6.QtGui import QDesktopServices, QGuiApplication
from PySide6.QtWidgets import QFileDialog, QMessageBox

from deeplab_studio.core.errors import StudioError

if TYPE_CHECKING:
    from deeplab_studio.app.window import MainWindow

MODEL_SUFFIXES = frozenset({".pth", ".pt", ".pkl", ".tar", ".npz", ".safetensors", ".h5", ".caffemodel"})
"""Files dropped on the window that are taken for models rather than photos."""


class Dialogs(QObject):
    """Shows the dialogs of a window and does what was chosen in them.

    Parameters
    ----------
    window : MainWindow
    """

    def __init__(self, window: MainWindow) -> None:
        super().__init__(window)
        self._window = window

    def choose_images(self) -> None:
        """Ask for photos to open."""
        from deeplab_studio.core.images import IMAGE_SUFFIXES
        from deeplab_studio.core.project import PROJECT_SUFFIX

        pattern = " ".join(f"*{suffix}" for suffix in sorted(IMAGE_SUFFIXES))
        photos, projects = self.tr("Photos"), self.tr("DeepLab Studio projects")
        filters = f"{photos} ({pattern});;{projects} (*{PROJECT_SUFFIX});;{self.tr('All files')} (*)"
        names, _ = QFileDialog.getOpenFileNames(self._window, self.tr("Open images"), self._last_folder(), filters)
        self._open_chosen([Path(name) for name in names])

    def choose_folder(self) -> None:
        """Ask for a folder to open."""
        name = QFileDialog.getExistingDirectory(self._window, self.tr("Open folder"), self._last_folder())
        self._open_chosen([Path(name)] if name else [])

    def choose_model(self) -> None:
        """Ask for a checkpoint to use."""
        pattern = " ".join(f"*{suffix}" for suffix in sorted(MODEL_SUFFIXES))
        filters = f"{self.tr('DeepLab checkpoints')} ({pattern});;{self.tr('All files')} (*)"
        name, _ = QFileDialog.getOpenFileName(self._window, self.tr("Open model file"), self._last_folder(), filters)
        if name:
            self._window.models.open(Path(name))

    def show_model_library(self) -> None:
        """Show which models there are and can be downloaded."""
        self._window.models.show_library(self._window)

    def paste_image(self) -> None:
        """Add the picture, or the files, on the clipboard."""
        clipboard = QGuiApplication.clipboard()
        paths = local_paths(clipboard.mimeData())
        if paths:
            self._window.open_paths(paths)
            return
        image = clipboard.image()
        if image.isNull():
            self._window.status_area.show_notice(self.tr("There is no picture on the clipboard."), "warning")
            return
        from deeplab_studio.app.clipboard import keep_pasted

        try:
            self._window.open_paths([keep_pasted(image)])
        except StudioError as error:
            self._window.status_area.show_notice(str(error), "error")

    def export(self) -> None:
        """Show the export dialog."""
        from deeplab_studio.app.export_dialog import ExportDialog

        session, settings = self._window.session, self._window.settings
        if session.project is None:
            return
        saved = session.flush()
        dialog = ExportDialog(
            session.project,
            session.items,
            session.current_id,
            session.labelled_items(),
            session.masks,
            saved,
            Path(settings.get("files/last_export_folder") or self._last_folder()),
            self._window,
        )
        dialog.exported.connect(lambda report: settings.set("files/last_export_folder", str(report.root.absolute())))
        dialog.exec()
        dialog.deleteLater()

    def show_about(self) -> None:
        """Say what this is."""
        from deeplab_studio import __version__

        text = self.tr(
            "<h3>DeepLab Studio {0}</h3><p>Semantic-segmentation labelling with DeepLab v1, v2, v3 and v3+, a "
            "live dense CRF and exact Pascal VOC export.</p><p>MIT licence.</p>"
        )
        QMessageBox.about(self._window, self.tr("About DeepLab Studio"), text.format(__version__))

    def show_in_folder(self, item_id: int) -> None:
        """Open the folder of an item's photo."""
        item = self._window.session.item(item_id)
        if item is not None:
            QDesktopServices.openUrl(QUrl.fromLocalFile(str(item.path.parent)))

    def _open_chosen(self, paths: list[Path]) -> None:
        if paths:
            folder = paths[0] if paths[0].is_dir() else paths[0].parent
            self._window.settings.set("files/last_folder", str(folder))
            self._window.open_paths(paths)

    def _last_folder(self) -> str:
        return str(self._window.settings.get("files/last_folder") or Path.home())


def local_paths(mime: QMimeData | None) -> list[Path]:
    """Files and folders that were dragged or copied; nothing from the network."""
    if mime is None or not mime.hasUrls():
        return []
    return [Path(url.toLocalFile()) for url in mime.urls() if url.isLocalFile()]
