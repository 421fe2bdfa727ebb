"""The main job from end to end: ten real photos through the real window to a data set that others read."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PySide6.QtCore import Qt, QTimer
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from deeplab_studio.app.export_dialog import ExportDialog
from deeplab_studio.app.window import MainWindow
from deeplab_studio.core.project import Project
from deeplab_studio.core.voc import validate_voc
from tests.e2e.kit import wait_for_photo

PERSON = 15


def idle(window: MainWindow) -> bool:
    session = window.session
    return not (session.predictions.lane.busy or session.refinement.lane.busy or session.disk.busy or session.unsaved)


def paint_a_person(qtbot: QtBot, window: MainWindow) -> None:
    window.session.painting.set_active_class(PERSON)
    qtbot.keyClick(window, Qt.Key.Key_P)
    window.toolbox.set_size(15)
    viewport = window.canvas.viewport()
    start = window.canvas.to_viewport(40.5, 40.5).toPoint()
    end = window.canvas.to_viewport(80.5, 60.5).toPoint()
    qtbot.mousePress(viewport, Qt.MouseButton.LeftButton, pos=start)
    qtbot.mouseMove(viewport, end)
    qtbot.mouseRelease(viewport, Qt.MouseButton.LeftButton, pos=end)


def move_the_weight_slider(qtbot: QtBot, window: MainWindow) -> None:
    slider = window.crf_panel.row("appearance_weight").slider
    with qtbot.waitSignal(window.session.refined, timeout=30_000):
        for _ in range(5):
            qtbot.keyClick(slider, Qt.Key.Key_Right)


def export_through_the_dialog(qtbot: QtBot, window: MainWindow, out: Path) -> str:
    """Open the dialog by its key, fill it in, export, close it; what it said."""
    said: list[str] = []

    def fill_in() -> None:
        dialog = QApplication.activeModalWidget()
        assert isinstance(dialog, ExportDialog)
        dialog.folder_edit.setText(str(out))
        dialog.nested_box.setChecked(True)
        assert dialog.scope == "done"
        with qtbot.waitSignal(dialog.exported, timeout=60_000):
            qtbot.mouseClick(dialog.export_button, Qt.MouseButton.LeftButton)
        said.append(dialog.result_label.text())
        dialog.reject()

    QTimer.singleShot(0, fill_in)
    qtbot.keyClick(window, Qt.Key.Key_E, Qt.KeyboardModifier.ControlModifier)
    return said[0]


@pytest.mark.slow
def test_ten_photos_are_labelled_and_exported(window: MainWindow, qtbot: QtBot, shared: Path, tmp_path: Path) -> None:
    datasets = pytest.importorskip("torchvision.datasets", reason="torchvision's reader is what the export is for")
    folder = tmp_path / "ten photos"
    folder.mkdir()
    photos = [Path(shutil.copy(photo, folder)) for photo in sorted((shared / "data/voc/JPEGImages").iterdir())[:10]]
    session = window.session
    with qtbot.waitSignal(session.predictions.modelChanged, timeout=60_000):
        window.open_paths([shared / "data/weights/deeplabv3_mnv2_1.0_voc_trainaug_fp16.npz"])
    window.open_paths([folder])
    expected: dict[str, np.ndarray] = {}
    for number, photo in enumerate(photos):
        wait_for_photo(qtbot, window, photo)
        document = session.current
        qtbot.waitUntil(lambda: session.current.labelled and idle(window), timeout=60_000)
        predicted = document.class_map.labels.copy()
        paint_a_person(qtbot, window)
        if number % 3 == 0:
            move_the_weight_slider(qtbot, window)
            assert not np.array_equal(document.class_map.labels, predicted)
        assert (document.class_map.labels[40, 40], document.class_map.labels[60, 80]) == (PERSON, PERSON)
        expected[photo.stem] = document.class_map.labels.copy()
        qtbot.keyClick(window, Qt.Key.Key_Return, Qt.KeyboardModifier.ControlModifier)
    assert [item.state for item in session.items] == ["done"] * 10

    said = export_through_the_dialog(qtbot, window, tmp_path / "out")
    assert "10 items" in said
    assert validate_voc(tmp_path / "out") == []

    read = {}
    for split in ("train", "val"):
        dataset = datasets.VOCSegmentation(str(tmp_path / "out"), year="2012", image_set=split)
        for i in range(len(dataset)):
            image, mask = dataset[i]
            assert image.size == mask.size
            assert mask.mode == "P"
            read[Path(dataset.images[i]).stem] = np.asarray(mask)
    assert read.keys() == expected.keys()
    for name, labels in expected.items():
        assert np.array_equal(read[name], labels)
        original = (shared / f"data/voc/JPEGImages/{name}.jpg").read_bytes()
        assert (tmp_path / f"out/VOCdevkit/VOC2012/JPEGImages/{name}.jpg").read_bytes() == original

    window.close()
    with Project.for_folder(folder) as project:
        for item in project.items():
            labels, pinned = project.load_map(item.id)
            assert np.array_equal(labels, expected[item.path.stem])
            assert pinned[40, 40]


def test_an_exported_data_set_opens_again_and_is_gone_on_with(
    window: MainWindow, qtbot: QtBot, photos: list[Path], tmp_path: Path
) -> None:
    window.open_paths([photos[0].parent])
    wait_for_photo(qtbot, window, photos[0])
    paint_a_person(qtbot, window)
    labels = window.session.current.class_map.labels.copy()
    qtbot.keyClick(window, Qt.Key.Key_Return, Qt.KeyboardModifier.ControlModifier)
    assert "1 items" in export_through_the_dialog(qtbot, window, tmp_path / "out")
    window.open_paths([tmp_path / "out"])
    qtbot.waitUntil(
        lambda: window.session.current is not None and "JPEGImages" in str(window.session.current.item.path)
    )
    document = window.session.current
    assert np.array_equal(document.class_map.labels, labels)
    paint_a_person(qtbot, window)
    mask = Image.open(tmp_path / "out/VOCdevkit/VOC2012/SegmentationClass" / f"{document.item.path.stem}.png")
    assert np.array_equal(np.asarray(mask), labels)  # nothing in the data set changes until it is exported again
