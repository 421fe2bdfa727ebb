"""Confusion matrices of the panes, and how good they are along boundaries."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from PySide6.QtCore import QCoreApplication, Qt
from PySide6.QtGui import QImage, QPixmap
from PySide6.QtWidgets import QDialog, QDialogButtonBox, QLabel, QScrollArea, QTabWidget, QVBoxLayout, QWidget

from deeplab_studio.app.panels.controls import GAP

if TYPE_CHECKING:
    from PIL.Image import Image as PilImage

    from deeplab_studio.app.compare.findings import Findings, Score
    from deeplab_studio.core.labels import LabelSet


class ChartsDialog(QDialog):
    """Charts of the image on screen.

    Parameters
    ----------
    findings : Findings
        With scores.
    titles : mapping of int to str
        What each pane shows.
    label_set : LabelSet
    parent : QWidget, optional
    """

    def __init__(
        self, findings: Findings, titles: Mapping[int, str], label_set: LabelSet, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.setWindowTitle(self.tr("Against the ground truth"))
        self.resize(760, 720)
        self.tabs = QTabWidget()
        self.tabs.setDocumentMode(True)
        self.tabs.addTab(_page(trimap_chart(findings, titles)), self.tr("Along the boundaries"))
        for score in findings.scores:
            chart = confusion_chart(score, findings, titles[score.pane], label_set)
            self.tabs.addTab(_page(chart), titles[score.pane])
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, GAP, GAP)
        layout.addWidget(self.tabs, 1)
        layout.addWidget(buttons)


def trimap_chart(findings: Findings, titles: Mapping[int, str]) -> PilImage:
    """Mean IoU of the pixels near a boundary, by how near: figure 6 of the DeepLab v1 paper, of one image."""
    from deeplab_studio.core.charts import Axes, Series, line_chart

    series = [
        Series(titles[score.pane], [(float(width), miou) for width, miou in score.trimap.miou()])
        for score in findings.scores
    ]
    axes = Axes(
        title=_tr("Mean IoU near the boundaries"),
        x_label=_tr("pixels from a boundary, at most"),
        y_label=_tr("mean IoU"),
        percent=True,
        width=720,
        height=460,
    )
    return line_chart(series, axes)


def confusion_chart(score: Score, findings: Findings, title: str, label_set: LabelSet) -> PilImage:
    """What a pane takes each class for: shares of the pixels of a true class, by row."""
    from deeplab_studio.core.charts import Axes, matrix_chart

    counts = score.matrix.counts
    # Only what occurs, in the truth or in the answer: a matrix of 21 classes would be empty but for a few.
    occurs = np.flatnonzero(counts.sum(axis=0) + counts.sum(axis=1))
    kept = counts[np.ix_(occurs, occurs)].astype(np.float64)
    whole = kept.sum(axis=1, keepdims=True)
    shares = np.divide(kept, whole, out=np.full_like(kept, np.nan), where=whole > 0)
    shared = findings.shared
    names = [label_set.name_of(shared[i]) if i < len(shared) else _tr("anything else") for i in occurs.tolist()]
    axes = Axes(title=title, x_label=_tr("taken for, in per cent of the class on the left"), width=580)
    return matrix_chart(names, shares, axes)


def _page(chart: PilImage) -> QScrollArea:
    pixels = np.ascontiguousarray(np.asarray(chart.convert("RGB")))
    height, width = pixels.shape[:2]
    image = QImage(pixels.data, width, height, 3 * width, QImage.Format.Format_RGB888).copy()
    label = QLabel()
    label.setPixmap(QPixmap.fromImage(image))
    label.setAlignment(Qt.AlignmentFlag.AlignCenter)
    area = QScrollArea()
    area.setWidget(label)
    area.setWidgetResizable(True)
    area.setFrameShape(QScrollArea.Shape.NoFrame)
    return area


def _tr(text: str) -> str:
    return QCoreApplication.translate("Charts", text)
