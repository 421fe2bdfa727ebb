from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from deeplab_studio.checkpoints import load_checkpoint
from deeplab_studio.core.metrics import ConfusionMatrix
from deeplab_studio.crf import CrfParams, find_preset
from deeplab_studio.engine import Predictor, segment_image
from tests.fixture_checkpoints import ZOO_FILE, tiny_model


def voc_sample(shared: Path, count: int) -> list[tuple[np.ndarray, np.ndarray]]:
    root = shared / "data" / "voc"
    names = (root / "ImageSets/Segmentation/val.txt").read_text().split()
    chosen = names[:: len(names) // count][:count]
    return [
        (
            np.asarray(Image.open(root / "JPEGImages" / f"{name}.jpg").convert("RGB")),
            np.asarray(Image.open(root / "SegmentationClass" / f"{name}.png")),
        )
        for name in chosen
    ]


@pytest.fixture(scope="module")
def zoo(shared: Path) -> Predictor:
    return Predictor(load_checkpoint(shared / ZOO_FILE), "cpu")


def test_the_real_model_segments_real_photos(shared: Path, zoo: Predictor) -> None:
    matrix = ConfusionMatrix(21)
    for image, truth in voc_sample(shared, 12):
        matrix.add(truth, segment_image(zoo, image))
    assert matrix.miou() > 0.6
    assert matrix.pixel_accuracy() > 0.9


def test_the_crf_changes_few_pixels_of_a_real_photo(shared: Path, zoo: Predictor) -> None:
    preset = find_preset("v2-resnet101")
    assert preset is not None
    ((image, _),) = voc_sample(shared, 1)
    without = segment_image(zoo, image)
    refined = segment_image(zoo, image, preset.params)
    changed = np.mean(without != refined)
    assert 0 < changed < 0.2


def test_without_iterations_the_crf_leaves_the_class_map() -> None:
    image = np.random.default_rng(0).integers(0, 256, (60, 80, 3)).astype(np.uint8)
    predictor = Predictor(tiny_model(), "cpu")
    np.testing.assert_array_equal(
        segment_image(predictor, image, CrfParams(iterations=0)), segment_image(predictor, image)
    )
