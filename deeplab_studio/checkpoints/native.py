"""The program's own file: safetensors with a JSON header that says everything the weights do not.

Tensors lie under the names the network gives them; the header, under one key of the safetensors metadata, holds the
geometry (`Profile`), the preprocessing, the classes with their colours, and where the weights come from. Nothing in
such a file can be run. Weights are stored as float32, or those of the convolutions as float16.
"""

from __future__ import annotations

import dataclasses
import enum
import json
import math
import os
import types
import typing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar, Union

import safetensors
import torch
from safetensors.torch import save_file
from torch import Tensor

from deeplab_studio import __version__
from deeplab_studio.checkpoints.errors import CheckpointError
from deeplab_studio.checkpoints.model import LoadedModel, Preprocessing
from deeplab_studio.core.errors import StudioError
from deeplab_studio.core.files import atomic_write, explain_os_error
from deeplab_studio.core.labels import LabelClass, LabelSet
from deeplab_studio.networks.profile import Profile

SUFFIX = ".safetensors"
NAME = "deeplab-studio"
FORMAT = 1
METADATA_KEY = "deeplab_studio"
HEADER_KEY = "deeplab_studio.header"
"""Name under which the header is found among the tensors of such a file: its JSON text as bytes."""

_MAX_HEADER = 16 << 20
_COUNTER = "num_batches_tracked"
_GET_AGAIN = "Download, copy or convert it again."
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Where weights come from.

    Parameters
    ----------
    source : str
        Address or path of the file they were converted from.
    sha256 : str
        Of that file; empty if there was none.
    dialect : str
        Its layout.
    licence : str
        SPDX identifier or text; empty if none is known.
    """

    source: str = ""
    sha256: str = ""
    dialect: str = ""
    licence: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What a file of this format says about its weights. Fields added later have defaults that mean "as before".

    `variants` are the geometries in which the same weights work at other output strides.
    """

    format: int
    written_by: str
    version: str
    title: str
    profile: Profile
    preprocessing: Preprocessing
    classes: tuple[LabelClass, ...]
    label_set: str = ""
    provenance: Provenance = Provenance()
    variants: tuple[Profile, ...] = ()

    @classmethod
    def of(cls, model: LoadedModel, provenance: Provenance | None = None) -> Header:
        """The header that describes `model`."""
        if provenance is None:
            provenance = Provenance(source=str(model.path), sha256=model.sha256, dialect=model.dialect)
        return cls(
            format=FORMAT,
            written_by=f"DeepLab Studio {__version__}",
            version=model.version,
            title=model.title,
            profile=model.profile,
            preprocessing=model.preprocessing,
            classes=model.classes.classes,
            label_set=model.classes.name,
            provenance=provenance,
            variants=tuple(
                dataclasses.replace(other, multi_scale=model.profile.multi_scale)
                for other in model.profiles
                if other.output_stride != model.output_stride
            ),
        )

    @classmethod
    def parse(cls, text: str) -> Header:
        """Read the JSON of a header.

        Raises
        ------
        CheckpointError
            If it is none, or was written by a newer program.
        """
        try:
            values = json.loads(text)
            if isinstance(values, dict) and isinstance(values.get("format"), int) and values["format"] > FORMAT:
                raise _Newer(f"format {values['format']}")
            header = _restore(cls, values, "header")
            if header.profile.num_classes != len(header.classes):
                raise ValueError(f"{header.profile.num_classes} outputs but {len(header.classes)} classes")
            LabelSet(header.classes)
        except _Newer as error:
            raise CheckpointError(
                f"it was written by a newer DeepLab Studio: this one does not know {error}",
                hint="Update DeepLab Studio.",
            ) from error
        except (ValueError, RecursionError) as error:
            raise CheckpointError(f"its header cannot be understood ({error})", hint=_GET_AGAIN) from error
        return header

    def dump(self) -> str:
        """The header as JSON."""
        return json.dumps(dataclasses.asdict(self), ensure_ascii=False, allow_nan=False)

    @property
    def labels(self) -> LabelSet:
        """The classes."""
        return LabelSet(self.classes, self.label_set)


def save_native(
    model: LoadedModel, path: str | os.PathLike[str], *, half: bool = False, provenance: Provenance | None = None
) -> None:
    """Write a model as one file of this format.

    Parameters
    ----------
    model : LoadedModel
    path : path-like
        Replaced as a whole, or left as it is if anything goes wrong.
    half : bool
        Store the weights of the convolutions as float16: half the size, and logits that differ by its rounding.
        Biases and normalisation stay float32.
    provenance : Provenance, optional
        Where the weights come from; by default the file the model was loaded from, or what that file itself says.

    Raises
    ------
    StudioError
        If a weight does not fit into float16, or the file cannot be written.
    """
    if provenance is None and model.dialect == NAME and (header := read_header(model.path)) is not None:
        provenance = header.provenance
    tensors = {}
    for name, tensor in model.network.state_dict().items():
        if name.endswith(_COUNTER):
            continue
        stored = tensor.detach().to("cpu", torch.float32)
        if half and stored.dim() == 4:
            stored = stored.to(torch.float16)
            if not torch.isfinite(stored).all():
                raise StudioError(
                    f"weights of {name} are too large for float16", path=path, hint="Store the model as float32."
                )
        tensors[name] = stored.contiguous()
    metadata = {"format": "pt", METADATA_KEY: Header.of(model, provenance).dump()}
    with atomic_write(path) as temporary:
        save_file(tensors, temporary, metadata)


