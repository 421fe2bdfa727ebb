"""Scores at several scales, fused by their maximum (DeepLabv2, section 4.1.2, "Multi-scale Processing")."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import torch
from torch import Tensor
from torch.nn import functional

from deeplab_studio.networks.profile import MultiScaleProfile


def fuse_scales(score: Callable[[Tensor], Tensor], x: Tensor, profile: MultiScaleProfile) -> Tensor:
    """The largest of the scores that `score` gives for an image at scale 1 and at the profile's.

    Parameters
    ----------
    score : callable
        Maps (N, 3, H, W) to (N, classes, h, w).
    x : (N, 3, H, W) Tensor
    profile : MultiScaleProfile

    Returns
    -------
    (N, classes, h, w) Tensor
        At the resolution of scale 1.
    """
    fused = score(x)
    for scale in profile.scales:
        small = functional.interpolate(
            score(resized(x, scale, profile)), fused.shape[2:], mode="bilinear", align_corners=profile.align_corners
        )
        fused = torch.maximum(fused, small)
    return fused


def resized(x: Tensor, scale: float, profile: MultiScaleProfile) -> Tensor:
    """An image (N, C, H, W) at another scale, see `MultiScaleProfile.size`; never less than a pixel a side."""
    # Whole numbers alone: tracing for ONNX follows these to other sizes, and would freeze a product with a float.
    ratio = Fraction(scale).limit_denominator(1000)
    height, width = (length * ratio.numerator // ratio.denominator for length in x.shape[2:])
    corners = profile.align_corners
    if profile.size == "scale-factor" and height and width:
        return functional.interpolate(x, scale_factor=scale, mode="bilinear", align_corners=corners)
    more = profile.size == "floor-plus-one"
    size = (max(1, height + more), max(1, width + more))
    return functional.interpolate(x, size, mode="bilinear", align_corners=corners)
