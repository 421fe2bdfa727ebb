"""Small widgets the panels share."""

from __future__ import annotations

import math

from PySide6.QtCore import QEvent, QObject, QPoint, QPointF, QRect, QRectF, QSignalBlocker, QSize, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QFont,
    QGuiApplication,
    QHelpEvent,
    QIcon,
    QIconEngine,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPalette,
    QPen,
    QPixmap,
    QWheelEvent,
)
from PySide6.QtWidgets import (
    QAbstractScrollArea,
    QAbstractSpinBox,
    QCheckBox,
    QDoubleSpinBox,
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QSizePolicy,
    QSlider,
    QStyle,
    QStyleOptionSlider,
    QToolButton,
    QToolTip,
    QVBoxLayout,
    QWidget,
)

from deeplab_studio.app.icons import Tone, icon, paint_icon
from deeplab_studio.app.theme import mix, tones

GAP = 8
"""Distance between things, and the panels' margin, in logical pixels."""

STEPS = 1000
"""Positions of a slider over a continuous range."""


def small_font(widget: QWidget) -> QFont:
    """The widget's font for secondary text."""
    font = QFont(widget.font())
    if font.pointSizeF() > 0:
        font.setPointSizeF(max(font.pointSizeF() * 0.9, 7.0))
    return font


def icon_button(name: str, tip: str, *, on: str | None = None, checkable: bool = False) -> QToolButton:
    """A flat button that is an icon, named by its tooltip for who cannot see it."""
    button = QToolButton()
    button.setIcon(icon(name, on=on))
    button.setIconSize(QSize(16, 16))
    button.setToolTip(tip)
    button.setAccessibleName(tip)
    button.setCheckable(checkable)
    button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
    return button


def text_button(name: str, text: str) -> QPushButton:
    """A button with an icon before its text."""
    button = QPushButton(icon(name), text)
    # Wider than the icon is: the style leaves too little room between icon and text.
    button.setIconSize(QSize(22, 16))
    return button


def separator(height: int) -> QFrame:
    """A vertical line between parts of a bar."""
    line = QFrame()
    line.setFrameShape(QFrame.Shape.VLine)
    line.setFixedHeight(height)
    return line


def would_scroll(widget: QWidget) -> bool:
    """Whether the wheel over `widget` has a scroll area to move."""
    parent = widget.parentWidget()
    while parent is not None:
        if isinstance(parent, QAbstractScrollArea) and parent.verticalScrollBar().maximum() > 0:
            return True
        parent = parent.parentWidget()
    return False


class Slider(QSlider):
    """A horizontal slider that goes where it is clicked; without the focus it leaves the wheel to a scroll area."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(Qt.Orientation.Horizontal, parent)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMinimumWidth(48)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Move the handle under the pointer first, so that every press starts a drag."""
        if event.button() == Qt.MouseButton.LeftButton:
            option = QStyleOptionSlider()
            self.initStyleOption(option)
            control, style = QStyle.ComplexControl.CC_Slider, self.style()
            handle = style.subControlRect(control, option, QStyle.SubControl.SC_SliderHandle, self)
            if not handle.contains(event.position().toPoint()):
                groove = style.subControlRect(control, option, QStyle.SubControl.SC_SliderGroove, self)
                span = groove.width() - handle.width()
                offset = round(event.position().x() - groove.x() - handle.width() / 2)
                value = QStyle.sliderValueFromPosition(self.minimum(), self.maximum(), offset, span, option.upsideDown)
                self.setSliderDown(True)
                self.setSliderPosition(value)
        super().mousePressEvent(event)

    def wheelEvent(self, event: QWheelEvent) -> None:
        """One step of the wheel is one step of the slider."""
        if not self.hasFocus() and would_scroll(self):
            event.ignore()
            return
        super().wheelEvent(event)


