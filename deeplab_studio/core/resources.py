"""Where the files that come with the program lie: inside the installed package, or beside it in a checkout."""

from __future__ import annotations

import os
from pathlib import Path

MODELS_VARIABLE = "DEEPLAB_STUDIO_MODELS"
"""Environment variable that names the folder of shipped models, for packages that keep data apart from code."""

_PACKAGE = Path(__file__).resolve().parents[1]


def resource(*parts: str) -> Path:
    """Path of a file or folder below ``resources/``.

    Parameters
    ----------
    *parts : str
        Names from ``resources/`` downwards.

    Raises
    ------
    FileNotFoundError
        If it is not there: the installation is incomplete.
    """
    for root in (_PACKAGE, _PACKAGE.parent):
        path = root.joinpath("resources", *parts)
        if path.exists():
            return path
    raise FileNotFoundError(f"resources/{'/'.join(parts)} is missing: install the program again")


def shipped_models() -> Path | None:
    """Folder with the weights that come with the program, or None where there is none."""
    if chosen := os.environ.get(MODELS_VARIABLE):
        return folder if (folder := Path(chosen)).is_dir() else None
    for root in (_PACKAGE, _PACKAGE.parent):
        if (folder := root / "models").is_dir():
            return folder
    return None
