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
)
"""Statements that lead from schema version *i* to *i* + 1. Never change one that has been released: add another."""

LATEST = len(MIGRATIONS)
"""Schema version this program reads and writes."""


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
        raise StudioError(f"its label set is damaged ({error})", path=path, hint="Restore it from a copy.") from error
