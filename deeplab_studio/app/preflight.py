"""Tell what this machine lacks for a window before Qt finds out.

Without a system library ``import PySide6`` fails with the linker's words; without a screen, or without a library of the
screen's plugin, Qt aborts the whole process. Both are foreseen here, without importing Qt, in a few milliseconds.
"""

from __future__ import annotations

import ctypes
import os
import socket
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple


class Library(NamedTuple):
    """A shared library Qt links to, and the package that holds it in each family of distributions."""

    soname: str
    apt: str
    dnf: str
    pacman: str


BASE_LIBRARIES = (
    Library("libEGL.so.1", "libegl1", "libglvnd-egl", "libglvnd"),
    Library("libGL.so.1", "libgl1", "libglvnd-glx", "libglvnd"),
    Library("libxkbcommon.so.0", "libxkbcommon0", "libxkbcommon", "libxkbcommon"),
    Library("libfontconfig.so.1", "libfontconfig1", "fontconfig", "fontconfig"),
    Library("libdbus-1.so.3", "libdbus-1-3", "dbus-libs", "dbus"),
    Library("libglib-2.0.so.0", "libglib2.0-0", "glib2", "glib2"),
)
"""What QtGui and QtWidgets need on Linux whatever the screen is."""

X11_LIBRARIES = (
    Library("libxcb-cursor.so.0", "libxcb-cursor0", "xcb-util-cursor", "xcb-util-cursor"),
    Library("libxkbcommon-x11.so.0", "libxkbcommon-x11-0", "libxkbcommon-x11", "libxkbcommon-x11"),
    Library("libxcb-icccm.so.4", "libxcb-icccm4", "xcb-util-wm", "xcb-util-wm"),
    Library("libxcb-keysyms.so.1", "libxcb-keysyms1", "xcb-util-keysyms", "xcb-util-keysyms"),
    Library("libxcb-shape.so.0", "libxcb-shape0", "libxcb", "libxcb"),
    Library("libxcb-image.so.0", "libxcb-image0", "xcb-util-image", "xcb-util-image"),
    Library("libxcb-render-util.so.0", "libxcb-render-util0", "xcb-util-renderutil", "xcb-util-renderutil"),
)
"""What Qt's plugin for an X server needs besides."""

WAYLAND_LIBRARIES = (
    Library("libwayland-client.so.0", "libwayland-client0", "libwayland-client", "wayland"),
    Library("libwayland-cursor.so.0", "libwayland-cursor0", "libwayland-cursor", "wayland"),
)
"""What Qt's plugin for a Wayland compositor needs besides."""

WITHOUT_A_SCREEN = "To label without a screen: deeplab-studio segment PATH... --model ID --out DIR"


def check(
    platform: str = sys.platform,
    environ: Mapping[str, str] = os.environ,
    can_load: Callable[[str], bool] | None = None,
    can_connect: Callable[[Mapping[str, str], str], bool] | None = None,
) -> str | None:
    """Say what is missing for the window to open.

    Parameters
    ----------
    platform : str
        As `sys.platform`. Only Linux and its relatives lack libraries or a screen; elsewhere the answer is None.
    environ : mapping
        As `os.environ`. Read: ``DISPLAY``, ``WAYLAND_DISPLAY``, ``XDG_RUNTIME_DIR``, ``QT_QPA_PLATFORM``.
    can_load : callable, optional
        Whether the library of this soname can be loaded. By default it is loaded.
    can_connect : callable, optional
        Whether the screen of a kind, ``"xcb"`` or ``"wayland"``, answers in this environment. By default it is asked.

    Returns
    -------
    str or None
        The whole text to show, several lines, naming packages; None if the window can open.
    """
    if not platform.startswith("linux"):
        return None
    can_load = can_load or _can_load
    can_connect = can_connect or _can_connect

    missing = [library for library in BASE_LIBRARIES if not can_load(library.soname)]
    unreachable = ""
    lacking: list[Library] = []
    for plugin in _plugins(environ):
        lacking, unreachable = _obstacles(plugin, environ, can_load, can_connect)
        if not lacking and not unreachable:
            break
    else:
        # Of several ways that all fail, the last is explained: X11, which needs the least set up.
        missing += lacking
    parts = [_install_text(missing)] if missing else []
    if unreachable:
        parts.append(_no_screen_text(unreachable))
    return "\n\n".join(parts) or None


