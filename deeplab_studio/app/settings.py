"""What the program remembers between runs: one table of settings over an ini file.

A value that was edited by hand into nonsense, or written by another release, costs a warning and takes its default;
it never stops the program.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from PySide6.QtCore import QByteArray, QCoreApplication, QObject, QSettings, Signal

from deeplab_studio.app.translate import QT_TRANSLATE_NOOP

if TYPE_CHECKING:
    from deeplab_studio.crf.params import CrfParams

_LOG = logging.getLogger(__name__)


Kind = Literal["bool", "int", "float", "choice", "text", "folder", "json"]

RECENT_MAX = 12
MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Setting:
    """One thing that is remembered.

    Parameters
    ----------
    key : str
        Section and name in the ini file, ``"view/opacity"``.
    default : object
        Value until somebody chooses another.
    kind : {"bool", "int", "float", "choice", "text", "folder", "json"}
        Type of the value: a ``bool``, ``int``, ``float``, one of `choices`, a ``str``, a ``str`` naming a folder, or a
        ``dict`` of plain values.
    text : str
        What a person reads beside it; empty for what the program keeps for itself.
    choices : tuple of str
        For "choice".
    low, high : float
        For "int" and "float": the range, both ends included.
    """

    key: str
    default: Any
    kind: Kind
    text: str = ""
    choices: tuple[str, ...] = ()
    low: float = -math.inf
    high: float = math.inf

    def parse(self, stored: object) -> Any:
        """The value behind what the ini file holds.

        Raises
        ------
        ValueError
            If it is not a value of this setting.
        """
        return self.check(_PARSERS[self.kind](stored))

    def check(self, value: Any) -> Any:
        """`value` itself; raises ValueError if it is not one this setting can have."""
        if not isinstance(value, _TYPES[self.kind]) or (isinstance(value, bool) and self.kind != "bool"):
            raise ValueError(f"{value!r} is not a value of kind {self.kind}")
        if self.kind == "choice" and value not in self.choices:
            raise ValueError(f"{value!r} is not one of {', '.join(self.choices)}")
        if isinstance(value, (int, float)) and not self.low <= value <= self.high:
            raise ValueError(f"{value!r} is not between {self.low:g} and {self.high:g}")
        return value

    def stored(self, value: Any) -> str:
        """What the ini file holds for `value`."""
        if self.kind == "json":
            return json.dumps(value, sort_keys=True, ensure_ascii=False)
        return {True: "true", False: "false"}[value] if self.kind == "bool" else str(value)


def _parse_bool(stored: object) -> bool:
    try:
        return {"true": True, "1": True, "false": False, "0": False}[str(stored).strip().lower()]
    except KeyError:
        raise ValueError(f"{stored!r} is neither true nor false") from None


def _parse_text(stored: object) -> str:
    # QSettings splits an unquoted value at its commas.
    return ", ".join(map(str, stored)) if isinstance(stored, list) else str(stored)


_PARSERS: dict[Kind, Callable[[object], Any]] = {
    "bool": _parse_bool,
    "int": lambda stored: int(str(stored)),
    "float": lambda stored: float(str(stored)),
    "choice": _parse_text,
    "text": _parse_text,
    "folder": _parse_text,
    "json": lambda stored: json.loads(_parse_text(stored)),
}

_TYPES: dict[Kind, tuple[type, ...]] = {
    "bool": (bool,),
    "int": (int,),
    "float": (float, int),
    "choice": (str,),
    "text": (str,),
    "folder": (str,),
    "json": (dict,),
}

SETTINGS: tuple[Setting, ...] = (
    Setting("look/theme", "system", "choice", QT_TRANSLATE_NOOP("Settings", "Theme"), ("system", "light", "dark")),
    Setting("look/language", "system", "text", QT_TRANSLATE_NOOP("Settings", "Language")),
    Setting("view/opacity", 0.55, "float", QT_TRANSLATE_NOOP("Settings", "Opacity of the classes"), low=0, high=1),
    Setting("view/outlines", False, "bool", QT_TRANSLATE_NOOP("Settings", "Outlines instead of fill")),
    Setting("view/pins", False, "bool", QT_TRANSLATE_NOOP("Settings", "Show pinned pixels")),
    Setting("view/keep_zoom", True, "bool", QT_TRANSLATE_NOOP("Settings", "Keep zoom and place at the next image")),
    Setting("view/stages", True, "bool", QT_TRANSLATE_NOOP("Settings", "Show the stages under the picture")),
    Setting("tools/brush_size", 30, "int", QT_TRANSLATE_NOOP("Settings", "Brush size (px)"), low=1, high=2000),
    Setting("tools/brush_shape", "round", "choice", QT_TRANSLATE_NOOP("Settings", "Brush shape"), ("round", "square")),
    Setting("tools/fill_connected", True, "bool", QT_TRANSLATE_NOOP("Settings", "Fill connected regions only")),
    Setting("tools/wand_source", "photo", "choice", QT_TRANSLATE_NOOP("Settings", "Wand on"), ("photo", "scores")),
    Setting("tools/wand_tolerance", 12.0, "float", QT_TRANSLATE_NOOP("Settings", "Wand tolerance"), low=0, high=100),
    Setting("tools/wand_gap", 0, "int", QT_TRANSLATE_NOOP("Settings", "Gaps the wand closes (px)"), low=0, high=32),
    Setting(
        "tools/superpixel_size",
        2.5,
        "float",
        QT_TRANSLATE_NOOP("Settings", "Size of superpixels (%)"),
        low=0.2,
        high=25,
    ),
    Setting("tools/scribble_size", 10, "int", QT_TRANSLATE_NOOP("Settings", "Scribble size (px)"), low=1, high=2000),
    Setting(
        "tools/scribble_reach", 50, "int", QT_TRANSLATE_NOOP("Settings", "Reach of scribbles (%)"), low=5, high=400
    ),
    Setting("model/current", "", "text", QT_TRANSLATE_NOOP("Settings", "Model")),
    Setting("model/device", "auto", "text", QT_TRANSLATE_NOOP("Settings", "Device")),
    Setting("model/precision", "exact", "choice", QT_TRANSLATE_NOOP("Settings", "Precision"), ("exact", "fast")),
    Setting("model/geometry", {}, "json"),
    Setting("model/mirror", "", "text", QT_TRANSLATE_NOOP("Settings", "Address to download models through")),
    Setting("model/paint_only", False, "bool", QT_TRANSLATE_NOOP("Settings", "Work without a model")),
    Setting("model/automatic", True, "bool", QT_TRANSLATE_NOOP("Settings", "Predict when an image is opened")),
    Setting("model/prefetch", 2, "int", QT_TRANSLATE_NOOP("Settings", "Images predicted ahead"), low=0, high=16),
    Setting("crf/on", True, "bool", QT_TRANSLATE_NOOP("Settings", "Refine with the dense CRF")),
    Setting(
        "crf/engine",
        "auto",
        "choice",
        QT_TRANSLATE_NOOP("Settings", "Engine of the dense CRF"),
        ("auto", "kernel", "torch", "reference"),
    ),
    Setting("crf/params", {}, "json", QT_TRANSLATE_NOOP("Settings", "Parameters of the dense CRF")),
    Setting(
        "memory/scores_bytes",
        768 * MIB,
        "int",
        QT_TRANSLATE_NOOP("Settings", "Memory for scores"),
        low=16 * MIB,
        high=1 << 40,
    ),
    Setting(
        "memory/photos_bytes",
        1024 * MIB,
        "int",
        QT_TRANSLATE_NOOP("Settings", "Memory for open photos"),
        low=64 * MIB,
        high=1 << 40,
    ),
    Setting(
        "memory/history_bytes",
        256 * MIB,
        "int",
        QT_TRANSLATE_NOOP("Settings", "Memory for undo"),
        low=8 * MIB,
        high=1 << 40,
    ),
    Setting(
        "memory/thumbnail_bytes",
        48 * MIB,
        "int",
        QT_TRANSLATE_NOOP("Settings", "Memory for thumbnails"),
        low=4 * MIB,
        high=1 << 34,
    ),
    Setting(
        "memory/compare_bytes",
        512 * MIB,
        "int",
        QT_TRANSLATE_NOOP("Settings", "Memory for comparing models"),
        low=16 * MIB,
        high=1 << 40,
    ),
    Setting("compare/panes", {}, "json"),
    Setting("keys/own", {}, "json"),
    Setting("palette/recent", {}, "json"),
    Setting("files/last_folder", "", "folder"),
    Setting("files/last_export_folder", "", "folder"),
)
"""Every setting; what has a text is meant for a settings dialog."""

_BY_KEY = {setting.key: setting for setting in SETTINGS}


class Settings(QObject):
    """The settings of one person on one machine.

    Parameters
    ----------
    path : path-like, optional
        The ini file; by default where the platform keeps a program's configuration.

    Attributes
    ----------
    changed : Signal(str)
        Emitted with the key after a setting got another value.
    """

    changed = Signal(str)

    def __init__(self, path: str | Path | None = None, parent: QObject | None = None) -> None:
        super().__init__(parent)
        if path is None:
            path = _default_path()
        self._ini = QSettings(str(path), QSettings.Format.IniFormat)
        self._values: dict[str, Any] = {}
        self.warnings: list[str] = []
        """One sentence for every stored value that could not be used."""

    @property
    def path(self) -> Path:
        """The ini file."""
        return Path(self._ini.fileName())

    def get(self, key: str) -> Any:
        """The value of a setting; KeyError for one that is not in the table."""
        setting = _BY_KEY[key]
        if key not in self._values:
            value = setting.default
            if self._ini.contains(key):
                try:
                    value = setting.parse(self._ini.value(key))
                except ValueError as error:
                    self._warn(f"{self.path.name}: {key} is ignored, {error}.")
            self._values[key] = value
        value = self._values[key]
        return dict(value) if isinstance(value, dict) else value

    def set(self, key: str, value: Any) -> None:
        """Keep `value`; ValueError if the setting cannot have it, KeyError if there is no such setting."""
        setting = _BY_KEY[key]
        setting.check(value)
        if self._ini.contains(key) and self.get(key) == value:
            return
        self._values[key] = dict(value) if isinstance(value, dict) else value
        self._ini.setValue(key, setting.stored(value))
        self.changed.emit(key)

    def reset(self, key: str) -> None:
        """Back to the default."""
        before = self.get(key)
        self._ini.remove(key)
        self._values[key] = _BY_KEY[key].default
        if before != self._values[key]:
            self.changed.emit(key)

    def crf_params(self) -> CrfParams:
        """The CRF parameters last used, or the defaults."""
        from deeplab_studio.crf.params import CrfParams

        try:
            return CrfParams.from_dict(self.get("crf/params"))
        except (TypeError, ValueError) as error:
            self._warn(f"{self.path.name}: crf/params is ignored, {error}.")
            return CrfParams()

    def set_crf_params(self, params: CrfParams) -> None:
        """Keep CRF parameters for the next run."""
        self.set("crf/params", params.to_dict())

    def recent(self) -> list[Path]:
        """Files, folders and data sets opened before, newest first; those that are gone stay in the list."""
        stored = self._ini.value("files/recent", "[]")
        try:
            paths = json.loads(_parse_text(stored))
            if not isinstance(paths, list) or not all(isinstance(path, str) for path in paths):
                raise ValueError("it is not a list of paths")
        except ValueError as error:
            self._warn(f"{self.path.name}: files/recent is ignored, {error}.")
            return []
        return [Path(path) for path in paths[:RECENT_MAX]]

    def add_recent(self, path: str | Path) -> None:
        """Put `path` at the head of the recent list."""
        paths = [str(Path(path))]
        paths += [str(other) for other in self.recent() if str(other) != paths[0]]
        self._ini.setValue("files/recent", json.dumps(paths[:RECENT_MAX], ensure_ascii=False))
        self.changed.emit("files/recent")

    def clear_recent(self) -> None:
        """Forget the recent list."""
        self._ini.remove("files/recent")
        self.changed.emit("files/recent")

    def window_state(self, name: str = "main") -> tuple[QByteArray, QByteArray] | None:
        """Geometry and state saved by `save_window_state`, for ``restoreGeometry`` and ``restoreState``."""
        geometry = self._ini.value(f"window/{name}_geometry")
        state = self._ini.value(f"window/{name}_state")
        if isinstance(geometry, QByteArray) and isinstance(state, QByteArray):
            return geometry, state
        return None

    def save_window_state(self, geometry: QByteArray, state: QByteArray, name: str = "main") -> None:
        """Keep a window's ``saveGeometry()`` and ``saveState()``."""
        self._ini.setValue(f"window/{name}_geometry", geometry)
        self._ini.setValue(f"window/{name}_state", state)

    def sync(self) -> bool:
        """Write what is still in memory; False if the file could not be written."""
        self._ini.sync()
        return self._ini.status() == QSettings.Status.NoError

    def _warn(self, sentence: str) -> None:
        if sentence not in self.warnings:
            self.warnings.append(sentence)
            _LOG.warning(sentence)


def setting_row(key: str) -> Setting:
    """The row of a setting; KeyError for one that is not in the table."""
    return _BY_KEY[key]


def setting_text(setting: Setting) -> str:
    """What a person reads beside a setting, in their language."""
    return QCoreApplication.translate("Settings", setting.text)


def _default_path() -> Path:
    from platformdirs import user_config_path

    return user_config_path("deeplab-studio", appauthor=False) / "settings.ini"
