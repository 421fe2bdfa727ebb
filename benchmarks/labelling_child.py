"""A person who labels, in the real program, until the program is killed; and a server that starts such programs fast.

Run as ``python -m benchmarks.labelling_child`` it imports the program once and then, for every line of JSON on its
input, forks a process that becomes the program: an own folder of the user's, the real start, the real window without a
screen. The fork saves the imports and nothing else.
"""

from __future__ import annotations

import json
import os
import random
import sys
import time
import traceback
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from PySide6.QtCore import QPointF, Qt

    from deeplab_studio.app.label_changes import LabelStep
    from deeplab_studio.app.window import MainWindow
    from deeplab_studio.core.labels import LabelSet
    from deeplab_studio.core.relabel import Relabelling

Labels = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]


def fingerprint(labels: Labels, pinned: Mask) -> str:
    """What tells a class map with its pins from any other."""
    digest = blake2b(repr(labels.shape).encode(), digest_size=12)
    digest.update(np.ascontiguousarray(labels).data)
    digest.update(np.packbits(pinned).data)
    return digest.hexdigest()


def label_fingerprint(label_set: LabelSet) -> str:
    """What tells a label set from any other."""
    return blake2b(repr([(each.name, each.colour) for each in label_set]).encode(), digest_size=6).hexdigest()


class Journal:
    """What was in memory and since when, a line of JSON each.

    It is given to the system before the call returns, which keeps it whatever becomes of the process. It is not forced
    to the disk as well: that takes longer than a stroke, and only a power cut would need it.
    """

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    def write(self, kind: str, **what: Any) -> None:
        """Add a line."""
        line = json.dumps({"t": time.monotonic(), "kind": kind, **what}, ensure_ascii=False)
        os.write(self._file, f"{line}\n".encode())


