"""What training minimises."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from deeplab_studio.core.labels import VOID


def upsampled(logits: Tensor, size: tuple[int, int], *, align_corners: bool) -> Tensor:
    """Logits (N, C, h, w) as float32 at another size, bilinearly."""
    logits = logits.float()
    if tuple(logits.shape[2:]) == size:
        return logits
    return functional.interpolate(logits, size, mode="bilinear", align_corners=align_corners)


def mask_loss(logits: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Cross entropy with the true classes, a weighted mean over all pixels that are not void; 0 if there are none.

    Parameters
    ----------
    logits : (N, C, h, w) float tensor
    target : (N, h, w) int64 tensor
        Class ids, 255 void.
    weight : (N, h, w) float tensor
        How much each pixel counts.
    """
    weight = weight * (target != VOID)
    each = functional.cross_entropy(logits, target, ignore_index=VOID, reduction="none")
    return (each * weight).sum() / weight.sum().clamp(min=1)


def soft_label_loss(logits: Tensor, teacher: Tensor, weight: Tensor, *, temperature: float) -> Tensor:
    """Kullback-Leibler divergence from the teacher's softened probabilities to the student's.

    Hinton, Vinyals & Dean, "Distilling the Knowledge in a Neural Network", 2015, section 2: both softened by the same
    temperature, times its square so that gradients keep their size; per pixel as in Liu et al., "Structured Knowledge
    Distillation for Semantic Segmentation", CVPR 2019, section 3.1.

    Parameters
    ----------
    logits, teacher : (N, C, h, w) float tensor
    weight : (N, h, w) float tensor
        How much each pixel counts; 0 where there is no photo.
    temperature : float
    """
    own = functional.log_softmax(logits / temperature, 1)
    other = functional.log_softmax(teacher / temperature, 1)
    divergence = (other.exp() * (other - own)).sum(1)
    return temperature**2 * (divergence * weight).sum() / weight.sum().clamp(min=1)


def feature_loss(features: Tensor, teacher: Tensor, weight: Tensor) -> Tensor:
    """Mean squared distance of the student's projected features to the teacher's standardised ones.

    Romero et al., "FitNets: Hints for Thin Deep Nets", ICLR 2015, section 2.2, with a 1x1 convolution as regressor.

    Parameters
    ----------
    features, teacher : (N, F, h, w) float tensor
    weight : (N, h, w) float tensor
        How much each cell counts; 0 where there is no photo.
    """
    distance = (features.float() - teacher).square().mean(1)
    return (distance * weight).sum() / weight.sum().clamp(min=1)


class ScaledGradient(torch.autograd.Function):
    """The identity, whose gradient is multiplied by a factor."""

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, x: Tensor, factor: float) -> Tensor:  # noqa: D102
        ctx.factor = factor  # type: ignore[attr-defined]
        return x.view_as(x)

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, *gradients: Tensor) -> tuple[Tensor, None]:  # noqa: D102
        return gradients[0] * ctx.factor, None  # type: ignore[attr-defined]
