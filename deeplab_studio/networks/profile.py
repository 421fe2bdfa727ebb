"""The geometry of one DeepLab network as data: v1 to v3+, as their papers and their published ports have it.

Ports of the same paper differ in ways that leave every weight's shape unchanged but give other scores. A `Profile`
spells these out, so that the modules need no variants.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Version = Literal["v1", "v2", "v3", "v3+"]
Padding = Literal["symmetric", "same", "before-expansion"]
StemPadding = Literal["symmetric", "same", "none"]
FirstDilation = Literal["previous", "new", "whole-stage", "first-only"]
Separable = Literal["no", "plain", "normalised"]
ScaledSize = Literal["scale-factor", "floor", "floor-plus-one"]

OUTPUT_STRIDES = (8, 16, 32)
"""Input pixels per feature cell that a network may have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Normalisation:
    """What stands between a convolution and its activation.

    Parameters
    ----------
    eps : float
        Added to the variance.
    groups : int
        0 for batch normalisation, else the number of groups of group normalisation (Wu & He, ECCV 2018).
    standardised_weights : bool
        Whether every filter of the convolution is brought to mean 0 and deviation 1 before it is used (Qiao et al.
        2019, "Weight Standardization").
    conv_bias : bool
        Whether the convolution has a bias although a normalisation follows.
    """

    eps: float = 1e-5
    groups: int = 0
    standardised_weights: bool = False
    conv_bias: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class XceptionProfile:
    """What differs between ports of the modified aligned Xception (DeepLabv3+, figure 4).

    Parameters
    ----------
    rectified_skip : {"none", "identity", "all"}
        Which shortcuts see the block's input after its first ReLU, as happens where that ReLU works in place.
    exit_activation : {"between", "before"}
        Where the ReLUs of the last three separable convolutions stand: after the depthwise and after the pointwise
        convolution (TensorFlow), or before the depthwise one as in the rest of the network, with one at the end.
    exit_stride : int
        Stride that the exit flow's first block has for classification: 2, which becomes a dilation, or 1 where the
        port does not count it.
    exit_tail_dilated : bool
        Whether the third convolution of the exit flow's first block is dilated like the two before it.
    low_level : {"block", "inside"}
        Where the decoder takes its low-level features: the last output at stride 4, rectified, or two separable
        convolutions further, before the next stride (TensorFlow).
    """

    rectified_skip: Literal["none", "identity", "all"] = "none"
    exit_activation: Literal["between", "before"] = "between"
    exit_stride: int = 2
    exit_tail_dilated: bool = True
    low_level: Literal["block", "inside"] = "inside"


