"""Files and folders: writing without ever leaving half a file, and finding the images a person means."""

# The search works on plain strings: ten thousand Path objects cost more than the disk.
# ruff: noqa: PTH100, PTH116, PTH118, PTH122, PTH123

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import shutil
import stat
import sys
import unicodedata
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

from deeplab_studio.core.cancel import CancelToken
from deeplab_studio.core.errors import StudioError
from deeplab_studio.core.image_formats import (
    HEAD_BYTES,
    IMAGE_SUFFIXES,
    READABLE,
    ImageError,
    foreign_kind,
    identify,
    is_raw_photo,
    raw_photo_error,
)

TEMPORARY_PREFIX: Final = ".deeplab-studio-"
"""How the name of every file begins that `atomic_write` has not given its own yet."""

_REASONS: Final[dict[int, tuple[str, str]]] = {
    errno.ENOENT: ("it is no longer there", "Check that the folder still exists and its drive is connected."),
    errno.ENOTDIR: ("a part of its path is a file, not a folder", "Choose another folder."),
    errno.EACCES: ("permission is denied", "Change the permissions, or choose another place."),
    errno.EPERM: ("permission is denied", "Change the permissions, or choose another place."),
    errno.EROFS: ("the drive is read-only", "Choose a folder on another drive."),
    errno.ENOSPC: ("the disk is full", "Free some space or choose another drive, then try again."),
    errno.EDQUOT: ("your disk quota is used up", "Free some space or choose another drive, then try again."),
    errno.EFBIG: ("the file would be larger than the system allows", "Choose another drive."),
    errno.ENAMETOOLONG: ("the name is too long for this drive", "Use a shorter file or folder name."),
    errno.EILSEQ: ("the name holds a character this drive cannot store", "Use another name."),
    errno.EISDIR: ("it is a folder", "Choose a file."),
    errno.ELOOP: ("its links lead in a circle", "Remove the link, or choose the file itself."),
    errno.EMFILE: ("the program has too many files open", "Close some windows, then try again."),
    errno.ENFILE: ("the system has too many files open", "Close some programs, then try again."),
    errno.EBUSY: ("another program is using it", "Close it there, then try again."),
    errno.EIO: ("the drive reports an error", "Check the drive and its cable; copy the data elsewhere if you can."),
}


def explain_os_error(error: OSError) -> tuple[str, str]:
    """Say an operating system error in plain words.

    Parameters
    ----------
    error : OSError

    Returns
    -------
    reason, hint : str
        For a `StudioError`; both never empty.
    """
    known = _REASONS.get(error.errno or 0)
    if known:
        return known
    text = error.strerror or str(error) or type(error).__name__
    return f"the system says '{text}'", "Check the drive, then try again."


