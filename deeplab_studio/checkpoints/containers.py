"""Reading the tensors out of a checkpoint file, whatever it is called, without running anything in it."""

from __future__ import annotations

import argparse
import importlib
import re
import threading
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from deeplab_studio.checkpoints import keras_file
from deeplab_studio.checkpoints.caffe_file import looks_like_caffe, read_caffe
from deeplab_studio.checkpoints.errors import CheckpointError
from deeplab_studio.checkpoints.native import looks_like_safetensors, read_safetensors
from deeplab_studio.core.files import explain_os_error
from deeplab_studio.core.labels import VOC_LABELS, LabelClass, LabelSet, voc_palette

GET_AGAIN = "Download or copy it again."

_LEGACY_TORCH = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19"
"""A pickled 0x1950a86a20f9469cfc6c, with which files from before torch 1.6 begin."""

_FOREIGN = (
    (b"\x89PNG", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"%PDF", "a PDF document"),
    (b"version https://git-lfs", "a Git LFS pointer, a stand-in for the real file"),
)
_WRAPPERS = ("state_dict", "model_state", "model_state_dict", "model")
_PREFIXES = ("module.", "_orig_mod.", "model.")
_SLACK = 1 << 20
_MAX_EXPANSION = 20
_SMALL_ARCHIVE = 64 << 20
_safe_globals_lock = threading.Lock()


class Contents(NamedTuple):
    """What was read from a file.

    Attributes
    ----------
    tensors : dict
        By name, without wrapper and prefixes; in the file's order, on the CPU, in the file's own types.
    classes : LabelSet or None
        The classes, where the file names them.
    mapped : bool
        Whether the tensors are the file itself, mapped into memory: only what is looked at is read. What is kept has to
        be copied, for the file may be replaced or lie on a stick that is pulled out.
    """

    tensors: dict[str, Tensor]
    classes: LabelSet | None = None
    mapped: bool = False


def read_contents(path: Path) -> Contents:
    """Read a checkpoint, whatever wrote it.

    Parameters
    ----------
    path : Path
        A file saved by ``torch.save`` (zip or pre-1.6), ``numpy.savez``, safetensors, Keras (HDF5) or Caffe.

    Raises
    ------
    CheckpointError
        If the file is none of these, is damaged, would unpack to far more than it is, or holds program code.
    """
    try:
        with path.open("rb") as file:
            head = file.read(512)
            if head.startswith(b"PK"):
                return _read_zip(path, file)
        if head.startswith(_LEGACY_TORCH):
            return _read_torch(path)
        if head.startswith(keras_file.MAGIC):
            return Contents(keras_file.read_keras(path))
        if looks_like_safetensors(head):
            return Contents(_strip(read_safetensors(path)), mapped=True)
        if looks_like_caffe(head):
            return Contents(read_caffe(path))
    except OSError as error:
        raise unreadable(path, error) from error
    raise CheckpointError(_what_it_is(head), path=path, hint=_next_step(head))


def unreadable(path: Path, error: OSError) -> CheckpointError:
    """The refusal that says why the system would not read a file."""
    reason, hint = explain_os_error(error)
    return CheckpointError(f"it could not be read because {reason}", path=path, hint=hint)


def _what_it_is(head: bytes) -> str:
    if not head:
        return "the file is empty"
    if _is_html(head):
        return "this is a web page, not weights; the download went wrong"
    for magic, name in _FOREIGN:
        if head.startswith(magic):
            return f"this is {name}, not a checkpoint this program reads"
    if head.startswith(b"\x80"):
        return "this is a Python pickle that torch did not write; it could hold program code and is not opened"
    return "this is not a checkpoint: nothing that torch, NumPy, Keras, Caffe or safetensors wrote"


def _next_step(head: bytes) -> str:
    if not head or _is_html(head) or head.startswith(b"version https://git-lfs"):
        return GET_AGAIN
    return "Choose a .pth or .pt file saved by torch, a Keras .h5, a .caffemodel or a .safetensors file."


def _is_html(head: bytes) -> bool:
    return head.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"<"


def _read_zip(path: Path, file: IO[bytes]) -> Contents:
    try:
        with zipfile.ZipFile(file) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError, UnicodeDecodeError) as error:
        raise CheckpointError("the file is cut short or damaged", path=path, hint=GET_AGAIN) from error
    names = [member.filename for member in members]
    unpacked, size = sum(member.file_size for member in members), path.stat().st_size
    if any(name.endswith("data.pkl") for name in names):
        if any("/code/" in name for name in names):
            raise CheckpointError(
                "this is a TorchScript program, not a state dict",
                path=path,
                hint="Save the weights alone with torch.save(model.state_dict(), ...).",
            )
        # torch stores without compressing, so more than the file itself cannot be in it.
        _refuse_bomb(path, unpacked, size + _SLACK)
        # Mapped, a compressed tensor would be taken for numbers.
        return _read_torch(path, mapped=all(member.compress_type == zipfile.ZIP_STORED for member in members))
    if names and all(name.endswith(".npy") for name in names):
        _refuse_bomb(path, unpacked, max(_MAX_EXPANSION * size, _SMALL_ARCHIVE))
        return Contents(_read_npz(path))
    raise CheckpointError(
        "this is a zip archive that holds no checkpoint",
        path=path,
        hint="If the checkpoint is inside it, unpack it first.",
    )


