"""Icons by what they mean, drawn from qtawesome's Phosphor font in the colours of the theme.

The outlines are read from qtawesome's font file without importing qtawesome itself: its import loads every font it
brings, which costs more than the rest of the first window. An icon takes its colour when it is painted, so a change of
theme needs no new icons, and it is an outline, so it is sharp at every scale.
"""

from __future__ import annotations

import functools
import importlib.util
import json
import logging
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from PySide6.QtCore import QRect, QRectF, QSize, Qt
from PySide6.QtGui import (
    QColor,
    QFont,
    QGuiApplication,
    QIcon,
    QIconEngine,
    QPainter,
    QPainterPath,
    QPalette,
    QPixmap,
    QRawFont,
)

from deeplab_studio.app.theme import tones

_LOG = logging.getLogger(__name__)

Tone = Literal["text", "muted", "accent", "success", "warning", "danger"]

GLYPHS = MappingProxyType(
    {
        # files
        "open-image": "image-square",
        "open-folder": "folder-open",
        "recent": "clock-counter-clockwise",
        "paste": "clipboard-text",
        "save": "floppy-disk",
        "export": "export",
        "import": "download-simple",
        "show-in-folder": "folder-simple",
        "remove": "trash",
        "clear": "selection-slash",
        "copy": "copy",
        "drop": "tray",
        "picture": "image",
        "quit": "sign-out",
        # steps
        "previous": "caret-left",
        "next": "caret-right",
        "up": "caret-up",
        "down": "caret-down",
        "undo": "arrow-u-up-left",
        "redo": "arrow-u-up-right",
        "reset": "arrow-counter-clockwise",
        "add": "plus",
        "less": "minus",
        "close": "x",
        "cancel": "x-circle",
        "more": "dots-three",
        "search": "magnifying-glass",
        "filter": "funnel",
        "sort-ascending": "sort-ascending",
        "sort-descending": "sort-descending",
        # tools
        "pan": "hand",
        "brush": "paint-brush",
        "eraser": "eraser",
        "picker": "eyedropper",
        "polygon": "polygon",
        "lasso": "scribble-loop",
        "rectangle": "rectangle",
        "ellipse": "circle",
        "unlabelled": "selection-background",
        "fill": "paint-bucket",
        "wand": "magic-wand",
        "superpixels": "hexagon",
        "grow": "waves",
        "crf-brush": "paint-brush-broad",
        "region": "selection-plus",
        "clean-up": "paint-brush-household",
        "round": "circle",
        "square": "square",
        # view
        "zoom-in": "magnifying-glass-plus",
        "zoom-out": "magnifying-glass-minus",
        "zoom-fit": "frame-corners",
        "zoom-actual": "number-square-one",
        "shown": "eye",
        "hidden": "eye-slash",
        "solo": "target",
        "labels": "stack",
        "filled": "square-half",
        "outlines": "selection",
        "opacity": "drop-half",
        "brightness": "sun",
        "contrast": "circle-half",
        "gamma": "chart-line-up",
        "compare": "columns",
        "grid": "grid-four",
        "link": "link-simple",
        "story": "book-open",
        "vote": "scales",
        # rules
        "protected": "lock-simple-fill",
        "unprotected": "lock-simple-open",
        "pin": "push-pin",
        "unpin": "push-pin-slash",
        # engine
        "model": "brain",
        "open-model": "package",
        "inspect-model": "tree-structure",
        "get-models": "cloud-arrow-down",
        "predict": "sparkle",
        "automatic": "lightning",
        "crf": "faders-horizontal",
        "device": "cpu",
        "stages": "film-strip",
        "probability": "percent",
        "uncertainty": "question",
        "changes": "swap",
        "kernel": "crosshair",
        "own-preset": "star",
        "search-parameters": "chart-line",
        "memory": "hard-drive",
        "stop": "stop",
        "train": "graduation-cap",
        "report": "chart-bar",
        "project": "database",
        # label sets
        "label-set": "swatches",
        "rename": "pencil-simple",
        "colour": "palette",
        "distinct-colours": "rainbow",
        "merge": "git-merge",
        "map-classes": "flow-arrow",
        "history": "clock-counter-clockwise",
        # states of an item
        "state-new": "circle",
        "state-progress": "circle-half-fill",
        "state-done": "check-circle-fill",
        "state-reviewed": "circle-wavy-check-fill",
        "state-empty": "minus-circle",
        # what a message is
        "info": "info",
        "success": "check-circle",
        "warning": "warning-fill",
        "error": "warning-octagon-fill",
        "check": "check",
        "done": "check-circle",
        # program
        "settings": "gear-six",
        "keyboard": "keyboard",
        "help": "question",
        "theme": "circle-half-tilt",
        "light": "sun-dim",
        "dark": "moon",
        "language": "translate",
        "log": "terminal-window",
        "panels": "layout",
    }
)
"""Meaning -> name of the glyph in the Phosphor set."""

