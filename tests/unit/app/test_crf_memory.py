"""CRF parameters are remembered for every image, and for the data set."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtGui import QImage
from pytestqt.qtbot import QtBot

from deeplab_studio.app.document import CrfSettings
from deeplab_studio.app.session import Session
from deeplab_studio.app.settings import Settings
from deeplab_studio.crf.params import CrfParams


@pytest.fixture
def new_session(qtbot: QtBot, tmp_path: Path) -> Iterator[Callable[[str], Session]]:
    sessions: list[Session] = []

    def make(settings: str) -> Session:
        sessions.append(Session(Settings(tmp_path / settings)))
        return sessions[-1]

    yield make
    for session in sessions:
        session.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for i in range(4):
        picture = QImage(40, 30, QImage.Format.Format_RGB32)
        picture.fill(0x102030 * (i + 1))
        picture.save(str(folder / f"{i}.png"))
    return folder


def show(qtbot: QtBot, session: Session, path: Path, number: int = 0) -> None:
    if session.project is None:
        session.open_paths([path])
        qtbot.waitUntil(lambda: session.current is not None)
    session.select(session.items[number].id)
    qtbot.waitUntil(lambda: session.current.item.id == session.items[number].id)


def paint(session: Session) -> None:
    session.painting.begin("Brush stroke")
    session.painting.paint(0, 0, np.ones((5, 5), bool))
    session.painting.commit()


WIDE = CrfSettings(True, CrfParams(appearance_position_sigma=140))
NARROW = CrfSettings(False, CrfParams(appearance_position_sigma=20))


def test_every_image_keeps_its_own(new_session: Callable[[str], Session], folder: Path, qtbot: QtBot) -> None:
    session = new_session("a.ini")
    for number, crf in enumerate((WIDE, NARROW)):
        show(qtbot, session, folder, number)
        session.set_crf(crf, live=False)
        paint(session)
    session.close()
    again = new_session("b.ini")
    for number, crf in enumerate((WIDE, NARROW)):
        show(qtbot, again, folder, number)
        assert again.current.crf == crf


def test_new_images_start_with_what_was_used_last_in_the_data_set(
    new_session: Callable[[str], Session], folder: Path, qtbot: QtBot
) -> None:
    session = new_session("a.ini")
    show(qtbot, session, folder)
    session.set_crf(WIDE, live=False)
    paint(session)
    session.close()
    elsewhere = new_session("another person's.ini")
    show(qtbot, elsewhere, folder, 3)
    assert elsewhere.current.crf == WIDE


def test_images_that_were_read_ahead_start_with_it_too(
    new_session: Callable[[str], Session], folder: Path, qtbot: QtBot
) -> None:
    session = new_session("a.ini")
    show(qtbot, session, folder)
    qtbot.waitUntil(lambda: session.document(session.items[1].id) is not None)
    session.set_crf(NARROW, live=False)
    told = []
    session.crfChanged.connect(told.append)
    show(qtbot, session, folder, 1)
    assert session.current.crf == NARROW
    assert told == [NARROW]


def test_settings_alone_leave_nothing_in_the_folder(
    new_session: Callable[[str], Session], folder: Path, qtbot: QtBot
) -> None:
    session = new_session("a.ini")
    show(qtbot, session, folder)
    session.set_crf(WIDE, live=False)
    session.close()
    assert sorted(path.name for path in folder.iterdir()) == ["0.png", "1.png", "2.png", "3.png"]


@pytest.mark.parametrize("saved", [None, {}, {"on": True, "nonsense": 3}, {"on": True, "iterations": -1}])
def test_settings_of_another_release_are_not_used(saved: dict[str, object] | None) -> None:
    assert CrfSettings.from_saved(saved) is None
    assert CrfSettings.from_saved(WIDE.to_dict()) == WIDE
