"""Keeps the figures of the items up to date, in the lane of the disk."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

from deeplab_studio.app.jobs import Job, Lane
from deeplab_studio.core.errors import StudioError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from deeplab_studio.app.predictions import Prediction
    from deeplab_studio.core.item_figures import Figures
    from deeplab_studio.core.project import Project

COUNT_S = 0.05
"""Class maps that were never counted are counted in pieces of about this length: saving need not wait for them."""

_COUNTING = "count"


class ItemFigures(QObject):
    """The figures of the data set that is open.

    Parameters
    ----------
    disk : Lane
    parent : QObject, optional

    Signals
    -------
    loaded : dict of int to Figures
        All there are; another data set was opened.
    changed : int, Figures
        Those of one item.
    """

    loaded = Signal(object)
    changed = Signal(int, object)
    _saved = Signal(object, int, object)

    def __init__(self, disk: Lane, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._disk = disk
        self._project: Project | None = None
        self._masks: dict[int, Path] = {}
        self._saved.connect(self._on_saved)

    def open(self, project: Project, masks: Mapping[int, Path]) -> None:
        """Tell the figures of a data set from now on; or, if it is the one that is open, count the masks added to it.

        Parameters
        ----------
        project : Project
        masks : mapping of int to Path
            Mask files that came with the data set: they are counted too.
        """
        known = dict(masks)
        if project is self._project:
            self._masks |= known
            if not project.read_only:
                self._count(project, known, list(known))
            return
        self._project = project
        project.figures.changed = lambda item_id, figures: self._saved.emit(project, item_id, figures)
        self.loaded.emit({})
        self._masks = known
        self.reload()

    def reload(self) -> None:
        """Read all figures again: the label set has changed, and every class map with it."""
        project, known = self._project, self._masks
        if project is None:
            return

        def work(_job: Job) -> tuple[dict[int, Figures], list[int]]:
            figures = project.figures.all()
            missing = [] if project.read_only else project.figures.uncounted()
            missing += [item_id for item_id in known if item_id not in figures or not figures[item_id].pixels]
            return figures, list(dict.fromkeys(missing))

        def done(read: tuple[dict[int, Figures], list[int]]) -> None:
            if self._project is project:
                figures, missing = read
                self.loaded.emit(figures)
                if not project.read_only:
                    self._count(project, known, missing)

        self._disk.submit("figures", work, done, priority=15)

    def predicted(self, prediction: Prediction) -> None:
        """Keep what a model said about an image."""
        project, labels, scores = self._project, prediction.labels, prediction.scores
        if project is None or labels is None or project.read_only:
            return
        item_id = prediction.item_id
        label_set = project.label_set

        def work(_job: Job) -> None:
            if project.label_set is not label_set:
                return  # the labels speak of the class ids of before
            project.figures.save_prediction(item_id, labels, scores.model_id, scores.uncertainty())

        # Before the project is closed, which the session asks for with priority 1.
        self._disk.submit(("predicted", item_id), work, priority=5)

    def add_seconds(self, seconds: Mapping[int, float]) -> None:
        """Add to the time a person worked on items."""
        project, amount = self._project, dict(seconds)
        if project is not None and amount and not project.read_only:
            key = ("time", tuple(amount), time.monotonic())
            self._disk.submit(key, lambda _job: project.figures.add_seconds(amount), priority=30)

    def close(self) -> None:
        """The data set is left: tell nothing about it any more."""
        if self._project is not None:
            self._project.figures.changed = None
        self._project = None
        self._disk.cancel(_COUNTING)
        self._disk.cancel("figures")

    def _on_saved(self, project: Project, item_id: int, figures: Figures) -> None:
        if project is self._project:
            self.changed.emit(item_id, figures)

    def _count(self, project: Project, masks: Mapping[int, Path], waiting: list[int]) -> None:
        if not waiting:
            return

        def work(job: Job) -> list[int]:
            end = time.monotonic() + COUNT_S
            done = 0
            while done < len(waiting) and time.monotonic() < end:
                job.token.raise_if_cancelled()
                _count_one(project, waiting[done], masks)
                done += 1
            return waiting[done:]

        def go_on(rest: list[int]) -> None:
            if self._project is project:
                self._count(project, masks, rest)

        self._disk.submit(_COUNTING, work, go_on, priority=-100)


def _count_one(project: Project, item_id: int, masks: Mapping[int, Path]) -> None:
    from deeplab_studio.app.opening import read_own_mask

    try:
        saved = project.load_map(item_id)
        if saved is not None:
            project.figures.count(item_id, saved[0])
        elif item_id in masks:
            project.figures.count(item_id, read_own_mask(project, masks[item_id]))
    except (StudioError, KeyError):
        return  # whoever opens the item is told
