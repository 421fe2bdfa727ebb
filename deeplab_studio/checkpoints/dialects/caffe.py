"""The authors' Caffe networks, v1 and v2, in their own files and converted to torch with Caffe's names.

DeepLab-LargeFOV and DeepLab-ASPP on VGG-16 and ResNet-101: ``train.prototxt`` of the papers' code.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial

from torch import Tensor

from deeplab_studio.checkpoints.dialects.base import (
    CAFFE,
    Blueprint,
    Dialect,
    choose_output_stride,
    count_classes,
    name_classes,
)
from deeplab_studio.checkpoints.dialects.names import Names, pair
from deeplab_studio.networks.profile import AsppProfile, BackboneProfile, MultiScaleProfile, Profile
from deeplab_studio.networks.resnet import RESNET_BLOCKS
from deeplab_studio.networks.vgg import VGG16_STAGES

PREPROCESSING = replace(CAFFE, pad_to=513)

SUMMED_RATES = (6, 12, 18, 24)
"""Of v2's ASPP (DeepLabv2, section 4.1.2: ASPP-L)."""

FOV_RATES = (12,)
"""Of v1's large field of view."""

_SHARED = ("_res075", "_res05")
"""End of the names of the layers that see the image at other scales; their weights are those of scale 1."""


def vgg_profile(classes: int, *, output_stride: int | None, large_fov: bool, ceil_pooling: bool) -> Profile:
    """v1 with a large field of view, or v2 with ASPP, on VGG-16."""
    return Profile(
        version="v1" if large_fov else "v2",
        backbone=BackboneProfile(
            name="vgg16",
            output_stride=choose_output_stride(output_stride, 8),
            first_dilation="new",
            norm_eps=None,
            ceil_pooling=ceil_pooling,
            average_pooling=large_fov,
        ),
        aspp=AsppProfile(rates=FOV_RATES if large_fov else SUMMED_RATES, channels=1024, fusion="sum"),
        num_classes=classes,
        head_conv=False,
        head_norm_eps=None,
        align_corners=True,
    )


def vgg_names(convs: Sequence[str], branches: Sequence[Sequence[str]]) -> Names:
    """Names of such a network.

    Parameters
    ----------
    convs : sequence of str
        Paths of VGG's 13 convolutions.
    branches : sequence of (fc6, fc7, fc8)
        Paths of the three convolutions of every branch.
    """
    places = [(stage, conv) for stage, (_, count) in enumerate(VGG16_STAGES) for conv in range(count)]
    names = {f"backbone.stages.{stage}.{conv}.conv": path for (stage, conv), path in zip(places, convs, strict=True)}
    for i, (fc6, fc7, fc8) in enumerate(branches):
        ours = f"aspp.branches.{i}"
        names |= {f"{ours}.0.conv": fc6, f"{ours}.1.conv": fc7, f"{ours}.2": fc8}
    return names


def resnet_profile(
    classes: int, *, output_stride: int | None, align_corners: bool, multi_scale: MultiScaleProfile | None
) -> Profile:
    """v2 on ResNet-101: Caffe's bottlenecks and pooling, all blocks of a dilated stage alike."""
    return Profile(
        version="v2",
        backbone=BackboneProfile(
            name="resnet101",
            output_stride=choose_output_stride(output_stride, 8),
            first_dilation="new",
            stride_in="1x1",
            ceil_pooling=True,
        ),
        aspp=AsppProfile(rates=SUMMED_RATES, channels=0, fusion="sum"),
        num_classes=classes,
        head_conv=False,
        align_corners=align_corners,
        multi_scale=multi_scale,
    )


INTERP_SCALES = MultiScaleProfile(scales=(0.75, 0.5), size="floor-plus-one", align_corners=True)
"""Caffe's Interp layers."""


