"""The list of all keys, made from the action table."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QKeySequence
from PySide6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QHeaderView,
    QLineEdit,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from deeplab_studio.app.action_rows import ACTIONS
from deeplab_studio.app.actions import translated


class ShortcutsDialog(QDialog):
    """Shows every action that has a key."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(self.tr("Keyboard shortcuts"))
        self.resize(520, 560)
        self.filter_edit = QLineEdit(placeholderText=self.tr("Filter"), clearButtonEnabled=True)
        self.filter_edit.textChanged.connect(self._filter)
        self.tree = QTreeWidget()
        self.tree.setRootIsDecorated(False)
        self.tree.setUniformRowHeights(True)
        self.tree.setHeaderLabels([self.tr("Action"), self.tr("Key")])
        self.tree.header().setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        for name, keys in shortcut_rows():
            self.tree.addTopLevelItem(QTreeWidgetItem([name, keys]))
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        layout.addWidget(self.filter_edit)
        layout.addWidget(self.tree)
        layout.addWidget(buttons)

    def _filter(self, text: str) -> None:
        for row in range(self.tree.topLevelItemCount()):
            item = self.tree.topLevelItem(row)
            assert item is not None
            shown = text.casefold() in f"{item.text(0)} {item.text(1)}".casefold()
            item.setHidden(not shown)


def shortcut_rows() -> list[tuple[str, str]]:
    """Name and keys of every action that has one, and what the canvas itself knows."""

    def keys(shortcuts: tuple[str, ...]) -> str:
        return ",  ".join(QKeySequence(key).toString(QKeySequence.SequenceFormat.NativeText) for key in shortcuts)

    rows = [
        (translated(spec.text).replace("&", "").rstrip("…"), keys(spec.shortcuts))
        for spec in ACTIONS
        if spec.shortcuts and not spec.id.startswith("class_")
    ]
    return [*rows, *canvas_rows()]


def canvas_rows() -> list[tuple[str, str]]:
    """What the canvas itself does with keys and the mouse."""
    space = QKeySequence(Qt.Key.Key_Space).toString(QKeySequence.SequenceFormat.NativeText)
    return [
        (translated("Class by its number"), "0 … 9"),
        (translated("Move the picture while held"), space),
        (translated("Zoom at the cursor"), translated("Wheel")),
        (translated("Size of the brush"), translated("Ctrl+Wheel")),
        (translated("Straight stroke from the last point"), translated("Shift+Click")),
        (translated("Erase with the brush"), translated("Right button")),
        (translated("Take the stroke back"), "Esc"),
    ]
