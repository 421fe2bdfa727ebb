"""A person's own CRF presets, kept in one JSON file, and files of presets to hand on.

The file holds ``{"format": "deeplab-studio-crf-presets", "version": 1, "presets": [{"name", "source", "params"}...]}``
with the fields of `CrfParams` under ``params``; sigmas are relative as `deeplab_studio.crf.sizes` says.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from deeplab_studio.core.errors import StudioError
from deeplab_studio.core.files import atomic_write, explain_os_error
from deeplab_studio.crf.params import CrfParams
from deeplab_studio.crf.presets import PRESETS, Preset

FORMAT = "deeplab-studio-crf-presets"
VERSION = 1
MAX_BYTES = 1 << 20
MAX_NAME = 60

_PREFIX = "own:"
_NUMBER = re.compile(r" \(\d+\)$")


class PresetStore:
    """The presets a person saved. Every change is on disk when the call returns.

    Parameters
    ----------
    path : Path, optional
        The file; by default where the platform keeps a program's configuration.
    """

    def __init__(self, path: Path | None = None) -> None:
        if path is None:
            from platformdirs import user_config_path

            path = user_config_path("deeplab-studio", appauthor=False) / "crf-presets.json"
        self.path = path
        self._presets: list[Preset] = []

    @property
    def presets(self) -> tuple[Preset, ...]:
        """The person's presets as last read or written, in the order they were saved."""
        return tuple(self._presets)

    def load(self) -> tuple[Preset, ...]:
        """Read the file; without one there are no presets.

        Raises
        ------
        StudioError
            If it is damaged. It is kept beside the new one when presets are saved next.
        """
        self._presets = read_presets(self.path) if self.path.exists() else []
        return self.presets

    def save(self, name: str, params: CrfParams, source: str) -> Preset:
        """Keep parameters under a name; a preset of that name that the person saved before is replaced.

        Raises
        ------
        StudioError
            If the name is empty, too long or that of a built-in preset, or the file cannot be written.
        """
        plain = _checked(name)
        preset = Preset(f"{_PREFIX}{plain}", plain, params, source)
        kept = [preset if _same(each.name, preset.name) else each for each in self._presets]
        if preset not in kept:
            kept.append(preset)
        self._write(kept)
        return preset

    def rename(self, preset: Preset, name: str) -> Preset:
        """Give a preset another name.

        Raises
        ------
        StudioError
            As `save`, and if another preset has that name.
        """
        plain = _checked(name)
        renamed = Preset(f"{_PREFIX}{plain}", plain, preset.params, preset.source)
        if any(_same(each.name, renamed.name) for each in self._presets if each != preset):
            raise StudioError(f"there is a preset called '{renamed.name}' already", hint="Choose another name.")
        self._write([renamed if each == preset else each for each in self._presets])
        return renamed

    def delete(self, preset: Preset) -> None:
        """Forget a preset."""
        self._write([each for each in self._presets if each != preset])

    def take_up(self, path: Path) -> list[Preset]:
        """Add the presets of a file; those that are there with the same name and parameters are left out.

        Returns
        -------
        list of Preset
            The new ones. One whose name is taken gets a number behind it.

        Raises
        ------
        StudioError
            If it is no file of presets or one of them is invalid: then none is added.
        """
        known = list(self._presets)
        for preset in read_presets(path):
            alike = [each for each in (*known, *PRESETS) if each.params == preset.params]
            if any(_same(_NUMBER.sub("", each.name), _NUMBER.sub("", preset.name)) for each in alike):
                continue
            name, number = preset.name, 1
            while any(_same(each.name, name) for each in (*known, *PRESETS)):
                number += 1
                name = f"{preset.name} ({number})"
            known.append(Preset(f"{_PREFIX}{name}", name, preset.params, preset.source))
        added = known[len(self._presets) :]
        if added:
            self._write(known)
        return added

    def _write(self, presets: list[Preset]) -> None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            damaged = self.path.exists() and not _is_readable(self.path)
            if damaged:
                self.path.replace(self.path.with_name(f"{self.path.name}.damaged"))
        except OSError as error:
            reason, hint = explain_os_error(error)
            raise StudioError(f"the presets could not be saved because {reason}", path=self.path, hint=hint) from error
        write_presets(self.path, presets)
        self._presets = presets


def write_presets(path: Path, presets: Iterable[Preset]) -> None:
    """Write presets to a file: whole, or not at all.

    Raises
    ------
    StudioError
        If it cannot be written.
    """
    rows = [{"name": each.name, "source": each.source, "params": each.params.to_dict()} for each in presets]
    document = {"format": FORMAT, "version": VERSION, "presets": rows}
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def read_presets(path: Path) -> list[Preset]:
    """Read a file of presets.

    Raises
    ------
    StudioError
        If it cannot be read, is something else, was written by a newer program, or one of its presets is invalid.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        reason, hint = explain_os_error(error)
        raise StudioError(f"it could not be read because {reason}", path=path, hint=hint) from error
    if len(data) > MAX_BYTES:
        raise _no_presets(path, "it is too large for a file of CRF presets")
    try:
        document = json.loads(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise _no_presets(path, "it is not a text file") from error
    except json.JSONDecodeError as error:
        raise _no_presets(path, f"line {error.lineno} is not valid JSON") from error
    except RecursionError as error:
        raise _no_presets(path, "it is nested too deeply") from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise _no_presets(path, "it holds no CRF presets")
    version, rows = document.get("version"), document.get("presets")
    if version != VERSION:
        newer = isinstance(version, int) and version > VERSION
        hint = "Update this program to read it." if newer else "Export the presets again."
        raise StudioError(
            f"it has version {version!r} of the format, this program reads {VERSION}", path=path, hint=hint
        )
    if not isinstance(rows, list):
        raise _no_presets(path, "its list of presets is missing")
    return [_parse(row, number, path) for number, row in enumerate(rows, 1)]


def _parse(row: Any, number: int, path: Path) -> Preset:
    try:
        name, params, source = row["name"], row["params"], row.get("source", "")
        if not isinstance(name, str) or not isinstance(source, str) or not isinstance(params, dict):
            raise ValueError("its name, source or parameters are missing")
        checked = _plain_name(name)
        return Preset(f"{_PREFIX}{checked}", checked, CrfParams.from_dict(params), source)
    except (KeyError, TypeError, AttributeError) as error:
        raise _no_presets(path, f"preset {number} has no name or no parameters") from error
    except (ValueError, StudioError) as error:
        reason = error.reason if isinstance(error, StudioError) else str(error)
        raise _no_presets(path, f"preset {number} is invalid: {reason}") from error


def _plain_name(name: str) -> str:
    plain = " ".join(name.split())
    if not plain:
        raise StudioError("a preset needs a name", hint="Type one.")
    if len(plain) > MAX_NAME:
        raise StudioError(f"the name has {len(plain)} characters, at most {MAX_NAME} fit", hint="Choose a shorter one.")
    return plain


def _checked(name: str) -> str:
    plain = _plain_name(name)
    if any(_same(preset.name, plain) for preset in PRESETS):
        raise StudioError(f"'{plain}' is a built-in preset", hint="Choose another name.")
    return plain


def _same(first: str, second: str) -> bool:
    return first.strip().casefold() == second.strip().casefold()


def _is_readable(path: Path) -> bool:
    try:
        read_presets(path)
    except StudioError:
        return False
    return True


def _no_presets(path: Path, reason: str) -> StudioError:
    return StudioError(reason, path=path, hint="Choose a file that was exported with 'Export presets'.")
