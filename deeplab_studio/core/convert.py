"""From one program's label data to another's: what is read is a Pascal VOC data set or anything of `core.foreign`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from deeplab_studio.core.cancel import CancelToken
from deeplab_studio.core.classmap import Labels
from deeplab_studio.core.errors import StudioError
from deeplab_studio.core.files import atomic_write, explain_os_error
from deeplab_studio.core.foreign import LabelSource, count_source, find_labels
from deeplab_studio.core.foreign.write_coco import CocoWriter
from deeplab_studio.core.foreign.write_labelme import LabelmeWriter
from deeplab_studio.core.foreign.write_masks import CityscapesWriter, CvatWriter, IndexWriter
from deeplab_studio.core.foreign.write_yolo import YoloWriter
from deeplab_studio.core.foreign.writer import LabelledPhoto, LabelWriter
from deeplab_studio.core.images import examine_size
from deeplab_studio.core.labels import VOID, LabelClass, LabelSet, voc_palette
from deeplab_studio.core.voc import ExportItem, read_mask, read_voc, split_of, write_voc
from deeplab_studio.core.voc.layout import VocLayout
from deeplab_studio.core.voc.masks import require_known_ids

WRITERS: Mapping[str, type[LabelWriter]] = {
    "index": IndexWriter,
    "cvat": CvatWriter,
    "coco": CocoWriter,
    "labelme": LabelmeWriter,
    "cityscapes": CityscapesWriter,
    "yolo": YoloWriter,
}

FORMATS = ("voc", *WRITERS)
"""What can be written."""

VAL_SHARE = 0.2
"""Share of photos for validation where the source does not say."""

Progress = Callable[[float], object]


@dataclass(frozen=True)
class LabelledData:
    """Photos with class maps, wherever they are from.

    Parameters
    ----------
    photos : mapping of str to Path
        By name, which is unique.
    read : callable
        Called with a name; gives the class map, (H, W) uint8 of the upright photo's size. A StudioError says why there
        is none.
    label_set : LabelSet
    splits : mapping of str to tuple of str
        Names by list, where the source has lists.
    problems : list of StudioError
        What was found but cannot be used.
    notes : list of str
    """

    photos: Mapping[str, Path]
    read: Callable[[str], Labels]
    label_set: LabelSet
    splits: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    problems: list[StudioError] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass
class ConvertReport:
    """How a conversion went.

    Attributes
    ----------
    root : Path
        Where it was written.
    written : list of str
        Names of the photos whose class maps were written.
    problems : list of StudioError
        One for each that was left out.
    notes : list of str
        What the format could not keep, and what else a person should know.
    """

    root: Path
    written: list[str] = field(default_factory=list)
    problems: list[StudioError] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def open_voc(root: Path, split: str | None = None, *, cancel: CancelToken | None = None) -> LabelledData:
    """The photos of a Pascal VOC data set that have masks.

    Parameters
    ----------
    root : Path
        Anything `find_voc` finds a data set in.
    split : str, optional
        Only those of this list.
    cancel : CancelToken, optional

    Raises
    ------
    StudioError
        If there is no data set, or it has no such list.
    """
    dataset = read_voc(root, split, cancel=cancel)
    masks = {item.name: item.mask for item in dataset.items if item.mask is not None}
    photos = {item.name: item.image for item in dataset.items if item.mask is not None}

    def read(name: str) -> Labels:
        size = examine_size(photos[name])
        return read_mask(masks[name], image_size=(size.width, size.height), label_set=dataset.label_set)

    without = len(dataset.items) - len(photos)
    notes = [f"{without:,} photos without a mask were left out."] if without else []
    lists = {name: ids for name, ids in dataset.splits.items() if split in (None, name)}
    return LabelledData(photos, read, dataset.label_set, lists, dataset.problems, notes)


def open_foreign(
    path: Path,
    photos: Sequence[Path],
    label_set: LabelSet | None = None,
    *,
    progress: Progress | None = None,
    cancel: CancelToken | None = None,
) -> LabelledData:
    """The photos that another program's label data is about.

    Parameters
    ----------
    path : Path
        A file or folder that `find_labels` knows.
    photos : sequence of Path
    label_set : LabelSet, optional
        What the ids are called, for masks that come without names; "class 0" to "class N" if left out.
    progress : callable, optional
        Called with 0..1 while masks without names are looked through.
    cancel : CancelToken, optional

    Raises
    ------
    StudioError
        If it is not known, or is about none of the photos.
    """
    source = find_labels(path, photos, cancel=cancel)
    problems = list(source.problems)
    names: dict[str, Path] = {}
    for photo in source.photos:
        if photo.stem in names:
            reason = f"{names[photo.stem]} has the same name, and the files written would have"
            problems.append(StudioError(reason, path=photo, hint="Rename one of the two."))
        else:
            names[photo.stem] = photo
    notes: list[str] = []

    def read(name: str) -> Labels:
        found = source.read(names[name], examine_size(names[name]))
        notes.extend(found.notes)
        return found.labels

    classes = _classes(source, label_set, progress, cancel)
    return LabelledData(names, read, classes, {}, problems, notes)


def convert(
    data: LabelledData, out: Path, form: str, *, progress: Progress | None = None, cancel: CancelToken | None = None
) -> ConvertReport:
    """Write class maps in a format.

    Parameters
    ----------
    data : LabelledData
    out : Path
        A folder; made if missing, and refused if it holds anything.
    form : str
        One of `FORMATS`.
    progress : callable, optional
        Called with the share done, 0..1.
    cancel : CancelToken, optional

    Returns
    -------
    ConvertReport

    Raises
    ------
    StudioError
        If the format cannot hold the classes, or the folder cannot be written. Every file that is there is whole.
    Cancelled
        If `cancel` was set; likewise.
    ValueError
        If there is no such format.
    """
    if form not in FORMATS:
        raise ValueError(f"{form!r} is no format, they are {', '.join(FORMATS)}")
    _require_empty(out)
    report = ConvertReport(out, problems=list(data.problems))
    if form == "voc":
        _write_voc(data, report, progress, cancel)
    else:
        _write_others(data, WRITERS[form], report, progress, cancel)
    report.notes += [note for note in dict.fromkeys(data.notes) if note not in report.notes]
    return report


def _write_others(
    data: LabelledData,
    kind: type[LabelWriter],
    report: ConvertReport,
    progress: Progress | None,
    cancel: CancelToken | None,
) -> None:
    writer = kind(report.root, data.label_set)
    lists = _train_or_val(data.splits)
    turned = 0
    for number, (name, path) in enumerate(data.photos.items(), 1):
        if cancel is not None:
            cancel.raise_if_cancelled()
        try:
            size = examine_size(path)
            labels = data.read(name)
            require_known_ids(path, labels, data.label_set)
        except StudioError as error:
            report.problems.append(error)
        else:
            split = lists.get(name, "train") if data.splits else split_of(name, VAL_SHARE)
            writer.add(LabelledPhoto(name, path, size, labels, split))
            report.written.append(name)
            turned += size.orientation != 1
        if progress is not None:
            progress(number / len(data.photos))
    report.notes += writer.finish()
    if turned and kind is not YoloWriter:
        report.notes.append(
            f"{turned:,} photos are stored lying on their side or mirrored; their labels are for the photo as it is "
            "shown."
        )


def _write_voc(
    data: LabelledData, report: ConvertReport, progress: Progress | None, cancel: CancelToken | None
) -> None:
    lists = _train_or_val(data.splits)
    items = [
        ExportItem(name, path, lambda name=name: data.read(name), lists.get(name))  # type: ignore[misc]
        for name, path in data.photos.items()
    ]
    exported = write_voc(items, report.root, data.label_set, val_share=VAL_SHARE, progress=progress, cancel=cancel)
    report.written += [item.name for item in exported.items]
    report.problems += exported.problems
    report.notes += exported.notes
    if data.splits and exported.items:
        _write_lists(VocLayout(exported.root), data.splits, {item.name: item.item_id for item in exported.items})


def _write_lists(layout: VocLayout, splits: Mapping[str, tuple[str, ...]], ids: Mapping[str, str]) -> None:
    """The lists of the source instead of those made up, in their order and without what was left out."""
    for name in {"train", "val", "trainval"} - splits.keys():
        layout.list_file(name).unlink(missing_ok=True)
    for name, listed in splits.items():
        with atomic_write(layout.list_file(name)) as temporary:
            temporary.write_bytes("".join(f"{ids[item]}\n" for item in listed if item in ids).encode())


def _train_or_val(splits: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    """The list of those two that every name is in."""
    found = dict.fromkeys(splits.get("val", ()), "val")
    return found | dict.fromkeys(splits.get("train", ()), "train")


def _classes(
    source: LabelSource[Any], wanted: LabelSet | None, progress: Progress | None, cancel: CancelToken | None
) -> LabelSet:
    named = source.classes
    if named:
        palette = voc_palette()
        taken: set[str] = set()
        classes = []
        for each in named:
            name = next(n for n in (each.name, *(f"{each.name} {i}" for i in range(2, 300))) if n not in taken)
            taken.add(name)
            red, green, blue = palette[each.id].tolist()
            classes.append(LabelClass(name, each.colour or (red, green, blue)))
        return LabelSet(tuple(classes))
    if wanted is not None:
        return wanted
    pixels = count_source(source, progress, cancel).pixels
    present = np.flatnonzero(pixels[:VOID])
    return LabelSet.from_names(f"class {i}" for i in range(int(present[-1]) + 1 if present.size else 1))


def _require_empty(out: Path) -> None:
    try:
        if out.exists() and (not out.is_dir() or next(out.iterdir(), None) is not None):
            what = "there is something in it already" if out.is_dir() else "it is a file"
            raise StudioError(what, path=out, hint="Choose a folder that is empty, or a new one.")
    except OSError as error:
        reason, hint = explain_os_error(error)
        raise StudioError(f"it could not be looked at because {reason}", path=out, hint=hint) from error
