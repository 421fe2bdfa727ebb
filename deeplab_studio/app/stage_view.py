"""The stages of the pipeline on the canvas: what the strip chooses, and the weights of the kernel under the cursor."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import QEvent, QObject, QTimer, Signal
from PySide6.QtGui import QImage

from deeplab_studio.app.canvas import PanTool
from deeplab_studio.app.jobs import Job, Lane
from deeplab_studio.app.panels.colour_bar import colour_table
from deeplab_studio.app.panels.stages import VIEWS, ChangeRow, View
from deeplab_studio.app.stage_pictures import (
    CLEAR,
    NOTHING,
    WEIGHTS_OPACITY,
    Picture,
    Wish,
    on_thumbnail,
    picture_of,
    picture_of_changes,
    shrunk,
)
from deeplab_studio.core.labels import is_background
from deeplab_studio.crf.sizes import on_photo
from deeplab_studio.engine.stages import PHOTO, RESULT, AppearanceKernel, Stage, as_levels, compare

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from PySide6.QtWidgets import QDockWidget

    from deeplab_studio.app.actions import Actions
    from deeplab_studio.app.canvas import CanvasView
    from deeplab_studio.app.document import Document
    from deeplab_studio.app.panels.classes import ClassesPanel
    from deeplab_studio.app.panels.crf import CrfPanel
    from deeplab_studio.app.panels.stages import StagesPanel
    from deeplab_studio.app.refinement import Traced
    from deeplab_studio.app.session import Session
    from deeplab_studio.app.settings import Settings
    from deeplab_studio.crf.params import CrfParams
    from deeplab_studio.engine.scores import Scores

STRIP_EVERY_MS = 150
"""While a slider moves the canvas comes first; the small pictures follow this often."""

REST_MS = 200
"""After a stroke the result's picture waits until the hand rests."""

THUMBNAIL_OPACITY = 0.65


