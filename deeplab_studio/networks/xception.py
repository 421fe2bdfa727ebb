"""The modified aligned Xception (DeepLabv3+, section 4.2 and figure 4; Chollet, CVPR 2017; Dai et al., ICCV 2017)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from torch import Tensor, nn
from torch.nn import functional

from deeplab_studio.networks.blocks import ConvNorm, SeparableConv
from deeplab_studio.networks.profile import BackboneProfile, Normalisation, XceptionProfile, dilate

XCEPTION_LAYOUTS: dict[str, tuple[tuple[tuple[int, int], ...], int]] = {
    "xception41": (((128, 2), (256, 2), (728, 2)), 8),
    "xception65": (((128, 2), (256, 2), (728, 2)), 16),
    "xception71": (((128, 2), (256, 1), (256, 2), (728, 1), (728, 2)), 16),
}
"""Channels and stride of the entry flow's blocks, and the number of blocks in the middle flow."""


class XceptionBlock(nn.Module):
    """Three separable convolutions, the stride in the last, and the shortcut.

    Parameters
    ----------
    inputs : int
        Channels.
    widths : sequence of int
        Output channels of the three convolutions.
    stride : int
    dilations : sequence of int
        Of the three convolutions.
    shortcut : {"conv", "identity", "none"}
    rectified_skip : bool
        Whether the shortcut sees the input after the ReLU.
    activation : {"before", "between"}
        ReLU before every convolution, or after each depthwise and each pointwise one.
    norm : Normalisation or None
    """

    def __init__(
        self,
        inputs: int,
        widths: Sequence[int],
        *,
        stride: int = 1,
        dilations: Sequence[int],
        shortcut: Literal["conv", "identity", "none"],
        rectified_skip: bool,
        activation: Literal["before", "between"],
        norm: Normalisation | None,
    ) -> None:
        super().__init__()
        self.rectified_skip = rectified_skip
        self.before = activation == "before"
        self.convs = nn.ModuleList()
        channels = inputs
        for i, (width, dilation) in enumerate(zip(widths, dilations, strict=True)):
            self.convs.append(
                SeparableConv(
                    channels,
                    width,
                    stride=stride if i == 2 else 1,
                    dilation=dilation,
                    norm=norm,
                    between="norm" if self.before else "norm-relu",
                    activation=None if self.before else nn.ReLU(inplace=True),
                )
            )
            channels = width
        self.shortcut: nn.Module | None = None
        if shortcut != "none":
            self.shortcut = nn.Identity()
        if shortcut == "conv":
            self.shortcut = ConvNorm(inputs, channels, stride=stride, norm=norm)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map (N, inputs, H, W) to the block's output, and to that of its second convolution."""
        y = functional.relu(x) if self.before else x
        skip = y if self.rectified_skip else x
        inside = y
        for i, conv in enumerate(self.convs):
            if i == 2:
                inside = y
            if i and self.before:
                y = functional.relu(y)
            y = conv(y)
        return y if self.shortcut is None else y + self.shortcut(skip), inside


class Xception(nn.Module):
    """Xception-41, -65 or -71: entry flow, middle flow, exit flow.

    Parameters
    ----------
    profile : BackboneProfile
    keep_low_level : bool
        Whether a decoder needs features at stride 4.
    """

    channels = 2048

    def __init__(self, profile: BackboneProfile, *, keep_low_level: bool = False) -> None:
        super().__init__()
        port = profile.xception or XceptionProfile()
        norm = profile.norm
        entry, middle = XCEPTION_LAYOUTS[profile.name]
        self.stem = nn.Sequential(
            ConvNorm(3, 32, 3, stride=2, norm=norm, activation=nn.ReLU(inplace=True), padding=profile.stem_padding),
            ConvNorm(32, 64, 3, norm=norm, activation=nn.ReLU(inplace=True)),
        )
        plan = dilate(
            [*((stride, 1) for _, stride in entry), (1, middle), (port.exit_stride, 1), (1, 1)],
            profile.output_stride,
            stem_stride=2,
            first=profile.first_dilation,
        )
        geometry = [place for stage in plan for place in stage]
        widths = [
            *((channels,) * 3 for channels, _ in entry),
            *[(728,) * 3] * middle,
            (728, 1024, 1024),
            (1536, 1536, 2048),
        ]
        last = len(widths) - 1
        inputs = 64
        self.blocks = nn.ModuleList()
        for i, (width, (stride, dilation)) in enumerate(zip(widths, geometry, strict=True)):
            shortcut: Literal["conv", "identity", "none"] = "identity" if width == (inputs,) * 3 else "conv"
            published_stride = entry[i][1] if i < len(entry) else 1
            if published_stride != 1:
                shortcut = "conv"
            tail = dilation if i != last - 1 or port.exit_tail_dilated else 1
            self.blocks.append(
                XceptionBlock(
                    inputs,
                    width,
                    stride=stride,
                    dilations=(dilation, dilation, tail),
                    shortcut="none" if i == last else shortcut,
                    rectified_skip=port.rectified_skip in (("all", "identity") if shortcut == "identity" else ("all",)),
                    activation=port.exit_activation if i == last else "before",
                    norm=norm,
                )
            )
            inputs = width[-1]
        # The block that leaves stride 4, whatever comes after it.
        leaves = [stride for _, stride in entry].index(2, 1)
        self.low_level_inside = port.low_level == "inside"
        self.low_level_block = leaves if self.low_level_inside else leaves - 1
        self.low_level_channels = entry[self.low_level_block][0]
        self.keep_low_level = keep_low_level
        self.ends_in_relu = port.exit_activation == "before"

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """Map (N, 3, H, W) to features (N, 2048, h, w) and low-level ones at stride 4."""
        x = self.stem(x)
        low_level = None
        for i, block in enumerate(self.blocks):
            x, inside = block(x)
            if self.keep_low_level and i == self.low_level_block:
                low_level = inside if self.low_level_inside else functional.relu(x)
        return functional.relu(x) if self.ends_in_relu else x, low_level
