"""The loss of a batch: masks, and what a teacher says."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from deeplab_studio.training import losses
from deeplab_studio.training.config import TeacherConfig
from deeplab_studio.training.loader import Batch
from deeplab_studio.training.teacher import TeacherFeatures


class Criterion:
    """Sums the losses of all heads.

    Parameters
    ----------
    class_weights : (256,) float32 array
        How much a pixel of each class counts.
    teacher : TeacherFeatures, optional
    settings : TeacherConfig, optional
        Weights of the teacher's losses; given with `teacher`.
    """

    def __init__(
        self,
        class_weights: npt.NDArray[np.float32],
        teacher: TeacherFeatures | None = None,
        settings: TeacherConfig | None = None,
    ) -> None:
        self._class_weights = torch.from_numpy(class_weights)
        self._teacher, self._settings = teacher, settings

    def __call__(
        self, logits: Mapping[str, Tensor], guess: Tensor | None, batch: Batch
    ) -> tuple[Tensor, dict[str, float]]:
        """The loss of a batch.

        Parameters
        ----------
        logits : mapping of str to Tensor
            (N, C, h, w) of every head, corner cells on corner pixels; empty while only the encoder learns.
        guess : (N, F, h, w) float32 tensor or None
            The encoder's guess of the teacher's standardised features, at stride 16.
        batch : Batch

        Returns
        -------
        (Tensor, dict of float)
            The sum, and its parts by name for the log.
        """
        device = next(iter(logits.values())).device if logits else _device(guess)
        target = batch.target.to(device).long()
        weight = self._class_weights.to(device)[target]
        scores = dict(logits)
        if not scores and self._teacher is not None and guess is not None:
            scores["encoder"] = self._teacher.logits(self._teacher.restored(guess))
        size = (target.shape[1], target.shape[2])
        large = {name: losses.upsampled(each, size, align_corners=True) for name, each in scores.items()}
        masks = [losses.mask_loss(each, target, weight) for each in large.values()]
        parts = {f"mask {name}": float(value.detach()) for name, value in zip(large, masks, strict=True)}
        loss = torch.stack(masks).sum()
        if guess is not None:
            inside = batch.inside.to(device) * weight[:, ::2, ::2]
            for name, (factor, value) in self._taught([*large.values()], guess, batch, inside).items():
                parts[name] = float(value.detach())
                loss = loss + factor * value
        parts["loss"] = float(loss.detach())
        return loss, parts

    def _taught(
        self, large: list[Tensor], guess: Tensor, batch: Batch, inside: Tensor
    ) -> dict[str, tuple[float, Tensor]]:
        """The teacher's losses by name, each with its factor; `large` at stride 4, `inside` at stride 8."""
        teacher, settings = self._teacher, self._settings
        features = batch.teacher(guess.device)
        if teacher is None or settings is None or features is None:
            return {}
        found = {}
        if teacher.has_labels and settings.soft_labels:
            labels = teacher.logits(features)
            soft = [
                losses.soft_label_loss(each[:, :, ::2, ::2], labels, inside, temperature=settings.temperature)
                for each in large
            ]
            found["soft labels"] = settings.soft_labels * len(soft), torch.stack(soft).mean()
        if settings.features:
            wanted = teacher.standardised(features[:, :, ::2, ::2])
            found["features"] = settings.features, losses.feature_loss(guess, wanted, inside[:, ::2, ::2])
        return found


def _device(guess: Tensor | None) -> torch.device:
    if guess is None:
        raise ValueError("there is nothing to learn from: neither logits nor features")
    return guess.device
