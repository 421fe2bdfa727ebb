from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from deeplab_studio.checkpoints import load_checkpoint
from deeplab_studio.networks.inference import for_inference
from tests.fixture_checkpoints import ZOO_FILE, torchvision_network, write_zoo


@pytest.mark.parametrize("name", ["mobilenet_v3_large", "resnet50"])
def test_scores_equal_those_of_torchvision(name: str, tmp_path: Path) -> None:
    peer = torchvision_network(name)
    torch.save(peer.state_dict(), tmp_path / "peer.pth")
    ours = load_checkpoint(tmp_path / "peer.pth").network
    for height, width in ((65, 97), (64, 96), (70, 51)):
        x = torch.randn(1, 3, height, width)
        with torch.inference_mode():
            expected = peer.classifier(peer.backbone(x)["out"])
            scale = expected.std()
            torch.testing.assert_close(ours(x) / scale, expected / scale, atol=1e-4, rtol=0)
            torch.testing.assert_close(for_inference(ours)(x) / scale, expected / scale, atol=1e-4, rtol=0)


def test_the_inference_copy_leaves_the_original_as_it_is(tmp_path: Path) -> None:
    torch.save(torchvision_network().state_dict(), tmp_path / "peer.pth")
    network = load_checkpoint(tmp_path / "peer.pth").network
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    frozen = for_inference(network)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in frozen.modules())
    assert not any(parameter.requires_grad for parameter in frozen.parameters())
    assert all(parameter.requires_grad for parameter in network.parameters())
    after = network.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    first = network.backbone.stem.conv.weight
    assert first.is_contiguous()


def test_the_zoo_network_has_the_published_number_of_parameters(tmp_path: Path) -> None:
    network = load_checkpoint(write_zoo(tmp_path / "zoo.npz")).network
    assert sum(parameter.numel() for parameter in network.parameters()) == 2_097_013


@pytest.mark.parametrize(("output_stride", "cells"), [(8, 9), (16, 5)])
def test_the_zoo_network_runs_at_both_output_strides(tmp_path: Path, output_stride: int, cells: int) -> None:
    model = load_checkpoint(write_zoo(tmp_path / "zoo.npz"), output_stride=output_stride)
    with torch.inference_mode():
        assert model.network(torch.zeros(1, 3, 65, 65)).shape == (1, 21, cells, cells)


def test_the_zoo_network_has_the_layers_of_its_graph(shared: Path) -> None:
    graph = json.loads((shared / "data/weights/mnv2_deeplabv3_graph.json").read_text())
    network = load_checkpoint(shared / ZOO_FILE).network
    published = [
        (int(a["output"]), int(a["kernel"][0]), int(a["strides"][0]), int(a["dilations"][0]), int(a["group"]))
        for a in (node["attrs"] for node in graph if node["type"] == "Convolution")
    ]
    ours = [
        (c.out_channels, c.kernel_size[0], c.stride[0], c.dilation[0], c.groups)
        for c in network.modules()
        if isinstance(c, nn.Conv2d)
    ]
    assert sorted(ours) == sorted(published)
    backbone = sum(isinstance(c, nn.Conv2d) for c in network.backbone.modules())
    assert ours[:backbone] == published[:backbone]
