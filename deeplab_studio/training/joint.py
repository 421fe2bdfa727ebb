"""One encoder and the heads of several versions, taught together.

All heads see the same features of the same crops in the same order, so that what one version does better than another
is its head's doing. Afterwards each version is a model of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from deeplab_studio.networks.deeplab import DeepLab
from deeplab_studio.networks.profile import Profile, Version
from deeplab_studio.training.losses import ScaledGradient


@dataclass(frozen=True, slots=True)
class JointScores:
    """What a pass gives.

    Parameters
    ----------
    features : Tensor
        Of the encoder, (N, F, h, w).
    logits : dict of Tensor
        (N, C, h, w) by version, at each head's own stride.
    """

    features: Tensor
    logits: dict[Version, Tensor]


class JointNetwork(nn.Module):
    """An encoder shared by several heads.

    Parameters
    ----------
    profiles : sequence of Profile
        One per version, all with the same encoder.

    Raises
    ------
    ValueError
        If encoders differ.
    """

    def __init__(self, profiles: Sequence[Profile]) -> None:
        super().__init__()
        if any(profile.backbone != profiles[0].backbone for profile in profiles):
            raise ValueError("heads that are taught together share one encoder")
        networks = [DeepLab(profile) for profile in profiles]
        # A decoder needs what other heads leave out; no version's encoder has more weights than another's.
        with_decoder = [network for network in networks if network.decoder is not None]
        self.backbone = (with_decoder or networks)[0].backbone
        for network in networks:
            network.backbone = nn.Identity()  # type: ignore[assignment]
        self.profiles: dict[Version, Profile] = {profile.version: profile for profile in profiles}
        self.heads = nn.ModuleDict(
            {_key(profile.version): network for profile, network in zip(profiles, networks, strict=True)}
        )

    def forward(self, x: Tensor, *, heads: bool = True) -> JointScores:
        """Map a normalised batch (N, 3, H, W) to the encoder's features and, if wanted, the scores of all heads.

        Each head's weights get the gradient of its own loss; the encoder gets the mean over the heads, so that its
        steps are as large for four heads as for one.
        """
        features, low_level = self.backbone(x)
        if not heads:
            return JointScores(features, {})
        share = 1 / len(self.heads)
        seen = ScaledGradient.apply(features, share)
        low = None if low_level is None else ScaledGradient.apply(low_level, share)
        logits = {version: _score(self.heads[_key(version)], seen, low) for version in self.profiles}
        return JointScores(features, logits)

    def state_of(self, version: Version, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The part of a state of this network that belongs to one version, under the names `DeepLab` gives them."""
        head = f"heads.{_key(version)}."
        own = {name[len(head) :]: tensor for name, tensor in state.items() if name.startswith(head)}
        return own | {name: tensor for name, tensor in state.items() if name.startswith("backbone.")}


def _key(version: Version) -> str:
    """A name a module may have: without a dot or a sign."""
    return version.replace("+", "plus")


def _score(head: nn.Module, features: Tensor, low_level: Tensor | None) -> Tensor:
    assert isinstance(head, DeepLab)
    y = head.head(head.aspp(features))
    if head.decoder is not None:
        y = head.decoder(y, low_level)
    logits: Tensor = head.classifier(y)
    return logits


def initialise(network: nn.Module) -> None:
    """Draw weights for training from scratch.

    Convolutions as in He et al., "Delving Deep into Rectifiers", ICCV 2015; the last normalisation of a residual block
    starts at zero, so that every block starts as its shortcut (Goyal et al. 2017, section 5.1); layers that end in
    scores start small, so that all classes start alike.
    """
    from deeplab_studio.networks.compact import BasicBlock

    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    for module in network.modules():
        if isinstance(module, BasicBlock) and isinstance(module.conv2.norm, nn.BatchNorm2d):
            nn.init.zeros_(module.conv2.norm.weight)
        if isinstance(module, DeepLab):
            for layer in _last_layers(module):
                nn.init.normal_(layer.weight, std=0.01)


def _last_layers(network: DeepLab) -> list[nn.Conv2d]:
    if isinstance(network.classifier, nn.Conv2d):
        return [network.classifier]
    branches = getattr(network.aspp, "branches", ())
    return [branch[-1] for branch in branches if isinstance(branch[-1], nn.Conv2d)]
