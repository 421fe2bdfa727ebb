"""How the program looks: the Fusion style with light and dark colours of our own, switched while it runs.

Photographs are judged against their surround, so every surface is a neutral grey; one blue marks what is active.
"""

from __future__ import annotations

import string
from dataclasses import asdict, dataclass
from typing import Literal, cast, get_args

from PySide6.QtCore import QDir, QObject, Qt, Signal
from PySide6.QtGui import QColor, QGuiApplication, QPalette
from PySide6.QtWidgets import QApplication

from deeplab_studio.core.resources import resource

Scheme = Literal["light", "dark"]
Preference = Literal["system", "light", "dark"]
PREFERENCES: tuple[Preference, ...] = get_args(Preference)


@dataclass(frozen=True, slots=True)
class Tones:
    """Every colour of one scheme, as ``#rrggbb``.

    Those a `QPalette` has a role for are in the palette as well; the rest is for delegates and the style sheet.
    """

    window: str
    base: str
    alternate: str
    button: str
    hover: str
    pressed: str
    border: str
    border_strong: str
    canvas: str
    text: str
    muted: str
    disabled: str
    accent: str
    highlight: str
    highlight_hover: str
    highlighted_text: str
    link: str
    link_visited: str
    tooltip: str
    tooltip_text: str
    success: str
    warning: str
    danger: str
    shadow: str
    knob: str
    groove: str

    def colour(self, name: str) -> QColor:
        """The colour called `name` ("accent", "muted", ...)."""
        return QColor(cast(str, getattr(self, name)))

    @property
    def active_row(self) -> QColor:
        """Ground of the row of a list that is the one worked on."""
        return mix(QColor(self.base), QColor(self.accent), 0.24)


DARK = Tones(
    window="#2b2b2b",
    base="#202020",
    alternate="#262626",
    button="#3a3a3a",
    hover="#383838",
    pressed="#474747",
    border="#3e3e3e",
    border_strong="#5e5e5e",
    canvas="#191919",
    text="#e4e4e4",
    muted="#b0b0b0",
    disabled="#757575",
    accent="#6aa8f7",
    highlight="#2c65ad",
    highlight_hover="#3573c2",
    highlighted_text="#ffffff",
    link="#7fb4fa",
    link_visited="#b9a3f0",
    tooltip="#3c3c3c",
    tooltip_text="#f2f2f2",
    success="#62c48d",
    warning="#e3b04f",
    danger="#ff8a80",
    shadow="#0c0c0c",
    knob="#d6d6d6",
    groove="#4c4c4c",
)

LIGHT = Tones(
    window="#f0f0f0",
    base="#fdfdfd",
    alternate="#f6f6f6",
    button="#fafafa",
    hover="#e3e3e3",
    pressed="#d4d4d4",
    border="#d2d2d2",
    border_strong="#a6a6a6",
    canvas="#c8c8c8",
    text="#1e1e1e",
    muted="#5a5a5a",
    disabled="#9b9b9b",
    accent="#1a62c4",
    highlight="#2467c2",
    highlight_hover="#1a59ae",
    highlighted_text="#ffffff",
    link="#1459b3",
    link_visited="#6a3fb0",
    tooltip="#fffffa",
    tooltip_text="#1e1e1e",
    success="#17703f",
    warning="#875400",
    danger="#b8261c",
    shadow="#7a7a7a",
    knob="#ffffff",
    groove="#c4c4c4",
)

_TONES: dict[Scheme, Tones] = {"light": LIGHT, "dark": DARK}


def tones(palette: QPalette | None = None) -> Tones:
    """The colours that go with `palette` (by default the application's)."""
    window = (palette if palette is not None else QGuiApplication.palette()).color(QPalette.ColorRole.Window)
    return DARK if window.lightness() < 128 else LIGHT


def mix(first: QColor, second: QColor, share: float) -> QColor:
    """`first` with `share` (0..1) of `second` in it, opaque."""
    return QColor(
        round(first.red() + (second.red() - first.red()) * share),
        round(first.green() + (second.green() - first.green()) * share),
        round(first.blue() + (second.blue() - first.blue()) * share),
    )


