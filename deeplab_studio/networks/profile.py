"""The geometry of one DeepLab network as data.

Ports of the same paper differ in ways that leave every weight's shape unchanged but give other scores. A `Profile`
spells these out, so that the modules need no variants.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Version = Literal["v1", "v2", "v3", "v3+"]
Padding = Literal["symmetric", "same"]
FirstDilation = Literal["previous", "new"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BackboneProfile:
    """A classification network turned into a dense feature extractor.

    Parameters
    ----------
    name : str
        ``"resnet50"``, ``"resnet101"``, ``"resnet152"``, ``"mobilenet_v2"`` or ``"mobilenet_v3_large"``.
    output_stride : int
        Input pixels per feature cell: 8, 16 or 32. Strides beyond it become dilations (DeepLabv3, section 3.1).
    first_dilation : {"previous", "new"}
        Whether the block that loses its stride keeps the dilation of the blocks before it (TensorFlow, torchvision's
        ResNets) or already uses the larger one (torchvision's MobileNetV3).
    padding : {"symmetric", "same"}
        "same" is TensorFlow's rule: as much as needed for ``ceil(size / stride)`` outputs, the odd pixel at the end.
    norm_eps : float or None
        Epsilon of batch normalisation; None where it is already folded into the convolutions, which then have biases.
    """

    name: str
    output_stride: int
    first_dilation: FirstDilation = "previous"
    padding: Padding = "symmetric"
    norm_eps: float | None = 1e-5


@dataclass(frozen=True, slots=True, kw_only=True)
class AsppProfile:
    """Atrous spatial pyramid pooling with image-level features (DeepLabv3, section 3.3).

    Parameters
    ----------
    rates : tuple of int
        Atrous rates of the 3x3 branches beside the 1x1 branch; empty for none.
    channels : int
        Width of every branch and of the projection.
    pooling_first : bool
        Whether the image-level feature comes first in the concatenation (TensorFlow) or last.
    """

    rates: tuple[int, ...]
    channels: int = 256
    pooling_first: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """Everything about a network that its weights do not say.

    Parameters
    ----------
    version : {"v1", "v2", "v3", "v3+"}
        Which of the papers it is.
    backbone : BackboneProfile
    aspp : AsppProfile
    num_classes : int
        Outputs per pixel.
    head_conv : bool
        Whether a 3x3 convolution stands between the ASPP projection and the classifier.
    head_norm_eps : float or None
        As `BackboneProfile.norm_eps`, for ASPP and head.
    align_corners : bool
        How the scores are upsampled to the network's input: corner cells on corner pixels, or cells as areas.
    """

    version: Version
    backbone: BackboneProfile
    aspp: AsppProfile
    num_classes: int
    head_conv: bool
    head_norm_eps: float | None = 1e-5
    align_corners: bool = False

    @property
    def output_stride(self) -> int:
        """Input pixels per score cell."""
        return self.backbone.output_stride

    @property
    def input_remainder(self) -> int:
        """What an input side must leave when divided by 32.

        1 under TensorFlow's padding: on other sizes the odd pixel moves the grid off the one the network was trained
        on. 0 stands for any size.
        """
        return 1 if self.backbone.padding == "same" else 0


def dilate(
    strides: Sequence[int], output_stride: int, *, stem_stride: int, first: FirstDilation
) -> list[tuple[int, int]]:
    """Trade strides for dilations so that the features come out at `output_stride`.

    Parameters
    ----------
    strides : sequence of int
        Stride of every stage or block as published for classification.
    output_stride : int
        Wanted input pixels per feature cell.
    stem_stride : int
        Stride already taken before the first of them.
    first : {"previous", "new"}
        Dilation of the place that loses its stride.

    Returns
    -------
    list of (stride, dilation)
        For a stage under "previous", this is its first block; the blocks after it use the next dilation, which is
        ``dilation * published stride / stride``.
    """
    taken, dilation = stem_stride, 1
    result = []
    for stride in strides:
        if taken * stride <= output_stride:
            taken *= stride
            result.append((stride, dilation))
        else:
            following = dilation * stride
            result.append((1, dilation if first == "previous" else following))
            dilation = following
    return result
