"""The starter models: what they are fed, and which of them ship."""

from __future__ import annotations

from deeplab_studio.checkpoints.model import Preprocessing, SizeRule

STARTER_PREPROCESSING = Preprocessing(
    divisor=255.0,
    mean=(0.485, 0.456, 0.406),
    std=(0.229, 0.224, 0.225),
    size=SizeRule("longer", 384),
)
"""ImageNet's statistics, and photos a little larger than the 320 pixels of those the models are trained on."""
