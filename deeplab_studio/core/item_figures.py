"""What is known about every item of a project in numbers: to sort and filter by, and for statistics.

The numbers are brought up to date in the transaction that saves what they are made from, so they are never older than
the class map they speak of.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from deeplab_studio.core.labels import VOID
from deeplab_studio.core.project_maps import PackedMap, pack_map, unpack_map

if TYPE_CHECKING:
    import sqlite3

    from deeplab_studio.core.classmap import Labels, Mask

_STRIP_PIXELS = 1 << 20
"""Pixels compared at a time: the comparison stays in the processor's cache."""


@dataclass(frozen=True, slots=True)
class Figures:
    """The numbers of one item.

    Parameters
    ----------
    pixels : mapping of int to int
        Pixels of every class that its class map holds, void (255) too; empty without a class map.
    uncertainty : float or None
        Mean entropy of the model's probabilities over the image, 0 (sure everywhere) to 1 (every class as likely
        everywhere); None if it was never predicted.
    disagreement : float or None
        Share of the pixels that are not void whose class is another than the model predicted, 0..1; None without a
        class map or a prediction.
    changed : int or None
        Pixels decided by a person (pinned) whose class is another than the model predicted; None as above.
    seconds : float
        Time a person worked on it.
    model : str
        Id of the model of the prediction; "" without one.
    """

    pixels: Mapping[int, int] = field(default_factory=dict)
    uncertainty: float | None = None
    disagreement: float | None = None
    changed: int | None = None
    seconds: float = 0.0
    model: str = ""

    @property
    def total(self) -> int:
        """Pixels of the class map, 0 without one."""
        return sum(self.pixels.values())


NO_FIGURES = Figures()
"""Of an item that nothing is known about."""


class Difference(NamedTuple):
    """How far a class map is from the prediction: `Figures.disagreement` and `Figures.changed`."""

    disagreement: float
    changed: int


def compare(labels: Labels, pinned: Mask | None, predicted: Labels) -> Difference:
    """How far a class map is from what the model predicted.

    Parameters
    ----------
    labels, predicted : (H, W) uint8 array
    pinned : (H, W) bool array, optional

    Raises
    ------
    ValueError
        If the shapes differ.
    """
    if labels.shape != predicted.shape:
        raise ValueError(f"the class map is {labels.shape}, the prediction {predicted.shape}")
    flat, other = labels.reshape(-1), predicted.reshape(-1)
    pins = pinned.reshape(-1) if pinned is not None else None
    differing = counted = changed = 0
    for start in range(0, flat.size, _STRIP_PIXELS):
        part = slice(start, start + _STRIP_PIXELS)
        another = flat[part] != other[part]
        if pins is not None:
            changed += int(np.count_nonzero(another & pins[part]))
        decided = flat[part] != VOID
        counted += int(np.count_nonzero(decided))
        differing += int(np.count_nonzero(another & decided))
    return Difference(differing / counted if counted else 0.0, changed)


class _Writing(Protocol):
    def __call__(self, *, create_file: bool = True) -> AbstractContextManager[sqlite3.Connection]: ...


