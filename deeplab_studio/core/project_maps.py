"""How a class map lies in a project file: compressed, with a checksum over everything that gives it its meaning."""

from __future__ import annotations

import zlib
from typing import NamedTuple

import numpy as np

from deeplab_studio.core.classmap import Labels, Mask

_COMPRESSION = 1
"""zlib level: class maps are flat, higher levels take several times longer for little."""


class PackedMap(NamedTuple):
    """The columns of a saved class map.

    Attributes
    ----------
    width, height : int
    labels : bytes
        zlib of the H*W labels.
    pins : bytes or None
        zlib of the bits, most significant first; None if no pixel is pinned.
    crc : int
        CRC-32 of width, height and both of them.
    """

    width: int
    height: int
    labels: bytes
    pins: bytes | None
    crc: int

    @property
    def is_whole(self) -> bool:
        """Whether the checksum fits."""
        return self.crc == _crc(self.width, self.height, self.labels, self.pins)


def pack_map(labels: Labels, pinned: Mask | None = None) -> PackedMap:
    """A class map as a project file holds it.

    Raises
    ------
    ValueError
        If `labels` is not (H, W) uint8 with at least one pixel, or `pinned` is not (H, W) bool.
    """
    if labels.ndim != 2 or labels.dtype != np.uint8 or not labels.size:
        raise ValueError(f"a class map is (H, W) uint8 with at least one pixel, not {labels.shape} {labels.dtype}")
    if pinned is not None and (pinned.shape != labels.shape or pinned.dtype != np.bool_):
        raise ValueError(f"pins are (H, W) bool like the labels {labels.shape}, not {pinned.shape} {pinned.dtype}")
    height, width = labels.shape
    packed = zlib.compress(np.ascontiguousarray(labels).data, _COMPRESSION)
    pins = None
    if pinned is not None and pinned.any():
        pins = zlib.compress(np.packbits(pinned).data, _COMPRESSION)
    return PackedMap(width, height, packed, pins, _crc(width, height, packed, pins))


def unpack_map(packed: PackedMap) -> tuple[Labels, Mask]:
    """The class map (H, W) uint8 and its pins (H, W) bool.

    Raises
    ------
    ValueError
        If it is damaged.
    """
    width, height, labels, pins, _ = packed
    if not packed.is_whole:
        raise ValueError("the checksum does not fit")
    result = np.frombuffer(zlib.decompress(labels), np.uint8).reshape(height, width).copy()
    if pins is None:
        return result, np.zeros((height, width), np.bool_)
    bits = np.unpackbits(np.frombuffer(zlib.decompress(pins), np.uint8), count=height * width)
    return result, bits.view(np.bool_).reshape(height, width)


def _crc(width: int, height: int, labels: bytes, pins: bytes | None) -> int:
    return zlib.crc32(pins or b"", zlib.crc32(labels, zlib.crc32(f"{width}x{height}".encode())))
