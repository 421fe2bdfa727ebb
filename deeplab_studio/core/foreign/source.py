"""What all readers of other programs' label data have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np

from deeplab_studio.core.classmap import Labels
from deeplab_studio.core.errors import StudioError
from deeplab_studio.core.images import ImageSize
from deeplab_studio.core.labels import MAX_CLASSES, Colour, LabelSet

_T = TypeVar("_T")

_MASK_ENDINGS = (
    "_gtFine_labelIds",
    "_gtFine_labelTrainIds",
    "_gtCoarse_labelIds",
    "_gtCoarse_labelTrainIds",
    "_labelTrainIds",
    "_labelIds",
    "_segmentation",
    "_annotation",
    "_labels",
    "_label",
    "_mask",
    "_seg",
    "_gt",
)
"""What programs and data sets add to a photo's name to name its mask; the longest first."""

_PHOTO_ENDINGS = ("_leftImg8bit", "_image", "_img")


@dataclass(frozen=True, slots=True)
class SourceClass:
    """A class as the other program has it.

    Parameters
    ----------
    id : int, 0..254
        Its value in the maps that `LabelSource.read` returns; where a file has no small numbers of its own, its place.
    name : str
    colour : (int, int, int), optional
        RGB, where the source states one.
    """

    id: int
    name: str
    colour: Colour | None = None


@dataclass(frozen=True, slots=True)
class PhotoLabels:
    """The labels of one photo.

    Parameters
    ----------
    labels : (H, W) uint8 array
        Source ids, 255 where void, of the upright photo's size.
    notes : tuple of str
        What a person should know: that the map was turned with the photo, that shapes lie over each other.
    """

    labels: Labels
    notes: tuple[str, ...] = ()


class LabelSource(ABC, Generic[_T]):
    """Label data of another program.

    Parameters
    ----------
    path : Path
        The file or folder it was found in.
    entries : mapping of Path to object
        Where the labels of each photo are, for those photos that have some.
    problems : sequence of StudioError
        What was found but cannot be used.

    Attributes
    ----------
    format : str
        What people call the format.
    """

    format: str

    def __init__(self, path: Path, entries: Mapping[Path, _T], problems: Sequence[StudioError] = ()) -> None:
        self.path = path
        self.problems = list(problems)
        self._entries = dict(entries)

    @property
    def photos(self) -> list[Path]:
        """The photos that have labels here."""
        return list(self._entries)

    @property
    @abstractmethod
    def classes(self) -> tuple[SourceClass, ...]:
        """Its classes, by id. Ids that turn up in a mask although nothing names them are not among them."""

    def read(self, photo: Path, size: ImageSize) -> PhotoLabels:
        """The labels of one photo.

        Parameters
        ----------
        photo : Path
            One of `photos`.
        size : ImageSize
            Of that photo.

        Raises
        ------
        StudioError
            If they cannot be read or do not fit the photo.
        """
        return self._read(self._entries[photo], size)

    @abstractmethod
    def _read(self, entry: _T, size: ImageSize) -> PhotoLabels:
        """The labels of one entry."""

    def name_of(self, source_id: int) -> str:
        """What a person reads for a source id."""
        return next((each.name for each in self.classes if each.id == source_id), f"class {source_id}")


def named_classes(names: Sequence[str], path: Path, first_id: int = 0) -> tuple[SourceClass, ...]:
    """Classes numbered in the order of their names.

    Raises
    ------
    StudioError
        If there are more than a map can tell apart.
    """
    if len(names) + first_id > MAX_CLASSES:
        raise StudioError(
            f"it has {len(names)} classes, a class map can tell {MAX_CLASSES - first_id} apart",
            path=path,
            hint="Import it in parts, each with some of the classes.",
        )
    return tuple(SourceClass(first_id + i, name) for i, name in enumerate(names))


def classes_of(label_set: LabelSet) -> tuple[SourceClass, ...]:
    """The classes of a label set as those of a source."""
    return tuple(SourceClass(i, label.name, label.colour) for i, label in enumerate(label_set))


class PhotoIndex:
    """Finds the photo that a mask or an annotation is about, by name.

    Parameters
    ----------
    photos : sequence of Path
    """

    def __init__(self, photos: Sequence[Path]) -> None:
        self._by_stem: dict[str, list[Path]] = {}
        self._by_name: dict[str, list[Path]] = {}
        for photo in photos:
            self._by_name.setdefault(photo.name.casefold(), []).append(photo)
            for key in {photo.stem, _without(photo.stem, _PHOTO_ENDINGS)}:
                self._by_stem.setdefault(key.casefold(), []).append(photo)

    def of_mask(self, mask: Path) -> Path | None:
        """The photo of a mask file: of the same name, or the same but for an ending such as "_mask".

        Raises
        ------
        StudioError
            If several photos could be meant.
        """
        for key in (mask.stem, _without(mask.stem, _MASK_ENDINGS)):
            found = self._by_stem.get(key.casefold())
            if found:
                return _nearest(mask, found)
        return None

    def of_name(self, name: str, source: Path) -> Path | None:
        """The photo that a file calls `name`, which may hold folders of either kind of slash.

        Raises
        ------
        StudioError
            If several photos could be meant.
        """
        stated = source.parent / name.replace("\\", "/")
        found = self._by_name.get(stated.name.casefold()) or self._by_stem.get(stated.stem.casefold())
        return _nearest(stated, found) if found else None


def _without(stem: str, endings: Sequence[str]) -> str:
    return next((stem[: -len(ending)] for ending in endings if stem.endswith(ending) and stem != ending), stem)


def _nearest(path: Path, photos: Sequence[Path]) -> Path:
    """Of photos of one name the one whose folders are called most like those of `path`, seen from the end."""
    if len(photos) == 1:
        return photos[0]
    folders = [part.casefold() for part in reversed(path.parent.parts)]

    def likeness(photo: Path) -> int:
        shared = 0
        for mine, theirs in zip(folders, reversed(photo.parent.parts), strict=False):
            if mine != theirs.casefold():
                break
            shared += 1
        return shared

    ranked = sorted(photos, key=likeness, reverse=True)
    if likeness(ranked[0]) == likeness(ranked[1]):
        raise StudioError(
            f"{len(photos)} photos have that name, among them {ranked[0]} and {ranked[1]}",
            path=path,
            hint="Open only the folder that it belongs to.",
        )
    return ranked[0]


def turned(labels: Labels, size: ImageSize, path: Path) -> PhotoLabels:
    """Bring a map to the size of its upright photo.

    A map made by a program that ignores the EXIF orientation lies as the photo is stored; it is turned with the photo.

    Parameters
    ----------
    labels : (h, w) uint8 array
    size : ImageSize
    path : Path
        Where the map is from, for the message.

    Raises
    ------
    StudioError
        If it has neither the upright nor the stored size.
    """
    found = labels.shape[::-1]
    upright, stored = (size.width, size.height), size.stored
    if found == upright and (size.orientation < 5 or upright != stored):
        return PhotoLabels(labels)
    if found == stored and size.orientation >= 5:
        note = f"{path.name}: the mask lies as the photo is stored and was turned with it"
        return PhotoLabels(np.ascontiguousarray(size.upright(labels)), (note,))
    raise StudioError(
        f"the labels are for {found[0]} x {found[1]} pixels, the photo has {upright[0]} x {upright[1]}",
        path=path,
        hint="Export them again for this photo, at its full size.",
    )
