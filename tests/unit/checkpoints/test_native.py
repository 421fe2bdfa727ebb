from __future__ import annotations

import dataclasses
import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from deeplab_studio.checkpoints import CheckpointError, LoadedModel, Preprocessing, load_checkpoint
from deeplab_studio.checkpoints.native import (
    METADATA_KEY,
    NAME,
    Header,
    Provenance,
    read_header,
    save_native,
)
from deeplab_studio.core.errors import StudioError
from deeplab_studio.core.labels import LabelClass, LabelSet
from deeplab_studio.engine import Predictor
from tests.fixture_checkpoints import (
    TORCHVISION,
    ZOO_FILE,
    fixture_image,
    tiny_profile,
    torchvision_network,
    write_fixture,
    write_zoo,
)


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("original") / "mine.pth"
    torch.save(torchvision_network(classes=5).state_dict(), path)
    return load_checkpoint(path)


@pytest.fixture
def native(tmp_path: Path, original: LoadedModel) -> Path:
    path = tmp_path / "mine.safetensors"
    save_native(original, path)
    return path


def logits_of(model: LoadedModel) -> np.ndarray:
    image = np.random.default_rng(0).integers(0, 256, (65, 81, 3), np.uint8)
    return Predictor(model, "cpu").native_logits(image)


# --- Round trip -------------------------------------------------------------------------------------------------------


def test_a_converted_model_gives_the_same_scores_bit_for_bit(original: LoadedModel, native: Path) -> None:
    converted = load_checkpoint(native)
    np.testing.assert_array_equal(logits_of(converted), logits_of(original))


def test_everything_about_a_model_survives(original: LoadedModel, native: Path) -> None:
    converted = load_checkpoint(native)
    for name in ("profile", "preprocessing", "classes", "title", "version"):
        assert getattr(converted, name) == getattr(original, name)
    assert converted.dialect == NAME
    assert converted.path == native


@pytest.mark.parametrize("name", TORCHVISION[:2])
def test_published_files_keep_their_scores(shared: Path, tmp_path: Path, name: str) -> None:
    model = load_checkpoint(write_fixture(shared, name, tmp_path / "model.pth"))
    save_native(model, tmp_path / "model.safetensors")
    converted = load_checkpoint(tmp_path / "model.safetensors")
    image = fixture_image(shared, name)
    expected, got = (Predictor(each, "cpu").native_logits(image) for each in (model, converted))
    np.testing.assert_array_equal(got, expected)


def test_the_model_that_ships_is_smaller_as_float16_and_the_same(shared: Path, tmp_path: Path) -> None:
    model = load_checkpoint(shared / ZOO_FILE)
    for half in (False, True):
        save_native(model, tmp_path / f"{half}.safetensors", half=half)
    single, double = (tmp_path / f"{half}.safetensors" for half in (True, False))
    assert single.stat().st_size < 0.6 * double.stat().st_size
    # Its weights were float16 already, so nothing is lost.
    np.testing.assert_array_equal(logits_of(load_checkpoint(single)), logits_of(load_checkpoint(double)))


def test_float16_stores_the_convolutions_alone(tmp_path: Path, original: LoadedModel) -> None:
    path = tmp_path / "half.safetensors"
    save_native(original, path, half=True)
    kinds = {name: tensor.dtype for name, tensor in load_file(path).items()}
    assert kinds["backbone.stem.conv.weight"] == torch.float16
    assert kinds["backbone.stem.norm.running_var"] == torch.float32
    scores = logits_of(original)
    np.testing.assert_allclose(logits_of(load_checkpoint(path)), scores, atol=0.02 * np.abs(scores).max())


def test_colours_and_names_of_classes_are_kept(tmp_path: Path, original: LoadedModel) -> None:
    labels = LabelSet(tuple(LabelClass(f"Straße {i}", (i, 2 * i, 255 - i)) for i in range(5)), "원본")
    save_native(dataclasses.replace(original, classes=labels), tmp_path / "named.safetensors")
    assert load_checkpoint(tmp_path / "named.safetensors").classes == labels


