"""Other programs to measure beside, each in an environment of its own that the product never sees."""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

FOLDER = Path(__file__).parent / ".peers"


def install(name: str, *requirements: str) -> Path:
    """Install `requirements` into the environment of the peer `name` and return its Python."""
    venv.create(FOLDER / name, with_pip=True, symlinks=sys.platform != "win32")
    python = _python(name)
    subprocess.run([python, "-m", "pip", "install", "--quiet", *requirements], check=True)
    return python


def find(name: str) -> Path | None:
    """Return the Python of the peer `name`, or None if it was not installed."""
    python = _python(name)
    return python if python.exists() else None


def _python(name: str) -> Path:
    return FOLDER / name / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
