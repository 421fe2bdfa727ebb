"""The CRF brush: what a scribble says about the pixels around it.

A few pixels of certainty do not move a fully connected CRF: every pixel hears the average of all pixels like it, and
those that a model got wrong are many. So the scribble first speaks for pixels near it and of its colours (histograms as
in GrabCut; Rother et al., 2004), and the CRF then decides where that ends.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from deeplab_studio.core.cancel import CancelToken
from deeplab_studio.core.drawing import Patch
from deeplab_studio.core.flood import around
from deeplab_studio.core.geometry import Rect
from deeplab_studio.core.labels import VOID

if TYPE_CHECKING:
    from deeplab_studio.core.classmap import Labels, Mask
    from deeplab_studio.core.labels import ClassMapping
    from deeplab_studio.crf.params import CrfParams
    from deeplab_studio.engine.scores import Scores

LIVE_PIXELS = 60_000
"""Size at which the region is worked on while a hand paints."""

EXACT_PIXELS = 500_000
"""Regions with more pixels are worked on at about this size; the boundary is then enlarged bilinearly."""

ACTIVE_PROBABILITY = 0.02
"""Classes that are nowhere as probable as this take no part unless the class map has them."""

_INFLUENCE = 0.8
"""How much of a pixel's probability goes to the scribble's class right beside it, if the pixel has its colours."""

_FADES = 0.4
"""Distance at which that has fallen to exp(-1/2), in reaches of the region."""

_MODEL_SHARE = 0.75
"""How much of the evidence is the model's; the rest is the class map's, which may have been corrected since."""

_TRUST = 0.7
"""Probability of the class a pixel has in the class map."""

_BINS = 16

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Surroundings:
    """What is known around a scribble.

    Parameters
    ----------
    image : (H, W, 3) uint8 array
        The whole photo, RGB.
    labels : (H, W) uint8 array
        The class map as it was before the scribble.
    pinned : (H, W) bool array
        Pixels a person has decided: certain evidence of the class they have.
    scores : Scores, optional
        What the model says about the photo.
    mapping : ClassMapping, optional
        From the classes of the scores to those of the class map. Needed with `scores`.
    """

    image: Labels
    labels: Labels
    pinned: Mask
    scores: Scores | None = None
    mapping: ClassMapping | None = None


def redecide(
    known: Surroundings,
    stroke: Patch,
    class_id: int,
    params: CrfParams,
    *,
    reach: float = 0.5,
    max_pixels: int = EXACT_PIXELS,
    cancel: CancelToken | None = None,
) -> Patch:
    """Where a class goes from a scribble on.

    Parameters
    ----------
    known : Surroundings
    stroke : Patch
        The scribble.
    class_id : int
        Its class, 0..255.
    params : CrfParams
        Sigmas in pixels of the photo.
    reach : float
        How far around the scribble's box to look, in sides of it.
    max_pixels : int
        Larger regions are worked on at about this size.
    cancel : CancelToken, optional

    Returns
    -------
    Patch
        The pixels that get the class: the scribble and what holds together with it. Pinned pixels of another class
        are among them only under the scribble. Empty if the scribble is outside the photo.

    Raises
    ------
    Cancelled
    """
    import cv2

    from deeplab_studio.crf import DenseCRF

    shape = known.labels.shape[0], known.labels.shape[1]
    box = Rect(stroke.top, stroke.left, stroke.top + stroke.mask.shape[0], stroke.left + stroke.mask.shape[1])
    if not stroke.mask.any() or box.clipped(*shape).is_empty:
        return Patch(stroke.top, stroke.left, np.zeros((0, 0), np.bool_))
    region = around(box, shape, reach)
    full_size = (region.width, region.height)
    scale = min(1.0, math.sqrt(max_pixels / (region.width * region.height)))
    size = (max(1, round(region.width * scale)), max(1, round(region.height * scale)))
    image = np.asarray(cv2.resize(known.image[region.slices], size, interpolation=cv2.INTER_AREA), np.uint8)
    scribbled = _inside(stroke, region)
    under = _shrunk(scribbled, size)
    decided = _nearest(known.pinned[region.slices].view(np.uint8), size).astype(np.bool_) & ~under
    labels = _nearest(known.labels[region.slices], size)
    if cancel is not None:
        cancel.raise_if_cancelled()
    classes, probabilities = _evidence(known, region, labels, class_id)
    own = classes.index(class_id)
    radius = max(1.0, reach * max(box.height, box.width) * scale)
    share = _influence(image, under, (labels != class_id) & ~under, radius)
    probabilities *= 1 - share
    probabilities[own] += share
    channel_of = np.full(256, -1, np.int16)
    channel_of[classes] = np.arange(len(classes))
    evidence = np.where(decided, channel_of[labels], np.int16(-1))
    evidence[under] = own
    marginals = DenseCRF(image).infer(probabilities, params.scaled(scale), evidence, cancel=cancel)
    lead = marginals[own] - np.delete(marginals, own, axis=0).max(axis=0, initial=0.0)
    wins = np.asarray(cv2.resize(lead, full_size, interpolation=cv2.INTER_LINEAR), np.float32) > 0
    wins &= ~known.pinned[region.slices] | (known.labels[region.slices] == class_id)
    wins |= scribbled
    _, pieces = cv2.connectedComponents(wins.view(np.uint8), connectivity=8)
    touched = np.zeros(int(pieces.max()) + 1, np.bool_)
    touched[pieces[scribbled]] = True
    return Patch(region.top, region.left, touched[pieces])


def _evidence(known: Surroundings, region: Rect, labels: Labels, class_id: int) -> tuple[list[int], Floats]:
    """The classes of the class map that may be in the region, ascending, and their probabilities (C, h, w) there."""
    present = np.zeros(256, np.bool_)
    present[np.unique(labels)] = True
    present[class_id] = True
    model: dict[int, Floats] = {}
    if known.scores is not None and known.mapping is not None:
        scores = known.scores.cropped(region)
        active = scores.active_classes(ACTIVE_PROBABILITY)
        for source, probability in zip(active, scores.probabilities(labels.shape, active), strict=True):
            target = int(known.mapping.to_target[source])
            model[target] = model[target] + probability if target in model else probability
            present[target] = True
    present[VOID] &= bool(class_id == VOID) or not model
    classes = [int(each) for each in np.flatnonzero(present)]
    doubt = (1 - _TRUST) / max(1, len(classes) - 1)
    mapped = np.stack([np.where(labels == each, np.float32(_TRUST), np.float32(doubt)) for each in classes])
    if model:
        nothing = np.zeros(labels.shape, np.float32)
        said = np.stack([model.get(each, nothing) for each in classes])
        mapped = np.float32(_MODEL_SHARE) * said + np.float32(1 - _MODEL_SHARE) * mapped
    mapped /= mapped.sum(axis=0)
    return classes, mapped


def _influence(image: Labels, under: Mask, others: Mask, radius: float) -> Floats:
    """How much of each pixel's probability the scribble claims, 0..1: near it, and where colours are more its own."""
    import cv2

    away = cv2.distanceTransform((~under).view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)
    near = np.exp(-0.5 * (away / (_FADES * radius)) ** 2)
    lab = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2Lab), np.uint8)
    cells = lab // (256 // _BINS)
    place = cells[..., 0], cells[..., 1], cells[..., 2]
    own, other = (_histogram(lab, mask)[place] + np.float32(1e-4) for mask in (under, others))
    likeness = cv2.GaussianBlur(own / (own + other), (0, 0), 2.0)
    return np.asarray(_INFLUENCE * near * likeness, np.float32)