class NumberBox(QDoubleSpinBox):
    """A number to type: it counts when it is complete, and shows no more digits than it needs."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setKeyboardTracking(False)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setStepType(QAbstractSpinBox.StepType.AdaptiveDecimalStepType)
        self.setAccelerated(True)
        self.setGroupSeparatorShown(False)

    def textFromValue(self, value: float) -> str:
        """The number without trailing zeros."""
        text = super().textFromValue(value)
        point = self.locale().decimalPoint()
        return text.rstrip("0").rstrip(point) if point in text else text

    def wheelEvent(self, event: QWheelEvent) -> None:
        """As with the slider beside it."""
        if not self.hasFocus() and would_scroll(self):
            event.ignore()
            return
        super().wheelEvent(event)


class NumberRow(QObject):
    """A named number: label, slider and editable value, to be laid into a grid with others.

    Parameters
    ----------
    name : str
        What it is called; the label, and the accessible name of slider and box.
    low, high : float
        Ends of the slider.
    box_low, box_high : float, optional
        What may be typed; the slider's ends if not given. A value beyond the slider leaves it at its end.
    log : bool
        Whether the slider moves by factors instead of by steps; `low` must be positive.
    decimals : int
        Digits after the point; with 0 the slider steps through whole numbers.
    suffix : str
        Unit, shown in the box.
    tip : str
        What it does, in plain words.
    scale : float
        The box shows the value times this (100 for a share shown in per cent).

    Attributes
    ----------
    changed : Signal(float)
        The person changed the value (not `set_value`).
    settled : Signal()
        The person is certainly done: released the slider, pressed Enter, or left the box.
    resetAsked : Signal()
        The label was double-clicked.
    """

    changed = Signal(float)
    settled = Signal()
    resetAsked = Signal()

    def __init__(
        self,
        name: str,
        low: float,
        high: float,
        *,
        box_low: float | None = None,
        box_high: float | None = None,
        log: bool = False,
        decimals: int = 2,
        suffix: str = "",
        tip: str = "",
        scale: float = 1.0,
        parent: QWidget,
    ) -> None:
        super().__init__(parent)
        self._low, self._high, self._log, self._scale = low, high, log, scale
        self._whole = decimals == 0 and scale == 1.0 and not log
        self.label = QLabel(name, parent)
        self.slider = Slider(parent)
        self.box = NumberBox(parent)
        self.label.setBuddy(self.box)
        if self._whole:
            self.slider.setRange(round(low), round(high))
            self.slider.setPageStep(5)
        else:
            self.slider.setRange(0, STEPS)
            self.slider.setSingleStep(STEPS // 100)
            self.slider.setPageStep(STEPS // 10)
        self.box.setDecimals(decimals)
        if decimals == 0 and scale == 1.0:
            self.box.setStepType(QAbstractSpinBox.StepType.DefaultStepType)
        self.box.setRange(
            (low if box_low is None else box_low) * scale, (high if box_high is None else box_high) * scale
        )
        self.box.setSuffix(suffix)
        self.box.setAlignment(Qt.AlignmentFlag.AlignRight)
        for part in self.parts:
            part.setAccessibleName(name)
            part.setAccessibleDescription(tip)
            part.setToolTip(tip)
        self.label.installEventFilter(self)

        self._value = low
        self.slider.valueChanged.connect(self._slider_moved)
        self.slider.sliderReleased.connect(self.settled)
        self.box.valueChanged.connect(self._box_changed)
        self.box.editingFinished.connect(self.settled)

    @property
    def parts(self) -> tuple[QWidget, QWidget, QWidget]:
        """Label, slider and box."""
        return self.label, self.slider, self.box

    @property
    def value(self) -> float:
        """The value, exactly as set even where slider and box show it rounded."""
        return self._value

    def set_value(self, value: float) -> None:
        """Show `value` without a signal."""
        self._value = value
        self._show_in_slider(value)
        with QSignalBlocker(self.box):
            self.box.setValue(value * self._scale)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Reset on a double click on the label."""
        if watched is self.label and event.type() == QEvent.Type.MouseButtonDblClick:
            self.resetAsked.emit()
            return True
        return False

    def add_to(self, grid: QGridLayout, row: int) -> None:
        """Lay the three parts into columns 0 to 2 of a shared grid, so that rows line up."""
        for column, part in enumerate(self.parts):
            grid.addWidget(part, row, column)

    def _show_in_slider(self, value: float) -> None:
        with QSignalBlocker(self.slider):
            self.slider.setValue(self._position(value))

    def _position(self, value: float) -> int:
        value = min(max(value, self._low), self._high)
        if self._whole:
            return round(value)
        if self._log:
            share = math.log(value / self._low) / math.log(self._high / self._low)
        else:
            share = (value - self._low) / (self._high - self._low)
        return round(share * STEPS)

    def _slider_moved(self, position: int) -> None:
        if self._whole:
            value = float(position)
        elif self._log:
            value = self._low * (self._high / self._low) ** (position / STEPS)
            # Three figures are what a person means by a place on a logarithmic scale.
            value = float(f"{value:.3g}")
        else:
            value = self._low + (self._high - self._low) * position / STEPS
        value = round(value, self.box.decimals() + round(math.log10(self._scale)))
        with QSignalBlocker(self.box):
            self.box.setValue(value * self._scale)
        self._tell(value)

    def _box_changed(self, shown: float) -> None:
        value = shown / self._scale
        self._show_in_slider(value)
        self._tell(value)

    def _tell(self, value: float) -> None:
        if value != self._value:
            self._value = value
            self.changed.emit(value)


