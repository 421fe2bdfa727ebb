"""Tools that find the region to paint themselves: bucket and magic wand.

Regions of a large photo take longer than a frame, so they are looked for on another thread, the newest question first;
the pointer never waits for them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, QPointF, QRectF, Qt
from PySide6.QtGui import QKeyEvent, QPainter, QPainterPath

from deeplab_studio.app.canvas.cursors import draw_contrasted, draw_handle, draw_tag, tag_rect
from deeplab_studio.app.canvas.drafts import Draft
from deeplab_studio.app.canvas.options import Choice, ToolOption
from deeplab_studio.app.canvas.shape_tools import AreaTool
from deeplab_studio.app.canvas.tools import PaintTarget, Pointer
from deeplab_studio.app.translate import QT_TRANSLATE_NOOP
from deeplab_studio.core.drawing import Patch
from deeplab_studio.core.drawing_shapes import Area, Region

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from deeplab_studio.app.jobs import Job, Lane

CONTIGUOUS = ToolOption(
    "tools/fill_connected",
    QT_TRANSLATE_NOOP("ToolOptions", "Connected"),
    QT_TRANSLATE_NOOP("ToolOptions", "Only what is joined to the pixel clicked; otherwise the whole image"),
)

SOURCE = ToolOption(
    "tools/wand_source",
    QT_TRANSLATE_NOOP("ToolOptions", "On"),
    QT_TRANSLATE_NOOP("ToolOptions", "What pixels have to be alike in"),
    choices=(
        Choice(
            "photo",
            QT_TRANSLATE_NOOP("ToolOptions", "Photo"),
            "picture",
            QT_TRANSLATE_NOOP("ToolOptions", "Pixels of about the colour of the one clicked"),
        ),
        Choice(
            "scores",
            QT_TRANSLATE_NOOP("ToolOptions", "Scores"),
            "probability",
            QT_TRANSLATE_NOOP(
                "ToolOptions", "Pixels at which the model finds the active class as likely as at the one clicked"
            ),
        ),
    ),
)

TOLERANCE = ToolOption(
    "tools/wand_tolerance",
    QT_TRANSLATE_NOOP("ToolOptions", "Tolerance"),
    QT_TRANSLATE_NOOP("ToolOptions", "How far pixels may differ from the one clicked; dragging away from it sets it"),
    slider=(0, 60),
    suffix=" %",
)

GAP = ToolOption(
    "tools/wand_gap",
    QT_TRANSLATE_NOOP("ToolOptions", "Close gaps"),
    QT_TRANSLATE_NOOP("ToolOptions", "Does not leak through openings up to twice as many pixels wide"),
    slider=(0, 8),
    suffix=" px",
)

_PERCENT_PER_PIXEL = 0.2
"""Tolerance per logical pixel between the pointer and where it went down."""

_CLICK = 4.0
"""Logical pixels up to which a press is a click and takes the tolerance that is set."""


class RegionTool(AreaTool):
    """A tool that asks for regions on another thread.

    Parameters
    ----------
    target : PaintTarget
    lane : Lane
        The thread.
    """

    def __init__(self, target: PaintTarget, lane: Lane, parent: QObject | None = None) -> None:
        super().__init__(target, parent)
        self._lane = lane

    def _pixel(self, pointer: Pointer) -> tuple[int, int] | None:
        """Row and column under the pointer; None outside the image."""
        size = self.canvas.image_size
        row, column = math.floor(pointer.y), math.floor(pointer.x)
        return (row, column) if size is not None and 0 <= row < size[0] and 0 <= column < size[1] else None


class FillTool(RegionTool):
    """Paints the region of one class under the pointer, or with Alt all pixels of that class.

    While the pointer rests on a region its rim is shown.
    """

    options = (CONTIGUOUS,)

    def __init__(self, target: PaintTarget, lane: Lane, parent: QObject | None = None) -> None:
        super().__init__(target, lane, parent)
        self._connected = True
        self._found: _Found | None = None
        self._at: Pointer | None = None

    def set_option(self, key: str, value: Any) -> None:
        """Take over whether regions are connected."""
        self._connected = bool(value)
        self._drop()

    def hint(self) -> str:
        """Say what a click does."""
        return self.tr("Click fills the region · Alt: its whole class · Right button erases")

    def step_name(self) -> str:
        """For the history."""
        return self.tr("Region erased") if self._erase else self.tr("Fill")

    def area(self) -> Area | None:
        """The region under the pointer."""
        return None if self._found is None else self._found.region

    def press(self, pointer: Pointer) -> None:
        """Paint the region."""
        pixel = self._pixel(pointer)
        if pixel is None or not self._start(erase=pointer.eraser or pointer.button == Qt.MouseButton.RightButton):
            return
        if self._found is None or not self._found.answers(pixel, self._joined(pointer)):
            self._found = self._search(pixel, self._joined(pointer))()
        area = self.area()
        self._drop()
        self._paint(area)

    def hover(self, pointer: Pointer) -> None:
        """Show the rim of the region here."""
        self._at = pointer
        pixel, connected = self._pixel(pointer), self._joined(pointer)
        if pixel is None:
            self._drop()
        elif self._found is None or not self._found.answers(pixel, connected):
            search = self._search(pixel, connected)
            self._lane.submit("fill", lambda _job: search(), self._show_found, interrupt=False)

    def leave(self) -> None:
        """Show no rim."""
        self._at = None
        self._drop()

    def key(self, event: QKeyEvent, *, pressed: bool) -> bool:
        """Alt counts as soon as it goes down."""
        changed = self._at.with_key(event, pressed=pressed) if self._at is not None else None
        if changed is not None:
            self.hover(changed)
        return False

    def labels_changed(self) -> None:
        """The region may be another one."""
        at = self._at
        self._drop()
        if at is not None:
            self.hover(at)

    def cancel(self) -> None:
        """Show nothing."""
        self._drop()

    def _joined(self, pointer: Pointer) -> bool:
        return self._connected and not pointer.modifiers & Qt.KeyboardModifier.AltModifier

    def _search(self, pixel: tuple[int, int], connected: bool) -> Callable[[], _Found]:
        labels = self._target.labels
        assert labels is not None

        def work() -> _Found:
            from deeplab_studio.core.drawing_regions import same_class

            return _Found(Region(same_class(labels, *pixel, connected=connected)), connected)

        return work

    def _show_found(self, found: _Found) -> None:
        pixel = self._pixel(self._at) if self._at is not None and self._canvas is not None else None
        if self._at is not None and pixel is not None and found.answers(pixel, self._joined(self._at)):
            self._found = found
            self.canvas.show_draft(Draft(found.region, outlined=True))

    def _drop(self) -> None:
        self._lane.cancel("fill")
        if self._found is not None and self._canvas is not None:
            self.canvas.show_draft(None)
        self._found = None

    def _show(self) -> None:
        """The rim stays as it is: it does not depend on what would be painted."""


@dataclass(frozen=True, eq=False)
class _Found:
    """A region of one class."""

    region: Region
    connected: bool

    def answers(self, pixel: tuple[int, int], connected: bool) -> bool:
        """Whether it is the region of a pixel."""
        top, left, mask = self.region.patch_
        row, column = pixel[0] - top, pixel[1] - left
        inside = 0 <= row < mask.shape[0] and 0 <= column < mask.shape[1]
        return connected == self.connected and inside and bool(mask[row, column])


@dataclass(frozen=True)
class _Question:
    """What the wand looks for."""

    pixel: tuple[int, int]
    tolerance: float
    connected: bool
    gap: int


class WandTool(RegionTool):
    """Paints what looks like the pixel clicked, or what the model finds as likely.

    Dragging away from the pixel widens the tolerance and shows what it gives; a click takes the tolerance that is set.
    """

    options = (SOURCE, TOLERANCE, CONTIGUOUS, GAP)

    def __init__(self, target: PaintTarget, lane: Lane, parent: QObject | None = None) -> None:
        super().__init__(target, lane, parent)
        self._tolerance = 12.0
        self._connected = True
        self._gap = 0
        self._source = "photo"
        self._from: Pointer | None = None
        self._to: Pointer | None = None
        self._dragged = False
        self._released = False
        self._find: Callable[[_Question], Patch] | None = None
        self._answer: tuple[_Question, Region] | None = None

    def set_option(self, key: str, value: Any) -> None:
        """Take over an option."""
        if key == TOLERANCE.key:
            self._tolerance = float(value)
        elif key == CONTIGUOUS.key:
            self._connected = bool(value)
        elif key == GAP.key:
            self._gap = int(value)
        else:
            self._source = str(value)

    def hint(self) -> str:
        """Say what dragging does."""
        if self.busy:
            return self.tr("Further away: more tolerance · Letting go paints · Esc takes it back")
        return self.tr("Click paints what looks alike · Drag: tolerance · Right button erases")

    def step_name(self) -> str:
        """For the history."""
        return self.tr("Magic wand erased") if self._erase else self.tr("Magic wand")

    @property
    def busy(self) -> bool:
        """Whether a region is being chosen."""
        return self._from is not None

    def press(self, pointer: Pointer) -> None:
        """Begin at the pixel under the pointer."""
        if self.busy:
            self.finish()
        pixel = self._pixel(pointer)
        if pixel is None or not self._start(erase=pointer.eraser or pointer.button == Qt.MouseButton.RightButton):
            return
        self._find = self._finder()
        self._from = self._to = pointer
        self._dragged = self._released = False
        self._answer = None
        self._ask()
        self._show()

    def move(self, pointer: Pointer) -> None:
        """Set the tolerance by the way from there."""
        if self._from is None or self._released:
            return
        self._to = pointer
        way = pointer.position - self._from.position
        distance = math.hypot(way.x(), way.y())
        self._dragged = self._dragged or distance > _CLICK
        if self._dragged:
            tolerance = round(min(max(distance - _CLICK, 0.0) * _PERCENT_PER_PIXEL, 100.0), 1)
            if tolerance != self._tolerance:
                self._tolerance = tolerance
                self.optionChanged.emit(TOLERANCE.key, tolerance)
                self._ask()
        self._show()

    def release(self, pointer: Pointer) -> None:
        """Paint the region, as soon as it is found."""
        self.move(pointer)
        if self.busy:
            self._released = True
            self._paint_if_found()

    def finish(self) -> None:
        """Paint the region now."""
        question = self._question()
        if question is None or self._find is None:
            return
        if self._answer is None or self._answer[0] != question:
            self._answer = question, Region(self._find(question))
        self._released = True
        self._paint_if_found()

    def cancel(self) -> None:
        """Paint nothing."""
        self._lane.cancel("wand")
        self._from = self._to = self._find = self._answer = None
        if self._canvas is not None:
            self._show()

    def area(self) -> Area | None:
        """The region found last."""
        return self._answer[1] if self._answer is not None and self.busy else None

    def _question(self) -> _Question | None:
        pixel = self._pixel(self._from) if self._from is not None else None
        return None if pixel is None else _Question(pixel, self._tolerance / 100, self._connected, self._gap)

    def _finder(self) -> Callable[[_Question], Patch]:
        """What finds regions on the photo, or on the scores if there are any."""
        size, photo = self.canvas.image_size, self._target.photo
        assert size is not None
        assert photo is not None
        work_out = self._target.probability(self._target.active_class) if self._source == "scores" else None
        if work_out is None:

            def on_photo(question: _Question) -> Patch:
                from deeplab_studio.core.drawing_regions import similar

                tolerance, connected, gap = question.tolerance, question.connected, question.gap
                return similar(photo, *question.pixel, tolerance, connected=connected, gap=gap)

            return on_photo
        known: list[npt.NDArray[np.float32]] = []

        def on_scores(question: _Question) -> Patch:
            from deeplab_studio.core.drawing_regions import as_likely

            if not known:
                known.append(work_out())
            tolerance, connected, gap = question.tolerance, question.connected, question.gap
            return as_likely(known[0], size, *question.pixel, tolerance, connected=connected, gap=gap)

        return on_scores

    def _ask(self) -> None:
        question, find = self._question(), self._find
        if question is None or find is None:
            return

        def work(_job: Job) -> tuple[_Question, Region]:
            return question, Region(find(question))

        # A region that was asked for before is shown too: one that keeps up with the hand is better than none.
        self._lane.submit("wand", work, self._show_answer, interrupt=False)

    def _show_answer(self, answer: tuple[_Question, Region]) -> None:
        question = self._question()
        if question is not None and answer[0].pixel == question.pixel:
            self._answer = answer
            self._show()
            self._paint_if_found()

    def _paint_if_found(self) -> None:
        if self._released and self._answer is not None and self._answer[0] == self._question():
            area = self._answer[1]
            self.cancel()
            self._paint(area)

    def overlay_rect(self) -> QRectF:
        """Around the way from the pixel, and the tolerance in words."""
        if self._from is None or self._to is None:
            return QRectF()
        way = QRectF(self._start_place(), self._to.position).normalized()
        return way.adjusted(-8, -8, 8, 8) | self._tag_rect(self._to.position)

    def paint_cursor(self, painter: QPainter) -> None:
        """Draw the way from the pixel and the tolerance."""
        if self._from is None or self._to is None:
            return
        start = self._start_place()
        if self._dragged:
            path = QPainterPath(start)
            path.lineTo(self._to.position)
            draw_contrasted(painter, path, dashed=True)
        draw_handle(painter, start, marked=True)
        draw_tag(painter, self._tag_rect(self._to.position), self._tag())

    def _start_place(self) -> QPointF:
        assert self._from is not None
        return self.canvas.to_viewport(self._from.x, self._from.y)

    def _tag_rect(self, at: QPointF) -> QRectF:
        return tag_rect(self._tag(), at, QRectF(self.canvas.viewport().rect()))

    def _tag(self) -> str:
        return self.tr("{0} %").format(f"{self._tolerance:.1f}")
