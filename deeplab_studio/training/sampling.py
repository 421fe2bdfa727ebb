"""Which photos are seen when, and where the cells of one grid lie on another."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def interpolation(positions: npt.NDArray[np.float64], cells: int, *, spacing: float = 1.0) -> npt.NDArray[np.float32]:
    """Weights that interpolate a row of cells linearly at any positions, smoothing where that makes it coarser.

    Parameters
    ----------
    positions : (P,) float64 array
        Where, in cells: 0 is the centre of the first. Beyond the ends the end's value holds.
    cells : int
        Number of cells.
    spacing : float
        Distance, in cells, for which a position stands. Above 1 the triangle that weighs the neighbours is as wide
        as that, so that no cell is passed over.

    Returns
    -------
    (P, `cells`) float32 array
        Rows sum to 1.
    """
    inside = np.clip(positions, 0, cells - 1)
    distance = np.abs(inside[:, None] - np.arange(cells))
    weights = np.maximum(0.0, 1.0 - distance / max(1.0, spacing))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), np.float32)


def repeat_factors(
    presence: npt.NDArray[np.bool_], *, threshold: float = 0.3, most: float = 3.0
) -> npt.NDArray[np.float64]:
    """How often each photo is seen in relation to the commonest ones, so that rare classes are seen more often.

    Repeat factor sampling (Gupta, Dollár & Girshick, "LVIS", CVPR 2019, section 5.1): of a class in the share f of the
    photos max(1, sqrt(`threshold` / f)); of a photo the largest of its classes', here bounded.

    Parameters
    ----------
    presence : (N, C) bool array
        Which classes occur in which photo.
    threshold : float
        Share of photos above which a class is not rare.
    most : float
        Largest factor.

    Returns
    -------
    (N,) float64 array, 1..`most`
    """
    share = presence.mean(axis=0)
    factors = np.sqrt(threshold / np.maximum(share, 1e-9))
    return np.asarray(np.clip(np.where(presence, factors, 1.0).max(axis=1), 1.0, most), np.float64)


def class_weights(pixels: npt.NDArray[np.int64], power: float, *, most: float = 6.0) -> npt.NDArray[np.float32]:
    """How much a pixel of each class counts in relation to one of the commonest class.

    Frequency balancing (Eigen & Fergus, ICCV 2015, section 6.3.2), softened by a power and bounded.

    Parameters
    ----------
    pixels : (C,) int64 array
        Pixels of every class in all photos.
    power : float
        0 for none, 1 for weights in inverse proportion to the pixels.
    most : float
        Largest weight.

    Returns
    -------
    (256,) float32 array, 1..`most`
        By class id; 1 for void and for classes that do not occur.
    """
    weights = np.ones(256, np.float32)
    weights[: len(pixels)] = np.minimum((pixels.max() / np.maximum(pixels, 1)) ** power, most)
    weights[: len(pixels)][pixels == 0] = 1
    return weights


def epoch_order(factors: npt.NDArray[np.float64], seed: int, epoch: int) -> npt.NDArray[np.int64]:
    """The photos of one epoch: as many as there are, each as often as its share of the factors, to one more or less.

    Parameters
    ----------
    factors : (N,) float64 array
    seed, epoch : int
        The order depends on these alone, so that a resumed run goes on where it was.

    Returns
    -------
    (N,) int64 array
    """
    rng = np.random.default_rng((seed, epoch, 1))
    # Shuffled before they are drawn from, or neighbours would share their fractions in every epoch.
    permutation = rng.permutation(len(factors))
    edges = np.cumsum(factors[permutation])
    points = (np.arange(len(factors)) + rng.random()) * (edges[-1] / len(factors))
    drawn = permutation[np.minimum(np.searchsorted(edges, points, side="right"), len(factors) - 1)]
    return np.asarray(rng.permutation(drawn), np.int64)
