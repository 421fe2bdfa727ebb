"""Opening, creating and locking the file of a project."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from deeplab_studio.core.errors import StudioError
from deeplab_studio.core.files import atomic_write
from deeplab_studio.core.project_schema import (
    APPLICATION_ID,
    LATEST,
    complete_for_reading,
    migrate,
    schema_version,
)


class WriterLock:
    """The right to write a project, held by one window at a time.

    It is SQLite's own exclusive lock on an empty file beside the project: the system drops it with the process, however
    that ends, and it works alike on every system. Two windows that open and close within the same microseconds could
    both get it; SQLite's transactions still keep the project whole then.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self._path = path
        self._connection = connection

    @classmethod
    def acquire(cls, project: Path) -> WriterLock | None:
        """Take the lock of a project file.

        Returns
        -------
        WriterLock or None
            None if another window, of this or another process, holds it.

        Raises
        ------
        OSError
            If the file of the lock cannot be made.
        """
        path = project.with_name(f"{project.name}-lock")
        connection: sqlite3.Connection | None = None
        try:
            connection = _connect(path, "mode=rwc", timeout=0.0)
            connection.execute("PRAGMA journal_mode = MEMORY")
            connection.execute("BEGIN EXCLUSIVE")
        except sqlite3.Error as error:
            if connection is not None:
                connection.close()
            if "locked" in str(error):
                return None
            raise OSError(f"{path}: {error}") from error
        return cls(path, connection)

    def release(self) -> None:
        """Give the lock back and remove its file."""
        if os.name == "nt":  # an open file cannot be removed there
            self._connection.close()
            with suppress(OSError):
                self._path.unlink()
            return
        with suppress(OSError):
            self._path.unlink()
        self._connection.close()


@dataclass
class OpenFile:
    """An open project file.

    Parameters
    ----------
    connection : sqlite3.Connection
        In autocommit mode; any thread may use it, one at a time.
    lock : WriterLock or None
        None if the file is open for reading only.
    refusal : str
        Why it is open for reading only, as a clause; empty if it is not.
    backup : Path or None
        Copy of the file from before it was brought up to date, if that happened now.
    """

    connection: sqlite3.Connection
    lock: WriterLock | None
    refusal: str = ""
    _copy: tempfile.TemporaryDirectory[str] | None = None
    backup: Path | None = None

    def close(self) -> None:
        """Close the file, then let others write."""
        self.connection.close()
        if self.lock is not None:
            self.lock.release()
        if self._copy is not None:
            self._copy.cleanup()


def open_memory() -> sqlite3.Connection:
    """A project without a file."""
    connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA foreign_keys = ON")
    migrate(connection)
    return connection


def open_existing(path: Path) -> OpenFile:
    """Open a project file: for writing if possible, else for reading.

    Raises
    ------
    StudioError
        If it is no project, is damaged, or was made by a newer program. The file is left as it is.
    """
    try:
        lock = WriterLock.acquire(path)
    except OSError:
        return _open_in_sealed_folder(path)
    try:
        if lock is None:
            return OpenFile(_open_reader(path), None, "another window has it open")
        if not os.access(path, os.W_OK):
            lock.release()
            return OpenFile(_open_reader(path), None, "its file cannot be written")
        # Nobody writes, so without a log the file alone is everything, and looking at it alone leaves no trace.
        query = "mode=ro" if _log(path).exists() else "mode=ro&immutable=1"
        with closing(_open_reader(path, query, complete=False)) as reader:
            version = schema_version(reader)
            backup = _back_up(path, reader, version) if 0 < version < LATEST else None
        return OpenFile(_open_writer(path), lock, backup=backup)
    except BaseException:
        if lock is not None:
            lock.release()
        raise


def create(path: Path, content: sqlite3.Connection) -> OpenFile:
    """Make a project file with everything in `content`, whole or not at all, and open it for writing.

    Raises
    ------
    FileExistsError
        If there is a file of that name, or another window is making it.
    OSError
        If the folder cannot be written.
    StudioError
        If writing fails for another reason: the disk is full.
    """
    lock = WriterLock.acquire(path)
    if lock is None:
        raise FileExistsError(path)
    try:
        if path.exists():
            raise FileExistsError(path)
        with atomic_write(path) as temporary, closing(sqlite3.connect(temporary)) as target:
            target.execute("PRAGMA journal_mode = MEMORY")  # no second file beside one that is not there yet
            content.backup(target)
        return OpenFile(_open_writer(path), lock)
    except sqlite3.Error as error:
        lock.release()
        raise project_error(path, error) from error
    except BaseException:
        lock.release()
        raise


