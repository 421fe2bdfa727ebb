"""From the start of the process to the first window, and to a photo of 24 megapixels on the screen.

Both are read off the frame buffer of an X server, so nothing a program says about itself is believed: the window is
there when a tenth of the screen is no longer black, the photo when four coloured fields of it are visible. The programs
take turns, each start is a new process with an empty home folder, and everything was started once before (warm).
"""

from __future__ import annotations

import argparse
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from benchmarks import peers, xserver

if TYPE_CHECKING:
    import numpy as np

NAME = "startup"
DESCRIPTION = "first window, and a 24-megapixel JPEG shown, beside labelme"

REPOSITORY = Path(__file__).resolve().parents[1]
PEER = ("labelme", ("labelme>=6.3,<7",), "libxcb-xinerama0")
FIELDS = ((232, 24, 168), (16, 200, 216), (240, 136, 16), (120, 24, 232))
"""Colours, red green blue, that no program's own window has in such an amount."""
TOLERANCE = 28
PIXELS_OF_A_FIELD = 120
STEP = 4
"""The screen is looked at on every fourth pixel of every fourth row."""


class Times(NamedTuple):
    """Seconds after the start of the process; megabytes resident once the picture stands still."""

    window: float
    photo: float | None
    settled: float | None
    memory: float


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--runs", type=int, default=7, help="starts of each program and case (default: 7)")
    parser.add_argument("--install-peers", action="store_true", help=f"first install {PEER[0]}, apart")


def run(args: argparse.Namespace) -> dict[str, Any]:
    if problem := xserver.missing():
        sys.exit(f"startup needs an X server of its own: {problem}")
    if args.install_peers:
        peers.install(PEER[0], *PEER[1])
    programs = {"DeepLab Studio": [sys.executable, str(REPOSITORY / "main.py")]}
    notes = []
    if python := peers.find(PEER[0]):
        programs[PEER[0]] = [str(python), "-m", PEER[0]]
    else:
        notes.append(f"{PEER[0]} is not installed; add --install-peers, once (its Qt also needs {PEER[2]})")

    times: dict[tuple[str, bool], list[Times]] = {}
    with tempfile.TemporaryDirectory(prefix="deeplab-studio-startup-") as folder:
        photo = Path(folder, "photo.jpg")
        write_photo(photo)
        for number in range(args.runs + 1):
            for with_photo in (False, True):
                for name, command in programs.items():
                    this = _start([*command, str(photo)] if with_photo else command, with_photo)
                    if number:
                        times.setdefault((name, with_photo), []).append(this)
        notes.append(f"the photo: 6000 × 4000, {photo.stat().st_size / 1e6:.1f} MB")

    rows = []
    for (name, with_photo), taken in times.items():
        rows.append(
            {
                "program": name,
                "case": "24 MP JPEG" if with_photo else "empty",
                "window (s)": _median([t.window for t in taken]),
                "photo shown (s)": _median([t.photo for t in taken]),
                "settled (s)": _median([t.settled for t in taken]),
                "memory (MB)": _median([t.memory for t in taken]),
                "slowest (s)": max(t.photo or t.window for t in taken),
            }
        )
    result: dict[str, Any] = {"rows": rows, "runs": args.runs, "notes": notes}
    if len(programs) > 1:
        ours, theirs = programs
        result["ratios"] = {
            what: _median([getattr(t, field) for t in times[theirs, case]])
            / _median([getattr(t, field) for t in times[ours, case]])
            for what, field, case in (("window", "window", False), ("photo", "photo", True))
        }
        notes.extend(f"{what}: {ratio:.2f} times as fast as {theirs}" for what, ratio in result["ratios"].items())
    result["samples"] = {
        f"{name}, {'photo' if with_photo else 'empty'}": [t._asdict() for t in taken]
        for (name, with_photo), taken in times.items()
    }
    return result


def _median(values: list[Any]) -> Any:
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None


def _start(command: list[str], with_photo: bool, patience: float = 60.0) -> Times:
    """Start a program on a fresh X server and read the times off its screen; `patience` in seconds."""
    import numpy as np

    with xserver.XServer() as server, tempfile.TemporaryDirectory(prefix="deeplab-studio-home-") as home:
        screen = server.screen()
        view = screen[::STEP, ::STEP, :3]
        environment = server.environment()
        environment.update(HOME=home, XDG_CONFIG_HOME=home, XDG_DATA_HOME=home, XDG_CACHE_HOME=home)
        begun = time.perf_counter()
        process = subprocess.Popen(
            command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        try:
            window: float | None = None
            photo: float | None = None
            settled: float | None = None
            corners: tuple[slice, slice] | None = None
            while window is None or (with_photo and photo is None):
                now = time.perf_counter() - begun
                if process.poll() is not None or now > patience:
                    sys.exit(f"{' '.join(command)}: no picture after {now:.0f} s (exit status {process.poll()})")
                if window is None and np.count_nonzero(view.any(axis=2)) > view.shape[0] * view.shape[1] / 10:
                    window = now
                if with_photo and window is not None and (corners := _fields(view)):
                    photo = now
                time.sleep(0.002)
            if corners and photo is not None:
                settled = photo
                before = view[corners].copy()
                while (now := time.perf_counter() - begun) < settled + 1.5:
                    if not np.array_equal(before, view[corners]):
                        before, settled = view[corners].copy(), now
                    time.sleep(0.005)
            else:
                time.sleep(1.0)
            return Times(window, photo, settled, _resident(process.pid))
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _fields(view: np.ndarray) -> tuple[slice, slice] | None:
    """Return the part of the screen that spans the four fields of the photo, once all of them are visible."""
    import numpy as np

    found = np.zeros(view.shape[:2], dtype=bool)
    for red, green, blue in FIELDS:
        distance = np.abs(view.astype(np.int16) - np.array((blue, green, red), dtype=np.int16)).max(axis=2)
        field = distance <= TOLERANCE
        if np.count_nonzero(field) < PIXELS_OF_A_FIELD:
            return None
        found |= field
    rows, columns = np.flatnonzero(found.any(axis=1)), np.flatnonzero(found.any(axis=0))
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


def write_photo(path: Path) -> None:
    """Write a JPEG of 24 megapixels that costs as much to decode as a camera's: soft shapes, grain, four fields."""
    import numpy as np
    from PIL import Image

    height, width = 4000, 6000
    random = np.random.default_rng(24)
    picture = np.full((height, width, 3), 112, dtype=np.float32)
    for cells, contrast in ((6, 40.0), (40, 24.0), (250, 12.0)):
        waves = random.standard_normal((cells * 2 // 3, cells, 3)).astype(np.float32) * contrast
        bands = [
            Image.fromarray(waves[:, :, band]).resize((width, height), Image.Resampling.BICUBIC) for band in range(3)
        ]
        for band, image in enumerate(bands):
            picture[:, :, band] += np.asarray(image)
    picture += random.normal(0, 5, (height, width, 1)).astype(np.float32)
    pixels = np.clip(picture, 0, 255).astype(np.uint8)
    for (row, column), colour in zip(((0.2, 0.2), (0.2, 0.6), (0.6, 0.2), (0.6, 0.6)), FIELDS, strict=True):
        top, left = int(row * height), int(column * width)
        pixels[top : top + height // 5, left : left + width // 5] = colour
    Image.fromarray(pixels).save(path, quality=92)


def _resident(process: int) -> float:
    """Return the resident memory of a process in megabytes (10^6 bytes)."""
    for line in Path(f"/proc/{process}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024 / 1e6
    return float("nan")