@contextlib.contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Write a file so that it is there whole or not at all.

    The block writes to a hidden file with an unpredictable name in the same folder; when it ends without an error the
    bytes are forced to the disk and the file takes the target's name in one step. If anything fails, the block's own
    exception included, a file that was there before stays untouched and nothing else is left.

    The target's permissions are kept; a new file gets the usual ones. A symbolic link at the target is replaced, never
    followed: behind it may be a person's original.

    Parameters
    ----------
    path : path-like
        The target. Its folder must exist.

    Yields
    ------
    Path
        The file to write: empty, with the target's suffix. It can be read again and checked inside the block, but
        must be closed when the block ends.

    Raises
    ------
    StudioError
        If the system refuses: full disk, read-only folder, missing folder, name too long and the like. It carries the
        target's path. An OSError about another file, and any other exception of the block, passes unchanged.

    Examples
    --------
    >>> with atomic_write("mask.png") as temporary:  # doctest: +SKIP
    ...     temporary.write_bytes(data)
    """
    target = Path(os.path.abspath(path))  # not resolved: a link at the target stays a link
    temporary = target.with_name(f"{TEMPORARY_PREFIX}{secrets.token_hex(8)}{target.suffix[:16]}")
    try:
        if target.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        # Not tempfile: its files are private to the user, while a data set is made to be shared. "x" refuses a name
        # that is taken, and leaves the permissions to the umask as for any other new file.
        temporary.open("xb").close()
        try:
            yield temporary
            with temporary.open("r+b") as file:
                os.fsync(file.fileno())
            with contextlib.suppress(OSError):
                shutil.copymode(target, temporary)
            temporary.replace(target)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise
    except OSError as error:
        elsewhere = error.filename is not None and Path(os.fsdecode(error.filename)) not in (temporary, target)
        if elsewhere or error.errno is None:
            raise
        raise _not_written(target, error) from error
    _sync_folder(target.parent)


def _not_written(target: Path, error: OSError) -> StudioError:
    reason, hint = explain_os_error(error)
    if error.errno == errno.ENOENT:
        reason, hint = "that folder does not exist", "Create it, or choose another folder."
    elif error.errno == errno.EISDIR:
        reason, hint = "a folder of that name is in the way", "Choose another name."
    return StudioError(f"it could not be saved in '{target.parent}' because {reason}", path=target, hint=hint)


def _sync_folder(folder: Path) -> None:
    """Force the new name itself to the disk."""
    if os.name != "posix":
        return
    # The file is complete and in place; some network drives refuse to open or sync a folder, and that is no failure.
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


_DIGITS: Final = re.compile("[0-9]+")


def natural_key(text: str) -> str:
    """Sort key that puts ``img2`` before ``img10`` and ignores case.

    Parameters
    ----------
    text : str
        A file name, or any other text.

    Returns
    -------
    str
        Equal only for equal texts. A string, not a tuple, because ten thousand of them are then sorted in a few
        milliseconds, during which nothing else in the process can run.

    Examples
    --------
    >>> sorted(["b10", "B9", "a"], key=natural_key)
    ['a', 'B9', 'b10']
    """
    folded = unicodedata.normalize("NFC", text).casefold()
    return f"{_DIGITS.sub(_number_key, folded)}\0{text}"


def _number_key(match: re.Match[str]) -> str:
    """A number as a digit, to keep its place among letters, then its length, then itself."""
    bare = match[0].lstrip("0")
    return f"0{chr(min(1 + len(bare), sys.maxunicode))}{bare}"


class FoundImages(NamedTuple):
    """What `find_images` found.

    Attributes
    ----------
    images : list of Path
        Absolute paths: folder by folder, in natural order, each file once.
    problems : list of StudioError
        What could not be read or holds no image; the rest is unaffected.
    """

    images: list[Path]
    problems: list[StudioError]


def find_images(
    paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]], cancel: CancelToken | None = None
) -> FoundImages:
    """Find the images in files, folders, or a mixture.

    Folders are searched with everything below them; in them, files are taken by their suffix (`IMAGE_SUFFIXES`), and
    hidden files and folders are left out. A file that is named itself is taken whatever it is called, if its first
    bytes are those of an image. A file or folder reached in several ways (named twice, through a link) counts once.

    Parameters
    ----------
    paths : path-like or iterable of path-like
        Files and folders, existing or not.
    cancel : CancelToken, optional
        Polled for every few hundred entries.

    Returns
    -------
    FoundImages

    Raises
    ------
    Cancelled
        If `cancel` was set.
    """
    given = [paths] if isinstance(paths, (str, os.PathLike)) else list(paths)
    search = _Search(cancel)
    for path in given:
        search.start(os.path.abspath(path))
    search.run()
    return FoundImages(search.sorted_images(), search.problems)


class _Search:
    """One run of `find_images`."""

    def __init__(self, cancel: CancelToken | None) -> None:
        self.problems: list[StudioError] = []
        self._cancel = cancel
        self._folders: deque[str] = deque()
        self._named_folders: dict[str, None] = {}
        # Links wait until everything they may point to was reached directly, so that the direct way is the one shown.
        self._linked_folders: deque[str] = deque()
        self._linked_files: list[tuple[str, str]] = []
        self._seen_folders: dict[tuple[int, int], str] = {}
        self._seen_files: set[str] = set()
        self._images: list[tuple[str, str]] = []

    def start(self, path: str) -> None:
        """Take a path that a person named."""
        self._poll()
        try:
            kind = os.stat(path).st_mode
        except OSError as error:
            self._problem(path, error)
            return
        if stat.S_ISDIR(kind):
            self._folders.append(path)
            self._named_folders[path] = None
            return
        if not stat.S_ISREG(kind):
            self.problems.append(ImageError("it is neither a file nor a folder", path=path, hint="Choose an image."))
            return
        folder, name = os.path.split(path)
        if _suffix(name) in IMAGE_SUFFIXES or self._is_image(path):
            self._take(folder, name, os.path.realpath(path))

    def run(self) -> None:
        """Search the folders."""
        while self._folders or self._linked_folders:
            folder = self._folders.popleft() if self._folders else self._linked_folders.popleft()
            self._poll()
            try:
                self._list(folder)
            except OSError as error:
                self._problem(folder, error)
                self._named_folders.pop(folder, None)
        for path, real in self._linked_files:
            self._take(*os.path.split(path), real)
        holding = {folder for folder, _ in self._images}
        for folder in self._named_folders:
            inside = os.path.join(folder, "")
            if folder not in holding and not any(other.startswith(inside) for other in holding):
                self.problems.append(StudioError("no image was found in this folder", path=folder, hint=READABLE))

    def sorted_images(self) -> list[Path]:
        """Every image once, folder by folder."""
        keys: dict[str, tuple[str, ...]] = {}
        for folder, _ in self._images:
            if folder not in keys:
                keys[folder] = tuple(natural_key(part) for part in Path(folder).parts)
        self._images.sort(key=lambda image: (keys[image[0]], natural_key(image[1])))
        return [Path(folder, name) for folder, name in self._images]

    def _list(self, folder: str) -> None:
        status = os.stat(folder)
        identity = (status.st_dev, status.st_ino)
        first = self._seen_folders.get(identity)
        if first is not None:
            if first != folder:
                # Searched already under another name; whether it holds an image is said there.
                self._named_folders.pop(folder, None)
            return
        self._seen_folders[identity] = folder
        real = os.path.realpath(folder)
        with os.scandir(folder) as entries:
            for position, entry in enumerate(entries):
                if position % 256 == 0:
                    self._poll()
                try:
                    self._take_entry(folder, real, entry)
                except OSError as error:
                    # A link that leads nowhere, for one; it concerns a person only if it looks like an image.
                    if _suffix(entry.name) in IMAGE_SUFFIXES:
                        self._problem(entry.path, error)

    def _take_entry(self, folder: str, real: str, entry: os.DirEntry[str]) -> None:
        if _is_hidden(entry):
            return
        if entry.is_dir():
            (self._linked_folders if entry.is_symlink() else self._folders).append(entry.path)
        elif _suffix(entry.name) in IMAGE_SUFFIXES:
            if entry.is_symlink():
                self._follow(entry)
            elif entry.is_file():
                self._take(folder, entry.name, os.path.join(real, entry.name))

    def _follow(self, entry: os.DirEntry[str]) -> None:
        if entry.is_file():
            self._linked_files.append((entry.path, os.path.realpath(entry.path)))
        else:
            hint = "Restore the file it points to, or remove the link."
            self.problems.append(ImageError("it is a link to a file that is not there", path=entry.path, hint=hint))

    def _take(self, folder: str, name: str, real: str) -> None:
        real = os.path.normcase(real)
        if real not in self._seen_files:
            self._seen_files.add(real)
            self._images.append((folder, name))

    def _is_image(self, path: str) -> bool:
        """Whether the content of a file without a usual suffix is an image; if not, that is a problem."""
        try:
            with open(path, "rb") as file:
                head = file.read(HEAD_BYTES)
        except OSError as error:
            self._problem(path, error)
            return False
        if is_raw_photo(path):
            self.problems.append(raw_photo_error(path))
            return False
        if identify(head) is None:
            reason, hint = foreign_kind(head)
            self.problems.append(ImageError(reason, path=path, hint=hint))
            return False
        return True

    def _problem(self, path: str, error: OSError) -> None:
        reason, hint = explain_os_error(error)
        self.problems.append(StudioError(f"it could not be read because {reason}", path=path, hint=hint))

    def _poll(self) -> None:
        if self._cancel is not None:
            self._cancel.raise_if_cancelled()


def _suffix(name: str) -> str:
    return os.path.splitext(name)[1].lower()


def _is_hidden(entry: os.DirEntry[str]) -> bool:
    if entry.name.startswith("."):
        return True
    if os.name != "nt":
        return False
    attributes = getattr(entry.stat(follow_symlinks=False), "st_file_attributes", 0)
    return bool(attributes & stat.FILE_ATTRIBUTE_HIDDEN)
