"""How far a data set is: a thin bar and a line of words."""

from __future__ import annotations

from collections import Counter

from PySide6.QtCore import QLocale, QRectF, Qt
from PySide6.QtGui import QColor, QPainter, QPainterPath, QPaintEvent
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from deeplab_studio.app.panels.controls import GAP, Muted
from deeplab_studio.app.theme import tones


class ProgressBar(QWidget):
    """A thin bar: what is reviewed, what is done, what is left."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setFixedHeight(4)
        self._reviewed = self._done = 0.0

    def set_shares(self, reviewed: float, done: float) -> None:
        """Show shares of the whole, 0..1 each."""
        self._reviewed, self._done = reviewed, done
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw the parts side by side in one rounded bar."""
        tone = tones(self.palette())
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        area = QRectF(self.rect())
        shape = QPainterPath()
        shape.addRoundedRect(area, 2, 2)
        painter.setClipPath(shape)
        painter.fillRect(area, QColor(tone.border))
        reviewed, done = area.width() * self._reviewed, area.width() * self._done
        painter.fillRect(QRectF(area.left(), area.top(), reviewed, area.height()), QColor(tone.accent))
        painter.fillRect(QRectF(area.left() + reviewed, area.top(), done, area.height()), QColor(tone.success))


class ProgressHeader(QWidget):
    """The bar with its words. Images marked as empty are not counted: there is nothing to do on them."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.label = Muted()
        self.share_label = Muted()
        self.share_label.setAlignment(Qt.AlignmentFlag.AlignRight)
        self.bar = ProgressBar()
        words = QHBoxLayout()
        words.addWidget(self.label, 3)
        words.addWidget(self.share_label, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(GAP, GAP // 2, GAP, 0)
        layout.setSpacing(3)
        layout.addLayout(words)
        layout.addWidget(self.bar)

    def set_counts(self, counts: Counter[str], total: int) -> None:
        """Show how many of `total` images are in each state."""
        whole = total - counts["empty"]
        finished = counts["done"] + counts["reviewed"]
        self.setVisible(total > 0)
        share = finished / whole if whole else 1.0
        number = QLocale().toString
        self.label.setText(self.tr("{0} of {1} done").format(number(finished), number(whole)))
        # Rounded down: a hundred means that nothing is left.
        self.share_label.setText(self.tr("{0} %").format(int(100 * share)))
        self.bar.set_shares(counts["reviewed"] / whole if whole else 0.0, counts["done"] / whole if whole else 1.0)
        lines = [
            self.tr("Done: {0}").format(number(counts["done"])),
            self.tr("Reviewed: {0}").format(number(counts["reviewed"])),
            self.tr("Left: {0}").format(number(whole - finished)),
        ]
        if counts["empty"]:
            lines.append(self.tr("Empty, not counted: {0}").format(number(counts["empty"])))
        self.setToolTip("\n".join(lines))
        self.setAccessibleName(self.tr("Progress"))
        self.setAccessibleDescription(", ".join(lines))
