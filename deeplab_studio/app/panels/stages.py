"""The strip under the canvas: the stages of the pipeline, and what is shown of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

from PySide6.QtCore import QSignalBlocker, QSize, Qt, Signal
from PySide6.QtGui import QColor, QIcon, QImage
from PySide6.QtWidgets import (
    QComboBox,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QSizePolicy,
    QToolButton,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from deeplab_studio.app.icons import icon
from deeplab_studio.app.panels.colour_bar import ColourBar
from deeplab_studio.app.panels.controls import GAP, Muted, Slider, SwatchIcon, small_font
from deeplab_studio.app.panels.filmstrip import Filmstrip
from deeplab_studio.engine.stages import RESULT, Stage, stages_of

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

View = Literal["classes", "probability", "entropy", "changes"]
VIEWS: tuple[View, ...] = get_args(View)

Rgb = tuple[int, int, int]

LEGEND_WIDTH = 204


class ChangeRow(NamedTuple):
    """How many pixels a class gained and lost."""

    name: str
    colour: Rgb
    gained: int
    lost: int


class StagesPanel(QWidget):
    """A filmstrip of the stages with buttons for what it shows, and a legend.

    Attributes
    ----------
    stageChosen : Signal(Stage)
        The person went to a stage.
    viewChosen : Signal(str)
        One of `VIEWS`.
    classChosen : Signal(int)
        The class whose probability is to be shown.
    kernelToggled : Signal(bool)
        The weights of the appearance kernel are to follow the cursor, or no longer.
    """

    stageChosen = Signal(object)
    viewChosen = Signal(str)
    classChosen = Signal(int)
    kernelToggled = Signal(bool)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._stages: list[Stage] = []
        self._view: View = "classes"
        self._kernel = False
        self._offered: tuple[tuple[tuple[int, str, Rgb], ...], int | None] = ((), None)
        self.filmstrip = Filmstrip()
        self.filmstrip.setAccessibleName(self.tr("Stages"))
        self.filmstrip.chosen.connect(lambda row: self._go(self._stages[row]))
        self.view_buttons = self._make_view_buttons()
        self.kernel_button = self._button(
            "kernel",
            self.tr("Kernel"),
            self.tr("Point at a pixel to see how much all others pull it: the weights of the appearance kernel"),
        )
        self.kernel_button.clicked.connect(self.kernelToggled)
        self.slider_label = QLabel(self.tr("Iteration"))
        self.slider = Slider()
        self.slider.setMaximumWidth(180)
        self.slider.setAccessibleName(self.tr("Iteration"))
        self.slider.setToolTip(self.tr("Go through the iterations of the CRF"))
        self.slider.valueChanged.connect(lambda n: self._go(self._stage_at(n)))
        self.slider_value = QLabel()
        self.class_box = QComboBox()
        self.class_box.setAccessibleName(self.tr("Class"))
        self.class_box.setToolTip(self.tr("The class whose probability is shown"))
        self.class_box.activated.connect(lambda row: self.classChosen.emit(self.class_box.itemData(row)))
        self.colour_bar = ColourBar()
        self.note = Muted()
        self.note.setWordWrap(False)
        self.table = self._make_table()
        self._lay_out()
        self.set_iterations(10)
        self.set_stage(RESULT)
        self.set_view("classes")

    # What is shown

    @property
    def stages(self) -> list[Stage]:
        """The stages in the strip, in their order."""
        return list(self._stages)

    def set_iterations(self, iterations: int) -> None:
        """Show the stages of a CRF run of so many iterations; 0 if it is off."""
        if len(self._stages) == iterations + 4:
            return
        current = self._stages[self.filmstrip.current] if self._stages else RESULT
        self._stages = stages_of(iterations)
        self.filmstrip.set_frames([self._name(each) for each in self._stages], [self._tip(e) for e in self._stages])
        with QSignalBlocker(self.slider):
            self.slider.setRange(0, iterations)
        for part in (self.slider_label, self.slider, self.slider_value):
            part.setEnabled(iterations > 0)
        self.set_stage(current if current in self._stages else self._stages[-2 if iterations else -1])

    def set_stage(self, stage: Stage) -> None:
        """Mark the stage that is on the canvas."""
        self.filmstrip.set_current(self._stages.index(stage))
        position = {"photo": 0, "coarse": 0, "upsampled": 0, "result": self.slider.maximum()}
        shown = position.get(stage.name, stage.iteration)
        with QSignalBlocker(self.slider):
            self.slider.setValue(shown)
        last = self.slider.maximum()
        self.slider_value.setText(self.tr("{0} of {1}").format(shown, last) if last else "")

    def set_picture(self, stage: Stage, image: QImage | None) -> None:
        """Show the small picture of a stage."""
        if stage in self._stages:
            self.filmstrip.set_picture(self._stages.index(stage), image)

    def set_view(self, view: View) -> None:
        """Mark what is shown of the stages."""
        self._view = view
        self._show_legend()

    def set_kernel(self, on: bool) -> None:
        """Mark whether the kernel follows the cursor."""
        self._kernel = on
        self._show_legend()

    def set_classes(self, classes: Sequence[tuple[int, str, Rgb]], current: int | None) -> None:
        """Offer these classes (id, name, colour) for their probability."""
        offered = (tuple(classes), current)
        if offered == self._offered:
            return
        self._offered = offered
        self.class_box.clear()
        for class_id, name, colour in classes:
            self.class_box.addItem(QIcon(SwatchIcon(QColor(*colour))), name, class_id)
        self.class_box.setCurrentIndex(self.class_box.findData(current))

    def set_scale(self, colours: npt.NDArray[np.uint8], low: str, middle: str, high: str) -> None:
        """Say what the colours on the canvas mean; see `ColourBar.set_scale`."""
        self.colour_bar.set_scale(colours, low, middle, high)

    def set_note(self, text: str, tip: str = "") -> None:
        """Say what is on the canvas, in one line under the legend."""
        self.note.setText(text)
        self.note.setToolTip(tip or text)

    def set_changes(self, rows: Sequence[ChangeRow]) -> None:
        """List what classes gained and lost."""
        self.table.clear()
        locale = self.locale()
        for row in rows:
            counts = [f"{sign}{locale.toString(n)}" if n else "" for sign, n in (("+", row.gained), ("−", row.lost))]
            item = QTreeWidgetItem([row.name, *counts])
            item.setIcon(0, QIcon(SwatchIcon(QColor(*row.colour))))
            item.setToolTip(0, row.name)
            for column in (1, 2):
                item.setTextAlignment(column, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
            self.table.addTopLevelItem(item)

    # What the person does

    def _go(self, stage: Stage) -> None:
        self.set_stage(stage)
        self.stageChosen.emit(stage)

    def _stage_at(self, iteration: int) -> Stage:
        return Stage("iteration", iteration) if iteration else Stage("upsampled")

    # Building

    def _name(self, stage: Stage) -> str:
        if stage.name == "iteration":
            return self.tr("Step {0}").format(stage.iteration)
        return {
            "photo": self.tr("Photo"),
            "coarse": self.tr("Scores"),
            "upsampled": self.tr("Enlarged"),
            "result": self.tr("Result"),
        }[stage.name]

    def _tip(self, stage: Stage) -> str:
        return {
            "photo": self.tr("The photo alone"),
            "coarse": self.tr("The network's scores as it gave them, at its own resolution"),
            "upsampled": self.tr("The scores enlarged to the photo, bilinearly: what the CRF starts from"),
            "iteration": self.tr("After iteration {0} of the CRF").format(stage.iteration),
            "result": self.tr("The class map, with what was painted by hand"),
        }[stage.name]

    def _button(self, name: str, text: str, tip: str) -> QToolButton:
        button = QToolButton()
        button.setIcon(icon(name))
        button.setIconSize(QSize(16, 16))
        button.setText(text)
        button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        button.setCheckable(True)
        button.setToolTip(tip)
        button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        return button

    def _make_view_buttons(self) -> dict[View, QToolButton]:
        texts: dict[View, tuple[str, str, str]] = {
            "classes": ("labels", self.tr("Classes"), self.tr("The most probable class of every pixel")),
            "probability": ("probability", self.tr("Probability"), self.tr("How probable one class is")),
            "entropy": (
                "uncertainty",
                self.tr("Uncertainty"),
                self.tr("Where the model is unsure: the entropy of its probabilities in bits"),
            ),
            "changes": (
                "changes",
                self.tr("Changes"),
                self.tr("What the CRF changed: pixels in the colour of their new class"),
            ),
        }
        buttons = {}
        for view in VIEWS:
            button = self._button(*texts[view])
            button.clicked.connect(lambda _checked, view=view: self.viewChosen.emit(view))
            buttons[view] = button
        return buttons

    def _make_table(self) -> QTreeWidget:
        table = QTreeWidget()
        table.setRootIsDecorated(False)
        table.setUniformRowHeights(True)
        table.setIndentation(0)
        table.setIconSize(QSize(12, 12))
        table.setFont(small_font(table))
        table.header().setFont(table.font())
        table.setHeaderLabels([self.tr("Class"), self.tr("Gained"), self.tr("Lost")])
        table.headerItem().setTextAlignment(1, Qt.AlignmentFlag.AlignRight)
        table.headerItem().setTextAlignment(2, Qt.AlignmentFlag.AlignRight)
        table.header().setStretchLastSection(False)
        table.header().setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        for column in (1, 2):
            table.header().setSectionResizeMode(column, QHeaderView.ResizeMode.ResizeToContents)
        table.setSizeAdjustPolicy(QTreeWidget.SizeAdjustPolicy.AdjustIgnored)
        table.setMinimumHeight(0)
        table.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        table.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        table.setAccessibleName(self.tr("Pixels changed per class"))
        return table

    def _lay_out(self) -> None:
        head = QHBoxLayout()
        head.setSpacing(2)
        for button in self.view_buttons.values():
            head.addWidget(button)
        head.addStretch(1)
        head.addWidget(self.slider_label)
        head.addSpacing(GAP // 2)
        head.addWidget(self.slider, 2)
        self.slider_value.setMinimumWidth(self.fontMetrics().horizontalAdvance("00 of 00"))
        head.addSpacing(GAP // 2)
        head.addWidget(self.slider_value)
        head.addSpacing(GAP)
        head.addWidget(self.kernel_button)

        self._legend = QWidget()
        self._legend.setFixedSize(LEGEND_WIDTH, self.filmstrip.height())
        side = QVBoxLayout(self._legend)
        side.setContentsMargins(GAP, 2, 0, 0)
        side.setSpacing(4)
        side.addWidget(self.class_box)
        side.addWidget(self.colour_bar)
        side.addWidget(self.table, 1)
        side.addWidget(self.note)
        side.addStretch(0)

        body = QHBoxLayout()
        body.setSpacing(0)
        body.addWidget(self.filmstrip, 1)
        body.addWidget(self._legend)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(GAP, 2, GAP, GAP // 2)
        whole.setSpacing(2)
        whole.addLayout(head)
        whole.addLayout(body)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)

    def _show_legend(self) -> None:
        view = None if self._kernel else self._view
        for each, button in self.view_buttons.items():
            button.setChecked(each == view)
        self.kernel_button.setChecked(self._kernel)
        self.table.setVisible(view == "changes")
        self.colour_bar.setVisible(view != "changes")
        self.class_box.setVisible(view == "probability")
        self._legend.setVisible(self._kernel or self._view != "classes")
