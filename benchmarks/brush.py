"""From a mouse event to the painted pixel on the screen, and from undo to the pixel without paint, at 24 megapixels.

Both programs run as a person runs them, in their own windows on an X server. The mouse is moved by the server's test
extension, and the pixel is read off the server's frame buffer, so nothing a program says about itself is believed. A
dab counts from the mouse event to the first change of a pixel that only the new dab can reach: in front of the last
one, and away from the pointer and the brush's rim.
"""

from __future__ import annotations

import argparse
import ctypes
import ctypes.util
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from benchmarks import peers, xserver
from benchmarks.startup import write_photo

if TYPE_CHECKING:
    import numpy as np

NAME = "brush"
DESCRIPTION = "dab to pixel on screen and stroke undo at 24 megapixels, beside napari"

REPOSITORY = Path(__file__).resolve().parents[1]
PEER = ("napari", ("napari[pyside6]>=0.6", "PySide6<6.12"))
PATIENCE_S = 10.0

CASES = (("radius 40, 1:1", 40, "actual", 4.0), ("radius 1000, fitted", 1000, "fitted", 16.0))
"""What, radius in pixels of the photo, view, and the median in ms to stay below."""

UNDO_MS = 10.0
PHOTO = 6000, 4000


class Canvas(NamedTuple):
    """Where a program draws, in pixels of the screen, and how many of them a pixel of the photo has."""

    left: int
    top: int
    width: int
    height: int
    scale: float


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--strokes", type=int, default=12, help="strokes of each kind (default: 12)")
    parser.add_argument("--install-peers", action="store_true", help=f"first install {PEER[0]}, apart")


def run(args: argparse.Namespace) -> dict[str, Any]:
    if problem := xserver.missing():
        sys.exit(f"brush needs an X server of its own: {problem}")
    if ctypes.util.find_library("Xtst") is None:
        sys.exit("brush needs the X server's test extension: sudo apt-get install libxtst6")
    if args.install_peers:
        peers.install(PEER[0], *PEER[1])
    programs = {"DeepLab Studio": (sys.executable, "ours")}
    notes = []
    if python := peers.find(PEER[0]):
        programs[PEER[0]] = (str(python), "napari")
    else:
        notes.append(f"{PEER[0]} is not installed; add --install-peers, once")
    rows: list[dict[str, Any]] = []
    samples: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="deeplab-studio-brush-") as folder:
        photo = Path(folder, "photo.jpg")
        write_photo(photo)
        for name, (python_path, kind) in programs.items():
            try:
                taken = _measure(python_path, kind, photo, args.strokes)
            except RuntimeError as error:
                notes.append(f"{name}: {error}")
                continue
            for what, (times, limit) in taken.items():
                samples[f"{name}, {what}"] = times
                row = {"program": name, "what": what, "median_ms": statistics.median(times), "p95_ms": _p95(times)}
                rows.append({**row, "most_ms": max(times), "target_ms": limit})
    for what in dict.fromkeys(row["what"] for row in rows):
        of_all = {row["program"]: row["median_ms"] for row in rows if row["what"] == what}
        if len(of_all) == 2:
            ours, theirs = of_all.values()
            notes.append(f"{what}: {theirs / ours:.1f} times as fast as {PEER[0]}")
    load = f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors"
    return {"rows": rows, "notes": [*notes, load], "samples": samples}


def _p95(values: list[float]) -> float:
    return sorted(values)[min(len(values) - 1, int(0.95 * len(values)))]


class Mouse:
    """The pointer of an X server.

    Parameters
    ----------
    display : str
    """

    def __init__(self, display: str) -> None:
        self._x = ctypes.CDLL(ctypes.util.find_library("X11"))
        self._test = ctypes.CDLL(ctypes.util.find_library("Xtst"))
        self._x.XOpenDisplay.restype = ctypes.c_void_p
        self._display = ctypes.c_void_p(self._x.XOpenDisplay(display.encode()))

    def move(self, x: int, y: int) -> float:
        """Move to a pixel of the screen; when the event was sent."""
        now = time.perf_counter()
        self._test.XTestFakeMotionEvent(self._display, -1, x, y, ctypes.c_ulong(0))
        self._x.XFlush(self._display)
        return now

    def press(self, down: bool) -> float:
        """Press or release the left button."""
        now = time.perf_counter()
        self._test.XTestFakeButtonEvent(self._display, 1, int(down), ctypes.c_ulong(0))
        self._x.XFlush(self._display)
        return now

    def close(self) -> None:
        """End the connection."""
        self._x.XCloseDisplay(self._display)


