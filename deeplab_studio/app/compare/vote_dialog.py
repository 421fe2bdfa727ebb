"""How much each pane counts in the majority that is taken over."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QDialog, QDialogButtonBox, QDoubleSpinBox, QFormLayout, QLabel, QVBoxLayout, QWidget

from deeplab_studio.app.compare.choice import LETTERS
from deeplab_studio.app.panels.controls import GAP


class VoteDialog(QDialog):
    """Asks for weights.

    Parameters
    ----------
    names : sequence of (int, str)
        Pane and what it shows.
    parent : QWidget, optional

    Attributes
    ----------
    decided : Signal(list)
        A weight for every name, above 0 for at least one; 0 leaves a pane out.
    """

    decided = Signal(list)

    def __init__(self, names: Sequence[tuple[int, str]], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(self.tr("Take over the majority"))
        self.setMinimumWidth(380)
        about = QLabel(
            self.tr(
                "Every pixel gets the class that most panes give it, pinned, as one undo step. Where two classes have "
                "as many votes the earlier pane decides."
            ),
            wordWrap=True,
        )
        form = QFormLayout()
        self.boxes: list[QDoubleSpinBox] = []
        for pane, name in names:
            box = QDoubleSpinBox()
            box.setRange(0, 100)
            box.setDecimals(1)
            box.setSingleStep(0.5)
            box.setValue(1)
            box.setAccessibleName(self.tr("Weight of pane {0}").format(LETTERS[pane]))
            box.valueChanged.connect(self._enable)
            form.addRow(f"{LETTERS[pane]}  {name}", box)
            self.boxes.append(box)
        self.buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel)
        self.take_button = self.buttons.addButton(self.tr("Take over"), QDialogButtonBox.ButtonRole.AcceptRole)
        self.take_button.setDefault(True)
        self.buttons.accepted.connect(self._accept)
        self.buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        layout.setSpacing(2 * GAP)
        layout.addWidget(about)
        layout.addLayout(form)
        layout.addWidget(self.buttons)

    def _enable(self) -> None:
        self.take_button.setEnabled(any(box.value() > 0 for box in self.boxes))

    def _accept(self) -> None:
        self.decided.emit([box.value() for box in self.boxes])
        self.accept()
