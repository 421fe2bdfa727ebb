"""ResNet (He et al., CVPR 2016) with dilated stages instead of the last strides (DeepLabv3, section 3.1)."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from deeplab_studio.networks.blocks import ConvNorm
from deeplab_studio.networks.profile import BackboneProfile, Normalisation, dilate

RESNET_BLOCKS = {"resnet50": (3, 4, 6, 3), "resnet101": (3, 4, 23, 3), "resnet152": (3, 8, 36, 3)}
"""Bottleneck blocks of the four stages, by name."""


class Bottleneck(nn.Module):
    """1x1 reduction, 3x3 with the dilation, 1x1 expansion by four, and the shortcut.

    Parameters
    ----------
    inputs, width : int
        Channels it reads, and of the 3x3 convolution.
    stride, dilation : int
    stride_in : {"3x3", "1x1"}
        See `BackboneProfile`.
    norm : Normalisation or None
    """

    def __init__(
        self, inputs: int, width: int, *, stride: int, dilation: int, stride_in: str, norm: Normalisation | None
    ) -> None:
        super().__init__()
        outputs = 4 * width
        early, late = (stride, 1) if stride_in == "1x1" else (1, stride)
        self.conv1 = ConvNorm(inputs, width, stride=early, norm=norm, activation=nn.ReLU(inplace=True))
        self.conv2 = ConvNorm(
            width, width, 3, stride=late, dilation=dilation, norm=norm, activation=nn.ReLU(inplace=True)
        )
        self.conv3 = ConvNorm(width, outputs, norm=norm)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.shortcut = ConvNorm(inputs, outputs, stride=stride, norm=norm)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inputs, H, W) to (N, 4 * width, H', W')."""
        y: Tensor = self.conv3(self.conv2(self.conv1(x)))
        y += self.shortcut(x)
        return functional.relu(y, inplace=True)


class ResNet(nn.Module):
    """ResNet-50, -101 or -152 up to its last stage.

    Parameters
    ----------
    profile : BackboneProfile
    keep_low_level : bool
        Whether a decoder needs the first stage's output.
    """

    channels = 2048
    low_level_channels = 256

    def __init__(self, profile: BackboneProfile, *, keep_low_level: bool = False) -> None:
        super().__init__()
        self.keep_low_level, self.ceil_pooling = keep_low_level, profile.ceil_pooling
        norm, padding = profile.norm, profile.stem_padding
        if profile.stem == "single":
            self.stem: nn.Module = ConvNorm(
                3, 64, 7, stride=2, norm=norm, activation=nn.ReLU(inplace=True), padding=padding
            )
        else:
            self.stem = nn.Sequential(
                ConvNorm(3, 32, 3, stride=2, norm=norm, activation=nn.ReLU(inplace=True), padding=padding),
                ConvNorm(32, 32, 3, norm=norm, activation=nn.ReLU(inplace=True)),
                ConvNorm(32, 64, 3, norm=norm, activation=nn.ReLU(inplace=True)),
            )
        plan = dilate(
            list(zip((1, 2, 2, 2), RESNET_BLOCKS[profile.name], strict=True)),
            profile.output_stride,
            stem_stride=4,
            first=profile.first_dilation,
            multi_grid=profile.multi_grid,
        )
        inputs = 64
        self.stages = nn.ModuleList()
        for i, geometry in enumerate(plan):
            width, stage = 64 * 2**i, nn.Sequential()
            for stride, dilation in geometry:
                stage.append(
                    Bottleneck(inputs, width, stride=stride, dilation=dilation, stride_in=profile.stride_in, norm=norm)
                )
                inputs = 4 * width
            self.stages.append(stage)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """Map (N, 3, H, W) to features (N, 2048, h, w) and low-level ones (N, 256, H / 4, W / 4)."""
        x = functional.max_pool2d(self.stem(x), 3, stride=2, padding=1, ceil_mode=self.ceil_pooling)
        x = self.stages[0](x)
        low_level = x if self.keep_low_level else None
        for stage in list(self.stages)[1:]:
            x = stage(x)
        return x, low_level
