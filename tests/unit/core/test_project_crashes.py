"""The project file after a killed process, a full disk, damage, and releases that change it."""

from __future__ import annotations

import random
import signal
import sqlite3
import subprocess
import sys
import textwrap
import threading
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from deeplab_studio.core import project_schema
from deeplab_studio.core.errors import StudioError
from deeplab_studio.core.project import PROJECT_NAME, Project
from deeplab_studio.core.project_file import WriterLock, backup_path

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="needs signals and limits of POSIX")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "photos"
    path.mkdir()
    return path


def class_map() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.integers(0, 21, (30, 41), dtype=np.uint8), rng.random((30, 41)) < 0.3


def child(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), str(folder)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


_SAVES = """
    import sys
    from pathlib import Path
    import numpy as np
    from deeplab_studio.core.project import Project
    folder = Path(sys.argv[1])
    project = Project.for_folder(folder)
    entries = project.add([folder / f"{n}.jpg" for n in range(5)])
    for number in range(1, 100_000):
        rng = np.random.default_rng(number)
        labels = rng.integers(0, 21, (97, 103), dtype=np.uint8)
        project.save_map(entries[number % 5].id, labels, labels > 10, state="in progress")
        print(number, flush=True)
"""


@POSIX
@pytest.mark.parametrize("seed", range(6))
def test_a_killed_process_loses_nothing_it_had_saved(folder: Path, seed: int) -> None:
    rng = random.Random(seed)
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(_SAVES), str(folder)], stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        for _ in range(rng.randint(1, 40)):
            last = int(process.stdout.readline())
        threading.Event().wait(rng.random() * 0.01)
        process.send_signal(signal.SIGKILL)
        last = max([last, *map(int, process.stdout.read().split())])
    with Project.for_folder(folder) as project:
        assert not project.read_only
        assert len(project.items()) == 5
        for entry in project.items():
            # The last save of this item that was reported, or the one that was under way.
            reported = max((n for n in range(1, last + 1) if n % 5 == int(entry.path.stem)), default=None)
            saved = project.load_map(entry.id)
            if reported is None:
                continue
            assert saved is not None
            candidates = [
                np.random.default_rng(n).integers(0, 21, (97, 103), dtype=np.uint8) for n in (reported, last + 1)
            ]
            assert any(np.array_equal(saved[0], labels) for labels in candidates)
            np.testing.assert_array_equal(saved[1], saved[0] > 10)


def test_a_log_cut_off_anywhere_opens_with_the_saves_before_the_cut(folder: Path, tmp_path: Path) -> None:
    with Project.for_folder(folder) as project:
        (entry,) = project.add([folder / "a.jpg"])
        sizes = []
        for number in range(12):
            project.save_map(entry.id, np.full((50, 60), number, np.uint8), None)
            sizes.append((folder / f"{PROJECT_NAME}-wal").stat().st_size)
        base = (folder / PROJECT_NAME).read_bytes()
        log = (folder / f"{PROJECT_NAME}-wal").read_bytes()
    rng = random.Random(0)
    for cut in [0, 10, *(rng.randrange(len(log)) for _ in range(20)), len(log)]:
        copy = tmp_path / f"cut{cut}"
        copy.mkdir()
        (copy / PROJECT_NAME).write_bytes(base)
        (copy / f"{PROJECT_NAME}-wal").write_bytes(log[:cut])
        whole = [number for number, size in enumerate(sizes) if size <= cut]
        with Project.for_folder(copy) as project:
            saved = project.load_map(entry.id)
        if not whole:
            assert saved is None
        else:
            assert saved is not None
            assert (saved[0] == whole[-1]).all()


