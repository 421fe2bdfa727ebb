"""Closing the window, or opening another data set, while the disk refuses: nothing is lost without a word."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication, QFileDialog, QMessageBox, QProgressDialog, QPushButton
from pytestqt.qtbot import QtBot

from deeplab_studio.app import leaving
from deeplab_studio.app.window import MainWindow
from deeplab_studio.core.project import Project
from tests.e2e.kit import wait_for_photo

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the disk is filled by a limit of POSIX")

FullDisk = Callable[[], AbstractContextManager[None]]


@pytest.fixture
def full_disk() -> FullDisk:
    """No file can grow beyond what the log of a project needs, as on a disk that is full."""
    import resource

    @contextmanager
    def full() -> Iterator[None]:
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)

    return full


@pytest.fixture
def labelling(window: MainWindow, qtbot: QtBot, photos: list[Path]) -> MainWindow:
    """A folder that is open, with a project on disk."""
    window.open_paths([photos[0].parent])
    wait_for_photo(qtbot, window, photos[0])
    paint(window, 1)
    qtbot.waitUntil(lambda: not window.session.unsaved)
    return window


def paint(window: MainWindow, class_id: int) -> None:
    """A stroke that does not compress to nothing."""
    document = window.session.current
    noise = np.random.default_rng(class_id).integers(0, 21, document.class_map.shape).astype(np.uint8)
    noise[0] = class_id
    window.session.put_labels(document, noise, "Noise", by_person=True)


def saved(folder: Path) -> int:
    """The class of the first pixel of the first photo, as saved."""
    with Project.for_folder(folder) as project:
        labels, _ = project.load_map(project.items()[0].id)
    return int(labels[0, 0])


class Answers:
    """Presses buttons of the dialogs that come, one after the other, and keeps what they said."""

    def __init__(self, *buttons: str) -> None:
        self.said: list[str] = []
        self._buttons = list(buttons)
        self._timer = QTimer(interval=20)
        self._timer.timeout.connect(self._look)
        self._timer.start()

    def _look(self) -> None:
        box = QApplication.activeModalWidget()
        if not isinstance(box, QMessageBox) or not box.isVisible() or not self._buttons:
            return
        wanted = self._buttons.pop(0)
        (button,) = (each for each in box.buttons() if each.text().replace("&", "") == wanted)
        self.said.append(f"{box.text()} {box.informativeText()}")
        button.click()

    def done(self) -> list[str]:
        self._timer.stop()
        assert not self._buttons, f"no dialog came for {self._buttons}"
        return self.said


def test_a_window_that_cannot_save_asks_and_stays_open_if_the_person_wants(
    labelling: MainWindow, full_disk: FullDisk, photos: list[Path]
) -> None:
    answers = Answers("Try again", "Keep working")
    with full_disk():
        paint(labelling, 2)
        assert not labelling.close()
        assert labelling.isVisible()
        assert labelling.session.current.class_map.labels[0, 0] == 2
    said = answers.done()
    assert len(said) == 2
    assert all("one image could not be saved" in text and "deeplab-studio.dlsproj: the disk" in text for text in said)
    assert labelling.close()  # there is room again
    assert saved(photos[0].parent) == 2


def test_room_that_is_made_while_it_asks_is_used(
    labelling: MainWindow, full_disk: FullDisk, photos: list[Path]
) -> None:
    with full_disk():
        paint(labelling, 2)
        labelling.session.save()
        answers = Answers("Keep working")
        assert not labelling.close()
        answers.done()
    assert labelling.close()
    assert saved(photos[0].parent) == 2


def test_a_copy_elsewhere_holds_everything_and_opens(
    labelling: MainWindow,
    new_window: Callable[[], MainWindow],
    qtbot: QtBot,
    full_disk: FullDisk,
    photos: list[Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import resource

    elsewhere = tmp_path / "another disk"
    elsewhere.mkdir()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def choose(*_args: object) -> str:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)  # the other disk has room
        return str(elsewhere)

    monkeypatch.setattr(QFileDialog, "getExistingDirectory", choose)
    answers = Answers("Save a copy elsewhere…", "OK")
    with full_disk():
        paint(labelling, 2)
        labelling.session.set_state(labelling.session.current.item.id, "done")
        assert labelling.close()
    (copy,) = elsewhere.iterdir()
    assert copy.suffix == ".dlsproj"
    assert str(copy) in answers.done()[1]
    again = new_window()
    again.open_paths([copy])
    wait_for_photo(qtbot, again, photos[1])  # the first that is not done
    again.session.select(again.session.items[0].id)
    wait_for_photo(qtbot, again, photos[0])
    assert again.session.current.class_map.labels[0, 0] == 2
    assert again.session.current.item.state == "done"
    assert not again.session.read_only
    assert [item.path for item in again.session.items] == photos


def test_what_cannot_be_saved_can_be_given_up(labelling: MainWindow, full_disk: FullDisk, photos: list[Path]) -> None:
    answers = Answers("Close and lose them")
    with full_disk():
        paint(labelling, 2)
        assert labelling.close()
    assert len(answers.done()) == 1
    assert saved(photos[0].parent) in (1, 2)


def test_another_data_set_is_not_opened_at_the_price_of_this_one(
    labelling: MainWindow, qtbot: QtBot, full_disk: FullDisk, photos: list[Path], tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "x.png").write_bytes(photos[1].read_bytes())
    session = labelling.session
    answers = Answers("Keep working")
    with full_disk():
        paint(labelling, 2)
        labelling.open_paths([other])
        qtbot.waitUntil(lambda: len(answers.said) == 1)
        qtbot.waitUntil(lambda: not session.disk.busy)
        answers.done()
        assert session.project.root == photos[0].parent
        assert session.current.item.path == photos[0]
    labelling.open_paths([other])
    wait_for_photo(qtbot, labelling, other / "x.png")
    assert saved(photos[0].parent) == 2


def test_states_are_saved_as_soon_as_there_is_room(
    labelling: MainWindow, qtbot: QtBot, full_disk: FullDisk, photos: list[Path]
) -> None:
    session = labelling.session
    told: list[tuple[str, str]] = []
    session.noticed.connect(lambda level, text: told.append((level, text)))
    second = session.items[1].id
    with full_disk():
        session.set_state(second, "reviewed")
        session.set_state(second, "done")
        qtbot.waitUntil(lambda: any(level == "error" and "disk" in text for level, text in told))
        assert session.unsaved
    session.save()
    qtbot.waitUntil(lambda: not session.unsaved)
    assert ("success", "Everything is saved again.") in told
    assert labelling.status_area.notices.current.text == "Everything is saved again."
    assert labelling.close()
    with Project.for_folder(photos[0].parent) as project:
        assert project.item(second).state == "done"


def test_a_slow_disk_is_waited_for_and_the_person_may_change_their_mind(
    labelling: MainWindow, qtbot: QtBot, photos: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leaving, "PATIENCE_MS", 10)
    session = labelling.session
    stuck = threading.Event()
    session.autosave.lane.submit("a slow disk", lambda _job: stuck.wait(30), priority=100)
    paint(labelling, 2)

    def keep_working() -> None:
        dialog = QApplication.activeModalWidget()
        assert isinstance(dialog, QProgressDialog)
        assert dialog.isVisible()
        dialog.findChild(QPushButton).click()

    QTimer.singleShot(300, keep_working)
    assert not labelling.close()
    assert labelling.isVisible()
    QTimer.singleShot(300, stuck.set)
    assert labelling.close()
    assert saved(photos[0].parent) == 2


def test_a_folder_that_is_opened_again_can_still_be_written(
    labelling: MainWindow, qtbot: QtBot, photos: list[Path]
) -> None:
    session = labelling.session
    project = session.project
    labelling.open_paths([photos[0].parent])
    qtbot.waitUntil(lambda: not session.disk.busy)
    assert session.project is project
    assert not session.read_only
    labelling.open_paths([project.path])
    qtbot.waitUntil(lambda: not session.disk.busy)
    assert session.project is project


def test_a_window_that_can_only_read_closes_without_a_question(
    labelling: MainWindow, new_window: Callable[[], MainWindow], qtbot: QtBot, photos: list[Path]
) -> None:
    second = new_window()
    second.open_paths([photos[0].parent])
    wait_for_photo(qtbot, second, photos[0])
    assert second.session.read_only
    paint(second, 5)
    assert second.close()
    assert labelling.close()
    assert saved(photos[0].parent) == 1
