from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping

import pytest

from deeplab_studio.app.preflight import BASE_LIBRARIES, WAYLAND_LIBRARIES, X11_LIBRARIES, check

DESKTOP = {"DISPLAY": ":0"}


def lacking(*sonames: str):
    return lambda soname: soname not in sonames


def answering(*plugins: str):
    return lambda environ, plugin: plugin in plugins


ALL, NOTHING = lacking(), answering()


def test_a_complete_desktop_has_nothing_to_say() -> None:
    assert check("linux", DESKTOP, ALL, answering("xcb")) is None
    assert check("linux", {"WAYLAND_DISPLAY": "wayland-0"}, ALL, answering("wayland")) is None


@pytest.mark.parametrize("platform", ["win32", "darwin"])
def test_other_systems_are_not_asked(platform: str) -> None:
    assert check(platform, {}, lacking("libEGL.so.1"), NOTHING) is None


def test_a_missing_library_is_named_with_its_package_everywhere() -> None:
    text = check("linux", DESKTOP, lacking("libEGL.so.1"), answering("xcb"))
    assert text is not None
    assert "libEGL.so.1" in text
    assert "apt-get install libegl1\n" in text
    assert "dnf install libglvnd-egl\n" in text
    assert "pacman -S libglvnd" in text
    assert "screen" not in text


def test_everything_missing_is_one_command_without_repetition() -> None:
    text = check("linux", DESKTOP, lambda soname: False, answering("xcb"))
    assert text is not None
    for library in BASE_LIBRARIES + X11_LIBRARIES:
        assert library.soname in text
    (pacman,) = [line for line in text.splitlines() if "pacman" in line]
    assert pacman.split().count("libglvnd") == 1
    (apt,) = [line for line in text.splitlines() if "apt-get" in line]
    assert set(apt.partition("install ")[2].split()) == {library.apt for library in BASE_LIBRARIES + X11_LIBRARIES}


@pytest.mark.parametrize("platform", ["offscreen", "minimal", "vnc:port=5900", "eglfs"])
def test_a_platform_without_a_screen_needs_only_the_base(platform: str) -> None:
    environ = {"QT_QPA_PLATFORM": platform}
    only_base = {library.soname for library in BASE_LIBRARIES}
    assert check("linux", environ, lambda soname: soname in only_base, NOTHING) is None
    assert "libgl1" in (check("linux", environ, lacking("libGL.so.1"), NOTHING) or "")


def test_no_screen_says_how_to_work_without_one() -> None:
    for environ in ({}, {"DISPLAY": ""}, {"QT_QPA_PLATFORM": "xcb"}):
        text = check("linux", environ, ALL, NOTHING)
        assert text is not None
        assert "DISPLAY is not set" in text
        assert "deeplab-studio segment" in text
        assert "install" not in text


def test_a_screen_that_does_not_answer_is_named() -> None:
    text = check("linux", {"DISPLAY": "host:7"}, ALL, NOTHING)
    assert text is not None
    assert "DISPLAY=host:7 does not answer" in text


def test_no_screen_and_no_library_are_told_together() -> None:
    text = check("linux", {}, lacking("libxcb-cursor.so.0"), NOTHING)
    assert text is not None
    assert "libxcb-cursor0" in text
    assert "there is no screen" in text


def test_one_working_way_in_is_enough() -> None:
    both = {"DISPLAY": ":0", "WAYLAND_DISPLAY": "wayland-0"}
    no_wayland = lacking(*(library.soname for library in WAYLAND_LIBRARIES))
    no_x11 = lacking(*(library.soname for library in X11_LIBRARIES))
    assert check("linux", both, no_wayland, answering("xcb", "wayland")) is None
    assert check("linux", both, no_x11, answering("xcb", "wayland")) is None
    assert check("linux", {**both, "QT_QPA_PLATFORM": "wayland;xcb"}, ALL, answering("xcb")) is None
    text = check("linux", {**both, "QT_QPA_PLATFORM": "xcb"}, no_x11, answering("wayland"))
    assert "libxcb-icccm4" in (text or "")


def _run(code: str, environ: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], env=dict(environ), capture_output=True, text=True, check=False)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks for Linux libraries")
def test_the_machine_itself_is_asked_without_importing_qt() -> None:
    code = """
import os, sys
from deeplab_studio.app.preflight import check
text = check()
assert not any(name.startswith(("PySide6", "numpy", "torch")) for name in sys.modules)
sys.exit(text)
"""
    offscreen = _run(code, {"QT_QPA_PLATFORM": "offscreen"})
    assert offscreen.returncode == 0, offscreen.stderr  # pytest-qt has loaded Qt, so its libraries are here
    nothing = _run(code, {})
    assert nothing.returncode == 1
    assert "there is no screen" in nothing.stderr
    for environ in ({"DISPLAY": ":987"}, {"WAYLAND_DISPLAY": "nobody", "XDG_RUNTIME_DIR": "/nonexistent"}):
        silent = _run(code, environ)
        assert silent.returncode == 1
        assert "does not answer" in silent.stderr or "lacks" in silent.stderr
