"""Reading a Pascal VOC data set."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath

import numpy as np

from deeplab_studio.core.cancel import CancelToken
from deeplab_studio.core.errors import StudioError
from deeplab_studio.core.files import explain_os_error, natural_key
from deeplab_studio.core.image_formats import IMAGE_SUFFIXES
from deeplab_studio.core.labels import VOC_LABELS, VOID, LabelSet
from deeplab_studio.core.voc.labelmap import stated_label_set
from deeplab_studio.core.voc.layout import VocLayout, require_voc
from deeplab_studio.core.voc.masks import count_ids, read_mask

_SAMPLE = 200
"""Masks looked into before a data set that names no classes is taken for Pascal VOC's."""


@dataclass(frozen=True, slots=True)
class VocItem:
    """One photo of a data set.

    Parameters
    ----------
    name : str
        Its id: the file name without suffix.
    image : Path
    mask : Path or None
        None if nobody has labelled it.
    """

    name: str
    image: Path
    mask: Path | None


@dataclass(frozen=True)
class VocDataset:
    """A data set as it lies on disk.

    Parameters
    ----------
    root : Path
        The folder that holds ``JPEGImages``.
    items : list of VocItem
    label_set : LabelSet
    splits : mapping
        Ids of every list in ``ImageSets/Segmentation``, by the list's name.
    label_source : str
        Where the label set is from: ``"labelmap.txt"``, ``"class_names.txt"``, or ``""`` if it was concluded from the
        masks.
    problems : list of StudioError
        What is listed but missing, and the like; the rest is unaffected.
    """

    root: Path
    items: list[VocItem]
    label_set: LabelSet
    splits: Mapping[str, tuple[str, ...]]
    label_source: str = ""
    problems: list[StudioError] = field(default_factory=list)


def read_voc(root: Path, split: str | None = None, *, cancel: CancelToken | None = None) -> VocDataset:
    """Read a data set: which photos and masks there are, the classes, the lists. No photo is opened.

    Parameters
    ----------
    root : Path
        Anything `find_voc` finds a data set in.
    split : str, optional
        Only the items of this list (``"val"``), in its order. All photos in natural order if left out, listed or not,
        so that a data set whose lists are missing or older than its photos can be gone on with.
    cancel : CancelToken, optional

    Returns
    -------
    VocDataset

    Raises
    ------
    StudioError
        If there is no data set, or it has no such list.
    Cancelled
        If `cancel` was set.

    Notes
    -----
    Without ``labelmap.txt`` and ``class_names.txt`` the classes are Pascal VOC's 21 if up to 200 masks, evenly spread,
    hold no others; otherwise all masks are looked into and the classes are called "class 0" to "class N".
    """
    layout = VocLayout(require_voc(Path(root)))
    problems: list[StudioError] = []
    images = images_by_id(layout, problems)
    masks = files_by_id(layout.masks, {".png"}, problems)
    splits = read_lists(layout, problems)
    if split is None:
        ids: Sequence[str] = sorted(images, key=natural_key)
    elif split in splits:
        ids = splits[split]
    else:
        there = ", ".join(sorted(splits)) or "none"
        raise StudioError(
            f"it has no list {split}.txt in {layout.lists.relative_to(layout.root).as_posix()}",
            path=layout.root,
            hint=f"Lists that are there: {there}.",
        )
    problems += [
        StudioError("it is listed but its photo is missing", path=layout.image(item_id), hint="Restore the photo.")
        for item_id in ids
        if item_id not in images
    ]
    items = [VocItem(item_id, images[item_id], masks.get(item_id)) for item_id in ids if item_id in images]
    label_set = stated_label_set(layout)
    source = ""
    if label_set is None:
        label_set = conclude_label_set([masks[item_id] for item_id in sorted(masks)], problems, cancel)
    else:
        source = (layout.labelmap if layout.labelmap.is_file() else layout.class_names).name
    return VocDataset(layout.root, items, label_set, splits, source, problems)


def images_by_id(layout: VocLayout, problems: list[StudioError]) -> dict[str, Path]:
    """Photos by id; of two that share one, the ``.jpg`` is taken and a problem noted."""
    return files_by_id(layout.images, IMAGE_SUFFIXES, problems)


def files_by_id(folder: Path, suffixes: set[str] | frozenset[str], problems: list[StudioError]) -> dict[str, Path]:
    """Files of a folder by their name without suffix."""
    found: dict[str, Path] = {}
    try:
        with os.scandir(folder) as entries:
            names = sorted(entry.name for entry in entries if not entry.name.startswith("."))
    except FileNotFoundError:
        return found
    except OSError as error:
        reason, hint = explain_os_error(error)
        raise StudioError(f"it could not be read because {reason}", path=folder, hint=hint) from error
    for name in names:
        item_id, suffix = PurePath(name).stem, PurePath(name).suffix
        if suffix.lower() not in suffixes:
            continue
        if item_id not in found:
            found[item_id] = folder / name
            continue
        kept, left = found[item_id], folder / name
        if suffix == ".jpg":
            kept, left = left, kept
            found[item_id] = kept
        problems.append(
            StudioError(f"{kept.name} has the same id and is used instead", path=left, hint="Rename one of the two.")
        )
    return found


def read_lists(layout: VocLayout, problems: list[StudioError]) -> dict[str, tuple[str, ...]]:
    """Ids of every list in ``ImageSets/Segmentation``, each once, in the order of the file."""
    lists: dict[str, tuple[str, ...]] = {}
    for name, path in files_by_id(layout.lists, {".txt"}, problems).items():
        try:
            lists[name] = tuple(dict.fromkeys(read_list(path)))
        except StudioError as error:  # noqa: PERF203 - the other lists are still good
            problems.append(error)
    return lists


def read_list(path: Path) -> list[str]:
    """The lines of a list that hold something, without the blanks around them.

    Raises
    ------
    StudioError
        If it cannot be read or is not text.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        reason, hint = explain_os_error(error)
        raise StudioError(f"it could not be read because {reason}", path=path, hint=hint) from error
    except UnicodeDecodeError as error:
        raise StudioError("it is not text in UTF-8", path=path, hint="Save it as UTF-8.") from error
    return [stripped for line in text.split("\n") if (stripped := line.strip())]


def conclude_label_set(
    masks: Sequence[Path], problems: list[StudioError] | None = None, cancel: CancelToken | None = None
) -> LabelSet:
    """The label set of masks whose classes are named nowhere; see `read_voc`.

    Parameters
    ----------
    masks : sequence of Path
    problems : list of StudioError, optional
        Masks that cannot be read are noted here.
    cancel : CancelToken, optional
    """
    sample = [masks[i] for i in np.unique(np.linspace(0, len(masks) - 1, min(len(masks), _SAMPLE)).astype(int))]
    highest = _highest_id(sample, problems, cancel)
    if highest < len(VOC_LABELS):
        return VOC_LABELS
    if len(sample) < len(masks):
        highest = _highest_id(masks, None, cancel)
    return LabelSet.from_names((f"class {i}" for i in range(highest + 1)), name="unnamed classes")


def _highest_id(masks: Sequence[Path], problems: list[StudioError] | None, cancel: CancelToken | None) -> int:
    present = np.zeros(256, bool)
    for mask in masks:
        if cancel is not None:
            cancel.raise_if_cancelled()
        try:
            present |= count_ids(read_mask(mask)) > 0
        except StudioError as error:
            if problems is not None:
                problems.append(error)
    present[VOID] = False
    return int(np.flatnonzero(present)[-1]) if present.any() else -1
