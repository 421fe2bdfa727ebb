"""Label sets: the ordered classes a class map refers to, and their colours."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

VOID = 255
"""Class id of pixels left out of training and scoring."""

MAX_CLASSES = 255
"""Ids 0..254 are classes; 255 is void."""

Colour = tuple[int, int, int]


@cache
def voc_palette() -> npt.NDArray[np.uint8]:
    """Pascal VOC's colour of every id.

    Returns
    -------
    (256, 3) uint8 array, read-only
        Row *i* is the RGB colour of id *i*; row 255 is void, (224, 224, 192).

    Notes
    -----
    ``VOClabelcolormap`` of the VOC 2012 development kit: bits 0, 1 and 2 of the id become the highest free bit of red,
    green and blue, then the id is shifted by three, eight times.
    """
    ids = np.arange(256)
    palette = np.zeros((256, 3), np.uint8)
    for bit in range(8):
        for channel in range(3):
            palette[:, channel] |= (((ids >> (3 * bit + channel)) & 1) << (7 - bit)).astype(np.uint8)
    palette.setflags(write=False)
    return palette


VOID_COLOUR: Colour = (224, 224, 192)


@dataclass(frozen=True, slots=True)
class LabelClass:
    """One class: its name and its display colour (RGB, 0..255 each)."""

    name: str
    colour: Colour

    def __post_init__(self) -> None:
        if not self.name.strip():
            raise ValueError("a class needs a name")
        if len(self.colour) != 3 or not all(0 <= channel <= 255 for channel in self.colour):
            raise ValueError(f"class {self.name!r}: colour {self.colour!r} is not three values from 0 to 255")


@dataclass(frozen=True)
class LabelSet:
    """An ordered, immutable set of classes. A class's id is its position; 255 is void and not a member.

    Parameters
    ----------
    classes : tuple of LabelClass
        1 to 255 classes with distinct names.
    name : str
        What people call the set ("Pascal VOC").

    Raises
    ------
    ValueError
        With no class, more than 255, or two of one name.
    """

    classes: tuple[LabelClass, ...]
    name: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "classes", tuple(self.classes))
        if not 1 <= len(self.classes) <= MAX_CLASSES:
            raise ValueError(f"a label set has 1 to {MAX_CLASSES} classes, not {len(self.classes)}")
        names = [label.name for label in self.classes]
        if len(set(names)) != len(names):
            twice = sorted({name for name in names if names.count(name) > 1})
            raise ValueError(f"two classes are called {', '.join(map(repr, twice))}")

    @classmethod
    def from_names(cls, names: Iterable[str], *, name: str = "") -> LabelSet:
        """A label set in the order of `names`, coloured with `voc_palette`."""
        palette = voc_palette()
        return cls(tuple(LabelClass(text, _colour(palette[i])) for i, text in enumerate(names)), name)

    def __len__(self) -> int:
        return len(self.classes)

    def __iter__(self) -> Iterator[LabelClass]:
        return iter(self.classes)

    def __getitem__(self, class_id: int) -> LabelClass:
        return self.classes[class_id]

    @property
    def names(self) -> tuple[str, ...]:
        """Names in the order of the ids."""
        return tuple(label.name for label in self.classes)

    def name_of(self, class_id: int) -> str:
        """The name a person reads for an id: the class's, ``"void"``, or ``"class 77"`` for one outside the set."""
        if class_id == VOID:
            return "void"
        return self.classes[class_id].name if 0 <= class_id < len(self.classes) else f"class {class_id}"

    def palette(self) -> npt.NDArray[np.uint8]:
        """Display colour of every value a class map can hold, (256, 3) uint8: own colours, VOC's for the rest."""
        palette = voc_palette().copy()
        palette[: len(self.classes)] = [label.colour for label in self.classes]
        return palette


def _colour(row: npt.NDArray[np.uint8]) -> Colour:
    red, green, blue = (int(channel) for channel in row)
    return red, green, blue


VOC_NAMES = (
    "background aeroplane bicycle bird boat bottle bus car cat chair cow diningtable dog horse motorbike person "
    "pottedplant sheep sofa train tvmonitor"
).split()

VOC_LABELS = LabelSet.from_names(VOC_NAMES, name="Pascal VOC")
"""The 21 classes of Pascal VOC 2012 in the order every public DeepLab model uses."""


@dataclass(frozen=True)
class ClassMapping:
    """How the classes of one label set become those of another: by name, ignoring case and the sign between words.

    Attributes
    ----------
    to_target : (256,) uint8 array
        Target id of every source id; 0 for a class without a counterpart, 255 stays 255.
    to_source : (256,) int16 array
        Source id of every target id, -1 where there is none.
    unmatched : tuple of str
        Source classes that have no counterpart and about which nothing was decided.
    """

    to_target: npt.NDArray[np.uint8]
    to_source: npt.NDArray[np.int16]
    unmatched: tuple[str, ...]

    @classmethod
    def between(
        cls, source: LabelSet, target: LabelSet, choices: Mapping[str, str | None] | None = None
    ) -> ClassMapping:
        """The mapping from `source` to `target`.

        Parameters
        ----------
        source, target : LabelSet
        choices : mapping of str to str or None, optional
            What a person decided: the name of the target class of a source class, None for void. Names that `target`
            does not have are as if nothing was decided.
        """
        position = {_plain(name): class_id for class_id, name in reversed(list(enumerate(target.names)))}
        decided = {
            name: VOID if choice is None else target.names.index(choice)
            for name, choice in (choices or {}).items()
            if choice is None or choice in target.names
        }
        to_target = np.zeros(256, np.uint8)
        to_target[VOID] = VOID
        to_source = np.full(256, -1, np.int16)
        unmatched = []
        for class_id, name in enumerate(source.names):
            counterpart = decided.get(name, position.get(_plain(name)))
            if counterpart is None:
                unmatched.append(name)
            else:
                to_target[class_id] = counterpart
                if counterpart != VOID and to_source[counterpart] < 0:
                    to_source[counterpart] = class_id
        return cls(to_target, to_source, tuple(unmatched))


def is_background(name: str) -> bool:
    """Whether a class of this name stands for what belongs to no other class."""
    return _plain(name) in {"background", "unlabelled", "unlabeled", "other", "nothing", "none"}


def _plain(name: str) -> str:
    return "".join(character for character in name.casefold() if character.isalnum())
