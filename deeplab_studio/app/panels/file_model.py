"""The items of a project as a list: what matches the filter, and the thumbnails of what is near."""

from __future__ import annotations

import unicodedata
from collections import Counter, OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from PySide6.QtCore import QAbstractListModel, QCoreApplication, QModelIndex, QObject, QPersistentModelIndex, Qt, Signal
from PySide6.QtGui import QImage

Index = QModelIndex | QPersistentModelIndex

ITEM_ID = Qt.ItemDataRole.UserRole

STATES = ("new", "in progress", "done", "reviewed", "empty")
PROBLEM = "problem"
"""What the state filter calls items that could not be opened."""


@dataclass(frozen=True, slots=True)
class ItemRow:
    """One image as the list shows it.

    Parameters
    ----------
    id : int
        What the project calls it.
    name : str
        What a person calls it, usually the file's name.
    path : Path
        The file.
    state : str
        One of `STATES`.
    problem : str
        Why it could not be opened, as a sentence; "" if it can.
    """

    id: int
    name: str
    path: Path
    state: str = "new"
    problem: str = ""


def state_text(state: str) -> str:
    """A state (or "problem") in the person's language."""
    return {
        "new": QCoreApplication.translate("FilesPanel", "New"),
        "in progress": QCoreApplication.translate("FilesPanel", "In progress"),
        "done": QCoreApplication.translate("FilesPanel", "Done"),
        "reviewed": QCoreApplication.translate("FilesPanel", "Reviewed"),
        "empty": QCoreApplication.translate("FilesPanel", "Empty"),
        PROBLEM: QCoreApplication.translate("FilesPanel", "With problems"),
    }[state]


def searchable(text: str) -> str:
    """`text` as the filter compares it: without case, and with Hangul composed.

    macOS hands out file names with their letters taken apart; what is typed is composed.
    """
    return unicodedata.normalize("NFC", text).casefold()