def _refuse_bomb(path: Path, unpacked: int, limit: int) -> None:
    if unpacked > limit:
        raise CheckpointError(
            f"it would unpack to {unpacked / 1e6:,.0f} MB, which no checkpoint of its size does",
            path=path,
            hint=GET_AGAIN,
        )


def _read_npz(path: Path) -> dict[str, Tensor]:
    tensors = {}
    try:
        with zipfile.ZipFile(path) as archive:
            for member in archive.infolist():
                with archive.open(member) as stream:
                    _refuse_lying_header(path, stream, member)
        with np.load(path, allow_pickle=False) as arrays:
            for name in arrays.files:
                array = arrays[name]
                if array.dtype.kind not in "fiu":
                    raise CheckpointError(
                        f"tensor {name!r} holds {array.dtype}, not numbers", path=path, hint="Choose another file."
                    )
                tensors[name] = torch.from_numpy(array.astype(array.dtype.newbyteorder("="), copy=False))
    except (zipfile.BadZipFile, OSError, EOFError, ValueError, TypeError, NotImplementedError, zlib.error) as error:
        raise CheckpointError("the file is cut short or damaged", path=path, hint=GET_AGAIN) from error
    return tensors


def _refuse_lying_header(path: Path, stream: IO[bytes], member: zipfile.ZipInfo) -> None:
    version = np.lib.format.read_magic(stream)
    read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read_header(stream)
    if dtype.hasobject:
        raise CheckpointError(
            f"array {member.filename!r} holds Python objects, which could be program code and are not opened",
            path=path,
            hint="Save it again with arrays of numbers alone.",
        )
    count = 1
    for length in shape:
        count *= int(length)
    if count * dtype.itemsize + stream.tell() != member.file_size:
        raise ValueError("header and size disagree")


def _read_torch(path: Path, *, mapped: bool = False) -> Contents:
    try:
        with _safe_globals_lock, torch.serialization.safe_globals(_harmless_globals()):
            content = torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except OSError as error:
        raise unreadable(path, error) from error
    except Exception as error:
        raise _refusal(path, error) from error
    return _unwrap(path, content)._replace(mapped=mapped)


def _refusal(path: Path, error: Exception) -> CheckpointError:
    """Torch reports a damaged pickle with almost any exception; one that asks for code names what it wanted."""
    message = str(error)
    if "memory" in message or isinstance(error, MemoryError):
        return CheckpointError(
            "there is not enough memory to open it", path=path, hint="Close other programs and retry."
        )
    if wanted := re.search(r"GLOBAL ([\w.]+)", message):
        return CheckpointError(
            f"it holds program code or objects ({wanted[1]}) besides weights, which are not opened",
            path=path,
            hint="Save the weights alone with torch.save(model.state_dict(), ...).",
        )
    return CheckpointError("the file is cut short or damaged", path=path, hint=GET_AGAIN)


def _harmless_globals() -> list[Callable[..., Any] | tuple[Callable[..., Any], str]]:
    """What training scripts pickle beside their weights and cannot do harm.

    NumPy scalars ("best score") under the names of NumPy 1 and 2, and the plain attribute holder of parsed arguments.
    """
    modern = np.lib.NumpyVersion(np.__version__) >= "2.0.0"
    scalar = importlib.import_module("numpy._core.multiarray" if modern else "numpy.core.multiarray").scalar
    return [
        (scalar, "numpy.core.multiarray.scalar"),
        (scalar, "numpy._core.multiarray.scalar"),
        np.dtype,
        np.dtypes.Float64DType,
        argparse.Namespace,
    ]


def _unwrap(path: Path, content: object) -> Contents:
    """Find the state dict in what a training script saved and strip what parallel training put before its names."""
    if isinstance(content, Mapping):
        for candidate in (content, *(content.get(name) for name in _WRAPPERS)):
            if isinstance(candidate, Mapping):
                tensors = {str(name): value for name, value in candidate.items() if isinstance(value, Tensor)}
                if len(tensors) > 1:
                    return Contents(_strip(tensors), _classes(content.get("meta")))
    raise CheckpointError(
        "it holds no state dict", path=path, hint="Save the weights with torch.save(model.state_dict(), ...)."
    )


def _classes(meta: object) -> LabelSet | None:
    """The classes mmsegmentation writes beside its weights: names, and colours if there are enough."""
    if not isinstance(meta, Mapping):
        return None
    stated = meta.get("dataset_meta", meta)
    if not isinstance(stated, Mapping):
        return None
    names = stated.get("CLASSES", stated.get("classes"))
    colours = stated.get("PALETTE", stated.get("palette"))
    if not isinstance(names, list | tuple):
        return None
    try:
        if not isinstance(colours, list | tuple) or len(colours) != len(names):
            colours = voc_palette()
        rows = [tuple(int(channel) for channel in row) for row in colours[: len(names)]]
        found = LabelSet(tuple(LabelClass(str(name), (r, g, b)) for name, (r, g, b) in zip(names, rows, strict=True)))
        return VOC_LABELS if found.classes == VOC_LABELS.classes else found
    except (TypeError, ValueError):
        return None  # not worth refusing the weights for


def _strip(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    for prefix in _PREFIXES:
        if all(name.startswith(prefix) for name in tensors):
            return _strip({name.removeprefix(prefix): value for name, value in tensors.items()})
    return tensors
