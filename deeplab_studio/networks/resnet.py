"""ResNet (He et al., CVPR 2016) with dilated stages instead of the last strides (DeepLabv3, section 3.1)."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from deeplab_studio.networks.blocks import ConvNorm
from deeplab_studio.networks.profile import BackboneProfile, dilate

RESNET_BLOCKS = {"resnet50": (3, 4, 6, 3), "resnet101": (3, 4, 23, 3), "resnet152": (3, 8, 36, 3)}
"""Bottleneck blocks of the four stages, by name."""


class Bottleneck(nn.Module):
    """1x1 reduction, 3x3 with the stride and the dilation, 1x1 expansion by four, and the shortcut."""

    def __init__(self, inputs: int, width: int, *, stride: int, dilation: int, norm_eps: float | None) -> None:
        super().__init__()
        outputs = 4 * width
        self.conv1 = ConvNorm(inputs, width, norm_eps=norm_eps, activation=nn.ReLU(inplace=True))
        self.conv2 = ConvNorm(
            width, width, 3, stride=stride, dilation=dilation, norm_eps=norm_eps, activation=nn.ReLU(inplace=True)
        )
        self.conv3 = ConvNorm(width, outputs, norm_eps=norm_eps)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.shortcut = ConvNorm(inputs, outputs, stride=stride, norm_eps=norm_eps)

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
    """

    channels = 2048

    def __init__(self, profile: BackboneProfile) -> None:
        super().__init__()
        eps = profile.norm_eps
        self.stem = ConvNorm(3, 64, 7, stride=2, norm_eps=eps, activation=nn.ReLU(inplace=True))
        strides = (1, 2, 2, 2)
        geometry = dilate(strides, profile.output_stride, stem_stride=4, first=profile.first_dilation)
        inputs = 64
        self.stages = nn.ModuleList()
        for i, blocks in enumerate(RESNET_BLOCKS[profile.name]):
            stride, dilation = geometry[i]
            width = 64 * 2**i
            stage = [Bottleneck(inputs, width, stride=stride, dilation=dilation, norm_eps=eps)]
            if stride != strides[i] and profile.first_dilation == "previous":
                dilation *= strides[i]
            inputs = 4 * width
            stage += [Bottleneck(inputs, width, stride=1, dilation=dilation, norm_eps=eps) for _ in range(blocks - 1)]
            self.stages.append(nn.Sequential(*stage))

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, 3, H, W) to features (N, 2048, h, w)."""
        x = functional.max_pool2d(self.stem(x), 3, stride=2, padding=1)
        for stage in self.stages:
            x = stage(x)
        return x
