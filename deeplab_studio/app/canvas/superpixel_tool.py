"""The superpixel brush: paints pieces of the photo that keep to its edges."""

from __future__ import annotations

import math
import weakref
from functools import partial
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, Qt
from PySide6.QtGui import QCursor

from deeplab_studio.app.canvas.cursors import crosshair
from deeplab_studio.app.canvas.drafts import Draft
from deeplab_studio.app.canvas.options import ToolOption
from deeplab_studio.app.canvas.tools import PaintTarget, Pointer, Tool
from deeplab_studio.app.translate import QT_TRANSLATE_NOOP
from deeplab_studio.core.drawing import Patch, Stamp, sweep
from deeplab_studio.core.drawing_shapes import Region

if TYPE_CHECKING:
    from deeplab_studio.app.canvas.view import CanvasView
    from deeplab_studio.app.jobs import Job, Lane
    from deeplab_studio.core.classmap import Labels
    from deeplab_studio.core.errors import StudioError
    from deeplab_studio.core.superpixels import Superpixels

SUPERPIXEL_SIZE = ToolOption(
    "tools/superpixel_size",
    QT_TRANSLATE_NOOP("ToolOptions", "Size"),
    QT_TRANSLATE_NOOP("ToolOptions", "Side of a superpixel, in percent of the photo's longer side"),
    slider=(0.5, 10),
    log=True,
    suffix=" %",
)

_KEPT = 3
"""Photos whose superpixels are kept, at a byte per pixel: going back and forth between images costs nothing."""


