"""Which images are in the list, in which order a person goes through them, and which one is on screen."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from deeplab_studio.core.project import Item

PHOTOS_AHEAD = 2
"""Photos read, and predicted, before the person gets there."""


class Selection:
    """The items of the list and the one on screen.

    Attributes
    ----------
    current : int or None
        Id of the item on screen or being loaded.
    """

    def __init__(self) -> None:
        self.current: int | None = None
        self._items: list[Item] = []
        self._place: dict[int, int] = {}
        self._order: list[int] = []
        self._rank: dict[int, int] = {}

    @property
    def items(self) -> list[Item]:
        """The items in the order of the data set."""
        return self._items

    @items.setter
    def items(self, items: Iterable[Item]) -> None:
        self._items = list(items)
        self._place = {item.id: place for place, item in enumerate(self._items)}
        self.order = [item.id for item in self._items]

    @property
    def order(self) -> list[int]:
        """Ids in the order a person goes through them: sorted, and without those a filter leaves out."""
        return self._order

    @order.setter
    def order(self, order: Sequence[int]) -> None:
        self._order = [item_id for item_id in order if item_id in self._place]
        self._rank = {item_id: rank for rank, item_id in enumerate(self._order)}

    def item(self, item_id: int) -> Item | None:
        """The item of that id, if it is in the list."""
        place = self._place.get(item_id)
        return None if place is None else self._items[place]

    def replace(self, item: Item) -> None:
        """Put an item in the place of the one of the same id."""
        self._items[self._place[item.id]] = item

    def stepped(self, offset: int) -> int | None:
        """The id `offset` places on from the current item, held within the ends; the first one if it is not shown."""
        if not self._order:
            return None
        rank = self._rank.get(self.current) if self.current is not None else None
        if rank is None:
            return self._order[0]
        return self._order[min(max(rank + offset, 0), len(self._order) - 1)]

    def following(self) -> list[int]:
        """Ids after the current item and then, from the first on, those before it."""
        rank = self._rank.get(self.current, -1) if self.current is not None else -1
        return [*self._order[rank + 1 :], *self._order[: max(rank, 0)]]

    def neighbour(self, gone: set[int]) -> int | None:
        """The first item that stays after the current one, else the last before it."""
        if self.current not in self._rank:
            return None
        at = self._rank[self.current]
        return next((each for each in [*self._order[at:], *reversed(self._order[:at])] if each not in gone), None)

    def around(self, item_id: int) -> list[Item]:
        """The items likely to be looked at next, the likeliest first."""
        rank = self._rank.get(item_id)
        if rank is None:
            return []
        near = [*self._order[rank + 1 : rank + 1 + PHOTOS_AHEAD], *self._order[max(rank - 1, 0) : rank]]
        return [self._items[self._place[each]] for each in near]
