"""What every test runs under: no screen, no network, no file of the user's, nothing left running."""

from __future__ import annotations

import gc
import ipaddress
import os
import random
import shutil
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from PySide6.QtCore import QThread, QThreadPool

REPOSITORY = Path(__file__).resolve().parents[1]
SECONDS_TO_FINISH = 5.0

# Before Qt, torch or OpenCV is imported by anything: all three read these once.
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
os.environ.setdefault("GOMP_SPINCOUNT", "1000")
os.environ.setdefault("OMP_NUM_THREADS", "1" if "PYTEST_XDIST_WORKER" in os.environ else "2")

# The time of an example depends on the machine, so it is no verdict. A run on a server repeats exactly.
settings.register_profile("local", deadline=None, max_examples=50)
settings.register_profile("ci", deadline=None, max_examples=50, derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "local")


def pytest_xdist_auto_num_workers() -> int:
    """Answer ``-n auto``: more than four copies of torch cost more memory than they save time."""
    return max(1, min(4, os.cpu_count() or 1))


# --- Nothing of the user's is read or written -----------------------------------------------------------------------


def _user_folders(home: Path) -> dict[str, str]:
    """Return the environment in which every standard folder lies under `home`."""
    folders = {
        "HOME": home,
        "USERPROFILE": home,
        "APPDATA": home / "AppData" / "Roaming",
        "LOCALAPPDATA": home / "AppData" / "Local",
        "WIN_PD_OVERRIDE_APPDATA": home / "AppData" / "Roaming",
        "WIN_PD_OVERRIDE_LOCAL_APPDATA": home / "AppData" / "Local",
        "WIN_PD_OVERRIDE_PERSONAL": home / "Documents",
        "XDG_CACHE_HOME": home / ".cache",
        "XDG_CONFIG_HOME": home / ".config",
        "XDG_DATA_HOME": home / ".local" / "share",
        "XDG_STATE_HOME": home / ".local" / "state",
        "XDG_RUNTIME_DIR": home / ".run",
        # Which models ship is no matter of the other tests: for them none does.
        "DEEPLAB_STUDIO_MODELS": home / "shipped",
    }
    for folder in folders.values():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return {name: str(folder) for name, folder in folders.items()}


def pytest_configure(config: pytest.Config) -> None:
    """Move the user's folders away before any test module is imported."""
    home = Path(tempfile.mkdtemp(prefix="deeplab-studio-tests-"))
    config.add_cleanup(lambda: shutil.rmtree(home, ignore_errors=True))
    os.environ.update(_user_folders(home))


