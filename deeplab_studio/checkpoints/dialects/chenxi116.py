"""chenxi116/DeepLabv3.pytorch: v3 on ResNets, with batch normalisation or with group normalisation."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from functools import partial

from torch import Tensor

from deeplab_studio.checkpoints.dialects.base import (
    IMAGENET,
    Blueprint,
    Dialect,
    choose_output_stride,
    count_classes,
    name_classes,
    paper_rates,
)
from deeplab_studio.checkpoints.dialects.names import pair, torch_resnet_depth, torch_resnet_names
from deeplab_studio.networks.profile import AsppProfile, BackboneProfile, Profile

PREPROCESSING = replace(IMAGENET, pad_to=513)

GROUPS = 32
"""Of the published file with group normalisation; it goes with standardised weights."""


def recognises(keys: Collection[str], *, grouped: bool) -> bool:
    """Whether these are keys of a chenxi116 DeepLabv3; group normalisation keeps no statistics."""
    ours = any(key.startswith("aspp.aspp") and "_bn." in key for key in keys) and any(
        key.startswith("layer") for key in keys
    )
    return ours and grouped is not any(key.endswith(".running_mean") for key in keys)


def plan(tensors: Mapping[str, Tensor], output_stride: int | None, *, grouped: bool) -> Blueprint:
    """Lay out the network such a file holds."""
    classes = count_classes(tensors, "aspp.conv3.weight", "aspp.conv3.bias")
    stride = choose_output_stride(output_stride, 16, 8)
    name = torch_resnet_depth(tensors, "")
    names = torch_resnet_names(name, "")
    for i in range(4):
        names |= pair(f"aspp.branches.{i}", f"aspp.aspp{i + 1}", f"aspp.aspp{i + 1}_bn")
    names |= pair("aspp.pooling", "aspp.aspp5", "aspp.aspp5_bn") | pair("aspp.project", "aspp.conv2", "aspp.bn2")
    title = name.replace("resnet", "ResNet-") + (", group normalisation" if grouped else "")
    return Blueprint(
        profile=Profile(
            version="v3",
            backbone=BackboneProfile(
                name=name,
                output_stride=stride,
                norm_groups=GROUPS if grouped else 0,
                standardised_weights=grouped,
            ),
            aspp=AsppProfile(rates=paper_rates(stride)),
            num_classes=classes,
            head_conv=False,
            align_corners=True,
        ),
        preprocessing=PREPROCESSING,
        classes=name_classes(classes),
        title=f"DeepLabv3 {title} (chenxi116)",
        names={**names, "classifier": "aspp.conv3"},
    )


DIALECT = Dialect("chenxi116", partial(recognises, grouped=False), partial(plan, grouped=False))
GROUPED_DIALECT = Dialect("chenxi116-gn-ws", partial(recognises, grouped=True), partial(plan, grouped=True))
