"""Dialogs in which a person says what classes become."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QLocale, Qt
from PySide6.QtWidgets import (
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from deeplab_studio.app.label_texts import listed
from deeplab_studio.app.panels.controls import GAP
from deeplab_studio.app.panels.mapping_table import MappingTable, Rgb, option_icon


class MappingDialog(QDialog):
    """A table of classes to decide about; it closes once every one is decided.

    Parameters
    ----------
    title : str
    text : str
        What the decision is about.
    complete : bool
        Whether all have to be decided before OK.
    parent : QWidget, optional
    """

    def __init__(self, title: str, text: str, *, complete: bool = True, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(title)
        self.setWindowModality(Qt.WindowModality.WindowModal)
        self.resize(600, 560)
        self._complete = complete
        self.note = QLabel(text, wordWrap=True, textFormat=Qt.TextFormat.PlainText)
        self.table = MappingTable()
        self.table.changed.connect(self._update)
        self.table.model.modelReset.connect(self._update)
        self.buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Ok | QDialogButtonBox.StandardButton.Cancel)
        self.buttons.accepted.connect(self.accept)
        self.buttons.rejected.connect(self.reject)
        self._tools = QHBoxLayout()
        self._tools.setSpacing(GAP)
        self._tools.addStretch(1)
        whole = QVBoxLayout(self)
        whole.setSpacing(GAP)
        whole.addWidget(self.note)
        whole.addLayout(self._tools)
        whole.addWidget(self.table, 1)
        whole.addWidget(self.buttons)
        self._update()

    def add_tool(self, button: QPushButton) -> None:
        """Put a button above the table."""
        button.setAutoDefault(False)
        self._tools.insertWidget(self._tools.count() - 1, button)

    def _update(self) -> None:
        ready = not self._complete or not self.table.undecided()
        self.buttons.button(QDialogButtonBox.StandardButton.Ok).setEnabled(ready)


class BecomesDialog(QDialog):
    """Asks what the pixels of classes become that go away.

    Parameters
    ----------
    verb : str
        "Delete" or "Merge".
    names : sequence of str
    pixels : int
        How many there are.
    targets : sequence of (int, str, (int, int, int))
        Key, name and colour of the classes they may become.
    void : bool
        Whether they may become void; it is offered first then.
    parent : QWidget, optional
    """

    def __init__(
        self,
        verb: str,
        names: Sequence[str],
        pixels: int,
        targets: Sequence[tuple[int, str, Rgb]],
        *,
        void: bool,
        parent: QWidget | None = None,
    ) -> None:
        from PySide6.QtGui import QColor

        super().__init__(parent)
        self.setWindowTitle(f"{verb}: {listed(tuple(names))}")
        text = self.tr("{0} pixels of {1} become").format(QLocale().toString(pixels), listed(tuple(names)))
        label = QLabel(text, wordWrap=True, textFormat=Qt.TextFormat.PlainText)
        self.box = QComboBox()
        self.box.setMaxVisibleItems(24)
        self.box.setAccessibleName(text)
        label.setBuddy(self.box)
        if void:
            self.box.addItem(option_icon(255, None), self.tr("void (left out of training and scoring)"), None)
            self.box.insertSeparator(1)
        for key, name, colour in targets:
            self.box.addItem(option_icon(key, QColor(*colour)), name, key)
        self.buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel)
        ok = self.buttons.addButton(verb, QDialogButtonBox.ButtonRole.AcceptRole)
        ok.setDefault(True)
        self.buttons.accepted.connect(self.accept)
        self.buttons.rejected.connect(self.reject)
        whole = QVBoxLayout(self)
        whole.setSpacing(GAP)
        whole.addWidget(label)
        whole.addWidget(self.box)
        whole.addSpacing(GAP)
        whole.addWidget(self.buttons)
        self.setMinimumWidth(360)

    def target(self) -> int | None:
        """Key of the class chosen; None for void."""
        key: int | None = self.box.currentData()
        return key
