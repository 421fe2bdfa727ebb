"""Where several class maps of one photo agree, and what they say together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from deeplab_studio.core.classmap import Labels
from deeplab_studio.core.geometry import Rect
from deeplab_studio.core.labels import VOID

BOTH, NEITHER, ONLY_FIRST, ONLY_SECOND = 1, 0, 2, 3
"""Values of `class_overlap`, and of `overlap` besides."""

DIFFERENT = 4
"""Value of `overlap` where both maps see something, and not the same."""

_STRIP_ROWS = 256


@dataclass(frozen=True, slots=True)
class Region:
    """A connected place where maps differ.

    Parameters
    ----------
    box : Rect
        Around it.
    pixels : int
        Its size.
    """

    box: Rect
    pixels: int


def distinct_answers(maps: Sequence[Labels]) -> Labels:
    """Number of different classes that the maps give each pixel.

    Parameters
    ----------
    maps : sequence of (H, W) uint8 array
        One or more, of one shape.

    Returns
    -------
    (H, W) uint8 array
        1 where all agree.

    Raises
    ------
    ValueError
        Without a map, or if the shapes differ.
    """
    first = _checked(maps)
    answers = np.ones(first.shape, np.uint8)
    for place, labels in enumerate(maps[1:], 1):
        fresh = np.ones(first.shape, np.bool_)
        for earlier in maps[:place]:
            fresh &= labels != earlier
        answers += fresh
    return answers


def class_overlap(first: Labels, second: Labels, class_id: int) -> Labels:
    """Where two maps see one class: `NEITHER`, `BOTH`, `ONLY_FIRST` or `ONLY_SECOND`, (H, W) uint8.

    Raises
    ------
    ValueError
        If the shapes differ.
    """
    _checked([first, second])
    in_first, in_second = first == class_id, second == class_id
    result = np.full(first.shape, NEITHER, np.uint8)
    result[in_first] = ONLY_FIRST
    result[in_second] = ONLY_SECOND
    result[in_first & in_second] = BOTH
    return result


def overlap(first: Labels, second: Labels, background: int | None) -> Labels:
    """Where two maps see the same, and if not, which of them sees something.

    Parameters
    ----------
    first, second : (H, W) uint8 array
        A pixel that is void (255) in either map counts as one where they agree.
    background : int or None
        The class that stands for nothing; without one maps agree or are different.

    Returns
    -------
    (H, W) uint8 array
        `NEITHER` where they agree, `ONLY_FIRST` or `ONLY_SECOND` where the other one sees the background, else
        `DIFFERENT`.

    Raises
    ------
    ValueError
        If the shapes differ.
    """
    _checked([first, second])
    result = np.where(first != second, np.uint8(DIFFERENT), np.uint8(NEITHER))
    if background is not None:
        apart = result != NEITHER
        result[apart & (second == background)] = ONLY_FIRST
        result[apart & (first == background)] = ONLY_SECOND
    result[(first == VOID) | (second == VOID)] = NEITHER
    return result


def pair_counts(first: Labels, second: Labels) -> npt.NDArray[np.int64]:
    """How often each pair of ids meets.

    Returns
    -------
    (256, 256) int64 array
        Row: id in `first`; column: id in `second`.

    Raises
    ------
    ValueError
        If the shapes differ.
    """
    _checked([first, second])
    counts = np.zeros(1 << 16, np.int64)
    for top in range(0, len(first), _STRIP_ROWS):  # bincount takes eight bytes a pixel
        index = first[top : top + _STRIP_ROWS].astype(np.uint16)
        index <<= 8
        index |= second[top : top + _STRIP_ROWS]
        counts += np.bincount(index.reshape(-1), minlength=1 << 16)
    return counts.reshape(256, 256)


def pair_iou(counts: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Intersection over union of each class between two maps.

    Parameters
    ----------
    counts : (256, 256) int64 array
        From `pair_counts`.

    Returns
    -------
    (256,) float64 array, 0..1
        nan for a class that is in neither map.
    """
    both = np.diagonal(counts)
    union = counts.sum(axis=0) + counts.sum(axis=1) - both
    result = np.full(256, np.nan)
    np.divide(both, union, out=result, where=union > 0)
    return result


