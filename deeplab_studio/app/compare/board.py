"""The panes on screen: beside each other, or two on one picture with a line between them that is dragged."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from PySide6.QtCore import QPointF, QRect, Qt, Signal
from PySide6.QtGui import QColor, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen, QRegion, QResizeEvent
from PySide6.QtWidgets import QLabel, QWidget

from deeplab_studio.app.canvas import PanTool
from deeplab_studio.app.compare.choice import Layout
from deeplab_studio.app.compare.header import PaneHeader
from deeplab_studio.app.compare.pane_canvas import PaneCanvas
from deeplab_studio.app.compare.story import StoryCard
from deeplab_studio.app.compare.taking import TakeLasso, TakeTool, What
from deeplab_studio.app.panels.controls import GAP
from deeplab_studio.app.theme import tones

if TYPE_CHECKING:
    from deeplab_studio.app.canvas import Tool
    from deeplab_studio.app.compare.answers import Answer
    from deeplab_studio.app.compare.choice import PaneChoice
    from deeplab_studio.app.painting import Painting
    from deeplab_studio.core.classmap import Labels
    from deeplab_studio.core.geometry import Rect

_LINE = 1
"""Between panes, in logical pixels."""

_CARD_SHARE = 0.45
"""The most that a story takes of its pane's height."""

_STEP = 0.02
"""How far an arrow key moves the line of the split."""


class Notice(QLabel):
    """A few words in the middle of a pane: what is being done, or why there is nothing."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setWordWrap(True)
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.setContentsMargins(2 * GAP, GAP, 2 * GAP, GAP)
        self._problem = False
        self.hide()

    def say(self, text: str, *, problem: bool = False) -> None:
        """Show a text; none with ""."""
        self._problem = problem
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents, not problem)
        self.setText(text)
        self.setVisible(bool(text))
        self.place()

    def place(self) -> None:
        """Go to the middle of the pane."""
        parent = self.parentWidget()
        if parent is None or self.isHidden():
            return
        width = min(parent.width() - 2 * GAP, 360)
        lines = self.fontMetrics().horizontalAdvance(self.text()) + 6 * GAP
        width = min(width, lines)
        height = min(self.heightForWidth(width), parent.height() - 2 * GAP)
        self.setGeometry((parent.width() - width) // 2, (parent.height() - height) // 2, width, height)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw a card, then the words."""
        tone = tones(self.palette())
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(QColor(tone.danger if self._problem else tone.border_strong), 1))
        painter.setBrush(QColor(tone.window))
        painter.drawRoundedRect(self.rect().adjusted(0, 0, -1, -1), 6, 6)
        painter.end()
        super().paintEvent(event)


class Pane:
    """One pane: its head, its canvas, its story, and what it shows.

    Parameters
    ----------
    number : int
        From 0.
    board : QWidget
    painting : Painting
        What is taken over goes there.
    on_taken : callable
        Called with the box of the person's class map that a lasso changed.

    Attributes
    ----------
    choice : PaneChoice
    answer : Answer or None
        What it shows; None while that is not known.
    error : StudioError or None
        Why it shows nothing.
    """

    def __init__(self, number: int, board: QWidget, painting: Painting, on_taken: Callable[[Rect], None]) -> None:
        from deeplab_studio.app.compare.choice import PaneChoice

        self.number = number
        self.choice: PaneChoice = PaneChoice()
        self.answer: Answer | None = None
        self.error: object | None = None
        self.header = PaneHeader(number, board)
        self.canvas = PaneCanvas(board)
        self.card = StoryCard(board)
        self.notice = Notice(self.canvas.viewport())
        self.tools: dict[What, Tool] = {
            "pan": PanTool(self.canvas),
            "region": TakeTool("region", self.canvas),
            "class": TakeTool("class", self.canvas),
            "lasso": TakeLasso(painting, self._labels, on_taken, self.canvas),
        }
        self.canvas.set_tool(self.tools["pan"])

    def use(self, what: What) -> None:
        """Let the left button do this."""
        self.canvas.set_tool(self.tools[what])

    def set_visible(self, visible: bool, *, card: bool) -> None:
        """Show or hide all parts."""
        self.header.setVisible(visible)
        self.canvas.setVisible(visible)
        self.card.setVisible(visible and card)

    def _labels(self) -> Labels | None:
        return None if self.answer is None else self.answer.labels


