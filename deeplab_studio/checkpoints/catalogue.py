"""Model cards: the DeepLab checkpoints that are published under a direct HTTPS address, and what is known of them.

The cards are data, ``resources/catalogue/models.json``. Reading them touches neither the network nor torch.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, cast

from deeplab_studio.checkpoints.digest import Digest
from deeplab_studio.core.resources import resource

Caution = Literal["trained-on-val", "not-comparable"]
Purpose = Literal["segmentation", "initialisation"]

SUPPORTED_DIALECTS = frozenset(
    {
        "bubbliiiing",
        "caffe",
        "caffe-converted",
        "chenxi116",
        "chenxi116-gn-ws",
        "coincheung",
        "deeplab-studio",
        "isht7",
        "jfzhang95",
        "kazuto1011",
        "keras",
        "mmseg",
        "segmentron",
        "smp",
        "tensorflow-zoo",
        "torchvision",
        "vainf",
        "wangleihitcs",
    }
)
"""Dialects `load_checkpoint` reads, repeated here because asking it imports torch; a test holds them equal."""

VOC = "Pascal VOC"
"""The class set of most models, and of the starter models."""

VOC_VAL = "VOC 2012 val"
"""The one set on which figures of different cards may be compared."""


@dataclass(frozen=True, slots=True)
class PublishedResult:
    """A mean IoU as its publisher states it.

    Parameters
    ----------
    measured_on : str
        The data set and split. Figures from different sets say nothing about each other.
    miou : float
        Mean IoU in percent, without a CRF.
    miou_crf : float or None
        The same with the publisher's CRF, where it was measured.
    protocol : str
        What was done to the photos, where that differs from "whole photo, one scale".
    """

    measured_on: str
    miou: float
    miou_crf: float | None = None
    protocol: str = ""


@dataclass(frozen=True, slots=True)
class ModelCard:
    """One published checkpoint.

    Parameters
    ----------
    id : str
        Stable name, unique in the catalogue.
    title, version, backbone, publisher : str
        What it is ("v1", "v2", "v3" or "v3+") and whose.
    dialect : str
        Whose file layout it has: what the program must be able to read to load it.
    class_set, classes : str, int
        The classes it tells apart, by name of the set, and how many outputs it has.
    trained_on : str
        The data it has seen.
    url, file : str
        Where it is published (HTTPS), and the name it has on disk; names are unique in the catalogue.
    bytes : int or None
        Exact size, where it is published.
    bytes_estimate : int or None
        Size estimated from the number of parameters, where `bytes` is not known.
    digest : Digest or None
        Published hash, where there is one.
    licence : str or None
        SPDX identifier; None if the publisher states none.
    source : str
        Page a person can read.
    results : tuple of PublishedResult
        Published figures.
    caution : {"trained-on-val", "not-comparable"} or None
        Why its figures must not be held against others'.
    note : str
        What else one should know, as full sentences.
    purpose : {"segmentation", "initialisation"}
        Weights to start a training from are no model: their last layer is random.
    """

    id: str
    title: str
    version: str
    backbone: str
    publisher: str
    dialect: str
    class_set: str
    classes: int
    trained_on: str
    url: str
    file: str
    licence: str | None
    source: str
    results: tuple[PublishedResult, ...] = ()
    bytes: int | None = None
    bytes_estimate: int | None = None
    digest: Digest | None = None
    caution: Caution | None = None
    note: str = ""
    purpose: Purpose = "segmentation"

    @property
    def size(self) -> int | None:
        """Size in bytes, exact if `bytes` is set and otherwise the estimate; None if neither is known."""
        return self.bytes if self.bytes is not None else self.bytes_estimate

    def result_on(self, measured_on: str) -> PublishedResult | None:
        """The published figure on one data set, if there is one."""
        return next((result for result in self.results if result.measured_on == measured_on), None)


def _card(entry: dict[str, Any]) -> ModelCard:
    fields = dict(entry)
    sha256, blob = fields.pop("sha256", None), fields.pop("git_blob", None)
    if sha256 is not None:
        fields["digest"] = Digest("sha256", sha256)
    elif blob is not None:
        fields["digest"] = Digest("git-blob", blob)
    fields["results"] = tuple(PublishedResult(**result) for result in fields.pop("results"))
    return ModelCard(**fields)


@cache
def _all_cards() -> tuple[ModelCard, ...]:
    document = json.loads(resource("catalogue", "models.json").read_text("utf-8"))
    return tuple(_card(cast("dict[str, Any]", entry)) for entry in document["models"])


def cards(dialects: Collection[str] | None = None, *, purpose: Purpose | None = "segmentation") -> list[ModelCard]:
    """Return the model cards, in the order of the versions.

    Parameters
    ----------
    dialects : collection of str, optional
        Only cards of these dialects: what cannot be loaded is not offered. All of them if None.
    purpose : {"segmentation", "initialisation"} or None
        Only cards for this; all of them if None.
    """
    return [
        card
        for card in _all_cards()
        if (dialects is None or card.dialect in dialects) and (purpose is None or card.purpose == purpose)
    ]


def find_card(card_id: str) -> ModelCard | None:
    """Return the card with this id, whatever its dialect and purpose."""
    return next((card for card in _all_cards() if card.id == card_id), None)


def card_for_file(name: str) -> ModelCard | None:
    """Return the card of the published file with this name."""
    return next((card for card in _all_cards() if card.file == name), None)
