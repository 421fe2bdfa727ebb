"""A simulated annotator: which gesture with which tool corrects a class map fastest, knowing the truth.

The gestures go through the functions that the program's tools call, on the program's class map, with its pins; only the
hand is simulated. It is greedy and steady: it always works on the largest piece that is wrong, never trembles, and
paints along one line per gesture without turning back.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from deeplab_studio.core.classmap import ClassMap
from deeplab_studio.core.drawing import Patch, Stamp, sweep
from deeplab_studio.core.labels import VOID
from deeplab_studio.core.superpixels import Superpixels

if TYPE_CHECKING:
    from deeplab_studio.crf.params import CrfParams
    from deeplab_studio.engine.region_refine import Surroundings

Labels = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]
Weights = npt.NDArray[np.int32]
Pixel = tuple[int, int]

RADII = (1, 2, 4, 7, 12, 20, 35, 60, 100)
"""Brush radii in pixels that the hand chooses from."""

SCRIBBLE_SIZE = 10
"""Of the CRF brush, the program's default."""

REACH = 0.5
"""Of the CRF brush, the program's default."""

TRIED = 6
"""Wrong pieces looked at, the largest first, before the annotator gives up."""


class Gesture(NamedTuple):
    """What one gesture would do.

    Attributes
    ----------
    tool : str
    class_id : int
    patches : list of Patch
        What is painted and pinned.
    spread : Patch or None
        What gets the class without being pinned: the CRF's share.
    gain : int
        Wrong pixels that become right, less right ones that become wrong.
    """

    tool: str
    class_id: int
    patches: list[Patch]
    spread: Patch | None
    gain: int


@dataclass
class Task:
    """A photo that is being corrected.

    Parameters
    ----------
    truth : (H, W) uint8 array
        Void (255) where nobody knows.
    class_map : ClassMap
        As it is now.
    goal : float
        Intersection over union that every class of the truth has to reach.
    """

    truth: Labels
    class_map: ClassMap
    goal: float
    _decided: Mask = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._decided = self.truth != VOID

    def iou(self) -> dict[int, float]:
        """Intersection over union of every class of the truth, without its void pixels."""
        truth, labels = self.truth[self._decided], self.class_map.labels[self._decided]
        values = {}
        for class_id in np.unique(truth).tolist():
            a, b = truth == class_id, labels == class_id
            values[class_id] = float((a & b).sum() / (a | b).sum())
        return values

    @property
    def reached(self) -> bool:
        """Whether every class has reached the goal."""
        return all(value >= self.goal for value in self.iou().values())

    def weights(self, class_id: int) -> Weights:
        """What painting a class is worth at every pixel: 1 corrects it, -1 spoils it, 0 changes nothing that counts."""
        labels = self.class_map.labels
        weights = np.zeros(labels.shape, np.int32)
        weights[(self.truth == class_id) & (labels != class_id)] = 1
        weights[(labels == self.truth) & (labels != class_id) & self._decided] = -1
        return weights

    def wrong_pieces(self) -> Iterator[tuple[int, Mask]]:
        """Connected pieces that should all have one class and have others, the largest first.

        Only where a class is concerned that has not reached the goal.
        """
        labels = self.class_map.labels
        low = np.zeros(256, np.bool_)
        values = self.iou()
        low[[class_id for class_id in range(256) if values.get(class_id, 0.0) < self.goal]] = True
        found: list[tuple[int, int, Mask, int]] = []
        for class_id in values:
            wrong = (self.truth == class_id) & (labels != class_id) & (low[labels] | low[class_id])
            count, pieces, stats, _ = cv2.connectedComponentsWithStats(wrong.view(np.uint8), connectivity=8)
            areas = stats[1:count, cv2.CC_STAT_AREA]
            found += [(int(area), class_id, pieces, number) for number, area in enumerate(areas, 1)]
        for _, class_id, pieces, number in sorted(found, key=lambda each: each[:2], reverse=True):
            yield class_id, pieces == number

    def do(self, gesture: Gesture) -> None:
        """Make a gesture, as one undo step of the class map."""
        stroke = self.class_map.begin(gesture.tool)
        if gesture.spread is not None:
            stroke.paint(*gesture.spread, gesture.class_id, pin=False)
        for patch in gesture.patches:
            stroke.paint(*patch, gesture.class_id)
        stroke.commit()


