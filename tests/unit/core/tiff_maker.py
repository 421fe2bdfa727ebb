"""TIFF files that no library here would write: wide samples with an orientation, and lies in the tags."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

SHORT, LONG = 3, 4


def write_tiff(
    path: Path,
    values: npt.NDArray[Any],
    *,
    orientation: int = 1,
    planes: bool = False,
    tags: dict[int, int] | None = None,
) -> None:
    """Write (h, w) or (h, w, c) values of any type, uncompressed; `tags` adds or replaces numbers.

    One strip, or one per sample if the samples of a pixel are to lie apart (`planes`).
    """
    if values.ndim == 2:
        values = values[..., np.newaxis]
    height, width, samples = values.shape
    data = np.ascontiguousarray(values.transpose(2, 0, 1) if planes else values).tobytes()
    strips = samples if planes else 1
    strip_bytes = len(data) // strips
    fields: dict[int, tuple[int, ...]] = {
        256: (width,),
        257: (height,),
        258: (values.dtype.itemsize * 8,) * samples,
        259: (1,),
        262: (2 if samples >= 3 else 1,),
        273: (0,) * strips,
        274: (orientation,),
        277: (samples,),
        278: (height,),
        279: (strip_bytes,) * strips,
        284: (2 if planes else 1,),
        339: ({"u": 1, "i": 2, "f": 3}[values.dtype.kind],) * samples,
    }
    if samples == 4:
        fields[338] = (2,)
    fields |= {tag: (number,) for tag, number in (tags or {}).items()}
    table_end = 8 + 2 + 12 * len(fields) + 4
    extra = b""
    sizes = {tag: 2 if tag in (258, 274, 339) else 4 for tag in fields}
    pixels_at = table_end + sum(len(numbers) * sizes[tag] for tag, numbers in fields.items() if len(numbers) > 1)
    fields[273] = tuple(pixels_at + strip * strip_bytes for strip in range(strips))
    table = struct.pack("<H", len(fields))
    for tag, numbers in sorted(fields.items()):
        kind, code = (SHORT, "H") if sizes[tag] == 2 else (LONG, "I")
        packed = struct.pack(f"<{len(numbers)}{code}", *numbers)
        if len(packed) > 4:
            inline = struct.pack("<I", table_end + len(extra))
            extra += packed
        else:
            inline = packed.ljust(4, b"\0")
        table += struct.pack("<HHI", tag, kind, len(numbers)) + inline
    extra = extra.ljust(pixels_at - table_end, b"\0")
    path.write_bytes(b"II*\0" + struct.pack("<I", 8) + table + struct.pack("<I", 0) + extra + data)