class StageView(QObject):
    """Keeps the strip and what the canvas shows of it up to date.

    Parameters
    ----------
    session : Session
    canvas : CanvasView
    panel : StagesPanel
    crf_panel : CrfPanel
        Its sliders are what the kernel's weights follow.
    classes_panel : ClassesPanel
        Says which classes are hidden.
    settings : Settings
    parent : QObject, optional

    Signals
    -------
    stripShown : bool
        The strip, or something about it, was shown or hidden.
    """

    stripShown = Signal(bool)

    def __init__(
        self,
        session: Session,
        canvas: CanvasView,
        panel: StagesPanel,
        crf_panel: CrfPanel,
        classes_panel: ClassesPanel,
        settings: Settings,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._session = session
        self._canvas = canvas
        self._panel = panel
        self._crf_panel = crf_panel
        self._classes_panel = classes_panel
        self._settings = settings
        self.lane = Lane("stages", self)
        self._dock: QDockWidget | None = None
        self._actions: Actions | None = None
        self._visible = False
        self._aside = False
        self._stage = RESULT
        self._view: View = "classes"
        self._class_id: int | None = None
        self._traced: Traced | None = None
        self._predicted: tuple[Scores, npt.NDArray[np.uint8]] | None = None
        self._kernel_on = False
        self._kernel: tuple[Document, AppearanceKernel] | None = None
        self._pixel: tuple[int, int] | None = None
        self._rest = QTimer(self, singleShot=True, interval=REST_MS)
        self._rest.timeout.connect(self._show_all)
        self._strip_due = QTimer(self, singleShot=True, interval=STRIP_EVERY_MS)
        self._strip_due.timeout.connect(self._show_thumbnails)
        session.currentChanged.connect(self._on_current)
        session.scoresChanged.connect(lambda _document: self._look())
        session.crfChanged.connect(lambda _settings: self._look())
        session.labelsChanged.connect(lambda _rect: self._rest.start())
        session.labelSetChanged.connect(lambda _labels: self._show_all())
        session.refinement.traced.connect(self._on_traced)
        classes_panel.hiddenChanged.connect(lambda _ids: self._show_all())
        panel.stageChosen.connect(self.show_stage)
        panel.viewChosen.connect(self.show_view)
        panel.classChosen.connect(self._choose_class)
        panel.kernelToggled.connect(self.set_kernel)
        crf_panel.paramsChanging.connect(lambda _params: self._show_kernel())
        crf_panel.paramsSettled.connect(lambda _params: self._show_kernel())
        canvas.hovered.connect(self._point_at)
        canvas.viewport().installEventFilter(self)

    def attach(self, dock: QDockWidget, actions: Actions) -> None:
        """Show and hide the dock that holds the strip, and keep the actions that do so up to date."""
        self._actions = actions
        self._dock = dock
        dock.installEventFilter(self)
        dock.toggleViewAction().triggered.connect(self._want)
        dock.hide()
        QTimer.singleShot(0, self._show_dock)  # after the window has put its docks where they were in the last run

    def callbacks(self) -> dict[str, Callable[..., None]]:
        """What the actions of the strip do."""
        callbacks: dict[str, Callable[..., None]] = {
            "stages": self._want,
            "stage_previous": lambda: self.step(-1),
            "stage_next": lambda: self.step(1),
            "kernel": self._switch_kernel,
        }
        return callbacks | {f"stage_{view}": partial(self._choose_view, view) for view in VIEWS}

    @property
    def visible(self) -> bool:
        """Whether the strip is shown."""
        return self._visible

    @property
    def stage(self) -> Stage:
        """The stage on the canvas."""
        return self._stage

    @property
    def traced(self) -> Traced | None:
        """What the strip shows, once it is known."""
        return self._traced

    @property
    def kernel_on(self) -> bool:
        """Whether the kernel's weights follow the cursor."""
        return self._kernel_on

    def show_stage(self, stage: Stage) -> None:
        """Put a stage on the canvas."""
        self._stage = stage
        self._panel.set_stage(stage)
        self._show_picture()

    def step(self, offset: int) -> None:
        """Go `offset` stages on."""
        stages = self._panel.stages
        place = min(max(stages.index(self._stage) + offset, 0), len(stages) - 1)
        self.show_stage(stages[place])

    def show_view(self, view: View) -> None:
        """Show classes, the probability of one class, the entropy, or what the CRF changed."""
        self.set_kernel(False)
        self._view = view
        self._panel.set_view(view)
        self._tell_actions()
        self._show_all()

    def set_kernel(self, on: bool) -> None:
        """Let the weights of the appearance kernel follow the cursor, or no longer."""
        self._kernel_on = on
        self._panel.set_kernel(on)
        self._tell_actions()
        if on:
            self._show_kernel()
        else:
            self.lane.cancel("kernel")
            self._kernel = None
        self._show_picture()

    def set_aside(self, aside: bool) -> None:
        """Step aside while something else is in the place of the canvas; the strip comes back after it."""
        self._aside = aside
        self._show_dock()

    def close(self) -> None:
        """Stop and wait for the thread."""
        self._rest.stop()
        self._strip_due.stop()
        self.lane.close()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Who paints wants to see the class map; who closes the strip does not want it."""
        if watched is self._dock:
            if event.type() == QEvent.Type.Close:
                self._want(False)
            return False
        if event.type() in (QEvent.Type.MouseButtonPress, QEvent.Type.TabletPress) and not isinstance(
            self._canvas.tool, PanTool
        ):
            if self._kernel_on:
                self.set_kernel(False)
            if (self._stage, self._view) != (RESULT, "classes"):
                self.show_view("classes")
                self.show_stage(RESULT)
        return False

    # The dock and the actions

    def _want(self, wanted: bool) -> None:
        self._settings.set("view/stages", wanted)
        self._show_dock()

    def _show_dock(self) -> None:
        """Show the strip if it is wanted and there is an image that it could be about."""
        shown = bool(self._settings.get("view/stages")) and self._session.current is not None and not self._aside
        if self._dock is not None:
            self._dock.setVisible(shown)
        self._set_visible(shown)
        self._tell_actions()

    def _set_visible(self, visible: bool) -> None:
        """Hidden the strip costs nothing, and the canvas shows the result."""
        if visible == self._visible:
            return
        self._visible = self._session.refinement.tracing = visible
        if visible:
            self._look()
        else:
            self._traced = None
            self.show_view("classes")
            self.show_stage(RESULT)
        self._show_all()

    def _choose_view(self, view: View, _on: bool) -> None:
        self.show_view(view)

    def _switch_kernel(self, on: bool) -> None:
        if on:
            self._want(True)
        self.set_kernel(on)

    def _tell_actions(self) -> None:
        if self._actions is not None:
            self._actions.set_checked("stages", self._settings.get("view/stages"))
            self._actions.set_checked("kernel", self._kernel_on)
            self._actions.set_checked(f"stage_{self._view}", True)
            self.stripShown.emit(self._visible)

    # What the session tells

    def _on_current(self, document: Document | None) -> None:
        self._traced = self._predicted = self._kernel = self._pixel = None
        self.lane.keep_only(())
        self._stage = RESULT
        self._panel.set_stage(RESULT)
        self._show_iterations(document)
        self._show_dock()
        self._show_all()

    def _on_traced(self, traced: Traced) -> None:
        document = self._session.current
        if document is None or traced.item_id != document.item.id or not self._visible:
            return
        self._traced = traced
        self._panel.set_iterations(traced.trace.iterations)
        if self._stage not in self._panel.stages:
            self._stage = self._panel.stages[-2]
            self._panel.set_stage(self._stage)
        self._show_classes()
        self._show_picture()
        if not self._strip_due.isActive():
            self._strip_due.start()

    def _look(self) -> None:
        """Ask for the stages of the image on screen."""
        document = self._session.current
        self._show_iterations(document)
        if not self._visible or document is None:
            return
        if document.scores is None:
            self._traced = None
        else:
            mapping = self._session.mapping()
            self._session.refinement.look(document, document.crf, mapping)

    def _show_iterations(self, document: Document | None) -> None:
        if document is not None:
            self._panel.set_iterations(document.crf.params.iterations if document.crf.on else 0)
            if self._stage not in self._panel.stages:
                self.show_stage(RESULT)

    # What is shown

    def _choose_class(self, class_id: int) -> None:
        self._class_id = class_id
        self._show_all()

    def _show_all(self) -> None:
        self._show_classes()
        self._show_thumbnails()
        self._show_picture()

    def _show_classes(self) -> None:
        if self._traced is None:
            return
        trace = self._traced.trace
        labels = trace.scores.label_set
        if self._class_id not in trace.classes:
            foreground = [i for i in trace.classes if not (i == 0 and is_background(labels.names[0]))]
            # The class the model is surest of somewhere; a person looks at that first.
            self._class_id = max(foreground or trace.classes, key=lambda i: float(trace.probability(RESULT, i).sum()))
        self._panel.set_classes([(i, labels.name_of(i), labels[i].colour) for i in trace.classes], self._class_id)

    def _show_thumbnails(self) -> None:
        document = self._session.current
        if not self._visible or document is None:
            for stage in self._panel.stages:
                self._panel.set_picture(stage, None)
            return
        traced, view, class_id = self._traced, self._view, self._class_id or 0
        stages, longest = self._panel.stages, self._panel.filmstrip.picture_size()
        palette, hidden = self._session.label_set.palette(), self._classes_panel.hidden
        level = next((each for each in reversed(document.mips.levels) if max(each.shape[:2]) >= longest), None)
        photo = level if level is not None else document.mips.levels[0]
        step = -(-max(document.class_map.shape) // longest)
        result = document.class_map.labels[::step, ::step].copy()

        def work(_job: Job) -> list[tuple[Stage, npt.NDArray[np.uint8]]]:
            small = shrunk(photo, longest)
            thin = None if traced is None else traced.trace.thinned(longest)
            pictures = []
            for stage in stages:
                if stage == PHOTO:
                    picture = Picture(result, CLEAR)
                elif stage == RESULT and view == "classes":
                    picture = Picture(result, None)
                elif traced is None or thin is None:
                    continue
                else:
                    picture = picture_of(thin, Wish(stage, view, class_id), traced.mapping, palette)
                pictures.append((stage, on_thumbnail(small, picture, palette, hidden, THUMBNAIL_OPACITY)))
            return pictures

        def show(pictures: list[tuple[Stage, npt.NDArray[np.uint8]]]) -> None:
            for stage, pixels in pictures:
                height, width = pixels.shape[:2]
                image = QImage(pixels.data, width, height, 3 * width, QImage.Format.Format_RGB888)
                self._panel.set_picture(stage, image.copy())

        if traced is None:
            for stage in stages:
                self._panel.set_picture(stage, None)
        self.lane.submit("thumbnails", work, show, interrupt=False)

    def _show_picture(self) -> None:
        """Put the chosen stage on the canvas, soon."""
        self._session.refinement.tracing_all = (self._stage, self._view) != (RESULT, "classes")
        if self._kernel_on:
            return
        document = self._session.current
        if document is None or (self._stage == RESULT and self._view == "classes"):
            self.lane.cancel("picture")
            self._canvas.show_overlay(None)
            return
        if self._stage == PHOTO:
            self.lane.cancel("picture")
            self._show(self._stage, self._view, NOTHING)
            return
        traced = self._traced
        if traced is None:
            self._canvas.show_overlay(None)
            model = self._session.predictions.model
            waiting = self.tr("Choose a model first") if model is None else self.tr("Waiting for the prediction")
            self._panel.set_note(waiting)
            return
        stage, view = self._stage, self._view
        palette = self._session.label_set.palette()
        if stage == RESULT and view == "changes":
            work = self._result_changes(document, traced, palette)
        else:
            work = partial(_make, traced, Wish(stage, view, self._class_id or 0), palette)
        self.lane.submit("picture", work, lambda picture: self._show(stage, view, picture), priority=1, interrupt=False)

    def _result_changes(
        self, document: Document, traced: Traced, palette: npt.NDArray[np.uint8]
    ) -> Callable[[Job], Picture]:
        """Work that compares the class map with the prediction at the photo's own size, but for what was painted."""
        labels, free = document.class_map.labels.copy(), ~document.class_map.pinned
        scores, known = traced.trace.scores, self._predicted

        def work(_job: Job) -> Picture:
            if known is not None and known[0] is scores:
                before = known[1]
            else:
                before = traced.mapping.to_target[scores.class_map()]
                self._predicted = scores, before
            return picture_of_changes(compare(before, labels, free), palette)

        return work

    def _show(self, stage: Stage, view: View, picture: Picture) -> None:
        if (stage, view) != (self._stage, self._view) or self._kernel_on:
            return  # the person went on meanwhile
        self._canvas.show_overlay(picture.values, picture.colours)
        if self._traced is None or stage == PHOTO:
            return
        trace = self._traced.trace
        if view == "probability":
            self._panel.set_scale(colour_table("viridis"), "0", "0.5", "1")
            self._panel.set_note("")
        elif view == "entropy":
            most = trace.entropy_range
            self._panel.set_scale(
                colour_table("inferno"), "0", f"{most / 2:.1f}", self.tr("{0} bits").format(f"{most:.1f}")
            )
            self._panel.set_note(self.tr("0: sure of one class"))
        elif view == "changes" and picture.changes is not None:
            self._show_changes(picture)

    def _show_changes(self, picture: Picture) -> None:
        changes = picture.changes
        assert changes is not None
        labels = self._session.label_set
        colours = labels.palette()
        exact = picture.scale == 1

        def pixels(count: int) -> int:
            return round(count * picture.scale)

        self._panel.set_changes(
            [
                ChangeRow(
                    labels.name_of(each.class_id),
                    tuple(colours[each.class_id].tolist()),
                    pixels(each.gained),
                    pixels(each.lost),
                )
                for each in changes.classes
            ]
        )
        count = self._panel.locale().toString(pixels(changes.pixels))
        share = f"{100 * changes.pixels / changes.picture.size:.2g}"
        text = self.tr("{0} px changed ({1} %)") if exact else self.tr("about {0} px changed ({1} %)")
        self._panel.set_note(text.format(count, share))

    # The kernel under the cursor

    def _point_at(self, x: int, y: int) -> None:
        # Off the photo the last pixel stays, so that it can be watched while a slider moves.
        if x >= 0:
            self._pixel = (x, y)
            self._show_kernel()

    def _show_kernel(self) -> None:
        document = self._session.current
        if not self._kernel_on or document is None:
            return
        params = self._crf_panel.params
        self._tell_kernel(params)
        if self._pixel is None:
            self._canvas.show_overlay(None)
            return
        x, y = self._pixel
        shown = on_photo(params, *document.class_map.shape)
        known = self._kernel

        def work(_job: Job) -> npt.NDArray[np.uint8]:
            kernel = known
            if kernel is None or kernel[0] is not document:
                kernel = self._kernel = (document, AppearanceKernel(document.image.pixels))
            # Relative to w1, so that a weight of zero still shows the shape.
            return as_levels(kernel[1].weights(y, x, replace(shown, appearance_weight=1.0)), 1)

        self.lane.submit("kernel", work, self._show_weights, priority=2, interrupt=False)

    def _show_weights(self, levels: npt.NDArray[np.uint8]) -> None:
        if self._kernel_on and self._pixel is not None:
            self._canvas.show_overlay(levels, colour_table("inferno", WEIGHTS_OPACITY))

    def _tell_kernel(self, params: CrfParams) -> None:
        weight = params.appearance_weight
        self._panel.set_scale(colour_table("inferno"), "0", f"{weight / 2:.3g}", f"w₁ = {weight:.3g}")
        document = self._session.current
        if self._pixel is None or document is None:
            self._panel.set_note(self.tr("Point at a pixel of the photo"))
            return
        half = math.sqrt(2 * math.log(2))
        far = half * on_photo(params, *document.class_map.shape).appearance_position_sigma
        text = self.tr("Half at {0} px or {1} levels").format(
            f"{far:.3g}", f"{half * params.appearance_colour_sigma:.3g}"
        )
        tip = self.tr(
            "Weight of every pixel for the pixel at x {0}, y {1}. It falls to half at this distance if the colour is "
            "the same, and at this difference of colour right beside it."
        )
        self._panel.set_note(text, tip.format(*self._pixel))


def _make(traced: Traced, wish: Wish, palette: npt.NDArray[np.uint8], _job: Job) -> Picture:
    return picture_of(traced.trace, wish, traced.mapping, palette)
