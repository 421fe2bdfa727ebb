"""Atrous spatial pyramid pooling, of scores (DeepLabv2, section 3.2) and of features (DeepLabv3, section 3.3)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from deeplab_studio.networks.blocks import ConvNorm, rectified_conv
from deeplab_studio.networks.profile import AsppProfile, Normalisation


class Aspp(nn.Module):
    """Parallel atrous branches and an image-level feature, concatenated and projected.

    DeepLabv3, section 3.3, figure 5; with separable branches, DeepLabv3+, section 3.1.

    Parameters
    ----------
    inputs : int
        Channels of the features.
    profile : AsppProfile
    norm : Normalisation or None
        See `Profile.head_norm`.
    """

    def __init__(self, inputs: int, profile: AsppProfile, norm: Normalisation | None) -> None:
        super().__init__()
        self.pooling_first = profile.pooling_first
        width = profile.channels

        def layer(channels: int, kernel: int = 1) -> ConvNorm:
            return ConvNorm(channels, width, kernel, norm=norm, activation=nn.ReLU(inplace=True))

        def atrous(rate: int) -> nn.Module:
            return rectified_conv(inputs, width, dilation=rate, norm=norm, separable=profile.separable)

        self.branches = nn.ModuleList([layer(inputs), *map(atrous, profile.rates)])
        self.pooling = layer(inputs)
        self.project = layer(width * (len(self.branches) + 1), profile.project_kernel)
        self.dropout = nn.Dropout(profile.dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Map features (N, inputs, h, w) to (N, channels, h, w)."""
        parts = [branch(x) for branch in self.branches]
        # Upsampling one cell bilinearly repeats it, whatever the corner rule. Laid out as the other parts are: the
        # concatenation of different layouts has to be copied once more.
        image_level = self.pooling(functional.adaptive_avg_pool2d(x, 1)).expand_as(parts[0])
        channels_last = parts[0].is_contiguous(memory_format=torch.channels_last)
        layout = torch.channels_last if channels_last else torch.contiguous_format
        image_level = image_level.contiguous(memory_format=layout)
        parts.insert(0 if self.pooling_first else len(parts), image_level)
        projected: Tensor = self.dropout(self.project(torch.cat(parts, 1)))
        return projected


class SummedAspp(nn.Module):
    """Parallel atrous branches that each end in scores, summed.

    DeepLabv2, section 3.2: in figure 7 a branch is fc6 (3x3, atrous), fc7 and fc8 as in VGG-16; on ResNet-101 it is one
    3x3 convolution to the classes. With one branch of rate 12 it is the large field of view of DeepLabv1.

    Parameters
    ----------
    inputs : int
        Channels of the features.
    profile : AsppProfile
    num_classes : int
    """

    def __init__(self, inputs: int, profile: AsppProfile, num_classes: int) -> None:
        super().__init__()
        width = profile.channels

        def activation() -> nn.Module:
            return nn.Sequential(nn.ReLU(inplace=True), nn.Dropout(profile.dropout))

        def branch(rate: int) -> nn.Sequential:
            if not width:
                return nn.Sequential(nn.Conv2d(inputs, num_classes, 3, padding=rate, dilation=rate))
            return nn.Sequential(
                ConvNorm(inputs, width, 3, dilation=rate, norm=None, activation=activation()),
                ConvNorm(width, width, norm=None, activation=activation()),
                nn.Conv2d(width, num_classes, 1),
            )

        self.branches = nn.ModuleList(map(branch, profile.rates))

    def forward(self, x: Tensor) -> Tensor:
        """Map features (N, inputs, h, w) to scores (N, classes, h, w)."""
        scores: Tensor = self.branches[0](x)
        for branch in list(self.branches)[1:]:
            scores = scores + branch(x)
        return scores
