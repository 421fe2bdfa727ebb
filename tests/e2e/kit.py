"""What the tests of the real window share."""

from __future__ import annotations

from pathlib import Path

from pytestqt.qtbot import QtBot

from deeplab_studio.app.window import MainWindow


def wait_for_photo(qtbot: QtBot, window: MainWindow, path: Path) -> None:
    """Wait until a photo is on screen."""

    def shown() -> bool:
        document = window.session.current
        return document is not None and document.item.path == path

    qtbot.waitUntil(shown, timeout=10_000)
