"""Files dragged with a real mouse pointer, over a real X server, onto the real program."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from benchmarks import xserver

pytestmark = pytest.mark.xvfb

REPOSITORY = Path(__file__).resolve().parents[2]
PROGRAM = [sys.executable, str(REPOSITORY / "main.py")]
SOURCE = [sys.executable, str(Path(__file__).with_name("drag_source.py"))]
TITLE = "DeepLab Studio"
PATIENCE = 60.0


@pytest.fixture(scope="module")
def server() -> Iterator[xserver.XServer]:
    if problem := xserver.missing():
        if os.environ.get("DEEPLAB_STUDIO_REQUIRE_XVFB"):
            pytest.fail(problem)
        pytest.skip(problem)
    with xserver.XServer() as running:
        yield running


class Desktop:
    """The program on the X server, and a hand on the mouse."""

    def __init__(self, server: xserver.XServer, log: Path) -> None:
        self._server = server
        self._environment = {**server.environment(), "LC_ALL": "C.UTF-8"}
        self._log = log
        with log.open("wb") as stderr:
            self.program = subprocess.Popen(PROGRAM, env=self._environment, stdout=stderr, stderr=stderr)
        self._started: list[subprocess.Popen[Any]] = [self.program]

    def title(self) -> str:
        """Return the title of the program's window, or nothing while it has none."""
        window = self._window()
        return self._xdotool("getwindowname", window) if window else ""

    def wait_for_title(self, title: str) -> None:
        self._wait(lambda: self.title() == title, f"the title {title!r}")

    def drag_onto_the_window(self, *paths: Path) -> str:
        """Drag `paths` from the corner of the screen to the middle of the window; return what the source was told."""
        command = [*SOURCE, *map(str, paths)]
        source = subprocess.Popen(command, env=self._environment, stdout=subprocess.PIPE, text=True)
        # It has to live on: the program asks it for the files only after the drop.
        self._started.append(source)
        self._wait(lambda: bool(self._search("^drag source$")), "the window to drag from")
        answer = self._xdotool("getwindowgeometry", "--shell", self._window())
        place = {name: int(value) for name, value in (line.split("=") for line in answer.splitlines())}
        x, y = place["X"] + place["WIDTH"] // 2, place["Y"] + place["HEIGHT"] // 2
        moves: list[str] = []
        for step in range(1, 21):
            at = (30 + (x - 30) * step // 20, 30 + (y - 30) * step // 20)
            moves += ["mousemove", *map(str, at), "sleep", "0.02"]
        press = ["mousemove", "30", "30", "sleep", "0.2", "mousedown", "1", "sleep", "0.1"]
        self._xdotool(*press, *moves, "sleep", "0.5", "mouseup", "1")
        assert source.stdout is not None
        return source.stdout.readline().strip()

    def close(self) -> None:
        """End the program and everything else that was started."""
        for process in self._started:
            process.kill()
            process.communicate()

    def _window(self) -> str:
        return next(iter(self._search(rf"{re.escape(TITLE)}$")), "")

    def _search(self, pattern: str) -> list[str]:
        return self._xdotool("search", "--onlyvisible", "--name", pattern).split()

    def _xdotool(self, *arguments: str) -> str:
        command = ["xdotool", *arguments]
        done = subprocess.run(command, env=self._environment, capture_output=True, text=True, check=False, timeout=60)
        return done.stdout.rstrip("\n")

    def _wait(self, condition: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while not condition():
            if self.program.poll() is not None or time.monotonic() > deadline:
                picture = self._log.with_name("screen.png")
                Image.fromarray(self._server.screen()[:, :, 2::-1].copy()).save(picture)
                pytest.fail(
                    f"waited for {what}; the title is {self.title()!r}, exit status {self.program.poll()}, "
                    f"the screen is in {picture}, and the program wrote:\n{self._log.read_text(errors='replace')}",
                    pytrace=False,
                )
            time.sleep(0.05)


@pytest.fixture
def desktop(server: xserver.XServer, tmp_path: Path) -> Iterator[Desktop]:
    running = Desktop(server, tmp_path / "program.log")
    try:
        running.wait_for_title(TITLE)
        yield running
    finally:
        running.close()


def photo(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.linear_gradient("L").resize((320, 240)).convert("RGB").save(path)
    return path


def test_a_dropped_photo_opens(desktop: Desktop, tmp_path: Path) -> None:
    assert desktop.drag_onto_the_window(photo(tmp_path / "바닷가 사진 1.jpg")) == "CopyAction"
    desktop.wait_for_title(f"바닷가 사진 1.jpg — {TITLE}")


def test_a_dropped_folder_opens_at_its_first_photo(desktop: Desktop, tmp_path: Path) -> None:
    folder = tmp_path / "여름 휴가 2026"
    photo(folder / "사진 10.png")
    photo(folder / "사진 2.png")
    assert desktop.drag_onto_the_window(folder) == "CopyAction"
    desktop.wait_for_title(f"사진 2.png — {TITLE}")


def test_of_a_mixed_selection_what_can_be_opened_opens(desktop: Desktop, tmp_path: Path) -> None:
    folder = tmp_path / "모음"
    photo(folder / "안쪽.jpg")
    broken = tmp_path / "힣 broken.jpg"
    broken.write_bytes(b"not a photo")
    assert desktop.drag_onto_the_window(photo(tmp_path / "하나 one.jpg"), folder, broken) == "CopyAction"
    desktop.wait_for_title(f"하나 one.jpg — {TITLE}")
