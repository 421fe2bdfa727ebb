"""What all writers of other programs' label data have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from deeplab_studio.core.classmap import Labels
from deeplab_studio.core.errors import StudioError
from deeplab_studio.core.files import atomic_write, explain_os_error
from deeplab_studio.core.images import ImageSize
from deeplab_studio.core.labels import VOID, LabelSet


@dataclass(frozen=True, slots=True)
class LabelledPhoto:
    """One photo and its class map.

    Parameters
    ----------
    name : str
        What its files are called, without ending.
    path : Path
    size : ImageSize
    labels : (H, W) uint8 array
        Class ids, 255 where void, of the upright photo's size.
    split : str
        ``"train"`` or ``"val"``, for formats that tell them apart.
    """

    name: str
    path: Path
    size: ImageSize
    labels: Labels
    split: str = "train"


class LabelWriter(ABC):
    """Writes class maps the way another program reads them, every file whole or not at all.

    Parameters
    ----------
    out : Path
        A folder.
    label_set : LabelSet

    Attributes
    ----------
    void : int
        Void pixels so far.

    Raises
    ------
    StudioError
        If the format cannot hold these classes.
    """

    def __init__(self, out: Path, label_set: LabelSet) -> None:
        self.out = out
        self.label_set = label_set
        self.void = 0

    def add(self, photo: LabelledPhoto) -> None:
        """Write one photo's class map.

        Raises
        ------
        StudioError
            If it cannot be written.
        """
        self.void += int(np.count_nonzero(photo.labels == VOID))
        self._add(photo)

    @abstractmethod
    def _add(self, photo: LabelledPhoto) -> None:
        """Write one photo's class map."""

    def finish(self) -> list[str]:
        """Write what comes last; a sentence for everything that the format could not keep."""
        return self._finish()

    @abstractmethod
    def _finish(self) -> list[str]:
        """Write what comes last."""


@dataclass(frozen=True)
class Regions:
    """The connected regions of one class.

    Parameters
    ----------
    class_id : int
    numbers : (H, W) int32 array
        1 to N inside, 0 elsewhere; pixels that touch at a corner belong together.
    boxes : (N, 4) int32 array
        Left, top, width and height.
    areas : (N,) int32 array
        In pixels.
    """

    class_id: int
    numbers: npt.NDArray[np.int32]
    boxes: npt.NDArray[np.int32]
    areas: npt.NDArray[np.int32]


def regions_of(labels: Labels, class_id: int) -> Regions:
    """Find the connected regions of a class in a class map, (H, W) uint8."""
    import cv2

    inside = (labels == class_id).astype(np.uint8)
    _, numbers, stats, _ = cv2.connectedComponentsWithStats(inside, connectivity=8, ltype=cv2.CV_32S)
    return Regions(class_id, np.asarray(numbers, np.int32), stats[1:, :4], stats[1:, cv2.CC_STAT_AREA])


def all_regions(labels: Labels, class_ids: range) -> Iterator[Regions]:
    """The regions of every one of these classes that occurs."""
    present = set(np.unique(labels).tolist())
    for class_id in class_ids:
        if class_id in present:
            yield regions_of(labels, class_id)


def make_folder(folder: Path) -> None:
    """Make a folder and those above it; a StudioError if that is refused."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason, hint = explain_os_error(error)
        raise StudioError(f"the folder cannot be made because {reason}", path=folder, hint=hint) from error


def write_text(path: Path, text: str) -> None:
    """Write a text file in UTF-8."""
    with atomic_write(path) as temporary:
        temporary.write_bytes(text.encode())


def void_note(pixels: int, what: str) -> list[str]:
    """The sentence about void pixels, if there are any."""
    return [f"{pixels:,} void pixels {what}."] if pixels else []
