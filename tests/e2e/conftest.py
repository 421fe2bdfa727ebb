"""The real window, on files of the test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from pytestqt.qtbot import QtBot

from deeplab_studio.app.settings import Settings
from deeplab_studio.app.theme import Theme
from deeplab_studio.app.window import MainWindow


@pytest.fixture
def new_window(qtbot: QtBot, qapp: object, tmp_path: Path) -> Iterator[Callable[[], MainWindow]]:
    windows: list[MainWindow] = []

    def make() -> MainWindow:
        window = MainWindow(Settings(tmp_path / "settings.ini"), Theme(qapp, "light"))
        windows.append(window)
        qtbot.addWidget(window)
        window.resize(1200, 800)
        window.show()
        qtbot.waitExposed(window)
        return window

    yield make
    for window in windows:
        window.close()


@pytest.fixture
def window(new_window: Callable[[], MainWindow]) -> MainWindow:
    return new_window()


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    folder = tmp_path / "my photos"
    folder.mkdir()
    paths = []
    for i in range(3):
        small = np.random.default_rng(i).integers(0, 256, (6, 8, 3), np.uint8)
        path = folder / f"사진 {i + 1}.png"
        data = cv2.imencode(".png", cv2.resize(small, (320, 240), interpolation=cv2.INTER_CUBIC))[1]
        path.write_bytes(data.tobytes())
        paths.append(path)
    return paths
