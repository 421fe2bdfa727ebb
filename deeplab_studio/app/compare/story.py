"""The story of the versions: what each brought, which model tells it, and the card that says so under a pane."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from PySide6.QtCore import QCoreApplication, QSize, Qt
from PySide6.QtGui import QFont, QPalette, QResizeEvent
from PySide6.QtWidgets import QFrame, QLabel, QScrollArea, QVBoxLayout, QWidget

from deeplab_studio.app.compare.choice import PaneChoice
from deeplab_studio.app.document import CrfSettings
from deeplab_studio.app.panels.controls import GAP, small_font
from deeplab_studio.app.translate import QT_TRANSLATE_NOOP

if TYPE_CHECKING:
    from deeplab_studio.app.predictions import ModelInfo
    from deeplab_studio.checkpoints.library import InstalledModel


class Chapter(NamedTuple):
    """What is told of one version.

    Attributes
    ----------
    version : str
    title, text : str
        What is new in it; to be translated.
    reference : str
        The paper.
    crf_preset : str
        Id of the CRF preset it is shown with, "" for none.
    """

    version: str
    title: str
    text: str
    reference: str
    crf_preset: str = ""


CHAPTERS: tuple[Chapter, ...] = (
    Chapter(
        "v1",
        QT_TRANSLATE_NOOP("Story", "Atrous convolution, and a CRF for the borders"),
        QT_TRANSLATE_NOOP(
            "Story",
            "A classifier, VGG-16, becomes a segmenter: its last two poolings no longer shrink the picture, and "
            "convolutions with holes keep the view as wide as it was. So there is a score for every 8th pixel instead "
            "of every 32nd. The coarse scores are enlarged, and a fully connected CRF finds the borders.",
        ),
        "Chen, Papandreou, Kokkinos, Murphy, Yuille: Semantic Image Segmentation with Deep Convolutional Nets and "
        "Fully Connected CRFs. ICLR 2015, arXiv:1412.7062",
        "v1-largefov",
    ),
    Chapter(
        "v2",
        QT_TRANSLATE_NOOP("Story", "Atrous spatial pyramid pooling, several scales"),
        QT_TRANSLATE_NOOP(
            "Story",
            "Four atrous convolutions side by side, at rates 6, 12, 18 and 24, look at each place at several scales; "
            "their scores are summed. ResNet-101 takes the place of VGG-16, and the scores of the photo at three sizes "
            "are fused by their maximum. The CRF still comes last.",
        ),
        "Chen, Papandreou, Kokkinos, Murphy, Yuille: DeepLab: Semantic Image Segmentation with Deep Convolutional "
        "Nets, Atrous Convolution, and Fully Connected CRFs. arXiv:1606.00915 (2016), TPAMI 2018",
        "v2-resnet101",
    ),
    Chapter(
        "v3",
        QT_TRANSLATE_NOOP("Story", "The whole image as a feature, batch normalisation, no CRF"),
        QT_TRANSLATE_NOOP(
            "Story",
            "The pyramid gets a 1×1 branch and a feature pooled from the whole image, because large rates see little "
            "but the padding. Its branches are batch-normalised and concatenated instead of summed, and the last block "
            "of the network takes several rates itself (multi-grid). The CRF is no longer needed.",
        ),
        "Chen, Papandreou, Schroff, Adam: Rethinking Atrous Convolution for Semantic Image Segmentation. "
        "arXiv:1706.05587 (2017)",
    ),
    Chapter(
        "v3+",
        QT_TRANSLATE_NOOP("Story", "A decoder, and atrous separable convolution"),
        QT_TRANSLATE_NOOP(
            "Story",
            "v3 becomes the encoder of an encoder-decoder: its output is enlarged four times and joined with early "
            "features at stride 4, reduced to 48 channels, which still know where borders are. Separable convolutions "
            "make Xception, pyramid and decoder cheaper.",
        ),
        "Chen, Zhu, Papandreou, Schroff, Adam: Encoder-Decoder with Atrous Separable Convolution for Semantic Image "
        "Segmentation. ECCV 2018, arXiv:1802.02611",
    ),
)


def chapter_of(version: str) -> Chapter | None:
    """What is told of a version."""
    return next((chapter for chapter in CHAPTERS if chapter.version == version), None)


def choices(models: Sequence[InstalledModel]) -> list[PaneChoice]:
    """A pane for each version: its starter model, else the one with the best published figures, else any of it."""
    from deeplab_studio.crf.presets import find_preset

    found = []
    for chapter in CHAPTERS:
        own = [model for model in models if model.usable and model.version == chapter.version]
        best = max(own, key=_merit, default=None)
        preset = find_preset(chapter.crf_preset) if chapter.crf_preset else None
        crf = CrfSettings(True, preset.params) if preset is not None else CrfSettings(False)
        found.append(PaneChoice("model", None if best is None else best.path, crf, chapter.version))
    return found


def _merit(model: InstalledModel) -> tuple[bool, float]:
    """How good a model of its version is; only figures from one and the same data set are looked at."""
    from deeplab_studio.checkpoints.catalogue import VOC_VAL

    figures = []
    if model.card is not None and model.card.caution is None:
        figures = [result.miou for result in model.card.results if result.measured_on == VOC_VAL]
    return model.starter is not None, max(figures, default=0.0)


def facts_of(model: ModelInfo, crf_on: bool) -> str:
    """What the model of a pane is made of, in one line."""
    from deeplab_studio.engine.anatomy import backbone_title

    translate = QCoreApplication.translate
    profile = model.profile
    parts = [
        backbone_title(profile.backbone.name),
        translate("Story", "output stride {0}").format(profile.backbone.output_stride),
    ]
    rates = profile.aspp.rates
    if rates:
        text = translate("Story", "rate {0}") if len(rates) == 1 else translate("Story", "rates {0}")
        parts.append(text.format(", ".join(map(str, rates))))
    if profile.multi_scale is not None:
        parts.append(translate("Story", "{0} scales").format(1 + len(profile.multi_scale.scales)))
    parts.append(translate("Story", "with CRF") if crf_on else translate("Story", "no CRF"))
    return " · ".join(parts)


class StoryCard(QFrame):
    """What is new in a version, under its pane. It scrolls where there is no room for all of it."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._title = QLabel(wordWrap=True)
        font = self._title.font()
        font.setWeight(QFont.Weight.DemiBold)
        self._title.setFont(font)
        self._text = QLabel(wordWrap=True)
        self._facts = QLabel(wordWrap=True)
        self._reference = QLabel(wordWrap=True)
        for label in (self._facts, self._reference):
            label.setFont(small_font(label))
            label.setForegroundRole(QPalette.ColorRole.PlaceholderText)
        self._inside = QWidget()
        self._lines = lines = QVBoxLayout(self._inside)
        lines.setContentsMargins(GAP, GAP // 2, GAP, GAP)
        lines.setSpacing(GAP // 2)
        for label in (self._title, self._facts, self._text, self._reference):
            label.setTextFormat(Qt.TextFormat.PlainText)
            label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
            lines.addWidget(label)
        lines.addStretch(1)
        self._area = QScrollArea(self)
        self._area.setWidget(self._inside)
        self._area.setWidgetResizable(True)
        self._area.setFrameShape(QFrame.Shape.NoFrame)
        self._area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)

    @property
    def texts(self) -> tuple[str, str, str, str]:
        """Title, facts, text and reference that are shown."""
        return self._title.text(), self._facts.text(), self._text.text(), self._reference.text()

    def show_chapter(self, chapter: Chapter, facts: str) -> None:
        """Tell of a version, and what the pane's model is made of."""
        translate = QCoreApplication.translate
        self._title.setText(f"{chapter.version}: {translate('Story', chapter.title)}")
        self._facts.setText(facts)
        self._facts.setVisible(bool(facts))
        self._text.setText(translate("Story", chapter.text))
        self._reference.setText(chapter.reference)

    def wanted_height(self, width: int) -> int:
        """How high it would be at a width, to show all of it."""
        return self._lines.heightForWidth(width)

    def sizeHint(self) -> QSize:
        """A few lines."""
        return QSize(240, 140)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Fill the card."""
        super().resizeEvent(event)
        self._area.setGeometry(self.rect())
