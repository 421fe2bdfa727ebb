"""What the tests of the CRF in the real window share: scores without a model, drags with real mouse events."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from PySide6.QtCore import QEvent, QPointF, Qt
from PySide6.QtGui import QMouseEvent
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from deeplab_studio.app.panels.controls import Slider
from deeplab_studio.app.window import MainWindow
from deeplab_studio.core.labels import VOC_LABELS
from deeplab_studio.engine.scores import AxisMap, Scores

CAT, DOG = 8, 12
MODEL = "data/weights/deeplabv3_mnv2_1.0_voc_trainaug_fp16.npz"


def write_photo(path: Path, height: int = 240, width: int = 320) -> Path:
    """A photo of two shapes in colours of their own, with noise."""
    rng = np.random.default_rng(7)
    colours = np.array([(70, 110, 80), (205, 80, 60), (70, 80, 210)], np.float32)
    photo = np.clip(colours[truth(height, width)] + rng.normal(0, 9, (height, width, 3)), 0, 255).astype(np.uint8)
    assert cv2.imwrite(str(path), photo[:, :, ::-1])
    return path


def truth(height: int, width: int) -> np.ndarray:
    """Where the shapes are: 0, 1, 2."""
    labels = np.zeros((height, width), np.uint8)
    cv2.circle(labels, (round(width * 0.3), round(height * 0.5)), round(height * 0.3), 1, -1)
    cv2.rectangle(labels, (round(width * 0.6), round(height * 0.2)), (round(width * 0.85), round(height * 0.8)), 2, -1)
    return labels


def make_scores(height: int, width: int) -> Scores:
    """Coarse scores of the shapes, a little beside them."""
    cells = (15, 20)
    shapes = np.roll(truth(height, width), width // 40, axis=1)
    logits = np.full((len(VOC_LABELS), *cells), -12, np.float32)
    for class_id, shape in ((0, 0), (CAT, 1), (DOG, 2)):
        share = cv2.resize((shapes == shape).astype(np.float32), cells[::-1], interpolation=cv2.INTER_AREA)
        logits[class_id] = np.log(0.75 * share + 0.08)
    rows, columns = (
        AxisMap.of_network(pixels=pixels, shown=pixels, padded=pixels, cells=count, align_corners=False)
        for pixels, count in zip((height, width), cells, strict=True)
    )
    return Scores(logits, rows, columns, (height, width), VOC_LABELS, "made by hand")


def give_scores(qtbot: QtBot, window: MainWindow) -> None:
    """Give the photo on screen scores, as a model would have, and wait for the CRF."""
    session = window.session
    document = session.current
    document.scores = make_scores(*document.class_map.shape)
    session.scoresChanged.emit(document)
    window.crf_panel.set_on(True)
    with qtbot.waitSignal(session.refined, timeout=30_000):
        session.set_crf(document.crf, live=False)
    wait_idle(qtbot, window)


def wait_idle(qtbot: QtBot, window: MainWindow) -> None:
    """Wait until nothing is computed any more and everything is shown."""

    def idle() -> bool:
        session = window.session
        busy = session.refinement.lane.busy or session.predictions.lane.busy or window.stages.lane.busy
        return not busy and not window.stages._strip_due.isActive()

    for _ in range(3):  # what one lane delivers may be work for another
        qtbot.waitUntil(idle, timeout=60_000)
        QApplication.processEvents()


def send_mouse(slider: Slider, kind: QEvent.Type, share: float) -> None:
    """One mouse event at a share of the slider's width."""
    at = QPointF(8 + share * (slider.width() - 16), slider.height() / 2)
    left, nothing = Qt.MouseButton.LeftButton, Qt.MouseButton.NoButton
    button = nothing if kind == QEvent.Type.MouseMove else left
    held = nothing if kind == QEvent.Type.MouseButtonRelease else left
    event = QMouseEvent(kind, at, slider.mapToGlobal(at), button, held, Qt.KeyboardModifier.NoModifier)
    QApplication.sendEvent(slider, event)


def load_model(qtbot: QtBot, window: MainWindow, shared: Path) -> None:
    """Load the model that the reference data holds."""
    with qtbot.waitSignal(window.session.predictions.modelChanged, timeout=60_000):
        window.session.predictions.load_model(shared / MODEL)