def pixel_agreement(counts: npt.NDArray[np.int64]) -> float:
    """Share of pixels with one class in both maps, 0..1, from `pair_counts`."""
    total = int(counts.sum())
    return float(np.trace(counts) / total) if total else float("nan")


def regions(mask: npt.NDArray[np.bool_], min_pixels: int = 1, limit: int = 1000) -> list[Region]:
    """The connected regions of a mask, the largest first.

    Parameters
    ----------
    mask : (H, W) bool array
        Pixels that touch at a side or a corner are connected.
    min_pixels : int
        Smaller regions are left out.
    limit : int
        At most so many.
    """
    import cv2

    _, _, boxes, _ = cv2.connectedComponentsWithStats(np.ascontiguousarray(mask).view(np.uint8), connectivity=8)
    inside = boxes[1:]
    sizes = inside[:, cv2.CC_STAT_AREA]
    order = np.argsort(-sizes, kind="stable")[:limit]
    return [
        Region(Rect(int(top), int(left), int(top + height), int(left + width)), int(pixels))
        for left, top, width, height, pixels in inside[order].tolist()
        if pixels >= min_pixels
    ]


def region_mask(mask: npt.NDArray[np.bool_], region: Region) -> npt.NDArray[np.bool_]:
    """The pixels of one of the `regions` of a mask.

    Parameters
    ----------
    mask : (H, W) bool array
        The one in which the region was found.
    region : Region

    Returns
    -------
    (h, w) bool array
        Of the region's box.
    """
    import cv2

    inside = np.ascontiguousarray(mask[region.box.slices]).view(np.uint8)
    _, components, boxes, _ = cv2.connectedComponentsWithStats(inside, connectivity=8)
    whole = (boxes[:, cv2.CC_STAT_AREA] == region.pixels) & (boxes[:, cv2.CC_STAT_WIDTH] == region.box.width)
    whole &= boxes[:, cv2.CC_STAT_HEIGHT] == region.box.height
    whole[0] = False  # what lies around them
    return np.asarray(components == int(whole.argmax()))


def component_at(mask: npt.NDArray[np.bool_], y: int, x: int) -> npt.NDArray[np.bool_]:
    """The connected region of a mask that holds a pixel.

    Returns
    -------
    (H, W) bool array
        Empty if the pixel is not in the mask.
    """
    import cv2

    if not mask[y, x]:
        return np.zeros_like(mask)
    _, components = cv2.connectedComponents(np.ascontiguousarray(mask).view(np.uint8), connectivity=8)
    return np.asarray(components == components[y, x])


def majority(maps: Sequence[Labels], weights: Sequence[float] | None = None) -> Labels:
    """The class that most maps give each pixel.

    Parameters
    ----------
    maps : sequence of (H, W) uint8 array
        A pixel that is void (255) in a map has no vote of it.
    weights : sequence of float, optional
        How much the vote of each map counts, above 0; all alike if left out.

    Returns
    -------
    (H, W) uint8 array
        Of classes with as many votes the one that the earlier map names; 255 where no map has a vote.

    Raises
    ------
    ValueError
        Without a map, if shapes differ, or with other than one positive weight per map.
    """
    first = _checked(maps)
    weights = [1.0] * len(maps) if weights is None else list(weights)
    if len(weights) != len(maps) or not all(weight > 0 for weight in weights):
        raise ValueError(f"{len(maps)} maps need as many positive weights, not {weights}")
    result = np.full(first.shape, VOID, np.uint8)
    best = np.zeros(first.shape, np.float32)
    for labels in maps:
        votes = np.zeros(first.shape, np.float32)
        for other, weight in zip(maps, weights, strict=True):
            votes += np.where(other == labels, np.float32(weight), np.float32(0))
        # A sum of the same weights in another order may differ in its last bit, and must not decide.
        better = (votes > best * np.float32(1 + 1e-6)) & (labels != VOID)
        result[better] = labels[better]
        best[better] = votes[better]
    return result


def _checked(maps: Sequence[Labels]) -> Labels:
    if not maps:
        raise ValueError("there is no map")
    if any(labels.shape != maps[0].shape for labels in maps):
        raise ValueError(f"maps of one photo have one shape, not {sorted({labels.shape for labels in maps})}")
    return maps[0]