def test_provenance_is_that_of_the_original_through_every_copy(
    tmp_path: Path, original: LoadedModel, native: Path
) -> None:
    header = read_header(native)
    assert header is not None
    assert header.provenance == Provenance(source=str(original.path), sha256=original.sha256, dialect="torchvision")
    save_native(load_checkpoint(native), tmp_path / "again.safetensors", half=True)
    again = read_header(tmp_path / "again.safetensors")
    assert again is not None
    assert again.provenance == header.provenance


def test_a_licence_can_be_stated(tmp_path: Path, original: LoadedModel) -> None:
    stated = Provenance(source="https://example.org/x.pth", sha256="0" * 64, dialect="torchvision", licence="MIT")
    save_native(original, tmp_path / "m.safetensors", provenance=stated)
    header = read_header(tmp_path / "m.safetensors")
    assert header is not None
    assert header.provenance == stated


def test_the_name_of_the_file_does_not_matter(tmp_path: Path, native: Path) -> None:
    renamed = native.rename(tmp_path / "photo.jpg")
    assert load_checkpoint(renamed).dialect == NAME


def test_files_without_the_header_are_recognised_by_their_keys(tmp_path: Path) -> None:
    save_file(torchvision_network(aux=False).state_dict(), tmp_path / "plain.safetensors")
    assert read_header(tmp_path / "plain.safetensors") is None
    assert load_checkpoint(tmp_path / "plain.safetensors").dialect == "torchvision"


def test_other_files_have_no_header(tmp_path: Path) -> None:
    assert read_header(write_zoo(tmp_path / "zoo.npz")) is None
    (tmp_path / "empty").write_bytes(b"")
    assert read_header(tmp_path / "empty") is None


def test_an_older_header_without_a_later_field_takes_its_default() -> None:
    values = {**HEADER, "preprocessing": {key: HEADER["preprocessing"][key] for key in ("divisor", "mean", "std")}}
    del values["provenance"]
    header = Header.parse(json.dumps(values))
    assert header.preprocessing.colour_order == "RGB"
    assert header.provenance == Provenance()


def test_the_file_is_not_held_open(native: Path) -> None:
    model = load_checkpoint(native)
    native.write_bytes(b"something else")
    assert np.isfinite(logits_of(model)).all()


# --- What is refused --------------------------------------------------------------------------------------------------

HEADER: dict[str, Any] = json.loads(
    Header(
        format=1,
        written_by="test",
        version="v3",
        title="t",
        profile=tiny_profile(2),
        preprocessing=Preprocessing(divisor=1.0, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0)),
        classes=(LabelClass("a", (0, 0, 0)), LabelClass("b", (1, 1, 1))),
    ).dump()
)


def refusal(path: Path) -> str:
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(path)
    assert caught.value.path == path
    assert caught.value.hint
    text = str(caught.value)
    assert "\n" not in text
    return text


