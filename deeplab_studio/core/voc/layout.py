"""Where the files of a Pascal VOC data set lie, and what its items may be called."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath

from deeplab_studio.core.errors import StudioError

IMAGES = "JPEGImages"
MASKS = "SegmentationClass"
LISTS = "ImageSets/Segmentation"
LABELMAP = "labelmap.txt"
CLASS_NAMES = "class_names.txt"

YEARS = tuple(str(year) for year in range(2012, 2006, -1))
"""Releases of VOC, newest first."""

NESTED = "VOCdevkit/VOC2012"
"""Where the development kit and ``torchvision.datasets.VOCSegmentation(root, year="2012")`` look inside a root."""

_INSIDE = ("", *(f"{kit}VOC{year}" for kit in ("", "VOCdevkit/", "TrainVal/VOCdevkit/") for year in YEARS))
_SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_MAX_ID = 100
_RESERVED = frozenset({"con", "prn", "aux", "nul", *(f"{p}{n}" for p in ("com", "lpt") for n in range(1, 10))})


@dataclass(frozen=True)
class VocLayout:
    """The folders and files of one data set.

    Parameters
    ----------
    root : Path
        The folder that holds ``JPEGImages``.
    """

    root: Path

    @property
    def images(self) -> Path:
        """Folder of the photos."""
        return self.root / IMAGES

    @property
    def masks(self) -> Path:
        """Folder of the masks."""
        return self.root / MASKS

    @property
    def lists(self) -> Path:
        """Folder of ``train.txt``, ``val.txt`` and ``trainval.txt``."""
        return self.root / LISTS

    @property
    def labelmap(self) -> Path:
        """Names and colours of the classes."""
        return self.root / LABELMAP

    @property
    def class_names(self) -> Path:
        """Names of the classes."""
        return self.root / CLASS_NAMES

    def image(self, item_id: str) -> Path:
        """Photo of an item."""
        return self.images / f"{item_id}.jpg"

    def mask(self, item_id: str) -> Path:
        """Mask of an item."""
        return self.masks / f"{item_id}.png"

    def list_file(self, split: str) -> Path:
        """List of a split's items."""
        return self.lists / f"{split}.txt"


def find_voc(path: Path) -> Path | None:
    """The data set that a folder holds, is, or lies in.

    Parameters
    ----------
    path : Path
        The data set itself, a folder around it (``VOCdevkit``, or the root that holds ``VOCdevkit/VOC2012``; the newest
        year wins), or its ``JPEGImages`` or ``SegmentationClass``.

    Returns
    -------
    Path or None
        The folder that holds ``JPEGImages`` and at least one of ``SegmentationClass``, ``ImageSets`` and
        ``labelmap.txt``; None if there is none.
    """
    path = Path(path)
    if path.name in (IMAGES, MASKS) and _is_voc(path.parent):
        return path.parent
    for inside in _INSIDE:
        root = path / inside if inside else path
        if _is_voc(root):
            return root
    return None


def require_voc(path: Path) -> Path:
    """`find_voc`, or a StudioError that says what was looked for."""
    root = find_voc(path)
    if root is None:
        raise StudioError(
            f"there is no Pascal VOC data set here (a folder with {IMAGES} and {MASKS})"
            if path.is_dir()
            else "no folder",
            path=path,
            hint=f"Choose the folder that holds {IMAGES}.",
        )
    return root


def _is_voc(root: Path) -> bool:
    try:
        return (root / IMAGES).is_dir() and any((root / name).exists() for name in (MASKS, "ImageSets", LABELMAP))
    except OSError:  # not allowed to look
        return False


def is_safe_id(item_id: str) -> bool:
    """Whether an id works as a file name and as a line of a list for every reader on every system.

    ASCII letters, digits, dot, dash and underscore, at most 100: torchvision reads the lists in the encoding of the
    system, the development kit splits them at spaces.
    """
    return (
        len(item_id) <= _MAX_ID
        and _SAFE.fullmatch(item_id) is not None
        and not item_id.endswith(".")
        and item_id.split(".")[0].casefold() not in _RESERVED
    )


def safe_id(name: str) -> str:
    """The id of an item in a data set.

    Parameters
    ----------
    name : str
        Anything; ``/`` separates folders.

    Returns
    -------
    str
        `name` itself if it is a safe id. Folders are joined by two underscores if the result is one. Everything else
        keeps its plain characters and gets eight hexadecimal digits of the name's SHA-256. So the id depends on the
        name alone, never on what else is exported.
    """
    parts = PurePosixPath(name).parts
    joined = "__".join(parts)
    ambiguous = len(parts) > 1 and any("__" in part or part.startswith("_") or part.endswith("_") for part in parts)
    return joined if is_safe_id(joined) and not ambiguous else _hashed(name, joined)


def id_for_path(path: str) -> str:
    """The id to give a photo.

    Parameters
    ----------
    path : str
        From the root of its project, or absolute; with forward slashes.

    Returns
    -------
    str
        Its name without suffix, with its folders before it if the path is not absolute; folders up to ``JPEGImages`` do
        not count.
    """
    folders, _, file_name = path.rpartition("/")
    stem = PurePosixPath(file_name).stem
    parts = folders.split("/") if folders else []
    if IMAGES in parts or path.startswith("/") or PureWindowsPath(path).drive:
        last = len(parts) - parts[::-1].index(IMAGES) if IMAGES in parts else len(parts)
        parts = parts[last:]
    return safe_id("/".join([*parts, stem]))


def _hashed(name: str, joined: str) -> str:
    kept = re.sub(r"[^A-Za-z0-9._-]+", "_", joined).strip("._-")[: _MAX_ID - 9].rstrip("._-")
    return f"{kept or 'image'}_{_digest(name)}"


def _digest(name: str) -> str:
    return hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()[:8]
