"""CoinCheung/Deeplab-Large-FOV: v1, VGG-16 with a large field of view."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from torch import Tensor

from deeplab_studio.checkpoints.dialects.base import IMAGENET, Blueprint, Dialect, count_classes, name_classes
from deeplab_studio.checkpoints.dialects.caffe import vgg_names, vgg_profile
from deeplab_studio.checkpoints.dialects.wangleihitcs import TORCHVISION_CONVS

PREPROCESSING = replace(IMAGENET, pad_to=497, pad_place="around")
"""One scale of its evaluation: photos smaller than its crops of 497 pixels are centred in zeros."""


def recognises(keys: Collection[str]) -> bool:
    """Whether these are keys of this network."""
    return any(key.startswith(("classifier.1.", "classifier.3.", "classifier.6.")) for key in keys) and any(
        key.startswith(("features.0.", "features.28.")) for key in keys
    )


def plan(tensors: Mapping[str, Tensor], output_stride: int | None) -> Blueprint:
    """Lay out the network such a file holds."""
    classes = count_classes(tensors, "classifier.6.weight", "classifier.6.bias")
    return Blueprint(
        profile=vgg_profile(classes, output_stride=output_stride, large_fov=True, ceil_pooling=False),
        preprocessing=PREPROCESSING,
        classes=name_classes(classes),
        title="DeepLabv1 VGG-16 LargeFOV (CoinCheung)",
        names=vgg_names(TORCHVISION_CONVS, [("classifier.1", "classifier.3", "classifier.6")]),
    )


DIALECT = Dialect("coincheung", recognises, plan)