@dataclass(frozen=True, slots=True, kw_only=True)
class BackboneProfile:
    """A classification network turned into a dense feature extractor.

    Parameters
    ----------
    name : str
        ``"vgg16"``, ``"resnet50"``, ``"resnet101"``, ``"resnet152"``, ``"mobilenet_v2"``, ``"mobilenet_v3_large"``,
        ``"xception41"``, ``"xception65"``, ``"xception71"``, ``"drn_d_54"`` or ``"compact"``.
    output_stride : int
        Input pixels per feature cell: 8, 16 or 32. Strides beyond it become dilations (DeepLabv3, section 3.1).
    first_dilation : {"previous", "new", "whole-stage", "first-only"}
        How a stage that loses its stride is dilated: its first block keeps the dilation of the blocks before it
        (TensorFlow, torchvision's ResNets), all its blocks use the larger one (torchvision's MobileNetV3), the whole
        stage keeps the old one and the next stage uses the larger (jfzhang95's MobileNetV2), or its first block alone
        is dilated (mmsegmentation's MobileNetV2).
    padding : {"symmetric", "same", "before-expansion"}
        "same" is TensorFlow's rule: as much as needed for ``ceil(size / stride)`` outputs, the odd pixel at the end.
        "before-expansion" puts the zeros of an inverted residual around its input: the depthwise convolution's border
        then sees what the expansion makes of zeros.
    norm_eps : float or None
        Epsilon of the normalisation; None where it is already folded into the convolutions, which then have biases.
    norm_groups : int
        See `Normalisation.groups`; holds for the whole network.
    standardised_weights : bool
        See `Normalisation.standardised_weights`; holds for the whole network.
    multi_grid : tuple of int
        Factors on the dilations of the last stage's blocks (DeepLabv3, section 3.2.1); empty for none.
    stem : {"single", "triple"}
        Whether a ResNet begins with one 7x7 convolution or with three of 3x3 (He et al. 2019, "Bag of Tricks").
    stem_padding : {"symmetric", "same", "none"}
        Padding of the first convolution.
    stride_in : {"3x3", "1x1"}
        Which convolution of a bottleneck has the stride: torchvision's, or Caffe's as in the ResNet paper.
    ceil_pooling : bool
        Whether max pooling covers a cut-off window at the end too, as Caffe's does.
    average_pooling : bool
        Whether a 3x3 average pooling follows VGG's pool5.
    last_channels : int
        Width of MobileNetV2's last 1x1 layer; 0 to leave the layer out.
    xception : XceptionProfile, optional
        For the Xceptions.
    """

    name: str
    output_stride: int
    first_dilation: FirstDilation = "previous"
    padding: Padding = "symmetric"
    norm_eps: float | None = 1e-5
    norm_groups: int = 0
    standardised_weights: bool = False
    multi_grid: tuple[int, ...] = ()
    stem: Literal["single", "triple"] = "single"
    stem_padding: StemPadding = "symmetric"
    stride_in: Literal["3x3", "1x1"] = "3x3"
    ceil_pooling: bool = False
    average_pooling: bool = False
    last_channels: int = 0
    xception: XceptionProfile | None = None

    @property
    def norm(self) -> Normalisation | None:
        """What follows the convolutions."""
        return _normalisation(self, self.norm_eps)


@dataclass(frozen=True, slots=True, kw_only=True)
class AsppProfile:
    """Atrous spatial pyramid pooling.

    Parameters
    ----------
    rates : tuple of int
        Atrous rates of the 3x3 branches.
    channels : int
        Width of every branch, and of the projection where there is one. 0, under "sum", for branches that are one
        convolution straight to the classes.
    pooling_first : bool
        Whether the image-level feature comes first in the concatenation (TensorFlow) or last.
    fusion : {"concatenate", "sum"}
        "concatenate": a 1x1 branch, the 3x3 branches and the image-level feature, concatenated and projected
        (DeepLabv3, section 3.3). "sum": every 3x3 branch ends in scores, which are summed (DeepLabv2, section 3.2);
        with a single rate this is the large field of view of v1 (DeepLabv1, section 3.2).
    separable : {"no", "plain", "normalised"}
        Whether the 3x3 branches are depthwise separable (DeepLabv3+, section 3.1): depthwise and pointwise convolution
        in a row, or with normalisation and ReLU between them.
    project_kernel : int
        Side of the projection's kernel.
    dropout : float
        Share of activations that training drops: after each layer of a summed branch (DeepLabv1, from VGG-16), and
        after the projection under "concatenate".
    """

    rates: tuple[int, ...]
    channels: int = 256
    pooling_first: bool = False
    fusion: Literal["concatenate", "sum"] = "concatenate"
    separable: Separable = "no"
    project_kernel: int = 1
    dropout: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DecoderProfile:
    """The decoder of DeepLabv3+ (section 3.1 and table 1): low-level features at stride 4 refine the encoder's.

    Parameters
    ----------
    convs : int
        3x3 convolutions after the concatenation.
    channels : int
        Their width.
    low_level_channels : int
        Width to which the low-level features are reduced by a 1x1 convolution.
    low_level_first : bool
        Whether they come first in the concatenation.
    separable : {"no", "plain", "normalised"}
        As in `AsppProfile`.
    align_corners : bool
        How the encoder's features are upsampled to stride 4.
    """

    convs: int = 2
    channels: int = 256
    low_level_channels: int = 48
    low_level_first: bool = False
    separable: Separable = "no"
    align_corners: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class MultiScaleProfile:
    """Scores of the image at several sizes, fused by their maximum (DeepLabv2, section 4.1.2).

    Parameters
    ----------
    scales : tuple of float
        Besides 1.
    size : {"scale-factor", "floor", "floor-plus-one"}
        How an image of n pixels is made smaller by s: sampling at a distance of exactly 1 / s
        (``interpolate(scale_factor=s)`` since torch 1.6), to floor(s n) pixels (the same call before, with which
        kazuto1011's published figures were measured), or to floor(s n) + 1 (Caffe, isht7).
    align_corners : bool
        Of all these resizings.
    """

    scales: tuple[float, ...] = (0.5, 0.75)
    size: ScaledSize = "floor"
    align_corners: bool = False


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
        Whether a 3x3 convolution follows the ASPP projection.
    head_separable : {"no", "plain", "normalised"}
        Whether that one is separable.
    head_norm_eps : float or None
        As `BackboneProfile.norm_eps`, for ASPP, head and decoder.
    head_conv_bias : bool
        See `Normalisation.conv_bias`, for ASPP, head and decoder.
    align_corners : bool
        How the scores are upsampled to the network's input: corner cells on corner pixels, or cells as areas.
    decoder : DecoderProfile, optional
        For v3+.
    multi_scale : MultiScaleProfile, optional
        For v2.
    """

    version: Version
    backbone: BackboneProfile
    aspp: AsppProfile
    num_classes: int
    head_conv: bool
    head_separable: Separable = "no"
    head_norm_eps: float | None = 1e-5
    head_conv_bias: bool = False
    align_corners: bool = False
    decoder: DecoderProfile | None = None
    multi_scale: MultiScaleProfile | None = None

    @property
    def output_stride(self) -> int:
        """Input pixels per cell of the backbone's features."""
        return self.backbone.output_stride

    @property
    def score_stride(self) -> int:
        """Input pixels per score cell: 4 behind a decoder."""
        return self.output_stride if self.decoder is None else 4

    @property
    def head_norm(self) -> Normalisation | None:
        """What follows the convolutions of ASPP, head and decoder."""
        return _normalisation(self.backbone, self.head_norm_eps, self.head_conv_bias)

    @property
    def input_remainder(self) -> int:
        """What an input side must leave when divided by 32.

        1 under TensorFlow's padding: on other sizes the odd pixel moves the grid off the one the network was trained
        on. 0 stands for any size.
        """
        return 1 if "same" in (self.backbone.padding, self.backbone.stem_padding) else 0

    @property
    def smallest_input(self) -> int:
        """Pixels an input side must have."""
        return 3 if self.backbone.stem_padding == "none" else 1


