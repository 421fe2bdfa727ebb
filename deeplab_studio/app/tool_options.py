"""The bar over the canvas: what the tool in use paints and what it is set to."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QCoreApplication, QRectF, QSignalBlocker, QSize, Qt, Signal
from PySide6.QtGui import QColor, QFont, QPainter, QPaintEvent, QResizeEvent
from PySide6.QtWidgets import (
    QButtonGroup,
    QCheckBox,
    QHBoxLayout,
    QLabel,
    QSizePolicy,
    QStackedWidget,
    QToolBar,
    QToolButton,
    QWidget,
)

from deeplab_studio.app.icons import icon
from deeplab_studio.app.panels.controls import (
    GAP,
    IconLabel,
    NumberRow,
    Slider,
    paint_hatched_swatch,
    paint_swatch,
    separator,
)
from deeplab_studio.app.settings import setting_row
from deeplab_studio.app.theme import tones

if TYPE_CHECKING:
    from PySide6.QtGui import QAction

    from deeplab_studio.app.canvas import Tool, ToolOption

HEIGHT = 36
"""Of the bar, with every tool: the picture must not move when another one is taken up."""

_ROOMY = 1120
"""Logical pixels of width from which on everything in the bar has its name."""

_SLIDER_STRETCH = 100
"""Sliders grow before the free room at the end does."""


def option_text(text: str) -> str:
    """A text of a `ToolOption` in the language of the window."""
    return QCoreApplication.translate("ToolOptions", text) if text else ""


class ToolOptionsBar(QToolBar):
    """Shows the tool in use, the class it paints, and its options.

    Attributes
    ----------
    changed : Signal(str, object)
        Key and new value of an option the person changed here.
    """

    changed = Signal(str, object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("tool_options")
        self.setWindowTitle(self.tr("Tool options"))
        self.setMovable(False)
        self._pages: dict[str, _Page] = {}
        self._unavailable: dict[str, str] = {}
        self._icon = IconLabel(side=16)
        self.name_label = QLabel()
        font = QFont(self.name_label.font())
        font.setWeight(QFont.Weight.DemiBold)
        self.name_label.setFont(font)
        self.class_chip = ClassChip()
        self._stack = QStackedWidget()
        self._rule_button = QToolButton()
        self._rule_button.setIconSize(QSize(16, 16))
        self._lines = [separator(18) for _ in range(2)]
        whole = QWidget()
        # In a narrow window the bar is cut rather than the window held wide.
        whole.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        whole.setFixedHeight(HEIGHT - 8)
        row = QHBoxLayout(whole)
        row.setContentsMargins(2, 0, 2, 0)
        row.setSpacing(GAP)
        row.addWidget(self._icon)
        row.addWidget(self.name_label)
        row.addWidget(self._lines[0])
        row.addWidget(self.class_chip)
        row.addWidget(self._lines[1])
        row.addWidget(self._stack, 1)
        row.addWidget(self._rule_button)
        self.addWidget(whole)

    def set_rule_action(self, action: QAction) -> None:
        """Put the switch of the painting rule at the end of the bar."""
        self._rule_button.setDefaultAction(action)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """In a narrow window the switch of the rule does without its name."""
        super().resizeEvent(event)
        style = Qt.ToolButtonStyle
        self._rule_button.setToolButtonStyle(
            style.ToolButtonTextBesideIcon if self.width() >= _ROOMY else style.ToolButtonIconOnly
        )

    def show_tool(self, action: QAction, icon_name: str, tool: Tool, value: Callable[[str], Any]) -> None:
        """Show a tool.

        Parameters
        ----------
        action : QAction
            The action that takes it up.
        icon_name : str
            The action's icon, by meaning.
        tool : Tool
        value : callable
            The value of an option by its key.
        """
        name = action.objectName()
        if name not in self._pages:
            page = _Page(tool.options)
            page.changed.connect(self.changed)
            for option in tool.options:
                page.set_value(option.key, value(option.key))
                page.set_enabled(option.key, self._unavailable.get(option.key, ""))
            self._pages[name] = page
            self._stack.addWidget(page)
        self._stack.setCurrentWidget(self._pages[name])
        self._icon.show_icon(icon_name)
        self.name_label.setText(action.text().replace("&", ""))
        for widget in (self.class_chip, self._lines[0], self._rule_button):
            widget.setVisible(tool.paints)
        self._lines[1].setVisible(bool(tool.options))

    def set_value(self, key: str, value: Any) -> None:
        """Show the value of an option in every tool that has it, without a signal."""
        for page in self._pages.values():
            page.set_value(key, value)

    def set_option_enabled(self, key: str, enabled: bool, reason: str = "") -> None:
        """Enable an option, or say why it cannot be set now."""
        self._unavailable[key] = "" if enabled else reason
        for page in self._pages.values():
            page.set_enabled(key, self._unavailable[key])

    def page_widget(self, key: str) -> QWidget:
        """The widget that sets an option of the tool shown; KeyError if it has none such."""
        page = self._stack.currentWidget()
        assert isinstance(page, _Page)
        return page.parts[key][-1]


class _Page(QWidget):
    """The options of one tool, in a row."""

    changed = Signal(str, object)

    def __init__(self, options: tuple[ToolOption, ...]) -> None:
        super().__init__()
        self.parts: dict[str, tuple[QWidget, ...]] = {}
        self._show: dict[str, Callable[[Any], None]] = {}
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(GAP)
        for option in options:
            if option.choices:
                self._add_choice(option)
            elif option.slider is not None:
                self._add_number(option, option.slider)
            else:
                self._add_switch(option)
            for part in self.parts[option.key]:
                row.addWidget(part, _SLIDER_STRETCH if isinstance(part, Slider) else 0)
            row.addSpacing(GAP)
        row.addStretch(1)

    def set_value(self, key: str, value: Any) -> None:
        if key in self._show:
            self._show[key](value)

    def set_enabled(self, key: str, reason: str) -> None:
        for part in self.parts.get(key, ()):
            part.setEnabled(not reason)
            part.setToolTip(reason or part.accessibleDescription())

    def _add_number(self, option: ToolOption, ends: tuple[float, float]) -> None:
        setting = setting_row(option.key)
        whole = setting.kind == "int"
        number = NumberRow(
            option_text(option.text),
            *ends,
            box_low=setting.low,
            box_high=setting.high,
            log=option.log,
            decimals=0 if whole else 1,
            suffix=option.suffix,
            tip=option_text(option.tip),
            parent=self,
        )
        number.slider.setMaximumWidth(120)
        number.box.setFixedWidth(84)
        number.changed.connect(lambda value: self.changed.emit(option.key, round(value) if whole else value))
        self.parts[option.key] = number.parts
        self._show[option.key] = number.set_value

    def _add_switch(self, option: ToolOption) -> None:
        box = QCheckBox(option_text(option.text))
        box.setToolTip(option_text(option.tip))
        box.setAccessibleDescription(box.toolTip())
        box.toggled.connect(partial(self._tell, option.key))
        self.parts[option.key] = (box,)

        def show(on: bool) -> None:
            with QSignalBlocker(box):
                box.setChecked(on)

        self._show[option.key] = show

    def _add_choice(self, option: ToolOption) -> None:
        buttons = {}
        group = QButtonGroup(self)
        whole = QWidget()
        row = QHBoxLayout(whole)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(2)
        for choice in option.choices:
            button = QToolButton()
            button.setText(option_text(choice.text))
            button.setToolTip(option_text(choice.tip or choice.text))
            button.setAccessibleName(button.text() or button.toolTip())
            button.setCheckable(True)
            button.setIconSize(QSize(16, 16))
            if choice.icon:
                button.setIcon(icon(choice.icon))
            style = Qt.ToolButtonStyle
            button.setToolButtonStyle(style.ToolButtonTextBesideIcon if choice.text else style.ToolButtonIconOnly)
            if choice.text:
                # The style reckons with more room than it uses, all of it to the right of the text.
                button.setFixedWidth(button.fontMetrics().horizontalAdvance(button.text()) + 36)
            button.clicked.connect(partial(self._tell_choice, option.key, choice.value))
            group.addButton(button)
            row.addWidget(button)
            buttons[choice.value] = button
        whole.setAccessibleName(option_text(option.text))
        whole.setAccessibleDescription(option_text(option.tip))
        label = (QLabel(option_text(option.text)),) if option.text else ()
        self.parts[option.key] = (*label, whole)
        self._show[option.key] = lambda value: buttons[value].setChecked(True)

    def _tell(self, key: str, on: bool) -> None:
        self.changed.emit(key, on)

    def _tell_choice(self, key: str, value: str, _checked: bool) -> None:
        self.changed.emit(key, value)


class ClassChip(QWidget):
    """The class that is painted: its colour and its name."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._name, self._colour, self._void = "", QColor(), False
        self.setFixedHeight(self.fontMetrics().height() + 6)
        self.setAccessibleName(self.tr("Class that is painted"))
        self.setToolTip(self.accessibleName())

    def set_class(self, name: str, colour: tuple[int, int, int], *, void: bool = False) -> None:
        """Show a class; void's colour is hatched."""
        self._name, self._colour, self._void = name, QColor(*colour), void
        self.setAccessibleDescription(name)
        self.setFixedWidth(min(self.fontMetrics().horizontalAdvance(name), 160) + 22)
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw both."""
        painter = QPainter(self)
        swatch = QRectF(0, (self.height() - 13) / 2, 13, 13)
        (paint_hatched_swatch if self._void else paint_swatch)(painter, swatch, self._colour)
        painter.setPen(QColor(tones(self.palette()).text))
        area = self.rect().adjusted(20, 0, 0, 0)
        name = self.fontMetrics().elidedText(self._name, Qt.TextElideMode.ElideRight, area.width())
        painter.drawText(area, Qt.AlignmentFlag.AlignVCenter, name)
