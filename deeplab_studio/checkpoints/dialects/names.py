"""Where the layers of the common backbones lie in files: from `DeepLab`'s module paths to those of a port."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable

from deeplab_studio.networks.mobilenet import MOBILENET_V2_STAGES
from deeplab_studio.networks.resnet import RESNET_BLOCKS

Names = dict[str, str]
Place = tuple[str, str]
"""Path of a convolution, path of its normalisation."""


def pair(ours: str, conv: str, norm: str) -> Names:
    """Names of a `ConvNorm`."""
    return {f"{ours}.conv": conv, f"{ours}.norm": norm}


def resnet_depth(keys: Collection[str], stages: Iterable[re.Pattern[str]]) -> str:
    """The smallest published ResNet with room for every block named, so that a lost block counts as missing.

    Parameters
    ----------
    keys : collection of str
        The file's.
    stages : iterable of re.Pattern
        For each of the four stages what its keys begin with; the one group is the block's index from 0.
    """
    blocks = [1 + max((int(found[1]) for key in keys if (found := stage.match(key))), default=-1) for stage in stages]
    for name, published in RESNET_BLOCKS.items():
        if all(have <= want for have, want in zip(blocks, published, strict=True)):
            return name
    return list(RESNET_BLOCKS)[-1]


def torch_resnet_depth(keys: Collection[str], prefix: str) -> str:
    """`resnet_depth` of torchvision's layout."""
    return resnet_depth(keys, [re.compile(rf"{re.escape(prefix)}layer{i}\.(\d+)\.") for i in (1, 2, 3, 4)])


def torch_resnet_names(name: str, prefix: str, *, stem: bool = True) -> Names:
    """A ResNet in torchvision's layout, which most ports share.

    Parameters
    ----------
    name : str
        Key of `RESNET_BLOCKS`.
    prefix : str
        What its keys begin with.
    stem : bool
        Whether it begins with ``conv1`` and ``bn1``.
    """
    names = pair("backbone.stem", f"{prefix}conv1", f"{prefix}bn1") if stem else {}
    for stage, blocks in enumerate(RESNET_BLOCKS[name]):
        names |= bottleneck_names(f"backbone.stages.{stage}", f"{prefix}layer{stage + 1}", blocks)
    return names


def bottleneck_names(ours: str, theirs: str, blocks: int) -> Names:
    """A stage of bottlenecks in torchvision's layout."""
    names: Names = {}
    for block in range(blocks):
        here, there = f"{ours}.{block}", f"{theirs}.{block}"
        for i in (1, 2, 3):
            names |= pair(f"{here}.conv{i}", f"{there}.conv{i}", f"{there}.bn{i}")
        if block == 0:
            names |= pair(f"{here}.shortcut", f"{there}.downsample.0", f"{there}.downsample.1")
    return names


MOBILENET_V2_BLOCKS = [
    (stage, block) for stage, (_, _, blocks, _) in enumerate(MOBILENET_V2_STAGES) for block in range(blocks)
]
"""Stage and place in it of every inverted residual."""


def mobilenet_v2_names(path: Callable[[int], str], place: Callable[[str, int, bool], Place]) -> Names:
    """The inverted residuals of MobileNetV2.

    Parameters
    ----------
    path : callable
        From the index of a block, 0..16, to its path.
    place : callable
        From a block's path, the index of a layer in it, and whether it is the last, to the layer's place.
    """
    names: Names = {}
    for i in range(len(MOBILENET_V2_BLOCKS)):
        layers = ["expand", "depthwise", "project"][0 if i else 1 :]
        for j, layer in enumerate(layers):
            names |= pair(f"backbone.blocks.{i}.{layer}", *place(path(i), j, layer == "project"))
    return names


def nested(path: str, index: int, last: bool) -> Place:
    """Layers as torchvision nests them: ``conv.0.0``, ``conv.0.1``, and the last ones flat."""
    here = f"{path}.conv.{index}"
    return (here, f"{path}.conv.{index + 1}") if last else (f"{here}.0", f"{here}.1")


def flat(path: str, index: int, last: bool) -> Place:  # noqa: ARG001  the same for the last
    """Layers in a row, with an activation after each normalisation: ``conv.0``, ``conv.1``, ``conv.3``, ..."""
    return f"{path}.conv.{3 * index}", f"{path}.conv.{3 * index + 1}"


def xception_names(
    separable: Callable[[int, int], tuple[str, str, str, str]], shortcut: Callable[[int], Place], blocks: int = 21
) -> Names:
    """The blocks of the modified aligned Xception, without its stem.

    Parameters
    ----------
    separable : callable
        From the number of a block and of a separable convolution in it, both from 1, to the paths of the depthwise
        convolution, its normalisation, the pointwise convolution and its normalisation. The last block is the exit
        flow's three convolutions.
    shortcut : callable
        From the number of a block to the place of the convolution in its shortcut.
    blocks : int
        How many there are.
    """
    names: Names = {}
    for block in range(1, blocks + 1):
        ours = f"backbone.blocks.{block - 1}"
        for conv in (1, 2, 3):
            depthwise, depthwise_norm, pointwise, pointwise_norm = separable(block, conv)
            names |= pair(f"{ours}.convs.{conv - 1}.depthwise", depthwise, depthwise_norm)
            names |= pair(f"{ours}.convs.{conv - 1}.pointwise", pointwise, pointwise_norm)
        if block <= 3 or block == blocks - 1:
            names |= pair(f"{ours}.shortcut", *shortcut(block))
    return names


def torch_aspp_names(path: str, *, separable: str = "") -> Names:
    """ASPP in torchvision's layout: ``convs.0`` to ``convs.4``, and ``project``.

    Parameters
    ----------
    path : str
        Of the module that holds them.
    separable : str
        What leads from a 3x3 branch to the module whose ``.0`` and ``.1`` are its depthwise and pointwise convolution;
        empty if the branches are dense.
    """
    names = pair("aspp.branches.0", f"{path}.convs.0.0", f"{path}.convs.0.1")
    for i in (1, 2, 3):
        ours, theirs = f"aspp.branches.{i}", f"{path}.convs.{i}"
        if separable:
            names |= plain_separable(ours, f"{theirs}.{separable}", f"{theirs}.1")
        else:
            names |= pair(ours, f"{theirs}.0", f"{theirs}.1")
    names |= pair("aspp.pooling", f"{path}.convs.4.1", f"{path}.convs.4.2")
    return names | pair("aspp.project", f"{path}.project.0", f"{path}.project.1")


def plain_separable(ours: str, convs: str, norm: str) -> Names:
    """Names of a `SeparableConv` with nothing between its convolutions."""
    return {f"{ours}.depthwise.conv": f"{convs}.0", **pair(f"{ours}.pointwise", f"{convs}.1", norm)}
