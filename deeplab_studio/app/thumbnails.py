"""Thumbnails made off the window's thread, what was asked for last first."""

from __future__ import annotations

import itertools
from collections.abc import Collection
from pathlib import Path

from PySide6.QtCore import QObject, Signal
from PySide6.QtGui import QImage

from deeplab_studio.app.jobs import Job, Lane
from deeplab_studio.core.errors import StudioError


class Thumbnails(QObject):
    """Reads small pictures of photos.

    Parameters
    ----------
    size : int
        Longest side in device pixels.

    Signals
    -------
    ready : int, QImage
        Item and picture.
    failed : int, StudioError
        The photo cannot be read.
    """

    ready = Signal(int, QImage)
    failed = Signal(int, object)

    def __init__(self, size: int, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._size = size
        self._lane = Lane("thumbnails", self)
        self._newest = itertools.count()

    def want(self, item_id: int, path: Path) -> None:
        """Ask for one picture; it comes before those asked for earlier, because that is where the person looks."""
        if self._lane.find(item_id) is not None:
            return

        def work(_job: Job) -> QImage:
            from deeplab_studio.core.images import load_thumbnail

            pixels = load_thumbnail(path, self._size)
            height, width = pixels.shape[:2]
            # A copy, because the picture outlives the array.
            return QImage(pixels.data, width, height, 3 * width, QImage.Format.Format_RGB888).copy()

        def done(image: QImage) -> None:
            self.ready.emit(item_id, image)

        def failed(error: StudioError) -> None:
            self.failed.emit(item_id, error)

        self._lane.submit(item_id, work, done, failed, priority=next(self._newest))

    def keep_only(self, item_ids: Collection[int]) -> None:
        """Forget what was asked for other items."""
        self._lane.keep_only(item_ids)

    def close(self) -> None:
        """Stop and wait for the thread."""
        self._lane.close()
