"""Every published implementation's own numbers, and its own file, through the program."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from benchmarks.parity import differences, peers, recipe
from deeplab_studio.checkpoints import load_checkpoint
from deeplab_studio.core.labels import VOC_LABELS
from deeplab_studio.engine.preprocess import normalise
from tests.fixture_checkpoints import fixture_image

KNOWN = {
    "bubbliiiing_v3plus_mobilenet": ("bubbliiiing", "v3+"),
    "bubbliiiing_v3plus_xception": ("bubbliiiing", "v3+"),
    "chenxi_v3_resnet50": ("chenxi116", "v3"),
    "jfzhang_v3plus_drn": ("jfzhang95", "v3+"),
    "jfzhang_v3plus_mobilenet": ("jfzhang95", "v3+"),
    "jfzhang_v3plus_resnet": ("jfzhang95", "v3+"),
    "jfzhang_v3plus_xception": ("jfzhang95", "v3+"),
    "kazuto_v2_resnet101_msc": ("kazuto1011", "v2"),
    "mmseg_v3_r50-d8": ("mmseg", "v3"),
    "mmseg_v3plus_r50-d8": ("mmseg", "v3+"),
    "segmentron_v3plus_xception65": ("segmentron", "v3+"),
    "tv_v3_mobilenet_v3_large": ("torchvision", "v3"),
    "tv_v3_resnet101": ("torchvision", "v3"),
    "tv_v3_resnet50": ("torchvision", "v3"),
    "vainf_v3_mobilenet": ("vainf", "v3"),
    "vainf_v3_resnet50": ("vainf", "v3"),
    "vainf_v3plus_mobilenet": ("vainf", "v3+"),
    "vainf_v3plus_mobilenet_sepconv": ("vainf", "v3+"),
    "vainf_v3plus_resnet101": ("vainf", "v3+"),
    "vainf_v3plus_resnet50": ("vainf", "v3+"),
    "wanglei_v1_vgg16_largefov": ("wangleihitcs", "v1"),
}


@pytest.fixture(scope="module")
def fixtures(shared: Path) -> Path:
    return shared / "fixtures"


@pytest.fixture(scope="module", params=KNOWN)
def rebuilt(request: pytest.FixtureRequest, fixtures: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """One implementation's checkpoint, with the optimizer's buffers that published files carry."""
    name = request.param
    path = tmp_path_factory.mktemp("parity") / f"{name}.pth"
    recipe(fixtures).write_checkpoint(str(fixtures / name), str(path), momentum="mobilenet" in name)
    yield path
    path.unlink()


def test_every_fixture_is_tested(fixtures: Path) -> None:
    assert peers(fixtures) == sorted(KNOWN)


@pytest.mark.slow
def test_all_arrays_equal_those_of_the_authors_code(rebuilt: Path, fixtures: Path) -> None:
    found = list(differences(fixtures / rebuilt.stem, rebuilt))
    assert {one.array for one in found} >= {"native", "upsampled_s9", "labels"}
    assert [one for one in found if one.value > one.allowed] == []


@pytest.mark.slow
def test_dialect_version_classes_and_input_are_the_authors(rebuilt: Path, fixtures: Path) -> None:
    model = load_checkpoint(rebuilt)
    assert (model.dialect, model.version, model.classes) == (*KNOWN[rebuilt.stem], VOC_LABELS)
    meta = json.loads((fixtures / rebuilt.stem / "meta.json").read_text())
    image = fixture_image(fixtures.parent, rebuilt.stem)
    fed = np.ascontiguousarray(normalise(image, model.preprocessing, *image.shape[:2]).transpose(2, 0, 1))
    if hashlib.sha256(fed.tobytes()).hexdigest() != meta["input"]["tensor"]["sha256"]:
        # The same numbers, another order of the same operations.
        tensor = meta["input"]["tensor"]
        assert [fed.mean(dtype=np.float64), fed.std(dtype=np.float64), fed.min(), fed.max()] == pytest.approx(
            [tensor[key] for key in ("mean", "std", "min", "max")], rel=1e-6, abs=1e-6
        )
