"""VainF/DeepLabV3Plus-Pytorch: v3 and v3+ on MobileNetV2 and ResNets, with dense or separable ASPP and decoder."""

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

PREPROCESSING = IMAGENET
"""As ``predict.py`` does: the photo at its own size."""


def recognises(keys: Collection[str]) -> bool:
    """Whether these are keys of a VainF DeepLab."""
    return any(key.startswith(("classifier.classifier.0.convs.", "classifier.aspp.convs.")) for key in keys)


def plan(tensors: Mapping[str, Tensor], output_stride: int | None) -> Blueprint:
    """Lay out the network such a file holds."""
    stride = choose_output_stride(output_stride, 16, 8)
    if any(key.startswith("backbone.low_level_features.") for key in tensors):
        title, names = "MobileNetV2", _mobilenet_names()
        backbone = BackboneProfile(
            name="mobilenet_v2", output_stride=stride, padding="before-expansion", stem_padding="none"
        )
    else:
        name = torch_resnet_depth(tensors, "backbone.")
        title, names = name.replace("resnet", "ResNet-"), torch_resnet_names(name, "backbone.")
        backbone = BackboneProfile(name=name, output_stride=stride)
    separable: Separable = "plain" if any(".body." in key for key in tensors) else "no"
    way = "0.body" if separable == "plain" else ""
    plus = any(key.startswith("classifier.aspp.") for key in tensors)
    if plus:
        names |= torch_aspp_names("classifier.aspp", separable=way)
        names |= pair("decoder.reduce", "classifier.project.0", "classifier.project.1")
        last = "classifier.classifier.3"
    else:
        names |= torch_aspp_names("classifier.classifier.0", separable=way)
        last = "classifier.classifier.4"
    ours, conv, norm = (
        ("decoder.refine.0", "classifier.classifier.0", "classifier.classifier.1")
        if plus
        else ("head", "classifier.classifier.1", "classifier.classifier.2")
    )
    names |= plain_separable(ours, f"{conv}.body", norm) if separable == "plain" else pair(ours, conv, norm)
    classes = count_classes(tensors, f"{last}.weight", f"{last}.bias")
    return Blueprint(
        profile=Profile(
            version="v3+" if plus else "v3",
            backbone=backbone,
            aspp=AsppProfile(rates=paper_rates(stride), separable=separable),
            num_classes=classes,
            head_conv=not plus,
            head_separable=separable,
            decoder=DecoderProfile(convs=1, low_level_first=True, separable=separable) if plus else None,
        ),
        preprocessing=PREPROCESSING,
        classes=name_classes(classes),
        title=f"DeepLabv3{'+' if plus else ''} {title} (VainF)",
        names={**names, "classifier": last},
    )


DIALECT = Dialect("vainf", recognises, plan)


def _mobilenet_names() -> Names:
    def path(block: int) -> str:
        return f"backbone.{'low' if block < 3 else 'high'}_level_features.{block + 1}"

    stem = "backbone.low_level_features.0"
    return pair("backbone.stem", f"{stem}.0", f"{stem}.1") | mobilenet_v2_names(path, nested)
