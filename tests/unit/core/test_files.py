from __future__ import annotations

import errno
import os
import signal
import stat
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deeplab_studio.core.cancel import Cancelled, CancelToken
from deeplab_studio.core.errors import StudioError
from deeplab_studio.core.files import atomic_write, explain_os_error, find_images, natural_key

REPOSITORY = Path(__file__).parents[3]
JPEG_HEAD = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00"

posix_only = pytest.mark.skipif(os.name != "posix", reason="about the permissions and links of POSIX systems")


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


# --- atomic_write ---------------------------------------------------------------------------------------------------


def test_a_new_file_appears_whole(tmp_path: Path) -> None:
    target = tmp_path / "mask.png"
    with atomic_write(target) as temporary:
        temporary.write_bytes(b"whole")
        assert not target.exists()
        assert temporary.parent == tmp_path
        assert temporary.suffix == ".png"
    assert target.read_bytes() == b"whole"
    assert names_in(tmp_path) == {"mask.png"}


def test_the_bytes_can_be_checked_before_they_count(tmp_path: Path) -> None:
    with atomic_write(tmp_path / "a") as temporary:
        temporary.write_bytes(b"right")
        assert temporary.read_bytes() == b"right"
        assert names_in(tmp_path) == {temporary.name}
    assert names_in(tmp_path) == {"a"}


@pytest.mark.parametrize("failure", [RuntimeError("bug"), Cancelled(), KeyboardInterrupt(), OSError("no number")])
def test_a_failure_in_the_block_leaves_the_old_file_and_nothing_else(tmp_path: Path, failure: BaseException) -> None:
    target = tmp_path / "a.txt"
    target.write_text("old")

    def write() -> None:
        with atomic_write(target) as temporary:
            temporary.write_text("half of the ne")
            raise failure

    with pytest.raises(type(failure)) as caught:
        write()
    assert caught.value is failure
    assert target.read_text() == "old"
    assert names_in(tmp_path) == {"a.txt"}


def test_an_error_about_another_file_is_not_blamed_on_the_target(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), atomic_write(tmp_path / "a") as temporary:
        temporary.write_bytes((tmp_path / "source").read_bytes())
    assert names_in(tmp_path) == set()


def test_two_writers_do_not_meet(tmp_path: Path) -> None:
    target = tmp_path / "a"
    with atomic_write(target) as first, atomic_write(target) as second:
        assert first != second
        first.write_text("first")
        second.write_text("second")
    assert target.read_text() == "first"
    assert names_in(tmp_path) == {"a"}


@posix_only
def test_permissions_are_kept_and_new_files_get_the_usual_ones(tmp_path: Path) -> None:
    target, new, plain = tmp_path / "old", tmp_path / "new", tmp_path / "plain"
    target.write_text("old")
    target.chmod(0o640)
    plain.touch()
    for path in (target, new):
        with atomic_write(path) as temporary:
            temporary.write_text("new")
    assert stat.S_IMODE(target.stat().st_mode) == 0o640
    assert new.stat().st_mode == plain.stat().st_mode


@posix_only
def test_a_link_is_replaced_and_the_original_behind_it_untouched(tmp_path: Path) -> None:
    original, link = tmp_path / "original.jpg", tmp_path / "export.jpg"
    original.write_text("a person's photo")
    link.symlink_to(original)
    with atomic_write(link) as temporary:
        temporary.write_text("export")
    assert original.read_text() == "a person's photo"
    assert not link.is_symlink()
    assert link.read_text() == "export"


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    target = tmp_path / "gone" / "mask.png"
    with pytest.raises(StudioError, match="that folder does not exist") as caught, atomic_write(target):
        pytest.fail("the block must not run")
    assert caught.value.path == target
    assert str(target.parent) in str(caught.value)


def test_a_folder_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "mask.png").mkdir()
    with pytest.raises(StudioError, match="a folder of that name is in the way"), atomic_write(tmp_path / "mask.png"):
        pytest.fail("the block must not run")
    assert names_in(tmp_path) == {"mask.png"}


def test_a_file_where_a_folder_should_be_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StudioError), atomic_write(tmp_path / "file" / "mask.png"):
        pytest.fail("the block must not run")


