"""Opening, creating and locking the file of a project."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
import time
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from deeplab_studio.core.errors import StudioError
from deeplab_studio.core.files import TEMPORARY_PREFIX, atomic_write, explain_os_error
from deeplab_studio.core.project_schema import (
    APPLICATION_ID,
    LATEST,
    DamagedProject,
    complete_for_reading,
    migrate,
    read_label_set,
    schema_version,
)

if TYPE_CHECKING:
    from deeplab_studio.core.project_backups import Restored

_STALE_S = 3600
"""A temporary file that nobody has written to for so long was left by a program that was killed."""


class WriterLock:
    """The right to write a project, held by one window at a time.

    It is SQLite's own exclusive lock on an empty file beside the project: the system drops it with the process, however
    that ends, and it works alike on every system. Two windows that open and close within the same microseconds could
    both get it; SQLite's transactions still keep the project whole then.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self._path = path
        self._connection = connection

    @staticmethod
    def file_of(project: Path) -> Path:
        """The empty file that the lock is on; it is there as long as somebody holds it, and after a crash."""
        return project.with_name(f"{project.name}-lock")

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
        path = cls.file_of(project)
        connection: sqlite3.Connection | None = None
        try:
            connection = connect(path, "mode=rwc", timeout=0.0)
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
    restored : Restored or None
        What was done if the file was damaged and a copy of it was taken instead, now.
    """

    connection: sqlite3.Connection
    lock: WriterLock | None
    refusal: str = ""
    _copy: tempfile.TemporaryDirectory[str] | None = None
    backup: Path | None = None
    restored: Restored | None = None
    identity: tuple[int, int] | None = None
    """Device and number of the file that is written, whatever it is called by now."""

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
            return OpenFile(open_reader(path), None, "another window has it open")
        _sweep(path)
        if not os.access(path, os.W_OK):
            lock.release()
            return OpenFile(open_reader(path), None, "its file cannot be written")
        # Nobody writes, so without a log the file alone is everything, and looking at it alone leaves no trace.
        query = "mode=ro" if log_path(path).exists() else "mode=ro&immutable=1"
        with closing(open_reader(path, query, complete=False)) as reader:
            version = schema_version(reader)
            backup = _back_up(path, reader, version) if 0 < version < LATEST else None
        return OpenFile(_open_writer(path), lock, backup=backup, identity=identify(path))
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
        _sweep(path)
        with atomic_write(path) as temporary:
            copy_into(content, temporary)
        return OpenFile(_open_writer(path), lock, identity=identify(path))
    except sqlite3.Error as error:
        lock.release()
        raise project_error(path, error) from error
    except BaseException:
        lock.release()
        raise


def check_in_place(path: Path, file: OpenFile) -> bool:
    """Whether the file that is written is still the one of that name; False if there is none of that name any more.

    A system that lets go of names lets a program write into a file that nobody will ever find again.

    Raises
    ------
    StudioError
        If its folder is gone, or another file has taken the name.
    """
    try:
        status = path.stat()
    except FileNotFoundError:
        if path.parent.is_dir():
            return False
        raise StudioError(
            "nothing can be saved because its folder is no longer there",
            path=path,
            hint="Move the folder back, or save a copy elsewhere when you close the window.",
        ) from None
    except OSError as error:
        reason, hint = explain_os_error(error)
        raise StudioError(f"nothing can be saved because {reason}", path=path, hint=hint) from error
    if (status.st_dev, status.st_ino) != file.identity:
        raise StudioError(
            "nothing can be saved because another program has replaced the file",
            path=path,
            hint="Save a copy elsewhere when you close the window, then open the folder again.",
        )
    return True


def recreate(path: Path, file: OpenFile) -> OpenFile:
    """Put a file that was moved or deleted while it was open back in its place, with everything in it.

    Raises
    ------
    OSError, StudioError
        If that cannot be done; `file` is as usable as before then.
    """
    with atomic_write(path) as temporary:
        copy_into(file.connection, temporary)
        # Before the name is taken again: closing removes the log by its name, and an old log spoils a new file.
        file.close()
        for left in (log_path(path), path.with_name(f"{path.name}-shm")):
            left.unlink(missing_ok=True)
    lock = WriterLock.acquire(path)
    if lock is None:
        raise StudioError("another window has begun to save here", path=path, hint="Open the folder again.")
    return OpenFile(_open_writer(path), lock, identity=identify(path))


def copy_into(source: sqlite3.Connection, file: Path) -> None:
    """Copy everything a connection sees into an empty file that nobody else knows of."""
    with closing(sqlite3.connect(file)) as target:
        target.execute("PRAGMA journal_mode = MEMORY")  # no second file beside it
        source.backup(target)


def identify(path: Path) -> tuple[int, int]:
    """What tells a file from any other, whatever its name."""
    status = path.stat()
    return status.st_dev, status.st_ino


def project_error(path: Path | None, error: sqlite3.Error) -> StudioError:
    """What a person is told about an error of SQLite's."""
    text = str(error)
    for words, reason, hint in _DAMAGED:
        if words in text:
            return DamagedProject(reason, path=path, hint=hint)
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
)

