"""Checkpoint files and models for tests: rebuilt from the parity fixtures, random in a peer's layout, or tiny."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import nn

from deeplab_studio.checkpoints import LoadedModel, Preprocessing
from deeplab_studio.checkpoints.dialects import tensorflow_zoo
from deeplab_studio.checkpoints.model import FileHash
from deeplab_studio.core.labels import LabelSet
from deeplab_studio.networks.deeplab import DeepLab
from deeplab_studio.networks.profile import AsppProfile, BackboneProfile, Profile

TORCHVISION = ("tv_v3_mobilenet_v3_large", "tv_v3_resnet50", "tv_v3_resnet101")
ZOO_FILE = "data/weights/deeplabv3_mnv2_1.0_voc_trainaug_fp16.npz"


def recipe(shared: Path) -> ModuleType:
    """The module that rebuilds the fixtures' checkpoints."""
    spec = importlib.util.spec_from_file_location("fixture_recipe", shared / "fixtures" / "recipe.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def write_fixture(shared: Path, name: str, out: Path) -> Path:
    """The checkpoint of a parity fixture in its peer's own format."""
    recipe(shared).write_checkpoint(str(shared / "fixtures" / name), str(out))
    return out


def fixture_image(shared: Path, name: str) -> npt.NDArray[np.uint8]:
    return np.asarray(Image.open(shared / "fixtures" / name / "input.png").convert("RGB"))


def torchvision_network(name: str = "mobilenet_v3_large", classes: int = 21, *, aux: bool = True) -> nn.Module:
    """torchvision's own network with random weights and normalisation statistics, in eval mode."""
    from torchvision.models import segmentation

    build = getattr(segmentation, f"deeplabv3_{name}")
    network = build(weights=None, weights_backbone=None, num_classes=classes, aux_loss=aux).eval()
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.1)
                module.running_var.uniform_(0.5, 1.5)
                module.weight.uniform_(0.5, 1.5)
                module.bias.normal_(0, 0.1)
    return network


def write_zoo(out: Path, classes: int = 21, seed: int = 0) -> Path:
    """Random weights in the layout of the TensorFlow model zoo's MobileNetV2 DeepLabv3."""
    blueprint = tensorflow_zoo.plan({"logits/semantic/Conv2D/weight": torch.empty(classes, 256, 1, 1)}, None)
    with torch.device("meta"):
        network = DeepLab(blueprint.profile)
    generator = np.random.default_rng(seed)
    arrays = {}
    for name, slot in network.state_dict().items():
        module, _, kind = name.rpartition(".")
        fan_in = max(1, slot[0].numel())
        scale = np.sqrt(2 / fan_in) if kind == "weight" else 0.1
        values = generator.normal(0, scale, tuple(slot.shape)).astype(np.float16)
        arrays[f"{blueprint.names[module]}/{kind}"] = values
    np.savez(out, **arrays)
    return out


def tiny_profile(classes: int = 3, *, align_corners: bool = False, padding: str = "symmetric") -> Profile:
    return Profile(
        version="v3",
        backbone=BackboneProfile(name="mobilenet_v2", output_stride=8, padding=padding),  # type: ignore[arg-type]
        aspp=AsppProfile(rates=()),
        num_classes=classes,
        head_conv=False,
        align_corners=align_corners,
    )


class TinyNetwork(nn.Module):
    """Three convolutions of stride 2: output stride 8, a receptive field of 15 pixels, nothing global."""

    def __init__(self, classes: int = 3, seed: int = 0) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        layers: list[nn.Module] = []
        channels = 3
        for width in (8, 8, classes):
            layer = nn.Conv2d(channels, width, 3, stride=2, padding=1)
            with torch.no_grad():
                layer.weight.normal_(0, (2 / (9 * channels)) ** 0.5, generator=generator)
                layer.bias.normal_(0, 0.1, generator=generator)
            layers += [layer, nn.ReLU()]
            channels = width
        self.layers = nn.Sequential(*layers[:-1])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.layers(x)
        return result


def tiny_model(
    network: nn.Module | None = None,
    *,
    classes: int = 3,
    preprocessing: Preprocessing | None = None,
    align_corners: bool = False,
    padding: str = "symmetric",
) -> LoadedModel:
    """A model with a small network and, unless told otherwise, no resizing."""
    return LoadedModel(
        network=network or TinyNetwork(classes),
        profile=tiny_profile(classes, align_corners=align_corners, padding=padding),
        preprocessing=preprocessing or Preprocessing(divisor=255.0, mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25)),
        classes=LabelSet.from_names(f"class {i}" for i in range(classes)),
        dialect="test",
        title="tiny test network",
        path=Path("tiny.pth"),
        file_hash=FileHash("0" * 64),
    )
