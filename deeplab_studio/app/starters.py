"""What the window says of a starter model: what it is, and which classes it knows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from PySide6.QtCore import QCoreApplication, QLocale

if TYPE_CHECKING:
    from deeplab_studio.checkpoints.starters import StarterCard


def knowledge_text(card: StarterCard) -> str:
    """Two lines: the classes it knows with their IoU, best first, and those it hardly knows."""
    translate = QCoreApplication.translate
    iou = card.result.iou

    def score(name: str) -> float:
        value = iou.get(name)
        return -1.0 if value is None else value

    lines = [translate("Starters", "Knows {0}.").format(_figures(card, sorted(card.known, key=score, reverse=True)))]
    if card.hardly_known:
        lines.append(translate("Starters", "Hardly knows {0}.").format(", ".join(card.hardly_known)))
    return "\n".join(lines)


def result_text(card: StarterCard) -> str:
    """What it scored, a line without and one with the CRF."""
    translate, result = QCoreApplication.translate, card.result
    text = translate("Starters", "{0} of what it knows, {1} of all classes, on {2}").format(
        percent(result.miou_known), percent(result.miou), result.measured_on
    )
    if result.miou_crf is None or result.miou_known_crf is None:
        return text
    refined = translate("Starters", "With the CRF {0}: {1}, {2}").format(
        result.crf, percent(result.miou_known_crf), percent(result.miou_crf)
    )
    return f"{text}\n{refined}"


def about_text(card: StarterCard) -> str:
    """Everything a person should know before relying on it."""
    return f"{card.description}\n{knowledge_text(card)}"


def percent(fraction: float) -> str:
    """``"53.2 %"``."""
    return QCoreApplication.translate("Starters", "{0} %").format(QLocale().toString(100 * fraction, "f", 1))


def _figures(card: StarterCard, names: Iterable[str]) -> str:
    iou = card.result.iou
    figures = ((name, iou.get(name)) for name in names)
    return ", ".join(name if value is None else f"{name} {percent(value)}" for name, value in figures)
