"""Selecting a part of a class map, and putting down one that was copied."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtGui import QCursor, QKeyEvent

from deeplab_studio.app.canvas.cursors import crosshair
from deeplab_studio.app.canvas.drafts import Draft
from deeplab_studio.app.canvas.picture_drafts import Layer, PictureDraft
from deeplab_studio.app.canvas.tools import PaintTarget, Pointer, Tool
from deeplab_studio.core.drawing import Patch
from deeplab_studio.core.drawing_shapes import Box, Region
from deeplab_studio.core.geometry import Rect

if TYPE_CHECKING:
    from deeplab_studio.app.jobs import Job, Lane
    from deeplab_studio.core.classmap import Labels, Mask

_CLICK = 4.0
"""Logical pixels up to which a press is a click."""

_STEPS = {
    Qt.Key.Key_Left: (0, -1),
    Qt.Key.Key_Right: (0, 1),
    Qt.Key.Key_Up: (-1, 0),
    Qt.Key.Key_Down: (1, 0),
}

_FAR = 10
"""Pixels that an arrow key moves a region by while Shift is held."""


@dataclass(frozen=True, eq=False)
class CopiedRegion:
    """A part of a class map.

    Attributes
    ----------
    top, left : int
        Where it lay.
    labels : (h, w) uint8 array
    mask : (h, w) bool array
        Which pixels of the box belong to it.
    size : (int, int)
        Height and width of the photo it is from.
    """

    top: int
    left: int
    labels: Labels
    mask: Mask
    size: tuple[int, int]


class RegionTool(Tool):
    """Selects a region of one class with a click, or all classes in a rectangle with a drag; moves a pasted region.

    Parameters
    ----------
    target : PaintTarget
    lane : Lane
        The thread on which regions are looked for.

    Signals
    -------
    selectionChanged
        Another part is selected, or none.
    """

    selectionChanged = Signal()

    def __init__(self, target: PaintTarget, lane: Lane, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._target = target
        self._lane = lane
        self._from: Pointer | None = None
        self._dragged: Rect | None = None
        self._selected: Patch | None = None
        self._floating: Layer | None = None
        self._photo: Labels | None = None
        self._grip: tuple[int, int, int, int] | None = None  # pixel taken hold of, and where the region was

    def hint(self) -> str:
        """Say what buttons and keys do."""
        if self._floating is not None:
            return self.tr("Drag or arrow keys move it (Shift: 10 px) · Enter puts it down · Esc drops it")
        if self._selected is not None:
            return self.tr("Ctrl+C copies it · Esc selects nothing")
        return self.tr("Click selects a region of one class · Drag selects a rectangle")

    @property
    def selected(self) -> bool:
        """Whether a part of the class map is selected."""
        return self._selected is not None

    @property
    def busy(self) -> bool:
        """Whether Escape has something to take back."""
        return self._from is not None or self._selected is not None or self._floating is not None

    def copy(self) -> CopiedRegion | None:
        """The part that is selected, as it is now; None without one."""
        patch, labels = self._selected, self._target.labels
        if patch is None or labels is None:
            return None
        height, width = patch.mask.shape
        box = Rect(patch.top, patch.left, patch.top + height, patch.left + width)
        size = labels.shape[0], labels.shape[1]
        return CopiedRegion(patch.top, patch.left, labels[box.slices].copy(), patch.mask.copy(), size)

    def float_in(self, region: CopiedRegion) -> bool:
        """Show a copied region where it lay, to be moved and put down; False if nothing can be painted on."""
        if self.canvas.image_size is None or not self._target.ready():
            return False
        self._select(None)
        self._photo = self._target.photo
        height, width = self.canvas.image_size
        # From a larger photo it may lie where this one has no pixels.
        top = min(region.top, max(0, height - region.mask.shape[0]))
        left = min(region.left, max(0, width - region.mask.shape[1]))
        self._floating = Layer(top, left, region.labels, region.mask)
        self._show()
        return True

    # The gestures

    def press(self, pointer: Pointer) -> None:
        """Take hold of the region that floats, or begin to select."""
        if pointer.button != Qt.MouseButton.LeftButton or self.canvas.image_size is None:
            return
        row, column = math.floor(pointer.y), math.floor(pointer.x)
        floating = self._floating
        if floating is not None:
            self._grip = row, column, floating.top, floating.left
        else:
            self._from, self._dragged = pointer, None
        self.hintChanged.emit()

    def move(self, pointer: Pointer) -> None:
        """Move the region, or draw the rectangle."""
        row, column = math.floor(pointer.y), math.floor(pointer.x)
        if self._floating is not None and self._grip is not None:
            from_row, from_column, top, left = self._grip
            self._float_at(top + row - from_row, left + column - from_column)
        elif self._from is not None:
            away = pointer.position - self._from.position
            if self._dragged is not None or math.hypot(away.x(), away.y()) > _CLICK:
                self._dragged = self._rectangle(self._from, pointer)
                self._show()

    def release(self, pointer: Pointer) -> None:
        """Let go of the region, or select."""
        self.move(pointer)
        start, self._from, self._grip = self._from, None, None
        if start is None:
            return
        dragged, self._dragged = self._dragged, None
        if dragged is None:
            self._look_for_region(math.floor(start.y), math.floor(start.x))
        elif not dragged.is_empty:
            import numpy as np

            self._select(Patch(dragged.top, dragged.left, np.ones((dragged.height, dragged.width), np.bool_)))

    def finish(self) -> None:
        """Put down what floats."""
        self._from = self._grip = self._dragged = None
        self._put_down()

    def cancel(self) -> None:
        """Drop what floats, or select nothing."""
        self._from = self._grip = self._dragged = None
        if self._floating is not None:
            self._floating = None
            self._show()
        else:
            self._select(None)

    def forget(self) -> None:
        """Nothing is selected on another image."""
        self._floating = None
        self._select(None)

    def leave(self) -> None:
        """Nothing follows the pointer."""

    def labels_changed(self) -> None:
        """A region that changed is not what was selected."""
        if self._selected is not None and self._floating is None and self._from is None:
            self._select(None)

    def wants(self, event: QKeyEvent) -> bool:
        """Enter and the arrows while a region floats."""
        return self._floating is not None and (_is_enter(event) or event.key() in _STEPS)

    def key(self, event: QKeyEvent, *, pressed: bool) -> bool:
        """Put the region down, or move it."""
        floating = self._floating
        if floating is None or not (_is_enter(event) or event.key() in _STEPS):
            return False
        if pressed and _is_enter(event):
            self._put_down()
        elif pressed:
            down, right = _STEPS[Qt.Key(event.key())]
            pixels = _FAR if event.modifiers() & Qt.KeyboardModifier.ShiftModifier else 1
            self._float_at(floating.top + down * pixels, floating.left + right * pixels)
        return True

    def target_changed(self) -> None:
        """Show what floats under other rules."""
        if self._floating is not None:
            self._show()

    def cursor(self) -> QCursor:
        """A crosshair, or what moves things while one floats."""
        return QCursor(Qt.CursorShape.SizeAllCursor) if self._floating is not None else crosshair()

    def _look_for_region(self, row: int, column: int) -> None:
        labels = self._target.labels
        if labels is None or not (0 <= row < labels.shape[0] and 0 <= column < labels.shape[1]):
            self._select(None)
            return

        def work(_job: Job) -> Patch:
            from deeplab_studio.core.drawing_regions import same_class

            return same_class(labels, row, column)

        self._lane.submit("select region", work, lambda patch: self._take(labels, patch))

    def _take(self, labels: Labels, patch: Patch) -> None:
        if labels is self._target.labels and self._floating is None and self._canvas is not None:
            self._select(patch)

    def _select(self, patch: Patch | None) -> None:
        self._lane.cancel("select region")
        self._selected = patch
        self._show()
        self.selectionChanged.emit()

    def _float_at(self, top: int, left: int) -> None:
        floating, size = self._floating, self.canvas.image_size
        if floating is None or size is None:
            return
        height, width = floating.mask.shape
        # A pixel of it always stays on the photo, to be taken hold of.
        top, left = min(max(top, 1 - height), size[0] - 1), min(max(left, 1 - width), size[1] - 1)
        self._floating = floating._replace(top=top, left=left)
        self._show()

    def _put_down(self) -> None:
        floating, self._floating = self._floating, None
        if floating is None:
            return
        self._show()
        if self._photo is self._target.photo and self._target.begin(self.tr("Paste region")):
            changed = self._target.put(*floating)
            self._target.commit()
            if changed is not None:
                self.canvas.refresh_labels(changed)

    def _rectangle(self, start: Pointer, end: Pointer) -> Rect:
        rows = sorted((math.floor(start.y), math.floor(end.y)))
        columns = sorted((math.floor(start.x), math.floor(end.x)))
        size = self.canvas.image_size
        rect = Rect(rows[0], columns[0], rows[1] + 1, columns[1] + 1)
        return rect.clipped(*size) if size is not None else rect

    def _show(self) -> None:
        if self._canvas is None:
            return
        if self._floating is not None:
            self._canvas.show_draft(PictureDraft((self._floating,), (self._floating,), self._target.rules))
        elif self._dragged is not None:
            self._canvas.show_draft(Draft(Box(self._dragged), outlined=True))
        elif self._selected is not None:
            self._canvas.show_draft(Draft(Region(self._selected), outlined=True))
        else:
            self._canvas.show_draft(None)
        self._canvas.update_cursor()
        self.hintChanged.emit()


def _is_enter(event: QKeyEvent) -> bool:
    return event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter)
