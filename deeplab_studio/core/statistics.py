"""What a data set amounts to: pixels and images of every class, states, time."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from deeplab_studio.core.files import atomic_write
from deeplab_studio.core.item_figures import NO_FIGURES, Figures
from deeplab_studio.core.labels import VOID, LabelSet

if TYPE_CHECKING:
    from deeplab_studio.core.project import Item

_ENCODING = "utf-8-sig"
"""With the mark that makes spreadsheets read it as UTF-8."""


@dataclass(frozen=True, slots=True)
class ClassTotal:
    """One class of a data set.

    Parameters
    ----------
    class_id : int
        255 for void.
    name : str
    images : int
        Images whose class map holds it.
    pixels : int
        Pixels of it in all of them.
    share : float
        `pixels` of all pixels that are not void, 0..1; for void of all pixels.
    """

    class_id: int
    name: str
    images: int
    pixels: int
    share: float


@dataclass(frozen=True)
class Statistics:
    """A data set in numbers.

    Parameters
    ----------
    classes : tuple of ClassTotal
        In the order of the label set, then ids outside it that occur, void last.
    states : Counter
        Images by state.
    images : int
    labelled : int
        Images with a class map.
    seconds : float
        Time a person worked on all of them.
    median_seconds : float or None
        Of the images that are done or reviewed and on which time was counted; None without any.
    """

    classes: tuple[ClassTotal, ...]
    states: Counter[str]
    images: int
    labelled: int
    seconds: float
    median_seconds: float | None


def summarise(items: Iterable[Item], figures: Mapping[int, Figures], label_set: LabelSet) -> Statistics:
    """Add up the figures of some items."""
    pixels: Counter[int] = Counter()
    images: Counter[int] = Counter()
    states: Counter[str] = Counter()
    labelled, seconds = 0, 0.0
    finished = []
    for item in items:
        known = figures.get(item.id, NO_FIGURES)
        states[item.state] += 1
        pixels.update(known.pixels)
        images.update(known.pixels.keys())
        labelled += bool(known.pixels)
        seconds += known.seconds
        if item.state in ("done", "reviewed") and known.seconds > 0:
            finished.append(known.seconds)
    everything = sum(pixels.values())
    decided = everything - pixels[VOID]
    outside = sorted(class_id for class_id in pixels if len(label_set) <= class_id < VOID)
    classes = tuple(
        ClassTotal(
            class_id,
            label_set.name_of(class_id),
            images[class_id],
            pixels[class_id],
            pixels[class_id] / max(everything if class_id == VOID else decided, 1),
        )
        for class_id in [*range(len(label_set)), *outside, VOID]
    )
    return Statistics(classes, states, sum(states.values()), labelled, seconds, median(finished) if finished else None)


def write_classes(path: Path, statistics: Statistics) -> None:
    """Write the classes as CSV: ``id, class, images, pixels, share``.

    Raises
    ------
    StudioError
        If it cannot be written.
    """
    rows = [
        (total.class_id, total.name, total.images, total.pixels, f"{total.share:.6f}") for total in statistics.classes
    ]
    _write(path, ("id", "class", "images", "pixels", "share"), rows)


def write_images(path: Path, items: Sequence[Item], figures: Mapping[int, Figures], label_set: LabelSet) -> None:
    """Write the images as CSV: name, photo, state, figures, and the pixels of every class. Unknown is empty.

    Raises
    ------
    StudioError
        If it cannot be written.
    """
    ids = [*range(len(label_set)), VOID]
    head = ("name", "photo", "state", "uncertainty", "disagreement", "changed_pixels", "seconds", "model")
    rows = []
    for item in items:
        known = figures.get(item.id, NO_FIGURES)
        rows.append(
            (
                item.name,
                item.key,
                item.state,
                "" if known.uncertainty is None else f"{known.uncertainty:.6f}",
                "" if known.disagreement is None else f"{known.disagreement:.6f}",
                "" if known.changed is None else known.changed,
                f"{known.seconds:.1f}",
                known.model,
                *((known.pixels.get(class_id, 0) if known.pixels else "") for class_id in ids),
            )
        )
    _write(path, (*head, *(label_set.name_of(class_id) for class_id in ids)), rows)


def _write(path: Path, head: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    with atomic_write(path) as temporary, temporary.open("w", encoding=_ENCODING, newline="") as file:
        writer = csv.writer(file)
        writer.writerow(head)
        # A name that is no valid text is written as it is shown.
        writer.writerows([str(cell).encode("utf-8", "replace").decode("utf-8") for cell in row] for row in rows)
