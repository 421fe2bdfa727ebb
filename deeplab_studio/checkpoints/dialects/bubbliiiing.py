"""bubbliiiing/deeplabv3-plus-pytorch: v3+ on MobileNetV2 and Xception."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from torch import Tensor

from deeplab_studio.checkpoints.dialects.base import (
    Blueprint,
    Dialect,
    choose_output_stride,
    count_classes,
    name_classes,
    paper_rates,
)
from deeplab_studio.checkpoints.dialects.names import Names, flat, mobilenet_v2_names, pair, xception_names
from deeplab_studio.checkpoints.model import Preprocessing, SizeRule
from deeplab_studio.networks.profile import AsppProfile, BackboneProfile, DecoderProfile, Profile, XceptionProfile

PREPROCESSING = Preprocessing(
    divisor=255.0,
    mean=(0.0, 0.0, 0.0),
    std=(1.0, 1.0, 1.0),
    size=SizeRule("longer", 512, filter="bicubic", rounding="float"),
    pad_to=512,
    pad_place="around",
    pad_level=128,
    softmax_on="input",
)
"""A letterbox of 512 x 512 with grey bars, cut off again after the softmax."""


def recognises(keys: Collection[str]) -> bool:
    """Whether these are keys of a bubbliiiing DeepLab."""
    return any(key.startswith(("aspp.branch", "aspp.conv_cat.")) for key in keys) and any(
        key.startswith(("cat_conv.", "shortcut_conv.", "cls_conv.")) for key in keys
    )


def plan(tensors: Mapping[str, Tensor], output_stride: int | None) -> Blueprint:
    """Lay out the network such a file holds."""
    classes = count_classes(tensors, "cls_conv.weight", "cls_conv.bias")
    stride = choose_output_stride(output_stride, 16, 8)
    if any(key.startswith("backbone.block") for key in tensors):
        title, names = "Xception-65", _xception_names()
        backbone = BackboneProfile(
            name="xception65",
            output_stride=stride,
            xception=XceptionProfile(rectified_skip="identity", exit_stride=1),
        )
    else:
        title, names = "MobileNetV2", _mobilenet_names()
        backbone = BackboneProfile(name="mobilenet_v2", output_stride=stride)
    return Blueprint(
        profile=Profile(
            version="v3+",
            backbone=backbone,
            aspp=AsppProfile(rates=paper_rates(stride)),
            num_classes=classes,
            head_conv=False,
            head_conv_bias=True,
            align_corners=True,
            decoder=DecoderProfile(convs=2, align_corners=True),
        ),
        preprocessing=PREPROCESSING,
        classes=name_classes(classes),
        title=f"DeepLabv3+ {title} (bubbliiiing)",
        names=names | _head_names(),
    )


DIALECT = Dialect("bubbliiiing", recognises, plan)


def _head_names() -> Names:
    names: Names = {}
    for i in range(4):
        names |= pair(f"aspp.branches.{i}", f"aspp.branch{i + 1}.0", f"aspp.branch{i + 1}.1")
    names |= pair("aspp.pooling", "aspp.branch5_conv", "aspp.branch5_bn")
    names |= pair("aspp.project", "aspp.conv_cat.0", "aspp.conv_cat.1")
    names |= pair("decoder.reduce", "shortcut_conv.0", "shortcut_conv.1")
    names |= pair("decoder.refine.0", "cat_conv.0", "cat_conv.1")
    names |= pair("decoder.refine.1", "cat_conv.4", "cat_conv.5")
    return names | {"classifier": "cls_conv"}


def _mobilenet_names() -> Names:
    stem = pair("backbone.stem", "backbone.features.0.0", "backbone.features.0.1")
    return stem | mobilenet_v2_names(lambda block: f"backbone.features.{block + 1}", flat)


def _xception_names() -> Names:
    def separable(block: int, conv: int) -> tuple[str, str, str, str]:
        path = f"backbone.conv{conv + 2}" if block == 21 else f"backbone.block{block}.sepconv{conv}"
        return f"{path}.depthwise", f"{path}.bn1", f"{path}.pointwise", f"{path}.bn2"

    names = pair("backbone.stem.0", "backbone.conv1", "backbone.bn1")
    names |= pair("backbone.stem.1", "backbone.conv2", "backbone.bn2")
    return names | xception_names(
        separable, lambda block: (f"backbone.block{block}.skip", f"backbone.block{block}.skipbn")
    )
