"""Which images are in the list, and which one is on screen."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from deeplab_studio.core.project import Item

PHOTOS_AHEAD = 2
"""Photos read, and predicted, before the person gets there."""


@dataclass
class Selection:
    """The items in the list, in its order, and the id of the one on screen or being loaded."""

    items: list[Item] = field(default_factory=list)
    current: int | None = None

    def item(self, item_id: int) -> Item | None:
        """The item of that id, if it is in the list."""
        return next((item for item in self.items if item.id == item_id), None)

    def replace(self, item: Item) -> None:
        """Put an item in the place of the one of the same id."""
        self.items[next(i for i, each in enumerate(self.items) if each.id == item.id)] = item

    def stepped(self, order: list[int], offset: int) -> int:
        """The id `offset` places on from the current item in `order`; the first one if it is not among them."""
        if self.current not in order:
            return order[0]
        return order[min(max(order.index(self.current) + offset, 0), len(order) - 1)]

    def step(self, order: list[int], offset: int) -> int | None:
        """The item `offset` places from the current one in `order`, held within its ends; None if it is empty."""
        if self.current not in order:
            return order[0] if order else None
        return order[min(max(order.index(self.current) + offset, 0), len(order) - 1)]

    def neighbour(self, gone: set[int]) -> int | None:
        """The first item that stays after the current one, else the last before it."""
        ids = [item.id for item in self.items]
        if self.current not in ids:
            return None
        at = ids.index(self.current)
        return next((each for each in [*ids[at:], *reversed(ids[:at])] if each not in gone), None)

    def around(self, item_id: int) -> list[Item]:
        """The items likely to be looked at next, the likeliest first."""
        index = next((i for i, item in enumerate(self.items) if item.id == item_id), None)
        if index is None:
            return []
        return [*self.items[index + 1 : index + 1 + PHOTOS_AHEAD], *self.items[max(index - 1, 0) : index]]
