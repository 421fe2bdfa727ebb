"""What a teacher says about every training photo, computed once and kept on disk.

Kept are the features before the teacher's last 1x1 convolution, as float16 cells on a grid that depends on the photo
alone: its logits are a linear map of them, so soft labels (Hinton, Vinyals & Dean 2015) and the features for matching
(Romero et al., "FitNets", ICLR 2015) of any crop, at any scale, mirrored or not, come from the same cells.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image as PilImage
from torch import Tensor, nn

from deeplab_studio.checkpoints.model import LoadedModel, Preprocessing
from deeplab_studio.core.files import atomic_write
from deeplab_studio.core.image_pixels import Pixels
from deeplab_studio.core.labels import ClassMapping, LabelSet
from deeplab_studio.networks.inference import for_inference
from deeplab_studio.training.photos import Photos
from deeplab_studio.training.precision import autocast, computes_bfloat16
from deeplab_studio.training.sampling import interpolation

CELL = 10
"""Pixels of a kept photo per cell, on both axes."""

_BATCH = 4

_MOST = 60_000.0
"""Largest number kept as float16."""


@dataclass(frozen=True, eq=False)
class TeacherFeatures:
    """Features of every photo and the linear map from them to logits.

    Parameters
    ----------
    features : (N, G, G, F) float16 array
        Cell (i, j) of a photo is centred on its pixel ((i + 0.5) * CELL - 0.5, (j + 0.5) * CELL - 0.5); cells outside
        the photo are zero.
    weight, bias : Tensor
        (C, F) and (C,) float32: logits in the order of the student's classes. No rows if the teacher's classes are
        not the student's.
    mean, deviation : Tensor
        (F,) float32, over all cells of all photos: features are matched standardised.
    """

    features: npt.NDArray[np.float16]
    weight: Tensor
    bias: Tensor
    mean: Tensor
    deviation: Tensor

    @property
    def channels(self) -> int:
        """F."""
        return int(self.features.shape[3])

    def logits(self, features: Tensor) -> Tensor:
        """Logits (N, C, h, w) of features (N, F, h, w), in the order of the student's classes."""
        weight, bias = self.weight.to(features.device), self.bias.to(features.device)
        return torch.einsum("nfhw,cf->nchw", features, weight) + bias[:, None, None]

    def standardised(self, features: Tensor) -> Tensor:
        """Features (N, F, h, w) with mean 0 and deviation 1 per channel."""
        mean, deviation = (each.to(features.device)[:, None, None] for each in (self.mean, self.deviation))
        return (features - mean) / deviation

    def restored(self, features: Tensor) -> Tensor:
        """The inverse of `standardised`."""
        mean, deviation = (each.to(features.device)[:, None, None] for each in (self.mean, self.deviation))
        return features * deviation + mean

    @property
    def has_labels(self) -> bool:
        """Whether it can give soft labels."""
        return len(self.weight) > 0


