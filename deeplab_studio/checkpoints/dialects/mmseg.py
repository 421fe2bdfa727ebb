"""OpenMMLab's mmsegmentation: v3 and v3+ on ResNets and MobileNetV2, all at output stride 8."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from torch import Tensor

from deeplab_studio.checkpoints.dialects.base import (
    Blueprint,
    Dialect,
    choose_output_stride,
    count_channels,
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
)
from deeplab_studio.checkpoints.model import Preprocessing, SizeRule
from deeplab_studio.networks.profile import AsppProfile, BackboneProfile, DecoderProfile, Profile, Separable

PREPROCESSING = Preprocessing(
    divisor=1.0,
    mean=(123.675, 116.28, 103.53),
    std=(58.395, 57.12, 57.375),
    size=SizeRule("shorter", 512, longest=2048, filter="linear", rounding="nearest"),
)
"""``Resize(scale=(2048, 512), keep_ratio=True)``, by OpenCV."""


def recognises(keys: Collection[str]) -> bool:
    """Whether these are keys of an mmsegmentation DeepLab."""
    return any(key.startswith(("decode_head.aspp_modules.", "decode_head.image_pool.")) for key in keys) and any(
        key.startswith("backbone.") for key in keys
    )


def plan(tensors: Mapping[str, Tensor], output_stride: int | None) -> Blueprint:
    """Lay out the network such a file holds."""
    classes = count_classes(tensors, "decode_head.conv_seg.weight", "decode_head.conv_seg.bias")
    stride = choose_output_stride(output_stride, 8, 16)
    if any(key.startswith("backbone.layer1.0.conv.") for key in tensors):
        title, names = "MobileNetV2-D8", _mobilenet_names()
        backbone = BackboneProfile(name="mobilenet_v2", output_stride=stride, first_dilation="first-only")
    else:
        name = torch_resnet_depth(tensors, "backbone.")
        title, deep = (
            f"{name.replace('resnet', 'ResNet-')}-D8",
            any(key.startswith("backbone.stem.") for key in tensors),
        )
        names = torch_resnet_names(name, "backbone.", stem=not deep)
        for i in range(3 if deep else 0):
            names |= pair(f"backbone.stem.{i}", f"backbone.stem.{3 * i}", f"backbone.stem.{3 * i + 1}")
        backbone = BackboneProfile(name=name, output_stride=stride, stem="triple" if deep else "single")
    separable: Separable = "normalised" if any(".depthwise_conv." in key for key in tensors) else "no"
    plus = any(key.startswith(("decode_head.c1_bottleneck.", "decode_head.sep_bottleneck.")) for key in tensors)
    names |= _aspp_names(separable)
    if plus:
        names |= _conv("decoder.reduce", "decode_head.c1_bottleneck")
        for i in (0, 1):
            names |= _separable(f"decoder.refine.{i}", f"decode_head.sep_bottleneck.{i}")
    width = count_channels(tensors, "decode_head.bottleneck.conv.weight", 512)
    low_level = count_channels(tensors, "decode_head.c1_bottleneck.conv.weight", 48)
    decoder = DecoderProfile(convs=2, channels=width, low_level_channels=low_level, separable="normalised")
    return Blueprint(
        profile=Profile(
            version="v3+" if plus else "v3",
            backbone=backbone,
            aspp=AsppProfile(
                rates=paper_rates(stride), channels=width, pooling_first=True, separable=separable, project_kernel=3
            ),
            num_classes=classes,
            head_conv=False,
            decoder=decoder if plus else None,
        ),
        preprocessing=PREPROCESSING,
        classes=name_classes(classes),
        title=f"DeepLabv3{'+' if plus else ''} {title} (mmsegmentation)",
        names={**names, "classifier": "decode_head.conv_seg"},
        unused=("auxiliary_head.",),
    )


DIALECT = Dialect("mmseg", recognises, plan)


def _conv(ours: str, theirs: str) -> Names:
    return pair(ours, f"{theirs}.conv", f"{theirs}.bn")


def _separable(ours: str, theirs: str) -> Names:
    return _conv(f"{ours}.depthwise", f"{theirs}.depthwise_conv") | _conv(
        f"{ours}.pointwise", f"{theirs}.pointwise_conv"
    )


def _aspp_names(separable: Separable) -> Names:
    names = _conv("aspp.pooling", "decode_head.image_pool.1") | _conv("aspp.project", "decode_head.bottleneck")
    names |= _conv("aspp.branches.0", "decode_head.aspp_modules.0")
    for i in (1, 2, 3):
        layer = _conv if separable == "no" else _separable
        names |= layer(f"aspp.branches.{i}", f"decode_head.aspp_modules.{i}")
    return names


def _mobilenet_names() -> Names:
    def path(block: int) -> str:
        stage, place = MOBILENET_V2_BLOCKS[block]
        return f"backbone.layer{stage + 1}.{place}"

    def place(path: str, index: int, last: bool) -> Place:  # noqa: ARG001  the same for the last
        return f"{path}.conv.{index}.conv", f"{path}.conv.{index}.bn"

    return _conv("backbone.stem", "backbone.conv1") | mobilenet_v2_names(path, place)
