"""The file layouts this program knows, one module each."""

from __future__ import annotations

from deeplab_studio.checkpoints.dialects import native, tensorflow_zoo, torchvision
from deeplab_studio.checkpoints.dialects.base import Blueprint, Dialect

__all__ = ["DIALECTS", "Blueprint", "Dialect"]

DIALECTS: tuple[Dialect, ...] = (native.DIALECT, torchvision.DIALECT, tensorflow_zoo.DIALECT)
"""Asked in this order; their tell-tale keys do not overlap."""
