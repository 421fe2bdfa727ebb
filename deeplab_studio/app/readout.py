"""What the status bar says about the pixel under the cursor and about the device."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QTimer

from deeplab_studio.app.panels.status import ClassScore

if TYPE_CHECKING:
    from deeplab_studio.app.canvas import CanvasView
    from deeplab_studio.app.panels.status import StatusArea
    from deeplab_studio.app.session import Session

MEMORY_EVERY_MS = 2000


class Readout(QObject):
    """Keeps the status area up to date.

    Parameters
    ----------
    session : Session
    canvas : CanvasView
    status : StatusArea
    parent : QObject, optional
    """

    def __init__(self, session: Session, canvas: CanvasView, status: StatusArea, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._status = status
        self._pixel = (-1, -1)
        canvas.hovered.connect(self._point_at)
        session.predictions.modelChanged.connect(lambda _model: self._show_device())
        session.predictions.predicted.connect(lambda _prediction: self._show_device())
        self._timer = QTimer(self, interval=MEMORY_EVERY_MS)
        self._timer.timeout.connect(self._show_device)
        self._timer.start()

    def refresh(self) -> None:
        """Show the pixel under the cursor again: something about it changed."""
        self._point_at(*self._pixel)

    def close(self) -> None:
        """Stop asking for memory."""
        self._timer.stop()

    def _point_at(self, x: int, y: int) -> None:
        self._pixel = (x, y)
        document = self._session.current
        inside = document is not None and 0 <= y < document.class_map.shape[0] and 0 <= x < document.class_map.shape[1]
        if document is None or not inside:
            self._status.set_position(-1, -1)
            self._status.set_class("")
            self._status.set_scores(())
            return
        labels = self._session.label_set
        class_id = int(document.class_map.labels[y, x])
        red, green, blue = (int(channel) for channel in labels.palette()[class_id])
        self._status.set_position(x, y)
        self._status.set_class(
            labels.name_of(class_id), (red, green, blue), pinned=bool(document.class_map.pinned[y, x])
        )
        self._status.set_scores(self._scores(x, y))

    def _scores(self, x: int, y: int) -> list[ClassScore]:
        """The three classes the model finds likeliest at a pixel."""
        document = self._session.current
        if document is None or document.scores is None:
            return []
        import numpy as np

        logits = document.scores.at(y, x).astype(np.float64)
        odds = np.exp(logits - logits.max())
        probabilities = odds / odds.sum()
        classes = document.scores.label_set
        best = np.argsort(probabilities)[::-1][:3]
        return [ClassScore(classes.name_of(int(i)), classes[int(i)].colour, float(probabilities[i])) for i in best]

    def _show_device(self) -> None:
        from deeplab_studio.engine.device import device_label, device_memory

        model = self._session.predictions.model
        device = model.device if model is not None else "cpu"
        arithmetic = self._session.predictions.arithmetic
        name = device_label(device)
        if arithmetic not in ("", "float32"):
            name = f"{name} · {arithmetic}"
        self._status.set_device(name, device_memory(device))
