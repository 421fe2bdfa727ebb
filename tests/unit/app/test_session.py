"""The session without a window: what a person does from opening photos to a saved class map."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from pytestqt.qtbot import QtBot

from deeplab_studio.app.document import CrfSettings
from deeplab_studio.app.session import Session
from deeplab_studio.app.settings import Settings
from deeplab_studio.core.labels import VOC_LABELS
from deeplab_studio.core.project import PROJECT_NAME, Project
from deeplab_studio.core.voc import write_mask
from deeplab_studio.crf.params import CrfParams


def make_photos(folder: Path, count: int, size: tuple[int, int] = (48, 64)) -> list[Path]:
    folder.mkdir(exist_ok=True)
    paths = []
    for i in range(count):
        rng = np.random.default_rng(i)
        small = rng.integers(0, 256, (6, 8, 3), np.uint8)
        path = folder / f"photo {i + 1}.png"
        cv2.imwrite(str(path), cv2.resize(small, size[::-1], interpolation=cv2.INTER_CUBIC))
        paths.append(path)
    return paths


class Notices(list[tuple[str, str]]):
    """What the session told the person."""


@pytest.fixture
def new_session(qtbot: QtBot, tmp_path: Path) -> Iterator[Callable[[], Session]]:
    sessions: list[Session] = []

    def make() -> Session:
        session = Session(Settings(tmp_path / "settings.ini"))
        session.notices = Notices()
        session.noticed.connect(lambda level, text: session.notices.append((level, text)))
        sessions.append(session)
        return session

    yield make
    for session in sessions:
        session.close()


@pytest.fixture
def session(new_session: Callable[[], Session]) -> Session:
    return new_session()


def show(qtbot: QtBot, session: Session, *paths: Path) -> None:
    session.open_paths(paths)
    qtbot.waitUntil(lambda: session.current is not None and session.current.item.id == session.current_id)


def brush(session: Session, top: int, left: int, size: int, class_id: int) -> None:
    session.painting.set_active_class(class_id)
    assert session.painting.begin("Brush stroke")
    session.painting.paint(top, left, np.ones((size, size), bool))
    session.painting.commit()


def test_files_are_listed_and_the_first_is_shown(session: Session, qtbot: QtBot, tmp_path: Path) -> None:
    paths = make_photos(tmp_path / "photos", 3)
    show(qtbot, session, paths[1], paths[2])
    assert [item.path.name for item in session.items] == ["photo 2.png", "photo 3.png"]
    assert session.current.item.path == paths[1]
    assert session.current.class_map.shape == (48, 64)


def test_a_folder_is_looked_into_without_leaving_anything_in_it(session: Session, qtbot: QtBot, tmp_path: Path) -> None:
    make_photos(tmp_path / "photos", 2)
    show(qtbot, session, tmp_path / "photos")
    session.select(session.items[1].id)
    qtbot.waitUntil(lambda: session.current.item.id == session.items[1].id)
    session.close()
    assert sorted(path.name for path in (tmp_path / "photos").iterdir()) == ["photo 1.png", "photo 2.png"]


def test_broken_files_are_told_and_the_rest_opens(session: Session, qtbot: QtBot, tmp_path: Path) -> None:
    paths = make_photos(tmp_path / "photos", 2)
    broken = tmp_path / "photos" / "broken.jpg"
    broken.write_bytes(b"this is no photo")
    failures: list[tuple[int, object]] = []
    session.imageFailed.connect(lambda item_id, error: failures.append((item_id, error)))
    session.open_paths([tmp_path / "photos"])
    qtbot.waitUntil(lambda: bool(failures))
    assert "broken.jpg" in str(failures[0][1])
    qtbot.waitUntil(lambda: session.current is not None)
    assert session.current.item.path == paths[0]


def test_paths_that_are_not_there_are_named(session: Session, qtbot: QtBot, tmp_path: Path) -> None:
    session.open_paths([tmp_path / "nothing here.jpg"])
    qtbot.waitUntil(lambda: bool(session.notices))
    assert "nothing here.jpg" in session.notices[0][1]
    assert session.items == []


def test_strokes_are_saved_and_found_again(new_session: Callable[[], Session], qtbot: QtBot, tmp_path: Path) -> None:
    make_photos(tmp_path / "photos", 2)
    first = new_session()
    show(qtbot, first, tmp_path / "photos")
    brush(first, 5, 5, 10, 12)
    assert first.current.item.state == "in progress"
    first.close()
    second = new_session()
    show(qtbot, second, tmp_path / "photos")
    assert (second.current.class_map.labels[5:15, 5:15] == 12).all()
    assert second.current.class_map.pinned.sum() == 100
    assert second.items[0].state == "in progress"


def test_a_stroke_reaches_the_disk_by_itself(session: Session, qtbot: QtBot, tmp_path: Path) -> None:
    make_photos(tmp_path / "photos", 1)
    show(qtbot, session, tmp_path / "photos")
    brush(session, 0, 0, 7, 3)
    item_id = session.current.item.id
    qtbot.waitUntil(lambda: session.project.load_map(item_id) is not None, timeout=5000)
    assert (session.project.load_map(item_id)[0] == 3).sum() == 49


def test_undo_and_redo_of_strokes(session: Session, qtbot: QtBot, tmp_path: Path) -> None:
    show(qtbot, session, *make_photos(tmp_path / "photos", 1))
    labels = session.current.class_map.labels
    brush(session, 0, 0, 5, 1)
    brush(session, 2, 2, 5, 2)
    after = labels.copy()
    session.undo()
    assert (labels == 2).sum() == 0
    session.undo()
    assert not labels.any()
    session.undo()
    session.redo()
    session.redo()
    assert np.array_equal(labels, after)


def test_escape_takes_a_stroke_back(session: Session, qtbot: QtBot, tmp_path: Path) -> None:
    show(qtbot, session, *make_photos(tmp_path / "photos", 1))
    assert session.painting.begin("Brush stroke")
    session.painting.paint(0, 0, np.ones((5, 5), bool))
    assert session.painting.abort() is not None
    assert not session.current.class_map.labels.any()
    assert session.current.history.undo_name is None


def test_the_eraser_paints_class_0_and_the_picker_picks(session: Session, qtbot: QtBot, tmp_path: Path) -> None:
    show(qtbot, session, *make_photos(tmp_path / "photos", 1))
    brush(session, 0, 0, 10, 7)
    session.painting.begin("Eraser", erase=True)
    session.painting.paint(0, 0, np.ones((4, 4), bool))
    session.painting.commit()
    assert (session.current.class_map.labels == 7).sum() == 84
    session.painting.set_active_class(3)
    session.painting.pick(9, 9)
    assert session.painting.active_class == 7
    session.painting.swap_class()
    assert session.painting.active_class == 0
    session.painting.swap_class()
    assert session.painting.active_class == 7


def test_more_files_are_added_to_what_is_open_but_a_folder_replaces_it(
    session: Session, qtbot: QtBot, tmp_path: Path
) -> None:
    make_photos(tmp_path / "one", 2)
    extra = make_photos(tmp_path / "two", 3)
    show(qtbot, session, tmp_path / "one")
    project = session.project
    session.open_paths([extra[0]])
    qtbot.waitUntil(lambda: len(session.items) == 3)
    assert session.project is project
    qtbot.waitUntil(lambda: session.current is not None and session.current.item.path == extra[0])
    session.open_paths([tmp_path / "two"])
    qtbot.waitUntil(lambda: session.project is not project)
    qtbot.waitUntil(lambda: session.current is not None)
    assert [item.path.parent.name for item in session.items] == ["two"] * 3


def test_a_voc_data_set_opens_with_its_masks_pinned_and_its_classes(
    session: Session, qtbot: QtBot, tmp_path: Path
) -> None:
    root = tmp_path / "data"
    (root / "JPEGImages").mkdir(parents=True)
    (root / "SegmentationClass").mkdir()
    for path in make_photos(tmp_path / "photos", 2):
        photo = cv2.imread(str(path))
        cv2.imwrite(str(root / "JPEGImages" / f"{path.stem.replace(' ', '_')}.jpg"), photo)
    labels = np.zeros((48, 64), np.uint8)
    labels[10:20, 10:20] = 15
    labels[20] = 255
    write_mask(root / "SegmentationClass" / "photo_1.png", labels, VOC_LABELS)
    show(qtbot, session, root)
    assert np.array_equal(session.current.class_map.labels, labels)
    assert (session.current.class_map.pinned == (labels != 255)).all()
    assert session.label_set.names == VOC_LABELS.names
    assert len(session.items) == 2


def test_states_are_kept(new_session: Callable[[], Session], qtbot: QtBot, tmp_path: Path) -> None:
    make_photos(tmp_path / "photos", 2)
    first = new_session()
    show(qtbot, first, tmp_path / "photos")
    first.set_state(first.items[0].id, "done")
    first.close()
    second = new_session()
    show(qtbot, second, tmp_path / "photos")
    assert [item.state for item in second.items] == ["done", "new"]
    assert second.current.item.id == second.items[1].id  # the first one that is not finished


def test_a_second_window_may_only_look(new_session: Callable[[], Session], qtbot: QtBot, tmp_path: Path) -> None:
    make_photos(tmp_path / "photos", 1)
    first = new_session()
    show(qtbot, first, tmp_path / "photos")
    brush(first, 0, 0, 5, 1)
    first.save()
    qtbot.waitUntil(lambda: not first.disk.busy and not first.unsaved)
    second = new_session()
    show(qtbot, second, tmp_path / "photos")
    assert second.read_only
    told = len(second.notices)
    assert not second.painting.begin("Brush stroke")
    assert [level for level, _ in second.notices[told:]] == ["warning"]
    assert any("reading only" in text for _, text in second.notices)


def test_a_mask_of_a_photo_that_changed_its_size_is_kept_until_it_is_painted_over(
    new_session: Callable[[], Session], qtbot: QtBot, tmp_path: Path
) -> None:
    (path,) = make_photos(tmp_path / "photos", 1)
    first = new_session()
    show(qtbot, first, tmp_path / "photos")
    brush(first, 0, 0, 5, 1)
    first.close()
    make_photos(tmp_path / "photos", 1, size=(30, 30))
    second = new_session()
    show(qtbot, second, tmp_path / "photos")
    assert second.current.class_map.shape == (30, 30)
    assert any("64 x 48" in text and "30 x 30" in text for _, text in second.notices)
    second.close()
    with Project.for_folder(path.parent) as project:
        assert project.load_map(project.items()[0].id)[0].shape == (48, 64)


# With a real model


@pytest.fixture
def modelled(shared: Path, session: Session, qtbot: QtBot, tmp_path: Path) -> Session:
    folder = tmp_path / "voc photos"
    folder.mkdir()
    for path in sorted((shared / "data/voc/JPEGImages").iterdir())[:3]:
        shutil.copy(path, folder)
    session._settings.set("crf/on", False)
    session._crf = CrfSettings(False)
    with qtbot.waitSignal(session.predictions.modelChanged, timeout=60_000):
        session.predictions.load_model(shared / "data/weights/deeplabv3_mnv2_1.0_voc_trainaug_fp16.npz")
    show(qtbot, session, folder)
    qtbot.waitUntil(lambda: session.current.labelled, timeout=30_000)
    return session


def test_a_new_image_is_predicted_by_itself_and_the_prediction_can_be_undone(modelled: Session) -> None:
    document = modelled.current
    predicted = document.class_map.labels.copy()
    assert predicted.any()
    assert document.item.state == "new"
    assert document.history.names == ["Prediction"]
    modelled.undo()
    assert not document.class_map.labels.any()
    modelled.redo()
    assert np.array_equal(document.class_map.labels, predicted)


def test_neighbours_are_predicted_ahead_but_not_touched(modelled: Session, qtbot: QtBot) -> None:
    following = modelled.items[1]

    def ready() -> bool:
        document = modelled._shelf.get(following.id)
        return document is not None and document.scores is not None

    qtbot.waitUntil(ready, timeout=30_000)
    assert not modelled._shelf.get(following.id).labelled
    modelled.select(following.id)
    qtbot.waitUntil(lambda: modelled.current.item.id == following.id and modelled.current.labelled)
    assert modelled.current.class_map.labels.any()


def test_strokes_survive_a_new_prediction_and_the_crf(modelled: Session, qtbot: QtBot) -> None:
    document = modelled.current
    brush(modelled, 100, 100, 40, 20)
    modelled.predict()
    qtbot.waitUntil(lambda: modelled._asked_to_predict is None, timeout=30_000)
    with qtbot.waitSignal(modelled.refined, timeout=30_000):
        modelled.set_crf(CrfSettings(True, CrfParams()), live=False)
    assert (document.class_map.labels[100:140, 100:140] == 20).all()
    assert document.crf.on


def test_the_crf_is_one_undo_step_that_brings_its_settings_back(modelled: Session, qtbot: QtBot) -> None:
    document = modelled.current
    plain = document.class_map.labels.copy()
    with qtbot.waitSignal(modelled.refined, timeout=30_000):
        modelled.set_crf(CrfSettings(True, CrfParams(appearance_weight=9)), live=False)
    refined = document.class_map.labels.copy()
    assert 0 < np.count_nonzero(refined != plain) < plain.size / 5
    settings: list[CrfSettings] = []
    modelled.crfChanged.connect(settings.append)
    modelled.undo()
    assert np.array_equal(document.class_map.labels, plain)
    assert settings[-1] == CrfSettings(False)
    modelled.redo()
    assert np.array_equal(document.class_map.labels, refined)
    assert settings[-1] == CrfSettings(True, CrfParams(appearance_weight=9))


def test_a_moving_slider_shows_but_changes_nothing_until_it_rests(modelled: Session, qtbot: QtBot) -> None:
    document = modelled.current
    with qtbot.waitSignal(modelled.refined, timeout=30_000):
        modelled.set_crf(CrfSettings(True, CrfParams()), live=False)
    before = document.class_map.labels.copy()
    shown: list[object] = []
    modelled.previewed.connect(shown.append)
    for weight in (5, 6, 7, 20):
        modelled.set_crf(CrfSettings(True, CrfParams(appearance_weight=weight)), live=True)
    qtbot.waitUntil(lambda: any(each is not None and each.settings.params.appearance_weight == 20 for each in shown))
    assert np.array_equal(document.class_map.labels, before)
    last = [each for each in shown if each is not None][-1]
    with qtbot.waitSignal(modelled.refined, timeout=30_000):
        modelled.set_crf(CrfSettings(True, CrfParams(appearance_weight=20)), live=False)
    final = document.class_map.labels
    preview = cv2.resize(last.labels, final.shape[::-1], interpolation=cv2.INTER_NEAREST)  # smaller on a slow machine
    assert (preview == final).mean() > (1 - 1e-9 if last.exact else 0.85)


def test_a_model_that_cannot_be_loaded_leaves_the_one_in_use(modelled: Session, qtbot: QtBot, tmp_path: Path) -> None:
    in_use = modelled.predictions.model
    bad = tmp_path / "weights.pth"
    bad.write_text("<html>not found</html>")
    modelled.predictions.load_model(bad)
    qtbot.waitUntil(lambda: any(level == "error" for level, _ in modelled.notices))
    assert "weights.pth" in modelled.notices[-1][1]
    assert modelled.predictions.model is in_use


def test_a_folder_opened_while_a_model_loads_does_not_stop_it(
    shared: Path, session: Session, qtbot: QtBot, tmp_path: Path
) -> None:
    make_photos(tmp_path / "photos", 1)
    with qtbot.waitSignal(session.predictions.modelChanged, timeout=60_000):
        session.predictions.load_model(shared / "data/weights/deeplabv3_mnv2_1.0_voc_trainaug_fp16.npz")
        session.open_paths([tmp_path / "photos"])
    assert session.predictions.model is not None


def saved_class(session: Session, y: int, x: int) -> int | None:
    saved = session.project.load_map(session.current.item.id)
    return None if saved is None else int(saved[0][y, x])


def test_a_long_stroke_is_saved_while_it_goes_on_and_again_when_it_is_taken_back(
    session: Session, qtbot: QtBot, tmp_path: Path
) -> None:
    make_photos(tmp_path / "photos", 1)
    show(qtbot, session, tmp_path / "photos")
    painting = session.painting
    painting.set_active_class(5)
    assert painting.begin("Brush stroke")
    painting.paint(0, 0, np.ones((4, 4), bool))
    qtbot.waitUntil(lambda: saved_class(session, 0, 0) == 5)
    painting.paint(8, 8, np.ones((4, 4), bool))
    qtbot.waitUntil(lambda: saved_class(session, 8, 8) == 5)
    assert painting.busy
    painting.abort()
    qtbot.waitUntil(lambda: saved_class(session, 0, 0) == 0)
    qtbot.waitUntil(lambda: not session.unsaved)


def test_a_stroke_that_paints_nothing_leaves_nothing_behind(session: Session, qtbot: QtBot, tmp_path: Path) -> None:
    make_photos(tmp_path / "photos", 1)
    show(qtbot, session, tmp_path / "photos")
    assert session.painting.begin("Brush stroke")
    session.save()
    session.painting.commit()
    session.save()
    assert not session.unsaved
    session.flush()()
    assert not session.project.is_on_disk


def test_saving_does_not_wait_for_a_photo_that_takes_long_to_read(
    session: Session, qtbot: QtBot, tmp_path: Path
) -> None:
    make_photos(tmp_path / "photos", 1)
    show(qtbot, session, tmp_path / "photos")
    read = threading.Event()
    session.disk.submit("a huge photo", lambda _job: read.wait(30), priority=100)
    brush(session, 0, 0, 4, 5)
    qtbot.waitUntil(lambda: saved_class(session, 0, 0) == 5)
    assert not read.is_set()
    read.set()


def test_a_data_set_that_is_left_is_closed_even_if_the_program_ends_at_once(
    new_session: Callable[[], Session], qtbot: QtBot, tmp_path: Path
) -> None:
    for name in ("one", "two"):
        make_photos(tmp_path / name, 1)
    session = new_session()
    show(qtbot, session, tmp_path / "one")
    brush(session, 0, 0, 4, 5)
    session.leave()
    session.close()
    assert sorted(path.name for path in (tmp_path / "one").iterdir()) == [PROJECT_NAME, "photo 1.png"]
    again = new_session()
    show(qtbot, again, tmp_path / "one")
    assert again.current.class_map.labels[0, 0] == 5
    assert not again.read_only
