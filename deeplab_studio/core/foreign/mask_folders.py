"""Masks in folders: class ids, colours, or one black and white picture per class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image as PilImage

from deeplab_studio.core.classmap import Labels
from deeplab_studio.core.errors import StudioError
from deeplab_studio.core.foreign.source import LabelSource, PhotoLabels, SourceClass, classes_of, named_classes, turned
from deeplab_studio.core.images import MAX_PIXELS, ImageSize, load_image
from deeplab_studio.core.labels import VOC_LABELS, VOID, Colour, LabelSet, voc_palette
from deeplab_studio.core.voc.masks import GRAY, RGB, RGBA, count_ids, png_header, read_mask

VOID_COLOURS = frozenset({(224, 224, 192), (255, 255, 255)})
"""Colours that stand for void where a label map does not give them to a class: VOC's, and what is often used for it."""


class IndexMasks(LabelSource[Path]):
    """Palette or gray PNG files whose values are class ids.

    Parameters
    ----------
    path : Path
    entries : mapping of Path to Path
        The mask of each photo.
    label_set : LabelSet, optional
        What the ids are called; unknown if left out.
    """

    format = "PNG masks of class ids"

    def __init__(
        self,
        path: Path,
        entries: Mapping[Path, Path],
        label_set: LabelSet | None,
        problems: Sequence[StudioError] = (),
    ) -> None:
        super().__init__(path, entries, problems)
        self._label_set = label_set

    @property
    def classes(self) -> tuple[SourceClass, ...]:
        """Those that something names."""
        return classes_of(self._label_set) if self._label_set is not None else ()

    def _read(self, entry: Path, size: ImageSize) -> PhotoLabels:
        return turned(read_mask(entry), size, entry)


class CityscapesMasks(IndexMasks):
    """The ``*_labelIds.png`` of Cityscapes (Cordts et al. 2016): gray PNG files of the 34 ids 0..33."""

    format = "Cityscapes label ids"


class ColourMasks(LabelSource[Path]):
    """RGB PNG files and a ``labelmap.txt`` that says which colour is which class: CVAT's and Datumaro's export.

    Parameters
    ----------
    path : Path
    entries : mapping of Path to Path
    label_set : LabelSet
        Names and colours.

    Raises
    ------
    StudioError
        If two classes share a colour.
    """

    format = "CVAT colour masks"

    def __init__(
        self, path: Path, entries: Mapping[Path, Path], label_set: LabelSet, problems: Sequence[StudioError] = ()
    ) -> None:
        super().__init__(path, entries, problems)
        self._label_set = label_set
        codes: dict[int, int] = {}
        for class_id, label in enumerate(label_set):
            code = _code(label.colour)
            if code in codes:
                raise StudioError(
                    f"the classes {label_set.names[codes[code]]} and {label.name} have the same colour "
                    f"{label.colour} in labelmap.txt",
                    path=path,
                    hint="Give them different colours where the masks were made, and export again.",
                )
            codes[code] = class_id
        for colour in VOID_COLOURS:
            codes.setdefault(_code(colour), VOID)
        self._codes = np.array(sorted(codes), np.int32)
        self._ids = np.array([codes[code] for code in self._codes.tolist()], np.uint8)

    @property
    def classes(self) -> tuple[SourceClass, ...]:
        """Those of ``labelmap.txt``."""
        return classes_of(self._label_set)

    def _read(self, entry: Path, size: ImageSize) -> PhotoLabels:
        header = png_header(entry)
        if header.colour_type not in (RGB, RGBA) or header.bit_depth != 8:
            # CVAT writes a picture without annotations as it likes; ids are ids.
            return turned(read_mask(entry, label_set=self._label_set), size, entry)
        if header.width * header.height > MAX_PIXELS:
            raise StudioError("the mask is larger than any photo that can be opened", path=entry)
        return turned(self._decode(entry, load_image(entry).pixels), size, entry)

    def _decode(self, entry: Path, pixels: npt.NDArray[np.uint8]) -> Labels:
        labels = np.empty(pixels.shape[:2], np.uint8)
        unknown: dict[int, int] = {}
        for top in range(0, len(pixels), 256):  # in strips: a code takes four bytes a pixel
            strip = pixels[top : top + 256].astype(np.int32)
            codes = strip[..., 0] << 16 | strip[..., 1] << 8 | strip[..., 2]
            place = np.minimum(np.searchsorted(self._codes, codes), len(self._codes) - 1)
            known = self._codes[place] == codes
            labels[top : top + 256] = self._ids[place]
            if not known.all():
                found, counts = np.unique(codes[~known], return_counts=True)
                for code, count in zip(found.tolist(), counts.tolist(), strict=True):
                    unknown[code] = unknown.get(code, 0) + count
        if unknown:
            code, _ = max(unknown.items(), key=lambda item: item[1])
            colour = f"({code >> 16}, {code >> 8 & 255}, {code & 255})"
            raise StudioError(
                f"{sum(unknown.values())} pixels have a colour that labelmap.txt does not name, most of them {colour}",
                path=entry,
                hint="Add the colour to labelmap.txt, or export the masks again without smoothing or compression.",
            )
        return labels


