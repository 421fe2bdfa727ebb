"""The label set of a project, and changing it together with every class map that refers to it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from deeplab_studio.core.cancel import CancelToken
from deeplab_studio.core.errors import StudioError
from deeplab_studio.core.item_figures import forget_predictions
from deeplab_studio.core.labels import VOID
from deeplab_studio.core.project_imports import (
    IncomingMaps,
    arrivals_fit,
    arrived,
    exchange,
    labelled_here,
    room_for_arrivals,
    stage_incoming,
    stage_replaced,
)
from deeplab_studio.core.project_maps import PackedMap, pack_map, unpack_map
from deeplab_studio.core.project_schema import write_label_set

if TYPE_CHECKING:
    import sqlite3

    from deeplab_studio.core.classmap import Labels
    from deeplab_studio.core.labels import LabelSet
    from deeplab_studio.core.relabel import Relabelling, Table

KEPT_STEPS = 5
"""Changes that can be taken back."""

KEPT_BYTES = 1 << 30
"""Class maps kept to take changes back hold at most this much, but those of the newest change are kept in any case."""

MAPPINGS = "class mappings"
"""Setting of the project: by model, the name of the project's class (None for void) of every class of the model."""

_MASK_TABLE = "mask table"
_TRIES = 3


class _Writing(Protocol):
    def __call__(self, *, create_file: bool = True) -> AbstractContextManager[sqlite3.Connection]: ...


class MapStamp(NamedTuple):
    """What tells a saved class map from any other of the same image."""

    crc: int
    saved_at: float


@dataclass(frozen=True)
class Outcome:
    """What a change of the label set did.

    Parameters
    ----------
    stamps : dict of int to (MapStamp or None)
        The images whose class map changed; None for those that have none any more.
    pixels : int
        Pixels whose id changed.
    damaged : int
        Class maps that could not be read and stay as they are.
    forgotten : frozenset of int
        Earlier steps that cannot be taken back any more.
    states : dict of int to str
        The images whose class map was exchanged for another one, and how far they are now.
    released : dict of int to int
        Images whose class map was exchanged in one of the steps of `forgotten`, the latest such step of each: what was
        done to them before speaks of a class map that is gone.
    problems : list of StudioError
        Of class maps that were to come and could not be read.
    """

    stamps: dict[int, MapStamp | None]
    pixels: int
    damaged: int
    forgotten: frozenset[int]
    states: dict[int, str] = field(default_factory=dict)
    released: dict[int, int] = field(default_factory=dict)
    problems: list[StudioError] = field(default_factory=list)


