"""Copies of a project, going back to one, and a file that goes away while it is open."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from deeplab_studio.core import project_backups
from deeplab_studio.core.cancel import Cancelled, CancelToken
from deeplab_studio.core.errors import StudioError
from deeplab_studio.core.labels import LabelClass, LabelSet
from deeplab_studio.core.project import PROJECT_NAME, Project
from deeplab_studio.core.project_backups import FOLDER_NAME, KEPT, backups, find_damage, is_due, make_backup
from deeplab_studio.core.project_schema import DamagedProject

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="an open file cannot be moved there")
DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def any_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(project_backups, "LEAVE_FREE", 0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "photos [1]"
    path.mkdir()
    return path


def full(value: int) -> np.ndarray:
    """A class map that is that class but for noise, which does not compress."""
    noise = np.random.default_rng(value).integers(0, 21, (64, 64), np.uint8)
    return np.vstack([np.full((8, 64), value, np.uint8), noise])


def save(folder: Path, values: dict[str, int]) -> None:
    with Project.for_folder(folder) as project:
        for name, value in values.items():
            (item,) = project.add([folder / name])
            project.save_map(item.id, full(value), None, state="in progress")


def saved(folder: Path) -> dict[str, int]:
    with Project.for_folder(folder) as project:
        maps = {item.key: project.load_map(item.id) for item in project.items()}
    assert all(pair is None or (pair[0] == full(int(pair[0][0, 0]))).all() for pair in maps.values())
    return {key: int(pair[0][0, 0]) for key, pair in maps.items() if pair is not None}


def test_a_copy_is_due_once_a_day_and_only_the_newest_are_kept(folder: Path) -> None:
    path = folder / PROJECT_NAME
    save(folder, {"a.jpg": 1})
    assert is_due(path)
    start = datetime.now() - 10 * DAY
    made = []
    for day in range(KEPT + 2):
        backup = make_backup(path, now=start + day * DAY)
        assert backup is not None
        made.insert(0, backup)
    assert backups(path) == [(each.path, each.made) for each in made[:KEPT]]
    assert is_due(path)
    assert is_due(path, made[0].made + DAY)
    assert not is_due(path, made[0].made + DAY / 2)
    assert {entry.name for entry in folder.iterdir()} == {PROJECT_NAME, FOLDER_NAME}
    assert len(list((folder / FOLDER_NAME).iterdir())) == KEPT


def test_nothing_new_is_not_copied_again(folder: Path) -> None:
    path = folder / PROJECT_NAME
    with Project.for_folder(folder) as project:
        project.add([folder / "a.jpg"])
        project.save_setting("crf", {"on": True})
    assert make_backup(path) is None
    save(folder, {"a.jpg": 1})
    assert make_backup(path, now=datetime.now() + timedelta(seconds=1)) is not None
    assert make_backup(path, now=datetime.now() + DAY) is None
    with Project.for_folder(folder) as project:
        project.label_set = LabelSet((LabelClass("road", (0, 0, 0)),), "Roads")
    assert make_backup(path, now=datetime.now() + DAY) is not None


def test_a_copy_is_made_while_the_project_is_written_and_can_be_cancelled(folder: Path) -> None:
    path = folder / PROJECT_NAME
    with Project.for_folder(folder) as project:
        (item,) = project.add([folder / "a.jpg"])
        project.save_map(item.id, full(1), None)
        backup = make_backup(path)
        assert backup is not None
        project.save_map(item.id, full(2), None)
        token = CancelToken()
        token.cancel()
        with pytest.raises(Cancelled):
            make_backup(path, token, datetime.now() + DAY)
    assert find_damage(backup.path) is None
    with closing(sqlite3.connect(backup.path)) as copy:
        assert copy.execute("SELECT count(*) FROM maps").fetchone() == (1,)
    assert [each.name for each in (folder / FOLDER_NAME).iterdir()] == [backup.path.name]


def test_a_copy_is_not_what_fills_the_disk(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(folder, {"a.jpg": 1})
    monkeypatch.setattr(project_backups, "LEAVE_FREE", 1 << 60)
    assert make_backup(folder / PROJECT_NAME) is None
    assert not (folder / FOLDER_NAME).exists()


def _cut_off(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-5000])


def _emptied(path: Path) -> None:
    path.write_bytes(b"")


def _zeroed(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def _overwritten(path: Path) -> None:
    path.write_text("a shopping list" * 1000)


def _root_of_items(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        (page,) = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'items'").fetchone()
    with path.open("r+b") as file:
        file.seek(4096 * (page - 1))
        file.write(b"\xaa" * 4096)


@pytest.mark.parametrize("damage", [_cut_off, _emptied, _zeroed, _overwritten, _root_of_items])
def test_a_damaged_project_goes_back_to_its_newest_whole_copy(folder: Path, damage: Callable[[Path], None]) -> None:
    path = folder / PROJECT_NAME
    save(folder, {"a.jpg": 1, "b.jpg": 2})
    older = make_backup(path, now=datetime.now() - 2 * DAY)
    save(folder, {"a.jpg": 3})
    newest = make_backup(path, now=datetime.now() - DAY)
    assert older is not None
    assert newest is not None
    damage(path)
    bad = path.read_bytes()
    with Project.for_folder(folder) as project:
        assert not project.read_only
        notice = project.notice
        assert notice is not None
        assert "damaged" in notice
        assert f"{newest.made:%Y-%m-%d %H:%M}" in notice
        (kept,) = [entry for entry in folder.iterdir() if "-damaged-" in entry.name and not entry.name.endswith("-wal")]
        assert kept.name in notice
        assert kept.read_bytes() == bad
        project.set_state(1, "done")
    assert saved(folder) == {"a.jpg": 3, "b.jpg": 2}
    assert find_damage(path) is None
    with Project.for_folder(folder) as project:
        assert project.notice is None


def test_a_damaged_copy_is_passed_over_for_an_older_one(folder: Path) -> None:
    path = folder / PROJECT_NAME
    save(folder, {"a.jpg": 1})
    make_backup(path, now=datetime.now() - 2 * DAY)
    save(folder, {"a.jpg": 2})
    newest = make_backup(path, now=datetime.now() - DAY)
    assert newest is not None
    _cut_off(newest.path)
    _emptied(path)
    assert saved(folder) == {"a.jpg": 1}


def test_another_label_set_in_the_damaged_file_is_not_mixed_with_that_of_the_copy(folder: Path) -> None:
    path = folder / PROJECT_NAME
    save(folder, {"a.jpg": 1, "b.jpg": 2})
    make_backup(path, now=datetime.now() - DAY)
    save(folder, {"b.jpg": 12})
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DELETE FROM classes WHERE id = 20")
        connection.commit()
    restored = project_backups.restore(path)
    assert restored is not None
    assert restored.rescued == 0
    assert saved(folder) == {"a.jpg": 1, "b.jpg": 2}


def test_newer_class_maps_are_saved_from_the_damaged_file(folder: Path) -> None:
    path = folder / PROJECT_NAME
    save(folder, {f"{n}.jpg": n for n in range(1, 9)})
    make_backup(path, now=datetime.now() - DAY)
    save(folder, {"2.jpg": 12, "3.jpg": 13, "new.jpg": 14})
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE maps SET labels = substr(labels, 1, 900) || zeroblob(100) WHERE item_id = 3")
        connection.commit()
        (page,) = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'figures'").fetchone()
    with path.open("r+b") as file:
        file.seek(4096 * (page - 1))
        file.write(b"\xaa" * 4096)
    assert find_damage(path) is not None
    restored = project_backups.restore(path)
    assert restored is not None
    assert restored.rescued == 2
    assert "2 newer class maps" in restored.notice
    assert saved(folder) == {f"{n}.jpg": n for n in range(1, 9)} | {"2.jpg": 12, "new.jpg": 14}


def test_a_damaged_project_never_takes_the_place_of_a_whole_copy(folder: Path) -> None:
    path = folder / PROJECT_NAME
    save(folder, {"a.jpg": 1})
    whole = make_backup(path, now=datetime.now() - 2 * DAY)
    save(folder, {"a.jpg": 2})
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE maps SET labels = zeroblob(100)")
        connection.commit()
    with pytest.raises(DamagedProject, match="1 class map"):
        make_backup(path)
    assert backups(path) == [whole]


def test_without_a_whole_copy_a_damaged_project_stays_as_it_is(folder: Path) -> None:
    path = folder / PROJECT_NAME
    save(folder, {"a.jpg": 1})
    backup = make_backup(path)
    assert backup is not None
    _emptied(backup.path)
    _cut_off(path)
    before = path.read_bytes()
    with pytest.raises(StudioError, match="damaged"):
        Project.for_folder(folder)
    assert path.read_bytes() == before
    assert not [entry.name for entry in folder.iterdir() if "-damaged-" in entry.name]


def test_copies_of_another_project_in_the_same_folder_are_not_mixed_up(tmp_path: Path) -> None:
    for number in (1, 2, 11):
        with Project.open(tmp_path / f"loose-images-{number}.dlsproj") as project:
            (item,) = project.add([Path("/a.jpg")])
            project.save_map(item.id, full(number), None)
        make_backup(project.path)
    for number in (1, 2, 11):
        (backup,) = backups(tmp_path / f"loose-images-{number}.dlsproj")
        assert backup.path.name.startswith(f"loose-images-{number} 2")


# --- A file that goes away ------------------------------------------------------------------------------------------


@POSIX
@pytest.mark.parametrize("gone", ["all files", "the file alone", "renamed"])
def test_a_file_that_goes_away_while_it_is_open_is_written_anew(folder: Path, gone: str) -> None:
    with Project.for_folder(folder) as project:
        first, second = project.add([folder / "a.jpg", folder / "b.jpg"])
        project.save_map(first.id, full(1), None)
        if gone == "renamed":
            (folder / PROJECT_NAME).rename(folder / "mine.dlsproj")
        else:
            for path in list(folder.iterdir()) if gone == "all files" else [folder / PROJECT_NAME]:
                path.unlink()
        project.save_map(second.id, full(2), None)
        project.save_map(second.id, full(3), None)
    assert saved(folder) == {"a.jpg": 1, "b.jpg": 3}
    assert find_damage(folder / PROJECT_NAME) is None


@POSIX
def test_a_folder_that_is_moved_while_it_is_open_is_told_and_goes_on_when_it_is_back(folder: Path) -> None:
    with Project.for_folder(folder) as project:
        (item,) = project.add([folder / "a.jpg"])
        project.save_map(item.id, full(1), None)
        away = folder.rename(folder.with_name("moved"))
        with pytest.raises(StudioError, match="its folder is no longer there"):
            project.save_map(item.id, full(2), None)
        away.rename(folder)
        project.save_map(item.id, full(3), None)
    assert saved(folder) == {"a.jpg": 3}


@POSIX
def test_a_file_that_is_replaced_while_it_is_open_is_told(folder: Path, tmp_path: Path) -> None:
    with Project.for_folder(folder) as project:
        (item,) = project.add([folder / "a.jpg"])
        project.save_map(item.id, full(1), None)
        other = tmp_path / "other.dlsproj"
        project.copy_to(other)
        other.replace(folder / PROJECT_NAME)
        with pytest.raises(StudioError, match="another program has replaced the file"):
            project.save_map(item.id, full(2), None)


def test_a_copy_elsewhere_stands_by_itself(folder: Path, tmp_path: Path) -> None:
    with Project.for_folder(folder) as project:
        inside, outside = project.add([folder / "sub/a.jpg", tmp_path / "b.jpg"])
        project.save_map(inside.id, full(1), None)
        project.copy_to(tmp_path / "copy.dlsproj")
        project.save_map(inside.id, full(2), None)
    with Project.open(tmp_path / "copy.dlsproj") as copy:
        assert {item.path for item in copy.items()} == {folder / "sub/a.jpg", tmp_path / "b.jpg"}
        assert (copy.load_map(inside.id)[0] == full(1)).all()
        assert copy.load_map(outside.id) is None
        assert copy.add([folder / "sub/a.jpg"]) == [copy.item(inside.id)]


def test_what_a_killed_program_left_is_removed_in_time(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    left, journal = folder / ".deeplab-studio-0123456789abcdef.dlsproj", folder / ".deeplab-studio-01.dlsproj-journal"
    for path in (left, journal):
        path.write_bytes(b"half a project")
    save(folder, {"a.jpg": 1})
    assert left.exists()  # perhaps another program is writing it
    monkeypatch.setattr("deeplab_studio.core.project_file._STALE_S", -1)
    save(folder, {"a.jpg": 2})
    assert [entry.name for entry in folder.iterdir()] == [PROJECT_NAME]
