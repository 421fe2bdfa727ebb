"""isht7/pytorch-deeplab-resnet and its relatives: v2 on ResNet-101, the authors' network with torchvision's names."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from torch import Tensor

from deeplab_studio.checkpoints.dialects.base import Blueprint, Dialect, count_classes, name_classes
from deeplab_studio.checkpoints.dialects.caffe import INTERP_SCALES, PREPROCESSING, SUMMED_RATES, resnet_profile
from deeplab_studio.checkpoints.dialects.names import torch_resnet_names

_WRAPPER = "Scale."
"""Before every key of the network that looks at three scales; relatives save the inner network alone."""


def recognises(keys: Collection[str]) -> bool:
    """Whether these are keys of this network."""
    names = [key.removeprefix(_WRAPPER) for key in keys]
    return any(name.startswith("layer5.conv2d_list.") for name in names) and any(
        name.startswith(("layer1.", "layer3.")) for name in names
    )


def plan(tensors: Mapping[str, Tensor], output_stride: int | None) -> Blueprint:
    """Lay out the network such a file holds."""
    prefix = _WRAPPER if any(key.startswith(_WRAPPER) for key in tensors) else ""
    heads = {f"aspp.branches.{i}.0": f"{prefix}layer5.conv2d_list.{i}" for i in range(len(SUMMED_RATES))}
    last = heads["aspp.branches.0.0"]
    classes = count_classes(tensors, f"{last}.weight", f"{last}.bias")
    return Blueprint(
        profile=resnet_profile(
            classes,
            output_stride=output_stride,
            align_corners=True,
            multi_scale=INTERP_SCALES if prefix else None,
        ),
        preprocessing=PREPROCESSING,
        classes=name_classes(classes),
        title=f"DeepLabv2 ResNet-101{', multi-scale' if prefix else ''} (isht7)",
        names=torch_resnet_names("resnet101", prefix) | heads,
    )


DIALECT = Dialect("isht7", recognises, plan)
