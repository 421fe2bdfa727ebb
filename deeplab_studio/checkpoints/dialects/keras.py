"""bonlime/keras-deeplab-v3-plus: TensorFlow's v3+ on Xception-65 and v3 on MobileNetV2, as Keras weights in HDF5."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from torch import Tensor

from deeplab_studio.checkpoints.dialects import tensorflow_zoo
from deeplab_studio.checkpoints.dialects.base import (
    Blueprint,
    Dialect,
    choose_output_stride,
    count_classes,
    name_classes,
    paper_rates,
)
from deeplab_studio.checkpoints.dialects.names import Names, Place, mobilenet_v2_names, pair, xception_names
from deeplab_studio.networks.profile import AsppProfile, BackboneProfile, DecoderProfile, Profile

PREPROCESSING = tensorflow_zoo.PREPROCESSING
"""TensorFlow's: 513 pixels, on whose grid the weights were trained. bonlime's example shows 512."""

_CLASSIFIERS = ("logits_semantic", "custom_logits_semantic")


def recognises(keys: Collection[str]) -> bool:
    """Whether these are the layers of a bonlime DeepLab."""
    return any(
        key.startswith(("aspp0/", "aspp0_BN/", "image_pooling_BN/", "concat_projection_BN/")) for key in keys
    ) and (any(key.startswith(("entry_flow_", "middle_flow_", "expanded_conv_", "Conv_BN/")) for key in keys))


def plan(tensors: Mapping[str, Tensor], output_stride: int | None) -> Blueprint:
    """Lay out the network such a file holds."""
    last = next((name for name in _CLASSIFIERS if f"{name}/weight" in tensors), _CLASSIFIERS[0])
    classes = count_classes(tensors, f"{last}/weight", f"{last}/bias")
    names = {"classifier": last} | _pair("aspp.branches.0", "aspp0") | _pair("aspp.pooling", "image_pooling")
    names |= _pair("aspp.project", "concat_projection")
    if any(key.startswith(("entry_flow_", "middle_flow_")) for key in tensors):
        title, stride = "DeepLabv3+ Xception-65", choose_output_stride(output_stride, 16, 8)
        names |= _xception_names()
        profile = Profile(
            version="v3+",
            backbone=BackboneProfile(name="xception65", output_stride=stride, norm_eps=1e-3, stem_padding="same"),
            aspp=AsppProfile(rates=paper_rates(stride), separable="normalised", pooling_first=True),
            num_classes=classes,
            head_conv=False,
            align_corners=True,
            decoder=DecoderProfile(convs=2, separable="normalised", align_corners=True),
        )
    else:
        title, stride = "DeepLabv3 MobileNetV2", choose_output_stride(output_stride, 8, 16)
        names |= _mobilenet_names()
        profile = Profile(
            version="v3",
            backbone=BackboneProfile(
                name="mobilenet_v2", output_stride=stride, padding="same", stem_padding="same", norm_eps=1e-3
            ),
            aspp=AsppProfile(rates=(), pooling_first=True),
            num_classes=classes,
            head_conv=False,
            align_corners=True,
        )
    return Blueprint(
        profile=profile,
        preprocessing=PREPROCESSING,
        classes=name_classes(classes),
        title=f"{title} (Keras)",
        names=names,
        separator="/",
    )


DIALECT = Dialect("keras", recognises, plan)


def _pair(ours: str, layer: str) -> Names:
    return pair(ours, layer, f"{layer}_BN")


def _separable(path: str) -> tuple[str, str, str, str]:
    return f"{path}_depthwise", f"{path}_depthwise_BN", f"{path}_pointwise", f"{path}_pointwise_BN"


def _xception_names() -> Names:
    def path(block: int) -> str:
        if block <= 3:
            return f"entry_flow_block{block}"
        return f"middle_flow_unit_{block - 3}" if block < 20 else f"exit_flow_block{block - 19}"

    def shortcut(block: int) -> Place:
        return f"{path(block)}_shortcut", f"{path(block)}_shortcut_BN"

    names = _pair("backbone.stem.0", "entry_flow_conv1_1") | _pair("backbone.stem.1", "entry_flow_conv1_2")
    names |= xception_names(lambda block, conv: _separable(f"{path(block)}_separable_conv{conv}"), shortcut)
    names |= _pair("decoder.reduce", "feature_projection0")
    branches = {f"aspp.branches.{i}": f"aspp{i}" for i in (1, 2, 3)}
    refinements = {f"decoder.refine.{i}": f"decoder_conv{i}" for i in (0, 1)}
    for ours, theirs in (branches | refinements).items():
        depthwise, depthwise_norm, pointwise, pointwise_norm = _separable(theirs)
        names |= pair(f"{ours}.depthwise", depthwise, depthwise_norm)
        names |= pair(f"{ours}.pointwise", pointwise, pointwise_norm)
    return names


def _mobilenet_names() -> Names:
    def place(path: str, index: int, last: bool) -> Place:  # noqa: ARG001  told by the index and the block
        layer = ("depthwise", "project") if path == "expanded_conv" else ("expand", "depthwise", "project")
        return f"{path}_{layer[index]}", f"{path}_{layer[index]}_BN"

    return _pair("backbone.stem", "Conv") | mobilenet_v2_names(
        lambda block: f"expanded_conv_{block}" if block else "expanded_conv", place
    )
