"""What a checkpoint becomes. Free of torch at import."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from deeplab_studio.core.labels import LabelSet
from deeplab_studio.networks.profile import Profile, Version

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, slots=True)
class SizeRule:
    """At which size a model's authors show it a photo.

    Parameters
    ----------
    side : {"native", "shorter", "longer"}
        Which side becomes `pixels`; "native" leaves the photo as it is.
    pixels : int
        Wanted length of that side.
    enlarge : bool
        Whether smaller photos are enlarged too.
    filter : {"bilinear", "bicubic", "lanczos"}
        Pillow's resampling filter of that name.
    """

    side: Literal["native", "shorter", "longer"] = "native"
    pixels: int = 0
    enlarge: bool = True
    filter: Literal["bilinear", "bicubic", "lanczos"] = "bilinear"

    def target(self, height: int, width: int) -> tuple[int, int]:
        """Size (height, width) at which a photo of `height` by `width` pixels is shown; fractions are cut off."""
        if self.side == "native":
            return height, width
        side = min(height, width) if self.side == "shorter" else max(height, width)
        if side == self.pixels or (side < self.pixels and not self.enlarge):
            return height, width
        return max(1, self.pixels * height // side), max(1, self.pixels * width // side)


@dataclass(frozen=True, slots=True, kw_only=True)
class Preprocessing:
    """How a photo becomes the network's input: ``(pixel / divisor - mean) / std`` per channel.

    Parameters
    ----------
    colour_order : {"RGB", "BGR"}
        Order of the network's input channels, and of `mean` and `std`.
    divisor : float
        Takes 8-bit levels to the range the weights were trained on.
    mean, std : tuple of float
        Per channel, in that range.
    size : SizeRule
        Applied to the 8-bit photo first.
    pad_to : int
        The normalised photo is extended at the bottom and right with zeros to at least this many pixels a side; 0 for
        no padding.
    """

    colour_order: Literal["RGB", "BGR"] = "RGB"
    divisor: float
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    size: SizeRule = SizeRule()
    pad_to: int = 0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LoadedModel:
    """A network with its weights and everything needed to use it.

    Parameters
    ----------
    network : torch.nn.Module
        Maps a normalised image (N, 3, H, W) float32 to logits (N, classes, h, w); eval mode, CPU.
    profile : Profile
        Its geometry.
    preprocessing : Preprocessing
    classes : LabelSet
        What the outputs stand for, in order.
    dialect : str
        Whose file layout it was: ``"torchvision"``, ``"tensorflow-zoo"``.
    title : str
        For people: ``"DeepLabv3 ResNet-50 (torchvision)"``.
    path : Path
        Where it was read from.
    sha256 : str
        Of that file, hexadecimal.
    model_id : str
        Stable name for caches and reports: the file's stem and the first eight digits of its hash.
    """

    network: nn.Module
    profile: Profile
    preprocessing: Preprocessing
    classes: LabelSet
    dialect: str
    title: str
    path: Path
    sha256: str
    model_id: str

    @property
    def version(self) -> Version:
        """Which DeepLab: ``"v1"``, ``"v2"``, ``"v3"`` or ``"v3+"``."""
        return self.profile.version