def recognises(keys: Collection[str], *, separator: str) -> bool:
    """Whether these are the layers of one of the authors' networks."""
    vgg = any(key.startswith(f"conv1_1{separator}") for key in keys) or any(
        key.startswith(f"conv5_3{separator}") for key in keys
    )
    resnet = any(key.startswith(("res2a_branch", "res5c_branch")) and separator in key for key in keys)
    return (vgg and any(key.startswith(("fc6", "fc7", "fc8")) for key in keys)) or (
        resnet and any(key.startswith("fc1_") for key in keys)
    )


def plan(tensors: Mapping[str, Tensor], output_stride: int | None, *, separator: str, publisher: str) -> Blueprint:
    """Lay out the network such a file holds."""
    layers = list(dict.fromkeys(key.rpartition(separator)[0] for key in tensors))
    shared = tuple(key for key in tensors if key.rpartition(separator)[0].endswith(_SHARED))
    layers = [layer for layer in layers if not layer.endswith(_SHARED)]
    if any(layer.startswith("res") for layer in layers):
        backbone, names = "ResNet-101", _resnet_names(layers)
        last = names["aspp.branches.0.0"]
        classes = count_classes(tensors, f"{last}{separator}weight", f"{last}{separator}bias")
        profile = resnet_profile(
            classes,
            output_stride=output_stride,
            align_corners=True,
            multi_scale=INTERP_SCALES if shared else None,
        )
    else:
        large_fov = not any(layer.startswith("fc6_") for layer in layers)
        suffixes = ("",) if large_fov else ("_1", "_2", "_3", "_4")
        end = _classifier(layers, "fc8", suffixes[0], "fc8_voc12")
        names = vgg_names(
            [f"conv{i + 1}_{j + 1}" for i, (_, count) in enumerate(VGG16_STAGES) for j in range(count)],
            [(f"fc6{suffix}", f"fc7{suffix}", f"{end}{suffix}") for suffix in suffixes],
        )
        last = f"{end}{suffixes[0]}"
        backbone = f"VGG-16 {'LargeFOV' if large_fov else 'ASPP'}"
        classes = count_classes(tensors, f"{last}{separator}weight", f"{last}{separator}bias")
        profile = vgg_profile(classes, output_stride=output_stride, large_fov=large_fov, ceil_pooling=True)
    return Blueprint(
        profile=profile,
        preprocessing=PREPROCESSING,
        classes=name_classes(classes),
        title=f"DeepLab{profile.version} {backbone} ({publisher})",
        names=names,
        separator=separator,
        unused=shared,
    )


DIALECT = Dialect("caffe", partial(recognises, separator="/"), partial(plan, separator="/", publisher="Caffe"))
CONVERTED_DIALECT = Dialect(
    "caffe-converted",
    partial(recognises, separator="."),
    partial(plan, separator=".", publisher="converted from Caffe"),
)


def _classifier(layers: Sequence[str], begin: str, end: str, published: str) -> str:
    """What the scores' layer is called between its fixed beginning and end: it carries the data set's name."""
    found = [layer for layer in layers if layer.startswith(begin) and layer.endswith(end)]
    return found[0].removesuffix(end) if found else published


def _resnet_names(layers: Sequence[str]) -> Names:
    names = pair("backbone.stem", "conv1", "bn_conv1")
    for stage, blocks in enumerate(RESNET_BLOCKS["resnet101"]):
        for block in range(blocks):
            # Long stages count their blocks, short ones have letters.
            place = "a" if block == 0 else f"b{block}" if blocks in (4, 23) else "abc"[block]
            ours, theirs = f"backbone.stages.{stage}.{block}", f"{stage + 2}{place}_branch"
            for i, letter in enumerate("abc", 1):
                names |= pair(f"{ours}.conv{i}", f"res{theirs}2{letter}", f"bn{theirs}2{letter}")
            if block == 0:
                names |= pair(f"{ours}.shortcut", f"res{theirs}1", f"bn{theirs}1")
    end = _classifier(layers, "fc1_", "_c0", "fc1_voc12")
    return names | {f"aspp.branches.{i}.0": f"{end}_c{i}" for i in range(len(SUMMED_RATES))}
