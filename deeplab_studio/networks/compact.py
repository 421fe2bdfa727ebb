"""A small residual encoder of dense 3x3 convolutions: the backbone of the starter models.

Basic blocks as in ResNet-18 (He et al., CVPR 2016, figure 5, left) without max pooling and without a stage at stride
32; strides beyond the wanted one become dilations (DeepLabv3, section 3.1). Dense convolutions are what a processor
computes fastest per multiply-add, in training most of all.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from deeplab_studio.networks.blocks import ConvNorm
from deeplab_studio.networks.profile import BackboneProfile, Normalisation, dilate

COMPACT_STAGES = ((64, 2), (128, 2), (224, 3))
"""Channels and basic blocks of the stages at stride 4, 8 and 16."""

COMPACT_STEM = 32
"""Channels of the first convolution, at stride 2."""


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and the shortcut.

    Parameters
    ----------
    inputs, outputs : int
        Channels.
    stride : int
        Of the first convolution.
    dilations : tuple of int
        Of the two convolutions.
    norm : Normalisation or None
    """

    def __init__(
        self, inputs: int, outputs: int, *, stride: int, dilations: tuple[int, int], norm: Normalisation | None
    ) -> None:
        super().__init__()
        first, second = dilations
        relu = nn.ReLU(inplace=True)
        self.conv1 = ConvNorm(inputs, outputs, 3, stride=stride, dilation=first, norm=norm, activation=relu)
        self.conv2 = ConvNorm(outputs, outputs, 3, dilation=second, norm=norm)
        self.shortcut: nn.Module = nn.Identity()
        if inputs != outputs:
            self.shortcut = ConvNorm(inputs, outputs, stride=stride, norm=norm)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inputs, H, W) to (N, outputs, H', W')."""
        y: Tensor = self.conv2(self.conv1(x))
        y += self.shortcut(x)
        return functional.relu(y, inplace=True)


class Compact(nn.Module):
    """The encoder, up to features of 224 channels.

    Its features at output stride 8 contain those at 16 of the same weights: every second row and column.

    Parameters
    ----------
    profile : BackboneProfile
    keep_low_level : bool
        Whether a decoder needs the output of the stage at stride 4.
    """

    channels = COMPACT_STAGES[-1][0]
    low_level_channels = COMPACT_STAGES[0][0]

    def __init__(self, profile: BackboneProfile, *, keep_low_level: bool = False) -> None:
        super().__init__()
        self.keep_low_level = keep_low_level
        norm = profile.norm
        self.stem = ConvNorm(
            3, COMPACT_STEM, 3, stride=2, norm=norm, activation=nn.ReLU(inplace=True), padding=profile.stem_padding
        )
        # By convolutions, not blocks: the second one of a block that loses its stride is dilated already.
        plan = dilate(
            [(2, 2 * blocks) for _, blocks in COMPACT_STAGES],
            profile.output_stride,
            stem_stride=2,
            first=profile.first_dilation,
            multi_grid=[unit for unit in profile.multi_grid for _ in range(2)],
        )
        inputs = COMPACT_STEM
        self.stages = nn.ModuleList()
        for (outputs, _), geometry in zip(COMPACT_STAGES, plan, strict=True):
            stage = nn.Sequential()
            for (stride, first), (_, second) in zip(geometry[::2], geometry[1::2], strict=True):
                stage.append(BasicBlock(inputs, outputs, stride=stride, dilations=(first, second), norm=norm))
                inputs = outputs
            self.stages.append(stage)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """Map (N, 3, H, W) to features (N, 224, h, w) and low-level ones (N, 64, H / 4, W / 4)."""
        x = self.stages[0](self.stem(x))
        low_level = x if self.keep_low_level else None
        for stage in list(self.stages)[1:]:
            x = stage(x)
        return x, low_level
