"""Starts the window."""

from __future__ import annotations

import logging
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from deeplab_studio.app import preflight

if TYPE_CHECKING:
    from PySide6.QtWidgets import QApplication

    from deeplab_studio.app.settings import Settings
    from deeplab_studio.app.window import MainWindow

log = logging.getLogger(__name__)


def run(paths: Sequence[Path]) -> int:
    """Open the window with these images, folders or data sets and stay until it is closed.

    Returns
    -------
    int
        Exit status: 0, or 1 if the machine lacks what a window needs (said on stderr).
    """
    missing = preflight.check()
    if missing is not None:
        print(missing, file=sys.stderr)  # noqa: T201  there is no window to say it in
        return 1
    app = create_application()
    window = create_window(app)
    window.show()
    if paths:
        window.open_paths([Path(path) for path in paths])
    return app.exec()


def create_application() -> QApplication:
    """Make the one application object, with its name, its language, and an orderly end when the system asks for it."""
    from PySide6.QtCore import QLocale, QTimer, QTranslator
    from PySide6.QtWidgets import QApplication

    from deeplab_studio import __version__
    from deeplab_studio.core.resources import resource

    app = QApplication.instance() or QApplication([Path(sys.argv[0]).name])
    assert isinstance(app, QApplication)
    app.setApplicationName("deeplab-studio")
    app.setApplicationDisplayName("DeepLab Studio")
    app.setApplicationVersion(__version__)
    app.setDesktopFileName("deeplab-studio")
    translator = QTranslator(app)
    if translator.load(QLocale(), "deeplab_studio", "_", str(resource("translations"))):
        app.installTranslator(translator)
    # Qt's loop runs in C++: without a timer that lets Python breathe, Ctrl+C would wait for the next event.
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            # From the loop: whatever Python was just doing is finished first.
            signal.signal(getattr(signal, name), lambda *_: QTimer.singleShot(0, app, QApplication.quit))
    breathe = QTimer(app, interval=500)
    breathe.timeout.connect(lambda: None)
    breathe.start()
    return app


def create_window(app: QApplication, settings: Settings | None = None) -> MainWindow:
    """Make the window, in the theme of the settings, with failures logged and told."""
    from platformdirs import user_log_path

    from deeplab_studio.app.failures import log_to_file, tell_failures
    from deeplab_studio.app.settings import Settings
    from deeplab_studio.app.theme import Theme
    from deeplab_studio.app.window import MainWindow

    try:
        log_to_file(user_log_path("deeplab-studio", appauthor=False))
    except OSError as error:
        log.warning("no log is written: %s", error)
    settings = settings or Settings()
    window = MainWindow(settings, Theme(app, settings.get("look/theme")))
    tell_failures(window.tell_failure)
    return window
