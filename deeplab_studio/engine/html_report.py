"""HTML pages that need no other file."""

from __future__ import annotations

import base64
import html
import io
import math
from pathlib import Path

from PIL import Image as PilImage

from deeplab_studio import __version__
from deeplab_studio.core.errors import StudioError
from deeplab_studio.core.files import atomic_write, explain_os_error

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #23272d; background: #fff; margin: 32px auto; max-width: 960px;
       padding: 0 16px; }
h1 { font-size: 24px; } h2 { font-size: 18px; margin-top: 36px; }
table { border-collapse: collapse; } td, th { padding: 4px 12px; text-align: right; }
td:first-child, th:first-child { text-align: left; } tr:nth-child(even) td { background: #f4f5f7; }
th { border-bottom: 1px solid #23272d; } td.best { font-weight: 700; } img { max-width: 100%; height: auto; }
p.note { color: #5a626d; } .scroll { overflow-x: auto; }
"""


class Page:
    """A page in the making.

    Parameters
    ----------
    title : str
    """

    def __init__(self, title: str) -> None:
        self._title = html.escape(title)
        self._parts: list[str] = [f"<h1>{self._title}</h1>"]

    def add(self, markup: str) -> None:
        """Append HTML."""
        self._parts.append(markup)

    def note(self, text: str) -> None:
        """Append a quiet paragraph."""
        self.add(f'<p class="note">{html.escape(text)}</p>')

    def heading(self, text: str) -> None:
        """Append a heading."""
        self.add(f"<h2>{html.escape(text)}</h2>")

    def picture(self, data: bytes, text: str) -> None:
        """Append a PNG, with what to say where pictures cannot be seen."""
        encoded = base64.b64encode(data).decode()
        self.add(f'<p><img alt="{html.escape(text)}" src="data:image/png;base64,{encoded}"></p>')

    def finish(self) -> bytes:
        """The bytes of the file."""
        self.note(f"Made by DeepLab Studio {__version__}.")
        body = "\n".join(self._parts)
        return (
            f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{self._title}</title>'
            f"<style>{_STYLE}</style></head>\n<body>\n{body}\n</body></html>\n"
        ).encode()


def percent(share: float | None) -> str:
    """A share as a number of per cent; a dash where there is none."""
    return "–" if share is None or math.isnan(share) else f"{100 * share:.1f}"


def png(picture: PilImage.Image) -> bytes:
    """A picture as the bytes of a PNG."""
    data = io.BytesIO()
    picture.save(data, "PNG", optimize=True)
    return data.getvalue()


def write_file(path: Path, data: bytes) -> None:
    """Write a file whole, and its folder if that is not there.

    Raises
    ------
    StudioError
        If the folder cannot be made or the file not be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason, hint = explain_os_error(error)
        raise StudioError(f"the folder could not be made because {reason}", path=path.parent, hint=hint) from error
    with atomic_write(path) as temporary:
        temporary.write_bytes(data)
