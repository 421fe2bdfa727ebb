"""Every change reaches the disk by itself, soon after the hand rests and never later than the promised two seconds."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QTimer, Signal

from deeplab_studio.app.jobs import Job, Lane

if TYPE_CHECKING:
    from deeplab_studio.app.document import CrfSettings, Document
    from deeplab_studio.core.errors import StudioError
    from deeplab_studio.core.project import Project
    from deeplab_studio.core.project_labels import MapStamp

REST_MS = 500
"""Rest after the last change before it is written."""

AT_LATEST_MS = 1200
"""A person who paints without a rest is saved this often; writing takes a tenth of a second at 24 megapixels."""

RETRY_MS = 5000
"""After a failure (the disk is full) it is tried again this often."""


class Autosave(QObject):
    """Decides when to save, and writes documents in the lane of the disk.

    Parameters
    ----------
    disk : Lane
    parent : QObject, optional

    Signals
    -------
    due
        Something should be saved now.
    failed : StudioError
        A document could not be saved; it is tried again.
    """

    due = Signal()
    failed = Signal(object)

    def __init__(self, disk: Lane, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._disk = disk
        self._crf: tuple[Project, CrfSettings] | None = None
        self._rest = QTimer(self, singleShot=True, interval=REST_MS)
        self._at_latest = QTimer(self, singleShot=True)
        self._rest.timeout.connect(self.due)
        self._at_latest.timeout.connect(self.due)

    def changed(self, document: Document) -> None:
        """Note that a document differs from what is on disk."""
        document.edited = document.unsaved = True
        self._rest.start()
        if not self._at_latest.isActive():
            self._at_latest.start(AT_LATEST_MS)

    def save(self, project: Project, documents: Iterable[Document], crf: CrfSettings) -> None:
        """Write those documents that changed, and what new images of the data set start with, in the background."""
        self._rest.stop()
        self._at_latest.stop()
        if project.read_only:
            return
        changed = [document for document in documents if document.unsaved]
        for document in changed:
            self._save(project, document)
        # Settings alone are no reason to begin a project file: a person who only looks leaves nothing behind.
        if (changed or project.is_on_disk) and self._crf != (project, crf):
            self._crf = (project, crf)
            values = crf.to_dict()
            self._disk.submit(
                "crf", lambda _job: project.save_setting("crf", values), None, self.failed.emit, priority=50
            )

    def _save(self, project: Project, document: Document) -> None:
        # Copies: the person paints on while they are written.
        labels, pinned = document.class_map.labels.copy(), document.class_map.pinned.copy()
        crf = document.crf.to_dict()
        item_id = document.item.id
        document.unsaved = False

        def work(_job: Job) -> MapStamp | None:
            project.save_map(item_id, labels, pinned)
            project.set_crf(item_id, crf)
            return project.labels.stamp(item_id)

        def done(stamp: MapStamp | None) -> None:
            document.history.stamp = stamp

        def failed(error: StudioError) -> None:
            document.unsaved = True
            self._at_latest.start(RETRY_MS)
            self.failed.emit(error)

        self._disk.submit(("save", item_id), work, done, failed, priority=50, interrupt=False)