class SuperpixelTool(Tool):
    """Paints the superpixels the pointer passes over, one undo step from press to release.

    They are looked for on another thread as soon as the tool is taken up. The right button erases; Ctrl+wheel changes
    their size.

    Parameters
    ----------
    target : PaintTarget
    lane : Lane
        The thread.
    """

    options = (SUPERPIXEL_SIZE,)
    paints = True

    def __init__(self, target: PaintTarget, lane: Lane, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._target = target
        self._lane = lane
        self._percent = 2.5
        self._known: list[tuple[weakref.ref[Labels], float, Superpixels]] = []
        self._found: Superpixels | None = None
        self._problem = ""
        self._painting = False
        self._erase = False
        self._last: tuple[int, int] | None = None
        self._here: Patch | None = None

    # What it is set to

    def set_option(self, key: str, value: Any) -> None:
        """Take over the size."""
        if value != self._percent:
            self._percent = float(value)
            self.look()

    def hint(self) -> str:
        """Say what the buttons do, or that the superpixels are not there yet."""
        if self._problem:
            return self._problem
        if self._painting:
            return self.tr("Esc takes the stroke back")
        if self._canvas is not None and self._target.photo is not None and self._found is None:
            return self.tr("Looking for superpixels…")
        return self.tr("Drag paints superpixels · Right button erases · Ctrl+wheel: size")

    @property
    def found(self) -> Superpixels | None:
        """The superpixels of the photo on screen, once they are known."""
        return self._found

    # Finding superpixels

    def attach(self, canvas: CanvasView | None) -> None:
        """Show superpixels while it is the tool of a canvas."""
        if canvas is None and self._canvas is not None:
            self._canvas.show_cells(None)
            self._canvas.show_draft(None)
            self._lane.cancel("superpixels")
        super().attach(canvas)
        if canvas is not None:
            self.look()

    def forget(self) -> None:
        """Nothing is known of another photo."""
        self._found = self._here = self._last = None

    def look(self) -> None:
        """Find the superpixels of the photo on screen, if the tool is in use."""
        photo = self._target.photo
        if self._canvas is None:
            return
        self._problem = ""
        self._show(None)
        if photo is None:
            return
        for known, percent, found in self._known:
            if known() is photo and percent == self._percent:
                self._show(found)
                return
        # By the time it is needed the tool may be set to something else.
        percent, side = self._percent, max(photo.shape[:2]) * self._percent / 100

        def work(job: Job) -> Superpixels:
            from deeplab_studio.core.superpixels import MAX_SIZE, MIN_SIZE, find_superpixels

            return find_superpixels(photo, min(max(round(side), MIN_SIZE), MAX_SIZE), cancel=job.token)

        self._lane.submit("superpixels", work, partial(self._take, weakref.ref(photo), percent), self._fail)

    def _take(self, photo: weakref.ref[Labels], percent: float, found: Superpixels) -> None:
        self._known = [*self._known, (photo, percent, found)][-_KEPT:]
        if photo() is self._target.photo and percent == self._percent:
            self._show(found)

    def _fail(self, error: StudioError) -> None:
        self._problem = str(error)
        self.hintChanged.emit()

    def _show(self, found: Superpixels | None) -> None:
        self._found = found
        self._here = None
        if self._canvas is not None:
            self._canvas.show_cells(None if found is None else found.colours, found.size if found is not None else 0)
            self._point_at(self._last)
        self.hintChanged.emit()

    # The gesture

    @property
    def busy(self) -> bool:
        """Whether a stroke is under way."""
        return self._painting

    def press(self, pointer: Pointer) -> None:
        """Paint the superpixel here."""
        if self._painting or self._found is None:
            return
        erase = pointer.eraser or pointer.button == Qt.MouseButton.RightButton
        name = self.tr("Superpixels erased") if erase else self.tr("Superpixels")
        if not self._target.begin(name, erase=erase):
            return
        self._painting, self._erase = True, erase
        self._last = None
        self._here = None
        self._go_to(pointer)
        self.hintChanged.emit()

    def move(self, pointer: Pointer) -> None:
        """Paint every superpixel on the way here."""
        if self._painting:
            self._go_to(pointer)

    def release(self, pointer: Pointer) -> None:
        """End the stroke."""
        self.move(pointer)
        self.finish()
        self.hover(pointer)

    def finish(self) -> None:
        """End the stroke and keep it."""
        if self._painting:
            self._painting = False
            self._target.commit()
            self.hintChanged.emit()

    def cancel(self) -> None:
        """Take the stroke back."""
        if self._painting:
            self._painting = False
            changed = self._target.abort()
            if changed is not None:
                self.canvas.refresh_labels(changed)
            self.hintChanged.emit()

    def hover(self, pointer: Pointer) -> None:
        """Show the rim of the superpixel here."""
        self._last = math.floor(pointer.y), math.floor(pointer.x)
        self._point_at(self._last)

    def leave(self) -> None:
        """Show none."""
        self._last = None
        self._point_at(None)

    def wheel(self, steps: float, modifiers: Qt.KeyboardModifier) -> bool:
        """Change the size with Ctrl or Alt."""
        if not modifiers & (Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.AltModifier):
            return False
        self.change_size(steps)
        return True

    def change_size(self, steps: float) -> None:
        """Grow (or shrink) the superpixels by a seventh per step."""
        low, high = SUPERPIXEL_SIZE.slider or (0.5, 10)
        percent = round(min(max(self._percent * 1.15**steps, low), high), 1)
        if percent == round(self._percent, 1) and low < percent < high:
            percent = round(percent + math.copysign(0.1, steps), 1)
        self.set_option(SUPERPIXEL_SIZE.key, percent)
        self.optionChanged.emit(SUPERPIXEL_SIZE.key, percent)

    def cursor(self) -> QCursor:
        """A crosshair."""
        return crosshair()

    def _go_to(self, pointer: Pointer) -> None:
        found, size = self._found, self.canvas.image_size
        if found is None or size is None:
            return
        last, pixel = self._last, (math.floor(pointer.y), math.floor(pointer.x))
        self._last = pixel
        if last is not None and self._holds(last) and self._holds(pixel) and _close(last, pixel):
            return
        start = last if last is not None else pixel
        way = sweep(_stamp(start), _stamp(pixel), "square", size)
        patch = found.under(way)
        if patch.mask.size:
            changed = self._target.paint(*patch)
            if changed is not None:
                self.canvas.refresh_labels(changed)
        self._point_at(pixel)

    def _point_at(self, pixel: tuple[int, int] | None) -> None:
        """Show the rim of the superpixel at a pixel."""
        if self._canvas is None:
            return
        if pixel is not None and self._here is not None and self._holds(pixel):
            return
        size = self._canvas.image_size
        inside = pixel is not None and size is not None and 0 <= pixel[0] < size[0] and 0 <= pixel[1] < size[1]
        self._here = self._found.at(*pixel) if inside and pixel is not None and self._found is not None else None
        self._canvas.show_draft(None if self._here is None else Draft(Region(self._here), outlined=True))

    def _holds(self, pixel: tuple[int, int]) -> bool:
        """Whether a pixel lies in the superpixel whose rim is shown."""
        if self._here is None:
            return False
        y, x = pixel[0] - self._here.top, pixel[1] - self._here.left
        height, width = self._here.mask.shape
        return 0 <= y < height and 0 <= x < width and bool(self._here.mask[y, x])


def _stamp(pixel: tuple[int, int]) -> Stamp:
    return Stamp(pixel[1] + 0.5, pixel[0] + 0.5, 1)


def _close(one: tuple[int, int], other: tuple[int, int]) -> bool:
    """Whether nothing lies between two pixels."""
    return max(abs(one[0] - other[0]), abs(one[1] - other[1])) <= 1
