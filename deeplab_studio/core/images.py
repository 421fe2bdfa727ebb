"""Any image file -> upright RGB, or one sentence saying why not.

Pillow decides what a file is (among the formats of `image_formats.FORMATS` only) and decodes it. OpenCV decodes in two
cases: more than eight bits in several channels, which Pillow silently cuts to eight, and WebP and JPEG 2000, during
which Pillow holds the interpreter (0.1 s and 0.9 s for pictures of 24 and 6 megapixels) and a window would stand still.
"""

from __future__ import annotations

import contextlib
import errno
import importlib
import logging
import os
import re
import stat
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, UnidentifiedImageError
from PIL import Image as PilImage

from deeplab_studio.core.files import explain_os_error
from deeplab_studio.core.image_formats import (
    FORMATS,
    HEAD_BYTES,
    IMAGE_SUFFIXES,
    ImageError,
    ImageFormat,
    foreign_kind,
    identify,
    is_raw_photo,
    raw_photo_error,
)
from deeplab_studio.core.image_pixels import Pixels, Upright, from_array, from_pillow, make_upright, upright_size
from deeplab_studio.core.tiff_header import MAX_PAGES, TiffHeader, read_tiff_header

__all__ = [
    "IMAGE_SUFFIXES",
    "Image",
    "ImageError",
    "ImageSize",
    "examine_size",
    "image_size",
    "load_image",
    "load_thumbnail",
]

MAX_PIXELS: Final = 175_000_000
"""The largest picture that is opened: beyond a 150-megapixel camera, within Pillow's own guard (178,956,970)."""
MAX_SIDE: Final = 1 << 20
"""The longest side in pixels; decoders keep a pointer per row, so a column of a hundred million rows is no bargain."""
MEMORY_BUDGET: Final = 1_850_000_000
"""Bytes that opening one file may take at its peak, so that the process stays under 2 GB with its libraries."""

# Decoders that Pillow has in Python only (QOI, plain-text PPM, run-length BMP) take one to three seconds a megapixel.
_MAX_SLOW_PIXELS: Final = 4_000_000
# Each scan of a progressive JPEG passes over the whole picture: some ten in a real one, but thousands of empty ones fit
# into a small file and would decode for hours. Pixels times scans; ten scans of the largest picture are a sixth of it.
_MAX_SCANNED_PIXELS: Final = 10_000_000_000
# Samples of a TIFF that OpenCV decodes, and what they become.
_WIDE: Final = {("unsigned", 16): np.uint16, ("float", 32): np.float32, ("float", 64): np.float64}
_MAX_COUNTED_GIF_BYTES: Final = 32 * 2**20
_MAX_METADATA_BYTES: Final = 2**20

_COPY_AGAIN: Final = "Copy or download it again, or take it from a backup."
_SMALLER: Final = "Cut it into smaller pictures or scale it down first."

# What Pillow complains about while it succeeds (broken EXIF, large pictures) is none of the console's business.
warnings.filterwarnings("ignore", module=r"PIL\.")
logging.getLogger("PIL").addHandler(logging.NullHandler())


@dataclass(frozen=True, slots=True, eq=False)
class Image:
    """An image file's picture.

    Attributes
    ----------
    pixels : ndarray, shape (H, W, 3), uint8
        RGB, upright, C-contiguous.
    path : Path
        Where it was read from.
    format : str
        What the file is, whatever its name says: a key of `image_formats.FORMATS`.
    orientation : int, 1..8
        The EXIF orientation that was applied; 1 if none had to be.
    notes : tuple of str
        What a person should know about the way from the file to `pixels`, as short clauses:
        ``"16-bit values 12..4095 scaled to 0..255"``.
    """

    pixels: Pixels
    path: Path
    format: str
    orientation: int
    notes: tuple[str, ...]

    @property
    def height(self) -> int:
        """Rows."""
        return int(self.pixels.shape[0])

    @property
    def width(self) -> int:
        """Columns."""
        return int(self.pixels.shape[1])


