"""What a dialect is: how one project lays out its DeepLab files."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from torch import Tensor

from deeplab_studio.checkpoints.errors import CheckpointError
from deeplab_studio.checkpoints.model import Preprocessing
from deeplab_studio.core.labels import MAX_CLASSES, VOC_LABELS, LabelSet
from deeplab_studio.networks.profile import Profile

_MAX_CHANNELS = 1 << 16


@dataclass(frozen=True, kw_only=True)
class Blueprint:
    """How one file's tensors become a network.

    Parameters
    ----------
    profile : Profile
        The network to build.
    preprocessing : Preprocessing
    classes : LabelSet
    title : str
        For people.
    names : mapping
        Path of every module of `DeepLab` that holds tensors -> its path in the file.
    separator : str
        What stands between a module's path and its tensor's name in the file.
    unused : tuple of str
        Beginnings of keys that may be there and are not needed to predict.
    """

    profile: Profile
    preprocessing: Preprocessing
    classes: LabelSet
    title: str
    names: Mapping[str, str]
    separator: str = "."
    unused: tuple[str, ...] = ()


@dataclass(frozen=True)
class Dialect:
    """One project's file layout.

    Parameters
    ----------
    name : str
        Its identifier.
    recognises : callable
        Whether a file with these keys is of this dialect. Must not depend on a single key: a file that lacks it shall
        be told what is missing, not that it is unknown.
    plan : callable
        From the tensors and the wanted output stride (None for the published one) to the blueprint.
    """

    name: str
    recognises: Callable[[Collection[str]], bool]
    plan: Callable[[Mapping[str, Tensor], int | None], Blueprint]


IMAGENET = Preprocessing(divisor=255.0, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
"""Mean and deviation of ImageNet's photos, as torchvision's backbones have them."""

CAFFE = Preprocessing(colour_order="BGR", divisor=1.0, mean=(104.008, 116.669, 122.675), std=(1.0, 1.0, 1.0))
"""ImageNet's mean as the authors' Caffe networks have it."""


def count_classes(tensors: Mapping[str, Tensor], *keys: str) -> int:
    """Number of classes a file's classifier has.

    Parameters
    ----------
    tensors : mapping
        The file's tensors.
    *keys : str
        The classifier's tensors, whose first dimension it is. With none of them there, the answer is VOC's 21, and the
        check for missing tensors speaks.

    Raises
    ------
    CheckpointError
        If there are more than a class map can hold.
    """
    for key in keys:
        if key in tensors and tensors[key].dim() > 0:
            count = tensors[key].shape[0]
            if not 1 <= count <= MAX_CLASSES:
                raise CheckpointError(
                    f"its classifier {key!r} has {count} classes, a class map holds 1 to {MAX_CLASSES}",
                    hint="Use a model with fewer classes.",
                )
            return count
    return len(VOC_LABELS)


def name_classes(count: int) -> LabelSet:
    """VOC's classes for 21 outputs, numbered ones for any other count."""
    return VOC_LABELS if count == len(VOC_LABELS) else LabelSet.from_names(f"class {i}" for i in range(count))


def count_channels(tensors: Mapping[str, Tensor], key: str, published: int) -> int:
    """Number of outputs of the convolution with this weight; the published one if it is not there or makes no sense."""
    if key in tensors and tensors[key].dim() > 0 and 1 <= tensors[key].shape[0] <= _MAX_CHANNELS:
        return tensors[key].shape[0]
    return published


def paper_rates(output_stride: int) -> tuple[int, ...]:
    """Atrous rates of DeepLabv3 and v3+: 6, 12 and 18, doubled at output stride 8 (DeepLabv3, section 4.1)."""
    return (12, 24, 36) if output_stride == 8 else (6, 12, 18)


class NoSuchStride(CheckpointError):
    """The network cannot be run at the wanted output stride."""


def choose_output_stride(wanted: int | None, published: int, *others: int) -> int:
    """The wanted output stride if the network has it, the published one if none is wanted.

    Raises
    ------
    NoSuchStride
        If the network cannot be run at the wanted stride.
    """
    if wanted is None:
        return published
    if wanted not in (published, *others):
        known = ", ".join(map(str, sorted((published, *others))))
        raise NoSuchStride(f"this network has no output stride {wanted}", hint=f"Possible: {known}.")
    return wanted
