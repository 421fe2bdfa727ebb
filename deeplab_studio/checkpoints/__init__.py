"""From a file on disk to a network with its weights, preprocessing and classes. No Qt.

Importing this package is cheap: torch is loaded with the first checkpoint.
"""

from __future__ import annotations

import os

from deeplab_studio.checkpoints.errors import CheckpointError
from deeplab_studio.checkpoints.model import LoadedModel, Preprocessing, SizeRule

__all__ = ["CheckpointError", "LoadedModel", "Preprocessing", "SizeRule", "load_checkpoint"]


def load_checkpoint(path: str | os.PathLike[str], *, output_stride: int | None = None) -> LoadedModel:
    """Read a DeepLab checkpoint of any known dialect.

    What the file is follows from its content alone, never from its name. Code inside it is not run.

    Parameters
    ----------
    path : path-like
        A state dict saved with torch (bare, wrapped by a training script, with a ``module.`` prefix, in today's or the
        pre-1.6 format) or the TensorFlow model zoo's network as ``.npz``.
    output_stride : int, optional
        Input pixels per score cell. Weights fit any; the default is the one the model was published with.

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

    return load(path, output_stride=output_stride)
