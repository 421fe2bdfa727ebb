"""The few TIFF tags that decide how, and whether, the pixels are read.

TIFF is a container in which sizes of everything are free: a tile of a tiny image may claim gigabytes, a tag may hold a
hundred million numbers, a chain of pages may bite its own tail. These are checked here, on the file itself, before any
decoder sees it. Layout: TIFF 6.0 (Adobe, 1992) section 2; BigTIFF has the same structure with wider numbers.
"""

from __future__ import annotations

import struct
from typing import BinaryIO, Final, NamedTuple

_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC, _ORIENTATION, _SAMPLES = 256, 257, 258, 259, 262, 274, 277
_PLANAR, _TILE_WIDTH, _TILE_HEIGHT, _SAMPLE_FORMAT, _DNG_VERSION = 284, 322, 323, 339, 50706
_WANTED: Final = frozenset((_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC, _ORIENTATION)) | frozenset(
    (_SAMPLES, _PLANAR, _TILE_WIDTH, _TILE_HEIGHT, _SAMPLE_FORMAT, _DNG_VERSION)
)
_NUMBER_CODES: Final = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 13: "I", 16: "Q", 17: "q", 18: "Q"}
_COMMON: Final = {
    1: "not compressed",
    2: "CCITT",
    3: "fax group 3",
    4: "fax group 4",
    5: "LZW",
    6: "old JPEG",
    7: "JPEG",
    8: "Deflate",
    32773: "PackBits",
    32946: "Deflate",
}
_RARE: Final = {
    33003: "JPEG 2000",
    33005: "JPEG 2000",
    34676: "SGI LogLuv",
    34677: "SGI LogLuv",
    34712: "JPEG 2000",
    34887: "LERC",
    34892: "lossy JPEG",
    34925: "LZMA",
    50000: "Zstandard",
    50001: "WebP",
    50002: "JPEG XL",
    52546: "JPEG XL",
}
_BLOBS: Final = frozenset((1, 2, 7))  # bytes, text, undefined

MAX_PAGES: Final = 1000
"""Pages are counted up to this number."""
# Numbers become Python integers of some 40 bytes each; blobs (profiles, layers of an editor) stay as they are.
_MAX_NUMBERS: Final = 4_000_000
_MAX_BLOB_BYTES: Final = 512 * 2**20
_MAX_TILE_BYTES: Final = 256 * 2**20


class TiffHeader(NamedTuple):
    """The first page of a TIFF file.

    Attributes
    ----------
    width, height : int
        Pixels as stored, before the orientation.
    bits : int
        Bits of one sample (the widest).
    samples : int
        Samples of one pixel, alpha included.
    kind : {"unsigned", "signed", "float", "unknown"}
        What a sample is.
    compression : str
        The name of the compression, or its number.
    is_raw : bool
        Whether it is not compressed.
    is_rare : bool
        Whether the compression is one that not every installation can decode.
    is_planar : bool
        Whether the samples of a pixel lie apart, one plane per sample.
    photometric : int
        0 white is zero, 1 black is zero, 2 RGB, 3 palette, 5 separated (CMYK), 6 YCbCr, 8 Lab.
    orientation : int
        1..8; 1 where the file says nothing or nonsense.
    orientation_at : int or None
        Where in the file the orientation's two bytes are.
    big_endian : bool
        Whether its numbers have the high byte first.
    pages : int
        Number of pages; `MAX_PAGES` stands for that many or more.
    is_dng : bool
        Whether it is a digital negative, whose first page is a small preview.
    """

    width: int
    height: int
    bits: int
    samples: int
    kind: str
    compression: str
    is_raw: bool
    is_rare: bool
    is_planar: bool
    photometric: int
    orientation: int
    orientation_at: int | None
    big_endian: bool
    pages: int
    is_dng: bool


def read_tiff_header(file: BinaryIO) -> TiffHeader:
    """Read and check the first page's tags.

    Parameters
    ----------
    file : binary file, seekable
        Its position is changed.

    Returns
    -------
    TiffHeader

    Raises
    ------
    ValueError
        If the structure is broken or claims more than any real image needs; the message is a clause for a person.
    """
    try:
        return _read(file)
    except (struct.error, OverflowError) as error:
        raise ValueError("its table of contents is cut short") from error


