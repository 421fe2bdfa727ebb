"""kazuto1011/deeplab-pytorch: v2 on ResNet-101, for Pascal VOC and COCO-Stuff, at three scales."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from torch import Tensor

from deeplab_studio.checkpoints.dialects.base import CAFFE, Blueprint, Dialect, count_classes, name_classes
from deeplab_studio.checkpoints.dialects.caffe import SUMMED_RATES, resnet_profile
from deeplab_studio.checkpoints.dialects.names import Names, pair
from deeplab_studio.core.label_sets import builtin_label_set
from deeplab_studio.networks.profile import MultiScaleProfile
from deeplab_studio.networks.resnet import RESNET_BLOCKS

PREPROCESSING = CAFFE
"""As the evaluation does: the photo at its own size."""

SCALES = MultiScaleProfile(scales=(0.5, 0.75), size="floor", align_corners=False)
"""Its MSC module as torch computed it when the published figures were measured (up to 1.5)."""

COCO_STUFF = builtin_label_set("coco-stuff")
"""The 182 outputs of its COCO-Stuff models (Caesar et al., CVPR 2018); eleven of the first 91 were never labelled."""

_WRAPPER = "base."
"""Before every key of the network that looks at three scales."""

_LAYERS = ("reduce", "conv3x3", "increase")


def recognises(keys: Collection[str]) -> bool:
    """Whether these are keys of a kazuto1011 DeepLabv2."""
    names = [key.removeprefix(_WRAPPER) for key in keys]
    return any(name.startswith("aspp.c") for name in names) and any(
        name.startswith(("layer2.block", "layer4.block")) for name in names
    )


def plan(tensors: Mapping[str, Tensor], output_stride: int | None) -> Blueprint:
    """Lay out the network such a file holds."""
    prefix = _WRAPPER if any(key.startswith(_WRAPPER) for key in tensors) else ""
    classes = count_classes(tensors, f"{prefix}aspp.c0.weight", f"{prefix}aspp.c0.bias")
    return Blueprint(
        profile=resnet_profile(
            classes, output_stride=output_stride, align_corners=False, multi_scale=SCALES if prefix else None
        ),
        preprocessing=PREPROCESSING,
        classes=COCO_STUFF if classes == len(COCO_STUFF) else name_classes(classes),
        title=f"DeepLabv2 ResNet-101{', multi-scale' if prefix else ''} (kazuto1011)",
        names=_names(prefix),
    )


DIALECT = Dialect("kazuto1011", recognises, plan)


def _names(prefix: str) -> Names:
    names = pair("backbone.stem", f"{prefix}layer1.conv1.conv", f"{prefix}layer1.conv1.bn")
    for stage, blocks in enumerate(RESNET_BLOCKS["resnet101"]):
        for block in range(blocks):
            ours, theirs = f"backbone.stages.{stage}.{block}", f"{prefix}layer{stage + 2}.block{block + 1}"
            for i, layer in enumerate(_LAYERS, 1):
                names |= pair(f"{ours}.conv{i}", f"{theirs}.{layer}.conv", f"{theirs}.{layer}.bn")
            if block == 0:
                names |= pair(f"{ours}.shortcut", f"{theirs}.shortcut.conv", f"{theirs}.shortcut.bn")
    return names | {f"aspp.branches.{i}.0": f"{prefix}aspp.c{i}" for i in range(len(SUMMED_RATES))}
