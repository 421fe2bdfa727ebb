"""The CRF in the background: a live picture while a slider moves, the exact result when it rests."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

from deeplab_studio.app.jobs import Job, Lane

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from deeplab_studio.app.document import CrfSettings, Document
    from deeplab_studio.core.labels import ClassMapping
    from deeplab_studio.crf.backends import Backend, Engine
    from deeplab_studio.engine.refiner import Refiner
    from deeplab_studio.engine.stages import Trace


TRACE_EVERY = 0.15
"""Seconds. Small pictures of the stages follow a slider this often."""


@dataclass(frozen=True)
class Refined:
    """A class map that came out of the CRF, in the project's class ids.

    Attributes
    ----------
    item_id : int
    labels : (h, w) uint8 array
        Of the photo's size if `exact`.
    settings : CrfSettings
        What it was made with.
    exact : bool
        Whether it is the result itself and not a preview of it.
    milliseconds : float
    engine : {"kernel", "torch", "reference"}
        What computed it.
    scale : float
        Below 1 if the photo is so large that the CRF ran at this share of its width.
    """

    item_id: int
    labels: npt.NDArray[np.uint8]
    settings: CrfSettings
    exact: bool
    milliseconds: float
    engine: Backend
    scale: float = 1.0


@dataclass(frozen=True, eq=False)
class Traced:
    """What happened on the way to a class map."""

    item_id: int
    trace: Trace
    settings: CrfSettings
    mapping: ClassMapping


class _Decided:
    """What a person had decided when the CRF was asked for: a copy, because the person may paint on meanwhile."""

    def __init__(self, document: Document, mapping: ClassMapping) -> None:
        self.document = document
        self._mapping = mapping
        class_map = document.class_map
        self._pinned = class_map.pinned.copy() if class_map.pinned.any() else None
        self._labels = class_map.labels.copy() if self._pinned is not None else None

    @cached_property
    def evidence(self) -> npt.NDArray[np.int16] | None:
        """The model's class id of every decided pixel, -1 elsewhere. For the lane's thread."""
        if self._labels is None or self._pinned is None:
            return None
        evidence = self._mapping.to_source[self._labels]
        evidence[~self._pinned] = -1
        return evidence


class Refinement(QObject):
    """Runs the CRF for the image on screen.

    There is never more than one picture under way and one waiting: a newer wish takes the place of the one that waits,
    and the exact result makes way for a slider that moves again. Of a drag's last parameters the preview is shown
    first; where that is the exact result already, it is not computed again.

    Signals
    -------
    previewed : Refined
        A picture to look at while a slider moves; it may be smaller than the photo.
    refined : Refined
        The exact result for the settings asked for last.
    traced : Traced
        Comes just before the picture it belongs to, while `tracing`, or by itself. Pictures of a drag come without it
        if there was one a moment ago, unless `tracing_all`.
    failed : StudioError
    """

    previewed = Signal(object)
    refined = Signal(object)
    traced = Signal(object)
    failed = Signal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.lane = Lane("crf", self)
        self.tracing = False
        """Whether somebody looks at the stages: then runs keep them."""
        self.tracing_all = False
        """Whether a stage is on the canvas, so that every picture of a drag is needed with its stages."""
        self._traced_at = -math.inf
        self._refiner: tuple[Document, tuple[Engine, str], Refiner] | None = None
        self._engine: tuple[Engine, str] = "auto", "cpu"
        self._level = 0  # the next photo's previews are as large as this one's proved fast enough
        self._decided: _Decided | None = None
        self._followed: tuple[_Decided, tuple[Refined, Trace | None]] | None = None

    @property
    def engine(self) -> tuple[Engine, str]:
        """What computes, and the torch device of the torch engine."""
        return self._engine

    def use_engine(self, engine: Engine, device: str) -> None:
        """Compute with another engine from now on."""
        if (engine, device) != self._engine:
            self._engine = engine, device
            self._level = 0
            self.forget()

    def follow(self, document: Document, settings: CrfSettings, mapping: ClassMapping) -> None:
        """Show what `settings` would give, as soon as possible; nothing queues up."""
        # The rest of an exact run on a large photo takes seconds, and another one follows every drag.
        self.lane.cancel("exact")
        self.lane.cancel("trace")
        if self._decided is None or self._decided.document is not document:
            self._decided = _Decided(document, mapping)
        self._submit("live", document, settings, mapping, self._decided)

    def unfollow(self) -> None:
        """Show nothing more of what was followed: the class map is about to change."""
        self.lane.cancel("live")
        self._decided = None

    def settle(self, document: Document, settings: CrfSettings, mapping: ClassMapping) -> None:
        """Compute the exact result for `settings`."""
        self.lane.keep_only({"live"})
        followed, self._decided = self._decided, None
        if followed is None or followed.document is not document:
            followed = _Decided(document, mapping)
        self._submit("exact", document, settings, mapping, followed)

    def look(self, document: Document, settings: CrfSettings, mapping: ClassMapping) -> None:
        """Trace the stages with these settings, without a new class map."""
        self._submit("trace", document, settings, mapping, _Decided(document, mapping))

    def drop(self) -> None:
        """Stop everything: the class map is no longer what it was."""
        self.lane.keep_only(())
        self._decided = None

    def forget(self) -> None:
        """Stop everything and keep nothing: the image on screen or its scores changed."""
        self.drop()
        self._refiner = None
        self._followed = None

    def close(self) -> None:
        """Stop and wait for the thread."""
        self.lane.close()

    def _submit(
        self, key: str, document: Document, settings: CrfSettings, mapping: ClassMapping, decided: _Decided
    ) -> None:
        scores = document.scores
        if scores is None:
            raise ValueError("there are no scores to refine yet")
        exact, only_trace = key == "exact", key == "trace"
        shape = document.class_map.shape

        def work(job: Job) -> tuple[Refined, Trace | None]:
            start = time.perf_counter()
            known = self._followed
            if exact and known is not None and known[0] is decided and known[1][0].settings == settings:
                return known[1]
            refiner = self._refiner_of(document)
            params = settings.on_photo(*shape)
            evidence = decided.evidence if settings.on else None
            trace: Trace | None = None
            preview = refiner.large if only_trace else not exact
            is_exact = exact or not refiner.has_preview
            if only_trace or (self._wants_trace(start, exact=exact) and not (exact and refiner.large)):
                result, trace = refiner.trace(params, evidence, preview=preview, cancel=job.token)
                self._traced_at = time.perf_counter()
            elif settings.on:
                result = refiner.refine(params, evidence, preview=preview, cancel=job.token)
            if not settings.on and not only_trace:
                result = scores.class_map()
            self._level = refiner.level
            milliseconds = (time.perf_counter() - start) * 1000
            refined = Refined(
                document.item.id,
                mapping.to_target[result],
                settings,
                is_exact,
                milliseconds,
                refiner.engine,
                refiner.scale,
            )
            outcome = refined, trace
            self._followed = (decided, outcome) if is_exact and not only_trace else None
            return outcome

        def done(outcome: tuple[Refined, Trace | None]) -> None:
            refined, trace = outcome
            if trace is not None:
                self.traced.emit(Traced(refined.item_id, trace, settings, mapping))
            if not only_trace:
                (self.refined if exact else self.previewed).emit(refined)
            if exact and self.tracing and trace is None:
                self._submit("trace", document, settings, mapping, decided)

        priority = {"live": 2, "exact": 1, "trace": 0}[key]
        self.lane.submit(key, work, done, self.failed.emit, priority=priority, interrupt=key != "live")

    def _wants_trace(self, now: float, *, exact: bool) -> bool:
        """Whether this run keeps its stages: that takes time which the picture under a slider does not have."""
        return self.tracing and (exact or self.tracing_all or now - self._traced_at >= TRACE_EVERY)

    def _refiner_of(self, document: Document) -> Refiner:
        """The one refiner kept, of the image on screen. Only the lane's thread calls this."""
        from deeplab_studio.engine.refiner import Refiner

        scores = document.scores
        assert scores is not None
        kept, chosen = self._refiner, self._engine
        if kept is None or kept[0] is not document or kept[1] != chosen or kept[2].scores is not scores:
            engine, device = chosen
            refiner = Refiner(document.image.pixels, scores, level=self._level, engine=engine, device=device)
            kept = (document, chosen, refiner)
            self._refiner = kept
        return kept[2]
