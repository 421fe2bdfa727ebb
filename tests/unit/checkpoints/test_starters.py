from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from deeplab_studio.checkpoints import load_checkpoint
from deeplab_studio.checkpoints.model import FileHash, LoadedModel, Preprocessing, SizeRule
from deeplab_studio.checkpoints.native import Provenance, save_native
from deeplab_studio.core.labels import VOC_LABELS
from deeplab_studio.engine import Predictor
from deeplab_studio.networks.deeplab import DeepLab
from deeplab_studio.networks.profile import Version
from deeplab_studio.networks.starter import STARTER_VERSIONS, starter_profile

PREPROCESSING = Preprocessing(
    divisor=255.0, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225), size=SizeRule("longer", 385)
)


def drawn_model(version: Version, output_stride: int = 16) -> LoadedModel:
    """A starter model that has learnt nothing."""
    profile = starter_profile(version, len(VOC_LABELS), output_stride)
    return LoadedModel(
        network=DeepLab(profile).eval(),
        profile=profile,
        preprocessing=PREPROCESSING,
        classes=VOC_LABELS,
        dialect="deeplab-studio",
        title=f"Starter {version}",
        path=Path("nowhere"),
        file_hash=FileHash(""),
    )


@pytest.mark.parametrize("version", STARTER_VERSIONS)
@pytest.mark.parametrize("output_stride", [8, 16])
def test_a_saved_model_predicts_as_before(version: Version, output_stride: int, tmp_path: Path) -> None:
    model = drawn_model(version, output_stride)
    save_native(model, tmp_path / "starter.safetensors", provenance=Provenance())
    loaded = load_checkpoint(tmp_path / "starter.safetensors")
    assert loaded.profile == model.profile
    assert loaded.preprocessing == PREPROCESSING
    photo = np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8)
    scores = Predictor(loaded, device="cpu").predict(photo)
    stride = model.profile.score_stride
    # 384 x 288, and the row and column that make it 32 k + 1.
    assert scores.logits.shape == (21, 288 // stride + 1, 384 // stride + 1)
    assert np.isfinite(scores.logits).all()