class Person:
    """Paints, takes back, changes states and classes, goes from image to image, and writes down what there is.

    Parameters
    ----------
    window : MainWindow
    journal : Journal
    rng : Random
    folder : Path
        Where the photos lie.
    """

    def __init__(self, window: MainWindow, journal: Journal, rng: random.Random, folder: Path) -> None:
        self.window, self.journal, self.rng = window, journal, rng
        self.session = window.session
        self.photos = sorted(path.name for path in folder.glob("*.png"))
        self.maps: dict[str, tuple[Labels, Mask]] = {}
        self.seen: dict[str, str] = {}
        self.kept: dict[str, tuple[Relabelling, dict[str, Labels]]] = {}
        self.changes = 0
        self.session.edits.ask = lambda _question: True
        self.session.noticed.connect(lambda level, text: journal.write("notice", level=level, text=text))

    def work(self) -> Iterator[int]:
        """Label for ever; yields how many milliseconds go by before the next step."""
        while self.session.current is None:
            yield 5
        from deeplab_studio.core.classmap import ClassMap

        height, width = self.session.current.class_map.shape
        empty = ClassMap.empty(height, width)
        self.maps = dict.fromkeys(self.photos, (empty.labels, empty.pinned))
        self.seen = {name: fingerprint(*pair) for name, pair in self.maps.items()}
        self._note()
        doings = (
            (self._stroke, 50),
            (self._undo, 12),
            (self._redo, 8),
            (self._state, 8),
            (self._switch, 14),
            (self._relabel, 2),
            (self._rest, 6),
        )
        acts, weights = zip(*doings, strict=True)
        while True:
            (act,) = self.rng.choices(acts, weights)
            yield from act()
            yield self.rng.randint(2, 60)

    # What a person does

    def _stroke(self) -> Iterator[int]:
        from PySide6.QtCore import QEvent, Qt

        session, rng = self.session, self.rng
        assert session.current is not None
        height, width = session.current.class_map.shape
        session.painting.set_active_class(rng.randrange(len(session.label_set)))
        self.window.toolbox.use("tool_brush")
        self.window.toolbox.set_size(rng.randint(3, 60))
        button = Qt.MouseButton.RightButton if rng.random() < 0.1 else Qt.MouseButton.LeftButton
        x, y = rng.random() * width, rng.random() * height
        self._mouse(QEvent.Type.MouseButtonPress, x, y, button)
        self._note()
        for _ in range(rng.randint(1, 6)):
            yield rng.choice((0, 4, 16, 120))
            x += rng.uniform(-40, 40)
            y += rng.uniform(-40, 40)
            self._mouse(QEvent.Type.MouseMove, x, y, button)
            self._note()
        self._mouse(QEvent.Type.MouseButtonRelease, x, y, button)
        self._note("stroke")

    def _undo(self) -> Iterator[int]:
        yield from self._move("undo", back=True)

    def _redo(self) -> Iterator[int]:
        yield from self._move("redo", back=False)

    def _move(self, action: str, *, back: bool) -> Iterator[int]:
        edits = self.session.edits
        name = edits.undo_name if back else edits.redo_name
        if name is None:
            return
        if name in self.kept:
            change, before = self.kept[name]
            after = {
                photo: change.restored(before[photo] if change.loses(before[photo]) else None, labels)
                if back
                else change(labels)
                for photo, (labels, _) in self.maps.items()
            }
            if not back:
                self.kept[name] = change, {photo: labels for photo, (labels, _) in self.maps.items()}
            self._announce(change.old if back else change.new, after)
        self.window.actions_[action].trigger()
        yield from self._settle(action)

    def _state(self) -> Iterator[int]:
        from deeplab_studio.core.project import STATES

        if self.session.current is not None:
            self.session.set_state(self.session.current.item.id, self.rng.choice(STATES))
            self._note("state")
        yield 0

    def _switch(self) -> Iterator[int]:
        session = self.session
        session.step(self.rng.choice((-2, -1, 1, 1, 2)))
        while session.current is None or session.current.item.id != session.current_id:
            yield 3
        name, known = session.current.item.key, self.maps[session.current.item.key]
        shown = session.current.class_map
        if not (np.array_equal(shown.labels, known[0]) and np.array_equal(shown.pinned, known[1])):
            self.journal.write("wrong", text=f"{name} is not as it was left")
        self._note("switch")

    def _relabel(self) -> Iterator[int]:
        from deeplab_studio.core.relabel import LabelDraft

        session, rng = self.session, self.rng
        self.changes += 1
        draft = LabelDraft(session.label_set)
        keys = [row.key for row in draft.rows][1:]
        if len(keys) < 4:
            return
        first, second = rng.sample(keys, 2)
        doing = rng.choice(("rename", "move", "delete"))
        if doing == "rename":
            draft.rename(first, f"class {self.changes}")
        elif doing == "move":
            draft.move(first, rng.randrange(1, len(keys) + 1))
        else:
            draft.delete(first, second)
        change = draft.relabelling(f"classes, change {self.changes}")
        before = {photo: labels for photo, (labels, _) in self.maps.items()}
        self.kept[change.description] = change, before
        self._announce(change.new, {photo: change(labels) for photo, labels in before.items()})
        session.edits.relabel(change)
        yield from self._settle("relabel")

    def _rest(self) -> Iterator[int]:
        yield self.rng.randint(200, 1200)

    # What is written down

    def _announce(self, label_set: LabelSet, after: dict[str, Labels]) -> None:
        """Write down how everything is going to be once a change of the classes is done."""
        expected = {photo: (labels, self.maps[photo][1]) for photo, labels in after.items()}
        self.journal.write(
            "pending",
            labels=label_fingerprint(label_set),
            items={photo: [fingerprint(*pair), self._state_of(photo)] for photo, pair in expected.items()},
        )
        ended: list[tuple[LabelStep, bool, object]] = []
        changes = self.session.edits.label_changes

        def on_ended(step: LabelStep, back: bool, problem: object) -> None:
            changes.ended.disconnect(on_ended)
            if problem is None:
                self.maps = expected
                self.seen = {photo: fingerprint(*pair) for photo, pair in expected.items()}
            ended.append((step, back, problem))

        changes.ended.connect(on_ended)

    def _settle(self, what: str) -> Iterator[int]:
        session = self.session
        while session.edits.frozen or session.current is None or session.current.item.id != session.current_id:
            yield 3
        self._note(what)

    def _note(self, what: str = "") -> None:
        """Write down what there is now."""
        document = self.session.current
        if document is not None:
            labels, pinned = document.class_map.labels, document.class_map.pinned
            self.maps[document.item.key] = labels.copy(), pinned.copy()
            self.seen[document.item.key] = fingerprint(labels, pinned)
        items = {photo: [seen, self._state_of(photo)] for photo, seen in self.seen.items()}
        self.journal.write("now", what=what, labels=label_fingerprint(self.session.label_set), items=items)

    def _state_of(self, photo: str) -> str:
        return next(item.state for item in self.session.items if item.key == photo)

    def _mouse(self, kind: Any, x: float, y: float, button: Qt.MouseButton) -> None:
        from PySide6.QtCore import QEvent, Qt
        from PySide6.QtGui import QMouseEvent
        from PySide6.QtWidgets import QApplication

        viewport = self.window.canvas.viewport()
        at: QPointF = self.window.canvas.to_viewport(x, y)
        held = Qt.MouseButton.NoButton if kind == QEvent.Type.MouseButtonRelease else button
        pressed = Qt.MouseButton.NoButton if kind == QEvent.Type.MouseMove else button
        where = viewport.mapToGlobal(at)
        no_key = Qt.KeyboardModifier.NoModifier
        QApplication.sendEvent(viewport, QMouseEvent(kind, at, where, pressed, held, no_key))


