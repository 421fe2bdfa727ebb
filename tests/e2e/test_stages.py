"""The strip of stages in the real window."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import QEvent, QPoint, QPointF, Qt
from PySide6.QtGui import QMouseEvent
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from deeplab_studio.app.document import CrfSettings
from deeplab_studio.app.window import MainWindow
from deeplab_studio.crf.params import CrfParams
from deeplab_studio.engine.stages import COARSE, PHOTO, RESULT, UPSAMPLED, Stage
from tests.e2e.crf_kit import CAT, DOG, give_scores, wait_idle, write_photo
from tests.e2e.kit import wait_for_photo


@pytest.fixture
def scored(window: MainWindow, qtbot: QtBot, tmp_path: Path) -> MainWindow:
    photo = write_photo(tmp_path / "shapes.png")
    window.open_paths([photo])
    wait_for_photo(qtbot, window, photo)
    give_scores(qtbot, window)
    return window


def place(window: MainWindow, x: int, y: int) -> QPoint:
    return window.canvas.to_viewport(x + 0.5, y + 0.5).toPoint()


def canvas(window: MainWindow, qtbot: QtBot) -> np.ndarray:
    """What is on the canvas, (h, w, 4)."""
    wait_idle(qtbot, window)
    image = window.canvas.viewport().grab().toImage()
    return np.array(image.constBits(), np.uint8).reshape(image.height(), image.width(), 4)


def hover(window: MainWindow, x: int, y: int) -> None:
    viewport, at = window.canvas.viewport(), QPointF(place(window, x, y))
    nothing = Qt.MouseButton.NoButton
    event = QMouseEvent(
        QEvent.Type.MouseMove, at, viewport.mapToGlobal(at), nothing, nothing, Qt.KeyboardModifier.NoModifier
    )
    QApplication.sendEvent(viewport, event)


def click_stage(qtbot: QtBot, window: MainWindow, stage: Stage) -> None:
    strip = window.stages_panel.filmstrip
    index = strip.model().index(window.stages_panel.stages.index(stage), 0)
    strip.scrollTo(index)
    qtbot.mouseClick(strip.viewport(), Qt.MouseButton.LeftButton, pos=strip.visualRect(index).center())


def test_the_strip_shows_the_pipeline(scored: MainWindow, qtbot: QtBot) -> None:
    panel = scored.stages_panel
    assert panel.filmstrip.isVisible()
    names = panel.filmstrip.names
    assert names[:3] == ["Photo", "Scores", "Enlarged"]
    assert names[3:-1] == [f"Step {n}" for n in range(1, 11)]
    assert names[-1] == "Result"
    wait_idle(qtbot, scored)
    assert all(panel.filmstrip.picture(row) is not None for row in range(len(names)))


def test_a_click_puts_a_stage_on_the_canvas_and_the_result_brings_the_class_map_back(
    scored: MainWindow, qtbot: QtBot
) -> None:
    result = canvas(scored, qtbot)
    pictures = {}
    for stage in (PHOTO, COARSE, UPSAMPLED, Stage("iteration", 1)):
        click_stage(qtbot, scored, stage)
        assert scored.stages.stage == stage
        pictures[stage] = canvas(scored, qtbot)
        assert not np.array_equal(pictures[stage], result)
    assert not np.array_equal(pictures[COARSE], pictures[UPSAMPLED])
    click_stage(qtbot, scored, Stage("iteration", 10))
    np.testing.assert_array_equal(canvas(scored, qtbot), result)  # nothing was painted by hand
    click_stage(qtbot, scored, RESULT)
    np.testing.assert_array_equal(canvas(scored, qtbot), result)


def test_keys_and_the_slider_go_through_the_stages(scored: MainWindow, qtbot: QtBot) -> None:
    qtbot.keyClick(scored, Qt.Key.Key_Comma)
    assert scored.stages.stage == Stage("iteration", 10)
    qtbot.keyClick(scored, Qt.Key.Key_Comma)
    qtbot.keyClick(scored, Qt.Key.Key_Comma)
    assert scored.stages.stage == Stage("iteration", 8)
    qtbot.keyClick(scored, Qt.Key.Key_Period)
    assert scored.stages.stage == Stage("iteration", 9)
    scored.stages_panel.slider.setFocus()
    qtbot.keyClick(scored.stages_panel.slider, Qt.Key.Key_Home)
    assert scored.stages.stage == UPSAMPLED
    qtbot.keyClick(scored.stages_panel.slider, Qt.Key.Key_Right)
    assert scored.stages.stage == Stage("iteration", 1)
    assert scored.stages_panel.slider_value.text() == "1 of 10"
    strip = scored.stages_panel.filmstrip
    strip.setFocus()
    qtbot.keyClick(strip, Qt.Key.Key_Left)
    assert scored.stages.stage == UPSAMPLED


def test_the_probability_of_a_class_is_a_colour_map_with_a_bar(scored: MainWindow, qtbot: QtBot) -> None:
    panel = scored.stages_panel
    qtbot.mouseClick(panel.view_buttons["probability"], Qt.MouseButton.LeftButton)
    wait_idle(qtbot, scored)
    assert panel.colour_bar.isVisible()
    assert panel.colour_bar.labels == ("0", "0.5", "1")
    assert {panel.class_box.itemText(i) for i in range(panel.class_box.count())} == {"background", "cat", "dog"}
    pictures = {}
    for class_id in (CAT, DOG):
        panel.class_box.setCurrentIndex(panel.class_box.findData(class_id))
        panel.class_box.activated.emit(panel.class_box.currentIndex())
        pictures[class_id] = canvas(scored, qtbot)
    spots = {CAT: place(scored, 96, 120), DOG: place(scored, 232, 120)}
    for class_id, other in ((CAT, DOG), (DOG, CAT)):
        inside, outside = spots[class_id], spots[other]
        likely = pictures[class_id][inside.y(), inside.x()].astype(int)
        unlikely = pictures[class_id][outside.y(), outside.x()].astype(int)
        assert likely[1] > unlikely[1] + 80  # viridis: yellow is high, dark violet is low


def test_uncertainty_lies_along_the_borders_and_the_crf_takes_it_away(scored: MainWindow, qtbot: QtBot) -> None:
    qtbot.mouseClick(scored.stages_panel.view_buttons["entropy"], Qt.MouseButton.LeftButton)
    click_stage(qtbot, scored, UPSAMPLED)
    before = canvas(scored, qtbot)
    assert "bits" in scored.stages_panel.colour_bar.labels[2]
    click_stage(qtbot, scored, Stage("iteration", 10))
    after = canvas(scored, qtbot)
    assert before[..., :3].mean() > after[..., :3].mean() + 3
    trace = scored.stages.traced.trace
    entropy = trace.entropy(UPSAMPLED)
    assert entropy[120, 96] < entropy[120, 96 + 72]


def test_changes_are_counted_per_class_in_pixels(scored: MainWindow, qtbot: QtBot) -> None:
    panel = scored.stages_panel
    qtbot.mouseClick(panel.view_buttons["changes"], Qt.MouseButton.LeftButton)
    wait_idle(qtbot, scored)
    document = scored.session.current
    before, after = document.scores.class_map(), document.class_map.labels
    rows = {}
    for row in range(panel.table.topLevelItemCount()):
        item = panel.table.topLevelItem(row)
        rows[item.text(0)] = [int("".join(c for c in item.text(i) if c.isdigit()) or 0) for i in (1, 2)]
    assert set(rows) == {"background", "cat", "dog"}
    for name, class_id in (("background", 0), ("cat", CAT), ("dog", DOG)):
        moved = before != after
        assert rows[name] == [(moved & (after == class_id)).sum(), (moved & (before == class_id)).sum()]
    assert panel.note.text().startswith(str((before != after).sum()))
    click_stage(qtbot, scored, UPSAMPLED)
    wait_idle(qtbot, scored)
    assert panel.table.topLevelItemCount() == 0


def test_what_was_painted_is_no_change_by_the_crf(scored: MainWindow, qtbot: QtBot) -> None:
    scored.session.painting.set_active_class(DOG)
    scored.session.painting.begin("Brush stroke")
    scored.session.painting.paint(0, 0, np.ones((20, 20), bool))
    scored.session.painting.commit()
    qtbot.mouseClick(scored.stages_panel.view_buttons["changes"], Qt.MouseButton.LeftButton)
    wait_idle(qtbot, scored)
    document = scored.session.current
    moved = (document.scores.class_map() != document.class_map.labels) & ~document.class_map.pinned
    assert scored.stages_panel.note.text().startswith(str(moved.sum()))


def test_the_stage_follows_a_moving_slider(scored: MainWindow, qtbot: QtBot) -> None:
    click_stage(qtbot, scored, Stage("iteration", 2))
    before = canvas(scored, qtbot)
    with qtbot.waitSignal(scored.session.refinement.traced, timeout=30_000):
        scored.crf_panel.row("appearance_weight").slider.setValue(900)
    wait_idle(qtbot, scored)
    assert scored.stages.stage == Stage("iteration", 2)
    assert not np.array_equal(canvas(scored, qtbot), before)


def test_the_strip_has_as_many_steps_as_there_are_iterations(scored: MainWindow, qtbot: QtBot) -> None:
    with qtbot.waitSignal(scored.session.refined, timeout=30_000):
        scored.crf_panel.row("iterations").slider.setValue(3)
    wait_idle(qtbot, scored)
    assert len(scored.stages_panel.stages) == 7
    with qtbot.waitSignal(scored.session.refined, timeout=30_000):
        qtbot.keyClick(scored, Qt.Key.Key_C)  # off
    wait_idle(qtbot, scored)
    assert [stage.name for stage in scored.stages_panel.stages] == ["photo", "coarse", "upsampled", "result"]
    assert not scored.stages_panel.slider.isEnabled()


def test_the_kernel_follows_the_cursor_and_the_sliders(scored: MainWindow, qtbot: QtBot) -> None:
    scored.crf_panel.use(CrfParams(appearance_colour_sigma=30))
    plain = canvas(scored, qtbot)
    qtbot.keyClick(scored, Qt.Key.Key_W)
    pictures = []
    for x, y in ((96, 120), (232, 120)):
        hover(scored, x, y)
        pictures.append(canvas(scored, qtbot))
        spot = place(scored, x, y)
        assert pictures[-1][spot.y(), spot.x(), :3].max() > 180
    assert not np.array_equal(pictures[0], pictures[1])
    cat, dog = place(scored, 96, 120), place(scored, 232, 120)
    assert pictures[1][cat.y(), cat.x(), :3].max() < 120  # another colour: no pull
    assert pictures[1][dog.y(), dog.x() + 30, :3].max() > 120  # the same colour nearby
    # The cursor goes to the slider; the pixel stays, and its weights follow.
    with qtbot.waitSignal(scored.crf_panel.paramsSettled, timeout=5_000):
        scored.crf_panel.row("appearance_position_sigma").slider.setValue(100)
    assert not np.array_equal(canvas(scored, qtbot), pictures[1])
    assert "w₁ = 4" in scored.stages_panel.colour_bar.labels[2]
    qtbot.keyClick(scored, Qt.Key.Key_W)
    assert not scored.stages.kernel_on
    assert canvas(scored, qtbot).shape == plain.shape
    assert not scored.actions_["kernel"].isChecked()


def test_who_paints_sees_the_class_map(scored: MainWindow, qtbot: QtBot) -> None:
    click_stage(qtbot, scored, COARSE)
    scored.stages.show_view("entropy")
    qtbot.keyClick(scored, Qt.Key.Key_P)
    viewport = scored.canvas.viewport()
    qtbot.mousePress(viewport, Qt.MouseButton.LeftButton, pos=place(scored, 10, 10))
    assert scored.stages.stage == RESULT
    qtbot.mouseRelease(viewport, Qt.MouseButton.LeftButton, pos=place(scored, 10, 10))
    assert scored.stages_panel.view_buttons["classes"].isChecked()
    assert scored.session.current.class_map.pinned.any()


def test_the_strip_is_hidden_and_shown_and_that_is_remembered(
    new_window: Callable[[], MainWindow], qtbot: QtBot, tmp_path: Path
) -> None:
    photo = write_photo(tmp_path / "shapes.png")
    first = new_window()
    assert not first.stages_panel.isVisible()  # without an image there is nothing to show
    first.open_paths([photo])
    wait_for_photo(qtbot, first, photo)
    assert first.stages_panel.isVisible()
    give_scores(qtbot, first)
    click_stage(qtbot, first, COARSE)
    qtbot.keyClick(first, Qt.Key.Key_G)
    assert not first.stages_panel.isVisible()
    assert first.stages.stage == RESULT
    assert not first.session.refinement.tracing
    first.close()
    second = new_window()
    second.open_paths([photo])
    wait_for_photo(qtbot, second, photo)
    assert not second.stages_panel.isVisible()
    qtbot.keyClick(second, Qt.Key.Key_G)
    assert second.stages_panel.isVisible()


def test_the_next_image_begins_at_its_result(scored: MainWindow, qtbot: QtBot, tmp_path: Path) -> None:
    other = write_photo(tmp_path / "zebra.png", 200, 200)
    click_stage(qtbot, scored, COARSE)
    scored.open_paths([other])
    wait_for_photo(qtbot, scored, other)
    QApplication.processEvents()
    assert scored.stages.stage == RESULT
    assert scored.stages.traced is None
    click_stage(qtbot, scored, COARSE)
    assert "model" in scored.stages_panel.note.text()
    give_scores(qtbot, scored)
    assert scored.stages.traced.trace.scores is scored.session.current.scores


def test_a_large_photo_is_traced_smaller(window: MainWindow, qtbot: QtBot, tmp_path: Path) -> None:
    photo = write_photo(tmp_path / "large.png", 900, 1200)
    window.open_paths([photo])
    wait_for_photo(qtbot, window, photo)
    give_scores(qtbot, window)
    qtbot.waitUntil(lambda: window.stages.traced is not None, timeout=30_000)
    height, width = window.stages.traced.trace.size
    assert height * width <= 410_000
    assert window.stages.traced.settings.params == CrfParams()


def test_pictures_of_a_drag_wait_for_the_stages_only_if_one_is_on_the_canvas(scored: MainWindow, qtbot: QtBot) -> None:
    refinement = scored.session.refinement
    traced: list[object] = []
    refinement.traced.connect(traced.append)

    def follow(weight: float) -> int:
        before = len(traced)
        settings = CrfSettings(True, CrfParams(weight))
        with qtbot.waitSignal(scored.session.previewed, timeout=30_000):
            scored.session.set_crf(settings, live=True)
        return len(traced) - before

    refinement._traced_at = -math.inf
    assert follow(5) == 1  # the strip was shown nothing for a while
    refinement._traced_at = math.inf  # it was shown something just now
    assert follow(6) == 0
    scored.stages.show_stage(UPSAMPLED)
    assert follow(7) == 1
    scored.stages.show_stage(RESULT)
    assert follow(8) == 0
    with qtbot.waitSignal(refinement.traced, timeout=30_000):
        scored.session.set_crf(CrfSettings(True, CrfParams(8)), live=False)
    wait_idle(qtbot, scored)
    assert scored.stages.traced is traced[-1]
    assert traced[-1].settings.params == CrfParams(8)