def load_image(path: str | os.PathLike[str]) -> Image:
    """Read an image file.

    The EXIF orientation is applied once. Alpha is laid over white, more than eight bits are scaled from their smallest
    and largest value to 0..255, of several frames or pages the first is taken: all of it said in `Image.notes`.
    A file that ends too early is refused, never shown half gray. Safe to call from several threads.

    Parameters
    ----------
    path : path-like
        The file; never written to.

    Returns
    -------
    Image

    Raises
    ------
    ImageError
        If it cannot be read, is no image, is damaged, or would take too much memory (`MAX_PIXELS`, `MAX_SIDE`,
        `MEMORY_BUDGET`).
    """
    with _opened(Path(path)) as source:
        upright = source.decode()
        notes = (*source.frame_note(), *upright.notes)
        return Image(upright.pixels, source.path, source.format.name, source.orientation, notes)


def image_size(path: str | os.PathLike[str]) -> tuple[int, int]:
    """Width and height of an image file as it will be shown, from its header alone.

    Parameters
    ----------
    path : path-like
        The file.

    Returns
    -------
    width, height : int
        Pixels, after the EXIF orientation.

    Raises
    ------
    ImageError
        As `load_image`, except for damage that only decoding shows.
    """
    with _opened(Path(path)) as source:
        return upright_size(source.width, source.height, source.orientation)


