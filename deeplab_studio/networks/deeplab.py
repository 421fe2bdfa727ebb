"""The whole network: backbone, ASPP, head."""

from __future__ import annotations

from torch import Tensor, nn

from deeplab_studio.networks.aspp import Aspp
from deeplab_studio.networks.blocks import ConvNorm
from deeplab_studio.networks.mobilenet import MobileNetV2, MobileNetV3Large
from deeplab_studio.networks.profile import Profile
from deeplab_studio.networks.resnet import RESNET_BLOCKS, ResNet

_BACKBONES: dict[str, type[ResNet | MobileNetV2 | MobileNetV3Large]] = {
    **dict.fromkeys(RESNET_BLOCKS, ResNet),
    "mobilenet_v2": MobileNetV2,
    "mobilenet_v3_large": MobileNetV3Large,
}


class DeepLab(nn.Module):
    """DeepLabv3 (Chen et al. 2017, "Rethinking Atrous Convolution for Semantic Image Segmentation").

    Parameters
    ----------
    profile : Profile
        The network's geometry.
    """

    def __init__(self, profile: Profile) -> None:
        super().__init__()
        self.profile = profile
        width = profile.aspp.channels
        self.backbone = _BACKBONES[profile.backbone.name](profile.backbone)
        self.aspp = Aspp(self.backbone.channels, profile.aspp, profile.head_norm_eps)
        self.head: nn.Module = nn.Identity()
        if profile.head_conv:
            self.head = ConvNorm(width, width, 3, norm_eps=profile.head_norm_eps, activation=nn.ReLU(inplace=True))
        self.classifier = nn.Conv2d(width, profile.num_classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map a normalised image (N, 3, H, W) to logits (N, classes, h, w) at the output stride, not upsampled."""
        logits: Tensor = self.classifier(self.head(self.aspp(self.backbone(x))))
        return logits