def rewrite(path: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    """Change the header of a file and leave its tensors alone."""
    header = read_header(path)
    assert header is not None
    values = json.loads(header.dump())
    change(values)
    save_file(load_file(path), path, {METADATA_KEY: json.dumps(values)})
    return path


@pytest.mark.parametrize("share", [0.0005, 0.02, 0.5, 0.999])
def test_a_file_that_is_cut_short(native: Path, share: float) -> None:
    data = native.read_bytes()
    native.write_bytes(data[: int(len(data) * share)])
    assert "cut short or damaged" in refusal(native)


def test_a_file_with_bytes_too_many(native: Path) -> None:
    native.write_bytes(native.read_bytes() + b"\0" * 64)
    assert "cut short or damaged" in refusal(native)


def test_a_header_that_is_no_json(native: Path) -> None:
    native.write_bytes(struct.pack("<Q", 64) + b"{" * 64 + b"\0" * 1000)
    assert "cut short or damaged" in refusal(native)


def test_a_header_of_gigabytes_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "huge.safetensors"
    with path.open("wb") as file:
        file.write(struct.pack("<Q", 3 << 30) + b"{")
        file.truncate((3 << 30) + 4096)  # sparse: it takes no room
    assert "header is far too long" in refusal(path)


def test_a_header_longer_than_the_file(tmp_path: Path) -> None:
    path = tmp_path / "lie.safetensors"
    path.write_bytes(struct.pack("<Q", 1 << 62) + b"{}")
    assert "cut short or damaged" in refusal(path)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda header: header.update(format=2), "newer DeepLab Studio: this one does not know format 2"),
        (lambda header: header["profile"].update(wings=2), "this one does not know header.profile"),
        (lambda header: header["profile"].update(version="v4"), "newer DeepLab Studio"),
        (lambda header: header["profile"]["backbone"].update(padding="odd"), "newer DeepLab Studio"),
        (lambda header: header.pop("profile"), "header.profile is missing"),
        (lambda header: header["profile"].update(num_classes="many"), "header.profile.num_classes is 'many'"),
        (lambda header: header["profile"].update(head_conv=1), "header.profile.head_conv is 1"),
        (lambda header: header["preprocessing"].update(mean=[0.5]), "mean has 1 values, not 3"),
        (lambda header: header["preprocessing"].update(mean=0.5), "mean is no list"),
        (lambda header: header["preprocessing"].update(divisor=float("nan")), "header.preprocessing.divisor is nan"),
        (lambda header: header["classes"].pop(), "5 outputs but 4 classes"),
        (lambda header: header["classes"][1].update(name=header["classes"][0]["name"]), "two classes are called"),
        (lambda header: header["classes"][1].update(colour=[0, 0, 300]), "not three values from 0 to 255"),
        (lambda header: header["profile"]["aspp"].update(channels=-3), "network this program cannot build"),
        (lambda header: header["profile"]["backbone"].update(name="resnet7"), "network this program cannot build"),
        (lambda header: header["profile"]["aspp"].update(channels=128), "the network needs"),
        (lambda header: header["profile"]["aspp"].update(rates=[6]), "that DeepLabv3"),
    ],
)  # fmt: skip
def test_a_header_that_is_wrong(native: Path, change: Callable[[dict[str, Any]], None], words: str) -> None:
    assert words in refusal(rewrite(native, change))


@pytest.mark.parametrize("text", ["", "[]", "17", '"x"', "{", "null", "[" * 100_000])
def test_a_header_that_is_no_table(native: Path, text: str) -> None:
    save_file(load_file(native), native, {METADATA_KEY: text})
    assert "header" in refusal(native)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers(native: Path, value: float) -> None:
    tensors = load_file(native)
    tensors["classifier.bias"][2] = value
    header = read_header(native)
    assert header is not None
    save_file(tensors, native, {METADATA_KEY: header.dump()})
    assert "'classifier.bias' holds NaN or infinite values" in refusal(native)


def test_missing_and_misshapen_tensors_are_named(native: Path) -> None:
    header = read_header(native)
    assert header is not None
    tensors = load_file(native)
    bias = tensors.pop("classifier.bias")
    save_file(tensors, native, {METADATA_KEY: header.dump()})
    assert "'classifier.bias'" in refusal(native)
    save_file({**tensors, "classifier.bias": bias[:3]}, native, {METADATA_KEY: header.dump()})
    assert "tensor 'classifier.bias' is 3, the network needs 5" in refusal(native)


def test_another_output_stride_is_refused(native: Path) -> None:
    with pytest.raises(CheckpointError, match="no output stride 32"):
        load_checkpoint(native, output_stride=32)


def test_weights_beyond_float16_are_not_stored_as_such(tmp_path: Path) -> None:
    network = torchvision_network(classes=5, aux=False)
    with torch.no_grad():
        network.classifier[4].weight[0, 0] = 1e6
    torch.save(network.state_dict(), tmp_path / "big.pth")
    with pytest.raises(StudioError, match="too large for float16"):
        save_native(load_checkpoint(tmp_path / "big.pth"), tmp_path / "big.safetensors", half=True)
    assert not (tmp_path / "big.safetensors").exists()


def test_a_failed_write_leaves_the_earlier_file(native: Path, original: LoadedModel) -> None:
    before = native.read_bytes()
    broken = dataclasses.replace(original, title="\ud800")  # cannot be encoded
    with pytest.raises(UnicodeEncodeError):
        save_native(broken, native)
    assert native.read_bytes() == before
    assert list(native.parent.iterdir()) == [native]
