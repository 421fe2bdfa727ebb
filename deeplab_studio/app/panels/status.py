"""The status bar: messages, work under way, what is under the cursor, zoom and device."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

from PySide6.QtCore import QRectF, QSize, Qt, QTime, QTimer, Signal
from PySide6.QtGui import QColor, QMouseEvent, QPainter, QPaintEvent, QPalette
from PySide6.QtWidgets import QHBoxLayout, QLabel, QMenu, QSizePolicy, QToolButton, QWidget

from deeplab_studio.app.icons import Tone, icon
from deeplab_studio.app.panels.controls import (
    GAP,
    ElidedLabel,
    IconLabel,
    JobLine,
    icon_button,
    paint_swatch,
    separator,
    small_font,
)
from deeplab_studio.app.theme import tones

Kind = Literal["info", "success", "warning", "error"]
Rgb = tuple[int, int, int]

_NOTICE_ICONS: dict[Kind, tuple[str, Tone]] = {
    "info": ("info", "muted"),
    "success": ("success", "success"),
    "warning": ("warning", "warning"),
    "error": ("error", "danger"),
}
_STAYS: dict[Kind, int | None] = {"info": 6000, "success": 6000, "warning": 12000, "error": None}
"""Milliseconds after which a message goes by itself."""

_KEPT = 50
NOTICE_ROOM = 420
"""Width in logical pixels a long message gets at least."""

ZOOMS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)


class ClassScore(NamedTuple):
    """A class and its probability at one pixel."""

    name: str
    colour: Rgb
    probability: float


class Notice(NamedTuple):
    """A message, when it came, and what can be done about it: the text of a button and what it does."""

    time: QTime
    kind: Kind
    text: str
    action: tuple[str, Callable[[], None]] | None = None


class NoticeLine(QWidget):
    """One line for messages. An error stays until it is dismissed, and no lesser message takes its place.

    Attributes
    ----------
    clicked : Signal()
        The person clicked the message.
    """

    clicked = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._queue: deque[Notice] = deque()
        self.history: deque[Notice] = deque(maxlen=_KEPT)
        """The last messages, oldest first."""
        self._icon = IconLabel()
        self.label = ElidedLabel()
        self.action_button = QToolButton()
        self.action_button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextOnly)
        self.action_button.clicked.connect(lambda: self._act())
        self.more_label = QLabel()
        self.close_button = icon_button("close", self.tr("Dismiss"))
        self.close_button.setIconSize(QSize(12, 12))
        self.close_button.clicked.connect(self.dismiss)
        self._hint = ""
        self._wanted = 0
        self._timer = QTimer(self, singleShot=True)
        self._timer.timeout.connect(self.dismiss)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(GAP // 2)
        row.addWidget(self._icon)
        row.addWidget(self.label, 1)
        row.addWidget(self.action_button)
        row.addWidget(self.more_label)
        row.addWidget(self.close_button)
        self._show()

    @property
    def current(self) -> Notice | None:
        """The message that is shown."""
        return self._queue[0] if self._queue else None

    def show_notice(self, text: str, kind: Kind = "info", action: tuple[str, Callable[[], None]] | None = None) -> None:
        """Show a message, with a button if something can be done: errors one by one, the newest of the rest."""
        notice = Notice(QTime.currentTime(), kind, text, action)
        self.history.append(notice)
        errors = [waiting for waiting in self._queue if waiting.kind == "error" and waiting.text != text]
        if kind == "error":
            self._queue = deque([*errors, notice])
        elif not errors:
            self._queue = deque([notice])
        self._show()

    def set_hint(self, text: str) -> None:
        """Show `text` while there is no message."""
        if text != self._hint:
            self._hint = text
            if self.current is None:
                self._show()

    def dismiss(self) -> None:
        """Take the message away; the next error waiting takes its place."""
        if self._queue:
            self._queue.popleft()
        self._show()

    def withdraw(self, text: str) -> None:
        """Take a message away that is no longer true, shown or waiting."""
        left = deque(notice for notice in self._queue if notice.text != text)
        if len(left) != len(self._queue):
            self._queue = left
            self._show()

    def _act(self) -> None:
        notice = self.current
        self.dismiss()
        if notice is not None and notice.action is not None:
            notice.action[1]()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """A click on the line."""
        if self._queue and self.rect().contains(event.position().toPoint()):
            self.clicked.emit()

    def _show(self) -> None:
        notice = self.current
        self._timer.stop()
        self.close_button.setVisible(notice is not None)
        action = notice.action if notice is not None else None
        self.action_button.setVisible(action is not None)
        self.action_button.setText(action[0] if action is not None else "")
        self.more_label.setVisible(len(self._queue) > 1)
        self.more_label.setText(self.tr("+{0}").format(len(self._queue) - 1))
        self.more_label.setToolTip(self.tr("More errors are waiting"))
        if notice is None:
            self._icon.show_icon("")
            self.label.setText(self._hint)
            self.label.setToolTip(self._hint)
            self.label.setAccessibleName(self._hint)
            self.label.setForegroundRole(QPalette.ColorRole.PlaceholderText)
            self._give_room(self._hint, insist=False)
            return
        name, tone = _NOTICE_ICONS[notice.kind]
        self._icon.show_icon(name, tone)
        self.label.setForegroundRole(QPalette.ColorRole.WindowText)
        self.label.setText(notice.text)
        self.label.setToolTip(notice.text)
        self.label.setAccessibleName(notice.text)
        self._give_room(notice.text, insist=True)
        stays = _STAYS[notice.kind]
        if stays is not None:
            self._timer.start(stays)

    def sizeHint(self) -> QSize:
        """Room for what is shown."""
        return QSize(self._wanted, super().sizeHint().height())

    def _give_room(self, text: str, *, insist: bool) -> None:
        """Ask for room; if insisted on, the scores give way to it, down to nothing."""
        self._wanted = self.label.fontMetrics().horizontalAdvance(text) + 4 * GAP if text else 0
        self.setMinimumWidth(min(self._wanted + 6 * GAP, NOTICE_ROOM) if insist else 0)
        self.updateGeometry()


class ScoreStrip(QWidget):
    """A few classes with their colours and probabilities in one line; the last ones give way when there is no room."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._scores: tuple[ClassScore, ...] = ()
        self.setFont(small_font(self))
        # What is said beside them comes first: they get what is left, and need no more than for three.
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.setMaximumWidth(3 * self.cell_width)
        self.setToolTip(self.tr("The model's three most likely classes under the cursor"))
        self.setAccessibleName(self.tr("Scores under the cursor"))

    def set_scores(self, scores: Sequence[ClassScore]) -> None:
        """Show `scores`, the most likely first."""
        self._scores = tuple(scores)
        self.setAccessibleDescription(", ".join(map(self._text, scores)))
        self.update()

    @property
    def cell_width(self) -> int:
        """Room for one class."""
        return self.fontMetrics().horizontalAdvance("diningtable 100 %") + 22

    def sizeHint(self) -> QSize:
        """Room for three."""
        return QSize(3 * self.cell_width, self.fontMetrics().height() + 4)

    def minimumSizeHint(self) -> QSize:
        """None: in a narrow window the scores go first."""
        return QSize(0, self.fontMetrics().height() + 4)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw as many as fit."""
        tone = tones(self.palette())
        painter = QPainter(self)
        metrics = self.fontMetrics()
        for place, score in enumerate(self._scores):
            left = place * self.cell_width
            if left + self.cell_width > self.width() + 1:
                break
            paint_swatch(painter, QRectF(left, (self.height() - 10) / 2, 10, 10), QColor(*score.colour))
            percent = self._percent(score)
            room = self.cell_width - 22 - metrics.horizontalAdvance(" 100 %")
            name = metrics.elidedText(score.name, Qt.TextElideMode.ElideRight, room)
            painter.setPen(QColor(tone.text if place == 0 else tone.muted))
            area = self.rect().adjusted(left + 15, 0, 0, 0)
            painter.drawText(area, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft, f"{name} {percent}")

    def _percent(self, score: ClassScore) -> str:
        return self.tr("{0} %").format(f"{100 * score.probability:.0f}")

    def _text(self, score: ClassScore) -> str:
        return f"{score.name} {self._percent(score)}"


class StatusArea(QWidget):
    """Everything in the status bar, to be added to it as one permanent widget with stretch.

    Attributes
    ----------
    cancelRequested : Signal()
        The person wants the work shown stopped.
    zoomRequested : Signal(float)
        The person chose a zoom: pixels of the screen per pixel of the image; 0 to fit the window.
    """

    cancelRequested = Signal()
    zoomRequested = Signal(float)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.notices = NoticeLine()
        self.notices.clicked.connect(self._open_history)
        self.log_button = icon_button("log", self.tr("Messages so far"))
        self.log_button.clicked.connect(self._open_history)
        self.job = JobLine()
        self.job.setMaximumWidth(240)
        self.job.cancelRequested.connect(self.cancelRequested)
        self.scores = ScoreStrip()
        self.class_cell = ClassCell()
        self.position_label = self._fixed("x 00000  y 00000", self.tr("Pixel under the cursor"))
        self.zoom_button = QToolButton()
        self.zoom_button.setText("100 %")
        self.zoom_button.setToolTip(self.tr("Zoom"))
        self.zoom_button.setAccessibleName(self.tr("Zoom"))
        self.zoom_button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.zoom_button.setMenu(self._zoom_menu())
        self.zoom_button.setMinimumWidth(self.fontMetrics().horizontalAdvance("1000 %") + 16)
        self.device_icon = IconLabel("device", "muted")
        self.device_label = QLabel()
        self.device_label.setFont(small_font(self.device_label))
        self._lay_out()
        self.set_device("")

    # Messages and work

    def show_notice(self, text: str, kind: Kind = "info", action: tuple[str, Callable[[], None]] | None = None) -> None:
        """Show a message: "info" and "success" for 6 s, "warning" for 12 s, "error" until it is dismissed."""
        self.notices.show_notice(text, kind, action)

    def set_hint(self, text: str) -> None:
        """Show what mouse and keys do, while there is no message."""
        self.notices.set_hint(text)

    def set_job(self, text: str, fraction: float | None = None) -> None:
        """Show work under way: `fraction` 0..1, or None while it is not known. An empty text says that it is over."""
        self.job.set_job(text, fraction)

    # Under the cursor

    def set_position(self, x: int, y: int) -> None:
        """Show the pixel under the cursor; a negative one says that there is none."""
        inside = x >= 0 and y >= 0
        self.position_label.setText(f"x {x}  y {y}" if inside else "")
        if not inside:
            self.class_cell.set_class("")
            self.scores.set_scores(())

    def set_class(self, name: str, colour: Rgb = (0, 0, 0), *, pinned: bool = False) -> None:
        """Show the class map's class under the cursor, and whether the pixel is pinned; "" for none."""
        self.class_cell.set_class(name, colour, pinned=pinned)

    def set_scores(self, scores: Sequence[ClassScore]) -> None:
        """Show the most likely classes under the cursor, the first three of `scores`."""
        self.scores.set_scores(scores[:3])

    # Zoom and device

    def set_zoom(self, scale: float) -> None:
        """Show the zoom: pixels of the screen per pixel of the image."""
        percent = 100 * scale
        self.zoom_button.setText(self.tr("{0} %").format(f"{percent:.0f}" if percent >= 10 else f"{percent:.1f}"))

    def set_device(self, name: str, memory: tuple[int, int] | None = None, detail: str = "") -> None:
        """Show the device in use.

        Parameters
        ----------
        name : str
            What a person calls it: "CPU", "CUDA".
        memory : (int, int), optional
            Bytes in use and bytes there are.
        detail : str
            More for the tooltip: the product's name, why it is not another one.
        """
        self.device_icon.show_icon("device" if name else "", "muted")
        text = name
        if memory is not None:
            used, total = memory
            text = self.tr("{0}  {1} of {2}").format(name, gigabytes(used), gigabytes(total))
        self.device_label.setText(text)
        self.device_label.setToolTip("\n".join(filter(None, (self.tr("Device in use"), text, detail))))
        self.device_icon.setToolTip(self.device_label.toolTip())

    # Building

    def _open_history(self) -> None:
        menu = self.history_menu()
        menu.exec(self.log_button.mapToGlobal(self.log_button.rect().topLeft()))
        menu.deleteLater()

    def history_menu(self) -> QMenu:
        """The last messages, newest last."""
        menu = QMenu(self)
        for notice in list(self.notices.history)[-20:]:
            name, tone = _NOTICE_ICONS[notice.kind]
            text = self.fontMetrics().elidedText(notice.text, Qt.TextElideMode.ElideRight, 640).replace("&", "&&")
            action = menu.addAction(icon(name, tone=tone), f"{notice.time.toString('HH:mm:ss')}  {text}")
            action.setToolTip(notice.text)
        if menu.isEmpty():
            menu.addAction(self.tr("No messages")).setEnabled(False)
        menu.setToolTipsVisible(True)
        return menu

    def _zoom_menu(self) -> QMenu:
        menu = QMenu(self)
        menu.addAction(icon("zoom-fit"), self.tr("Fit in window")).triggered.connect(
            lambda: self.zoomRequested.emit(0.0)
        )
        menu.addSeparator()
        for zoom in ZOOMS:
            action = menu.addAction(self.tr("{0} %").format(f"{100 * zoom:.0f}"))
            action.triggered.connect(lambda _=False, zoom=zoom: self.zoomRequested.emit(zoom))
        return menu

    def _fixed(self, widest: str, tip: str) -> QLabel:
        label = QLabel()
        label.setFont(small_font(label))
        label.setFixedWidth(label.fontMetrics().horizontalAdvance(widest) + 4)
        label.setToolTip(tip)
        label.setAccessibleName(tip)
        return label

    def _lay_out(self) -> None:
        row = QHBoxLayout(self)
        row.setContentsMargins(GAP // 2, 1, GAP, 1)
        row.setSpacing(GAP)
        row.addWidget(self.log_button)
        row.addWidget(self.notices)
        row.addWidget(self.job)
        row.addWidget(self.scores, 1)
        row.addWidget(separator(14))
        row.addWidget(self.class_cell)
        row.addWidget(self.position_label)
        row.addWidget(separator(14))
        row.addWidget(self.zoom_button)
        row.addWidget(separator(14))
        row.addWidget(self.device_icon)
        row.addWidget(self.device_label)


class ClassCell(QWidget):
    """The class under the cursor: swatch, name, and a pin if it is pinned."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._name, self._colour = "", QColor()
        self.setFont(small_font(self))
        self._pin = IconLabel("", "accent", 12, self)
        self._pin.setToolTip(self.tr("Painted by hand: predictions and the CRF leave it alone"))
        self.setFixedWidth(self.fontMetrics().horizontalAdvance("pottedplant") + 40)
        self.setFixedHeight(self.fontMetrics().height() + 4)
        self.setAccessibleName(self.tr("Class under the cursor"))

    def set_class(self, name: str, colour: Rgb = (0, 0, 0), *, pinned: bool = False) -> None:
        """Show a class; "" for none."""
        self._name, self._colour = name, QColor(*colour)
        self._pin.show_icon("pin" if name and pinned else "", "accent")
        self._pin.move(self.width() - 14, (self.height() - 12) // 2)
        self.setToolTip(self.tr("Class under the cursor: {0}").format(name) if name else "")
        self.setAccessibleDescription(name)
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw it."""
        if not self._name:
            return
        painter = QPainter(self)
        paint_swatch(painter, QRectF(0, (self.height() - 10) / 2, 10, 10), self._colour)
        painter.setPen(QColor(tones(self.palette()).text))
        area = self.rect().adjusted(15, 0, -16, 0)
        name = self.fontMetrics().elidedText(self._name, Qt.TextElideMode.ElideRight, area.width())
        painter.drawText(area, Qt.AlignmentFlag.AlignVCenter, name)


def gigabytes(count: int) -> str:
    """A number of bytes in GiB, with one decimal below 100."""
    size = count / (1 << 30)
    return f"{size:.0f} GB" if size >= 99.95 else f"{size:.1f} GB"
