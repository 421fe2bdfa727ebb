"""Everything of a comparison under way: panes, answers, findings, what lies over the photo, what is taken over."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QPoint, QTimer, Signal
from PySide6.QtWidgets import QDialog, QWidget

from deeplab_studio.app.compare.analysis import Analysis, Drawing, Part, Taken
from deeplab_studio.app.compare.answers import Answers
from deeplab_studio.app.compare.choice import LETTERS, Layout, Mode, PaneChoice
from deeplab_studio.app.compare.crf_popup import CrfPopup
from deeplab_studio.app.compare.panel import FindingsPanel
from deeplab_studio.app.compare.panes import Panes, title_of
from deeplab_studio.app.compare.taking import Taker, TakeTool, What
from deeplab_studio.app.compare.view import CompareView
from deeplab_studio.core.labels import VOID

if TYPE_CHECKING:
    from deeplab_studio.app.actions import Actions
    from deeplab_studio.app.compare.board import Pane
    from deeplab_studio.app.compare.comparing import Surroundings
    from deeplab_studio.app.compare.findings import Difference, Findings
    from deeplab_studio.app.document import CrfSettings, Document
    from deeplab_studio.app.predictions import ModelInfo
    from deeplab_studio.app.session import Session
    from deeplab_studio.core.classmap import Labels

REST_MS = 250
"""After a stroke, what is compared with the person's class map waits until the hand rests."""