class Handle(QWidget):
    """The line between the two panes of a split; it is dragged, or moved with the arrow keys.

    Attributes
    ----------
    moved : Signal(float)
        Where it is to be, as a share of the width.
    """

    moved = Signal(float)

    WIDTH = 17

    def __init__(self, board: QWidget) -> None:
        super().__init__(board)
        self.setCursor(Qt.CursorShape.SplitHCursor)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccessibleName(self.tr("Line between the panes"))
        self.share = 0.5
        self._from: tuple[float, float] | None = None

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Take hold of it."""
        if event.button() == Qt.MouseButton.LeftButton:
            self._from = (event.globalPosition().x(), self.share)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Move it."""
        board = self.parentWidget()
        if self._from is not None and board is not None:
            start, share = self._from
            self.moved.emit(share + (event.globalPosition().x() - start) / max(board.width(), 1))

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """Let go."""
        self._from = None

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        """Back to the middle."""
        self.moved.emit(0.5)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Arrow keys move it."""
        step = {Qt.Key.Key_Left: -_STEP, Qt.Key.Key_Right: _STEP}.get(Qt.Key(event.key()))
        if step is None:
            super().keyPressEvent(event)
        else:
            self.moved.emit(self.share + step)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw the line and a grip on it."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        middle = QPointF(self.rect().center()) + QPointF(0.5, 0.5)
        for colour, width in ((QColor(0, 0, 0, 190), 3.0), (QColor(255, 255, 255), 1.5)):
            painter.setPen(QPen(colour, width))
            painter.drawLine(QPointF(middle.x(), 0), QPointF(middle.x(), self.height()))
        accent = tones(self.palette()).colour("accent")
        painter.setPen(QPen(QColor(0, 0, 0, 190), 1))
        painter.setBrush(accent if self.hasFocus() or self._from is not None else QColor(255, 255, 255))
        painter.drawRoundedRect(QRect(round(middle.x()) - 5, round(middle.y()) - 14, 10, 28), 5, 5)


class Board(QWidget):
    """Puts panes beside each other.

    Attributes
    ----------
    dragged : Signal()
        The line of the split was moved.
    """

    dragged = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._panes: list[Pane] = []
        self._all: list[Pane] = []
        self._layout: Layout = "grid"
        self._cards = False
        self.handle = Handle(self)
        self.handle.moved.connect(self.set_split)
        self.handle.hide()

    @property
    def panes(self) -> Sequence[Pane]:
        """Those that are shown."""
        return self._panes

    @property
    def arrangement(self) -> Layout:
        """How they are arranged; a split only where there are two."""
        return self._layout if len(self._panes) == 2 or self._layout != "split" else "grid"

    def arrange(self, panes: Sequence[Pane], layout: Layout, *, cards: bool) -> None:
        """Show these panes in this way, with the stories under them or without."""
        for pane in panes:
            if pane not in self._all:
                self._all.append(pane)
        self._panes = list(panes)
        self._layout = layout
        self._cards = cards and self.arrangement != "split"
        for pane in self._all:
            pane.set_visible(pane in self._panes, card=self._cards)
            pane.header.set_closable(len(self._panes) > 1)
        self.place()

    def set_split(self, share: float) -> None:
        """Draw the line at this share of the width."""
        self.handle.share = min(max(share, 0.02), 0.98)
        self._place_split()
        self.dragged.emit()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Share the room out."""
        super().resizeEvent(event)
        self.place()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Lines between the panes."""
        QPainter(self).fillRect(self.rect(), tones(self.palette()).colour("border"))

    def place(self) -> None:
        """Share the room out."""
        panes = self._panes
        split = self.arrangement == "split"
        self.handle.setVisible(split)
        if not panes:
            return
        heads = max(pane.header.sizeHint().height() for pane in panes)
        card = 0
        columns = len(panes) if split or self._layout == "row" or len(panes) < 3 else 2
        rows = -(-len(panes) // columns)
        for index, pane in enumerate(panes):
            row, column = divmod(index, columns)
            alone = columns if index == len(panes) - 1 and len(panes) % columns else 1  # three panes: the last is wide
            cell = self._cell(row, column, alone, rows, columns)
            pane.header.setGeometry(cell.left(), cell.top(), cell.width(), heads)
            if split:
                continue
            if self._cards:
                # All of one height, so that the pictures are of one size.
                card = max(each.card.wanted_height(cell.width()) for each in panes)
                card = min(card, round(_CARD_SHARE * cell.height()))
                pane.card.setGeometry(cell.left(), cell.bottom() + 1 - card, cell.width(), card)
            pane.canvas.clearMask()
            pane.canvas.setGeometry(cell.left(), cell.top() + heads, cell.width(), max(cell.height() - heads - card, 1))
            pane.notice.place()
        if split:
            self._place_split()

    def _cell(self, row: int, column: int, span: int, rows: int, columns: int) -> QRect:
        def edge(place: int, count: int, room: int) -> int:
            return round(place * (room + _LINE) / count)

        left, top = edge(column, columns, self.width()), edge(row, rows, self.height())
        right = edge(column + span, columns, self.width()) - _LINE
        bottom = edge(row + 1, rows, self.height()) - _LINE
        return QRect(left, top, max(right - left, 1), max(bottom - top, 1))

    def _place_split(self) -> None:
        """Both canvases at one place; the second is cut away left of the line."""
        if self.arrangement != "split" or len(self._panes) != 2:
            return
        first, second = self._panes
        top = first.header.geometry().bottom() + 1
        room = QRect(0, top, max(self.width(), 1), max(self.height() - top, 1))
        at = round(self.handle.share * room.width())
        for pane in (first, second):
            if pane.canvas.geometry() != room:
                pane.canvas.setGeometry(room)
            pane.notice.place()
        first.canvas.clearMask()
        second.canvas.setMask(QRegion(at, 0, room.width() - at, room.height()))
        second.canvas.raise_()
        self.handle.setGeometry(at - Handle.WIDTH // 2, top, Handle.WIDTH, room.height())
        self.handle.raise_()
