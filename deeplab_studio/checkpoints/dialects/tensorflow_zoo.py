"""The TensorFlow model zoo's MobileNetV2 DeepLabv3 as a NumPy archive.

One ``<layer>/weight`` (out, in, height, width) and ``<layer>/bias`` per convolution, batch normalisation folded in.
"""

from __future__ import annotations

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
from deeplab_studio.networks.mobilenet import MOBILENET_V2_STAGES
from deeplab_studio.networks.profile import AsppProfile, BackboneProfile, Profile

PREPROCESSING = Preprocessing(
    divisor=127.5,
    mean=(1.0, 1.0, 1.0),
    std=(1.0, 1.0, 1.0),
    size=SizeRule("longer", 513, enlarge=False, filter="lanczos"),
    pad_to=513,
)


def recognises(keys: Collection[str]) -> bool:
    """Whether these are the layers of the zoo's MobileNetV2 DeepLabv3."""
    return any(key.startswith("MobilenetV2/") for key in keys) and any(
        key.startswith(("aspp0/", "image_pooling/", "concat_projection/", "logits/semantic/")) for key in keys
    )


def plan(tensors: Mapping[str, Tensor], output_stride: int | None) -> Blueprint:
    """Lay out the network such a file holds."""
    classes = count_classes(tensors, "logits/semantic/Conv2D/weight", "logits/semantic/Conv2D/bias")
    backbone = BackboneProfile(
        name="mobilenet_v2",
        output_stride=choose_output_stride(output_stride, 8, 16),
        first_dilation="previous",
        padding="same",
        stem_padding="same",
        norm_eps=None,
    )
    return Blueprint(
        profile=Profile(
            version="v3",
            backbone=backbone,
            aspp=AsppProfile(rates=(), pooling_first=True),
            num_classes=classes,
            head_conv=False,
            head_norm_eps=None,
            align_corners=True,
        ),
        preprocessing=PREPROCESSING,
        classes=name_classes(classes),
        title="DeepLabv3 MobileNetV2 (TensorFlow model zoo)",
        names=_names(),
        separator="/",
    )


DIALECT = Dialect("tensorflow-zoo", recognises, plan)


def _names() -> dict[str, str]:
    names = {"backbone.stem.conv": "MobilenetV2/Conv/Conv2D"}
    for i in range(sum(blocks for _, _, blocks, _ in MOBILENET_V2_STAGES)):
        ours, theirs = f"backbone.blocks.{i}", f"MobilenetV2/expanded_conv{f'_{i}' if i else ''}"
        if i:
            names[f"{ours}.expand.conv"] = f"{theirs}/expand/Conv2D"
        names[f"{ours}.depthwise.conv"] = f"{theirs}/depthwise/depthwise"
        names[f"{ours}.project.conv"] = f"{theirs}/project/Conv2D"
    return names | {
        "aspp.branches.0.conv": "aspp0/Conv2D",
        "aspp.pooling.conv": "image_pooling/Conv2D",
        "aspp.project.conv": "concat_projection/Conv2D",
        "classifier": "logits/semantic/Conv2D",
    }
