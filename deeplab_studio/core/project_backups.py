"""Copies of a project that are made from time to time, and going back to one when the file is damaged.

They lie in one hidden folder beside the project, so that they go where the data set goes and end when it does. A copy
counts only once it was read again as a whole: a damaged project never takes the place of a copy that is not.
"""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import sys
from contextlib import closing, suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from deeplab_studio.core.cancel import CancelToken
from deeplab_studio.core.errors import StudioError
from deeplab_studio.core.files import atomic_write, explain_os_error
from deeplab_studio.core.project_file import (
    OpenFile,
    WriterLock,
    connect,
    copy_into,
    log_path,
    open_existing,
    open_reader,
    project_error,
)
from deeplab_studio.core.project_maps import PackedMap, unpack_map
from deeplab_studio.core.project_schema import DamagedProject, migrate, read_label_set

FOLDER_NAME = ".deeplab-studio-backups"
"""Hidden folder of the copies, beside the project."""

KEPT = 3
"""Copies of one project; a new one takes the place of the oldest."""

EVERY = timedelta(days=1)
"""A copy is made when the newest is older than this."""

LEAVE_FREE = 512 << 20
"""Bytes that a copy leaves free on the disk: it must never be what fills it."""

_STEP_PAGES = 256
_TIME = "%Y-%m-%d %H-%M-%S"
_NAME = re.compile(r" (\d{4}-\d\d-\d\d \d\d-\d\d-\d\d)\.dlsproj$")


class Backup(NamedTuple):
    """A copy of a project: its file, and when it was made, in the time of the place it was made in."""

    path: Path
    made: datetime


class Restored(NamedTuple):
    """What was done about a damaged project.

    Attributes
    ----------
    backup : Backup
        The copy that was taken.
    kept : Path
        What the damaged file is called now.
    rescued : int
        Images whose class map was newer in the damaged file and could be read there.
    """

    backup: Backup
    kept: Path
    rescued: int

    @property
    def notice(self) -> str:
        """What a person should know, in one sentence."""
        maps = f"{self.rescued} newer class map{'s' * (self.rescued != 1)}"
        newer = f", with {maps} saved from it" if self.rescued else ""
        return (
            f"The project file was damaged, so the copy of {self.backup.made:%Y-%m-%d %H:%M} was opened{newer}; "
            f"the damaged file is kept as {self.kept.name}."
        )


def backups(project: Path) -> list[Backup]:
    """The copies of a project file, newest first."""
    found = []
    for path in _folder(project).glob("*.dlsproj"):
        match = _NAME.search(path.name)
        if match is not None and path.name[: match.start()] == project.stem:
            with suppress(ValueError):
                found.append(Backup(path, datetime.strptime(match[1], _TIME)))
    return sorted(found, key=lambda backup: backup.made, reverse=True)


def is_due(project: Path, now: datetime | None = None) -> bool:
    """Whether the newest copy is older than `EVERY`, or there is none."""
    newest = next(iter(backups(project)), None)
    age = (now or datetime.now()) - newest.made if newest is not None else EVERY
    return not timedelta(0) <= age < EVERY


