"""Writing a Pascal VOC data set."""

from __future__ import annotations

import hashlib
import io
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from PIL import Image as PilImage

from deeplab_studio.core.cancel import CancelToken
from deeplab_studio.core.classmap import Labels
from deeplab_studio.core.errors import StudioError
from deeplab_studio.core.files import atomic_write, explain_os_error
from deeplab_studio.core.images import load_image
from deeplab_studio.core.labels import VOID, LabelSet
from deeplab_studio.core.voc.labelmap import stated_label_set, write_class_names, write_labelmap
from deeplab_studio.core.voc.layout import NESTED, VocLayout, find_voc, safe_id
from deeplab_studio.core.voc.masks import check_mask, encode_mask, require_known_ids
from deeplab_studio.core.voc.reader import conclude_label_set, files_by_id, images_by_id, read_lists

Mode = Literal["ground-truth", "prediction"]
PhotoWay = Literal["copied", "re-encoded", "kept"]

_JPEG_MAX_SIDE = 65_500
"""libjpeg's limit."""


@dataclass(frozen=True)
class ExportItem:
    """One item to write.

    Parameters
    ----------
    name : str
        Becomes its id in the data set, by `safe_id`.
    image : Path
        The photo.
    labels : callable
        Gives the class map, (H, W) uint8 at the upright photo's size; called once, when the item's turn comes. A
        StudioError it raises becomes a problem of this item.
    split : {"train", "val"}, optional
        The list it goes to; by `split_of` if left out.
    """

    name: str
    image: Path
    labels: Callable[[], Labels]
    split: str | None = None


@dataclass(frozen=True, slots=True)
class ExportedItem:
    """What became of an item.

    Parameters
    ----------
    name : str
        As asked for.
    item_id : str
        Its id in the data set.
    split : str
        ``"train"``, ``"val"``, or the list it stood in before.
    photo : {"copied", "re-encoded", "kept"}
        Copied byte for byte; decoded and saved upright as JPEG; or left as it was in the data set.
    """

    name: str
    item_id: str
    split: str
    photo: PhotoWay


@dataclass
class ExportReport:
    """What an export did.

    Parameters
    ----------
    root : Path
        The folder that holds ``JPEGImages``.
    items : list of ExportedItem
    problems : list of StudioError
        One for each item that was left out.
    notes : list of str
        What else a person should know, as sentences.
    """

    root: Path
    items: list[ExportedItem] = field(default_factory=list)
    problems: list[StudioError] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def exported(self) -> int:
        """Number of items written."""
        return len(self.items)

    def summary(self) -> str:
        """Everything in one paragraph."""
        ways = Counter(item.photo for item in self.items)
        told: dict[PhotoWay, str] = {
            "copied": "copied byte for byte",
            "re-encoded": "re-encoded upright as JPEG (quality 95, 4:4:4)",
            "kept": "left as they were",
        }
        photos = ", ".join(f"{ways[way]} {text}" for way, text in told.items() if ways[way])
        renamed = sum(item.name != item.item_id for item in self.items)
        sentences = [f"{self.exported} items written to {self.root}" + (f"; photos: {photos}." if photos else ".")]
        if renamed:
            sentences.append(f"{renamed} got an id that differs from their name.")
        if self.problems:
            sentences.append(f"{len(self.problems)} left out.")
        return " ".join([*sentences, *self.notes])


