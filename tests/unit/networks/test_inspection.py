from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from deeplab_studio.networks.inspection import (
    Convolution,
    common_name,
    grouped,
    inspect_profile,
    trace,
    valid_share,
)
from deeplab_studio.networks.profile import AsppProfile, BackboneProfile, Profile


def v3(backbone: str = "resnet50", output_stride: int = 8, **changes: Any) -> Profile:
    eps = 1e-3 if backbone == "mobilenet_v3_large" else 1e-5
    first: Any = "new" if backbone == "mobilenet_v3_large" else "previous"
    settings: dict[str, Any] = {
        "version": "v3",
        "backbone": BackboneProfile(
            name=backbone, output_stride=output_stride, first_dilation=first, padding="symmetric", norm_eps=eps
        ),
        "aspp": AsppProfile(rates=(12, 24, 36)),
        "num_classes": 21,
        "head_conv": True,
    }
    return Profile(**{**settings, **changes})


def on_meta(*layers: nn.Module) -> nn.Module:
    return nn.Sequential(*layers).to("meta").eval()


# --- Multiply-adds and parameters -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["resnet50", "resnet101", "mobilenet_v3_large"])
def test_counts_are_those_torchvision_publishes(name: str) -> None:
    from torchvision.models import segmentation

    published = getattr(segmentation, f"deeplabv3_{name}")
    weights = next(iter(segmentation.__dict__[_weights_name(name)]))
    with torch.device("meta"):
        network = published(weights=None, weights_backbone=None, aux_loss=True).eval()
    counted = trace(network, 520, 520)
    assert counted.parameters == weights.meta["num_params"]
    assert round(counted.multiply_adds / 1e9, 3) == weights.meta["_ops"]


def _weights_name(name: str) -> str:
    return {
        "resnet50": "DeepLabV3_ResNet50_Weights",
        "resnet101": "DeepLabV3_ResNet101_Weights",
        "mobilenet_v3_large": "DeepLabV3_MobileNet_V3_Large_Weights",
    }[name]


@pytest.mark.parametrize("name", ["resnet50", "mobilenet_v3_large"])
def test_our_network_costs_what_torchvisions_does_without_its_auxiliary_head(name: str) -> None:
    from torchvision.models import segmentation

    with torch.device("meta"):
        theirs = getattr(segmentation, f"deeplabv3_{name}")(weights=None, weights_backbone=None).eval()
    stride = 16 if name == "mobilenet_v3_large" else 8
    ours = inspect_profile(v3(name, stride), 520, 693).trace
    reference = trace(theirs, 520, 693)
    assert (ours.parameters, ours.multiply_adds) == (reference.parameters, reference.multiply_adds)
    assert len(ours.convolutions) == len(reference.convolutions)


def test_multiply_adds_are_half_of_torchs_own_flop_count() -> None:
    with torch.device("meta"):
        network = nn.Sequential(
            nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.Conv2d(8, 8, 5, groups=4, dilation=2), nn.Conv2d(8, 2, 1)
        )
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(torch.empty(1, 3, 33, 47, device="meta"))
    assert trace(network, 33, 47).multiply_adds * 2 == counter.get_total_flops()


def test_a_convolution_counted_by_hand() -> None:
    layer = _only(nn.Conv2d(3, 6, 3, stride=2, padding=1, groups=3), 9, 7)
    # 5 x 4 cells, 6 outputs, each from 9 taps on the one channel of its group.
    assert layer.output_size == (5, 4)
    assert layer.multiply_adds == 5 * 4 * 6 * 9
    assert layer.parameters == 6 * 9 + 6
    assert (layer.inputs, layer.outputs, layer.groups) == (3, 6, 3)


def _only(layer: nn.Conv2d, height: int, width: int) -> Convolution:
    (found,) = trace(on_meta(layer), height, width).convolutions
    return found