def _histogram(lab: Labels, mask: Mask) -> Floats:
    """Share of each colour among the pixels of a mask, (16, 16, 16), a little blurred."""
    import cv2

    sides: list[float] = [0, 256] * 3
    counts = np.asarray(cv2.calcHist([lab], [0, 1, 2], mask.view(np.uint8), [_BINS] * 3, sides), np.float32)
    for axis in range(3):
        edge = [(1, 1) if each == axis else (0, 0) for each in range(3)]
        wide = np.pad(counts, edge)
        before, after = (np.take(wide, np.arange(_BINS) + step, axis) for step in (0, 2))
        counts = np.asarray((before + 2 * counts + after) / 4, np.float32)
    return np.asarray(counts / max(float(counts.sum()), 1e-9), np.float32)


def _inside(patch: Patch, region: Rect) -> Mask:
    """A patch as a mask of the region's size."""
    mask = np.zeros((region.height, region.width), np.bool_)
    part = Rect(patch.top, patch.left, patch.top + patch.mask.shape[0], patch.left + patch.mask.shape[1]).intersection(
        region
    )
    mask[part.top - region.top : part.bottom - region.top, part.left - region.left : part.right - region.left] = (
        patch.mask[part.top - patch.top : part.bottom - patch.top, part.left - patch.left : part.right - patch.left]
    )
    return mask


def _shrunk(mask: Mask, size: tuple[int, int]) -> Mask:
    """A mask at a smaller (width, height), the thinnest line of it too."""
    import cv2

    share = np.asarray(cv2.resize(mask.astype(np.float32), size, interpolation=cv2.INTER_AREA))
    shrunk: Mask = share >= min(0.5, float(share.max()))
    return shrunk


def _nearest(values: Labels, size: tuple[int, int]) -> Labels:
    import cv2

    return np.asarray(cv2.resize(values, size, interpolation=cv2.INTER_NEAREST), np.uint8)