@dataclass(frozen=True, slots=True)
class ImageSize:
    """How large a photo is shown, and how it is stored.

    Parameters
    ----------
    width, height : int
        Pixels, upright.
    orientation : int, 1..8
        The EXIF orientation that makes it upright.
    """

    width: int
    height: int
    orientation: int = 1

    @property
    def stored(self) -> tuple[int, int]:
        """Width and height in the file."""
        return upright_size(self.width, self.height, self.orientation)

    def upright(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Turn an array that lies as the photo is stored the way the photo is turned; a view of it.

        Parameters
        ----------
        values : (h, w, ...) array
        """
        return make_upright(values, self.orientation)


def examine_size(path: str | os.PathLike[str]) -> ImageSize:
    """Size and orientation of an image file, from its header alone; raises as `image_size`."""
    with _opened(Path(path)) as source:
        return ImageSize(*upright_size(source.width, source.height, source.orientation), source.orientation)


def load_thumbnail(path: str | os.PathLike[str], size: int) -> Pixels:
    """Read an image file as a small picture.

    A JPEG is decoded at an eighth, a quarter or a half of its size where that suffices. A picture smaller than `size`
    keeps its size.

    Parameters
    ----------
    path : path-like
        The file.
    size : int
        Longest side of the result in pixels, at least 1.

    Returns
    -------
    ndarray, shape (h, w, 3), uint8
        RGB, upright, proportions kept.

    Raises
    ------
    ImageError
        As `load_image`.
    """
    with _opened(Path(path)) as source:
        width, height = upright_size(source.width, source.height, source.orientation)
        shrink = min(1.0, size / max(width, height))
        target = max(1, round(width * shrink)), max(1, round(height * shrink))
        pixels = source.decode(at_least=max(target)).pixels
    if (pixels.shape[1], pixels.shape[0]) == target:
        return pixels
    # Box first down to twice the size, then smoothly: as good to the eye as the slow filter alone.
    small = PilImage.fromarray(pixels).resize(target, PilImage.Resampling.BICUBIC, reducing_gap=2.0)
    return np.array(small)


@dataclass
class _Source:
    """An opened and checked file whose pixels have not been read.

    `picture` is None for the TIFF layouts that only OpenCV reads; `width` and `height` are those in the file, before
    the orientation; `deep` says that OpenCV must decode or values are lost.
    """

    path: Path
    file: BinaryIO
    format: ImageFormat
    picture: PilImage.Image | None
    tiff: TiffHeader | None
    width: int
    height: int
    orientation: int
    deep: bool

    def frame_note(self) -> tuple[str, ...]:
        """Whether the file holds more than the one picture that is shown. Call it last: counting moves the decoder."""
        if self.tiff is not None:
            pages = self.tiff.pages
            count = f"more than {MAX_PAGES}" if pages == MAX_PAGES else str(pages)
            return (f"first of {count} pages",) if pages > 1 else ()
        if self.format.name == "GIF" and os.fstat(self.file.fileno()).st_size > _MAX_COUNTED_GIF_BYTES:
            # Pillow counts them by walking through the file.
            return ("first frame of an animation",) if getattr(self.picture, "is_animated", False) else ()
        try:
            frames = getattr(self.picture, "n_frames", 1)
        except Exception:  # noqa: BLE001  (a damaged later frame fails in every way there is; the first is complete)
            return ("first frame; the others are damaged",)
        what = "pictures" if self.picture is not None and self.picture.format == "MPO" else "frames"
        return (f"first of {frames} {what}",) if frames > 1 else ()

    def decode(self, at_least: int | None = None) -> Upright:
        """Read the pixels; where the format can, only as many as leave the longest side at least that long."""
        with _explained(self.path, self.format.name):
            by_opencv = self.deep or (self.format.name in ("WEBP", "JPEG2000") and self._frames_are_single())
            values = self._decode_with_opencv() if by_opencv else None
            if values is None:
                picture = self._decode_with_pillow(at_least)
        if values is not None:
            return from_array(values, self.orientation)
        # Pillow turns a TIFF upright by itself.
        orientation = 1 if self.tiff is not None else self.orientation
        upright = from_pillow(picture, orientation, bits=self.tiff.bits if self.tiff is not None else 16)
        height, width = upright.pixels.shape[:2]
        is_reduced = at_least is not None and self.format.name == "JPEG"
        if not is_reduced and (width, height) != upright_size(self.width, self.height, self.orientation):
            reason = f"the {self.format.name} file is damaged: its header contradicts itself"
            raise ImageError(reason, path=self.path, hint=_COPY_AGAIN)
        is_cut = self.deep or (self.tiff is not None and self.tiff.bits > 8 and self.tiff.samples > 1)
        cut = ("values of more than 8 bits cut to their upper 8",) if is_cut else ()
        return Upright(upright.pixels, (*upright.notes, *cut))

    def _frames_are_single(self) -> bool:
        return getattr(self.picture, "n_frames", 1) == 1

    def _decode_with_opencv(self) -> npt.NDArray[Any] | None:
        """Values as stored, None if OpenCV cannot read them or reads something else than Pillow announced."""
        import cv2

        # What OpenCV and the libraries in it say about a broken file goes to the console otherwise.
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
        self.file.seek(0)
        content = np.fromfile(self.file, np.uint8)
        if self.tiff is not None and self.tiff.orientation_at is not None:
            # OpenCV turns some TIFF pictures upright and others not; with the tag set to 1 it leaves that to us.
            content[self.tiff.orientation_at : self.tiff.orientation_at + 2] = (
                (0, 1) if self.tiff.big_endian else (1, 0)
            )
        try:
            values: npt.NDArray[Any] | None = cv2.imdecode(content, cv2.IMREAD_UNCHANGED)
        except cv2.error:
            return None
        if values is None or values.shape[:2] != (self.height, self.width):
            return None
        if self.tiff is not None and values.dtype != _WIDE[self.tiff.kind, self.tiff.bits]:
            return None
        channels = 1 if values.ndim == 2 else values.shape[2]
        if self.picture is not None and not self.deep and channels != len(self.picture.getbands()):
            return None
        return values if channels in (1, 3, 4) else None

    def _decode_with_pillow(self, at_least: int | None) -> PilImage.Image:
        if self.picture is None:
            assert self.tiff is not None
            raise _unusual_tiff(self.path, self.tiff)
        if self.tiff is not None and self.tiff.is_planar and self.tiff.bits > 8 and self.tiff.is_raw:
            # Pillow takes the bytes of such values for values.
            raise _unusual_tiff(self.path, self.tiff)
        _check_slow(self.path, self.picture)
        if self.format.name == "JPEG":
            _check_scans(self)
            if at_least is not None:
                shrink = at_least / max(self.width, self.height)
                self.picture.draft(None, (max(1, int(self.width * shrink)), max(1, int(self.height * shrink))))
        try:
            self.picture.load()
        except OSError as error:
            if self.tiff is not None and error.errno is None and self.tiff.is_rare:
                raise _unusual_tiff(self.path, self.tiff) from error
            raise
        return self.picture


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[_Source]:
    """Open a file, find out what it is and refuse what must not reach a decoder."""
    with contextlib.ExitStack() as stack:
        with _explained(path, None):
            status = path.stat()
            if stat.S_ISDIR(status.st_mode):
                raise ImageError("this is a folder, not an image", path=path, hint="Choose the images in it.")
            # Opening a pipe waits for somebody to write into it, perhaps for ever.
            if not stat.S_ISREG(status.st_mode):
                raise ImageError("this is a device, not a file", path=path, hint="Choose an image file.")
            file = stack.enter_context(path.open("rb"))
            head = file.read(HEAD_BYTES)
        name = identify(head)
        if name is None:
            reason, hint = foreign_kind(head)
            raise ImageError(reason, path=path, hint=hint)
        entry = FORMATS[name]
        with _explained(path, name):
            if not entry.streamed and status.st_size > MEMORY_BUDGET // 2:
                raise ImageError(
                    f"a {name} file of {status.st_size / 1e6:,.0f} MB is too large to open", path=path, hint=_SMALLER
                )
            source = _examined(path, file, entry, head)
            _check_memory(source, status.st_size)
        yield source


def _examined(path: Path, file: BinaryIO, entry: ImageFormat, head: bytes) -> _Source:
    """Read the header."""
    tiff = None
    if entry.name == "TIFF":
        tiff = _tiff_header(path, file)
        _check_size(path, tiff.width, tiff.height)
    try:
        # Importing one module registers one decoder; otherwise Pillow would import all of them to find it.
        importlib.import_module(f"PIL.{entry.plugin}")
    except ImportError as error:
        hint = "Install a newer Pillow, or save the file as PNG."
        raise ImageError(f"{entry.name} files cannot be read by this installation", path=path, hint=hint) from error
    picture: PilImage.Image | None = None
    try:
        picture = PilImage.open(file, formats=[entry.name])
    except UnidentifiedImageError:
        if tiff is None:
            raise
        if not _is_wide(tiff):
            raise _unusual_tiff(path, tiff) from None
    orientation = tiff.orientation if tiff is not None else 1
    if picture is not None:
        _check_size(path, *picture.size)
        orientation = _orientation(picture, file)
    width, height = (tiff.width, tiff.height) if tiff is not None else _stored_size(picture)
    return _Source(
        path, file, entry, picture, tiff, width, height, orientation, _is_deep(entry.name, head, tiff, picture)
    )


def _stored_size(picture: PilImage.Image | None) -> tuple[int, int]:
    assert picture is not None
    return picture.size


def _tiff_header(path: Path, file: BinaryIO) -> TiffHeader:
    try:
        header = read_tiff_header(file)
    except ValueError as error:
        raise ImageError(f"the TIFF file is damaged: {error}", path=path, hint=_COPY_AGAIN) from error
    if header.is_dng or is_raw_photo(path):
        raise raw_photo_error(path)
    return header


def _is_deep(name: str, head: bytes, tiff: TiffHeader | None, picture: PilImage.Image | None) -> bool:
    """Whether Pillow would lose bits: it keeps more than eight only in a single channel."""
    if name == "PNG":
        # IHDR, PNG specification 11.2.1: bit depth, then colour type (2 RGB, 4 gray and alpha, 6 RGB and alpha).
        return head[24:25] == b"\x10" and head[25:26] in (b"\x02", b"\x04", b"\x06")
    if tiff is not None:
        return _is_wide(tiff) and (picture is None or tiff.samples > 1)
    if name == "PPM":
        # Binary with values beyond 255; Pillow also stretches them from the stated maximum to 65535.
        match = re.match(rb"P[56](?:\s|#[^\n]*\n)+\d+(?:\s|#[^\n]*\n)+\d+(?:\s|#[^\n]*\n)+(\d{1,5})\s", head)
        return match is not None and int(match[1]) > 255
    return False


def _is_wide(tiff: TiffHeader) -> bool:
    """Whether OpenCV reads this layout of values beyond eight bits, and reads it right.

    Of planes that lie apart it fills in only some, and with an unknown compression it returns whatever was in memory.
    """
    return (
        (tiff.kind, tiff.bits) in _WIDE
        and tiff.samples in (1, 3, 4)
        and tiff.photometric in (1, 2)
        and not tiff.is_planar
        and not tiff.is_rare
    )


def _orientation(picture: PilImage.Image, file: BinaryIO) -> int:
    """EXIF (or XMP) orientation, 1 where there is none or it makes no sense."""
    try:
        if picture.format == "PNG":
            _add_late_metadata(picture, file)
        # The method of the base class: PNG's own decodes the whole picture to see whether EXIF follows it.
        exif = PilImage.Image.getexif(picture)
        value = exif.get(ExifTags.Base.Orientation, 1)
    except Exception:  # noqa: BLE001  (a broken EXIF block fails in every way there is; the picture is none the worse)
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _add_late_metadata(picture: PilImage.Image, file: BinaryIO) -> None:
    """Give a PNG that was only opened the EXIF and XMP blocks that follow its pixels."""
    position = file.tell()
    at, pixels_seen = 8, False
    while True:
        file.seek(at)
        head = file.read(8)
        length, kind = int.from_bytes(head[:4], "big"), head[4:]
        if len(head) < 8 or kind == b"IEND":
            break
        if kind == b"IDAT":
            pixels_seen = True
        elif pixels_seen and kind == b"eXIf" and length <= _MAX_METADATA_BYTES:
            picture.info.setdefault("exif", b"Exif\0\0" + file.read(length))
        elif pixels_seen and kind == b"iTXt" and length <= _MAX_METADATA_BYTES:
            keyword, _, rest = file.read(length).partition(b"\0")
            if keyword == b"XML:com.adobe.xmp" and rest[:1] == b"\0":
                picture.info.setdefault("XML:com.adobe.xmp", rest.decode("utf-8", "replace"))
        at += 12 + length
    file.seek(position)


def _check_size(path: Path, width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise _too_many_pixels(path, width * height, f" ({width} x {height})")
    if max(width, height) > MAX_SIDE:
        reason = f"it is {width} x {height} pixels, and {MAX_SIDE:,} per side is the limit"
        raise ImageError(reason, path=path, hint=_SMALLER)


def _too_many_pixels(path: Path, pixels: int, size: str = "") -> ImageError:
    reason = f"it has {pixels / 1e6:,.0f} million pixels{size}, and {MAX_PIXELS // 10**6} million is the limit"
    return ImageError(reason, path=path, hint=_SMALLER)


def _check_slow(path: Path, picture: PilImage.Image) -> None:
    """Refuse large pictures in formats whose decoder is written in Python."""
    tiles: list[Any] = getattr(picture, "tile", [])
    pixels = picture.width * picture.height
    if pixels > _MAX_SLOW_PIXELS and any(tile[0] in PilImage.DECODERS for tile in tiles):
        reason = (
            f"{pixels / 1e6:,.0f} million pixels in this kind of {picture.format} file would take minutes to decode"
        )
        raise ImageError(reason, path=path, hint="Save it as PNG or JPEG first.")


def _check_memory(source: _Source, file_bytes: int) -> None:
    """Refuse what would need more than `MEMORY_BUDGET`, before anything is decoded."""
    pixels = source.width * source.height
    per_pixel = source.format.bytes_per_pixel
    if source.picture is not None and source.picture.mode == "CMYK":
        per_pixel += 2
    sample = 8 if source.tiff is None else source.tiff.samples * max(1, source.tiff.bits // 8)
    if source.deep:
        # OpenCV makes a copy of the file's bytes while it decodes.
        needed = max(2 * file_bytes + pixels * sample, pixels * (sample + 3))
    else:
        if source.tiff is not None:
            per_pixel = max(per_pixel, 4 + sample)
        needed = pixels * per_pixel + (0 if source.format.streamed else file_bytes)
    if needed > MEMORY_BUDGET:
        reason = (
            f"{source.width} x {source.height} pixels in this kind of {source.format.name} file would need "
            f"{needed / 1e9:.1f} GB of memory, and {MEMORY_BUDGET / 1e9:.1f} GB is the limit"
        )
        raise ImageError(reason, path=source.path, hint=_SMALLER)


def _check_scans(source: _Source) -> None:
    """Refuse a JPEG whose number of scans is that of an attack."""
    file = source.file
    position = file.tell()
    file.seek(0)
    scans, last = 0, b""
    while block := file.read(1 << 20):
        # In compressed data 0xFF is always followed by a zero or a restart mark, so every hit is a start of scan, be it
        # of an embedded preview.
        scans += (last + block).count(b"\xff\xda")
        last = block[-1:]
    file.seek(position)
    if scans * source.width * source.height > _MAX_SCANNED_PIXELS:
        reason = f"the JPEG file claims {scans} scans where ten are usual, which would take minutes to decode"
        raise ImageError(reason, path=source.path, hint="Save it again with an image editor.")


def _unusual_tiff(path: Path, tiff: TiffHeader) -> ImageError:
    planes = " in separate planes" if tiff.is_planar else ""
    layout = f"{tiff.samples} samples of {tiff.bits} bits per pixel{planes}, {tiff.compression}"
    reason = f"this kind of TIFF file ({layout}) cannot be read here, or it is damaged"
    return ImageError(reason, path=path, hint="Save it as a plain RGB or gray TIFF, or as PNG.")


@contextlib.contextmanager
def _explained(path: Path, name: str | None) -> Iterator[None]:
    """Turn whatever a system call or a decoder raises into one `ImageError`.

    Decoders meet hostile bytes in here and raise anything from KeyError to struct.error; our own conversions run
    outside, so that a bug of ours stays visible.
    """
    try:
        yield
    except ImageError:
        raise
    except MemoryError as error:
        hint = "Close other programs, or scale the picture down."
        raise ImageError("there is not enough memory to open it", path=path, hint=hint) from error
    except PilImage.DecompressionBombError as error:
        match = re.search(r"(\d+) pixels", str(error))
        raise _too_many_pixels(path, int(match[1]) if match else 2 * MAX_PIXELS) from error
    except Exception as error:
        if isinstance(error, OSError) and error.errno is not None:
            reason, hint = explain_os_error(error)
            if error.errno == errno.ENOENT:
                hint = "It may have been moved, renamed or deleted."
            raise ImageError(f"it could not be read because {reason}", path=path, hint=hint) from error
        if name is None:
            raise ImageError(f"it could not be read ({error})", path=path) from error
        raise ImageError(_damage(error, name), path=path, hint=_COPY_AGAIN) from error


def _damage(error: Exception, name: str) -> str:
    """What a decoder's complaint means."""
    text = str(error).lower()
    if "max_text" in text or "text memory" in text:
        return "its text blocks unpack to far more than any picture's, which is how a file is made to exhaust memory"
    cut = any(word in text for word in ("truncated", "not enough image data", "buffer is not large enough"))
    if cut or isinstance(error, EOFError):
        return f"the {name} file is cut short, so a part of the picture is missing"
    if isinstance(error, UnidentifiedImageError):
        return f"the {name} file is damaged: its header makes no sense"
    return f"the {name} file is damaged and cannot be decoded"
