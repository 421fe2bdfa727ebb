"""Undo and redo of one image's edits, bounded by bytes."""

from __future__ import annotations

from deeplab_studio.core.classmap import ClassMap, Edit
from deeplab_studio.core.geometry import Rect


class History:
    """What was done to one class map, and how to go back.

    Parameters
    ----------
    class_map : ClassMap
        The map the edits belong to.
    max_bytes : int
        The oldest edits are forgotten when all of them together hold more; the newest one always stays.
    """

    def __init__(self, class_map: ClassMap, max_bytes: int = 256 << 20) -> None:
        self._map = class_map
        self._max_bytes = max_bytes
        self._done: list[Edit] = []
        self._undone: list[Edit] = []

    @property
    def undo_name(self) -> str | None:
        """What `undo` would take back, or None."""
        return self._done[-1].name if self._done else None

    @property
    def redo_name(self) -> str | None:
        """What `redo` would do again, or None."""
        return self._undone[-1].name if self._undone else None

    @property
    def names(self) -> list[str]:
        """Names of the edits that can be undone, oldest first."""
        return [edit.name for edit in self._done]

    @property
    def nbytes(self) -> int:
        """Bytes held by all edits."""
        return sum(edit.nbytes for edit in (*self._done, *self._undone))

    def push(self, edit: Edit | None) -> None:
        """Record an edit that has just been made; whatever was undone before is gone. None is ignored."""
        if edit is None:
            return
        self._undone.clear()
        self._done.append(edit)
        self._trim()

    def undo(self) -> tuple[Edit, Rect] | None:
        """Take the newest edit back; the edit and the box to redraw, or None."""
        if not self._done:
            return None
        edit = self._done.pop()
        self._undone.append(edit)
        return edit, self._map.undo(edit)

    def redo(self) -> tuple[Edit, Rect] | None:
        """Make the edit undone last again; the edit and the box to redraw, or None."""
        if not self._undone:
            return None
        edit = self._undone.pop()
        self._done.append(edit)
        return edit, self._map.redo(edit)

    def compact(self) -> None:
        """Compress all edits but make no other change; meant for a background thread."""
        for edit in [*self._done, *self._undone]:
            edit.compact()

    def _trim(self) -> None:
        excess = self.nbytes - self._max_bytes
        while excess > 0 and len(self._done) > 1:
            excess -= self._done.pop(0).nbytes