def make_backup(project: Path, cancel: CancelToken | None = None, now: datetime | None = None) -> Backup | None:
    """Copy a project file, which may be written meanwhile, and let go of the oldest copy.

    Parameters
    ----------
    project : Path
    cancel : CancelToken, optional
    now : datetime, optional
        Goes into the copy's name.

    Returns
    -------
    Backup or None
        None if nothing was decided in the project since the newest copy was made, or the disk has no room to spare.

    Raises
    ------
    DamagedProject
        If the copy is not whole: the project is damaged. The copies of before are all still there.
    StudioError
        If it cannot be written.
    Cancelled
    """
    now = now or datetime.now()
    known = backups(project)
    folder = _folder(project)
    target = folder / f"{project.stem} {now:{_TIME}}.dlsproj"
    try:
        size = project.stat().st_size + (log_path(project).stat().st_size if log_path(project).exists() else 0)
        if shutil.disk_usage(project.parent).free < size + LEAVE_FREE:
            return None
        # A connection that cannot write leaves the files of the log behind where nobody else has the project open.
        in_use = WriterLock.file_of(project).exists() or log_path(project).exists()
        with closing(connect(project, "mode=ro" if in_use else "mode=ro&immutable=1")) as source:
            # One state of the project from here on, whoever writes: with the log nobody waits for anybody.
            source.execute("BEGIN")
            if not _is_news(source, known):
                return None
            _make_folder(folder)
            with atomic_write(target) as temporary:
                _copy(source, temporary, cancel)
                problem = find_damage(temporary, cancel)
                if problem is not None:
                    raise DamagedProject(f"the project file is damaged ({problem})", path=project)
    except sqlite3.Error as error:
        raise project_error(project, error) from error
    except OSError as error:
        reason, hint = explain_os_error(error)
        raise StudioError(f"no backup could be made because {reason}", path=project, hint=hint) from error
    for old in known[KEPT - 1 :]:
        with suppress(OSError):
            old.path.unlink()
    return Backup(target, now.replace(microsecond=0))


def find_damage(file: Path, cancel: CancelToken | None = None) -> str | None:
    """Read all of a project file.

    Parameters
    ----------
    file : Path
        Written by nobody.
    cancel : CancelToken, optional

    Returns
    -------
    str or None
        What is wrong with it, None if it is whole.
    """
    try:
        with closing(open_reader(file, "mode=ro&immutable=1", complete=False)) as reader:
            (answer,) = reader.execute("PRAGMA quick_check(1)").fetchone()
            if answer != "ok":
                return str(answer).replace("\n", " ")
            damaged = 0
            for row in reader.execute("SELECT width, height, labels, pins, crc FROM maps"):
                if cancel is not None:
                    cancel.raise_if_cancelled()
                damaged += not PackedMap(*row).is_whole
    except (StudioError, sqlite3.Error) as error:
        return error.reason if isinstance(error, StudioError) else str(error)
    return f"{damaged} class map{'s' * (damaged != 1)}" if damaged else None


def open_or_restore(path: Path) -> OpenFile:
    """Open a project file; if it is damaged and there is a copy that is whole, go back to that.

    Raises
    ------
    StudioError
        As `open_existing`.
    """
    try:
        return open_existing(path)
    except DamagedProject:
        restored = restore(path)
        if restored is None:
            raise
        opened = open_existing(path)
        opened.restored = restored
        return opened


def restore(path: Path) -> Restored | None:
    """Put the newest whole copy in the place of a damaged project, which is kept under another name.

    Class maps that are newer in the damaged file and can still be read are taken over from it, unless its label set is
    another one: their ids could mean something else.

    Parameters
    ----------
    path : Path
        The project; nobody may have it open.

    Returns
    -------
    Restored or None
        None if no copy is whole, somebody has the project open, or its folder cannot be written. Nothing is changed
        then.
    """
    backup = next((each for each in backups(path) if find_damage(each.path) is None), None)
    if backup is None:
        return None
    lock: WriterLock | None = None
    try:
        lock = WriterLock.acquire(path)
        if lock is None:
            return None
        kept = _free_name(path)
        with atomic_write(path) as temporary:
            with closing(connect(backup.path, "mode=ro&immutable=1")) as source:
                copy_into(source, temporary)
            rescued = _rescue(path, temporary)
            # The log first: it would be taken for one of the new file.
            _move(log_path(path), log_path(kept))
            path.with_name(f"{path.name}-shm").unlink(missing_ok=True)
            _keep(path, kept)
    except (OSError, sqlite3.Error, StudioError):
        return None
    finally:
        if lock is not None:
            lock.release()
    return Restored(backup, kept, rescued)


def _folder(project: Path) -> Path:
    return project.with_name(FOLDER_NAME)


def _make_folder(folder: Path) -> None:
    if folder.is_dir():
        return
    folder.mkdir()
    if sys.platform == "win32":
        import ctypes

        hidden = 2
        ctypes.windll.kernel32.SetFileAttributesW(str(folder), hidden)


