"""What label data a file or folder holds."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from deeplab_studio.core.cancel import CancelToken
from deeplab_studio.core.errors import StudioError
from deeplab_studio.core.foreign.coco import CocoFile, looks_like_coco
from deeplab_studio.core.foreign.json_file import read_json
from deeplab_studio.core.foreign.labelme import LabelmeFiles, label_of, shapes_of
from deeplab_studio.core.foreign.mask_folders import (
    BinaryMasks,
    CityscapesMasks,
    ColourMasks,
    IndexMasks,
    has_voc_palette,
    is_binary,
    is_black_and_white,
)
from deeplab_studio.core.foreign.source import LabelSource, PhotoIndex
from deeplab_studio.core.image_formats import IMAGE_SUFFIXES
from deeplab_studio.core.label_sets import builtin_label_set
from deeplab_studio.core.labels import VOC_LABELS, LabelSet
from deeplab_studio.core.voc.labelmap import read_class_names, read_labelmap
from deeplab_studio.core.voc.layout import CLASS_NAMES, LABELMAP, MASKS
from deeplab_studio.core.voc.masks import RGB, RGBA, png_header

KNOWN = (
    "palette or gray PNG masks, CVAT colour masks with labelmap.txt, black and white masks per class, "
    "labelme JSON, COCO JSON, Cityscapes labelIds"
)
_SAMPLE = 6
_CITYSCAPES_IDS = "_labelIds.png"
_CITYSCAPES_TRAIN_IDS = "_labelTrainIds.png"


def find_labels(path: Path, photos: Sequence[Path], *, cancel: CancelToken | None = None) -> LabelSource[Any]:
    """Recognise the label data in a file or folder and find the photos it is about.

    Parameters
    ----------
    path : Path
        A JSON file or a folder, of any format of `KNOWN`.
    photos : sequence of Path
        The photos to label.
    cancel : CancelToken, optional

    Returns
    -------
    LabelSource
        About at least one of the photos.

    Raises
    ------
    StudioError
        If nothing is recognised, or nothing is about these photos: it says what was found.
    Cancelled
        If `cancel` was set.
    """
    path = Path(path)
    if path.is_file():
        source = _from_file(path, photos)
    elif path.is_dir():
        source = _from_folder(path, photos, cancel)
    else:
        raise StudioError("it is no longer there", path=path, hint="Choose it again.")
    if not source.photos:
        raise StudioError(
            f"it holds {source.format}, but none of them has the name of an open photo",
            path=path,
            hint="Open the photos it belongs to first; a mask has the name of its photo.",
        )
    return source


def _from_file(path: Path, photos: Sequence[Path]) -> LabelSource[Any]:
    if path.suffix.lower() != ".json":
        return _from_masks(path.parent, [path], photos)
    content = read_json(path)
    if looks_like_coco(content):
        return CocoFile(path, photos)
    if "shapes" in content:
        return _from_labelme(path, [path], photos, None)
    raise StudioError("it is neither labelme's nor COCO's JSON", path=path, hint=f"What can be imported: {KNOWN}.")


def _from_folder(folder: Path, photos: Sequence[Path], cancel: CancelToken | None) -> LabelSource[Any]:
    masks_of_voc = folder / MASKS
    wanted = {photo.resolve() for photo in photos}
    masks, documents = [], []
    for file in _files(masks_of_voc if masks_of_voc.is_dir() else folder, cancel):
        suffix = file.suffix.lower()
        if suffix == ".json":
            documents.append(file)
        elif suffix in IMAGE_SUFFIXES and file.resolve() not in wanted:
            masks.append(file)
    if masks:
        return _from_masks(folder, masks, photos)
    if len(documents) == 1:
        return _from_file(documents[0], photos)
    if documents:
        return _from_labelme(folder, documents, photos, cancel)
    raise StudioError("there are no masks and no JSON files in it", path=folder, hint=f"What can be imported: {KNOWN}.")


def _files(folder: Path, cancel: CancelToken | None) -> list[Path]:
    found = []
    for parent, folders, names in os.walk(folder):
        if cancel is not None:
            cancel.raise_if_cancelled()
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found += [Path(parent, name) for name in sorted(names) if not name.startswith(".")]
    return found


def _from_labelme(
    path: Path, documents: Sequence[Path], photos: Sequence[Path], cancel: CancelToken | None
) -> LabelmeFiles:
    index = PhotoIndex(photos)
    entries: dict[Path, Path] = {}
    names: set[str] = set()
    problems: list[StudioError] = []
    for document in documents:
        if cancel is not None:
            cancel.raise_if_cancelled()
        try:
            content = read_json(document)
            if "shapes" not in content:
                continue
            photo = index.of_mask(document) or index.of_name(str(content.get("imagePath") or ""), document)
            if photo is None:
                continue
            names |= {
                label_of(shape, document, f"shape {i}") for i, shape in enumerate(shapes_of(content, document), 1)
            }
            entries[photo] = document
        except StudioError as error:
            problems.append(error)
    return LabelmeFiles(path, entries, sorted(names), problems)


def _from_masks(folder: Path, masks: Sequence[Path], photos: Sequence[Path]) -> LabelSource[Any]:
    label_ids = [mask for mask in masks if mask.name.endswith(_CITYSCAPES_IDS)]
    if label_ids:
        entries, problems = _by_photo(label_ids, photos)
        return CityscapesMasks(folder, entries, builtin_label_set("cityscapes-ids"), problems)
    train_ids = [mask for mask in masks if mask.name.endswith(_CITYSCAPES_TRAIN_IDS)]
    if train_ids:
        entries, problems = _by_photo(train_ids, photos)
        return IndexMasks(folder, entries, builtin_label_set("cityscapes"), problems)
    entries, problems = _by_photo(masks, photos)
    if not entries or len(entries) < len(masks):
        layers, names = _layers(folder, masks, photos)
        if len(names) > 1 or (layers and not entries):
            return BinaryMasks(folder, layers, names)
    label_set = _stated_classes(folder)
    sample = _sample(list(entries.values()) or masks)
    if label_set is None and entries and all(is_black_and_white(mask) for mask in sample):
        # Pictures of 0 and 255 alone show one class; its name can only be the folder's.
        return BinaryMasks(
            folder, {photo: {mask.parent.name: mask} for photo, mask in entries.items()}, _parents(masks)
        )
    first = sample[0]
    if png_header(first).colour_type in (RGB, RGBA):
        if label_set is None:
            raise StudioError(
                f"{first.name} and the other masks hold colours, and there is no {LABELMAP} that says which is which",
                path=folder,
                hint=f"Put {LABELMAP} beside them, with lines such as 'cat:64,0,0::'.",
            )
        return ColourMasks(folder, entries, label_set, problems)
    if label_set is None and has_voc_palette(first):
        label_set = VOC_LABELS
    return IndexMasks(folder, entries, label_set, problems)


def _by_photo(masks: Sequence[Path], photos: Sequence[Path]) -> tuple[dict[Path, Path], list[StudioError]]:
    return _matched(masks, PhotoIndex(photos).of_mask)


def _matched(
    masks: Sequence[Path], photo_of: Callable[[Path], Path | None]
) -> tuple[dict[Path, Path], list[StudioError]]:
    entries: dict[Path, Path] = {}
    problems: list[StudioError] = []
    for mask in masks:
        try:
            photo = photo_of(mask)
        except StudioError as error:
            problems.append(error)
            continue
        if photo is not None and photo not in entries:
            entries[photo] = mask
    return entries, problems


def _layers(
    folder: Path, masks: Sequence[Path], photos: Sequence[Path]
) -> tuple[dict[Path, dict[str, Path]], list[str]]:
    """Black and white masks by photo and class: ``class/photo.png``, ``photo/class.png`` or ``photo_class.png``."""
    index = PhotoIndex(photos)
    stems = {photo.stem.casefold(): photo for photo in photos}
    layers: dict[Path, dict[str, Path]] = {}
    for mask in masks:
        photo: Path | None = stems.get(mask.parent.name.casefold())
        name = mask.stem
        if photo is None and mask.parent != folder:
            photo, name = index.of_mask(mask), mask.parent.name
        if photo is None:
            # The longest photo name wins: "street_1_car" is the car of street_1, not "1_car" of street.
            parts = mask.stem.split("_")
            for cut in range(len(parts) - 1, 0, -1):
                photo = stems.get("_".join(parts[:cut]).casefold())
                if photo is not None:
                    name = "_".join(parts[cut:])
                    break
        if photo is not None:
            layers.setdefault(photo, {}).setdefault(name, mask)
    files = [file for files in list(layers.values())[:3] for file in files.values()]
    if files and not all(is_binary(file) for file in _sample(files)):
        return {}, []
    return layers, sorted({name for files in layers.values() for name in files})


def _sample(masks: Sequence[Path]) -> list[Path]:
    """Up to six masks to tell the format by; a file among them that is no PNG is its photo's problem alone.

    Raises
    ------
    StudioError
        If all are something else: about the first.
    """
    found: list[Path] = []
    problem: StudioError | None = None
    for mask in masks:
        try:
            png_header(mask)
        except StudioError as error:
            problem = problem or error
            continue
        found.append(mask)
        if len(found) == _SAMPLE:
            break
    if not found and problem is not None:
        raise problem
    return found


def _parents(masks: Sequence[Path]) -> list[str]:
    return sorted({mask.parent.name for mask in masks})


def _stated_classes(folder: Path) -> LabelSet | None:
    """The classes that a file in the folder, or the one above, names."""
    for place in (folder, folder.parent):
        if (place / LABELMAP).is_file():
            return read_labelmap(place / LABELMAP)
        if (place / CLASS_NAMES).is_file():
            return read_class_names(place / CLASS_NAMES)
    return None
