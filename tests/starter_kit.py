"""Starter models that have learnt nothing, as files with cards, for tests: never to be shipped."""

from __future__ import annotations

from pathlib import Path

import torch

from deeplab_studio.checkpoints.digest import sha256_of
from deeplab_studio.checkpoints.model import FileHash, LoadedModel, Preprocessing, SizeRule
from deeplab_studio.checkpoints.native import Provenance, save_native
from deeplab_studio.checkpoints.starters import StarterCard, StarterResult, starter_id
from deeplab_studio.core.labels import VOC_LABELS
from deeplab_studio.networks.deeplab import DeepLab
from deeplab_studio.networks.profile import Version
from deeplab_studio.networks.starter import STARTER_VERSIONS, starter_profile

PREPROCESSING = Preprocessing(
    divisor=255.0, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225), size=SizeRule("longer", 97)
)
KNOWN = ("background", "cat", "dog", "person")


def drawn_model(version: Version, output_stride: int = 16) -> LoadedModel:
    """A starter model with random weights."""
    torch.manual_seed(STARTER_VERSIONS.index(version))
    profile = starter_profile(version, len(VOC_LABELS), output_stride)
    return LoadedModel(
        network=DeepLab(profile).eval(),
        profile=profile,
        preprocessing=PREPROCESSING,
        classes=VOC_LABELS,
        dialect="deeplab-studio",
        title=f"Starter {version}",
        path=Path("nowhere"),
        file_hash=FileHash(""),
    )


def card_of(path: Path, version: Version, miou_known: float = 0.5) -> StarterCard:
    """A card with made-up figures for a file."""
    return StarterCard(
        id=starter_id(version),
        title=f"Starter {version}",
        version=version,
        description=f"The {version} head on a compact encoder.",
        path=path,
        bytes=path.stat().st_size,
        sha256=sha256_of(path),
        licence="MIT",
        parameters=3_000_000,
        stored_as="float16",
        agreement=0.9995,
        command="deeplab-studio train starter.toml",
        data="a few photos",
        known=KNOWN,
        hardly_known=tuple(name for name in VOC_LABELS.names if name not in KNOWN),
        result=StarterResult(
            measured_on="10 photos of Pascal VOC 2012 val",
            images=10,
            iou={name: None if name == "aeroplane" else 0.6 if name in KNOWN else 0.02 for name in VOC_LABELS.names},
            miou=0.2,
            miou_known=miou_known,
            pixel_accuracy=0.8,
            crf="v1-largefov",
            miou_crf=0.21,
            miou_known_crf=miou_known + 0.01,
        ),
    )


def write_starters(folder: Path, versions: tuple[Version, ...] = STARTER_VERSIONS) -> list[StarterCard]:
    """Files and cards of starters with random weights; v3+ is said to be the best."""
    folder.mkdir(parents=True, exist_ok=True)
    cards = []
    for version in versions:
        path = folder / f"{starter_id(version)}.safetensors"
        save_native(drawn_model(version), path, half=True, provenance=Provenance(source="a test"))
        card = card_of(path, version, 0.6 if version == "v3+" else 0.5)
        (folder / f"{card.id}.json").write_text(card.dump(), "utf-8")
        cards.append(card)
    return cards
