"""The first start of a program that came with starter models, in the real window."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import QMimeData, QPoint, Qt, QUrl
from PySide6.QtGui import QDragEnterEvent, QDropEvent, QIcon
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from deeplab_studio.app.panels.model_bar import STARTER_ROLE
from deeplab_studio.app.window import MainWindow
from deeplab_studio.checkpoints import load_checkpoint
from deeplab_studio.checkpoints.starters import StarterCard
from deeplab_studio.core.images import load_image
from deeplab_studio.core.resources import MODELS_VARIABLE
from deeplab_studio.engine import Predictor
from tests.starter_kit import write_starters


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[StarterCard]:
    """The program comes with four starters; v3+ is the best."""
    cards = write_starters(tmp_path / "shipped")
    monkeypatch.setenv(MODELS_VARIABLE, str(tmp_path / "shipped"))
    return cards


def drop(window: MainWindow, path: Path) -> None:
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(path))])
    buttons, keys = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    enter = QDragEnterEvent(QPoint(300, 300), Qt.DropAction.CopyAction, data, buttons, keys)
    QApplication.sendEvent(window, enter)
    assert enter.isAccepted()
    QApplication.sendEvent(window, QDropEvent(QPoint(300, 300), Qt.DropAction.CopyAction, data, buttons, keys))


def test_the_first_photo_is_labelled_by_the_best_starter_at_once(
    qtbot: QtBot, shipped: list[StarterCard], new_window: Callable[[], MainWindow], photos: list[Path]
) -> None:
    window = new_window()
    drop(window, photos[0])
    qtbot.waitUntil(lambda: window.session.current is not None and window.session.current.labelled, timeout=60_000)
    document, model = window.session.current, window.session.predictions.model
    assert document is not None
    assert model is not None
    assert (model.title, model.path) == ("Starter v3+", shipped[-1].path)
    expected = Predictor(load_checkpoint(shipped[-1].path), "cpu").predict(load_image(photos[0]).pixels).class_map()
    assert np.array_equal(document.class_map.labels, expected)


def test_the_chooser_marks_starters_and_says_what_they_know(
    qtbot: QtBot, shipped: list[StarterCard], new_window: Callable[[], MainWindow]
) -> None:
    window = new_window()
    box = window.model_bar.model_box
    qtbot.waitUntil(lambda: box.count() == 4 and box.currentText() == "Starter v3+", timeout=60_000)
    assert [box.itemText(i) for i in range(4)] == ["Starter v1", "Starter v2", "Starter v3", "Starter v3+"]
    assert all(box.itemData(i, STARTER_ROLE) for i in range(4))
    assert "Knows background 60.0 %, cat 60.0 %" in box.itemData(0, Qt.ItemDataRole.ToolTipRole)
    assert "Hardly knows aeroplane" in box.toolTip()
    picture = QIcon(box.itemData(3, Qt.ItemDataRole.DecorationRole)).pixmap(30, 16)
    assert not picture.isNull()


def test_the_model_chosen_stays_for_the_next_start(
    qtbot: QtBot, shipped: list[StarterCard], new_window: Callable[[], MainWindow]
) -> None:
    window = new_window()
    qtbot.waitUntil(lambda: window.session.predictions.model is not None, timeout=60_000)
    window.models.open(shipped[0].path)
    qtbot.waitUntil(lambda: window.model_bar.model_box.currentText() == "Starter v1", timeout=60_000)
    window.close()
    again = new_window()
    qtbot.waitUntil(lambda: again.session.predictions.model is not None, timeout=60_000)
    assert again.session.predictions.model is not None
    assert again.session.predictions.model.title == "Starter v1"


def test_the_inspector_says_what_a_starter_hardly_knows(
    qtbot: QtBot, shipped: list[StarterCard], new_window: Callable[[], MainWindow]
) -> None:
    window = new_window()
    qtbot.waitUntil(lambda: window.actions_["inspect_model"].isEnabled(), timeout=60_000)
    window.actions_["inspect_model"].trigger()
    panel = window.inspector.panel
    assert panel is not None
    qtbot.waitUntil(lambda: "Hardly knows aeroplane" in panel.about.text(), timeout=60_000)
    assert panel.facts["backbone"].text() == "Compact residual encoder"