def _is_news(source: sqlite3.Connection, known: list[Backup]) -> bool:
    """Whether anybody has decided anything since the newest copy was made."""
    (changed,) = source.execute("SELECT max(changed_at) FROM items").fetchone()
    if changed is None:
        return False
    if not known:
        return True
    if changed >= known[0].made.timestamp():
        return True
    try:
        with closing(open_reader(known[0].path, "mode=ro&immutable=1", complete=False)) as newest:
            return read_label_set(newest, known[0].path) != read_label_set(source, known[0].path)
    except StudioError:
        return True


def _copy(source: sqlite3.Connection, file: Path, cancel: CancelToken | None) -> None:
    def progress(_status: int, _remaining: int, _total: int) -> None:
        if cancel is not None:
            cancel.raise_if_cancelled()

    with closing(sqlite3.connect(file)) as target:
        target.execute("PRAGMA journal_mode = MEMORY")
        source.backup(target, pages=_STEP_PAGES, progress=progress)


def _free_name(path: Path) -> Path:
    """What a damaged project is called from now on."""
    stem = f"{path.name}-damaged-{datetime.now():%Y-%m-%d}"
    numbers = (path.with_name(stem if number == 1 else f"{stem}-{number}") for number in range(1, 1000))
    return next(name for name in numbers if not name.exists())


def _move(source: Path, target: Path) -> None:
    with suppress(FileNotFoundError):
        source.replace(target)


def _keep(path: Path, kept: Path) -> None:
    """Give a file a second name, so that there is one of the first at every moment."""
    try:
        os.link(path, kept)
    except OSError:  # a drive without links
        shutil.copyfile(path, kept)


def _rescue(damaged: Path, file: Path) -> int:
    """Take over newer class maps and states from a damaged project; how many class maps."""
    rescued = 0
    with suppress(sqlite3.Error, StudioError), closing(connect(file, "mode=rw")) as target:
        target.execute("PRAGMA journal_mode = MEMORY")
        migrate(target)
        with closing(connect(damaged, "mode=ro")) as source:
            if read_label_set(source, damaged) != read_label_set(target, file):
                return 0
            target.execute("BEGIN")
            for item_id in sorted(_ids(source) | _ids(target)):
                with suppress(sqlite3.Error, ValueError):
                    rescued += _rescue_item(source, target, item_id)
            target.execute("COMMIT")
    return rescued


def _ids(connection: sqlite3.Connection) -> set[int]:
    """The items that can be found before what is damaged ends the search."""
    found: set[int] = set()
    with suppress(sqlite3.Error):
        for (item_id,) in connection.execute("SELECT id FROM items"):
            found.add(item_id)
    return found


def _rescue_item(source: sqlite3.Connection, target: sqlite3.Connection, item_id: int) -> bool:
    """Take over one item; whether its class map was newer.

    Raises
    ------
    sqlite3.Error, ValueError
        If what is needed of it cannot be read.
    """
    columns = "key, name, state, model, crf, added_at, changed_at"
    find = f"SELECT {columns} FROM items WHERE id = ?"
    there, here = (connection.execute(find, (item_id,)).fetchone() for connection in (source, target))
    if there is None or (here is not None and here[0] != there[0]):
        return False
    if here is None:
        target.execute(f"INSERT INTO items (id, {columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", (item_id, *there))
    elif (there[-1] or 0) > (here[-1] or 0):
        target.execute(
            "UPDATE items SET state = ?, model = ?, crf = ?, changed_at = ? WHERE id = ?",
            (there[2], there[3], there[4], there[6], item_id),
        )
    newer, older = (
        connection.execute("SELECT * FROM maps WHERE item_id = ?", (item_id,)).fetchone()
        for connection in (source, target)
    )
    if newer is None or (older is not None and older[-1] >= newer[-1]):
        return False
    unpack_map(PackedMap(*newer[1:6]))
    target.execute("INSERT OR REPLACE INTO maps VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", newer)
    target.execute("DELETE FROM class_pixels WHERE item_id = ?", (item_id,))  # they are counted again
    return True