class FigureTable:
    """The figures of a project. All methods may be called from any thread, as those of the project.

    Parameters
    ----------
    reading, writing : callable
        Context managers of the project: its connection to read with, or within a transaction.

    Attributes
    ----------
    changed : callable, optional
        Called with an item's id and its figures after they were saved, in the thread that saved them.
    """

    def __init__(self, reading: Callable[[], AbstractContextManager[sqlite3.Connection]], writing: _Writing) -> None:
        self._reading = reading
        self._writing = writing
        self.changed: Callable[[int, Figures], None] | None = None

    # Reading

    def all(self) -> dict[int, Figures]:
        """The figures of every item that has any."""
        with self._reading() as connection:
            counts = connection.execute("SELECT item_id, class_id, pixels FROM class_pixels").fetchall()
            rows = connection.execute(f"SELECT item_id, {_COLUMNS} FROM figures").fetchall()
        pixels: dict[int, dict[int, int]] = {}
        for item_id, class_id, count in counts:
            pixels.setdefault(item_id, {})[class_id] = count
        found = {row[0]: Figures(pixels.pop(row[0], {}), *row[1:]) for row in rows}
        return found | {item_id: Figures(of_item) for item_id, of_item in pixels.items()}

    def of(self, item_id: int) -> Figures:
        """The figures of one item; all of them empty if nothing is known."""
        with self._reading() as connection:
            counts = connection.execute("SELECT class_id, pixels FROM class_pixels WHERE item_id = ?", (item_id,))
            pixels = dict(counts.fetchall())
            row = connection.execute(f"SELECT {_COLUMNS} FROM figures WHERE item_id = ?", (item_id,)).fetchone()
        return Figures(pixels, *(row or ()))

    def prediction(self, item_id: int) -> Labels | None:
        """What the model predicted, (H, W) uint8 in the ids of the project; None if nothing was saved or it is broken.

        A prediction can be made again, so a damaged one is as good as none.
        """
        with self._reading() as connection:
            return _prediction(connection, item_id)

    def uncounted(self) -> list[int]:
        """Items whose saved class map was never counted: an older program saved it."""
        query = "SELECT item_id FROM maps WHERE item_id NOT IN (SELECT item_id FROM class_pixels)"
        with self._reading() as connection:
            return [item_id for (item_id,) in connection.execute(query)]

    # Writing

    def count(self, item_id: int, labels: Labels) -> None:
        """Count the pixels of a class map that was not saved here: one of an older program, or a mask beside the photo.

        This alone is no reason to begin a project file.
        """
        counts = _counts(labels)
        with self._writing(create_file=False) as connection:
            _write_counts(connection, item_id, counts)
        self._tell(item_id)

    def save_prediction(self, item_id: int, labels: Labels, model: str, uncertainty: float) -> bool:
        """Keep what a model predicted, and how far the saved class map is from it.

        This alone is no reason to begin a project file.

        Parameters
        ----------
        item_id : int
        labels : (H, W) uint8 array
            In the class ids of the project.
        model : str
            Id of the model.
        uncertainty : float
            `Figures.uncertainty`.

        Returns
        -------
        bool
            False if this prediction was known already.

        Raises
        ------
        ValueError
            If `uncertainty` is not a number from 0 to 1.
        """
        if not (math.isfinite(uncertainty) and 0 <= uncertainty <= 1):
            raise ValueError(f"an uncertainty is between 0 and 1, not {uncertainty}")
        packed = pack_map(labels)
        with self._reading() as connection:
            known = connection.execute(
                "SELECT p.crc, f.model FROM predictions p JOIN figures f USING (item_id) WHERE item_id = ?", (item_id,)
            ).fetchone()
            if known == (packed.crc, model):
                return False
            saved = connection.execute(
                "SELECT width, height, labels, pins, crc FROM maps WHERE item_id = ?", (item_id,)
            ).fetchone()
        difference = None
        if saved is not None:
            try:
                now, pinned = unpack_map(PackedMap(*saved))
            except ValueError:  # whoever opens the item is told
                pass
            else:
                difference = compare(now, pinned, labels) if now.shape == labels.shape else None
        with self._writing(create_file=False) as connection:
            connection.execute(
                "INSERT OR REPLACE INTO predictions VALUES (?, ?, ?, ?, ?)",
                (item_id, packed.width, packed.height, packed.labels, packed.crc),
            )
            connection.execute(
                "INSERT INTO figures (item_id, uncertainty, model) VALUES (?, ?, ?) ON CONFLICT (item_id) "
                "DO UPDATE SET uncertainty = excluded.uncertainty, model = excluded.model",
                (item_id, uncertainty, model),
            )
            _write_difference(connection, item_id, difference)
        self._tell(item_id)
        return True

    def add_seconds(self, seconds: Mapping[int, float]) -> None:
        """Add to the time a person worked on items. This alone is no reason to begin a project file."""
        with self._writing(create_file=False) as connection:
            connection.executemany(
                "INSERT INTO figures (item_id, seconds) VALUES (?, ?) ON CONFLICT (item_id) "
                "DO UPDATE SET seconds = seconds + excluded.seconds",
                list(seconds.items()),
            )
        for item_id in seconds:
            self._tell(item_id)

    def saved(self, item_id: int) -> None:
        """Tell who wants to know that `write_figures` was called in a transaction that has ended well."""
        self._tell(item_id)

    def _tell(self, item_id: int) -> None:
        if self.changed is not None:
            self.changed(item_id, self.of(item_id))


class MapFigures(NamedTuple):
    """The figures that follow from a class map, not written yet."""

    counts: tuple[tuple[int, int], ...]
    difference: Difference | None


def measure(connection: sqlite3.Connection, item_id: int, labels: Labels, pinned: Mask | None) -> MapFigures:
    """The figures that follow from a class map which is about to be saved.

    Parameters
    ----------
    connection : sqlite3.Connection
        Of the project, to find the prediction.
    item_id : int
    labels : (H, W) uint8 array
    pinned : (H, W) bool array, optional
    """
    predicted = _prediction(connection, item_id)
    difference = None
    if predicted is not None and predicted.shape == labels.shape:
        difference = compare(labels, pinned, predicted)
    return MapFigures(_counts(labels), difference)


def write_figures(connection: sqlite3.Connection, item_id: int, figures: MapFigures) -> None:
    """Save what `measure` found, in the transaction that saves the class map."""
    _write_counts(connection, item_id, figures.counts)
    _write_difference(connection, item_id, figures.difference)


def forget_predictions(connection: sqlite3.Connection) -> None:
    """Drop the predictions and what was compared with them: the class ids of the project mean something else now."""
    connection.execute("DELETE FROM predictions")
    connection.execute("UPDATE figures SET uncertainty = NULL, disagreement = NULL, changed = NULL, model = ''")


_COLUMNS = "uncertainty, disagreement, changed, seconds, model"


def _counts(labels: Labels) -> tuple[tuple[int, int], ...]:
    from deeplab_studio.core.voc.masks import count_ids

    counts = count_ids(labels)
    return tuple((int(class_id), int(counts[class_id])) for class_id in np.flatnonzero(counts))


def _write_counts(connection: sqlite3.Connection, item_id: int, counts: tuple[tuple[int, int], ...]) -> None:
    connection.execute("DELETE FROM class_pixels WHERE item_id = ?", (item_id,))
    connection.executemany(
        "INSERT INTO class_pixels VALUES (?, ?, ?)", [(item_id, class_id, pixels) for class_id, pixels in counts]
    )


def _write_difference(connection: sqlite3.Connection, item_id: int, difference: Difference | None) -> None:
    connection.execute(
        "INSERT INTO figures (item_id, disagreement, changed) VALUES (?, ?, ?) ON CONFLICT (item_id) "
        "DO UPDATE SET disagreement = excluded.disagreement, changed = excluded.changed",
        (item_id, *(difference or (None, None))),
    )


def _prediction(connection: sqlite3.Connection, item_id: int) -> Labels | None:
    row = connection.execute(
        "SELECT width, height, labels, NULL, crc FROM predictions WHERE item_id = ?", (item_id,)
    ).fetchone()
    if row is None:
        return None
    try:
        return unpack_map(PackedMap(*row))[0]
    except ValueError:
        return None