class Desk(QObject):
    """What is made once, when models are compared for the first time.

    Parameters
    ----------
    around : Surroundings
    actions : Actions
    window : QWidget
    parent : QObject

    Signals
    -------
    changed
        Other actions make sense now.
    left
        The person wants back to the canvas.
    openRequested : int
        The person wants to open a model file for a pane.
    remembered
        There is something to keep for the next run.
    """

    changed = Signal()
    left = Signal()
    openRequested = Signal(int)
    remembered = Signal()

    def __init__(self, around: Surroundings, actions: Actions, window: QWidget, parent: QObject) -> None:
        super().__init__(parent)
        session = around.session
        self._around = around
        self._window = window
        self._document: Document | None = None
        self.truth: Labels | None = None
        self.findings: Findings | None = None
        self.chosen: Difference | None = None
        """The difference that was gone to."""
        self.mode: Mode = "classes"
        self.active_class_only = False
        self.what: What = "pan"
        self._pixel: tuple[Pane, int, int] | None = None
        self.dialog: QDialog | None = None
        """The vote, the charts or the run over the data set, while one is open."""
        self.view = CompareView(actions)
        self.panel = FindingsPanel()
        self.answers = Answers(session, around.settings.get("memory/compare_bytes"), self)
        self.analysis = Analysis(session, self)
        self.taker = Taker(session, self)
        self.popup = CrfPopup(window)
        self.panes = Panes(session, around.canvas, self.view.board, self.answers, around.view, around.classes, self)
        self._rest = QTimer(self, singleShot=True, interval=REST_MS)
        self._rest.timeout.connect(self._analyse)
        self._connect()

    def _connect(self) -> None:
        around, session = self._around, self._around.session
        self.view.closeRequested.connect(self.left)
        self.panes.made.connect(self._wire)
        self.panes.changed.connect(self._analyse)
        self.panes.chosen.connect(self.remembered)
        self.panes.hovered.connect(self._on_hovered)
        self.panes.zoomed.connect(around.status.set_zoom)
        self.panes.activated.connect(self.changed)
        self.analysis.found.connect(self._on_found)
        self.analysis.drawn.connect(self._on_drawn)
        self.analysis.cutOut.connect(self._on_cut_out)
        self.analysis.truthRead.connect(self._on_truth)
        self.popup.changing.connect(self._on_params_changing)
        self.popup.settled.connect(self._on_params_settled)
        panel = self.panel
        panel.differenceChosen.connect(self.go_to)
        panel.previousRequested.connect(lambda: self.step(-1))
        panel.nextRequested.connect(lambda: self.step(1))
        panel.chartsRequested.connect(self.show_charts)
        around.models.listed.connect(lambda: self.panes.set_models(around.models.entries()))
        session.predictions.modelChanged.connect(self._on_model)
        session.classesMapped.connect(self._refresh)
        session.labelSetChanged.connect(lambda _labels: self._refresh())
        session.labelsChanged.connect(self._on_labels)
        session.painting.activeClassChanged.connect(lambda _class: self._draw())

    # From outside

    @property
    def choices(self) -> list[PaneChoice]:
        """What the panes show."""
        return [pane.choice for pane in self.panes.shown]

    @property
    def differences(self) -> Sequence[Difference]:
        """Where panes differ, the largest place first."""
        return self.findings.differences if self.findings is not None else ()

    def begin(self, document: Document | None, choices: Sequence[PaneChoice], layout: Layout, *, story: bool) -> None:
        """Compare."""
        self.panes.set_models(self._around.models.entries())
        self._take_up(document)
        self.panes.set_choices(choices, layout, story=story)
        self.use(self.what)
        if self.panes.shown:
            self.panes.shown[0].canvas.setFocus()
            self._around.status.set_zoom(self.panes.shown[0].canvas.scale())

    def set_document(self, document: Document | None) -> None:
        """Compare on another image."""
        if document is not self._document:
            self._take_up(document)

    def rest(self) -> None:
        """Compare nothing for the time being; networks and photos are let go of."""
        self._rest.stop()
        self.answers.stop()
        self.analysis.lane.keep_only(())
        self.popup.hide()
        if self.dialog is not None:
            self.dialog.close()
        self.panes.close()
        self._forget()
        self._document = None

    def close(self) -> None:
        """End all background work."""
        self.rest()
        self.answers.close()
        self.analysis.close()

    def open_model(self, number: int, path: Path) -> None:
        """Show a model file in a pane."""
        pane = self.panes.shown[number]
        self.panes.choose(pane, PaneChoice("model", path, pane.choice.crf, pane.choice.version))

    # What lies over the photo

    def set_mode(self, mode: Mode) -> None:
        """Show classes, differences, uncertainty, coarse scores or errors."""
        self.mode = mode
        self._draw()

    def set_active_class_only(self, on: bool) -> None:
        """Show differences over the active class alone, or over all."""
        self.active_class_only = on
        if on and self.mode == "classes":
            self.mode = "differences"
        self._draw()

    def step(self, offset: int) -> None:
        """Go to a smaller difference, or with -1 to a larger one."""
        found = self.differences
        if found:
            at = found.index(self.chosen) + offset if self.chosen in found else 0
            self.go_to(at % len(found))

    def go_to(self, place: int) -> None:
        """Show a difference in all panes, by its place in the list."""
        if 0 <= place < len(self.differences):
            self.chosen = self.differences[place]
            self.panes.go_to(self.chosen.region.box)
            self.panel.select(place)
            self.changed.emit()

    # Taking over

    def use(self, what: What) -> None:
        """Let the left button move the picture or take something over."""
        self.what = what
        self.panes.use(what)
        if self.panes.shown:
            self._around.status.set_hint(self.panes.shown[0].tools[what].hint())

    def take_here(self) -> None:
        """Take over the region under the cursor."""
        if self._pixel is not None:
            self._take_at(*self._pixel, connected=True)

    def take_whole(self, pane: Pane | None = None) -> None:
        """Take over all that a pane says; that of the one used last by default."""
        pane = pane or self.panes.active
        if pane is None or pane.answer is None or self._document is None:
            return
        labels = pane.answer.labels
        self.taker.take(self._document, 0, 0, labels, labels != VOID, self._step_name(self.tr("all of {0}"), pane))

    def take_class(self, pane: Pane, class_id: int) -> None:
        """Take over every pixel that a pane gives a class."""
        if pane.answer is not None and self._document is not None:
            name = self._session.label_set.name_of(class_id)
            step = self._step_name(self.tr("{1} from {0}"), pane, name)
            self.analysis.cut_out_class(self._document, pane.answer.labels, class_id, step)

    def take_difference(self, pane: Pane | None = None) -> None:
        """Take over what a pane says at the difference that was gone to."""
        pane = pane or self.panes.active
        chosen, findings = self.chosen, self.findings
        if pane is None or pane.answer is None or chosen is None or findings is None or self._document is None:
            return
        box, mask = chosen.region.box, findings.mask_of(chosen)
        name = self._step_name(self.tr("difference from {0}"), pane)
        self.taker.take(self._document, box.top, box.left, pane.answer.labels[box.slices], mask, name)

    def ask_vote(self) -> None:
        """Ask how much each pane counts, and take over the majority."""
        from deeplab_studio.app.compare.vote_dialog import VoteDialog

        voters = [pane for pane, _ in self.panes.answered]
        if len(voters) > 1 and self.dialog is None:
            dialog = VoteDialog([(pane.number, title_of(pane)[3:]) for pane in voters], self._window)
            dialog.decided.connect(self.vote)
            self._open(dialog)

    def vote(self, weights: Sequence[float]) -> None:
        """Take over what most panes say, each counted with its weight."""
        if self._document is None:
            return
        kept = [
            (answer.labels, weight)
            for (_, answer), weight in zip(self.panes.answered, weights, strict=True)
            if weight > 0
        ]
        if kept:
            maps = [labels.copy() if labels is self._document.class_map.labels else labels for labels, _ in kept]
            name = self.tr("Taken over: majority of {0} panes").format(len(kept))
            self.analysis.vote(self._document, maps, [weight for _, weight in kept], name)

    def show_charts(self) -> None:
        """Show confusion matrices and the scores along boundaries."""
        from deeplab_studio.app.compare.charts_dialog import ChartsDialog

        if self.dialog is None and self.findings is not None and self.findings.scores:
            titles = {pane.number: title_of(pane) for pane in self.panes.shown}
            self._open(ChartsDialog(self.findings, titles, self._session.label_set, self._window))

    def show_data_set(self) -> None:
        """Offer to measure the panes' models on all images with ground truth."""
        from deeplab_studio.app.compare.data_set_dialog import DataSetDialog

        if self.dialog is None:
            # A model that could not be loaded here would be no better there.
            choices = [answer.choice for _, answer in self.panes.answered if answer.model is not None]
            self._open(DataSetDialog(self._session, self.answers, choices, self._around.settings, self._window))

    # Inside

    @property
    def _session(self) -> Session:
        return self._around.session

    def _open(self, dialog: QDialog) -> None:
        self.dialog = dialog
        dialog.finished.connect(self._closed)
        dialog.show()

    def _closed(self) -> None:
        dialog, self.dialog = self.dialog, None
        if dialog is not None:
            dialog.deleteLater()

    def _take_up(self, document: Document | None) -> None:
        self._forget()
        self._document = document
        self.panes.set_document(document)
        if document is not None:
            self.analysis.read_truth(document)

    def _forget(self) -> None:
        self.findings = self.chosen = self.truth = self._pixel = None
        self.analysis.lane.keep_only(())
        self.panel.show_findings(None, None)
        self.view.key.show_key("", ())

    def _refresh(self) -> None:
        if self._document is not None:
            self._forget()
            self.panes.refresh()
            self.analysis.read_truth(self._document)

    def _wire(self, pane: Pane) -> None:
        header = pane.header
        header.openRequested.connect(lambda: self.openRequested.emit(pane.number))
        header.parametersRequested.connect(lambda: self._show_parameters(pane))
        header.take_menu.aboutToShow.connect(lambda: self._fill_take_menu(pane))
        whats: tuple[What, ...] = ("region", "class")
        for what in whats:
            tool = pane.tools[what]
            assert isinstance(tool, TakeTool)
            connected = what == "region"
            tool.taken.connect(lambda x, y, connected=connected: self._take_at(pane, x, y, connected=connected))

    def _fill_take_menu(self, pane: Pane) -> None:
        menu = pane.header.take_menu
        menu.clear()
        session = self._session
        active = session.painting.active_class
        menu.addAction(self.tr("&Whole map"), lambda: self.take_whole(pane))
        name = session.label_set.name_of(active)
        menu.addAction(self.tr("Active &class: {0}").format(name), lambda: self.take_class(pane, active))
        difference = menu.addAction(self.tr("This &difference"), lambda: self.take_difference(pane))
        difference.setEnabled(self.chosen is not None)
        for action in menu.actions():
            action.setEnabled(action.isEnabled() and pane.answer is not None and pane.choice.kind != "mine")

    def _show_parameters(self, pane: Pane) -> None:
        document = self._document
        if document is not None:
            button = pane.header.parameters_button
            at = button.mapToGlobal(QPoint(button.width(), button.height() + 2))
            self.popup.open(pane.number, pane.choice.crf, self._around.crf.presets, document.class_map.shape, at)

    def _on_params_changing(self, number: int, crf: CrfSettings) -> None:
        pane = self._shown(number)
        if pane is not None:
            self.panes.follow(pane, pane.choice.with_crf(crf))

    def _on_params_settled(self, number: int, crf: CrfSettings) -> None:
        pane = self._shown(number)
        if pane is not None and pane.choice.crf != crf:
            self.panes.choose(pane, pane.choice.with_crf(crf))

    def _shown(self, number: int) -> Pane | None:
        return next((pane for pane in self.panes.shown if pane.number == number), None)

    def _take_at(self, pane: Pane, x: int, y: int, *, connected: bool) -> None:
        document, answer = self._document, pane.answer
        if document is None or answer is None or answer.labels[y, x] == VOID:
            return
        class_name = self._session.label_set.name_of(int(answer.labels[y, x]))
        text = self.tr("region of {1} from {0}") if connected else self.tr("{1} from {0}")
        name = self._step_name(text, pane, class_name)
        self.analysis.cut_out(document, answer.labels, x, y, connected=connected, name=name)

    def _step_name(self, text: str, pane: Pane, *more: str) -> str:
        return self.tr("Taken over: {0}").format(text.format(title_of(pane)[3:], *more))

    def _on_cut_out(self, taken: Taken) -> None:
        def put() -> None:
            self.taker.take(taken.document, taken.top, taken.left, taken.labels, taken.mask, taken.name)

        self._session.painting.when_no_stroke(put)

    def _on_truth(self, truth: Labels | None) -> None:
        self.truth = truth
        self.panes.set_truth(truth)
        if truth is None and self.mode == "errors":
            self.mode = "classes"
        self._analyse()

    def _on_labels(self, rect: object) -> None:
        if self._document is not None and self.panes.refresh_mine(rect):  # type: ignore[arg-type]
            self._rest.start()

    def _on_model(self, model: ModelInfo | None) -> None:
        if model is not None and self._document is not None:
            self.answers.forget_model(model.path)
            self.panes.refresh()

    # Findings and drawing

    def _parts(self) -> list[Part]:
        session, parts = self._session, []
        for pane, answer in self.panes.answered:
            labels = answer.labels.copy() if answer.choice.kind == "mine" else answer.labels
            table = None
            if answer.model is not None:
                table = session.mappings.between(answer.model, session.label_set).to_target
            judged = answer.choice.kind != "truth"
            parts.append(Part(pane.number, labels, answer.known, answer.scores, table, judged))
        return parts

    def _analyse(self) -> None:
        parts = self._parts()
        if self._document is not None and parts:
            self.analysis.compare(parts, self._session.label_set, self.truth)
            if self.mode in ("uncertainty", "coarse"):
                self._draw()
        else:
            self.findings = self.chosen = None
            self.panel.show_findings(None, None)
            self._draw()
        self.changed.emit()

    def _on_found(self, findings: Findings) -> None:
        self.findings = findings
        self.chosen = None
        self.panes.mark(None)
        self.panel.show_findings(findings, self._session.label_set)
        self._draw()
        self.changed.emit()

    def _draw(self) -> None:
        if self._document is None:
            return
        if self.mode == "classes":
            self.analysis.forget_drawing()
            self._on_drawn(Drawing("classes", {}))
            return
        painting = self._session.painting
        class_id = painting.active_class if self.active_class_only else None
        self.analysis.draw(self.mode, self._parts(), self.findings, self._session.label_set.palette(), class_id)

    def _on_drawn(self, drawing: Drawing) -> None:
        if drawing.mode != self.mode:
            return
        for pane in self.panes.shown:
            overlay = drawing.overlays.get(pane.number)
            pane.canvas.show_overlay(*(overlay if overlay is not None else (None,)))
        key, mode = self.view.key, drawing.mode
        if mode == "uncertainty":
            key.show_scale(self.tr("Uncertainty"), drawing.most)
        elif mode == "differences":
            name = self._session.label_set.name_of(self._session.painting.active_class)
            title = self.tr("Differences over {0}").format(name) if self.active_class_only else self.tr("Differences")
            key.show_key(title, drawing.key)
        elif mode == "errors":
            key.show_key(self.tr("Errors"), drawing.key, self.tr("Pixels that are right show the photo"))
        elif mode == "differing classes":
            key.show_key(self.tr("Classes where they differ"), (), self.tr("Gray: all panes say the same"))
        elif mode == "coarse":
            key.show_key(self.tr("Coarse scores"), (), self.tr("One square is one score of the network"))
        else:
            key.show_key("", ())

    def _on_hovered(self, number: int, x: int, y: int) -> None:
        pane, status = self._shown(number), self._around.status
        inside = pane is not None and x >= 0
        self._pixel = (pane, x, y) if pane is not None and inside else None
        status.set_position(x, y)
        if pane is None or not inside or pane.answer is None:
            status.set_class("")
            return
        labels = self._session.label_set
        class_id = int(pane.answer.labels[y, x])
        red, green, blue = labels.palette()[class_id].tolist()
        status.set_class(f"{LETTERS[number]}: {labels.name_of(class_id)}", (red, green, blue))
