"""Checkpoints of every dialect with random weights, without the fixtures: layouts, torch files, HDF5, caffemodels."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from deeplab_studio.checkpoints.dialects import DIALECTS, Blueprint
from deeplab_studio.networks.deeplab import DeepLab

State = dict[str, Tensor]

COUNTER = "num_batches_tracked"


class Variant(NamedTuple):
    """One kind of file of a dialect: the keys that tell it from the dialect's other kinds."""

    dialect: str
    telltale: tuple[str, ...] = ()


_R101 = "layer3.22.conv1.weight"
_LOW = "backbone.low_level_features.0.0.weight"

VARIANTS = {
    "torchvision ResNet": Variant("torchvision"),
    "torchvision MobileNetV3": Variant("torchvision", ("backbone.1.block.0.0.weight",)),
    "VainF v3 ResNet": Variant("vainf"),
    "VainF v3 MobileNetV2": Variant("vainf", (_LOW,)),
    "VainF v3 separable": Variant("vainf", (_LOW, "classifier.classifier.0.convs.1.0.body.0.weight")),
    "VainF v3+ ResNet": Variant("vainf", ("classifier.aspp.project.0.weight",)),
    "VainF v3+ separable": Variant("vainf", (_LOW, "classifier.aspp.convs.1.0.body.0.weight")),
    "jfzhang95 MobileNetV2": Variant("jfzhang95"),
    "jfzhang95 ResNet": Variant("jfzhang95", (f"backbone.{_R101}",)),
    "jfzhang95 Xception": Variant("jfzhang95", ("backbone.block1.skip.weight",)),
    "jfzhang95 DRN": Variant("jfzhang95", ("backbone.layer0.0.weight",)),
    "bubbliiiing MobileNetV2": Variant("bubbliiiing"),
    "bubbliiiing Xception": Variant("bubbliiiing", ("backbone.block1.skip.weight",)),
    "SegmenTron Xception": Variant("segmentron"),
    "SegmenTron ResNet": Variant("segmentron", (f"encoder.{_R101}",)),
    "SegmenTron MobileNetV2": Variant("segmentron", ("encoder.block1.0.conv.0.conv.weight",)),
    "chenxi116": Variant("chenxi116"),
    "chenxi116 GN": Variant("chenxi116-gn-ws"),
    "mmseg v3 ResNet": Variant("mmseg", ("backbone.stem.0.weight",)),
    "mmseg v3 plain ResNet": Variant("mmseg"),
    "mmseg v3 MobileNetV2": Variant("mmseg", ("backbone.layer1.0.conv.0.conv.weight",)),
    "mmseg v3+ ResNet": Variant(
        "mmseg",
        (
            "backbone.stem.0.weight",
            "decode_head.c1_bottleneck.",
            "decode_head.aspp_modules.1.depthwise_conv.conv.weight",
        ),
    ),
    "SMP v3": Variant("smp", ("decoder.aspp.convs.0.0.weight",)),
    "SMP v3, before 0.5": Variant("smp", ("decoder.0.convs.0.0.weight",)),
    "SMP v3+ ResNet": Variant("smp", ("decoder.aspp.0.", "decoder.aspp.0.convs.1.0.0.weight")),
    "SMP v3+ MobileNetV2": Variant(
        "smp", ("decoder.aspp.0.", "decoder.aspp.0.convs.1.0.0.weight", "encoder.features.0.0.weight")
    ),
    "kazuto1011": Variant("kazuto1011", ("base.aspp.c0.weight",)),
    "kazuto1011, inner network": Variant("kazuto1011"),
    "isht7": Variant("isht7", ("Scale.layer5.conv2d_list.0.weight",)),
    "isht7, inner network": Variant("isht7"),
    "wangleihitcs": Variant("wangleihitcs"),
    "CoinCheung": Variant("coincheung"),
    "Caffe LargeFOV": Variant("caffe"),
    "Caffe ASPP": Variant("caffe", ("fc6_1/weight",)),
    "Caffe ResNet": Variant("caffe", ("res2a_branch1/weight",)),
    "converted LargeFOV": Variant("caffe-converted"),
    "Keras Xception": Variant("keras", ("entry_flow_conv1_1/weight",)),
    "Keras MobileNetV2": Variant("keras"),
    "zoo": Variant("tensorflow-zoo"),
}


class Layout(NamedTuple):
    """What the files of a variant hold."""

    blueprint: Blueprint
    shapes: dict[str, torch.Size]
    names: dict[str, str]
    """From the file's keys to the network's."""


def layout(name: str, output_stride: int | None = None) -> Layout:
    variant = VARIANTS[name]
    dialect = next(dialect for dialect in DIALECTS if dialect.name == variant.dialect)
    blueprint = dialect.plan(dict.fromkeys(variant.telltale, torch.tensor(0.0)), output_stride)
    with torch.device("meta"):
        network = DeepLab(blueprint.profile)
    shapes, names = {}, {}
    for path, slot in network.state_dict().items():
        module, _, kind = path.rpartition(".")
        if kind != COUNTER:
            key = f"{blueprint.names[module]}{blueprint.separator}{kind}"
            shapes[key], names[key] = slot.shape, path
    return Layout(blueprint, shapes, names)


