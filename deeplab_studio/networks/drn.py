"""DRN-D-54 (Yu et al., CVPR 2017, "Dilated Residual Networks", section 4, figure 5): a ResNet without max pooling."""

from __future__ import annotations

from torch import Tensor, nn

from deeplab_studio.networks.blocks import ConvNorm
from deeplab_studio.networks.profile import BackboneProfile
from deeplab_studio.networks.resnet import Bottleneck

DRN_D_54_STAGES = ((3, 64, 2, 1), (4, 128, 2, 1), (6, 256, 1, 2), (3, 512, 1, 4))
"""Blocks, width, stride and dilation of the residual stages (levels 3 to 6)."""

DRN_D_LAYERS = ((16, 7, 1, 1), (16, 3, 1, 1), (32, 3, 2, 1))
"""Channels, kernel, stride and dilation of the convolutions before them (levels 0 to 2)."""

DRN_D_TAIL = ((512, 3, 1, 2), (512, 3, 1, 1))
"""And after them, against gridding (levels 7 and 8)."""


class DrnD54(nn.Module):
    """DRN-D-54; its output stride is always 8.

    Parameters
    ----------
    profile : BackboneProfile
    keep_low_level : bool
        Whether a decoder needs the output of level 3.
    """

    channels = 512
    low_level_channels = 256

    def __init__(self, profile: BackboneProfile, *, keep_low_level: bool = False) -> None:
        super().__init__()
        self.keep_low_level = keep_low_level
        norm = profile.norm

        def layers(inputs: int, plan: tuple[tuple[int, int, int, int], ...]) -> nn.Sequential:
            result = nn.Sequential()
            for outputs, kernel, stride, dilation in plan:
                relu = nn.ReLU(inplace=True)
                result.append(
                    ConvNorm(inputs, outputs, kernel, stride=stride, dilation=dilation, norm=norm, activation=relu)
                )
                inputs = outputs
            return result

        self.stem = layers(3, DRN_D_LAYERS)
        inputs = DRN_D_LAYERS[-1][0]
        self.stages = nn.ModuleList()
        for blocks, width, stride, dilation in DRN_D_54_STAGES:
            stage = nn.Sequential()
            for i in range(blocks):
                stage.append(
                    Bottleneck(inputs, width, stride=1 if i else stride, dilation=dilation, stride_in="3x3", norm=norm)
                )
                inputs = 4 * width
            self.stages.append(stage)
        self.tail = layers(inputs, DRN_D_TAIL)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """Map (N, 3, H, W) to features (N, 512, h, w) and low-level ones (N, 256, H / 4, W / 4)."""
        x = self.stages[0](self.stem(x))
        low_level = x if self.keep_low_level else None
        for stage in list(self.stages)[1:]:
            x = stage(x)
        return self.tail(x), low_level
