"""Changing a label set that class maps refer to: what becomes of every id."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from deeplab_studio.core.classmap import Labels
from deeplab_studio.core.labels import MAX_CLASSES, VOID, Colour, LabelClass, LabelSet

Table = npt.NDArray[np.uint8]
"""(256,) uint8: the new id of every id."""


@dataclass(frozen=True, eq=False)
class Relabelling:
    """A change from one label set to another.

    Parameters
    ----------
    old, new : LabelSet
    table : (256,) uint8 array
        The new id of every old one; 255 (void) stays 255.
    description : str
        What a person did, as history and menu show it.

    Raises
    ------
    ValueError
        If void does not stay void, or a class of `old` becomes an id that `new` does not have.
    """

    old: LabelSet
    new: LabelSet
    table: Table = field(repr=False)
    description: str = ""

    def __post_init__(self) -> None:
        table = np.array(self.table, np.uint8)
        if table.shape != (256,) or table[VOID] != VOID:
            raise ValueError("a table holds the new ids of 0..255, and void stays void")
        of_classes = table[: len(self.old)]
        if ((of_classes >= len(self.new)) & (of_classes != VOID)).any():
            raise ValueError("a class becomes an id that the new label set does not have")
        table.setflags(write=False)
        object.__setattr__(self, "table", table)

    @property
    def moves_ids(self) -> bool:
        """Whether a class becomes another id; not if classes are only renamed, say."""
        return bool((self.table[: len(self.old)] != np.arange(len(self.old))).any())

    @property
    def is_bijective(self) -> bool:
        """Whether `inverse` takes it back on any class map of the old classes: no two of them become one, or void."""
        return len({*self.table[: len(self.old)].tolist(), VOID}) == len(self.old) + 1

    def __call__(self, labels: Labels) -> Labels:
        """A class map in the new ids.

        Parameters
        ----------
        labels : uint8 array of any shape

        Returns
        -------
        uint8 array of the same shape
        """
        return np.take(self.table, labels)

    def then(self, following: Relabelling) -> Relabelling:
        """One change of this one and of `following`, which starts from the new label set.

        Raises
        ------
        ValueError
            If `following` starts from other classes.
        """
        if following.old.classes != self.new.classes:
            raise ValueError("the second change does not start where the first one ends")
        words = " · ".join(filter(None, (self.description, following.description)))
        return Relabelling(self.old, following.new, following.table[self.table], words)

    def inverse(self) -> Relabelling:
        """The change that takes this one back.

        Raises
        ------
        ValueError
            If two classes become one, or one becomes void.
        """
        if not self.is_bijective:
            raise ValueError("nothing says any more which class a pixel was of")
        return Relabelling(self.new, self.old, self.back, self.description)

    @cached_property
    def back(self) -> Table:
        """(256,) uint8: the old id of every new one as well as that can be said.

        Of several old ids that become one it is the one that kept its name, else the first; void for a class that the
        old label set does not have.
        """
        names, before = self.new.names, self.old.names
        back = np.full(256, VOID, np.uint8)
        for old_id in reversed(range(VOID)):
            back[self.table[old_id]] = old_id
        for old_id, name in enumerate(before):
            new_id = int(self.table[old_id])
            if new_id < len(names) and names[new_id] == name:
                back[new_id] = old_id
        back[VOID] = VOID
        back.setflags(write=False)
        return back

    def loses(self, labels: Labels) -> bool:
        """Whether `back` would not give `labels` back, so that they have to be kept to take the change back."""
        lost = self.back[self.table] != np.arange(256)
        return bool(lost.any() and np.take(lost, labels).any())

    def restored(self, before: Labels | None, now: Labels) -> Labels:
        """Take the change back on one class map, keeping what was changed since.

        Parameters
        ----------
        before : (H, W) uint8 array or None
            The class map from before the change; None if `loses` was false for it.
        now : (H, W) uint8 array

        Returns
        -------
        (H, W) uint8 array
        """
        labels = np.take(self.back, now)
        if before is not None and before.shape == now.shape:
            untouched = np.take(self.table, before) == now
            labels[untouched] = before[untouched]
        return labels


def move_ids(table: Table, ids: Iterable[int]) -> frozenset[int]:
    """What a set of class ids (those hidden, say) becomes.

    Parameters
    ----------
    table : (256,) uint8 array
        The new id of every old one.
    ids : iterable of int
        One that becomes void is left out; void itself stays.
    """
    return frozenset(int(table[i]) for i in ids if i == VOID or table[i] != VOID)


def changed_by(table: Table, counts: Mapping[int, Mapping[int, int]]) -> tuple[int, int]:
    """How much a table changes.

    Parameters
    ----------
    table : (256,) uint8 array
    counts : mapping of int to mapping of int to int
        Pixels of every id, by item.

    Returns
    -------
    images, pixels : int
    """
    per_item = [sum(n for class_id, n in pixels.items() if table[class_id] != class_id) for pixels in counts.values()]
    return sum(n > 0 for n in per_item), sum(per_item)


@dataclass(frozen=True)
class DraftClass:
    """A row of a `LabelDraft`.

    Parameters
    ----------
    key : int
        Names the row for the life of the draft, wherever it moves.
    name : str
    colour : (int, int, int)
    origins : frozenset of int
        Old ids whose pixels are of this class.
    known : bool
        False for an id that class maps hold but the label set does not: it is no class until it is adopted.
    """

    key: int
    name: str
    colour: Colour
    origins: frozenset[int]
    known: bool = True


class LabelDraft:
    """A label set being edited, and what became of the classes it started with.

    Parameters
    ----------
    label_set : LabelSet
    """

    def __init__(self, label_set: LabelSet) -> None:
        self.old = label_set
        self.name = label_set.name
        self._rows = [DraftClass(i, each.name, each.colour, frozenset({i})) for i, each in enumerate(label_set)]
        self._voided: frozenset[int] = frozenset()
        self._next_key = 256

    @property
    def rows(self) -> list[DraftClass]:
        """Classes in the order of their ids, then the ids that are no class."""
        return list(self._rows)

    def row(self, key: int) -> DraftClass:
        """The row of a key; KeyError if it is gone."""
        return self._rows[self._at(key)]

    def set_strangers(self, ids: Iterable[int]) -> None:
        """State which ids the class maps hold beside those of the label set."""
        known = {origin for row in self._rows for origin in row.origins} | self._voided | {VOID}
        for class_id in sorted(set(ids) - known):
            self._rows.append(
                DraftClass(class_id, self.old.name_of(class_id), (128, 128, 128), frozenset({class_id}), False)
            )

    def add(self, name: str, colour: Colour) -> int:
        """Append a class; its key.

        Raises
        ------
        ValueError
            If there are as many as a class map can hold, or the name is taken or empty.
        """
        self._require_room()
        key = self._next_key
        row = DraftClass(key, self._checked(name), colour, frozenset())
        self._rows.insert(self._known(), row)
        self._next_key += 1
        return key

    def rename(self, key: int, name: str) -> None:
        """Give a class another name. A stranger becomes a class by that, the last one.

        Raises
        ------
        ValueError
            If the name is taken or empty.
        """
        at = self._at(key)
        row = replace(self._rows[at], name=self._checked(name, but=key))
        if row.known:
            self._rows[at] = row
            return
        self._require_room()
        del self._rows[at]
        self._rows.insert(self._known(), replace(row, known=True))

    def recolour(self, colours: Mapping[int, Colour]) -> None:
        """Give classes, by key, other colours."""
        self._rows = [replace(row, colour=colours.get(row.key, row.colour)) for row in self._rows]

    def move(self, key: int, to: int) -> None:
        """Give a class the id `to`; those between move up or down by one."""
        at = self._at(key)
        if self._rows[at].known:
            row = self._rows.pop(at)
            self._rows.insert(min(max(to, 0), self._known()), row)

    def delete(self, key: int, into: int | None) -> None:
        """Take a class away.

        Parameters
        ----------
        key : int
        into : int or None
            Key of the class that its pixels become; None for void.

        Raises
        ------
        ValueError
            If it is the last class, or both are the same.
        """
        at = self._at(key)
        gone = self._rows[at]
        if gone.known and self._known() == 1:
            raise ValueError("a label set needs a class")
        if into == key:
            raise ValueError("a class cannot be merged into itself")
        if into is None:
            self._voided |= gone.origins
        else:
            target = self._at(into)
            row = self._rows[target]
            self._rows[target] = replace(row, origins=row.origins | gone.origins)
        del self._rows[self._at(key)]

    def replace_with(self, label_set: LabelSet, targets: Mapping[int, int]) -> None:
        """Go over to other classes.

        Parameters
        ----------
        label_set : LabelSet
        targets : mapping of int to int
            New id, or 255 for void, by key of the rows there are now; rows left out become void.
        """
        origins: list[frozenset[int]] = [frozenset()] * len(label_set)
        for row in self._rows:
            target = targets.get(row.key, VOID)
            if target == VOID:
                self._voided |= row.origins
            else:
                origins[target] |= row.origins
        self.name = label_set.name
        first = self._next_key
        self._next_key += len(label_set)
        self._rows = [DraftClass(first + i, each.name, each.colour, origins[i]) for i, each in enumerate(label_set)]

    def label_set(self) -> LabelSet:
        """The classes as they are now.

        Raises
        ------
        ValueError
            If they are no label set.
        """
        return LabelSet(tuple(LabelClass(row.name, row.colour) for row in self._rows if row.known), self.name)

    def relabelling(self, description: str = "") -> Relabelling:
        """The change from the label set at the start."""
        new = self.label_set()
        table = np.arange(256)
        # An id outside both label sets stays; one that would turn into a class by the way becomes void.
        table[table < len(new)] = VOID
        for new_id, row in enumerate(self._rows):
            if row.known:
                table[list(row.origins)] = new_id
        table[list(self._voided)] = VOID
        return Relabelling(self.old, new, table.astype(np.uint8), description)

    def changes(self) -> Changes:
        """What is different, to be put into words."""
        old, known = self.old, [row for row in self._rows if row.known]
        kept = [row for row in known if row.origins & frozenset(range(len(old)))]
        merged, renamed, recoloured = [], [], []
        for row in kept:
            before = sorted(origin for origin in row.origins if origin < len(old))
            names = [old[origin].name for origin in before]
            if len(before) > 1:
                merged += [(name, row.name) for name in names if name != row.name]
            elif names[0] != row.name:
                renamed.append((names[0], row.name))
            if row.colour not in {old[origin].colour for origin in before}:
                recoloured.append(row.name)
        added = [row.name for row in known if row not in kept]
        deleted = [old[origin].name for origin in sorted(self._voided) if origin < len(old)]
        order = [row.key if row.key in row.origins else min(row.origins) for row in kept]
        reordered = order != sorted(order) or known[: len(kept)] != kept
        return Changes(
            tuple(added), tuple(renamed), tuple(recoloured), tuple(merged), tuple(deleted), reordered,
            self.name != old.name,
        )  # fmt: skip

    def free_name(self, stem: str) -> str:
        """`stem`, with a number behind it if it is taken."""
        taken = {row.name for row in self._rows if row.known}
        return next(name for name in (stem, *(f"{stem} {n}" for n in range(2, 1000))) if name not in taken)

    def _known(self) -> int:
        return sum(row.known for row in self._rows)

    def _at(self, key: int) -> int:
        found = next((i for i, row in enumerate(self._rows) if row.key == key), None)
        if found is None:
            raise KeyError(key)
        return found

    def _require_room(self) -> None:
        if self._known() >= MAX_CLASSES:
            raise ValueError(f"a class map holds at most {MAX_CLASSES} classes")

    def _checked(self, name: str, but: int | None = None) -> str:
        name = " ".join(name.split())
        if not name:
            raise ValueError("a class needs a name")
        if any(row.name == name and row.known and row.key != but for row in self._rows):
            raise ValueError(f"there is a class called {name!r} already")
        return name


@dataclass(frozen=True)
class Changes:
    """What a person did to a label set.

    Parameters
    ----------
    added, recoloured, deleted : tuple of str
        Names; those deleted became void.
    renamed, merged : tuple of (str, str)
        Old name and new name, or the name of the class it is part of now.
    reordered : bool
    title : bool
        Whether the set itself is called something else.
    """

    added: tuple[str, ...]
    renamed: tuple[tuple[str, str], ...]
    recoloured: tuple[str, ...]
    merged: tuple[tuple[str, str], ...]
    deleted: tuple[str, ...]
    reordered: bool
    title: bool

    @property
    def kinds(self) -> Sequence[str]:
        """Names of the fields that hold any."""
        return [name for name, value in vars(self).items() if value]


def with_classes(label_set: LabelSet, wanted: Sequence[LabelClass]) -> tuple[Relabelling, list[int]]:
    """A label set with more classes at its end.

    Parameters
    ----------
    label_set : LabelSet
    wanted : sequence of LabelClass
        A name that is taken gets a number; a colour that is taken becomes one that is told apart easily.

    Returns
    -------
    Relabelling
    list of int
        Id of each of those wanted.

    Raises
    ------
    ValueError
        If that is more than a class map can hold.
    """
    from deeplab_studio.core.label_sets import distinct_colours

    draft = LabelDraft(label_set)
    taken = [label.colour for label in label_set]
    for label in wanted:
        colour = label.colour if label.colour not in taken else distinct_colours(1, taken)[0]
        draft.add(draft.free_name(label.name), colour)
        taken.append(colour)
    return draft.relabelling(), list(range(len(label_set), len(label_set) + len(wanted)))
