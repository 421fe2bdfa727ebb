"""Comparing models in the window: going there and back, and what the actions of it do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from PySide6.QtCore import QObject, Qt, QTimer, Signal
from PySide6.QtWidgets import QDockWidget, QFileDialog, QStackedWidget, QWidget

from deeplab_studio.app.compare.choice import LETTERS, Layout, Mode, PaneChoice
from deeplab_studio.app.crf_samples import TRUSTED
from deeplab_studio.app.document import CrfSettings

if TYPE_CHECKING:
    from deeplab_studio.app.actions import Actions
    from deeplab_studio.app.canvas import CanvasView
    from deeplab_studio.app.compare.desk import Desk
    from deeplab_studio.app.document import Document
    from deeplab_studio.app.models import ModelChoices
    from deeplab_studio.app.panels.classes import ClassesPanel
    from deeplab_studio.app.panels.crf import CrfPanel
    from deeplab_studio.app.panels.status import StatusArea
    from deeplab_studio.app.session import Session
    from deeplab_studio.app.settings import Settings
    from deeplab_studio.app.stage_view import StageView
    from deeplab_studio.app.view_state import ViewState

LAYOUTS: tuple[Layout, ...] = ("grid", "row", "split")
MODES: tuple[Mode, ...] = ("classes", "differences", "differing classes", "uncertainty", "coarse", "errors")


class Surroundings(NamedTuple):
    """What the comparison needs of its window.

    Attributes
    ----------
    session : Session
    canvas : CanvasView
        The one in whose place the panes come.
    models : ModelChoices
    view : ViewState
    stages : StageView
        Steps aside meanwhile.
    classes : ClassesPanel
    crf : CrfPanel
        Knows the presets.
    status : StatusArea
    settings : Settings
    """

    session: Session
    canvas: CanvasView
    models: ModelChoices
    view: ViewState
    stages: StageView
    classes: ClassesPanel
    crf: CrfPanel
    status: StatusArea
    settings: Settings


class Comparing(QObject):
    """The mode in which models are compared. Nothing of it is made before somebody goes there.

    Parameters
    ----------
    around : Surroundings
    window : QWidget

    Signals
    -------
    changed
        Other actions make sense now.
    """

    changed = Signal()

    def __init__(self, around: Surroundings, window: QWidget) -> None:
        super().__init__(window)
        self._around = around
        self._window = window
        self._stack: QStackedWidget | None = None
        self._page: QWidget | None = None
        self._dock: QDockWidget | None = None
        self._aside: list[QWidget] = []
        self._put_aside: list[QWidget] = []
        self._actions: Actions | None = None
        self.desk: Desk | None = None
        """Panes, tables and workers; None until somebody compared for the first time."""
        self.on = False
        """Whether models are compared now."""
        # Queued: the canvas has to show the photo first, the panes share it.
        around.session.currentChanged.connect(self._on_current, Qt.ConnectionType.QueuedConnection)

    def attach(
        self, stack: QStackedWidget, page: QWidget, dock: QDockWidget, aside: Sequence[QWidget], actions: Actions
    ) -> None:
        """Come in the place of the canvas.

        Parameters
        ----------
        stack : QStackedWidget
            Holds the canvas and `page`.
        page : QWidget
            For the panes; empty.
        dock : QDockWidget
            For the tables; seen only while models are compared.
        aside : sequence of QWidget
            Docks and bars that are not seen meanwhile.
        actions : Actions
        """
        self._stack, self._page, self._dock, self._actions = stack, page, dock, actions
        self._aside = list(aside)
        dock.hide()
        QTimer.singleShot(0, self._hide_dock)  # after the window has put its docks where they were in the last run

    def callbacks(self) -> dict[str, Callable[..., None]]:
        """What the actions do."""
        callbacks: dict[str, Callable[..., None]] = {
            "compare": self.show,
            "compare_story": self.show_story,
            "compare_data_set": lambda: self._with(lambda desk: desk.show_data_set()),
            "compare_add": lambda: self._with(lambda desk: desk.panes.add()),
            "compare_link": lambda on: self._with(lambda desk: desk.panes.link.set_on(on)),
            "compare_active_class": lambda on: self._with(lambda desk: desk.set_active_class_only(on)),
            "difference_next": lambda: self._with(lambda desk: desk.step(1)),
            "difference_previous": lambda: self._with(lambda desk: desk.step(-1)),
            "compare_pan": lambda _on: self._with(lambda desk: desk.use("pan")),
            "compare_take_here": lambda: self._with(lambda desk: desk.take_here()),
            "compare_take_difference": lambda: self._with(lambda desk: desk.take_difference()),
            "compare_take_whole": lambda: self._with(lambda desk: desk.take_whole()),
            "compare_vote": lambda: self._with(lambda desk: desk.ask_vote()),
        }
        for layout in LAYOUTS:
            callbacks[f"compare_{layout}"] = partial(self._set_layout, layout)
        for mode in MODES:
            callbacks[f"compare_show_{mode.replace(' ', '_')}"] = partial(self._set_mode, mode)
        for what in ("region", "class", "lasso"):
            callbacks[f"compare_take_{what}"] = partial(self._use, what)
        return callbacks

    def conditions(self) -> dict[str, bool]:
        """Which actions make sense now."""
        desk = self.desk if self.on else None
        session = self._around.session
        shown = len(desk.panes.shown) if desk is not None else 0
        differences = desk is not None and bool(desk.differences)
        return {
            "comparing": desk is not None,
            "room for a pane": desk is not None and desk.panes.has_room,
            "two panes": shown == 2,
            "several panes": shown > 1,
            "differences": differences,
            "chosen difference": desk is not None and desk.chosen is not None,
            "truth": desk is not None and desk.truth is not None,
            "truth somewhere": bool(session.masks) or any(item.state in TRUSTED for item in session.items),
        }

    def show(self, on: bool) -> None:
        """Go to the comparison, or back."""
        if on and self._around.session.current is not None:
            self._enter()
        else:
            self.leave()

    def show_story(self) -> None:
        """Compare the four versions, each with what was new in it."""
        if self._around.session.current is None:
            return
        from deeplab_studio.app.compare.story import choices

        self._enter(choices(self._around.models.library.installed()))

    def compare(self, choices: Sequence[PaneChoice], layout: Layout = "grid") -> None:
        """Compare these."""
        self._enter(choices, layout=layout, story=False)

    def leave(self) -> None:
        """Back to the canvas."""
        if not self.on:
            self._tell()
            return
        self.on = False
        desk = self.desk
        assert desk is not None
        assert self._stack is not None
        self._remember()
        self._stack.setCurrentWidget(self._around.canvas)
        desk.rest()
        self._hide_dock()
        for part in self._put_aside:
            part.show()
        self._put_aside = []
        self._around.stages.set_aside(False)
        self._around.status.set_hint(self._around.canvas.tool.hint())
        self._around.status.set_zoom(self._around.canvas.scale())
        self._around.canvas.setFocus()
        self._tell()

    def close(self) -> None:
        """Leave, and end all background work."""
        if self.on:
            self.leave()
        if self.desk is not None:
            self.desk.close()

    # Going there

    def _enter(
        self, choices: Sequence[PaneChoice] | None = None, *, layout: Layout | None = None, story: bool | None = None
    ) -> None:
        around = self._around
        assert self._stack is not None
        assert self._page is not None
        assert self._dock is not None
        around.canvas.finish_gesture()
        desk = self.desk or self._build()
        if not self.on:
            self.on = True
            self._put_aside = [part for part in self._aside if not part.isHidden()]
            for part in self._put_aside:
                part.hide()
            around.stages.set_aside(True)
            self._dock.show()
            self._stack.setCurrentWidget(self._page)
        story = choices is not None if story is None else story
        if choices is None:
            choices, layout = (desk.choices, desk.panes.layout) if desk.choices else self._saved()
        desk.begin(around.session.current, choices, layout or "grid", story=story)
        self._tell()

    def _build(self) -> Desk:
        from PySide6.QtWidgets import QVBoxLayout

        from deeplab_studio.app.compare.desk import Desk

        assert self._actions is not None
        assert self._page is not None
        assert self._dock is not None
        desk = self.desk = Desk(self._around, self._actions, self._window, self)
        desk.changed.connect(self._tell)
        desk.left.connect(self.leave)
        desk.openRequested.connect(self._open_model)
        desk.remembered.connect(self._remember)
        layout = QVBoxLayout(self._page)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(desk.view)
        self._dock.setWidget(desk.panel)
        return desk

    def _saved(self) -> tuple[list[PaneChoice], Layout]:
        """What was compared last, or else the model in use without and with the CRF, or beside another one."""
        saved = self._around.settings.get("compare/panes")
        listed = saved.get("panes")
        choices = [PaneChoice.from_saved(each) for each in listed] if isinstance(listed, list) else []
        found = [choice for choice in choices if choice is not None]
        layout = saved.get("layout")
        if found:
            return found, layout if layout in LAYOUTS else "grid"
        session = self._around.session
        crf = session.current.crf if session.current is not None else CrfSettings()
        model = session.predictions.model
        paths = [Path(entry.id) for entry in self._around.models.entries()]
        if model is not None:
            paths = [model.path, *(path for path in paths if path != model.path)]
        if not paths:
            return [PaneChoice(), PaneChoice("mine")], "grid"
        second = paths[1] if len(paths) > 1 else None
        off, on = CrfSettings(False, crf.params), CrfSettings(True, crf.params)
        return [PaneChoice("model", paths[0], off), PaneChoice("model", second or paths[0], off if second else on)], (
            "grid"
        )

    def _remember(self) -> None:
        desk = self.desk
        if desk is not None and desk.panes.shown and not desk.panes.story:
            panes = [pane.choice.to_dict() for pane in desk.panes.shown]
            self._around.settings.set("compare/panes", {"panes": panes, "layout": desk.panes.layout})

    def _open_model(self, number: int) -> None:
        from deeplab_studio.app.dialogs import MODEL_SUFFIXES

        pattern = " ".join(f"*{suffix}" for suffix in sorted(MODEL_SUFFIXES))
        filters = f"{self.tr('DeepLab checkpoints')} ({pattern});;{self.tr('All files')} (*)"
        folder = self._around.settings.get("files/last_folder") or str(Path.home())
        title = self.tr("Open a model for pane {0}").format(LETTERS[number])
        name, _ = QFileDialog.getOpenFileName(self._window, title, folder, filters)
        if name and self.desk is not None:
            self.desk.open_model(number, Path(name))

    # Inside

    def _with(self, action: Callable[[Desk], object]) -> None:
        if self.on and self.desk is not None:
            action(self.desk)
            self._tell()

    def _set_layout(self, layout: Layout, _on: bool) -> None:
        self._with(lambda desk: desk.panes.set_layout(layout))

    def _set_mode(self, mode: Mode, _on: bool) -> None:
        self._with(lambda desk: desk.set_mode(mode))

    def _use(self, what: str, _on: bool) -> None:
        self._with(lambda desk: desk.use(what))  # type: ignore[arg-type]

    def _hide_dock(self) -> None:
        if self._dock is not None and not self.on:
            self._dock.hide()

    def _on_current(self, document: Document | None) -> None:
        if not self.on or self.desk is None:
            return
        if document is None and self._around.session.current_id is None:
            self.leave()
        else:
            self.desk.set_document(self._around.session.current)

    def _tell(self) -> None:
        actions, desk = self._actions, self.desk
        if actions is None:
            return
        actions.set_checked("compare", self.on)
        if desk is not None:
            actions.set_checked(f"compare_{desk.panes.layout}", True)
            actions.set_checked("compare_link", desk.panes.link.on)
            actions.set_checked(f"compare_show_{desk.mode.replace(' ', '_')}", True)
            actions.set_checked("compare_active_class", desk.active_class_only)
            actions.set_checked("compare_pan" if desk.what == "pan" else f"compare_take_{desk.what}", True)
        self.changed.emit()
