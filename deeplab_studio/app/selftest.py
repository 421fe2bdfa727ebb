"""Opens the real window on a picture, predicts, refines, paints and exports, and says how each step went."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from deeplab_studio.app import preflight

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from deeplab_studio.app.window import MainWindow

PATIENCE_S = 120.0


class _Failed(Exception):
    """A step did not do what it must."""


def run() -> int:
    """Do everything a person does, once, in the real window and in temporary folders.

    Returns
    -------
    int
        0 if every step worked, else 1. A line per step goes to stdout.
    """
    missing = preflight.check()
    if missing is not None:
        print(missing, file=sys.stderr)  # noqa: T201
        return 1
    with tempfile.TemporaryDirectory(prefix="deeplab-studio-selftest-") as name, ExitStack() as stack:
        try:
            _Steps(Path(name), stack).run()
        except _Failed as failure:
            _say("failed", str(failure))
            return 1
    _say("ok", "everything works")
    return 0


class _Steps:
    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._folder = folder
        self._stack = stack
        self._notices: list[str] = []

    def run(self) -> None:
        window = self._open_window()
        self._open_picture(window)
        self._load_model(window)
        self._predict(window)
        self._refine(window)
        self._paint(window)
        self._export(window)

    def _open_window(self) -> MainWindow:
        from deeplab_studio.app.main import create_application
        from deeplab_studio.app.settings import Settings
        from deeplab_studio.app.theme import Theme
        from deeplab_studio.app.window import MainWindow
        from deeplab_studio.checkpoints.library import ModelLibrary

        start = time.perf_counter()
        self._app = create_application()
        settings = Settings(self._folder / "settings.ini")
        library = ModelLibrary(self._folder / "models")
        window = MainWindow(settings, Theme(self._app, "light"), library)
        self._stack.callback(window.close)
        window.session.noticed.connect(lambda level, text: self._notices.append(text) if level == "error" else None)
        window.show()
        self._wait(window.isVisible, "the window did not appear")
        _say("window", f"shown after {time.perf_counter() - start:.2f} s on the platform {self._app.platformName()!r}")
        return window

    def _open_picture(self, window: MainWindow) -> None:
        from PIL import Image

        path = self._folder / "picture" / "자가 진단 picture.png"
        path.parent.mkdir()
        Image.fromarray(picture()).save(path)
        window.open_paths([path.parent])
        self._wait(lambda: window.session.current is not None, "the picture did not open")
        assert window.session.current is not None
        height, width = window.session.current.class_map.shape
        _say("picture", f"opened, {width} x {height}")

    def _load_model(self, window: MainWindow) -> None:
        from deeplab_studio.checkpoints.library import ModelLibrary
        from deeplab_studio.checkpoints.stand_in import write_stand_in

        library = ModelLibrary()
        model = library.starter() or library.first_choice()
        if model is not None:
            path = model.path
        else:
            path = self._folder / "random weights.npz"
            write_stand_in(path)
            _say("model", "none is installed, a network with random weights stands in")
        predictions = window.session.predictions
        predictions.load_model(path)
        self._wait(lambda: predictions.model is not None, f"{path.name} was not loaded")
        assert predictions.model is not None
        _say("model", f"{predictions.model.title} on {predictions.model.device}")

    def _predict(self, window: MainWindow) -> None:
        document = window.session.current
        assert document is not None
        start = time.perf_counter()
        self._wait(lambda: document.labelled and document.scores is not None, "there was no prediction")
        scores = document.scores
        assert scores is not None
        found = len(set(document.class_map.labels.ravel().tolist()))
        shape = " x ".join(map(str, scores.logits.shape))
        _say("predict", f"scores {shape}, {found} classes on the map, {time.perf_counter() - start:.2f} s")

    def _refine(self, window: MainWindow) -> None:
        from deeplab_studio.app.document import CrfSettings
        from deeplab_studio.crf import crf_backend
        from deeplab_studio.crf.params import CrfParams

        refined: list[float] = []
        window.session.refined.connect(lambda result: refined.append(result.milliseconds))
        window.session.set_crf(CrfSettings(True, CrfParams(iterations=5)), live=False)
        self._wait(lambda: bool(refined), "the CRF gave no result")
        _say("refine", f"dense CRF by the {crf_backend()} engine, {refined[-1]:.0f} ms")

    def _paint(self, window: MainWindow) -> None:
        import numpy as np

        session = window.session
        document = session.current
        assert document is not None
        before = document.class_map.labels.copy()
        session.painting.set_active_class(15)
        if not session.painting.begin("Brush stroke"):
            raise _Failed("the picture could not be painted on")
        session.painting.paint(10, 10, np.ones((20, 20), bool))
        session.painting.commit()
        if not (document.class_map.labels[10:30, 10:30] == 15).all():
            raise _Failed("the stroke is not on the class map")
        painted = document.class_map.labels.copy()
        session.undo()
        if not np.array_equal(document.class_map.labels, before):
            raise _Failed("undo did not bring the class map back")
        session.redo()
        if not np.array_equal(document.class_map.labels, painted):
            raise _Failed("redo did not bring the stroke back")
        _say("paint", "a stroke, undone and done again")

    def _export(self, window: MainWindow) -> None:
        import numpy as np

        from deeplab_studio.app.exporting import export_items
        from deeplab_studio.core.voc import read_voc, validate_voc, write_voc
        from deeplab_studio.core.voc.masks import read_mask

        session = window.session
        document, project = session.current, session.project
        assert document is not None
        assert project is not None
        session.flush()
        self._wait(lambda: not session.unsaved, "the project was not saved")
        out = self._folder / "export"
        report = write_voc(export_items(project, [document.item], {}), out, project.label_set)
        if report.problems:
            raise _Failed(str(report.problems[0]))
        violations = validate_voc(out)
        if violations:
            raise _Failed(f"{violations[0].path}: {violations[0].reason}")
        (item,) = read_voc(out).items
        if item.mask is None or not np.array_equal(read_mask(item.mask), document.class_map.labels):
            raise _Failed("the exported mask is not the class map")
        _say("export", f"Pascal VOC, read back bit for bit ({item.mask.name})")

    def _wait(self, condition: Callable[[], bool], failure: str) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not condition():
            if self._notices:
                raise _Failed(self._notices[0])
            if time.monotonic() > deadline:
                raise _Failed(f"{failure} within {PATIENCE_S:.0f} s")
            self._app.processEvents()
            time.sleep(0.005)


def picture() -> npt.NDArray[np.uint8]:
    """A small scene with edges for the CRF to follow, (240, 320, 3) uint8."""
    import numpy as np

    rows, columns = np.mgrid[:240, :320].astype(np.float32)
    scene = np.empty((240, 320, 3), np.float32)
    scene[:] = (110, 160, 215)
    scene -= rows[..., None] * 0.25
    scene[(rows - 60) ** 2 + (columns - 250) ** 2 < 28**2] = (250, 225, 120)
    scene[rows > 150 + 25 * np.sin(columns / 45)] = (70, 120, 60)
    scene[(rows > 120) & (rows < 205) & (np.abs(columns - 110) < 38)] = (165, 90, 70)
    scene += np.random.default_rng(1).normal(0, 6, scene.shape)
    return scene.clip(0, 255).astype(np.uint8)


def _say(step: str, text: str) -> None:
    print(f"{step:8}{text}", flush=True)  # noqa: T201  this is what a person runs it for
