"""The class map of one image, and the one funnel through which it changes.

A class map is edited in place: the canvas draws from the very same memory. Every change, a person's brush stroke as
well as a model's prediction, is an `Edit` that knows how to go back.
"""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from deeplab_studio.core.geometry import Rect

Labels = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]

_TILE = 256
"""Edits are kept in squares of this many pixels: a long thin stroke costs what it touches, not its bounding box."""


@dataclass(frozen=True)
class PaintRules:
    """Which pixels a person's tool may change.

    Parameters
    ----------
    only_over : frozenset of int, optional
        Change only pixels of these classes; all classes if None.
    protect : frozenset of int
        Never change pixels of these classes.
    """

    only_over: frozenset[int] | None = None
    protect: frozenset[int] = frozenset()

    def allowed(self, labels: Labels) -> Mask | None:
        """Where `labels` (any shape, uint8) may be changed, as bool of the same shape; None means everywhere."""
        if self.only_over is None and not self.protect:
            return None
        table = np.full(256, self.only_over is None, np.bool_)
        if self.only_over is not None:
            table[list(self.only_over)] = True
        table[list(self.protect)] = False
        import cv2

        # Thirty times as fast as indexing the table.
        allowed: Mask = cv2.LUT(labels, table.view(np.uint8)).view(np.bool_)
        return allowed


class _Patch:
    """Old and new values of one box. Large ones shrink in the background, see `compact`."""

    __slots__ = ("_values", "rect")

    def __init__(self, rect: Rect, old_labels: Labels, new_labels: Labels, pins: tuple[Mask, Mask] | None) -> None:
        self.rect = rect
        parts = [old_labels, new_labels]
        if pins is not None:
            parts += [pins[0].view(np.uint8), pins[1].view(np.uint8)]
        self._values: Labels | bytes = np.stack(parts)

    @property
    def nbytes(self) -> int:
        return len(self._values) if isinstance(self._values, bytes) else self._values.nbytes

    def unpacked(self) -> Labels:
        """(2 or 4, h, w) uint8: old labels, new labels and, if pins changed, old pins, new pins."""
        values = self._values
        if isinstance(values, bytes):
            flat = np.frombuffer(zlib.decompress(values), np.uint8)
            return flat.reshape(-1, self.rect.height, self.rect.width)
        return values

    def compact(self) -> None:
        values = self._values
        if not isinstance(values, bytes):
            self._values = zlib.compress(values.tobytes(), 1)


_serials = itertools.count(1)


def next_serial() -> int:
    """A number larger than that of every edit so far: tells what came first across images."""
    return next(_serials)


@dataclass(frozen=True, eq=False)
class Edit:
    """One undoable change of a class map.

    Parameters
    ----------
    name : str
        What a person did ("Brush stroke", "Prediction").
    bbox : Rect
        The smallest box around the changed pixels, up to the tiles the change is kept in.
    details : mapping
        What else goes back and forth with it, by the words of the caller (CRF parameters before and after).
    serial : int
        Larger than that of any edit made before, of whatever image.
    """

    name: str
    bbox: Rect
    _patches: tuple[_Patch, ...] = field(repr=False)
    details: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))
    serial: int = field(default_factory=next_serial)
    _tables: list[Labels] = field(default_factory=list, repr=False)

    @classmethod
    def of_details(cls, name: str, details: Mapping[str, object]) -> Edit:
        """A step that changes no pixel: an item's state, say."""
        return cls(name, Rect(0, 0, 0, 0), (), MappingProxyType(dict(details)))

    def with_details(self, details: Mapping[str, object]) -> Edit:
        """The same edit with more going back and forth."""
        return replace(self, details=MappingProxyType({**self.details, **details}))

    @property
    def nbytes(self) -> int:
        """Bytes held by old and new values."""
        return sum(patch.nbytes for patch in self._patches)

    @property
    def changed_pixels(self) -> int:
        """Number of pixels whose class changed."""
        return sum(int(np.count_nonzero(v[0] != v[1])) for v in (patch.unpacked() for patch in self._patches))

    def compact(self) -> None:
        """Compress the values. Safe while another thread undoes or redoes this edit."""
        for patch in self._patches:
            patch.compact()

    def relabel(self, table: Labels) -> None:
        """Undo and redo in new class ids from now on: (256,) uint8 `table` holds the new id of every old one."""
        self._tables.append(table)

    def unrelabel(self) -> None:
        """Take the last `relabel` back."""
        self._tables.pop()

    def _values(self, patch: _Patch) -> Labels:
        """As `_Patch.unpacked`, in the class ids of now."""
        values = patch.unpacked()
        for table in self._tables:
            values = np.concatenate([table[values[:2]], values[2:]])
        return values


