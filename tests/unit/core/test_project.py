"""The project file: what was saved is there, whatever happens."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from deeplab_studio.core import project_schema
from deeplab_studio.core.errors import StudioError
from deeplab_studio.core.labels import VOC_LABELS, LabelClass, LabelSet
from deeplab_studio.core.project import PROJECT_NAME, STATES, Project

PETS = LabelSet((LabelClass("background", (0, 0, 0)), LabelClass("고양이", (200, 10, 10))), "Pets")
POSIX = pytest.mark.skipif(sys.platform == "win32", reason="needs signals, limits and permissions of POSIX")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "photos"
    path.mkdir()
    return path


@pytest.fixture
def project(folder: Path) -> Iterator[Project]:
    with Project.for_folder(folder, label_set=PETS) as opened:
        yield opened


def class_map(seed: int = 0, shape: tuple[int, int] = (30, 41)) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.integers(0, 21, shape, dtype=np.uint8), rng.random(shape) < 0.3


def child(code: str, *arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        **options,
    )


# --- Items ----------------------------------------------------------------------------------------------------------


def test_items_keep_their_id_and_come_in_natural_order(project: Project, folder: Path) -> None:
    added = project.add([folder / name for name in ("b10.jpg", "b9.jpg", "sub/a.png")])
    assert [entry.key for entry in added] == ["b10.jpg", "b9.jpg", "sub/a.png"]
    assert [entry.key for entry in project.items()] == ["b9.jpg", "b10.jpg", "sub/a.png"]
    again = project.add([folder / "sub/a.png", folder / "new.jpg", folder / "b9.jpg", folder / "b9.jpg"])
    assert [again[0], again[2], again[3]] == [added[2], added[1], added[1]]
    assert len(project.items()) == 4
    assert project.item(added[0].id) == added[0]
    assert added[0].path == folder / "b10.jpg"
    assert added[0].state == "new"
    with pytest.raises(KeyError):
        project.item(999)


def test_photos_elsewhere_are_kept_by_their_whole_path(project: Project, tmp_path: Path) -> None:
    (entry,) = project.add([tmp_path / "other/x.jpg"])
    assert entry.key == (tmp_path / "other/x.jpg").as_posix()
    assert entry.path == tmp_path / "other/x.jpg"


@POSIX
def test_a_photo_reached_through_a_link_is_the_same_item(project: Project, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(folder)
    assert project.add([tmp_path / "link/a.jpg"]) == project.add([folder / "sub/../a.jpg"])


def test_a_moved_folder_takes_its_project_along(folder: Path, tmp_path: Path) -> None:
    labels, pinned = class_map()
    with Project.for_folder(folder) as project:
        (entry,) = project.add([folder / "sub/a.jpg"])
        project.save_map(entry.id, labels, pinned)
    folder.rename(tmp_path / "moved")
    with Project.for_folder(tmp_path / "moved") as project:
        (moved,) = project.items()
        assert moved.path == tmp_path / "moved/sub/a.jpg"
        assert project.load_map(moved.id) is not None


def test_names_for_export_are_unique_and_stay(project: Project, folder: Path, tmp_path: Path) -> None:
    paths = [folder / name for name in ("a.jpg", "a.png", "A.tif", "x/a.jpg", "JPEGImages/2007_000129.jpg")]
    names = [entry.name for entry in project.add([*paths, tmp_path / "elsewhere/a.jpg"])]
    assert len({name.casefold() for name in names}) == 6
    assert [names[0], names[3], names[4]] == ["a", "x__a", "2007_000129"]
    assert [entry.name for entry in project.add(paths)] == names[:5]


@POSIX
def test_names_that_are_no_text_survive(folder: Path) -> None:
    path = folder / os.fsdecode(b"caf\xe9.jpg")
    with Project.for_folder(folder) as project:
        (entry,) = project.add([path])
        project.set_state(entry.id, "done")
    with Project.for_folder(folder) as project:
        assert project.items() == project.add([path])
        assert project.items()[0].path == path


@pytest.mark.parametrize("count", [3, 300])
def test_adding_again_finds_what_is_there(project: Project, folder: Path, count: int) -> None:
    paths = [folder / f"{number} 사진.jpg" for number in range(count)]
    first = project.add(paths)
    assert project.add(paths) == first
    assert len({entry.id for entry in first}) == count


# --- What is saved --------------------------------------------------------------------------------------------------


def test_everything_is_there_after_opening_again(folder: Path) -> None:
    labels, pinned = class_map()
    with Project.for_folder(folder, label_set=PETS) as project:
        first, second = project.add([folder / "a.jpg", folder / "b.jpg"])
        project.save_map(first.id, labels, pinned, state="in progress")
        project.set_crf(first.id, {"iterations": 5, "on": True})
        project.set_model(first.id, "deeplabv3-x")
        project.save_setting("zoom", {"scale": 1.5})
        project.set_state(second.id, "empty")
    with Project.for_folder(folder, label_set=VOC_LABELS) as project:
        assert project.label_set == PETS
        assert [entry.state for entry in project.items()] == ["in progress", "empty"]
        saved = project.load_map(first.id)
        assert saved is not None
        np.testing.assert_array_equal(saved[0], labels)
        np.testing.assert_array_equal(saved[1], pinned)
        assert (saved[0].dtype, saved[1].dtype) == (np.uint8, np.bool_)
        assert project.load_map(second.id) is None
        assert project.items_with_maps() == {first.id}
        assert project.crf(first.id) == {"iterations": 5, "on": True}
        assert project.crf(second.id) is None
        assert (project.model(first.id), project.model(second.id)) == ("deeplabv3-x", None)
        assert project.setting("zoom") == {"scale": 1.5}
        assert project.setting("none") is None


@given(
    labels=hnp.arrays(np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, max_side=30)),
    pins=st.sampled_from(["none", "some", "all", "left out"]),
)
def test_any_map_comes_back_bit_for_bit(
    tmp_path_factory: pytest.TempPathFactory, labels: np.ndarray, pins: str
) -> None:
    pinned = {"none": labels < 0, "some": labels % 3 == 0, "all": labels >= 0, "left out": None}[pins]
    with Project.open(tmp_path_factory.mktemp("p") / "x.dlsproj") as project:
        (entry,) = project.add([Path("/a.jpg")])
        project.save_map(entry.id, labels, pinned)
        saved = project.load_map(entry.id)
        assert saved is not None
        np.testing.assert_array_equal(saved[0], labels)
        np.testing.assert_array_equal(saved[1], np.zeros_like(labels, bool) if pinned is None else pinned)
        saved[0][:] = 1  # may be written to
        saved[1][:] = True


def test_a_later_map_replaces_the_earlier_and_a_view_is_saved_as_seen(project: Project, folder: Path) -> None:
    (entry,) = project.add([folder / "a.jpg"])
    labels, pinned = class_map()
    project.save_map(entry.id, labels, pinned)
    project.save_map(entry.id, labels.T[::2], None)
    saved = project.load_map(entry.id)
    assert saved is not None
    np.testing.assert_array_equal(saved[0], labels.T[::2])
    assert not saved[1].any()


def test_maps_and_states_that_make_no_sense_are_refused(project: Project, folder: Path) -> None:
    (entry,) = project.add([folder / "a.jpg"])
    labels, pinned = class_map()
    for bad in (labels.astype(np.int64), labels[0], labels[:0]):
        with pytest.raises(ValueError, match="class map"):
            project.save_map(entry.id, bad, None)
    with pytest.raises(ValueError, match="pins"):
        project.save_map(entry.id, labels, pinned[:-1])
    with pytest.raises(ValueError, match="state"):
        project.save_map(entry.id, labels, None, state="finished")
    with pytest.raises(ValueError, match="state"):
        project.set_state(entry.id, "finished")
    with pytest.raises(KeyError):
        project.save_map(77, labels, None)
    assert not project.is_on_disk
    with pytest.raises(KeyError):
        project.set_state(77, "done")
    for state in STATES:
        project.set_state(entry.id, state)
        assert project.item(entry.id).state == state


def test_a_changed_photo_is_noticed(project: Project, folder: Path) -> None:
    path = folder / "a.jpg"
    path.write_bytes(b"one")
    (entry,) = project.add([path])
    assert not project.photo_changed(entry.id)
    project.save_map(entry.id, *class_map())
    assert not project.photo_changed(entry.id)
    path.write_bytes(b"another")
    assert project.photo_changed(entry.id)
    path.unlink()
    assert not project.photo_changed(entry.id)


def test_label_sets_are_saved(project: Project, folder: Path) -> None:
    project.label_set = VOC_LABELS
    assert project.label_set == VOC_LABELS
    project.close()
    with Project.for_folder(folder) as again:
        assert again.label_set == VOC_LABELS


def test_threads_share_a_project(project: Project, folder: Path) -> None:
    entries = project.add([folder / f"{n}.jpg" for n in range(8)])
    maps = [class_map(n) for n in range(8)]
    errors: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for _ in range(5):
                project.save_map(entries[number].id, *maps[number], state="done")
                project.items()
                assert project.load_map(entries[number].id) is not None
        except BaseException as error:
            errors.append(error)
            raise

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    for entry, (labels, _) in zip(entries, maps, strict=True):
        saved = project.load_map(entry.id)
        assert saved is not None
        np.testing.assert_array_equal(saved[0], labels)


# --- Where it is kept -----------------------------------------------------------------------------------------------


def test_looking_into_a_folder_leaves_nothing_behind(folder: Path, user_folders: Path) -> None:
    with Project.for_folder(folder) as project:
        project.add([folder / "a.jpg"])
        project.items()
        assert not project.is_on_disk
        assert project.path == folder / PROJECT_NAME
        assert project.notice is None
    with Project.scratch() as project:
        project.add([folder / "a.jpg"])
    assert list(folder.iterdir()) == []
    assert [path for path in user_folders.rglob("*") if path.is_file()] == []


def test_the_first_save_makes_the_file_and_closing_leaves_it_alone(project: Project, folder: Path) -> None:
    (entry,) = project.add([folder / "a.jpg"])
    project.set_state(entry.id, "done")
    assert project.is_on_disk
    project.close()
    project.close()
    assert [path.name for path in folder.iterdir()] == [PROJECT_NAME]
    with pytest.raises(RuntimeError, match="closed"):
        project.items()


def test_the_file_says_what_it_is_and_commits_are_durable(project: Project, folder: Path) -> None:
    (entry,) = project.add([folder / "a.jpg"])
    project.set_state(entry.id, "done")
    assert (folder / PROJECT_NAME).read_bytes()[68:72] == b"DLSP"  # SQLite's place for the application id
    connection = project._connection
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
    assert connection.execute("PRAGMA user_version").fetchone() == (project_schema.LATEST,)


def test_loose_images_are_remembered_and_two_windows_do_not_meet(folder: Path) -> None:
    with Project.scratch() as first:
        (entry,) = first.add([folder / "a.jpg"])
        first.save_map(entry.id, *class_map())
        assert not first.outside_folder
        with Project.scratch() as second:
            assert second.path != first.path
            assert not second.read_only
            second.set_state(second.add([folder / "b.jpg"])[0].id, "done")
    with Project.scratch() as project:
        assert [item.key for item in project.items()] == [(folder / "a.jpg").as_posix()]


def test_two_scratch_windows_that_both_begin_to_save_get_two_files(folder: Path) -> None:
    with Project.scratch() as first, Project.scratch() as second:
        for project in (first, second):
            project.set_state(project.add([folder / "a.jpg"])[0].id, "done")
        assert first.path != second.path


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(StudioError, match="gone: there is no such folder"):
        Project.for_folder(tmp_path / "gone")


@POSIX
def test_a_folder_that_cannot_be_looked_into_is_told(folder: Path, tmp_path: Path) -> None:
    _open_to_all(folder)
    (folder / "inside").mkdir()
    folder.chmod(0o000)
    code = (
        _AS_NOBODY
        + """
    try:
        Project.for_folder(folder)
    except StudioError as error:
        print(error)
    """
    )
    done = child(code, folder / "inside", tmp_path)
    folder.chmod(0o755)
    assert "permission is denied" in done.stdout or "no such folder" in done.stdout, done.stderr


_AS_NOBODY = """
    import os, sys, urllib.parse  # pathlib imports the last one late, when nobody may be unable to read this Python
    from pathlib import Path
    import numpy as np
    from deeplab_studio.core.errors import StudioError
    from deeplab_studio.core.project import Project
    folder = Path(sys.argv[1])
    os.environ["XDG_DATA_HOME"] = sys.argv[2]
    if os.geteuid() == 0:
        os.setuid(65534)
