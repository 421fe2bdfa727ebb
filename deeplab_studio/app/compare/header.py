"""The head of a pane: its letter, its model, its CRF, what it took, and what can be taken from it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QCoreApplication, QLocale, QSignalBlocker, QSize, Qt, Signal
from PySide6.QtGui import QColor, QFont, QIcon, QMouseEvent, QPainter, QPaintEvent, QStandardItem, QStandardItemModel
from PySide6.QtWidgets import QComboBox, QFrame, QHBoxLayout, QMenu, QSizePolicy, QToolButton, QVBoxLayout, QWidget

from deeplab_studio.app.compare.choice import LETTERS, PaneChoice
from deeplab_studio.app.document import CrfSettings
from deeplab_studio.app.icons import icon
from deeplab_studio.app.panels.controls import GAP, BadgeIcon, Muted, icon_button
from deeplab_studio.app.panels.crf import params_in_short
from deeplab_studio.app.panels.model_bar import BADGE, ModelEntry
from deeplab_studio.app.theme import tones

if TYPE_CHECKING:
    from deeplab_studio.app.compare.answers import Answer

_OPEN = "open"
"""The last line of the list of models."""


class Letter(QWidget):
    """What a pane is called, on the ground of what is active while it is the active pane."""

    def __init__(self, letter: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._letter = letter
        self._active = False
        self.setFixedSize(20, 20)
        self.setAccessibleName(self.tr("Pane {0}").format(letter))

    def set_active(self, active: bool) -> None:
        """Show whether its pane is the active one."""
        if active != self._active:
            self._active = active
            self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw it."""
        tone = tones(self.palette())
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(tone.highlight if self._active else tone.groove))
        painter.drawRoundedRect(self.rect(), 4, 4)
        font = QFont(self.font())
        font.setWeight(QFont.Weight.DemiBold)
        painter.setFont(font)
        painter.setPen(QColor(tone.highlighted_text if self._active else tone.text))
        painter.drawText(self.rect(), Qt.AlignmentFlag.AlignCenter, self._letter)


