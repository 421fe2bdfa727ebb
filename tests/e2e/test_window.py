"""What a person does in the real window, with real events."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import QEvent, QMimeData, QPoint, QPointF, Qt, QUrl
from PySide6.QtGui import QDragEnterEvent, QDropEvent, QGuiApplication, QImage
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from deeplab_studio.app.window import MainWindow
from tests.e2e.kit import wait_for_photo

REPOSITORY = Path(__file__).resolve().parents[2]


def at(window: MainWindow, x: int, y: int) -> QPoint:
    """Where the middle of an image pixel is in the viewport."""
    return window.canvas.to_viewport(x + 0.5, y + 0.5).toPoint()


def drag(qtbot: QtBot, window: MainWindow, *pixels: tuple[int, int]) -> None:
    viewport = window.canvas.viewport()
    qtbot.mousePress(viewport, Qt.MouseButton.LeftButton, pos=at(window, *pixels[0]))
    for pixel in pixels[1:]:
        qtbot.mouseMove(viewport, at(window, *pixel))
    qtbot.mouseRelease(viewport, Qt.MouseButton.LeftButton, pos=at(window, *pixels[-1]))


def drop(window: MainWindow, *paths: Path) -> None:
    mime = QMimeData()
    mime.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
    enter = QDragEnterEvent(
        QPoint(300, 300), Qt.DropAction.CopyAction, mime, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    )
    QApplication.sendEvent(window, enter)
    assert enter.isAccepted()
    QApplication.sendEvent(
        window,
        QDropEvent(
            QPointF(300, 300),
            Qt.DropAction.CopyAction,
            mime,
            Qt.MouseButton.LeftButton,
            Qt.KeyboardModifier.NoModifier,
            QEvent.Type.Drop,
        ),
    )


def test_nothing_expensive_is_imported_before_the_first_paint(tmp_path: Path) -> None:
    code = """
import sys
from deeplab_studio.app.main import create_application, create_window
app = create_application()
window = create_window(app)
window.show()
for _ in range(5):
    app.sendPostedEvents()
window.grab()
print([name for name in ("torch", "torchvision", "cv2", "httpx", "superqt", "h5py") if name in sys.modules])
window.close()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=REPOSITORY, check=False)
    assert done.stdout.strip() == "[]", done.stderr


def test_the_selftest_passes(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "main.py", "--selftest"], capture_output=True, text=True, cwd=REPOSITORY, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert [line.split()[0] for line in done.stdout.splitlines()][-3:] == ["paint", "export", "ok"]


