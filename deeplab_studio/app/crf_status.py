"""What the CRF panel says about the picture on the canvas: preview or exact, how long it took, what the sigmas are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QTimer

from deeplab_studio.app.crf_engine import engine_name

if TYPE_CHECKING:
    from deeplab_studio.app.document import Document
    from deeplab_studio.app.panels.crf import CrfPanel, Shown
    from deeplab_studio.app.refinement import Refined
    from deeplab_studio.app.session import Session

PATIENCE_MS = 150
"""An exact result that takes longer is announced."""


class CrfStatus(QObject):
    """Keeps the last line of the CRF panel up to date.

    Parameters
    ----------
    session : Session
    panel : CrfPanel
    parent : QObject, optional
    """

    def __init__(self, session: Session, panel: CrfPanel, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._panel = panel
        self._timer = QTimer(self, interval=PATIENCE_MS)
        self._timer.timeout.connect(self._announce)
        lane = session.refinement.lane
        lane.busyChanged.connect(lambda busy: self._timer.start() if busy else self._timer.stop())
        session.currentChanged.connect(self._on_current)
        session.previewed.connect(self._on_previewed)
        session.refined.connect(self._on_refined)

    def _on_current(self, document: Document | None) -> None:
        self._panel.set_photo_size(None if document is None else document.class_map.shape)

    def _on_previewed(self, refined: Refined | None) -> None:
        if refined is None:
            return
        document = self._session.current
        taken = self._duration(refined.milliseconds)
        height, width = refined.labels.shape
        if refined.exact:
            text = self.tr("Exact, {0}").format(taken)
        elif document is not None and document.class_map.shape != (height, width):
            text = self.tr("Preview at {0} × {1}, {2}").format(width, height, taken)
        else:
            text = self.tr("Preview, {0}").format(taken)
        self._say(text, refined, "exact" if refined.exact else "preview")

    def _on_refined(self, refined: Refined) -> None:
        if refined.settings.on:
            taken = self._duration(refined.milliseconds)
            text = self.tr("Exact at full size, {0}").format(taken)
            if refined.scale < 1:
                size = f"{refined.labels.size * refined.scale**2 / 1e6:.1f}"
                text = self.tr("At {0} megapixels to spare memory, {1}").format(size, taken)
            self._say(text, refined, "exact" if refined.scale == 1 else "preview")
        else:
            self._panel.set_status(self.tr("Off: the prediction as it is"), "off")

    def _duration(self, milliseconds: float) -> str:
        if milliseconds < 1000:
            return self.tr("{0} ms").format(round(milliseconds))
        return self.tr("{0} s").format(f"{milliseconds / 1000:.1f}")

    def _say(self, text: str, refined: Refined, shown: Shown) -> None:
        self._panel.set_status(self.tr("{0} · {1}").format(text, engine_name(refined.engine)), shown)

    def _announce(self) -> None:
        if self._session.refinement.lane.find("exact") is not None:
            self._panel.set_status(self.tr("Computing the exact result…"), "waiting")
