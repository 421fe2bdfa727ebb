"""A data set of many labelled images in the real window: opening, filtering, sorting, going on, and its memory.

The photos are hard links to a few JPEGs of 500 x 375 and every image has a saved class map and figures, so the project
file is as large as that of real work. A time is that of the call with the painting of the list behind it; "next image"
is from the key to the end of the first painting of the canvas with the new photo. `cpu_ms` is the processor time of the
window's thread, for opening that of all threads: other programs lengthen it far less.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from deeplab_studio.app.window import MainWindow

NAME = "flow"
DESCRIPTION = "Many images in the real window: open, filter, sort, next image, memory"

_DISTINCT = 8


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--items", type=int, default=10_000, help="images (default: 10000)")
    parser.add_argument("--steps", type=int, default=500, help="images to walk through (default: 500)")


def make_data_set(folder: Path, items: int, size: tuple[int, int] = (375, 500)) -> None:
    """Fill an empty folder with photos and a project in which all of them are labelled, with figures of all kinds."""
    import cv2
    import numpy as np

    from deeplab_studio.core.project import STATES, Project
    from deeplab_studio.core.project_maps import pack_map

    rng = np.random.default_rng(0)
    height, width = size
    data, maps, counts = [], [], []
    for _ in range(_DISTINCT):
        photo = cv2.resize(rng.integers(0, 256, (6, 8, 3), np.uint8), (width, height), interpolation=cv2.INTER_CUBIC)
        data.append(cv2.imencode(".jpg", photo)[1].tobytes())
        coarse = rng.choice(rng.choice(21, 4, replace=False), (6, 8)).astype(np.uint8)
        labels = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_NEAREST)
        maps.append(pack_map(labels, labels == labels[0, 0]))
        counts.append([(int(k), int(n)) for k, n in zip(*np.unique(labels, return_counts=True), strict=True)])
    paths = [folder / f"IMG_{number:05}.jpg" for number in range(items)]
    for number, path in enumerate(paths):
        if number < _DISTINCT:
            path.write_bytes(data[number])
        else:
            os.link(paths[number % _DISTINCT], path)
    with Project.for_folder(folder) as project:
        ids = [item.id for item in project.add(paths)]
        project.save_setting("made", True)
        with project._writing() as connection:
            for number, item_id in enumerate(ids):
                which = number % _DISTINCT
                connection.execute("INSERT INTO maps VALUES (?, ?, ?, ?, ?, ?, NULL, NULL, 0)", (item_id, *maps[which]))
                connection.executemany(
                    "INSERT INTO class_pixels VALUES (?, ?, ?)", [(item_id, *pair) for pair in counts[which]]
                )
            figures = rng.random((items, 4))
            connection.executemany(
                "INSERT INTO figures VALUES (?, ?, ?, ?, ?, 'net')",
                [(i, u, d, int(1e5 * c), 90 * s) for i, (u, d, c, s) in zip(ids, figures.tolist(), strict=True)],
            )
            states = rng.choice(STATES, items).tolist()
            connection.executemany("UPDATE items SET state = ? WHERE id = ?", zip(states, ids, strict=True))


def run(args: argparse.Namespace) -> dict[str, Any]:
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    from deeplab_studio.app.main import create_application, create_window
    from deeplab_studio.app.settings import Settings

    application = create_application()
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name, "photos")
        folder.mkdir()
        make_data_set(folder, args.items)
        settings = Settings(Path(name, "settings.ini"))
        settings.set("memory/photos_bytes", 64 << 20)  # full before the memory is looked at for the first time
        window = create_window(application, settings)
        window.resize(1280, 800)
        window.show()
        window.settings.set("model/paint_only", True)
        window.settings.set("model/automatic", False)  # what the list takes is measured, not what a model takes
        _wait(lambda: window.isVisible())
        _settle(lambda: not window.session.predictions.lane.busy)
        start, cpu = time.perf_counter(), time.process_time()

        def opened(what: str) -> None:
            rows.append(_row(what, [(time.perf_counter() - start, time.process_time() - cpu)]))

        window.open_paths([folder])
        _wait(lambda: len(window.session.items) == args.items)
        window.files_panel.repaint()
        opened("listed")
        _wait(lambda: window.session.current is not None)
        window.canvas.viewport().repaint()
        opened("first photo shown")
        _wait(lambda: bool(window.files_panel.model.all_figures()))
        opened("figures known")
        rows += _filters(window)
        rows += _walk(window, args.steps)
        window.close()
    load = f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"
    return {"rows": rows, "notes": [f"{args.items} items; load average {load} on {os.cpu_count()} processors"]}


def _filters(window: MainWindow) -> list[dict[str, Any]]:
    from deeplab_studio.app.panels.file_model import SORTS, ListOrder

    panel, filters = window.files_panel, window.files_panel.filters
    rows = []

    def measure(name: str, *acts: Callable[[], object]) -> None:
        times = []
        for act in acts:
            start, cpu = time.perf_counter(), time.thread_time()
            act()
            panel.list.viewport().repaint()
            times.append((time.perf_counter() - start, time.thread_time() - cpu))
        rows.append(_row(name, times))

    def typed(text: str) -> Callable[[], object]:
        return lambda: filters.edit.setText(text)

    measure("filter: name, each letter", *(typed("IMG_042"[:n]) for n in range(1, 8)), typed(""))
    measure("filter: state", *(lambda state=state: filters.set_states(frozenset({state})) for state in ("new", "done")))
    filters.clear()
    measure("filter: class", *(lambda k=k: filters.set_class(k) for k in (0, 5, 15, None)))
    for key in SORTS:
        orders = (ListOrder(key, True), ListOrder(key))
        measure(f"sort: {key}", *(lambda order=order: filters.set_order(order) for order in orders))
    filters.set_order(ListOrder())
    ids = panel.shown_ids()
    measure("mark all as done", lambda: window.session.set_states(ids, "done"))
    return rows


def _walk(window: MainWindow, steps: int) -> list[dict[str, Any]]:
    from PySide6.QtCore import Qt
    from PySide6.QtTest import QTest

    session = window.session
    order = window.files_panel.shown_ids()
    session.select(order[0])
    _wait(lambda: session.current is not None and session.current.item.id == order[0] and not session.disk.busy)
    times, before = [], 0
    for step, item_id in enumerate(order[1 : steps + 1]):
        start, cpu = time.perf_counter(), time.thread_time()
        QTest.keyClick(window, Qt.Key.Key_D)
        _wait(lambda item_id=item_id: session.current is not None and session.current.item.id == item_id)  # type: ignore[misc]
        window.canvas.viewport().repaint()
        times.append((time.perf_counter() - start, time.thread_time() - cpu))
        _wait(lambda: not session.disk.busy)
        if step == min(100, steps // 5):
            before = _memory()
    growth = (_memory() - before) / 2**20
    return [
        _row("next image, read ahead", times),
        {"what": f"memory grown over the last {steps * 4 // 5}, MB", "ms": growth},
    ]


def _row(what: str, seconds: list[tuple[float, float]]) -> dict[str, Any]:
    walls, cpus = zip(*seconds, strict=True)
    return {
        "what": what,
        "ms": 1000 * statistics.median(walls),
        "longest_ms": 1000 * max(walls),
        "cpu_ms": 1000 * statistics.median(cpus),
    }


def _memory() -> int:
    """Bytes in memory now, or at most so far where the system does not tell."""
    status = Path("/proc/self/statm")
    if status.exists():
        return int(status.read_text().split()[1]) * resource.getpagesize()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _settle(condition: Callable[[], bool]) -> None:
    """Wait until something has been so for half a second."""
    since = time.monotonic()
    while time.monotonic() - since < 0.5:
        _wait(lambda: True)
        time.sleep(0.001)
        if not condition():
            since = time.monotonic()


def _wait(condition: Callable[[], bool]) -> None:
    from PySide6.QtWidgets import QApplication

    deadline = time.monotonic() + 120
    while True:
        QApplication.processEvents()
        if condition():
            return
        if time.monotonic() > deadline:
            raise SystemExit("the window did not get there within two minutes")
        time.sleep(0.001)  # as an event loop would: turning at full speed it takes the workers' time