def _read(file: BinaryIO) -> TiffHeader:
    file.seek(0)
    start = file.read(16)
    order = "<" if start[:2] == b"II" else ">"
    big = struct.unpack_from(order + "H", start, 2)[0] == 43
    first = struct.unpack_from(order + ("Q" if big else "I"), start, 8 if big else 4)[0]
    reader = _Pages(file, order, big)
    tags, following = reader.tags(first)

    def number(tag: int, otherwise: int) -> int:
        values = tags.get(tag)
        return max(values) if values else otherwise

    width, height = number(_WIDTH, 0), number(_HEIGHT, 0)
    if width <= 0 or height <= 0:
        raise ValueError("it does not state its width and height")
    samples, bits = number(_SAMPLES, 1), number(_BITS, 1)
    if not 0 < samples <= 65535 or not 0 < bits <= 128:
        raise ValueError(f"it claims {samples} samples of {bits} bits per pixel")
    tile = number(_TILE_WIDTH, 0) * number(_TILE_HEIGHT, 0) * samples * max(1, bits // 8)
    if tile > _MAX_TILE_BYTES:
        raise ValueError(f"it claims tiles of {tile / 2**20:,.0f} MiB each")
    orientation, compression = number(_ORIENTATION, 1), number(_COMPRESSION, 1)
    return TiffHeader(
        width=width,
        height=height,
        bits=bits,
        samples=samples,
        kind={1: "unsigned", 2: "signed", 3: "float"}.get(number(_SAMPLE_FORMAT, 1), "unknown"),
        compression=(_COMMON | _RARE).get(compression, f"compression {compression}"),
        is_raw=compression == 1,
        is_rare=compression not in _COMMON,
        is_planar=number(_PLANAR, 1) == 2 and samples > 1,
        photometric=number(_PHOTOMETRIC, 1),
        orientation=orientation if 1 <= orientation <= 8 else 1,
        orientation_at=reader.orientation_at,
        big_endian=order == ">",
        pages=reader.count(first, following),
        is_dng=_DNG_VERSION in tags,
    )


class _Pages:
    """Walks the image file directories of one file."""

    def __init__(self, file: BinaryIO, order: str, big: bool) -> None:
        self.orientation_at: int | None = None
        self._file = file
        self._order = order
        self._entry = struct.Struct(order + ("HHQ8s" if big else "HHI4s"))
        self._count = struct.Struct(order + ("Q" if big else "H"))
        self._offset = struct.Struct(order + ("Q" if big else "I"))

    def _at(self, offset: int, size: int) -> bytes:
        # Past 2**63 the system's own seek overflows; the file has long ended there.
        if offset >= 2**63:
            raise ValueError("its table of contents points far outside the file")
        self._file.seek(offset)
        return self._file.read(size)

    def _number_of_tags(self, offset: int) -> int:
        count: int = self._count.unpack(self._at(offset, self._count.size))[0]
        if count > 65535:
            raise ValueError(f"it claims {count} tags")
        return count

    def tags(self, offset: int) -> tuple[dict[int, tuple[int, ...]], int]:
        """Numbers of the wanted tags of the page at `offset`, and where the next page is (0: nowhere)."""
        count = self._number_of_tags(offset)
        block = self._file.read(count * self._entry.size + self._offset.size)
        found: dict[int, tuple[int, ...]] = {}
        for index in range(count):
            tag, kind, length, inline = self._entry.unpack_from(block, index * self._entry.size)
            if length > (_MAX_BLOB_BYTES if kind in _BLOBS else _MAX_NUMBERS):
                raise ValueError(f"its tag {tag} claims {length} values")
            if tag in _WANTED and kind in _NUMBER_CODES and 0 < length <= 65535:
                before = found.get(tag)
                values = struct.Struct(f"{self._order}{length}{_NUMBER_CODES[kind]}")
                if values.size <= len(inline):
                    found[tag] = values.unpack_from(inline)
                    if tag == _ORIENTATION and kind == 3:
                        start = offset + self._count.size + index * self._entry.size
                        self.orientation_at = start + self._entry.size - len(inline)
                else:
                    found[tag] = values.unpack(self._at(self._offset.unpack(inline)[0], values.size))
                # Which of two sizes a decoder believes differs between its releases.
                if tag in (_WIDTH, _HEIGHT) and before is not None and before != found[tag]:
                    raise ValueError("its header contradicts itself about the size")
        # Some writers leave out the pointer after the last page.
        tail = block[count * self._entry.size :]
        following: int = self._offset.unpack(tail)[0] if len(tail) == self._offset.size else 0
        return found, following

    def count(self, first: int, following: int) -> int:
        """Pages from the first on, `MAX_PAGES` at most; a damaged later page ends the count."""
        seen = {first}
        while following and following not in seen and len(seen) < MAX_PAGES:
            seen.add(following)
            try:
                tags = self._number_of_tags(following)
                after = self._at(self._file.tell() + tags * self._entry.size, self._offset.size)
                following = self._offset.unpack(after)[0]
            except (ValueError, struct.error):
                break
        return len(seen)
