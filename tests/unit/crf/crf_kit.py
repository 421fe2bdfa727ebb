"""Pictures, probabilities and other people's answers for the CRF tests."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from deeplab_studio.crf import CrfParams, crf_backend

ENGINES = [
    "torch",
    pytest.param("kernel", marks=pytest.mark.skipif(crf_backend() != "kernel", reason="no compiled kernel")),
]


def picture(height: int, width: int, seed: int = 0, noise: float = 12.0) -> npt.NDArray[np.uint8]:
    """A few flat regions under a gradient with noise."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    pixels = np.full((height, width, 3), rng.integers(40, 200, 3), np.float64)
    for _ in range(4):
        centre_y, centre_x, radius = rng.uniform(0, height), rng.uniform(0, width), rng.uniform(0.15, 0.4)
        inside = (y - centre_y) ** 2 + (x - centre_x) ** 2 < (radius * max(height, width)) ** 2
        pixels[inside] = rng.integers(20, 235, 3)
    pixels += 30 * (x / max(1, width - 1))[..., None] + rng.normal(0, noise, pixels.shape)
    return pixels.clip(0, 255).astype(np.uint8)


def probabilities(height: int, width: int, labels: int, seed: int = 0, sharpness: float = 3.0) -> npt.NDArray[Any]:
    """Softmax of smooth random scores."""
    rng = np.random.default_rng(seed + 1000)
    rows = np.linspace(0, 4, height)[:, None] % 4
    columns = np.linspace(0, 4, width)[None] % 4
    scores = np.zeros((labels, height, width))
    for label in range(labels):
        for _ in range(3):
            a, b, c = rng.normal(0, 1, 3)
            scores[label] += np.sin(a * rows * 3 + b * columns * 3 + 7 * c)
    scores = sharpness * (scores + rng.normal(0, 0.3, scores.shape))
    raised = np.exp(scores - scores.max(axis=0))
    return (raised / raised.sum(axis=0)).astype(np.float32)


def pydensecrf_marginals(
    image: npt.NDArray[np.uint8], given: npt.NDArray[np.float32], params: CrfParams
) -> npt.NDArray[np.float32]:
    """What the original library makes of it, or a skipped test where it is not installed."""
    dense_crf = pytest.importorskip("pydensecrf.densecrf", reason="pydensecrf2 is not installed")
    utils = pytest.importorskip("pydensecrf.utils")
    labels, height, width = given.shape
    normalization = {"symmetric": dense_crf.NORMALIZE_SYMMETRIC, "after": dense_crf.NORMALIZE_AFTER}[
        params.normalization
    ]
    crf = dense_crf.DenseCRF2D(width, height, labels)
    crf.setUnaryEnergy(np.ascontiguousarray(utils.unary_from_softmax(given)))
    crf.addPairwiseGaussian(
        sxy=params.smoothness_sigma,
        compat=params.smoothness_weight,
        kernel=dense_crf.DIAG_KERNEL,
        normalization=normalization,
    )
    crf.addPairwiseBilateral(
        sxy=params.appearance_position_sigma,
        srgb=params.appearance_colour_sigma,
        rgbim=np.ascontiguousarray(image),
        compat=params.appearance_weight,
        kernel=dense_crf.DIAG_KERNEL,
        normalization=normalization,
    )
    return np.array(crf.inference(params.iterations), np.float32).reshape(labels, height, width)


def brute_force_marginals(
    image: npt.NDArray[np.uint8],
    given: npt.NDArray[np.float32],
    params: CrfParams,
    pinned: npt.NDArray[np.int16] | None = None,
) -> npt.NDArray[np.float64]:
    """Mean field with every pair of pixels summed up, in double precision: what the lattice approximates."""
    labels, height, width = given.shape
    pixels = height * width
    position = np.stack(np.mgrid[:height, :width], axis=-1).reshape(pixels, 2).astype(float)
    colour = image.reshape(pixels, 3).astype(float)

    def gaussian(*features: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        joined = np.concatenate(features, axis=1)
        distance = ((joined[:, None] - joined[None]) ** 2).sum(axis=2)
        kernel = np.exp(-distance / 2)
        sums = kernel.sum(axis=1)
        if params.normalization == "after":
            return kernel / sums[:, None]
        return kernel / np.sqrt(sums[:, None] * sums[None])

    pairwise = params.appearance_weight * gaussian(
        position / params.appearance_position_sigma, colour / params.appearance_colour_sigma
    ) + params.smoothness_weight * gaussian(position / params.smoothness_sigma)

    unary = np.log(given.reshape(labels, pixels).astype(float).clip(1e-5, 1))

    def marginals(field: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        raised = np.exp(field - field.max(axis=0))
        q = raised / raised.sum(axis=0)
        if pinned is not None:
            flat = pinned.reshape(pixels)
            q[:, flat >= 0] = np.eye(labels)[:, flat[flat >= 0]]
        return q

    q = marginals(unary)
    for _ in range(params.iterations):
        q = marginals(unary + q @ pairwise.T)
    return q.reshape(given.shape)
