"""Checking a Pascal VOC data set against what its readers expect.

The rules are those of the development kit (``VOCinit.m``, ``VOCevalseg.m``), ``torchvision.datasets.VOCSegmentation``
and mmsegmentation's ``PascalVOCDataset``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from deeplab_studio.core.cancel import CancelToken
from deeplab_studio.core.errors import StudioError
from deeplab_studio.core.files import natural_key
from deeplab_studio.core.image_formats import IMAGE_SUFFIXES
from deeplab_studio.core.images import Image, load_image
from deeplab_studio.core.labels import VOID, LabelSet
from deeplab_studio.core.voc.labelmap import read_class_names, read_labelmap, stated_label_set
from deeplab_studio.core.voc.layout import VocLayout, is_safe_id, require_voc
from deeplab_studio.core.voc.masks import PALETTE, count_ids, png_header, read_mask
from deeplab_studio.core.voc.reader import conclude_label_set, files_by_id, images_by_id, read_list

SPLITS = ("train", "val", "trainval")


@dataclass(frozen=True, slots=True)
class Violation:
    """One breach of the conventions.

    Parameters
    ----------
    path : Path
        The file or folder it is about.
    reason : str
        What is wrong, as a clause.
    fix : str
        What to do, as a sentence.
    """

    path: Path
    reason: str
    fix: str

    def __str__(self) -> str:
        return f"{self.path.name}: {self.reason}. {self.fix}"


def validate_voc(
    root: Path,
    *,
    prediction: bool = False,
    progress: Callable[[float], object] | None = None,
    cancel: CancelToken | None = None,
) -> list[Violation]:
    """Find everything in a data set that a reader of Pascal VOC would stumble over.

    Parameters
    ----------
    root : Path
        Anything `find_voc` finds a data set in.
    prediction : bool
        Whether the masks are results, which may not hold void.
    progress : callable, optional
        Called with the share that is done, 0..1.
    cancel : CancelToken, optional

    Returns
    -------
    list of Violation
        Empty if all is well. Photos without a mask and masks in no list are no violation: the release of 2012 has both.

    Raises
    ------
    StudioError
        If there is no data set.
    Cancelled
        If `cancel` was set.
    """
    layout = VocLayout(require_voc(Path(root)))
    problems: list[StudioError] = []
    images = images_by_id(layout, problems)
    masks = files_by_id(layout.masks, {".png"}, problems)
    found = [_violation(problem) for problem in problems]
    if not layout.masks.is_dir():
        found.append(Violation(layout.masks, "the folder is missing", "Make it, with one PNG per labelled photo."))
    found += [
        Violation(path, "masks are PNG files", "Export the mask again as a palette PNG.")
        for path in files_by_id(layout.masks, IMAGE_SUFFIXES - {".png"}, []).values()
    ]
    found += _lists(layout, images, masks)
    label_set = _classes(layout, found)
    if label_set is None:
        label_set = conclude_label_set(list(masks.values()), cancel=cancel)
    stated = layout.labelmap.is_file()
    ids = sorted(images.keys() | masks.keys(), key=natural_key)
    for number, item_id in enumerate(ids, 1):
        if cancel is not None:
            cancel.raise_if_cancelled()
        found += _item(item_id, images.get(item_id), masks.get(item_id), label_set, stated, prediction)
        if progress is not None:
            progress(number / len(ids))
    return found


def _violation(problem: StudioError) -> Violation:
    return Violation(problem.path or Path(), problem.reason, problem.hint or "")


def _classes(layout: VocLayout, found: list[Violation]) -> LabelSet | None:
    try:
        stated = stated_label_set(layout)
        if layout.labelmap.is_file() and layout.class_names.is_file():
            names = read_class_names(layout.class_names).names
            if names != read_labelmap(layout.labelmap).names:
                found.append(
                    Violation(
                        layout.class_names,
                        f"it names other classes than {layout.labelmap.name}",
                        "Make both the same; ids are positions in them.",
                    )
                )
    except StudioError as problem:
        found.append(_violation(problem))
        return None
    return stated


def _lists(layout: VocLayout, images: dict[str, Path], masks: dict[str, Path]) -> Iterator[Violation]:
    lists: dict[str, list[str]] = {}
    for split in SPLITS:
        path = layout.list_file(split)
        if path.exists():
            try:
                lists[split] = read_list(path)
            except StudioError as problem:
                yield _violation(problem)
    if not lists and not any(layout.list_file(split).exists() for split in SPLITS):
        yield Violation(
            layout.lists,
            "there is none of train.txt, val.txt and trainval.txt",
            "Write the ids of each split into its list, one a line.",
        )
    for split, ids in lists.items():
        path = layout.list_file(split)
        for item_id, times in Counter(ids).items():
            if times > 1:
                yield Violation(path, f"it names {item_id} {times} times", "Leave one.")
            if item_id not in images and item_id not in masks:
                fix = "Write the id alone, without folder and suffix."
                plain = Path(item_id).stem in images or Path(item_id.split()[0]).stem in images
                yield Violation(
                    path,
                    f"it names {item_id}, which is not there",
                    fix if plain else "Remove the line, or add the files.",
                )
            elif item_id not in images:
                yield Violation(path, f"it names {item_id}, which has no photo", "Add the photo, or remove the line.")
            elif item_id not in masks:
                yield Violation(path, f"it names {item_id}, which has no mask", "Add the mask, or remove the line.")
    both = set(lists.get("train", ())) & set(lists.get("val", ()))
    for item_id in sorted(both):
        yield Violation(
            layout.list_file("val"), f"it names {item_id}, which train.txt names too", "Remove it from one of them."
        )
    if "trainval" in lists and "train" in lists and "val" in lists:
        missing = (set(lists["train"]) | set(lists["val"])) ^ set(lists["trainval"])
        if missing:
            yield Violation(
                layout.list_file("trainval"),
                f"it is not train.txt and val.txt together ({len(missing)} differ, {min(missing)} for one)",
                "Write both lists into it.",
            )


def _item(
    item_id: str, image: Path | None, mask: Path | None, label_set: LabelSet, stated: bool, prediction: bool
) -> Iterator[Violation]:
    size = None
    if not is_safe_id(item_id):
        yield Violation(
            image or mask or Path(item_id),
            "its name has blanks or characters that not every reader and system takes",
            "Use letters, digits, dot, dash and underscore.",
        )
    if image is not None:
        try:
            photo = load_image(image)
            size = (photo.width, photo.height)
            yield from _photo(image, photo)
        except StudioError as problem:
            yield _violation(problem)
    if mask is None:
        return
    if image is None:
        yield Violation(mask, "it has no photo", "Add the photo, or remove the mask.")
    try:
        labels = read_mask(mask, image_size=size)
        header = png_header(mask)
    except StudioError as problem:
        yield _violation(problem)
        return
    present = [int(i) for i in np.flatnonzero(count_ids(labels))]
    unknown = [i for i in present if len(label_set) <= i != VOID]
    if unknown:
        yield Violation(
            mask,
            f"it holds ids without a class: {', '.join(map(str, unknown))}",
            "Add the classes to labelmap.txt and class_names.txt, or correct the mask.",
        )
    if prediction and VOID in present:
        yield Violation(mask, "it holds void (255), which a prediction may not", "Give these pixels a class.")
    rewrite = "Write it again with 'voc convert'."
    if header.colour_type != PALETTE:
        yield Violation(mask, "it is a gray PNG instead of a palette PNG", rewrite)
        return
    if header.bit_depth != 8:
        yield Violation(mask, f"it has {header.bit_depth} bits per pixel instead of 8", rewrite)
    if len(header.palette) != 768:
        yield Violation(mask, f"its palette has {len(header.palette) // 3} entries instead of 256", rewrite)
    palette = np.frombuffer(header.palette, np.uint8).reshape(-1, 3)
    wanted = label_set.palette()
    for class_id in present:
        if class_id < len(palette) and not np.array_equal(palette[class_id], wanted[class_id]):
            name = label_set.name_of(class_id)
            source = "labelmap.txt" if stated and class_id != VOID else "Pascal VOC"
            yield Violation(
                mask,
                f"its colour of {name} ({class_id}) is {_text(palette[class_id])}, that of {source} is "
                f"{_text(wanted[class_id])}",
                rewrite,
            )
            break


def _text(colour: np.ndarray) -> str:
    return "({}, {}, {})".format(*colour.tolist())


def _photo(path: Path, image: Image) -> Iterator[Violation]:
    if path.suffix != ".jpg" or image.format != "JPEG":
        what = f"it is a {image.format} file" if image.format != "JPEG" else f"its name ends in {path.suffix}"
        yield Violation(path, f"{what}, readers look for a JPEG called {path.stem}.jpg", "Export it again.")
    if image.orientation != 1:
        yield Violation(
            path,
            f"it is stored turned or mirrored (EXIF orientation {image.orientation}), which other readers ignore",
            "Export it again, which turns the pixels.",
        )
