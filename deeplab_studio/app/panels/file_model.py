"""The items of a project as a list: what passes the filter, in which order, and the thumbnails of what is near."""

from __future__ import annotations

import unicodedata
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from PySide6.QtCore import (
    QAbstractListModel,
    QCoreApplication,
    QLocale,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    Qt,
    Signal,
)
from PySide6.QtGui import QImage

from deeplab_studio.core.files import natural_key
from deeplab_studio.core.item_figures import NO_FIGURES, Figures

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


def state_tip(state: str) -> str:
    """What a state means, in one sentence."""
    return {
        "new": QCoreApplication.translate("FilesPanel", "Nobody has worked on it yet"),
        "in progress": QCoreApplication.translate("FilesPanel", "Somebody has begun: painting marks a new image so"),
        "done": QCoreApplication.translate("FilesPanel", "Labelled, waiting for a second look; it is exported"),
        "reviewed": QCoreApplication.translate("FilesPanel", "Labelled and checked by a second look; it is exported"),
        "empty": QCoreApplication.translate("FilesPanel", "There is nothing to label on it; it is exported as class 0"),
        PROBLEM: QCoreApplication.translate("FilesPanel", "The photo could not be opened"),
    }[state]


FIGURE_SORTS = frozenset({"uncertainty", "disagreement", "changed", "pixels", "seconds"})
"""Those of `SORTS` that are figures."""

SORTS = ("order", "name", "state", "uncertainty", "disagreement", "changed", "pixels", "seconds")
"""What the list can be sorted by; "pixels" are those of the class the filter asks for."""


@dataclass(frozen=True, slots=True)
class ListFilter:
    """What an item must be like to be listed.

    Parameters
    ----------
    text : str
        Its name holds this.
    states : frozenset of str
        It is in one of these states, or has a problem if `PROBLEM` is among them; empty for any.
    class_id : int or None
        Its class map has pixels of this class (255: void).
    at_least : int
        So many of them.
    """

    text: str = ""
    states: frozenset[str] = field(default_factory=frozenset)
    class_id: int | None = None
    at_least: int = 1


@dataclass(frozen=True, slots=True)
class ListOrder:
    """What the list is sorted by: one of `SORTS`, and which way."""

    key: str = "order"
    descending: bool = False


def searchable(text: str) -> str:
    """`text` as the filter compares it: without case, and with Hangul composed.

    macOS hands out file names with their letters taken apart; what is typed is composed.
    """
    return unicodedata.normalize("NFC", text).casefold()


def duration(seconds: float) -> str:
    """A time as a person says it: "45 s", "3 min", "1 h 20 min"."""
    minutes = round(seconds / 60)
    if seconds < 90:
        return QCoreApplication.translate("FilesPanel", "{0} s").format(round(seconds))
    if minutes < 60:
        return QCoreApplication.translate("FilesPanel", "{0} min").format(minutes)
    return QCoreApplication.translate("FilesPanel", "{0} h {1} min").format(*divmod(minutes, 60))


def _percent(share: float) -> str:
    value = 100 * share
    return QLocale().toString(value, "f", 1 if 0.05 <= value < 9.95 else 0)


def _number(count: int) -> str:
    return QLocale().toString(count)


