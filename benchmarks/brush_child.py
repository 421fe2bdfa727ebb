"""A program with a photo of 24 megapixels and a brush in its hand, told over its input what to do.

Run as ``python brush_child.py ours|napari PHOTO`` in the environment of the program. Every line on the input is
``view actual`` or ``view fitted``, answered by a line with the canvas (left, top, width, height in pixels of the
screen) and the pixels of the screen per pixel of the photo; or ``size N``, the brush's diameter in pixels of the photo;
or ``undo``. The answer to those is on the screen.
"""

from __future__ import annotations

import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

WINDOW = 1400, 900


def listen(obey: Callable[[str], None]) -> Any:
    """Hand every line of the input to the window's thread; what does it has to be kept."""
    from PySide6.QtCore import QObject, Signal

    class Ear(QObject):
        heard = Signal(str)

    ear = Ear()
    ear.heard.connect(obey)

    def read() -> None:
        for line in sys.stdin:
            ear.heard.emit(line.strip())

    threading.Thread(target=read, daemon=True).start()
    return ear


def answer(widget: Any, scale: float) -> None:
    """Say where a widget is on the screen, and its scale."""
    from PySide6.QtCore import QPoint

    corner = widget.mapToGlobal(QPoint(0, 0))
    print(corner.x(), corner.y(), widget.width(), widget.height(), scale, flush=True)


def ours(photo: Path) -> int:
    """DeepLab Studio."""
    from PySide6.QtCore import QTimer

    from deeplab_studio.app.main import create_application, create_window
    from deeplab_studio.app.settings import Settings

    app = create_application()
    settings = Settings(Path(tempfile.mkdtemp(prefix="deeplab-studio-brush-")) / "settings.ini")
    settings.set("model/paint_only", True)
    settings.set("look/theme", "light")
    window = create_window(app, settings)
    window.setGeometry(0, 0, *WINDOW)
    window.show()
    window.open_paths([photo])
    canvas = window.canvas
    ears = []

    def obey(order: str) -> None:
        verb, _, value = order.partition(" ")
        if verb == "view":
            canvas.zoom_actual() if value == "actual" else canvas.zoom_fit()
            answer(canvas.viewport(), canvas.to_viewport(1, 0).x() - canvas.to_viewport(0, 0).x())
        elif verb == "size":
            window.toolbox.set_size(int(value))
        elif verb == "undo":
            window.actions_["undo"].trigger()

    def wait() -> None:
        if window.session.current is None or window.session.disk.busy:
            QTimer.singleShot(50, wait)
            return
        window.toolbox.use("tool_brush")
        window.session.painting.set_active_class(15)
        ears.append(listen(obey))
        print("ready", flush=True)

    wait()
    return app.exec()


def napari(photo: Path) -> int:
    """Its Labels layer over the same photo."""
    import napari
    import numpy as np
    from PIL import Image
    from PySide6.QtCore import QTimer

    pixels = np.asarray(Image.open(photo))
    viewer = napari.Viewer(show=True)
    window = viewer.window._qt_window
    window.setGeometry(0, 0, *WINDOW)
    viewer.add_image(pixels, rgb=True)
    layer = viewer.add_labels(np.zeros(pixels.shape[:2], np.uint8))
    layer.mode = "paint"
    layer.selected_label = 15
    canvas = viewer.window._qt_viewer.canvas.native
    ears = []

    def obey(order: str) -> None:
        verb, _, value = order.partition(" ")
        if verb == "view":
            viewer.reset_view()
            if value == "actual":
                viewer.camera.zoom = 1.0
            answer(canvas, viewer.camera.zoom)
        elif verb == "size":
            layer.brush_size = int(value)
        elif verb == "undo":
            layer.undo()

    def ready() -> None:
        ears.append(listen(obey))
        print("ready", flush=True)

    QTimer.singleShot(1000, ready)
    napari.run()
    return 0


if __name__ == "__main__":
    sys.exit({"ours": ours, "napari": napari}[sys.argv[1]](Path(sys.argv[2])))
