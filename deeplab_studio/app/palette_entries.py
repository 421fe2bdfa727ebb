"""What the command palette finds: actions, images, classes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from PySide6.QtGui import QAction, QColor, QIcon
from PySide6.QtWidgets import QMenu, QMenuBar

from deeplab_studio.app.fuzzy import match
from deeplab_studio.app.icons import icon
from deeplab_studio.app.keymap import shown
from deeplab_studio.app.panels.controls import SwatchIcon
from deeplab_studio.app.panels.file_filter import STATE_MARKS
from deeplab_studio.core.labels import VOID, VOID_COLOUR, LabelSet

if TYPE_CHECKING:
    from deeplab_studio.core.project import Item

MOST = 60
"""Rows shown at a time: nobody reads on, and painting them is quick."""

_IMAGES_BESIDE_ACTIONS = 12


@dataclass(frozen=True)
class Entry:
    """One row.

    Parameters
    ----------
    id : str
        Stable between runs, to remember what was used.
    title : str
        What it is called; what is typed is looked for here, then in `path` and `title` together.
    run : callable
        Does it.
    path : str
        Where it stands in the menus.
    keys : str
        Its keys as a person reads them.
    icon : QIcon
    enabled : bool
        Whether it can be done now.
    checked : bool
        Whether it is switched on.
    places : tuple of int
        Letters of the title that were typed.
    """

    id: str
    title: str
    run: Callable[[], object]
    path: str = ""
    keys: str = ""
    icon: QIcon | None = None
    enabled: bool = True
    checked: bool = False
    places: tuple[int, ...] = ()


def menu_entries(bar: QMenuBar) -> list[Entry]:
    """Everything the menus offer, in their order."""
    entries = []
    for action in bar.actions():
        menu = action.menu()
        if isinstance(menu, QMenu):
            entries += list(_walk(menu, _plain(action.text())))
    return entries


def image_entries(items: Sequence[Item], select: Callable[[int], object]) -> list[Entry]:
    """All images."""
    marks = {state: icon(name, tone=tone) for state, (name, tone) in STATE_MARKS.items()}
    return [
        Entry(f"@{item.id}", item.path.name, lambda item_id=item.id: select(item_id), icon=marks[item.state])  # type: ignore[misc]
        for item in items
    ]


def class_entries(label_set: LabelSet, choose: Callable[[int], object], keys: Callable[[int], str]) -> list[Entry]:
    """All classes, and void."""
    entries = []
    for class_id in [*range(len(label_set)), VOID]:
        colour = VOID_COLOUR if class_id == VOID else label_set[class_id].colour
        entries.append(
            Entry(
                f"#{class_id}",
                f"{class_id}  {label_set.name_of(class_id)}",
                lambda class_id=class_id: choose(class_id),  # type: ignore[misc]
                keys=keys(class_id),
                icon=QIcon(SwatchIcon(QColor(*colour))),
            )
        )
    return entries


def ranked(typed: str, entries: Sequence[Entry], recent: Sequence[str] = ()) -> list[Entry]:
    """The entries that match, the best first; what cannot be done now comes last, what was used of late first.

    Parameters
    ----------
    typed : str
        Everything matches nothing typed.
    entries : sequence of Entry
    recent : sequence of str
        Ids of what was used, the newest first.
    """
    age = {entry_id: number for number, entry_id in enumerate(recent)}
    found: list[tuple[bool, float, int, Entry]] = []
    for number, entry in enumerate(entries):
        fit = match(typed, entry.title)
        score = fit.score if fit is not None else None
        places = fit.places if fit is not None else ()
        if fit is None and entry.path:
            whole = match(typed, f"{entry.path} {entry.title}")
            if whole is None:
                continue
            score = whole.score - 20
            before = len(entry.path) + 1
            places = tuple(place - before for place in whole.places if place >= before)
        if score is None:
            continue
        if entry.id in age:
            score += 100 - age[entry.id] if not typed.strip() else 6
        found.append((not entry.enabled, -score, number, replace(entry, places=places)))
    found.sort(key=lambda each: each[:3])
    return [entry for *_, entry in found[:MOST]]


def find(
    typed: str, actions: Sequence[Entry], images: Sequence[Entry], classes: Sequence[Entry], recent: Sequence[str]
) -> list[Entry]:
    """The rows for what is typed: images after "@", classes after "#", otherwise actions and then images.

    Parameters
    ----------
    typed : str
    actions, images, classes : sequence of Entry
    recent : sequence of str
        Ids of actions used, the newest first.
    """
    if typed.startswith("#"):
        rest = typed[1:].strip()
        exact = [entry for entry in classes if entry.id == f"#{rest}"]
        return exact + [entry for entry in ranked(rest, classes) if entry.id not in {each.id for each in exact}]
    if typed.startswith("@"):
        return ranked(typed[1:], _likely(typed[1:], images))
    found = ranked(typed, actions, recent)
    if len(typed.strip()) >= 2:
        rest = typed.strip().casefold()
        named = [entry for entry in images if rest in entry.title.casefold()]
        found += ranked(typed, named[: 4 * MOST])[:_IMAGES_BESIDE_ACTIONS]
    return found


def _likely(typed: str, entries: Sequence[Entry]) -> list[Entry]:
    """Those that hold the letters at all, and of ten thousand no more than can be ranked while a person types."""
    letters = [re.escape(letter) for letter in typed if not letter.isspace()]
    if not letters:
        return list(entries[:MOST])
    whole = re.compile(re.escape(typed.strip()), re.IGNORECASE)
    loose = re.compile(".*?".join(letters), re.IGNORECASE)
    named = [entry for entry in entries if whole.search(entry.title)]
    if len(named) < MOST:
        known = {entry.id for entry in named}
        named += [entry for entry in entries if entry.id not in known and loose.search(entry.title)]
    return named[: 8 * MOST]


def _walk(menu: QMenu, path: str) -> Iterator[Entry]:
    for action in menu.actions():
        below = action.menu()
        if isinstance(below, QMenu):
            yield from _walk(below, f"{path} › {_plain(action.text())}")
        elif not action.isSeparator() and action.text():
            yield _entry(action, path)


def _entry(action: QAction, path: str) -> Entry:
    title, _, held = action.text().partition("\t")
    title = _plain(title)
    return Entry(
        action.objectName() or f"{path} › {title}",
        title,
        action.trigger,
        path,
        held or shown(key.toString() for key in action.shortcuts()),
        action.icon(),
        # What works while a key is held cannot be started from here.
        action.isEnabled() and not held,
        action.isChecked(),
    )


def _plain(text: str) -> str:
    return text.replace("&", "").rstrip("…")
