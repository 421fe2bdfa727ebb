from __future__ import annotations

import argparse
import hashlib
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from deeplab_studio.checkpoints import CheckpointError, load_checkpoint
from deeplab_studio.core.labels import VOC_LABELS
from deeplab_studio.engine import Predictor
from deeplab_studio.engine.preprocess import resize, shown_size
from tests.fixture_checkpoints import (
    TORCHVISION,
    ZOO_FILE,
    fixture_image,
    torchvision_network,
    write_zoo,
)


def test_published_size_rule_of_torchvision_is_applied(shared: Path) -> None:
    from deeplab_studio.checkpoints.dialects.torchvision import PREPROCESSING

    image = fixture_image(shared, TORCHVISION[0])
    shown = shown_size(PREPROCESSING.size, *image.shape[:2])
    assert shown == (520, 692)
    assert resize(image, *shown, PREPROCESSING.size).shape == (520, 692, 3)


def test_zoo_file_is_recognised(shared: Path) -> None:
    model = load_checkpoint(shared / ZOO_FILE)
    assert (model.dialect, model.version, model.classes) == ("tensorflow-zoo", "v3", VOC_LABELS)
    assert model.profile.output_stride == 8
    assert next(model.network.parameters()).dtype == torch.float32


@pytest.fixture(scope="module")
def state() -> OrderedDict[str, torch.Tensor]:
    torch.manual_seed(0)
    return OrderedDict(torchvision_network().state_dict())


@pytest.fixture(scope="module")
def reference(state: OrderedDict[str, torch.Tensor], tmp_path_factory: pytest.TempPathFactory) -> np.ndarray:
    path = tmp_path_factory.mktemp("reference") / "bare.pth"
    torch.save(state, path)
    return logits_of(path)


def logits_of(path: Path, **options: Any) -> np.ndarray:
    image = np.random.default_rng(0).integers(0, 256, (65, 65, 3), np.uint8)
    return Predictor(load_checkpoint(path, **options), "cpu").native_logits(image)


def prefixed(state: OrderedDict[str, torch.Tensor], prefix: str) -> OrderedDict[str, torch.Tensor]:
    return OrderedDict((prefix + name, tensor) for name, tensor in state.items())


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: prefixed(state, "module."),
        lambda state: prefixed(state, "_orig_mod.module."),
        lambda state: {"state_dict": prefixed(state, "model."), "epoch": 3},
        lambda state: {
            "model": state,
            "optimizer": {"state": {0: {"momentum_buffer": torch.zeros(3)}}, "param_groups": [{"lr": 0.1}]},
            "lr_scheduler": {"last_epoch": 3},
            "epoch": 3,
            "args": argparse.Namespace(lr=0.1, model="deeplabv3"),
        },
        lambda state: {"state_dict": state, "best_pred": np.float64(0.7), "epoch": 1},
        lambda state: {name: tensor for name, tensor in state.items() if not name.startswith("aux_classifier")},
        lambda state: {name: tensor for name, tensor in state.items() if not name.endswith("num_batches_tracked")},
    ],
    ids=["module", "compiled", "lightning", "torchvision training", "best score", "without aux", "without counters"],
)
def test_wrapped_files_give_the_same_scores(
    tmp_path: Path, state: OrderedDict[str, torch.Tensor], reference: np.ndarray, wrap: Any
) -> None:
    torch.save(wrap(state), tmp_path / "wrapped.tar")
    np.testing.assert_array_equal(logits_of(tmp_path / "wrapped.tar"), reference)