class Switch(QCheckBox):
    """A check box drawn as a switch: for what turns a whole panel on and off."""

    _TRACK = QSize(28, 16)

    def sizeHint(self) -> QSize:
        """Track, gap and text."""
        metrics = self.fontMetrics()
        text = metrics.horizontalAdvance(self.text()) + GAP if self.text() else 0
        return QSize(self._TRACK.width() + text + 4, max(self._TRACK.height(), metrics.height()) + 4)

    def minimumSizeHint(self) -> QSize:
        """The same: a switch is never cut."""
        return self.sizeHint()

    def hitButton(self, pos: QPoint) -> bool:
        """Track and text both switch."""
        return self.rect().contains(pos)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw the track, the knob and the text."""
        tone = tones(self.palette())
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        track = QRectF(2, (self.height() - self._TRACK.height()) / 2, self._TRACK.width(), self._TRACK.height())
        enabled, on = self.isEnabled(), self.isChecked()
        if not enabled:
            fill, edge, knob = tone.window, tone.border, tone.border
        elif on:
            fill, edge, knob = tone.highlight, tone.highlight, tone.highlighted_text
        else:
            fill, edge, knob = tone.base, tone.border_strong, tone.muted
        painter.setBrush(QColor(fill))
        painter.setPen(QPen(QColor(edge), 1))
        radius = track.height() / 2
        painter.drawRoundedRect(track.adjusted(0.5, 0.5, -0.5, -0.5), radius, radius)
        if self.hasFocus():
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.setPen(QPen(QColor(tone.accent), 1.5))
            painter.drawRoundedRect(track.adjusted(-1, -1, 1, 1), radius + 1, radius + 1)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(knob))
        centre = QPointF(track.right() - radius if on else track.left() + radius, track.center().y())
        painter.drawEllipse(centre, radius - 3.5, radius - 3.5)
        painter.setPen(QColor(tone.text if enabled else tone.disabled))
        area = self.rect().adjusted(self._TRACK.width() + GAP, 0, 0, 0)
        painter.drawText(area, Qt.AlignmentFlag.AlignVCenter | Qt.TextFlag.TextShowMnemonic, self.text())


class ElidedLabel(QLabel):
    """A line of text that gives way: what does not fit is elided, and all of it is in the tooltip."""

    def __init__(
        self,
        text: str = "",
        mode: Qt.TextElideMode = Qt.TextElideMode.ElideRight,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(text, parent)
        self._mode = mode
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)

    def minimumSizeHint(self) -> QSize:
        """A few letters."""
        return QSize(self.fontMetrics().horizontalAdvance("…") * 2, super().minimumSizeHint().height())

    def event(self, event: QEvent) -> bool:
        """Show the whole text in the tooltip, if it is not all there."""
        if event.type() == QEvent.Type.ToolTip and not self.toolTip():
            whole = self.fontMetrics().horizontalAdvance(self.text()) > self.width()
            if isinstance(event, QHelpEvent):
                QToolTip.showText(event.globalPos(), self.text() if whole else "", self)
            return True
        return super().event(event)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw as much as fits."""
        painter = QPainter(self)
        area = self.contentsRect()
        text = self.fontMetrics().elidedText(self.text(), self._mode, area.width())
        self.style().drawItemText(
            painter, area, int(self.alignment()), self.palette(), self.isEnabled(), text, self.foregroundRole()
        )


class Muted(ElidedLabel):
    """An `ElidedLabel` in the colour and size of secondary text."""

    def __init__(self, text: str = "", parent: QWidget | None = None) -> None:
        super().__init__(text, parent=parent)
        self.setFont(small_font(self))
        self.setForegroundRole(QPalette.ColorRole.PlaceholderText)