def contrast_ratio(first: QColor, second: QColor) -> float:
    """Contrast of two colours, 1..21 (WCAG 2.2, "contrast ratio" and "relative luminance")."""

    def luminance(colour: QColor) -> float:
        linear = [
            value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4
            for value in (colour.redF(), colour.greenF(), colour.blueF())
        ]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    lighter, darker = sorted((luminance(first), luminance(second)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def palette_for(scheme: Scheme) -> QPalette:
    """The complete palette of a scheme: every role, with a disabled group of its own."""
    tone = _TONES[scheme]
    role = QPalette.ColorRole
    colours = {
        role.Window: tone.window,
        role.WindowText: tone.text,
        role.Base: tone.base,
        role.AlternateBase: tone.alternate,
        role.Text: tone.text,
        role.PlaceholderText: tone.muted,
        role.Button: tone.button,
        role.ButtonText: tone.text,
        role.BrightText: tone.danger,
        role.Highlight: tone.highlight,
        role.HighlightedText: tone.highlighted_text,
        role.Accent: tone.accent,
        role.Link: tone.link,
        role.LinkVisited: tone.link_visited,
        role.ToolTipBase: tone.tooltip,
        role.ToolTipText: tone.tooltip_text,
        role.Light: tone.pressed if scheme == "dark" else "#ffffff",
        role.Midlight: tone.hover if scheme == "dark" else tone.alternate,
        role.Mid: tone.border,
        role.Dark: tone.border_strong if scheme == "light" else tone.canvas,
        role.Shadow: tone.shadow,
    }
    palette = QPalette()
    for key, value in colours.items():
        palette.setColor(QPalette.ColorGroup.All, key, QColor(value))
    for key in (role.WindowText, role.Text, role.ButtonText, role.PlaceholderText, role.Link, role.LinkVisited):
        palette.setColor(QPalette.ColorGroup.Disabled, key, QColor(tone.disabled))
    palette.setColor(QPalette.ColorGroup.Disabled, role.Base, QColor(tone.window))
    palette.setColor(QPalette.ColorGroup.Disabled, role.Highlight, QColor(tone.border))
    palette.setColor(QPalette.ColorGroup.Disabled, role.HighlightedText, QColor(tone.disabled))
    palette.setColor(QPalette.ColorGroup.Disabled, role.Accent, QColor(tone.disabled))
    return palette


def style_sheet(scheme: Scheme) -> str:
    """The few rules a palette cannot express, filled with the colours of a scheme."""
    template = string.Template(resource("styles", "studio.qss").read_text("utf-8"))
    return template.substitute(asdict(_TONES[scheme]), scheme=scheme)


class Theme(QObject):
    """Applies a scheme to the whole application and follows the system's when asked to.

    Parameters
    ----------
    app : QApplication
        The application; gets the Fusion style at once.
    preference : {"system", "light", "dark"}
        What to show; "system" also follows later changes of the system's scheme.

    Attributes
    ----------
    changed : Signal(str)
        Emitted with "light" or "dark" after another scheme was applied.
    """

    changed = Signal(str)

    def __init__(self, app: QApplication, preference: Preference = "system") -> None:
        super().__init__(app)
        self._app = app
        self._preference: Preference = preference
        self._scheme: Scheme | None = None
        # A prefix instead of a path: a style sheet cannot quote every character a folder's name may hold.
        QDir.setSearchPaths("studio", [str(resource("styles"))])
        app.setStyle("Fusion")
        app.styleHints().colorSchemeChanged.connect(self._apply)
        self.set_preference(preference)

    @property
    def preference(self) -> Preference:
        """What was asked for."""
        return self._preference

    @property
    def scheme(self) -> Scheme:
        """What is on screen."""
        return self._scheme or "light"

    def set_preference(self, preference: str) -> None:
        """Show "light" or "dark", or what the system shows ("system"); raises ValueError for anything else."""
        if preference not in PREFERENCES:
            raise ValueError(f"theme {preference!r} is not one of {', '.join(PREFERENCES)}")
        self._preference = preference
        # Title bars, native dialogs and menus follow this where the platform can.
        wanted = {"light": Qt.ColorScheme.Light, "dark": Qt.ColorScheme.Dark}.get(preference, Qt.ColorScheme.Unknown)
        self._app.styleHints().setColorScheme(wanted)
        self._apply()

    def _apply(self) -> None:
        scheme: Scheme
        if self._preference == "system":
            scheme = "dark" if self._app.styleHints().colorScheme() == Qt.ColorScheme.Dark else "light"
        else:
            scheme = self._preference
        if scheme == self._scheme:
            return
        self._scheme = scheme
        self._app.setPalette(palette_for(scheme))
        self._app.setStyleSheet(style_sheet(scheme))
        self.changed.emit(scheme)