@POSIX
def test_a_full_disk_is_told_keeps_the_last_save_and_goes_on_afterwards(folder: Path) -> None:
    code = """
        import resource, sys
        from pathlib import Path
        import numpy as np
        from deeplab_studio.core.errors import StudioError
        from deeplab_studio.core.project import Project
        folder = Path(sys.argv[1])
        project = Project.for_folder(folder)
        entry, = project.add([folder / "a.jpg"])
        project.save_map(entry.id, np.full((9, 9), 1, np.uint8), None)
        rng = np.random.default_rng(0)
        large = rng.integers(0, 255, (700, 700), dtype=np.uint8)
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
        for _ in range(3):
            try:
                project.save_map(entry.id, large, None)
            except StudioError as error:
                print(error)
            saved = project.load_map(entry.id)
            assert saved[0].shape == (9, 9), saved[0].shape
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        project.save_map(entry.id, large, None)
        assert (project.load_map(entry.id)[0] == large).all()
        project.close()
    """
    done = child(code, folder)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == 3
    assert all(line.startswith(f"{PROJECT_NAME}: ") and "disk" in line for line in lines)


@POSIX
def test_a_disk_that_is_full_from_the_start_leaves_no_half_project(folder: Path) -> None:
    code = """
        import resource, sys
        from pathlib import Path
        from deeplab_studio.core.errors import StudioError
        from deeplab_studio.core.project import Project
        folder = Path(sys.argv[1])
        with Project.for_folder(folder) as project:
            entry, = project.add([folder / "a.jpg"])
            resource.setrlimit(resource.RLIMIT_FSIZE, (5_000, resource.RLIM_INFINITY))
            try:
                project.set_state(entry.id, "done")
            except StudioError as error:
                print(error)
            assert not project.is_on_disk and list(folder.iterdir()) == []
            resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            project.set_state(entry.id, "done")
            assert project.item(entry.id).state == "done"
    """
    done = child(code, folder)
    assert done.returncode == 0, done.stderr
    assert "disk" in done.stdout
    assert [path.name for path in folder.iterdir()] == [PROJECT_NAME]


def test_a_damaged_map_is_named_and_the_others_are_not_affected(folder: Path) -> None:
    with Project.for_folder(folder) as project:
        entries = project.add([folder / "a.jpg", folder / "b.jpg"])
        for entry in entries:
            project.save_map(entry.id, *class_map())
    with sqlite3.connect(folder / PROJECT_NAME) as connection:
        (blob,) = connection.execute("SELECT labels FROM maps WHERE item_id = 1").fetchone()
        connection.execute("UPDATE maps SET labels = ? WHERE item_id = 1", (blob[:-9] + bytes(9),))
    connection.close()
    with Project.for_folder(folder) as project:
        with pytest.raises(StudioError, match=r"a\.jpg: its saved class map is damaged"):
            project.load_map(1)
        assert project.load_map(2) is not None
        project.save_map(1, *class_map())
        assert project.load_map(1) is not None


def _foreign_database(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE items (id, key)")
    connection.close()


def _newer(path: Path) -> None:
    with Project.open(path) as project:
        project.set_state(project.add([Path("/a.jpg")])[0].id, "done")
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA user_version = {project_schema.LATEST + 1}")
    connection.close()


def _truncated(path: Path) -> None:
    with Project.open(path) as project:
        project.set_state(project.add([Path("/a.jpg")])[0].id, "done")
    path.write_bytes(path.read_bytes()[:5000])


def _damaged_classes(path: Path) -> None:
    with Project.open(path) as project:
        project.set_state(project.add([Path("/a.jpg")])[0].id, "done")
    with sqlite3.connect(path) as connection:
        connection.execute("DELETE FROM classes WHERE id = 3")
    connection.close()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: path.write_text("a shopping list, long enough to be looked at" * 50), "not a DeepLab Studio"),
        (lambda path: path.write_bytes(b""), "not a DeepLab Studio"),
        (_foreign_database, "not a DeepLab Studio"),
        (_newer, "newer DeepLab Studio"),
        (_truncated, "damaged"),
        (_damaged_classes, "label set is damaged"),
    ],
)
def test_what_is_no_project_of_ours_is_refused_and_left_as_it_is(folder: Path, make, words: str) -> None:
    path = folder / PROJECT_NAME
    make(path)
    before = path.read_bytes()
    with pytest.raises(StudioError, match=words) as caught:
        Project.for_folder(folder)
    assert str(caught.value).startswith(f"{PROJECT_NAME}: ")
    assert caught.value.hint
    assert path.read_bytes() == before
    assert [entry.name for entry in folder.iterdir()] == [PROJECT_NAME]