@dataclass(frozen=True, slots=True)
class _Layer:
    class_id: int
    file: Path


class BinaryMasks(LabelSource[tuple[_Layer, ...]]):
    """One black and white picture per class and photo; white (anything but 0) is the class.

    Parameters
    ----------
    path : Path
    entries : mapping of Path to mapping of str to Path
        For each photo the file of each class.
    names : sequence of str
        The classes in the order in which they are laid over each other, the last one on top.
    """

    format = "black and white masks, one per class"

    def __init__(
        self,
        path: Path,
        entries: Mapping[Path, Mapping[str, Path]],
        names: Sequence[str],
        problems: Sequence[StudioError] = (),
    ) -> None:
        self._classes = (SourceClass(0, "background"), *named_classes(list(names), path, first_id=1))
        ids = {each.name: each.id for each in self._classes}
        super().__init__(
            path,
            {
                photo: tuple(
                    _Layer(ids[name], file) for name, file in sorted(files.items(), key=lambda item: ids[item[0]])
                )
                for photo, files in entries.items()
            },
            problems,
        )

    @property
    def classes(self) -> tuple[SourceClass, ...]:
        """Background, which nobody drew, and the classes."""
        return self._classes

    def _read(self, entry: tuple[_Layer, ...], size: ImageSize) -> PhotoLabels:
        labels = np.zeros((size.height, size.width), np.uint8)
        notes: list[str] = []
        covered = 0
        for layer in entry:
            drawn = turned(read_binary(layer.file), size, layer.file)
            notes += drawn.notes
            inside = drawn.labels > 0
            covered += int(np.count_nonzero(inside & (labels > 0)))
            labels[inside] = layer.class_id
        if covered:
            notes.append(
                f"{entry[0].file.parent.name}: {covered} pixels are in several masks; the later class has them"
            )
        return PhotoLabels(labels, tuple(notes))


def read_binary(path: Path) -> Labels:
    """A black and white picture as 0 and 1, (H, W) uint8.

    Raises
    ------
    StudioError
        If it cannot be read, or holds more than two values: then it is no binary mask.
    """
    pixels = load_image(path).pixels[..., 0]
    values = np.flatnonzero(count_ids(pixels))
    if len(values) > 2 or (len(values) == 2 and values[0] != 0):
        raise StudioError(
            f"it holds {len(values)} shades, a mask of one class holds black and one other",
            path=path,
            hint="Export it again without smoothing, as PNG.",
        )
    return (pixels > 0).astype(np.uint8)


def is_binary(path: Path) -> bool:
    """Whether a picture can be a mask of one class: black and at most one other shade."""
    shades = _two_shades(path)
    return shades is not None and (len(shades) < 2 or shades[0] == 0)


def is_black_and_white(path: Path) -> bool:
    """Whether a mask is gray and holds white, 255, and besides it at most black."""
    if png_header(path).colour_type != GRAY:
        return False
    shades = _two_shades(path)
    return shades is not None and shades[-1] == 255 and shades[0] in (0, 255)


def _two_shades(path: Path) -> list[int] | None:
    """The one or two shades of a PNG, ascending; None if it has more, or cannot be read."""
    png_header(path)
    try:
        with PilImage.open(path, formats=("PNG",)) as picture:
            found = picture.convert("L").getcolors(2)
    except (OSError, SyntaxError, ValueError):
        return None
    return sorted(int(shade) for _, shade in found) if found else None  # type: ignore[arg-type]  # gray: one number


def _code(colour: Colour) -> int:
    red, green, blue = colour
    return red << 16 | green << 8 | blue


def has_voc_palette(path: Path) -> bool:
    """Whether a mask is drawn in Pascal VOC's colours, as far as its 21 classes go."""
    palette = png_header(path).palette
    wanted = voc_palette()[: len(VOC_LABELS)].tobytes()
    return palette[: len(wanted)] == wanted
