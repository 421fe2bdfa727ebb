"""Batches of crops, made beside the training step."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from deeplab_studio.training import augment
from deeplab_studio.training.config import AugmentConfig
from deeplab_studio.training.photos import Photos
from deeplab_studio.training.sampling import epoch_order, interpolation
from deeplab_studio.training.schedule import Phase
from deeplab_studio.training.teacher import CELL, TeacherFeatures

_AHEAD = 3
"""Batches made before they are asked for."""

TEACHER_STRIDE = 8
"""Crop pixels between two points at which the teacher is asked."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Crops and what is to be said about them.

    Parameters
    ----------
    pixels : (N, S, S, 3) uint8 tensor
    target : (N, t, t) uint8 tensor
        Class ids under every fourth pixel, 255 void.
    inside : (N, u, u) float32 tensor
        1 at every eighth pixel where there is a photo, else 0.
    features : (N, G, G, F) float16 tensor or None
        The teacher's cells of the whole photos.
    rows, columns : (N, u, G) float32 tensor or None
        Interpolate them at every eighth pixel.
    mixed : (N, u, u) bool tensor or None
        Which of these pixels each crop has from the next in the batch, the last from the first.
    """

    pixels: Tensor
    target: Tensor
    inside: Tensor
    features: Tensor | None
    rows: Tensor | None
    columns: Tensor | None
    mixed: Tensor | None = None

    def teacher(self, device: torch.device | str) -> Tensor | None:
        """The teacher's features at every eighth pixel, (N, F, u, u) float32."""
        if self.features is None or self.rows is None or self.columns is None:
            return None
        cells = self.features.to(device).float()
        n, g, _, f = cells.shape
        u = self.rows.shape[1]
        across = torch.bmm(self.rows.to(device), cells.view(n, g, g * f)).view(n * u, g, f)
        columns = self.columns.to(device).repeat_interleave(u, 0)
        seen = torch.bmm(columns, across).view(n, u, u, f)
        if self.mixed is not None:
            seen = torch.where(self.mixed.to(device)[..., None], seen.roll(-1, 0), seen)
        return seen.permute(0, 3, 1, 2)


