"""Output stride and scales chosen in the real window."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot

from deeplab_studio.app.window import MainWindow
from deeplab_studio.checkpoints.model import Geometry
from tests.dialect_files import write_variant
from tests.e2e.kit import wait_for_photo
from tests.fixture_checkpoints import torchvision_network, write_zoo


@pytest.fixture
def zoo(tmp_path: Path) -> Path:
    return write_zoo(tmp_path / "zoo.npz")


def use(qtbot: QtBot, window: MainWindow, path: Path) -> None:
    window.models.open(path)

    def loaded() -> bool:
        model = window.session.predictions.model
        return model is not None and model.path == path and not window.models.loading

    qtbot.waitUntil(loaded, timeout=30_000)


def pick(window: MainWindow, title: str) -> None:
    """Choose as a person does."""
    box = window.model_bar.geometry_box
    index = box.findText(title)
    assert index >= 0
    box.setCurrentIndex(index)
    box.activated.emit(index)


def wait_for(qtbot: QtBot, window: MainWindow, geometry: Geometry) -> None:
    def used() -> bool:
        model = window.session.predictions.model
        return model is not None and model.geometry == geometry and not window.models.loading

    qtbot.waitUntil(used, timeout=30_000)


def score_shape(window: MainWindow) -> tuple[int, ...] | None:
    document = window.session.current
    return None if document is None or document.scores is None else document.scores.logits.shape[1:]


def test_another_output_stride_predicts_again_and_says_what_it_costs(
    qtbot: QtBot, window: MainWindow, photos: list[Path], zoo: Path
) -> None:
    bar = window.model_bar
    assert not bar.geometry_box.isVisible()
    use(qtbot, window, zoo)
    assert bar.geometry_box.isVisible()
    assert bar.geometry_box.currentText() == "Output stride 8"
    window.open_paths([photos[0]])
    wait_for_photo(qtbot, window, photos[0])
    qtbot.waitUntil(lambda: score_shape(window) == (65, 65), timeout=30_000)
    document = window.session.current
    assert document is not None
    before = document.class_map.labels.copy()
    notices: list[str] = []
    window.session.noticed.connect(lambda _level, text: notices.append(text))
    pick(window, "Output stride 16")
    qtbot.waitUntil(lambda: score_shape(window) == (33, 33), timeout=30_000)
    qtbot.waitUntil(lambda: bool((document.class_map.labels != before).any()), timeout=30_000)
    qtbot.waitUntil(lambda: any("multiply-adds" in text for text in notices), timeout=30_000)
    assert any(re.fullmatch(r"Output stride 16: \d\d % of the multiply-adds needed before", text) for text in notices)
    pick(window, "Output stride 8")
    qtbot.waitUntil(lambda: score_shape(window) == (65, 65), timeout=30_000)
    times = r"Output stride 8: \d\.\d times the multiply-adds needed before"
    qtbot.waitUntil(lambda: any(re.fullmatch(times, text) for text in notices), timeout=30_000)


def test_the_choice_is_remembered_for_the_content_of_the_file(
    qtbot: QtBot, window: MainWindow, new_window: Callable[[], MainWindow], zoo: Path, tmp_path: Path
) -> None:
    use(qtbot, window, zoo)
    pick(window, "Output stride 16")
    wait_for(qtbot, window, Geometry(16, "single"))
    window.settings.sync()
    moved = zoo.rename(tmp_path / "moved.npz")
    other = new_window()
    use(qtbot, other, moved)
    wait_for(qtbot, other, Geometry(16, "single"))
    assert other.model_bar.geometry_box.currentText() == "Output stride 16"
    pick(other, "Output stride 8")
    wait_for(qtbot, other, Geometry(8, "single"))
    assert other.settings.get("model/geometry") == {}


def test_one_scale_instead_of_several(qtbot: QtBot, window: MainWindow, tmp_path: Path) -> None:
    use(qtbot, window, write_variant("kazuto1011", tmp_path / "msc.pth"))
    box = window.model_bar.geometry_box
    assert [box.itemText(i) for i in range(box.count())] == ["Several scales", "One scale"]
    pick(window, "One scale")
    wait_for(qtbot, window, Geometry(8, "single"))


def test_a_file_that_leaves_nothing_open_offers_nothing(
    qtbot: QtBot, window: MainWindow, zoo: Path, tmp_path: Path
) -> None:
    import torch

    use(qtbot, window, zoo)
    path = tmp_path / "mobile.pth"
    torch.save(torchvision_network(classes=3, aux=False).state_dict(), path)
    use(qtbot, window, path)
    assert not window.model_bar.geometry_box.isVisible()


def test_when_the_file_is_gone_the_old_way_stays(qtbot: QtBot, window: MainWindow, zoo: Path) -> None:
    use(qtbot, window, zoo)
    qtbot.waitUntil(lambda: not window.session.predictions.lane.busy, timeout=30_000)
    zoo.unlink()
    with qtbot.waitSignal(window.session.predictions.failed, timeout=30_000):
        pick(window, "Output stride 16")
    assert window.model_bar.geometry_box.currentText() == "Output stride 8"


def test_the_last_of_two_quick_choices_counts(qtbot: QtBot, window: MainWindow, zoo: Path) -> None:
    use(qtbot, window, zoo)
    pick(window, "Output stride 16")
    pick(window, "Output stride 8")
    qtbot.waitUntil(lambda: not window.session.predictions.lane.busy, timeout=30_000)
    wait_for(qtbot, window, Geometry(8, "single"))
    assert window.model_bar.geometry_box.currentText() == "Output stride 8"
