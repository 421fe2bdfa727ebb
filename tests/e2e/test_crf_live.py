"""Dragging the sliders of the CRF with the mouse, in the real window."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import QEvent, Qt
from pytestqt.qtbot import QtBot

from deeplab_studio.app.refinement import Refined
from deeplab_studio.app.window import MainWindow
from deeplab_studio.core.labels import VOC_LABELS, ClassMapping
from deeplab_studio.crf.params import CrfParams
from deeplab_studio.crf.sizes import on_photo
from deeplab_studio.engine.refiner import Refiner
from tests.e2e.crf_kit import CAT, DOG, give_scores, send_mouse, wait_idle, write_photo
from tests.e2e.kit import wait_for_photo


def open_scored(qtbot: QtBot, window: MainWindow, path: Path) -> None:
    window.open_paths([path])
    wait_for_photo(qtbot, window, path)
    give_scores(qtbot, window)


@pytest.fixture
def scored(window: MainWindow, qtbot: QtBot, tmp_path: Path) -> MainWindow:
    open_scored(qtbot, window, write_photo(tmp_path / "shapes.png"))
    return window


def fresh_result(window: MainWindow, params: CrfParams) -> np.ndarray:
    """What a program that does nothing else computes for the photo on screen."""
    document = window.session.current
    labels = Refiner(document.image.pixels, document.scores).refine(on_photo(params, *document.class_map.shape))
    return ClassMapping.between(VOC_LABELS, VOC_LABELS).to_target[labels]


class Seen:
    """Everything the window showed while a slider moved."""

    def __init__(self, window: MainWindow) -> None:
        self.previews: list[Refined] = []
        self.results: list[Refined] = []
        self.canvas: list[np.ndarray] = []
        self._window = window
        window.session.previewed.connect(self._on_preview)
        window.session.refined.connect(self.results.append)

    def _on_preview(self, refined: Refined | None) -> None:
        if refined is not None:
            self.previews.append(refined)
            self.canvas.append(np.array(self._window.canvas.viewport().grab().toImage().bits(), np.uint8))


def drag(qtbot: QtBot, window: MainWindow, field: str, shares: list[float], meanwhile: Callable[[], None]) -> None:
    slider = window.crf_panel.row(field).slider
    send_mouse(slider, QEvent.Type.MouseButtonPress, shares[0])
    for share in shares[1:]:
        send_mouse(slider, QEvent.Type.MouseMove, share)
        qtbot.wait(25)
        meanwhile()
    send_mouse(slider, QEvent.Type.MouseButtonRelease, shares[-1])


@pytest.mark.parametrize("field", ["appearance_weight", "appearance_colour_sigma", "smoothness_sigma", "iterations"])
def test_pictures_follow_the_slider_and_the_end_is_a_fresh_exact_run(
    scored: MainWindow, qtbot: QtBot, field: str
) -> None:
    seen = Seen(scored)
    waiting: list[int] = []
    lane = scored.session.refinement.lane
    before = scored.session.current.class_map.labels.copy()
    shares = np.linspace(0.05, 0.95, 40).tolist()
    drag(qtbot, scored, field, shares, lambda: waiting.append(len(lane._pending)))
    params = scored.crf_panel.params
    qtbot.waitUntil(lambda: bool(seen.results) and seen.results[-1].settings.params == params, timeout=30_000)
    wait_idle(qtbot, scored)

    assert len(seen.previews) >= 3
    shown = [getattr(refined.settings.params, field) for refined in seen.previews]
    assert shown == sorted(shown)  # never an older one after a newer one
    assert len(set(shown)) >= 3
    assert max(waiting) <= 1  # nothing queues up
    assert any(not np.array_equal(first, second) for first, second in zip(seen.canvas, seen.canvas[1:], strict=False))
    labels = scored.session.current.class_map.labels
    np.testing.assert_array_equal(labels, fresh_result(scored, params))
    assert not np.array_equal(labels, before)
    assert scored.session.current.crf.params == params
    assert "Exact at full size" in scored.crf_panel._status.text()
    assert scored.session.current.history.names[-1] == "CRF"


def test_a_drag_is_one_undo_step(scored: MainWindow, qtbot: QtBot) -> None:
    before = scored.session.current.class_map.labels.copy()
    steps = len(scored.session.current.history.names)
    params = scored.crf_panel.params
    with qtbot.waitSignal(scored.session.refined, timeout=30_000):
        drag(qtbot, scored, "smoothness_weight", [0.1, 0.3, 0.5, 0.9], lambda: None)
    assert len(scored.session.current.history.names) == steps + 1
    qtbot.keyClick(scored, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    np.testing.assert_array_equal(scored.session.current.class_map.labels, before)
    assert scored.crf_panel.params == params


def test_a_large_photo_is_previewed_smaller_and_exact_after_the_release(
    window: MainWindow, qtbot: QtBot, tmp_path: Path
) -> None:
    open_scored(qtbot, window, write_photo(tmp_path / "large.png", 900, 1200))
    seen = Seen(window)
    drag(qtbot, window, "appearance_weight", np.linspace(0.1, 0.8, 25).tolist(), lambda: None)
    params = window.crf_panel.params
    qtbot.waitUntil(lambda: bool(seen.results) and seen.results[-1].settings.params == params, timeout=60_000)
    assert seen.previews
    for refined in seen.previews:
        assert not refined.exact
        assert refined.labels.shape[0] < 900
        assert refined.labels.shape[0] / refined.labels.shape[1] == pytest.approx(0.75, abs=0.01)
    assert seen.results[-1].exact
    wait_idle(qtbot, window)
    np.testing.assert_array_equal(window.session.current.class_map.labels, fresh_result(window, params))
    # The photo is 2.4 times as large as the one that the values refer to, and the panel says what that means here.
    assert window.crf_panel.size_note.isVisible()
    assert f"{2.4 * params.appearance_position_sigma:.3g} px" in window.crf_panel.size_note.text()


def test_the_panel_says_whether_it_is_a_preview(window: MainWindow, qtbot: QtBot, tmp_path: Path) -> None:
    open_scored(qtbot, window, write_photo(tmp_path / "large.png", 900, 1200))
    slider = window.crf_panel.row("smoothness_weight").slider
    send_mouse(slider, QEvent.Type.MouseButtonPress, 0.2)
    with qtbot.waitSignal(window.session.previewed, timeout=30_000):
        send_mouse(slider, QEvent.Type.MouseMove, 0.5)
    assert "Preview at" in window.crf_panel._status.text()
    with qtbot.waitSignal(window.session.refined, timeout=60_000):
        send_mouse(slider, QEvent.Type.MouseButtonRelease, 0.5)
    assert "Exact at full size" in window.crf_panel._status.text()


def test_painted_pixels_stay_through_a_drag(scored: MainWindow, qtbot: QtBot) -> None:
    scored.session.painting.set_active_class(DOG)
    scored.session.painting.begin("Brush stroke")
    scored.session.painting.paint(100, 70, np.ones((30, 40), bool))
    scored.session.painting.commit()
    wait_idle(qtbot, scored)
    seen = Seen(scored)
    with qtbot.waitSignal(scored.session.refined, timeout=30_000):
        drag(qtbot, scored, "appearance_weight", [0.2, 0.5, 0.9], lambda: None)
    for refined in seen.previews:
        scale = refined.labels.shape[0] / 240
        assert refined.labels[round(115 * scale), round(90 * scale)] == DOG
    labels = scored.session.current.class_map.labels
    assert (labels[100:130, 70:110] == DOG).all()
    assert labels[120, 60] == CAT


def test_a_stroke_takes_the_preview_away(scored: MainWindow, qtbot: QtBot) -> None:
    slider = scored.crf_panel.row("appearance_weight").slider
    send_mouse(slider, QEvent.Type.MouseButtonPress, 0.2)
    with qtbot.waitSignal(scored.session.previewed, timeout=30_000):
        send_mouse(slider, QEvent.Type.MouseMove, 0.9)
    scored.session.painting.set_active_class(DOG)
    assert scored.session.painting.begin("Brush stroke")
    shown = []
    scored.session.previewed.connect(shown.append)
    scored.session.painting.paint(0, 0, np.ones((9, 9), bool))
    qtbot.wait(300)
    scored.session.painting.commit()
    assert shown == [] or shown == [None]
    send_mouse(slider, QEvent.Type.MouseButtonRelease, 0.9)
    wait_idle(qtbot, scored)
    assert (scored.session.current.class_map.labels[:9, :9] == DOG).all()
