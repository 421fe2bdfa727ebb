"""Keras weights in HDF5: the same numbers in other axes, and files that must not become models."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from torch import Tensor

from deeplab_studio.checkpoints import CheckpointError, load_checkpoint
from deeplab_studio.checkpoints.dialects import tensorflow_zoo
from deeplab_studio.networks.inference import for_inference
from tests.dialect_files import layout, random_state, write_keras

X = torch.randn(1, 3, 65, 97, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def mobilenet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("keras") / "deeplabv3_mobilenetv2_tf_dim_ordering_tf_kernels.h5"
    return write_keras(random_state(layout("Keras MobileNetV2").shapes), path)


def run(network: torch.nn.Module) -> Tensor:
    with torch.inference_mode():
        result: Tensor = network(X)
    return result


def test_the_mobilenet_is_the_zoos_with_its_normalisation_unfolded(mobilenet: Path, tmp_path: Path) -> None:
    model = load_checkpoint(mobilenet)
    assert (model.dialect, model.version, model.profile.output_stride) == ("keras", "v3", 8)
    assert model.preprocessing == tensorflow_zoo.PREPROCESSING
    zoo = layout("zoo")
    folded = for_inference(model.network).state_dict()
    np.savez(tmp_path / "zoo.npz", **{key: folded[name].contiguous().numpy() for key, name in zoo.names.items()})
    torch.testing.assert_close(
        run(model.network), run(load_checkpoint(tmp_path / "zoo.npz").network), atol=1e-4, rtol=1e-4
    )


SEGMENTRON = {
    "entry_flow_conv1_1": ("encoder.conv1", "encoder.bn1"),
    "entry_flow_conv1_2": ("encoder.conv2", "encoder.bn2"),
    "aspp0": ("head.aspp.aspp0.conv", "head.aspp.aspp0.bn"),
    "image_pooling": ("head.aspp.image_pooling.conv", "head.aspp.image_pooling.bn"),
    "concat_projection": ("head.aspp.conv", "head.aspp.bn"),
    "feature_projection0": ("head.c1_block.conv", "head.c1_block.bn"),
    **{
        f"{block}_shortcut": (f"encoder.block{i}.conv", f"encoder.block{i}.bn")
        for i, block in [*((i, f"entry_flow_block{i}") for i in (1, 2, 3)), (20, "exit_flow_block1")]
    },
}
"""Where SegmenTron's network, whose layout is TensorFlow's, has what bonlime calls so."""

SEPARABLE = {
    **{f"aspp{i}": f"head.aspp.aspp{i}.block" for i in (1, 2, 3)},
    **{f"decoder_conv{i}": f"head.block.{i}.block" for i in (0, 1)},
    **{
        f"{block}_separable_conv{conv}": f"encoder.block{i}.sep_conv{conv}.block"
        for i, block in enumerate(
            [
                *(f"entry_flow_block{i}" for i in (1, 2, 3)),
                *(f"middle_flow_unit_{i}" for i in range(1, 17)),
                "exit_flow_block1",
                "exit_flow_block2",
            ],
            1,
        )
        for conv in (1, 2, 3)
    },
}


def as_keras(state: dict[str, Tensor]) -> dict[str, Tensor]:
    places = {"logits_semantic": "head.block.2"}
    for ours, (conv, norm) in SEGMENTRON.items():
        places |= {ours: conv, f"{ours}_BN": norm}
    for ours, path in SEPARABLE.items():
        for kind, norm in (("depthwise", "bn_depth"), ("pointwise", "bn_point")):
            places |= {f"{ours}_{kind}": f"{path}.{kind}", f"{ours}_{kind}_BN": f"{path}.{norm}"}
    found = {}
    for ours, theirs in places.items():
        for kind in ("weight", "bias", "running_mean", "running_var"):
            if f"{theirs}.{kind}" in state:
                found[f"{ours}/{kind}"] = state[f"{theirs}.{kind}"]
    assert len(found) == len(state)
    return found


@pytest.mark.parametrize("whole_model", [False, True], ids=["weights", "whole model"])
def test_the_xception_is_segmentrons_under_other_names(tmp_path: Path, whole_model: bool) -> None:
    state = random_state(layout("SegmenTron Xception").shapes)
    torch.save(state, tmp_path / "known.pth")
    model = load_checkpoint(write_keras(as_keras(state), tmp_path / "keras.h5", whole_model=whole_model))
    assert (model.dialect, model.version) == ("keras", "v3+")
    torch.testing.assert_close(run(model.network), run(load_checkpoint(tmp_path / "known.pth").network))


def test_a_fine_tunes_own_classifier_is_found(tmp_path: Path) -> None:
    state = random_state(layout("Keras MobileNetV2").shapes)
    classifier = {key: state.pop(key)[:3] for key in list(state) if key.startswith("logits_semantic/")}
    state |= {f"custom_{key}": value for key, value in classifier.items()}
    assert len(load_checkpoint(write_keras(state, tmp_path / "mine.h5")).classes) == 3


# --- Refusals ---------------------------------------------------------------------------------------------------------


def refusal(path: Path) -> str:
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(path)
    assert caught.value.path == path
    assert caught.value.hint
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("share", [0.999, 0.5, 0.1, 0.001])
def test_truncated_files_are_refused(mobilenet: Path, tmp_path: Path, share: float) -> None:
    content = mobilenet.read_bytes()
    path = tmp_path / "cut.h5"
    path.write_bytes(content[: int(len(content) * share)])
    assert "damaged" in refusal(path)


def test_missing_arrays_are_named(tmp_path: Path) -> None:
    state = random_state(layout("Keras MobileNetV2").shapes)
    del state["expanded_conv_7_depthwise_BN/running_mean"]
    assert "expanded_conv_7_depthwise_BN/running_mean" in refusal(write_keras(state, tmp_path / "partial.h5"))


def test_wrong_shapes_and_values_are_named(tmp_path: Path) -> None:
    state = random_state(layout("Keras MobileNetV2").shapes)
    assert "aspp0/weight" in refusal(
        write_keras({**state, "aspp0/weight": torch.zeros(256, 3, 1, 1)}, tmp_path / "a.h5")
    )
    broken = state["aspp0/weight"].clone()
    broken[0] = float("nan")
    assert "NaN" in refusal(write_keras({**state, "aspp0/weight": broken}, tmp_path / "b.h5"))


def test_another_keras_model_is_refused(tmp_path: Path) -> None:
    path = write_keras({"block1_conv1/weight": torch.zeros(64, 3, 3, 3)}, tmp_path / "vgg.h5")
    assert "not those of a DeepLab" in refusal(path)


def test_text_in_the_place_of_numbers_is_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "text.h5", "w") as file:
        file.create_dataset("aspp0/aspp0/kernel:0", data="import os")
    assert "not numbers" in refusal(tmp_path / "text.h5")


def test_an_array_far_larger_than_the_file_is_refused_unread(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "bomb.h5", "w") as file:
        file.create_dataset(
            "aspp0/aspp0/kernel:0", shape=(1 << 16, 1 << 16), dtype="f4", chunks=True, compression="gzip"
        )
    assert (tmp_path / "bomb.h5").stat().st_size < 1 << 20
    assert "far larger" in refusal(tmp_path / "bomb.h5")


def test_other_files_are_not_followed(tmp_path: Path, mobilenet: Path) -> None:
    (tmp_path / "secret.bin").write_bytes(bytes(4096))
    with h5py.File(tmp_path / "link.h5", "w") as file:
        file["aspp0"] = h5py.ExternalLink(str(mobilenet), "/aspp0")
    with h5py.File(tmp_path / "model_link.h5", "w") as file:
        file["model_weights"] = h5py.ExternalLink(str(mobilenet), "/")
    with h5py.File(tmp_path / "soft.h5", "w") as file:
        file["aspp0"] = h5py.SoftLink("/elsewhere")
    with h5py.File(tmp_path / "raw.h5", "w") as file:
        file.create_dataset("aspp0/kernel:0", (1024,), "f4", external=[(str(tmp_path / "secret.bin"), 0, 4096)])
    with h5py.File(tmp_path / "virtual.h5", "w") as file:
        source = h5py.VirtualLayout(shape=(4,), dtype="f4")
        source[:] = h5py.VirtualSource(str(mobilenet), "/aspp0/aspp0/kernel:0", shape=(4,))
        file.create_virtual_dataset("aspp0/kernel:0", source)
    for name in ("link", "model_link", "soft", "raw", "virtual"):
        assert "another file" in refusal(tmp_path / f"{name}.h5")


def test_output_stride_16_is_a_choice(mobilenet: Path) -> None:
    model = load_checkpoint(mobilenet, output_stride=16)
    assert run(model.network).shape[2:] == (5, 7)
    assert replace(model.profile.backbone, output_stride=8) == load_checkpoint(mobilenet).profile.backbone
