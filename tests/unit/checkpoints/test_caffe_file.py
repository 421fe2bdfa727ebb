"""Caffe's files, written byte by byte from the schema, and files that must not become models."""

from __future__ import annotations

import re
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from deeplab_studio.checkpoints import CheckpointError, LoadedModel, load_checkpoint
from deeplab_studio.checkpoints.caffe_file import looks_like_caffe, read_caffe
from tests.dialect_files import (
    State,
    blob,
    caffe_new,
    caffe_old,
    layer,
    layout,
    message,
    number,
    old_layer,
    random_state,
    varint,
)

X = torch.randn(1, 3, 65, 97, generator=torch.Generator().manual_seed(1))


def saved(content: bytes, path: Path) -> LoadedModel:
    path.write_bytes(content)
    return load_checkpoint(path)


def run(model: LoadedModel) -> Tensor:
    with torch.inference_mode():
        result: Tensor = model.network.one_scale(X)
    return result


VGG = [f"conv{i}_{j}" for i, count in ((1, 2), (2, 2), (3, 3), (4, 3), (5, 3)) for j in range(1, count + 1)]


@pytest.fixture(scope="module")
def large_fov(tmp_path_factory: pytest.TempPathFactory) -> tuple[State, LoadedModel]:
    """Caffe's names for a network, and the same network through a dialect that has a fixture."""
    state = random_state(layout("wangleihitcs").shapes)
    path = tmp_path_factory.mktemp("v1") / "known.pth"
    torch.save(state, path)
    places = dict(
        zip(dict.fromkeys(key.rpartition(".")[0] for key in state), [*VGG, "fc6", "fc7", "fc8_voc12"], strict=True)
    )
    named = {f"{places[key.rpartition('.')[0]]}/{key.rpartition('.')[2]}": value for key, value in state.items()}
    return named, load_checkpoint(path)


def test_v1_in_the_old_layout_is_wangleihitcs_network(tmp_path: Path, large_fov: tuple[State, LoadedModel]) -> None:
    state, known = large_fov
    model = saved(caffe_old(state), tmp_path / "train2_iter_8000.caffemodel")
    assert (model.dialect, model.version, len(model.classes)) == ("caffe", "v1", 21)
    assert model.preprocessing == known.preprocessing
    # Pooling differs in whether it covers a cut-off window, which sides of 32 k + 1 do not have.
    torch.testing.assert_close(run(model), run(known), atol=0, rtol=0)
    assert model.profile.backbone.ceil_pooling
    with torch.inference_mode():
        assert model.network(torch.zeros(1, 3, 64, 64)).shape[2:] == (9, 9)


def test_a_conversion_to_torch_with_caffes_names_is_the_same_network(
    tmp_path: Path, large_fov: tuple[State, LoadedModel]
) -> None:
    state, known = large_fov
    torch.save({key.replace("/", "."): value for key, value in state.items()}, tmp_path / "converted.pth")
    model = load_checkpoint(tmp_path / "converted.pth")
    assert (model.dialect, model.version) == ("caffe-converted", "v1")
    torch.testing.assert_close(run(model), run(known), atol=0, rtol=0)


def test_v2_on_vgg_sums_four_branches(tmp_path: Path, large_fov: tuple[State, LoadedModel]) -> None:
    state = {key: value for key, value in large_fov[0].items() if key.startswith("conv")}
    branches = [
        {f"{key.rpartition('/')[0]}_{i}/{key.rpartition('/')[2]}": torch.roll(value, i, 0)
         for key, value in large_fov[0].items() if key.startswith("fc")}
        for i in (1, 2, 3, 4)
    ]  # fmt: skip
    for branch in branches:
        state |= branch
    model = saved(caffe_new(state), tmp_path / "vgg.caffemodel")
    assert (model.version, model.profile.aspp.rates) == ("v2", (6, 12, 18, 24))
    with torch.inference_mode():
        features, _ = model.network.backbone(X)
        expected = torch.zeros(())
        for rate, branch, i in zip((6, 12, 18, 24), branches, (1, 2, 3, 4), strict=True):
            get = [branch[f"{name}_{i}/{kind}"] for name in ("fc6", "fc7", "fc8_voc12") for kind in ("weight", "bias")]
            y = torch.relu(torch.conv2d(features, get[0], get[1], padding=rate, dilation=rate))
            y = torch.relu(torch.conv2d(y, get[2], get[3]))
            expected = expected + torch.conv2d(y, get[4], get[5])
    torch.testing.assert_close(run(model), expected, atol=1e-4, rtol=1e-4)


