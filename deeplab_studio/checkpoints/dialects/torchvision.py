"""torchvision's DeepLabv3 files (``torchvision.models.segmentation``), and fine-tunes of them."""

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
)
from deeplab_studio.checkpoints.dialects.names import (
    Names,
    pair,
    torch_aspp_names,
    torch_resnet_depth,
    torch_resnet_names,
)
from deeplab_studio.checkpoints.model import SizeRule
from deeplab_studio.networks.mobilenet import MOBILENET_V3_LARGE_BLOCKS
from deeplab_studio.networks.profile import AsppProfile, BackboneProfile, Profile

PREPROCESSING = replace(IMAGENET, size=SizeRule("shorter", 520, filter="bilinear"))
"""``SemanticSegmentation(resize_size=520)``: Pillow's bilinear filter, ImageNet's mean and deviation."""

RATES = (12, 24, 36)
"""For every backbone, although the MobileNet's output stride is 16."""


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
        name = torch_resnet_depth(tensors, "backbone.")
        title, names = name.replace("resnet", "ResNet-"), torch_resnet_names(name, "backbone.")
        stride = choose_output_stride(output_stride, 8, 16)
        backbone = BackboneProfile(name=name, output_stride=stride)
        rates = tuple(rate * 8 // stride for rate in RATES)
    names |= torch_aspp_names("classifier.0") | pair("head", "classifier.1", "classifier.2")
    return Blueprint(
        profile=Profile(
            version="v3",
            backbone=backbone,
            aspp=AsppProfile(rates=rates),
            num_classes=classes,
            head_conv=True,
        ),
        preprocessing=PREPROCESSING,
        classes=name_classes(classes),
        title=f"DeepLabv3 {title} (torchvision)",
        names={**names, "classifier": "classifier.4"},
        unused=("aux_classifier.",),
    )


DIALECT = Dialect("torchvision", recognises, plan)


def _mobilenet_v3_names() -> Names:
    names = pair("backbone.stem", "backbone.0.0", "backbone.0.1")
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
                names |= pair(f"{ours}.{layer}", f"{theirs}.{j}.0", f"{theirs}.{j}.1")
        inputs = block.outputs
    last = len(MOBILENET_V3_LARGE_BLOCKS) + 1
    return names | pair("backbone.last", f"backbone.{last}.0", f"backbone.{last}.1")