_EM = 256
"""The grid the glyphs are drawn on: strokes are 16 units, one pixel in an icon of 16."""


class _Font:
    """The glyph outlines, read from the font once."""

    def __init__(self) -> None:
        spec = importlib.util.find_spec("qtawesome")
        places = list(spec.submodule_search_locations or ()) if spec is not None else []
        folder = Path(places[0]) / "fonts" if places else Path()
        fonts = sorted(folder.glob("phosphor-[0-9]*.ttf"))
        charmaps = sorted(folder.glob("phosphor-charmap-*.json"))
        self._codes: dict[str, str] = {}
        self._font = QRawFont()
        self._outlines: dict[str, QPainterPath] = {}
        if fonts and charmaps:
            self._font = QRawFont(str(fonts[-1]), _EM, QFont.HintingPreference.PreferNoHinting)
            self._codes = json.loads(charmaps[-1].read_text("utf-8"))
        else:
            _LOG.warning("qtawesome's Phosphor font was not found in %s: the program shows no icons", folder)

    def outline(self, glyph: str) -> QPainterPath:
        """The glyph in a square of `_EM` units; empty if the font has none of that name."""
        if glyph not in self._outlines:
            path = QPainterPath()
            if glyph in self._codes:
                index = self._font.glyphIndexesForString(chr(int(self._codes[glyph], 16)))[0]
                path = self._font.pathForGlyph(index).translated(0, self._font.ascent())
                path.setFillRule(Qt.FillRule.WindingFill)
            self._outlines[glyph] = path
        return self._outlines[glyph]


@functools.cache
def _font() -> _Font:
    return _Font()


def paint_icon(painter: QPainter, rect: QRect | QRectF, name: str, colour: QColor) -> None:
    """Draw the icon `name` in `colour`, as large as fits into `rect` and centred in it."""
    side = min(rect.width(), rect.height())
    centre = QRectF(rect).center()
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.translate(centre.x() - side / 2, centre.y() - side / 2)
    painter.scale(side / _EM, side / _EM)
    painter.fillPath(_font().outline(GLYPHS[name]), colour)
    painter.restore()


class _Engine(QIconEngine):
    """Draws an outline in the colour its tone has at that moment."""

    def __init__(self, name: str, on: str, tone: Tone) -> None:
        super().__init__()
        self._name, self._on, self._tone = name, on, tone

    def clone(self) -> QIconEngine:
        return _Engine(self._name, self._on, self._tone)

    def paint(self, painter: QPainter, rect: QRect, mode: QIcon.Mode, state: QIcon.State) -> None:
        name = self._on if state == QIcon.State.On else self._name
        paint_icon(painter, rect, name, self._colour(mode, state))

    def pixmap(self, size: QSize, mode: QIcon.Mode, state: QIcon.State) -> QPixmap:
        pixmap = QPixmap(size)
        pixmap.fill(Qt.GlobalColor.transparent)
        painter = QPainter(pixmap)
        self.paint(painter, QRect(0, 0, size.width(), size.height()), mode, state)
        painter.end()
        return pixmap

    def _colour(self, mode: QIcon.Mode, state: QIcon.State) -> QColor:
        palette = QGuiApplication.palette()
        if mode == QIcon.Mode.Disabled:
            return palette.color(QPalette.ColorGroup.Disabled, QPalette.ColorRole.ButtonText)
        if mode == QIcon.Mode.Selected:
            return palette.color(QPalette.ColorRole.HighlightedText)
        if state == QIcon.State.On and self._tone == "text":
            return palette.color(QPalette.ColorRole.Accent)
        return tones(palette).colour(self._tone)


def icon(name: str, *, on: str | None = None, tone: Tone = "text") -> QIcon:
    """The icon for a meaning.

    Parameters
    ----------
    name : str
        A key of `GLYPHS`.
    on : str, optional
        Another key, shown while the button or action is checked.
    tone : {"text", "muted", "accent", "success", "warning", "danger"}
        Its colour. A checked icon in the text colour turns to the accent.

    Raises
    ------
    KeyError
        If no icon is called `name` or `on`.
    """
    for key in (name, on):
        if key is not None and key not in GLYPHS:
            raise KeyError(f"no icon is called {key!r}")
    return QIcon(_Engine(name, on or name, tone))
