"""What a project knows an image by: its key, its name in an export, its state."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from deeplab_studio.core.voc.layout import id_for_path

STATES = ("new", "in progress", "done", "reviewed", "empty")
"""What an item can be; "empty" means that nobody needs to label it, not that a map is missing."""


@dataclass(frozen=True, slots=True)
class Item:
    """One image of a project.

    Parameters
    ----------
    id : int
        Never changes and is never given again.
    key : str
        The photo's path from the project's root, with forward slashes; absolute if it lies elsewhere.
    path : Path
        The photo. It may have gone since.
    state : str
        One of `STATES`.
    name : str
        What the item is called in an exported data set; unique, and the same in every export.
    """

    id: int
    key: str
    path: Path
    state: str
    name: str


def absolute_path(path: Path) -> Path:
    """A path from the root of the file system on, by the links a person sees."""
    return Path(os.path.abspath(path))  # noqa: PTH100 - resolve() follows links: a person sees the path they chose


def item_key(path: Path, root: Path | None) -> str:
    """The key of a photo in a project of that root, see `Item`."""
    absolute = str(absolute_path(path))
    if root is not None:
        inside = f"{root}{os.sep}" if not str(root).endswith(os.sep) else str(root)
        if not absolute.startswith(inside):  # perhaps by way of a link
            real, real_root = os.path.realpath(absolute), f"{os.path.realpath(root).rstrip(os.sep)}{os.sep}"
            if real.startswith(real_root):
                absolute, inside = real, real_root
        absolute = absolute.removeprefix(inside)
    return absolute.replace(os.sep, "/")


def key_to_db(key: str) -> str | bytes:
    """A key as SQLite can hold it: text, or bytes if the file's name is no valid text."""
    try:
        key.encode("utf-8")
    except UnicodeEncodeError:
        return os.fsencode(key)
    return key


def item_from_db(root: Path | None, item_id: int, key: str | bytes, state: str, name: str) -> Item:
    """The item of a row of the project file."""
    text = os.fsdecode(key) if isinstance(key, bytes) else key
    path = Path(text) if root is None else root / text  # an absolute key stays absolute
    return Item(item_id, text, path, state, name)


def free_names(keys: Iterable[str], taken: Iterable[str]) -> list[str]:
    """A name for each key that no item has: what it would like to be called, told apart by a hash where needed."""
    used = {name.casefold() for name in taken}
    names = []
    for key in keys:
        name = id_for_path(key)
        if name.casefold() in used:
            name = f"{name}_{hashlib.sha256(key.encode('utf-8', 'surrogateescape')).hexdigest()[:8]}"
        used.add(name.casefold())
        names.append(name)
    return names


def file_signature(path: Path) -> tuple[int | None, int | None]:
    """Size in bytes and time of change in nanoseconds of a file; None for both if it cannot be looked at."""
    try:
        status = path.stat()
    except OSError:
        return None, None
    return status.st_size, status.st_mtime_ns
