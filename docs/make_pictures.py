"""Draws the pictures of the documentation from the real window.

    python docs/make_pictures.py PHOTO MODEL

Writes window-dark.png and crf-before-after.png into docs/pictures/.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY))

from PySide6.QtCore import QPoint, Qt  # noqa: E402
from PySide6.QtGui import QImage, QPainter  # noqa: E402
from PySide6.QtTest import QTest  # noqa: E402
from PySide6.QtWidgets import QApplication  # noqa: E402

from deeplab_studio.app.document import CrfSettings  # noqa: E402
from deeplab_studio.app.main import create_application  # noqa: E402
from deeplab_studio.app.settings import Settings  # noqa: E402
from deeplab_studio.app.theme import Theme  # noqa: E402
from deeplab_studio.app.window import MainWindow  # noqa: E402
from deeplab_studio.checkpoints.library import ModelLibrary  # noqa: E402
from deeplab_studio.crf.params import CrfParams  # noqa: E402


def wait(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit("the window did not get there within two minutes")
        QApplication.processEvents()
        time.sleep(0.01)


def settle() -> None:
    for _ in range(40):
        QApplication.processEvents()
        time.sleep(0.01)


def open_window(scheme: str, photo: Path, model: Path, folder: Path) -> MainWindow:
    app = QApplication.instance()
    settings = Settings(folder / f"{scheme}.ini")
    settings.set("look/theme", scheme)
    window = MainWindow(settings, Theme(app, scheme), ModelLibrary(folder / "models"))
    window.resize(1360, 860)
    window.show()
    photos = folder / f"photos {scheme}"
    photos.mkdir()
    shutil.copy(photo, photos / f"dog and cat{photo.suffix}")
    window.session.predictions.load_model(model)
    wait(lambda: window.session.predictions.model is not None)
    window.open_paths([photos])
    wait(lambda: window.session.current is not None and window.session.current.labelled)
    busy = window.session
    wait(lambda: not busy.predictions.lane.busy and not busy.refinement.lane.busy)
    return window


def set_crf(window: MainWindow, on: bool) -> None:
    done: list[object] = []
    window.session.refined.connect(done.append)
    settings = CrfSettings(on, CrfParams(appearance_weight=4, appearance_position_sigma=49, appearance_colour_sigma=5))
    window.session.set_crf(settings, live=False)
    window.crf_panel.set_on(on)
    window.crf_panel.set_params(settings.params)
    wait(lambda: bool(done))
    settle()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photo", type=Path)
    parser.add_argument("model", type=Path)
    options = parser.parse_args()
    out = REPOSITORY / "docs" / "pictures"
    out.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        for key in ("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"):
            os.environ[key] = name
        create_application()
        window = open_window("dark", options.photo, options.model, Path(name))
        set_crf(window, on=False)
        before = window.canvas.viewport().grab().toImage()
        set_crf(window, on=True)
        after = window.canvas.viewport().grab().toImage()
        window.toolbox.use("tool_brush")
        QTest.mouseMove(window.canvas.viewport(), window.canvas.viewport().rect().center() + QPoint(120, 40))
        settle()
        window.grab().save(str(out / "window-dark.png"))
        window.close()
        side_by_side(before, after).save(str(out / "crf-before-after.png"))


def side_by_side(left: QImage, right: QImage) -> QImage:
    both = QImage(left.width() + right.width() + 8, left.height(), QImage.Format.Format_RGB32)
    both.fill(Qt.GlobalColor.white)
    painter = QPainter(both)
    painter.drawImage(0, 0, left)
    painter.drawImage(left.width() + 8, 0, right)
    painter.end()
    return both


if __name__ == "__main__":
    main()