def test_an_older_file_is_brought_up_to_date(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Project.for_folder(folder) as project:
        project.set_state(project.add([folder / "a.jpg"])[0].id, "done")
    steps = (*project_schema.MIGRATIONS, ("ALTER TABLE items ADD COLUMN note TEXT",))
    monkeypatch.setattr(project_schema, "MIGRATIONS", steps)
    monkeypatch.setattr(project_schema, "LATEST", len(steps))
    monkeypatch.setattr("deeplab_studio.core.project_file.LATEST", len(steps))
    with Project.for_folder(folder) as project:
        assert [item.state for item in project.items()] == ["done"]
        assert project._connection.execute("SELECT note FROM items").fetchall() == [(None,)]


def test_a_migration_that_fails_changes_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Project.for_folder(folder) as project:
        project.set_state(project.add([folder / "a.jpg"])[0].id, "done")
    steps = (*project_schema.MIGRATIONS, ("ALTER TABLE items ADD COLUMN note TEXT", "SELECT nonsense"))
    with monkeypatch.context() as patch:
        patch.setattr(project_schema, "MIGRATIONS", steps)
        patch.setattr(project_schema, "LATEST", len(steps))
        patch.setattr("deeplab_studio.core.project_file.LATEST", len(steps))
        with pytest.raises(StudioError, match="nonsense"):
            Project.for_folder(folder)
    with Project.for_folder(folder) as project:
        columns = [row[1] for row in project._connection.execute("PRAGMA table_info(items)")]
        assert "note" not in columns
        assert not project.read_only


# What the program's first release wrote.
FIRST_FORMAT = project_schema.MIGRATIONS[:1]


@pytest.fixture
def first_format(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project as the first release left it."""
    with monkeypatch.context() as patch:
        patch.setattr(project_schema, "MIGRATIONS", FIRST_FORMAT)
        patch.setattr(project_schema, "LATEST", 1)
        patch.setattr("deeplab_studio.core.project_file.LATEST", 1)
        patch.setattr("deeplab_studio.core.project.write_figures", lambda *_: None)
        patch.setattr("deeplab_studio.core.project.measure", lambda *_: None)
        with Project.for_folder(folder) as project:
            (entry,) = project.add([folder / "a.jpg"])
            project.save_map(entry.id, np.full((4, 6), 3, np.uint8), None, state="done")
    return folder / PROJECT_NAME


def test_a_copy_is_kept_of_a_project_that_is_brought_up_to_date(first_format: Path) -> None:
    with Project.for_folder(first_format.parent) as project:
        assert project_schema.schema_version(project._connection) == project_schema.LATEST
        assert project.figures.uncounted() == [project.items()[0].id]
        backup = backup_path(first_format, 1)
        assert backup.name in project.notice
    with closing(sqlite3.connect(backup)) as copy:
        assert project_schema.schema_version(copy) == 1
        assert copy.execute("SELECT state FROM items").fetchall() == [("done",)]
    with Project.for_folder(first_format.parent) as project:
        assert project.notice is None


def test_an_older_project_that_cannot_be_copied_is_left_as_it_is(
    first_format: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backup_path(first_format, 1).mkdir()
    before = first_format.read_bytes()
    with pytest.raises(StudioError, match="cannot be copied before it is brought up to date") as caught:
        Project.for_folder(first_format.parent)
    assert caught.value.path == first_format
    assert first_format.read_bytes() == before


def test_an_older_project_can_be_looked_at_while_another_window_has_it(first_format: Path) -> None:
    lock = WriterLock.acquire(first_format)
    assert lock is not None
    try:
        with Project.for_folder(first_format.parent) as project:
            (entry,) = project.items()
            assert project.read_only
            assert project.figures.all() == {}
            assert project.figures.of(entry.id).pixels == {}
            assert project.load_map(entry.id) is not None
    finally:
        lock.release()
    with closing(sqlite3.connect(first_format)) as untouched:
        assert project_schema.schema_version(untouched) == 1
