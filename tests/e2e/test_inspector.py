"""The model inspector and the precision in the real window."""

from __future__ import annotations

import gc
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from pytestqt.qtbot import QtBot

from deeplab_studio.app.panels.inspector import InspectorPanel
from deeplab_studio.app.window import MainWindow
from tests.e2e.kit import wait_for_photo
from tests.fixture_checkpoints import torchvision_network, write_zoo


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    path = tmp_path / "mine.pth"
    torch.save(torchvision_network(classes=3, aux=False).state_dict(), path)
    return path


def use(qtbot: QtBot, window: MainWindow, path: Path) -> None:
    window.models.open(path)

    def loaded() -> bool:
        model = window.session.predictions.model
        return model is not None and model.path == path and not window.models.loading

    qtbot.waitUntil(loaded, timeout=30_000)


def inspect(qtbot: QtBot, window: MainWindow) -> InspectorPanel:
    qtbot.waitUntil(lambda: window.actions_["inspect_model"].isEnabled())
    window.actions_["inspect_model"].trigger()
    panel = window.inspector.panel
    assert panel is not None
    qtbot.waitUntil(lambda: panel.atrous.rowCount() > 0, timeout=30_000)
    return panel


def test_the_inspector_follows_model_and_photo(
    qtbot: QtBot, window: MainWindow, photos: list[Path], mine: Path, tmp_path: Path
) -> None:
    assert not window.actions_["inspect_model"].isEnabled()
    use(qtbot, window, mine)
    panel = inspect(qtbot, window)
    assert panel.facts["photo"].text() == "500 × 375, seen at 693 × 520"  # no photo is open: a typical one
    window.open_paths([photos[0].parent])
    wait_for_photo(qtbot, window, photos[0])
    qtbot.waitUntil(lambda: panel.facts["photo"].text() == "320 × 240, seen at 693 × 520", timeout=30_000)
    use(qtbot, window, write_zoo(tmp_path / "zoo.npz"))
    qtbot.waitUntil(lambda: panel.facts["photo"].text() == "320 × 240, seen at 513 × 513", timeout=30_000)
    assert panel.title.text().startswith("DeepLabv3 MobileNetV2")


def test_a_file_that_was_only_opened_is_listed_as_what_it_is(
    qtbot: QtBot, window: MainWindow, mine: Path, tmp_path: Path
) -> None:
    box = window.model_bar.model_box
    use(qtbot, window, mine)
    qtbot.waitUntil(lambda: box.currentText() == "DeepLabv3 MobileNetV3-Large (torchvision)", timeout=30_000)
    other = tmp_path / "other.pth"
    torch.save(torchvision_network(classes=4, aux=False).state_dict(), other)
    use(qtbot, window, other)
    qtbot.waitUntil(lambda: box.currentText() == "other · DeepLabv3 MobileNetV3-Large (torchvision)", timeout=30_000)
    (found,) = (model for model in window.models.library.installed() if model.path == other)
    assert (found.version, found.facts.classes) == ("v3", 4)


def test_class_names_given_in_the_inspector_are_remembered(
    qtbot: QtBot, window: MainWindow, new_window: Callable[[], MainWindow], mine: Path, tmp_path: Path
) -> None:
    use(qtbot, window, mine)
    panel = inspect(qtbot, window)
    assert panel.names() == ("class 0", "class 1", "class 2")
    (tmp_path / "names.txt").write_text("background\ncat\n개\n", "utf-8")
    window.inspector.read_names(tmp_path / "names.txt")
    panel.apply_button.click()

    def named() -> bool:
        model = window.session.predictions.model
        return model is not None and model.classes.names == ("background", "cat", "개")

    qtbot.waitUntil(named, timeout=30_000)
    moved = mine.rename(tmp_path / "moved.pth")
    other = new_window()
    use(qtbot, other, moved)
    model = other.session.predictions.model
    assert model is not None
    assert model.classes.names == ("background", "cat", "개")


def test_a_file_that_holds_no_names_is_told_and_changes_nothing(
    qtbot: QtBot, window: MainWindow, mine: Path, tmp_path: Path
) -> None:
    use(qtbot, window, mine)
    panel = inspect(qtbot, window)
    (tmp_path / "picture.png").write_bytes(b"\x89PNG\xff\xfe")
    window.inspector.read_names(tmp_path / "picture.png")
    assert panel.names_problem.text().startswith("picture.png: it is no UTF-8 text.")
    assert panel.names() == ("class 0", "class 1", "class 2")


def test_torch_costs_the_garbage_collector_nothing_once_a_model_is_loaded(
    qtbot: QtBot, window: MainWindow, mine: Path
) -> None:
    use(qtbot, window, mine)
    assert gc.get_freeze_count() > 100_000


def test_fast_precision_is_told_and_remembered(
    qtbot: QtBot, new_window: Callable[[], MainWindow], photos: list[Path], tmp_path: Path
) -> None:
    window = new_window()
    use(qtbot, window, write_zoo(tmp_path / "zoo.npz"))
    told: list[str] = []
    window.session.noticed.connect(lambda _level, text: told.append(text))
    window.actions_["fast_precision"].trigger()
    qtbot.waitUntil(lambda: window.session.predictions.arithmetic == "bfloat16", timeout=30_000)
    window.open_paths([photos[0].parent])
    wait_for_photo(qtbot, window, photos[0])
    qtbot.waitUntil(lambda: any(text.startswith("Fast precision (bfloat16)") for text in told), timeout=30_000)
    qtbot.waitUntil(lambda: "bfloat16" in window.status_area.device_label.text())
    window.close()
    again = new_window()
    assert again.actions_["fast_precision"].isChecked()
    assert again.settings.get("model/precision") == "fast"
