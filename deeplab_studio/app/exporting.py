"""Which images an export takes, and where their class maps come from."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from deeplab_studio.core.errors import StudioError
from deeplab_studio.core.project import Item, Project

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from deeplab_studio.core.voc import ExportItem

Scope = Literal["current", "done", "touched", "labelled"]
SCOPES: tuple[Scope, ...] = get_args(Scope)

_STATES: dict[Scope, frozenset[str]] = {
    "done": frozenset({"done", "reviewed", "empty"}),
    "touched": frozenset({"done", "reviewed", "empty", "in progress"}),
}


def in_scope(
    scope: Scope, items: Sequence[Item], current: int | None, mapped: Collection[int], masks: Mapping[int, Path]
) -> list[Item]:
    """The items an export of `scope` takes: only those with a class map, and those marked as empty.

    Parameters
    ----------
    scope : {"current", "done", "touched", "labelled"}
    items : sequence of Item
    current : int or None
        The item on screen.
    mapped : collection of int
        Items with a class map in the project.
    masks : mapping of int to Path
        Mask files of items labelled elsewhere.
    """
    exportable = [item for item in items if item.id in mapped or item.id in masks or item.state == "empty"]
    if scope == "current":
        return [item for item in exportable if item.id == current]
    if scope == "labelled":
        return exportable
    # A mask that came with the data set was somebody's finished work.
    return [
        item
        for item in exportable
        if item.state in _STATES[scope] or (item.state == "new" and item.id in masks and item.id not in mapped)
    ]


def export_items(project: Project, items: Sequence[Item], masks: Mapping[int, Path]) -> list[ExportItem]:
    """What `write_voc` needs of each item; class maps are read one at a time as they are written."""
    from deeplab_studio.core.voc import ExportItem

    def reader(item: Item) -> ExportItem:
        return ExportItem(item.name, item.path, lambda: _class_map(project, item, masks.get(item.id)))

    return [reader(item) for item in items]


def _class_map(project: Project, item: Item, mask: Path | None) -> npt.NDArray[np.uint8]:
    import numpy as np

    from deeplab_studio.app.opening import read_own_mask
    from deeplab_studio.core.images import image_size

    saved = project.load_map(item.id)
    if saved is not None:
        return saved[0]
    size = image_size(item.path)
    if mask is not None:
        return read_own_mask(project, mask, (size[1], size[0]))
    if item.state == "empty":
        return np.zeros((size[1], size[0]), np.uint8)
    raise StudioError("it has no class map", path=item.path, hint="Label it or predict it first.")
