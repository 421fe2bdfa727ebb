"""The decoder of DeepLabv3+ (Chen et al., ECCV 2018, section 3.1, "Proposed decoder", and figure 2)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from deeplab_studio.networks.blocks import ConvNorm, rectified_conv
from deeplab_studio.networks.profile import DecoderProfile, Normalisation


class Decoder(nn.Module):
    """Upsampled encoder features and reduced low-level features, concatenated and refined.

    Parameters
    ----------
    inputs, low_level : int
        Channels of the encoder's features and of the low-level ones.
    profile : DecoderProfile
    norm : Normalisation or None
        See `Profile.head_norm`.
    """

    def __init__(self, inputs: int, low_level: int, profile: DecoderProfile, norm: Normalisation | None) -> None:
        super().__init__()
        self.align_corners = profile.align_corners
        self.low_level_first = profile.low_level_first
        reduced, width = profile.low_level_channels, profile.channels
        self.reduce = ConvNorm(low_level, reduced, norm=norm, activation=nn.ReLU(inplace=True))
        self.refine = nn.Sequential(
            *(
                rectified_conv(width if i else inputs + reduced, width, norm=norm, separable=profile.separable)
                for i in range(profile.convs)
            )
        )

    def forward(self, x: Tensor, low_level: Tensor) -> Tensor:
        """Map features (N, inputs, h, w) and low-level ones (N, low_level, H, W) to (N, channels, H, W)."""
        x = functional.interpolate(x, low_level.shape[2:], mode="bilinear", align_corners=self.align_corners)
        parts = [x, self.reduce(low_level)]
        refined: Tensor = self.refine(torch.cat(parts[::-1] if self.low_level_first else parts, 1))
        return refined
