"""A loaded model as an ONNX file for images of any size, checked against torch before it gets its name.

Input ``image`` (1, 3, height, width) float32, normalised as the metadata's ``preprocessing`` says; output ``logits``
(1, classes, h, w), not upsampled. The metadata hold the classes, the preprocessing, and the header of the program's own
format. Needs the packages of the extra ``onnx``.
"""

from __future__ import annotations

import dataclasses
import importlib
import importlib.util
import json
import os
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from deeplab_studio.checkpoints.model import LoadedModel
from deeplab_studio.checkpoints.native import METADATA_KEY, NAME, Header, read_header
from deeplab_studio.core.errors import StudioError
from deeplab_studio.core.files import atomic_write
from deeplab_studio.networks.blocks import SameConv2d
from deeplab_studio.networks.inference import for_inference

if TYPE_CHECKING:
    import onnx

TOLERANCE = 1e-3
"""The largest difference of a logit from torch's with which a file is kept."""

_SIDES = ((96, 128), (160, 64), (193, 250))
"""Sizes the file is checked at; the first is the one it is traced with."""


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written.

    Parameters
    ----------
    opset : int
        Version of the ONNX operators.
    sizes : tuple of (height, width)
        Inputs it was compared with torch at.
    max_difference : float
        Largest absolute difference of a logit there.
    input_remainder : int
        What height and width must leave when divided by 32; 0 for any size.
    """

    opset: int
    sizes: tuple[tuple[int, int], ...]
    max_difference: float
    input_remainder: int


def export_onnx(model: LoadedModel, path: str | os.PathLike[str]) -> Exported:
    """Write `model` as ONNX.

    Parameters
    ----------
    model : LoadedModel
    path : path-like
        Replaced as a whole, or left as it is if anything goes wrong.

    Raises
    ------
    StudioError
        If the packages are missing, the network cannot be expressed, the file's logits are not torch's, or it cannot
        be written.
    """
    onnx, runtime = _packages()
    network = _plain(model)
    remainder = model.profile.input_remainder
    sizes = tuple((_fitting(height, remainder), _fitting(width, remainder)) for height, width in _SIDES)
    proto = _trace(network, sizes[0], remainder, path)
    _describe(proto, model)
    with atomic_write(path) as temporary:
        onnx.save(proto, temporary)
        images = (_noise(model, size) for size in sizes)
        difference = max(_difference(network, runtime, temporary, image, path) for image in images)
        if not difference <= TOLERANCE:
            raise StudioError(
                f"its logits would differ from torch's by {difference:.2g}, more than {TOLERANCE:g}; nothing is kept",
                path=path,
                hint="Install the newest torch and onnxruntime, or use the model here.",
            )
    opset = next(entry.version for entry in proto.opset_import if entry.domain in ("", "ai.onnx"))
    return Exported(opset, sizes, difference, remainder)


def _packages() -> tuple[Any, Any]:
    missing = [name for name in ("onnx", "onnxscript", "onnxruntime") if importlib.util.find_spec(name) is None]
    if missing:
        raise StudioError(
            f"ONNX export needs {', '.join(missing)}, which is not installed",
            hint="Install it with: pip install 'deeplab-studio[onnx]'.",
        )
    return importlib.import_module("onnx"), importlib.import_module("onnxruntime")


def _fitting(side: int, remainder: int) -> int:
    return side + (remainder - side) % 32 if remainder else side


def _plain(model: LoadedModel) -> nn.Module:
    """The network with normalisation folded and padding that does not depend on the size of the image.

    TensorFlow's rule pads inputs of 32 n + 1 pixels alike on both sides, at every layer.
    """
    network = for_inference(model.network).to(memory_format=torch.contiguous_format)
    for parent in network.modules():
        for name, layer in parent.named_children():
            if isinstance(layer, SameConv2d):
                setattr(parent, name, _symmetric(layer))
    return network


def _symmetric(layer: SameConv2d) -> nn.Conv2d:
    with torch.device("meta"):
        plain = nn.Conv2d(
            layer.in_channels,
            layer.out_channels,
            (layer.kernel_size[0], layer.kernel_size[1]),
            stride=(layer.stride[0], layer.stride[1]),
            padding=(
                (layer.kernel_size[0] - 1) * layer.dilation[0] // 2,
                (layer.kernel_size[1] - 1) * layer.dilation[1] // 2,
            ),
            dilation=(layer.dilation[0], layer.dilation[1]),
            groups=layer.groups,
            bias=layer.bias is not None,
        )
    plain.weight, plain.bias = layer.weight, layer.bias
    return plain.eval()


def _trace(network: nn.Module, size: tuple[int, int], remainder: int, path: str | os.PathLike[str]) -> onnx.ModelProto:
    height, width = torch.export.Dim("height", min=1, max=256), torch.export.Dim("width", min=1, max=256)
    sides = {2: 32 * height + remainder, 3: 32 * width + remainder}
    if not remainder:
        sides = {2: torch.export.Dim("height", min=32, max=8192), 3: torch.export.Dim("width", min=32, max=8192)}
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                network,
                (torch.zeros(1, 3, *size),),
                dynamo=True,
                input_names=["image"],
                output_names=["logits"],
                dynamic_shapes=(sides,),
                verbose=False,
            )
    except Exception as error:  # the exporter raises what it likes
        reason = f"{type(error).__name__}: {error}".partition("\n")[0]
        raise StudioError(
            f"torch cannot express this network as ONNX ({reason})", path=path, hint="Use the model here."
        ) from error
    if program is None:
        raise StudioError("torch gave no ONNX model", path=path, hint="Install the newest torch.")
    return program.model_proto


def _describe(proto: onnx.ModelProto, model: LoadedModel) -> None:
    header = read_header(model.path) if model.dialect == NAME else None
    texts = {
        "title": model.title,
        "classes": json.dumps(model.classes.names, ensure_ascii=False),
        "preprocessing": json.dumps(dataclasses.asdict(model.preprocessing)),
        METADATA_KEY: Header.of(model, header.provenance if header is not None else None).dump(),
    }
    proto.producer_name = "DeepLab Studio"
    for key, value in texts.items():
        entry = proto.metadata_props.add()
        entry.key, entry.value = key, value


def _noise(model: LoadedModel, size: tuple[int, int]) -> npt.NDArray[np.float32]:
    """Random pixels of this (height, width), (1, 3, height, width), normalised as the model wants."""
    how = model.preprocessing
    mean, std = (np.asarray(values, np.float32)[:, None, None] for values in (how.mean, how.std))
    pixels = np.random.default_rng(0).integers(0, 256, (3, *size)).astype(np.float32)
    image: npt.NDArray[np.float32] = (pixels / np.float32(how.divisor) - mean) / std
    return image[None]


def _difference(
    network: nn.Module, runtime: Any, file: Path, image: npt.NDArray[np.float32], path: str | os.PathLike[str]
) -> float:
    """Largest absolute difference between the file's logits and torch's."""
    with torch.inference_mode():
        expected = network(torch.from_numpy(image)).numpy()
    try:
        session = runtime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
        (got,) = session.run(None, {"image": image})
    except Exception as error:  # onnxruntime has no exception of its own that covers all it raises
        reason = f"{error}".partition("\n")[0]
        raise StudioError(f"onnxruntime cannot run it ({reason})", path=path, hint="Use the model here.") from error
    if got.shape != expected.shape:
        return float("inf")
    return float(np.abs(got - expected).max(initial=0.0))