class FileModel(QAbstractListModel):
    """The items that pass the filter, in the order asked for.

    An item keeps its row when its state or its figures change, also where filter and order would now put it elsewhere:
    the list does not move under the hand, and next has a place to go on from. `arrange` puts everything in its place.

    Attributes
    ----------
    countsChanged : Signal()
        Number, states or problems of the items changed, or what the filter lets through.
    arranged : Signal()
        Other rows, or in another order.
    """

    countsChanged = Signal()
    arranged = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._all: list[ItemRow] = []
        self._keys: list[str] = []
        self._name_keys: list[str] = []
        self._place: dict[int, int] = {}
        self._shown: list[int] = []
        self._row: dict[int, int] = {}
        self._counts: Counter[str] = Counter()
        self._figures: dict[int, Figures] = {}
        self._images_of: Counter[int] = Counter()
        self._stale = False
        self.filter = ListFilter()
        self.order = ListOrder()

    # All items

    @property
    def total(self) -> int:
        """Number of items, filtered or not."""
        return len(self._all)

    def counts(self) -> Counter[str]:
        """Number of items by state; those with a problem also count as "problem"."""
        return self._counts

    def images_of(self, class_id: int) -> int:
        """Number of items whose class map holds a class."""
        return self._images_of[class_id]

    def set_items(self, items: Iterable[ItemRow]) -> None:
        """Replace all items; the figures of those that stay are kept."""
        self._all = list(items)
        self._keys = [searchable(item.name) for item in self._all]
        self._name_keys = []
        self._place = {item.id: place for place, item in enumerate(self._all)}
        self._counts = Counter(item.state for item in self._all)
        self._counts[PROBLEM] = sum(1 for item in self._all if item.problem)
        self._count_images()
        self.arrange()

    def item(self, item_id: int) -> ItemRow | None:
        """The item of that id."""
        place = self._place.get(item_id)
        return None if place is None else self._all[place]

    def update_item(self, item_id: int, *, state: str | None = None, problem: str | None = None) -> None:
        """Another state or problem for one item."""
        self.update_items([item_id], state=state, problem=problem)

    def update_items(self, item_ids: Iterable[int], *, state: str | None = None, problem: str | None = None) -> None:
        """Another state or problem for some items."""
        rows = []
        for item_id in item_ids:
            place = self._place.get(item_id)
            if place is None:
                continue
            item = self._all[place]
            changed = replace(
                item,
                state=item.state if state is None else state,
                problem=item.problem if problem is None else problem,
            )
            if changed == item:
                continue
            self._all[place] = changed
            self._counts[item.state] -= 1
            self._counts[changed.state] += 1
            self._counts[PROBLEM] += bool(changed.problem) - bool(item.problem)
            rows.append(self._row.get(item_id, -1))
        if rows:
            self._tell(rows)
            self._stale = self._stale or bool(self.filter.states) or self.order.key == "state"
            self.countsChanged.emit()

    # Figures

    def figures(self, item_id: int) -> Figures:
        """What is known of an item in numbers."""
        return self._figures.get(item_id, NO_FIGURES)

    def all_figures(self) -> Mapping[int, Figures]:
        """The figures by item, of those that have any."""
        return self._figures

    def set_figures(self, figures: Mapping[int, Figures]) -> None:
        """Replace all figures, and put the items in their place."""
        self._figures = dict(figures)
        self._count_images()
        if self._depends_on_figures():
            self.arrange()
        else:
            self._tell(range(len(self._shown)))
            self.countsChanged.emit()

    def update_figures(self, item_id: int, figures: Figures) -> None:
        """Other figures for one item."""
        before = self.figures(item_id)
        if figures == before:
            return
        self._figures[item_id] = figures
        if item_id not in self._place:
            return
        if figures.pixels != before.pixels:
            self._images_of.subtract(before.pixels.keys())
            self._images_of.update(figures.pixels.keys())
        self._stale = self._stale or self._depends_on_figures()
        self._tell([self._row.get(item_id, -1)])
        self.countsChanged.emit()

    def _count_images(self) -> None:
        self._images_of = Counter()
        for item_id, figures in self._figures.items():
            if item_id in self._place:
                self._images_of.update(figures.pixels.keys())

    def _depends_on_figures(self) -> bool:
        return self.filter.class_id is not None or self.order.key in FIGURE_SORTS

    def _tell(self, rows: Iterable[int]) -> None:
        there = [row for row in rows if row >= 0]
        if there:
            self.dataChanged.emit(self.index(min(there)), self.index(max(there)))

    # Filter and order

    def set_filter(self, wanted: ListFilter) -> None:
        """List only what passes this filter."""
        wanted = replace(wanted, text=searchable(wanted.text.strip()))
        if wanted != self.filter:
            self.filter = wanted
            self.arrange()

    def set_order(self, order: ListOrder) -> None:
        """List in this order."""
        if order.key not in SORTS:
            raise ValueError(f"a list is sorted by {', '.join(SORTS)}, not {order.key!r}")
        if order != self.order:
            self.order = order
            self.arrange()

    @property
    def is_filtered(self) -> bool:
        """Whether a filter is set."""
        return bool(self.filter.text or self.filter.states) or self.filter.class_id is not None

    @property
    def is_stale(self) -> bool:
        """Whether something changed that may move an item to another row, or off the list."""
        return self._stale

    def arrange(self) -> None:
        """Put every item where filter and order want it now."""
        self.beginResetModel()
        self._shown = self._sorted(self._passing())
        self._row = {self._all[place].id: row for row, place in enumerate(self._shown)}
        self._stale = False
        self.endResetModel()
        self.arranged.emit()
        self.countsChanged.emit()

    def _passing(self) -> list[int]:
        wanted, rows = self.filter, self._all
        places: Iterable[int] = range(len(rows))
        if wanted.text:
            places = [place for place in places if wanted.text in self._keys[place]]
        if wanted.states:
            states, problems = wanted.states, PROBLEM in wanted.states
            places = [place for place in places if rows[place].state in states or (problems and rows[place].problem)]
        if wanted.class_id is not None:
            places = [place for place in places if self._pixels(place) >= wanted.at_least]
        return list(places)

    def _sorted(self, places: list[int]) -> list[int]:
        key, descending = self.order.key, self.order.descending
        if key == "order":
            return places[::-1] if descending else places
        value: Callable[[int], Any]
        if key == "name":
            self._name_keys = self._name_keys or [natural_key(item.name) for item in self._all]
            value = self._name_keys.__getitem__
        elif key == "state":
            value = lambda place: STATES.index(self._all[place].state)  # noqa: E731
        elif key == "pixels":
            value = self._pixels
        else:
            known = self._figures
            value = lambda place: getattr(known.get(self._all[place].id, NO_FIGURES), key)  # noqa: E731
        values = {place: value(place) for place in places}
        # What is not known is neither much nor little: it comes last both ways.
        there = [place for place in places if values[place] is not None]
        missing = [place for place in places if values[place] is None]
        there.sort(key=values.__getitem__, reverse=descending)
        return there + missing

    def _pixels(self, place: int) -> int:
        figures = self._figures.get(self._all[place].id)
        if figures is None:
            return 0
        if self.filter.class_id is None:
            return figures.total
        return figures.pixels.get(self.filter.class_id, 0)

    def detail(self, item: ItemRow) -> str:
        """What the order is about, for one item in words; "" where that is plain to see or not known."""
        figures = self.figures(item.id)
        if self.order.key == "uncertainty" and figures.uncertainty is not None:
            return QCoreApplication.translate("FilesPanel", "{0} % unsure").format(_percent(figures.uncertainty))
        if self.order.key == "disagreement" and figures.disagreement is not None:
            return QCoreApplication.translate("FilesPanel", "{0} % differ").format(_percent(figures.disagreement))
        if self.order.key == "changed" and figures.changed is not None:
            return QCoreApplication.translate("FilesPanel", "{0} px changed").format(_number(figures.changed))
        if self.order.key == "seconds" and figures.seconds:
            return duration(figures.seconds)
        if figures.pixels and (self.order.key == "pixels" or self.filter.class_id is not None):
            pixels = self._pixels(self._place[item.id])
            return QCoreApplication.translate("FilesPanel", "{0} px").format(_number(pixels))
        return ""

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
            lines = [str(item.path), f"{state_text(item.state)}: {state_tip(item.state)}", *self._figure_lines(item.id)]
            return "\n".join([*lines, item.problem] if item.problem else lines)
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return ", ".join(filter(None, (item.name, state_text(item.state), self.detail(item), item.problem)))
        return None

    def _figure_lines(self, item_id: int) -> list[str]:
        figures, tr = self.figures(item_id), QCoreApplication.translate
        lines = []
        if figures.uncertainty is not None:
            lines.append(tr("FilesPanel", "Model unsure: {0} %").format(_percent(figures.uncertainty)))
        if figures.disagreement is not None and figures.changed is not None:
            text = tr("FilesPanel", "Differs from the model: {0} %, {1} px of it by hand")
            lines.append(text.format(_percent(figures.disagreement), _number(figures.changed)))
        if figures.seconds >= 1:
            lines.append(tr("FilesPanel", "Time: {0}").format(duration(figures.seconds)))
        return lines


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
