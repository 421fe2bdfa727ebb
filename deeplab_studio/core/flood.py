"""Growing marked regions until they meet at the edges of a photo."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import numpy.typing as npt

from deeplab_studio.core.cancel import CancelToken
from deeplab_studio.core.geometry import Rect

if TYPE_CHECKING:
    from deeplab_studio.core.classmap import Labels, Mask
    from deeplab_studio.core.drawing import Patch

_Any = TypeVar("_Any", bound=np.generic)

WORK_PIXELS = 100_000
"""Regions with more pixels grow at about this size first; only where they meet is looked for in all pixels."""

_BAND_PIXELS = 2_000_000
"""Pixels of a band; the flood takes some ten bytes for each."""

_MEDIAN = 9
"""Side of the median filter that takes texture away before regions grow."""

_LEAST_REACH = 24
"""Pixels around small strokes that may become theirs."""


def flood(image: Labels, markers: Labels) -> Labels:
    """Give every pixel a marker: the one that reaches it over the lowest steps of colour (watershed; Meyer, 1992).

    Parameters
    ----------
    image : (H, W, 3) uint8 array
    markers : (H, W) uint8 array
        From 1 on; 0 where nothing is decided.

    Returns
    -------
    (H, W) uint8 array
        As `markers` where they are not 0. All 0 if they are 0 everywhere.
    """
    import cv2

    # OpenCV leaves the rim of the image out: give it another one.
    padded = cv2.copyMakeBorder(image, 1, 1, 1, 1, cv2.BORDER_REPLICATE)
    grown = np.zeros(padded.shape[:2], np.int32)
    grown[1:-1, 1:-1] = markers
    cv2.watershed(padded, grown)
    flooded = np.where(markers > 0, markers, grown[1:-1, 1:-1].clip(0)).astype(np.uint8)
    # Where two regions met it drew a line; its pixels go to a region that is beside them.
    cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    while (undecided := flooded == 0).any():
        beside = cv2.dilate(flooded, cross)
        if not beside[undecided].any():
            break
        flooded[undecided] = beside[undecided]
    return flooded


def flood_in_bands(image: Labels, markers: Labels, margin: int, *, cancel: CancelToken | None = None) -> Labels:
    """`flood` where little is undecided: band by band, in bounded memory.

    Parameters
    ----------
    image : (H, W, 3) uint8 array
    markers : (H, W) uint8 array
    margin : int
        Rows beyond a band that are looked at too; no less than undecided pixels are away from decided ones.
    cancel : CancelToken, optional
        Polled between bands.

    Returns
    -------
    (H, W) uint8 array
    """
    height, width = markers.shape
    rows = max(4 * margin, _BAND_PIXELS // width)
    flooded = np.empty_like(markers)
    for top in range(0, height, rows):
        _poll(cancel)
        first, last = max(0, top - margin), min(height, top + rows + margin)
        bottom = min(height, top + rows)
        flooded[top:bottom] = flood(image[first:last], markers[first:last])[top - first : bottom - first]
    return flooded


def without_borders(markers: Labels) -> Labels:
    """Markers with 0 on both sides of where two of them meet, to be decided anew at a higher resolution."""
    import cv2

    cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    inner = markers.copy()
    inner[cv2.morphologyEx(markers, cv2.MORPH_GRADIENT, cross) != 0] = 0
    return inner


class Marks:
    """Strokes of several classes on one photo, from which regions grow.

    Parameters
    ----------
    height, width : int
        Size of the photo.

    Attributes
    ----------
    labels : (H, W) uint8 array
        The class of every pixel under a stroke.
    drawn : (H, W) bool array
        Where there are strokes of a class.
    staying : (H, W) bool array
        Where there are strokes of `STAYS`.
    """

    STAYS = -1
    """In the place of a class: what is marked with it stays as it is."""

    def __init__(self, height: int, width: int) -> None:
        self.labels: Labels = np.zeros((height, width), np.uint8)
        self.drawn: Mask = np.zeros((height, width), np.bool_)
        self.staying: Mask = np.zeros((height, width), np.bool_)
        self._strokes: list[tuple[int, list[Patch]]] = []
        self._box: Rect | None = None

    def __len__(self) -> int:
        return len(self._strokes)

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width) of the photo."""
        height, width = self.labels.shape
        return height, width

    @property
    def classes(self) -> set[int]:
        """The classes there are strokes of, `STAYS` left out."""
        return {value for value, _ in self._strokes} - {self.STAYS}

    @property
    def has_staying(self) -> bool:
        """Whether there are strokes of `STAYS`."""
        return any(value == self.STAYS for value, _ in self._strokes)

    @property
    def box(self) -> Rect | None:
        """The smallest box around all boxes of strokes, or None without any."""
        return self._box

    def begin(self, value: int) -> None:
        """Start a stroke of a class, 0..255, or of `STAYS`."""
        self._strokes.append((value, []))

    def extend(self, patch: Patch) -> None:
        """Add to the stroke begun last; it covers older ones. The patch lies inside the photo."""
        if patch.mask.size:
            value, patches = self._strokes[-1]
            patches.append(patch)
            self._box = _box_of(patch).union(self._box)
            self._draw(value, patch)

    def drop_last(self) -> Rect | None:
        """Take the last stroke away; the box it was in, or None without any."""
        if not self._strokes:
            return None
        box = Rect(0, 0, 0, 0)
        _, dropped = self._strokes.pop()
        for index, patch in enumerate(dropped):
            part = _box_of(patch)
            box = part.union(box if index else None)
            self.drawn[part.slices] &= ~patch.mask
            self.staying[part.slices] &= ~patch.mask
        # What it covered comes back.
        self._box = None
        for value, patches in self._strokes:
            for patch in patches:
                self._box = _box_of(patch).union(self._box)
                if not _box_of(patch).intersection(box).is_empty:
                    self._draw(value, patch)
        return box

    def copy(self, rect: Rect) -> Marks:
        """Another one with the same strokes inside a box; it cannot drop or extend them."""
        marks = Marks.__new__(Marks)
        marks._strokes = [(value, list(patches)) for value, patches in self._strokes]
        marks._box = self._box
        marks.labels = _only(self.labels, rect)
        marks.drawn = _only(self.drawn, rect)
        marks.staying = _only(self.staying, rect)
        return marks

    def coded(self, rect: Rect, codes: Labels, staying: int) -> Labels:
        """The strokes in a box as (h, w) uint8: each class as the table `codes` says, `staying`, or 0 without one."""
        coded = np.where(self.drawn[rect.slices], codes[self.labels[rect.slices]], np.uint8(0))
        coded[self.staying[rect.slices]] = staying
        return coded

    def _draw(self, value: int, patch: Patch) -> None:
        box = _box_of(patch).slices
        if value == self.STAYS:
            self.staying[box] |= patch.mask
            self.drawn[box] &= ~patch.mask
        else:
            self.labels[box][patch.mask] = value
            self.drawn[box] |= patch.mask
            self.staying[box] &= ~patch.mask


