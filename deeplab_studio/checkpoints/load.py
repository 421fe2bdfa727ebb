"""From a file to a `LoadedModel`: read, recognise, check, build."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from deeplab_studio.checkpoints.containers import GET_AGAIN, read_contents
from deeplab_studio.checkpoints.dialects import DIALECTS, Blueprint, Dialect
from deeplab_studio.checkpoints.dialects.base import NoSuchStride
from deeplab_studio.checkpoints.digest import sha256_of
from deeplab_studio.checkpoints.errors import CheckpointError
from deeplab_studio.checkpoints.model import FileHash, LoadedModel
from deeplab_studio.networks.deeplab import DeepLab
from deeplab_studio.networks.profile import OUTPUT_STRIDES, Profile, ScaledSize

_COUNTER = "num_batches_tracked"
"""Batch normalisation's step counter: absent from files before torch 0.4.1 and without effect on predictions."""


def load(
    path: str | os.PathLike[str],
    *,
    output_stride: int | None = None,
    multi_scale: Literal["published", "off"] | ScaledSize = "published",
) -> LoadedModel:
    """See `deeplab_studio.checkpoints.load_checkpoint`."""
    path = Path(path)
    if path.is_dir():
        raise CheckpointError("this is a folder", path=path, hint="Choose the checkpoint file inside it.")
    if path.exists() and not path.is_file():  # reading a device or a pipe may never end
        raise CheckpointError("this is not a file", path=path, hint="Choose a checkpoint file.")
    try:
        tensors, classes, mapped = read_contents(path)
        dialect = _recognise(tensors)
        blueprint = dialect.plan(tensors, output_stride)
        network = _build(blueprint, tensors, copy=mapped)
        published = blueprint.profile if output_stride is None else dialect.plan(tensors, None).profile
        profiles = (published, *_other_profiles(dialect, tensors, published.output_stride))
    except CheckpointError as error:
        raise CheckpointError(error.reason, path=path, hint=error.hint) from error
    if classes is None or len(classes) != len(blueprint.classes):
        classes = blueprint.classes
    # While the caller prepares the network, which leaves a core to it.
    pool = ThreadPoolExecutor(1, thread_name_prefix="sha256")
    hashing = pool.submit(sha256_of, path)
    pool.shutdown(wait=False)
    model = LoadedModel(
        network=network,
        profile=blueprint.profile,
        preprocessing=blueprint.preprocessing,
        classes=classes,
        dialect=dialect.name,
        title=blueprint.title,
        path=path,
        file_hash=FileHash(hashing),
        profiles=profiles,
    )
    return _at_scales(model, multi_scale)


def _at_scales(model: LoadedModel, wanted: Literal["published", "off"] | ScaledSize) -> LoadedModel:
    if wanted == "published":
        return model
    if wanted == "off":
        return model.with_multi_scale(None)
    if model.profile.multi_scale is None:
        raise CheckpointError(
            f"{model.title} looks at one scale alone", path=model.path, hint="Load it without a choice of scales."
        )
    return model.with_multi_scale(replace(model.profile.multi_scale, size=wanted))


def _other_profiles(dialect: Dialect, tensors: Mapping[str, Tensor], published: int) -> Iterator[Profile]:
    """The network's geometry at every output stride its weights fit besides the published one."""
    for stride in OUTPUT_STRIDES:
        if stride != published:
            with contextlib.suppress(NoSuchStride):
                yield dialect.plan(tensors, stride).profile


def _recognise(tensors: Mapping[str, Tensor]) -> Dialect:
    for dialect in DIALECTS:
        if dialect.recognises(tensors.keys()):
            return dialect
    raise CheckpointError(
        f"its tensors are not those of a DeepLab model this program knows; the first are {_some(list(tensors))}",
        hint="The documentation lists the projects whose files are known.",
    )


