"""What a person takes over from a pane into their own class map: pinned, one undo step."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtGui import QCursor

from deeplab_studio.app.canvas.cursors import crosshair
from deeplab_studio.app.canvas.drafts import Draft
from deeplab_studio.app.canvas.shape_tools import LassoTool
from deeplab_studio.app.canvas.tools import Pointer, Tool

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from deeplab_studio.app.document import Document
    from deeplab_studio.app.painting import Painting
    from deeplab_studio.app.session import Session
    from deeplab_studio.core.classmap import Labels, Mask, PaintRules
    from deeplab_studio.core.geometry import Rect

What = Literal["pan", "region", "class", "lasso"]
"""What the left button does in a pane."""


class TakeTool(Tool):
    """Takes over what is under the pointer: a region, or every pixel of its class.

    Signals
    -------
    taken : int, int
        Column and row of the pixel.
    """

    taken = Signal(int, int)

    def __init__(self, what: What, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._what = what

    def hint(self) -> str:
        """Say what a click does."""
        if self._what == "class":
            return self.tr("Click takes every pixel of the class under the cursor from this pane into your class map")
        return self.tr("Click takes the region under the cursor from this pane into your class map")

    def press(self, pointer: Pointer) -> None:
        """Take it."""
        size = self.canvas.image_size
        x, y = math.floor(pointer.x), math.floor(pointer.y)
        if pointer.button == Qt.MouseButton.LeftButton and size and 0 <= y < size[0] and 0 <= x < size[1]:
            self.taken.emit(x, y)

    def cursor(self) -> QCursor:
        """A crosshair."""
        return crosshair()


class TakeLasso(LassoTool):
    """Takes over what is drawn around.

    Parameters
    ----------
    painting : Painting
    labels : callable
        What the pane says, (H, W) uint8 in the project's ids; None while it says nothing.
    changed : callable
        Called with the box that was changed.
    parent : QObject, optional
    """

    def __init__(
        self,
        painting: Painting,
        labels: Callable[[], Labels | None],
        changed: Callable[[Rect], None],
        parent: QObject | None = None,
    ) -> None:
        super().__init__(_TakenFrom(painting, labels, changed), parent)

    def hint(self) -> str:
        """Say what happens on release."""
        return self.tr("Draw around what is to be taken from this pane into your class map")

    def press(self, pointer: Pointer) -> None:
        """Begin the line; there is nothing to erase here."""
        if pointer.button == Qt.MouseButton.LeftButton:
            super().press(pointer)

    def step_name(self) -> str:
        """For the history."""
        return self.tr("Taken over: lasso")

    def _show(self) -> None:
        """Show the line; what is inside stays as the pane has it."""
        area = self.area()
        self.canvas.show_draft(None if area is None else Draft(area, outlined=True))
        self.canvas.update_overlay()
        self.hintChanged.emit()


class _TakenFrom:
    """A class map to paint on, in which every pixel gets the class that a pane gives it."""

    def __init__(
        self, painting: Painting, labels: Callable[[], Labels | None], changed: Callable[[Rect], None]
    ) -> None:
        self._painting = painting
        self._labels = labels
        self._changed = changed
        self._box: Rect | None = None

    @property
    def labels(self) -> Labels | None:
        return self._labels()

    @property
    def pinned(self) -> Mask | None:
        return self._painting.pinned

    @property
    def photo(self) -> Labels | None:
        return self._painting.photo

    @property
    def active_class(self) -> int:
        return self._painting.active_class

    @property
    def rules(self) -> PaintRules:
        return self._painting.rules

    def probability(self, class_id: int) -> Callable[[], npt.NDArray[np.float32]] | None:
        return self._painting.probability(class_id)

    def ready(self) -> bool:
        return self._labels() is not None and self._painting.ready()

    def begin(self, name: str, *, erase: bool = False) -> bool:
        return not erase and self._labels() is not None and self._painting.begin(name)

    def paint(self, top: int, left: int, mask: Mask) -> Rect | None:
        labels = self._labels()
        if labels is None:
            return None
        height, width = mask.shape
        self._box = self._painting.put(top, left, labels[top : top + height, left : left + width], mask)
        return self._box

    def put(self, top: int, left: int, labels: Labels, mask: Mask, *, pin: bool = True) -> Rect | None:
        return self._painting.put(top, left, labels, mask, pin=pin)

    def restore(self, rect: Rect | None = None) -> Rect | None:
        return self._painting.restore(rect)

    def commit(self) -> None:
        self._painting.commit()
        if self._box is not None:
            self._changed(self._box)
            self._box = None

    def abort(self) -> Rect | None:
        self._box = None
        return self._painting.abort()

    def pick(self, x: int, y: int) -> None:
        self._painting.pick(x, y)


class Taker(QObject):
    """Puts pixels of a pane's class map into the person's, as one undo step.

    Parameters
    ----------
    session : Session
    parent : QObject, optional
    """

    def __init__(self, session: Session, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._session = session

    def take(self, document: Document, top: int, left: int, labels: Labels, mask: Mask, name: str) -> bool:
        """Give the pixels under a mask their classes, pinned, as far as the painting rules allow.

        Parameters
        ----------
        document : Document
            What was compared; nothing happens if another image is on screen by now.
        top, left : int
            Where the first pixel of both arrays lies.
        labels : (h, w) uint8 array
        mask : (h, w) bool array
        name : str
            Of the undo step.

        Returns
        -------
        bool
            Whether anything changed.
        """
        session = self._session
        painting = session.painting
        if document is not session.current or not painting.begin(name):
            return False
        changed = painting.put(top, left, labels, mask)
        before = session.edits.position
        painting.commit()
        if changed is None or session.edits.position == before:
            session.noticed.emit("info", self.tr("Nothing to take over: it is so already, or the rules protect it."))
            return False
        session.labelsChanged.emit(changed)
        return True
