"""The heads of the four generations on one small encoder: the geometry of the starter models.

The encoder's tensors have the same names and shapes in all four, so that what one has learnt the others can start from,
and a comparison shows the heads.
"""

from __future__ import annotations

from dataclasses import replace

from deeplab_studio.networks.deeplab import DeepLab, with_profile
from deeplab_studio.networks.profile import AsppProfile, BackboneProfile, DecoderProfile, Profile, Version

STARTER_VERSIONS: tuple[Version, ...] = ("v1", "v2", "v3", "v3+")

_TRAINED_AT = 16

_HEADS: dict[Version, tuple[AsppProfile, DecoderProfile | None]] = {
    # DeepLabv1, section 3.1, and the published "LargeFOV": fc6 at rate 12 with output stride 8, fc7, fc8; the dropout
    # is VGG-16's.
    "v1": (AsppProfile(rates=(6,), channels=256, fusion="sum", dropout=0.5), None),
    # DeepLabv2, section 4.1.2: rates 6, 12, 18, 24 with output stride 8, on a residual network straight to the classes.
    "v2": (AsppProfile(rates=(3, 6, 9, 12), channels=0, fusion="sum"), None),
    # DeepLabv3, section 3.3; the dropout is that of the authors' code.
    "v3": (AsppProfile(rates=(6, 12, 18), channels=128, dropout=0.1), None),
    # DeepLabv3+, section 3.1 and table 2.
    "v3+": (
        AsppProfile(rates=(6, 12, 18), channels=128, separable="normalised", dropout=0.1),
        DecoderProfile(convs=2, channels=128, low_level_channels=48, separable="normalised", align_corners=True),
    ),
}
"""ASPP, at output stride 16, and decoder of each version."""


def starter_profile(version: Version, num_classes: int, output_stride: int = _TRAINED_AT) -> Profile:
    """The geometry of a starter model.

    Parameters
    ----------
    version : {"v1", "v2", "v3", "v3+"}
        Whose head it has.
    num_classes : int
        Outputs per pixel, background included.
    output_stride : int
        8 or 16 input pixels per feature cell. The weights are the same, see `at_output_stride`.

    Raises
    ------
    ValueError
        For another output stride.
    """
    aspp, decoder = _HEADS[version]
    trained = Profile(
        version=version,
        # Cells on every 16th pixel of inputs of 32 k + 1, the corner cells on corner pixels: at output stride 8 the
        # same cells lie on the same pixels, which is not so when cells are taken for areas.
        backbone=BackboneProfile(name="compact", output_stride=_TRAINED_AT, multi_grid=(1, 1, 2), stem_padding="same"),
        aspp=aspp,
        num_classes=num_classes,
        head_conv=False,
        align_corners=True,
        decoder=decoder,
    )
    return at_output_stride(trained, output_stride)


def at_output_stride(profile: Profile, output_stride: int) -> Profile:
    """The geometry in which the weights of a starter model work at another output stride.

    Atrous rates count feature cells: with half the stride they double and span the same pixels (DeepLabv3, section
    3.3).

    Parameters
    ----------
    profile : Profile
        With the compact encoder.
    output_stride : int
        8 or 16.

    Raises
    ------
    ValueError
        If the encoder does not have this output stride, or a rate would not be a whole number.
    """
    if profile.backbone.name != "compact" or output_stride not in (8, 16):
        raise ValueError(f"{profile.backbone.name} has no output stride {output_stride}")
    rates = [rate * profile.output_stride for rate in profile.aspp.rates]
    if any(rate % output_stride for rate in rates):
        raise ValueError(f"the rates {profile.aspp.rates} have no counterpart at output stride {output_stride}")
    return replace(
        profile,
        backbone=replace(profile.backbone, output_stride=output_stride),
        aspp=replace(profile.aspp, rates=tuple(rate // output_stride for rate in rates)),
    )


def network_at_output_stride(network: DeepLab, output_stride: int) -> DeepLab:
    """A network that uses the same tensors at another output stride.

    Parameters
    ----------
    network : DeepLab
        With the compact encoder; parameters and statistics are shared with it, not copied.
    output_stride : int
        8 or 16.

    Returns
    -------
    DeepLab
        In the same mode, training or not.

    Raises
    ------
    ValueError
        See `at_output_stride`.
    """
    return with_profile(network, at_output_stride(network.profile, output_stride))
