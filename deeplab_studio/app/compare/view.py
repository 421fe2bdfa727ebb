"""The compare view: bar, panes and key, in the place of the canvas."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QVBoxLayout, QWidget

from deeplab_studio.app.compare.bar import CompareBar, KeyBar
from deeplab_studio.app.compare.board import Board

if TYPE_CHECKING:
    from deeplab_studio.app.actions import Actions


class CompareView(QWidget):
    """Everything that stands where the canvas is otherwise.

    Parameters
    ----------
    actions : Actions

    Attributes
    ----------
    closeRequested : Signal()
        The person pressed Escape.
    """

    closeRequested = Signal()

    def __init__(self, actions: Actions, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.bar = CompareBar(actions)
        self.board = Board()
        self.key = KeyBar()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self.bar)
        layout.addWidget(self.board, 1)
        layout.addWidget(self.key)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Escape goes back to the canvas, once no gesture is under way."""
        if event.key() == Qt.Key.Key_Escape and event.modifiers() == Qt.KeyboardModifier.NoModifier:
            self.closeRequested.emit()
        else:
            super().keyPressEvent(event)