def write_voc(
    items: Iterable[ExportItem],
    out: Path,
    label_set: LabelSet,
    *,
    mode: Mode = "ground-truth",
    void_as: int | None = None,
    val_share: float = 0.2,
    nested: bool = False,
    progress: Callable[[float], object] | None = None,
    cancel: CancelToken | None = None,
) -> ExportReport:
    """Write items as a Pascal VOC data set, or add them to one.

    Written are ``JPEGImages/ID.jpg``, ``SegmentationClass/ID.png``, ``train.txt``, ``val.txt`` and ``trainval.txt`` in
    ``ImageSets/Segmentation``, ``labelmap.txt`` and ``class_names.txt``. Every file is written under a temporary name,
    read back and compared, then renamed. Items of a data set that is there already are replaced if they have the same
    id and kept otherwise; its lists are added to, and an item never changes from one list to another.

    Parameters
    ----------
    items : iterable of ExportItem
    out : Path
        A folder, or any place in which `find_voc` finds the data set to add to. Made if missing.
    label_set : LabelSet
        Class ids are positions in it. A data set that is there must give the same ids to the same names; classes may
        be added at the end. The colours of a data set that is there are kept.
    mode : {"ground-truth", "prediction"}
        A prediction may not hold void (255): the evaluation of the development kit refuses it.
    void_as : int, optional
        Class that void pixels become in a prediction; if left out, an item that has any is left out.
    val_share : float, 0..1
        Share of items in ``val.txt``. An item's list follows from its id alone, so it stays when others are added.
    nested : bool
        Write to ``out/VOCdevkit/VOC2012``, which ``torchvision.datasets.VOCSegmentation(out, year="2012")`` loads.
        Without it, the same folders lie in `out`.
    progress : callable, optional
        Called with the share that is done, 0..1.
    cancel : CancelToken, optional

    Returns
    -------
    ExportReport
        With a problem for each item that was left out: an unreadable photo, a class map of another size, an id without
        a class, void in a prediction.

    Raises
    ------
    StudioError
        If the folder cannot be written, the disk is full, or the data set that is there has another label set. No half
        file is left; items that were written whole before stay and are listed.
    Cancelled
        If `cancel` was set; likewise.
    ValueError
        If an option is out of range.

    Notes
    -----
    A JPEG that is stored upright is copied byte for byte. Everything else is decoded, turned upright and saved as JPEG
    with quality 95 and full colour resolution, without metadata.
    """
    if mode not in get_args(Mode):
        raise ValueError(f"mode is {mode!r}, it must be one of {', '.join(get_args(Mode))}")
    if not 0 <= val_share <= 1:
        raise ValueError(f"val_share is {val_share}, it must be between 0 and 1")
    if void_as is not None and not 0 <= void_as < len(label_set):
        raise ValueError(f"void_as is {void_as}, it must be a class id, 0 to {len(label_set) - 1}")
    wanted = list(items)
    out = Path(out)
    layout = VocLayout(out / NESTED if nested else find_voc(out) or out)
    report = ExportReport(layout.root)
    export = _Export(layout, _agreed(layout, label_set, report, cancel), mode, void_as, report)
    with _prepared(export):
        for number, item in enumerate(wanted, 1):
            if cancel is not None:
                cancel.raise_if_cancelled()
            export.write(item, val_share)
            if progress is not None:
                progress(number / len(wanted))
    return report


def split_of(item_id: str, val_share: float) -> str:
    """The list an item belongs to, ``"train"`` or ``"val"``, from a hash of its id."""
    place = int.from_bytes(hashlib.sha256(item_id.encode()).digest()[:8], "big") / 2**64
    return "val" if place < val_share else "train"


def _agreed(layout: VocLayout, wanted: LabelSet, report: ExportReport, cancel: CancelToken | None) -> LabelSet:
    """The label set that both `wanted` and the data set that is there can be written with."""
    found = stated_label_set(layout)
    if found is None:
        masks = list(files_by_id(layout.masks, {".png"}, []).values())
        if not masks:
            return wanted
        found = conclude_label_set(masks, cancel=cancel)
    for class_id, (theirs, ours) in enumerate(zip(found.names, wanted.names, strict=False)):
        if theirs != ours:
            raise StudioError(
                f"it holds a data set with other classes: {class_id} is {theirs!r} there and {ours!r} here",
                path=layout.root,
                hint="Export to another folder.",
            )
    shared = min(len(found), len(wanted))
    if found.classes[:shared] != wanted.classes[:shared]:
        report.notes.append("The class colours of the data set that was there are kept.")
    return LabelSet(found.classes + wanted.classes[shared:], wanted.name)


