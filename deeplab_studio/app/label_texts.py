"""Changes of a label set in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from PySide6.QtCore import QCoreApplication, QLocale

if TYPE_CHECKING:
    from deeplab_studio.core.relabel import Changes, LabelDraft

SHOWN = 3
"""So many names are listed before "and 12 more"."""


def _tr(text: str) -> str:
    return QCoreApplication.translate("LabelTexts", text)


def listed(names: Sequence[str]) -> str:
    """Names as a person reads them: "cat, dog, sheep and 3 more"."""
    if len(names) <= SHOWN + 1:
        return ", ".join(names)
    return _tr("{0} and {1} more").format(", ".join(names[:SHOWN]), len(names) - SHOWN)


def step_name(draft: LabelDraft) -> str:
    """What history and menu call the changes of a draft."""
    changes = draft.changes()
    if changes.title and draft.name:
        return _tr("Label set {0}").format(draft.name)
    if len(changes.kinds) != 1:
        return _tr("Change the label set")
    names = tuple(getattr(changes, changes.kinds[0])) if changes.kinds[0] not in ("reordered", "title") else ()
    one = len(names) == 1
    if changes.added:
        return added_name(names)
    if changes.deleted:
        return _tr("Delete class {0}").format(names[0]) if one else _tr("Delete {0} classes").format(len(names))
    if changes.recoloured:
        return _tr("Recolour {0}").format(names[0]) if one else _tr("Recolour {0} classes").format(len(names))
    if changes.merged:
        return _tr("Merge {0} into {1}").format(*names[0]) if one else _tr("Merge {0} classes").format(len(names))
    if changes.renamed:
        return _tr("Rename {0} to {1}").format(*names[0]) if one else _tr("Rename {0} classes").format(len(names))
    return _tr("Reorder the classes") if changes.reordered else _tr("Rename the label set")


def added_name(names: Sequence[str]) -> str:
    """What history and menu call adding these classes."""
    return _tr("Add class {0}").format(names[0]) if len(names) == 1 else _tr("Add {0} classes").format(len(names))


def change_lines(changes: Changes) -> list[str]:
    """The changes of a draft, a sentence each."""
    lines = []
    if changes.added:
        lines.append(_tr("New: {0}.").format(listed(changes.added)))
    if changes.renamed:
        lines.append(_tr("Renamed: {0}.").format(listed([f"{old} → {new}" for old, new in changes.renamed])))
    if changes.merged:
        lines.append(_tr("Merged: {0}.").format(listed([f"{old} → {new}" for old, new in changes.merged])))
    if changes.deleted:
        lines.append(_tr("Deleted, pixels become void: {0}.").format(listed(changes.deleted)))
    if changes.recoloured:
        lines.append(_tr("Other colours: {0}.").format(listed(changes.recoloured)))
    if changes.reordered:
        lines.append(_tr("Another order."))
    return lines


def effect_text(draft: LabelDraft, images: int, pixels: int, of_images: int) -> str:
    """What a draft does to the class maps: so many pixels in so many images, of all that have a class map."""
    number = QLocale().toString
    if not draft.relabelling().moves_ids:
        return _tr("No id changes: the class maps stay as they are.")
    text = _tr("Changes {0} pixels in {1} of {2} images.").format(number(pixels), number(images), number(of_images))
    return text + " " + _tr("Ids move: masks exported before keep the old ones.")
