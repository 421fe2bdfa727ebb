"""A checkpoint with random weights, for checking a machine on which no model is installed."""

from __future__ import annotations

from pathlib import Path


def write_stand_in(path: Path, seed: int = 0) -> None:
    """Write a DeepLabv3 with random weights in the TensorFlow zoo's layout: it predicts nonsense, by the real code.

    Parameters
    ----------
    path : Path
        An ``.npz`` file.
    seed : int
        The same seed gives the same weights.
    """
    import numpy as np
    import torch

    from deeplab_studio.checkpoints.dialects.tensorflow_zoo import plan
    from deeplab_studio.core.labels import VOC_LABELS
    from deeplab_studio.networks.deeplab import DeepLab

    classes = torch.empty(len(VOC_LABELS), 256, 1, 1)
    blueprint = plan({"logits/semantic/Conv2D/weight": classes}, None)
    generator = torch.Generator().manual_seed(seed)
    arrays = {}
    for key, tensor in DeepLab(blueprint.profile).state_dict().items():
        module, _, kind = key.rpartition(".")
        # He's initialisation (ICCV 2015) keeps the activations of a ReLU network in range.
        fan_in = tensor[0].numel() if kind == "weight" else 1
        scale = (2 / fan_in) ** 0.5 if kind == "weight" else 0.1
        values = torch.randn(tensor.shape, generator=generator) * scale
        arrays[f"{blueprint.names[module]}{blueprint.separator}{kind}"] = values.numpy()
    np.savez(path, allow_pickle=False, **arrays)
