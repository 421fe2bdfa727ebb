"""A slider of the CRF panel dragged with mouse events in the real window: how soon the canvas shows what it asks for.

The latency of an event is the time from sending the mouse event to the end of the first painting of the canvas whose
picture was computed for the parameters of this event or a later one. Events whose picture was overtaken by a later one
count with that one. The longest stall is the longest time the window's thread took for one turn of its event loop
during the drag: that long it answered nothing. Other programs lengthen it; two figures that they hardly do:
`stall_ready_ms` is the same without the time for which the thread could have run and no processor was free (on Linux),
`stall_cpu_ms` the most processor time that the thread used in one turn. The machine's load is in the result: latencies
taken beside other work say little about the program.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from deeplab_studio.app.refinement import Refined
    from deeplab_studio.app.window import MainWindow

NAME = "slider"
DESCRIPTION = "CRF sliders in the real window: from the mouse event to the painted pixels, and the longest stall"

_FIELDS = ("appearance_weight", "smoothness_weight", "iterations", "appearance_colour_sigma", "smoothness_sigma")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", type=Path, metavar="MODEL", help="checkpoint file")
    parser.add_argument("photos", type=Path, nargs="+", metavar="PHOTO", help="photos to drag on")
    parser.add_argument("--fields", nargs="+", default=_FIELDS, metavar="FIELD", help=f"default: {' '.join(_FIELDS)}")
    parser.add_argument("--events", type=int, default=60, help="mouse events of a drag (default: 60)")
    parser.add_argument("--every", type=float, default=16, metavar="MS", help="between mouse events (default: 16)")
    parser.add_argument("--stages", action="store_true", help="with the strip of stages shown")
    parser.add_argument("--window", default="1280x800", metavar="WxH", help="size of the window (default: 1280x800)")


def run(args: argparse.Namespace) -> dict[str, Any]:
    if sys.platform.startswith("linux") and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    from deeplab_studio.app.main import create_application, create_window
    from deeplab_studio.app.settings import Settings
    from deeplab_studio.crf import crf_backend

    application = create_application()
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        photos = [Path(shutil.copy(photo, folder)) for photo in args.photos]
        settings = Settings(Path(folder, "settings.ini"))
        settings.set("model/automatic", False)  # nothing is predicted ahead while the drag is measured
        settings.set("view/stages", args.stages)
        window = create_window(application, settings)
        window.resize(*map(int, args.window.split("x")))
        window.show()
        window.session.noticed.connect(lambda level, text: print(f"{level}: {text}"))
        window.session.predictions.load_model(args.model)
        window.open_paths([Path(folder)])
        _wait(lambda: window.session.predictions.model is not None and window.session.current is not None)
        for photo in photos:
            _open(window, photo)
            rows += [{"photo": photo.stem, **_drag(window, field, args.events, args.every)} for field in args.fields]
        window.close()
    latencies = [value for row in rows for value in row.pop("latencies")]
    rows.append(
        {
            "photo": "all",
            "field": "all",
            "size": "",
            **_figures(latencies),
            "longest_stall_ms": max(row["longest_stall_ms"] for row in rows),
            "stall_ready_ms": max(row["stall_ready_ms"] for row in rows),
            "stall_cpu_ms": max(row["stall_cpu_ms"] for row in rows),
            "pictures": sum(row["pictures"] for row in rows),
            "exact_ms": statistics.median(row["exact_ms"] for row in rows),
        }
    )
    load = f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"
    notes = [f"CRF engine: {crf_backend()}; load average afterwards: {load} on {os.cpu_count()} processors"]
    return {"rows": rows, "notes": notes}


def _open(window: MainWindow, photo: Path) -> None:
    """Put a photo on screen and wait until it is predicted and refined."""
    session = window.session
    item = next(item for item in session.items if item.path == photo)
    session.select(item.id)
    _wait(lambda: session.current is not None and session.current.item.id == item.id)
    refined: list[object] = []
    session.refined.connect(refined.append)
    session.predict()
    _wait(lambda: bool(refined) and _idle(window))
    session.refined.disconnect(refined.append)


def _drag(window: MainWindow, field: str, events: int, every: float) -> dict[str, Any]:
    """Drag one slider from left to right; the figures."""
    from PySide6.QtCore import QEvent, QPoint, QPointF, Qt
    from PySide6.QtGui import QMouseEvent
    from PySide6.QtWidgets import QApplication

    assert window.session.current is not None
    slider = window.crf_panel.row(field).slider
    watch = _Watch(window)
    left, nothing, keys = Qt.MouseButton.LeftButton, Qt.MouseButton.NoButton, Qt.KeyboardModifier.NoModifier

    def send(kind: QEvent.Type, share: float) -> None:
        at = QPointF(QPoint(round(8 + share * (slider.width() - 16)), slider.height() // 2))
        held = nothing if kind == QEvent.Type.MouseButtonRelease else left
        button = nothing if kind == QEvent.Type.MouseMove else left
        watch.send(
            lambda: QApplication.sendEvent(slider, QMouseEvent(kind, at, slider.mapToGlobal(at), button, held, keys))
        )

    send(QEvent.Type.MouseButtonPress, 0.15)
    for n in range(events):
        due = time.perf_counter() + every / 1000
        send(QEvent.Type.MouseMove, 0.15 + 0.7 * n / events)
        while time.perf_counter() < due:
            watch.turn()
    released = time.perf_counter()
    send(QEvent.Type.MouseButtonRelease, 0.85)
    _wait(lambda: watch.exact_painted and _idle(window), watch.turn)
    height, width = window.session.current.class_map.shape
    figures = watch.figures()
    watch.close()
    return {"field": field, "size": f"{width}x{height}", **figures, "exact_ms": 1000 * (watch.exact_at - released)}


class _Moment:
    """Seconds on the clock, of processor time of this thread, and for which it waited for a processor."""

    def __init__(self) -> None:
        self.wall, self.cpu = time.perf_counter(), time.thread_time()
        schedule = Path(f"/proc/self/task/{threading.get_native_id()}/schedstat")
        self.queued = int(schedule.read_text("ascii").split()[1]) / 1e9 if schedule.exists() else 0.0


class _Watch:
    """What the canvas shows after which mouse event, and how long the window's thread was busy at a stretch."""

    def __init__(self, window: MainWindow) -> None:
        from PySide6.QtCore import QEvent, QObject

        watch = self

        class PaintFilter(QObject):
            def eventFilter(self, _watched: QObject, event: QEvent) -> bool:  # noqa: N802  Qt asks for it by this name
                if event.type() == QEvent.Type.Paint:
                    watch._painted, watch._painted_exact = watch._shown, watch._shown_exact
                return False

        self._window = window
        self._asked: list[tuple[float, Any]] = []
        self._shown = self._painted = -1
        self._shown_exact = self._painted_exact = False
        self._paintings: list[tuple[float, int]] = []
        self._longest = self._longest_ready = self._longest_cpu = 0.0
        self._pictures = 0
        self.exact_at = 0.0
        self._filter = PaintFilter()
        window.canvas.viewport().installEventFilter(self._filter)
        window.session.previewed.connect(self._on_picture)
        window.session.refined.connect(self._on_result)

    @property
    def exact_painted(self) -> bool:
        """Whether the exact result is on the screen."""
        return self.exact_at > 0

    def send(self, action: Callable[[], object]) -> None:
        """Send one mouse event."""
        before = self._window.crf_panel.params
        start = _Moment()
        action()
        self._count(start)
        if self._window.crf_panel.params != before:
            self._asked.append((start.wall, self._window.crf_panel.params))

    def turn(self) -> None:
        """One turn of the event loop."""
        from PySide6.QtWidgets import QApplication

        start = _Moment()
        QApplication.processEvents()
        end = self._count(start)
        if not self._paintings or self._painted > self._paintings[-1][1]:
            self._paintings.append((end, self._painted))
        if self._painted_exact and not self.exact_at:
            self.exact_at = end
        time.sleep(5e-4)

    def _count(self, start: _Moment) -> float:
        end = _Moment()
        wall = end.wall - start.wall
        self._longest = max(self._longest, wall)
        self._longest_ready = max(self._longest_ready, wall - (end.queued - start.queued))
        self._longest_cpu = max(self._longest_cpu, end.cpu - start.cpu)
        return end.wall

    def figures(self) -> dict[str, Any]:
        """The latencies and the longest stall."""
        latencies = []
        for index, (start, _) in enumerate(self._asked):
            shown = next((end for end, painted in self._paintings if painted >= index), None)
            if shown is not None:
                latencies.append(1000 * (shown - start))
        return {
            **_figures(latencies),
            "longest_stall_ms": 1000 * self._longest,
            "stall_ready_ms": 1000 * self._longest_ready,
            "stall_cpu_ms": 1000 * self._longest_cpu,
            "pictures": self._pictures,
            "latencies": latencies,
        }

    def close(self) -> None:
        """Watch no longer."""
        self._window.canvas.viewport().removeEventFilter(self._filter)
        self._window.session.previewed.disconnect(self._on_picture)
        self._window.session.refined.disconnect(self._on_result)

    def _index(self, refined: Refined) -> int:
        asked = [index for index, (_, params) in enumerate(self._asked) if params == refined.settings.params]
        return asked[-1] if asked else -1

    def _on_picture(self, refined: Refined | None) -> None:
        if refined is not None:
            self._pictures += 1
            self._shown = max(self._shown, self._index(refined))

    def _on_result(self, refined: Refined) -> None:
        self._pictures += 1
        self._shown = max(self._shown, self._index(refined))
        self._shown_exact = True


def _figures(latencies: list[float]) -> dict[str, Any]:
    ordered = sorted(latencies)
    return {
        "events": len(ordered),
        "p50_ms": statistics.median(ordered) if ordered else None,
        "p95_ms": ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))] if ordered else None,
    }


def _idle(window: MainWindow) -> bool:
    session = window.session
    return not (session.refinement.lane.busy or session.predictions.lane.busy or window.stages.lane.busy)


def _wait(condition: Callable[[], bool], turn: Callable[[], None] | None = None, seconds: float = 120) -> None:
    from PySide6.QtWidgets import QApplication

    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise SystemExit("the window did not get there in time")
        if turn is not None:
            turn()
        else:
            QApplication.processEvents()
            time.sleep(0.002)
