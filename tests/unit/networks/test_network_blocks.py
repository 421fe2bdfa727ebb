from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from deeplab_studio.networks.blocks import ConvNorm, SameConv2d, SeparableConv, StandardisedConv2d
from deeplab_studio.networks.profile import FirstDilation, Normalisation, dilate


@pytest.mark.parametrize("size", [5, 6, 33, 34])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("dilation", [1, 2])
def test_same_padding_puts_the_odd_pixel_at_the_end(size: int, stride: int, dilation: int) -> None:
    layer = SameConv2d(1, 1, 3, stride=stride, dilation=dilation, bias=False)
    x = torch.randn(1, 1, size, size)
    outputs = -(-size // stride)
    total = max((outputs - 1) * stride + 2 * dilation + 1 - size, 0)
    padded = functional.pad(x, (total // 2, total - total // 2) * 2)
    expected = functional.conv2d(padded, layer.weight, stride=stride, dilation=dilation)
    assert expected.shape[-1] == outputs
    torch.testing.assert_close(layer(x), expected)


def test_same_padding_is_symmetric_on_odd_sizes() -> None:
    layer = SameConv2d(3, 4, 3, stride=2)
    x = torch.randn(1, 3, 33, 65)
    expected = functional.conv2d(x, layer.weight, layer.bias, stride=2, padding=1)
    torch.testing.assert_close(layer(x), expected)


def test_folding_the_normalisation_keeps_the_function() -> None:
    layer = ConvNorm(6, 8, 3, groups=2, norm=Normalisation(eps=1e-3), activation=nn.ReLU()).eval()
    norm = layer.norm
    assert isinstance(norm, nn.BatchNorm2d)
    with torch.no_grad():
        norm.running_mean.normal_()
        norm.running_var.uniform_(0.1, 2)
        norm.weight.normal_()
        norm.bias.normal_()
    x = torch.randn(2, 6, 9, 9)
    before = layer(x)
    layer.fold()
    assert isinstance(layer.norm, nn.Identity)
    torch.testing.assert_close(layer(x), before, atol=1e-5, rtol=1e-4)


def test_a_convolution_without_normalisation_has_a_bias() -> None:
    layer = ConvNorm(3, 4, norm=None)
    assert layer.conv.bias is not None
    assert not list(layer.norm.parameters())


@pytest.mark.parametrize(
    ("output_stride", "first", "expected"),
    [
        (32, "previous", [[(1, 1), (1, 1)], [(2, 1), (1, 1)], [(2, 1), (1, 1)], [(2, 1), (1, 1)]]),
        (16, "previous", [[(1, 1), (1, 1)], [(2, 1), (1, 1)], [(2, 1), (1, 1)], [(1, 1), (1, 2)]]),
        (16, "new", [[(1, 1), (1, 1)], [(2, 1), (1, 1)], [(2, 1), (1, 1)], [(1, 2), (1, 2)]]),
        (8, "previous", [[(1, 1), (1, 1)], [(2, 1), (1, 1)], [(1, 1), (1, 2)], [(1, 2), (1, 4)]]),
        (8, "new", [[(1, 1), (1, 1)], [(2, 1), (1, 1)], [(1, 2), (1, 2)], [(1, 4), (1, 4)]]),
        (8, "whole-stage", [[(1, 1), (1, 1)], [(2, 1), (1, 1)], [(1, 1), (1, 1)], [(1, 2), (1, 2)]]),
        (8, "first-only", [[(1, 1), (1, 1)], [(2, 1), (1, 1)], [(1, 2), (1, 1)], [(1, 4), (1, 1)]]),
    ],
)
def test_strides_beyond_the_output_stride_become_dilations(
    output_stride: int, first: FirstDilation, expected: list[list[tuple[int, int]]]
) -> None:
    assert dilate([(1, 2), (2, 2), (2, 2), (2, 2)], output_stride, stem_stride=4, first=first) == expected


def test_multi_grid_multiplies_the_dilations_of_the_last_stage() -> None:
    plan = dilate([(1, 3), (2, 3)], 4, stem_stride=4, first="new", multi_grid=(1, 2, 4))
    assert plan == [[(1, 1)] * 3, [(1, 2), (1, 4), (1, 8)]]


def test_standardised_weights_have_mean_0_and_deviation_1_and_fold() -> None:
    layer = ConvNorm(6, 32, 3, dilation=2, norm=Normalisation(groups=4, standardised_weights=True)).eval()
    assert isinstance(layer.conv, StandardisedConv2d)
    filters = layer.conv.standardised().flatten(1)
    torch.testing.assert_close(filters.mean(1), torch.zeros(32), atol=1e-6, rtol=0)
    torch.testing.assert_close(filters.std(1), torch.ones(32), atol=1e-3, rtol=0)
    x = torch.randn(1, 6, 9, 9)
    before = layer(x)
    layer.fold()
    assert not isinstance(layer.conv, StandardisedConv2d)
    assert isinstance(layer.norm, nn.GroupNorm)
    torch.testing.assert_close(layer(x), before, atol=1e-5, rtol=1e-4)


def test_a_bias_before_a_normalisation_folds() -> None:
    layer = ConvNorm(3, 4, norm=Normalisation(conv_bias=True)).eval()
    x = torch.randn(1, 3, 5, 5)
    before = layer(x)
    layer.fold()
    torch.testing.assert_close(layer(x), before)


def test_a_separable_convolution_is_a_depthwise_and_a_pointwise_one() -> None:
    layer = SeparableConv(6, 8, dilation=2, between="nothing", norm=Normalisation()).eval()
    assert layer.depthwise.conv.bias is None
    assert not list(layer.depthwise.norm.parameters())
    x = torch.randn(1, 6, 9, 9)
    merged = layer.pointwise.conv.weight * layer.depthwise.conv.weight[:, 0][None]
    expected = functional.conv2d(x, merged, padding=2, dilation=2)
    torch.testing.assert_close(layer(x), layer.pointwise.norm(expected), atol=1e-5, rtol=1e-4)
