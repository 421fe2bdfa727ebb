"""The dialog that searches CRF parameters against ground truth."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QCloseEvent
from PySide6.QtWidgets import (
    QCheckBox,
    QDialog,
    QDialogButtonBox,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from deeplab_studio.app.crf_batch_dialog import duration
from deeplab_studio.app.crf_samples import Candidate, candidates, choose, read_samples
from deeplab_studio.app.jobs import Job, Lane
from deeplab_studio.app.panels.controls import GAP, Heading, NumberBox
from deeplab_studio.app.panels.crf import params_in_short
from deeplab_studio.app.panels.trial_plot import TrialPlot
from deeplab_studio.crf.params import SIGMA_MIN
from deeplab_studio.engine.crf_search import Axis, Found, default_axes, search, trial_count

if TYPE_CHECKING:
    from deeplab_studio.app.session import Session
    from deeplab_studio.core.errors import StudioError
    from deeplab_studio.crf.params import CrfParams

DEFAULT_IMAGES = 12
SEARCHED_FIRST = frozenset({"appearance_weight", "appearance_position_sigma", "appearance_colour_sigma"})
"""What the papers searched; the smoothness kernel they held."""

SECONDS_PER_TRIAL = 0.15
"""Guess for one trial on one photo until there is a measured one."""


class _AxisRow:
    """Whether and where a parameter is searched."""

    def __init__(self, axis: Axis, name: str, on: bool) -> None:
        self.axis = axis
        self.box = QCheckBox(name)
        self.box.setChecked(on)
        self.low, self.high = NumberBox(), NumberBox()
        floor = SIGMA_MIN if axis.log else 0.0
        for box, value in ((self.low, axis.low), (self.high, axis.high)):
            box.setDecimals(2)
            box.setRange(floor, 1000)
            box.setValue(value)
            box.setAccessibleName(name)
        self.box.toggled.connect(self.low.setEnabled)
        self.box.toggled.connect(self.high.setEnabled)
        self.low.setEnabled(on)
        self.high.setEnabled(on)

    @property
    def valid(self) -> bool:
        return self.low.value() < self.high.value()

    def chosen(self) -> Axis:
        """The axis with the range typed."""
        return Axis(self.axis.field, self.low.value(), self.high.value(), self.axis.steps, self.axis.log)


class CrfSearchDialog(QDialog):
    """Searches parameters on a sample of the photos that have ground truth.

    Parameters
    ----------
    session : Session
    params : CrfParams
        Where the search begins; what is not searched stays as it is here.
    parent : QWidget, optional

    Signals
    -------
    chosen : CrfParams
        The person wants to use these.
    """

    chosen = Signal(object)

    def __init__(self, session: Session, params: CrfParams, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(self.tr("Search CRF parameters"))
        self.resize(900, 560)
        self._session = session
        self._start = params
        self._candidates: list[Candidate] = candidates(session)
        self._lane = Lane("search", self)
        self._began = 0.0
        self._searching = 0.0
        self.found: Found | None = None
        self._rows = self._make_rows()
        self._plots: dict[str, TrialPlot] = {}
        self.count_box = QSpinBox(minimum=1, maximum=max(1, len(self._candidates)))
        self.count_box.setValue(min(DEFAULT_IMAGES, len(self._candidates)))
        self.seed_box = QSpinBox(minimum=0, maximum=999_999)
        self.seed_box.setToolTip(self.tr("The same seed chooses the same photos"))
        self.rounds_box = QSpinBox(minimum=1, maximum=6, value=3)
        self.rounds_box.setToolTip(self.tr("Each round looks half as far around the best parameters so far"))
        self.estimate_label = QLabel(wordWrap=True)
        self.estimate_label.setForegroundRole(self.palette().ColorRole.PlaceholderText)
        self.result_label = QLabel(wordWrap=True, textFormat=Qt.TextFormat.PlainText)
        self.result_label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.progress_bar = QProgressBar()
        self.progress_bar.setTextVisible(False)
        self.progress_bar.setRange(0, 1000)
        self.progress_label = QLabel(textFormat=Qt.TextFormat.PlainText)
        self.buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        self.start_button = self.buttons.addButton(self.tr("Search"), QDialogButtonBox.ButtonRole.ActionRole)
        self.stop_button = self.buttons.addButton(self.tr("Stop"), QDialogButtonBox.ButtonRole.ActionRole)
        self.use_button = self.buttons.addButton(self.tr("Use the best"), QDialogButtonBox.ButtonRole.AcceptRole)
        self.start_button.clicked.connect(self.start)
        self.stop_button.clicked.connect(self.stop)
        self.use_button.clicked.connect(self._use)
        self.buttons.rejected.connect(self.reject)
        for spin in (self.count_box, self.seed_box, self.rounds_box):
            spin.valueChanged.connect(self._update)
        self._lay_out()
        self._show_plots()
        self._update()

    def start(self) -> None:
        """Search in the background."""
        session = self._session
        scorer, project, model = session.predictions.scorer(), session.project, session.predictions.model
        if scorer is None or project is None or model is None:
            return
        chosen = choose(self._candidates, self.count_box.value(), self.seed_box.value())
        axes, rounds, start = self._axes(), self.rounds_box.value(), self._start
        mapping = session.mapping()
        classes = len(session.label_set)

        def work(job: Job) -> tuple[Found, list[StudioError]]:
            samples, problems = read_samples(
                project, chosen, scorer, mapping, job.token, lambda done: job.report((done, len(chosen)))
            )
            found = search(
                samples, start, axes, classes, rounds=rounds, cancel=job.token, progress=lambda *now: job.report(now)
            )
            return found, problems

        self.found = None
        self._began = time.monotonic()
        self._searching = 0.0
        for plot in self._plots.values():
            plot.set_trials((), (0, 1), None, None)
        self.result_label.clear()
        self.progress_bar.setValue(0)
        self._lane.submit("search", work, self._on_done, self._on_failed, on_progress=self._on_progress)
        self._update()

    def stop(self) -> None:
        """End; what was found so far can be used."""
        self._lane.cancel("search")
        self._update()
        if self.found is not None:
            self._show_found(self.found, self.tr("Stopped."))

    def reject(self) -> None:
        """Close, and stop."""
        self._lane.close()
        super().reject()

    def closeEvent(self, event: QCloseEvent) -> None:
        """The window's own close button is the same as Close."""
        self._lane.close()
        super().closeEvent(event)

    def _use(self) -> None:
        if self.found is not None:
            self.chosen.emit(self.found.best.params)

    def _on_progress(self, now: tuple[int, int] | tuple[float, Found]) -> None:
        first, second = now
        if not isinstance(second, Found):
            self.progress_label.setText(self.tr("Predicting photo {0} of {1}").format(int(first) + 1, second))
            self.progress_bar.setValue(round(200 * first / second))
            return
        if not self._searching:
            self._searching = time.monotonic()
        self.found = second
        self.progress_bar.setValue(200 + round(800 * first))
        text = self.tr("{0} parameter sets tried").format(len(second.trials))
        if first > 0.05:
            left = (time.monotonic() - self._searching) * (1 - first) / first
            text += "  ·  " + self.tr("about {0} left").format(duration(left))
        self.progress_label.setText(text)
        self._show_found(second, "")
        self._update()

    def _on_done(self, outcome: tuple[Found, list[StudioError]]) -> None:
        self.found, problems = outcome
        count = self.count_box.value() - len(problems)
        text = self.tr("{0} parameter sets on {1} photos in {2}.").format(
            len(self.found.trials), count, duration(time.monotonic() - self._began)
        )
        self._show_found(self.found, " ".join([text, *self._at_the_end(self.found), *map(str, problems[:3])]))
        self._update()

    def _at_the_end(self, found: Found) -> list[str]:
        """A hint if the best lies where the search could not look any further."""
        best = found.best.params
        ends = [
            row.box.text()
            for row in self._rows
            if row.box.isChecked() and float(getattr(best, row.axis.field)) in (row.low.value(), row.high.value())
        ]
        if not ends:
            return []
        return [
            self.tr("The best is at an end of the range of {0}: there may be better ones beyond.").format(
                ", ".join(ends)
            )
        ]

    def _on_failed(self, error: StudioError) -> None:
        self.result_label.setText(str(error))
        self._update()

    # What is shown

    def _show_found(self, found: Found, note: str) -> None:
        best = found.best
        lines = [
            self.tr("mIoU on this sample: {0} % without the CRF, {1} % as it is now, {2} % at best").format(
                _percent(found.without), _percent(found.start.miou), _percent(best.miou)
            ),
            params_in_short(best.params),
        ]
        self.result_label.setText("\n".join([*lines, *filter(None, [note])]))
        scores = [trial.miou for trial in found.trials]
        low, high = min([*scores, found.without]), max(scores)
        margin = max(0.005, 0.08 * (high - low))
        for field, plot in self._plots.items():
            plot.set_trials(
                [(float(getattr(trial.params, field)), trial.miou) for trial in found.trials],
                (max(0.0, low - margin), min(1.0, high + margin)),
                float(getattr(self._start, field)),
                (float(getattr(best.params, field)), best.miou),
            )

    def _show_plots(self) -> None:
        for plot in self._plots.values():
            self._plot_grid.removeWidget(plot)
            plot.hide()
            plot.deleteLater()
        self._plots = {}
        rows = [row for row in self._rows if row.box.isChecked()]
        columns = 2 if len(rows) > 1 else 1
        for place, row in enumerate(rows):
            plot = TrialPlot(row.box.text(), log=row.axis.log)
            self._plots[row.axis.field] = plot
            self._plot_grid.addWidget(plot, place // columns, place % columns)

    def _update(self) -> None:
        busy = self._lane.busy
        axes = self._axes()
        able = bool(self._candidates) and self._session.predictions.model is not None
        valid = bool(axes) and all(row.valid for row in self._rows if row.box.isChecked())
        self.start_button.setVisible(not busy)
        self.start_button.setEnabled(able and valid)
        self.start_button.setDefault(self.found is None)
        self.stop_button.setVisible(busy)
        self.use_button.setEnabled(self.found is not None and self.found.best.params != self._start)
        self.use_button.setDefault(self.found is not None and not busy)
        self.progress_bar.setVisible(busy)
        self.progress_label.setVisible(busy)
        for part in (self._controls, self.count_box, self.seed_box, self.rounds_box):
            part.setEnabled(not busy)
        self.estimate_label.setText(self._estimate(axes, able=able, valid=valid))

    def _estimate(self, axes: list[Axis], *, able: bool, valid: bool) -> str:
        if self._session.predictions.model is None:
            return self.tr("Choose a model first.")
        if not able:
            return self.tr(
                "There is no ground truth yet. Mark labelled images as done, or open a Pascal VOC data set with masks."
            )
        if not valid:
            return self.tr("Choose at least one parameter, and ranges whose end is above their start.")
        trials = trial_count(axes, self.rounds_box.value())
        seconds = trials * self.count_box.value() * SECONDS_PER_TRIAL
        text = self.tr("Up to {0} parameter sets on {1} of {2} photos with ground truth, roughly {3}.")
        return text.format(trials, self.count_box.value(), len(self._candidates), duration(seconds))

    def _axes(self) -> list[Axis]:
        return [row.chosen() for row in self._rows if row.box.isChecked() and row.valid]

    # Building

    def _make_rows(self) -> list[_AxisRow]:
        names = {
            "appearance_weight": self.tr("Weight w₁"),
            "appearance_position_sigma": self.tr("Position σα"),
            "appearance_colour_sigma": self.tr("Colour σβ"),
            "smoothness_weight": self.tr("Weight w₂"),
            "smoothness_sigma": self.tr("Reach σγ"),
        }
        rows = [_AxisRow(axis, names[axis.field], axis.field in SEARCHED_FIRST) for axis in default_axes()]
        for row in rows:
            row.box.toggled.connect(self._choice_changed)
            row.low.valueChanged.connect(self._update)
            row.high.valueChanged.connect(self._update)
        return rows

    def _choice_changed(self) -> None:
        self.found = None
        self.result_label.clear()
        self._show_plots()
        self._update()

    def _lay_out(self) -> None:
        self._controls = QWidget()
        grid = QGridLayout(self._controls)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setVerticalSpacing(GAP // 2)
        grid.addWidget(Heading(self.tr("Search")), 0, 0)
        for column, text in ((1, self.tr("from")), (2, self.tr("to"))):
            label = QLabel(text)
            label.setForegroundRole(self.palette().ColorRole.PlaceholderText)
            grid.addWidget(label, 0, column)
        for line, row in enumerate(self._rows, 1):
            for column, part in enumerate((row.box, row.low, row.high)):
                grid.addWidget(part, line, column)
        sample = QGridLayout()
        sample.setVerticalSpacing(GAP // 2)
        sample.addWidget(Heading(self.tr("Sample")), 0, 0)
        for line, (text, box) in enumerate(
            (
                (self.tr("Photos"), self.count_box),
                (self.tr("Seed"), self.seed_box),
                (self.tr("Rounds"), self.rounds_box),
            ),
            1,
        ):
            label = QLabel(text)
            label.setBuddy(box)
            sample.addWidget(label, line, 0)
            sample.addWidget(box, line, 1)
        left = QVBoxLayout()
        left.setSpacing(2 * GAP)
        left.addWidget(self._controls)
        left.addLayout(sample)
        left.addWidget(self.estimate_label)
        left.addStretch(1)
        side = QWidget()
        side.setLayout(left)
        side.setFixedWidth(290)
        left.setContentsMargins(0, 0, 0, 0)

        self._plot_grid = QGridLayout()
        self._plot_grid.setSpacing(GAP)
        right = QVBoxLayout()
        right.addLayout(self._plot_grid, 1)
        right.addWidget(self.result_label)
        body = QHBoxLayout()
        body.setSpacing(3 * GAP)
        body.addWidget(side)
        body.addLayout(right, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(2 * GAP, 2 * GAP, 2 * GAP, 2 * GAP)
        layout.setSpacing(GAP)
        layout.addLayout(body, 1)
        layout.addWidget(self.progress_bar)
        layout.addWidget(self.progress_label)
        layout.addWidget(self.buttons)


def _percent(share: float) -> str:
    return f"{100 * share:.2f}"
