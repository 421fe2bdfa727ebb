"""From a configuration to what a run learns from: photos, classes, the teacher's features."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from deeplab_studio.checkpoints import load_checkpoint
from deeplab_studio.core.errors import StudioError
from deeplab_studio.core.labels import LabelSet
from deeplab_studio.core.voc import VocDataset, read_voc
from deeplab_studio.training.config import DataConfig, TrainingConfig
from deeplab_studio.training.loop import Material
from deeplab_studio.training.photos import Photos, open_photos
from deeplab_studio.training.teacher import TeacherFeatures, open_teacher

VAL_SIDE = 1024
"""Longest side, in pixels, at which photos that are scored are kept."""

Progress = Callable[[str, int, int], None]


def prepare(
    config: TrainingConfig,
    device: str,
    *,
    on_problem: Callable[[StudioError], None],
    on_notice: Callable[[str], None],
    progress: Progress | None = None,
) -> Material:
    """Read the data sets, decode the photos and run the teacher over them, or take both from the cache.

    Parameters
    ----------
    config : TrainingConfig
    device : str
        Where the teacher runs.
    on_problem : callable
        Told about every photo that is left out, and why.
    on_notice : callable
        Called with a sentence whenever a person should know something.
    progress : callable, optional
        Called with what is done, how much of it, and how much there is.

    Raises
    ------
    StudioError
        If there is nothing to learn from or nothing to score: no labelled photo, one class alone, classes that differ
        between the two data sets, or a teacher that cannot be loaded.
    """
    told = progress or (lambda *_: None)
    folder = config.data.cache or _cache_folder()
    train_set = read_voc(config.data.train, config.data.train_split or None)
    val_set = read_voc(config.data.val, config.data.val_split or None)
    for dataset in (train_set, val_set):
        for problem in dataset.problems:
            on_problem(problem)
    labels = _common_labels(train_set, val_set)
    _check_focus(config.data, labels)

    def opened(dataset: VocDataset, side: int, doing: str) -> Photos:
        return open_photos(
            dataset.items,
            labels,
            folder,
            side=side,
            on_problem=on_problem,
            progress=lambda done, count: told(doing, done, count),
        )

    train = opened(train_set, config.data.photo_side, "Decoding training photos")
    val = opened(val_set, VAL_SIDE, "Decoding validation photos")
    _check_photos(train, train_set, labels)
    if not len(val):
        raise StudioError(
            "no photo that could be scored has a mask", path=val_set.root, hint="Label some that are not taught."
        )
    if shared := set(train.names) & set(val.names):
        on_notice(
            f"{len(shared)} photos are both taught and scored ({min(shared)} ...): the scores will flatter the models."
        )
    teacher = None
    if config.teacher is not None:
        teacher = _teacher(config, train, labels, folder, device, on_notice, told)
    return Material(train, val, labels, teacher)


def _cache_folder() -> Path:
    import platformdirs

    return Path(platformdirs.user_cache_dir("deeplab-studio", appauthor=False)) / "training"


def _common_labels(train: VocDataset, val: VocDataset) -> LabelSet:
    """The classes of both data sets.

    A data set that names none may stand for one that does: its classes were only concluded from the ids it uses.
    """
    if train.label_set.names == val.label_set.names:
        return train.label_set
    if bool(train.label_source) != bool(val.label_source):
        return train.label_set if train.label_source else val.label_set
    if not train.label_source:
        return max(train.label_set, val.label_set, key=len)
    raise StudioError(
        f"its classes ({', '.join(val.label_set.names[:4])}, ...) are not those that are taught "
        f"({', '.join(train.label_set.names[:4])}, ...)",
        path=val.root,
        hint="Give both data sets the same labelmap.txt.",
    )


def _check_focus(data: DataConfig, labels: LabelSet) -> None:
    if unknown := [name for name in data.focus if name not in labels.names]:
        raise StudioError(
            f"data.focus names {unknown[0]!r}, which is no class of the data set",
            path=data.train,
            hint=f"Its classes: {', '.join(labels.names)}.",
        )


def _check_photos(train: Photos, dataset: VocDataset, labels: LabelSet) -> None:
    if not len(train):
        raise StudioError("no photo has a mask to learn from", path=dataset.root, hint="Label some photos first.")
    present = np.flatnonzero(train.class_pixels(len(labels)).any(axis=0))
    if len(present) < 2:
        only = labels.name_of(int(present[0])) if len(present) else "void"
        raise StudioError(
            f"all its masks hold one class alone ({only}), so there is nothing to tell apart",
            path=dataset.root,
            hint="Label the background, or another class, as well.",
        )


def _teacher(
    config: TrainingConfig,
    train: Photos,
    labels: LabelSet,
    folder: Path,
    device: str,
    on_notice: Callable[[str], None],
    told: Progress,
) -> TeacherFeatures:
    assert config.teacher is not None
    model = load_checkpoint(config.teacher.model, output_stride=config.teacher.output_stride or None)
    if model.profile.multi_scale is not None:
        model = model.with_multi_scale(None)
    teacher = open_teacher(
        model,
        train,
        labels,
        folder,
        device=device,
        progress=lambda done, count: told("Asking the teacher", done, count),
    )
    if not teacher.has_labels:
        on_notice(
            f"The teacher knows other classes ({len(model.classes)}, the data set has {len(labels)}): only its "
            "features are learnt from, not its labels."
        )
    return teacher
