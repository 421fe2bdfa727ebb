"""A network's anatomy for one photo, at the size the network sees it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from deeplab_studio.checkpoints.model import Preprocessing
from deeplab_studio.engine.predictor import PASS_PIXELS, TILE_SIDES
from deeplab_studio.engine.preprocess import input_size, shown_size
from deeplab_studio.networks.profile import Profile

if TYPE_CHECKING:
    from deeplab_studio.networks.inspection import Inspection

TYPICAL_PHOTO = (375, 500)
"""Height and width of most photos of Pascal VOC, for when no photo is open."""


_TITLES = {
    "vgg16": "VGG-16",
    "mobilenet_v2": "MobileNetV2",
    "mobilenet_v3_large": "MobileNetV3-Large",
    "drn_d_54": "DRN-D-54",
    "compact": "Compact residual encoder",
}


@dataclass(frozen=True, slots=True)
class Anatomy:
    """An inspection and the photo it is for.

    Parameters
    ----------
    photo_size : tuple of int
        Height and width of the photo.
    inspection : Inspection
        For the network's input: the resized and padded photo, or one tile of it.
    tiled : bool
        Whether the photo is shown in tiles; then the counts are those of one of them.
    """

    photo_size: tuple[int, int]
    inspection: Inspection
    tiled: bool


def examine(profile: Profile, preprocessing: Preprocessing, height: int, width: int) -> Anatomy:
    """Take a network apart for a photo of `height` by `width` pixels.

    Raises
    ------
    ValueError
        If the network cannot take a photo this small.
    """
    from deeplab_studio.networks.inspection import inspect_profile

    shown = shown_size(preprocessing.size, height, width)
    padded = input_size(
        *shown,
        at_least=max(preprocessing.pad_to, profile.smallest_input),
        remainder=profile.input_remainder,
        multiple_of=preprocessing.multiple_of,
    )
    tiled = padded[0] * padded[1] > PASS_PIXELS
    if tiled:
        side = TILE_SIDES[0] + profile.input_remainder
        padded = (min(padded[0], side), min(padded[1], side))
    return Anatomy((height, width), inspect_profile(profile, *padded), tiled)


def backbone_title(name: str) -> str:
    """What people call a backbone: ``"ResNet-50"`` for ``"resnet50"``."""
    family = name.rstrip("0123456789")
    titles = {"resnet": "ResNet", "xception": "Xception"}
    return _TITLES.get(name) or (f"{titles[family]}-{name[len(family) :]}" if family in titles else name)
