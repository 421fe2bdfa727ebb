"""Undo and redo of one image's edits, and of all images' together within a number of bytes."""

from __future__ import annotations

import threading
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass

from deeplab_studio.core.classmap import ClassMap, Edit, Labels
from deeplab_studio.core.geometry import Rect


@dataclass(frozen=True)
class Step:
    """An edit as a list of steps shows it.

    Parameters
    ----------
    name : str
    serial : int
        `Edit.serial`: steps of any image in the order they were made.
    done : bool
        False once it is undone.
    """

    name: str
    serial: int
    done: bool


class History:
    """What was done to one class map, and how to go back.

    It outlives the class map: `detach` when the map leaves memory, `attach` when it is read again.

    Parameters
    ----------
    class_map : ClassMap, optional
        The map the edits belong to; none as long as it is not in memory.
    max_bytes : int
        The oldest edits are forgotten when all of them together hold more; the newest one always stays.

    Attributes
    ----------
    stamp : hashable
        What tells the saved class map that goes with the edits from any other; None if none was saved.
    forgotten : bool
        Whether edits were forgotten to save memory.
    """

    def __init__(self, class_map: ClassMap | None = None, max_bytes: int = 256 << 20) -> None:
        self._map = class_map
        self._max_bytes = max_bytes
        self._done: list[Edit] = []
        self._undone: list[Edit] = []
        self._loose: list[Edit] = []
        self._sizes: dict[int, int] = {}
        self._held = 0
        self._measuring = threading.Lock()
        self.stamp: Hashable = None
        self.forgotten = False

    @property
    def undo_name(self) -> str | None:
        """What `undo` would take back, or None."""
        return self._done[-1].name if self._done else None

    @property
    def redo_name(self) -> str | None:
        """What `redo` would do again, or None."""
        return self._undone[-1].name if self._undone else None

    @property
    def undo_serial(self) -> int | None:
        """`Edit.serial` of what `undo` would take back, or None."""
        return self._done[-1].serial if self._done else None

    @property
    def redo_serial(self) -> int | None:
        """`Edit.serial` of what `redo` would do again, or None."""
        return self._undone[-1].serial if self._undone else None

    @property
    def names(self) -> list[str]:
        """Names of the edits that can be undone, oldest first."""
        return [edit.name for edit in self._done]

    @property
    def steps(self) -> list[Step]:
        """All edits, oldest first; those undone come last."""
        done = [Step(edit.name, edit.serial, True) for edit in self._done]
        return done + [Step(edit.name, edit.serial, False) for edit in reversed(self._undone)]

    @property
    def nbytes(self) -> int:
        """Bytes held by all edits."""
        return self._held

    @property
    def done(self) -> int:
        """Number of edits that can be undone."""
        return len(self._done)

    def __len__(self) -> int:
        return len(self._done) + len(self._undone)

    def push(self, edit: Edit | None) -> None:
        """Record an edit that has just been made; whatever was undone before is gone. None is ignored."""
        if edit is None:
            return
        self._drop(self._undone)
        self._undone = []
        self._done.append(edit)
        self._loose.append(edit)
        self._measure(edit)
        self._trim()

    def undo(self) -> tuple[Edit, Rect] | None:
        """Take the newest edit back; the edit and the box to redraw, or None."""
        if not self._done:
            return None
        edit = self._done.pop()
        self._undone.append(edit)
        return edit, self._restore(edit, after=False)

    def redo(self) -> tuple[Edit, Rect] | None:
        """Make the edit undone last again; the edit and the box to redraw, or None."""
        if not self._undone:
            return None
        edit = self._undone.pop()
        self._done.append(edit)
        return edit, self._restore(edit, after=True)

    def compact(self) -> None:
        """Compress all edits but make no other change; meant for a background thread."""
        loose, self._loose = self._loose, []
        for edit in loose:
            edit.compact()
            self._measure(edit, known=True)

    # Without the class map

    def detach(self) -> None:
        """Let go of the class map. Edits that change pixels wait for `attach`."""
        self._map = None

    def attach(self, class_map: ClassMap, stamp: Hashable) -> bool:
        """Go on with a class map that was read again.

        Parameters
        ----------
        class_map : ClassMap
        stamp : hashable
            Of the class map as it was read.

        Returns
        -------
        bool
            False if it is another map than the one the edits belong to: they are forgotten then.
        """
        fits = stamp == self.stamp or all(edit.bbox.is_empty for edit in (*self._done, *self._undone))
        if not fits:
            self._forget_all()
        self._map, self.stamp = class_map, stamp
        return fits

    # With a change of the label set

    def relabel(self, table: Labels, serial: int) -> None:
        """Let edits older than `serial` speak in new class ids.

        Parameters
        ----------
        table : (256,) uint8 array
            The new id of every old one.
        serial : int
            Newer edits, undone before the change was taken back and is made again now, do already.
        """
        for edit in (*self._done, *self._undone):
            if edit.serial < serial:
                edit.relabel(table)

    def unrelabel(self, serial: int) -> bool:
        """Take the last `relabel` back for edits older than `serial`.

        Returns
        -------
        bool
            False if newer ones were done: the history is forgotten then, for they speak of classes that are gone.
        """
        if self.changed_since(serial):
            self._forget_all()
            self.forgotten = True
            return False
        for edit in (*self._done, *self._undone):
            if edit.serial < serial:
                edit.unrelabel()
        return True

    def changed_since(self, serial: int) -> bool:
        """Whether an edit newer than `serial` that changes pixels is done."""
        return any(edit.serial > serial and not edit.bbox.is_empty for edit in self._done)

    def forget_undone_after(self, serial: int) -> None:
        """Forget edits newer than `serial` that are undone."""
        self._drop([edit for edit in self._undone if edit.serial >= serial])
        self._undone = [edit for edit in self._undone if edit.serial < serial]

    def forget_done_before(self, serial: int) -> None:
        """Forget edits older than `serial`: the class map they speak of is gone."""
        older = [edit for edit in self._done if edit.serial < serial]
        if older:
            self._drop(older)
            self._done = [edit for edit in self._done if edit.serial >= serial]
            self.forgotten = True

    def forget_oldest(self) -> int:
        """Forget the oldest edit that can be undone, else the newest that can be redone; the bytes that frees."""
        if self._done:
            edit = self._done.pop(0)
        elif self._undone:
            edit = self._undone.pop(0)
        else:
            return 0
        self.forgotten = True
        before = self._held
        self._drop([edit])
        return before - self._held

    def set_max_bytes(self, max_bytes: int) -> None:
        """Hold no more than this from now on."""
        self._max_bytes = max_bytes
        self._trim()

    def _forget_all(self) -> None:
        self._drop([*self._done, *self._undone])
        self._done, self._undone = [], []

    def _measure(self, edit: Edit, *, known: bool = False) -> None:
        """Note how much an edit holds; with `known` only if it is not forgotten meanwhile."""
        with self._measuring:
            before = self._sizes.get(edit.serial)
            if before is not None or not known:
                self._sizes[edit.serial] = edit.nbytes
                self._held += self._sizes[edit.serial] - (before or 0)

    def _drop(self, edits: Iterable[Edit]) -> None:
        with self._measuring:
            for edit in edits:
                self._held -= self._sizes.pop(edit.serial, 0)

    def _restore(self, edit: Edit, *, after: bool) -> Rect:
        if edit.bbox.is_empty:
            return edit.bbox
        if self._map is None:
            raise RuntimeError("the class map is not in memory")
        return self._map.redo(edit) if after else self._map.undo(edit)

    def _trim(self) -> None:
        while self._held > self._max_bytes and len(self._done) > 1:
            self.forget_oldest()


