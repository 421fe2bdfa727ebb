"""The CRF in the background: a live picture while a slider moves, the exact result when it rests."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

from deeplab_studio.app.jobs import Job, Lane

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from deeplab_studio.app.document import CrfSettings, Document
    from deeplab_studio.core.errors import StudioError
    from deeplab_studio.core.labels import ClassMapping
    from deeplab_studio.engine.refiner import Refiner


@dataclass(frozen=True)
class Refined:
    """A class map that came out of the CRF, in the project's class ids."""

    item_id: int
    labels: npt.NDArray[np.uint8]
    settings: CrfSettings
    exact: bool
    milliseconds: float


class Refinement(QObject):
    """Runs the CRF for the image on screen.

    Signals
    -------
    previewed : Refined
        A picture to look at while a slider moves; it may be smaller than the photo.
    refined : Refined
        The exact result for the settings asked for last.
    failed : StudioError
    """

    previewed = Signal(object)
    refined = Signal(object)
    failed = Signal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.lane = Lane("crf", self)
        self._refiner: tuple[Document, Refiner] | None = None

    def follow(self, document: Document, settings: CrfSettings, mapping: ClassMapping) -> None:
        """Show what `settings` would give, as soon as possible; nothing queues up."""
        self._submit("live", document, settings, mapping, exact=False)

    def settle(self, document: Document, settings: CrfSettings, mapping: ClassMapping) -> None:
        """Compute the exact result for `settings`; whatever was being followed is dropped."""
        self.lane.keep_only(())
        self._submit("exact", document, settings, mapping, exact=True)

    def forget(self) -> None:
        """Drop everything; the image on screen or its scores changed."""
        self.lane.keep_only(())
        self._refiner = None

    def close(self) -> None:
        """Stop and wait for the thread."""
        self.lane.close()

    def _submit(
        self, key: str, document: Document, settings: CrfSettings, mapping: ClassMapping, *, exact: bool
    ) -> None:
        scores = document.scores
        if scores is None:
            raise ValueError("there are no scores to refine yet")
        class_map = document.class_map
        # A snapshot: the person may paint on while the CRF runs.
        pinned = class_map.pinned.copy() if class_map.pinned.any() else None
        labels = class_map.labels.copy() if pinned is not None else None

        def work(job: Job) -> Refined:
            start = time.perf_counter()
            if not settings.on:
                result = scores.class_map()
            else:
                evidence = None
                if labels is not None and pinned is not None:
                    evidence = mapping.to_source[labels]
                    evidence[~pinned] = -1
                refiner = self._refiner_of(document)
                result = refiner.refine(settings.params, evidence, preview=not exact, cancel=job.token)
            milliseconds = (time.perf_counter() - start) * 1000
            is_exact = result.shape == document.class_map.shape
            return Refined(document.item.id, mapping.to_target[result], settings, is_exact, milliseconds)

        done = self.refined if exact else self.previewed
        self.lane.submit(key, work, done.emit, self._on_failed, priority=int(exact), interrupt=exact)

    def _refiner_of(self, document: Document) -> Refiner:
        """The one refiner kept, of the image on screen. Only the lane's thread calls this."""
        from deeplab_studio.engine.refiner import Refiner

        scores = document.scores
        assert scores is not None
        kept = self._refiner
        if kept is None or kept[0] is not document or kept[1].scores is not scores:
            kept = (document, Refiner(document.image.pixels, scores))
            self._refiner = kept
        return kept[1]

    def _on_failed(self, error: StudioError) -> None:
        self.failed.emit(error)