def _box_of(patch: Patch) -> Rect:
    height, width = patch.mask.shape
    return Rect(patch.top, patch.left, patch.top + height, patch.left + width)


def _only(plane: npt.NDArray[_Any], rect: Rect) -> npt.NDArray[_Any]:
    """A copy of a plane that is 0 outside a box; memory that is never looked at is never filled either."""
    copied = np.zeros(plane.shape, plane.dtype)  # zeros_like would fill it
    copied[rect.slices] = plane[rect.slices]
    return copied


@dataclass(frozen=True, eq=False)
class Grown:
    """Classes for a part of a photo.

    Attributes
    ----------
    top, left : int
        Where the first pixel of both arrays lies.
    labels : (h, w) uint8 array
        Class ids.
    mask : (h, w) bool array
        Where something has grown; the rest stays as it is.
    """

    top: int
    left: int
    labels: Labels
    mask: Mask


def around(box: Rect, shape: tuple[int, int], reach: float) -> Rect:
    """The part of a photo of (height, width) `shape` that strokes inside `box` may reach.

    `reach` is how far beyond the box, in sides of it; small boxes reach some pixels at least.
    """
    margin = _margin(box, reach)
    return Rect(box.top - margin, box.left - margin, box.bottom + margin, box.right + margin).clipped(*shape)


def _margin(box: Rect, reach: float) -> int:
    return max(_LEAST_REACH, math.ceil(reach * max(box.height, box.width)))


