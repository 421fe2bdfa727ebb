"""What every benchmark shares: the machine it ran on, and figures as a table."""

from __future__ import annotations

import datetime as dt
import importlib.metadata
import os
import platform
import subprocess
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
