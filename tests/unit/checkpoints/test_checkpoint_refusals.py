"""Files that must not become models: refused with name, reason and next step, and nothing in them runs."""

from __future__ import annotations

import os
import pickle
import struct
import subprocess
import sys
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from deeplab_studio.checkpoints import CheckpointError, load_checkpoint
from tests.fixture_checkpoints import torchvision_network, write_zoo

State = OrderedDict[str, torch.Tensor]


@pytest.fixture(scope="module")
def state() -> State:
    torch.manual_seed(0)
    return OrderedDict(torchvision_network().state_dict())


def refusal(path: Path) -> str:
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(path)
    error = caught.value
    assert error.path == path
    assert error.hint
    text = str(error)
    assert text.startswith(f"{path.name}: ")
    assert "\n" not in text
    return text


class Bomb:
    """Pickles as a call that leaves a file behind."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return os.system, (f"echo ran > '{self.trace}'",)


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
@pytest.mark.parametrize("place", ["alone", "beside weights", "as optimizer"])
def test_code_in_a_checkpoint_never_runs(tmp_path: Path, state: State, zipped: bool, place: str) -> None:
    trace, path = tmp_path / "trace", tmp_path / "bomb.pth"
    bomb = Bomb(trace)
    content = {
        "alone": bomb,
        "beside weights": {**state, "x": bomb},
        "as optimizer": {"model": state, "optimizer": bomb},
    }
    torch.save(content[place], path, _use_new_zipfile_serialization=zipped)
    text = refusal(path)
    assert not trace.exists()
    assert "code" in text
    assert "system" in text
    # The bomb is live: whoever loads it the careless way runs it.
    torch.load(path, weights_only=False)
    assert trace.exists()


def test_a_plain_pickle_is_not_opened(tmp_path: Path) -> None:
    trace, path = tmp_path / "trace", tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps({"state_dict": Bomb(trace)}))
    assert "pickle" in refusal(path)
    assert not trace.exists()


def test_python_objects_in_an_archive_of_arrays_are_not_opened(tmp_path: Path) -> None:
    trace, path = tmp_path / "trace", tmp_path / "model.npz"
    array = np.empty(1, object)
    array[0] = Bomb(trace)
    np.savez(path, **{"MobilenetV2/Conv/Conv2D/weight": array})
    assert "not opened" in refusal(path)
    assert not trace.exists()


def test_a_whole_pickled_network_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "whole.pth"
    torch.save(torchvision_network(), path)
    assert "torchvision" in refusal(path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"<!DOCTYPE html><html><body>404 Not Found</body></html>", "web page"),
        (b"\r\n <html>", "web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "Git LFS"),
        (b"\x89HDF\r\n\x1a\n" + bytes(100), "damaged"),
        (b"\x1f\x8b\x08" + bytes(100), "gzip"),
        (b"\x00" * 1000, "not a checkpoint"),
        (b"hello", "not a checkpoint"),
        (b"PK\x03\x04" + bytes(100), "cut short or damaged"),
        (b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.", "cut short or damaged"),
        (b"\x80\x02}q\x00.", "pickle"),
    ],
)
def test_other_files_are_told_from_checkpoints(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "model.pth"
    path.write_bytes(content)
    assert words in refusal(path)


def test_a_renamed_picture_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.pth"
    Image.new("RGB", (8, 8)).save(path, format="JPEG")
    assert "JPEG" in refusal(path)


def test_a_zip_of_something_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model.pth", b"inside")
    assert "unpack it first" in refusal(path)


def test_a_torchscript_program_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "script.pt"
    torch.jit.trace(torch.nn.Conv2d(1, 1, 1), torch.zeros(1, 1, 2, 2)).save(str(path))
    assert "TorchScript" in refusal(path)


def test_a_folder_and_nothing_are_refused(tmp_path: Path) -> None:
    assert "folder" in refusal(tmp_path)
    assert "no longer there" in refusal(tmp_path / "nothing.pth")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_refused_without_waiting_for_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert "not a file" in refusal(tmp_path / "pipe")


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
@pytest.mark.parametrize("share", [0.999, 0.5, 0.1, 0.001])
def test_truncated_files_are_refused(tmp_path: Path, state: State, zipped: bool, share: float) -> None:
    path = tmp_path / "model.pth"
    torch.save(state, path, _use_new_zipfile_serialization=zipped)
    os.truncate(path, int(path.stat().st_size * share))
    assert "damaged" in refusal(path)


@pytest.mark.parametrize("share", [0.999, 0.5, 0.001])
def test_truncated_archives_of_arrays_are_refused(tmp_path: Path, share: float) -> None:
    path = write_zoo(tmp_path / "zoo.npz")
    os.truncate(path, int(path.stat().st_size * share))
    assert "damaged" in refusal(path)


def test_flipped_bits_in_an_archive_of_arrays_are_noticed(tmp_path: Path) -> None:
    path = write_zoo(tmp_path / "zoo.npz")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    assert "damaged" in refusal(path)


def test_missing_tensors_are_named_and_never_made_up(tmp_path: Path, state: State) -> None:
    path = tmp_path / "partial.pth"
    lost = ["classifier.0.convs.1.0.weight", "classifier.4.weight", "backbone.3.block.0.1.running_var"]
    torch.save({name: tensor for name, tensor in state.items() if name not in lost}, path)
    text = refusal(path)
    assert "3 of the" in text
    assert all(name in text for name in lost)


def test_a_lost_residual_block_is_missing_not_a_smaller_network(tmp_path: Path) -> None:
    path = tmp_path / "partial.pth"
    state = torchvision_network("resnet50").state_dict()
    torch.save({name: tensor for name, tensor in state.items() if not name.startswith("backbone.layer3.5.")}, path)
    text = refusal(path)
    assert "ResNet-50" in text
    assert "backbone.layer3.5.conv1.weight" in text


def test_missing_arrays_are_named(tmp_path: Path) -> None:
    with np.load(write_zoo(tmp_path / "zoo.npz")) as whole:
        arrays = {name: whole[name] for name in whole.files if name != "aspp0/Conv2D/bias"}
    np.savez(tmp_path / "partial.npz", **arrays)
    assert "aspp0/Conv2D/bias" in refusal(tmp_path / "partial.npz")


def test_unknown_layers_are_named(tmp_path: Path, state: State) -> None:
    path = tmp_path / "more.pth"
    torch.save({**state, "decoder.conv.weight": torch.zeros(1)}, path)
    assert "decoder.conv.weight" in refusal(path)


@pytest.mark.parametrize(
    "shape", [(16, 3, 3), (16, 4, 3, 3), (), (0,)], ids=["too few dimensions", "other channels", "scalar", "empty"]
)
def test_wrong_shapes_are_named(tmp_path: Path, state: State, shape: tuple[int, ...]) -> None:
    path = tmp_path / "shape.pth"
    torch.save({**state, "backbone.0.0.weight": torch.zeros(shape)}, path)
    text = refusal(path)
    assert "backbone.0.0.weight" in text
    assert "16 x 3 x 3 x 3" in text


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_weights_that_are_not_numbers_are_named(tmp_path: Path, state: State, value: float) -> None:
    path = tmp_path / "nan.pth"
    broken = state["classifier.1.weight"].clone()
    broken[0, 0, 0, 0] = value
    torch.save({**state, "classifier.1.weight": broken}, path)
    text = refusal(path)
    assert "classifier.1.weight" in text
    assert "NaN or infinite" in text


def test_negative_variances_are_named(tmp_path: Path, state: State) -> None:
    path = tmp_path / "variance.pth"
    torch.save({**state, "classifier.2.running_var": -torch.ones(256)}, path)
    assert "negative" in refusal(path)


@pytest.mark.parametrize(
    "tensor",
    [
        torch.zeros(16, 3, 3, 3, dtype=torch.int64),
        torch.zeros(16, 3, 3, 3).to_sparse(),
        torch.zeros(16, 3, 3, 3, device="meta"),
    ],
    ids=["whole numbers", "sparse", "without data"],
)
def test_tensors_that_are_no_weights_are_named(tmp_path: Path, state: State, tensor: torch.Tensor) -> None:
    path = tmp_path / "odd.pth"
    torch.save({**state, "backbone.0.0.weight": tensor}, path)
    assert "backbone.0.0.weight" in refusal(path)


@pytest.mark.parametrize(
    "content",
    [{}, {"epoch": 3}, [1, 2, 3], torch.zeros(3), {"state_dict": {"epoch": 3}}],
    ids=["nothing", "no weights", "a list", "a tensor", "empty wrapper"],
)
def test_files_without_a_state_dict_are_refused(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "none.pth")
    assert "no state dict" in refusal(tmp_path / "none.pth")


def test_another_network_is_refused(tmp_path: Path) -> None:
    from torchvision.models import resnet18

    torch.save(resnet18().state_dict(), tmp_path / "resnet18.pth")
    text = refusal(tmp_path / "resnet18.pth")
    assert "not those of a DeepLab" in text
    assert "conv1.weight" in text


def test_a_repeated_element_posing_as_a_huge_tensor_is_refused(tmp_path: Path, state: State) -> None:
    path = tmp_path / "huge.pth"
    torch.save({**state, "backbone.0.0.weight": torch.zeros(1).expand(1 << 40)}, path)
    assert "backbone.0.0.weight" in refusal(path)


def zip_bomb(path: Path, member: str, megabytes: int) -> None:
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open(member, "w", force_zip64=True) as out,
    ):
        for _ in range(megabytes):
            out.write(bytes(1 << 20))


@pytest.mark.parametrize("member", ["archive/data.pkl", "MobilenetV2/Conv/Conv2D/weight.npy"])
def test_zip_bombs_are_refused_unopened(tmp_path: Path, member: str) -> None:
    path = tmp_path / "bomb.pth"
    zip_bomb(path, member, 300)
    assert path.stat().st_size < 1 << 20
    assert "would unpack to" in refusal(path)


@pytest.mark.parametrize("count", [1 << 44, 12])
def test_an_array_whose_header_lies_is_refused(tmp_path: Path, count: int) -> None:
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({count},), }}".encode()
    header += b" " * (64 - (len(header) + 11) % 64) + b"\n"
    with zipfile.ZipFile(tmp_path / "lie.npz", "w") as archive:
        archive.writestr(
            "MobilenetV2/Conv/Conv2D/weight.npy",
            b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + bytes(40),
        )
    assert "damaged" in refusal(tmp_path / "lie.npz")


@pytest.mark.skipif(sys.platform != "linux", reason="the address space is limited the Linux way")
def test_a_file_that_claims_more_than_there_is_memory_is_refused(tmp_path: Path) -> None:
    """The tensor's storage is declared as 64 GB; loading happens where 8 GB may be taken."""
    path = tmp_path / "claims.pth"
    torch.save({"a": torch.zeros(4), "b": torch.zeros(4)}, path, _use_new_zipfile_serialization=False)
    content = path.read_bytes()
    # The pickle holds the number of elements, K\x04, before the storage's closing tuple.
    assert content.count(b"K\x04N") == 2
    path.write_bytes(content.replace(b"K\x04N", b"\x8a\x05\x00\x00\x00\x00\x04N", 1))
    code = (
        "import sys, resource\n"
        "from deeplab_studio.checkpoints import load_checkpoint, CheckpointError\n"
        "import deeplab_studio.checkpoints.load\n"
        f"resource.setrlimit(resource.RLIMIT_AS, ({8 << 30}, {8 << 30}))\n"
        "try:\n    load_checkpoint(sys.argv[1])\n"
        "except CheckpointError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("claims.pth: ")