def project_error(path: Path | None, error: sqlite3.Error) -> StudioError:
    """What a person is told about an error of SQLite's."""
    text = str(error)
    for words, reason, hint in _TOLD:
        if words in text:
            return StudioError(reason, path=path, hint=hint)
    return StudioError(f"the project cannot be read or written ({text})", path=path)


_TOLD = (
    ("disk is full", "the disk is full, so the last change could not be saved", "Free some space, then go on."),
    ("disk I/O error", "the disk refused to read or write it", "Check the free space and that the drive is connected."),
    ("readonly", "it cannot be written", "Check the permissions of the file and its folder."),
    ("unable to open", "it cannot be opened", "Check the permissions of the file and its folder."),
    ("locked", "another program is using it", "Close the other program and try again."),
    ("not a database", "this is not a DeepLab Studio project, or it is damaged", "Choose another file."),
    ("malformed", "the project file is damaged", "Restore it from a copy."),
)


def _log(path: Path) -> Path:
    """SQLite's write-ahead log of a file."""
    return path.with_name(f"{path.name}-wal")


def backup_path(path: Path, version: int) -> Path:
    """Where the copy of a project of an older format is kept before the project is brought up to date."""
    return path.with_name(f"{path.name}-backup-format-{version}")


def _back_up(path: Path, reader: sqlite3.Connection, version: int) -> Path:
    """Copy a project file with everything in its log, whole or not at all."""
    backup = backup_path(path, version)
    try:
        with atomic_write(backup) as temporary, closing(sqlite3.connect(temporary)) as target:
            target.execute("PRAGMA journal_mode = MEMORY")
            reader.backup(target)
    except (sqlite3.Error, StudioError) as error:
        reason = error.reason if isinstance(error, StudioError) else str(error)
        raise StudioError(
            f"an older DeepLab Studio made it, and it cannot be copied before it is brought up to date ({reason})",
            path=path,
            hint="Free some space, then open it again.",
        ) from error
    return backup


def _connect(path: Path, query: str, *, timeout: float = 5.0) -> sqlite3.Connection:
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?{query}",
        uri=True,
        timeout=timeout,
        isolation_level=None,
        check_same_thread=False,
    )


def _open_writer(path: Path) -> sqlite3.Connection:
    connection: sqlite3.Connection | None = None
    try:
        connection = _connect(path, "mode=rw")
        # Network drives without shared memory stay with a rollback journal, which is as safe.
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA fullfsync = ON")  # macOS: a plain fsync leaves the data in the drive's cache
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute(f"PRAGMA journal_size_limit = {64 << 20}")
        migrate(connection)
    except BaseException as error:
        if connection is not None:
            connection.close()
        if isinstance(error, sqlite3.Error):
            raise project_error(path, error) from error
        raise
    return connection


def _open_reader(path: Path, query: str = "mode=ro", *, complete: bool = True) -> sqlite3.Connection:
    """Open for reading, which neither writes the file nor moves the log into it, and check that it is ours.

    With `complete`, an older file seems to have all the tables of today.
    """
    connection: sqlite3.Connection | None = None
    try:
        connection = _connect(path, query)
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        version = schema_version(connection)
        if application != APPLICATION_ID:
            raise StudioError("this is not a DeepLab Studio project", path=path, hint="Choose another file.")
        if version > LATEST:
            raise StudioError(
                f"a newer DeepLab Studio made this project (format {version}, this one knows {LATEST})",
                path=path,
                hint="Update DeepLab Studio to open it.",
            )
        connection.execute("SELECT count(*) FROM classes")  # finds a file that is cut off
        if complete:
            complete_for_reading(connection)
    except BaseException as error:
        if connection is not None:
            connection.close()
        if isinstance(error, sqlite3.Error):
            raise project_error(path, error) from error
        raise
    return connection


def _open_in_sealed_folder(path: Path) -> OpenFile:
    """Open a project in a folder that takes no new file, where SQLite cannot keep the files it reads a log with."""
    refusal = "its folder cannot be written"
    log = _log(path)
    if not log.exists():
        return OpenFile(_open_reader(path, "mode=ro&immutable=1"), None, refusal)
    copy = tempfile.TemporaryDirectory(prefix="deeplab-studio-")
    try:
        for source in (path, log):
            shutil.copyfile(source, Path(copy.name) / source.name)
        return OpenFile(_open_reader(Path(copy.name) / path.name), None, refusal, copy)
    except BaseException as error:
        copy.cleanup()
        if isinstance(error, OSError):
            raise StudioError(f"it cannot be read ({error.strerror})", path=path) from error
        if isinstance(error, StudioError):
            error.path = path
        raise
