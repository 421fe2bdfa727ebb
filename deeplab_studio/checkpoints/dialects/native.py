"""The program's own files, see `deeplab_studio.checkpoints.native`: the header is the plan."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator, Mapping

import torch
from torch import Tensor

from deeplab_studio.checkpoints.dialects.base import Blueprint, Dialect, choose_output_stride
from deeplab_studio.checkpoints.errors import CheckpointError
from deeplab_studio.checkpoints.native import HEADER_KEY, NAME, Header
from deeplab_studio.networks.deeplab import DeepLab
from deeplab_studio.networks.profile import OUTPUT_STRIDES, Profile
from deeplab_studio.networks.starter import at_output_stride


def recognises(keys: Collection[str]) -> bool:
    """Whether these are the tensors of a file of this format."""
    return HEADER_KEY in keys


def plan(tensors: Mapping[str, Tensor], output_stride: int | None) -> Blueprint:
    """Lay out the network such a file holds."""
    header = Header.parse(bytes(tensors[HEADER_KEY].numpy()).decode())
    profiles = {profile.output_stride: profile for profile in (*_starters(header.profile), *header.variants)}
    profiles[header.profile.output_stride] = header.profile
    others = profiles.keys() - {header.profile.output_stride}
    profile = profiles[choose_output_stride(output_stride, header.profile.output_stride, *others)]
    try:
        with torch.device("meta"):
            DeepLab(profile)
    except Exception as error:  # anybody may have written the header, and torch raises what it likes
        first_line = f"{type(error).__name__}: {error}".partition("\n")[0]
        raise CheckpointError(
            f"its header describes a network this program cannot build ({first_line})",
            hint="Convert the original file again.",
        ) from error
    return Blueprint(
        profile=profile,
        preprocessing=header.preprocessing,
        classes=header.labels,
        title=header.title,
        names=_Unchanged(),
        unused=(HEADER_KEY,),
    )


DIALECT = Dialect(NAME, recognises, plan)


def _starters(profile: Profile) -> Iterator[Profile]:
    """The geometries of a starter model's weights, which its file need not list."""
    for stride in OUTPUT_STRIDES:
        with contextlib.suppress(ValueError):
            yield at_output_stride(profile, stride)


class _Unchanged(dict[str, str]):
    """Every module has its own name."""

    def __missing__(self, key: str) -> str:
        return key
