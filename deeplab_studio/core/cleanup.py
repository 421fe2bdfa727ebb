"""Tidying a class map up: holes, islands, ragged boundaries, too thin or too thick objects, a ring of void.

Nothing here changes an array it was given. Neighbours of a region are those that share a side with a pixel of it, and a
region of one class holds together over corners too, so that thin slanting lines are one region.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from deeplab_studio.core.cancel import CancelToken
from deeplab_studio.core.classmap import Labels, Mask
from deeplab_studio.core.geometry import Rect
from deeplab_studio.core.labels import VOID

_TILE = 1024
"""Work that looks no further than a few pixels goes by squares of this side: its memory does not grow with the map."""


@dataclass(frozen=True, slots=True)
class CleanUp:
    """What to tidy up, in the order it is done. 0 leaves a step out.

    Parameters
    ----------
    classes : frozenset of int
        The classes to tidy up. Boundaries between two others stay. Void (255) stays unless it is one of them.
    holes : int
        Fill holes of up to so many pixels: regions with one class all around that do not touch the map's rim.
    islands : int
        Remove regions of fewer pixels; they become what most of their rim borders on.
    smooth : int
        Radius in pixels within which the likeliest class wins, under a Gaussian of half that sigma.
    grow : int
        Pixels by which the classes spread over the others; below 0 the others spread over them.
    void_ring : int
        Width in pixels of a ring of void along the boundaries, the larger half of an odd one outside.
    """

    classes: frozenset[int]
    holes: int = 0
    islands: int = 0
    smooth: int = 0
    grow: int = 0
    void_ring: int = 0

    def __post_init__(self) -> None:
        if min(self.holes, self.islands, self.smooth, self.void_ring) < 0:
            raise ValueError(f"only growing may be negative: {self}")


class Count(NamedTuple):
    """How much a step changed: regions (0 where a step has none) and pixels."""

    regions: int = 0
    pixels: int = 0


@dataclass(frozen=True, eq=False)
class CleanedUp:
    """A tidied class map.

    Attributes
    ----------
    labels : (H, W) uint8 array
        A new one.
    holes, islands, smoothed, grown, void_ring : Count
        What each step changed.
    changed : int
        Pixels that differ from the map it was made of.
    """

    labels: Labels
    holes: Count
    islands: Count
    smoothed: Count
    grown: Count
    void_ring: Count
    changed: int


def clean_up(
    labels: Labels, wanted: CleanUp, fixed: Mask | None = None, *, cancel: CancelToken | None = None
) -> CleanedUp:
    """Tidy a class map up.

    Parameters
    ----------
    labels : (H, W) uint8 array
        Class ids; 255 is void.
    wanted : CleanUp
    fixed : (H, W) bool array, optional
        Pixels that keep their class: pinned and protected ones. A hole or an island that has one stays whole.
    cancel : CancelToken, optional
        Polled between classes and squares.

    Returns
    -------
    CleanedUp

    Raises
    ------
    ValueError
        If an array is not of the shape and dtype stated.
    Cancelled
    """
    if labels.ndim != 2 or labels.dtype != np.uint8:
        raise ValueError(f"a class map is (H, W) uint8, not {labels.shape} {labels.dtype}")
    if fixed is not None and (fixed.shape != labels.shape or fixed.dtype != np.bool_):
        raise ValueError(f"what is fixed is {labels.shape} bool, not {fixed.shape} {fixed.dtype}")
    task = _Task(labels.copy(), wanted.classes, fixed, cancel)
    holes = task.fill_holes(wanted.holes) if wanted.holes else Count()
    islands = task.remove_islands(wanted.islands) if wanted.islands else Count()
    smoothed = task.smooth(wanted.smooth) if wanted.smooth else Count()
    grown = task.grow(wanted.grow) if wanted.grow else Count()
    ring = task.draw_ring(wanted.void_ring) if wanted.void_ring else Count()
    changed = int(np.count_nonzero(task.labels != labels))
    return CleanedUp(task.labels, holes, islands, smoothed, grown, ring, changed)


class _Task:
    """A map being tidied up in place, step by step."""

    def __init__(
        self, labels: Labels, classes: Collection[int], fixed: Mask | None, cancel: CancelToken | None
    ) -> None:
        self.labels = labels
        self._chosen = np.zeros(256, np.bool_)
        self._chosen[list(classes)] = True
        self._fixed = np.zeros(labels.shape, np.bool_) if fixed is None else fixed
        if not self._chosen[VOID]:
            self._fixed = self._fixed | (labels == VOID)
        self._cancel = cancel
        self._after = labels

    def fill_holes(self, largest: int) -> Count:
        """Holes of up to `largest` pixels take the class around them."""
        import cv2

        regions = pixels = 0
        for class_id, box in self._boxes():
            part = self.labels[box.slices]
            # Corners join the pixels of a class, so they cannot join those of its holes.
            _, found, stats, _ = cv2.connectedComponentsWithStats((part != class_id).view(np.uint8), connectivity=4)
            left, top, width, height = stats[:, :4].T
            # The box is as small as it can be: what reaches its rim is not enclosed.
            enclosed = (left > 0) & (top > 0) & (left + width < box.width) & (top + height < box.height)
            small = enclosed & (stats[:, cv2.CC_STAT_AREA] <= largest)
            small[0] = False
            small[found[self._fixed[box.slices]]] = False
            if small.any():
                part[small[found]] = class_id
                regions += int(small.sum())
                pixels += int(stats[small, cv2.CC_STAT_AREA].sum())
        return Count(regions, pixels)

    def remove_islands(self, smallest: int) -> Count:
        """Regions of fewer than `smallest` pixels become what they border on most."""
        import cv2

        regions = 0
        removed = np.zeros(self.labels.shape, np.uint8)
        for class_id, box in self._boxes():
            part = self.labels[box.slices] == class_id
            _, found, stats, _ = cv2.connectedComponentsWithStats(part.view(np.uint8), connectivity=8)
            small = stats[:, cv2.CC_STAT_AREA] < smallest
            small[0] = False
            small[found[self._fixed[box.slices]]] = False
            if small.any():
                removed[box.slices] |= small[found]
                regions += int(small.sum())
        pixels = int(cv2.countNonZero(removed))
        if regions and pixels < removed.size:
            # Islands that touch each other have no shore of their own: they go together.
            _, clusters = cv2.connectedComponents(removed, connectivity=8)
            inside = removed.view(np.bool_)
            self.labels[inside] = self._shores(np.asarray(clusters, np.int32), inside)[clusters[inside]]
            return Count(regions, pixels)
        return Count()

    def _shores(self, clusters: npt.NDArray[np.int32], inside: Mask) -> Labels:
        """The class each cluster borders on most, of those outside all clusters; the lower id where two are equal."""
        pairs = []
        for here, there in (
            (np.s_[1:], np.s_[:-1]),
            (np.s_[:-1], np.s_[1:]),
            (np.s_[:, 1:], np.s_[:, :-1]),
            (np.s_[:, :-1], np.s_[:, 1:]),
        ):
            rim = inside[here] & ~inside[there]
            pairs.append(clusters[here][rim].astype(np.int64) * 256 + self.labels[there][rim])
        found, counts = np.unique(np.concatenate(pairs), return_counts=True)
        order = np.lexsort((-(found % 256), counts))
        shores = np.zeros(int(clusters.max()) + 1, np.uint8)
        shores[found[order] // 256] = found[order] % 256  # the last one written has the highest count
        return shores

    def smooth(self, radius: int) -> Count:
        """The class with the highest weight around a pixel takes it."""
        import cv2

        sigma = radius / 2
        reach = int(np.ceil(3 * sigma))
        side = 2 * reach + 1
        pixels = 0
        for before, tile, inner in self._tiles(reach):
            best = np.zeros(before.shape, np.float32)
            winner = before.copy()
            shares = {}
            for class_id in _present(before):
                own = before == class_id
                weights = cv2.GaussianBlur(own.astype(np.float32), (side, side), sigma, borderType=cv2.BORDER_REPLICATE)
                shares[class_id] = weights
                np.copyto(best, weights, where=own)
            # Rounding must not move a straight boundary, where two classes weigh almost the same.
            best += 1e-4
            for class_id, share in shares.items():
                if class_id != VOID or self._chosen[VOID]:
                    np.copyto(winner, np.uint8(class_id), where=share > best)
                    np.maximum(best, share, out=best)
            pixels += self._put(tile, inner, winner, self._chosen[before] | self._chosen[winner])
        return Count(0, pixels)

    def grow(self, distance: int) -> Count:
        """The chosen classes spread over the others by `distance` pixels, or the others over them if it is negative."""
        reach = abs(distance)
        pixels = 0
        for before, tile, inner in self._tiles(reach):
            spreading = self._chosen if distance > 0 else ~self._chosen
            winner = before.copy()
            nearest = np.full(before.shape, reach + 1e-3, np.float32)
            for class_id in _present(before):
                if spreading[class_id]:
                    away = _distance_to(before == class_id)
                    np.copyto(winner, np.uint8(class_id), where=away < nearest)
                    np.minimum(nearest, away, out=nearest)
            pixels += self._put(tile, inner, winner, ~spreading[before])
        return Count(0, pixels)

    def draw_ring(self, width: int) -> Count:
        """Void along the boundaries of the chosen classes. What is void already is no boundary."""
        inside_reach, outside_reach = width // 2 + 1e-3, width - width // 2 + 1e-3
        pixels = 0
        for before, tile, inner in self._tiles(width):
            present = _present(before)
            others_of = before != VOID
            ring = np.zeros(before.shape, np.bool_)
            # Where two chosen classes meet, the higher id is the outside of the lower one.
            may_be_outside = np.ones(256, np.bool_)
            for class_id in present:
                if not self._chosen[class_id] or class_id == VOID:
                    continue
                own = before == class_id
                others = others_of & ~own
                if others.any():
                    ring |= own & (_distance_to(others) <= inside_reach)
                    ring |= others & may_be_outside[before] & (_distance_to(own) <= outside_reach)
                may_be_outside[class_id] = False
            pixels += self._put(tile, inner, np.where(ring, np.uint8(VOID), before), ring)
        return Count(0, pixels)

    def _put(self, tile: Rect, inner: tuple[slice, slice], winner: Labels, where: Mask) -> int:
        """Take over what may change inside a square; how many pixels did."""
        labels, new = self._after[tile.slices], winner[inner]
        changing = where[inner] & ~self._fixed[tile.slices] & (labels != new)
        labels[changing] = new[changing]
        return int(np.count_nonzero(changing))

    def _tiles(self, margin: int) -> Iterator[tuple[Labels, Rect, tuple[slice, slice]]]:
        """Squares in which something may happen, as they were before the step: with a margin, their box, where it lies.

        The map itself changes only when the last one has been dealt with.
        """
        height, width = self.labels.shape
        self._after = self.labels.copy()
        for top in range(0, height, _TILE):
            for left in range(0, width, _TILE):
                self._poll()
                tile = Rect(top, left, top + _TILE, left + _TILE).clipped(height, width)
                around = Rect(tile.top - margin, tile.left - margin, tile.bottom + margin, tile.right + margin).clipped(
                    height, width
                )
                before = self.labels[around.slices]
                present = _present(before)
                if len(present) > 1 and self._chosen[present].any():
                    inner = (
                        slice(tile.top - around.top, tile.bottom - around.top),
                        slice(tile.left - around.left, tile.right - around.left),
                    )
                    yield np.ascontiguousarray(before), tile, inner
        self.labels = self._after

    def _boxes(self) -> Iterator[tuple[int, Rect]]:
        """The chosen classes there are, ascending, with the smallest box around each as the map is at that moment."""
        import cv2

        for class_id in _present(self.labels):
            if self._chosen[class_id]:
                self._poll()
                left, top, width, height = cv2.boundingRect((self.labels == class_id).view(np.uint8))
                if width:
                    yield class_id, Rect(top, left, top + height, left + width)

    def _poll(self) -> None:
        if self._cancel is not None:
            self._cancel.raise_if_cancelled()


def _present(labels: Labels) -> list[int]:
    """The ids in a map, ascending."""
    import cv2

    counts = cv2.calcHist([np.ascontiguousarray(labels)], [0], None, [256], [0, 256])
    return [int(class_id) for class_id in np.flatnonzero(counts)]


def _distance_to(mask: Mask) -> npt.NDArray[np.float32]:
    """Euclidean distance of every pixel to the nearest one of `mask`, 0 inside; very far where there is none."""
    import cv2

    if not mask.any():
        return np.full(mask.shape, np.inf, np.float32)
    return np.asarray(cv2.distanceTransform((~mask).view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE), np.float32)
