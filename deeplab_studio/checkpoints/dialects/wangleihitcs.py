"""wangleihitcs/DeepLab-V1-PyTorch: v1, VGG-16 with a large field of view."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from torch import Tensor

from deeplab_studio.checkpoints.dialects.base import Blueprint, Dialect, count_classes, name_classes
from deeplab_studio.checkpoints.dialects.caffe import PREPROCESSING, vgg_names, vgg_profile

TORCHVISION_CONVS = tuple(f"features.{i}" for i in (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28))
"""VGG-16's convolutions in torchvision's layout."""


def recognises(keys: Collection[str]) -> bool:
    """Whether these are keys of this network."""
    return any(key.startswith(("features.32.", "features.35.", "features.38.")) for key in keys) and any(
        key.startswith(("features.0.", "features.28.")) for key in keys
    )


def plan(tensors: Mapping[str, Tensor], output_stride: int | None) -> Blueprint:
    """Lay out the network such a file holds."""
    classes = count_classes(tensors, "features.38.weight", "features.38.bias")
    return Blueprint(
        profile=vgg_profile(classes, output_stride=output_stride, large_fov=True, ceil_pooling=False),
        preprocessing=PREPROCESSING,
        classes=name_classes(classes),
        title="DeepLabv1 VGG-16 LargeFOV (wangleihitcs)",
        names=vgg_names(TORCHVISION_CONVS, [("features.32", "features.35", "features.38")]),
    )


DIALECT = Dialect("wangleihitcs", recognises, plan)
