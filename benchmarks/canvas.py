"""The canvas at 24 megapixels: from an event or a call to the painted frame.

Every figure is the time from before the call (or the mouse event sent to the canvas) until Qt has nothing left to
paint; `cpu_ms` is the median of the processor time it took, all threads together, which a busy machine does not
lengthen. The peer is what first comes to mind: mix photo and class colours with numpy and hand the whole picture to Qt.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from PySide6.QtCore import QPointF

    from deeplab_studio.app.canvas import CanvasView
    from deeplab_studio.core.geometry import Rect

NAME = "canvas"
DESCRIPTION = "opacity, classes, pan, zoom and brush on a 24-megapixel photo, beside a numpy blend"

Action = Callable[[int], object]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--width", type=int, default=6000, help="columns of the photo (default: 6000)")
    parser.add_argument("--height", type=int, default=4000, help="rows of the photo (default: 4000)")
    parser.add_argument("--view", default="1200x800", metavar="WxH", help="size of the canvas (default: 1200x800)")
    parser.add_argument("--runs", type=int, default=60, help="frames of each kind (default: 60)")
    parser.add_argument("--peer-runs", type=int, default=3, help="frames of the numpy blend (default: 3; 0: without)")
    parser.add_argument("--no-void", action="store_true", help="a class map without void, which costs nothing to hatch")


def run(args: argparse.Namespace) -> dict[str, Any]:
    if sys.platform.startswith("linux") and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    import numpy as np
    from PySide6.QtWidgets import QApplication

    from deeplab_studio.app.canvas import BrushTool, CanvasView, build_mips
    from deeplab_studio.core.classmap import ClassMap

    application = QApplication.instance() or QApplication([])
    photo, labels = _picture(args.height, args.width, void=not args.no_void)
    class_map = ClassMap(labels)
    rows: list[dict[str, Any]] = []

    def measure(work: str, action: Action, target: float | None = None, runs: int = args.runs) -> None:
        milliseconds, busy = [], []
        for n in range(-3, runs):  # the first three warm up
            QApplication.processEvents()
            start, start_busy = time.perf_counter(), time.process_time()
            action(n)
            QApplication.processEvents()
            if n >= 0:
                milliseconds.append(1000 * (time.perf_counter() - start))
                busy.append(1000 * (time.process_time() - start_busy))
        row = {"work": work, "median_ms": statistics.median(milliseconds), "p95_ms": _p95(milliseconds)}
        rows.append({**row, "cpu_ms": statistics.median(busy), "target_ms": target})

    canvas = CanvasView()
    canvas.resize(*map(int, args.view.split("x")))
    canvas.show()
    measure("build the levels (in the worker)", lambda _: build_mips(photo), runs=7)
    mips = build_mips(photo)

    def show(_: int) -> None:
        canvas.set_image(mips)
        canvas.set_labels(class_map.labels)

    measure("show photo and class map, levels ready", show, runs=15)
    for place, fit in (("fitted", True), ("1:1", False)):
        canvas.zoom_fit()
        if not fit:
            canvas.zoom_actual()
        measure(f"opacity, {place}", lambda n: canvas.set_opacity(0.3 + n % 7 / 20), 8)
        measure(f"class off/on, {place}", lambda n: canvas.set_hidden(frozenset({0, n % 20 + 1})), 8)
        canvas.set_hidden(frozenset({0}))
        measure(f"photo tone, {place}", lambda n: canvas.set_tone(brightness=n % 9 / 20))
        canvas.set_tone()
        canvas.set_outlines(True)
        measure(f"outlines, whole frame, {place}", lambda _: canvas.viewport().update())
        canvas.set_outlines(False)
        canvas.set_pins(class_map.labels < 4)
        measure(f"pins, whole frame, {place}", lambda _: canvas.viewport().update())
        canvas.set_pins(None)
        measure(f"whole frame, {place}", lambda _: canvas.viewport().update(), 8)
    measure("pan by 37 px, 1:1", lambda n: canvas.pan_by(*((37, 23) if n % 20 < 10 else (-37, -23))), 8)
    measure("pan by half a view, 1:1", lambda n: canvas.pan_by(*((600, 0) if n % 4 < 2 else (-600, 0))), 8)
    canvas.zoom_fit()
    measure("zoom step", lambda n: canvas.zoom_by(1.26 if n % 24 < 12 else 1 / 1.26), 8)

    target = _Target(class_map)
    brush = BrushTool(target)
    canvas.set_tool(brush)
    for radius, scale, limit in ((40, 1.0, 4), (40, None, 4), (40, 8.0, 4), (1000, 1.0, 16), (1000, None, 16)):
        canvas.zoom_fit()
        if scale:
            canvas.set_scale(scale)
        brush.set_size(2 * radius)
        stroke = _Stroke(canvas)
        measure(f"dab of radius {radius}, {'fitted' if scale is None else f'{scale:.0f}:1'}", stroke.move, limit)
        stroke.end()
    if args.peer_runs:
        naive = _Naive(canvas, photo, class_map.labels)
        measure("numpy blend: any of these", naive.blend, runs=args.peer_runs)
    notes = [
        f"photo {args.width} x {args.height}, canvas {args.view} at {canvas.devicePixelRatioF():g}, "
        f"{application.platformName()}, numpy {np.__version__}"
        + ("" if args.no_void else ", class map with void (hatched)")
    ]
    canvas.close()
    return {"rows": rows, "notes": notes}


def _p95(values: list[float]) -> float:
    return sorted(values)[min(len(values) - 1, int(0.95 * len(values)))]


def _picture(height: int, width: int, *, void: bool) -> tuple[np.ndarray, np.ndarray]:
    """A photo with detail at every scale, and a class map of blobs with void along their rims."""
    import cv2
    import numpy as np

    random = np.random.default_rng(0)
    small = random.integers(0, 256, (height // 64 + 2, width // 64 + 2, 3), np.uint8)
    photo = cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
    photo = cv2.add(photo, random.integers(0, 24, photo.shape, np.uint8))
    fields = [
        cv2.resize(random.random((7, 10), np.float32), (width // 4, height // 4), interpolation=cv2.INTER_CUBIC)
        for _ in range(21)
    ]
    blobs = np.argmax(fields, axis=0).astype(np.uint8)
    labels = cv2.resize(blobs, (width, height), interpolation=cv2.INTER_NEAREST)
    if void:
        around = np.ones((15, 15), np.uint8)
        labels[cv2.dilate(labels, around) != cv2.erode(labels, around)] = 255
    return photo, labels


class _Target:
    """Paints on a class map, a new class at each stroke."""

    def __init__(self, class_map: Any) -> None:
        self.map = class_map
        self.value = 0
        self.stroke: Any = None

    def begin(self, name: str, *, erase: bool = False) -> bool:
        self.value = 0 if erase else self.value % 20 + 1
        self.stroke = self.map.begin(name)
        return True

    def paint(self, top: int, left: int, mask: np.ndarray) -> Rect | None:
        changed: Rect | None = self.stroke.paint(top, left, mask, self.value)
        return changed

    def commit(self) -> None:
        self.stroke.commit()

    def abort(self) -> Rect | None:
        changed: Rect | None = self.stroke.abort()
        return changed

    def pick(self, x: int, y: int) -> None:
        raise NotImplementedError


class _Stroke:
    """A hand that paints in a zigzag, about 12 pixels of the screen per mouse event."""

    def __init__(self, canvas: CanvasView) -> None:
        from PySide6.QtCore import QEvent, QPointF

        self.canvas = canvas
        self.at = QPointF(canvas.width() / 4, canvas.height() / 2)
        self._send(QEvent.Type.MouseButtonPress, self.at)

    def move(self, n: int) -> None:
        from PySide6.QtCore import QEvent, QPointF

        self.at += QPointF(8, 9 if n % 12 < 6 else -9)
        self._send(QEvent.Type.MouseMove, self.at)

    def end(self) -> None:
        from PySide6.QtCore import QEvent

        self._send(QEvent.Type.MouseButtonRelease, self.at)

    def _send(self, kind: Any, at: QPointF) -> None:
        from PySide6.QtCore import Qt
        from PySide6.QtGui import QMouseEvent
        from PySide6.QtWidgets import QApplication

        left, none = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
        viewport = self.canvas.viewport()
        QApplication.sendEvent(viewport, QMouseEvent(kind, at, viewport.mapToGlobal(at), left, left, none))


class _Naive:
    """The whole picture mixed anew for every frame."""

    def __init__(self, canvas: CanvasView, photo: np.ndarray, labels: np.ndarray) -> None:
        from PySide6.QtWidgets import QGraphicsPixmapItem, QGraphicsScene, QGraphicsView

        self.photo, self.labels = photo, labels
        self.scene, self.item = QGraphicsScene(), QGraphicsPixmapItem()
        self.scene.addItem(self.item)
        self.view = QGraphicsView(self.scene)
        self.view.resize(canvas.size())
        self.view.show()

    def blend(self, n: int) -> None:
        import numpy as np
        from PySide6.QtGui import QImage, QPixmap

        from deeplab_studio.core.labels import voc_palette

        alpha = np.float32(0.3 + n % 7 / 20)
        mixed = (self.photo * (1 - alpha) + voc_palette()[self.labels] * alpha).astype(np.uint8)
        height, width = self.labels.shape
        image = QImage(mixed.data, width, height, 3 * width, QImage.Format.Format_RGB888)
        self.item.setPixmap(QPixmap.fromImage(image))