class FileModel(QAbstractListModel):
    """The items that pass the filter, in the order they were given.

    Attributes
    ----------
    countsChanged : Signal()
        Number, states or problems of the items changed, or what the filter lets through.
    """

    countsChanged = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._all: list[ItemRow] = []
        self._keys: list[str] = []
        self._place: dict[int, int] = {}
        self._shown: list[int] = []
        self._row: dict[int, int] = {}
        self._needle = ""
        self._state: str | None = None

    # All items

    @property
    def total(self) -> int:
        """Number of items, filtered or not."""
        return len(self._all)

    def counts(self) -> Counter[str]:
        """Number of items by state; those with a problem also count as "problem"."""
        counts = Counter(item.state for item in self._all)
        counts[PROBLEM] = sum(1 for item in self._all if item.problem)
        return counts

    def set_items(self, items: Iterable[ItemRow]) -> None:
        """Replace all items."""
        self.beginResetModel()
        self._all = list(items)
        self._keys = [searchable(item.name) for item in self._all]
        self._place = {item.id: place for place, item in enumerate(self._all)}
        self._filter()
        self.endResetModel()
        self.countsChanged.emit()

    def item(self, item_id: int) -> ItemRow | None:
        """The item of that id."""
        place = self._place.get(item_id)
        return None if place is None else self._all[place]

    def update_item(self, item_id: int, *, state: str | None = None, problem: str | None = None) -> None:
        """Another state or problem for one item. It keeps its row even if the filter would now leave it out."""
        place = self._place.get(item_id)
        if place is None:
            return
        item = self._all[place]
        changed = replace(
            item,
            state=item.state if state is None else state,
            problem=item.problem if problem is None else problem,
        )
        if changed == item:
            return
        self._all[place] = changed
        if item_id in self._row:
            index = self.index(self._row[item_id])
            self.dataChanged.emit(index, index)
        self.countsChanged.emit()

    # The filter

    def set_filter(self, text: str, state: str | None) -> None:
        """Let through the items whose name holds `text` and that are in `state` (None: any)."""
        needle = searchable(text.strip())
        if (needle, state) == (self._needle, self._state):
            return
        self.beginResetModel()
        self._needle, self._state = needle, state
        self._filter()
        self.endResetModel()
        self.countsChanged.emit()

    @property
    def is_filtered(self) -> bool:
        """Whether a filter is set."""
        return bool(self._needle) or self._state is not None

    def _filter(self) -> None:
        places: Sequence[int] = range(len(self._all))
        if self._needle:
            places = [place for place in places if self._needle in self._keys[place]]
        if self._state == PROBLEM:
            places = [place for place in places if self._all[place].problem]
        elif self._state is not None:
            places = [place for place in places if self._all[place].state == self._state]
        self._shown = list(places)
        self._row = {self._all[place].id: row for row, place in enumerate(self._shown)}

    # Rows

    def at(self, row: int) -> ItemRow:
        """The item in a row."""
        return self._all[self._shown[row]]

    def row_of(self, item_id: int) -> int:
        """Row of an item, -1 if it is filtered out or unknown."""
        return self._row.get(item_id, -1)

    def ids(self) -> list[int]:
        """Ids of the rows, top to bottom."""
        return [self._all[place].id for place in self._shown]

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008
        """Number of rows."""
        return 0 if parent.isValid() else len(self._shown)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Name, id, whole path, and a sentence for who cannot see the row."""
        if not index.isValid():
            return None
        item = self.at(index.row())
        if role == Qt.ItemDataRole.DisplayRole:
            return item.name
        if role == ITEM_ID:
            return item.id
        if role == Qt.ItemDataRole.ToolTipRole:
            lines = [str(item.path), state_text(item.state)]
            return "\n".join([*lines, item.problem] if item.problem else lines)
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return ", ".join(filter(None, (item.name, state_text(item.state), item.problem)))
        return None


class Thumbnails:
    """The pictures of the rows near the window's part of the list, bounded in bytes.

    Parameters
    ----------
    max_bytes : int
        Most memory the pictures take together; the ones farthest from view go first.
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self._images: OrderedDict[int, QImage] = OrderedDict()
        self._bytes = 0
        self._asked: set[int] = set()
        self._failed: set[int] = set()

    @property
    def nbytes(self) -> int:
        """Memory taken by the pictures."""
        return self._bytes

    def __len__(self) -> int:
        return len(self._images)

    def get(self, item_id: int) -> QImage | None:
        """The picture of an item, if it is there."""
        return self._images.get(item_id)

    def failed(self, item_id: int) -> bool:
        """Whether there can be no picture."""
        return item_id in self._failed

    def wanted(self, item_id: int) -> bool:
        """Whether the picture was asked for and is still of use."""
        return item_id in self._asked

    def ask(self, near: Sequence[int]) -> list[int]:
        """Say which items are near, the nearest first; the answer is which of them to ask for.

        What was asked for before and is not near any more is not wanted any more.
        """
        for item_id in reversed(near):
            if item_id in self._images:
                self._images.move_to_end(item_id)
        new = [
            item_id
            for item_id in near
            if item_id not in self._images and item_id not in self._asked and item_id not in self._failed
        ]
        self._asked = {item_id for item_id in near if item_id in self._asked} | set(new)
        return new

    def put(self, item_id: int, image: QImage) -> None:
        """Keep a picture; a null one says that there is none."""
        self._asked.discard(item_id)
        self.discard(item_id)
        if image.isNull():
            self._failed.add(item_id)
            return
        self._failed.discard(item_id)
        self._images[item_id] = image
        self._bytes += image.sizeInBytes()
        while self._bytes > self.max_bytes and len(self._images) > 1:
            _, old = self._images.popitem(last=False)
            self._bytes -= old.sizeInBytes()

    def discard(self, item_id: int) -> None:
        """Forget a picture, so that it is asked for again."""
        image = self._images.pop(item_id, None)
        if image is not None:
            self._bytes -= image.sizeInBytes()
        self._failed.discard(item_id)

    def keep(self, ids: Iterable[int]) -> None:
        """Forget everything about other items than `ids`."""
        known = set(ids)
        for item_id in [item_id for item_id in self._images if item_id not in known]:
            self.discard(item_id)
        self._asked &= known
        self._failed &= known
