"""A small window one can drag files out of, as out of a file manager: ``drag_source.py PATH...``.

Each finished drag prints what the target made of it: ``CopyAction``, or ``IgnoreAction`` for a refusal.
"""

from __future__ import annotations

import sys

from PySide6.QtCore import QMimeData, Qt, QUrl
from PySide6.QtGui import QDrag, QMouseEvent
from PySide6.QtWidgets import QApplication, QWidget


class Source(QWidget):
    """Offers the files as soon as the mouse moves with its button down."""

    def __init__(self, paths: list[str]) -> None:
        super().__init__(None, Qt.WindowType.X11BypassWindowManagerHint)
        self._urls = [QUrl.fromLocalFile(path) for path in paths]
        self.setWindowTitle("drag source")
        self.setGeometry(0, 0, 60, 60)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        data = QMimeData()
        data.setUrls(self._urls)
        drag = QDrag(self)
        drag.setMimeData(data)
        action = drag.exec(Qt.DropAction.CopyAction | Qt.DropAction.MoveAction, Qt.DropAction.CopyAction)
        sys.stdout.write(f"{action.name}\n")
        sys.stdout.flush()


application = QApplication(sys.argv[:1])
source = Source(sys.argv[1:])
source.show()
sys.exit(application.exec())