@posix_only
def test_the_longest_possible_name_can_be_written_and_a_longer_one_is_refused(tmp_path: Path) -> None:
    longest = tmp_path / ("x" * 251 + ".png")
    with atomic_write(longest) as temporary:
        temporary.write_text("a")
    assert longest.read_text() == "a"
    with pytest.raises(StudioError, match="the name is too long") as caught, atomic_write(tmp_path / ("y" * 256)) as t:
        t.write_text("b")
    assert caught.value.path == tmp_path / ("y" * 256)
    assert names_in(tmp_path) == {longest.name}


@pytest.fixture
def small_drive(tmp_path: Path) -> Iterator[Path]:
    """A drive of 64 KiB."""
    drive = tmp_path / "drive"
    drive.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(drive)]
    try:
        mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        mounted = False
    if not mounted:
        pytest.skip("mounting a small drive needs root")
    yield drive
    subprocess.run(["umount", str(drive)], check=True)


def test_a_full_disk_leaves_the_old_file_and_says_so(small_drive: Path) -> None:
    target = small_drive / "mask.png"
    with atomic_write(target) as temporary:
        temporary.write_bytes(b"old")
    with pytest.raises(StudioError, match="the disk is full") as caught, atomic_write(target) as temporary:
        temporary.write_bytes(bytes(100_000))
    assert caught.value.path == target
    assert str(small_drive) in str(caught.value)
    assert caught.value.hint
    assert target.read_bytes() == b"old"
    assert names_in(small_drive) == {"mask.png"}
    with atomic_write(target) as temporary:
        temporary.write_bytes(bytes(10_000))
    assert target.stat().st_size == 10_000


def test_a_read_only_drive_says_so(small_drive: Path) -> None:
    target = small_drive / "mask.png"
    target.write_bytes(b"old")
    subprocess.run(["mount", "-o", "remount,ro", str(small_drive)], check=True)
    with pytest.raises(StudioError, match="the drive is read-only") as caught, atomic_write(target):
        pytest.fail("the block must not run")
    assert caught.value.path == target
    assert target.read_bytes() == b"old"
    assert names_in(small_drive) == {"mask.png"}


@posix_only
@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_says_so(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(StudioError, match="permission is denied"), atomic_write(tmp_path / "a"):
        pytest.fail("the block must not run")
    tmp_path.chmod(0o700)
    assert names_in(tmp_path) == set()


@posix_only
def test_a_file_that_may_not_grow_further_is_told_with_its_path(tmp_path: Path) -> None:
    code = """
        import resource, signal, sys
        from pathlib import Path
        from deeplab_studio.core.errors import StudioError
        from deeplab_studio.core.files import atomic_write
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
        target = Path(sys.argv[1])
        try:
            with atomic_write(target) as temporary:
                temporary.write_bytes(bytes(50_000))
        except StudioError as error:
            assert error.path == target
            print(error)
    """
    target = tmp_path / "mask.png"
    target.write_bytes(b"old")
    command = [sys.executable, "-c", textwrap.dedent(code), str(target)]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    printed = subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout
    assert printed.startswith("mask.png: it could not be saved in ")
    assert str(tmp_path) in printed
    assert target.read_bytes() == b"old"
    assert names_in(tmp_path) == {"mask.png"}


@posix_only
def test_being_killed_leaves_the_old_file(tmp_path: Path) -> None:
    code = """
        import sys, time
        from deeplab_studio.core.files import atomic_write
        with atomic_write(sys.argv[1]) as temporary:
            temporary.write_bytes(b"half")
            print("ready", flush=True)
            time.sleep(60)
    """
    target = tmp_path / "a"
    target.write_bytes(b"old")
    command = [sys.executable, "-c", textwrap.dedent(code), str(target)]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGKILL)
    assert target.read_bytes() == b"old"
    assert find_images(tmp_path).images == []


def test_every_system_error_has_a_reason_and_a_next_step() -> None:
    for number in (errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EDQUOT, errno.ENAMETOOLONG, errno.EIO, errno.EPIPE):
        reason, hint = explain_os_error(OSError(number, os.strerror(number)))
        assert reason
        assert hint.endswith(".")
    assert "strange" in explain_os_error(OSError("strange"))[0]