def grow(
    image: Labels,
    marks: Marks,
    fixed: Mask | None = None,
    *,
    reach: float = 0.5,
    exact: bool = True,
    work_pixels: int = WORK_PIXELS,
    cancel: CancelToken | None = None,
) -> Grown | None:
    """Grow strokes along the edges of a photo until they meet each other or what surrounds them.

    Around the strokes lies a frame of what stays as it is. It grows inwards, as the strokes do outwards. Where strokes
    come close to a side of the photo the frame is open: what they mark may go on beyond it.

    Parameters
    ----------
    image : (H, W, 3) uint8 array
        The whole photo, RGB.
    marks : Marks
    fixed : (H, W) bool array, optional
        Pixels that stay as they are, with what they hold against the strokes: pinned and protected ones.
    reach : float
        How far the frame is from the strokes, in sides of their box.
    exact : bool
        Whether boundaries are placed in the photo itself also where the frame is large.
    work_pixels : int
        Larger frames are worked on at about this size.
    cancel : CancelToken, optional

    Returns
    -------
    Grown or None
        None without a stroke inside the photo. Strokes keep their class also where `fixed` is set.

    Raises
    ------
    Cancelled
    """
    import cv2

    box = marks.box
    if box is None:
        return None
    frame = around(box, marks.shape, reach)
    classes = sorted(marks.classes)
    codes = np.zeros(256, np.uint8)
    codes[classes] = np.arange(2, len(classes) + 2)
    part = image[frame.slices]
    strokes = marks.coded(frame, codes, 1)
    markers = strokes if fixed is None else np.where((strokes == 0) & fixed[frame.slices], np.uint8(1), strokes)
    _mark_frame(markers, frame, box, marks.shape, _margin(box, reach) / 2)
    scale = min(1.0, math.sqrt(work_pixels / (frame.height * frame.width)))
    if scale < 1:
        size = (max(1, round(frame.width * scale)), max(1, round(frame.height * scale)))
        small = np.asarray(cv2.resize(part, size, interpolation=cv2.INTER_AREA), np.uint8)
        grown = flood(_flattened(small), _reduced(markers, size, len(classes) + 1))
        _poll(cancel)
        if exact:
            grown = without_borders(grown)
        grown = np.asarray(cv2.resize(grown, (frame.width, frame.height), interpolation=cv2.INTER_NEAREST), np.uint8)
        np.copyto(grown, markers, where=markers > 0)
        if exact:
            grown = flood_in_bands(part, grown, math.ceil(8 / scale), cancel=cancel)
    else:
        grown = flood(_flattened(part), markers)
    _poll(cancel)
    classes_of = np.zeros(256, np.uint8)
    classes_of[2 : len(classes) + 2] = classes
    return Grown(frame.top, frame.left, classes_of[grown], grown > 1)


def _mark_frame(markers: Labels, frame: Rect, box: Rect, shape: tuple[int, int], close: float) -> None:
    """Mark the sides of the frame, but not those of the photo that the box of strokes comes close to."""
    height, width = shape
    sides = (
        (markers[0], frame.top > 0 or box.top >= close),
        (markers[-1], frame.bottom < height or height - box.bottom >= close),
        (markers[:, 0], frame.left > 0 or box.left >= close),
        (markers[:, -1], frame.right < width or width - box.right >= close),
    )
    # With strokes close to all four sides something has to hold against them.
    closed = [pixels for pixels, is_closed in sides if is_closed] or [pixels for pixels, _ in sides]
    for pixels in closed:
        pixels[pixels == 0] = 1


def _flattened(image: Labels) -> Labels:
    """An image without texture, its edges where they were."""
    import cv2

    return np.asarray(cv2.medianBlur(np.ascontiguousarray(image), _MEDIAN), np.uint8)


def _reduced(markers: Labels, size: tuple[int, int], last: int) -> Labels:
    """Markers 1 to `last` at a smaller (width, height); thin strokes survive."""
    import cv2

    reduced = np.zeros(size[::-1], np.uint8)
    for code in range(1, last + 1):
        share = cv2.resize((markers == code).astype(np.float32), size, interpolation=cv2.INTER_AREA)
        reduced[share > 0] = code
    return reduced


def _poll(cancel: CancelToken | None) -> None:
    if cancel is not None:
        cancel.raise_if_cancelled()
