"""The rules every test runs under do catch the tests that break them."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

CONFTEST = Path(__file__).with_name("conftest.py")


def _outcomes(pytester: pytest.Pytester, tests: str) -> dict[str, int]:
    pytester.makeconftest(CONFTEST.read_text(encoding="utf-8").replace("FINISH = 5.0", "FINISH = 0.2"))
    pytester.makepyfile(tests)
    return pytester.runpytest_subprocess("-p", "no:cacheprovider").parseoutcomes()


def test_a_thread_left_running_fails_its_test_and_no_other(pytester: pytest.Pytester) -> None:
    outcomes = _outcomes(
        pytester,
        """
        import threading

        release = threading.Event()

        def test_leaks():
            threading.Thread(target=release.wait, name="forgotten", daemon=True).start()

        def test_joins():
            thread = threading.Thread(target=lambda: None)
            thread.start()
            thread.join()

        def test_last():
            release.set()
        """,
    )
    assert outcomes == {"passed": 3, "errors": 1}


def test_qt_work_left_running_fails_its_test_and_no_other(pytester: pytest.Pytester) -> None:
    outcomes = _outcomes(
        pytester,
        """
        import threading
        from PySide6.QtCore import QThread, QThreadPool

        release = threading.Event()
        kept = []

        class Worker(QThread):
            def run(self):
                release.wait()

        def test_leaks_a_thread(qapp):
            kept.append(Worker())
            kept[0].start()

        def test_waits_for_its_thread(qapp):
            release.set()
            kept[0].wait()
            release.clear()

        def test_leaks_a_job_in_the_pool(qapp):
            QThreadPool.globalInstance().start(release.wait)

        def test_waits_for_the_pool(qapp):
            release.set()
            assert QThreadPool.globalInstance().waitForDone(5000)
        """,
    )
    assert outcomes == {"passed": 4, "errors": 2}


def test_an_exception_in_a_slot_or_a_thread_fails_the_test(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\nfilterwarnings = error::pytest.PytestUnhandledThreadExceptionWarning\n")
    outcomes = _outcomes(
        pytester,
        """
        import threading
        from PySide6.QtCore import QTimer

        def test_slot(qtbot):
            QTimer.singleShot(0, lambda: 1 / 0)
            qtbot.wait(20)

        def test_thread():
            thread = threading.Thread(target=lambda: 1 / 0)
            thread.start()
            thread.join()
        """,
    )
    assert outcomes == {"failed": 2}


def test_reaching_for_the_network_fails_the_test_even_if_the_error_is_swallowed(pytester: pytest.Pytester) -> None:
    outcomes = _outcomes(
        pytester,
        """
        import contextlib
        import socket
        import urllib.request

        def test_by_name():
            with contextlib.suppress(OSError):
                urllib.request.urlopen("http://example.org/", timeout=1)

        def test_by_address():
            with contextlib.suppress(OSError), socket.socket() as s:
                s.connect(("192.0.2.1", 80))

        def test_this_machine():
            with socket.create_server(("127.0.0.1", 0)) as server:
                with socket.create_connection(("localhost", server.getsockname()[1]), timeout=5):
                    pass
        """,
    )
    assert outcomes == {"passed": 3, "errors": 2}


def test_property_tests_run_under_the_shared_fixtures(pytester: pytest.Pytester) -> None:
    outcomes = _outcomes(
        pytester,
        """
        from hypothesis import given, settings, strategies

        @given(strategies.integers())
        def test_no_deadline(number):
            assert settings().deadline is None
        """,
    )
    assert outcomes == {"passed": 1}


def test_home_and_settings_lie_in_the_tests_own_folder(user_folders: Path) -> None:
    from PySide6.QtCore import QSettings, QStandardPaths

    settings = QSettings(QSettings.Format.IniFormat, QSettings.Scope.UserScope, "deeplab-studio", "test")
    cache = QStandardPaths.writableLocation(QStandardPaths.StandardLocation.GenericCacheLocation)
    import platformdirs

    for folder in (Path.home(), settings.fileName(), cache, platformdirs.user_data_dir("deeplab-studio")):
        assert Path(folder).is_relative_to(user_folders)
    assert user_folders.is_relative_to(tempfile.gettempdir())


def test_torch_and_qt_find_their_settings_in_the_environment() -> None:
    assert os.environ["QT_QPA_PLATFORM"]
    assert os.environ["GOMP_SPINCOUNT"] == "1000"
    assert int(os.environ["OMP_NUM_THREADS"]) in (1, 2)