RESNET = (("reduce", "2a"), ("conv3x3", "2b"), ("increase", "2c"), ("shortcut", "1"))


def caffe_place(path: str) -> str:
    """Caffe's name of a layer of kazuto1011's network."""
    if path.startswith("layer1.conv1."):
        return "conv1" if path.endswith("conv") else "bn_conv1"
    if found := re.match(r"aspp\.c(\d)$", path):
        return f"fc1_voc12_c{found[1]}"
    found = re.match(r"layer(\d)\.block(\d+)\.(\w+)\.(conv|bn)$", path)
    assert found is not None
    stage, block = int(found[1]), int(found[2])
    letter = "abc"[block - 1] if stage in (2, 5) or block == 1 else f"b{block - 1}"
    return f"{'res' if found[4] == 'conv' else 'bn'}{stage}{letter}_branch{dict(RESNET)[found[3]]}"


@pytest.mark.parametrize("copies", [(), ("_res075", "_res05")], ids=["one scale", "three scales"])
@pytest.mark.parametrize("factor", [1.0, 0.25])
def test_v2_in_the_new_layout_is_kazutos_network(tmp_path: Path, factor: float, copies: tuple[str, ...]) -> None:
    state = random_state(layout("kazuto1011, inner network").shapes)
    torch.save(state, tmp_path / "known.pth")
    known = load_checkpoint(tmp_path / "known.pth")
    named = {f"{caffe_place(key.rpartition('.')[0])}/{key.rpartition('.')[2]}": value for key, value in state.items()}
    assert "res4b22_branch2c/weight" in named
    model = saved(caffe_new(named, factor=factor, copies=copies), tmp_path / "train_iter_20000.caffemodel")
    assert (model.dialect, model.version) == ("caffe", "v2")
    torch.testing.assert_close(run(model), run(known), atol=1e-4, rtol=1e-4)
    assert (model.profile.multi_scale is not None) == bool(copies)
    assert model.profile.align_corners


# --- The message format -----------------------------------------------------------------------------------------------


def test_every_way_to_write_an_array_is_read(tmp_path: Path) -> None:
    path = tmp_path / "ways.caffemodel"
    values = np.arange(6, dtype=np.float32).reshape(1, 1, 2, 3)
    unpacked = b"".join(varint(5 << 3 | 5) + struct.pack("<f", value) for value in values.flat)
    doubles = message(8, values.astype("<f8").tobytes())
    loose_shape = message(7, b"".join(number(1, length) for length in values.shape))
    split = message(5, values.tobytes()[:8]) + message(5, values.tobytes()[8:])
    content = message(1, b"net")
    for i, data in enumerate((unpacked, doubles, split)):
        content += message(100, message(1, f"layer{i}".encode()) + message(7, loose_shape + data))
    content += old_layer("layer3", 4, [values])
    path.write_bytes(content)
    read = read_caffe(path)
    assert list(read) == [f"layer{i}/weight" for i in range(4)]
    for tensor in read.values():
        np.testing.assert_array_equal(tensor.numpy(), values)


def test_a_batch_norm_factor_of_0_means_no_statistics(tmp_path: Path) -> None:
    path = tmp_path / "zero.caffemodel"
    path.write_bytes(message(1, b"n") + layer("bn", "BatchNorm", [np.ones(2), np.ones(2), np.zeros(1)]))
    assert read_caffe(path)["bn/running_mean"].tolist() == [0, 0]


