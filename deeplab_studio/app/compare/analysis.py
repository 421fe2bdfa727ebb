"""Comparing the panes' answers and drawing what came of it, in the background."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from PySide6.QtCore import QObject, Signal

from deeplab_studio.app.crf_samples import TRUSTED
from deeplab_studio.app.jobs import Job, Lane

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from deeplab_studio.app.compare.choice import Mode
    from deeplab_studio.app.compare.findings import Findings
    from deeplab_studio.app.compare.overlays import KeyEntry, Overlay
    from deeplab_studio.app.document import Document
    from deeplab_studio.app.session import Session
    from deeplab_studio.core.classmap import Labels, Mask
    from deeplab_studio.core.labels import LabelSet
    from deeplab_studio.engine.scores import Scores


class Part(NamedTuple):
    """What one pane brings into the comparison.

    Attributes
    ----------
    pane : int
    labels : (H, W) uint8 array
        In the project's class ids; not changed while it is worked on.
    known : frozenset of int
    scores : Scores or None
    to_target : (256,) uint8 array or None
        From the model's ids to the project's.
    judged : bool
        Whether it is held against the ground truth.
    """

    pane: int
    labels: Labels
    known: frozenset[int]
    scores: Scores | None
    to_target: npt.NDArray[np.uint8] | None
    judged: bool


@dataclass(frozen=True, eq=False)
class Drawing:
    """What lies over the photo in each pane.

    Attributes
    ----------
    mode : Mode
    overlays : dict of int to Overlay
        By pane.
    key : sequence of KeyEntry
        What the colours mean.
    most : float
        Upper end of the scale of the uncertainty, in bits.
    """

    mode: Mode
    overlays: dict[int, Overlay]
    key: Sequence[KeyEntry] = ()
    most: float = 0.0


class Taken(NamedTuple):
    """Pixels to be taken over: where their box begins, their classes, and which of the box they are."""

    document: Document
    top: int
    left: int
    labels: Labels
    mask: Mask
    name: str


class Analysis(QObject):
    """One worker for everything that is worked out from answers.

    Parameters
    ----------
    session : Session
    parent : QObject, optional

    Signals
    -------
    found : Findings
    drawn : Drawing
    cutOut : Taken
    truthRead : (H, W) uint8 array or None
        The ground truth of the image that was asked for last.
    """

    found = Signal(object)
    drawn = Signal(object)
    cutOut = Signal(object)
    truthRead = Signal(object)

    def __init__(self, session: Session, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self.lane = Lane("compare figures", self)

    def close(self) -> None:
        """Stop and wait for the thread."""
        self.lane.close()

    def has_truth(self, document: Document) -> bool:
        """Whether there is ground truth: a mask that came with the image, or its finished class map."""
        session = self._session
        return document.item.id in session.masks or document.item.state in TRUSTED

    def read_truth(self, document: Document) -> None:
        """Read the ground truth of an image."""
        session = self._session
        mask, project = session.masks.get(document.item.id), session.project
        if mask is None or project is None:
            done = document.item.state in TRUSTED
            self.truthRead.emit(document.class_map.labels.copy() if done else None)
            return
        shape = document.class_map.shape

        def work(_job: Job) -> Labels:
            from deeplab_studio.app.opening import read_own_mask

            return read_own_mask(project, mask, shape)

        def failed(error: object) -> None:
            session.noticed.emit("warning", str(error))
            self.truthRead.emit(None)

        self.lane.submit("truth", work, self.truthRead.emit, failed, priority=2)

    def compare(self, parts: Sequence[Part], label_set: LabelSet, truth: Labels | None) -> None:
        """Work out where they differ."""

        def work(job: Job) -> Findings:
            from deeplab_studio.app.compare.findings import Voice, compare

            voices = [Voice(part.pane, part.labels, part.known, part.judged) for part in parts]
            return compare(voices, label_set, truth, job.token)

        self.lane.submit("findings", work, self.found.emit, priority=1)

    def draw(
        self,
        mode: Mode,
        parts: Sequence[Part],
        findings: Findings | None,
        palette: npt.NDArray[np.uint8],
        class_id: int | None,
    ) -> None:
        """Draw what lies over the photo; for "differences" of one class, or of all with None."""

        def work(_job: Job) -> Drawing:
            return _drawing(mode, parts, findings, palette, class_id)

        self.lane.submit("drawing", work, self.drawn.emit)

    def forget_drawing(self) -> None:
        """What is being drawn is not wanted any more."""
        self.lane.cancel("drawing")

    def cut_out(self, document: Document, labels: Labels, x: int, y: int, *, connected: bool, name: str) -> None:
        """Cut out the region of one class that holds a pixel, or every pixel of its class."""

        def work(_job: Job) -> Taken:
            from deeplab_studio.core.agreement import component_at

            same = labels == labels[y, x]
            return _cropped(document, labels, component_at(same, y, x) if connected else same, name)

        self.lane.submit("cut out", work, self.cutOut.emit, priority=3)

    def cut_out_class(self, document: Document, labels: Labels, class_id: int, name: str) -> None:
        """Cut out every pixel of a class."""
        self.lane.submit(
            "cut out",
            lambda _job: _cropped(document, labels, labels == class_id, name),
            self.cutOut.emit,
            priority=3,
        )

    def vote(self, document: Document, maps: Sequence[Labels], weights: Sequence[float], name: str) -> None:
        """Cut out what most of the maps say, all of it."""

        def work(_job: Job) -> Taken:
            from deeplab_studio.core.agreement import majority
            from deeplab_studio.core.labels import VOID

            chosen = majority(maps, weights)
            return Taken(document, 0, 0, chosen, chosen != VOID, name)

        self.lane.submit("cut out", work, self.cutOut.emit, priority=3)


def _drawing(
    mode: Mode,
    parts: Sequence[Part],
    findings: Findings | None,
    palette: npt.NDArray[np.uint8],
    class_id: int | None,
) -> Drawing:
    from deeplab_studio.app.compare import overlays

    if mode == "uncertainty":
        drawn, most = overlays.uncertainty([part.scores for part in parts])
        return Drawing(mode, {part.pane: each for part, each in zip(parts, drawn, strict=True)}, most=most)
    if mode == "coarse":
        found = {
            part.pane: overlays.coarse(part.scores, part.to_target)
            for part in parts
            if part.scores is not None and part.to_target is not None
        }
        return Drawing(mode, found)
    if findings is None:
        return Drawing(mode, {})
    if mode == "errors":
        found = {part.pane: overlays.errors(findings, part.pane) for part in parts}
        return Drawing(mode, found, overlays.errors_key(findings.background is not None))
    if mode == "differing classes":
        found = {part.pane: overlays.differing_classes(findings, part.pane, palette) for part in parts}
        return Drawing(mode, found)
    overlay, key = overlays.differences(findings, class_id)
    return Drawing(mode, {part.pane: overlay for part in parts}, key)


def _cropped(document: Document, labels: Labels, mask: Mask, name: str) -> Taken:
    """The box around the pixels of a mask."""
    import numpy as np

    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not rows.size:
        return Taken(document, 0, 0, labels[:0, :0], mask[:0, :0], name)
    top, left = int(rows[0]), int(columns[0])
    box = np.s_[top : int(rows[-1]) + 1, left : int(columns[-1]) + 1]
    return Taken(document, top, left, labels[box].copy(), mask[box].copy(), name)
