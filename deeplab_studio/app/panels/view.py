"""The panel of what is seen: classes over the photo, and the photo's tone for the eye only."""

from __future__ import annotations

from PySide6.QtCore import QSignalBlocker, QSize, Qt, Signal
from PySide6.QtWidgets import (
    QButtonGroup,
    QCheckBox,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from deeplab_studio.app.icons import icon
from deeplab_studio.app.panels.controls import GAP, Heading, NumberRow, icon_button

DEFAULT_OPACITY = 0.55
NEUTRAL = (0.0, 0.0, 1.0)
"""Brightness, contrast and gamma that leave the photo as it is."""


class ViewPanel(QWidget):
    """Opacity, fill or outlines, pins, and the tone of the photo.

    Attributes
    ----------
    opacityChanged : Signal(float)
        0..1, while the slider moves.
    outlinesChanged : Signal(bool)
        True for outlines, False for fill.
    labelsVisibleChanged : Signal(bool)
        Whether the classes are drawn at all.
    pinsChanged : Signal(bool)
        Whether pinned pixels are marked.
    toneChanged : Signal(float, float, float)
        Brightness and contrast -1..1 (0 is neutral) and gamma above 0 (1 is neutral), while a slider moves.
    """

    opacityChanged = Signal(float)
    outlinesChanged = Signal(bool)
    labelsVisibleChanged = Signal(bool)
    pinsChanged = Signal(bool)
    toneChanged = Signal(float, float, float)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.opacity = NumberRow(
            self.tr("Opacity"),
            0,
            1,
            decimals=0,
            scale=100,
            suffix=self.tr(" %"),
            tip=self.tr("How much the classes cover the photo"),
            parent=self,
        )
        self.opacity.changed.connect(self.opacityChanged)
        self.opacity.resetAsked.connect(self._reset_opacity)

        self.fill_button = self._style_button("filled", self.tr("Fill"), self.tr("Draw classes as coloured areas"))
        self.outline_button = self._style_button(
            "outlines", self.tr("Outlines"), self.tr("Draw only the borders of the classes")
        )
        group = QButtonGroup(self)
        group.addButton(self.fill_button)
        group.addButton(self.outline_button)
        self.fill_button.setChecked(True)
        self.outline_button.toggled.connect(self.outlinesChanged)

        self.labels_box = QCheckBox(self.tr("Show classes"))
        self.labels_box.setChecked(True)
        self.labels_box.toggled.connect(self.labelsVisibleChanged)
        self.pins_box = QCheckBox(self.tr("Show pinned pixels"))
        self.pins_box.setToolTip(self.tr("Mark the pixels painted by hand: predictions and the CRF leave them alone"))
        self.pins_box.toggled.connect(self.pinsChanged)

        percent = self.tr(" %")
        self.brightness = NumberRow(
            self.tr("Brightness"),
            -1,
            1,
            decimals=0,
            scale=100,
            suffix=percent,
            tip=self.tr("Lifts or lowers the whole photo, for the eye only"),
            parent=self,
        )
        self.contrast = NumberRow(
            self.tr("Contrast"),
            -1,
            1,
            decimals=0,
            scale=100,
            suffix=percent,
            tip=self.tr("Spreads or narrows light and dark, for the eye only"),
            parent=self,
        )
        self.gamma = NumberRow(
            self.tr("Gamma"),
            0.2,
            5,
            log=True,
            tip=self.tr("More shows what is in the shadows, for the eye only"),
            parent=self,
        )
        for row, neutral in zip(self._tone_rows, NEUTRAL, strict=True):
            row.slider.setProperty("bipolar", True)
            row.set_value(neutral)
            row.changed.connect(self._tell_tone)
            row.resetAsked.connect(lambda row=row, neutral=neutral: self._reset_row(row, neutral))
        self.reset_button = icon_button("reset", self.tr("Show the photo as it is"))
        self.reset_button.clicked.connect(self.reset_tone)
        self.opacity.set_value(DEFAULT_OPACITY)
        self._lay_out()
        self._enable_reset()

    @property
    def _tone_rows(self) -> tuple[NumberRow, NumberRow, NumberRow]:
        return self.brightness, self.contrast, self.gamma

    @property
    def tone(self) -> tuple[float, float, float]:
        """Brightness, contrast and gamma."""
        return self.brightness.value, self.contrast.value, self.gamma.value

    # Setters: none of them emits a signal

    def set_opacity(self, opacity: float) -> None:
        """Show the opacity of the classes, 0..1."""
        self.opacity.set_value(opacity)

    def set_outlines(self, outlines: bool) -> None:
        """Show whether classes are drawn as outlines."""
        with QSignalBlocker(self.outline_button):
            (self.outline_button if outlines else self.fill_button).setChecked(True)

    def set_labels_visible(self, visible: bool) -> None:
        """Show whether classes are drawn."""
        with QSignalBlocker(self.labels_box):
            self.labels_box.setChecked(visible)

    def set_pins(self, shown: bool) -> None:
        """Show whether pinned pixels are marked."""
        with QSignalBlocker(self.pins_box):
            self.pins_box.setChecked(shown)

    def set_tone(self, brightness: float, contrast: float, gamma: float) -> None:
        """Show the photo's tone."""
        for row, value in zip(self._tone_rows, (brightness, contrast, gamma), strict=True):
            row.set_value(value)
        self._enable_reset()

    def reset_tone(self) -> None:
        """The photo as it is; emits `toneChanged`."""
        if self.tone != NEUTRAL:
            self.set_tone(*NEUTRAL)
            self._tell_tone()

    def _reset_opacity(self) -> None:
        self.opacity.set_value(DEFAULT_OPACITY)
        self.opacityChanged.emit(DEFAULT_OPACITY)

    def _reset_row(self, row: NumberRow, neutral: float) -> None:
        row.set_value(neutral)
        self._tell_tone()

    def _tell_tone(self) -> None:
        self._enable_reset()
        self.toneChanged.emit(*self.tone)

    def _enable_reset(self) -> None:
        self.reset_button.setEnabled(self.tone != NEUTRAL)

    def _style_button(self, name: str, text: str, tip: str) -> QToolButton:
        button = QToolButton()
        button.setIcon(icon(name))
        button.setIconSize(QSize(16, 16))
        button.setText(text)
        button.setToolTip(tip)
        button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        button.setCheckable(True)
        button.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        button.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        return button

    def _lay_out(self) -> None:
        grid = QGridLayout()
        grid.setHorizontalSpacing(GAP)
        grid.setVerticalSpacing(4)
        grid.setColumnStretch(1, 1)
        grid.addWidget(Heading(self.tr("Classes")), 0, 0, 1, 3)
        self.opacity.add_to(grid, 1)
        styles = QHBoxLayout()
        styles.setSpacing(2)
        styles.addWidget(self.fill_button)
        styles.addWidget(self.outline_button)
        grid.addWidget(QLabel(self.tr("Drawn as")), 2, 0)
        grid.addLayout(styles, 2, 1, 1, 2)
        grid.addWidget(self.labels_box, 3, 0, 1, 3)
        grid.addWidget(self.pins_box, 4, 0, 1, 3)
        grid.setRowMinimumHeight(5, GAP // 2)
        head = QHBoxLayout()
        head.addWidget(
            Heading(self.tr("Photo"), self.tr("For the eye only: the model and the export see the photo as it is")), 1
        )
        head.addWidget(self.reset_button)
        grid.addLayout(head, 6, 0, 1, 3)
        for line, row in enumerate(self._tone_rows, 7):
            row.add_to(grid, line)
        rows = (self.opacity, *self._tone_rows)
        width = max(row.box.fontMetrics().horizontalAdvance("−100 %") for row in rows) + 28
        for row in rows:
            row.box.setFixedWidth(width)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(GAP, GAP, GAP, GAP)
        whole.addLayout(grid)
        whole.addStretch(1)
