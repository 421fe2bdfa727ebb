"""The classes of a data set on disk: ``labelmap.txt`` and ``class_names.txt``."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from deeplab_studio.core.errors import StudioError
from deeplab_studio.core.files import atomic_write, explain_os_error
from deeplab_studio.core.labels import VOC_LABELS, VOID, VOID_COLOUR, Colour, LabelClass, LabelSet, voc_palette
from deeplab_studio.core.voc.layout import VocLayout

_HEADER = "# label:color_rgb:parts:actions"
_VOID_NAMES = frozenset({"void", "ignore", "ignored", "border", "__ignore__"})


def read_labelmap(path: Path) -> LabelSet:
    """Read CVAT's and Datumaro's ``labelmap.txt``.

    Parameters
    ----------
    path : Path
        Lines ``name:r,g,b:parts:actions``; the last two are not used, and a missing colour is Pascal VOC's. Empty lines
        and lines that start with ``#`` are comments. The id of a class is its place among the rest; an entry in Pascal
        VOC's colour of void that is called "void", "ignored" or the like is no class and takes no id.

    Returns
    -------
    LabelSet

    Raises
    ------
    StudioError
        If it cannot be read, naming the line.
    """
    palette = voc_palette()
    classes: list[LabelClass] = []
    for number, line in _lines(path):
        if line.startswith("#"):
            continue
        name, _, rest = line.partition(":")
        text = rest.partition(":")[0]
        try:
            colour = _colour(text) if text else _rgb(palette[len(classes)].tolist())
            label = LabelClass(name.strip(), colour)
        except (ValueError, IndexError) as error:
            raise StudioError(
                f"line {number} is not 'name:red,green,blue::' with values from 0 to 255", path=path, hint="Correct it."
            ) from error
        if not _is_void(label):
            classes.append(label)
    return _label_set(path, classes)


def write_labelmap(path: Path, label_set: LabelSet, *, void: bool = False) -> None:
    """Write ``labelmap.txt`` as CVAT does.

    Parameters
    ----------
    path : Path
    label_set : LabelSet
    void : bool
        Whether to name Pascal VOC's colour of void too, "ignored": for masks whose pixels are colours.

    Raises
    ------
    StudioError
        If the format cannot hold a class's name (one with a colon, say), or the file cannot be written.
    """
    for label in label_set:
        if not _is_plain(label.name) or _is_void(label):
            raise StudioError(
                f"it cannot hold a class called {label.name!r}",
                path=path,
                hint="Rename the class: no colon, no '#' at its start, no blanks around it, no line break, not void.",
            )
    lines = [_HEADER, *(f"{label.name}:{','.join(map(str, label.colour))}::" for label in label_set)]
    if void:
        lines.append(f"ignored:{','.join(map(str, VOID_COLOUR))}::")
    with atomic_write(path) as temporary:
        temporary.write_bytes("".join(f"{line}\n" for line in lines).encode())


def read_class_names(path: Path) -> LabelSet:
    """Read ``class_names.txt``: one class a line, in the order of the ids, in Pascal VOC's colours.

    Raises
    ------
    StudioError
        If it cannot be read.
    """
    palette = voc_palette()
    names = [line for _, line in _lines(path) if line != "__ignore__"]  # labelme's way to write void first
    return _label_set(path, [LabelClass(name, _rgb(palette[i % 256].tolist())) for i, name in enumerate(names)])


def write_class_names(path: Path, label_set: LabelSet) -> None:
    """Write ``class_names.txt``."""
    with atomic_write(path) as temporary:
        temporary.write_bytes("".join(f"{name}\n" for name in label_set.names).encode())


def stated_label_set(layout: VocLayout) -> LabelSet | None:
    """The label set a data set states: ``labelmap.txt``, else ``class_names.txt``, else None."""
    if layout.labelmap.is_file():
        return read_labelmap(layout.labelmap)
    if layout.class_names.is_file():
        return read_class_names(layout.class_names)
    return None


def _lines(path: Path) -> list[tuple[int, str]]:
    """Numbered lines that hold something, without the blanks around them."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        reason, hint = explain_os_error(error)
        raise StudioError(f"it could not be read because {reason}", path=path, hint=hint) from error
    except UnicodeDecodeError as error:
        raise StudioError("it is not text in UTF-8", path=path, hint="Save it as UTF-8.") from error
    return [(number, line.strip()) for number, line in enumerate(text.splitlines(), 1) if line.strip()]


def _label_set(path: Path, classes: Iterable[LabelClass]) -> LabelSet:
    try:
        label_set = LabelSet(tuple(classes))
        return VOC_LABELS if label_set.classes == VOC_LABELS.classes else label_set
    except ValueError as error:
        raise StudioError(str(error), path=path, hint="Correct the list of classes.") from error


def _colour(text: str) -> Colour:
    red, green, blue = (int(part) for part in text.split(","))
    return red, green, blue


def _rgb(values: list[int]) -> Colour:
    red, green, blue = values
    return red, green, blue


def _is_plain(name: str) -> bool:
    return name.splitlines() == [name] == [name.strip()] and ":" not in name and not name.startswith("#")


def _is_void(label: LabelClass) -> bool:
    return label.name.casefold() in _VOID_NAMES and label.colour == _rgb(voc_palette()[VOID].tolist())
