"""VGG-16 (Simonyan & Zisserman, ICLR 2015) made dense: DeepLabv1 (Chen et al., ICLR 2015), sections 3.1 and 3.2."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from deeplab_studio.networks.blocks import ConvNorm
from deeplab_studio.networks.profile import BackboneProfile, dilate

VGG16_STAGES = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))
"""Channels and convolutions of every stage (VGG, table 1, column D)."""


class Vgg16(nn.Module):
    """The 13 convolutions of VGG-16, pooled at stride 8.

    Pooling is 3x3; pool4 and pool5 have stride 1, and the convolutions after pool4 have rate 2. The fully connected
    layers are the business of `SummedAspp`.

    Parameters
    ----------
    profile : BackboneProfile
    """

    channels = 512
    low_level_channels = 0

    def __init__(self, profile: BackboneProfile) -> None:
        super().__init__()
        self.ceil_pooling, self.average_pooling = profile.ceil_pooling, profile.average_pooling
        # A stage's stride is that of the pooling before it; the stem is the first stage.
        plan = dilate(
            [(2 if i else 1, convs) for i, (_, convs) in enumerate(VGG16_STAGES)],
            profile.output_stride,
            stem_stride=1,
            first="new",
        )
        self.pool_strides = [stage[0][0] for stage in plan[1:]] + [1]
        inputs = 3
        self.stages = nn.ModuleList()
        for (outputs, _), geometry in zip(VGG16_STAGES, plan, strict=True):
            stage = nn.Sequential()
            for _, dilation in geometry:
                relu = nn.ReLU(inplace=True)
                stage.append(ConvNorm(inputs, outputs, 3, dilation=dilation, norm=None, activation=relu))
                inputs = outputs
            self.stages.append(stage)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """Map (N, 3, H, W) to features (N, 512, h, w); there are no low-level ones."""
        for stage, stride in zip(self.stages, self.pool_strides, strict=True):
            x = functional.max_pool2d(stage(x), 3, stride=stride, padding=1, ceil_mode=self.ceil_pooling)
        return functional.avg_pool2d(x, 3, stride=1, padding=1) if self.average_pooling else x, None
