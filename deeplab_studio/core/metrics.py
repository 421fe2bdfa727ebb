"""How well predicted class maps agree with the ground truth."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from deeplab_studio.core.labels import MAX_CLASSES, VOID

_STRIP_PIXELS = 1 << 20
"""Pixels counted at a time: the index of a pixel pair needs eight bytes."""


class ConfusionMatrix:
    """Counts of (true class, predicted class) over any number of images.

    Pixels whose true class is void (255) are left out, as in the VOC 2012 development kit (``VOCevalseg.m``); a
    prediction must name a class for every other pixel.

    Parameters
    ----------
    num_classes : int
        1 to 255.

    Attributes
    ----------
    counts : (C, C) int64 array
        Row: true class; column: predicted class.

    Raises
    ------
    ValueError
        If `num_classes` is out of range.
    """

    def __init__(self, num_classes: int) -> None:
        if not 1 <= num_classes <= MAX_CLASSES:
            raise ValueError(f"a confusion matrix has 1 to {MAX_CLASSES} classes, not {num_classes}")
        self.counts: npt.NDArray[np.int64] = np.zeros((num_classes, num_classes), np.int64)

    @property
    def num_classes(self) -> int:
        """Number of classes, C."""
        return len(self.counts)

    @property
    def pixels(self) -> int:
        """Number of pixels counted."""
        return int(self.counts.sum())

    def add(self, truth: npt.NDArray[np.uint8], prediction: npt.NDArray[np.uint8]) -> None:
        """Count one image.

        Parameters
        ----------
        truth : (H, W) uint8 array
            Class ids, 255 where the pixel is not scored.
        prediction : (H, W) uint8 array
            Class ids; anything where `truth` is 255.

        Raises
        ------
        ValueError
            If the shapes differ, an array is not uint8, or a scored pixel holds an id outside 0..C-1. Nothing is
            counted then.
        """
        if truth.shape != prediction.shape:
            raise ValueError(f"the truth is {truth.shape}, the prediction {prediction.shape}")
        if truth.dtype != np.uint8 or prediction.dtype != np.uint8:
            raise ValueError(f"class maps are uint8, not {truth.dtype} and {prediction.dtype}")
        pairs = np.zeros(1 << 16, np.int64)
        flat_truth, flat_prediction = truth.reshape(-1), prediction.reshape(-1)
        for start in range(0, flat_truth.size, _STRIP_PIXELS):
            index = flat_truth[start : start + _STRIP_PIXELS].astype(np.uint16)
            index <<= 8
            index |= flat_prediction[start : start + _STRIP_PIXELS]
            pairs += np.bincount(index, minlength=1 << 16)
        scored = pairs.reshape(256, 256)[:VOID]
        c = self.num_classes
        if scored[c:].any():
            raise ValueError(f"the truth holds class id {c + int(scored[c:].any(axis=1).argmax())}, there are {c}")
        if scored[:, c:].any():
            raise ValueError(
                f"the prediction holds class id {c + int(scored[:, c:].any(axis=0).argmax())} on a scored pixel, "
                f"there are {c} classes"
            )
        self.counts += scored[:c, :c]

    def merge(self, other: ConfusionMatrix) -> None:
        """Add the counts of another matrix.

        Raises
        ------
        ValueError
            If it has another number of classes.
        """
        if other.num_classes != self.num_classes:
            raise ValueError(f"{other.num_classes} classes cannot be added to {self.num_classes}")
        self.counts += other.counts

    def iou(self) -> npt.NDArray[np.float64]:
        """Intersection over union of every class.

        Returns
        -------
        (C,) float64 array, 0..1
            TP / (TP + FP + FN) over all images together; nan for a class that never occurs in the ground truth.
        """
        hit = np.diagonal(self.counts)
        in_truth = self.counts.sum(axis=1)
        union = in_truth + self.counts.sum(axis=0) - hit
        result = np.full(self.num_classes, np.nan)
        np.divide(hit, union, out=result, where=in_truth > 0)
        return result

    def miou(self) -> float:
        """Mean of `iou` over the classes that occur in the ground truth, 0..1; nan if nothing was counted."""
        iou = self.iou()
        occurs = ~np.isnan(iou)
        return float(iou[occurs].mean()) if occurs.any() else float("nan")

    def pixel_accuracy(self) -> float:
        """Share of scored pixels that got their true class, 0..1; nan if nothing was counted."""
        return float(np.trace(self.counts) / self.pixels) if self.pixels else float("nan")