class ProjectLabels:
    """The label set of a project. All methods may be called from any thread, as those of the project.

    Parameters
    ----------
    reading, writing : callable
        Context managers of the project: its connection to read with, or within a transaction.
    label_set : LabelSet
        As it is saved.
    """

    def __init__(
        self, reading: Callable[[], AbstractContextManager[sqlite3.Connection]], writing: _Writing, label_set: LabelSet
    ) -> None:
        self._reading = reading
        self._writing = writing
        self._label_set = label_set
        self._settings_before: dict[int, dict[str, str | None]] = {}
        self._keeping = False

    @property
    def label_set(self) -> LabelSet:
        """The classes that the class maps refer to."""
        return self._label_set

    def replace(self, label_set: LabelSet) -> None:
        """Save another label set. The class maps are left as they are."""
        with self._writing() as connection:
            write_label_set(connection, label_set)
        self._label_set = label_set

    def stamp(self, item_id: int) -> MapStamp | None:
        """Of the saved class map of an image; None if none was saved."""
        with self._reading() as connection:
            row = connection.execute("SELECT crc, saved_at FROM maps WHERE item_id = ?", (item_id,)).fetchone()
        return None if row is None else MapStamp(*row)

    def mask_table(self) -> Table | None:
        """What the ids in masks that came with the data set have become; None if they are what they were.

        Returns
        -------
        (256,) uint8 array or None
        """
        with self._reading() as connection:
            saved = _setting(connection, _MASK_TABLE)
        return None if saved is None else np.array(json.loads(saved), np.uint8)

    def holding(self, ids: Collection[int], *, but_of: int | None = None) -> int:
        """Number of images with pixels of any of these ids.

        Parameters
        ----------
        ids : collection of int
        but_of : int, optional
            Step whose class maps do not count, as far as they are as they came.
        """
        marks = ",".join("?" * len(ids))
        with self._reading() as connection:
            (count,) = connection.execute(
                f"SELECT count(DISTINCT item_id) FROM class_pixels WHERE class_id IN ({marks}) AND item_id NOT IN "
                "(SELECT item_id FROM replaced_maps r JOIN maps m USING (item_id) "
                "WHERE r.step = ? AND m.crc = r.arrived_crc)",
                [*ids, but_of],
            ).fetchone()
        return int(count)

    def labelled_items(self) -> set[int]:
        """Items with a class map that is more than what a model predicted: a person has changed or finished it."""
        return labelled_here(self._reading)

    def relabel(
        self,
        change: Relabelling,
        step: int,
        cancel: CancelToken | None = None,
        progress: Callable[[float], None] = lambda _fraction: None,
        incoming: IncomingMaps | None = None,
    ) -> Outcome:
        """Change the label set and every class map, all in one transaction.

        What cannot be computed back is kept in the project until `take_back`, or until more changes have been made.

        Parameters
        ----------
        change : Relabelling
        step : int
            Names the change for `take_back`; larger than that of any before.
        cancel : CancelToken, optional
        progress : callable
            Called with the share done, 0..1.
        incoming : IncomingMaps, optional
            Class maps to put in place of those there are, in the ids of the new label set. When the step is made again
            after it was taken back they are there already: leave it out then.

        Raises
        ------
        StudioError
            If it cannot be saved; nothing is changed then.
        Cancelled
            Likewise.
        ValueError
            If there are `incoming` class maps and `change` moves ids.
        """
        if incoming is not None and change.moves_ids:
            raise ValueError("class maps come in while ids stay what they are")

        def rewrite(labels: Labels, _before: Labels | None) -> tuple[Labels, bool]:
            return change(labels), change.loses(labels)

        def finish(connection: sqlite3.Connection) -> None:
            names = (_MASK_TABLE, MAPPINGS)
            self._settings_before[step] = {name: _setting(connection, name) for name in names}
            connection.execute(
                "INSERT INTO kept_maps SELECT ?, item_id, maps.labels FROM maps JOIN relabelled USING (item_id) "
                "WHERE lossy",
                (step,),
            )
            connection.execute(
                "INSERT INTO kept_pixels SELECT ?, * FROM class_pixels WHERE item_id NOT IN (SELECT item_id FROM maps)",
                (step,),
            )
            _move_pixels(connection, change.table)
            connection.execute(
                "INSERT INTO class_pixels SELECT * FROM recounted "
                "WHERE item_id NOT IN (SELECT item_id FROM class_pixels)"
            )
            if (change.table != np.arange(256)).any():
                saved = _setting(connection, _MASK_TABLE)
                before = np.arange(256) if saved is None else np.array(json.loads(saved))
                _save_setting(connection, _MASK_TABLE, json.dumps(change.table[before].tolist()))
            _follow_names(connection, change)

        return self._rewrite(change, change.new, change.table, rewrite, finish, None, cancel, progress, step, incoming)

    def take_back(
        self,
        change: Relabelling,
        step: int,
        cancel: CancelToken | None = None,
        progress: Callable[[float], None] = lambda _fraction: None,
    ) -> Outcome:
        """Take a change back, keeping what was painted since.

        An image that got its class map with it and was painted since keeps all of that.

        Parameters
        ----------
        change : Relabelling
            As it was given to `relabel`, and the last one that is not taken back.
        step : int
        cancel : CancelToken, optional
        progress : callable

        Raises
        ------
        StudioError
            If images hold classes that would be none again, or it cannot be saved; nothing is changed then.
        Cancelled
            Likewise.
        """
        fresh = [i for i in range(len(change.new)) if change.back[i] == VOID]
        images = self.holding(fresh, but_of=step)
        if images:
            names = ", ".join(change.new[i].name for i in fresh[:3]) + ("…" if len(fresh) > 3 else "")
            raise StudioError(
                f"it cannot be taken back because {images} image{'s' if images > 1 else ''} would lose {names}",
                hint="Delete the class in the label set editor and say there what its pixels become.",
            )

        def rewrite(labels: Labels, before: Labels | None) -> tuple[Labels, bool]:
            return change.restored(before, labels), False

        def finish(connection: sqlite3.Connection) -> None:
            _move_pixels(connection, change.back)
            connection.execute("DELETE FROM class_pixels WHERE item_id IN (SELECT item_id FROM relabelled)")
            connection.execute("INSERT INTO class_pixels SELECT * FROM recounted")
            unmapped = "SELECT item_id FROM kept_pixels WHERE step = ? AND item_id NOT IN (SELECT item_id FROM maps)"
            connection.execute(f"DELETE FROM class_pixels WHERE item_id IN ({unmapped})", (step,))
            connection.execute(
                "INSERT INTO class_pixels SELECT item_id, class_id, pixels FROM kept_pixels WHERE step = ? "
                "AND item_id NOT IN (SELECT item_id FROM maps)",
                (step,),
            )
            for name, value in self._settings_before.get(step, {}).items():
                _save_setting(connection, name, value)
            _forget(connection, [step])

        outcome = self._rewrite(change, change.old, change.back, rewrite, finish, step, cancel, progress, step)
        self._settings_before.pop(step, None)
        return outcome

    def forget_kept(self) -> None:
        """Let go of everything kept to take changes back."""
        if self._keeping:
            self._keeping = False
            self._settings_before.clear()
            with self._writing(create_file=False) as connection:
                _forget_all(connection)

    def close(self) -> None:
        """The project is left. What cannot be let go of now is, before the next change of the label set."""
        with suppress(StudioError):
            self.forget_kept()

    def _rewrite(
        self,
        change: Relabelling,
        label_set: LabelSet,
        table: Table,
        rewrite: Callable[[Labels, Labels | None], tuple[Labels, bool]],
        finish: Callable[[sqlite3.Connection], None],
        kept_by: int | None,
        cancel: CancelToken | None,
        progress: Callable[[float], None],
        step: int,
        incoming: IncomingMaps | None = None,
    ) -> Outcome:
        with self._writing() as connection:  # a project that lives in memory becomes a file by this
            if not self._keeping:  # what is there is from a run that did not end well
                _forget_all(connection)
        self._keeping = True
        for _ in range(_TRIES):
            with self._staging():
                if incoming is not None:
                    arrivals = stage_incoming(self._reading, incoming, cancel, progress)
                else:
                    arrivals = stage_replaced(self._reading, step, cancel, progress)
                staged = self._stage(table, rewrite, kept_by, cancel, progress)
                progress(1.0)
                # From here on the others wait: what is left is copying.
                with self._writing() as connection:
                    touched = _touched(connection, table, kept_by)
                    if not (_is_current(connection, staged.seen, touched) and arrivals_fit(connection)):
                        continue
                    now = time.time()
                    if kept_by is None:
                        finish(connection)
                        exchange(connection, step, arrivals, now)
                    else:  # the counts that it restores are those of images without a class map
                        exchange(connection, step, arrivals, now)
                        finish(connection)
                    connection.execute(
                        "UPDATE maps SET saved_at = ?, (labels, crc) = "
                        "(SELECT labels, crc FROM relabelled WHERE relabelled.item_id = maps.item_id) "
                        "WHERE item_id IN (SELECT item_id FROM relabelled)",
                        (now,),
                    )
                    if change.moves_ids:
                        forget_predictions(connection)
                    write_label_set(connection, label_set)
                    forgotten, released = _forget_too_much(connection, step)
                    stamps: dict[int, MapStamp | None] = {
                        item_id: MapStamp(crc, now)
                        for item_id, crc in connection.execute("SELECT item_id, crc FROM relabelled")
                    }
                    exchanged = arrived(connection)
            self._label_set = label_set
            for old in forgotten:
                self._settings_before.pop(old, None)
            stamps |= {i: None if crc is None else MapStamp(crc, now) for i, (crc, _) in exchanged.items()}
            states = {item_id: state for item_id, (_, state) in exchanged.items()}
            pixels = staged.pixels + arrivals.pixels
            return Outcome(stamps, pixels, staged.damaged, forgotten, states, released, arrivals.problems)
        raise StudioError("class maps were saved meanwhile, so nothing was changed", hint="Try again.")

    @contextmanager
    def _staging(self) -> Iterator[None]:
        """Room for the new class maps outside the project, so that nobody waits while they are computed."""
        with self._reading() as connection:
            connection.execute(
                "CREATE TEMP TABLE relabelled (item_id INTEGER PRIMARY KEY, labels BLOB, crc INTEGER, lossy INTEGER)"
            )
            connection.execute("CREATE TEMP TABLE recounted (item_id INTEGER, class_id INTEGER, pixels INTEGER)")
        try:
            with room_for_arrivals(self._reading):
                yield
        finally:
            with self._reading() as connection:
                connection.execute("DROP TABLE relabelled")
                connection.execute("DROP TABLE recounted")

    def _stage(
        self,
        table: Table,
        rewrite: Callable[[Labels, Labels | None], tuple[Labels, bool]],
        kept_by: int | None,
        cancel: CancelToken | None,
        progress: Callable[[float], None],
    ) -> _Staged:
        from deeplab_studio.core.voc.masks import count_ids

        staged = _Staged()
        with self._reading() as connection:
            touched = _touched(connection, table, kept_by)
        for number, item_id in enumerate(sorted(touched)):
            if cancel is not None:
                cancel.raise_if_cancelled()
            progress(number / len(touched))
            with self._reading() as connection:
                row = connection.execute(
                    "SELECT width, height, labels, pins, crc FROM maps WHERE item_id = ?", (item_id,)
                ).fetchone()
                kept = connection.execute(
                    "SELECT labels FROM kept_maps WHERE step = ? AND item_id = ?", (kept_by, item_id)
                ).fetchone()
            if row is None:
                continue
            packed = PackedMap(*row)
            staged.seen[item_id] = packed.crc
            try:
                labels, pinned = unpack_map(packed)
            except ValueError:  # whoever opens the image is told
                staged.damaged += 1
                continue
            new, lossy = rewrite(labels, _unpack_kept(kept, packed))
            different = int(np.count_nonzero(new != labels))
            if not different:
                continue
            staged.pixels += different
            repacked = pack_map(new, pinned)
            counts = count_ids(new)
            with self._reading() as connection:
                connection.execute(
                    "INSERT INTO relabelled VALUES (?, ?, ?, ?)", (item_id, repacked.labels, repacked.crc, lossy)
                )
                connection.executemany(
                    "INSERT INTO recounted VALUES (?, ?, ?)",
                    [(item_id, int(i), int(counts[i])) for i in np.flatnonzero(counts)],
                )
        return staged