def _normalisation(backbone: BackboneProfile, eps: float | None, conv_bias: bool = False) -> Normalisation | None:
    if eps is None:
        return None
    return Normalisation(
        eps=eps,
        groups=backbone.norm_groups,
        standardised_weights=backbone.standardised_weights,
        conv_bias=conv_bias,
    )


def dilate(
    stages: Sequence[tuple[int, int]],
    output_stride: int,
    *,
    stem_stride: int,
    first: FirstDilation,
    multi_grid: Sequence[int] = (),
) -> list[list[tuple[int, int]]]:
    """Trade strides for dilations so that the features come out at `output_stride` (DeepLabv3, section 3.1).

    Parameters
    ----------
    stages : sequence of (stride, blocks)
        Every stage as published for classification; its first block has the stride.
    output_stride : int
        Wanted input pixels per feature cell.
    stem_stride : int
        Stride already taken before the first stage.
    first : {"previous", "new", "whole-stage", "first-only"}
        See `BackboneProfile.first_dilation`.
    multi_grid : sequence of int
        Factors on the dilations of the last stage, one per block; empty for none.

    Returns
    -------
    list of list of (stride, dilation)
        One pair per block.
    """
    taken, dilation = stem_stride, 1
    plan = []
    for stride, blocks in stages:
        kept = stride if taken * stride <= output_stride else 1
        taken *= kept
        larger = dilation * stride // kept
        begin, rest = {
            "previous": (dilation, larger),
            "new": (larger, larger),
            "whole-stage": (dilation, dilation),
            "first-only": (larger, 1),
        }[first]
        plan.append([(kept, begin)] + [(1, rest)] * (blocks - 1))
        dilation = larger
    if multi_grid:
        plan[-1] = [(stride, rate * unit) for (stride, rate), unit in zip(plan[-1], multi_grid, strict=True)]
    return plan
