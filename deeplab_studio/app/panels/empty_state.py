"""What stands on the canvas while there is nothing to show: what to do, and the buttons to do it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

from PySide6.QtCore import QEvent, QObject, QRect, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QSizePolicy, QToolButton, QVBoxLayout, QWidget

from deeplab_studio.app.icons import icon, paint_icon
from deeplab_studio.app.panels.controls import GAP, small_font, text_button
from deeplab_studio.app.theme import mix, tones

Mode = Literal["image", "model"]

RECENT_SHOWN = 6


class EmptyState(QWidget):
    """Lies over its parent and says what to do.

    With no image it fills the parent: open some, or drop them anywhere. With no model it is a card in the middle that
    leaves the picture in view: get one, open a file, or paint by hand.

    Attributes
    ----------
    openImagesRequested, openFolderRequested, getModelsRequested, openModelRequested, paintRequested : Signal()
        The person pressed the button. `paintRequested` also hides the card.
    recentRequested : Signal(Path)
        The person chose something opened before.
    """

    openImagesRequested = Signal()
    openFolderRequested = Signal()
    recentRequested = Signal(object)
    getModelsRequested = Signal()
    openModelRequested = Signal()
    paintRequested = Signal()

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._mode: Mode | None = None
        self._dropping = False
        self.recent_buttons: list[QToolButton] = []
        self._interrupted_act: Callable[[], None] | None = None
        self._image_page = self._build_image_page()
        self._model_page = self._build_model_page()
        whole = QVBoxLayout(self)
        whole.setContentsMargins(3 * GAP, 3 * GAP, 3 * GAP, 3 * GAP)
        whole.addWidget(self._image_page, 0, Qt.AlignmentFlag.AlignCenter)
        whole.addWidget(self._model_page, 0, Qt.AlignmentFlag.AlignCenter)
        parent.installEventFilter(self)
        self.set_mode(None)

    @property
    def mode(self) -> Mode | None:
        """What is shown; None while hidden."""
        return self._mode

    def set_mode(self, mode: Mode | None) -> None:
        """Show what to do without an image, without a model, or nothing."""
        self._mode = mode
        self._image_page.setVisible(mode == "image")
        self._model_page.setVisible(mode == "model")
        self.setVisible(mode is not None)
        self._place()
        if mode is not None:
            self.raise_()

    def set_recent(self, paths: Sequence[Path]) -> None:
        """Offer what was opened before, newest first."""
        for button in self.recent_buttons:
            self._recent.removeWidget(button)
            button.deleteLater()
        self.recent_buttons = [self._recent_button(path) for path in paths[:RECENT_SHOWN]]
        for button in self.recent_buttons:
            self._recent.addWidget(button)
        self._recent_title.setVisible(bool(self.recent_buttons))
        self._place()

    def set_interrupted(self, text: str, button: str = "", act: Callable[[], None] | None = None) -> None:
        """Say what the last run left open, with a button that opens it; an empty text takes that away."""
        self._interrupted_label.setText(text)
        self.interrupted_button.setText(button)
        self._interrupted_act = act
        self._interrupted.setVisible(bool(text))
        self._place()

    def set_dropping(self, dropping: bool) -> None:
        """Show that what is being dragged can be dropped."""
        self._dropping = dropping
        self.update()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Follow the parent's size."""
        if event.type() == QEvent.Type.Resize:
            self._place()
        return False

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw the ground: the whole canvas with a place to drop, or a card."""
        tone = tones(self.palette())
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if self._mode == "model":
            painter.setPen(QPen(QColor(tone.border_strong), 1))
            painter.setBrush(QColor(tone.window))
            painter.drawRoundedRect(QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5), 8, 8)
            return
        painter.fillRect(self.rect(), QColor(tone.base))
        pen = QPen(QColor(tone.accent if self._dropping else tone.border), 2 if self._dropping else 1.5)
        pen.setStyle(Qt.PenStyle.DashLine)
        painter.setPen(pen)
        if self._dropping:
            painter.setBrush(mix(QColor(tone.base), QColor(tone.accent), 0.1))
        painter.drawRoundedRect(QRectF(self.rect()).adjusted(12, 12, -12, -12), 8, 8)

    def _place(self) -> None:
        parent = self.parentWidget()
        if parent is None or self._mode is None:
            return
        area = parent.rect()
        if self._mode == "model":
            size = self.sizeHint().boundedTo(area.size())
            card = QRect(0, 0, size.width(), size.height())
            card.moveCenter(area.center())
            area = card
        self.setGeometry(area)

    # Building

    def _build_image_page(self) -> QWidget:
        page = QWidget()
        column = _column(page)
        column.addWidget(_Sign("drop"), 0, Qt.AlignmentFlag.AlignHCenter)
        column.addWidget(_title(self.tr("Drop photos or folders here")))
        column.addWidget(
            _text(self.tr("JPEG, PNG, TIFF, BMP, WebP, GIF. A Pascal VOC folder opens with its masks and classes."))
        )
        self.open_images_button = text_button("open-image", self.tr("Open images…"))
        self.open_folder_button = text_button("open-folder", self.tr("Open folder…"))
        self.open_images_button.clicked.connect(self.openImagesRequested)
        self.open_folder_button.clicked.connect(self.openFolderRequested)
        column.addSpacing(GAP)
        column.addLayout(_buttons(self.open_images_button, self.open_folder_button))
        column.addSpacing(GAP)
        self._interrupted = self._build_interrupted()
        column.addWidget(self._interrupted)
        self._recent_title = _text(self.tr("Recent"))
        column.addWidget(self._recent_title)
        self._recent = QVBoxLayout()
        self._recent.setSpacing(0)
        column.addLayout(self._recent)
        self._recent_title.hide()
        return page

    def _build_interrupted(self) -> QWidget:
        box = QFrame()
        box.setFrameShape(QFrame.Shape.StyledPanel)
        self._interrupted_label = QLabel()
        self._interrupted_label.setWordWrap(True)
        self.interrupted_button = text_button("recent", "")
        self.interrupted_button.clicked.connect(lambda: self._interrupted_act and self._interrupted_act())
        row = QHBoxLayout(box)
        row.setContentsMargins(GAP, GAP, GAP, GAP)
        row.setSpacing(GAP)
        row.addWidget(self._interrupted_label, 1)
        row.addWidget(self.interrupted_button)
        box.hide()
        return box

    def _build_model_page(self) -> QWidget:
        page = QWidget()
        column = _column(page)
        column.addWidget(_Sign("model"), 0, Qt.AlignmentFlag.AlignHCenter)
        column.addWidget(_title(self.tr("No model yet")))
        column.addWidget(
            _text(
                self.tr(
                    "A DeepLab model proposes the classes; you correct them. Get one, open a checkpoint you have, "
                    "or paint by hand: everything else works without a model."
                )
            )
        )
        self.get_models_button = text_button("get-models", self.tr("Get a model…"))
        self.open_model_button = text_button("open-model", self.tr("Open model file…"))
        self.paint_button = text_button("brush", self.tr("Just paint"))
        self.get_models_button.clicked.connect(self.getModelsRequested)
        self.open_model_button.clicked.connect(self.openModelRequested)
        self.paint_button.clicked.connect(self._paint)
        column.addSpacing(GAP)
        column.addLayout(_buttons(self.get_models_button, self.open_model_button, self.paint_button))
        return page

    def _paint(self) -> None:
        self.set_mode(None)
        self.paintRequested.emit()

    def _recent_button(self, path: Path) -> QToolButton:
        button = QToolButton()
        width = 44 * self.fontMetrics().averageCharWidth()
        button.setText(self.fontMetrics().elidedText(str(path), Qt.TextElideMode.ElideMiddle, width))
        button.setIcon(icon("recent", tone="muted"))
        button.setIconSize(QSize(16, 16))
        button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        button.setToolTip(str(path))
        button.setAccessibleName(str(path))
        button.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        button.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        button.clicked.connect(lambda: self.recentRequested.emit(path))
        return button


class _Sign(QWidget):
    """A large quiet icon."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name
        self.setFixedSize(48, 48)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw it."""
        paint_icon(QPainter(self), self.rect(), self._name, tones(self.palette()).colour("muted"))


def _column(page: QWidget) -> QVBoxLayout:
    page.setMaximumWidth(460)
    page.setMinimumWidth(280)
    column = QVBoxLayout(page)
    column.setContentsMargins(0, 0, 0, 0)
    column.setSpacing(GAP)
    return column


def _title(text: str) -> QLabel:
    label = QLabel(text)
    font = label.font()
    font.setPointSizeF(font.pointSizeF() * 1.5)
    font.setWeight(font.Weight.DemiBold)
    label.setFont(font)
    label.setWordWrap(True)
    label.setAlignment(Qt.AlignmentFlag.AlignHCenter)
    return label


def _text(text: str) -> QLabel:
    label = QLabel(text)
    label.setFont(small_font(label))
    label.setForegroundRole(label.palette().ColorRole.PlaceholderText)
    label.setWordWrap(True)
    label.setAlignment(Qt.AlignmentFlag.AlignHCenter)
    return label


def _buttons(*buttons: QPushButton) -> QHBoxLayout:
    row = QHBoxLayout()
    row.setSpacing(GAP)
    row.addStretch(1)
    for button in buttons:
        row.addWidget(button)
    row.addStretch(1)
    return row
