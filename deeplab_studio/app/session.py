"""What the program is doing: the open data set, the image on screen and everything that happens to it.

The window shows a `Session` and passes on what a person does; it decides nothing itself.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

from deeplab_studio.app.autosave import Autosave
from deeplab_studio.app.class_mappings import Choices, ClassMappings
from deeplab_studio.app.document import CrfSettings, Document, DocumentShelf
from deeplab_studio.app.edits import Edits
from deeplab_studio.app.figures import ItemFigures
from deeplab_studio.app.jobs import Job, Lane
from deeplab_studio.app.painting import Painting
from deeplab_studio.app.predictions import Prediction, Predictions, unmatched_notice
from deeplab_studio.app.project_closing import ProjectClosing
from deeplab_studio.app.refinement import Refined, Refinement
from deeplab_studio.app.selection import Selection
from deeplab_studio.core.errors import StudioError
from deeplab_studio.core.labels import VOC_LABELS, ClassMapping, LabelSet

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from deeplab_studio.app.opening import Opened
    from deeplab_studio.app.predictions import ModelInfo
    from deeplab_studio.app.settings import Settings
    from deeplab_studio.core.project import Item, Project

log = logging.getLogger(__name__)


class Session(QObject):
    """The state of one window.

    Parameters
    ----------
    settings : Settings
    parent : QObject, optional

    Signals
    -------
    itemsChanged : list of Item
        Another list of images.
    statesChanged : list of int, str
        These items are in this state now.
    leaving
        Another image is about to come: what is being painted has to end.
    currentChanged : Document or None
        Another image is on screen.
    imageFailed : int, StudioError
        An image of the list could not be opened.
    labelsChanged : Rect or None
        Pixels of the current class map changed; None means all of it.
    previewed : Refined or None
        A class map to show for the moment instead of the real one.
    refined : Refined
        The CRF's exact result is in the class map.
    scoresChanged : Document
        The current model's scores for the image on screen are known.
    historyChanged
    labelSetChanged : LabelSet
    crfChanged : CrfSettings
        The CRF settings of the image on screen changed other than by `set_crf`.
    noticed : str, str
        Level ("info", "warning", "error") and a sentence for the person.
    classesUnmatched : str
        The model has classes that the data set does not have; a sentence that says so.
    projectChanged : Project
    classesMapped
        Something was decided about the classes of a model.
    """

    itemsChanged = Signal(object)
    statesChanged = Signal(object, str)
    leaving = Signal()
    currentChanged = Signal(object)
    imageFailed = Signal(int, object)
    labelsChanged = Signal(object)
    previewed = Signal(object)
    refined = Signal(object)
    scoresChanged = Signal(object)
    historyChanged = Signal()
    labelSetChanged = Signal(object)
    crfChanged = Signal(object)
    noticed = Signal(str, str)
    classesUnmatched = Signal(str)
    projectChanged = Signal(object)
    classesMapped = Signal()

    def __init__(self, settings: Settings, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._settings = settings
        self.disk = Lane("disk", self)
        self.figures = ItemFigures(self.disk, self)
        self.predictions = Predictions(settings.get("memory/scores_bytes"), self)
        self.refinement = Refinement(self)
        self.project: Project | None = None
        self.label_set: LabelSet = VOC_LABELS
        self.current: Document | None = None
        self._selection = Selection()
        self._masks: dict[int, Path] = {}
        self._shelf = DocumentShelf(settings.get("memory/photos_bytes"))
        self._crf = CrfSettings(settings.get("crf/on"), settings.crf_params())
        self._asked_to_predict: int | None = None
        self._chosen_by_opening: int | None = None
        self.may_leave: Callable[[], bool] = lambda: True
        """Asked before a data set gives way to another; the answer is no if something would be lost."""
        self.autosave = Autosave(self._shelf.documents, self)
        self.autosave.due.connect(self.save)
        self.autosave.failed.connect(self._on_failed)
        self._closing = ProjectClosing(self.autosave, self.disk)
        self.edits = Edits(self, self.autosave, settings.get("memory/history_bytes"))
        self.edits.changed.connect(self.historyChanged)
        self.edits.labelsChanged.connect(self.labelsChanged)
        self.edits.crfRestored.connect(self._on_crf_restored)
        self.painting = Painting(
            lambda: None if self.edits.frozen else self.current, lambda: self.read_only, self.mapping, self
        )
        self.painting.began.connect(self._on_painting)
        self.painting.committed.connect(lambda document, edit: self.edits.record(document, edit, by_person=True))
        self.painting.noticed.connect(self.noticed)
        settings.changed.connect(self._on_setting)
        self.mappings = ClassMappings()
        self.predictions.modelChanged.connect(self._on_model_changed)
        self.predictions.predicted.connect(self._on_predicted)
        self.predictions.predicted.connect(self.figures.predicted)
        self.predictions.failed.connect(self._on_failed)
        self.predictions.noticed.connect(lambda text: self.noticed.emit("warning", text))
        self.refinement.previewed.connect(self._on_previewed)
        self.refinement.refined.connect(self._on_refined)
        self.refinement.failed.connect(self._on_failed)

    # Opening

    def open_paths(self, paths: Iterable[Path]) -> None:
        """Open images, folders and data sets; a single folder replaces what is open, anything else is added to it."""
        wanted = [Path(path) for path in paths]
        if not wanted:
            return
        project, visible = self.project, list(self._selection.items)

        def work(job: Job) -> Opened:
            from deeplab_studio.app.opening import gather

            return gather(wanted, project, visible, job.token)

        self.disk.submit("open", work, self._on_opened, self._on_failed, priority=20)

    def select(self, item_id: int) -> None:
        """Put an image on screen."""
        item = self._selection.item(item_id)
        if item is None or item_id == self._selection.current:
            return
        self.leaving.emit()
        self.painting.abort()
        self.save()
        self._selection.current = item_id
        self.refinement.forget()
        document = self._shelf.get(item_id)
        if document is not None:
            self._show(document)
        else:
            self._load(item, priority=10)

    def step(self, offset: int) -> None:
        """Go `offset` images on in the order of the list."""
        target = self._selection.stepped(offset)
        if target is not None:
            self.select(target)

    def neighbour(self, offset: int) -> Item | None:
        """The image `offset` places on from the one on screen in the order of the list; None beyond its ends."""
        target = self._selection.stepped(offset)
        return None if target is None or target == self._selection.current else self._selection.item(target)

    def set_order(self, order: list[int]) -> None:
        """Say in which order, by item id, the list shows the images; those left out are not gone through."""
        self._selection.order = order

    def following(self) -> list[int]:
        """Ids of the images after the one on screen and then, from the first on, of those before it."""
        return self._selection.following()

    @property
    def items(self) -> list[Item]:
        """The images in the list."""
        return self._selection.items

    @property
    def current_id(self) -> int | None:
        """The item on screen or being loaded."""
        return self._selection.current

    @property
    def masks(self) -> dict[int, Path]:
        """Mask files that came with the data set, by item."""
        return self._masks

    def item(self, item_id: int) -> Item | None:
        """An item of the list."""
        return self._selection.item(item_id)

    def hide_items(self, item_ids: Iterable[int]) -> None:
        """Take images off the list. Their photos and their labels stay where they are."""
        gone = set(item_ids)
        following = self._selection.neighbour(gone)
        self._selection.items = [item for item in self._selection.items if item.id not in gone]
        self.itemsChanged.emit(self._selection.items)
        if self._selection.current in gone:
            self.leaving.emit()
            self.painting.abort()
            self.save()
            self._selection.current = None
            self.current = None
            self.currentChanged.emit(None)
            if following is not None:
                self.select(following)

    def labelled_items(self) -> set[int]:
        """Ids of the items that have a class map in the project, or are about to."""
        saved = self.project.items_with_maps() if self.project is not None else set()
        return saved | {document.item.id for document in self._shelf.documents() if document.edited}

    # Editing

    @property
    def read_only(self) -> bool:
        """Whether the data set can only be looked at."""
        return self.project is not None and self.project.read_only

    def undo(self) -> None:
        """Take back the newest change."""
        self.edits.undo()

    def redo(self) -> None:
        """Make the change undone last again."""
        self.edits.redo()

    def put_labels(
        self,
        document: Document,
        labels: npt.NDArray[np.uint8],
        name: str,
        *,
        crf: CrfSettings | None = None,
        by_person: bool = False,
    ) -> None:
        """Give an open image other labels as one undoable step; see `Edits.put_labels`."""
        self.edits.put_labels(document, labels, name, crf=crf, by_person=by_person)

    def document(self, item_id: int) -> Document | None:
        """An image that is in memory."""
        return self._shelf.get(item_id)

    def set_state(self, item_id: int, state: str, *, undoable: bool = True) -> None:
        """Change how far an image is."""
        self.edits.set_states([item_id], state, undoable=undoable)

    def set_states(self, item_ids: Iterable[int], state: str) -> None:
        """Change how far images are, as one undoable step."""
        self.edits.set_states(item_ids, state)

    def replace_item(self, item: Item) -> None:
        """Show an item as it is now."""
        self._selection.replace(item)
        document = self._shelf.get(item.id)
        if document is not None:
            document.item = item

    # Model and CRF

    def predict(self) -> None:
        """Predict the image on screen, also over what is there; pinned pixels stay."""
        if self.current is not None and self.predictions.model is not None:
            self._asked_to_predict = self.current.item.id
            self.want_predictions()

    def set_crf(self, settings: CrfSettings, *, live: bool) -> None:
        """Use these CRF settings on the image on screen.

        Parameters
        ----------
        settings : CrfSettings
        live : bool
            A slider is moving: show what it would give; otherwise make it so.
        """
        document = self.current
        if live:
            if document is not None and document.scores is not None and settings.on and not self.painting.busy:
                self.refinement.follow(document, settings, self.mapping())
            return
        self._crf = settings
        self._settings.set("crf/on", settings.on)
        self._settings.set_crf_params(settings.params)
        if document is None:
            return
        if document.scores is None:
            document.crf = settings
        elif not self.painting.busy:
            self.refinement.settle(document, settings, self.mapping())

    # Saving

    @property
    def unsaved(self) -> bool:
        """Whether something is not on disk yet."""
        return self.autosave.unsaved

    def save(self) -> None:
        """Write what changed to the project, in the background."""
        if self.project is not None:
            self.autosave.save(self.project, self._crf, self.painting)

    def flush(self, on_done: Callable[[], None] | None = None) -> Callable[[], None]:
        """Save everything; see `Autosave.when_tried`."""
        self.painting.abort()
        self.save()
        return self.autosave.when_tried(on_done)

    def stop(self) -> None:
        """Cancel predicting, refining and opening."""
        self._asked_to_predict = None
        self.predictions.stop()
        self.refinement.lane.keep_only(())
        self.disk.cancel("open")

    def close(self) -> None:
        """Save everything and end all background work."""
        self.painting.abort()
        self.refinement.close()
        self.predictions.close()
        self.save()
        self._closing.now(self.project)
        self.project = None

    def _on_opened(self, opened: Opened) -> None:
        for problem in opened.problems:
            self.noticed.emit("warning", str(problem))
        if not opened.items:
            if not opened.problems:
                self.noticed.emit("warning", self.tr("No photos were found there."))
            return
        if opened.project is not self.project:
            if not self.may_leave():
                if opened.project is not None:
                    opened.project.close()
                return
            self.leave()
            self.project = opened.project
            self.label_set = opened.label_set
            self._crf = opened.crf or self._crf
            self.mappings.load(opened.mappings)
            self.projectChanged.emit(opened.project)
            self.labelSetChanged.emit(self.label_set)
            self._tell_unmatched()
            if len(self.label_set) <= self.painting.active_class < 255:
                self.painting.set_active_class(min(1, len(self.label_set) - 1))
        for notice in opened.notices:
            self.noticed.emit("info", notice)
        self._masks.update(opened.masks)
        self._selection.items = list(opened.items)
        self.itemsChanged.emit(self._selection.items)
        if opened.project is not None:
            self.figures.open(opened.project, opened.masks)
        if opened.first is not None:
            self._chosen_by_opening = opened.first
            self.select(opened.first)

    def leave(self, on_closed: Callable[[], object] = lambda: None) -> None:
        """Close the data set. What can be saved is, and then `on_closed` is called."""
        self.leaving.emit()
        self.painting.abort()
        self.save()
        project = self.project
        self.refinement.forget()
        self.predictions.forget()
        self.figures.close()
        if project is not None:
            self._closing.later(project, on_closed)
        self.project = None
        self.autosave.forget()
        self._shelf.clear()
        self.edits.forget_all()
        self._masks.clear()
        self._selection = Selection()
        self.current = None
        self.currentChanged.emit(None)

    def _load(self, item: Item, priority: int) -> None:
        project = self.project
        assert project is not None
        mask, crf, history_bytes = self._masks.get(item.id), self._crf, self._settings.get("memory/history_bytes")

        def work(_job: Job) -> tuple[Document, list[str]]:
            from deeplab_studio.app.opening import load_document

            return load_document(project, item, mask, crf, history_bytes)

        def failed(error: StudioError) -> None:
            self.imageFailed.emit(item.id, error)
            if item.id == self._selection.current:
                self.current = None
                self.currentChanged.emit(None)
                self.noticed.emit("error", str(error))
                self._skip_what_opening_chose(item.id)

        self.disk.submit(("load", item.id), work, self._on_loaded, failed, priority=priority, interrupt=False)

    def _skip_what_opening_chose(self, item_id: int) -> None:
        """Show the next image instead of a broken one that nobody asked for in particular."""
        if item_id == self._chosen_by_opening:
            ids = [item.id for item in self._selection.items]
            following = ids[ids.index(item_id) + 1 :]
            self._chosen_by_opening = following[0] if following else None
            if following:
                self.select(following[0])

    def _on_loaded(self, loaded: tuple[Document, list[str]]) -> None:
        document, notices = loaded
        if self._selection.item(document.item.id) is None:
            return  # another data set was opened meanwhile
        known = self._shelf.get(document.item.id)
        if known is None:
            if not self.edits.adopt(document):
                text = self.tr("{0} was changed elsewhere: what was done before can no longer be undone.")
                notices = [*notices, text.format(document.item.path.name)]
            keep = {self._selection.current} if self._selection.current is not None else set()
            self._shelf.put(document, keep)
            known = document
        if document.item.id == self._selection.current:
            if self.current is not known:
                self._show(known)
            for notice in notices:
                self.noticed.emit("info", notice)
        else:
            self.want_predictions()

    def _show(self, document: Document) -> None:
        if not document.labelled:
            document.crf = self._crf  # it was read ahead, before the person changed them
        self.current = document
        self.currentChanged.emit(document)
        self.crfChanged.emit(document.crf)
        self.historyChanged.emit()
        self.want_predictions()
        for rank, item in enumerate(self._selection.around(document.item.id)):
            if self._shelf.get(item.id) is None and self.disk.find(("load", item.id)) is None:
                self._load(item, priority=-rank)

    def want_predictions(self) -> None:
        """Ask for the scores of the image on screen and of its neighbours."""
        document = self.current
        if document is None or self.predictions.model is None or self.edits.frozen:
            return
        wanted: list[tuple[Document, ClassMapping | None]] = []
        automatic = self._settings.get("model/automatic")
        asked = self._asked_to_predict == document.item.id
        if asked or document.scores is None or (automatic and not document.labelled):
            wanted.append((document, self.mapping()))
        if automatic:
            for item in self._selection.around(document.item.id):
                neighbour = self._shelf.get(item.id)
                if neighbour is not None and neighbour.scores is None:
                    wanted.append((neighbour, None))
        self.predictions.want(wanted)

    def _on_predicted(self, prediction: Prediction) -> None:
        document = self._shelf.get(prediction.item_id)
        if document is None:
            return
        document.scores = prediction.scores
        if prediction.labels is None:
            return
        asked = self._asked_to_predict == prediction.item_id
        if asked:
            self._asked_to_predict = None
        automatic = self._settings.get("model/automatic") and not document.labelled
        if document is self.current:
            self.scoresChanged.emit(document)
        if not asked and not automatic:
            return
        labels = prediction.labels

        def apply() -> None:
            self.put_labels(document, labels, self.tr("Prediction"))
            if document is self.current and document.crf.on:
                self.refinement.settle(document, document.crf, self.mapping())

        self.painting.when_no_stroke(apply)

    def _on_painting(self) -> None:
        self.autosave.stroke_began()
        self.refinement.unfollow()
        self.previewed.emit(None)

    def _on_previewed(self, refined: Refined) -> None:
        if self.current is not None and refined.item_id == self.current.item.id and not self.painting.busy:
            self.previewed.emit(refined)

    def _on_refined(self, refined: Refined) -> None:
        document = self.current
        if document is None or refined.item_id != document.item.id:
            return

        def apply() -> None:
            after = refined.settings
            name = self.tr("CRF") if after.on else self.tr("CRF off")
            self.put_labels(document, refined.labels, name, crf=after, by_person=document.crf != after)
            self.refined.emit(refined)

        self.painting.when_no_stroke(apply)

    def _on_model_changed(self, model: object) -> None:
        for document in self._shelf.documents():
            document.scores = None
        if self.current is not None and self.current.item.state == "new":
            self._asked_to_predict = self.current.item.id  # a model was chosen to see what it says
        self.refinement.forget()
        self.previewed.emit(None)
        if model is not None:
            self._tell_unmatched()
        self.want_predictions()

    def _tell_unmatched(self) -> None:
        notice = unmatched_notice(self.mapping())
        if notice:
            self.classesUnmatched.emit(notice)

    def _on_crf_restored(self, crf: CrfSettings) -> None:
        self._crf = crf
        self.crfChanged.emit(crf)

    def _on_setting(self, key: str) -> None:
        if key == "memory/history_bytes":
            self.edits.set_max_bytes(self._settings.get(key))

    def _on_failed(self, error: StudioError) -> None:
        self._asked_to_predict = None
        self.noticed.emit("error", str(error))

    def label_set_changed(self, document: Document | None, mappings: dict[str, dict[str, str | None]]) -> None:
        """The class maps on disk have other ids now: show the new label set and read again what is not on screen.

        Parameters
        ----------
        document : Document or None
            The image on screen whose class map has the new ids already.
        mappings : dict
            What is decided about classes of models, by the names of now.
        """
        project = self.project
        assert project is not None
        for other in self._shelf.documents():
            if other is not document:
                self._shelf.drop(other.item.id)
        self.label_set = project.label_set
        self.mappings.load(mappings)
        self.labelSetChanged.emit(self.label_set)
        self.labelsChanged.emit(None)
        self.figures.reload()
        item_id = self._selection.current
        if self.current is not document and item_id is not None:
            self._selection.current = None
            self.select(item_id)

    def decide_mapping(self, model: ModelInfo, choices: Choices) -> None:
        """Remember what a model's classes become, and predict the image on screen so if it is not finished."""
        from deeplab_studio.core.project_labels import MAPPINGS

        project, document = self.project, self.current
        self.mappings.decide(model, choices)
        if project is not None and not project.read_only:
            self.autosave.save_setting(project, MAPPINGS, self.mappings.saved())
        self.predictions.drop()
        self.refinement.forget()
        self.classesMapped.emit()
        if self.predictions.model is model and document is not None and document.item.state in ("new", "in progress"):
            self.predict()

    def mapping(self) -> ClassMapping:
        """How the classes of the model in use become those of the data set."""
        return self.mappings.between(self.predictions.model, self.label_set)
