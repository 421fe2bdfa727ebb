from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from deeplab_studio.networks.deeplab import DeepLab
from deeplab_studio.networks.profile import Version
from deeplab_studio.networks.starter import STARTER_VERSIONS, starter_profile
from deeplab_studio.training.joint import JointNetwork, initialise

CLASSES = 3


def joint(*versions: Version) -> JointNetwork:
    torch.manual_seed(0)
    network = JointNetwork([starter_profile(version, CLASSES) for version in versions])
    initialise(network)
    return network


def photo() -> torch.Tensor:
    return torch.randn(2, 3, 65, 65, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("version", STARTER_VERSIONS)
def test_each_version_becomes_a_model_of_its_own_with_the_same_scores(version: Version) -> None:
    together = joint(*STARTER_VERSIONS).eval()
    alone = DeepLab(starter_profile(version, CLASSES)).eval()
    alone.load_state_dict(together.state_of(version, together.state_dict()))
    with torch.no_grad():
        torch.testing.assert_close(alone(photo()), together(photo()).logits[version])


def test_the_encoder_is_there_once() -> None:
    together = joint(*STARTER_VERSIONS)
    names = [name for name, _ in together.named_parameters() if "stem" in name]
    assert names
    assert all(name.startswith("backbone.") for name in names)


def test_the_encoder_gets_the_mean_of_the_heads_gradients_and_each_head_its_own() -> None:
    together = joint("v2", "v3").eval()

    def gradients(*versions: Version) -> tuple[torch.Tensor, torch.Tensor]:
        together.zero_grad()
        logits = together(photo()).logits
        torch.stack([logits[version].square().sum() for version in versions]).sum().backward()
        encoder = next(together.backbone.parameters()).grad
        head = next(together.heads["v2"].parameters()).grad
        assert encoder is not None
        return encoder.clone(), torch.zeros(1) if head is None else head.clone()

    both, head = gradients("v2", "v3")
    first, own = gradients("v2")
    second, _ = gradients("v3")
    torch.testing.assert_close(both, first + second, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(head, own)
    alone = joint("v2").eval()
    alone.load_state_dict(together.state_dict(), strict=False)
    alone(photo()).logits["v2"].square().sum().backward()
    encoder = next(alone.backbone.parameters()).grad
    assert encoder is not None
    torch.testing.assert_close(first, encoder / 2, rtol=1e-3, atol=1e-4)


def test_the_encoder_alone_gives_features_and_no_scores() -> None:
    out = joint("v3+")(photo(), heads=False)
    assert out.features.shape == (2, 224, 5, 5)
    assert not out.logits


def test_different_encoders_are_refused() -> None:
    first, second = starter_profile("v2", CLASSES), starter_profile("v3", CLASSES)
    second = replace(second, backbone=replace(second.backbone, multi_grid=()))
    with pytest.raises(ValueError, match="one encoder"):
        JointNetwork([first, second])


def test_at_first_all_classes_are_alike_and_nothing_explodes() -> None:
    with torch.no_grad():
        for logits in joint(*STARTER_VERSIONS)(photo()).logits.values():
            assert torch.softmax(logits, 1).max() < 0.9
            assert torch.isfinite(logits).all()


def test_every_residual_block_starts_as_its_shortcut() -> None:
    network = joint("v3")
    zero = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d) and not m.weight.any()]
    assert len(zero) == sum(type(m).__name__ == "BasicBlock" for m in network.modules())
