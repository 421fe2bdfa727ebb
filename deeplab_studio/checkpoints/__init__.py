"""From a file on disk to a network with its weights, preprocessing and classes. No Qt.

Importing this package is cheap: torch is loaded with the first checkpoint.
"""

from __future__ import annotations

import os
from typing import Literal

from deeplab_studio.checkpoints.errors import CheckpointError
from deeplab_studio.checkpoints.model import LoadedModel, Preprocessing, SizeRule
from deeplab_studio.networks.profile import ScaledSize

__all__ = ["CheckpointError", "LoadedModel", "Preprocessing", "SizeRule", "load_checkpoint"]


def load_checkpoint(
    path: str | os.PathLike[str],
    *,
    output_stride: int | None = None,
    multi_scale: Literal["published", "off"] | ScaledSize = "published",
) -> LoadedModel:
    """Read a DeepLab checkpoint of any known dialect.

    What the file is follows from its content alone, never from its name. Code inside it is not run.

    Parameters
    ----------
    path : path-like
        A state dict saved with torch (bare, wrapped by a training script, with a ``module.`` prefix, in today's or the
        pre-1.6 format), Keras weights in HDF5, a ``.caffemodel``, a file of the program's own format, or the TensorFlow
        model zoo's network as ``.npz``.
    output_stride : int, optional
        Input pixels per score cell. Weights fit any; the default is the one the model was published with.

    multi_scale : {"published", "off", "scale-factor", "floor", "floor-plus-one"}
        For networks that look at several scales (v2): as their published figures were measured, at one scale, or with
        another way to make the image smaller, see `MultiScaleProfile`.

    Returns
    -------
    LoadedModel
        Float32, on the CPU, in eval mode.

    Raises
    ------
    CheckpointError
        If the file cannot be read, holds anything but numbers, is of no known dialect, or lacks a tensor.
    """
    from deeplab_studio.checkpoints.load import load

    return load(path, output_stride=output_stride, multi_scale=multi_scale)
