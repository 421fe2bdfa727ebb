"""What a person paints on: the class map of the image on screen, with the active class and the painting rules."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

from deeplab_studio.core.classmap import PaintRules, Stroke

if TYPE_CHECKING:
    from deeplab_studio.app.document import Document
    from deeplab_studio.core.classmap import Labels, Mask
    from deeplab_studio.core.geometry import Rect
    from deeplab_studio.core.labels import ClassMapping
    from deeplab_studio.engine.scores import Floats, Scores

_ENOUGH = 1 << 20
"""Pixels at which a probability is worked out: many times the cells of the scores."""


class Painting(QObject):
    """The gesture under way and what it paints; every tool's `PaintTarget`.

    Parameters
    ----------
    current : callable
        The document on screen, or None.
    read_only : callable
        Whether the data set can only be looked at.
    mapping : callable
        How the model's classes become those of the data set.
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
    rulesChanged
    noticed : str, str
        Level and a sentence for the person.
    """

    began = Signal()
    committed = Signal(object, object)
    activeClassChanged = Signal(int)
    rulesChanged = Signal()
    noticed = Signal(str, str)

    def __init__(
        self,
        current: Callable[[], Document | None],
        read_only: Callable[[], bool],
        mapping: Callable[[], ClassMapping],
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._current = current
        self._read_only = read_only
        self._mapping = mapping
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
        self.rulesChanged.emit()

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
    def pinned(self) -> Mask | None:
        """The (H, W) bool pins of the class map on screen, for reading; None without an image."""
        document = self._current()
        return None if document is None else document.class_map.pinned

    @property
    def photo(self) -> Labels | None:
        """The (H, W, 3) uint8 RGB photo on screen, for reading; None without an image."""
        document = self._current()
        return None if document is None else document.image.pixels

    def probability(self, class_id: int) -> Callable[[], Floats] | None:
        """What works out, on any thread, how likely the model finds a class of the data set: (h, w) float32, 0..1.

        The result is to be stretched over the photo. None while there are no scores, or if the model does not know the
        class.
        """
        document = self._current()
        scores = document.scores if document is not None else None
        if scores is None:
            return None
        becomes = self._mapping().to_target[: len(scores.logits)]
        channels = [i for i, target in enumerate(becomes.tolist()) if target == class_id]
        return partial(_probability, scores, channels) if channels else None

    # A gesture

    @property
    def busy(self) -> bool:
        """Whether a gesture is under way."""
        return self._stroke is not None

    @property
    def painted_on(self) -> Document | None:
        """The image that the gesture under way has painted on so far, None if there is none."""
        return self._document if self._stroke is not None and self._stroke.has_painted else None

    def ready(self) -> bool:
        """Whether a gesture can start; if not the person is told why."""
        if self._current() is None or self._stroke is not None:
            return False
        if self._read_only():
            self.noticed.emit(
                "warning",
                self.tr("Nothing can be painted: the data set is open in another window, or may only be read."),
            )
            return False
        return True

    def begin(self, name: str, *, erase: bool = False) -> bool:
        """Start a gesture that will be one undo step; False if nothing can be painted on now."""
        document = self._current()
        if document is None or not self.ready():
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


def _probability(scores: Scores, channels: list[int]) -> Floats:
    height, width = scores.image_size
    shrink = min(1.0, (_ENOUGH / (height * width)) ** 0.5)
    size = max(1, round(height * shrink)), max(1, round(width * shrink))
    total: Floats = scores.probabilities(size, channels).sum(axis=0)
    return total
