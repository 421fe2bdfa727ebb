"""The panes at work: what each shows of the image on screen, and how they hang together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QTimer, Signal

from deeplab_studio.app.compare.answers import Answer, Answers, Progress
from deeplab_studio.app.compare.board import Board, Pane
from deeplab_studio.app.compare.choice import LETTERS, MAX_PANES, Layout, PaneChoice
from deeplab_studio.app.compare.pane_canvas import PaneLink
from deeplab_studio.app.compare.story import chapter_of, facts_of

if TYPE_CHECKING:
    from deeplab_studio.app.canvas import CanvasView
    from deeplab_studio.app.compare.taking import What
    from deeplab_studio.app.document import Document
    from deeplab_studio.app.panels.classes import ClassesPanel
    from deeplab_studio.app.panels.model_bar import ModelEntry
    from deeplab_studio.app.session import Session
    from deeplab_studio.app.view_state import ViewState
    from deeplab_studio.core.classmap import Labels
    from deeplab_studio.core.errors import StudioError
    from deeplab_studio.core.geometry import Rect


class Panes(QObject):
    """Fills panes and keeps them linked.

    Parameters
    ----------
    session : Session
    canvas : CanvasView
        Whose photo they show.
    board : Board
    answers : Answers
    view : ViewState
    classes : ClassesPanel
        Says which classes are hidden.
    parent : QObject, optional

    Signals
    -------
    changed
        Other panes, or another answer in one of them.
    chosen
        The person wants to see something else, or elsewhere: worth remembering.
    hovered : int, int, int
        Pane, column and row under the pointer; -1 for none.
    activated
        Another pane is the one used last.
    zoomed : float
        Scale of the pane used last.
    made : Pane
        There is one more pane to be wired up.
    """

    changed = Signal()
    chosen = Signal()
    hovered = Signal(int, int, int)
    activated = Signal()
    zoomed = Signal(float)
    made = Signal(object)

    def __init__(
        self,
        session: Session,
        canvas: CanvasView,
        board: Board,
        answers: Answers,
        view: ViewState,
        classes: ClassesPanel,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._session = session
        self._canvas = canvas
        self._board = board
        self._answers = answers
        self._view = view
        self._classes = classes
        self._pool: list[Pane] = []
        self._models: Sequence[ModelEntry] = ()
        self._truth: Labels | None = None
        self._offers_truth = False
        self._document: Document | None = None
        self._what: What = "pan"
        self.link = PaneLink(self)
        self.layout: Layout = "grid"
        self.story = False
        self.active: Pane | None = None
        """The pane used last."""
        self._tell_soon = QTimer(self, singleShot=True, interval=0)
        self._tell_soon.timeout.connect(self.changed)
        answers.answered.connect(self._on_answer)
        answers.previewed.connect(self._on_preview)
        answers.failed.connect(self._on_failed)
        answers.progressed.connect(self._on_progress)
        classes.hiddenChanged.connect(self._on_hidden)
        session.labelSetChanged.connect(lambda _labels: self._show_palette())

    # Which panes there are

    @property
    def shown(self) -> Sequence[Pane]:
        """The panes on screen."""
        return self._board.panes

    @property
    def answered(self) -> list[tuple[Pane, Answer]]:
        """The panes that show something, and what."""
        return [(pane, pane.answer) for pane in self.shown if pane.answer is not None]

    @property
    def has_room(self) -> bool:
        """Whether there can be one more."""
        return len(self.shown) < MAX_PANES

    def set_choices(self, choices: Sequence[PaneChoice], layout: Layout, *, story: bool = False) -> None:
        """Show these, one pane each."""
        while len(self._pool) < len(choices):
            self._pool.append(self._new_pane(len(self._pool)))
        panes = self._pool[: len(choices)]
        self._answers.drop([pane.number for pane in self._pool[len(choices) :]])
        for pane in self._pool[len(choices) :]:
            self._clear(pane)
        self.story = story
        self.layout = layout
        if self.active not in panes:
            self.active = panes[0] if panes else None
        self._board.arrange(panes, layout, cards=story)
        self._share_photo(panes)
        self.link.set_canvases([pane.canvas for pane in panes])
        for pane, choice in zip(panes, choices, strict=True):
            pane.header.set_sources(self._models, truth=self._offers_truth)
            self._show(pane, choice)
        self._keep_models()
        self._show_active()
        self.link.set_on(self.link.on)

    def set_layout(self, layout: Layout) -> None:
        """Arrange the panes in another way; what they show stays."""
        self.layout = layout
        self._board.arrange(self.shown, layout, cards=self.story)
        self.link.set_on(self.link.on or self._board.arrangement == "split")
        self.chosen.emit()

    def add(self) -> None:
        """One more pane, with what the last one shows and the CRF switched over."""
        if self.has_room and self.shown:
            last = self.shown[-1].choice
            crf = type(last.crf)(not last.crf.on, last.crf.params)
            self.set_choices([*(pane.choice for pane in self.shown), last.with_crf(crf)], self.layout, story=False)
            self.chosen.emit()

    def remove(self, pane: Pane) -> None:
        """Close a pane; those behind it move up."""
        rest = [each.choice for each in self.shown if each is not pane]
        if rest:
            self.set_choices(rest, self.layout, story=self.story)
            self.chosen.emit()

    def choose(self, pane: Pane, choice: PaneChoice) -> None:
        """Show something else in a pane."""
        self._show(pane, choice)
        self._keep_models()
        self.chosen.emit()

    def use(self, what: What) -> None:
        """Let the left button do this in all panes."""
        self._what = what
        for pane in self._pool:
            pane.use(what)

    # What they show

    def set_document(self, document: Document | None) -> None:
        """Show another image, or what changed of everything about this one."""
        if document is not self._document:
            self._truth = None
            self._offers_truth = False
        self._document = document
        for pane in self.shown:
            self._clear(pane)
        self._share_photo(self.shown)
        for pane in self.shown:
            self._show(pane, pane.choice)
        self._tell_soon.start()

    def refresh(self) -> None:
        """Ask all panes again: label set, model or device changed."""
        for pane in self.shown:
            self._show(pane, pane.choice)
        self._tell_soon.start()

    def set_truth(self, truth: Labels | None) -> None:
        """What the image's ground truth is, once it is read."""
        self._truth = truth
        self._offers_truth = truth is not None
        for pane in self.shown:
            pane.header.set_sources(self._models, truth=self._offers_truth)
            if pane.choice.kind == "truth":
                self._show(pane, pane.choice)

    def set_models(self, models: Sequence[ModelEntry]) -> None:
        """Which models can be chosen."""
        self._models = models
        for pane in self.shown:
            pane.header.set_sources(models, truth=self._offers_truth)

    def refresh_mine(self, rect: Rect | None) -> bool:
        """The person's class map changed; whether a pane shows it."""
        mine = [pane for pane in self.shown if pane.choice.kind == "mine"]
        for pane in mine:
            pane.canvas.refresh_labels(rect)
        return bool(mine)

    def follow(self, pane: Pane, choice: PaneChoice) -> None:
        """Show what a slider passes."""
        if self._document is not None and pane.answer is not None and choice.crf.on:
            self._answers.follow(pane.number, self._document, choice)

    def mark(self, box: Rect | None) -> None:
        """Frame a box in all panes."""
        for pane in self.shown:
            pane.canvas.mark(box)

    def go_to(self, box: Rect) -> None:
        """Show a box in all panes."""
        for pane in self.shown:
            pane.canvas.go_to(box)
            pane.canvas.mark(box)

    def close(self) -> None:
        """Show nothing any longer, and hold no photo."""
        for pane in self._pool:
            self._clear(pane)
            pane.canvas.set_image(None)
        self._document = self._truth = None

    # Inside

    def _new_pane(self, number: int) -> Pane:
        pane = Pane(number, self._board, self._session.painting, self._session.labelsChanged.emit)
        pane.header.chosen.connect(lambda choice: self.choose(pane, choice))
        pane.header.closeRequested.connect(lambda: self.remove(pane))
        pane.header.pressed.connect(lambda: self.activate(pane))
        canvas = pane.canvas
        canvas.hovered.connect(lambda x, y: self._on_hovered(pane, x, y))
        canvas.zoomChanged.connect(lambda scale: self._on_zoom(pane, scale))
        canvas.set_palette(self._session.label_set.palette())
        canvas.set_hidden(self._classes.hidden)
        self._view.add(canvas)
        pane.use(self._what)
        self.made.emit(pane)
        return pane

    def _share_photo(self, panes: Sequence[Pane]) -> None:
        """Show the photo of the canvas itself, in its memory; new panes go where it is."""
        for pane in panes:
            if self._document is None:
                pane.canvas.set_image(None)
            elif pane.canvas.photo is not self._canvas.photo:
                pane.canvas.share_photo(self._canvas)

    def _clear(self, pane: Pane) -> None:
        pane.answer = None
        pane.error = None
        pane.canvas.show_overlay(None)
        pane.canvas.show_preview(None)
        pane.canvas.set_labels(None)
        pane.canvas.set_ghost(-1, -1, "")
        pane.canvas.mark(None)
        pane.header.show_answer(None)
        pane.notice.say("")

    def _show(self, pane: Pane, choice: PaneChoice) -> None:
        document = self._document
        other = (choice.kind, choice.path) != (pane.choice.kind, pane.choice.path)
        pane.choice = choice
        pane.header.show_choice(choice)
        if other:
            self._clear(pane)
        self._show_card(pane)
        if document is None:
            return
        if choice.kind == "model" and choice.path is not None:
            answer = self._answers.ask(pane.number, document, choice)
            if answer is not None:
                self._put(pane, answer)
            else:
                pane.notice.say(self.tr("Waiting…"))
            return
        self._answers.drop([pane.number])
        everything = frozenset(range(len(self._session.label_set)))
        if choice.kind == "mine":
            self._put(pane, Answer(document.item.id, choice, document.class_map.labels, everything))
        elif choice.kind == "truth" and self._truth is not None:
            self._put(pane, Answer(document.item.id, choice, self._truth, everything))
        elif choice.kind == "truth":
            self._clear(pane)
            pane.notice.say(self.tr("This image has no ground truth."))
        elif choice.version:
            text = self.tr("No {0} model is here. Get one with Model, Get models, or open a file.")
            pane.notice.say(text.format(choice.version))
        else:
            pane.notice.say(self.tr("Choose a model for this pane."))

    def _put(self, pane: Pane, answer: Answer) -> None:
        pane.answer = answer
        pane.error = None
        pane.canvas.show_preview(None)
        pane.canvas.set_labels(answer.labels)
        pane.header.show_answer(answer)
        pane.notice.say("")
        self._show_card(pane)
        self._tell_soon.start()

    def _show_card(self, pane: Pane) -> None:
        model = pane.answer.model if pane.answer is not None else None
        version = model.version if model is not None else pane.choice.version
        chapter = chapter_of(version)
        if self.story and chapter is not None:
            pane.card.show_chapter(chapter, facts_of(model, pane.choice.crf.on) if model is not None else "")
            self._board.place()  # the stories have another height now

    def _keep_models(self) -> None:
        self._answers.keep_models({pane.choice.path for pane in self.shown if pane.choice.path is not None})

    def _show_palette(self) -> None:
        for pane in self._pool:
            pane.canvas.set_palette(self._session.label_set.palette())
            pane.canvas.set_hidden(self._classes.hidden)

    def _on_hidden(self, hidden: frozenset[int]) -> None:
        linked = self.link.on or self._board.arrangement == "split"
        for pane in self._pool if linked else [self.active]:
            if pane is not None:
                pane.canvas.set_hidden(hidden)

    # What answers tell

    def _pane(self, number: int) -> Pane | None:
        return next((pane for pane in self.shown if pane.number == number), None)

    def _on_answer(self, number: int, answer: Answer) -> None:
        pane, document = self._pane(number), self._document
        if pane is None or document is None or answer.item_id != document.item.id or answer.choice != pane.choice:
            return  # the person went on meanwhile
        self._put(pane, answer)

    def _on_preview(self, number: int, answer: Answer) -> None:
        pane = self._pane(number)
        shown = pane.answer if pane is not None else None
        same = shown is not None and (shown.item_id, shown.choice.path) == (answer.item_id, answer.choice.path)
        if pane is not None and same and pane.choice.crf.on:
            pane.canvas.show_preview(answer.labels)

    def _on_failed(self, number: int, error: StudioError) -> None:
        pane = self._pane(number)
        if pane is not None:
            self._clear(pane)
            pane.error = error
            pane.notice.say(str(error), problem=True)
            self._tell_soon.start()

    def _on_progress(self, number: int, progress: Progress) -> None:
        pane = self._pane(number)
        if pane is None or pane.error is not None:
            return
        text = {
            "loading": self.tr("Loading the model"),
            "predicting": self.tr("Predicting"),
            "refining": self.tr("Refining"),
        }[progress.what]
        pane.notice.say(text if progress.fraction is None else f"{text}  {round(100 * progress.fraction)} %")

    # The pointer

    def activate(self, pane: Pane) -> None:
        """Make a pane the one used last."""
        if pane is not self.active:
            self.active = pane
            self._show_active()
            self.activated.emit()
            self.zoomed.emit(pane.canvas.scale())

    def _show_active(self) -> None:
        for pane in self.shown:
            pane.header.letter.set_active(pane is self.active and len(self.shown) > 1)

    def _on_zoom(self, pane: Pane, scale: float) -> None:
        if pane is self.active:
            self.zoomed.emit(scale)

    def _on_hovered(self, pane: Pane, x: int, y: int) -> None:
        if x >= 0:
            self.activate(pane)
        linked = self.link.on and self._board.arrangement != "split"
        for other in self.shown:
            if other is not pane:
                inside = linked and x >= 0
                other.canvas.set_ghost(x if inside else -1, y, self._name_at(other, x, y) if inside else "")
        self.hovered.emit(pane.number, x, y)

    def _name_at(self, pane: Pane, x: int, y: int) -> str:
        """What a pane says at a pixel."""
        if pane.answer is None:
            return ""
        return self._session.label_set.name_of(int(pane.answer.labels[y, x]))


def title_of(pane: Pane) -> str:
    """What a pane shows, for lists and undo steps."""
    text = pane.header.source_box.currentText() or (pane.choice.path.stem if pane.choice.path else "")
    refined = pane.choice.kind == "model" and pane.choice.crf.on
    return f"{LETTERS[pane.number]}: {text} + CRF" if refined else f"{LETTERS[pane.number]}: {text}"
