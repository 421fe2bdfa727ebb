"""What a checkpoint becomes. Free of torch at import."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from deeplab_studio.checkpoints.errors import CheckpointError
from deeplab_studio.core.errors import StudioError
from deeplab_studio.core.labels import LabelClass, LabelSet
from deeplab_studio.networks.profile import MultiScaleProfile, Profile, Version

if TYPE_CHECKING:
    from concurrent.futures import Future

    from deeplab_studio.networks.deeplab import DeepLab


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
    filter : {"bilinear", "bicubic", "lanczos", "linear"}
        Pillow's resampling filter of that name; "linear" is OpenCV's, which does not smooth what it makes smaller.
    longest : int
        Most pixels the longer side may get; 0 for any number.
    rounding : {"down", "nearest", "float"}
        What becomes of fractions of a pixel: cut off; rounded; or cut off after a division and a multiplication in
        floating point, which lose a pixel of some exact results.
    """

    side: Literal["native", "shorter", "longer"] = "native"
    pixels: int = 0
    enlarge: bool = True
    filter: Literal["bilinear", "bicubic", "lanczos", "linear"] = "bilinear"
    longest: int = 0
    rounding: Literal["down", "nearest", "float"] = "down"

    def target(self, height: int, width: int) -> tuple[int, int]:
        """Size (height, width) at which a photo of `height` by `width` pixels is shown."""
        if self.side == "native":
            return height, width
        side = min(height, width) if self.side == "shorter" else max(height, width)
        if side == self.pixels or (side < self.pixels and not self.enlarge):
            return height, width
        wanted = self.pixels
        if self.longest and wanted * max(height, width) > self.longest * side:
            wanted, side = self.longest, max(height, width)
        if self.rounding == "down":
            return max(1, wanted * height // side), max(1, wanted * width // side)
        scale, more = wanted / side, 0.5 if self.rounding == "nearest" else 0.0
        return max(1, int(height * scale + more)), max(1, int(width * scale + more))


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
        The photo is extended to at least this many pixels a side; 0 for no padding.
    multiple_of : int
        And to a multiple of this many.
    pad_place : {"end", "around"}
        Where: at the bottom and right, or on all sides alike (of an odd number of pixels the last at the end).
    softmax_on : {"photo", "input"}
        Where probabilities are taken: on the photo, after the logits were interpolated there, or on the network's
        input; then they are resized to the photo.
    pad_level : float, optional
        With which 8-bit level; None for zeros after the normalisation, which is the mean.
    """

    colour_order: Literal["RGB", "BGR"] = "RGB"
    divisor: float
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    size: SizeRule = SizeRule()
    pad_to: int = 0
    multiple_of: int = 1
    pad_place: Literal["end", "around"] = "end"
    pad_level: float | None = None
    softmax_on: Literal["photo", "input"] = "photo"


Scales = Literal["single", "multi"]


@dataclass(frozen=True, slots=True)
class Geometry:
    """How the weights of a file are used, where it leaves that open.

    Parameters
    ----------
    output_stride : int, optional
        Input pixels per feature cell; None for the published one.
    scales : {"single", "multi"}, optional
        Whether an image is looked at once, or at the published scales too; None for as published.
    """

    output_stride: int | None = None
    scales: Scales | None = None


class FileHash:
    """The SHA-256 of a file, perhaps still being computed: nobody who only wants the weights waits for it.

    Parameters
    ----------
    value : str or Future
        64 hexadecimal digits, or what will be those.
    """

    def __init__(self, value: str | Future[str]) -> None:
        self._value = value

    def __str__(self) -> str:
        """The digits; waits for them."""
        if not isinstance(self._value, str):
            self._value = self._value.result()
        return self._value


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LoadedModel:
    """A network with its weights and everything needed to use it.

    Parameters
    ----------
    network : DeepLab
        Maps a normalised image (N, 3, H, W) float32 to logits (N, classes, h, w); eval mode, CPU.
    profile : Profile
        Its geometry.
    preprocessing : Preprocessing
    classes : LabelSet
        What the outputs stand for, in order.
    dialect : str
        Whose file layout it was: ``"torchvision"``, ``"kazuto1011"``.
    title : str
        For people: ``"DeepLabv3 ResNet-50 (torchvision)"``.
    path : Path
        Where it was read from.
    file_hash : FileHash
        Of that file.
    profiles : tuple of Profile
        The network's geometry at every output stride its weights fit, the published one first; empty if there is only
        `profile`.
    """

    network: DeepLab
    profile: Profile
    preprocessing: Preprocessing
    classes: LabelSet
    dialect: str
    title: str
    path: Path
    file_hash: FileHash
    profiles: tuple[Profile, ...] = ()

    @property
    def sha256(self) -> str:
        """Hash of the file, 64 hexadecimal digits."""
        return str(self.file_hash)

    @property
    def model_id(self) -> str:
        """Stable name for caches and reports: the file's stem and the first eight digits of its hash.

        Followed by what is not as published: ``"-os8"``, ``"-one-scale"``.
        """
        stem, digits = self.path.stem, self.sha256[:8]
        name = stem if digits in stem else f"{stem}-{digits}"
        used, published = self.geometry, self.geometries[0]
        stride = f"-os{used.output_stride}" if used.output_stride != published.output_stride else ""
        return name + stride + ("-one-scale" if used.scales != published.scales else "")

    @property
    def version(self) -> Version:
        """Which DeepLab: ``"v1"``, ``"v2"``, ``"v3"`` or ``"v3+"``."""
        return self.profile.version

    @property
    def output_stride(self) -> int:
        """Input pixels per feature cell."""
        return self.profile.output_stride

    @property
    def output_strides(self) -> tuple[int, ...]:
        """Those the weights fit, the smallest first."""
        return tuple(sorted(profile.output_stride for profile in self.profiles or (self.profile,)))

    @property
    def geometry(self) -> Geometry:
        """How the weights are used now; says both the stride and the scales."""
        return _geometry(self.profile)

    @property
    def geometries(self) -> tuple[Geometry, ...]:
        """Every way in which they can be used, the published one first."""
        profiles = self.profiles or (self.profile,)
        ways = [_geometry(profile) for profile in profiles]
        if profiles[0].multi_scale is not None:
            ways += [replace(way, scales="single") for way in ways]
        return tuple(ways)

    def at(self, geometry: Geometry) -> LoadedModel:
        """The same model, weights shared, used in this way.

        Raises
        ------
        CheckpointError
            If the file does not leave it open.
        """
        profiles = {profile.output_stride: profile for profile in reversed(self.profiles or (self.profile,))}
        published = self.geometries[0]
        stride = geometry.output_stride or published.output_stride
        if stride not in profiles:
            raise CheckpointError(
                f"this network has no output stride {stride}",
                path=self.path,
                hint=f"Possible: {', '.join(map(str, self.output_strides))}.",
            )
        if geometry.scales == "multi" and published.scales == "single":
            raise CheckpointError(
                "this network looks at one scale alone", path=self.path, hint="Leave the choice of scales out."
            )
        profile = profiles[stride]
        if geometry.scales == "single":
            profile = replace(profile, multi_scale=None)
        if profile.output_stride == self.profile.output_stride:
            return self if profile == self.profile else self.with_multi_scale(profile.multi_scale)
        from deeplab_studio.networks.deeplab import with_profile

        return replace(self, network=with_profile(self.network, profile), profile=profile)

    def with_multi_scale(self, multi_scale: MultiScaleProfile | None) -> LoadedModel:
        """The same model, weights shared, that looks at an image at other scales besides its own; None for none."""
        network: Any = copy.copy(self.network)
        profile = replace(self.profile, multi_scale=multi_scale)
        network.profile = profile
        return replace(self, network=network, profile=profile)

    def with_class_names(self, names: Sequence[str]) -> LoadedModel:
        """The same model with other names for its classes, in the order of its outputs; colours stay.

        Raises
        ------
        StudioError
            If there are not as many names as classes, one is empty, or two are the same.
        """
        names = [name.strip() for name in names]
        if tuple(names) == self.classes.names:
            return self
        if len(names) != len(self.classes):
            raise StudioError(
                f"it has {len(self.classes)} classes, {len(names)} names were given",
                path=self.path,
                hint="Give one name for every output, background included.",
            )
        try:
            classes = LabelSet(
                tuple(LabelClass(name, old.colour) for name, old in zip(names, self.classes, strict=True))
            )
        except ValueError as error:
            raise StudioError(f"its classes cannot be named so: {error}", path=self.path) from error
        return replace(self, classes=classes)


def _geometry(profile: Profile) -> Geometry:
    return Geometry(profile.output_stride, "single" if profile.multi_scale is None else "multi")
