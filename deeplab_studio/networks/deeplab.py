"""The whole network, v1 to v3+: backbone, ASPP, decoder, classifier, and the scales it may be shown an image at.

DeepLabv1: Chen et al., ICLR 2015, section 3. DeepLabv2: Chen et al., TPAMI 2018, section 3. DeepLabv3: Chen et al.
2017, section 3. DeepLabv3+: Chen et al., ECCV 2018, section 3.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from deeplab_studio.networks.aspp import Aspp, SummedAspp
from deeplab_studio.networks.blocks import rectified_conv
from deeplab_studio.networks.compact import Compact
from deeplab_studio.networks.decoder import Decoder
from deeplab_studio.networks.drn import DrnD54
from deeplab_studio.networks.mobilenet import MobileNetV2, MobileNetV3Large
from deeplab_studio.networks.multi_scale import fuse_scales
from deeplab_studio.networks.profile import BackboneProfile, Profile
from deeplab_studio.networks.resnet import RESNET_BLOCKS, ResNet
from deeplab_studio.networks.vgg import Vgg16
from deeplab_studio.networks.xception import XCEPTION_LAYOUTS, Xception

Backbone = Vgg16 | ResNet | MobileNetV2 | MobileNetV3Large | Xception | DrnD54 | Compact


class DeepLab(nn.Module):
    """A DeepLab network.

    Parameters
    ----------
    profile : Profile
        The network's geometry. Its `multi_scale` may be replaced later on; it has no weights.
    """

    def __init__(self, profile: Profile) -> None:
        super().__init__()
        self.profile = profile
        aspp, norm = profile.aspp, profile.head_norm
        self.backbone = _backbone(profile.backbone, keep_low_level=profile.decoder is not None)
        self.head: nn.Module = nn.Identity()
        self.decoder: Decoder | None = None
        if aspp.fusion == "sum":
            self.aspp: nn.Module = SummedAspp(self.backbone.channels, aspp, profile.num_classes)
            self.classifier: nn.Module = nn.Identity()
            return
        self.aspp = Aspp(self.backbone.channels, aspp, norm)
        if profile.head_conv:
            self.head = rectified_conv(aspp.channels, aspp.channels, norm=norm, separable=profile.head_separable)
        width = aspp.channels
        if profile.decoder is not None:
            self.decoder = Decoder(width, self.backbone.low_level_channels, profile.decoder, norm)
            width = profile.decoder.channels
        self.classifier = nn.Conv2d(width, profile.num_classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map a normalised image (N, 3, H, W) to logits (N, classes, h, w) at the score stride, not upsampled."""
        if self.profile.multi_scale is None:
            return self.one_scale(x)
        return fuse_scales(self.one_scale, x, self.profile.multi_scale)

    def one_scale(self, x: Tensor) -> Tensor:
        """The same from the image at its own size alone."""
        features, low_level = self.backbone(x)
        features = self.head(self.aspp(features))
        if self.decoder is not None:
            features = self.decoder(features, low_level)
        logits: Tensor = self.classifier(features)
        return logits


def with_profile(network: DeepLab, profile: Profile) -> DeepLab:
    """A network of another geometry that uses the tensors of `network`, which are shared with it and not copied.

    Raises
    ------
    RuntimeError
        If its tensors have other names or shapes.
    """
    with torch.device("meta"):
        other = DeepLab(profile)
    other.load_state_dict(network.state_dict(keep_vars=True), assign=True)
    return other.train(network.training)


def _backbone(profile: BackboneProfile, *, keep_low_level: bool) -> Backbone:
    if profile.name == "vgg16":
        return Vgg16(profile)
    kinds: dict[str, type[ResNet | MobileNetV2 | MobileNetV3Large | Xception | DrnD54 | Compact]] = {
        **dict.fromkeys(RESNET_BLOCKS, ResNet),
        **dict.fromkeys(XCEPTION_LAYOUTS, Xception),
        "mobilenet_v2": MobileNetV2,
        "mobilenet_v3_large": MobileNetV3Large,
        "drn_d_54": DrnD54,
        "compact": Compact,
    }
    return kinds[profile.name](profile, keep_low_level=keep_low_level)