class CropMaker:
    """Makes any crop of the endless sequence of crops; the same for the same seed and number.

    Parameters
    ----------
    photos : Photos
    factors : (N,) float64 array
        How often each is seen, relatively.
    teacher : TeacherFeatures, optional
    settings : AugmentConfig
    seed : int
    """

    def __init__(
        self,
        photos: Photos,
        factors: npt.NDArray[np.float64],
        teacher: TeacherFeatures | None,
        settings: AugmentConfig,
        seed: int,
    ) -> None:
        self._photos, self._factors, self._teacher = photos, factors, teacher
        self._settings, self._seed = settings, seed
        self._epoch = -1
        self._order: npt.NDArray[np.int64] = np.zeros(0, np.int64)

    def batch(self, first: int, count: int, phase: Phase) -> Batch:
        """Crops number `first` and following."""
        made = [self._crop(number, phase) for number in range(first, first + count)]
        pixels, targets, inside, indices, rows, columns = zip(*made, strict=True)

        def stacked(arrays: Any) -> Tensor:
            return torch.from_numpy(np.stack(arrays))

        features = None if self._teacher is None else stacked([self._teacher.features[i] for i in indices])
        mixed = self._boxes(first, count, phase.crop)
        return Batch(
            pixels=_mix(stacked(pixels), mixed, 1),
            target=_mix(stacked(targets), mixed, augment.TARGET_STRIDE),
            inside=_mix(stacked(inside), mixed, TEACHER_STRIDE),
            features=features,
            rows=None if features is None else stacked(rows),
            columns=None if features is None else stacked(columns),
            mixed=None if mixed is None else _at_stride(mixed, phase.crop, TEACHER_STRIDE),
        )

    def _boxes(self, first: int, count: int, side: int) -> Tensor | None:
        """Which cells of `augment.MIX_STEP` pixels each crop has from the next, (N, m, m) bool; None for none."""
        if not self._settings.mix:
            return None
        cells = -(-side // augment.MIX_STEP)
        boxes = torch.zeros(count, cells, cells, dtype=torch.bool)
        for i, box in enumerate(boxes):
            rng = np.random.default_rng((self._seed, first + i, 3))
            if rng.random() < self._settings.mix:
                box[augment.random_box(rng, side)] = True
        return boxes

    def _crop(self, number: int, phase: Phase) -> tuple[Any, ...]:
        index = self._photo(number)
        rng = np.random.default_rng((self._seed, number, 2))
        photo, mask = self._photos.photo(index), self._photos.mask(index)
        size = (int(mask.shape[0]), int(mask.shape[1]))
        view = augment.random_view(rng, size, phase.crop, phase.scale, stretch=self._settings.stretch)
        pixels = augment.jitter_colours(rng, augment.cut_photo(photo, view), self._settings.colour)
        rows, columns = view.photo_rows(size[0], TEACHER_STRIDE), view.photo_columns(size[1], TEACHER_STRIDE)
        seen = (_within(rows, size[0])[:, None] & _within(columns, size[1])).astype(np.float32)
        matrices: tuple[Any, Any] = None, None
        if self._teacher is not None:
            grid = self._teacher.features.shape[1]
            spacing = TEACHER_STRIDE / CELL
            matrices = (
                _on_cells(rows, size[0], grid, spacing * size[0] / view.height),
                _on_cells(columns, size[1], grid, spacing * size[1] / view.width),
            )
        return (pixels, augment.cut_mask(mask, view), seen, index, *matrices)

    def _photo(self, number: int) -> int:
        epoch, place = divmod(number, len(self._photos))
        if epoch != self._epoch:
            self._epoch, self._order = epoch, epoch_order(self._factors, self._seed, epoch)
        return int(self._order[place])


def _at_stride(boxes: Tensor, side: int, stride: int) -> Tensor:
    """Boxes (N, m, m) at every `stride`-th pixel of crops of `side` pixels."""
    cells = torch.arange(0, side, stride) // augment.MIX_STEP
    return boxes[:, cells][:, :, cells]


def _mix(values: Tensor, boxes: Tensor | None, stride: int) -> Tensor:
    """Crops (N, s, s, ...) whose boxes are filled from the next crop."""
    if boxes is None:
        return values
    side = (values.shape[1] - 1) * stride + 1
    mixed = _at_stride(boxes, side, stride)
    return torch.where(mixed[..., None] if values.dim() == 4 else mixed, values.roll(-1, 0), values)


def _within(positions: npt.NDArray[np.float64], length: int) -> npt.NDArray[np.bool_]:
    return (positions > -0.5) & (positions < length - 0.5)


def _on_cells(positions: npt.NDArray[np.float64], length: int, grid: int, spacing: float) -> npt.NDArray[np.float32]:
    """Interpolation from the teacher's cells of a photo to photo positions, (P, grid)."""
    cells = -(-length // CELL)
    weights = np.zeros((len(positions), grid), np.float32)
    weights[:, :cells] = interpolation((positions + 0.5) / CELL - 0.5, cells, spacing=spacing)
    return weights


class Prefetcher:
    """Runs a generator in a thread of its own, a few results ahead.

    Parameters
    ----------
    make : callable
        Called in the thread, once; what it yields is handed on. What it raises is raised to the consumer.
    """

    def __init__(self, make: Callable[[], Iterator[Any]]) -> None:
        self._queue: queue.Queue[tuple[bool, Any]] = queue.Queue(_AHEAD)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(make,), name="crops", daemon=True)
        self._thread.start()

    def _run(self, make: Callable[[], Iterator[Any]]) -> None:
        try:
            for item in make():
                if not self._put((True, item)):
                    return
        except Exception as error:  # noqa: BLE001 - raised where the result is waited for
            self._put((False, error))

    def _put(self, item: tuple[bool, Any]) -> bool:
        while not self._stop.is_set():
            try:
                self._queue.put(item, timeout=0.2)
            except queue.Full:
                continue
            return True
        return False

    def next(self) -> Any:
        """The next result; waits for it."""
        good, item = self._queue.get()
        if not good:
            raise item
        return item

    def close(self) -> None:
        """End the thread."""
        self._stop.set()
        self._thread.join()
