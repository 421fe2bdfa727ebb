"""Label sets that come with the program, and label sets in files: text, CVAT's ``labelmap.txt``, JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from deeplab_studio.core.errors import StudioError
from deeplab_studio.core.files import atomic_write, explain_os_error
from deeplab_studio.core.labels import MAX_CLASSES, VOC_LABELS, VOID, Colour, LabelClass, LabelSet, voc_palette
from deeplab_studio.core.resources import resource

BUILT_IN = ("voc", "cityscapes", "cityscapes-ids", "ade20k", "coco-stuff", "coco-stuff-171")
"""Ids of the label sets that come with the program, in the order a person sees them."""

_FORMAT = 1
_LARGEST = 1 << 20
_CVAT_LINE = re.compile(r"[^:]+:(\s*\d+\s*(,\s*\d+\s*){2})?:[^:]*:[^:]*")
_HEX = re.compile(r"#?([0-9a-fA-F]{6})")
_COLOURED = re.compile(r"(?P<name>.*?)[\s,;]+(?P<colour>#[0-9a-fA-F]{6}|\(?\d{1,3}(?:[\s,;]+\d{1,3}){2}\)?)")


@dataclass(frozen=True)
class BuiltIn:
    """A label set that comes with the program.

    Parameters
    ----------
    id : str
        One of `BUILT_IN`.
    label_set : LabelSet
    source : str
        Where names and colours are from.
    values : mapping of str to (256,) uint8 array
        For masks whose values are not the ids of this set, by the name of that kind of mask (``"labelIds"``): the class
        id of every value, void where it stands for none.
    """

    id: str
    label_set: LabelSet
    source: str
    values: Mapping[str, npt.NDArray[np.uint8]]


@cache
def built_in(set_id: str) -> BuiltIn:
    """A label set that comes with the program.

    Parameters
    ----------
    set_id : {"voc", "cityscapes", "cityscapes-ids", "ade20k", "coco-stuff", "coco-stuff-171"}
        Pascal VOC 2012; Cityscapes' 19 train ids, or all its 34 ids; the 150 classes of ADE20K's scene parsing
        benchmark; COCO-Stuff's 182 ids, or the 171 of them that occur.

    Raises
    ------
    KeyError
        If none has that id.
    """
    if set_id not in BUILT_IN:
        raise KeyError(set_id)
    path = resource("label_sets", f"{set_id}.json")
    content = json.loads(path.read_text("utf-8"))
    values = {kind: _value_table(entries) for kind, entries in content.get("values", {}).items()}
    label_set = VOC_LABELS if set_id == "voc" else _from_json(content)
    return BuiltIn(set_id, label_set, content["source"], MappingProxyType(values))


def builtin_label_set(set_id: str) -> LabelSet:
    """The classes of `built_in`."""
    return built_in(set_id).label_set


def load_label_set(path: Path) -> LabelSet:
    """Read a label set from a file, whichever of the three forms it has.

    Parameters
    ----------
    path : Path
        JSON as `save_label_set` writes it, or simply a list of names; CVAT's ``labelmap.txt``; or text with one class a
        line, optionally with a colour behind the name (``#rrggbb`` or three numbers) and comments after ``#`` and a
        blank.

    Returns
    -------
    LabelSet
        Called as the file says, else like the file.

    Raises
    ------
    StudioError
        If it cannot be read or is no label set, saying why and where.
    """
    path = Path(path)
    text = _read(path)
    try:
        if path.suffix.lower() == ".json" or text.lstrip().startswith(("{", "[")):
            return _named(_parse_json(text), path)
        lines = [(number, line.strip()) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
        rows = [line for _, line in lines if not line.startswith("#")]
        if rows and all(_CVAT_LINE.fullmatch(line) for line in rows):
            from deeplab_studio.core.voc.labelmap import read_labelmap

            return _named(read_labelmap(path), path)
        return _named(_parse_lines(lines), path)
    except ValueError as error:
        raise StudioError(f"it is no label set: {error}", path=path, hint=_HINT) from error


def save_label_set(path: Path, label_set: LabelSet) -> None:
    """Write a label set in the form that goes with the name of the file.

    Parameters
    ----------
    path : Path
        ``*.json``; ``labelmap*.txt`` for CVAT's form; any other ending for text, a name and a colour a line.
    label_set : LabelSet

    Raises
    ------
    StudioError
        If the form cannot hold a name, or the file cannot be written.
    """
    path = Path(path)
    if path.suffix.lower() == ".json":
        with atomic_write(path) as temporary:
            temporary.write_bytes(_to_json(label_set).encode())
    elif path.suffix.lower() == ".txt" and path.stem.lower().startswith("labelmap"):
        from deeplab_studio.core.voc.labelmap import write_labelmap

        write_labelmap(path, label_set)
    else:
        lines = [f"{label.name}\t{hex_colour(label.colour)}" for label in label_set]
        awkward = next((label.name for label in label_set if not _is_plain(label)), None)
        if awkward is not None:
            raise StudioError(f"text cannot hold a class called {awkward!r}", path=path, hint="Save it as JSON.")
        with atomic_write(path) as temporary:
            temporary.write_bytes("".join(f"{line}\n" for line in lines).encode())


def hex_colour(colour: Colour) -> str:
    """A colour as ``#rrggbb``."""
    return "#{:02x}{:02x}{:02x}".format(*colour)


def distinct_colours(count: int, taken: Sequence[Colour] = ()) -> list[Colour]:
    """Colours that are told apart easily, from one another and from those taken.

    Parameters
    ----------
    count : int
    taken : sequence of (int, int, int)
        RGB, 0..255 each.

    Returns
    -------
    list of (int, int, int)
        Each as far as possible from all before it, as the CIE 1976 colour difference measures distance; neither nearly
        black nor nearly white, which photos are full of, and never Pascal VOC's colour of void.
    """
    import cv2

    steps = np.linspace(0, 255, 10).round().astype(np.uint8)
    candidates = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(1, -1, 3)

    def lab(colours: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        converted: npt.NDArray[np.float32] = cv2.cvtColor(colours.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)[0]
        return converted

    places = lab(candidates)
    kept = (places[:, 0] > 30) & (places[:, 0] < 92)
    colours, places = candidates[0][kept], places[kept]
    used = np.array([*taken, voc_palette()[VOID]], np.uint8)[None]
    distance = np.full(len(places), np.inf, np.float32)
    for place in lab(used):
        distance = np.minimum(distance, np.linalg.norm(places - place, axis=1))
    chosen: list[Colour] = []
    for _ in range(count):
        best = int(np.argmax(distance))
        red, green, blue = colours[best].tolist()
        chosen.append((red, green, blue))
        distance = np.minimum(distance, np.linalg.norm(places - places[best], axis=1))
    return chosen


_HINT = "Give it one class a line, or use a label set saved by this program or by CVAT."


def _read(path: Path) -> str:
    try:
        if path.stat().st_size > _LARGEST:
            raise StudioError("it is too large for a label set", path=path, hint=_HINT)
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        reason, hint = explain_os_error(error)
        raise StudioError(f"it could not be read because {reason}", path=path, hint=hint) from error
    except UnicodeDecodeError as error:
        raise StudioError("it is not text in UTF-8", path=path, hint="Save it as UTF-8.") from error


def _named(label_set: LabelSet, path: Path) -> LabelSet:
    if label_set.classes == VOC_LABELS.classes:
        return VOC_LABELS
    return label_set if label_set.name else LabelSet(label_set.classes, path.stem)


def _parse_lines(lines: Sequence[tuple[int, str]]) -> LabelSet:
    palette = voc_palette()
    classes: list[LabelClass] = []
    for number, line in lines:
        if line.startswith("# ") or line in ("#", "__ignore__"):  # labelme writes the latter first, for void
            continue
        if any(ord(character) < 32 and character != "\t" for character in line):
            raise ValueError(f"line {number} holds characters that are no text")
        coloured = _COLOURED.fullmatch(line)
        name, colour = (coloured["name"], coloured["colour"]) if coloured else (line, "")
        if len(classes) == MAX_CLASSES:
            raise ValueError(f"it has more than {MAX_CLASSES} lines, and a class map holds no more classes")
        try:
            rgb = _colour(colour) if colour else _rgb(palette[len(classes)].tolist())
            classes.append(LabelClass(name.strip(), rgb))
        except ValueError as error:
            raise ValueError(f"line {number}: {error}") from error
    if not classes:
        raise ValueError("it holds no class")
    return LabelSet(tuple(classes))


def _parse_json(text: str) -> LabelSet:
    try:
        content = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        where = f" (line {error.lineno})" if isinstance(error, json.JSONDecodeError) else ""
        raise ValueError(f"the JSON is broken{where}") from error
    if isinstance(content, list):
        content = {"classes": content}
    if not isinstance(content, dict) or not isinstance(content.get("classes"), list):
        raise ValueError('the JSON has no list "classes"')
    return _from_json(content)


def _from_json(content: Mapping[str, Any]) -> LabelSet:
    if content.get("format", _FORMAT) != _FORMAT:
        raise ValueError("a newer DeepLab Studio wrote it; update this one")
    palette = voc_palette()
    classes = []
    for number, entry in enumerate(content["classes"][: MAX_CLASSES + 1]):
        values = {"name": entry} if isinstance(entry, str) else entry
        if not isinstance(values, dict) or not isinstance(values.get("name"), str):
            raise ValueError(f"class {number} has no name")
        colour = values.get("colour", values.get("color"))
        rgb = _rgb(palette[number % 256].tolist()) if colour is None else _colour(colour)
        classes.append(LabelClass(values["name"].strip(), rgb))
    name = content.get("name", "")
    return LabelSet(tuple(classes), name if isinstance(name, str) else "")


def _to_json(label_set: LabelSet) -> str:
    rows = [
        f"  {json.dumps({'name': label.name, 'colour': hex_colour(label.colour)}, ensure_ascii=False)}"
        for label in label_set
    ]
    name = json.dumps(label_set.name, ensure_ascii=False)
    return "\n".join(
        ["{", f' "format": {_FORMAT},', f' "name": {name},', ' "classes": [', ",\n".join(rows), " ]", "}\n"]
    )


def _value_table(entries: Mapping[str, int]) -> npt.NDArray[np.uint8]:
    table = np.full(256, VOID, np.uint8)
    for value, class_id in entries.items():
        table[int(value)] = class_id
    table.setflags(write=False)
    return table


def _colour(value: object) -> Colour:
    channels = value
    if isinstance(value, str):
        if found := _HEX.fullmatch(value.strip()):
            return _rgb(list(bytes.fromhex(found[1])))
        channels = re.split(r"[\s,;]+", value.strip(" ()"))
    if isinstance(channels, Sequence) and len(channels) == 3:
        try:
            rgb = _rgb([int(channel) for channel in channels])
        except (TypeError, ValueError):
            rgb = (-1, -1, -1)
        if all(0 <= channel <= 255 for channel in rgb):
            return rgb
    raise ValueError(f"{value!r} is no colour, write #rrggbb or three numbers from 0 to 255")


def _rgb(values: Sequence[int]) -> Colour:
    red, green, blue = values
    return red, green, blue


def _is_plain(label: LabelClass) -> bool:
    """Whether a line of text gives the class back."""
    line = f"{label.name}\t{hex_colour(label.colour)}"
    try:
        return line.splitlines() == [line] == [line.strip()] and _parse_lines([(1, line)]).classes == (label,)
    except ValueError:
        return False
