"""LikeLy-Journey/SegmenTron: v3+ on Xception-65, ResNets and MobileNetV2."""

from __future__ import annotations

from collections.abc import Collection, Mapping

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
    MOBILENET_V2_BLOCKS,
    Names,
    Place,
    mobilenet_v2_names,
    pair,
    torch_resnet_depth,
    torch_resnet_names,
    xception_names,
)
from deeplab_studio.checkpoints.model import Preprocessing
from deeplab_studio.networks.profile import AsppProfile, BackboneProfile, DecoderProfile, Profile

HALVES = Preprocessing(divisor=255.0, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
"""Of the configurations with Xception-65."""

PREPROCESSING = IMAGENET
"""Of the others."""

_STAGES = ((0,), (1,), (2,), (3, 4), (5, 6))
"""MobileNetV2's stages in each of the blocks that its encoder is made of."""


def recognises(keys: Collection[str]) -> bool:
    """Whether these are keys of a SegmenTron DeepLabv3+."""
    return any(key.startswith(("head.aspp.", "head.c1_block.")) for key in keys) and any(
        key.startswith("encoder.") for key in keys
    )


def plan(tensors: Mapping[str, Tensor], output_stride: int | None) -> Blueprint:
    """Lay out the network such a file holds."""
    classes = count_classes(tensors, "head.block.2.weight", "head.block.2.bias")
    preprocessing = PREPROCESSING
    if any(key.startswith("encoder.layer") for key in tensors):
        stride = choose_output_stride(output_stride, 16, 8)
        name = torch_resnet_depth(tensors, "encoder.")
        title, names = name.replace("resnet", "ResNet-"), torch_resnet_names(name, "encoder.")
        backbone = BackboneProfile(name=name, output_stride=stride)
    elif any(key.startswith("encoder.block1.0.") for key in tensors):
        # Published at stride 32 with the rates of stride 16.
        stride = choose_output_stride(output_stride, 32, 8, 16)
        title, names = "MobileNetV2", _mobilenet_names()
        backbone = BackboneProfile(name="mobilenet_v2", output_stride=stride, first_dilation="first-only")
    else:
        stride = choose_output_stride(output_stride, 16, 8)
        title, names, preprocessing = "Xception-65", _xception_names(), HALVES
        # The evaluation sets this epsilon, although the weights come from a module that is built with another.
        backbone = BackboneProfile(name="xception65", output_stride=stride, norm_eps=1e-3)
    return Blueprint(
        profile=Profile(
            version="v3+",
            backbone=backbone,
            aspp=AsppProfile(rates=paper_rates(stride), separable="normalised", pooling_first=True),
            num_classes=classes,
            head_conv=False,
            align_corners=True,
            decoder=DecoderProfile(convs=2, separable="normalised", align_corners=True),
        ),
        preprocessing=preprocessing,
        classes=name_classes(classes),
        title=f"DeepLabv3+ {title} (SegmenTron)",
        names=names | _head_names(),
        unused=("auxlayer.", "encoder.fc."),
    )


DIALECT = Dialect("segmentron", recognises, plan)


def _separable(ours: str, theirs: str) -> Names:
    depthwise, depthwise_norm, pointwise, pointwise_norm = _paths(theirs)
    return pair(f"{ours}.depthwise", depthwise, depthwise_norm) | pair(f"{ours}.pointwise", pointwise, pointwise_norm)


def _paths(path: str) -> tuple[str, str, str, str]:
    here = f"{path}.block"
    return f"{here}.depthwise", f"{here}.bn_depth", f"{here}.pointwise", f"{here}.bn_point"


def _head_names() -> Names:
    names = pair("aspp.branches.0", "head.aspp.aspp0.conv", "head.aspp.aspp0.bn")
    for i in (1, 2, 3):
        names |= _separable(f"aspp.branches.{i}", f"head.aspp.aspp{i}")
    names |= pair("aspp.pooling", "head.aspp.image_pooling.conv", "head.aspp.image_pooling.bn")
    names |= pair("aspp.project", "head.aspp.conv", "head.aspp.bn")
    names |= pair("decoder.reduce", "head.c1_block.conv", "head.c1_block.bn")
    for i in (0, 1):
        names |= _separable(f"decoder.refine.{i}", f"head.block.{i}")
    return names | {"classifier": "head.block.2"}


def _xception_names() -> Names:
    names = pair("backbone.stem.0", "encoder.conv1", "encoder.bn1")
    names |= pair("backbone.stem.1", "encoder.conv2", "encoder.bn2")
    return names | xception_names(
        lambda block, conv: _paths(f"encoder.block{block}.sep_conv{conv}"),
        lambda block: (f"encoder.block{block}.conv", f"encoder.block{block}.bn"),
    )


def _mobilenet_names() -> Names:
    paths = []
    for i, stages in enumerate(_STAGES):
        count = sum(stage in stages for stage, _ in MOBILENET_V2_BLOCKS)
        paths += [f"encoder.block{i + 1}.{block}" for block in range(count)]

    def place(path: str, index: int, last: bool) -> Place:
        here = f"{path}.conv.{index}"
        return (here, f"{path}.conv.{index + 1}") if last else (f"{here}.conv", f"{here}.bn")

    return pair("backbone.stem", "encoder.conv1.conv", "encoder.conv1.bn") | mobilenet_v2_names(
        paths.__getitem__, place
    )
