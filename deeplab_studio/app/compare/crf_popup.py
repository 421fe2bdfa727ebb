"""The parameters of one pane's CRF, in a box under its head."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QPoint, Qt, Signal
from PySide6.QtWidgets import QFrame, QVBoxLayout, QWidget

from deeplab_studio.app.document import CrfSettings
from deeplab_studio.app.panels.crf import CrfPanel

if TYPE_CHECKING:
    from deeplab_studio.crf.presets import Preset

_WIDTH = 300


class CrfPopup(QFrame):
    """Sliders and presets that belong to one pane at a time.

    Attributes
    ----------
    changing : Signal(int, CrfSettings)
        Pane, and settings that a slider passes.
    settled : Signal(int, CrfSettings)
        Pane, and settings that stay.
    """

    changing = Signal(int, object)
    settled = Signal(int, object)

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent, Qt.WindowType.Popup)
        self.setFrameShape(QFrame.Shape.StyledPanel)
        self._pane = -1
        self.panel = CrfPanel()
        self.panel.menu_button.hide()  # presets are kept in the panel of the image itself
        self.panel.toggled.connect(lambda _on: self._tell(self.settled))
        self.panel.paramsChanging.connect(lambda _params: self._tell(self.changing))
        self.panel.paramsSettled.connect(lambda _params: self._tell(self.settled))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.panel)

    @property
    def pane(self) -> int:
        """Whose parameters it shows."""
        return self._pane

    def open(
        self, pane: int, crf: CrfSettings, presets: tuple[list[Preset], list[Preset]], size: tuple[int, int], at: QPoint
    ) -> None:
        """Show the settings of a pane.

        Parameters
        ----------
        pane : int
        crf : CrfSettings
        presets : (list of Preset, list of Preset)
            Built in, and the person's own.
        size : (int, int)
            Height and width of the photo.
        at : QPoint
            Where its upper right corner goes, on the screen.
        """
        self._pane = pane
        self.panel.set_presets(*presets)
        self.panel.set_params(crf.params)
        self.panel.set_on(crf.on)
        self.panel.set_photo_size(size)
        self.panel.set_status("", "off")
        self.resize(_WIDTH, self.sizeHint().height())
        screen = self.screen().availableGeometry()
        left = max(at.x() - self.width(), screen.left())
        top = min(at.y(), max(screen.top(), screen.bottom() - self.height()))
        self.move(left, top)
        self.show()

    def _tell(self, signal: object) -> None:
        signal.emit(self._pane, CrfSettings(self.panel.is_on(), self.panel.params))  # type: ignore[attr-defined]
