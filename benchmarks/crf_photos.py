"""Photos with probabilities for measurements of the dense CRF, pydensecrf, and a mean field in double precision."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from deeplab_studio.crf import CrfParams
    from deeplab_studio.engine.scores import Scores

Bytes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]

LABELS = 21
ACTIVE = 1e-3
"""A class above this probability somewhere is active."""

_CELL = 8


@dataclass(frozen=True, eq=False)
class Photo:
    """A photo and what a network would say about it.

    Parameters
    ----------
    name : str
    image : (H, W, 3) uint8 array
    logits : (21, h, w) float32 array
        At an eighth of the size of the original photo.
    """

    name: str
    image: Bytes
    logits: Floats

    def scaled(self, params: CrfParams) -> CrfParams:
        """Parameters for photos of 500 pixels, for this one."""
        return params.scaled(max(self.image.shape[:2]) / 500)

    def probabilities(self) -> Floats:
        """Softmax of the logits enlarged bilinearly, (21, H, W)."""
        return self.scores().probabilities()

    def active(self) -> Floats:
        """The same of the active classes alone, summing to 1."""
        scores = self.scores()
        p = scores.probabilities(classes=scores.active_classes(ACTIVE))
        p /= p.sum(axis=0)
        return p

    def scores(self) -> Scores:
        """The logits as the program keeps them."""
        from deeplab_studio.core.labels import VOC_LABELS
        from deeplab_studio.engine.scores import AxisMap, Scores

        size = self.image.shape[:2]
        rows, columns = (
            AxisMap.of_network(pixels=pixels, shown=pixels, padded=pixels, cells=cells, align_corners=False)
            for pixels, cells in zip(size, self.logits.shape[1:], strict=True)
        )
        return Scores(self.logits, rows, columns, size, VOC_LABELS, "softened ground truth")

    def enlarged(self, megapixels: float) -> Photo:
        """The photo at another size, with the same logits."""
        import cv2

        height, width = self.image.shape[:2]
        factor = (megapixels * 1e6 / (height * width)) ** 0.5
        image = cv2.resize(self.image, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC)
        return replace(self, image=np.asarray(image, np.uint8))


def photos(root: Path, count: int) -> Iterator[Photo]:
    """Photos of a VOC data set, evenly spread over it, with softened ground truth."""
    from PIL import Image

    masks = sorted((root / "SegmentationClass").glob("*.png"))
    for number, path in enumerate(masks[:: max(1, len(masks) // count)][:count]):
        image = np.array(Image.open(root / "JPEGImages" / f"{path.stem}.jpg").convert("RGB"))
        mask = np.array(Image.open(path))
        mask[mask == 255] = 0
        yield Photo(path.stem, image, _logits(mask, np.random.default_rng(number)))


def _logits(mask: Bytes, rng: np.random.Generator) -> Floats:
    """Scores of a network that is about right: the mask blurred, part of an object mistaken, smooth noise."""
    import cv2

    height, width = mask.shape
    small = (max(1, width // _CELL), max(1, height // _CELL))
    share = np.stack([cv2.GaussianBlur(plane, (0, 0), 1.5) for plane in cell_shares(mask, small)])
    present = np.flatnonzero(share[1:].max(axis=(1, 2)) > 0) + 1
    absent = [label for label in range(1, LABELS) if label not in present]
    if len(present) and absent:
        other = rng.choice(absent)
        share[other] = 0.3 * share[present[0]] * (np.linspace(0, 1, small[0]) > 0.5)
        share[present[0]] -= share[other]
    noise = [cv2.GaussianBlur(rng.normal(0, 3, small[::-1]).astype(np.float32), (0, 0), 2) for _ in range(LABELS)]
    return np.asarray(np.log(share + 1e-5) + np.stack(noise), np.float32)


def cell_shares(labels: Bytes, size: tuple[int, int]) -> Floats:
    """Which share of every cell each class covers, (21, h, w), for cells in a grid of this (width, height)."""
    import cv2

    planes = (labels == np.arange(LABELS)[:, None, None]).astype(np.float32)
    return np.stack([cv2.resize(plane, size, interpolation=cv2.INTER_AREA) for plane in planes])


def run_pydensecrf(image: Bytes, p: Floats, params: CrfParams) -> Floats:
    """Marginals by pydensecrf, called as in its README: everything is built."""
    import pydensecrf.densecrf as dense_crf
    from pydensecrf.utils import unary_from_softmax

    labels, height, width = p.shape
    normalization = {"symmetric": dense_crf.NORMALIZE_SYMMETRIC, "after": dense_crf.NORMALIZE_AFTER}
    common = {"kernel": dense_crf.DIAG_KERNEL, "normalization": normalization[params.normalization]}
    crf = dense_crf.DenseCRF2D(width, height, labels)
    crf.setUnaryEnergy(unary_from_softmax(p))
    crf.addPairwiseGaussian(sxy=params.smoothness_sigma, compat=params.smoothness_weight, **common)
    crf.addPairwiseBilateral(
        sxy=params.appearance_position_sigma,
        srgb=params.appearance_colour_sigma,
        rgbim=image,
        compat=params.appearance_weight,
        **common,
    )
    return np.array(crf.inference(int(params.iterations))).reshape(p.shape)


def run_double(image: Bytes, p: Floats, params: CrfParams) -> npt.NDArray[np.float64]:
    """Marginals in double precision on the same lattices.

    Which vertices a pixel touches, and how much, is settled in single precision by both programs alike; everything
    after that is done in double precision here. What differs from this is a program's rounding.
    """
    import torch

    from deeplab_studio.crf.torch_core import build_lattice

    unary = torch.from_numpy(np.log(p.astype(np.float64).clip(np.float32(1e-5), 1)).reshape(len(p), -1))
    kernels = []
    for weight, sigmas in (
        (params.smoothness_weight, (params.smoothness_sigma,)),
        (params.appearance_weight, (params.appearance_position_sigma, params.appearance_colour_sigma)),
    ):
        lattice = build_lattice(image, sigmas).double()
        sums = lattice.compute(torch.ones((unary.shape[1], 1), dtype=torch.float64)) + 1e-20
        kernels.append((weight, lattice, 1 / (sums.sqrt() if params.normalization == "symmetric" else sums)))
    q = torch.softmax(unary, dim=0)
    for _ in range(int(params.iterations)):
        field = unary.clone()
        values = q.t().contiguous()
        for weight, lattice, norm in kernels:
            before = values * norm if params.normalization == "symmetric" else values
            field += weight * (lattice.compute(before) * norm).t()
        q = torch.softmax(field, dim=0)
    marginals: npt.NDArray[np.float64] = q.numpy().reshape(p.shape)
    return marginals