@contextmanager
def _prepared(export: _Export) -> Iterator[None]:
    """Folders and class tables before, lists afterwards, whatever happens between; nothing at all if nothing came."""
    made: list[Path] = []
    try:
        export.prepare(made)
        yield
    except BaseException:
        # What was written whole is worth keeping, and listing; the first error is the one to tell.
        if export.report.items:
            with suppress(StudioError):
                export.write_lists()
        raise
    else:
        if export.report.items:
            export.write_lists()
    finally:
        if not export.report.items:
            _remove(made)


def _remove(made: list[Path]) -> None:
    for path in reversed(made):
        with suppress(OSError):
            path.rmdir() if path.is_dir() else path.unlink()


class _Export:
    """One run of `write_voc`."""

    def __init__(
        self, layout: VocLayout, label_set: LabelSet, mode: Mode, void_as: int | None, report: ExportReport
    ) -> None:
        self.layout = layout
        self.report = report
        self._label_set = label_set
        self._mode = mode
        self._void_as = void_as
        self._seen: set[str] = set()
        self._lists: Mapping[str, tuple[str, ...]] = {}
        self._split: dict[str, str] = {}

    def prepare(self, made: list[Path]) -> None:
        """Make folders and class tables; `made` gets what was not there before."""
        for folder in (self.layout.images, self.layout.masks, self.layout.lists):
            _make_folder(folder, made)
        problems: list[StudioError] = []
        self._lists = read_lists(self.layout, problems)
        if problems:  # a list that cannot be read must not be written over
            raise problems[0]
        for name in ("test", "val", "train"):
            self._split |= dict.fromkeys(self._lists.get(name, ()), name)
        tables = (self.layout.labelmap, self.layout.class_names)
        stated = stated_label_set(self.layout)
        if stated is None or stated.classes != self._label_set.classes or not all(path.is_file() for path in tables):
            made += [path for path in tables if not path.exists()]
            write_labelmap(self.layout.labelmap, self._label_set)
            write_class_names(self.layout.class_names, self._label_set)

    def write(self, item: ExportItem, val_share: float) -> None:
        """Write one item, or note why not."""
        try:
            inside = _is_in(item.image, self.layout.images)
            item_id = item.image.stem if inside else safe_id(item.name)
            if item_id.casefold() in self._seen:
                raise StudioError(
                    f"another item of this export has the same id, {item_id}", path=item.image, hint="Rename one."
                )
            photo = self._photo(item, inside)
            labels = self._labels(item, photo.size)
        except StudioError as error:
            self.report.problems.append(error)
            return
        self._seen.add(item_id.casefold())
        way = self._write_files(item_id, photo, labels)
        split = self._split.setdefault(item_id, item.split or split_of(item_id, val_share))
        self.report.items.append(ExportedItem(item.name, item_id, split, way))

    def write_lists(self) -> None:
        """Add the items written to the lists."""
        complete = set(images_by_id(self.layout, [])) & set(files_by_id(self.layout.masks, {".png"}, []))
        fresh = {item.item_id: item.split for item in self.report.items}
        merged = {}
        for name in ("train", "val"):
            merged[name] = _extended(self._lists.get(name, ()), (i for i, split in fresh.items() if split == name))
        listed = [item_id for name in ("train", "val") for item_id in merged[name] if item_id in complete]
        merged["trainval"] = _extended(self._lists.get("trainval", ()), listed)
        for name, ids in merged.items():
            with atomic_write(self.layout.list_file(name)) as temporary:
                temporary.write_bytes("".join(f"{item_id}\n" for item_id in ids).encode())

    def _photo(self, item: ExportItem, inside: bool) -> _Photo:
        # Decoded even if it is only copied: a data set with a photo that nobody can open is worth little.
        image = load_image(item.image)
        size = (image.width, image.height)
        if inside:
            if image.orientation != 1:
                raise StudioError(
                    "its photo is stored lying on its side or mirrored, and others would show it so beside an upright "
                    "mask; it lies in the data set itself and is not changed",
                    path=item.image,
                    hint="Export to another folder.",
                )
            return _Photo(size, "kept", b"")
        if image.format == "JPEG" and image.orientation == 1:
            try:
                return _Photo(size, "copied", item.image.read_bytes())
            except OSError as error:
                reason, hint = explain_os_error(error)
                raise StudioError(f"it could not be read because {reason}", path=item.image, hint=hint) from error
        if max(size) > _JPEG_MAX_SIDE:
            raise StudioError(
                f"it is {size[0]} x {size[1]} pixels, and a JPEG holds at most {_JPEG_MAX_SIDE:,} per side",
                path=item.image,
                hint="Cut it into smaller pictures.",
            )
        buffer = io.BytesIO()
        PilImage.fromarray(image.pixels).save(buffer, format="JPEG", quality=95, subsampling=0)
        return _Photo(size, "re-encoded", buffer.getvalue())

    def _labels(self, item: ExportItem, size: tuple[int, int]) -> Labels:
        labels = item.labels()
        if labels.shape != size[::-1] or labels.dtype != np.uint8:
            raise StudioError(
                f"its class map is {' x '.join(map(str, labels.shape[::-1]))} {labels.dtype}, its photo {size[0]} x "
                f"{size[1]}",
                path=item.image,
                hint="The photo was changed since: label it again.",
            )
        require_known_ids(item.image, labels, self._label_set)
        if self._mode == "prediction":
            void = labels == VOID
            if void.any() and self._void_as is None:
                raise StudioError(
                    f"it has {np.count_nonzero(void):,} void pixels, which a prediction may not hold",
                    path=item.image,
                    hint="Give them a class, or export as ground truth.",
                )
            if self._void_as is not None:
                labels = np.where(void, np.uint8(self._void_as), labels)
        return labels

    def _write_files(self, item_id: str, photo: _Photo, labels: Labels) -> PhotoWay:
        image, mask = self.layout.image(item_id), self.layout.mask(item_id)
        with ExitStack() as stack:
            if photo.way != "kept" and not _holds(image, photo.data):
                temporary = stack.enter_context(atomic_write(image))
                temporary.write_bytes(photo.data)
                if not _holds(temporary, photo.data):
                    raise StudioError(
                        "what was written does not read back as it was", path=image, hint="Check the disk."
                    )
            temporary = stack.enter_context(atomic_write(mask))
            encode_mask(temporary, labels, self._label_set)
            check_mask(temporary, labels, self._label_set, mask)
        return photo.way