def random_state(shapes: Mapping[str, torch.Size], seed: int = 0) -> State:
    """Weights that keep activations in bounds, and statistics that matter."""
    generator = torch.Generator().manual_seed(seed)
    state = {}
    for key, shape in shapes.items():
        if len(shape) == 4:
            values = torch.randn(shape, generator=generator) * (1.5 / shape[1:].numel()) ** 0.5
        elif key.endswith("running_var") or (key.endswith("weight") and len(shape) == 1):
            values = 0.5 + torch.rand(shape, generator=generator)
        else:
            values = 0.1 * torch.randn(shape, generator=generator)
        state[key] = values
    return state


def write_variant(name: str, out: Path, seed: int = 0) -> Path:
    """A torch file of a variant."""
    torch.save(random_state(layout(name).shapes, seed), out)
    return out


# --- Keras ------------------------------------------------------------------------------------------------------------

_KERAS = {"running_mean": "moving_mean:0", "running_var": "moving_variance:0"}


def write_keras(state: Mapping[str, Tensor], out: Path, *, whole_model: bool = False) -> Path:
    """``layer/tensor`` as Keras writes it: height, width, inputs, outputs; gamma and beta."""
    import h5py

    with h5py.File(out, "w") as file:
        root = file.create_group("model_weights") if whole_model else file
        if whole_model:
            file.attrs["model_config"] = '{"class_name": "Lambda"}'
            file.create_dataset("optimizer_weights/Adam/iterations:0", data=np.int64(3))
        for key, tensor in state.items():
            layer, _, kind = key.rpartition("/")
            values, name = tensor.numpy(), _KERAS.get(kind, f"{kind}:0")
            if kind == "weight" and values.ndim == 1:
                name = "gamma:0"
            elif kind == "bias" and layer.endswith("_BN"):
                name = "beta:0"
            elif kind == "weight" and layer.endswith("depthwise"):
                name, values = "depthwise_kernel:0", values.transpose(2, 3, 0, 1)
            elif kind == "weight":
                name, values = "kernel:0", values.transpose(2, 3, 1, 0)
            root.create_dataset(f"{layer}/{layer}/{name}", data=values)
    return out


# --- Caffe ------------------------------------------------------------------------------------------------------------


def varint(value: int) -> bytes:
    """A number as protobuf writes it."""
    result = bytearray()
    while value > 0x7F:
        result.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*result, value])


def message(number: int, content: bytes) -> bytes:
    """A field of bytes."""
    return varint(number << 3 | 2) + varint(len(content)) + content


def number(field: int, value: int) -> bytes:
    """A field that is a number."""
    return varint(field << 3) + varint(value)


def blob(values: np.ndarray, *, old: bool) -> bytes:
    """A BlobProto."""
    data = message(5, values.astype("<f4").tobytes())
    if old:
        shape = (1,) * (4 - values.ndim) + values.shape
        return b"".join(number(i, length) for i, length in enumerate(shape, 1)) + data
    return message(7, message(1, b"".join(map(varint, values.shape)))) + data


def old_layer(name: str, kind: int, blobs: Iterable[np.ndarray]) -> bytes:
    """A V1LayerParameter, as a field of the network."""
    content = message(2, b"below") + message(3, name.encode()) + message(4, name.encode()) + number(5, kind)
    content += b"".join(message(6, blob(values, old=True)) for values in blobs)
    return message(2, content + message(10, b""))


def layer(name: str, kind: str, blobs: Iterable[np.ndarray], *, bottom: str = "below", top: str = "") -> bytes:
    """A LayerParameter, as a field of the network."""
    content = message(1, name.encode()) + message(2, kind.encode())
    content += message(3, bottom.encode()) + message(4, (top or name).encode())
    content += b"".join(message(7, blob(values, old=False)) for values in blobs)
    # Fields of other types, which are to be skipped: phase, a loss weight, parameters of the layer.
    return message(
        100, content + number(10, 1) + varint(5 << 3 | 5) + struct.pack("<f", 1.0) + message(106, b"\x08\x15")
    )


def caffe_old(state: Mapping[str, Tensor]) -> bytes:
    """Convolutions ``layer/weight`` and ``layer/bias`` as a network of the old layout."""
    layers = dict.fromkeys(key.rpartition("/")[0] for key in state)
    content = [message(1, b"VGG_ILSVRC_16_layers"), message(3, b"data"), number(5, 0)]
    for name in layers:
        content.append(old_layer(f"relu_{name}", 18, []))
        content.append(old_layer(name, 4, [state[f"{name}/weight"].numpy(), state[f"{name}/bias"].numpy()]))
    return b"".join(content)


def caffe_new(state: Mapping[str, Tensor], *, factor: float = 0.5, copies: Sequence[str] = ()) -> bytes:
    """Convolutions and normalisations as a network of the new layout: BatchNorm sums and a factor, then Scale."""
    layers = dict.fromkeys(key.rpartition("/")[0] for key in state)
    content = [message(1, b"ResNet-101")]
    for suffix in ("", *copies):
        for name in layers:
            get = {kind: state.get(f"{name}/{kind}") for kind in ("weight", "bias", "running_mean", "running_var")}
            arrays = {kind: tensor.numpy() for kind, tensor in get.items() if tensor is not None}
            if "running_mean" not in arrays:
                content.append(layer(name + suffix, "Convolution", arrays.values()))
                continue
            sums = [arrays["running_mean"] * factor, arrays["running_var"] * factor, np.array([factor])]
            top = name.replace("bn", "res") + suffix
            content.append(layer(name + suffix, "BatchNorm", sums, bottom=top, top=top))
            scale = name.replace("bn", "scale", 1) + suffix
            content.append(layer(scale, "Scale", [arrays["weight"], arrays["bias"]], bottom=top, top=top))
    return b"".join(content)
