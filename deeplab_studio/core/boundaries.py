"""How good a prediction is near the boundaries of objects, where dense CRF and decoder make the difference."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from deeplab_studio.core.classmap import Labels
from deeplab_studio.core.labels import VOID
from deeplab_studio.core.metrics import ConfusionMatrix

TRIMAP_WIDTHS = (2, 4, 6, 8, 10, 15, 20, 30, 40)
"""Widths in pixels at which `TrimapScore` measures by default; the papers plot 1 to 40."""


def boundary_distance(truth: Labels) -> npt.NDArray[np.float32]:
    """How far each pixel is from the boundary of an object in the ground truth.

    Parameters
    ----------
    truth : (H, W) uint8 array

    Returns
    -------
    (H, W) float32 array
        Pixels to the nearest void pixel, as DeepLab v1 (Chen et al. 2015, section 5.1.3) and v2 measure it: in Pascal
        VOC void lies along the objects. In a map without void, to the nearest pixel that has a neighbour of another
        class. Infinite where there is no boundary at all.
    """
    import cv2

    edge = truth == VOID
    if not edge.any():
        edge = _edges(truth)
    if not edge.any():
        return np.full(truth.shape, np.inf, np.float32)
    distance = cv2.distanceTransform(np.ascontiguousarray(~edge).view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return distance.astype(np.float32, copy=False)


class TrimapScore:
    """Mean IoU within narrow bands along the boundaries of the ground truth, over any number of images.

    Parameters
    ----------
    num_classes : int
    widths : sequence of int
        Of the bands, in pixels, ascending: a band holds the pixels at most so far from a boundary.

    Notes
    -----
    "Trimap" of Krähenbühl & Koltun 2011 and of Chen et al. 2015 (DeepLab v1), figure 6.
    """

    def __init__(self, num_classes: int, widths: Sequence[int] = TRIMAP_WIDTHS) -> None:
        if not widths or list(widths) != sorted(set(widths)) or widths[0] < 1:
            raise ValueError(f"widths are ascending pixels from 1 on, not {list(widths)}")
        self.widths = tuple(widths)
        # Each holds the pixels between two widths, so that every pixel is counted once.
        self._rings = tuple(ConfusionMatrix(num_classes) for _ in widths)

    def add(self, truth: Labels, prediction: Labels, distance: npt.NDArray[np.float32] | None = None) -> None:
        """Count one image.

        Parameters
        ----------
        truth, prediction : (H, W) uint8 array
            As for `ConfusionMatrix.add`, which raises the same.
        distance : (H, W) float32 array, optional
            `boundary_distance` of `truth`, if it is known: it takes longer than everything else here.
        """
        distance = boundary_distance(truth) if distance is None else distance
        nearest = 0
        for width, ring in zip(self.widths, self._rings, strict=True):
            inside = (distance <= width) & (distance > nearest) if nearest else distance <= width
            ring.add(truth[inside], prediction[inside])
            nearest = width

    def miou(self) -> list[tuple[int, float]]:
        """Width in pixels and mean IoU of every band; nan where nothing was counted."""
        band = ConfusionMatrix(self._rings[0].num_classes)
        result = []
        for width, ring in zip(self.widths, self._rings, strict=True):
            band.merge(ring)
            result.append((width, band.miou()))
        return result


def boundary_f_score(truth: Labels, prediction: Labels, class_id: int, tolerance: float) -> float:
    """How well the outline of one class is met.

    Parameters
    ----------
    truth, prediction : (H, W) uint8 array
        Pixels that are void in `truth` count in neither.
    class_id : int
    tolerance : float
        How many pixels an outline may be off.

    Returns
    -------
    float
        0..1: harmonic mean of the share of predicted outline that is near a true one and the share of true outline that
        is near a predicted one; nan if the class is in neither map, 0 if in only one.

    References
    ----------
    Csurka et al. 2013, "What is a good evaluation measure for semantic segmentation?"
    """
    import cv2

    scored = truth != VOID
    outlines = [
        _edges(((labels == class_id) & scored).view(np.uint8)) & (labels == class_id) for labels in (truth, prediction)
    ]
    outlines = [outline & scored for outline in outlines]
    if not outlines[0].any() and not outlines[1].any():
        return float("nan")
    if not outlines[0].any() or not outlines[1].any():
        return 0.0
    shares = []
    for mine, other in (outlines, outlines[::-1]):
        distance = cv2.distanceTransform((~other).view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
        shares.append(float((distance[mine] <= tolerance).mean()))
    recall, precision = shares
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def _edges(labels: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    """Pixels with a neighbour, above, below, left or right, of another value; the image's border is none."""
    edge = np.zeros(labels.shape, np.bool_)
    down = labels[1:] != labels[:-1]
    across = labels[:, 1:] != labels[:, :-1]
    edge[1:] |= down
    edge[:-1] |= down
    edge[:, 1:] |= across
    edge[:, :-1] |= across
    return edge