def read_header(path: Path) -> Header | None:
    """The header of a file of this format, without reading its weights; None if the file is something else.

    Raises
    ------
    CheckpointError
        If it is of this format and its header cannot be understood, or the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            if not looks_like_safetensors(file.read(9)):
                return None
        with _opened(path) as content:
            text = (content.metadata() or {}).get(METADATA_KEY)
        return Header.parse(text) if text is not None else None
    except OSError as error:
        raise _unreadable(path, error) from error
    except CheckpointError as error:
        raise CheckpointError(error.reason, path=path, hint=error.hint) from error


def looks_like_safetensors(head: bytes) -> bool:
    """Whether a file that begins with these 9 or more bytes may be one: eight bytes of length, then JSON."""
    return len(head) > 8 and head[8:9] == b"{"


def read_safetensors(path: Path) -> dict[str, Tensor]:
    """All tensors of a safetensors file; those of this format with their header under `HEADER_KEY`.

    They are the file itself, mapped into memory.

    Raises
    ------
    CheckpointError
        If the file is cut short or damaged, or holds something else.
    """
    try:
        with _opened(path) as content:
            text = (content.metadata() or {}).get(METADATA_KEY)
            tensors = {name: content.get_tensor(name) for name in content.keys()}  # noqa: SIM118  no mapping
    except OSError as error:
        raise _unreadable(path, error) from error
    if text is not None:
        tensors[HEADER_KEY] = torch.tensor(list(text.encode()), dtype=torch.uint8)
    return tensors


def _opened(path: Path) -> Any:
    """The file opened by safetensors, which checks that header and size agree."""
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
    if length > min(_MAX_HEADER, size):
        reason = "the file is cut short or damaged" if length > size else "its header is far too long"
        raise CheckpointError(reason, path=path, hint=_GET_AGAIN)
    try:
        return safetensors.safe_open(path, framework="pt", device="cpu")
    except safetensors.SafetensorError as error:
        raise CheckpointError("the file is cut short or damaged", path=path, hint=_GET_AGAIN) from error


def _unreadable(path: Path, error: OSError) -> CheckpointError:
    reason, hint = explain_os_error(error)
    return CheckpointError(f"it could not be read because {reason}", path=path, hint=hint)


class _Newer(Exception):
    """Something only a later release can have written; the message says what."""


def _restore(kind: type[_T], value: object, name: str) -> _T:
    """The dataclass that was written as `value`, checked field by field.

    Raises
    ------
    _Newer
        For a field or a choice this release does not know.
    ValueError
        For a value of another type, or a field that is not there.
    """
    if not isinstance(value, dict):
        raise ValueError(f"{name} is no table")
    hints = typing.get_type_hints(kind)
    known = {field.name: field for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    if unknown := sorted(value.keys() - known.keys()):
        raise _Newer(f"{name}.{unknown[0]}")
    absent = dataclasses.MISSING
    for field in known.values():
        if field.name not in value and field.default is absent and field.default_factory is absent:
            raise ValueError(f"{name}.{field.name} is missing")
    return kind(**{key: _value(hints[key], each, f"{name}.{key}") for key, each in value.items()})


def _value(hint: Any, value: object, name: str) -> Any:
    origin, choices = typing.get_origin(hint), typing.get_args(hint)
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return _restore(hint, value, name)
    if origin is Literal:
        if value not in choices:
            raise _Newer(f"{name} = {value!r}")
        return value
    if origin in (Union, types.UnionType):
        if value is None and type(None) in choices:
            return None
        (hint,) = (choice for choice in choices if choice is not type(None))
        return _value(hint, value, name)
    if origin is tuple:
        return _tuple(choices, value, name)
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        try:
            return hint(value)
        except ValueError:
            raise _Newer(f"{name} = {value!r}") from None
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if not isinstance(value, hint) or (isinstance(value, bool) and hint is not bool):
        raise ValueError(f"{name} is {value!r}")
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{name} is {value!r}")
    return value


def _tuple(choices: tuple[Any, ...], value: object, name: str) -> tuple[Any, ...]:
    if not isinstance(value, list):
        raise ValueError(f"{name} is no list")
    if len(choices) == 2 and choices[1] is Ellipsis:
        choices = (choices[0],) * len(value)
    if len(choices) != len(value):
        raise ValueError(f"{name} has {len(value)} values, not {len(choices)}")
    return tuple(_value(hint, each, f"{name}[{i}]") for i, (hint, each) in enumerate(zip(choices, value, strict=True)))