def test_dropped_files_and_folders_open(window: MainWindow, photos: list[Path], qtbot: QtBot, tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("no photo")
    drop(window, photos[2], photos[1], text)
    wait_for_photo(qtbot, window, photos[1])
    assert window.windowTitle() == "사진 2.png — DeepLab Studio"
    assert {item.path for item in window.session.items} == {photos[1], photos[2]}
    assert "notes.txt" in window.status_area.notices.history[-1].text
    drop(window, photos[0].parent)
    qtbot.waitUntil(lambda: len(window.session.items) == 3)
    assert (photos[0].parent / "deeplab-studio.dlsproj").exists() is False


def test_a_picture_on_the_clipboard_is_pasted(window: MainWindow, qtbot: QtBot) -> None:
    picture = QImage(90, 50, QImage.Format.Format_RGB32)
    picture.fill(Qt.GlobalColor.red)
    QGuiApplication.clipboard().setImage(picture)
    qtbot.keyClick(window, Qt.Key.Key_V, Qt.KeyboardModifier.ControlModifier)
    qtbot.waitUntil(lambda: window.session.current is not None)
    assert window.session.current.class_map.shape == (50, 90)
    assert (window.session.current.image.pixels == (255, 0, 0)).all()


def test_painting_with_mouse_and_keys(window: MainWindow, photos: list[Path], qtbot: QtBot) -> None:
    window.open_paths([photos[0]])
    wait_for_photo(qtbot, window, photos[0])
    window.empty_state.paintRequested.emit()
    qtbot.keyClick(window, Qt.Key.Key_P)
    qtbot.keyClick(window, Qt.Key.Key_3)
    window.toolbox.set_size(11)
    drag(qtbot, window, (50, 50), (90, 50), (150, 60))
    labels = window.session.current.class_map.labels
    assert labels[50, 50] == labels[50, 70] == labels[60, 150] == 3  # no gaps between the mouse's positions
    assert labels[80, 100] == 0
    qtbot.keyClick(window, Qt.Key.Key_E)
    drag(qtbot, window, (90, 50), (95, 50))
    assert labels[50, 92] == 0
    qtbot.keyClick(window, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert labels[50, 92] == 3
    qtbot.keyClick(window, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert not labels.any()
    assert not window.actions_["undo"].isEnabled()
    qtbot.keyClick(window, Qt.Key.Key_Y, Qt.KeyboardModifier.ControlModifier)
    assert labels[50, 70] == 3


def test_brush_size_by_key_and_wheel_and_class_by_the_picker(
    window: MainWindow, photos: list[Path], qtbot: QtBot
) -> None:
    window.open_paths([photos[0]])
    wait_for_photo(qtbot, window, photos[0])
    window.toolbox.set_size(20)
    qtbot.keyClick(window, Qt.Key.Key_BracketRight)
    assert window.toolbox.brush.size == window.toolbox.eraser.size > 20
    qtbot.keyClick(window, Qt.Key.Key_BracketLeft)
    qtbot.keyClick(window, Qt.Key.Key_BracketLeft)
    assert window.toolbox.brush.size < 20
    qtbot.keyClick(window, Qt.Key.Key_P)
    qtbot.keyClick(window, Qt.Key.Key_7)
    drag(qtbot, window, (100, 100), (110, 100))
    qtbot.keyClick(window, Qt.Key.Key_2)
    qtbot.keyClick(window, Qt.Key.Key_L)
    qtbot.mouseClick(window.canvas.viewport(), Qt.MouseButton.LeftButton, pos=at(window, 105, 100))
    assert window.session.painting.active_class == 7
    assert window.classes_panel.active == 7


def test_protected_classes_are_not_painted_over(window: MainWindow, photos: list[Path], qtbot: QtBot) -> None:
    window.open_paths([photos[0]])
    wait_for_photo(qtbot, window, photos[0])
    window.toolbox.set_size(9)
    qtbot.keyClick(window, Qt.Key.Key_P)
    qtbot.keyClick(window, Qt.Key.Key_4)
    drag(qtbot, window, (60, 60), (80, 60))
    window.classes_panel.set_protected({4})
    window.classes_panel.protectedChanged.emit(window.classes_panel.protected)
    qtbot.keyClick(window, Qt.Key.Key_5)
    drag(qtbot, window, (70, 40), (70, 80))
    labels = window.session.current.class_map.labels
    assert labels[60, 70] == 4
    assert labels[45, 70] == labels[75, 70] == 5


def test_next_and_previous_keep_the_zoom(window: MainWindow, photos: list[Path], qtbot: QtBot) -> None:
    window.open_paths([photos[0].parent])
    wait_for_photo(qtbot, window, photos[0])
    window.canvas.set_scale(5.0)
    qtbot.keyClick(window, Qt.Key.Key_D)
    wait_for_photo(qtbot, window, photos[1])
    assert window.canvas.scale() == pytest.approx(5.0)
    qtbot.keyClick(window, Qt.Key.Key_PageDown)
    wait_for_photo(qtbot, window, photos[2])
    qtbot.keyClick(window, Qt.Key.Key_A)
    wait_for_photo(qtbot, window, photos[1])
    assert window.canvas.scale() == pytest.approx(5.0)


def test_done_goes_on_to_the_next_image_that_is_not(window: MainWindow, photos: list[Path], qtbot: QtBot) -> None:
    window.open_paths([photos[0].parent])
    wait_for_photo(qtbot, window, photos[0])
    qtbot.keyClick(window, Qt.Key.Key_Return, Qt.KeyboardModifier.ControlModifier)
    wait_for_photo(qtbot, window, photos[1])
    assert [item.state for item in window.session.items] == ["done", "new", "new"]
    qtbot.keyClick(window, Qt.Key.Key_Return, Qt.KeyboardModifier.ControlModifier)
    wait_for_photo(qtbot, window, photos[2])
    qtbot.keyClick(window, Qt.Key.Key_Return, Qt.KeyboardModifier.ControlModifier)
    assert "every image" in window.status_area.notices.history[-1].text


def test_the_bare_photo_while_a_key_is_held(window: MainWindow, photos: list[Path], qtbot: QtBot) -> None:
    window.open_paths([photos[0]])
    wait_for_photo(qtbot, window, photos[0])
    window.session.painting.set_active_class(1)
    window.session.painting.begin("Brush stroke")
    window.session.painting.paint(0, 0, np.ones((240, 320), bool))
    window.session.painting.commit()
    window.session.labelsChanged.emit(None)

    def colour() -> tuple[int, ...]:
        spot = at(window, 160, 120)
        return window.canvas.viewport().grab().toImage().pixelColor(spot).getRgb()

    covered = colour()
    qtbot.keyPress(window, Qt.Key.Key_H)
    bare = colour()
    qtbot.keyRelease(window, Qt.Key.Key_H)
    assert bare != covered
    assert colour() == covered
    assert np.abs(np.subtract(bare[:3], window.session.current.image.pixels[120, 160])).max() <= 12


def test_an_image_that_cannot_be_opened_is_marked_and_the_rest_goes_on(
    window: MainWindow, photos: list[Path], qtbot: QtBot
) -> None:
    broken = photos[0].parent / "a broken one.jpg"
    broken.write_bytes(b"\xff\xd8\xff\xe0 nothing more")
    window.open_paths([broken.parent])
    wait_for_photo(qtbot, window, photos[0])  # the broken one comes first and is passed over
    assert any("a broken one.jpg" in notice.text for notice in window.status_area.notices.history)
    qtbot.keyClick(window, Qt.Key.Key_A)
    qtbot.waitUntil(lambda: window.session.current is None)
    qtbot.keyClick(window, Qt.Key.Key_D)
    wait_for_photo(qtbot, window, photos[0])


def test_without_a_model_the_window_says_what_to_do_and_paints(
    window: MainWindow, photos: list[Path], qtbot: QtBot
) -> None:
    assert window.empty_state.mode == "image"
    window.open_paths([photos[0]])
    wait_for_photo(qtbot, window, photos[0])
    assert window.empty_state.mode == "model"
    window.empty_state.paintRequested.emit()
    assert window.empty_state.mode is None
    assert not window.crf_panel.switch.isEnabled()
    drag(qtbot, window, (10, 10), (20, 20))
    assert window.session.current.class_map.labels[15, 15] == 1


def test_what_was_set_is_set_again_in_the_next_window(
    new_window: Callable[[], MainWindow], photos: list[Path], qtbot: QtBot
) -> None:
    first = new_window()
    first.open_paths([photos[0]])
    wait_for_photo(qtbot, first, photos[0])
    first.toolbox.set_size(77)
    first.view.set_outlines(True)
    first.view_panel.opacity.set_value(0.3)
    first.view.set_opacity(0.3)
    first.close()
    second = new_window()
    assert second.toolbox.brush.size == 77
    assert second.actions_["outlines"].isChecked()
    assert second.settings.recent()[0] == photos[0]
    assert second.settings.get("view/opacity") == pytest.approx(0.3)


def test_ten_thousand_images_are_listed_and_walked_through(window: MainWindow, qtbot: QtBot, tmp_path: Path) -> None:
    folder = tmp_path / "many"
    folder.mkdir()
    picture = QImage(16, 12, QImage.Format.Format_RGB32)
    picture.fill(Qt.GlobalColor.green)
    assert picture.save(str(folder / "0.png"))
    data = (folder / "0.png").read_bytes()
    for i in range(1, 10_000):
        (folder / f"{i}.png").write_bytes(data)
    window.open_paths([folder])
    qtbot.waitUntil(lambda: len(window.session.items) == 10_000, timeout=20_000)
    wait_for_photo(qtbot, window, folder / "0.png")
    for i in range(1, 30):
        qtbot.keyClick(window, Qt.Key.Key_D)
        wait_for_photo(qtbot, window, folder / f"{i}.png")
    assert len(window.session._shelf.documents()) < 60
