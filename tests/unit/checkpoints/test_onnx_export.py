from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from deeplab_studio.checkpoints import LoadedModel, load_checkpoint
from deeplab_studio.checkpoints.native import METADATA_KEY, Header
from deeplab_studio.checkpoints.onnx_export import TOLERANCE, export_onnx
from deeplab_studio.core.errors import StudioError
from tests.fixture_checkpoints import fixture_image, tiny_model, torchvision_network, write_fixture, write_zoo


def run(path: Path, image: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (logits,) = session.run(None, {"image": image})
    result: np.ndarray = logits
    return result


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(1).normal(size=(1, 3, height, width)).astype(np.float32)


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[LoadedModel, Path]:
    folder = tmp_path_factory.mktemp("exported")
    torch.save(torchvision_network(classes=4).state_dict(), folder / "mine.pth")
    model = load_checkpoint(folder / "mine.pth").with_class_names(["background", "cat", "개", "dog"])
    export_onnx(model, folder / "mine.onnx")
    return model, folder / "mine.onnx"


@pytest.mark.parametrize(("height", "width"), [(96, 128), (224, 321), (481, 97)])
def test_logits_are_torchs_at_sizes_it_was_not_traced_with(
    exported: tuple[LoadedModel, Path], height: int, width: int
) -> None:
    model, path = exported
    image = noise(height, width)
    with torch.inference_mode():
        expected = model.network(torch.from_numpy(image)).numpy()
    np.testing.assert_allclose(run(path, image), expected, atol=TOLERANCE, rtol=0)


def test_metadata_say_what_is_needed_to_use_it(exported: tuple[LoadedModel, Path]) -> None:
    model, path = exported
    proto = onnx.load(path)
    onnx.checker.check_model(proto, full_check=True)
    texts = {entry.key: entry.value for entry in proto.metadata_props}
    assert json.loads(texts["classes"]) == ["background", "cat", "개", "dog"]
    assert json.loads(texts["preprocessing"])["mean"] == list(model.preprocessing.mean)
    header = Header.parse(texts[METADATA_KEY])
    assert header.profile == model.profile
    assert header.provenance.sha256 == model.sha256


def test_it_is_one_file_with_normalisation_folded(exported: tuple[LoadedModel, Path]) -> None:
    _, path = exported
    assert sorted(each.name for each in path.parent.iterdir()) == ["mine.onnx", "mine.pth"]
    assert "BatchNormalization" not in {node.op_type for node in onnx.load(path).graph.node}


def test_the_zoos_padding_holds_for_every_size_it_admits(tmp_path: Path) -> None:
    model = load_checkpoint(write_zoo(tmp_path / "zoo.npz", classes=3))
    done = export_onnx(model, tmp_path / "zoo.onnx")
    assert done.input_remainder == 1
    image = noise(289, 353)
    with torch.inference_mode():
        expected = model.network(torch.from_numpy(image)).numpy()
    np.testing.assert_allclose(run(tmp_path / "zoo.onnx", image), expected, atol=TOLERANCE, rtol=0)


@pytest.mark.slow
def test_published_scores_come_out_of_onnxruntime(shared: Path, tmp_path: Path) -> None:
    from deeplab_studio.engine.preprocess import normalise

    name = "tv_v3_resnet50"
    model = load_checkpoint(write_fixture(shared, name, tmp_path / "model.pth"))
    export_onnx(model, tmp_path / "model.onnx")
    image = fixture_image(shared, name)
    fed = normalise(image, model.preprocessing, *image.shape[:2]).transpose(2, 0, 1)[None]
    with np.load(shared / "fixtures" / name / "logits.npz") as peer:
        np.testing.assert_allclose(run(tmp_path / "model.onnx", fed)[0], peer["native"], atol=TOLERANCE, rtol=0)


class Fickle(nn.Module):
    """Computes something else at every size; an export can only hold one of them."""

    def __init__(self, change: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.layer = nn.Conv2d(3, 3, 1)
        self.change = change

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.change(self.layer(x))
        return result


def other_than_traced(x: Tensor) -> Tensor:
    return x if torch.compiler.is_compiling() or torch.jit.is_tracing() else x + 0.01


def test_a_file_that_differs_from_torch_is_not_kept(tmp_path: Path) -> None:
    model = tiny_model(Fickle(other_than_traced))
    path = tmp_path / "bad.onnx"
    path.write_bytes(b"earlier")
    with pytest.raises(StudioError, match=r"differ from torch's by 0\.01"):
        export_onnx(model, path)
    assert path.read_bytes() == b"earlier"
    assert list(tmp_path.iterdir()) == [path]


def unpredictable(x: Tensor) -> Tensor:
    return x if float(x.sum()) > 0 else -x


def test_a_network_that_cannot_be_expressed_is_refused_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(StudioError, match="torch cannot express this network as ONNX") as caught:
        export_onnx(tiny_model(Fickle(unpredictable)), tmp_path / "bad.onnx")
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_missing_packages_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.util

    find: Any = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "onnxscript" else find(name))
    with pytest.raises(StudioError, match=r"ONNX export needs onnxscript.*deeplab-studio\[onnx\]"):
        export_onnx(tiny_model(), tmp_path / "x.onnx")
