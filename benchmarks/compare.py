"""Four linked panes at 12 megapixels in the real window: moving, zooming, pointing, and switching what is kept.

Every figure is the time from before the call until Qt has nothing left to paint. The models are networks with random
weights: what they say does not matter here, only that it is kept.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from deeplab_studio.app.compare.desk import Desk
    from deeplab_studio.app.window import MainWindow

NAME = "compare"
DESCRIPTION = "four linked panes at 12 megapixels: pan, zoom, pointer, switching CRF and layout when kept"

_PATIENCE = 600


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--width", type=int, default=4000, help="columns of the photo (default: 4000)")
    parser.add_argument("--height", type=int, default=3000, help="rows of the photo (default: 3000)")
    parser.add_argument("--runs", type=int, default=40, help="frames of each kind (default: 40)")


def run(args: argparse.Namespace) -> dict[str, Any]:
    if sys.platform.startswith("linux") and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    with tempfile.TemporaryDirectory() as name:
        for key in ("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME"):
            os.environ[key] = name
        return _measure(Path(name), args)


def _measure(folder: Path, args: argparse.Namespace) -> dict[str, Any]:
    from PySide6.QtCore import QPointF
    from PySide6.QtTest import QTest
    from PySide6.QtWidgets import QApplication

    from deeplab_studio.app.compare.choice import PaneChoice
    from deeplab_studio.app.document import CrfSettings
    from deeplab_studio.crf.params import CrfParams

    window = _open(folder, args)
    models = [_write_model(folder, version) for version in ("v3", "v3+")]
    off, on = CrfSettings(False), CrfSettings(True, CrfParams(iterations=1))
    window.comparing.compare([PaneChoice("model", path, crf) for path in models for crf in (off, on)])
    desk = window.comparing.desk
    assert desk is not None
    _wait(desk)
    panes = list(desk.panes.shown)
    rows: list[dict[str, Any]] = []

    def measure(work: str, action: Callable[[int], object], target: float) -> None:
        milliseconds = []
        for n in range(-3, args.runs):  # the first three warm up
            QApplication.processEvents()
            start = time.perf_counter()
            action(n)
            QApplication.processEvents()
            if n >= 0:
                milliseconds.append(1000 * (time.perf_counter() - start))
        rows.append(
            {
                "work": work,
                "median_ms": round(statistics.median(milliseconds), 2),
                "slowest_ms": round(max(milliseconds), 2),
                "target_ms": target,
            }
        )

    first = panes[0].canvas
    first.zoom_fit()
    measure("zoom, four panes", lambda n: first.zoom_by(1.1 if n % 20 < 10 else 1 / 1.1, QPointF(200, 150)), 16)
    for scale, word in ((0.25, "a quarter"), (1.0, "one to one")):
        first.set_scale(scale)
        measure(f"pan at {word}, four panes", lambda n: first.pan_by(7 if n % 8 < 4 else -7, 5 if n % 2 else -5), 16)
    middle = first.viewport().rect().center()
    measure("pointer, four panes", lambda n: QTest.mouseMove(first.viewport(), middle + middle * (n % 9) / 40), 16)
    first.zoom_fit()
    # Answers are drawn at once; the tables, which are worked out behind them, are not waited for.
    measure("CRF of a pane on and off, kept", lambda n: desk.panes.choose(panes[0], _switched(desk, on, off, n)), 100)
    _wait(desk)
    layouts = ("row", "grid")
    measure("another layout", lambda n: desk.panes.set_layout(layouts[n % 2]), 100)  # type: ignore[arg-type]
    _wait(desk)
    kept = desk.answers.cache.nbytes
    window.close()
    return {"rows": rows, "kept_bytes": kept, "notes": [f"Scores and class maps kept: {kept / 2**20:.0f} MiB."]}


def _switched(desk: Desk, on: object, off: object, n: int) -> Any:
    return desk.panes.shown[0].choice.with_crf(on if n % 2 else off)  # type: ignore[arg-type]


def _open(folder: Path, args: argparse.Namespace) -> MainWindow:
    import cv2
    import numpy as np
    from PySide6.QtWidgets import QApplication

    from deeplab_studio.app.main import create_application
    from deeplab_studio.app.settings import Settings
    from deeplab_studio.app.theme import Theme
    from deeplab_studio.app.window import MainWindow
    from deeplab_studio.checkpoints.library import ModelLibrary

    small = np.random.default_rng(0).integers(0, 256, (30, 40, 3), np.uint8)
    photos = folder / "photos"
    photos.mkdir()
    photo = cv2.resize(small, (args.width, args.height), interpolation=cv2.INTER_CUBIC)
    cv2.imwrite(str(photos / "photo.jpg"), photo)
    app = QApplication.instance() or create_application()
    window = MainWindow(Settings(folder / "s.ini"), Theme(app, "light"), ModelLibrary(folder / "models", folder))  # type: ignore[arg-type]
    window.resize(1600, 1000)
    window.show()
    window.open_paths([photos])
    _until(lambda: window.session.current is not None)
    return window


def _write_model(folder: Path, version: Any) -> Path:
    import torch

    from deeplab_studio.checkpoints.model import FileHash, LoadedModel, Preprocessing, SizeRule
    from deeplab_studio.checkpoints.native import Provenance, save_native
    from deeplab_studio.core.labels import VOC_LABELS
    from deeplab_studio.networks.deeplab import DeepLab
    from deeplab_studio.networks.starter import starter_profile

    torch.manual_seed(0)
    profile = starter_profile(version, len(VOC_LABELS), 16)
    preprocessing = Preprocessing(
        divisor=255.0, mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25), size=SizeRule("longer", 321)
    )
    model = LoadedModel(
        network=DeepLab(profile).eval(),
        profile=profile,
        preprocessing=preprocessing,
        classes=VOC_LABELS,
        dialect="deeplab-studio",
        title=f"random {version}",
        path=folder,
        file_hash=FileHash(""),
    )
    path = folder / f"random-{profile.version.replace('+', 'plus')}.safetensors"
    save_native(model, path, half=True, provenance=Provenance(source="a benchmark"))
    return path


def _wait(desk: Desk) -> None:
    for _ in range(3):  # what one lane delivers is work for the other
        _until(lambda: not (desk.answers.lane.busy or desk.analysis.lane.busy))


def _until(condition: Callable[[], bool]) -> None:
    from PySide6.QtWidgets import QApplication

    deadline = time.monotonic() + _PATIENCE
    QApplication.processEvents()
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit("the window did not get there in time")
        QApplication.processEvents()
        time.sleep(0.005)