class _Staged:
    """What `ProjectLabels._stage` found: checksums of the maps it looked at, pixels to change, maps it cannot read."""

    def __init__(self) -> None:
        self.seen: dict[int, int] = {}
        self.pixels = 0
        self.damaged = 0


def _touched(connection: sqlite3.Connection, table: Table, kept_by: int | None) -> set[int]:
    """Items whose class map may change: they hold an id that becomes another, or nobody has counted what they hold.

    Those that get another class map altogether are not among them.
    """
    ids = np.flatnonzero(table != np.arange(256)).tolist()
    marks = ",".join("?" * len(ids))
    rows = connection.execute(
        "SELECT item_id FROM maps WHERE item_id NOT IN (SELECT item_id FROM arriving) AND ("
        f"item_id IN (SELECT item_id FROM class_pixels WHERE class_id IN ({marks})) "
        "OR item_id NOT IN (SELECT item_id FROM class_pixels) "
        "OR item_id IN (SELECT item_id FROM kept_maps WHERE step = ?))",
        [*ids, kept_by],
    )
    return {item_id for (item_id,) in rows}


def _is_current(connection: sqlite3.Connection, seen: dict[int, int], touched: set[int]) -> bool:
    if touched != seen.keys():
        return False
    now = dict(connection.execute("SELECT item_id, crc FROM maps").fetchall())
    return all(now[item_id] == crc for item_id, crc in seen.items())


