"""Pictures pasted from the clipboard become files, so that they can be labelled like any other."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from PySide6.QtCore import QCoreApplication
from PySide6.QtGui import QImage

from deeplab_studio.core.errors import StudioError
from deeplab_studio.core.files import atomic_write


def keep_pasted(image: QImage, folder: Path | None = None) -> Path:
    """Save a pasted picture as PNG and return its path.

    Parameters
    ----------
    image : QImage
    folder : Path, optional
        Where to; by default a folder of the user's own data.

    Raises
    ------
    StudioError
        If it cannot be saved.
    """
    if folder is None:
        from platformdirs import user_data_path

        folder = user_data_path("deeplab-studio", appauthor=False) / "pasted"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StudioError(
            f"pasted pictures cannot be kept there ({error.strerror})", path=folder, hint="Save the picture as a file."
        ) from error
    stamp = datetime.now().strftime("%Y-%m-%d %H.%M.%S")
    path = folder / f"pasted {stamp}.png"
    number = 2
    while path.exists():
        path = folder / f"pasted {stamp} ({number}).png"
        number += 1
    with atomic_write(path) as temporary:
        if not image.save(str(temporary), "PNG"):  # type: ignore[call-overload]  # the stubs want bytes, Qt does not
            text = QCoreApplication.translate("Clipboard", "the pasted picture could not be saved")
            raise StudioError(text, path=path, hint="Save it as a file with another program and open that.")
    return path
