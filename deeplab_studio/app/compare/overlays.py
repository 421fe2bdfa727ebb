"""What lies over the photo in place of the class maps, and what its colours mean. For worker threads; no Qt widgets."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from deeplab_studio.app.compare.choice import LETTERS
from deeplab_studio.app.panels.colour_bar import colour_table
from deeplab_studio.app.stage_pictures import CLEAR
from deeplab_studio.app.translate import QT_TRANSLATE_NOOP
from deeplab_studio.core.agreement import (
    BOTH,
    DIFFERENT,
    ONLY_FIRST,
    ONLY_SECOND,
    class_overlap,
    overlap,
)
from deeplab_studio.engine.stages import COARSE, Trace, as_levels, entropy_of

if TYPE_CHECKING:
    from deeplab_studio.app.compare.findings import Findings
    from deeplab_studio.core.labels import Colour
    from deeplab_studio.engine.scores import Scores

Bytes = npt.NDArray[np.uint8]

FIRST: Colour = (38, 132, 255)
SECOND: Colour = (255, 150, 20)
TOGETHER: Colour = (245, 245, 245)
APART: Colour = (214, 40, 130)
"""Told apart by people who see few colours too, over photos of any."""

ANSWERS: tuple[Colour, ...] = ((255, 214, 70), (250, 120, 30), (190, 20, 70))
"""Two, three and four answers."""

_OPACITY = 190
_VEIL = (110, 110, 110, 120)
_ENTROPY_PIXELS = 250_000
"""Size at which the uncertainty is worked out: many times the cells of the scores."""
_ENTROPY_OPACITY = 0.85


class KeyEntry(NamedTuple):
    """A colour and what it means: a text to be translated, and what is put into it."""

    colour: Colour
    text: str
    arguments: tuple[str, ...] = ()


class Overlay(NamedTuple):
    """What one pane shows: values, and (256, 4) RGBA colours or None for classes."""

    values: Bytes
    colours: Bytes | None


NOTHING = Overlay(np.zeros((1, 1), np.uint8), CLEAR)


def differences(findings: Findings, class_id: int | None) -> tuple[Overlay, list[KeyEntry]]:
    """Where panes differ: over one class, or over all with None. The same for all panes.

    Two panes: who sees something; more panes: how many different answers there are.
    """
    voices = findings.voices
    if findings.differing is None:
        return NOTHING, []
    if len(voices) == 2:
        first, second = voices
        a, b = LETTERS[first.pane], LETTERS[second.pane]
        if class_id is not None:
            values = class_overlap(first.labels, second.labels, class_id)
            key = [
                KeyEntry(TOGETHER, QT_TRANSLATE_NOOP("Compare", "both")),
                KeyEntry(FIRST, QT_TRANSLATE_NOOP("Compare", "only {0}"), (a,)),
                KeyEntry(SECOND, QT_TRANSLATE_NOOP("Compare", "only {0}"), (b,)),
            ]
            return Overlay(values, _table({BOTH: TOGETHER, ONLY_FIRST: FIRST, ONLY_SECOND: SECOND})), key
        values = overlap(first.labels, second.labels, findings.background)
        key = [KeyEntry(APART, QT_TRANSLATE_NOOP("Compare", "different classes"))]
        if findings.background is not None:
            key = [
                KeyEntry(FIRST, QT_TRANSLATE_NOOP("Compare", "only {0} sees something"), (a,)),
                KeyEntry(SECOND, QT_TRANSLATE_NOOP("Compare", "only {0} sees something"), (b,)),
                *key,
            ]
        return Overlay(values, _table({ONLY_FIRST: FIRST, ONLY_SECOND: SECOND, DIFFERENT: APART})), key
    if class_id is not None:
        votes = np.zeros(findings.differing.shape, np.uint8)
        for voice in voices:
            votes += voice.labels == class_id
        colours = {0: None, **{n: ANSWERS[n - 1] for n in range(1, len(voices))}, len(voices): TOGETHER}
        key = [
            KeyEntry(ANSWERS[n - 1], QT_TRANSLATE_NOOP("Compare", "{0} of {1} panes"), (str(n), str(len(voices))))
            for n in range(1, len(voices))
        ]
        key.append(KeyEntry(TOGETHER, QT_TRANSLATE_NOOP("Compare", "all")))
        return Overlay(votes, _table({n: colour for n, colour in colours.items() if colour is not None})), key
    answers = range(2, len(voices) + 1)
    key = [KeyEntry(ANSWERS[n - 2], QT_TRANSLATE_NOOP("Compare", "{0} answers"), (str(n),)) for n in answers]
    return Overlay(findings.differing, _table({n: ANSWERS[n - 2] for n in answers})), key


def differing_classes(findings: Findings, pane: int, palette: Bytes) -> Overlay:
    """What a pane says where panes differ; a veil over the rest."""
    voice = findings.voice(pane)
    if voice is None or findings.differing is None:
        return NOTHING
    colours = np.full((256, 4), 230, np.uint8)
    colours[:, :3] = palette
    veil = 254  # no label set has so many classes that panes are told apart by their colours
    colours[veil] = _VEIL
    values = voice.labels.copy()
    values[findings.differing <= 1] = veil
    return Overlay(values, colours)


def errors(findings: Findings, pane: int) -> Overlay:
    """Where a pane is wrong: it missed something, sees what is not there, or takes one thing for another."""
    voice = findings.voice(pane)
    if voice is None or findings.truth is None:
        return NOTHING
    values = overlap(findings.truth, voice.labels, findings.background)
    return Overlay(values, _table({ONLY_FIRST: FIRST, ONLY_SECOND: SECOND, DIFFERENT: APART}))


def errors_key(background: bool) -> list[KeyEntry]:
    """What the colours of `errors` mean."""
    key = [KeyEntry(APART, QT_TRANSLATE_NOOP("Compare", "confused: another class"))]
    if not background:
        return key
    return [
        KeyEntry(FIRST, QT_TRANSLATE_NOOP("Compare", "missed")),
        KeyEntry(SECOND, QT_TRANSLATE_NOOP("Compare", "false: nothing is there")),
        *key,
    ]


def coarse(scores: Scores, table: Bytes) -> Overlay:
    """The class of every score cell, as the network computes it, before any upsampling.

    Parameters
    ----------
    scores : Scores
    table : (256,) uint8 array
        From the model's class ids to the project's.
    """
    size = np.broadcast_to(np.float32(0), (1, *scores.image_size))
    return Overlay(table[Trace(scores, (0,), (size,)).class_map(COARSE)], None)


def uncertainty(scores: Sequence[Scores | None]) -> tuple[list[Overlay], float]:
    """How unsure each pane's network is at every pixel, before the CRF: the entropy of its probabilities.

    Returns
    -------
    list of Overlay
        On one scale for all panes; nothing for a pane without scores.
    float
        Its upper end in bits.
    """
    found = [None if each is None else entropy_of(each.probabilities(_reduced(each.image_size))) for each in scores]
    top = max((float(each.max()) for each in found if each is not None), default=0.0)
    most = max(1.0, math.ceil(2 * top) / 2)
    colours = colour_table("inferno", _ENTROPY_OPACITY)
    return [NOTHING if each is None else Overlay(as_levels(each, most), colours) for each in found], most


def _reduced(size: tuple[int, int]) -> tuple[int, int]:
    shrink = min(1.0, (_ENTROPY_PIXELS / (size[0] * size[1])) ** 0.5)
    return max(1, round(size[0] * shrink)), max(1, round(size[1] * shrink))


def _table(colours: dict[int, Colour]) -> Bytes:
    table = np.zeros((256, 4), np.uint8)
    for value, colour in colours.items():
        table[value] = (*colour, _OPACITY)
    return table