class Program:
    """A program under test, see `brush_child`."""

    def __init__(self, command: list[str], environment: dict[str, str]) -> None:
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  closed with the program
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            env=environment,
            cwd=REPOSITORY,
        )
        while self._line() != "ready":
            pass

    def order(self, text: str) -> float:
        """Tell it to do something; when it was told."""
        assert self._process.stdin is not None
        now = time.perf_counter()
        self._process.stdin.write(f"{text}\n")
        self._process.stdin.flush()
        return now

    def view(self, kind: str) -> Canvas:
        """Zoom, and where the canvas is."""
        self.order(f"view {kind}")
        left, top, width, height, scale = self._line().split()
        return Canvas(int(left), int(top), int(width), int(height), float(scale))

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()
        self._log.close()

    def _line(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._log.seek(0)
            raise RuntimeError(f"it has ended: {self._log.read().decode(errors='replace').strip()[-300:]}")
        return line.strip()


def _measure(python: str, kind: str, photo: Path, strokes: int) -> dict[str, tuple[list[float], float]]:
    """Milliseconds by what was measured, each with its target."""
    taken: dict[str, tuple[list[float], float]] = {}
    with xserver.XServer() as server, tempfile.TemporaryDirectory(prefix="deeplab-studio-home-") as home:
        environment = {**server.environment(), "HOME": home, "PYTHONPATH": str(REPOSITORY) if kind == "ours" else ""}
        environment |= {f"XDG_{part}_HOME": home for part in ("CONFIG", "DATA", "CACHE", "STATE")}
        program = Program([python, str(Path(__file__).with_name("brush_child.py")), kind, str(photo)], environment)
        mouse = Mouse(server.display)
        try:
            screen = server.screen()
            for what, radius, view, limit in CASES:
                canvas = program.view(view)
                program.order(f"size {2 * radius}")
                dabs, undos = [], []
                for number in range(-1, strokes):
                    _settle(screen)
                    dab, undo = _stroke(program, mouse, screen, canvas, radius, number)
                    if number >= 0:  # the first one warms up
                        dabs += dab
                        undos.append(undo)
                taken[f"dab of {what}"] = dabs, limit
                taken[f"undo of a stroke of {what}"] = undos, UNDO_MS
        finally:
            mouse.close()
            program.close()
    return taken


def _stroke(
    program: Program, mouse: Mouse, screen: np.ndarray, canvas: Canvas, radius: int, number: int
) -> tuple[list[float], float]:
    """Paint a stroke and take it back; milliseconds of each dab, and of the undo."""
    reach = radius * canvas.scale
    step = round(0.75 * reach)
    ahead = round(0.45 * reach)
    # Within the canvas and the photo, which is in its middle.
    half = min(canvas.width / 2 - 40, PHOTO[0] / 2 * canvas.scale - 10)
    count = min(8, int((2 * half - ahead) // step))
    x = round(canvas.left + canvas.width / 2 - (count * step + ahead) / 2)
    y = canvas.top + canvas.height // 2 + (number % 5 - 2) * round(min(reach / 4, 40))
    mouse.move(x, y)
    _settle(screen)
    mouse.press(True)
    _settle(screen)
    before = screen[y - 7, x + ahead + step, :3].copy()
    times = []
    for _ in range(count):
        x += step
        place = y - 7, x + ahead
        times.append(_until_changed(screen, place, screen[place][:3].copy(), mouse.move(x, y)))
        time.sleep(0.02)
    mouse.press(False)
    _settle(screen)
    first = y - 7, x - (count - 1) * step + ahead
    undo = _until_changed(screen, first, screen[first][:3].copy(), program.order("undo"))
    _settle(screen)
    after = screen[first][:3]
    if abs(after.astype(int) - before.astype(int)).max() > 8:
        raise RuntimeError(f"undo gave {after} at {first} instead of {before}")
    return times, undo


def _until_changed(screen: np.ndarray, place: tuple[int, int], before: np.ndarray, since: float) -> float:
    """Milliseconds until a pixel of the screen is another colour."""
    y, x = place
    old = bytes(before)
    while bytes(screen[y, x, :3]) == old:
        if time.perf_counter() - since > PATIENCE_S:
            raise RuntimeError(f"the pixel ({x}, {y}) of the screen did not change within {PATIENCE_S:g} s")
        time.sleep(0.0001)
    return 1000 * (time.perf_counter() - since)


def _settle(screen: np.ndarray, still_s: float = 0.25) -> None:
    """Wait until the screen stands still."""
    import numpy as np

    before, since = screen[::7, ::7].copy(), time.perf_counter()
    while time.perf_counter() - since < still_s:
        time.sleep(0.02)
        now = screen[::7, ::7].copy()
        if not np.array_equal(before, now):
            before, since = now, time.perf_counter()