class ClassMap:
    """The class of every pixel of one image, and which pixels a person has decided.

    Parameters
    ----------
    labels : (H, W) uint8 array
        Class ids; 255 is void. Copied.
    pinned : (H, W) bool array, optional
        Pixels a person has decided; none if left out. Copied.

    Attributes
    ----------
    labels : (H, W) uint8 array
        One buffer for the life of the object; read it freely, change it only through the methods here.
    pinned : (H, W) bool array
        Likewise.
    """

    def __init__(self, labels: Labels, pinned: Mask | None = None) -> None:
        if labels.ndim != 2 or labels.dtype != np.uint8 or 0 in labels.shape:
            raise ValueError(f"a class map is (H, W) uint8 with at least one pixel, not {labels.shape} {labels.dtype}")
        if pinned is not None and (pinned.shape != labels.shape or pinned.dtype != np.bool_):
            raise ValueError(f"pins are (H, W) bool like the labels {labels.shape}, not {pinned.shape} {pinned.dtype}")
        self.labels: Labels = np.ascontiguousarray(labels).copy()
        self.pinned: Mask = np.zeros(labels.shape, np.bool_) if pinned is None else np.ascontiguousarray(pinned).copy()
        self._stroke: Stroke | None = None

    @classmethod
    def empty(cls, height: int, width: int) -> ClassMap:
        """A map of background (class 0) without pins."""
        return cls(np.zeros((height, width), np.uint8))

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width)."""
        height, width = self.labels.shape
        return height, width

    @property
    def stroke_open(self) -> bool:
        """Whether a stroke has begun and is neither committed nor aborted."""
        return self._stroke is not None

    def begin(self, name: str, rules: PaintRules | None = None) -> Stroke:
        """Start a stroke: the dabs painted until `Stroke.commit` are one edit.

        Raises
        ------
        RuntimeError
            If another stroke is open.
        """
        self._require_no_stroke()
        self._stroke = Stroke(self, name, rules or PaintRules())
        return self._stroke

    def replace(self, labels: Labels, name: str, details: Mapping[str, object] | None = None) -> Edit | None:
        """Take over a whole map (a prediction, a CRF result, an import); pinned pixels keep their class.

        Parameters
        ----------
        labels : (H, W) uint8 array
        name : str
        details : mapping, optional
            Kept with the edit. With details an edit comes back even if no pixel changed.

        Returns
        -------
        Edit or None
            None if nothing changed.

        Raises
        ------
        ValueError
            If shape or dtype differ from this map's.
        RuntimeError
            If a stroke is open.
        """
        self._require_no_stroke()
        if labels.shape != self.labels.shape or labels.dtype != np.uint8:
            raise ValueError(f"the map is {self.labels.shape} uint8, the new one {labels.shape} {labels.dtype}")
        patches = []
        for tile in _tiles(Rect(0, 0, *self.shape)):
            old = self.labels[tile.slices]
            new = labels[tile.slices]
            pins = self.pinned[tile.slices]
            if pins.any():
                new = np.where(pins, old, new)
            if not np.array_equal(old, new):
                patches.append(_Patch(tile, old.copy(), new.copy(), None))
                self.labels[tile.slices] = new
        return self._edit(name, patches, details)

    def set_pins(self, pinned: bool, name: str, where: Mask | None = None) -> Edit | None:
        """Pin or unpin pixels without changing their class.

        Parameters
        ----------
        pinned : bool
        name : str
        where : (H, W) bool array, optional
            All pixels if left out.
        """
        self._require_no_stroke()
        patches = []
        for tile in _tiles(Rect(0, 0, *self.shape)):
            pins = self.pinned[tile.slices]
            new = np.full_like(pins, pinned) if where is None else np.where(where[tile.slices], pinned, pins)
            if not np.array_equal(pins, new):
                labels = self.labels[tile.slices].copy()
                patches.append(_Patch(tile, labels, labels, (pins.copy(), new)))
                self.pinned[tile.slices] = new
        return self._edit(name, patches, None)

    def undo(self, edit: Edit) -> Rect:
        """Put the values from before `edit` back; the box returned holds every pixel touched."""
        return self._restore(edit, 0)

    def redo(self, edit: Edit) -> Rect:
        """Put the values from after `edit` back; the box returned holds every pixel touched."""
        return self._restore(edit, 1)

    def _restore(self, edit: Edit, after: int) -> Rect:
        self._require_no_stroke()
        for patch in edit._patches:
            values = edit._values(patch)
            self.labels[patch.rect.slices] = values[after]
            if len(values) == 4:
                self.pinned[patch.rect.slices] = values[2 + after]
        return edit.bbox

    def _edit(self, name: str, patches: list[_Patch], details: Mapping[str, object] | None) -> Edit | None:
        if not patches and not details:
            return None
        bbox: Rect | None = None
        for patch in patches:
            bbox = patch.rect.union(bbox)
        return Edit(name, bbox or Rect(0, 0, 0, 0), tuple(patches), MappingProxyType(dict(details or {})))

    def _require_no_stroke(self) -> None:
        if self._stroke is not None:
            raise RuntimeError(f"the stroke {self._stroke.name!r} is still open")


class Stroke:
    """A gesture in progress, made by `ClassMap.begin`."""

    def __init__(self, class_map: ClassMap, name: str, rules: PaintRules) -> None:
        self.name = name
        self._map = class_map
        self._rules = rules
        self._before: dict[Rect, tuple[Labels, Mask]] = {}

    @property
    def has_painted(self) -> bool:
        """Whether anything was painted so far."""
        return bool(self._before)

    def paint(self, top: int, left: int, mask: Mask, value: int, *, pin: bool = True) -> Rect | None:
        """Set the pixels under `mask` to a class.

        Parameters
        ----------
        top, left : int
            Where the mask's first pixel lies; the mask may reach outside the image.
        mask : (h, w) bool array
        value : int
            Class id or 255 for void.
        pin : bool
            Whether the pixels count as decided by a person from now on, also those that had the class already.

        Returns
        -------
        Rect or None
            A box to redraw, or None if the mask lies outside the image or the rules allow nothing in it.
        """
        painted: Rect | None = None
        for rect, inside in self._parts(top, left, mask):
            self._give(rect, np.full(inside.shape, value, np.uint8), inside, pin)
            painted = rect.union(painted)
        return painted

    def put(self, top: int, left: int, labels: Labels, mask: Mask, *, pin: bool = True) -> Rect | None:
        """Give the pixels under `mask` classes of their own.

        Parameters
        ----------
        top, left : int
            Where the first pixel of both arrays lies; they may reach outside the image.
        labels : (h, w) uint8 array
            The class of every pixel; what lies outside `mask` is not looked at.
        mask : (h, w) bool array
        pin : bool
            As in `paint`.

        Returns
        -------
        Rect or None
            As in `paint`.

        Raises
        ------
        ValueError
            If the arrays differ in shape.
        """
        if labels.shape != mask.shape or labels.dtype != np.uint8:
            raise ValueError(f"the mask is {mask.shape}, the labels {labels.shape} {labels.dtype}")
        painted: Rect | None = None
        for rect, inside in self._parts(top, left, mask):
            given = labels[rect.top - top : rect.bottom - top, rect.left - left : rect.right - left]
            self._give(rect, given, inside, pin)
            painted = rect.union(painted)
        return painted

    def restore(self, rect: Rect | None = None) -> Rect | None:
        """Take back what the stroke changed inside `rect`, without ending it.

        A gesture that shows one result after another restores and paints anew.

        Parameters
        ----------
        rect : Rect, optional
            Everywhere if left out.

        Returns
        -------
        Rect or None
            The box to redraw, or None if the stroke changed nothing there.
        """
        self._require_open()
        touched: Rect | None = None
        for tile, (labels, pins) in self._before.items():
            box = tile if rect is None else tile.intersection(rect)
            if not box.is_empty:
                inside = np.s_[box.top - tile.top : box.bottom - tile.top, box.left - tile.left : box.right - tile.left]
                self._map.labels[box.slices] = labels[inside]
                self._map.pinned[box.slices] = pins[inside]
                touched = box.union(touched)
        return touched

    def commit(self) -> Edit | None:
        """End the stroke; None if it changed nothing."""
        self._close()
        patches = []
        for tile, (old_labels, old_pins) in self._before.items():
            new_labels = self._map.labels[tile.slices]
            new_pins = self._map.pinned[tile.slices]
            changed = (old_labels != new_labels) | (old_pins != new_pins)
            inside = _bounding_box(changed)
            if inside is None:
                continue
            rect = Rect(
                tile.top + inside.top, tile.left + inside.left, tile.top + inside.bottom, tile.left + inside.right
            )
            pins = (old_pins[inside.slices].copy(), new_pins[inside.slices].copy())
            patches.append(_Patch(rect, old_labels[inside.slices].copy(), new_labels[inside.slices].copy(), pins))
        return self._map._edit(self.name, patches, None)

    def abort(self) -> Rect | None:
        """Undo everything painted so far and end the stroke; the box to redraw, or None."""
        touched = self.restore()
        self._close()
        return touched

    def _close(self) -> None:
        self._require_open()
        self._map._stroke = None

    def _require_open(self) -> None:
        if self._map._stroke is not self:
            raise RuntimeError(f"the stroke {self.name!r} is over")

    def _parts(self, top: int, left: int, mask: Mask) -> Iterator[tuple[Rect, Mask]]:
        """Where the rules allow a change under `mask`, tile by tile: the box and the part of the mask in it.

        The values there are remembered; tiles in which nothing may change are left out.
        """
        self._require_open()
        box = Rect(top, left, top + mask.shape[0], left + mask.shape[1]).clipped(*self._map.shape)
        if box.is_empty:
            return
        for tile in _tiles(box, self._map.shape):
            rect = tile.intersection(box)
            inside = mask[rect.top - top : rect.bottom - top, rect.left - left : rect.right - left]
            if not inside.any():
                continue
            allowed = self._rules.allowed(self._map.labels[rect.slices])
            if allowed is not None:
                inside = inside & allowed
                if not inside.any():
                    continue
            if tile not in self._before:
                self._before[tile] = (self._map.labels[tile.slices].copy(), self._map.pinned[tile.slices].copy())
            yield rect, inside

    def _give(self, rect: Rect, labels: Labels, inside: Mask, pin: bool) -> None:
        import cv2

        # NumPy's copyto takes ten times as long with a mask.
        where = inside.view(np.uint8)
        cv2.copyTo(labels, where, self._map.labels[rect.slices])
        if pin:
            pins = self._map.pinned[rect.slices].view(np.uint8)
            np.bitwise_or(pins, where, out=pins)


def _tiles(box: Rect, shape: tuple[int, int] | None = None) -> Iterator[Rect]:
    """The squares of the tile grid that `box` touches, cut at `shape` (at the box itself if not given)."""
    height, width = shape or (box.bottom, box.right)
    for top in range(box.top // _TILE * _TILE, box.bottom, _TILE):
        for left in range(box.left // _TILE * _TILE, box.right, _TILE):
            yield Rect(top, left, min(top + _TILE, height), min(left + _TILE, width))


def _bounding_box(mask: Mask) -> Rect | None:
    rows = np.flatnonzero(mask.any(axis=1))
    if rows.size == 0:
        return None
    columns = np.flatnonzero(mask.any(axis=0))
    return Rect(int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1)
