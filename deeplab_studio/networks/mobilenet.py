"""MobileNetV2 (Sandler et al., CVPR 2018) and MobileNetV3-Large (Howard et al., ICCV 2019), dense.

As backbones of DeepLab: section 6.3 of the one paper, section 6.4 of the other, with the dilations of DeepLabv3,
section 3.1.
"""

from __future__ import annotations

from itertools import chain
from typing import NamedTuple

from torch import Tensor, nn
from torch.nn import functional

from deeplab_studio.networks.blocks import ConvNorm, SqueezeExcite
from deeplab_studio.networks.profile import BackboneProfile, Normalisation, Padding, dilate


class InvertedResidual(nn.Module):
    """1x1 expansion, depthwise convolution, optional squeeze-and-excite, linear 1x1 projection, and the shortcut.

    Parameters
    ----------
    inputs, expanded, outputs : int
        Channels; there is no expansion layer where `expanded` equals `inputs`.
    kernel, stride, dilation : int
        Of the depthwise convolution.
    squeezed : int
        Channels inside squeeze-and-excite; 0 for none.
    residual : bool
        Whether the input is added to the output.
    activation : type of torch.nn.Module
        Used after the expansion and the depthwise convolution; takes ``inplace``.
    norm : Normalisation or None
    padding : {"symmetric", "same", "before-expansion"}
        See `BackboneProfile`.
    """

    def __init__(
        self,
        inputs: int,
        expanded: int,
        outputs: int,
        *,
        kernel: int,
        stride: int,
        dilation: int,
        squeezed: int,
        residual: bool,
        activation: type[nn.ReLU | nn.ReLU6 | nn.Hardswish],
        norm: Normalisation | None,
        padding: Padding,
    ) -> None:
        super().__init__()
        self.residual = residual
        self.zeros = (kernel - 1) // 2 * dilation if padding == "before-expansion" else 0
        self.expand: nn.Module = nn.Identity()
        if expanded != inputs:
            self.expand = ConvNorm(inputs, expanded, norm=norm, activation=activation(inplace=True))
        self.depthwise = ConvNorm(
            expanded,
            expanded,
            kernel,
            stride=stride,
            dilation=dilation,
            groups=expanded,
            norm=norm,
            activation=activation(inplace=True),
            padding="none" if padding == "before-expansion" else padding,
        )
        self.excite = SqueezeExcite(expanded, squeezed) if squeezed else nn.Identity()
        self.project = ConvNorm(expanded, outputs, norm=norm)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inputs, H, W) to (N, outputs, H', W')."""
        padded = functional.pad(x, (self.zeros,) * 4) if self.zeros else x
        y: Tensor = self.project(self.excite(self.depthwise(self.expand(padded))))
        return y + x if self.residual else y


MOBILENET_V2_STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
"""Expansion factor, channels, blocks and stride of every stage (MobileNetV2, table 2), width multiplier 1."""

_BLOCKS_AT_STRIDE_4 = 3
"""Blocks, in both networks, up to the last output at stride 4."""


class MobileNetV2(nn.Module):
    """MobileNetV2, as DeepLab uses it without its last 1x1 layer.

    Parameters
    ----------
    profile : BackboneProfile
    keep_low_level : bool
        Whether a decoder needs the features at stride 4.
    """

    low_level_channels = 24

    def __init__(self, profile: BackboneProfile, *, keep_low_level: bool = False) -> None:
        super().__init__()
        self.keep_low_level = keep_low_level
        norm = profile.norm
        self.stem = ConvNorm(
            3, 32, 3, stride=2, norm=norm, activation=nn.ReLU6(inplace=True), padding=profile.stem_padding
        )
        plan = [
            (factor, outputs, stride if i == 0 else 1)
            for factor, outputs, blocks, stride in MOBILENET_V2_STAGES
            for i in range(blocks)
        ]
        geometry = dilate(
            [(stride, blocks) for _, _, blocks, stride in MOBILENET_V2_STAGES],
            profile.output_stride,
            stem_stride=2,
            first=profile.first_dilation,
        )
        inputs = 32
        self.blocks = nn.Sequential()
        for (factor, outputs, published_stride), (stride, dilation) in zip(plan, chain(*geometry), strict=True):
            self.blocks.append(
                InvertedResidual(
                    inputs,
                    factor * inputs,
                    outputs,
                    kernel=3,
                    stride=stride,
                    dilation=dilation,
                    squeezed=0,
                    residual=published_stride == 1 and inputs == outputs,
                    activation=nn.ReLU6,
                    norm=norm,
                    padding=profile.padding,
                )
            )
            inputs = outputs
        self.channels = profile.last_channels or inputs
        self.last: nn.Module = nn.Identity()
        if profile.last_channels:
            self.last = ConvNorm(inputs, profile.last_channels, norm=norm, activation=nn.ReLU6(inplace=True))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """Map (N, 3, H, W) to features (N, channels, h, w) and low-level ones (N, 24, H / 4, W / 4)."""
        x, low_level = self.stem(x), None
        for i, block in enumerate(self.blocks, 1):
            x = block(x)
            if self.keep_low_level and i == _BLOCKS_AT_STRIDE_4:
                low_level = x
        return self.last(x), low_level


class _V3Block(NamedTuple):
    kernel: int
    expanded: int
    outputs: int
    squeezed: int
    activation: type[nn.ReLU | nn.Hardswish]
    stride: int


_RE, _HS = nn.ReLU, nn.Hardswish
MOBILENET_V3_LARGE_BLOCKS = (
    _V3Block(3, 16, 16, 0, _RE, 1),
    _V3Block(3, 64, 24, 0, _RE, 2),
    _V3Block(3, 72, 24, 0, _RE, 1),
    _V3Block(5, 72, 40, 24, _RE, 2),
    _V3Block(5, 120, 40, 32, _RE, 1),
    _V3Block(5, 120, 40, 32, _RE, 1),
    _V3Block(3, 240, 80, 0, _HS, 2),
    _V3Block(3, 200, 80, 0, _HS, 1),
    _V3Block(3, 184, 80, 0, _HS, 1),
    _V3Block(3, 184, 80, 0, _HS, 1),
    _V3Block(3, 480, 112, 120, _HS, 1),
    _V3Block(3, 672, 112, 168, _HS, 1),
    _V3Block(5, 672, 160, 168, _HS, 2),
    _V3Block(5, 960, 160, 240, _HS, 1),
    _V3Block(5, 960, 160, 240, _HS, 1),
)
"""The bottlenecks of MobileNetV3-Large (table 1); squeezed is a quarter of expanded, rounded to a multiple of 8."""


class MobileNetV3Large(nn.Module):
    """MobileNetV3-Large up to its 960-channel 1x1 layer.

    Parameters
    ----------
    profile : BackboneProfile
    keep_low_level : bool
        Whether a decoder needs the features at stride 4.
    """

    channels = 960
    low_level_channels = 24

    def __init__(self, profile: BackboneProfile, *, keep_low_level: bool = False) -> None:
        super().__init__()
        self.keep_low_level = keep_low_level
        norm = profile.norm
        self.stem = ConvNorm(
            3, 16, 3, stride=2, norm=norm, activation=nn.Hardswish(inplace=True), padding=profile.stem_padding
        )
        starts = [i for i, block in enumerate(MOBILENET_V3_LARGE_BLOCKS) if i == 0 or block.stride != 1]
        ends = [*starts[1:], len(MOBILENET_V3_LARGE_BLOCKS)]
        geometry = dilate(
            [(MOBILENET_V3_LARGE_BLOCKS[i].stride, end - i) for i, end in zip(starts, ends, strict=True)],
            profile.output_stride,
            stem_stride=2,
            first=profile.first_dilation,
        )
        inputs = 16
        self.blocks = nn.Sequential()
        for block, (stride, dilation) in zip(MOBILENET_V3_LARGE_BLOCKS, chain(*geometry), strict=True):
            self.blocks.append(
                InvertedResidual(
                    inputs,
                    block.expanded,
                    block.outputs,
                    kernel=block.kernel,
                    stride=stride,
                    dilation=dilation,
                    squeezed=block.squeezed,
                    residual=block.stride == 1 and inputs == block.outputs,
                    activation=block.activation,
                    norm=norm,
                    padding=profile.padding,
                )
            )
            inputs = block.outputs
        self.last = ConvNorm(inputs, self.channels, norm=norm, activation=nn.Hardswish(inplace=True))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """Map (N, 3, H, W) to features (N, 960, h, w) and low-level ones (N, 24, H / 4, W / 4)."""
        x, low_level = self.stem(x), None
        for i, block in enumerate(self.blocks, 1):
            x = block(x)
            if self.keep_low_level and i == _BLOCKS_AT_STRIDE_4:
                low_level = x
        return self.last(x), low_level
