"""What was done and can be undone: changes of a class map, of states, of the label set."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from PySide6.QtCore import QObject, Signal

from deeplab_studio.app.label_changes import ImportStep, LabelChanges, LabelStep
from deeplab_studio.core.classmap import Edit, next_serial
from deeplab_studio.core.history import HistoryShelf

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from deeplab_studio.app.autosave import Autosave
    from deeplab_studio.app.document import CrfSettings, Document
    from deeplab_studio.app.session import Session
    from deeplab_studio.core.geometry import Rect
    from deeplab_studio.core.project import Item
    from deeplab_studio.core.project_imports import IncomingMaps
    from deeplab_studio.core.relabel import Relabelling


@dataclass(frozen=True)
class StatesStep:
    """A change of the states of several images, or of one that is not on screen.

    Parameters
    ----------
    name : str
    serial : int
    before : mapping of int to str
        State by item.
    after : str
    """

    name: str
    serial: int
    before: Mapping[int, str]
    after: str


ProjectStep = StatesStep | LabelStep
"""A step that belongs to the whole data set; every image's list of steps shows it."""


class HistoryRow(NamedTuple):
    """A step as a person sees it: its name, whether it is done or undone, whether it is the whole data set's."""

    name: str
    done: bool
    of_project: bool


class Edits(QObject):
    """The histories of all images and of the data set, and everything that adds to them.

    Steps are undone in the reverse of the order in which they were made, those of the image on screen and those of the
    whole data set together. Histories survive their image leaving memory.

    Parameters
    ----------
    session : Session
    autosave : Autosave
    max_bytes : int
        For all histories together.

    Attributes
    ----------
    histories : HistoryShelf
    label_changes : LabelChanges
    ask : callable
        Asks the person a question; whether the answer is yes.

    Signals
    -------
    changed
        Other steps, or another position in them.
    labelsChanged : Rect or None
        Pixels of the class map on screen changed; None means all of it.
    crfRestored : CrfSettings
        The CRF settings of the image on screen are what they were.
    """

    changed = Signal()
    labelsChanged = Signal(object)
    crfRestored = Signal(object)

    def __init__(self, session: Session, autosave: Autosave, max_bytes: int) -> None:
        super().__init__(session)
        self._session = session
        self._autosave = autosave
        self.histories = HistoryShelf(max_bytes)
        self.label_changes = LabelChanges(session, self)
        self.label_changes.ended.connect(self._on_label_change)
        self.ask: Callable[[str], bool] = lambda _question: True
        self._done: list[ProjectStep] = []
        self._undone: list[ProjectStep] = []
        self._target: int | None = None
        self._touched: list[Rect] = []
        self._crf: CrfSettings | None = None

    # Adding to it

    @property
    def frozen(self) -> bool:
        """Whether nothing can be changed because the class ids are just becoming others."""
        return self.label_changes.busy

    def adopt(self, document: Document) -> bool:
        """Give an image that was read the history it had; False if it had one that does not fit and is forgotten."""
        history = self.histories.of(document.item.id)
        fits = history.attach(document.class_map, document.stamp)
        document.history = history
        return fits

    def record(self, document: Document, edit: Edit | None, *, by_person: bool) -> None:
        """Add a change of a class map that has just been made; None is ignored.

        A person's first change makes a new image one in progress, as part of the same step.
        """
        if edit is None:
            return
        item = document.item
        if by_person and item.state == "new":
            edit = edit.with_details({"state": (item.state, "in progress")})
            self._put_states({item.id: "in progress"})
        document.labelled = True
        self._push(document, edit)
        self._autosave.changed(document)
        self._compact(document)

    def put_labels(
        self,
        document: Document,
        labels: npt.NDArray[np.uint8],
        name: str,
        *,
        crf: CrfSettings | None = None,
        by_person: bool = False,
    ) -> None:
        """Give an open image other labels wherever nothing is pinned, and CRF settings, as one undoable step."""
        if self.frozen:
            return  # they speak of class ids that are about to mean something else
        before, after = document.crf, crf or document.crf
        edit = document.class_map.replace(labels, name, {"crf": (before, after)} if before != after else {})
        document.crf = after
        document.labelled = True
        self.record(document, edit, by_person=by_person)
        if document is self._session.current:
            self._session.previewed.emit(None)
            self.labelsChanged.emit(None)

    def unpin(self) -> None:
        """Let predictions and the CRF change every pixel of this image again."""
        document = self._editable()
        if document is not None:
            edit = document.class_map.set_pins(False, self.tr("Unpin everything"))
            self.record(document, edit, by_person=True)
            self.labelsChanged.emit(None)

    def clear(self) -> None:
        """Set all pixels that are not pinned to class 0."""
        import numpy as np

        document = self._editable()
        if document is not None:
            self._session.refinement.forget()
            self.put_labels(document, np.zeros(document.class_map.shape, np.uint8), self.tr("Clear"), by_person=True)

    def set_states(self, item_ids: Iterable[int], state: str, *, undoable: bool = True) -> None:
        """Change how far images are, as one step.

        Parameters
        ----------
        item_ids : iterable of int
        state : str
        undoable : bool
            False if it is part of something else that a person has done.
        """
        session = self._session
        found = [session.item(item_id) for item_id in item_ids]
        before = {item.id: item.state for item in found if item is not None and item.state != state}
        if session.project is None or not before:
            return
        if session.project.read_only:
            session.noticed.emit("warning", session.project.notice or "")
            return
        self._put_states(dict.fromkeys(before, state))
        if not undoable:
            return
        from deeplab_studio.app.panels.file_model import state_text

        name = self.tr("Mark as {0}").format(state_text(state).lower())
        document = session.current
        if document is not None and list(before) == [document.item.id]:
            self._push(document, Edit.of_details(name, {"state": (before[document.item.id], state)}))
            return
        if len(before) > 1:
            name = self.tr("{0}: {1} images").format(name, len(before))
        self._push_project(StatesStep(name, next_serial(), before, state))

    def relabel(self, change: Relabelling) -> None:
        """Change the label set and all class maps, in the background; `label_changes` tells how it goes."""
        self.label_changes.run(LabelStep(change.description, next_serial(), change), back=False)

    def import_labels(self, change: Relabelling, incoming: IncomingMaps) -> ImportStep:
        """Put class maps from elsewhere in place, in the background; `label_changes` tells how it goes.

        Parameters
        ----------
        change : Relabelling
            The classes that are added for it, and what a person reads.
        incoming : IncomingMaps
        """
        step = ImportStep(change.description, next_serial(), change)
        self.label_changes.run(step, back=False, incoming=incoming)
        return step

    def show_states(self, states: Mapping[int, str]) -> dict[int, str]:
        """Show how far items are, which the project knows already; those that were in another state."""
        session = self._session
        by_state: dict[str, list[int]] = {}
        for item_id, state in states.items():
            item: Item | None = session.item(item_id)
            if item is not None and item.state != state:
                session.replace_item(replace(item, state=state))
                by_state.setdefault(state, []).append(item_id)
        for state, ids in by_state.items():
            session.statesChanged.emit(ids, state)
        return {item_id: state for state, ids in by_state.items() for item_id in ids}

    def forget_all(self) -> None:
        """The data set is left."""
        self.histories.clear()
        self._done.clear()
        self._undone.clear()
        self._target = None

    def set_max_bytes(self, max_bytes: int) -> None:
        """Hold no more than this from now on."""
        self.histories.set_max_bytes(max_bytes)
        self.changed.emit()

    # Going back and forth

    @property
    def undo_name(self) -> str | None:
        """What `undo` would take back, or None."""
        step, document = self._newest_done(), self._session.current
        if step is not None:
            return step.name
        return document.history.undo_name if document is not None else None

    @property
    def redo_name(self) -> str | None:
        """What `redo` would do again, or None."""
        step, document = self._oldest_undone(), self._session.current
        if step is not None:
            return step.name
        return document.history.redo_name if document is not None else None

    def rows(self) -> list[HistoryRow]:
        """The steps of the image on screen and of the data set, oldest first, those undone last."""
        document = self._session.current
        own = document.history.steps if document is not None else []
        rows = [(step.serial, HistoryRow(step.name, step.done, False)) for step in own]
        rows += [(step.serial, HistoryRow(step.name, True, True)) for step in self._done]
        rows += [(step.serial, HistoryRow(step.name, False, True)) for step in self._undone]
        rows.sort(key=lambda pair: (not pair[1].done, pair[0]))
        return [row for _, row in rows]

    @property
    def position(self) -> int:
        """How many of `rows` are done."""
        document = self._session.current
        return len(self._done) + (document.history.done if document is not None else 0)

    @property
    def forgotten(self) -> bool:
        """Whether older steps of the image on screen were forgotten to save memory."""
        document = self._session.current
        return document is not None and document.history.forgotten

    def undo(self) -> None:
        """Take back the newest change of the image on screen or of the data set."""
        self.go_to(self.position - 1)

    def redo(self) -> None:
        """Make the change undone last again."""
        self.go_to(self.position + 1)

    def go_to(self, position: int) -> None:
        """Undo or redo until so many of `rows` are done; the picture is drawn once, at the end."""
        if self.frozen or self._session.painting.busy:
            return
        self._session.refinement.drop()
        self._session.previewed.emit(None)
        document = self._session.current
        steps = len(self._done) + len(self._undone) + (len(document.history) if document is not None else 0)
        self._target = min(max(position, 0), steps)
        self._advance()

    def _advance(self) -> None:
        while self._target is not None and not self.frozen:
            at = self.position
            if at == self._target or not self._move(back=at > self._target):
                self._target = None
        self._tell()

    def _move(self, *, back: bool) -> bool:
        """One step; False if there is none or the person does not want it."""
        step = self._newest_done() if back else self._oldest_undone()
        if isinstance(step, StatesStep):
            self._put_states(step.before if back else dict.fromkeys(step.before, step.after))
            self._shift(step, back=back)
            return True
        if step is not None:
            if back and not self._may_take_back(step):
                return False
            self.label_changes.run(step, back=back)
            return True
        document = self._session.current
        moved = None
        if document is not None:
            moved = document.history.undo() if back else document.history.redo()
        if document is None or moved is None:
            return False
        edit, rect = moved
        if "crf" in edit.details:
            settings: tuple[CrfSettings, CrfSettings] = edit.details["crf"]  # type: ignore[assignment]
            document.crf = self._crf = settings[0 if back else 1]
        if "state" in edit.details:
            states: tuple[str, str] = edit.details["state"]  # type: ignore[assignment]
            self._put_states({document.item.id: states[0 if back else 1]})
        if not rect.is_empty or "crf" in edit.details:
            self._autosave.changed(document)
        if not rect.is_empty:
            self._touched.append(rect)
        return True

    def _tell(self) -> None:
        """What the moves so far changed on screen."""
        touched: Rect | None = None
        for rect in self._touched:
            touched = rect.union(touched)
        if self._crf is not None:
            self.crfRestored.emit(self._crf)
        if touched is not None:
            self.labelsChanged.emit(touched)
        self._touched, self._crf = [], None
        self.changed.emit()

    def _may_take_back(self, step: LabelStep) -> bool:
        current = self._session.current
        own = current.history if current is not None else None
        others = sum(history.changed_since(step.serial) for history in self.histories if history is not own)
        if not others:
            return True
        text = self.tr(
            "Other images were changed after “{1}” ({0} of them). Take it back all the same?\n\n"
            "What was painted there stays, but can no longer be undone."
        )
        return self.ask(text.format(others, step.name))

    def _on_label_change(self, step: LabelStep, back: bool, problem: object) -> None:
        """A change of the label set has ended."""
        if problem is not None:
            self._target = None
        elif step in self._done or step in self._undone:
            self._shift(step, back=back)
        else:
            for history in self.histories:
                history.forget_undone_after(0)
            self._push_project(step)
        gone = max(self.label_changes.forgotten, default=0)
        self._done = [each for each in self._done if isinstance(each, StatesStep) or each.serial > gone]
        self._advance()

    # Inside

    def _editable(self) -> Document | None:
        return None if self._session.painting.busy or self.frozen else self._session.current

    def _newest_done(self) -> ProjectStep | None:
        """The step of the data set that is to be undone before any of the image on screen."""
        document = self._session.current
        own = document.history.undo_serial if document is not None else None
        return self._done[-1] if self._done and (own is None or own < self._done[-1].serial) else None

    def _oldest_undone(self) -> ProjectStep | None:
        document = self._session.current
        own = document.history.redo_serial if document is not None else None
        return self._undone[-1] if self._undone and (own is None or own > self._undone[-1].serial) else None

    def _shift(self, step: ProjectStep, *, back: bool) -> None:
        source, target = (self._done, self._undone) if back else (self._undone, self._done)
        source.remove(step)
        target.append(step)

    def _push(self, document: Document, edit: Edit) -> None:
        self._forget_undone()
        document.history.push(edit)
        self.histories.of(document.item.id)
        self.histories.measure(document.item.id)
        self.changed.emit()

    def _push_project(self, step: ProjectStep) -> None:
        self._forget_undone()
        document = self._session.current
        if document is not None:
            document.history.forget_undone_after(0)
        self._done.append(step)
        self.changed.emit()

    def _forget_undone(self) -> None:
        labels = [step.serial for step in self._undone if isinstance(step, LabelStep)]
        if labels:
            for history in self.histories:
                history.forget_undone_after(min(labels))
        self._undone.clear()

    def _compact(self, document: Document) -> None:
        item_id, history = document.item.id, document.history

        def done(_nothing: object) -> None:
            if self.histories.find(item_id) is history:
                self.histories.measure(item_id)
                self.changed.emit()

        self._session.disk.submit(("compact", item_id), lambda _job: history.compact(), done, priority=-50)

    def _put_states(self, states: Mapping[int, str]) -> None:
        project = self._session.project
        changed = self.show_states(states)
        if changed and project is not None and not project.read_only:
            self._autosave.save_states(project, changed)
