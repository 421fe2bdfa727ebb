"""segmentation_models.pytorch (qubvel): v3 and v3+ that people have trained, on ResNets and MobileNetV2."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from torch import Tensor

from deeplab_studio.checkpoints.dialects.base import (
    IMAGENET,
    Blueprint,
    Dialect,
    choose_output_stride,
    count_channels,
    count_classes,
    name_classes,
)
from deeplab_studio.checkpoints.dialects.names import (
    Names,
    mobilenet_v2_names,
    nested,
    pair,
    plain_separable,
    torch_aspp_names,
    torch_resnet_depth,
    torch_resnet_names,
)
from deeplab_studio.networks.profile import AsppProfile, BackboneProfile, DecoderProfile, Profile, Separable

PREPROCESSING = replace(IMAGENET, multiple_of=16)
"""Its encoders were trained on ImageNet; it refuses sides that are no multiples of 16."""

RATES = (12, 24, 36)
"""Its default for both networks at every output stride."""


_PLUS = ("decoder.aspp.0.", "decoder.aspp.1.", "decoder.block2.")
_V3 = ("decoder.0.convs.", "decoder.aspp.convs.", "decoder.aspp.project.")


def recognises(keys: Collection[str]) -> bool:
    """Whether these are keys of an SMP DeepLab."""
    return any(key.startswith((*_PLUS, *_V3)) for key in keys) and any(
        key.startswith(("encoder.", "segmentation_head.")) for key in keys
    )


def plan(tensors: Mapping[str, Tensor], output_stride: int | None) -> Blueprint:
    """Lay out the network such a file holds."""
    plus = any(key.startswith(_PLUS) for key in tensors)
    early = any(key.startswith("decoder.0.") for key in tensors)
    classes = count_classes(tensors, "segmentation_head.0.weight", "segmentation_head.0.bias")
    stride = choose_output_stride(output_stride, *((16, 8) if plus else (8, 16)))
    if any(key.startswith("encoder.features.") for key in tensors):
        title, names = "MobileNetV2", _mobilenet_names()
        backbone = BackboneProfile(name="mobilenet_v2", output_stride=stride, first_dilation="new", last_channels=1280)
    else:
        name = torch_resnet_depth(tensors, "encoder.")
        title, names = name.replace("resnet", "ResNet-"), torch_resnet_names(name, "encoder.")
        backbone = BackboneProfile(name=name, output_stride=stride, first_dilation="new")
    aspp = "decoder.aspp.0" if plus else "decoder.0" if early else "decoder.aspp"
    is_separable = any(f"{aspp}.convs.{i}.0.0.weight" in tensors for i in (1, 2, 3))
    separable: Separable = "plain" if is_separable else "no"
    names |= torch_aspp_names(aspp, separable="0" if is_separable else "")
    if plus:
        names |= plain_separable("head", "decoder.aspp.1", "decoder.aspp.2")
        names |= pair("decoder.reduce", "decoder.block1.0", "decoder.block1.1")
        names |= plain_separable("decoder.refine.0", "decoder.block2.0", "decoder.block2.1")
    else:
        names |= pair("head", "decoder.1", "decoder.2") if early else pair("head", "decoder.conv", "decoder.bn")
    width = count_channels(tensors, f"{aspp}.project.0.weight", 256)
    decoder = DecoderProfile(convs=1, channels=width, separable="plain", align_corners=True)
    return Blueprint(
        profile=Profile(
            version="v3+" if plus else "v3",
            backbone=backbone,
            aspp=AsppProfile(rates=RATES, channels=width, separable=separable),
            num_classes=classes,
            head_conv=True,
            head_separable="plain" if plus else "no",
            align_corners=True,
            decoder=decoder if plus else None,
        ),
        preprocessing=PREPROCESSING,
        classes=name_classes(classes),
        title=f"DeepLabv3{'+' if plus else ''} {title} (segmentation_models.pytorch)",
        names={**names, "classifier": "segmentation_head.0"},
    )


DIALECT = Dialect("smp", recognises, plan)


def _mobilenet_names() -> Names:
    names = pair("backbone.stem", "encoder.features.0.0", "encoder.features.0.1")
    names |= pair("backbone.last", "encoder.features.18.0", "encoder.features.18.1")
    return names | mobilenet_v2_names(lambda block: f"encoder.features.{block + 1}", nested)