def _obstacles(
    plugin: str,
    environ: Mapping[str, str],
    can_load: Callable[[str], bool],
    can_connect: Callable[[Mapping[str, str], str], bool],
) -> tuple[list[Library], str]:
    """Return the libraries a plugin of Qt lacks, and why its screen cannot be reached: two empty values if it works."""
    libraries, variable = _SCREENS[plugin]
    lacking = [library for library in libraries if not can_load(library.soname)]
    named = environ.get(variable)
    if not lacking and can_connect(environ, plugin):
        return [], ""
    if not named:
        return lacking, f"there is no screen, {variable} is not set"
    return lacking, "" if lacking else f"the screen {variable}={named} does not answer"


def _plugins(environ: Mapping[str, str]) -> list[str]:
    """Return the plugins Qt may use here, in its order; none if it was told to use one that needs no screen."""
    told = environ.get("QT_QPA_PLATFORM")
    if told:
        names = [part.partition(":")[0].partition("-")[0] for part in told.split(";")]
        return names if all(name in _SCREENS for name in names) else []
    return [plugin for plugin, (_, variable) in _SCREENS.items() if environ.get(variable)] or ["xcb"]


def _install_text(libraries: list[Library]) -> str:
    def packages(names: list[str]) -> str:
        return " ".join(dict.fromkeys(names))

    sonames = ", ".join(library.soname for library in libraries)
    return "\n".join(
        (
            f"DeepLab Studio cannot open its window: this system lacks {sonames}. Install what holds them:",
            f"  Debian, Ubuntu:  sudo apt-get install {packages([library.apt for library in libraries])}",
            f"  Fedora:          sudo dnf install {packages([library.dnf for library in libraries])}",
            f"  Arch:            sudo pacman -S {packages([library.pacman for library in libraries])}",
        )
    )


def _no_screen_text(reason: str) -> str:
    return "\n".join(
        (
            f"DeepLab Studio cannot open its window: {reason}.",
            "Start it in a desktop session, or over ssh -X.",
            WITHOUT_A_SCREEN,
        )
    )


def _can_load(soname: str) -> bool:
    try:
        ctypes.CDLL(soname)
    except OSError:
        return False
    return True


def _can_connect(environ: Mapping[str, str], plugin: str) -> bool:
    """Ask the screen for a connection, the way Qt is going to."""
    if plugin == "wayland":
        name = environ.get("WAYLAND_DISPLAY") or "wayland-0"
        path = Path(environ.get("XDG_RUNTIME_DIR", "/run/user"), name)
        with socket.socket(socket.AF_UNIX) as client:
            try:
                client.connect(str(path))
            except OSError:
                return False
        return True
    if not environ.get("DISPLAY"):
        return False
    xcb = ctypes.CDLL("libxcb.so.1")
    xcb.xcb_connect.restype = ctypes.c_void_p
    connection = ctypes.c_void_p(xcb.xcb_connect(os.fsencode(environ["DISPLAY"]), None))
    failed = bool(xcb.xcb_connection_has_error(connection))
    xcb.xcb_disconnect(connection)
    return not failed


_SCREENS = {"wayland": (WAYLAND_LIBRARIES, "WAYLAND_DISPLAY"), "xcb": (X11_LIBRARIES, "DISPLAY")}
"""Plugin of Qt -> what it links to, and the variable that names its screen; in the order Qt tries them."""