class IconLabel(QWidget):
    """An icon that stands for itself; takes no room while it has none."""

    def __init__(self, name: str = "", tone: Tone = "text", side: int = 16, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setFixedSize(side, side)
        self._name, self._tone = "", tone
        self.show_icon(name, tone)

    def show_icon(self, name: str, tone: Tone = "text") -> None:
        """Show the icon `name` in `tone`; nothing for ""."""
        self._name, self._tone = name, tone
        self.setVisible(bool(name))
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw it in the colours of the moment."""
        if self._name:
            colour = tones(self.palette()).colour(self._tone if self.isEnabled() else "disabled")
            paint_icon(QPainter(self), self.rect(), self._name, colour)


class Heading(QLabel):
    """The title of a group of controls."""

    def __init__(self, text: str, tip: str = "", parent: QWidget | None = None) -> None:
        super().__init__(text, parent)
        font = self.font()
        font.setWeight(QFont.Weight.DemiBold)
        self.setFont(font)
        self.setToolTip(tip)


class SwatchIcon(QIconEngine):
    """A rounded square of one colour, outlined so that it shows on any surface."""

    def __init__(self, colour: QColor) -> None:
        super().__init__()
        self._colour = colour

    def clone(self) -> QIconEngine:
        """Another of the same colour."""
        return SwatchIcon(self._colour)

    def paint(self, painter: QPainter, rect: QRect, mode: QIcon.Mode, state: QIcon.State) -> None:
        """Fill the square."""
        paint_swatch(painter, QRectF(rect).adjusted(1, 1, -1, -1), self._colour)

    def pixmap(self, size: QSize, mode: QIcon.Mode, state: QIcon.State) -> QPixmap:
        """The square on nothing."""
        return _painted(self, size, mode, state)


class BadgeIcon(QIconEngine):
    """A short word in a pill: the version of a model."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self._text = text

    def clone(self) -> QIconEngine:
        """Another with the same word."""
        return BadgeIcon(self._text)

    def paint(self, painter: QPainter, rect: QRect, mode: QIcon.Mode, state: QIcon.State) -> None:
        """Draw pill and word in the application's colours."""
        palette = QGuiApplication.palette()
        tone = tones(palette)
        area = QRectF(rect).adjusted(0.5, 0.5, -0.5, -0.5)
        colour = QColor(tone.highlighted_text if mode == QIcon.Mode.Selected else tone.accent)
        if mode == QIcon.Mode.Disabled:
            colour = QColor(tone.disabled)
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(colour, max(1.0, rect.height() / 16)))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawRoundedRect(area, area.height() / 4, area.height() / 4)
        font = QFont(QGuiApplication.font())
        font.setPixelSize(max(round(rect.height() * 0.62), 6))
        font.setWeight(QFont.Weight.DemiBold)
        painter.setFont(font)
        painter.drawText(area, Qt.AlignmentFlag.AlignCenter, self._text)
        painter.restore()

    def pixmap(self, size: QSize, mode: QIcon.Mode, state: QIcon.State) -> QPixmap:
        """Pill and word on nothing."""
        return _painted(self, size, mode, state)


def _painted(engine: QIconEngine, size: QSize, mode: QIcon.Mode, state: QIcon.State) -> QPixmap:
    pixmap = QPixmap(size)
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    engine.paint(painter, QRect(QPoint(0, 0), size), mode, state)
    painter.end()
    return pixmap


def paint_swatch(painter: QPainter, rect: QRectF, colour: QColor) -> None:
    """A rounded square of `colour` with an edge that is seen on light and on dark, whatever the colour."""
    tone = tones()
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(QPen(mix(colour, QColor(tone.text), 0.35), 1))
    painter.setBrush(colour)
    painter.drawRoundedRect(rect.adjusted(0.5, 0.5, -0.5, -0.5), 3, 3)
    painter.restore()


def paint_hatched_swatch(painter: QPainter, rect: QRectF, colour: QColor) -> None:
    """As `paint_swatch`, hatched: void is no class."""
    paint_swatch(painter, rect, colour)
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setClipRect(rect.adjusted(1, 1, -1, -1))
    painter.setPen(QPen(QColor(70, 70, 50), 1))
    step = 4
    for start in range(-int(rect.height()), int(rect.width()), step):
        painter.drawLine(
            QPointF(rect.left() + start, rect.bottom()), QPointF(rect.left() + start + rect.height(), rect.top())
        )
    painter.restore()


class JobLine(QWidget):
    """What is being worked on, how far it is, and a button to stop it. Keeps its room while there is nothing.

    Attributes
    ----------
    cancelRequested : Signal()
        The person wants it stopped.
    """

    cancelRequested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.label = Muted()
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setAccessibleName(self.tr("Progress"))
        self.cancel_button = icon_button("cancel", self.tr("Stop"))
        self.cancel_button.clicked.connect(self.cancelRequested)
        lines = QVBoxLayout()
        lines.setSpacing(2)
        lines.addWidget(self.label)
        lines.addWidget(self.bar)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(GAP // 2)
        row.addLayout(lines, 1)
        row.addWidget(self.cancel_button)
        self.setMinimumWidth(120)
        policy = self.sizePolicy()
        policy.setRetainSizeWhenHidden(True)
        self.setSizePolicy(policy)
        self.hide()

    def set_job(self, text: str, fraction: float | None = None) -> None:
        """Show work under way: `fraction` 0..1, or None while it is not known. An empty text says that it is over."""
        self.setVisible(bool(text))
        self.label.setText(text)
        self.bar.setAccessibleDescription(text)
        if fraction is None:
            self.bar.setRange(0, 0)
        else:
            self.bar.setRange(0, 1000)
            self.bar.setValue(round(1000 * min(max(fraction, 0.0), 1.0)))
