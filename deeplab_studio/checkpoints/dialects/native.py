"""The program's own files, see `deeplab_studio.checkpoints.native`: the header is the plan."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import torch
from torch import Tensor

from deeplab_studio.checkpoints.dialects.base import Blueprint, Dialect, choose_output_stride
from deeplab_studio.checkpoints.errors import CheckpointError
from deeplab_studio.checkpoints.native import HEADER_KEY, NAME, Header
from deeplab_studio.networks.deeplab import DeepLab


def recognises(keys: Collection[str]) -> bool:
    """Whether these are the tensors of a file of this format."""
    return HEADER_KEY in keys


def plan(tensors: Mapping[str, Tensor], output_stride: int | None) -> Blueprint:
    """Lay out the network such a file holds."""
    header = Header.parse(bytes(tensors[HEADER_KEY].numpy()).decode())
    choose_output_stride(output_stride, header.profile.output_stride)
    try:
        with torch.device("meta"):
            DeepLab(header.profile)
    except Exception as error:  # anybody may have written the header, and torch raises what it likes
        first_line = f"{type(error).__name__}: {error}".partition("\n")[0]
        raise CheckpointError(
            f"its header describes a network this program cannot build ({first_line})",
            hint="Convert the original file again.",
        ) from error
    return Blueprint(
        profile=header.profile,
        preprocessing=header.preprocessing,
        classes=header.labels,
        title=header.title,
        names=_Unchanged(),
        unused=(HEADER_KEY,),
    )


DIALECT = Dialect(NAME, recognises, plan)


class _Unchanged(dict[str, str]):
    """Every module has its own name."""

    def __missing__(self, key: str) -> str:
        return key