class HistoryShelf:
    """The histories of all images of a data set, whether they are in memory or not.

    Parameters
    ----------
    max_bytes : int
        For all of them together. The oldest edits of the image used longest ago are forgotten first; the newest edit of
        the image used last always stays.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._histories: dict[int, History] = {}
        self._sizes: dict[int, int] = {}

    @property
    def max_bytes(self) -> int:
        """The bound."""
        return self._max_bytes

    @property
    def nbytes(self) -> int:
        """Bytes held, as of the last `measure` of every image."""
        return sum(self._sizes.values())

    def __iter__(self) -> Iterator[History]:
        return iter(self._histories.values())

    def of(self, item_id: int) -> History:
        """The history of an image, which counts as used now; an empty one if nothing was done to it."""
        history = self._histories.pop(item_id, None)
        if history is None:
            history = History(max_bytes=self._max_bytes)
        self._histories[item_id] = history
        return history

    def find(self, item_id: int) -> History | None:
        """The history of an image if it has one."""
        return self._histories.get(item_id)

    def measure(self, item_id: int) -> None:
        """Take note of how much an image's history holds now, and forget what is too much."""
        history = self._histories.get(item_id)
        if history is None:
            return
        self._sizes[item_id] = history.nbytes
        self._trim()

    def set_max_bytes(self, max_bytes: int) -> None:
        """Hold no more than this from now on."""
        self._max_bytes = max_bytes
        for item_id, history in self._histories.items():
            history.set_max_bytes(max_bytes)
            self._sizes[item_id] = history.nbytes
        self._trim()

    def clear(self) -> None:
        """Forget all of them."""
        self._histories.clear()
        self._sizes.clear()

    def _trim(self) -> None:
        excess = self.nbytes - self._max_bytes
        newest = next(reversed(self._histories), None)
        for item_id, history in list(self._histories.items()):
            while excess > 0 and len(history) > (item_id == newest):
                freed = history.forget_oldest()
                self._sizes[item_id] = self._sizes.get(item_id, freed) - freed
                excess -= freed
            if excess <= 0:
                return
