"""What every benchmark shares: the machine it ran on, and figures as a table."""

from __future__ import annotations

import datetime as dt
import importlib.metadata
import os
import platform
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

_PACKAGES = ("deeplab-studio", "PySide6-Essentials", "torch", "numpy", "opencv-python-headless", "pillow")


def describe_machine() -> dict[str, Any]:
    """Return what a figure depends on, as far as the system tells: taken before the benchmark starts."""
    installed = ((package, _version(package)) for package in _PACKAGES)
    return {
        "when": dt.datetime.now(dt.timezone.utc).isoformat(timespec="seconds"),
        "commit": _commit(),
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "load_before": list(os.getloadavg()) if hasattr(os, "getloadavg") else None,
        "system": platform.platform(),
        "versions": {"python": platform.python_version(), **{name: version for name, version in installed if version}},
    }


def format_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return `rows`, which all have the keys of the first, as aligned text: numbers to the right, None as a dash."""
    columns = list(rows[0])
    cells = [columns] + [[_text(row.get(column)) for column in columns] for row in rows]
    widths = [max(len(line[n]) for line in cells) for n in range(len(columns))]
    numeric = [all(row.get(c) is None or isinstance(row.get(c), int | float) for row in rows) for c in columns]

    def line(texts: Sequence[str]) -> str:
        parts = (t.rjust(w) if right else t.ljust(w) for t, w, right in zip(texts, widths, numeric, strict=True))
        return "  ".join(parts).rstrip()

    return "\n".join([line(columns), "  ".join("-" * width for width in widths), *map(line, cells[1:])])


def markdown_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return `rows`, which all have the keys of the first, as a table in Markdown."""
    columns = list(rows[0])
    lines = [columns, ["---"] * len(columns), *([_text(row.get(column)) for column in columns] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


class Progress:
    """A line on stderr that says what is measured now, how far it is and how long it took.

    Parameters
    ----------
    steps : int
        How many there will be.
    """

    def __init__(self, steps: int) -> None:
        self._steps = steps
        self._step = 0
        self._start = time.perf_counter()
        self._end = "\r" if sys.stderr.isatty() else "\n"

    def step(self, name: str) -> None:
        """Say that the next step begins."""
        self._step += 1
        seconds = time.perf_counter() - self._start
        print(f"{self._step}/{self._steps}, {seconds:.0f} s: {name:<60}", end=self._end, file=sys.stderr, flush=True)

    def close(self) -> None:
        """Say that all is done."""
        print(f"{time.perf_counter() - self._start:.0f} s in all{'':<60}", file=sys.stderr)


class OtherWork:
    """How many processors other programs used meanwhile, where the system tells. Children count as this program."""

    def __init__(self) -> None:
        self._start = self._now()

    def sentence(self) -> str:
        """Say it."""
        if self._start is None:
            return "What else the machine was doing is not known."
        wall, busy, own = (b - a for a, b in zip(self._start, self._now() or self._start, strict=True))
        return f"Other programs used {max(0.0, (busy - own) / wall):.2f} of {os.cpu_count()} processors meanwhile."

    @staticmethod
    def _now() -> tuple[float, float, float] | None:
        stat = Path("/proc/stat")
        if not stat.exists():
            return None
        user, nice, system = (int(ticks) for ticks in stat.read_text(encoding="ascii").split()[1:4])
        times = os.times()
        own = times.user + times.system + times.children_user + times.children_system
        return time.perf_counter(), (user + nice + system) / os.sysconf("SC_CLK_TCK"), own


def _text(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:.3g}" if isinstance(value, float) and abs(value) < 1000 else str(value)


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _cpu() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _commit() -> str | None:
    folder = Path(__file__).parent
    try:
        head = subprocess.run(
            ["git", "describe", "--always", "--dirty"], cwd=folder, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return head.stdout.strip()
