"""Atrous spatial pyramid pooling."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from deeplab_studio.networks.blocks import ConvNorm
from deeplab_studio.networks.profile import AsppProfile


class Aspp(nn.Module):
    """Parallel atrous branches and an image-level feature, concatenated and projected.

    DeepLabv3, section 3.3, figure 5.

    Parameters
    ----------
    inputs : int
        Channels of the features.
    profile : AsppProfile
    norm_eps : float or None
        See `BackboneProfile`.
    """

    def __init__(self, inputs: int, profile: AsppProfile, norm_eps: float | None) -> None:
        super().__init__()
        self.pooling_first = profile.pooling_first
        width = profile.channels

        def layer(channels: int, kernel: int = 1, rate: int = 1) -> ConvNorm:
            return ConvNorm(channels, width, kernel, dilation=rate, norm_eps=norm_eps, activation=nn.ReLU(inplace=True))

        self.branches = nn.ModuleList([layer(inputs), *(layer(inputs, 3, rate) for rate in profile.rates)])
        self.pooling = layer(inputs)
        self.project = layer(width * (len(self.branches) + 1))

    def forward(self, x: Tensor) -> Tensor:
        """Map features (N, inputs, h, w) to (N, channels, h, w)."""
        # Upsampling one cell bilinearly repeats it, whatever the corner rule.
        image_level = self.pooling(functional.adaptive_avg_pool2d(x, 1)).expand(-1, -1, *x.shape[2:])
        parts = [branch(x) for branch in self.branches]
        parts.insert(0 if self.pooling_first else len(parts), image_level)
        projected: Tensor = self.project(torch.cat(parts, 1))
        return projected
