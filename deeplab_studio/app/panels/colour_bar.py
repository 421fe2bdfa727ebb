"""Numbers as colours: the tables, and the bar that says which colour is which number."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Literal

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QImage, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from deeplab_studio.app.panels.controls import small_font
from deeplab_studio.app.theme import tones

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

ColourMap = Literal["viridis", "inferno"]

_BAR = 12
"""Height of the bar itself in logical pixels."""


@cache
def colour_table(name: ColourMap, opacity: float = 1.0) -> npt.NDArray[np.uint8]:
    """A perceptually uniform colour map.

    Parameters
    ----------
    name : {"viridis", "inferno"}
    opacity : float
        0..1, of every colour.

    Returns
    -------
    (256, 4) uint8 array
        RGBA with straight alpha, from the lowest value to the highest; not to be changed.
    """
    import cv2
    import numpy as np

    code = {"viridis": cv2.COLORMAP_VIRIDIS, "inferno": cv2.COLORMAP_INFERNO}[name]
    colours = cv2.applyColorMap(np.arange(256, dtype=np.uint8)[:, None], code)[:, 0, ::-1]
    table = np.empty((256, 4), np.uint8)
    table[:, :3] = colours
    table[:, 3] = round(255 * opacity)
    table.setflags(write=False)
    return table


class ColourBar(QWidget):
    """A colour map from its lowest value to its highest, with both and the middle written below."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._image = QImage()
        self._labels = ("", "", "")
        self.setFont(small_font(self))
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName(self.tr("Colour bar"))

    def set_scale(self, colours: npt.NDArray[np.uint8], low: str, middle: str, high: str) -> None:
        """Show a (256, 4) table of `colour_table`, opaque, and what its ends and its middle stand for."""
        import numpy as np

        row = np.ascontiguousarray(colours[None, :, :3])
        self._image = QImage(row.data, 256, 1, 256 * 3, QImage.Format.Format_RGB888).copy()
        self._labels = (low, middle, high)
        self.setAccessibleDescription(self.tr("from {0} to {1}").format(low, high))
        self.update()

    @property
    def labels(self) -> tuple[str, str, str]:
        """What is written at the low end, in the middle and at the high end."""
        return self._labels

    def sizeHint(self) -> QSize:
        """Bar and one line of text."""
        return QSize(160, _BAR + self.fontMetrics().height() + 4)

    def minimumSizeHint(self) -> QSize:
        """Room for the three numbers."""
        return QSize(100, self.sizeHint().height())

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw bar, ticks and numbers."""
        if self._image.isNull():
            return
        tone = tones(self.palette())
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        bar = QRectF(0.5, 0.5, self.width() - 1, _BAR)
        painter.drawImage(bar, self._image)
        painter.setPen(QPen(tone.colour("border_strong"), 1))
        painter.drawRect(bar)
        painter.setPen(tone.colour("muted"))
        text = QRectF(0, _BAR + 3, self.width(), self.fontMetrics().height())
        sides = (Qt.AlignmentFlag.AlignLeft, Qt.AlignmentFlag.AlignHCenter, Qt.AlignmentFlag.AlignRight)
        for label, side in zip(self._labels, sides, strict=True):
            painter.drawText(text, side, label)
