"""Masks: class maps as PNG files.

A mask of Pascal VOC is a PNG of colour type 3 (palette), bit depth 8, with all 256 palette entries; the value of a
pixel is its class id, 255 is void. (The masks of the 2012 release; its
development kit's ``VOCevalseg.m``.)
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
from PIL import Image as PilImage
from PIL import PngImagePlugin

from deeplab_studio.core.classmap import Labels
from deeplab_studio.core.errors import StudioError
from deeplab_studio.core.files import atomic_write, explain_os_error
from deeplab_studio.core.image_formats import HEAD_BYTES, identify
from deeplab_studio.core.images import MAX_PIXELS
from deeplab_studio.core.labels import VOID, LabelSet

GRAY, RGB, PALETTE, GRAY_ALPHA, RGBA = 0, 2, 3, 4, 6
"""Colour types of PNG."""

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_SAVE_AS_PALETTE = "Save it as a palette PNG, or as an 8-bit gray PNG, whose values are class ids."
_BROKEN = (OSError, SyntaxError, ValueError, EOFError, IndexError, struct.error, zlib.error)
"""What Pillow raises on a damaged file."""


@dataclass(frozen=True, slots=True)
class PngHeader:
    """What stands before the pixels of a PNG.

    Parameters
    ----------
    width, height : int
        In pixels.
    bit_depth : int
        Bits per value: 1, 2, 4, 8 or 16.
    colour_type : int
        `GRAY`, `RGB`, `PALETTE`, `GRAY_ALPHA` or `RGBA`.
    palette : bytes
        Red, green and blue of every entry; empty if there is none.
    """

    width: int
    height: int
    bit_depth: int
    colour_type: int
    palette: bytes


def png_header(path: Path) -> PngHeader:
    """Read what stands before the pixels of a mask.

    Raises
    ------
    StudioError
        If it cannot be read or is no PNG; for a JPEG it says why that cannot be a mask.
    """
    try:
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
            if not head.startswith(_SIGNATURE):
                raise _not_png(path, head)
            file.seek(len(_SIGNATURE))
            chunks = dict(_chunks_before_pixels(file))
    except OSError as error:
        reason, hint = explain_os_error(error)
        raise StudioError(f"the mask could not be read because {reason}", path=path, hint=hint) from error
    header = chunks.get(b"IHDR", b"")
    if len(header) != 13:
        raise _damaged(path)
    width, height, bit_depth, colour_type = struct.unpack(">IIBB", header[:10])
    return PngHeader(width, height, bit_depth, colour_type, chunks.get(b"PLTE", b""))


def read_mask(path: Path, *, image_size: tuple[int, int] | None = None, label_set: LabelSet | None = None) -> Labels:
    """Read a mask.

    Parameters
    ----------
    path : Path
        A palette PNG or a gray PNG of up to 8 bits per pixel, whose values are class ids.
    image_size : (int, int), optional
        Width and height that it must have: the upright photo's.
    label_set : LabelSet, optional
        Classes that it may hold, besides void.

    Returns
    -------
    (H, W) uint8 array
        Class ids, 255 where void.

    Raises
    ------
    StudioError
        For anything else, saying what it is and what to do: colours instead of ids, 16 bits, JPEG, another size, ids
        without a class, a damaged file.
    """
    path = Path(path)
    header = png_header(path)
    if header.colour_type not in (GRAY, PALETTE):
        kind = "gray with transparency" if header.colour_type == GRAY_ALPHA else "colours (RGB)"
        raise StudioError(f"the mask holds {kind} instead of class ids", path=path, hint=_SAVE_AS_PALETTE)
    if header.bit_depth > 8:
        raise StudioError("the mask has 16 bits per pixel, class ids have 8", path=path, hint=_SAVE_AS_PALETTE)
    if image_size is not None:
        _require_size(path, (header.width, header.height), image_size)
    if header.width * header.height > MAX_PIXELS:
        raise StudioError(
            f"the mask is {header.width} x {header.height} pixels, more than any photo that can be opened",
            path=path,
            hint="Cut the photo and its mask into parts.",
        )
    labels = _decode(path)
    if header.colour_type == GRAY and header.bit_depth < 8:
        labels //= 255 // ((1 << header.bit_depth) - 1)  # the decoder stretched them to 0..255
    if label_set is not None:
        unknown = unknown_ids(labels, label_set)
        if unknown:
            raise StudioError(
                f"the mask holds {_ids(unknown)}, the label set ends at {len(label_set) - 1} "
                f"({label_set.name_of(len(label_set) - 1)})",
                path=path,
                hint="Add the missing classes to the label set, or choose the label set the mask was made with.",
            )
    return labels


def write_mask(path: Path, labels: Labels, label_set: LabelSet) -> None:
    """Write a class map as a mask of Pascal VOC: whole, re-read and compared, or not at all.

    Parameters
    ----------
    path : Path
        A file that is there is replaced.
    labels : (H, W) uint8 array
        Class ids of `label_set`; 255 where void.
    label_set : LabelSet
        Its colours become the palette; ids it does not have, and void, get Pascal VOC's.

    Raises
    ------
    StudioError
        If an id has no class, or the file cannot be written.
    """
    path = Path(path)
    require_known_ids(path, labels, label_set)
    with atomic_write(path) as temporary:
        encode_mask(temporary, labels, label_set)
        check_mask(temporary, labels, label_set, path)


def encode_mask(file: Path, labels: Labels, label_set: LabelSet) -> None:
    """Write the bytes of a mask to a file, as they come; see `write_mask`."""
    image = PilImage.fromarray(np.ascontiguousarray(labels))
    image.putpalette(label_set.palette().tobytes())
    # Without `bits` Pillow packs few classes into fewer bits per pixel.
    image.save(file, format="PNG", bits=8)


def check_mask(written: Path, labels: Labels, label_set: LabelSet, path: Path) -> None:
    """Compare a file that was just written with what was meant, bit by bit.

    Parameters
    ----------
    written : Path
        Where it is.
    labels : (H, W) uint8 array
    label_set : LabelSet
    path : Path
        What a person calls it.

    Raises
    ------
    StudioError
        If it differs: the disk lost something.
    """
    height, width = labels.shape
    meant = PngHeader(width, height, 8, PALETTE, label_set.palette().tobytes())
    try:
        same = png_header(written) == meant and np.array_equal(_decode(written), labels)
    except StudioError:
        same = False
    if not same:
        raise StudioError(
            "what was written does not read back as it was", path=path, hint="Check the disk, or choose another one."
        )


def unknown_ids(labels: Labels, label_set: LabelSet) -> list[int]:
    """Ids in a class map that are neither void nor in the label set, ascending."""
    return [int(i) for i in np.flatnonzero(count_ids(labels)) if len(label_set) <= i != VOID]


def require_known_ids(path: Path, labels: Labels, label_set: LabelSet) -> None:
    """Raise a StudioError about `path` if a class map holds an id without a class."""
    unknown = unknown_ids(labels, label_set)
    if unknown:
        raise StudioError(
            f"its class map holds {_ids(unknown)}, which the label set does not have",
            path=path,
            hint="Add the missing classes to the label set, or paint over these pixels.",
        )


def count_ids(labels: Labels) -> npt.NDArray[np.int64]:
    """Number of pixels of every value, (256,) int64."""
    counts = np.zeros(256, np.int64)
    flat = labels.reshape(-1)
    for start in range(0, flat.size, 1 << 20):  # bincount takes eight bytes per pixel
        counts += np.bincount(flat[start : start + (1 << 20)], minlength=256)
    return counts


def _decode(path: Path) -> Labels:
    try:
        # Not Image.open: its limit on the number of pixels is not ours, and only this decoder may run.
        with PngImagePlugin.PngImageFile(path) as image:
            image.load()
            return np.array(image).astype(np.uint8) * 255 if image.mode == "1" else np.array(image)
    except _BROKEN as error:
        raise _damaged(path) from error


def _chunks_before_pixels(file: BinaryIO) -> Iterator[tuple[bytes, bytes]]:
    while len(head := file.read(8)) == 8:
        length, kind = struct.unpack(">I4s", head)
        if kind == b"IDAT":
            return
        if kind in (b"IHDR", b"PLTE") and length <= 768:
            yield kind, file.read(length)
            file.seek(4, 1)
        else:
            file.seek(length + 4, 1)


def _require_size(path: Path, found: tuple[int, int], wanted: tuple[int, int]) -> None:
    if found == wanted:
        return
    text = f"the mask is {found[0]} x {found[1]} pixels, its photo {wanted[0]} x {wanted[1]}"
    if found == wanted[::-1]:
        text += "; the photo is stored lying on its side, and the mask with it"
        raise StudioError(text, path=path, hint="Turn the mask the way the photo is shown.")
    raise StudioError(text, path=path, hint="Save the mask at the photo's size, without smoothing.")


def _ids(ids: list[int]) -> str:
    shown = ", ".join(map(str, ids[:5])) + (" and others" if len(ids) > 5 else "")
    return f"class id {shown}" if len(ids) == 1 else f"class ids {shown}"


def _not_png(path: Path, head: bytes) -> StudioError:
    kind = identify(head)
    if not head:
        return StudioError("the mask's file is empty", path=path, hint="Copy it again from where it came from.")
    if kind == "JPEG":
        return StudioError(
            "the mask is a JPEG, which changes class ids at every border when it is compressed",
            path=path,
            hint="Export the mask again from where it was made, as a palette PNG.",
        )
    what = f"a {kind} file" if kind else "not an image"
    return StudioError(f"the mask is {what}, masks are PNG files", path=path, hint=_SAVE_AS_PALETTE)


def _damaged(path: Path) -> StudioError:
    return StudioError("the mask's file is damaged", path=path, hint="Copy it again from where it came from.")
