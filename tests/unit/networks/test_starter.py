from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn import functional

from deeplab_studio.networks.deeplab import DeepLab
from deeplab_studio.networks.inference import for_inference
from deeplab_studio.networks.inspection import inspect_profile
from deeplab_studio.networks.profile import BackboneProfile, Profile, Version
from deeplab_studio.networks.starter import (
    STARTER_VERSIONS,
    at_output_stride,
    network_at_output_stride,
    starter_profile,
)

PARAMETERS = {"v1": 3_793_525, "v2": 3_375_412, "v3": 4_123_637, "v3+": 3_488_837}


def drawn(version: Version, output_stride: int = 16) -> DeepLab:
    """A network whose normalisation has statistics worth the name."""
    network = DeepLab(starter_profile(version, 21, output_stride)).eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None
            assert module.running_var is not None
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    return network


@pytest.mark.parametrize("version", STARTER_VERSIONS)
def test_the_encoder_has_the_same_tensors_in_all_four(version: Version) -> None:
    def encoder(each: Version) -> dict[str, torch.Size]:
        with torch.device("meta"):
            backbone = DeepLab(starter_profile(each, 21)).backbone
        return {name: tensor.shape for name, tensor in backbone.state_dict().items()}

    assert encoder(version) == encoder("v1")


@pytest.mark.parametrize("version", STARTER_VERSIONS)
def test_the_number_of_parameters(version: Version) -> None:
    assert inspect_profile(starter_profile(version, 21), 320, 320).trace.parameters == PARAMETERS[version]


@pytest.mark.parametrize("version", STARTER_VERSIONS)
@pytest.mark.parametrize("output_stride", [8, 16])
@pytest.mark.parametrize(("height", "width"), [(64, 96), (65, 97), (1, 1)])
def test_scores_have_the_size_the_stride_says(version: Version, output_stride: int, height: int, width: int) -> None:
    profile = starter_profile(version, 5, output_stride)
    with torch.inference_mode():
        scores = DeepLab(profile).eval()(torch.zeros(1, 3, height, width))
    stride = 4 if version == "v3+" else output_stride
    assert profile.score_stride == stride
    assert scores.shape == (1, 5, -(-height // stride), -(-width // stride))


@pytest.mark.parametrize(
    ("version", "rates"), [("v1", (12,)), ("v2", (6, 12, 18, 24)), ("v3", (12, 24, 36)), ("v3+", (12, 24, 36))]
)
def test_the_rates_are_those_of_the_papers(version: Version, rates: tuple[int, ...]) -> None:
    dense = inspect_profile(starter_profile(version, 21, 8), 513, 513)
    assert starter_profile(version, 21, 8).aspp.rates == rates
    assert starter_profile(version, 21, 16).aspp.rates == tuple(rate // 2 for rate in rates)
    threes = [layer for layer in dense.trace.convolutions if layer.kernel == (3, 3)]
    assert tuple(layer.rate[0] for layer in threes if layer.name.startswith("aspp")) == rates
    assert [layer.rate[0] for layer in threes if "stages.2" in layer.name] == [1, 2, 2, 2, 4, 4]
    assert dense.trace.image_level == (version in ("v3", "v3+"))


@pytest.mark.parametrize("version", STARTER_VERSIONS)
def test_a_cell_sees_as_much_of_the_photo_at_either_stride(version: Version) -> None:
    fields = [
        inspect_profile(starter_profile(version, 21, stride), 513, 513).trace.receptive_field for stride in (8, 16)
    ]
    # Behind a decoder, bilinear interpolation between larger cells adds a cell.
    assert fields[1] - fields[0] == (8 if version == "v3+" else 0)
    assert fields[0] == {"v1": 519, "v2": 711, "v3": 903, "v3+": 927}[version]


@pytest.mark.parametrize("version", STARTER_VERSIONS)
def test_the_same_weights_work_at_both_strides(version: Version) -> None:
    coarse = drawn(version)
    fine = network_at_output_stride(coarse, 8)
    assert fine.profile == starter_profile(version, 21, 8)
    assert not fine.training
    assert all(a.data_ptr() == b.data_ptr() for a, b in zip(coarse.parameters(), fine.parameters(), strict=True))
    x = torch.randn(1, 3, 161, 225)
    with torch.inference_mode():
        torch.testing.assert_close(fine.backbone(x)[0][:, :, ::2, ::2], coarse.backbone(x)[0], atol=1e-4, rtol=1e-4)
        if version in ("v1", "v2"):
            torch.testing.assert_close(fine(x)[:, :, ::2, ::2], coarse(x), atol=1e-4, rtol=1e-4)


def test_a_network_in_training_stays_so_at_the_other_stride() -> None:
    network = DeepLab(starter_profile("v3", 3)).train()
    other = network_at_output_stride(network, 8)
    assert other.training
    functional.cross_entropy(other(torch.randn(2, 3, 33, 33)), torch.zeros(2, 5, 5, dtype=torch.long)).backward()
    assert network.backbone.stem.conv.weight.grad is not None


@pytest.mark.parametrize("stride", [4, 12, 32])
def test_another_output_stride_is_refused(stride: int) -> None:
    with pytest.raises(ValueError, match=f"no output stride {stride}"):
        starter_profile("v2", 21, stride)


def test_a_rate_that_cannot_be_halved_is_refused() -> None:
    dense = starter_profile("v2", 21, 8)
    with pytest.raises(ValueError, match="no counterpart"):
        at_output_stride(replace(dense, aspp=replace(dense.aspp, rates=(7,))), 16)


def test_another_encoder_is_refused() -> None:
    profile = starter_profile("v3", 21)
    resnet = Profile(
        version="v3",
        backbone=BackboneProfile(name="resnet50", output_stride=16),
        aspp=profile.aspp,
        num_classes=21,
        head_conv=False,
    )
    with pytest.raises(ValueError, match="resnet50"):
        at_output_stride(resnet, 8)


@pytest.mark.parametrize("version", STARTER_VERSIONS)
def test_a_training_step_in_bfloat16_and_channels_last(version: Version) -> None:
    network = DeepLab(starter_profile(version, 21)).train().to(memory_format=torch.channels_last)
    x = torch.randn(2, 3, 96, 96).to(memory_format=torch.channels_last)
    with torch.autocast("cpu", torch.bfloat16):
        scores = network(x)
    target = torch.randint(0, 21, (2, *scores.shape[2:]))
    functional.cross_entropy(scores.float(), target).backward()
    without = [name for name, each in network.named_parameters() if each.grad is None or not each.grad.isfinite().all()]
    assert without == []


@pytest.mark.parametrize("version", ["v1", "v3"])
def test_dropout_acts_in_training_alone(version: Version) -> None:
    network = drawn(version)
    x = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(network(x), network(x))
        head = network.aspp.train()
        features = network.backbone(x)[0]
        assert not torch.equal(head(features), head(features))


@pytest.mark.parametrize("version", STARTER_VERSIONS)
def test_folding_keeps_the_scores(version: Version) -> None:
    network = drawn(version, 8)
    x = torch.randn(1, 3, 64, 96)
    with torch.inference_mode():
        expected = network(x)
        torch.testing.assert_close(
            for_inference(network)(x), expected, atol=1e-4 * float(expected.std()) + 1e-4, rtol=1e-3
        )


def test_all_four_fit_into_32_megabytes_as_float16() -> None:
    assert 2 * sum(PARAMETERS.values()) < 30e6
