"""Tables of a project file, and how older ones become today's."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

from deeplab_studio.core.errors import StudioError
from deeplab_studio.core.labels import LabelClass, LabelSet

APPLICATION_ID = 0x444C5350
"""Marks a SQLite file as a project: "DLSP"."""

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        # Values are JSON.
        "CREATE TABLE settings (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
        """
        CREATE TABLE classes (
            id INTEGER PRIMARY KEY CHECK (id BETWEEN 0 AND 254),
            name TEXT NOT NULL UNIQUE,
            red INTEGER NOT NULL,
            green INTEGER NOT NULL,
            blue INTEGER NOT NULL
        )
        """,
        # key: the photo's path, from the root and with forward slashes if it lies there; a BLOB if it is no valid text.
        # name: what the item is called in an exported data set. Given once: an export made later replaces the earlier.
        """
        CREATE TABLE items (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            key TEXT NOT NULL UNIQUE,
            name TEXT NOT NULL UNIQUE COLLATE NOCASE,
            state TEXT NOT NULL,
            model TEXT,
            crf TEXT,
            added_at REAL NOT NULL,
            changed_at REAL
        )
        """,
        # labels: zlib of H*W bytes; pins: zlib of the bits, most significant first, NULL if no pixel is pinned.
        # crc: CRC-32 of width, height and both blobs. photo_*: the photo's file when the map was saved.
        """
        CREATE TABLE maps (
            item_id INTEGER PRIMARY KEY REFERENCES items (id) ON DELETE CASCADE,
            width INTEGER NOT NULL,
            height INTEGER NOT NULL,
            labels BLOB NOT NULL,
            pins BLOB,
            crc INTEGER NOT NULL,
            photo_bytes INTEGER,
            photo_mtime_ns INTEGER,
            saved_at REAL NOT NULL
        )
        """,
    ),
    # Version 2 is in the making: until it is released, a new table is one more statement here. A table that older
    # projects lack is empty in them after the migration; one that is open for reading only gets it as a temporary
    # table. A new column would be missing there: make a table for it.
    (
        # What core.item_figures keeps; class_pixels also counts void (255).
        """
        CREATE TABLE class_pixels (
            item_id INTEGER NOT NULL REFERENCES items (id) ON DELETE CASCADE,
            class_id INTEGER NOT NULL,
            pixels INTEGER NOT NULL,
            PRIMARY KEY (item_id, class_id)
        ) WITHOUT ROWID
        """,
        """
        CREATE TABLE figures (
            item_id INTEGER PRIMARY KEY REFERENCES items (id) ON DELETE CASCADE,
            uncertainty REAL,
            disagreement REAL,
            changed INTEGER,
            seconds REAL NOT NULL DEFAULT 0,
            model TEXT NOT NULL DEFAULT ''
        )
        """,
        # What the model predicted, in the ids of the project; labels and crc as in maps.
        """
        CREATE TABLE predictions (
            item_id INTEGER PRIMARY KEY REFERENCES items (id) ON DELETE CASCADE,
            width INTEGER NOT NULL,
            height INTEGER NOT NULL,
            labels BLOB NOT NULL,
            crc INTEGER NOT NULL
        )
        """,
        # Class maps as they were before a change of the label set, as long as it can be taken back; labels as in maps.
        """
        CREATE TABLE kept_maps (
            step INTEGER NOT NULL,
            item_id INTEGER NOT NULL REFERENCES items (id) ON DELETE CASCADE,
            labels BLOB NOT NULL,
            PRIMARY KEY (step, item_id)
        )
        """,
        # The counts of items without a saved class map from before such a change.
        """
        CREATE TABLE kept_pixels (
            step INTEGER NOT NULL,
            item_id INTEGER NOT NULL REFERENCES items (id) ON DELETE CASCADE,
            class_id INTEGER NOT NULL,
            pixels INTEGER NOT NULL,
            PRIMARY KEY (step, item_id, class_id)
        ) WITHOUT ROWID
        """,
        # Class maps and states that gave way to imported ones, as long as that can be taken back; columns as in maps,
        # NULL where there was no class map. arrived_crc: of the class map that took its place, NULL for none.
        """
        CREATE TABLE replaced_maps (
            step INTEGER NOT NULL,
            item_id INTEGER NOT NULL REFERENCES items (id) ON DELETE CASCADE,
            state TEXT NOT NULL,
            width INTEGER,
            height INTEGER,
            labels BLOB,
            pins BLOB,
            crc INTEGER,
            photo_bytes INTEGER,
            photo_mtime_ns INTEGER,
            arrived_crc INTEGER,
            PRIMARY KEY (step, item_id)
        )
        """,
    ),
)
"""Statements that lead from schema version *i* to *i* + 1. Never change one that has been released: add another."""

LATEST = len(MIGRATIONS)
"""Schema version this program reads and writes."""


class DamagedProject(StudioError):
    """A file that should be a project and cannot be read as one: a copy of it may still be whole."""


def schema_version(connection: sqlite3.Connection) -> int:
    """Schema version of an open file; 0 for one without tables."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return int(version)


def migrate(connection: sqlite3.Connection) -> None:
    """Bring an open file to `LATEST`, each step whole or not at all.

    Parameters
    ----------
    connection : sqlite3.Connection
        In autocommit mode (``isolation_level=None``).
    """
    for version in range(schema_version(connection), LATEST):
        connection.execute("BEGIN IMMEDIATE")
        try:
            for statement in MIGRATIONS[version]:
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {version + 1}")
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise


def complete_for_reading(connection: sqlite3.Connection) -> None:
    """Give a file of an older version that is open for reading only the tables it lacks, empty and for this connection.

    Parameters
    ----------
    connection : sqlite3.Connection
    """
    for version in range(schema_version(connection), LATEST):
        for statement in MIGRATIONS[version]:
            if statement.lstrip().startswith("CREATE TABLE"):
                connection.execute(statement.replace("CREATE TABLE", "CREATE TEMP TABLE", 1))


def write_label_set(connection: sqlite3.Connection, label_set: LabelSet) -> None:
    """Replace the classes of an open file."""
    connection.execute("DELETE FROM classes")
    connection.executemany(
        "INSERT INTO classes VALUES (?, ?, ?, ?, ?)",
        [(number, label.name, *label.colour) for number, label in enumerate(label_set)],
    )
    connection.execute("INSERT OR REPLACE INTO settings VALUES ('label set', ?)", (json.dumps(label_set.name),))


def read_label_set(connection: sqlite3.Connection, path: Path) -> LabelSet:
    """The classes of an open file; a StudioError about `path` if they make no sense."""
    rows = connection.execute("SELECT id, name, red, green, blue FROM classes ORDER BY id").fetchall()
    (name,) = connection.execute("SELECT value FROM settings WHERE key = 'label set'").fetchone() or ('""',)
    try:
        if [row[0] for row in rows] != list(range(len(rows))):
            raise ValueError("ids are missing")
        return LabelSet(tuple(LabelClass(row[1], row[2:]) for row in rows), str(json.loads(name)))
    except ValueError as error:
        reason = f"its label set is damaged ({error})"
        raise DamagedProject(reason, path=path, hint="Restore it from a copy.") from error