def open_teacher(
    model: LoadedModel,
    photos: Photos,
    labels: LabelSet,
    folder: Path,
    *,
    device: str = "cpu",
    progress: Callable[[int, int], None] | None = None,
) -> TeacherFeatures:
    """Run a teacher over all photos, or take its features from the cache of an earlier run.

    Parameters
    ----------
    model : LoadedModel
    photos : Photos
    labels : LabelSet
        The student's classes.
    folder : Path
        Where caches lie.
    device : str
        Where the teacher runs.
    progress : callable, optional
        Called with the photos done and their number.
    """
    key = hashlib.sha256(f"{photos.key} {model.sha256} {model.profile} {CELL}".encode()).hexdigest()[:16]
    path = folder / f"teacher-{key}.f16"
    state = path.with_suffix(".json")
    grid = max(1, -(-int(photos.sizes.max(initial=1)) // CELL))
    tap = _Tap(model.network)
    if not state.is_file():
        _compute(model, tap, photos, grid, path, device, progress)
    stored = json.loads(state.read_text(encoding="utf-8"))
    features = np.memmap(path, np.float16, "r", shape=(len(photos), grid, grid, stored["channels"]))
    weight, bias = tap.linear(stored["channels"], len(model.classes))
    order = _same_classes(model.classes, labels)
    return TeacherFeatures(
        features=features,
        weight=weight[order],
        bias=bias[order],
        mean=torch.tensor(stored["mean"]),
        deviation=torch.tensor(stored["deviation"]),
    )


def _same_classes(teacher: LabelSet, student: LabelSet) -> list[int]:
    """The teacher's id of each of the student's classes; empty unless both have exactly the same classes."""
    mapping = ClassMapping.between(teacher, student)
    order = [int(class_id) for class_id in mapping.to_source]
    order = order[: len(student)]
    return order if len(teacher) == len(student) and not mapping.unmatched and min(order) >= 0 else []


class _Tap:
    """Where a network's features are taken: before its last 1x1 convolution, or its logits where it has none."""

    def __init__(self, network: nn.Module) -> None:
        classifier = getattr(network, "classifier", None)
        self.conv = classifier if isinstance(classifier, nn.Conv2d) and classifier.kernel_size == (1, 1) else None

    def features(self, network: nn.Module, batch: Tensor) -> Tensor:
        """Features (N, F, h, w) of a batch; `network` is a copy of the one given at first."""
        if self.conv is None:
            logits: Tensor = network(batch)
            return logits
        seen: list[Tensor] = []
        copy: Any = network
        handle = copy.classifier.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
        try:
            network(batch)
        finally:
            handle.remove()
        return seen[-1]

    def linear(self, channels: int, classes: int) -> tuple[Tensor, Tensor]:
        """Weight (C, F) and bias (C,) from features to logits."""
        if self.conv is None:
            return torch.eye(classes, channels), torch.zeros(classes)
        bias = self.conv.bias
        weight = self.conv.weight.detach()[:, :, 0, 0].float()
        return weight, torch.zeros(classes) if bias is None else bias.detach().float()


def _compute(
    model: LoadedModel,
    tap: _Tap,
    photos: Photos,
    grid: int,
    path: Path,
    device: str,
    progress: Callable[[int, int], None] | None,
) -> None:
    network = for_inference(model.network, device)
    bfloat16 = computes_bfloat16("auto", device)
    total: npt.NDArray[np.float64] | float = 0.0
    cells = channels = 0
    # Written one after the other, not mapped: a full disk is then an error with a name, not the end of the process.
    with atomic_write(path) as temporary, temporary.open("wb") as file:
        for first in range(0, len(photos), _BATCH):
            some = range(first, min(first + _BATCH, len(photos)))
            shown = [_shown(photos.photo(i), model.preprocessing) for i in some]
            batch, size = _batch(shown, model)
            with torch.inference_mode(), autocast(device, bfloat16):
                features = tap.features(network, batch.to(device)).float().cpu()
            channels = features.shape[1]
            for i, picture, feature in zip(some, shown, features, strict=True):
                cut = _on_grid(feature, picture.shape[:2], size, tuple(photos.sizes[i]), model)
                kept = np.zeros((grid, grid, channels), np.float16)
                kept[: cut.shape[0], : cut.shape[1]] = cut.clip(-_MOST, _MOST)
                file.write(kept.tobytes())
                flat = cut.reshape(-1, channels).astype(np.float64)
                total = total + np.stack([flat.sum(axis=0), np.square(flat).sum(axis=0)])
                cells += len(flat)
            if progress is not None:
                progress(some.stop, len(photos))
    mean, square = np.asarray(total, np.float64) / cells
    deviation = np.sqrt(np.maximum(square - mean**2, 1e-6))
    content = {"channels": channels, "mean": mean.tolist(), "deviation": deviation.tolist()}
    with atomic_write(path.with_suffix(".json")) as temporary:
        temporary.write_text(json.dumps(content), encoding="utf-8")


def _shown(photo: Pixels, preprocessing: Preprocessing) -> Pixels:
    """The photo as large as the teacher's authors show large photos, so that cells stand as close as they can."""
    height, width = photo.shape[:2]
    rule = preprocessing.size
    longest = rule.pixels or preprocessing.pad_to or max(height, width)
    scale = longest / max(height, width)
    size = (max(1, int(width * scale)), max(1, int(height * scale)))
    return np.asarray(PilImage.fromarray(photo).resize(size, PilImage.Resampling.BICUBIC))


def _batch(shown: list[Pixels], model: LoadedModel) -> tuple[Tensor, tuple[int, int]]:
    """Normalised photos at the top left of inputs of one size, (N, 3, H, W) float32, and that size."""
    rule, remainder = model.preprocessing, model.profile.input_remainder

    def side(axis: int) -> int:
        length: int = max(rule.pad_to, model.profile.smallest_input, *(picture.shape[axis] for picture in shown))
        length += -length % rule.multiple_of
        return length + (remainder - length) % 32 if remainder else length

    size = side(0), side(1)
    mean, std = np.asarray(rule.mean, np.float32), np.asarray(rule.std, np.float32)
    batch = np.zeros((len(shown), *size, 3), np.float32)
    if rule.pad_level is not None:
        batch[:] = (np.float32(rule.pad_level) / rule.divisor - mean) / std
    for place, picture in zip(batch, shown, strict=True):
        pixels = picture if rule.colour_order == "RGB" else picture[..., ::-1]
        place[: picture.shape[0], : picture.shape[1]] = (pixels / np.float32(rule.divisor) - mean) / std
    return torch.from_numpy(batch).permute(0, 3, 1, 2), size


def _on_grid(
    feature: Tensor, shown: tuple[int, ...], size: tuple[int, int], photo: tuple[int, ...], model: LoadedModel
) -> npt.NDArray[np.float32]:
    """Features (F, h, w) of an input resampled to the photo's own cells, (rows, columns, F)."""
    matrices = []
    for axis in (0, 1):
        cells = feature.shape[1 + axis]
        centres = (np.arange(math.ceil(photo[axis] / CELL)) + 0.5) * CELL
        pixels = np.minimum(centres, photo[axis] - 0.5) * shown[axis] / photo[axis] - 0.5
        if model.profile.align_corners:
            step = (cells - 1) / (size[axis] - 1)
            positions = pixels * step
        else:
            step = cells / size[axis]
            positions = (pixels + 0.5) * step - 0.5
        matrices.append(interpolation(positions, cells, spacing=CELL * shown[axis] / photo[axis] * step))
    rows, columns = (torch.from_numpy(matrix) for matrix in matrices)
    return torch.einsum("ih,jw,fhw->ijf", rows, columns, feature).numpy()