def label(folder: Path, journal: Path, seed: int) -> int:
    """Start the program with a folder and label in it until somebody ends the process."""
    from PySide6.QtCore import QTimer
    from PySide6.QtWidgets import QApplication

    from deeplab_studio.app.main import create_application, run
    from deeplab_studio.app.window import MainWindow

    app = create_application()
    log = Journal(journal)
    steps: list[Iterator[int]] = []

    def go_on() -> None:
        try:
            if not steps:
                (window,) = (each for each in QApplication.topLevelWidgets() if isinstance(each, MainWindow))
                steps.append(Person(window, log, random.Random(seed), folder).work())
            QTimer.singleShot(next(steps[0]), app, go_on)
        except Exception:  # noqa: BLE001  whatever it is, the run has failed and its journal says why
            log.write("wrong", text=traceback.format_exc())

    QTimer.singleShot(0, app, go_on)
    log.write("started")
    return run([folder])


def _become_the_program(order: dict[str, Any]) -> None:
    home = Path(order["home"])
    for name, part in (("HOME", ""), ("CONFIG", "config"), ("DATA", "data"), ("STATE", "state"), ("CACHE", "cache")):
        folder = home / part
        folder.mkdir(parents=True, exist_ok=True)
        os.environ["HOME" if name == "HOME" else f"XDG_{name}_HOME"] = str(folder)
    # The program's own words go to a file: the pipe is for the server's.
    said = os.open(home / "said.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(said, 1)
    os.dup2(said, 2)
    os._exit(label(Path(order["folder"]), Path(order["journal"]), order["seed"]))


def _serve() -> None:
    import deeplab_studio.app.cleanup_dialog
    import deeplab_studio.app.label_changes
    import deeplab_studio.app.main
    import deeplab_studio.app.opening
    import deeplab_studio.app.window
    import deeplab_studio.core.relabel
    import deeplab_studio.core.voc  # noqa: F401

    print("ready", flush=True)
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            _become_the_program(json.loads(line))
        print(child, flush=True)
        print(os.waitpid(child, 0)[1], flush=True)


if __name__ == "__main__":
    _serve()
