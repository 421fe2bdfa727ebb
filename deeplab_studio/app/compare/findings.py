"""Where the panes differ, and how good each is: figures and pictures of their answers. For worker threads; no Qt."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from deeplab_studio.core.agreement import (
    Region,
    distinct_answers,
    pair_counts,
    pair_iou,
    pixel_agreement,
    region_mask,
    regions,
)
from deeplab_studio.core.boundaries import TRIMAP_WIDTHS, TrimapScore, boundary_f_score
from deeplab_studio.core.labels import VOID, LabelSet, is_background
from deeplab_studio.core.metrics import ConfusionMatrix

if TYPE_CHECKING:
    from deeplab_studio.core.cancel import CancelToken
    from deeplab_studio.core.classmap import Labels

MAX_REGIONS = 100
"""Differences that are listed."""

TOLERANCE = 0.0075
"""How far an outline may be off for the boundary F-score, as a share of the photo's diagonal: the figure of Csurka et
al. 2013, "What is a good evaluation measure for semantic segmentation?"."""

_SMALLEST_SHARE = 2e-5
"""Smaller differences, as a share of the photo, are not listed: nobody goes there."""


@dataclass(frozen=True, eq=False)
class Voice:
    """One of several class maps of an image.

    Parameters
    ----------
    pane : int
    labels : (H, W) uint8 array
        In the project's class ids; 255 is no answer.
    known : frozenset of int
        The classes it can name.
    judged : bool
        Whether it is held against the ground truth.
    """

    pane: int
    labels: Labels
    known: frozenset[int]
    judged: bool = True


class Pair(NamedTuple):
    """How far two panes agree.

    Attributes
    ----------
    first, second : int
        Panes.
    agreement : float
        Share of pixels with one answer, 0..1.
    iou : (256,) float64 array
        Of every class; nan for one that is in neither.
    """

    first: int
    second: int
    agreement: float
    iou: npt.NDArray[np.float64]


class Difference(NamedTuple):
    """A connected place where panes differ.

    Attributes
    ----------
    region : Region
    answers : tuple of int
        What each voice says most of there.
    """

    region: Region
    answers: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Score:
    """How good a pane is against the ground truth.

    Parameters
    ----------
    pane : int
    matrix : ConfusionMatrix
        Of the shared classes, by their place among them, and "anything else" behind them.
    boundary : dict of int to float
        Boundary F-score, 0..1, by class id.
    trimap : TrimapScore
    """

    pane: int
    matrix: ConfusionMatrix
    boundary: dict[int, float]
    trimap: TrimapScore

    @property
    def mean_boundary(self) -> float:
        """Mean boundary F-score of the classes that the truth holds."""
        return sum(self.boundary.values()) / len(self.boundary) if self.boundary else math.nan


@dataclass(frozen=True, eq=False)
class Findings:
    """What came of comparing panes.

    Attributes
    ----------
    voices : tuple of Voice
        Their labels reduced to the shared classes: anything else is the background, or 255 without one.
    shared : tuple of int
        Class ids that all of them can name.
    left_out : tuple of str
        Names of the classes that only some can.
    background : int or None
    present : tuple of int
        Shared ids that occur in a map, or in the truth.
    differing : (H, W) uint8 array or None
        Number of distinct answers at each pixel; 1 where one has none. None with less than two voices.
    pairs : tuple of Pair
    differences : tuple of Difference
        The largest first.
    truth : (H, W) uint8 array or None
        255 where it is not scored.
    scores : tuple of Score
    """

    voices: tuple[Voice, ...] = ()
    shared: tuple[int, ...] = ()
    left_out: tuple[str, ...] = ()
    background: int | None = None
    present: tuple[int, ...] = ()
    differing: Labels | None = None
    pairs: tuple[Pair, ...] = ()
    differences: tuple[Difference, ...] = ()
    truth: Labels | None = None
    scores: tuple[Score, ...] = field(default=())

    def voice(self, pane: int) -> Voice | None:
        """The voice of a pane, if it has one."""
        return next((voice for voice in self.voices if voice.pane == pane), None)

    @property
    def disagreement(self) -> float:
        """Share of pixels with more than one answer, 0..1."""
        return float(np.count_nonzero(self.differing > 1) / self.differing.size) if self.differing is not None else 0.0

    def mask_of(self, difference: Difference) -> npt.NDArray[np.bool_]:
        """The pixels of a difference, a bool array of its box."""
        assert self.differing is not None
        return region_mask(self.differing > 1, difference.region)


def compare(
    voices: Sequence[Voice], label_set: LabelSet, truth: Labels | None = None, cancel: CancelToken | None = None
) -> Findings:
    """Compare class maps of one image on the classes that all can name.

    Parameters
    ----------
    voices : sequence of Voice
    label_set : LabelSet
    truth : (H, W) uint8 array, optional
    cancel : CancelToken, optional

    Raises
    ------
    Cancelled
    """

    def go_on() -> None:
        if cancel is not None:
            cancel.raise_if_cancelled()

    ids = range(len(label_set))
    shared = tuple(i for i in ids if all(i in voice.known for voice in voices))
    left_out = tuple(label_set.name_of(i) for i in ids if i not in shared and any(i in v.known for v in voices))
    background = 0 if 0 in shared and is_background(label_set.names[0]) else None
    table = np.full(256, VOID if background is None else background, np.uint8)
    table[list(shared)] = shared
    table[VOID] = VOID
    reduced = tuple(
        voice if len(shared) == len(label_set) else replace(voice, labels=_look_up(voice.labels, table))
        for voice in voices
    )
    go_on()
    truth_table = np.full(256, VOID, np.uint8)
    truth_table[list(shared)] = shared
    truth = None if truth is None or not shared else _look_up(truth, truth_table)
    maps = [voice.labels for voice in reduced]
    present = _present([*maps, *([truth] if truth is not None else [])], shared)
    scores = []
    if truth is not None and len(shared) > 1:
        for voice in reduced:
            go_on()
            if voice.judged:
                scores.append(_score(voice, truth, shared, background))
    findings = Findings(reduced, shared, left_out, background, present, truth=truth, scores=tuple(scores))
    if len(maps) < 2:
        return findings
    pairs = []
    for i, first in enumerate(reduced):
        for second in reduced[i + 1 :]:
            go_on()
            counts = pair_counts(first.labels, second.labels)
            counts[VOID] = counts[:, VOID] = 0
            pairs.append(Pair(first.pane, second.pane, pixel_agreement(counts), pair_iou(counts)))
    differing = distinct_answers(maps)
    for labels in maps:
        differing[labels == VOID] = 1
    go_on()
    return Findings(
        reduced,
        shared,
        left_out,
        background,
        present,
        differing,
        tuple(pairs),
        _differences(differing, maps),
        truth,
        tuple(scores),
    )


def _look_up(labels: Labels, table: npt.NDArray[np.uint8]) -> Labels:
    import cv2

    return np.asarray(cv2.LUT(labels, table), np.uint8)


def _present(maps: Sequence[Labels], shared: Sequence[int]) -> tuple[int, ...]:
    from deeplab_studio.core.voc.masks import count_ids

    counts = np.zeros(256, np.int64)
    for labels in maps:
        counts += count_ids(labels)
    return tuple(i for i in shared if counts[i])


def _differences(differing: Labels, maps: Sequence[Labels]) -> tuple[Difference, ...]:
    mask = differing > 1
    found = []
    for region in regions(mask, max(1, round(_SMALLEST_SHARE * mask.size)), MAX_REGIONS):
        inside = region_mask(mask, region)
        answers = tuple(int(np.bincount(labels[region.box.slices][inside]).argmax()) for labels in maps)
        found.append(Difference(region, answers))
    return tuple(found)


def _score(voice: Voice, truth: Labels, shared: Sequence[int], background: int | None) -> Score:
    """Figures of one voice; ids become places among the shared classes."""
    place = np.full(256, len(shared), np.uint8)
    place[list(shared)] = np.arange(len(shared))
    if background is not None:
        place[VOID] = shared.index(background)  # a person's void is no class
    said = _look_up(voice.labels, place)
    place[VOID] = VOID
    true = _look_up(truth, place)
    matrix, trimap = ConfusionMatrix(len(shared) + 1), TrimapScore(len(shared) + 1, TRIMAP_WIDTHS)
    matrix.add(true, said)
    trimap.add(true, said)
    tolerance = max(1.0, TOLERANCE * math.hypot(*truth.shape))
    held = np.flatnonzero(matrix.counts.sum(axis=1)).tolist()
    boundary = {shared[i]: boundary_f_score(true, said, i, tolerance) for i in held}
    return Score(voice.pane, matrix, {i: value for i, value in boundary.items() if not math.isnan(value)}, trimap)
