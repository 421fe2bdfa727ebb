"""What happens to an exception nobody caught: it is written down, the person is told, and the program goes on."""

from __future__ import annotations

import faulthandler
import logging
import logging.handlers
import sys
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

log = logging.getLogger(__name__)

_fault_file = None


def log_to_file(folder: Path) -> Path:
    """Write the log to ``folder/deeplab-studio.log``, one megabyte and one older file at most.

    Crashes below Python (a library's segmentation fault) leave their stack in ``crash.log`` beside it.

    Parameters
    ----------
    folder : Path
        Made if missing.

    Returns
    -------
    Path
        The log file.

    Raises
    ------
    OSError
        If the folder cannot be made or written.
    """
    global _fault_file
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "deeplab-studio.log"
    handler = logging.handlers.RotatingFileHandler(path, maxBytes=1 << 20, backupCount=1, encoding="utf-8", delay=True)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.getLogger("deeplab_studio").addHandler(handler)
    if _fault_file is None:
        _fault_file = (folder / "crash.log").open("a", encoding="utf-8")
        faulthandler.enable(_fault_file)
    return path


def tell_failures(tell: Callable[[str], None]) -> None:
    """Log every exception nobody caught and hand one sentence about it to `tell`, instead of ending the program."""

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if issubclass(kind, KeyboardInterrupt):
            sys.__excepthook__(kind, error, trace)
            return
        log.error("unexpected error", exc_info=(kind, error, trace))
        sys.__excepthook__(kind, error, trace)
        tell(f"{kind.__name__}: {error}")

    sys.excepthook = hook
