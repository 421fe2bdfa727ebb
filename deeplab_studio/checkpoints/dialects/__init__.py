"""The file layouts this program knows, one module each."""

from __future__ import annotations

from deeplab_studio.checkpoints.dialects import (
    bubbliiiing,
    caffe,
    chenxi116,
    coincheung,
    isht7,
    jfzhang95,
    kazuto1011,
    keras,
    mmseg,
    native,
    segmentron,
    smp,
    tensorflow_zoo,
    torchvision,
    vainf,
    wangleihitcs,
)
from deeplab_studio.checkpoints.dialects.base import Blueprint, Dialect

__all__ = ["DIALECTS", "Blueprint", "Dialect"]

DIALECTS: tuple[Dialect, ...] = (
    native.DIALECT,
    torchvision.DIALECT,
    vainf.DIALECT,
    jfzhang95.DIALECT,
    bubbliiiing.DIALECT,
    segmentron.DIALECT,
    mmseg.DIALECT,
    chenxi116.DIALECT,
    chenxi116.GROUPED_DIALECT,
    smp.DIALECT,
    kazuto1011.DIALECT,
    isht7.DIALECT,
    wangleihitcs.DIALECT,
    coincheung.DIALECT,
    caffe.DIALECT,
    caffe.CONVERTED_DIALECT,
    keras.DIALECT,
    tensorflow_zoo.DIALECT,
)
"""Asked in this order; their tell-tale keys do not overlap."""