def _build(blueprint: Blueprint, tensors: Mapping[str, Tensor], *, copy: bool) -> DeepLab:
    # On the meta device nothing is allocated or drawn at random: a tensor is the file's, or the network is not built.
    with torch.device("meta"):
        network = DeepLab(blueprint.profile)
    wanted = {name: _file_key(blueprint, name) for name in network.state_dict()}
    required = [key for name, key in wanted.items() if not name.endswith(_COUNTER)]
    missing = [key for key in required if key not in tensors]
    if missing:
        raise CheckpointError(
            f"{len(missing)} of the {len(required)} tensors of {blueprint.title} are missing: {_some(missing)}",
            hint="Nothing is made up in their place; get the complete file.",
        )
    known = set(wanted.values())
    foreign = [key for key in tensors if key not in known and not key.startswith(blueprint.unused)]
    if foreign:
        raise CheckpointError(
            f"it has {len(foreign)} tensors that {blueprint.title} does not have: {_some(foreign)}",
            hint="It is a variant this program does not know.",
        )
    state, ranges = {}, {}
    for name, slot in network.state_dict().items():
        if not name.endswith(_COUNTER):
            key = wanted[name]
            state[name] = tensor = _checked(tensors[key], key, slot.shape, copy=copy)
            if tensor.numel():
                ranges[key] = torch.aminmax(tensor)  # now, while a copy is still in the processor's cache
    _refuse_what_is_no_number(ranges)
    _fill(network, state)
    return network.eval()


def _fill(network: DeepLab, state: Mapping[str, Tensor]) -> None:
    """`load_state_dict` with ``assign=True`` in a tenth of its time."""
    for path, module in network.named_modules():
        for name, parameter in module.named_parameters(recurse=False):
            setattr(module, name, nn.Parameter(state[f"{path}.{name}"], requires_grad=parameter.requires_grad))
        for name, _ in module.named_buffers(recurse=False):
            module.register_buffer(name, torch.tensor(0) if name == _COUNTER else state[f"{path}.{name}"])


def _file_key(blueprint: Blueprint, name: str) -> str:
    module, _, tensor = name.rpartition(".")
    return f"{blueprint.names[module]}{blueprint.separator}{tensor}"


def _checked(tensor: Tensor, key: str, shape: torch.Size, *, copy: bool) -> Tensor:
    """The tensor in float32 if it is what the network needs; a copy of it, or itself where that will do."""
    if tensor.shape != shape:
        raise CheckpointError(
            f"tensor {key!r} is {_size(tensor.shape)}, the network needs {_size(shape)}",
            hint="It is a variant this program does not know.",
        )
    if tensor.layout != torch.strided or tensor.device.type != "cpu" or not tensor.dtype.is_floating_point:
        raise CheckpointError(
            f"tensor {key!r} does not hold floating-point numbers", hint="Use the file from before its quantisation."
        )
    return tensor.detach().to(torch.float32, copy=copy).contiguous()


def _refuse_what_is_no_number(ranges: Mapping[str, tuple[Tensor, Tensor]]) -> None:
    """Name the first tensor with NaN, infinite values or negative variances.

    The smallest and largest value of each tell, and NaN is both.
    """
    lowest, highest = (torch.stack(ends) for ends in zip(*ranges.values(), strict=True))
    broken = ~(torch.isfinite(lowest) & torch.isfinite(highest))
    keys = list(ranges)
    if broken.any():
        key = keys[int(broken.nonzero()[0])]
        raise CheckpointError(f"tensor {key!r} holds NaN or infinite values", hint=GET_AGAIN)
    for key, low in zip(keys, lowest.tolist(), strict=True):
        if key.endswith("running_var") and low < 0:
            raise CheckpointError(f"tensor {key!r} holds negative variances", hint=GET_AGAIN)


def _size(shape: torch.Size) -> str:
    return " x ".join(map(str, shape)) or "a single number"


def _some(keys: list[str], shown: int = 3) -> str:
    text = ", ".join(map(repr, keys[:shown]))
    return f"{text} and {len(keys) - shown} more" if len(keys) > shown else text
