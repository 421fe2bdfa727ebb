"""The list of classes at work: what it shows of the session and the canvas, and what is done with it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QTimer

from deeplab_studio.core.classmap import PaintRules
from deeplab_studio.core.labels import is_background

if TYPE_CHECKING:
    from deeplab_studio.app.canvas import CanvasView
    from deeplab_studio.app.label_changes import LabelStep
    from deeplab_studio.app.panels.classes import ClassesPanel
    from deeplab_studio.app.session import Session
    from deeplab_studio.core.labels import LabelSet

SHARES_AFTER_MS = 250
"""Counting the pixels of every class waits until the hand rests."""


class ClassListWork(QObject):
    """Keeps the panel of classes, the session and the canvas together.

    Parameters
    ----------
    session : Session
    panel : ClassesPanel
    canvas : CanvasView
    parent : QObject
    """

    def __init__(self, session: Session, panel: ClassesPanel, canvas: CanvasView, parent: QObject) -> None:
        super().__init__(parent)
        self._session = session
        self._panel = panel
        self._canvas = canvas
        self._marks: tuple[frozenset[int], frozenset[int], frozenset[int] | None] | None = None
        self._shares_timer = QTimer(self, singleShot=True, interval=SHARES_AFTER_MS)
        self._shares_timer.timeout.connect(self.count_shares)
        session.labelSetChanged.connect(self.show_label_set)
        session.currentChanged.connect(lambda _document: self.count_shares())
        session.labelsChanged.connect(lambda _rect: self._shares_timer.start())
        session.edits.label_changes.started.connect(self._keep_marks)
        session.edits.label_changes.ended.connect(self._restore_marks)
        painting = session.painting
        painting.activeClassChanged.connect(panel.set_active)
        panel.activeChanged.connect(painting.set_active_class)
        panel.hiddenChanged.connect(canvas.set_hidden)
        panel.protectedChanged.connect(lambda _ids: self._set_rules())
        panel.onlyOverChanged.connect(lambda _ids: self._set_rules())

    def callbacks(self) -> dict[str, Callable[..., None]]:
        """What the actions do."""
        return {f"class_{digit}": partial(self.choose, digit) for digit in range(10)}

    def choose(self, class_id: int) -> None:
        """Paint a class from now on, if there is one of that id."""
        if class_id < len(self._session.label_set):
            self._session.painting.set_active_class(class_id)

    def show_label_set(self, label_set: LabelSet) -> None:
        """List the classes of `label_set`."""
        panel, canvas = self._panel, self._canvas
        panel.set_label_set(label_set)
        # The background of most label sets would only darken the photo; its eye brings it back.
        panel.set_hidden({0} if is_background(label_set.names[0]) else ())
        canvas.set_hidden(panel.hidden)
        panel.set_active(self._session.painting.active_class)
        canvas.set_palette(label_set.palette())
        self._set_rules()

    def count_shares(self) -> None:
        """Show how much of the image each class covers."""
        document = self._session.current
        if document is None:
            self._panel.set_present({})
            return
        from deeplab_studio.core.voc.masks import count_ids

        counts = count_ids(document.class_map.labels)
        total = document.class_map.labels.size
        self._panel.set_present({i: int(count) / total for i, count in enumerate(counts) if count})

    def _set_rules(self) -> None:
        self._session.painting.set_rules(PaintRules(self._panel.only_over, self._panel.protected))

    def _keep_marks(self) -> None:
        self._marks = self._panel.hidden, self._panel.protected, self._panel.only_over

    def _restore_marks(self, step: LabelStep, back: bool, problem: object) -> None:
        """What was hidden and protected follows its class through a change of the label set."""
        from deeplab_studio.core.relabel import move_ids

        marks, self._marks = self._marks, None
        if problem is not None or marks is None:
            return
        table = step.change.back if back else step.change.table
        hidden, protected, only_over = marks
        self._panel.set_hidden(move_ids(table, hidden))
        self._panel.set_protected(move_ids(table, protected))
        self._panel.set_only_over(None if only_over is None else move_ids(table, only_over))
        self._canvas.set_hidden(self._panel.hidden)
        self._set_rules()