@dataclass(frozen=True)
class _Photo:
    size: tuple[int, int]
    way: PhotoWay
    data: bytes


def _make_folder(folder: Path, made: list[Path]) -> None:
    missing = [folder, *folder.parents]
    missing = missing[: next(i for i, path in enumerate(missing) if path.exists() or path == path.parent)]
    try:
        for path in reversed(missing):
            path.mkdir(exist_ok=True)
            made.append(path)
        if not folder.is_dir():
            raise StudioError("a file is in the way of this folder", path=folder, hint="Choose another folder.")
    except OSError as error:
        reason, hint = explain_os_error(error)
        raise StudioError(f"the folder cannot be made because {reason}", path=folder, hint=hint) from error


def _is_in(image: Path, folder: Path) -> bool:
    try:
        return image.parent.samefile(folder)
    except OSError:
        return False


def _holds(path: Path, data: bytes) -> bool:
    try:
        return path.stat().st_size == len(data) and path.read_bytes() == data
    except FileNotFoundError:
        return False


def _extended(there: tuple[str, ...], ids: Iterable[str]) -> list[str]:
    """A list with more ids: sorted if it was, at the end otherwise."""
    known = set(there)
    merged = [*there, *sorted(set(ids) - known)]
    return sorted(merged) if list(there) == sorted(there) else merged