def test_files_from_before_torch_1_6_load(
    tmp_path: Path, state: OrderedDict[str, torch.Tensor], reference: np.ndarray
) -> None:
    torch.save(state, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    np.testing.assert_array_equal(logits_of(tmp_path / "old.pth"), reference)


def test_half_precision_weights_become_float32(
    tmp_path: Path, state: OrderedDict[str, torch.Tensor], reference: np.ndarray
) -> None:
    torch.save({name: t.half() if t.is_floating_point() else t for name, t in state.items()}, tmp_path / "half.pth")
    assert logits_of(tmp_path / "half.pth").dtype == np.float32
    np.testing.assert_allclose(logits_of(tmp_path / "half.pth"), reference, atol=0.05 * np.abs(reference).max())


def test_the_name_of_the_file_does_not_matter(tmp_path: Path, state: OrderedDict[str, torch.Tensor]) -> None:
    path = tmp_path / "Übung 名前.jpg"
    torch.save(state, path)
    assert load_checkpoint(path).title == "DeepLabv3 MobileNetV3-Large (torchvision)"


@pytest.mark.parametrize("classes", [1, 2, 91, 255])
def test_fine_tunes_with_other_class_counts_load(tmp_path: Path, classes: int) -> None:
    torch.save(torchvision_network(classes=classes, aux=False).state_dict(), tmp_path / "mine.pth")
    model = load_checkpoint(tmp_path / "mine.pth")
    assert model.classes.names == tuple(f"class {i}" for i in range(classes))
    assert logits_of(tmp_path / "mine.pth").shape[0] == classes


def test_zoo_fine_tunes_with_other_class_counts_load(tmp_path: Path) -> None:
    model = load_checkpoint(write_zoo(tmp_path / "mine.npz", classes=4))
    assert model.classes.names == ("class 0", "class 1", "class 2", "class 3")


def test_more_classes_than_a_class_map_holds_are_refused(tmp_path: Path) -> None:
    torch.save(torchvision_network(classes=256, aux=False).state_dict(), tmp_path / "many.pth")
    with pytest.raises(CheckpointError, match="256 classes"):
        load_checkpoint(tmp_path / "many.pth")


def test_a_model_is_identified_by_name_and_hash(tmp_path: Path) -> None:
    path = write_zoo(tmp_path / "mine.npz")
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    model = load_checkpoint(path)
    assert (model.sha256, model.model_id) == (sha256, f"mine-{sha256[:8]}")
    named = path.rename(tmp_path / f"mine-{sha256[:8]}.npz")
    assert load_checkpoint(named).model_id == f"mine-{sha256[:8]}"


@pytest.mark.parametrize("compressed", [(), ("data.pkl", "data/0")], ids=["stored", "deflated"])
def test_an_archive_somebody_packed_anew_gives_the_same_scores(
    state: OrderedDict[str, torch.Tensor], reference: np.ndarray, tmp_path: Path, compressed: tuple[str, ...]
) -> None:
    torch.save(state, tmp_path / "as-saved.pth")
    path = tmp_path / "packed.pth"
    with zipfile.ZipFile(tmp_path / "as-saved.pth") as old, zipfile.ZipFile(path, "w") as new:
        for member in old.infolist():
            kind = zipfile.ZIP_DEFLATED if member.filename.endswith(compressed) else zipfile.ZIP_STORED
            new.writestr(member.filename, old.read(member), kind)
    np.testing.assert_array_equal(logits_of(path), reference)


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_model_outlives_what_happens_to_its_file(
    state: OrderedDict[str, torch.Tensor], tmp_path: Path, suffix: str
) -> None:
    path = tmp_path / f"model{suffix}"
    save_file(state, path) if suffix == ".safetensors" else torch.save(state, path)
    model = load_checkpoint(path)
    assert len(model.sha256) == 64
    with path.open("r+b") as file:
        file.write(bytes(path.stat().st_size))
    now = model.network.state_dict()
    assert torch.equal(now["backbone.stem.conv.weight"], state["backbone.0.0.weight"])
    assert all(tensor.any() for name, tensor in now.items() if name.endswith("conv.weight"))


def test_output_stride_is_a_choice_where_the_weights_leave_it_open(tmp_path: Path) -> None:
    path = tmp_path / "resnet.pth"
    torch.save(torchvision_network("resnet50", classes=2, aux=False).state_dict(), path)
    assert logits_of(path).shape == (2, 9, 9)
    assert logits_of(path, output_stride=16).shape == (2, 5, 5)
    assert load_checkpoint(path, output_stride=16).profile.aspp.rates == (6, 12, 18)
    with pytest.raises(CheckpointError, match="no output stride 4"):
        load_checkpoint(path, output_stride=4)