"""


def _open_to_all(path: Path) -> None:
    for parent in (path, *path.parents):
        if parent == Path(tempfile.gettempdir()):
            break
        if parent.owner() != "root" or os.geteuid() == 0:
            parent.chmod(parent.stat().st_mode | 0o055)


@POSIX
@pytest.mark.skipif(sys.platform == "darwin", reason="the user's folder is set by XDG_DATA_HOME here")
def test_a_folder_that_cannot_be_written_gets_its_project_elsewhere(folder: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    elsewhere.chmod(0o777)
    _open_to_all(folder)
    folder.chmod(0o555)
    code = (
        _AS_NOBODY
        + """
    with Project.for_folder(folder) as project:
        entry, = project.add([folder / "a.jpg"])
        assert not project.outside_folder
        project.save_map(entry.id, np.ones((2, 3), np.uint8), None)
        print(project.notice)
        assert project.outside_folder and not project.read_only
    with Project.for_folder(folder) as project:
        assert project.outside_folder and project.load_map(project.items()[0].id) is not None
        print(project.path)
    """
    )
    done = child(code, folder, elsewhere)
    assert done.returncode == 0, done.stderr
    notice, path = done.stdout.splitlines()
    assert notice.startswith(f"{folder} cannot be written, so the work is kept in {elsewhere}")
    assert Path(path).is_relative_to(elsewhere)
    assert list(folder.iterdir()) == []


@POSIX
@pytest.mark.parametrize("unclean", [False, True])
def test_a_project_in_a_folder_that_cannot_be_written_can_be_looked_at(
    folder: Path, tmp_path: Path, unclean: bool
) -> None:
    project = Project.for_folder(folder)
    (entry,) = project.add([folder / "a.jpg"])
    project.save_map(entry.id, *class_map())
    sealed = tmp_path / "sealed"
    sealed.mkdir()
    if not unclean:
        project.close()
    for path in folder.iterdir():
        if not path.name.endswith(("-shm", "-lock")):
            shutil.copyfile(path, sealed / path.name)
            (sealed / path.name).chmod(0o444)
    project.close()
    _open_to_all(sealed)
    sealed.chmod(0o555)
    code = (
        _AS_NOBODY
        + """
    with Project.for_folder(folder) as project:
        print(project.notice)
        assert project.read_only and len(project.items()) == 1
        assert project.load_map(1) is not None
        guest, = project.add([folder / "b.jpg"])
        assert len(project.items()) == 2 and project.item(guest.id) == guest and project.load_map(guest.id) is None
        try:
            project.set_state(1, "done")
        except StudioError as error:
            print(error)
    """
    )
    done = child(code, sealed, tmp_path)
    assert done.returncode == 0, done.stderr
    notice, refusal = done.stdout.splitlines()
    assert "open for reading only: its folder cannot be written" in notice
    assert "nothing can be saved here" in refusal


# --- Two windows ----------------------------------------------------------------------------------------------------


def test_a_second_window_reads_and_says_so(project: Project, folder: Path) -> None:
    entry, other = project.add([folder / "a.jpg", folder / "b.jpg"])
    project.save_map(entry.id, *class_map())
    with Project.for_folder(folder) as second:
        assert second.read_only
        assert second.notice is not None
        assert "another window" in second.notice
        for save in (
            lambda: second.save_map(entry.id, *class_map(1)),
            lambda: second.set_state(entry.id, "done"),
            lambda: setattr(second, "label_set", VOC_LABELS),
        ):
            with pytest.raises(StudioError, match="another window"):
                save()
        project.set_state(other.id, "done")
        assert [item.state for item in second.items()] == ["new", "done"]
        (guest,) = second.add([folder / "c.jpg"])
        assert guest.id not in (entry.id, other.id)
        assert guest in second.items()
    project.set_state(entry.id, "done")
    project.close()
    with Project.for_folder(folder) as third:
        assert not third.read_only
        assert len(third.items()) == 2


def test_a_window_of_another_process_is_noticed_and_its_death_too(folder: Path) -> None:
    code = """
        import sys
        from pathlib import Path
        from deeplab_studio.core.project import Project
        project = Project.for_folder(Path(sys.argv[1]))
        project.set_state(project.add([Path(sys.argv[1]) / "a.jpg"])[0].id, "done")
        print("saved", flush=True)
        sys.stdin.read()
    """
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == b"saved"
        with Project.for_folder(folder) as project:
            assert project.read_only
            assert [item.state for item in project.items()] == ["done"]
        process.kill()
        process.wait()
        with Project.for_folder(folder) as project:
            assert not project.read_only
            project.set_state(project.items()[0].id, "reviewed")
    assert [path.name for path in folder.iterdir()] == [PROJECT_NAME]


def test_of_two_windows_that_begin_together_the_later_to_save_is_told(folder: Path) -> None:
    with Project.for_folder(folder) as first, Project.for_folder(folder) as second:
        (entry,) = first.add([folder / "a.jpg"])
        second.add([folder / "b.jpg"])
        first.set_state(entry.id, "done")
        with pytest.raises(StudioError, match="another window has begun to save here"):
            second.set_state(1, "done")
        assert [item.key for item in first.items()] == ["a.jpg"]
