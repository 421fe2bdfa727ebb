"""The strip of stages, its colour bar, and the plot of trials, as widgets."""

from __future__ import annotations

import numpy as np
import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QImage, QWheelEvent
from PySide6.QtWidgets import QApplication

from deeplab_studio.app.panels.colour_bar import ColourBar, colour_table
from deeplab_studio.app.panels.filmstrip import NARROWEST, WIDEST, Filmstrip
from deeplab_studio.app.panels.stages import ChangeRow, StagesPanel
from deeplab_studio.app.panels.trial_plot import TrialPlot
from deeplab_studio.engine.stages import COARSE, RESULT, UPSAMPLED, Stage


@pytest.mark.parametrize("name", ["viridis", "inferno"])
def test_colour_maps_get_steadily_brighter(name) -> None:
    colours = colour_table(name, 0.5)
    assert colours.shape == (256, 4)
    assert (colours[:, 3] == 128).all()
    brightness = colours[:, :3] @ np.array([0.2126, 0.7152, 0.0722])
    assert (np.diff(brightness) > -1).all()
    assert brightness[-1] - brightness[0] > 150


def test_the_bar_runs_from_the_lowest_colour_to_the_highest(qtbot) -> None:
    bar = ColourBar()
    qtbot.addWidget(bar)
    bar.resize(200, 40)
    bar.set_scale(colour_table("viridis"), "0", "½", "1")
    image = bar.grab().toImage()
    assert image.pixelColor(6, 6).blue() > image.pixelColor(6, 6).green()
    assert image.pixelColor(193, 6).green() > 180
    assert bar.accessibleDescription() == "from 0 to 1"


@pytest.fixture
def strip(qtbot) -> Filmstrip:
    strip = Filmstrip()
    qtbot.addWidget(strip)
    strip.resize(700, strip.height())
    strip.show()
    return strip


def test_frames_share_the_room_within_limits(strip: Filmstrip) -> None:
    for count in (3, 10, 40):
        strip.set_frames([f"frame {i}" for i in range(count)], [""] * count)
        QApplication.processEvents()
        width = strip.visualRect(strip.model().index(0, 0)).width()
        assert width == min(max(700 // count, NARROWEST), WIDEST)


def test_pictures_stay_with_their_frames(strip: Filmstrip) -> None:
    strip.set_frames(["Photo", "Step 1", "Result"], [""] * 3)
    image = QImage(8, 6, QImage.Format.Format_RGB32)
    strip.set_picture(2, image)
    strip.set_frames(["Photo", "Step 1", "Step 2", "Result"], [""] * 4)
    assert strip.picture(3).size() == image.size()
    assert strip.picture(2) is None


def test_the_wheel_goes_through_the_frames(strip: Filmstrip) -> None:
    strip.set_frames(list("abc"), [""] * 3)
    strip.set_current(1)
    chosen = []
    strip.chosen.connect(chosen.append)
    for turned in (-120, -120, 120):
        place = QPointF(20, 20)
        event = QWheelEvent(
            place,
            strip.mapToGlobal(place),
            QPoint(),
            QPoint(0, turned),
            Qt.MouseButton.NoButton,
            Qt.KeyboardModifier.NoModifier,
            Qt.ScrollPhase.NoScrollPhase,
            False,
        )
        QApplication.sendEvent(strip.viewport(), event)
    assert chosen == [2, 1]


@pytest.fixture
def panel(qtbot) -> StagesPanel:
    panel = StagesPanel()
    qtbot.addWidget(panel)
    panel.resize(820, 150)
    panel.show()
    return panel


def test_showing_a_stage_tells_nobody(panel: StagesPanel) -> None:
    told = []
    panel.stageChosen.connect(told.append)
    panel.set_iterations(4)
    panel.set_stage(COARSE)
    panel.set_stage(Stage("iteration", 3))
    assert told == []
    assert panel.slider.value() == 3
    panel.slider.setValue(0)
    assert told == [UPSAMPLED]


def test_a_shorter_run_leaves_the_nearest_stage(panel: StagesPanel) -> None:
    panel.set_iterations(8)
    panel.set_stage(Stage("iteration", 8))
    panel.set_iterations(3)
    assert panel.slider.value() == 3
    panel.set_stage(RESULT)
    panel.set_iterations(0)
    assert panel.stages[-1] == RESULT
    assert not panel.slider.isEnabled()


def test_only_one_button_is_down_and_the_legend_fits_it(panel: StagesPanel) -> None:
    height = panel.sizeHint().height()
    for view, table, box in (
        ("classes", False, False),
        ("probability", False, True),
        ("entropy", False, False),
        ("changes", True, False),
    ):
        panel.set_view(view)
        assert [name for name, button in panel.view_buttons.items() if button.isChecked()] == [view]
        assert panel.table.isVisible() == table
        assert panel.class_box.isVisible() == box
        assert panel.sizeHint().height() == height  # the canvas keeps its size
    panel.set_kernel(True)
    assert not any(button.isChecked() for button in panel.view_buttons.values())
    assert panel.kernel_button.isChecked()
    assert panel.colour_bar.isVisible()


def test_changes_are_listed(panel: StagesPanel) -> None:
    panel.set_view("changes")
    panel.set_changes([ChangeRow("cat", (64, 0, 0), 120, 0), ChangeRow("dog", (64, 0, 128), 0, 7)])
    rows = [[panel.table.topLevelItem(i).text(c) for c in range(3)] for i in range(2)]
    assert rows == [["cat", "+120", ""], ["dog", "", "−7"]]


def test_the_plot_connects_the_best_of_every_value(qtbot) -> None:
    plot = TrialPlot("Weight w₁")
    qtbot.addWidget(plot)
    plot.resize(260, 150)
    empty = plot.grab().toImage()
    plot.set_trials([(1, 0.5), (4, 0.6), (1, 0.7), (8, 0.4)], (0.3, 0.8), 4, (1, 0.7))
    assert plot.envelope == [(1, 0.7), (4, 0.6), (8, 0.4)]
    assert plot.grab().toImage() != empty
    assert "best at 1: 70.0 %" in plot.accessibleDescription()


@pytest.mark.parametrize("values", [[3.0], [0.5, 0.5], [0.001, 1000.0]])
@pytest.mark.parametrize("log", [False, True])
def test_odd_trials_are_drawn(qtbot, values, log) -> None:
    plot = TrialPlot("x", log=log)
    qtbot.addWidget(plot)
    plot.resize(180, 110)
    plot.set_trials([(value, 0.5) for value in values], (0.49, 0.51), None, (values[0], 0.5))
    assert not plot.grab().isNull()
