"""Choosing what computes the CRF, in the real window."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import QEvent
from pytestqt.qtbot import QtBot

from deeplab_studio.app.window import MainWindow
from deeplab_studio.crf import backends, crf_backend, kernel_core, reference_available
from deeplab_studio.crf.params import CrfParams
from tests.e2e.crf_kit import give_scores, send_mouse, wait_idle, write_photo
from tests.e2e.kit import wait_for_photo

needs_kernel = pytest.mark.skipif(crf_backend() != "kernel", reason="no compiled kernel")
needs_reference = pytest.mark.skipif(not reference_available(), reason="pydensecrf2 is not installed")


def open_scored(qtbot: QtBot, window: MainWindow, folder: Path) -> None:
    photo = write_photo(folder / "shapes.png")
    window.open_paths([photo])
    wait_for_photo(qtbot, window, photo)
    give_scores(qtbot, window)


@pytest.fixture
def scored(window: MainWindow, qtbot: QtBot, tmp_path: Path) -> MainWindow:
    open_scored(qtbot, window, tmp_path)
    return window


@needs_kernel
@needs_reference
def test_another_engine_computes_the_picture_again_says_so_and_is_remembered(
    scored: MainWindow, new_window: Callable[[], MainWindow], qtbot: QtBot
) -> None:
    labels = scored.session.current.class_map.labels.copy()
    actions = scored.actions_
    assert actions["crf_engine_kernel"].isChecked()
    assert scored.crf_panel._status.text().endswith("· kernel")
    for action, name in (("crf_engine_reference", "pydensecrf"), ("crf_engine_torch", "torch")):
        assert actions[action].isEnabled()
        with qtbot.waitSignal(scored.session.refined, timeout=60_000):
            actions[action].trigger()
        wait_idle(qtbot, scored)
        assert scored.crf_panel._status.text().endswith(f"· {name}")
        assert [actions[f"crf_engine_{each}"].isChecked() for each in ("kernel", "torch", "reference")].count(True) == 1
        assert (scored.session.current.class_map.labels == labels).mean() >= 0.9999

    second = new_window()
    assert second.actions_["crf_engine_torch"].isChecked()
    assert second.session.refinement.engine[0] == "torch"


@needs_reference
def test_the_reference_follows_a_slider_with_pinned_pixels_and_ends_exact(scored: MainWindow, qtbot: QtBot) -> None:
    scored.session.painting.set_active_class(12)
    scored.session.painting.begin("Brush stroke")
    scored.session.painting.paint(100, 70, np.ones((30, 40), bool))
    scored.session.painting.commit()
    with qtbot.waitSignal(scored.session.refined, timeout=60_000):
        scored.actions_["crf_engine_reference"].trigger()
    shown = []
    scored.session.previewed.connect(shown.append)
    slider = scored.crf_panel.row("appearance_weight").slider
    send_mouse(slider, QEvent.Type.MouseButtonPress, 0.2)
    with qtbot.waitSignal(scored.session.previewed, timeout=60_000):
        send_mouse(slider, QEvent.Type.MouseMove, 0.6)
    with qtbot.waitSignal(scored.session.refined, timeout=60_000) as refined:
        send_mouse(slider, QEvent.Type.MouseButtonRelease, 0.6)
    wait_idle(qtbot, scored)
    assert shown[0].engine == "reference"
    assert refined.args[0].engine == "reference"
    assert (scored.session.current.class_map.labels[100:130, 70:110] == 12).all()


def test_a_choice_while_the_crf_made_nothing_changes_no_class_map(
    window: MainWindow, qtbot: QtBot, tmp_path: Path
) -> None:
    photo = write_photo(tmp_path / "shapes.png")
    window.open_paths([photo])
    wait_for_photo(qtbot, window, photo)
    steps = window.session.current.history.names
    window.actions_["crf_engine_torch"].trigger()
    wait_idle(qtbot, window)
    assert window.session.current.history.names == steps
    assert window.session.refinement.engine[0] == "torch"


def test_what_is_not_installed_is_not_offered_and_torch_stands_in_with_a_word(
    new_window: Callable[[], MainWindow], qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernel_core, "kernel_library", lambda: None)
    monkeypatch.setattr(backends, "reference_available", lambda: False)
    window = new_window()
    window.settings.set("crf/engine", "reference")
    assert not window.actions_["crf_engine_kernel"].isEnabled()
    assert not window.actions_["crf_engine_reference"].isEnabled()
    assert "deeplab-studio[reference]" in window.actions_["crf_engine_reference"].toolTip()
    open_scored(qtbot, window, tmp_path)
    assert window.crf_panel._status.text().endswith("· torch")
    said = [notice.text for notice in window.status_area.notices.history]
    assert sum("compiled kernel of the CRF is missing" in text for text in said) == 1
    window.session.set_crf(type(window.session.current.crf)(True, CrfParams(5)), live=False)
    wait_idle(qtbot, window)
    said = [notice.text for notice in window.status_area.notices.history]
    assert sum("compiled kernel of the CRF is missing" in text for text in said) == 1