def test_a_layer_that_runs_at_two_scales_counts_twice() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Conv2d(3, 2, 1, bias=False)

        def forward(self, x: Tensor) -> Tensor:
            half = functional.interpolate(x, size=(x.shape[2] // 2, x.shape[3] // 2), mode="bilinear")
            small = functional.interpolate(self.layer(half), size=x.shape[2:], mode="bilinear")
            return torch.maximum(self.layer(x), small)

    counted = trace(Twice().to("meta"), 8, 12)
    assert counted.multiply_adds == (8 * 12 + 4 * 6) * 6
    assert counted.parameters == 6
    assert [layer.name for layer in counted.convolutions] == ["layer", "layer"]


# --- Atrous convolution -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("rate", "effective"), [(1, 3), (2, 5), (6, 13), (12, 25), (24, 49)])
def test_effective_kernel(rate: int, effective: int) -> None:
    layer = _only(nn.Conv2d(3, 1, 3, dilation=rate, padding=rate), 65, 65)
    assert layer.effective_kernel == (effective, effective)
    assert layer.is_atrous == (rate > 1)


def test_rates_of_a_resnet_at_output_stride_8_are_those_of_the_paper() -> None:
    inspection = inspect_profile(v3(), 513, 513)
    found = {(layer.name.partition(".")[0], layer.rate[0]): count for layer, count in inspection.atrous}
    assert found == {
        ("backbone", 2): 5 + 1,
        ("backbone", 4): 2,
        ("aspp", 12): 1,
        ("aspp", 24): 1,
        ("aspp", 36): 1,
    }
    assert inspection.trace.score_size == (65, 65)


def by_hand(length: int, kernel: int, rate: int, stride: int, padding: int) -> tuple[int, float]:
    taps = [
        [start + tap * rate - padding for tap in range(kernel)]
        for start in range(0, length + 2 * padding - (kernel - 1) * rate, stride)
    ]
    inside = [0 <= position < length for cell in taps for position in cell]
    return len(taps), sum(inside) / len(inside)


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("rate", [1, 2, 5, 12, 40])
@pytest.mark.parametrize(("length", "kernel"), [(33, 3), (12, 5), (65, 3), (1, 3)])
def test_share_of_valid_taps_agrees_with_counting_them(length: int, kernel: int, rate: int, stride: int) -> None:
    padding = (kernel - 1) // 2 * rate
    cells, share = by_hand(length, kernel, rate, stride, padding)
    assert valid_share(length, cells, kernel, rate, stride, padding) == pytest.approx(share)


def test_valid_taps_fall_to_the_middle_one_as_in_the_papers_figure() -> None:
    # DeepLabv3, figure 4: a 3x3 filter on a 65 x 65 feature map.
    shares = [
        _only(nn.Conv2d(3, 1, 3, dilation=rate, padding=rate), 65, 65).valid_taps for rate in (1, 12, 36, 64, 65, 96)
    ]
    assert shares == sorted(shares, reverse=True)
    assert shares[0] > 0.97
    assert shares[-1] == shares[-2] == pytest.approx(1 / 9)
    assert shares[-3] > 1 / 9


def test_a_rate_beyond_the_map_leaves_a_1x1_kernel() -> None:
    layer = _only(nn.Conv2d(3, 1, 3, dilation=36, padding=36), 33, 33)
    assert layer.degenerates
    assert layer.working_kernel == (1, 1)


def test_a_map_that_is_narrow_in_one_direction_leaves_a_line() -> None:
    layer = _only(nn.Conv2d(3, 1, 3, dilation=36, padding=36), 33, 50)
    assert layer.degenerates
    assert layer.working_kernel == (1, 3)


def test_a_kernel_with_all_its_taps_does_not_degenerate() -> None:
    layer = _only(nn.Conv2d(3, 1, 3, dilation=12, padding=12), 33, 50)
    assert not layer.degenerates
    assert layer.working_kernel == (3, 3)


def test_zeros_put_around_a_map_before_the_layer_are_no_valid_taps() -> None:
    padded = on_meta(nn.ZeroPad2d(36), nn.Conv2d(3, 1, 3, dilation=36))
    (layer,) = trace(padded, 33, 33).convolutions
    assert layer.map_size == (33, 33)
    assert layer.valid_taps == pytest.approx(1 / 9)
    assert layer.degenerates


def test_degenerate_rates_depend_on_the_size_of_the_image() -> None:
    assert inspect_profile(v3(), 513, 513).degenerate == []
    (layer, count), *_ = inspect_profile(v3(), 257, 257).degenerate
    assert (layer.name, layer.rate, count) == ("aspp.branches.3", (36, 36), 1)


# --- Receptive field --------------------------------------------------------------------------------------------------


def test_receptive_field_of_a_chain() -> None:
    layers = [nn.Conv2d(3, 4, 7, stride=2, padding=3), nn.MaxPool2d(3, 2, 1), nn.Conv2d(4, 4, 3, dilation=4, padding=4)]
    # 7; + 2 cells of 2 pixels; + 8 cells of 4 pixels.
    assert trace(on_meta(*layers), 64, 64).receptive_field == 7 + 2 * 2 + 8 * 4


def test_receptive_field_of_resnet50_counted_by_hand() -> None:
    stem = 7 + 2 * 2
    stage1 = 3 * 2 * 4
    stage2 = 2 * 4 + 3 * 2 * 8
    stage3 = 2 * 8 + 5 * 4 * 8
    stage4 = 4 * 8 + 2 * 8 * 8
    head = 2 * 36 * 8 + 2 * 8
    counted = inspect_profile(v3(), 520, 520).trace
    assert counted.receptive_field == stem + stage1 + stage2 + stage3 + stage4 + head == 1019
    assert counted.image_level


def test_receptive_field_is_what_a_gradient_reaches() -> None:
    network = nn.Sequential(
        nn.Conv2d(3, 4, 3, stride=2, padding=1),
        nn.Conv2d(4, 4, 3, dilation=3, padding=3),
        nn.Conv2d(4, 1, 3, padding=1),
    )
    image = torch.zeros(1, 3, 96, 96, requires_grad=True)
    network(image)[0, 0, 24, 24].backward()
    assert image.grad is not None
    reached = torch.nonzero(image.grad[0].abs().sum(0))
    side = int((reached.max(0).values - reached.min(0).values + 1).max())
    assert trace(network.to("meta"), 96, 96).receptive_field == side


def test_without_global_pooling_nothing_sees_the_whole_image() -> None:
    assert not trace(on_meta(nn.Conv2d(3, 1, 3)), 32, 32).image_level
    pooled = trace(on_meta(nn.Conv2d(3, 1, 3), nn.AdaptiveAvgPool2d(1), nn.Upsample((30, 30))), 32, 32)
    assert pooled.image_level


# --- Separable convolution --------------------------------------------------------------------------------------------


def test_a_separable_convolution_and_what_it_saves() -> None:
    with torch.device("meta"):
        layers = nn.Sequential(
            nn.Conv2d(3, 32, 1),
            nn.Conv2d(32, 32, 3, padding=6, dilation=6, groups=32),
            nn.BatchNorm2d(32),
            nn.ReLU(inplace=True),
            nn.Conv2d(32, 64, 1),
            nn.Conv2d(64, 8, 1),
        ).eval()
    (pair,) = trace(layers, 20, 30).separables
    cells = 20 * 30
    assert pair.depthwise.rate == (6, 6)
    assert pair.multiply_adds == cells * (32 * 9 + 32 * 64)
    assert pair.dense_multiply_adds == cells * 32 * 64 * 9


def test_every_inverted_residual_holds_a_separable_convolution() -> None:
    inspection = inspect_profile(v3("mobilenet_v3_large", 16), 520, 520)
    ((part, pairs),) = inspection.separable
    assert (part, len(pairs)) == ("backbone", 15)  # of squeeze-and-excite alike


def test_a_dense_network_has_none() -> None:
    assert inspect_profile(v3(), 128, 128).separable == []


# --- The rest ---------------------------------------------------------------------------------------------------------


def test_layers_that_are_alike_are_put_together() -> None:
    layers = inspect_profile(v3(), 513, 513).trace.convolutions
    groups = grouped(layers)
    assert sum(count for _, count in groups) == len(layers)
    assert sum(layer.multiply_adds for layer, _ in groups) == sum(layer.multiply_adds for layer in layers)


@pytest.mark.parametrize(
    ("names", "common"),
    [
        (["backbone.stages.3.1.conv2", "backbone.stages.3.2.conv2"], "backbone.stages.3"),
        (["aspp.branches.1"], "aspp.branches.1"),
        (["head", "classifier"], "head"),
        (["backbone.stages.1", "backbone.stages.10"], "backbone.stages"),
    ],
)
def test_common_name(names: list[str], common: str) -> None:
    assert common_name(names) == common


def test_an_input_the_network_cannot_take_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot take an input of 2 x 2 pixels"):
        trace(on_meta(nn.Conv2d(3, 1, 5)), 2, 2)


def test_the_network_is_left_without_hooks() -> None:
    network = on_meta(nn.Conv2d(3, 1, 3))
    trace(network, 16, 16)
    assert not network[0]._forward_pre_hooks  # type: ignore[index]
    assert not network[0]._forward_hooks  # type: ignore[index]