def _unpack_kept(row: tuple[bytes] | None, like: PackedMap) -> Labels | None:
    import zlib

    if row is None:
        return None
    try:
        return np.frombuffer(zlib.decompress(row[0]), np.uint8).reshape(like.height, like.width)
    except (zlib.error, ValueError):
        return None


def _move_pixels(connection: sqlite3.Connection, table: Table) -> None:
    """Bring the counts of every class up to date."""
    connection.execute("CREATE TEMP TABLE moved (old INTEGER PRIMARY KEY, new INTEGER)")
    connection.executemany("INSERT INTO moved VALUES (?, ?)", list(enumerate(table.tolist())))
    connection.execute(
        "CREATE TEMP TABLE counted AS SELECT item_id, new, sum(pixels) FROM class_pixels JOIN moved ON old = class_id "
        "GROUP BY item_id, new"
    )
    connection.execute("DELETE FROM class_pixels")
    connection.execute("INSERT INTO class_pixels SELECT * FROM counted")
    connection.execute("DROP TABLE counted")
    connection.execute("DROP TABLE moved")


def _follow_names(connection: sqlite3.Connection, change: Relabelling) -> None:
    """Let remembered mappings of models name the classes as they are called now."""
    saved = _setting(connection, MAPPINGS)
    if saved is None:
        return
    names: dict[str, str | None] = {}
    for old_id, name in enumerate(change.old.names):
        new_id = int(change.table[old_id])
        names[name] = None if new_id == VOID else change.new[new_id].name
    mappings = {
        model: {source: names.get(target, target) if target is not None else None for source, target in choice.items()}
        for model, choice in json.loads(saved).items()
    }
    _save_setting(connection, MAPPINGS, json.dumps(mappings))


