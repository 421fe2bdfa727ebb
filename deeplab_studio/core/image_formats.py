"""Which image files are read, told by their first bytes and never by their name.

Only the formats listed here ever reach a decoder. Everything else is named in the refusal where its signature is known,
so that a person reads "a Photoshop document" and not "cannot identify image file".
"""

from __future__ import annotations

import codecs
import os
from pathlib import Path
from typing import Final, NamedTuple

from deeplab_studio.core.errors import StudioError


class ImageError(StudioError):
    """A file that cannot be shown as an image, with the reason and the next step."""


class ImageFormat(NamedTuple):
    """A format that is read.

    Attributes
    ----------
    name : str
        Pillow's name of the decoder, and the name shown.
    plugin : str
        The Pillow module that holds it; imported on first use, so that no other decoder is loaded.
    suffixes : tuple of str
        Lower-case file name endings, with the dot.
    streamed : bool
        Whether the decoder reads the file piece by piece. If not, the whole file is held in memory.
    bytes_per_pixel : int
        Memory for one pixel at the peak of opening an ordinary file at its worst (progressive, translucent, rotated),
        the result included and the file itself not.
    """

    name: str
    plugin: str
    suffixes: tuple[str, ...]
    streamed: bool
    bytes_per_pixel: int


FORMATS: Final = {
    entry.name: entry
    for entry in (
        ImageFormat("JPEG", "JpegImagePlugin", (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"), False, 10),
        ImageFormat("PNG", "PngImagePlugin", (".png", ".apng"), False, 8),
        ImageFormat("TIFF", "TiffImagePlugin", (".tif", ".tiff"), True, 9),
        ImageFormat("BMP", "BmpImagePlugin", (".bmp", ".dib"), True, 8),
        ImageFormat("WEBP", "WebPImagePlugin", (".webp",), False, 16),
        ImageFormat("GIF", "GifImagePlugin", (".gif",), True, 8),
        ImageFormat("AVIF", "AvifImagePlugin", (".avif", ".avifs"), False, 16),
        ImageFormat("JPEG2000", "Jpeg2KImagePlugin", (".jp2", ".j2k", ".jpf", ".jpx", ".jpc", ".j2c"), False, 24),
        ImageFormat("PPM", "PpmImagePlugin", (".ppm", ".pgm", ".pbm", ".pnm", ".pfm"), True, 8),
        ImageFormat("QOI", "QoiImagePlugin", (".qoi",), True, 12),
    )
}

IMAGE_SUFFIXES: Final = frozenset(suffix for entry in FORMATS.values() for suffix in entry.suffixes)
"""Lower-case file name endings (with the dot) under which a folder's files are taken for images."""

READABLE: Final = "JPEG, PNG, TIFF, BMP, WebP, GIF, AVIF, JPEG 2000, PPM and QOI files can be opened."

HEAD_BYTES: Final = 512
"""How much of a file's beginning `identify` and `foreign_kind` look at."""

_CONVERT: Final = "Save it as JPEG, PNG or TIFF first."
_DEVELOP: Final = "Develop it to JPEG or 16-bit TIFF first."

# (offset, signature) -> what it is. Only for the message: a wrong guess costs a word, never a wrong decoder.
_FOREIGN: Final[tuple[tuple[int, bytes, str, str], ...]] = (
    (0, b"8BPS", "a Photoshop document", _CONVERT),
    (0, b"DDS ", "a DirectDraw texture (DDS)", _CONVERT),
    (0, b"BLP1", "a BLP texture", _CONVERT),
    (0, b"BLP2", "a BLP texture", _CONVERT),
    (4, b"\x11\xaf", "an Autodesk animation (FLI)", _CONVERT),
    (4, b"\x12\xaf", "an Autodesk animation (FLC)", _CONVERT),
    (0, b"\x00\x00\x01\x00", "an icon file (ICO)", _CONVERT),
    (0, b"\x00\x00\x02\x00", "a cursor file (CUR)", _CONVERT),
    (0, b"icns", "an icon file (ICNS)", _CONVERT),
    (0, b"\x01\xda", "a Silicon Graphics image (SGI)", _CONVERT),
    (0, b"\x59\xa6\x6a\x95", "a Sun raster image", _CONVERT),
    (0, b"Image type:", "an IFUNC image (IM)", _CONVERT),
    (0, b"#define ", "an X bitmap or C source text", _CONVERT),
    (0, b"/* XPM */", "an X pixmap", _CONVERT),
    (0, b"\x76\x2f\x31\x01", "an OpenEXR image", _CONVERT),
    (0, b"#?RADIANCE", "a Radiance HDR image", _CONVERT),
    (0, b"#?RGBE", "a Radiance HDR image", _CONVERT),
    (0, b"\xff\x0a", "a JPEG XL image", _CONVERT),
    (0, b"\x00\x00\x00\x0cJXL ", "a JPEG XL image", _CONVERT),
    (0, b"II\xbc\x01", "a JPEG XR image", _CONVERT),
    (0, b"gimp xcf", "a GIMP document", _CONVERT),
    (0, b"PF\n", "a colour PFM image", _CONVERT),
    (0, b"P7\n", "a PAM image", _CONVERT),
    (0, b"FUJIFILMCCD-RAW", "a Fujifilm raw photo", _DEVELOP),
    (0, b"IIRO", "an Olympus raw photo", _DEVELOP),
    (0, b"IIRS", "an Olympus raw photo", _DEVELOP),
    (0, b"IIU\x00", "a Panasonic raw photo", _DEVELOP),
    (0, b"%PDF", "a PDF document", "Export its pages as PNG first."),
    (0, b"%!PS", "a PostScript document", "Export its pages as PNG first."),
    (0, b"SIMPLE  =", "a FITS image", _CONVERT),
    (128, b"DICM", "a DICOM image", _CONVERT),
    (0, b"\x93NUMPY", "a NumPy array", "Save it as PNG or TIFF first."),
    (0, b"\x89HDF\r\n\x1a\n", "an HDF5 file", _CONVERT),
    (0, b"\xd0\xcf\x11\xe0", "an Office document", "Save its pictures as PNG first."),
    (0, b"SQLite format 3\x00", "a database", "Choose an image file instead."),
    (0, b"PK\x03\x04", "a ZIP archive or an Office document", "Unpack it first."),
    (0, b"\x1f\x8b", "a gzip archive", "Unpack it first."),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7z archive", "Unpack it first."),
    (0, b"Rar!", "a RAR archive", "Unpack it first."),
    (0, b"\x1aE\xdf\xa3", "a Matroska or WebM video", "Export its frames as images first."),
)
_BRANDS: Final = {
    "an HEIC photo": (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"heif"),
    "a Canon raw photo": (b"crx ",),
    "an MPEG-4 or QuickTime video": (b"isom", b"iso2", b"mp41", b"mp42", b"qt  ", b"M4V ", b"avc1"),
}
_RAW_SUFFIXES: Final = frozenset(
    ".3fr .arw .cr2 .dcr .dng .erf .iiq .kdc .mef .mos .nef .nrw .pef .raw .rwl .sr2 .srf .srw".split()
)


def identify(head: bytes) -> str | None:
    """Name the format that is read, from a file's beginning.

    Parameters
    ----------
    head : bytes
        The first `HEAD_BYTES` of the file, or all of a shorter one.

    Returns
    -------
    str or None
        A key of `FORMATS`; None if it is none of them.
    """
    for name, signatures in (
        ("JPEG", (b"\xff\xd8\xff",)),
        ("PNG", (b"\x89PNG\r\n\x1a\n",)),
        ("TIFF", (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")),
        ("GIF", (b"GIF87a", b"GIF89a")),
        ("JPEG2000", (b"\x00\x00\x00\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51")),
        ("QOI", (b"qoif",)),
    ):
        if head.startswith(signatures):
            return name
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WEBP"
    if _brands(head) & {b"avif", b"avis"}:
        return "AVIF"
    # Two letters are a weak signature, so the size of the header that follows them in a bitmap is asked for too.
    if head[:2] == b"BM" and 12 <= int.from_bytes(head[14:18], "little") <= 256:
        return "BMP"
    if head[:1] == b"P" and head[1:2] in b"123456f" and head[2:3].isspace():
        return "PPM"
    return None


def foreign_kind(head: bytes) -> tuple[str, str]:
    """Say what a file is that `identify` does not know.

    Parameters
    ----------
    head : bytes
        The first `HEAD_BYTES` of the file, or all of a shorter one.

    Returns
    -------
    reason, hint : str
        For an `ImageError`.
    """
    if not head:
        return "the file is empty", "Copy it again from where it came from."
    for offset, signature, kind, hint in _FOREIGN:
        if head[offset:].startswith(signature):
            return f"this is {kind}, which cannot be opened here", hint
    brands = _brands(head)
    for kind, known in _BRANDS.items():
        if brands & set(known):
            hint = "Export its frames as images first." if kind.endswith("video") else _CONVERT
            return f"this is {kind}, which cannot be opened here", hint
    if not head.strip(b"\x00"):
        return "the file holds nothing but zeros, as after a copy that was cut off", "Copy it again."
    text = _as_text(head)
    if text is not None:
        start = text.lstrip().lower()
        if start.startswith(("<!doctype html", "<html", "<head", "<body")):
            return "this is a web page, not an image", "Download the image itself, not the page around it."
        if "<svg" in start:
            return "this is an SVG drawing, which cannot be opened here", "Export it as PNG first."
        return "the file holds text, not an image", "Choose the image it belongs to."
    return "this is not an image file of a known format", READABLE


def is_raw_photo(path: str | os.PathLike[str]) -> bool:
    """Whether the name is that of a camera raw file, whose TIFF structure holds only a small preview."""
    return Path(path).suffix.lower() in _RAW_SUFFIXES


def raw_photo_error(path: str | os.PathLike[str]) -> ImageError:
    """The refusal of a camera raw file."""
    return ImageError("this is a camera raw photo, which cannot be opened here", path=path, hint=_DEVELOP)


def _brands(head: bytes) -> set[bytes]:
    """Major and compatible brands of an ISO media file (ISO/IEC 14496-12, the ``ftyp`` box)."""
    if head[4:8] != b"ftyp":
        return set()
    length = min(int.from_bytes(head[:4], "big"), len(head))
    return {head[8:12], *(head[at : at + 4] for at in range(16, length - 3, 4))}


def _as_text(head: bytes) -> str | None:
    """The beginning as text, None if it does not look like any."""
    encoding = "utf-16" if head.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    # The cut may fall inside a character, so a decoder that waits for the rest is right and strict decoding is not.
    try:
        text = codecs.getincrementaldecoder(encoding)().decode(head)
    except UnicodeDecodeError:
        return None
    return text if all(letter.isprintable() or letter.isspace() for letter in text) else None
