"""Tools that are told what belongs together by rough strokes: growing from strokes, and the CRF brush.

Neither changes the class map before it is done. What would be painted is a draft on the canvas, made on another thread.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtGui import QKeyEvent

from deeplab_studio.app.canvas.brush import BrushTool
from deeplab_studio.app.canvas.options import ToolOption
from deeplab_studio.app.canvas.picture_drafts import Layer, PictureDraft
from deeplab_studio.app.translate import QT_TRANSLATE_NOOP
from deeplab_studio.core.drawing import Patch
from deeplab_studio.core.flood import Grown, Marks, around, grow
from deeplab_studio.core.geometry import Rect

if TYPE_CHECKING:
    from deeplab_studio.app.canvas.tools import PaintTarget
    from deeplab_studio.app.jobs import Job, Lane
    from deeplab_studio.core.cancel import CancelToken
    from deeplab_studio.core.classmap import Labels, Mask
    from deeplab_studio.core.errors import StudioError

SCRIBBLE_SIZE = ToolOption(
    "tools/scribble_size",
    QT_TRANSLATE_NOOP("ToolOptions", "Stroke"),
    QT_TRANSLATE_NOOP("ToolOptions", "Width of the strokes in pixels of the photo"),
    slider=(1, 200),
    log=True,
    suffix=" px",
)

REACH = ToolOption(
    "tools/scribble_reach",
    QT_TRANSLATE_NOOP("ToolOptions", "Reach"),
    QT_TRANSLATE_NOOP("ToolOptions", "How far around the strokes pixels may change, in percent of the strokes' extent"),
    slider=(10, 200),
    suffix=" %",
)


class ScribbleTool(BrushTool):
    """A brush whose strokes are kept as marks.

    Parameters
    ----------
    target : PaintTarget
    lane : Lane
        The thread on which something is made of them.

    Signals
    -------
    failed : StudioError
        Nothing could be made of them.
    """

    failed = Signal(object)

    options = (SCRIBBLE_SIZE, REACH)
    size_option = SCRIBBLE_SIZE

    def __init__(self, target: PaintTarget, lane: Lane, parent: QObject | None = None) -> None:
        super().__init__(target, parent)
        self._lane = lane
        self._marks: Marks | None = None
        self._photo: Labels | None = None
        self._reach = 0.5

    def set_option(self, key: str, value: Any) -> None:
        """Take over size or reach."""
        if key == REACH.key:
            self._reach = value / 100
            self.target_changed()
        else:
            super().set_option(key, value)

    @property
    def busy(self) -> bool:
        """Whether there are strokes that nothing was painted of yet."""
        return self._marks is not None

    def forget(self) -> None:
        """Strokes on one photo mean nothing on another."""
        super().forget()
        self._drop()

    def _mark(self, value: int) -> bool:
        """Begin a stroke, if anything can be painted on."""
        size = self.canvas.image_size
        if size is None or not self._target.ready():
            return False
        if self._marks is None:
            self._marks, self._photo = Marks(*size), self._target.photo
        self._marks.begin(value)
        self._show()
        return True

    def _paint(self, patch: Patch) -> None:
        if self._marks is not None and patch.mask.size:
            self._marks.extend(patch)
            self.canvas.expose(Layer(patch.top, patch.left, patch.mask.view(np.uint8), patch.mask).box)

    def _drop(self) -> None:
        """Nothing is left of the strokes."""
        self._marks = self._photo = None
        if self._canvas is not None:
            self._canvas.show_draft(None)
        self.hintChanged.emit()

    def _layers(self) -> tuple[Layer, ...]:
        """What was made of the strokes so far."""
        return ()

    def _show(self) -> None:
        """Show the strokes and what was made of them."""
        if self._canvas is None:
            return
        marks = self._marks
        if marks is None:
            self._canvas.show_draft(None)
            return
        drawn, staying = _Strokes(marks, staying=False), _Strokes(marks, staying=True)
        draft = PictureDraft((*self._layers(), drawn), (drawn, staying), self._target.rules)
        self._canvas.show_draft(draft)

    def _still_there(self) -> bool:
        """Whether the photo that was marked is the one on screen."""
        return self._marks is not None and self._photo is self._target.photo


class GrowTool(ScribbleTool):
    """Grows rough strokes of several classes along the edges of the photo until they meet.

    The right button marks what stays as it is. Enter paints what has grown as one undo step, Escape drops it, Backspace
    takes the last stroke back.
    """

    def __init__(self, target: PaintTarget, lane: Lane, parent: QObject | None = None) -> None:
        super().__init__(target, lane, parent)
        self._grown: Grown | None = None
        self._current = False
        self._wanted = False

    def hint(self) -> str:
        """Say what buttons and keys do."""
        if self._painting:
            return self.tr("Esc takes the stroke back")
        if self._marks is not None:
            return self.tr("Enter paints · Esc drops all · Backspace: last stroke")
        return self.tr("Scribble on each class · Right button marks what stays · Then Enter")

    def wants(self, event: QKeyEvent) -> bool:
        """Enter, Backspace and Undo, while there are strokes."""
        return self._marks is not None and _meaning(event) is not None

    def key(self, event: QKeyEvent, *, pressed: bool) -> bool:
        """Paint what has grown, or take the last stroke back."""
        meaning = _meaning(event) if self._marks is not None and not self._painting else None
        if meaning is None:
            return super().key(event, pressed=pressed)
        if pressed and meaning == "take":
            self.accept()
        elif pressed:
            self._drop_last()
        return True

    def target_changed(self) -> None:
        """Grow anew under other rules."""
        if self._marks is not None and not self._painting:
            self._grow()

    def finish(self) -> None:
        """Paint what has grown so far."""
        self.end_stroke()
        self._commit()

    def cancel(self) -> None:
        """Take the stroke under way back, or all of them."""
        if self._painting:
            self.drop_stroke()
        else:
            self._drop()

    def accept(self) -> None:
        """Paint what has grown, as soon as it is known."""
        if self._current:
            self._commit()
        else:
            self._wanted = True

    def _begin(self, erase: bool) -> bool:
        if self._mark(Marks.STAYS if erase else self._target.active_class):
            self._current = self._wanted = False
            return True
        return False

    def _keep(self) -> None:
        self._grow()

    def _take_back(self) -> None:
        self._drop_last()

    def _drop_last(self) -> None:
        marks = self._marks
        if marks is None:
            return
        marks.drop_last()
        if len(marks):
            self._grow()
        else:
            self._drop()

    def _drop(self) -> None:
        self._lane.cancel("grow")
        self._grown, self._current, self._wanted = None, False, False
        super()._drop()

    def _layers(self) -> tuple[Layer, ...]:
        grown = self._grown
        return () if grown is None else (Layer(grown.top, grown.left, grown.labels, grown.mask),)

    def _grow(self) -> None:
        marks, photo, labels, pinned = self._marks, self._photo, self._target.labels, self._target.pinned
        box = marks.box if marks is not None else None
        if marks is None or photo is None or labels is None or pinned is None or box is None:
            return
        self._current = False
        reach, rules = self._reach, self._target.rules
        frame = around(box, marks.shape, reach)

        def work(job: Job) -> Grown | None:
            # If another stroke is drawn meanwhile this comes out wrong, and is asked for again.
            copied = marks.copy(box)
            fixed = np.zeros(labels.shape, np.bool_)
            inside = pinned[frame.slices].copy()
            allowed = rules.allowed(labels[frame.slices])
            fixed[frame.slices] = inside if allowed is None else inside | ~allowed
            job.report(grow(photo, copied, fixed, reach=reach, exact=False, cancel=job.token))
            return grow(photo, copied, fixed, reach=reach, cancel=job.token)

        def show(grown: Grown | None) -> None:
            self._grown = grown
            self._show()

        def done(grown: Grown | None) -> None:
            show(grown)
            self._current = True
            if self._wanted:
                self._commit()

        def failed(error: StudioError) -> None:
            self._drop()
            self.failed.emit(error)

        self._lane.submit("grow", work, done, failed, on_progress=show)
        self._show()
        self.hintChanged.emit()

    def _commit(self) -> None:
        marks, grown = self._marks, self._grown
        if marks is None:
            return
        if self._still_there() and marks.classes and self._target.begin(self.tr("Grown from strokes")):
            box = marks.box
            if grown is not None:
                self._target.put(*_layer_of(grown))
                box = _layer_of(grown).box.union(box)
            if marks.box is not None and not self._current:  # what has grown from them holds them
                inside = marks.box.slices
                self._target.put(marks.box.top, marks.box.left, marks.labels[inside], marks.drawn[inside])
            self._target.commit()
            self._drop()
            self.canvas.refresh_labels(box)
        else:
            self._drop()


class _Strokes:
    """The strokes of marks as they are at any moment."""

    def __init__(self, marks: Marks, *, staying: bool) -> None:
        self._marks = marks
        self._staying = staying

    @property
    def box(self) -> Rect:
        nothing = Rect(0, 0, 0, 0)
        return nothing if self._staying and not self._marks.has_staying else self._marks.box or nothing

    @property
    def labels(self) -> Labels:
        return self._marks.labels[self.box.slices]

    @property
    def mask(self) -> Mask:
        return (self._marks.staying if self._staying else self._marks.drawn)[self.box.slices]


Decide = Callable[[Patch, int, float, bool], "Callable[[CancelToken], Patch] | None"]
"""A scribble, its class, the reach and whether it is to be exact -> what works out, on any thread, which pixels become
the class; None if nothing can be said."""


class CrfBrush(ScribbleTool):
    """Scribbles a class; the CRF decides around the scribble where the class ends, while it is drawn.

    One undo step: pixels under the scribble are pinned, the others are not. The right button scribbles class 0.

    Parameters
    ----------
    target : PaintTarget
    lane : Lane
    decide : Decide
    """

    def __init__(self, target: PaintTarget, lane: Lane, decide: Decide, parent: QObject | None = None) -> None:
        super().__init__(target, lane, parent)
        self._decide = decide
        self._class = 0
        self._region: Patch | None = None
        self._deciding = False

    def hint(self) -> str:
        """Say what the buttons do."""
        if self._painting or self._deciding:
            return self.tr("Esc takes the scribble back")
        return self.tr("Scribble: the CRF takes the rest · Right button: class 0 · Ctrl+wheel: size")

    def target_changed(self) -> None:
        """Show the draft under other rules."""
        if self._marks is not None:
            self._show()

    def finish(self) -> None:
        """Paint what is shown."""
        self.end_stroke()
        self._commit()

    def cancel(self) -> None:
        """Take the scribble back."""
        self._painting = False
        self._last = None
        self._drop()

    def _begin(self, erase: bool) -> bool:
        self._commit()  # of the last scribble, as it is shown: a hand does not wait
        self._class = 0 if erase else self._target.active_class
        return self._mark(self._class)

    def _paint(self, patch: Patch) -> None:
        super()._paint(patch)
        self._ask(exact=False)

    def _keep(self) -> None:
        self._lane.cancel("crf brush, live")
        self._deciding = True
        self._ask(exact=True)

    def _ask(self, *, exact: bool) -> None:
        stroke = self._stroke()
        work = None if stroke is None else self._decide(stroke, self._class, self._reach, exact)
        if work is None:
            if exact:
                self._commit()
            return
        ready = work

        def done(region: Patch) -> None:
            self._region = region
            self._show()
            if exact:
                self._commit()

        # A live picture that is under way is finished: one that always makes way never comes.
        key = "crf brush" if exact else "crf brush, live"

        def failed(error: StudioError) -> None:
            self._commit()
            self.failed.emit(error)

        self._lane.submit(key, lambda job: ready(job.token), done, failed, interrupt=exact)

    def _stroke(self) -> Patch | None:
        """The scribble as one mask; a copy, for another thread."""
        marks = self._marks
        box = None if marks is None else marks.box
        if marks is None or box is None:
            return None
        return Patch(box.top, box.left, marks.drawn[box.slices].copy())

    def _layers(self) -> tuple[Layer, ...]:
        region = self._region
        if region is None:
            return ()
        # One value for all pixels, in a single byte.
        labels = np.broadcast_to(np.uint8(self._class), region.mask.shape)
        return (Layer(region.top, region.left, labels, region.mask),)

    def _drop(self) -> None:
        self._lane.cancel("crf brush, live")
        self._lane.cancel("crf brush")
        self._region, self._deciding = None, False
        super()._drop()

    def _commit(self) -> None:
        stroke, region = self._stroke(), self._region
        if stroke is None:
            if self._marks is not None:
                self._drop()
            return
        name = self.tr("CRF brush")
        if self._still_there() and self._target.begin(name, erase=self._class == 0):
            box = Layer(stroke.top, stroke.left, stroke.mask.view(np.uint8), stroke.mask).box
            if region is not None:
                layer = self._layers()[0]
                self._target.put(layer.top, layer.left, np.ascontiguousarray(layer.labels), layer.mask, pin=False)
                box = layer.box.union(box)
            self._target.put(stroke.top, stroke.left, np.full(stroke.mask.shape, self._class, np.uint8), stroke.mask)
            self._target.commit()
            self._drop()
            self.canvas.refresh_labels(box)
        else:
            self._drop()


def _layer_of(grown: Grown) -> Layer:
    return Layer(grown.top, grown.left, grown.labels, grown.mask)


def _meaning(event: QKeyEvent) -> str | None:
    """What a key asks of the strokes: "take" them, take the last one "back", or nothing."""
    keys, held = event.key(), event.modifiers() & ~Qt.KeyboardModifier.KeypadModifier
    if keys in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and held == Qt.KeyboardModifier.NoModifier:
        return "take"
    if keys == Qt.Key.Key_Backspace and held == Qt.KeyboardModifier.NoModifier:
        return "back"
    if keys == Qt.Key.Key_Z and held == Qt.KeyboardModifier.ControlModifier:
        return "back"
    return None
