"""The main window: the canvas, the panels around it, and which action does what."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QEvent, QObject, QSize, Qt, QTimer
from PySide6.QtGui import (
    QCloseEvent,
    QDragEnterEvent,
    QDragLeaveEvent,
    QDropEvent,
    QKeyEvent,
)
from PySide6.QtWidgets import QDockWidget, QMainWindow, QMenu, QScrollArea, QStackedWidget, QToolBar, QWidget

from deeplab_studio.app.actions import Actions
from deeplab_studio.app.activity import ActivityClock
from deeplab_studio.app.canvas import CanvasView
from deeplab_studio.app.class_list import ClassListWork
from deeplab_studio.app.compare.comparing import Comparing, Surroundings
from deeplab_studio.app.crf_tools import CrfTools
from deeplab_studio.app.dialogs import MODEL_SUFFIXES, Dialogs, local_paths
from deeplab_studio.app.document import CrfSettings, Document
from deeplab_studio.app.file_list import FileList
from deeplab_studio.app.geometry import GeometryChoice
from deeplab_studio.app.history_list import HistoryList
from deeplab_studio.app.inspector import ModelInspector
from deeplab_studio.app.keyboard import Keyboard
from deeplab_studio.app.label_import import LABEL_SUFFIXES, LabelImport
from deeplab_studio.app.label_sets import LabelSets
from deeplab_studio.app.models import ModelChoices
from deeplab_studio.app.panels.classes import ClassesPanel
from deeplab_studio.app.panels.crf import CrfPanel
from deeplab_studio.app.panels.empty_state import EmptyState
from deeplab_studio.app.panels.files import FilesPanel
from deeplab_studio.app.panels.model_bar import ModelBar
from deeplab_studio.app.panels.stages import StagesPanel
from deeplab_studio.app.panels.status import StatusArea
from deeplab_studio.app.panels.view import ViewPanel
from deeplab_studio.app.readout import Readout
from deeplab_studio.app.region_tools import RegionTools
from deeplab_studio.app.safekeeping import Safekeeping
from deeplab_studio.app.session import Session
from deeplab_studio.app.stage_view import StageView
from deeplab_studio.app.statistics_view import StatisticsView
from deeplab_studio.app.toolbox import Toolbox
from deeplab_studio.app.view_state import ViewState

if TYPE_CHECKING:
    from deeplab_studio.app.refinement import Refined
    from deeplab_studio.app.settings import Settings
    from deeplab_studio.app.theme import Theme
    from deeplab_studio.checkpoints.library import ModelLibrary
    from deeplab_studio.core.geometry import Rect


class MainWindow(QMainWindow):
    """The program's window.

    Parameters
    ----------
    settings : Settings
    theme : Theme
    library : ModelLibrary, optional
        The models to choose from; the person's own by default.
    """

    def __init__(self, settings: Settings, theme: Theme, library: ModelLibrary | None = None) -> None:
        super().__init__()
        self.settings = settings
        self.theme = theme
        self.session = Session(settings, self)
        self.setAcceptDrops(True)
        self.setWindowTitle("DeepLab Studio")
        self._make_widgets()
        self.models = ModelChoices(self.session.predictions, self.model_bar, settings, library, self)
        self.geometry_choice = GeometryChoice(self.session, self.model_bar, settings, self)
        self.inspector = ModelInspector(self.session, self.models, self)
        around = Surroundings(
            self.session,
            self.canvas,
            self.models,
            self.view,
            self.stages,
            self.classes_panel,
            self.crf_panel,
            self.status_area,
            settings,
        )
        self.comparing = Comparing(around, self)
        self.dialogs = Dialogs(self)
        self.safekeeping = Safekeeping(self)
        self.file_list = FileList(
            self.session, self.files_panel, self.dialogs.show_in_folder, self.canvas.finish_gesture, self
        )
        self.activity = ActivityClock(self)
        self.activity.counted.connect(lambda item_id, seconds: self.session.figures.add_seconds({item_id: seconds}))
        self.statistics = StatisticsView(self.session, self.files_panel, self.activity.tell, self)
        self.keyboard = Keyboard(self, self.session, settings)
        self.actions_ = Actions(self, self._callbacks(), self.keyboard.keymap)
        self._lay_out()
        self._connect_session()
        self._connect_panels()
        self.stages.stripShown.connect(lambda _shown: self._update_enabled())
        self.crf_tools.changed.connect(self._update_enabled)
        self.comparing.changed.connect(self._update_enabled)
        self.region_tools.changed.connect(self._update_enabled)
        self.models.loadingChanged.connect(lambda _loading: self._update_empty_state())
        self._restore()
        self._update_enabled()
        self.canvas.viewport().installEventFilter(self)

    # What the command line, a dialog or a drop asks for

    def open_paths(self, paths: Sequence[Path]) -> None:
        """Open photos, folders and data sets, and model and label files among them."""
        labels = [path for path in paths if path.suffix.lower() in LABEL_SUFFIXES and not path.is_dir()]
        models = [path for path in paths if path.suffix.lower() in MODEL_SUFFIXES and not path.is_dir()]
        photos = [path for path in paths if path not in models and path not in labels]
        if models:
            self.models.open(models[-1])
        if photos:
            self.session.open_paths(photos)
            self.settings.add_recent(photos[0].absolute())
            self._show_recent()
        if labels:
            self.label_import.open_when_read(labels[0])

    def tell_failure(self, text: str) -> None:
        """Say that something went wrong that nobody expected."""
        message = self.tr("Something unexpected went wrong: {0}. Your work is saved; the log has the details.")
        self.status_area.show_notice(message.format(text), "error")

    # Building

    def _make_widgets(self) -> None:
        self.canvas = CanvasView()
        self.canvas.setAcceptDrops(False)
        self.canvas.viewport().setAcceptDrops(False)
        self.empty_state = EmptyState(self.canvas)
        self.files_panel = FilesPanel()
        self.classes_panel = ClassesPanel()
        self.crf_panel = CrfPanel()
        self.view_panel = ViewPanel()
        self.stages_panel = StagesPanel()
        self.model_bar = ModelBar()
        self.status_area = StatusArea()
        self.readout = Readout(self.session, self.canvas, self.status_area, self)
        self.class_list = ClassListWork(self.session, self.classes_panel, self.canvas, self)
        self.label_sets = LabelSets(self.session, self.classes_panel, self.status_area, self.settings, self)
        self.label_import = LabelImport(self.session, self.label_sets, self.settings, self)
        self.history_list = HistoryList(self.session, self.settings, self)
        self.toolbox = Toolbox(self.canvas, self.session.painting, self.settings, self)
        self.stages = StageView(
            self.session, self.canvas, self.stages_panel, self.crf_panel, self.classes_panel, self.settings, self
        )
        self.crf_tools = CrfTools(self.session, self.crf_panel, self.settings, self)
        self.region_tools = RegionTools(self.session, self.canvas, self.toolbox, self)
        self.view = ViewState(self.canvas, self.view_panel, self.settings, self.theme, self)

    def _lay_out(self) -> None:
        centre, page = QStackedWidget(), QWidget()
        centre.addWidget(self.canvas)
        centre.addWidget(page)
        self.setCentralWidget(centre)
        self.setDockOptions(QMainWindow.DockOption.AnimatedDocks | QMainWindow.DockOption.AllowNestedDocks)
        menus = self.actions_.fill_menu_bar(self.menuBar())
        self._recent_menu = QMenu(self.tr("Open &recent"), self)
        file_menu = menus["&File"]
        file_menu.insertMenu(self.actions_["paste_image"], self._recent_menu)
        self.toolbar = QToolBar(self.tr("Actions"), self)
        self.toolbar.setObjectName("actions")
        self.toolbar.setMovable(False)
        self.toolbar.setIconSize(QSize(18, 18))
        self.actions_.fill_toolbar(self.toolbar)
        self.addToolBar(self.toolbar)
        models = QToolBar(self.tr("Model"), self)
        models.setObjectName("model")
        models.setMovable(False)
        models.addWidget(self.model_bar)
        self.addToolBar(models)
        self.addToolBarBreak()
        self.addToolBar(self.toolbox.options_bar)
        self.addToolBar(Qt.ToolBarArea.LeftToolBarArea, self.toolbox.bar)
        self.actions_.load_icons()
        left, right = Qt.DockWidgetArea.LeftDockWidgetArea, Qt.DockWidgetArea.RightDockWidgetArea
        files = self._dock("files", self.tr("Images"), self.files_panel, left)
        view = self._dock("view", self.tr("View"), _scrolled(self.view_panel), left)
        classes = self._dock("classes", self.tr("Classes"), self.classes_panel, right)
        crf = self._dock("crf", self.tr("Dense CRF"), _scrolled(self.crf_panel), right)
        bottom = Qt.DockWidgetArea.BottomDockWidgetArea
        stages = self._dock("stages", self.tr("Stages"), self.stages_panel, bottom)
        self.setCorner(Qt.Corner.BottomLeftCorner, left)
        self.setCorner(Qt.Corner.BottomRightCorner, right)
        self.stages.attach(stages, self.actions_)
        self.crf_tools.attach(self.actions_)
        history = self._dock("history", self.tr("History"), QWidget(), right)
        self.history_list.attach(history, crf, self.actions_)
        compare = self._dock("compare", self.tr("Comparison"), QWidget(), right)
        aside = [crf, history, self.toolbox.bar, self.toolbox.options_bar]
        self.comparing.attach(centre, page, compare, aside, self.actions_)
        docks = [files, view, classes, crf, stages, history]
        self.keyboard.attach(
            [self.canvas, page, files, view, classes, crf, history, compare, stages, self.toolbox.options_bar, models]
        )
        self.resizeDocks([files, classes], [260, 290], Qt.Orientation.Horizontal)
        self.resizeDocks([files, view], [560, 260], Qt.Orientation.Vertical)
        self.resizeDocks([classes, crf], [430, 390], Qt.Orientation.Vertical)
        view_menu = menus["&View"]
        view_menu.addSeparator()
        panels = view_menu.addMenu(self.tr("&Panels"))
        for dock in docks:
            panels.addAction(dock.toggleViewAction())
        self.statusBar().addWidget(self.status_area, 1)
        self.statusBar().setSizeGripEnabled(False)

    def _dock(self, name: str, title: str, widget: QWidget, area: Qt.DockWidgetArea) -> QDockWidget:
        dock = QDockWidget(title, self)
        dock.setObjectName(name)
        dock.setWidget(widget)
        self.addDockWidget(area, dock)
        return dock

    def _callbacks(self) -> dict[str, Callable[..., None]]:
        session = self.session
        callbacks: dict[str, Callable[..., None]] = {
            "open_images": self.dialogs.choose_images,
            "open_folder": self.dialogs.choose_folder,
            "paste_image": self.dialogs.paste_image,
            "export": self.dialogs.export,
            "quit": self._quit,
            "undo": session.edits.undo,
            "redo": session.edits.redo,
            "unpin": session.edits.unpin,
            "clear": session.edits.clear,
            "swap_class": session.painting.swap_class,
            "paint_void": partial(session.painting.set_active_class, 255),
            "paint_unlabelled": self.classes_panel.choose_unlabelled,
            "predict": session.predict,
            "auto_predict": self._set_automatic,
            "crf": self._switch_crf,
            "cancel": self._cancel,
            "open_model": self.dialogs.choose_model,
            "get_models": self.dialogs.show_model_library,
            "zoom_fit": lambda: self.view.shown_canvas.zoom_fit(),
            "zoom_actual": lambda: self.view.shown_canvas.zoom_actual(),
            "zoom_in": lambda: self.view.shown_canvas.zoom_by(1.25),
            "zoom_out": lambda: self.view.shown_canvas.zoom_by(0.8),
            "outlines": self.view.set_outlines,
            "show_pins": self.view.set_pins,
            "peek": self.view.peek,
            "about": self.dialogs.show_about,
        }
        callbacks |= {**self.toolbox.callbacks(), **self.region_tools.callbacks()}
        callbacks |= {f"theme_{name}": partial(self._use_theme, name) for name in ("system", "light", "dark")}
        callbacks |= {**self.stages.callbacks(), **self.crf_tools.callbacks()}
        callbacks |= {**self.models.callbacks(), **self.inspector.callbacks(), **self.file_list.callbacks()}
        callbacks |= {**self.statistics.callbacks(), **self.keyboard.callbacks(), **self.comparing.callbacks()}
        callbacks |= {**self.class_list.callbacks(), **self.label_sets.callbacks(), **self.history_list.callbacks()}
        callbacks |= self.label_import.callbacks()
        return callbacks

    def _connect_session(self) -> None:
        session = self.session
        session.leaving.connect(self.canvas.finish_gesture)
        session.currentChanged.connect(self._on_current)
        session.labelsChanged.connect(self._on_labels)
        session.previewed.connect(self._on_previewed)
        session.scoresChanged.connect(lambda _document: self._on_scores())
        session.historyChanged.connect(self._on_history)
        session.labelSetChanged.connect(self.toolbox.set_label_set)
        session.crfChanged.connect(self._on_crf)
        session.noticed.connect(lambda level, text: self.status_area.show_notice(text, level))
        predictions = session.predictions
        predictions.modelChanged.connect(lambda _model: self._on_scores())
        predictions.modelLoading.connect(self._on_model_loading)
        predictions.progressed.connect(self._on_progress)
        predictions.busyChanged.connect(self._on_busy)

    def _connect_panels(self) -> None:
        crf = self.crf_panel
        self.file_list.changed.connect(self._on_items)
        crf.toggled.connect(lambda on: self._crf_changed(CrfSettings(on, crf.params), live=False))
        crf.paramsChanging.connect(lambda params: self._crf_changed(CrfSettings(crf.is_on(), params), live=True))
        crf.paramsSettled.connect(lambda params: self._crf_changed(CrfSettings(crf.is_on(), params), live=False))
        bar = self.model_bar
        bar.openModelRequested.connect(self.dialogs.choose_model)
        bar.getModelsRequested.connect(self.dialogs.show_model_library)
        bar.predictRequested.connect(self.session.predict)
        bar.cancelRequested.connect(self._cancel)
        bar.automaticToggled.connect(self._set_automatic)
        empty = self.empty_state
        empty.openImagesRequested.connect(self.dialogs.choose_images)
        empty.openFolderRequested.connect(self.dialogs.choose_folder)
        empty.recentRequested.connect(lambda path: self.open_paths([path]))
        empty.getModelsRequested.connect(self.dialogs.show_model_library)
        empty.openModelRequested.connect(self.dialogs.choose_model)
        empty.paintRequested.connect(self._paint_without_model)
        self.status_area.cancelRequested.connect(self._cancel)
        self.toolbox.hintChanged.connect(self.status_area.set_hint)
        self.status_area.zoomRequested.connect(self.view.set_zoom)
        self.canvas.zoomChanged.connect(self.status_area.set_zoom)
        self.theme.changed.connect(lambda _scheme: self.actions_.load_icons())

    def _restore(self) -> None:
        settings = self.settings
        self.resize(1280, 800)
        state = settings.window_state()
        if state is not None:
            self.restoreGeometry(state[0])
            self.restoreState(state[1])
        self.class_list.show_label_set(self.session.label_set)
        self.toolbox.set_label_set(self.session.label_set)
        self.view.restore(self.actions_)
        self.toolbox.attach(self.actions_)
        self.models.restore(self.actions_)
        self._set_automatic(settings.get("model/automatic"))
        self.crf_panel.set_params(settings.crf_params())
        self.crf_panel.set_on(settings.get("crf/on"))
        self.actions_.set_checked("crf", settings.get("crf/on"))
        self._show_recent()
        self._update_empty_state()
        self._on_scores()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Do what the first picture of the window need not wait for, once it is on screen."""
        if event.type() == QEvent.Type.Paint:
            watched.removeEventFilter(self)
            QTimer.singleShot(0, self._after_first_paint)
        return super().eventFilter(watched, event)

    def _after_first_paint(self) -> None:
        self.activity.watch()
        self.crf_tools.presets.load()
        self.models.load_last()
        self.safekeeping.last_run.look()

    # What the session tells

    def _on_items(self) -> None:
        self._update_empty_state()
        self._update_enabled()

    def _on_current(self, document: Document | None) -> None:
        self.canvas.show_preview(None)
        self.activity.set_item(None if document is None else document.item.id)
        if document is None:
            self.canvas.set_labels(None)
            self.view.show_pins_of(None)
            self.canvas.set_image(None)
            self.setWindowTitle("DeepLab Studio")
        else:
            keep = self.settings.get("view/keep_zoom") and self.canvas.image_size is not None
            self.canvas.set_image(document.mips, keep_view=keep)
            self.canvas.set_labels(document.class_map.labels)
            self.view.show_pins_of(document)
            self.setWindowTitle(f"{document.item.path.name} — DeepLab Studio")
        self._update_empty_state()
        self._on_scores()
        self.readout.refresh()

    def _on_labels(self, rect: Rect | None) -> None:
        self.canvas.refresh_labels(rect)
        self.readout.refresh()

    def _on_previewed(self, refined: Refined | None) -> None:
        self.canvas.show_preview(None if refined is None else refined.labels)

    def _on_scores(self) -> None:
        model, document = self.session.predictions.model, self.session.current
        scored = document is not None and document.scores is not None
        reason = ""
        if model is None:
            reason = self.tr("The CRF refines a prediction: choose a model first")
        elif not scored:
            reason = self.tr("Waiting for the prediction")
        self.crf_panel.set_available(scored, reason)
        self.toolbox.set_scored(scored)
        self.model_bar.set_ready(
            model is not None and document is not None,
            self.tr("Choose a model first") if model is None else self.tr("Open an image first"),
        )
        self._update_empty_state()
        self._update_enabled()
        self.readout.refresh()

    def _on_history(self) -> None:
        document, edits = self.session.current, self.session.edits
        for action_id, text, name in (
            ("undo", self.tr("&Undo"), edits.undo_name),
            ("redo", self.tr("&Redo"), edits.redo_name),
        ):
            self.actions_[action_id].setText(f"{text} {name}" if name else text)
        self._update_enabled()
        if document is not None:
            self.view.show_pins_of(document)

    def _on_crf(self, crf: CrfSettings) -> None:
        self.crf_panel.set_params(crf.params)
        self.crf_panel.set_on(crf.on)
        self.actions_.set_checked("crf", crf.on)

    def _on_model_loading(self, name: str) -> None:
        text = self.tr("Loading {0}").format(name) if name else ""
        self.model_bar.set_progress(text)
        self._update_enabled()

    def _on_progress(self, item_id: int, fraction: float) -> None:
        if item_id == self.session.current_id:
            self.model_bar.set_progress(self.tr("Predicting") if fraction < 1 else "", fraction)

    def _on_busy(self, busy: bool) -> None:
        if not busy:
            self.model_bar.set_progress("")
        self._update_enabled()

    # What a person does

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        """Files and folders may be dropped anywhere on the window."""
        if local_paths(event.mimeData()):
            event.acceptProposedAction()
            self.empty_state.set_dropping(True)

    def dragLeaveEvent(self, event: QDragLeaveEvent) -> None:
        """They went away again."""
        self.empty_state.set_dropping(False)

    def dropEvent(self, event: QDropEvent) -> None:
        """Open what was dropped."""
        self.empty_state.set_dropping(False)
        event.setDropAction(Qt.DropAction.CopyAction)
        event.accept()
        self.open_paths(local_paths(event.mimeData()))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Keys that work while they are held."""
        if event.isAutoRepeat() or not self.actions_.key_held(Qt.Key(event.key()), True):
            super().keyPressEvent(event)

    def keyReleaseEvent(self, event: QKeyEvent) -> None:
        """Let go of them."""
        if event.isAutoRepeat() or not self.actions_.key_held(Qt.Key(event.key()), False):
            super().keyReleaseEvent(event)

    def closeEvent(self, event: QCloseEvent) -> None:
        """Save everything and end."""
        self.canvas.finish_gesture()
        if not self.safekeeping.may_close():
            event.ignore()
            return
        self.comparing.close()
        self.settings.save_window_state(self.saveGeometry(), self.saveState())
        self.readout.close()
        self.activity.tell()
        self.statistics.close()
        self.file_list.close()
        self.stages.close()
        self.crf_tools.close()
        self.region_tools.close()
        self.label_sets.close()
        self.inspector.close()
        self.toolbox.close()
        self.geometry_choice.close()
        self.toolbox.close()
        self.session.close()
        self.safekeeping.close()
        self.settings.sync()
        super().closeEvent(event)

    # The session's and the panels' own business ends here; what follows are the small steps of the actions.

    def _quit(self) -> None:
        self.close()

    def _show_recent(self) -> None:
        recent = self.settings.recent()
        self.empty_state.set_recent(recent)
        self._recent_menu.clear()
        for path in recent:
            self._recent_menu.addAction(str(path), partial(self.open_paths, [path]))
        self._recent_menu.setEnabled(bool(recent))

    def _use_theme(self, preference: str, _on: bool) -> None:
        self.view.set_theme(preference)

    def _set_automatic(self, automatic: bool) -> None:
        self.settings.set("model/automatic", automatic)
        self.model_bar.set_automatic(automatic)
        self.actions_.set_checked("auto_predict", automatic)

    def _switch_crf(self, on: bool) -> None:
        self.crf_panel.set_on(on)
        self._crf_changed(CrfSettings(on, self.crf_panel.params), live=False)

    def _crf_changed(self, crf: CrfSettings, *, live: bool) -> None:
        self.actions_.set_checked("crf", crf.on)
        self.session.set_crf(crf, live=live)

    def _cancel(self) -> None:
        self.session.stop()
        self.model_bar.set_progress("")

    def _paint_without_model(self) -> None:
        self.settings.set("model/paint_only", True)
        self.toolbox.use("tool_brush")
        self._update_empty_state()

    def _update_empty_state(self) -> None:
        session = self.session
        if session.current is None and session.current_id is None:
            self.empty_state.set_mode("image")
        elif (
            session.predictions.model is None and not self.settings.get("model/paint_only") and not self.models.loading
        ):
            self.empty_state.set_mode("model")
        else:
            self.empty_state.set_mode(None)

    def _update_enabled(self) -> None:
        session = self.session
        document = session.current
        self.actions_.update_enabled(
            {
                "items": bool(session.items),
                "image": document is not None,
                "undo": session.edits.undo_name is not None,
                "redo": session.edits.redo_name is not None,
                "pins": document is not None and bool(document.class_map.pinned.any()),
                "model": session.predictions.model is not None,
                "stages": self.stages.visible,
                **self.crf_tools.conditions(),
                **self.region_tools.conditions(),
                **self.comparing.conditions(),
                "busy": session.predictions.lane.busy or session.refinement.lane.busy,
            }
        )


def _scrolled(widget: QWidget) -> QScrollArea:
    area = QScrollArea()
    area.setWidget(widget)
    area.setWidgetResizable(True)
    area.setFrameShape(QScrollArea.Shape.NoFrame)
    area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    return area
