"""What a person paints on: the class map of the image on screen, with the active class and the painting rules."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

from deeplab_studio.core.classmap import PaintRules, Stroke

if TYPE_CHECKING:
    from deeplab_studio.app.document import Document
    from deeplab_studio.core.classmap import Labels, Mask
    from deeplab_studio.core.geometry import Rect


class Painting(QObject):
    """The gesture under way and what it paints; every tool's `PaintTarget`.

    Parameters
    ----------
    current : callable
        The document on screen, or None.
    read_only : callable
        Whether the data set can only be looked at.
    parent : QObject, optional

    Attributes
    ----------
    rules : PaintRules
        What strokes may change from now on.
    active_class : int
        The class strokes paint, 255 for void.

    Signals
    -------
    began
        A gesture starts: what is shown instead of the class map has to go.
    committed : Document, Edit or None
        A gesture ended; None if it changed nothing.
    activeClassChanged : int
    noticed : str, str
        Level and a sentence for the person.
    """

    began = Signal()
    committed = Signal(object, object)
    activeClassChanged = Signal(int)
    noticed = Signal(str, str)

    def __init__(
        self,
        current: Callable[[], Document | None],
        read_only: Callable[[], bool],
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._current = current
        self._read_only = read_only
        self.rules = PaintRules()
        self.active_class = 1
        self._previous_class = 0
        self._document: Document | None = None
        self._stroke: Stroke | None = None
        self._stroke_class = 0
        self._after_stroke: list[Callable[[], None]] = []

    # What is painted with

    def set_active_class(self, class_id: int) -> None:
        """Paint this class from now on."""
        if class_id != self.active_class:
            self._previous_class = self.active_class
            self.active_class = class_id
            self.activeClassChanged.emit(class_id)

    def swap_class(self) -> None:
        """Switch between class 0 and the class used before."""
        self.set_active_class(0 if self.active_class != 0 else (self._previous_class or 1))

    def set_rules(self, rules: PaintRules) -> None:
        """What strokes may change from now on."""
        self.rules = rules

    def pick(self, x: int, y: int) -> None:
        """Make the class at a pixel the active one."""
        labels = self.labels
        if labels is not None:
            self.set_active_class(int(labels[y, x]))

    # What is painted on

    @property
    def labels(self) -> Labels | None:
        """The (H, W) class map on screen, for reading; None without an image."""
        document = self._current()
        return None if document is None else document.class_map.labels

    @property
    def photo(self) -> Labels | None:
        """The (H, W, 3) uint8 RGB photo on screen, for reading; None without an image."""
        document = self._current()
        return None if document is None else document.image.pixels

    # A gesture

    @property
    def busy(self) -> bool:
        """Whether a gesture is under way."""
        return self._stroke is not None

    def begin(self, name: str, *, erase: bool = False) -> bool:
        """Start a gesture that will be one undo step; False if nothing can be painted on now."""
        document = self._current()
        if document is None or self._stroke is not None:
            return False
        if self._read_only():
            self.noticed.emit(
                "warning",
                self.tr("Nothing can be painted: the data set is open in another window, or may only be read."),
            )
            return False
        self.began.emit()
        self._document = document
        self._stroke = document.class_map.begin(name, self.rules)
        self._stroke_class = 0 if erase else self.active_class
        return True

    def paint(self, top: int, left: int, mask: Mask) -> Rect | None:
        """Paint the gesture's class where (h, w) bool `mask` is set, its first pixel at (`top`, `left`).

        Returns
        -------
        Rect or None
            The box to redraw.
        """
        return None if self._stroke is None else self._stroke.paint(top, left, mask, self._stroke_class)

    def put(self, top: int, left: int, labels: Labels, mask: Mask, *, pin: bool = True) -> Rect | None:
        """Put (h, w) uint8 `labels`, of several classes, where `mask` is set; see `Stroke.put`."""
        return None if self._stroke is None else self._stroke.put(top, left, labels, mask, pin=pin)

    def restore(self, rect: Rect | None = None) -> Rect | None:
        """Take back what the gesture changed inside `rect`, or everywhere, and stay in it; see `Stroke.restore`."""
        return None if self._stroke is None else self._stroke.restore(rect)

    def commit(self) -> None:
        """End the gesture as one undo step."""
        if self._stroke is None:
            return
        edit, document = self._stroke.commit(), self._document
        self._stroke = self._document = None
        self.committed.emit(document, edit)
        self._run_after_stroke()

    def abort(self) -> Rect | None:
        """Take the gesture back and end it; the box to redraw."""
        if self._stroke is None:
            return None
        rect = self._stroke.abort()
        self._stroke = self._document = None
        self._run_after_stroke()
        return rect

    def when_no_stroke(self, action: Callable[[], None]) -> None:
        """Do something to a class map now, or as soon as the gesture under way has ended."""
        if self._stroke is None:
            action()
        else:
            self._after_stroke.append(action)

    def _run_after_stroke(self) -> None:
        actions, self._after_stroke = self._after_stroke, []
        for action in actions:
            action()