def _forget_too_much(connection: sqlite3.Connection, newest: int) -> tuple[frozenset[int], dict[int, int]]:
    """Let go of the oldest steps kept, within the bounds; those, and by item the latest in which it was exchanged."""
    rows = connection.execute(
        "SELECT step, sum(bytes) FROM (SELECT step, length(labels) AS bytes FROM kept_maps UNION ALL "
        "SELECT step, ifnull(length(labels), 0) FROM replaced_maps) GROUP BY step"
    ).fetchall()
    sizes = dict(rows) | {newest: dict(rows).get(newest, 0)}
    total = sum(sizes.values())
    gone: list[int] = []
    for step in sorted(sizes):
        if step != newest and (total > KEPT_BYTES or len(sizes) - len(gone) > KEPT_STEPS):
            gone.append(step)
            total -= sizes[step]
    released: dict[int, int] = {}
    for step in gone:
        rows = connection.execute("SELECT item_id FROM replaced_maps WHERE step = ?", (step,)).fetchall()
        released |= dict.fromkeys((item_id for (item_id,) in rows), step)
        connection.execute("DELETE FROM replaced_maps WHERE step = ?", (step,))
    _forget(connection, gone)
    return frozenset(gone), released


def _forget_all(connection: sqlite3.Connection) -> None:
    for name in ("kept_maps", "kept_pixels", "replaced_maps"):
        connection.execute(f"DELETE FROM {name}")


def _forget(connection: sqlite3.Connection, steps: Collection[int]) -> None:
    for name in ("kept_maps", "kept_pixels"):
        connection.executemany(f"DELETE FROM {name} WHERE step = ?", [(step,) for step in steps])


def _setting(connection: sqlite3.Connection, name: str) -> str | None:
    row: tuple[Any, ...] | None = connection.execute("SELECT value FROM settings WHERE key = ?", (name,)).fetchone()
    return None if row is None else str(row[0])


def _save_setting(connection: sqlite3.Connection, name: str, value: str | None) -> None:
    if value is None:
        connection.execute("DELETE FROM settings WHERE key = ?", (name,))
    else:
        connection.execute("INSERT OR REPLACE INTO settings VALUES (?, ?)", (name, value))
