"""What the window does about copies of the project, a damaged one, and a run that was killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import Qt
from pytestqt.qtbot import QtBot

from deeplab_studio.app.last_run import RunMark
from deeplab_studio.app.window import MainWindow
from deeplab_studio.core import project_backups
from deeplab_studio.core.project import PROJECT_NAME, Project
from deeplab_studio.core.project_backups import backups, make_backup
from tests.e2e.kit import wait_for_photo

KILL = 9  # Windows has no name for it
REPOSITORY = Path(__file__).resolve().parents[2]
ENDED = "DeepLab Studio ended unexpectedly. “my photos” was restored up to the last change."


@pytest.fixture(autouse=True)
def any_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(project_backups, "LEAVE_FREE", 0)


def label(photo: Path, class_id: int) -> None:
    with Project.for_folder(photo.parent) as project:
        (item,) = project.add([photo])
        project.save_map(item.id, np.full((240, 320), class_id, np.uint8), None, state="in progress")


def run_until_killed(folder: Path, home: Path, with_signal: int = KILL) -> int:
    """Start the program with a folder as a person would, and end it once it has opened it; how it ended."""
    environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen"}
    with subprocess.Popen([sys.executable, str(REPOSITORY / "main.py"), str(folder)], env=environment) as process:
        deadline = time.monotonic() + 60
        while not list(home.rglob("running/*.json")):
            assert process.poll() is None
            assert time.monotonic() < deadline, "it has not opened the folder within a minute"
            time.sleep(0.02)
        process.send_signal(with_signal)
        return process.wait(60)


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGTERM")
def test_a_system_that_shuts_down_is_no_crash(photos: list[Path], user_folders: Path) -> None:
    label(photos[0], 7)
    assert run_until_killed(photos[0].parent, user_folders, signal.SIGTERM) == 0
    assert not list(user_folders.rglob("running/*"))
    assert PROJECT_NAME in [path.name for path in photos[0].parent.iterdir()]
    assert not (photos[0].parent / f"{PROJECT_NAME}-lock").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_what_a_killed_run_had_open_is_offered_once(
    new_window: Callable[[], MainWindow], qtbot: QtBot, photos: list[Path], user_folders: Path
) -> None:
    label(photos[0], 7)
    run_until_killed(photos[0].parent, user_folders)
    window = new_window()
    empty = window.empty_state
    qtbot.waitUntil(empty.interrupted_button.isVisible)
    assert empty._interrupted_label.text() == ENDED
    qtbot.mouseClick(empty.interrupted_button, Qt.MouseButton.LeftButton)
    wait_for_photo(qtbot, window, photos[0])
    assert window.session.current.class_map.labels[0, 0] == 7
    assert not window.session.read_only
    notice = window.status_area.notices.current
    assert notice is not None
    assert notice.text == ENDED
    assert window.close()
    assert not list(user_folders.rglob("running/*"))
    again = new_window()
    qtbot.wait(50)
    assert not again.empty_state.interrupted_button.isVisible()


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_a_window_that_is_given_another_folder_says_it_with_a_button(
    new_window: Callable[[], MainWindow], qtbot: QtBot, photos: list[Path], user_folders: Path, tmp_path: Path
) -> None:
    label(photos[0], 7)
    run_until_killed(photos[0].parent, user_folders)
    other = tmp_path / "other"
    other.mkdir()
    (other / "x.png").write_bytes(photos[1].read_bytes())
    window = new_window()
    window.open_paths([other])
    wait_for_photo(qtbot, window, other / "x.png")
    button = window.status_area.notices.action_button
    qtbot.waitUntil(button.isVisible)
    assert window.status_area.notices.current.text == ENDED
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    wait_for_photo(qtbot, window, photos[0])


def test_marks_of_windows_that_are_open_are_left_alone_and_nonsense_is_ignored(tmp_path: Path) -> None:
    running, here = RunMark(tmp_path), RunMark(tmp_path)
    running.put([Path("/photos")], "photos")
    (tmp_path / "nonsense.json").write_text("{")
    assert here.take_left_over() == []
    assert not (tmp_path / "nonsense.json").exists()
    running.remove()
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_project_opens_as_its_copy_and_the_person_is_told(
    window: MainWindow, qtbot: QtBot, photos: list[Path]
) -> None:
    path = photos[0].parent / PROJECT_NAME
    label(photos[0], 3)
    make_backup(path)
    path.write_bytes(path.read_bytes()[:4000])
    told: list[str] = []
    window.session.noticed.connect(lambda _level, text: told.append(text))
    window.open_paths([photos[0].parent])
    wait_for_photo(qtbot, window, photos[0])
    assert window.session.current.class_map.labels[0, 0] == 3
    (text,) = [text for text in told if "damaged" in text]
    kept = text.rpartition("kept as ")[2].rstrip(".")
    assert (photos[0].parent / kept).stat().st_size == 4000


def test_a_copy_is_made_while_the_data_set_is_open(window: MainWindow, qtbot: QtBot, photos: list[Path]) -> None:
    path = photos[0].parent / PROJECT_NAME
    label(photos[0], 3)
    make_backup(path, now=datetime.now() - timedelta(days=2))
    window.open_paths([photos[0].parent])
    wait_for_photo(qtbot, window, photos[0])
    window.session.set_state(window.session.current.item.id, "done")
    qtbot.waitUntil(lambda: not window.session.unsaved)
    window.safekeeping.backups.make_if_due()
    qtbot.waitUntil(lambda: len(backups(path)) == 2)
    window.safekeeping.backups.make_if_due()
    assert window.close()
    assert len(backups(path)) == 2


def test_damage_found_while_it_is_open_is_told_and_a_button_goes_back_to_the_copy(
    window: MainWindow, qtbot: QtBot, photos: list[Path]
) -> None:
    path = photos[0].parent / PROJECT_NAME
    label(photos[0], 3)
    make_backup(path, now=datetime.now() - timedelta(days=2))
    label(photos[1], 4)
    window.open_paths([photos[0].parent])
    wait_for_photo(qtbot, window, photos[0])
    session = window.session
    with session.project._writing() as connection:
        connection.execute("UPDATE maps SET labels = zeroblob(50) WHERE item_id = ?", (session.current.item.id,))
    window.safekeeping.backups.make_if_due()
    button = window.status_area.notices.action_button
    qtbot.waitUntil(button.isVisible)
    assert "1 class map" in window.status_area.notices.current.text
    assert len(backups(path)) == 1
    first = session.project
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: session.project not in (None, first))
    wait_for_photo(qtbot, window, photos[0])
    assert session.current.class_map.labels[0, 0] == 3
    assert (session.project.load_map(2)[0] == 4).all()
    assert not session.read_only