_DAMAGED = (
    ("not a database", "this is not a DeepLab Studio project, or it is damaged", "Choose another file."),
    ("malformed", "the project file is damaged", "Close the window and open the folder again: a copy is looked for."),
    ("no such table", "the project file is damaged", "Restore it from a copy."),
)


def log_path(path: Path) -> Path:
    """SQLite's write-ahead log of a file."""
    return path.with_name(f"{path.name}-wal")


def backup_path(path: Path, version: int) -> Path:
    """Where the copy of a project of an older format is kept before the project is brought up to date."""
    return path.with_name(f"{path.name}-backup-format-{version}")


def _back_up(path: Path, reader: sqlite3.Connection, version: int) -> Path:
    """Copy a project file with everything in its log, whole or not at all."""
    backup = backup_path(path, version)
    try:
        with atomic_write(backup) as temporary:
            copy_into(reader, temporary)
    except (sqlite3.Error, StudioError) as error:
        reason = error.reason if isinstance(error, StudioError) else str(error)
        raise StudioError(
            f"an older DeepLab Studio made it, and it cannot be copied before it is brought up to date ({reason})",
            path=path,
            hint="Free some space, then open it again.",
        ) from error
    return backup


def _sweep(path: Path) -> None:
    """Remove what programs left that were killed while they made a project file here."""
    with suppress(OSError):
        for left in path.parent.glob(f"{TEMPORARY_PREFIX}*{path.suffix}*"):
            if time.time() - left.stat().st_mtime > _STALE_S:
                left.unlink()


def connect(path: Path, query: str, *, timeout: float = 5.0) -> sqlite3.Connection:
    """Connect to a file, in autocommit mode, with the options of an SQLite URI; any thread may use the connection."""
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
        connection = connect(path, "mode=rw")
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


def open_reader(path: Path, query: str = "mode=ro", *, complete: bool = True) -> sqlite3.Connection:
    """Open for reading, which neither writes the file nor moves the log into it, and check that it is ours.

    With `complete`, an older file seems to have all the tables of today.
    """
    connection: sqlite3.Connection | None = None
    try:
        connection = connect(path, query)
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        version = schema_version(connection)
        if application != APPLICATION_ID:
            raise DamagedProject("this is not a DeepLab Studio project", path=path, hint="Choose another file.")
        if version > LATEST:
            raise StudioError(
                f"a newer DeepLab Studio made this project (format {version}, this one knows {LATEST})",
                path=path,
                hint="Update DeepLab Studio to open it.",
            )
        read_label_set(connection, path)
        connection.execute("SELECT total(length(key) + length(name)) FROM items").fetchone()  # goes through all of it
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
    log = log_path(path)
    if not log.exists():
        return OpenFile(open_reader(path, "mode=ro&immutable=1"), None, refusal)
    copy = tempfile.TemporaryDirectory(prefix="deeplab-studio-")
    try:
        for source in (path, log):
            shutil.copyfile(source, Path(copy.name) / source.name)
        return OpenFile(open_reader(Path(copy.name) / path.name), None, refusal, copy)
    except BaseException as error:
        copy.cleanup()
        if isinstance(error, OSError):
            raise StudioError(f"it cannot be read ({error.strerror})", path=path) from error
        if isinstance(error, StudioError):
            error.path = path
        raise
