"""Decoded pictures of every kind -> upright (H, W, 3) uint8 RGB.

Everything goes strip by strip into the one array that is returned: no second full-size copy is ever made, and the
interpreter is never held for longer than one strip takes (a few milliseconds), so a window in the same process stays
alive while a worker loads.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image as PilImage

Pixels = npt.NDArray[np.uint8]

STRIP_PIXELS: Final = 1 << 18
_MAX_PROFILE_BYTES: Final = 4 * 2**20


class Upright(NamedTuple):
    """The result of a conversion.

    Attributes
    ----------
    pixels : ndarray, shape (H, W, 3), uint8
        RGB, upright, C-contiguous.
    notes : tuple of str
        What was done that a person should know, as short clauses.
    """

    pixels: Pixels
    notes: tuple[str, ...]


def upright_size(width: int, height: int, orientation: int) -> tuple[int, int]:
    """Width and height after an EXIF orientation (1..8) is applied."""
    return (height, width) if orientation >= 5 else (width, height)


def from_pillow(picture: PilImage.Image, orientation: int = 1, *, bits: int = 16) -> Upright:
    """Convert a loaded Pillow picture of any mode.

    Gray and palette are expanded, transparency is laid over white, CMYK and Lab go through their colour profile (CMYK
    without one is converted by the plain formula), wider numbers are scaled as in `from_array`. RGB is taken as it is:
    a profile is not applied, because the programs that train on the data do not apply it either, and a label would
    otherwise be drawn on other pixels than the network learns from; a profile other than sRGB is noted.

    Parameters
    ----------
    picture : PIL.Image.Image
        Its pixels must have been loaded.
    orientation : int, 1..8
        EXIF orientation still to be applied.
    bits : int
        Bits of a value in the file, for the note on scaling; Pillow keeps 16 and 32 in the same mode.

    Returns
    -------
    Upright
    """
    mode = picture.mode
    notes: list[str] = []
    if mode.startswith("I;16") or mode in ("I", "F"):
        strips = _Strips(picture.height, picture.width, lambda top, bottom: np.asarray(_rows(picture, top, bottom)))
        kind = "floating-point" if mode == "F" else f"{bits}-bit"
        return Upright(*_scaled(strips, 1, kind, orientation))

    sink = _Sink(picture.width, picture.height, orientation)
    convert: Callable[[PilImage.Image], npt.NDArray[Any]]
    see_through = False
    if mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in picture.info:

        def convert(rows: PilImage.Image) -> npt.NDArray[Any]:
            nonlocal see_through
            rgb, translucent = _over_white(np.asarray(rows if mode == "RGBA" else rows.convert("RGBA")))
            see_through |= translucent
            return rgb

    elif mode in ("CMYK", "LAB"):
        convert = _managed(picture, mode, notes)
    elif mode == "L":
        convert = np.asarray
    elif mode == "1":

        def convert(rows: PilImage.Image) -> npt.NDArray[Any]:
            return np.asarray(rows.convert("L"))
    else:

        def convert(rows: PilImage.Image) -> npt.NDArray[Any]:
            return np.asarray(rows if mode == "RGB" else rows.convert("RGB"))

    for top, bottom in _bands(picture.height, picture.width):
        sink.put(top, convert(_rows(picture, top, bottom)))
    if see_through:
        notes.append("transparency laid over white")
    if mode in ("RGB", "RGBA", "P"):
        notes += _unapplied_profile(picture.info.get("icc_profile"))
    return Upright(sink.pixels, tuple(notes))


def from_array(values: npt.NDArray[Any], orientation: int = 1) -> Upright:
    """Convert an array of gray, BGR or BGRA values, as OpenCV decodes them.

    Eight-bit values are kept. Anything wider is scaled so that the smallest finite value of the picture becomes 0 and
    the largest 255, all colours by the same rule, so that hues stay; NaN becomes 0 and infinities the ends of the
    range. A constant picture becomes black. Alpha is measured against its full range, not scaled.

    Parameters
    ----------
    values : ndarray, shape (h, w) or (h, w, 1 | 3 | 4)
        uint8, or any other integer or floating type.
    orientation : int, 1..8
        EXIF orientation still to be applied.

    Returns
    -------
    Upright
    """
    if values.ndim == 2:
        values = values[..., np.newaxis]
    height, width, channels = values.shape
    order = {1: [0], 3: [2, 1, 0], 4: [2, 1, 0, 3]}[channels]
    strips = _Strips(height, width, lambda top, bottom: values[top:bottom][..., order])
    if values.dtype != np.uint8:
        kind = "floating-point" if values.dtype.kind == "f" else f"{values.dtype.itemsize * 8}-bit"
        return Upright(*_scaled(strips, channels, kind, orientation))
    sink = _Sink(width, height, orientation)
    see_through = False
    for top, rows in strips:
        if channels == 4:
            rows, translucent = _over_white(rows)
            see_through |= translucent
        sink.put(top, rows)
    return Upright(sink.pixels, ("transparency laid over white",) if see_through else ())


def make_upright(stored: npt.NDArray[Any], orientation: int) -> npt.NDArray[Any]:
    """Turn an array that lies as a photo is stored the way its orientation (1..8) says; a view of it.

    Parameters
    ----------
    stored : (h, w, ...) array
    orientation : int, 1..8
    """
    values = _mirrored(stored, orientation)
    return values.swapaxes(0, 1) if orientation >= 5 else values


def _mirrored(values: npt.NDArray[Any], orientation: int) -> npt.NDArray[Any]:
    """Mirror as an orientation does; a view.

    A photo as stored is the upright one, transposed for 5 to 8, then mirrored (EXIF 2.3, 4.6.4 A).
    """
    if orientation in (3, 4, 6, 7):
        values = values[::-1]
    if orientation in (2, 3, 7, 8):
        values = values[:, ::-1]
    return values


class _Sink:
    """The upright array, written in the order in which the file stores its rows."""

    def __init__(self, width: int, height: int, orientation: int) -> None:
        across, down = upright_size(width, height, orientation)
        self.pixels: Pixels = np.empty((down, across, 3), np.uint8)
        self._stored = _mirrored(self.pixels.transpose(1, 0, 2) if orientation >= 5 else self.pixels, orientation)
        self._straight = orientation == 1

    def put(self, top: int, rows: npt.NDArray[Any]) -> None:
        """Store rows of (n, w), (n, w, 1) or (n, w, 3) from row `top` on."""
        if rows.ndim == 2:
            rows = rows[..., np.newaxis]
        target = self._stored[top : top + len(rows)]
        if self._straight:
            target[...] = rows
        else:
            # One colour at a time: numpy's inner loop then runs along a row instead of over three values (5x faster).
            for channel in range(3):
                target[..., channel] = rows[..., channel if rows.shape[-1] == 3 else 0]


class _Strips:
    """Rows of a picture, a strip at a time, as often as wanted."""

    def __init__(self, height: int, width: int, read: Callable[[int, int], npt.NDArray[Any]]) -> None:
        self.height, self.width, self._read = height, width, read

    def __iter__(self) -> Iterator[tuple[int, npt.NDArray[Any]]]:
        for top, bottom in _bands(self.height, self.width):
            yield top, self._read(top, bottom)


def _bands(height: int, width: int) -> Iterator[tuple[int, int]]:
    step = max(1, STRIP_PIXELS // width)
    for top in range(0, height, step):
        yield top, min(top + step, height)


def _rows(picture: PilImage.Image, top: int, bottom: int) -> PilImage.Image:
    return picture.crop((0, top, picture.width, bottom))


def _over_white(rgba: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], bool]:
    """Lay (n, w, 4) uint8 over white; also whether anything shone through."""
    alpha = rgba[..., 3:]
    if alpha.min() == 255:
        return rgba[..., :3], False
    wide = alpha.astype(np.uint16)
    return ((rgba[..., :3] * wide + 255 * (255 - wide) + 127) // 255).astype(np.uint8), True


def _scaled(strips: _Strips, channels: int, kind: str, orientation: int) -> tuple[Pixels, tuple[str, ...]]:
    """Min-max scaling of anything wider than eight bits; see `from_array`."""
    low, high, unusable, full_alpha = np.inf, -np.inf, 0, 1.0
    whole = True
    for _, rows in strips:
        colours = rows[..., :3] if channels == 4 else rows
        if rows.dtype.kind == "f":
            finite = colours[np.isfinite(colours)]
            unusable += colours.size - finite.size
            colours = finite
            whole = False
        elif channels == 4:
            full_alpha = float(np.iinfo(rows.dtype).max)
        if colours.size:
            low, high = min(low, float(colours.min())), max(high, float(colours.max()))

    # Halved before the difference: the range of 64-bit floats is itself no 64-bit float.
    span = high / 2 - low / 2
    sink = _Sink(strips.width, strips.height, orientation)
    see_through = False
    for top, rows in strips:
        wide = rows[..., :3].astype(np.float64) if channels == 4 else rows.astype(np.float64)
        if not span > 0:
            wide = np.zeros_like(wide)
        else:
            # A signalling NaN in a file is no reason for a warning.
            with np.errstate(invalid="ignore"):
                np.nan_to_num(wide, copy=False, nan=low, posinf=high, neginf=low)
            wide = (wide / 2 - low / 2) * (255 / span)
        shown = np.rint(np.clip(wide, 0, 255)).astype(np.uint8)
        if channels == 4:
            alpha = np.nan_to_num(rows[..., 3:].astype(np.float64) / full_alpha, nan=0.0)
            opaque = np.rint(np.clip(alpha, 0, 1) * 255).astype(np.uint8)
            shown, translucent = _over_white(np.concatenate((shown, opaque), axis=-1))
            see_through |= translucent
        sink.put(top, shown)

    number = ".0f" if whole else ".6g"
    if low > high:
        notes = [f"no finite number among the {kind} values, shown black"]
    elif span > 0:
        notes = [f"{kind} values {low:{number}}..{high:{number}} scaled to 0..255"]
    else:
        notes = [f"{kind} values all {low:{number}}, shown black"]
    if unusable and low <= high:
        notes.append(f"{unusable} values that are no finite number set to the ends of the range")
    if see_through:
        notes.append("transparency laid over white")
    return sink.pixels, tuple(notes)


def _managed(picture: PilImage.Image, mode: str, notes: list[str]) -> Callable[[PilImage.Image], npt.NDArray[Any]]:
    """The way from CMYK or Lab to sRGB, through the embedded profile where there is a usable one."""
    from PIL import ImageCms

    profile = picture.info.get("icc_profile")
    transform = None
    if mode == "LAB":
        transform = ImageCms.buildTransform(ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), "LAB", "RGB")
        notes.append("Lab colours converted to RGB")
    elif isinstance(profile, bytes) and 0 < len(profile) <= _MAX_PROFILE_BYTES:
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            transform = ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), "CMYK", "RGB")
        except (ImageCms.PyCMSError, OSError):
            # The profile is broken or made for other colours: the picture can still be shown.
            transform = None
    if mode == "CMYK":
        way = "through its colour profile" if transform else "without a colour profile"
        notes.append(f"CMYK converted to RGB {way}")

    def convert(rows: PilImage.Image) -> npt.NDArray[Any]:
        rgb = ImageCms.applyTransform(rows, transform) if transform else rows.convert("RGB")
        return np.asarray(rgb)

    return convert


def _unapplied_profile(profile: object) -> list[str]:
    """A note on an embedded RGB profile that is not sRGB."""
    if not isinstance(profile, bytes) or not 0 < len(profile) <= _MAX_PROFILE_BYTES:
        return []
    from PIL import ImageCms

    try:
        name = ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(io.BytesIO(profile))).strip()
    except (ImageCms.PyCMSError, OSError):
        return []
    # "c2" is the compact sRGB profile that photo sites embed.
    if "srgb" in name.lower() or name == "c2":
        return []
    return [f"colour profile '{name[:60]}' not applied"]