class PaneHeader(QFrame):
    """Says what a pane shows, and lets a person choose it.

    Parameters
    ----------
    number : int
        Of the pane, from 0.

    Attributes
    ----------
    take_menu : QMenu
        What can be taken over from it.
    chosen : Signal(PaneChoice)
        The person wants to see something else in it.
    openRequested : Signal()
        The person wants to open a model file for it.
    parametersRequested : Signal()
        The person wants to set the parameters of its CRF.
    closeRequested : Signal()
    pressed : Signal()
        The person clicked on it.
    """

    chosen = Signal(object)
    openRequested = Signal()
    parametersRequested = Signal()
    closeRequested = Signal()
    pressed = Signal()

    def __init__(self, number: int, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAutoFillBackground(True)
        self._choice = PaneChoice()
        name = LETTERS[number]
        self.letter = Letter(name)
        self.source_box = QComboBox()
        self.source_box.setIconSize(BADGE)
        self.source_box.setAccessibleName(self.tr("What pane {0} shows").format(name))
        self.source_box.setPlaceholderText(self.tr("Choose a model"))
        self.source_box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.source_box.setMinimumContentsLength(8)
        self.source_box.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.source_box.activated.connect(self._source_chosen)
        self.crf_button = QToolButton()
        self.crf_button.setText(self.tr("CRF"))
        self.crf_button.setCheckable(True)
        self.crf_button.setAccessibleName(self.tr("CRF of pane {0}").format(name))
        self.crf_button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.crf_button.clicked.connect(self._crf_switched)
        self.parameters_button = icon_button("crf", self.tr("Parameters of this pane's CRF"))
        self.parameters_button.clicked.connect(self.parametersRequested)
        self.take_button = icon_button("import", self.tr("Take over from this pane into your class map"))
        self.take_button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.take_menu = QMenu(self.take_button)
        self.take_menu.setToolTipsVisible(True)
        self.take_button.setMenu(self.take_menu)
        self.close_button = icon_button("close", self.tr("Close pane {0}").format(name))
        self.close_button.clicked.connect(self.closeRequested)
        self._facts = Muted()
        self._params = Muted()
        # The name of the model has a line almost to itself: with four panes in a row there is little room.
        first, second = QHBoxLayout(), QHBoxLayout()
        for row in (first, second):
            row.setSpacing(2)
        for widget in (self.letter, self.source_box, self.close_button):
            first.addWidget(widget)
        written = QVBoxLayout()
        written.setSpacing(0)
        written.addWidget(self._facts)
        written.addWidget(self._params)
        second.addLayout(written, 1)
        for widget in (self.crf_button, self.parameters_button, self.take_button):
            second.addWidget(widget)
        lines = QVBoxLayout(self)
        lines.setContentsMargins(GAP // 2, GAP // 2, GAP // 2, 2)
        lines.setSpacing(1)
        lines.addLayout(first)
        lines.addLayout(second)
        self.show_choice(self._choice)

    @property
    def facts(self) -> str:
        """Times, device and cost, as they are written."""
        return self._facts.text()

    # Setters: none of them emits a signal

    def set_sources(self, models: Sequence[ModelEntry], *, truth: bool) -> None:
        """Offer these models, the person's class map and, if there is one, the ground truth."""
        items = QStandardItemModel(self.source_box)
        for entry in models:
            item = QStandardItem(QIcon(BadgeIcon(entry.version)), entry.title)
            item.setData(PaneChoice("model", Path(entry.id)), Qt.ItemDataRole.UserRole)
            item.setToolTip(entry.detail)
            item.setData(f"{entry.title}, {entry.version}", Qt.ItemDataRole.AccessibleTextRole)
            items.appendRow(item)
        mine = QStandardItem(icon("labels"), self.tr("My class map"))
        mine.setData(PaneChoice("mine"), Qt.ItemDataRole.UserRole)
        mine.setToolTip(self.tr("What this image is labelled as by now"))
        items.appendRow(mine)
        true = QStandardItem(icon("done"), self.tr("Ground truth"))
        true.setData(PaneChoice("truth"), Qt.ItemDataRole.UserRole)
        true.setEnabled(truth)
        true.setToolTip(
            self.tr("The mask that came with this image, or its finished class map")
            if truth
            else self.tr("This image has no mask of its own and is not finished")
        )
        items.appendRow(true)
        other = QStandardItem(icon("open-model"), self.tr("Open model file…"))
        other.setData(_OPEN, Qt.ItemDataRole.UserRole)
        items.appendRow(other)
        with QSignalBlocker(self.source_box):
            self.source_box.setModel(items)
        self._show_source()

    def show_choice(self, choice: PaneChoice) -> None:
        """Show what the pane is to show."""
        self._choice = choice
        self._show_source()
        model = choice.kind == "model"
        self.crf_button.setEnabled(model)
        self.parameters_button.setEnabled(model)
        self.crf_button.setChecked(model and choice.crf.on)
        tip = self.tr("Refine this pane's scores with the dense CRF")
        self.crf_button.setToolTip(f"{tip}\n{params_in_short(choice.crf.params)}")
        on = model and choice.crf.on
        self._params.setText(self.tr("CRF {0}").format(params_in_short(choice.crf.params)) if on else "")

    def show_answer(self, answer: Answer | None) -> None:
        """Show what the pane's answer took; nothing without one."""
        self._facts.setText("" if answer is None else facts_in_short(answer))
        self._facts.setToolTip("" if answer is None else _facts_at_length(answer))

    def set_closable(self, closable: bool) -> None:
        """Whether the pane can be closed."""
        self.close_button.setVisible(closable)

    def _show_source(self) -> None:
        wanted = (self._choice.kind, self._choice.path)
        index = -1
        for row in range(self.source_box.count()):
            data = self.source_box.itemData(row, Qt.ItemDataRole.UserRole)
            if isinstance(data, PaneChoice) and (data.kind, data.path) == wanted:
                index = row
        with QSignalBlocker(self.source_box):
            self.source_box.setCurrentIndex(index)
        path = self._choice.path
        missing = index < 0 and path is not None
        self.source_box.setPlaceholderText(path.stem if missing and path is not None else self.tr("Choose a model"))
        tip = self.source_box.itemData(index, Qt.ItemDataRole.ToolTipRole) if index >= 0 else str(path or "")
        self.source_box.setToolTip(tip or "")

    def _source_chosen(self, index: int) -> None:
        data = self.source_box.itemData(index, Qt.ItemDataRole.UserRole)
        if data == _OPEN:
            self._show_source()
            self.openRequested.emit()
        else:
            self.chosen.emit(PaneChoice(data.kind, data.path, self._choice.crf, self._choice.version))

    def _crf_switched(self, on: bool) -> None:
        self.chosen.emit(self._choice.with_crf(CrfSettings(on, self._choice.crf.params)))

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Make its pane the active one."""
        self.pressed.emit()

    def minimumSizeHint(self) -> QSize:
        """It may become narrow: the names in it give way."""
        return QSize(160, super().minimumSizeHint().height())


def facts_in_short(answer: Answer) -> str:
    """Device, times and multiply-adds, in one line."""
    from deeplab_studio.engine.device import device_label

    number = QLocale().toString
    if answer.model is None:
        return ""
    parts = [device_label(answer.device)]
    if answer.seconds is not None:
        parts.append(f"{number(answer.seconds, 'f', 2)} s")
    if answer.choice.crf.on:
        parts.append(f"CRF {number(answer.crf_seconds, 'f', 2)} s")
    if answer.cost is not None:
        tile = _tr("{0} G multiply-adds a tile") if answer.cost.tiled else _tr("{0} G multiply-adds")
        parts.append(tile.format(number(answer.cost.multiply_adds / 1e9, "f", 1)))
    return " · ".join(parts)


def _facts_at_length(answer: Answer) -> str:
    number = QLocale().toString
    model = answer.model
    if model is None:
        return ""
    lines = [f"{model.version}: {model.title}", str(model.path)]
    if answer.seconds is None:
        lines.append(_tr("Prediction: taken over from an earlier one"))
    else:
        lines.append(_tr("Prediction: {0} s").format(number(answer.seconds, "f", 3)))
    if answer.choice.crf.on:
        lines.append(_tr("CRF: {0} s").format(number(answer.crf_seconds, "f", 3)))
    if answer.cost is not None:
        height, width = answer.cost.input_size
        where = _tr("one tile of {0} × {1} pixels") if answer.cost.tiled else _tr("{0} × {1} pixels")
        size = where.format(width, height)
        lines.append(_tr("{0} multiply-adds at {1}").format(number(answer.cost.multiply_adds), size))
    return "\n".join(lines)


def _tr(text: str) -> str:
    return QCoreApplication.translate("PaneHeader", text)