Propose = Callable[[Task, int, Mask], Iterator[Gesture]]
"""A tool: gestures that might correct a piece that should have a class."""


def next_gesture(task: Task, tools: list[Propose]) -> Gesture | None:
    """The gesture of greatest gain on the largest wrong piece that a tool can do something about; None if none can."""
    for tried, (class_id, piece) in enumerate(task.wrong_pieces()):
        if tried == TRIED:
            break
        proposals = [gesture for tool in tools for gesture in tool(task, class_id, piece)]
        best = max(proposals, key=lambda gesture: gesture.gain, default=None)
        if best is not None and best.gain > 0:
            return best
    return None


# --- Tools ----------------------------------------------------------------------------------------------------------


def brush(task: Task, class_id: int, piece: Mask) -> Iterator[Gesture]:
    """A stroke of each radius, along the middle of where a brush of that radius touches the piece and harms nothing."""
    weights = task.weights(class_id)
    free, near = _distances(task, class_id, piece)
    for radius in RADII:
        places = (free >= radius) & (near < radius)
        way = _longest_way(places, max(1, radius // 3))
        if way:
            patches = _swept(way, 2 * radius, piece.shape)
            yield Gesture("brush", class_id, patches, None, _gain(weights, patches))


def superpixels(found: Superpixels) -> Propose:
    """A stroke through those superpixels around the piece that are better off with its class."""
    numbers = _numbered(found)
    count = int(numbers.max()) + 1

    def propose(task: Task, class_id: int, piece: Mask) -> Iterator[Gesture]:
        weights = task.weights(class_id)
        worth = np.bincount(numbers.reshape(-1), weights.reshape(-1), count) > 0
        touched = np.zeros(count, np.bool_)
        touched[numbers[piece]] = True
        way = _longest_way(_connected(worth[numbers], piece & touched[numbers]), max(1, found.size // 4))
        if way:
            patches = []
            for start, end in _steps(way):
                under = found.under(sweep(_stamp(start, 1), _stamp(end, 1), "square", piece.shape))
                if under.mask.size:
                    patches.append(under)
            yield Gesture("superpixels", class_id, patches, None, _gain(weights, patches))

    return propose


def crf_brush(known: Callable[[ClassMap], Surroundings], params: CrfParams) -> Propose:
    """Scribbles along the middle of the piece, the whole way and half of it; the CRF says where the class ends."""

    def propose(task: Task, class_id: int, piece: Mask) -> Iterator[Gesture]:
        from deeplab_studio.engine.region_refine import redecide

        weights = task.weights(class_id)
        free, _ = _distances(task, class_id, piece)
        deepest = float(free[piece].max())
        size = max(1, min(SCRIBBLE_SIZE, int(2 * deepest)))
        way = _longest_way(piece & (free >= max(0.5, min(size / 2, deepest))), max(1, size // 4))
        for part in (way, way[len(way) // 4 : len(way) - len(way) // 4]) if len(way) > 4 else (way,):
            if not part:
                continue
            scribble = _together(_swept(part, size, piece.shape), piece.shape)
            spread = redecide(known(task.class_map), scribble, class_id, params, reach=REACH)
            yield Gesture("CRF brush", class_id, [scribble], spread, _gain(weights, [spread, scribble]))

    return propose


# --- The hand -------------------------------------------------------------------------------------------------------


def _distances(task: Task, class_id: int, piece: Mask) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """How far every pixel is from where the class would do harm, and from the piece.

    Beyond the photo it does none.
    """
    harmless = (task.truth == class_id) | (task.truth == VOID)
    margin = max(RADII)
    framed = cv2.copyMakeBorder(
        harmless.astype(np.uint8), margin, margin, margin, margin, cv2.BORDER_CONSTANT, value=(1.0,)
    )
    free = cv2.distanceTransform(framed, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[margin:-margin, margin:-margin]
    near = cv2.distanceTransform((~piece).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.asarray(free, np.float32), np.asarray(near, np.float32)


def _longest_way(places: Mask, step: int) -> list[Pixel]:
    """The longest way through the largest connected part of a mask, from every `step`-th pixel to the next.

    From any place to the farthest one and from there to the farthest again: exact in a tree, which a medial axis is.
    """
    coarse = places[step // 2 :: step, step // 2 :: step]
    if not coarse.any():
        return []
    _, pieces, stats, _ = cv2.connectedComponentsWithStats(np.ascontiguousarray(coarse).view(np.uint8), connectivity=8)
    largest = 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())
    framed = np.pad(pieces == largest, 1)
    width = framed.shape[1]
    inside = framed.reshape(-1).tobytes()
    start = inside.index(1)
    far, _ = _farthest(inside, width, start)
    end, came_from = _farthest(inside, width, far)
    way = [end]
    while way[-1] != far:
        way.append(came_from[way[-1]])
    rows_columns = (divmod(cell, width) for cell in way)
    return [((row - 1) * step + step // 2, (column - 1) * step + step // 2) for row, column in rows_columns]


def _farthest(inside: bytes, width: int, start: int) -> tuple[int, dict[int, int]]:
    """The cell reached last from `start`, and where each cell was reached from."""
    around = (-1, 1, -width, width, -width - 1, -width + 1, width - 1, width + 1)
    came_from = {start: start}
    waiting = deque([start])
    cell = start
    while waiting:
        cell = waiting.popleft()
        for offset in around:
            other = cell + offset
            if inside[other] and other not in came_from:
                came_from[other] = cell
                waiting.append(other)
    return cell, came_from


def _steps(way: list[Pixel]) -> list[tuple[Pixel, Pixel]]:
    return list(pairwise(way)) or [(way[0], way[0])]


def _stamp(pixel: Pixel, size: int) -> Stamp:
    return Stamp(pixel[1] + 0.5, pixel[0] + 0.5, size)


def _swept(way: list[Pixel], size: int, shape: tuple[int, ...]) -> list[Patch]:
    """What a round brush passes over."""
    bounds = shape[0], shape[1]
    return [sweep(_stamp(start, size), _stamp(end, size), "round", bounds) for start, end in _steps(way)]


def _gain(weights: Weights, patches: list[Patch]) -> int:
    painted = _together(patches, weights.shape)
    height, width = painted.mask.shape
    return int(weights[painted.top : painted.top + height, painted.left : painted.left + width][painted.mask].sum())


def _together(patches: list[Patch], shape: tuple[int, ...]) -> Patch:
    """Several patches as one."""
    patches = [patch for patch in patches if patch.mask.size]
    if not patches:
        return Patch(0, 0, np.zeros((0, 0), np.bool_))
    top, left = min(patch.top for patch in patches), min(patch.left for patch in patches)
    bottom = max(patch.top + patch.mask.shape[0] for patch in patches)
    right = max(patch.left + patch.mask.shape[1] for patch in patches)
    mask = np.zeros((min(bottom, shape[0]) - top, min(right, shape[1]) - left), np.bool_)
    for patch in patches:
        height, width = patch.mask.shape
        mask[patch.top - top : patch.top - top + height, patch.left - left : patch.left - left + width] |= patch.mask
    return Patch(top, left, mask)


def _connected(mask: Mask, seeds: Mask) -> Mask:
    """The connected parts of a mask that hold a seed."""
    count, pieces = cv2.connectedComponents(mask.view(np.uint8), connectivity=4)
    chosen = np.zeros(count, np.bool_)
    chosen[pieces[seeds & mask]] = True
    chosen[0] = False
    return np.asarray(chosen[pieces], np.bool_)


def _numbered(found: Superpixels) -> npt.NDArray[np.int32]:
    """A number for every superpixel, from 0."""
    numbers = np.zeros(found.colours.shape, np.int32)
    total = 0
    for colour in np.unique(found.colours):
        count, pieces = cv2.connectedComponents((found.colours == colour).view(np.uint8), connectivity=4)
        inside = pieces > 0
        numbers[inside] = pieces[inside] + (total - 1)
        total += count - 1
    return numbers
