"""From paths a person dropped to items of a project, and from an item to an open document. For worker threads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

from PySide6.QtCore import QCoreApplication

from deeplab_studio.app.canvas.mips import build_mips
from deeplab_studio.app.document import CrfSettings, Document
from deeplab_studio.core.cancel import CancelToken
from deeplab_studio.core.classmap import ClassMap, Labels
from deeplab_studio.core.errors import StudioError
from deeplab_studio.core.files import find_images
from deeplab_studio.core.history import History
from deeplab_studio.core.images import load_image
from deeplab_studio.core.labels import VOC_LABELS, VOID, LabelSet
from deeplab_studio.core.project import PROJECT_NAME, PROJECT_SUFFIX, Item, Project
from deeplab_studio.core.project_labels import MAPPINGS, MapStamp
from deeplab_studio.core.voc import find_voc, read_mask, read_voc
from deeplab_studio.core.voc.masks import unknown_ids


@dataclass(frozen=True)
class Opened:
    """What came of opening some paths.

    Attributes
    ----------
    project : Project or None
        None if nothing was found and none was open.
    items : list of Item
        The images to list, in order.
    first : int or None
        The item to show.
    label_set : LabelSet
    masks : dict of int to Path
        Mask files of a data set that was made elsewhere, by item.
    problems : list of StudioError
        What could not be opened.
    notices : list of str
        What the person should know.
    crf : CrfSettings or None
        What images of the project start with, if it remembers that.
    mappings : dict
        What was decided about classes of models; see `ClassMappings`.
    """

    project: Project | None
    items: list[Item]
    first: int | None
    label_set: LabelSet
    masks: dict[int, Path] = field(default_factory=dict)
    problems: list[StudioError] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    crf: CrfSettings | None = None
    mappings: dict[str, dict[str, str | None]] = field(default_factory=dict)


def gather(paths: Sequence[Path], project: Project | None, visible: Sequence[Item], cancel: CancelToken) -> Opened:
    """Find the photos under `paths` and their place in a project.

    A single folder is a data set of its own and gets its own project; files, and folders together with files, are added
    to the one that is open, or to the scratch project if none is. A project file opens as what it is.

    Parameters
    ----------
    paths : sequence of Path
    project : Project, optional
        The one that is open.
    visible : sequence of Item
        What the list shows now.
    cancel : CancelToken

    Raises
    ------
    StudioError
        If the project cannot be opened.
    """
    opened = _gather(paths, project, visible, cancel)
    if opened.project is None or opened.project is project:
        return opened
    return replace(
        opened,
        crf=CrfSettings.from_saved(opened.project.setting("crf")),
        mappings=opened.project.setting(MAPPINGS) or {},
    )


def _gather(paths: Sequence[Path], project: Project | None, visible: Sequence[Item], cancel: CancelToken) -> Opened:
    if len(paths) == 1 and paths[0].suffix == PROJECT_SUFFIX and paths[0].is_file():
        if paths[0].name != PROJECT_NAME:
            return _gather_project(paths[0], project)
        paths = [paths[0].parent]
    if len(paths) == 1 and paths[0].is_dir():
        return _gather_folder(paths[0], project, cancel)
    found = find_images(paths, cancel)
    if not found.images:
        return Opened(project, [], None, VOC_LABELS, problems=found.problems)
    target = project or Project.scratch()
    added = target.add(found.images)
    known = {item.id for item in visible}
    items = [*visible, *(item for item in added if item.id not in known)]
    return Opened(target, items, added[0].id, target.label_set, problems=found.problems, notices=_notices(target))


def _gather_project(path: Path, opened: Project | None) -> Opened:
    """Open a project file that stands by itself, a copy that was put somewhere."""
    project = opened if opened is not None and opened.path == path else Project.open(path)
    items = project.items()
    return Opened(project, items, _first(items), project.label_set, notices=_notices(project))


def _project_of(folder: Path, opened: Project | None, label_set: LabelSet = VOC_LABELS) -> Project:
    """The project of a folder: the one that is open if it is that, for it can be written through one door only."""
    if opened is not None and opened.root is not None and opened.root.resolve() == folder.resolve():
        return opened
    return Project.for_folder(folder, label_set=label_set)


def _gather_folder(folder: Path, opened: Project | None, cancel: CancelToken) -> Opened:
    root = find_voc(folder)
    if root is not None:
        return _gather_voc(root, opened, cancel)
    found = find_images([folder], cancel)
    project = _project_of(folder, opened)
    items = project.add(found.images) if found.images else []
    listed = {item.id for item in items}
    # Photos from elsewhere that were dropped onto this data set before.
    items += [item for item in project.items() if item.id not in listed and not item.path.is_relative_to(folder)]
    return Opened(project, items, _first(items), project.label_set, problems=found.problems, notices=_notices(project))


def _gather_voc(root: Path, opened: Project | None, cancel: CancelToken) -> Opened:
    dataset = read_voc(root, cancel=cancel)
    project = _project_of(root, opened, dataset.label_set)
    items = project.add([item.image for item in dataset.items])
    masks = {
        item.id: voc_item.mask for item, voc_item in zip(items, dataset.items, strict=True) if voc_item.mask is not None
    }
    notices = [_tr("Pascal VOC data set: {0} photos, {1} with masks.").format(len(items), len(masks))]
    notices += _notices(project)
    return Opened(project, items, _first(items), project.label_set, masks, dataset.problems, notices)


def _first(items: Sequence[Item]) -> int | None:
    """The first image that is not finished, else the first."""
    if not items:
        return None
    return next((item.id for item in items if item.state in ("new", "in progress")), items[0].id)


def _notices(project: Project) -> list[str]:
    return [project.notice] if project.notice else []


def load_document(
    project: Project, item: Item, mask: Path | None, crf: CrfSettings, history_bytes: int
) -> tuple[Document, list[str]]:
    """Read a photo and what the project knows about it.

    Parameters
    ----------
    project : Project
    item : Item
    mask : Path, optional
        A mask made elsewhere, used if the project has none yet. It counts as decided by a person: all of it is pinned.
    crf : CrfSettings
        What to start with if the image has no settings of its own.
    history_bytes : int

    Returns
    -------
    Document
    list of str
        What the person should know about this photo.

    Raises
    ------
    StudioError
        If the photo cannot be read.
    """
    image = load_image(item.path)
    notices = [f"{item.path.name}: {note}" for note in image.notes]
    shape = image.pixels.shape[:2]
    found = read_map(project, item, mask, shape)
    class_map = found.class_map or ClassMap.empty(*shape)
    document = Document(
        item=item,
        image=image,
        mips=build_mips(image.pixels),
        class_map=class_map,
        history=History(class_map, history_bytes),
        crf=CrfSettings.from_saved(project.crf(item.id)) or crf,
        labelled=found.class_map is not None,
        stamp=found.stamp,
    )
    return document, [*notices, *found.notices]


class FoundMap(NamedTuple):
    """A class map on disk.

    Attributes
    ----------
    class_map : ClassMap or None
        None if there is none that fits.
    stamp : MapStamp or None
        Of one that was saved in the project.
    notices : list of str
        What the person should know.
    """

    class_map: ClassMap | None
    stamp: MapStamp | None = None
    notices: tuple[str, ...] = ()


def read_map(project: Project, item: Item, mask: Path | None, shape: tuple[int, int]) -> FoundMap:
    """Read the class map of a photo of this (height, width): the project's, else that of a mask made elsewhere."""
    stamp = project.labels.stamp(item.id)
    saved = project.load_map(item.id)
    if saved is not None and saved[0].shape == shape:
        text = _tr("{0} was changed after it was labelled: check its mask.")
        changed = (text.format(item.path.name),) if project.photo_changed(item.id) else ()
        return FoundMap(ClassMap(*saved), stamp, changed)
    if saved is not None:
        was, now = (f"{width} x {height}" for height, width in (saved[0].shape, shape))
        text = _tr("{0} was {1} pixels when it was labelled and is {2} now: its mask does not fit and is not shown.")
        return FoundMap(None, None, (text.format(item.path.name, was, now),))
    if mask is None:
        return FoundMap(None)
    try:
        labels = read_own_mask(project, mask, shape)
    except StudioError as error:
        return FoundMap(None, None, (str(error),))
    return FoundMap(ClassMap(labels, labels != VOID))


def read_own_mask(
    project: Project, mask: Path, shape: tuple[int, int] | None = None, *, strict: bool = False
) -> Labels:
    """Read a mask that came with the data set, in the class ids the project has now.

    Parameters
    ----------
    project : Project
    mask : Path
    shape : (int, int), optional
        Height and width that it must have.
    strict : bool
        Whether ids without a class are refused.

    Raises
    ------
    StudioError
        If it cannot be read, has another size, or holds ids without a class.
    """
    size = None if shape is None else (shape[1], shape[0])
    table = project.labels.mask_table()
    if table is None:
        return read_mask(mask, image_size=size, label_set=project.label_set if strict else None)
    labels = table[read_mask(mask, image_size=size)]
    if strict and unknown_ids(labels, project.label_set):
        raise StudioError(
            "the mask holds ids that are no class",
            path=mask,
            hint="Make them classes in the label set editor, or say there what they become.",
        )
    return labels


def _tr(text: str) -> str:
    return QCoreApplication.translate("Opening", text)