@pytest.fixture(autouse=True)
def user_folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Give each test an empty home folder, which child processes inherit, and return it."""
    home = tmp_path_factory.mktemp("home")
    if "PySide6.QtCore" in sys.modules:
        from PySide6.QtCore import QSettings

        # Qt remembers where settings lie from its first use on, whatever the environment says later.
        for form in (QSettings.Format.IniFormat, QSettings.Format.NativeFormat):
            QSettings.setPath(form, QSettings.Scope.UserScope, str(home / ".config"))
    # Not the test's own monkeypatch, which the test may undo.
    with pytest.MonkeyPatch.context() as patch:
        for name, folder in _user_folders(home).items():
            patch.setenv(name, folder)
        yield home


@pytest.fixture(scope="session")
def shared() -> Path:
    """Return the folder of reference photos, weights and fixtures, or skip: it is not part of the repository."""
    folder = Path(os.environ.get("DEEPLAB_STUDIO_SHARED", REPOSITORY.parent / "shared"))
    if not (folder / "data").is_dir():
        pytest.skip(f"no reference data at {folder}; set DEEPLAB_STUDIO_SHARED to the folder that holds data/")
    return folder


@pytest.fixture(autouse=True)
def same_random_numbers() -> None:
    """Start each test from the same seeds, for the generators that are already loaded."""
    random.seed(0)
    if numpy := sys.modules.get("numpy"):
        numpy.random.seed(0)
    if torch := sys.modules.get("torch"):
        torch.manual_seed(0)


# --- Nothing leaves the machine -------------------------------------------------------------------------------------


def _is_this_machine(address: Any) -> bool:
    """Tell whether a socket address stays on this machine: loopback, or not an internet address at all."""
    if not isinstance(address, tuple) or not address:
        return True
    host = address[0]
    if host in (None, "", b"", "localhost", b"localhost"):
        return True
    try:
        return ipaddress.ip_address(host.decode() if isinstance(host, bytes) else host).is_loopback
    except ValueError:
        return False


@pytest.fixture(autouse=True)
def no_network() -> Iterator[None]:
    """Refuse every connection that would leave the machine, and fail the test that tried one."""
    attempts: list[str] = []

    def guarded(real: Callable[..., Any]) -> Callable[..., Any]:
        def connect(self: socket.socket, address: Any) -> Any:
            if _is_this_machine(address):
                return real(self, address)
            attempts.append(str(address))
            raise ConnectionRefusedError(f"tests may not leave this machine: {address}")

        return connect

    real_lookup = socket.getaddrinfo

    def getaddrinfo(host: Any, *args: Any, **kwargs: Any) -> Any:
        if _is_this_machine((host,)):
            return real_lookup(host, *args, **kwargs)
        attempts.append(str(host))
        raise socket.gaierror(socket.EAI_FAIL, f"tests may not leave this machine: {host}")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", guarded(socket.socket.connect))
        patch.setattr(socket.socket, "connect_ex", guarded(socket.socket.connect_ex))
        patch.setattr(socket, "getaddrinfo", getaddrinfo)
        yield
    if attempts:
        pytest.fail(f"the test tried to reach {', '.join(attempts)}; serve it from 127.0.0.1", pytrace=False)


# --- Nothing is left running ----------------------------------------------------------------------------------------


def _python_threads() -> set[threading.Thread]:
    # Python keeps an entry for every foreign thread that ever called into it, long after that thread has ended.
    return {t for t in threading.enumerate() if not isinstance(t, threading._DummyThread)}


def _with_subclasses(kind: type[Any]) -> set[type[Any]]:
    found = {kind}
    for subclass in kind.__subclasses__():
        found |= _with_subclasses(subclass)
    return found


def _qt_objects() -> tuple[list[QThread], list[QThreadPool]]:
    """Return every Qt thread and thread pool Python knows of."""
    if "PySide6.QtCore" not in sys.modules:
        return [], []
    import shiboken6
    from PySide6.QtCore import QThread, QThreadPool

    # Sets of types, because asking every object with isinstance takes a sixth of a second once torch is loaded.
    thread_types, pool_types = _with_subclasses(QThread), _with_subclasses(QThreadPool)
    things, kinds = gc.get_objects(), thread_types | pool_types
    if kinds.isdisjoint(map(type, things)):
        return [], [QThreadPool.globalInstance()]
    alive = [thing for thing in things if type(thing) in kinds and shiboken6.isValid(thing)]
    threads = [thing for thing in alive if type(thing) in thread_types]
    pools = [QThreadPool.globalInstance(), *(thing for thing in alive if type(thing) in pool_types)]
    return threads, pools


@pytest.fixture(autouse=True)
def nothing_left_running(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail the test that leaves a thread of Python or Qt running."""
    before = _python_threads()
    yield
    deadline = time.monotonic() + SECONDS_TO_FINISH
    while (left := _python_threads() - before) and time.monotonic() < deadline:
        time.sleep(0.01)
    names = [f"thread {thread.name!r}" for thread in left]

    if "qapp" in request.fixturenames:
        threads, pools = _qt_objects()
        for thread in threads:
            milliseconds = max(1, int(1000 * (deadline - time.monotonic())))
            if thread.isRunning() and not thread.wait(milliseconds):
                names.append(f"Qt thread {thread.objectName() or type(thread).__name__!r}")
        for pool in pools:
            milliseconds = max(1, int(1000 * (deadline - time.monotonic())))
            if pool.activeThreadCount() and not pool.waitForDone(milliseconds):
                names.append(f"{pool.activeThreadCount()} job(s) of a Qt thread pool")
    if names:
        pytest.fail(f"the test left something running: {', '.join(names)}", pytrace=False)
