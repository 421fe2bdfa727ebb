from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from deeplab_studio.training.losses import ScaledGradient, feature_loss, mask_loss, soft_label_loss, upsampled


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_void_pixels_do_not_count() -> None:
    logits, target = drawn(2, 3, 4, 4), torch.randint(0, 3, (2, 4, 4))
    void = target.clone()
    void[:, :2] = 255
    assert mask_loss(logits, void, torch.ones(2, 4, 4)).item() == pytest.approx(
        functional.cross_entropy(logits[:, :, 2:], target[:, 2:]).item(), rel=1e-5
    )


def test_nothing_but_void_costs_nothing() -> None:
    logits = drawn(1, 3, 2, 2).requires_grad_()
    loss = mask_loss(logits, torch.full((1, 2, 2), 255), torch.ones(1, 2, 2))
    loss.backward()  # type: ignore[no-untyped-call]
    assert loss.item() == 0
    assert logits.grad is not None
    assert not logits.grad.any()


def test_pixels_count_by_their_weight() -> None:
    logits, target = drawn(1, 3, 1, 2), torch.tensor([[[0, 1]]])
    first, second = (mask_loss(logits[..., i : i + 1], target[..., i : i + 1], torch.ones(1, 1, 1)) for i in (0, 1))
    both = mask_loss(logits, target, torch.tensor([[[1.0, 3.0]]]))
    assert both.item() == pytest.approx(((first + 3 * second) / 4).item(), rel=1e-5)


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_soft_labels_are_the_divergence_of_softened_probabilities(temperature: float) -> None:
    own, other, inside = drawn(1, 5, 2, 3), drawn(1, 5, 2, 3, seed=1), torch.ones(1, 2, 3)
    p, q = (torch.softmax(logits / temperature, 1) for logits in (other, own))
    wanted = temperature**2 * (p * (p / q).log()).sum() / 6
    assert soft_label_loss(own, other, inside, temperature=temperature).item() == pytest.approx(wanted.item(), rel=1e-4)
    assert soft_label_loss(other, other, inside, temperature=temperature).item() == pytest.approx(0, abs=1e-6)


def test_what_lies_outside_the_photo_does_not_count() -> None:
    own, other = drawn(1, 4, 2, 2), drawn(1, 4, 2, 2, seed=1)
    inside = torch.tensor([[[1.0, 0.0], [1.0, 0.0]]])
    left = torch.ones(1, 2, 1)
    assert feature_loss(own, other, inside) == feature_loss(own[..., :1], other[..., :1], left)
    soft = soft_label_loss(own, other, inside, temperature=1)
    assert soft.item() == pytest.approx(
        soft_label_loss(own[..., :1], other[..., :1], left, temperature=1).item(), rel=1e-5
    )
    assert feature_loss(own, other, torch.zeros(1, 2, 2)) == 0


def test_features_cost_their_mean_squared_distance() -> None:
    own, other = drawn(2, 8, 3, 3), drawn(2, 8, 3, 3, seed=1)
    loss = feature_loss(own, other, torch.ones(2, 3, 3))
    assert loss.item() == pytest.approx(functional.mse_loss(own, other).item(), rel=1e-5)


def test_a_scaled_gradient_leaves_values_alone() -> None:
    x = drawn(3).requires_grad_()
    y = ScaledGradient.apply(x, 0.25)
    assert torch.equal(y, x)
    y.sum().backward()
    assert x.grad is not None
    assert torch.equal(x.grad, torch.full((3,), 0.25))


def test_upsampling_keeps_what_has_the_size_already() -> None:
    logits = drawn(1, 2, 5, 5)
    assert upsampled(logits, (5, 5), align_corners=True) is logits
    assert torch.equal(upsampled(logits, (9, 9), align_corners=True)[..., ::2, ::2], logits)
