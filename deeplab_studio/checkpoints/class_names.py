"""Class names from a text file. Free of torch."""

from __future__ import annotations

from pathlib import Path

from deeplab_studio.core.errors import StudioError
from deeplab_studio.core.files import explain_os_error

_MAX_BYTES = 1 << 20


def read_class_names(path: Path) -> list[str]:
    """The names in a text file, one per line, in the order of a model's outputs.

    Parameters
    ----------
    path : Path
        UTF-8, with or without a byte-order mark; empty lines at the end do not count.

    Raises
    ------
    StudioError
        If it cannot be read, is no text, or holds no names.
    """
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
    except OSError as error:
        reason, hint = explain_os_error(error)
        raise StudioError(f"it cannot be read: {reason}", path=path, hint=hint) from error
    one_per_line = "Save the class names as UTF-8 text, one per line."
    if len(data) > _MAX_BYTES:
        raise StudioError("it is far too long for a list of class names", path=path, hint=one_per_line)
    try:
        lines = [line.strip() for line in data.decode("utf-8-sig").splitlines()]
    except UnicodeDecodeError as error:
        raise StudioError("it is no UTF-8 text", path=path, hint=one_per_line) from error
    while lines and not lines[-1]:
        lines.pop()
    if not lines:
        raise StudioError("it holds no names", path=path, hint=one_per_line)
    return lines
