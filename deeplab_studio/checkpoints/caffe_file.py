"""Reading the weights out of a ``.caffemodel``: Caffe's NetParameter message, in its layouts of 2014 and later.

A protobuf message is a row of fields, each a number, a wire type and a value (Protocol Buffers, "Encoding"). The
numbers below are those of ``caffe.proto``; everything else in the file is skipped. Nothing in it can be run.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from deeplab_studio.checkpoints.errors import CheckpointError

Value = int | memoryview

_GET_AGAIN = "Download or copy it again."
_NET_NAME, _NET_OLD_LAYERS, _NET_LAYERS = 1, 2, 100
_AFTER_NAME = b"\x12\x1a\x28\x32\x38\xa2"
"""How a field may begin that follows a network's name."""


@dataclass(frozen=True, slots=True)
class _Numbers:
    """Field numbers of a layer."""

    name: int
    kind: int
    bottom: int
    top: int
    blobs: int


_OLD_LAYER = _Numbers(name=4, kind=5, bottom=2, top=3, blobs=6)  # V1LayerParameter
_LAYER = _Numbers(name=1, kind=2, bottom=3, top=4, blobs=7)  # LayerParameter
_OLDEST_LAYER = 1
"""Field of a V1LayerParameter that holds a layer of before 2014."""


@dataclass(slots=True)
class _Layer:
    name: str = ""
    kind: str = ""
    bottoms: list[str] = field(default_factory=list)
    tops: list[str] = field(default_factory=list)
    blobs: list[np.ndarray] = field(default_factory=list)


def looks_like_caffe(head: bytes) -> bool:
    """Whether a file that begins so may be a NetParameter: its name comes first, or else its layers."""
    if head.startswith((b"\x12", b"\xa2\x06")):
        return True
    if not head.startswith(b"\x0a") or len(head) < 3 or head[1] > 127:
        return False
    name, rest = head[2 : 2 + head[1]], head[2 + head[1] :]
    return name.isascii() and name.decode("ascii").isprintable() and rest[:1] in [bytes([b]) for b in _AFTER_NAME]


def read_caffe(path: Path) -> dict[str, Tensor]:
    """All weights of a ``.caffemodel`` by ``layer/tensor``, with torch's names.

    Convolutions have ``weight`` and ``bias``. A BatchNorm layer has ``running_mean`` and ``running_var``, its sums
    divided by the factor that is stored beside them; ``weight`` and ``bias`` of the Scale layer behind it count as its
    own.

    Raises
    ------
    CheckpointError
        If the file is damaged, of a layout from before 2014, or something else.
    """
    tensors: dict[str, Tensor] = {}
    normalised: dict[str, str] = {}
    layers = 0
    try:
        for layer in _layers(memoryview(path.read_bytes())):
            layers += bool(layer.name)
            for name, values in _tensors(layer, normalised).items():
                tensors[name] = torch.from_numpy(values)
    except ValueError as error:
        reason = "the file is cut short or damaged" if layers else "this is not a checkpoint this program reads"
        raise CheckpointError(reason, path=path, hint=_GET_AGAIN) from error
    if not tensors:
        raise CheckpointError("it holds no weights", path=path, hint="Choose the .caffemodel, not the .prototxt.")
    return tensors


def _tensors(layer: _Layer, normalised: dict[str, str]) -> dict[str, np.ndarray]:
    """The tensors of one layer; `normalised` leads from the output of every BatchNorm to its name."""
    blobs = layer.blobs
    if layer.kind == "BatchNorm":
        normalised |= dict.fromkeys(layer.tops, layer.name)
        if not blobs:
            return {}
        if len(blobs) != 3 or blobs[2].size != 1:
            raise CheckpointError(
                f"layer {layer.name!r} is a batch normalisation of another Caffe than the authors'",
                hint="Use the authors' file.",
            )
        factor = float(blobs[2].reshape(()))
        scale = np.float32(1 / factor if factor else 0)
        return {f"{layer.name}/running_mean": blobs[0] * scale, f"{layer.name}/running_var": blobs[1] * scale}
    name = layer.name
    if layer.kind == "Scale" and layer.bottoms:
        name = normalised.get(layer.bottoms[0], name)
    names = ["weight", "bias", *(f"blob{i}" for i in range(2, len(blobs)))]
    # The old layout gives every blob four dimensions.
    return {f"{name}/{names[i]}": blob if i == 0 else blob.reshape(-1) for i, blob in enumerate(blobs)}


