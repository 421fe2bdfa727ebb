"""Where the files that come with the program lie: inside the installed package, or beside it in a checkout."""

from __future__ import annotations

from pathlib import Path

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
    for root in (_PACKAGE, _PACKAGE.parent):
        if (folder := root / "models").is_dir():
            return folder
    return None
