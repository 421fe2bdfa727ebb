"""The panel of the dense CRF: parameters that are heard while they move and again when they rest."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from PySide6.QtCore import QSignalBlocker, Qt, Signal
from PySide6.QtGui import QStandardItem, QStandardItemModel
from PySide6.QtWidgets import (
    QComboBox,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QMenu,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from deeplab_studio.app.icons import Tone, icon
from deeplab_studio.app.panels.controls import GAP, Heading, IconLabel, Muted, NumberRow, Switch, icon_button
from deeplab_studio.app.panels.pace import Pace
from deeplab_studio.crf.params import SIGMA_MIN, CrfParams, Normalization
from deeplab_studio.crf.sizes import REFERENCE_SIDE, on_photo, size_factor

if TYPE_CHECKING:
    from deeplab_studio.crf.presets import Preset

Shown = Literal["off", "waiting", "preview", "exact", "error"]

_STATUS_ICONS: dict[Shown, tuple[str, Tone]] = {
    "off": ("less", "muted"),
    "waiting": ("more", "muted"),
    "preview": ("state-progress", "warning"),
    "exact": ("check", "success"),
    "error": ("warning", "danger"),
}


class _Spec(NamedTuple):
    field: str
    name: str
    tip: str
    low: float
    high: float
    box_low: float
    box_high: float
    log: bool
    decimals: int
    suffix: str


class CrfPanel(QWidget):
    """Switch, presets and parameters of the dense CRF.

    Attributes
    ----------
    toggled : Signal(bool)
        The person switched the CRF on or off.
    paramsChanging : Signal(CrfParams)
        Parameters on the way, at most every 16 ms: worth a quick look, and worthless once newer ones come.
    paramsSettled : Signal(CrfParams)
        Parameters that stay: the slider was released, Enter pressed, a preset chosen, or 150 ms passed without a
        change. Each `paramsChanging` is followed by one, sooner or later.
    """

    toggled = Signal(bool)
    paramsChanging = Signal(object)
    paramsSettled = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._params = CrfParams()
        self._defaults = CrfParams()
        self._custom: CrfParams | None = None
        self._presets: list[Preset] = []
        self._own: list[Preset] = []
        self._available = True

        self._pace = Pace(parent=self)
        self._pace.changing.connect(self.paramsChanging)
        self._pace.settled.connect(self.paramsSettled)

        self.switch = Switch(self.tr("Refine with the dense CRF"))
        self.switch.setToolTip(self.tr("Sharpen the prediction along the edges of the photo. Pinned pixels stay."))
        self.switch.setChecked(True)
        self.switch.toggled.connect(self._switched)
        self.reset_button = icon_button("reset", self.tr("Back to the parameters of the first preset"))
        self.reset_button.clicked.connect(self.reset)

        self.preset_box = QComboBox()
        self.preset_box.setAccessibleName(self.tr("Preset"))
        self.preset_box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.preset_box.setMinimumContentsLength(10)
        self.preset_box.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.preset_box.activated.connect(self._preset_chosen)
        self.menu_button = icon_button("more", self.tr("Save presets and use them elsewhere"))
        self.menu_button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)

        self._rows = {spec.field: self._row(spec) for spec in self._specs()}
        self.normalization_box = QComboBox()
        self._fill_normalizations()
        self.normalization_box.activated.connect(self._normalization_chosen)

        self._photo: tuple[int, int] | None = None
        self.size_note = Muted()
        self.size_note.hide()
        self._status_icon = IconLabel(parent=self)
        self._status = Muted()
        self._status.setAccessibleName(self.tr("State of the result"))
        self._lay_out()
        self.set_presets(())
        self.set_params(self._params)
        self._enable()

    # What is shown

    @property
    def params(self) -> CrfParams:
        """The parameters shown, exactly as set."""
        return self._params

    def row(self, field: str) -> NumberRow:
        """The controls of one field of `CrfParams`."""
        return self._rows[field]

    def set_params(self, params: CrfParams) -> None:
        """Show `params`, without a signal; changes not told yet are forgotten."""
        self._pace.drop()
        self._show(params)

    def is_on(self) -> bool:
        """Whether the CRF is switched on."""
        return self.switch.isChecked()

    def set_on(self, on: bool) -> None:
        """Show the switch on or off, without a signal."""
        with QSignalBlocker(self.switch):
            self.switch.setChecked(on)
        self._enable()

    def set_presets(self, presets: Iterable[Preset], own: Iterable[Preset] = ()) -> None:
        """Offer `presets` by name, and below them the person's own; the first is what reset goes back to."""
        self._presets = list(presets)
        if self._presets:
            self._defaults = self._presets[0].params
        self._own = list(own)
        self._presets += self._own
        model = QStandardItemModel(self.preset_box)
        for preset in self._presets:
            item = QStandardItem(preset.name)
            if preset in self._own:
                item.setIcon(icon("own-preset"))
            item.setToolTip("\n".join(filter(None, (preset.source, params_in_short(preset.params)))))
            model.appendRow(item)
        custom = QStandardItem(self.tr("Custom"))
        custom.setToolTip(self.tr("The values you set yourself"))
        model.appendRow(custom)
        self.preset_box.setModel(model)
        self._show_preset()

    @property
    def presets(self) -> tuple[list[Preset], list[Preset]]:
        """The built-in presets that are offered, and the person's own."""
        return [preset for preset in self._presets if preset not in self._own], list(self._own)

    @property
    def own_preset(self) -> Preset | None:
        """The person's own preset that is shown, if it is one of them."""
        preset = self._presets[self.preset_box.currentIndex()] if self._shows_preset() else None
        return preset if preset in self._own else None

    def use(self, params: CrfParams) -> None:
        """Set all parameters as if the person had done so."""
        self._apply(params)

    def set_menu(self, menu: QMenu) -> None:
        """What the button beside the presets offers."""
        self.menu_button.setMenu(menu)

    def set_photo_size(self, size: tuple[int, int] | None) -> None:
        """Say what the relative sigmas are on a photo of this (height, width)."""
        self._photo = size
        self._show_sizes()

    def set_status(self, text: str, shown: Shown = "waiting") -> None:
        """Say what is on screen: "Exact, 38 ms" as "exact", "Preview at half size" as "preview"."""
        name, tone = _STATUS_ICONS[shown]
        self._status_icon.show_icon(name if text else "", tone)
        self._status.setText(text)

    def set_available(self, available: bool, reason: str = "") -> None:
        """Whether there are scores to refine; without them everything is greyed and `reason` says why."""
        self._available = available
        self.setToolTip("" if available else reason)
        if not available:
            self.set_status(reason, "off")
        self._enable()

    def reset(self) -> None:
        """Back to the first preset's parameters, as if the person had chosen it."""
        self._apply(self._defaults)

    # What the person does

    def _switched(self, on: bool) -> None:
        self._enable()
        self.toggled.emit(on)

    def _changed(self, field: str, value: float) -> None:
        self._params = _with(self._params, field, value)
        self._custom = self._params
        self._show_preset()
        self._pace.push(self._params)

    def _reset_one(self, field: str) -> None:
        self._apply(_with(self._params, field, getattr(self._defaults, field)))

    def _preset_chosen(self, index: int) -> None:
        if index < len(self._presets):
            self._apply(self._presets[index].params)
        elif self._custom is not None:
            self._apply(self._custom)
        else:
            self._show_preset()

    def _normalization_chosen(self, index: int) -> None:
        value: Normalization = self.normalization_box.itemData(index)
        self._custom = replace(self._params, normalization=value)
        self._apply(self._custom)

    def _apply(self, params: CrfParams) -> None:
        changed = params != self._params
        self._show(params)
        if changed:
            self._pace.push(params)
        self._pace.settle()

    # Showing

    def _show(self, params: CrfParams) -> None:
        self._params = params
        for field, row in self._rows.items():
            row.set_value(float(getattr(params, field)))
        with QSignalBlocker(self.normalization_box):
            self.normalization_box.setCurrentIndex(self.normalization_box.findData(params.normalization))
        self._show_preset()

    def _shows_preset(self) -> bool:
        return 0 <= self.preset_box.currentIndex() < len(self._presets)

    def _show_sizes(self) -> None:
        factor = size_factor(*self._photo) if self._photo is not None else 1.0
        self.size_note.setVisible(abs(factor - 1) > 0.01)
        if self._photo is None:
            return
        here = on_photo(self._params, *self._photo)
        text = self.tr("On this photo: σα {0} px, σγ {1} px")
        self.size_note.setText(text.format(f"{here.appearance_position_sigma:.3g}", f"{here.smoothness_sigma:.3g}"))
        tip = self.tr(
            "σα and σγ are pixels of a photo whose longer side is {0} pixels, as the published values are, and are "
            "stretched to each photo: here by {1}. So the same values do the same to small and large photos."
        )
        self.size_note.setToolTip(tip.format(REFERENCE_SIDE, f"{factor:.3g}"))

    def _show_preset(self) -> None:
        self._show_sizes()
        found = [i for i, preset in enumerate(self._presets) if preset.params == self._params]
        index = found[-1] if found else -1  # the person's own name for values that have two
        if index < 0:
            index = len(self._presets)
            self._custom = self._params
        with QSignalBlocker(self.preset_box):
            self.preset_box.setCurrentIndex(index)
        self.preset_box.setToolTip(self.preset_box.itemData(index, Qt.ItemDataRole.ToolTipRole))

    def _enable(self) -> None:
        self.switch.setEnabled(self._available)
        self._body.setEnabled(self._available and self.switch.isChecked())
        self.reset_button.setEnabled(self._body.isEnabled())

    # Building

    def _row(self, spec: _Spec) -> NumberRow:
        row = NumberRow(
            spec.name,
            spec.low,
            spec.high,
            box_low=spec.box_low,
            box_high=spec.box_high,
            log=spec.log,
            decimals=spec.decimals,
            suffix=spec.suffix,
            tip=f"{spec.tip}\n{self.tr('Double-click the name to reset it.')}",
            parent=self,
        )
        row.changed.connect(lambda value, field=spec.field: self._changed(field, value))
        row.settled.connect(self._pace.settle)
        row.resetAsked.connect(lambda field=spec.field: self._reset_one(field))
        return row

    def _specs(self) -> tuple[_Spec, ...]:
        return (
            _Spec(
                "appearance_weight",
                self.tr("Weight w₁"),
                self.tr(
                    "How much pixels of similar colour pull each other to one class.\n"
                    "More follows the edges of the photo harder; too much swallows thin parts."
                ),
                0,
                15,
                0,
                1e4,
                False,
                2,
                "",
            ),
            _Spec(
                "appearance_position_sigma",
                self.tr("Position σα"),
                self.tr(
                    "How far apart two pixels of similar colour still count as neighbours.\n"
                    "More joins distant parts of an object; less keeps the effect local.\n"
                    "In pixels of a photo 500 pixels long; stretched to each photo."
                ),
                1,
                200,
                SIGMA_MIN,
                1e5,
                True,
                2,
                self.tr(" px"),
            ),
            _Spec(
                "appearance_colour_sigma",
                self.tr("Colour σβ"),
                self.tr(
                    "How different two colours may be and still count as similar, in 8-bit levels.\n"
                    "More crosses weak edges and shadows; less stops at every change of colour."
                ),
                1,
                50,
                SIGMA_MIN,
                1e4,
                True,
                2,
                "",
            ),
            _Spec(
                "smoothness_weight",
                self.tr("Weight w₂"),
                self.tr(
                    "How much neighbours pull each other to one class whatever their colour.\n"
                    "More removes specks and rounds borders; less keeps fine detail."
                ),
                0,
                15,
                0,
                1e4,
                False,
                2,
                "",
            ),
            _Spec(
                "smoothness_sigma",
                self.tr("Reach σγ"),
                self.tr(
                    "How far that pull reaches.\nMore removes larger specks.\n"
                    "In pixels of a photo 500 pixels long; stretched to each photo."
                ),
                SIGMA_MIN,
                20,
                SIGMA_MIN,
                1e5,
                True,
                2,
                self.tr(" px"),
            ),
            _Spec(
                "iterations",
                self.tr("Iterations"),
                self.tr(
                    "Rounds of mean-field inference.\n"
                    "The result hardly changes after 10; fewer are faster, 0 shows the scores as they are."
                ),
                0,
                30,
                0,
                100,
                False,
                0,
                "",
            ),
        )

    def _fill_normalizations(self) -> None:
        box = self.normalization_box
        box.setAccessibleName(self.tr("Normalisation"))
        box.setToolTip(self.tr("How the sums over neighbours are scaled"))
        tips: tuple[tuple[Normalization, str, str], ...] = (
            (
                "symmetric",
                self.tr("Symmetric"),
                self.tr("Divides before and after the filter: pydensecrf's default, what the PyTorch ports used"),
            ),
            ("after", self.tr("After"), self.tr("Divides once after the filter: the DeepLab authors' own program")),
        )
        for value, name, tip in tips:
            box.addItem(name, value)
            box.setItemData(box.count() - 1, tip, Qt.ItemDataRole.ToolTipRole)

    def _lay_out(self) -> None:
        head = QHBoxLayout()
        head.addWidget(self.switch, 1)
        head.addWidget(self.reset_button)

        self._body = QWidget()
        grid = QGridLayout(self._body)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(GAP)
        grid.setVerticalSpacing(4)
        grid.setColumnStretch(1, 1)
        preset_label = QLabel(self.tr("Preset"))
        preset_label.setBuddy(self.preset_box)
        grid.addWidget(preset_label, 0, 0)
        presets = QHBoxLayout()
        presets.setSpacing(2)
        presets.addWidget(self.preset_box, 1)
        presets.addWidget(self.menu_button)
        grid.addLayout(presets, 0, 1, 1, 2)
        line = 1
        groups: tuple[tuple[str, str, tuple[str, ...]], ...] = (
            (
                self.tr("Appearance kernel"),
                self.tr("w₁ · exp(−|Δposition|² / 2σα² − |Δcolour|² / 2σβ²): similar colours nearby share a class"),
                ("appearance_weight", "appearance_position_sigma", "appearance_colour_sigma"),
            ),
            (
                self.tr("Smoothness kernel"),
                self.tr("w₂ · exp(−|Δposition|² / 2σγ²): direct neighbours share a class"),
                ("smoothness_weight", "smoothness_sigma"),
            ),
            (self.tr("Inference"), self.tr("How the most likely classes are found"), ("iterations",)),
        )
        for title, tip, fields in groups:
            grid.setRowMinimumHeight(line, GAP // 2)
            grid.addWidget(Heading(title, tip), line + 1, 0, 1, 3)
            line += 2
            for field in fields:
                self._rows[field].add_to(grid, line)
                line += 1
        width = max(row.box.fontMetrics().horizontalAdvance("0000.0 px") for row in self._rows.values()) + 24
        for row in self._rows.values():
            row.box.setFixedWidth(width)
        normalization_label = QLabel(self.tr("Normalisation"))
        normalization_label.setBuddy(self.normalization_box)
        grid.addWidget(normalization_label, line, 0)
        grid.addWidget(self.normalization_box, line, 1, 1, 2)

        told = QHBoxLayout()
        told.setSpacing(GAP // 2)
        told.addWidget(self._status_icon)
        told.addWidget(self._status, 1)

        whole = QVBoxLayout(self)
        whole.setContentsMargins(GAP, GAP, GAP, GAP)
        whole.setSpacing(GAP)
        # What is on screen is said at the top: the rest may not fit into a low window.
        whole.addLayout(head)
        whole.addLayout(told)
        whole.addWidget(self.size_note)
        whole.addWidget(self._body)
        whole.addStretch(1)


def _with(params: CrfParams, field: str, value: float) -> CrfParams:
    changes: dict[str, Any] = {field: round(value) if field == "iterations" else value}
    return replace(params, **changes)


def params_in_short(params: CrfParams) -> str:
    """The parameters in one line."""
    return (
        f"w₁ {params.appearance_weight:g}, σα {params.appearance_position_sigma:g}, "
        f"σβ {params.appearance_colour_sigma:g}, w₂ {params.smoothness_weight:g}, "
        f"σγ {params.smoothness_sigma:g}, {params.iterations} ×"
    )
