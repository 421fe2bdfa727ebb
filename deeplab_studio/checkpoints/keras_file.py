"""Reading Keras weights out of an HDF5 file: arrays alone, in torch's order of axes; no layer is ever built or run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from deeplab_studio.checkpoints.errors import CheckpointError

MAGIC = b"\x89HDF\r\n\x1a\n"

_GET_AGAIN = "Download or copy it again."
_NAMES = {
    "kernel": "weight",
    "depthwise_kernel": "weight",
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}
"""What torch calls Keras's variables; the others have the same names."""

_AXES = {"kernel": (3, 2, 0, 1), "depthwise_kernel": (2, 3, 0, 1)}
"""From (height, width, inputs, outputs), and (height, width, channels, 1), to torch's order."""

_MAX_DEPTH = 8
_MAX_ARRAYS = 20_000
_MAX_EXPANSION = 20
_SMALL_FILE = 64 << 20


def read_keras(path: Path) -> dict[str, Tensor]:
    """All weights of a Keras file by ``layer/tensor``.

    Parameters
    ----------
    path : Path
        Weights (``save_weights``) or a whole model (``save``), of which the weights alone are read.

    Raises
    ------
    CheckpointError
        If the file is damaged, points outside itself, would unpack to far more than it is, or holds something else.
    """
    import h5py

    limit = max(_MAX_EXPANSION * path.stat().st_size, _SMALL_FILE)
    tensors: dict[str, Tensor] = {}
    try:
        with h5py.File(path, "r", locking=False) as file:
            for layer, variable, array in _arrays(h5py, _weights(h5py, file, path), path):
                limit -= array.nbytes
                if limit < 0:
                    raise CheckpointError(
                        "its arrays are far larger than the file, which no checkpoint's are",
                        path=path,
                        hint=_GET_AGAIN,
                    )
                if array.dtype.kind != "f":
                    raise CheckpointError(
                        f"array {array.name!r} holds {array.dtype}, not numbers", path=path, hint="Choose another file."
                    )
                values = np.asarray(array[()], array.dtype.newbyteorder("="))
                axes = _AXES.get(variable)
                if axes is not None and values.ndim == len(axes):
                    values = values.transpose(axes)
                tensors[f"{layer}/{_NAMES.get(variable, variable)}"] = torch.from_numpy(np.ascontiguousarray(values))
    except (OSError, KeyError, RuntimeError, ValueError, TypeError) as error:
        raise CheckpointError("the file is cut short or damaged", path=path, hint=_GET_AGAIN) from error
    return tensors


def _weights(h5py: Any, file: Any, path: Path) -> Any:
    """The group of the weights: a whole model has them beside its description and its optimizer."""
    link = file.get("model_weights", getlink=True)
    if link is None:
        return file
    if not isinstance(link, h5py.HardLink):
        raise _foreign(path, "model_weights")
    return file["model_weights"]


def _arrays(h5py: Any, root: Any, path: Path) -> Iterator[tuple[str, str, Any]]:
    """Layer, variable and data set of every array, without following links."""
    groups, found = [(root, "", 0)], 0
    while groups:
        group, layer, depth = groups.pop()
        for name in group:
            link = group.get(name, getlink=True)
            if not isinstance(link, h5py.HardLink):
                raise _foreign(path, name)
            member = group[name]
            if isinstance(member, h5py.Group):
                if depth >= _MAX_DEPTH:
                    raise ValueError("too deep")
                groups.append((member, name, depth + 1))
            elif isinstance(member, h5py.Dataset):
                found += 1
                if found > _MAX_ARRAYS:
                    raise ValueError("too many arrays")
                if member.external or member.is_virtual:
                    raise _foreign(path, name)
                yield layer, name.partition(":")[0], member


def _foreign(path: Path, name: str) -> CheckpointError:
    return CheckpointError(
        f"{name!r} in it points to another file, which is not followed", path=path, hint="Save the weights as one file."
    )
