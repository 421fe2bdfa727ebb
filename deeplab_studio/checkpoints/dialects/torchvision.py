"""torchvision's DeepLabv3 files (``torchvision.models.segmentation``), and fine-tunes of them."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from torch import Tensor

from deeplab_studio.checkpoints.dialects.base import (
    Blueprint,
    Dialect,
    choose_output_stride,
    count_classes,
    name_classes,
)
from deeplab_studio.checkpoints.model import Preprocessing, SizeRule
from deeplab_studio.networks.mobilenet import MOBILENET_V3_LARGE_BLOCKS
from deeplab_studio.networks.profile import AsppProfile, BackboneProfile, Profile
from deeplab_studio.networks.resnet import RESNET_BLOCKS

PREPROCESSING = Preprocessing(
    divisor=255.0,
    mean=(0.485, 0.456, 0.406),
    std=(0.229, 0.224, 0.225),
    size=SizeRule("shorter", 520, filter="bilinear"),
)
"""``SemanticSegmentation(resize_size=520)``: Pillow's bilinear filter, ImageNet's mean and deviation."""

RATES = (12, 24, 36)
"""For every backbone, although the MobileNet's output stride is 16."""

_RESNET_BLOCK = re.compile(r"backbone\.layer([1-4])\.(\d+)\.")


def recognises(keys: Collection[str]) -> bool:
    """Whether these are keys of a torchvision DeepLabv3."""
    return any(key.startswith("classifier.0.convs.") for key in keys) and any(
        key.startswith(("backbone.layer", "backbone.0.0.", "backbone.1.block.")) for key in keys
    )


def plan(tensors: Mapping[str, Tensor], output_stride: int | None) -> Blueprint:
    """Lay out the network such a file holds."""
    classes = count_classes(tensors, "classifier.4.weight", "classifier.4.bias")
    if any(key.startswith("backbone.1.block.") for key in tensors):
        name, title, names = "mobilenet_v3_large", "MobileNetV3-Large", _mobilenet_v3_names()
        stride = choose_output_stride(output_stride, 16)
        backbone = BackboneProfile(name=name, output_stride=stride, first_dilation="new", norm_eps=1e-3)
        rates: tuple[int, ...] = RATES
    else:
        name = _resnet_depth(tensors)
        title, names = name.replace("resnet", "ResNet-"), _resnet_names(name)
        stride = choose_output_stride(output_stride, 8, 16)
        backbone = BackboneProfile(name=name, output_stride=stride, first_dilation="previous", norm_eps=1e-5)
        rates = tuple(rate * 8 // stride for rate in RATES)
    profile = Profile(
        version="v3",
        backbone=backbone,
        aspp=AsppProfile(rates=rates),
        num_classes=classes,
        head_conv=True,
        head_norm_eps=1e-5,
        align_corners=False,
    )
    return Blueprint(
        profile=profile,
        preprocessing=PREPROCESSING,
        classes=name_classes(classes),
        title=f"DeepLabv3 {title} (torchvision)",
        names={**names, **_head_names(len(rates))},
        unused=("aux_classifier.",),
    )


DIALECT = Dialect("torchvision", recognises, plan)


def _resnet_depth(keys: Collection[str]) -> str:
    """The smallest published ResNet with room for every block named, so that a lost block counts as missing."""
    blocks = [0, 0, 0, 0]
    for key in keys:
        if match := _RESNET_BLOCK.match(key):
            stage = int(match[1]) - 1
            blocks[stage] = max(blocks[stage], int(match[2]) + 1)
    for name, published in RESNET_BLOCKS.items():
        if all(have <= want for have, want in zip(blocks, published, strict=True)):
            return name
    return list(RESNET_BLOCKS)[-1]


def _pair(ours: str, conv: str, norm: str) -> dict[str, str]:
    return {f"{ours}.conv": conv, f"{ours}.norm": norm}


def _resnet_names(name: str) -> dict[str, str]:
    names = _pair("backbone.stem", "backbone.conv1", "backbone.bn1")
    for stage, blocks in enumerate(RESNET_BLOCKS[name]):
        for block in range(blocks):
            ours, theirs = f"backbone.stages.{stage}.{block}", f"backbone.layer{stage + 1}.{block}"
            for i in (1, 2, 3):
                names |= _pair(f"{ours}.conv{i}", f"{theirs}.conv{i}", f"{theirs}.bn{i}")
            if block == 0:
                names |= _pair(f"{ours}.shortcut", f"{theirs}.downsample.0", f"{theirs}.downsample.1")
    return names


def _mobilenet_v3_names() -> dict[str, str]:
    names = _pair("backbone.stem", "backbone.0.0", "backbone.0.1")
    inputs = 16
    for i, block in enumerate(MOBILENET_V3_LARGE_BLOCKS):
        ours, theirs = f"backbone.blocks.{i}", f"backbone.{i + 1}.block"
        layers = (
            ["expand"] * (block.expanded != inputs) + ["depthwise"] + ["excite"] * bool(block.squeezed) + ["project"]
        )
        for j, layer in enumerate(layers):
            if layer == "excite":
                names[f"{ours}.excite.reduce"] = f"{theirs}.{j}.fc1"
                names[f"{ours}.excite.expand"] = f"{theirs}.{j}.fc2"
            else:
                names |= _pair(f"{ours}.{layer}", f"{theirs}.{j}.0", f"{theirs}.{j}.1")
        inputs = block.outputs
    last = len(MOBILENET_V3_LARGE_BLOCKS) + 1
    return names | _pair("backbone.last", f"backbone.{last}.0", f"backbone.{last}.1")


def _head_names(rates: int) -> dict[str, str]:
    names: dict[str, str] = {}
    for i in range(rates + 1):
        names |= _pair(f"aspp.branches.{i}", f"classifier.0.convs.{i}.0", f"classifier.0.convs.{i}.1")
    pooling = f"classifier.0.convs.{rates + 1}"
    names |= _pair("aspp.pooling", f"{pooling}.1", f"{pooling}.2")
    names |= _pair("aspp.project", "classifier.0.project.0", "classifier.0.project.1")
    names |= _pair("head", "classifier.1", "classifier.2")
    return names | {"classifier": "classifier.4"}
