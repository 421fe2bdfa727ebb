"""Scoring all versions on photos that are not taught, with the counts `evaluate` uses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image as PilImage
from torch import Tensor
from torch.nn import functional

from deeplab_studio.checkpoints.model import Preprocessing, SizeRule
from deeplab_studio.core.image_pixels import Pixels
from deeplab_studio.core.metrics import ConfusionMatrix
from deeplab_studio.networks.profile import Version
from deeplab_studio.training.joint import JointNetwork
from deeplab_studio.training.photos import Photos

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of the pixels of ImageNet, 0..1, as torchvision has them."""


def preprocessing(side: int) -> Preprocessing:
    """How a taught model sees photos: the longer side at `side` pixels."""
    return Preprocessing(divisor=255.0, mean=MEAN, std=STD, size=SizeRule("longer", side))


def normalised(pixels: Tensor) -> Tensor:
    """A network's input (N, 3, H, W) float32, channels last, from photos (N, H, W, 3) uint8."""
    mean = torch.tensor(MEAN, device=pixels.device) * 255
    std = torch.tensor(STD, device=pixels.device) * 255
    return ((pixels.float() - mean) / std).permute(0, 3, 1, 2)


@torch.no_grad()
def score(
    network: JointNetwork, photos: Photos, classes: int, *, side: int, device: str, autocast: Any, step: int = 1
) -> dict[Version, ConfusionMatrix]:
    """Counts of every version over all photos.

    Parameters
    ----------
    network : JointNetwork
        In eval mode.
    photos : Photos
    classes : int
    side : int
        Longest side of a photo as the network sees it.
    device : str
    autocast : context manager factory
        Called without arguments around every pass.
    step : int
        Only every so many pixels of every so many rows of a mask are counted.
    """
    matrices = {version: ConfusionMatrix(classes) for version in network.profiles}
    for i in range(len(photos)):
        truth = photos.mask(i)
        batch, shown = _input(photos.photo(i), side)
        with autocast():
            logits = network(normalised(torch.from_numpy(batch[None]).to(device))).logits
        grid = _grid(truth.shape, shown, batch.shape, step, device)
        counted = np.ascontiguousarray(truth[::step, ::step])
        for version, scores in logits.items():
            sampled = functional.grid_sample(
                scores.float(), grid, mode="bilinear", padding_mode="border", align_corners=True
            )
            labels = sampled[0].argmax(0).to(torch.uint8).cpu().numpy()
            matrices[version].add(counted, labels)
    return matrices


def _input(photo: Pixels, side: int) -> tuple[Pixels, tuple[int, int]]:
    """A photo at the top left of an input of 32 k + 1 pixels a side, and its size there."""
    height, width = SizeRule("longer", side).target(*photo.shape[:2])
    batch = np.empty((*(length + (1 - length) % 32 for length in (height, width)), 3), np.uint8)
    batch[:] = np.rint(np.array(MEAN) * 255)
    resized = PilImage.fromarray(photo).resize((width, height), PilImage.Resampling.BILINEAR)
    batch[:height, :width] = np.asarray(resized)
    return batch, (height, width)


def _grid(truth: tuple[int, ...], shown: tuple[int, int], size: tuple[int, ...], step: int, device: str) -> Tensor:
    """Where the counted pixels lie on the network's input, (1, h, w, 2), -1..1 between the corner pixels' centres."""
    places = []
    for axis in (0, 1):
        pixel = (torch.arange(0, truth[axis], step, device=device) + 0.5) * (shown[axis] / truth[axis]) - 0.5
        places.append(pixel * (2 / (size[axis] - 1)) - 1)
    rows, columns = torch.meshgrid(*places, indexing="ij")
    return torch.stack([columns, rows], -1)[None].float()


def mean_iou(matrix: ConfusionMatrix, focus: Sequence[int]) -> float:
    """Mean IoU, 0..1, over those of the classes in `focus` that occur; over all that occur if it is empty."""
    iou = matrix.iou()
    chosen = iou[list(focus)] if focus else iou
    occurs = ~np.isnan(chosen)
    return float(chosen[occurs].mean()) if occurs.any() else 0.0
