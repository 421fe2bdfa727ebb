from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from deeplab_studio.networks.blocks import ConvNorm, SameConv2d
from deeplab_studio.networks.profile import dilate


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
    layer = ConvNorm(6, 8, 3, groups=2, norm_eps=1e-3, activation=nn.ReLU()).eval()
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
    layer = ConvNorm(3, 4, norm_eps=None)
    assert layer.conv.bias is not None
    assert not list(layer.norm.parameters())


@pytest.mark.parametrize(
    ("output_stride", "first", "expected"),
    [
        (32, "previous", [(1, 1), (2, 1), (2, 1), (2, 1)]),
        (16, "previous", [(1, 1), (2, 1), (2, 1), (1, 1)]),
        (16, "new", [(1, 1), (2, 1), (2, 1), (1, 2)]),
        (8, "previous", [(1, 1), (2, 1), (1, 1), (1, 2)]),
        (8, "new", [(1, 1), (2, 1), (1, 2), (1, 4)]),
    ],
)
def test_strides_beyond_the_output_stride_become_dilations(
    output_stride: int, first: str, expected: list[tuple[int, int]]
) -> None:
    assert dilate((1, 2, 2, 2), output_stride, stem_stride=4, first=first) == expected  # type: ignore[arg-type]