@pytest.mark.parametrize(
    "head",
    [b"\n\nlayer {\n", b"name: net", b"\x89PNG", b"\n\x05hello world", b"", b"\n", b"\n\xff\xff\xff", b"\x00\x00\x00"],
)
def test_other_beginnings_are_not_taken_for_caffes(head: bytes) -> None:
    assert not looks_like_caffe(head + bytes(20))


# --- Refusals ---------------------------------------------------------------------------------------------------------


def refusal(content: bytes, path: Path) -> str:
    path.write_bytes(content)
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(path)
    assert caught.value.path == path
    assert caught.value.hint
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("share", [0.999, 0.5, 0.1])
def test_truncated_files_are_refused(tmp_path: Path, large_fov: tuple[State, LoadedModel], share: float) -> None:
    content = caffe_old(large_fov[0])
    assert "damaged" in refusal(content[: int(len(content) * share)], tmp_path / "cut.caffemodel")


def test_missing_layers_wrong_shapes_and_nan_are_named(tmp_path: Path, large_fov: tuple[State, LoadedModel]) -> None:
    state = large_fov[0]
    path = tmp_path / "model.caffemodel"
    lost = {key: value for key, value in state.items() if not key.startswith("conv4_2/")}
    assert "conv4_2/weight" in refusal(caffe_old(lost), path)
    assert "fc7/bias" in refusal(caffe_old({**state, "fc7/bias": torch.zeros(5)}), path)
    assert "NaN" in refusal(caffe_old({**state, "fc7/bias": torch.full((1024,), float("nan"))}), path)


def test_a_classification_network_is_refused(tmp_path: Path) -> None:
    content = message(1, b"VGG") + old_layer("conv1_1", 4, [np.zeros((64, 3, 3, 3))])
    assert "not those of a DeepLab" in refusal(content, tmp_path / "vgg.caffemodel")


def test_files_of_the_oldest_caffe_are_refused(tmp_path: Path) -> None:
    content = message(1, b"old") + message(2, message(1, message(1, b"conv1_1")))
    assert "before 2014" in refusal(content, tmp_path / "v0.caffemodel")


def test_shapes_that_disagree_with_the_data_are_refused(tmp_path: Path) -> None:
    huge = message(7, message(1, varint(1 << 40))) + message(5, bytes(8))
    content = message(1, b"net") + message(100, message(1, b"conv1_1") + message(7, huge))
    assert "this program reads" in refusal(content, tmp_path / "huge.caffemodel")
    more = layer("conv1_1", "Convolution", [np.zeros(2)]) + message(100, message(1, b"x") + message(7, huge))
    assert "damaged" in refusal(message(1, b"net") + more, tmp_path / "more.caffemodel")


def test_a_network_without_weights_is_refused(tmp_path: Path) -> None:
    content = message(1, b"net") + layer("data", "Input", [])
    assert "no weights" in refusal(content, tmp_path / "net.caffemodel")


@pytest.mark.parametrize(
    "content",
    [
        message(1, b"net") + b"\xa2\x06\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
        message(1, b"net") + b"\xa2\x06\x0b" + b"\x0b" * 11,
        message(1, b"net") + message(100, number(7, 3)),
        message(1, b"net") + message(100, message(1, b"\xff\xfe")),
        b"\x12\x00" * 20 + b"\x07",
        b"\xa2\x06",
    ],
    ids=["endless number", "groups", "number for a blob", "no text", "wire type 7", "nothing after the key"],
)
def test_messages_that_are_none_are_refused(tmp_path: Path, content: bytes) -> None:
    text = refusal(content, tmp_path / "odd.caffemodel")
    assert "this program reads" in text or "no weights" in text


def test_a_batch_norm_of_another_caffe_is_refused(tmp_path: Path) -> None:
    content = message(1, b"net") + layer("bn", "BatchNorm", [np.zeros(4), np.zeros(4)])
    assert "another Caffe" in refusal(content, tmp_path / "bn.caffemodel")


def test_blobs_are_written_as_the_schema_says() -> None:
    """The helper against bytes put together by hand: shape {dim: 2} data: 1.0 2.0."""
    assert blob(np.array([1.0, 2.0]), old=False) == bytes.fromhex("3a030a0102 2a08 0000803f 00000040")