# --- natural_key ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "ordered",
    [
        ["img1", "img2", "IMG10", "img20"],
        ["a", "a1", "a1b", "a2", "a10", "b"],
        ["2 x", "10 x", "x"],
        ["IMG_0009.jpg", "IMG_10.jpg", "IMG_0011.jpg"],
        ["scene1_2", "scene1_10", "scene2_1"],
        ["Z", "ä", "Ärger", "ö"],
        ["1" * 5000, "2" * 5000, "1" * 5001],
    ],
)
def test_numbers_count_as_numbers_and_case_does_not_count(ordered: list[str]) -> None:
    backwards = ordered[::-1]
    assert sorted(backwards, key=natural_key) == ordered


@given(st.text(), st.text())
def test_different_names_have_different_keys(first: str, second: str) -> None:
    assert (natural_key(first) == natural_key(second)) == (first == second)


@given(st.text(alphabet="abcXYZ _-.", max_size=8), st.integers(0, 10**30), st.integers(0, 10**30))
def test_any_two_numbers_in_the_same_place_sort_by_size(text: str, first: int, second: int) -> None:
    keys = natural_key(f"{text}{first}{text or 'x'}"), natural_key(f"{text}{second}{text or 'x'}")
    assert (keys[0] < keys[1]) == (first < second)


# --- find_images ----------------------------------------------------------------------------------------------------


def make(folder: Path, *names: str) -> list[Path]:
    paths = [folder / name for name in names]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(JPEG_HEAD)
    return paths


def test_a_folder_is_searched_with_everything_below_in_natural_order(tmp_path: Path) -> None:
    make(tmp_path, "b10.jpg", "b9.PNG", "sub 10/a.tif", "sub 2/z.webp", "sub 2/deeper/still/c.gif", "notes.txt", "x")
    found = find_images([tmp_path])
    expected = ["b9.PNG", "b10.jpg", "sub 2/z.webp", "sub 2/deeper/still/c.gif", "sub 10/a.tif"]
    assert [path.relative_to(tmp_path).as_posix() for path in found.images] == expected
    assert found.problems == []


def test_files_folders_and_what_is_missing_can_be_mixed(tmp_path: Path) -> None:
    single, inside = make(tmp_path, "single.jpg", "folder/inside.jpg")
    found = find_images([tmp_path / "gone.jpg", inside.parent, single, inside])
    assert found.images == [single, inside]
    assert [problem.path for problem in found.problems] == [tmp_path / "gone.jpg"]
    assert "no longer there" in str(found.problems[0])


def test_one_path_may_be_given_alone_and_as_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (image,) = make(tmp_path, "a.jpg")
    assert find_images(image).images == [image]
    assert find_images(str(tmp_path)).images == [image]
    monkeypatch.chdir(tmp_path)
    found = find_images(["a.jpg", "./a.jpg", ".", tmp_path])
    assert found.images == [image]
    assert found.problems == []


def test_hidden_files_and_folders_are_left_out_unless_named(tmp_path: Path) -> None:
    shown, hidden, inside = make(tmp_path, "a.jpg", ".hidden.jpg", ".folder/b.jpg")
    make(tmp_path, "._a.jpg")
    assert find_images(tmp_path).images == [shown]
    assert find_images([hidden, inside.parent]).images == [hidden, inside]


def test_a_named_file_is_told_by_its_content(tmp_path: Path) -> None:
    no_suffix, odd_suffix = make(tmp_path, "IMG_0001", "photo.backup")
    text, page = tmp_path / "notes.txt", tmp_path / "page"
    text.write_text("shopping list")
    page.write_text("<html>not found</html>")
    found = find_images([no_suffix, odd_suffix, text, page])
    assert found.images == [no_suffix, odd_suffix]
    assert {problem.path: problem.reason for problem in found.problems} == {
        text: "the file holds text, not an image",
        page: "this is a web page, not an image",
    }


def test_an_empty_folder_is_a_problem_only_if_it_was_named(tmp_path: Path) -> None:
    empty = tmp_path / "outer" / "empty"
    empty.mkdir(parents=True)
    make(tmp_path, "outer/full/a.jpg")
    assert find_images(tmp_path / "outer").problems == []
    found = find_images([empty, tmp_path / "outer"])
    assert [(problem.path, problem.reason) for problem in found.problems] == [
        (empty, "no image was found in this folder")
    ]
    assert len(found.images) == 1