def _layers(message: memoryview) -> Iterator[_Layer]:
    for number, value in _fields(message):
        if number in (_NET_OLD_LAYERS, _NET_LAYERS):
            yield _layer(_bytes(value), _LAYER if number == _NET_LAYERS else _OLD_LAYER)


def _layer(message: memoryview, numbers: _Numbers) -> _Layer:
    layer = _Layer()
    for number, value in _fields(message):
        if number == numbers.name:
            layer.name = _text(value)
        elif number == numbers.kind and isinstance(value, memoryview):
            layer.kind = _text(value)
        elif number == numbers.bottom:
            layer.bottoms.append(_text(value))
        elif number == numbers.top:
            layer.tops.append(_text(value))
        elif number == numbers.blobs:
            layer.blobs.append(_blob(_bytes(value)))
        elif number == _OLDEST_LAYER and numbers is _OLD_LAYER:
            raise CheckpointError(
                "it was written by a Caffe from before 2014",
                hint="Convert it with Caffe's upgrade_net_proto_binary.",
            )
    return layer


def _blob(message: memoryview) -> np.ndarray:
    """A BlobProto as float32: data (5) or double_data (8), shape (7) or num, channels, height and width (1 to 4)."""
    shape: list[int] | None = None
    old_shape = {}
    parts: list[np.ndarray] = []
    for number, value in _fields(message):
        if number in (1, 2, 3, 4) and isinstance(value, int):
            old_shape[number] = value
        elif number == 5:
            parts.append(np.frombuffer(_bytes(value), "<f4"))
        elif number == 8:
            parts.append(np.frombuffer(_bytes(value), "<f8"))
        elif number == 7:
            shape = []
            for inner, dim in _fields(_bytes(value)):
                if inner == 1:
                    shape += [dim] if isinstance(dim, int) else _varints(dim)
    # Copied, although it may be a single part: numbers inside a message lie at any address.
    data = np.concatenate(parts).astype(np.float32) if parts else np.zeros(0, np.float32)
    if shape is None:
        shape = [old_shape.get(i, 1) for i in (1, 2, 3, 4)]
    if math.prod(shape) != data.size:
        raise ValueError("shape and data disagree")
    return data.reshape(shape)


def _fields(message: memoryview) -> Iterator[tuple[int, Value]]:
    """Number and value of every field: an int for varints, else its bytes."""
    at, end = 0, len(message)
    while at < end:
        key, at = _varint(message, at)
        wire = key & 7
        if wire == 0:
            value, at = _varint(message, at)
            yield key >> 3, value
            continue
        if wire == 2:
            length, at = _varint(message, at)
        elif wire in (1, 5):
            length = 8 if wire == 1 else 4
        else:
            raise ValueError(f"wire type {wire}")
        if length > end - at:
            raise ValueError("a field is longer than what holds it")
        yield key >> 3, message[at : at + length]
        at += length


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    """A number in groups of seven bits, lowest first, and where it ends."""
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(message):
            raise ValueError("cut short")
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ValueError("a number of more than ten bytes")


def _varints(message: memoryview) -> list[int]:
    at, values = 0, []
    while at < len(message):
        value, at = _varint(message, at)
        values.append(value)
    return values


def _bytes(value: Value) -> memoryview:
    if isinstance(value, int):
        raise ValueError("a number where a message should be")
    return value


def _text(value: Value) -> str:
    return str(_bytes(value), "utf-8")
