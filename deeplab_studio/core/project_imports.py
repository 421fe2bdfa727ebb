"""Class maps from elsewhere in place of those a project has, and back again, in one transaction.

What gives way is kept whole, pins and state included, until the step is forgotten. Taking a step back exchanges both
sides; making it again exchanges them once more, so the files it came from are read only once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from deeplab_studio.core.cancel import CancelToken
from deeplab_studio.core.classmap import Labels, Mask
from deeplab_studio.core.errors import StudioError
from deeplab_studio.core.item_figures import MapFigures, measure, write_figures
from deeplab_studio.core.project_items import file_signature
from deeplab_studio.core.project_maps import PackedMap, pack_map, unpack_map

if TYPE_CHECKING:
    import sqlite3

    Reading = Callable[[], AbstractContextManager[sqlite3.Connection]]

NowMap = tuple[Labels, Mask] | None
"""Labels (H, W) uint8 and pins (H, W) bool, if there are any."""

STATE = "in progress"
"""How far an image is that got labels from elsewhere: nobody has looked at them here."""

_NOTHING = MapFigures((), None)


@dataclass(frozen=True)
class IncomingMaps:
    """Class maps to put into a project.

    Parameters
    ----------
    photos : mapping of int to Path
        The photo of every item that gets one.
    read : callable
        Called with a photo and with what the project has for it, labels (H, W) uint8 and pins (H, W) bool, or None.
        Gives labels and pins of the photo's size. A StudioError it raises leaves that item as it is.
    """

    photos: Mapping[int, Path]
    read: Callable[[Path, NowMap], tuple[Labels, Mask]]


@dataclass
class Arrivals:
    """What is staged to take the place of class maps.

    Attributes
    ----------
    figures : dict of int to MapFigures
        By item.
    pixels : int
        Pixels whose class changes; where there was no class map, those of another class than 0. Not counted on the way
        back.
    problems : list of StudioError
        Of items whose class map could not be read.
    """

    figures: dict[int, MapFigures] = field(default_factory=dict)
    pixels: int = 0
    problems: list[StudioError] = field(default_factory=list)


@contextmanager
def room_for_arrivals(reading: Reading) -> Iterator[None]:
    """A temporary table for class maps on their way, so that nobody waits while they are read."""
    with reading() as connection:
        connection.execute(
            "CREATE TEMP TABLE arriving (item_id INTEGER PRIMARY KEY, state TEXT, width INTEGER, height INTEGER, "
            "labels BLOB, pins BLOB, crc INTEGER, photo_bytes INTEGER, photo_mtime_ns INTEGER, leaving_crc INTEGER)"
        )
    try:
        yield
    finally:
        with reading() as connection:
            connection.execute("DROP TABLE arriving")


def stage_incoming(
    reading: Reading, incoming: IncomingMaps, cancel: CancelToken | None, progress: Callable[[float], None]
) -> Arrivals:
    """Read class maps from elsewhere and stage them.

    Raises
    ------
    StudioError
        If the disk is full.
    Cancelled
        If `cancel` was set.
    """
    arrivals = Arrivals()
    for number, (item_id, photo) in enumerate(incoming.photos.items()):
        if cancel is not None:
            cancel.raise_if_cancelled()
        progress(number / len(incoming.photos))
        with reading() as connection:
            row = connection.execute(
                "SELECT width, height, labels, pins, crc FROM maps WHERE item_id = ?", (item_id,)
            ).fetchone()
        now = None
        if row is not None:
            try:
                now = unpack_map(PackedMap(*row))
            except ValueError:  # damaged, so there is nothing to keep of it
                now = None
        try:
            labels, pinned = incoming.read(photo, now)
        except StudioError as error:
            arrivals.problems.append(error)
            continue
        before = now[0] if now is not None and now[0].shape == labels.shape else np.zeros_like(labels)
        arrivals.pixels += int(np.count_nonzero(before != labels))
        packed = pack_map(labels, pinned)
        with reading() as connection:
            arrivals.figures[item_id] = measure(connection, item_id, labels, pinned)
            connection.execute(
                "INSERT INTO arriving VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (item_id, STATE, *packed, *file_signature(photo), None if row is None else row[-1]),
            )
    return arrivals


def stage_replaced(
    reading: Reading, step: int, cancel: CancelToken | None, progress: Callable[[float], None]
) -> Arrivals:
    """Stage what gave way in a step, but not for images that were changed since.

    Raises
    ------
    Cancelled
        If `cancel` was set.
    """
    arrivals = Arrivals()
    with reading() as connection:
        rows = connection.execute(
            "SELECT item_id FROM replaced_maps r LEFT JOIN maps m USING (item_id) "
            "WHERE r.step = ? AND m.crc IS r.arrived_crc",
            (step,),
        ).fetchall()
    for number, (item_id,) in enumerate(rows):
        if cancel is not None:
            cancel.raise_if_cancelled()
        progress(number / len(rows))
        with reading() as connection:
            connection.execute(
                "INSERT INTO arriving SELECT item_id, state, width, height, labels, pins, crc, photo_bytes, "
                "photo_mtime_ns, arrived_crc FROM replaced_maps WHERE step = ? AND item_id = ?",
                (step, item_id),
            )
            packed = PackedMap(
                *connection.execute(
                    "SELECT width, height, labels, pins, crc FROM arriving WHERE item_id = ?", (item_id,)
                ).fetchone()
            )
            arrivals.figures[item_id] = _NOTHING
            if packed.labels is not None:
                with suppress(ValueError):  # damaged before already; whoever opens the image is told
                    arrivals.figures[item_id] = measure(connection, item_id, *unpack_map(packed))
    return arrivals


def arrivals_fit(connection: sqlite3.Connection) -> bool:
    """Whether the class maps that would give way are still those that were there when others were staged."""
    (others,) = connection.execute(
        "SELECT count(*) FROM arriving a LEFT JOIN maps m USING (item_id) WHERE m.crc IS NOT a.leaving_crc"
    ).fetchone()
    return not others


def exchange(connection: sqlite3.Connection, step: int, arrivals: Arrivals, now: float) -> None:
    """Put what is staged in place, and keep what gives way for the next time this step is made or taken back.

    Parameters
    ----------
    connection : sqlite3.Connection
        Within a transaction.
    step : int
    arrivals : Arrivals
        As it was staged.
    now : float
        Time to note as that of saving.
    """
    connection.execute("DELETE FROM replaced_maps WHERE step = ?", (step,))
    if not arrivals.figures:
        return
    connection.execute(
        "INSERT INTO replaced_maps SELECT ?, i.id, i.state, m.width, m.height, m.labels, m.pins, m.crc, m.photo_bytes, "
        "m.photo_mtime_ns, a.crc FROM arriving a JOIN items i ON i.id = a.item_id LEFT JOIN maps m USING (item_id)",
        (step,),
    )
    connection.execute("DELETE FROM maps WHERE item_id IN (SELECT item_id FROM arriving)")
    connection.execute(
        "INSERT INTO maps SELECT item_id, width, height, labels, pins, crc, photo_bytes, photo_mtime_ns, ? "
        "FROM arriving WHERE labels IS NOT NULL",
        (now,),
    )
    connection.execute(
        "UPDATE items SET changed_at = ?, state = (SELECT state FROM arriving WHERE item_id = items.id) "
        "WHERE id IN (SELECT item_id FROM arriving)",
        (now,),
    )
    for item_id, figures in arrivals.figures.items():
        write_figures(connection, item_id, figures)


def arrived(connection: sqlite3.Connection) -> dict[int, tuple[int | None, str]]:
    """Checksum of the class map (None: there is none) and state of every item staged."""
    rows = connection.execute("SELECT item_id, crc, state FROM arriving")
    return {item_id: (crc, state) for item_id, crc, state in rows}


def labelled_here(reading: Reading) -> set[int]:
    """Items with a class map that is more than what a model predicted: a person has changed it, or finished it."""
    query = "SELECT item_id FROM maps JOIN items ON id = item_id WHERE state != 'new' OR pins IS NOT NULL"
    with reading() as connection:
        return {item_id for (item_id,) in connection.execute(query)}
