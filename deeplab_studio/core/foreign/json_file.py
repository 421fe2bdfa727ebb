"""JSON files of other programs: read with a limit, and with one sentence when they are broken."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from deeplab_studio.core.errors import StudioError
from deeplab_studio.core.files import explain_os_error

_MAX_BYTES = 4 << 30
_AGAIN = "Export it again from where it was made."


def read_json(path: Path) -> dict[str, Any]:
    """The object that a JSON file holds.

    Raises
    ------
    StudioError
        If it cannot be read, is no JSON, or holds something else.
    """
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise StudioError("the file has more than 4 GB", path=path, hint="Split it into parts.")
        content = json.loads(path.read_bytes(), object_hook=_as_it_is)
    except OSError as error:
        reason, hint = explain_os_error(error)
        raise StudioError(f"it could not be read because {reason}", path=path, hint=hint) from error
    except (ValueError, RecursionError) as error:
        raise StudioError(f"it is not valid JSON ({error})", path=path, hint=_AGAIN) from error
    if not isinstance(content, dict):
        raise StudioError("it holds a list or a value where an object belongs", path=path, hint=_AGAIN)
    return content


def _as_it_is(values: dict[str, Any]) -> dict[str, Any]:
    """Nothing, in Python: without it the parser holds Python's lock to the end of the file, and the window stands."""
    return values


def broken(path: Path, where: str, what: str) -> StudioError:
    """The sentence for an entry that is not as the format has it."""
    return StudioError(f"{where} {what}", path=path, hint=_AGAIN)
