"""jfzhang95/pytorch-deeplab-xception: v3+ on MobileNetV2, ResNet-101, Xception and DRN-D-54."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

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
from deeplab_studio.checkpoints.dialects.names import (
    Names,
    bottleneck_names,
    flat,
    mobilenet_v2_names,
    pair,
    torch_resnet_depth,
    torch_resnet_names,
    xception_names,
)
from deeplab_studio.checkpoints.model import SizeRule
from deeplab_studio.networks.drn import DRN_D_54_STAGES, DRN_D_LAYERS, DRN_D_TAIL
from deeplab_studio.networks.profile import AsppProfile, BackboneProfile, DecoderProfile, Profile, XceptionProfile

PREPROCESSING = replace(IMAGENET, size=SizeRule("shorter", 513, filter="bilinear"))
"""As ``FixScaleCrop(513)`` of its validation, without the crop, which would leave parts of the photo unlabelled."""


def recognises(keys: Collection[str]) -> bool:
    """Whether these are keys of a jfzhang95 DeepLab."""
    return any(key.startswith("aspp.aspp") and ".atrous_conv." in key for key in keys) and any(
        key.startswith("backbone.") for key in keys
    )


def plan(tensors: Mapping[str, Tensor], output_stride: int | None) -> Blueprint:
    """Lay out the network such a file holds."""
    classes = count_classes(tensors, "decoder.last_conv.8.weight", "decoder.last_conv.8.bias")
    if any(key.startswith("backbone.layer0.") for key in tensors):
        stride = choose_output_stride(output_stride, 8)
        title, names = "DRN-D-54", _drn_names()
        backbone = BackboneProfile(name="drn_d_54", output_stride=stride)
    elif any(key.startswith("backbone.layer") for key in tensors):
        stride = choose_output_stride(output_stride, 16, 8)
        name = torch_resnet_depth(tensors, "backbone.")
        title, names = name.replace("resnet", "ResNet-"), torch_resnet_names(name, "backbone.")
        backbone = BackboneProfile(name=name, output_stride=stride, first_dilation="new", multi_grid=(1, 2, 4))
    elif any(key.startswith("backbone.block") for key in tensors):
        stride = choose_output_stride(output_stride, 16, 8)
        title, names = "Xception-65", _xception_names()
        backbone = BackboneProfile(
            name="xception65",
            output_stride=stride,
            xception=XceptionProfile(
                rectified_skip="all", exit_activation="before", exit_tail_dilated=False, low_level="block"
            ),
        )
    else:
        stride = choose_output_stride(output_stride, 16, 8)
        title, names = "MobileNetV2", _mobilenet_names()
        backbone = BackboneProfile(
            name="mobilenet_v2", output_stride=stride, first_dilation="whole-stage", padding="before-expansion"
        )
    return Blueprint(
        profile=Profile(
            version="v3+",
            backbone=backbone,
            aspp=AsppProfile(rates=paper_rates(stride)),
            num_classes=classes,
            head_conv=False,
            align_corners=True,
            decoder=DecoderProfile(convs=2, align_corners=True),
        ),
        preprocessing=PREPROCESSING,
        classes=name_classes(classes),
        title=f"DeepLabv3+ {title} (jfzhang95)",
        names=names | _head_names(),
        # The same tensors a second time.
        unused=("backbone.low_level_features.", "backbone.high_level_features."),
    )


DIALECT = Dialect("jfzhang95", recognises, plan)


def _head_names() -> Names:
    names: Names = {}
    for i in range(4):
        names |= pair(f"aspp.branches.{i}", f"aspp.aspp{i + 1}.atrous_conv", f"aspp.aspp{i + 1}.bn")
    names |= pair("aspp.pooling", "aspp.global_avg_pool.1", "aspp.global_avg_pool.2")
    names |= pair("aspp.project", "aspp.conv1", "aspp.bn1")
    names |= pair("decoder.reduce", "decoder.conv1", "decoder.bn1")
    names |= pair("decoder.refine.0", "decoder.last_conv.0", "decoder.last_conv.1")
    names |= pair("decoder.refine.1", "decoder.last_conv.4", "decoder.last_conv.5")
    return names | {"classifier": "decoder.last_conv.8"}


def _mobilenet_names() -> Names:
    stem = pair("backbone.stem", "backbone.features.0.0", "backbone.features.0.1")
    return stem | mobilenet_v2_names(lambda block: f"backbone.features.{block + 1}", flat)


def _xception_names() -> Names:
    def separable(block: int, conv: int) -> tuple[str, str, str, str]:
        if block == 21:
            path, norm = f"backbone.conv{conv + 2}", f"backbone.bn{conv + 2}"
        else:
            # From block 3 on a ReLU comes first and takes place 0.
            place = 3 * (conv - 1) + (block > 2)
            path, norm = f"backbone.block{block}.rep.{place}", f"backbone.block{block}.rep.{place + 1}"
        return f"{path}.conv1", f"{path}.bn", f"{path}.pointwise", norm

    names = pair("backbone.stem.0", "backbone.conv1", "backbone.bn1")
    names |= pair("backbone.stem.1", "backbone.conv2", "backbone.bn2")
    return names | xception_names(
        separable, lambda block: (f"backbone.block{block}.skip", f"backbone.block{block}.skipbn")
    )


def _drn_names() -> Names:
    names: Names = {}
    levels = len(DRN_D_LAYERS)
    for i in range(levels):
        names |= pair(f"backbone.stem.{i}", f"backbone.layer{i}.0", f"backbone.layer{i}.1")
    for i, (blocks, *_) in enumerate(DRN_D_54_STAGES):
        names |= bottleneck_names(f"backbone.stages.{i}", f"backbone.layer{levels + i}", blocks)
    for i in range(len(DRN_D_TAIL)):
        level = f"backbone.layer{levels + len(DRN_D_54_STAGES) + i}"
        names |= pair(f"backbone.tail.{i}", f"{level}.0", f"{level}.1")
    return names
