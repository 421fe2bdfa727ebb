"""An X server without a screen, whose picture can be read while programs draw on it."""

from __future__ import annotations

import contextlib
import os
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

PACKAGES = "xvfb xdotool"


def missing() -> str | None:
    """Say what has to be installed before an `XServer` can be driven, or None."""
    absent = [program for program in ("Xvfb", "xdotool") if shutil.which(program) is None]
    return f"{' and '.join(absent)} not found; sudo apt-get install {PACKAGES}" if absent else None


class XServer:
    """Xvfb on a display number nobody uses, for as long as the ``with`` block lasts.

    Parameters
    ----------
    width, height : int
        Of its one screen, in pixels. The screen starts black.
    """

    def __init__(self, width: int = 1600, height: int = 1000) -> None:
        self.width, self.height = width, height
        self.display = ""
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> XServer:
        with contextlib.ExitStack() as stack:
            self._folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="deeplab-studio-x-")))
            log = stack.enter_context((self._folder / "log").open("wb"))
            reading, writing = os.pipe()
            screen = f"{self.width}x{self.height}x24"
            command = ["Xvfb", "-displayfd", str(writing), "-screen", "0", screen, "-fbdir", str(self._folder)]
            server = subprocess.Popen(
                [*command, "-noreset", "-nolisten", "tcp"], pass_fds=(writing,), stdout=log, stderr=log
            )
            stack.callback(_end, server)
            os.close(writing)
            with os.fdopen(reading) as answer:
                number = answer.readline().strip()
            if not number:
                raise RuntimeError(f"Xvfb did not start: {(self._folder / 'log').read_text(errors='replace')}")
            self.display = f":{number}"
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def environment(self, base: Mapping[str, str] = os.environ) -> dict[str, str]:
        """Return `base` changed so that programs, those of Qt too, open on this server."""
        left_out = ("WAYLAND_DISPLAY", "XAUTHORITY", "QT_QPA_PLATFORM")
        kept = {name: value for name, value in base.items() if name not in left_out}
        return {**kept, "DISPLAY": self.display, "QT_QPA_PLATFORM": "xcb"}

    def screen(self) -> np.ndarray:
        """Return the screen as it is drawn: (H, W, 4) uint8 in the order blue, green, red, unused; read-only."""
        import numpy as np

        # The file has the layout of an X window dump: a header of big-endian words, a colour table, the pixels.
        dump = np.memmap(self._folder / "Xvfb_screen0", dtype=np.uint8, mode="r")
        header = struct.unpack(">25I", dump[:100].tobytes())
        start, stride = header[0] + 12 * header[19], header[12]
        pixels = dump[start : start + self.height * stride].reshape(self.height, stride)
        return pixels[:, : 4 * self.width].reshape(self.height, self.width, 4)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