def test_names_of_every_kind_are_found(tmp_path: Path) -> None:
    names = ["Größe.jpg", "写真.png", "a b (1).JPEG", "x" * 251 + ".png", "new\nline.bmp", "😀/😀.gif"]
    if sys.platform.startswith("linux"):
        names.append(os.fsdecode(b"not \xff utf-8.tif"))
    paths = make(tmp_path, *names)
    assert set(find_images(tmp_path).images) == set(paths)


@posix_only
def test_links_that_lead_in_a_circle_end(tmp_path: Path) -> None:
    (image,) = make(tmp_path, "a/b/image.jpg")
    (tmp_path / "a" / "b" / "up").symlink_to(tmp_path / "a")
    for name in ("self", "self.jpg"):
        (tmp_path / "a" / "b" / name).symlink_to(tmp_path / "a" / "b" / name)
    found = find_images(tmp_path / "a")
    assert found.images == [image]
    assert ["lead in a circle" in str(problem) for problem in found.problems] == [True]


@posix_only
def test_what_is_reached_twice_counts_once_and_directly(tmp_path: Path) -> None:
    (image,) = make(tmp_path, "z/image.jpg")
    (tmp_path / "a link to z").symlink_to(tmp_path / "z")
    (tmp_path / "a link.jpg").symlink_to(image)
    assert find_images(tmp_path).images == [image]
    assert find_images([image, tmp_path, tmp_path / "z"]).images == [image]


@posix_only
def test_a_link_out_of_the_folder_is_followed(tmp_path: Path) -> None:
    make(tmp_path, "outside/image.jpg")
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "folder").symlink_to(tmp_path / "outside")
    assert find_images(inside).images == [inside / "folder" / "image.jpg"]


@posix_only
def test_a_broken_link_is_a_problem_and_the_rest_opens(tmp_path: Path) -> None:
    (image,) = make(tmp_path, "a.jpg")
    (tmp_path / "broken.jpg").symlink_to(tmp_path / "gone.jpg")
    found = find_images(tmp_path)
    assert found.images == [image]
    assert [problem.path for problem in found.problems] == [tmp_path / "broken.jpg"]


@posix_only
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    (image,) = make(tmp_path, "a.jpg")
    assert find_images(tmp_path).images == [image]
    (problem,) = find_images([tmp_path / "pipe.jpg"]).problems
    assert "neither a file nor a folder" in str(problem)


@posix_only
@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_folder_is_a_problem_and_the_rest_opens(tmp_path: Path) -> None:
    image, locked = make(tmp_path, "a.jpg", "locked/b.jpg")
    locked.parent.chmod(0)
    found = find_images(tmp_path)
    locked.parent.chmod(0o700)
    assert found.images == [image]
    assert [problem.path for problem in found.problems] == [locked.parent]


@posix_only
def test_a_folder_too_deep_for_the_system_is_a_problem_and_the_rest_opens(tmp_path: Path) -> None:
    (image,) = make(tmp_path, "a.jpg")
    here = os.open(tmp_path, os.O_RDONLY)
    for _ in range(25):  # 25 names of 200 letters are longer than a path may be
        os.mkdir("d" * 200, dir_fd=here)
        below = os.open("d" * 200, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    found = find_images(tmp_path)
    assert found.images == [image]
    assert ["the name is too long" in str(problem) for problem in found.problems] == [True]


def test_a_large_folder_is_listed_completely(tmp_path: Path) -> None:
    for number in range(3000):
        (tmp_path / f"IMG_{number}.jpg").touch()
    assert [path.name for path in find_images(tmp_path).images] == [f"IMG_{number}.jpg" for number in range(3000)]


def test_a_cancelled_search_stops(tmp_path: Path) -> None:
    make(tmp_path, "a.jpg")
    cancel = CancelToken()
    assert len(find_images(tmp_path, cancel).images) == 1
    cancel.cancel()
    with pytest.raises(Cancelled):
        find_images(tmp_path, cancel)
