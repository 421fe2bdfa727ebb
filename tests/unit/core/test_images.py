from __future__ import annotations

import io
import os
import struct
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image as PilImage
from PIL import ImageCms, ImageFile, PngImagePlugin

from deeplab_studio.core.image_formats import FORMATS, HEAD_BYTES, foreign_kind, identify
from deeplab_studio.core.images import (
    IMAGE_SUFFIXES,
    MAX_PIXELS,
    MAX_SIDE,
    Image,
    ImageError,
    image_size,
    load_image,
    load_thumbnail,
)
from tests.unit.core.tiff_maker import write_tiff

# The product silences these for its process; the test runner brings its own filters.
pytestmark = [
    pytest.mark.filterwarnings("ignore:::PIL.Image"),
    pytest.mark.filterwarnings("ignore:::PIL.TiffImagePlugin"),
]

Array = npt.NDArray[Any]
HEIGHT, WIDTH = 48, 80


@pytest.fixture
def scene() -> Array:
    """A picture that looks different in each of the eight orientations; flat blocks, so that JPEG keeps it."""
    pixels = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    pixels[:, :] = (40, 90, 160)
    pixels[:16, :32] = (220, 40, 30)
    pixels[-16:, -16:] = (240, 220, 40)
    pixels[16:32, 48:64] = (20, 180, 60)
    return pixels


def as_stored(upright: Array, orientation: int) -> Array:
    """The pixels a camera stores for an upright picture: the inverse of what EXIF 2.3 (tag 274) asks a viewer to do."""
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.swapaxes(0, 1),
        6: np.rot90(upright, 1),
        7: upright[::-1, ::-1].swapaxes(0, 1),
        8: np.rot90(upright, -1),
    }[orientation]
    return np.ascontiguousarray(stored)


def exif(orientation: int) -> PilImage.Exif:
    block = PilImage.Exif()
    block[0x0112] = orientation
    return block


def difference(image: Image, expected: Array) -> int:
    assert image.pixels.shape == expected.shape
    return int(np.abs(image.pixels.astype(int) - expected.astype(int)).max())


def assert_sane(image: Image, path: Path) -> None:
    assert image.pixels.dtype == np.uint8
    assert image.pixels.flags.c_contiguous
    assert image.pixels.flags.writeable
    assert image.pixels.shape == (image.height, image.width, 3)
    assert (image.width, image.height) == image_size(path)
    assert image.path == path


def refusal(path: Path) -> str:
    with pytest.raises(ImageError) as caught:
        load_image(path)
    error = caught.value
    assert error.path == path
    assert error.hint
    text = str(error)
    assert text.startswith(f"{path.name}: ")
    assert "\n" not in text
    with pytest.raises(ImageError):
        load_thumbnail(path, 32)
    return text


# --- Every format ---------------------------------------------------------------------------------------------------

LOSSLESS: list[tuple[str, str, dict[str, Any]]] = [
    ("a.png", "PNG", {}),
    ("a.tif", "TIFF", {}),
    ("lzw.tiff", "TIFF", {"compression": "tiff_lzw"}),
    ("deflate.tif", "TIFF", {"compression": "tiff_adobe_deflate"}),
    ("big.tif", "TIFF", {"big_tiff": True}),
    ("a.bmp", "BMP", {}),
    ("a.webp", "WEBP", {"lossless": True}),
    ("a.ppm", "PPM", {}),
    ("a.jp2", "JPEG2000", {"irreversible": False}),
    ("a.gif", "GIF", {}),
]


@pytest.mark.parametrize(("name", "kind", "options"), LOSSLESS, ids=[case[0] for case in LOSSLESS])
def test_lossless_formats_keep_every_pixel(
    tmp_path: Path, scene: Array, name: str, kind: str, options: dict[str, Any]
) -> None:
    path = tmp_path / name
    PilImage.fromarray(scene).save(path, **options)
    image = load_image(path)
    assert_sane(image, path)
    assert difference(image, scene) == 0
    assert (image.format, image.orientation, image.notes) == (kind, 1, ())


@pytest.mark.parametrize(
    ("name", "kind", "options"),
    [
        ("a.jpg", "JPEG", {"quality": 95}),
        ("progressive.jpeg", "JPEG", {"quality": 95, "progressive": True}),
        ("a.webp", "WEBP", {"quality": 95}),
        pytest.param(
            "a.avif",
            "AVIF",
            {"quality": 95},
            marks=pytest.mark.skipif(".avif" not in PilImage.registered_extensions(), reason="this Pillow has no AVIF"),
        ),
    ],
)
def test_lossy_formats_look_right(tmp_path: Path, scene: Array, name: str, kind: str, options: dict[str, Any]) -> None:
    path = tmp_path / name
    PilImage.fromarray(scene).save(path, **options)
    image = load_image(path)
    assert_sane(image, path)
    assert np.abs(image.pixels.astype(int) - scene).mean() < 4
    assert (image.format, image.notes) == (kind, ())


def test_jpeg_pixels_are_those_of_pillow(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    noise = np.random.default_rng(1).integers(0, 256, (700, 501, 3), np.uint8)
    PilImage.fromarray(noise).save(path, quality=80)
    with PilImage.open(path) as reference:
        assert difference(load_image(path), np.asarray(reference.convert("RGB"))) == 0


def test_lossy_webp_pixels_are_those_of_pillow(tmp_path: Path) -> None:
    path = tmp_path / "a.webp"
    noise = np.random.default_rng(1).integers(0, 256, (301, 200, 3), np.uint8)
    PilImage.fromarray(noise).save(path, quality=70)
    with PilImage.open(path) as reference:
        assert difference(load_image(path), np.asarray(reference.convert("RGB"))) == 0


def test_a_tiled_tiff_opens(tmp_path: Path, scene: Array) -> None:
    path = tmp_path / "tiled.tif"
    PilImage.fromarray(scene).save(path, compression="tiff_lzw", tiffinfo={322: 16, 323: 16})
    assert difference(load_image(path), scene) == 0


def test_a_picture_higher_than_one_strip_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "high.png"
    pixels = np.random.default_rng(0).integers(0, 256, (3001, 301, 3), np.uint8)
    PilImage.fromarray(pixels).save(path, compress_level=1)
    assert difference(load_image(path), pixels) == 0


def test_the_content_counts_not_the_name(tmp_path: Path, scene: Array) -> None:
    for name in ("lying.png", "no_suffix", "dots.in.name.txt"):
        path = tmp_path / name
        PilImage.fromarray(scene).save(path, format="BMP")
        assert difference(load_image(path), scene) == 0
        assert load_image(path).format == "BMP"


@pytest.mark.parametrize("name", ["Ärger & Größe.png", "写真 (1).png", "é́.png", "x" * 251 + ".png", "😀.png"])
def test_names_of_every_kind_open(tmp_path: Path, scene: Array, name: str) -> None:
    path = tmp_path / name
    PilImage.fromarray(scene).save(path)
    assert difference(load_image(path), scene) == 0
    deep = tmp_path / f"deep {name}"[-200:]
    cv2.imencode(".png", scene.astype(np.uint16))[1].tofile(deep)
    assert load_image(deep).height == HEIGHT


# --- Orientation ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(
    ("name", "options", "tolerance"),
    [
        ("a.jpg", {"quality": 100, "subsampling": 0}, 6),
        ("a.png", {}, 0),
        ("a.webp", {"lossless": True}, 0),
        ("a.tif", {}, 0),
        ("packed.tif", {"compression": "tiff_lzw"}, 0),
    ],
)
def test_exif_orientation_is_applied_once(
    tmp_path: Path, scene: Array, orientation: int, name: str, options: dict[str, Any], tolerance: int
) -> None:
    path = tmp_path / name
    PilImage.fromarray(as_stored(scene, orientation)).save(path, exif=exif(orientation), **options)
    image = load_image(path)
    assert_sane(image, path)
    assert difference(image, scene) <= tolerance
    assert image.orientation == orientation
    assert load_thumbnail(path, 40).shape == (24, 40, 3)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_orientation_of_wide_values_is_applied_once(
    tmp_path: Path, scene: Array, orientation: int, dtype: type[Any]
) -> None:
    path = tmp_path / "wide.tif"
    write_tiff(path, as_stored(scene, orientation).astype(dtype), orientation=orientation)
    image = load_image(path)
    assert_sane(image, path)
    low, high = int(scene.min()), int(scene.max())
    assert difference(image, np.rint((scene - float(low)) * 255 / (high - low))) <= 1
    assert image.orientation == orientation


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "1", "I;16"])
def test_orientation_is_applied_in_every_mode(tmp_path: Path, scene: Array, orientation: int, mode: str) -> None:
    upright, path = tmp_path / "upright.png", tmp_path / "turned.png"
    gray = np.asarray(PilImage.fromarray(scene).convert("L"))
    for target, turn in ((upright, 1), (path, orientation)):
        if mode == "I;16":
            picture = PilImage.fromarray(as_stored(gray, turn).astype(np.uint16) * 100)
        else:
            picture = PilImage.fromarray(as_stored(scene, turn)).convert(mode, dither=PilImage.Dither.NONE)
        picture.save(target, exif=exif(turn))
    assert np.array_equal(load_image(path).pixels, load_image(upright).pixels)


XMP = '<x:xmpmeta><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (b"eXIf", exif(6).tobytes().removeprefix(b"Exif\0\0")),
        (b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + XMP.encode()),
    ],
)
def test_metadata_behind_the_pixels_of_a_png_counts(tmp_path: Path, scene: Array, kind: bytes, body: bytes) -> None:
    path = tmp_path / "late.png"
    stored = io.BytesIO()
    PilImage.fromarray(as_stored(scene, 6)).save(stored, "PNG")
    data = stored.getvalue()
    path.write_bytes(data[:-12] + png_chunk(kind, body) + data[-12:])
    assert difference(load_image(path), scene) == 0
    assert image_size(path) == (WIDTH, HEIGHT)
    damaged = bytearray(path.read_bytes())
    damaged[60] ^= 255
    path.write_bytes(damaged)
    assert refusal(path)


def test_orientation_in_xmp_counts(tmp_path: Path, scene: Array) -> None:
    path = tmp_path / "xmp.png"
    info = PngImagePlugin.PngInfo()
    info.add_itxt("XML:com.adobe.xmp", XMP)
    PilImage.fromarray(as_stored(scene, 6)).save(path, pnginfo=info)
    assert difference(load_image(path), scene) == 0


@pytest.mark.parametrize("value", [0, 9, 65535])
def test_a_nonsensical_orientation_is_ignored(tmp_path: Path, scene: Array, value: int) -> None:
    path = tmp_path / "a.png"
    PilImage.fromarray(scene).save(path, exif=exif(value))
    image = load_image(path)
    assert difference(image, scene) == 0
    assert image.orientation == 1


def test_broken_exif_does_not_matter(tmp_path: Path, scene: Array) -> None:
    path = tmp_path / "a.png"
    PilImage.fromarray(scene).save(path, exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    assert difference(load_image(path), scene) == 0


# --- Kinds of pixels ------------------------------------------------------------------------------------------------


def test_gray_and_bilevel_become_three_equal_colours(tmp_path: Path, scene: Array) -> None:
    gray = PilImage.fromarray(scene).convert("L")
    for picture, name in ((gray, "gray.jpg"), (gray, "gray.png"), (gray.convert("1"), "fax.tif")):
        path = tmp_path / name
        picture.save(path)
        pixels = load_image(path).pixels
        assert (pixels == pixels[..., :1]).all()
        assert np.abs(pixels[..., 0].astype(int) - np.asarray(picture.convert("L"))).max() <= 3


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.webp"])
def test_transparency_is_laid_over_white_and_said(tmp_path: Path, name: str) -> None:
    rgba = np.zeros((4, 6, 4), np.uint8)
    rgba[..., 0] = 200
    rgba[:, :2, 3], rgba[:, 2:4, 3], rgba[:, 4:, 3] = 255, 128, 0
    path = tmp_path / name
    options: dict[str, Any] = {"lossless": True, "exact": True} if name.endswith("webp") else {}
    PilImage.fromarray(rgba).save(path, **options)
    image = load_image(path)
    assert image.notes == ("transparency laid over white",)
    assert image.pixels[0, [0, 2, 5]].tolist() == [[200, 0, 0], [227, 127, 127], [255, 255, 255]]


@pytest.mark.parametrize("name", ["a.png", "a.webp"])
def test_an_alpha_channel_that_hides_nothing_is_not_mentioned(tmp_path: Path, scene: Array, name: str) -> None:
    path = tmp_path / name
    picture = PilImage.fromarray(scene)
    picture.putalpha(255)
    options: dict[str, Any] = {"lossless": True} if name.endswith("webp") else {}
    picture.save(path, **options)
    image = load_image(path)
    assert difference(image, scene) == 0
    assert image.notes == ()


def test_a_transparent_palette_entry_and_gray_with_alpha_become_white(tmp_path: Path) -> None:
    palette = PilImage.new("P", (4, 2), 1)
    palette.putpalette([10, 20, 30, 40, 50, 60])
    palette.putpixel((0, 0), 0)
    for name in ("p.png", "p.gif"):
        palette.save(tmp_path / name, transparency=0)
        image = load_image(tmp_path / name)
        assert image.pixels[0, :2].tolist() == [[255, 255, 255], [40, 50, 60]]
        assert image.notes == ("transparency laid over white",)
    gray = PilImage.new("LA", (2, 1), (100, 255))
    gray.putpixel((0, 0), (100, 0))
    gray.save(tmp_path / "la.png")
    assert load_image(tmp_path / "la.png").pixels[0].tolist() == [[255] * 3, [100] * 3]


def test_cmyk_has_the_right_colours_inverted_or_not(tmp_path: Path, scene: Array) -> None:
    cmyk = PilImage.fromarray(scene).convert("CMYK")
    # Pillow writes the Adobe marker and inverts the inks in a JPEG, and does neither in a TIFF.
    cases: list[tuple[str, dict[str, Any]]] = [("a.jpg", {"quality": 100, "subsampling": 0}), ("a.tif", {})]
    for name, options in cases:
        path = tmp_path / name
        cmyk.save(path, **options)
        image = load_image(path)
        assert difference(image, scene) <= 6
        assert image.notes == ("CMYK converted to RGB without a colour profile",)


def test_cmyk_with_an_unusable_profile_still_opens(tmp_path: Path, scene: Array) -> None:
    rgb_profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for profile in (b"no profile at all", rgb_profile):
        path = tmp_path / "a.tif"
        PilImage.fromarray(scene).convert("CMYK").save(path, icc_profile=profile)
        image = load_image(path)
        assert difference(image, scene) == 0
        assert image.notes == ("CMYK converted to RGB without a colour profile",)


def test_lab_is_converted(tmp_path: Path) -> None:
    path = tmp_path / "lab.tif"
    to_lab = ImageCms.buildTransform(ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB")
    colours = PilImage.new("RGB", (8, 8), (200, 60, 40))
    lab = ImageCms.applyTransform(colours, to_lab)
    assert lab is not None
    lab.save(path)
    image = load_image(path)
    assert np.abs(image.pixels.astype(int) - (200, 60, 40)).max() <= 3
    assert image.notes == ("Lab colours converted to RGB",)


def test_an_rgb_profile_is_not_applied_but_named_unless_it_is_srgb(tmp_path: Path, scene: Array) -> None:
    path = tmp_path / "a.png"
    named = ("colour profile 'XYZ identity built-in' not applied",)
    for made, notes in ((ImageCms.createProfile("sRGB"), ()), (ImageCms.createProfile("XYZ"), named)):
        profile = ImageCms.ImageCmsProfile(made).tobytes()
        PilImage.fromarray(scene).save(path, icc_profile=profile)
        image = load_image(path)
        assert difference(image, scene) == 0
        assert image.notes == notes
    PilImage.fromarray(scene).save(path, icc_profile=b"broken")
    assert load_image(path).notes == ()


# --- Wide values ----------------------------------------------------------------------------------------------------


def scaled(values: Array) -> Array:
    low, high = values.min(), values.max()
    result: Array = np.rint((values.astype(np.float64) - low) * 255 / (float(high) - float(low)))
    return result


@pytest.mark.parametrize("name", ["gray.png", "gray.tif"])
def test_sixteen_bit_gray_is_scaled_from_its_extremes_and_said(tmp_path: Path, name: str) -> None:
    values = np.linspace(12, 4095, 64 * 50).astype(np.uint16).reshape(64, 50)
    path = tmp_path / name
    PilImage.fromarray(values).save(path)
    image = load_image(path)
    assert_sane(image, path)
    assert difference(image, np.repeat(scaled(values)[..., None], 3, axis=2)) == 0
    assert image.notes == ("16-bit values 12..4095 scaled to 0..255",)


@pytest.mark.parametrize("suffix", [".png", ".tif", ".ppm"])
def test_sixteen_bit_colours_keep_their_fine_steps(tmp_path: Path, suffix: str) -> None:
    values = np.random.default_rng(0).integers(1000, 1300, (40, 30, 3)).astype(np.uint16)
    path = tmp_path / f"a{suffix}"
    cv2.imencode(".tiff" if suffix == ".tif" else suffix, values[..., ::-1])[1].tofile(path)
    image = load_image(path)
    assert_sane(image, path)
    assert difference(image, scaled(values)) == 0
    assert image.notes == (f"16-bit values {values.min()}..{values.max()} scaled to 0..255",)


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_sixteen_bit_alpha_is_measured_against_its_full_range(tmp_path: Path, name: str) -> None:
    bgra = np.zeros((2, 2, 4), np.uint16)
    bgra[0, :, :3], bgra[1, :, :3] = 500, 1500
    bgra[:, 0, 3], bgra[:, 1, 3] = 65535, 0
    path = tmp_path / name
    if name.endswith("png"):
        cv2.imencode(".png", bgra)[1].tofile(path)
    else:
        write_tiff(path, bgra)
    image = load_image(path)
    assert image.pixels[:, 0, 0].tolist() == [0, 255]
    assert (image.pixels[:, 1] == 255).all()
    assert image.notes == ("16-bit values 500..1500 scaled to 0..255", "transparency laid over white")


def test_a_pgm_is_scaled_from_the_values_it_holds(tmp_path: Path) -> None:
    path = tmp_path / "a.pgm"
    path.write_bytes(b"P5\n# a comment\n3 1\n4095\n" + np.array([7, 1031, 2055], ">u2").tobytes())
    image = load_image(path)
    assert image.pixels[0, :, 0].tolist() == [0, 128, 255]
    assert image.notes == ("16-bit values 7..2055 scaled to 0..255",)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("samples", [1, 3])
def test_floats_are_scaled_and_what_is_no_number_does_no_harm(tmp_path: Path, dtype: type[Any], samples: int) -> None:
    values = np.linspace(-2.5, 7.5, 20 * 30).reshape(20, 30, 1).repeat(samples, axis=2).astype(dtype)
    expected = np.rint((values.astype(np.float64) + 2.5) * 25.5)
    values[3, 4], values[5, 6], values[7, 8] = np.nan, np.inf, -np.inf
    expected[3, 4], expected[5, 6], expected[7, 8] = 0, 255, 0
    path = tmp_path / "a.tif"
    write_tiff(path, values)
    image = load_image(path)
    assert difference(image, np.broadcast_to(expected, (20, 30, 3))) <= 1
    assert image.notes == (
        "floating-point values -2.5..7.5 scaled to 0..255",
        f"{3 * samples} values that are no finite number set to the ends of the range",
    )


def test_the_whole_range_of_floats_does_not_overflow(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    largest = np.finfo(np.float64).max
    write_tiff(path, np.array([[[-largest] * 3, [0.0] * 3, [largest] * 3]]))
    assert load_image(path).pixels[0, :, 0].tolist() == [0, 128, 255]


@pytest.mark.parametrize(
    ("values", "note"),
    [
        (np.full((5, 5), 77, np.uint16), "16-bit values all 77, shown black"),
        (np.full((5, 5, 3), 77, np.uint16), "16-bit values all 77, shown black"),
        (np.full((5, 5), 0.5, np.float32), "floating-point values all 0.5, shown black"),
        (np.full((5, 5), np.nan, np.float32), "no finite number among the floating-point values, shown black"),
        (np.full((5, 5), 77, np.int32), "32-bit values all 77, shown black"),
    ],
)
def test_a_constant_wide_picture_is_black(tmp_path: Path, values: Array, note: str) -> None:
    path = tmp_path / "a.tif"
    write_tiff(path, values)
    image = load_image(path)
    assert image.pixels.max() == 0
    assert image.notes == (note,)


# --- Frames ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "options", "note"),
    [
        ("a.gif", {}, "first of 3 frames"),
        ("a.png", {}, "first of 3 frames"),
        ("a.webp", {"lossless": True}, "first of 3 frames"),
        ("a.tif", {}, "first of 3 pages"),
        ("a.mpo", {"quality": 100, "subsampling": 0}, "first of 3 pictures"),
    ],
)
def test_the_first_frame_is_shown_and_said(
    tmp_path: Path, scene: Array, name: str, options: dict[str, Any], note: str
) -> None:
    path = tmp_path / name
    frames = [PilImage.fromarray(picture) for picture in (scene, scene[::-1].copy(), scene[:, ::-1].copy())]
    frames[0].save(path, save_all=True, append_images=frames[1:], **options)
    image = load_image(path)
    assert_sane(image, path)
    assert difference(image, scene) <= (6 if name == "a.mpo" else 0)
    assert image.notes == (note,)
    assert image.format == ("JPEG" if name == "a.mpo" else image.format)


def test_damage_in_a_later_frame_does_not_hide_the_first(tmp_path: Path, scene: Array) -> None:
    path = tmp_path / "a.gif"
    frames = [PilImage.fromarray(picture) for picture in (scene, scene[::-1].copy())]
    frames[0].save(path, save_all=True, append_images=frames[1:])
    data = path.read_bytes()
    # An image separator whose nine bytes of description are missing.
    path.write_bytes(data[: data.rindex(b"\x2c\x00\x00")] + b"\x2c\x00\x00\x00\x00")
    image = load_image(path)
    assert difference(image, scene) == 0
    assert image.notes == ("first frame; the others are damaged",)


def test_a_tiff_that_states_two_heights_is_refused(tmp_path: Path, scene: Array) -> None:
    path = tmp_path / "a.tif"
    write_tiff(path, scene)
    data = bytearray(path.read_bytes())
    # The tag of the compression, which may be missing, becomes a second height.
    at = data.index(struct.pack("<HHI", 259, 4, 1))
    data[at : at + 12] = struct.pack("<HHII", 257, 4, 1, HEIGHT - 8)
    path.write_bytes(data)
    assert "contradicts itself" in refusal(path)


def test_a_tiff_whose_pages_lead_in_a_circle_opens(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    write_tiff(path, np.arange(12, dtype=np.uint8).reshape(3, 4))
    data = bytearray(path.read_bytes())
    tags = struct.unpack_from("<H", data, 8)[0]
    struct.pack_into("<I", data, 10 + 12 * tags, 8)
    path.write_bytes(data)
    assert load_image(path).pixels[2, 3, 0] == 11
    assert load_image(path).notes == ()


# --- Thumbnails and sizes -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp"])
def test_a_thumbnail_is_the_picture_made_small(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    large = np.zeros((900, 1600, 3), np.uint8)
    large[:, :800], large[:, 800:] = (200, 40, 40), (30, 60, 190)
    PilImage.fromarray(large).save(path)
    small = load_thumbnail(path, 160)
    assert small.shape == (90, 160, 3)
    assert small.dtype == np.uint8
    assert small.flags.c_contiguous
    assert np.abs(small[45, [20, 140]].astype(int) - [(200, 40, 40), (30, 60, 190)]).max() <= 8


def test_a_thumbnail_of_a_small_picture_is_the_picture(tmp_path: Path, scene: Array) -> None:
    path = tmp_path / "a.png"
    PilImage.fromarray(scene).save(path)
    assert np.array_equal(load_thumbnail(path, 500), scene)


@pytest.mark.parametrize(("width", "height"), [(20000, 1), (1, 3000), (3000, 2)])
def test_a_strip_has_a_thumbnail(tmp_path: Path, width: int, height: int) -> None:
    for name in ("a.png", "a.jpg"):
        path = tmp_path / name
        PilImage.new("RGB", (width, height), (9, 99, 199)).save(path)
        assert load_image(path).pixels.shape == (height, width, 3)
        small = load_thumbnail(path, 128)
        assert max(small.shape[:2]) == 128
        assert min(small.shape[:2]) == 1


def test_the_size_is_read_without_the_pixels(tmp_path: Path, scene: Array) -> None:
    for name in ("a.jpg", "a.png", "a.tif"):
        whole, half = tmp_path / name, tmp_path / f"half {name}"
        noise = np.random.default_rng(0).integers(0, 256, (300, 200, 3), np.uint8)
        PilImage.fromarray(noise).save(whole, exif=exif(6))
        data = whole.read_bytes()
        if name != "a.tif":  # its tags may lie behind the pixels
            half.write_bytes(data[: len(data) // 2])
            assert image_size(half) == (300, 200)
        assert image_size(whole) == (300, 200)


# --- Refusals -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "the file is empty"),
        (b"hello, this is no picture\n", "the file holds text, not an image"),
        ("Grüße\n".encode(), "the file holds text, not an image"),
        ("text in UTF-16".encode("utf-16"), "the file holds text, not an image"),
        (b"\xef\xbb\xbf<!DOCTYPE html><html><title>404</title></html>", "this is a web page, not an image"),
        (b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>', "SVG drawing"),
        (bytes(5000), "nothing but zeros"),
        (b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic", "an HEIC photo"),
        (b"\x00\x00\x00\x18ftypmif1\x00\x00\x00\x00mif1heic", "an HEIC photo"),
        (b"\x00\x00\x00\x18ftypisom\x00\x00\x02\x00isomiso2", "an MPEG-4 or QuickTime video"),
        (b"%PDF-1.7\n%\xe2\xe3", "a PDF document"),
        (b"8BPS\x00\x01", "a Photoshop document"),
        (b"PK\x03\x04\x14\x00", "a ZIP archive"),
        (b"DDS |\x00\x00\x00", "DirectDraw"),
        (b"\xff\x0a\x00\x00", "JPEG XL"),
        (bytes(range(256)) * 4, "not an image file of a known format"),
        (b"BMW drivers list", "the file holds text"),
    ],
)
def test_what_is_no_image_is_refused_by_name(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "picture.jpg"
    path.write_bytes(content)
    assert words in refusal(path)


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.tif", "lzw.tif", "a.bmp", "a.webp", "a.gif", "a.jp2", "a.ppm"])
@pytest.mark.parametrize("share", [0.98, 0.5, 0.1])
def test_a_file_that_ends_too_early_is_refused(tmp_path: Path, name: str, share: float) -> None:
    path = tmp_path / name
    noise = PilImage.fromarray(np.random.default_rng(0).integers(0, 256, (200, 200, 3), np.uint8))
    options: dict[str, Any] = {"compression": "tiff_lzw"} if name == "lzw.tif" else {}
    noise.save(path, **options)
    data = path.read_bytes()
    assert load_image(path).height == 200
    path.write_bytes(data[: int(len(data) * share)])
    text = refusal(path)
    assert "cut short" in text or "damaged" in text


@pytest.mark.parametrize("suffix", [".png", ".tiff", ".ppm"])
@pytest.mark.parametrize("share", [0.98, 0.5, 0.1])
def test_a_file_of_wide_values_that_ends_too_early_is_refused(tmp_path: Path, suffix: str, share: float) -> None:
    path = tmp_path / f"a{suffix}"
    data = cv2.imencode(suffix, np.random.default_rng(0).integers(0, 65536, (80, 80, 3)).astype(np.uint16))[1].tobytes()
    path.write_bytes(data[: int(len(data) * share)])
    assert refusal(path)


@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_a_wide_tiff_whose_pixels_end_too_early_is_refused(tmp_path: Path, scene: Array, dtype: type[Any]) -> None:
    path = tmp_path / "a.tif"
    write_tiff(path, scene.astype(dtype))
    path.write_bytes(path.read_bytes()[:-200])
    assert refusal(path)


def test_planes_that_lie_apart_are_right_or_refused(tmp_path: Path, scene: Array) -> None:
    path = tmp_path / "planes.tif"
    write_tiff(path, scene, planes=True)
    assert difference(load_image(path), scene) == 0
    # OpenCV leaves parts of these undefined and Pillow mixes up their bytes.
    write_tiff(path, scene.astype(np.uint16), planes=True)
    assert "3 samples of 16 bits per pixel in separate planes" in refusal(path)


def test_damage_inside_a_png_is_refused(tmp_path: Path, scene: Array) -> None:
    path = tmp_path / "a.png"
    PilImage.fromarray(np.random.default_rng(0).integers(0, 256, (90, 90, 3), np.uint8)).save(path)
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 40] = bytes(40)
    path.write_bytes(data)
    assert "damaged" in refusal(path) or "cut short" in refusal(path)


def test_a_folder_and_a_missing_file_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "folder.jpg"
    folder.mkdir()
    assert "this is a folder" in refusal(folder)
    assert "no longer there" in refusal(tmp_path / "gone.jpg")
    assert "name is too long" in refusal(tmp_path / ("x" * 300))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this system")
def test_a_pipe_is_refused_instead_of_waited_for(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.png"
    os.mkfifo(pipe)
    assert "a device, not a file" in refusal(pipe)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    PilImage.new("RGB", (2, 2)).save(path)
    path.chmod(0)
    assert "permission is denied" in refusal(path)


def test_a_camera_raw_file_is_refused_for_it_holds_a_small_preview(tmp_path: Path, scene: Array) -> None:
    for name, tags in (("a.nef", None), ("a.tif", {50706: 0x0401})):
        path = tmp_path / name
        write_tiff(path, scene, tags=tags)
        assert "camera raw photo" in refusal(path)


# --- Attacks --------------------------------------------------------------------------------------------------------


def png_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png_of(width: int, height: int, *extra: bytes) -> bytes:
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    pixels = png_chunk(b"IDAT", zlib.compress(bytes(1000)))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(extra) + pixels + png_chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("width", "height"), [(100_000, 100_000), (20_000, 20_000), (14_000, 12_600), (MAX_SIDE + 1, 1), (1, MAX_SIDE + 1)]
)
def test_too_many_pixels_are_refused_from_the_header(tmp_path: Path, width: int, height: int) -> None:
    path = tmp_path / "bomb.png"
    path.write_bytes(png_of(width, height))
    text = refusal(path)
    assert "is the limit" in text
    with pytest.raises(ImageError, match="is the limit"):
        image_size(path)


def test_the_largest_size_passes_the_header(tmp_path: Path) -> None:
    path = tmp_path / "large.png"
    path.write_bytes(png_of(MAX_PIXELS // 12_500, 12_500))
    assert image_size(path) == (14_000, 12_500)


def test_text_that_unpacks_to_far_more_than_it_is_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "text.png"
    packer = zlib.compressobj(9)
    body = b"".join(packer.compress(bytes(1 << 20)) for _ in range(64)) + packer.flush()
    path.write_bytes(png_of(10, 10, png_chunk(b"zTXt", b"Comment\0\0" + body)))
    assert "text blocks unpack" in refusal(path)


def test_a_jpeg_of_thousands_of_scans_is_refused(tmp_path: Path) -> None:
    stored = io.BytesIO()
    PilImage.new("RGB", (2000, 1500), (90, 80, 70)).save(stored, "JPEG", progressive=True)
    data = stored.getvalue()
    path = tmp_path / "scans.jpg"
    path.write_bytes(data)
    assert load_image(path).width == 2000
    last_scan = data[data.rindex(b"\xff\xda") : -2]
    path.write_bytes(data[:-2] + last_scan * 4000 + data[-2:])
    assert "4010 scans" in refusal(path)


@pytest.mark.parametrize(
    ("tags", "words"),
    [
        ({322: 60_000, 323: 60_000}, "tiles of"),
        ({277: 65_535}, "65535 samples"),
        ({256: 0}, "width and height"),
        ({256: 500_000, 257: 500_000}, "million pixels"),
        ({259: 34712}, "JPEG 2000"),
    ],
)
def test_a_tiff_that_lies_is_refused(tmp_path: Path, scene: Array, tags: dict[int, int], words: str) -> None:
    path = tmp_path / "lie.tif"
    write_tiff(path, scene, tags=tags)
    assert words in refusal(path)


def test_a_tiff_of_five_samples_is_refused_with_its_layout(tmp_path: Path) -> None:
    path = tmp_path / "bands.tif"
    write_tiff(path, np.zeros((4, 4, 5), np.uint16))
    assert "5 samples of 16 bits" in refusal(path)


def test_slow_decoders_get_no_large_picture(tmp_path: Path) -> None:
    path = tmp_path / "plain.ppm"
    path.write_bytes(b"P3\n3000 3000\n255\n" + b"0 " * 100)
    assert "take minutes" in refusal(path)
    assert image_size(path) == (3000, 3000)


def test_no_other_decoder_of_pillow_is_reached(tmp_path: Path) -> None:
    for kind in ("DDS", "ICO", "PCX", "SGI", "TGA", "XBM", "IM", "SPIDER", "PDF", "EPS", "ICNS"):
        path = tmp_path / f"a.{kind.lower()}"
        mode = {"XBM": "1", "SPIDER": "F"}.get(kind, "RGB")
        PilImage.new(mode, (32, 32)).save(path, format=kind)
        assert refusal(path)


# --- Company --------------------------------------------------------------------------------------------------------


def test_many_threads_may_load_at_once(tmp_path: Path, scene: Array) -> None:
    makers: list[Callable[[Path], object]] = [
        lambda path: PilImage.fromarray(as_stored(scene, 6)).save(path, format="PNG", exif=exif(6)),
        lambda path: PilImage.fromarray(scene).save(path, format="TIFF", compression="tiff_lzw"),
        lambda path: PilImage.fromarray(scene).save(path, format="WEBP", lossless=True),
        lambda path: PilImage.fromarray(scene).save(path, format="BMP"),
    ]
    paths = []
    for number in range(32):
        paths.append(tmp_path / f"{number}.img")
        makers[number % len(makers)](paths[-1])
    with ThreadPoolExecutor(8) as pool:
        images = list(pool.map(load_image, paths))
    assert [difference(image, scene) for image in images] == [0] * 32


def test_the_settings_of_pillow_stay_as_they_are(tmp_path: Path, scene: Array) -> None:
    def settings() -> tuple[object, ...]:
        return PilImage.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES

    before = settings()
    path = tmp_path / "a.png"
    PilImage.fromarray(scene).save(path)
    load_image(path)
    path.write_bytes(path.read_bytes()[:-60])
    refusal(path)
    assert settings() == before


def test_the_file_is_not_touched(tmp_path: Path, scene: Array) -> None:
    path = tmp_path / "a.jpg"
    PilImage.fromarray(scene).save(path, exif=exif(6))
    before = (path.read_bytes(), path.stat().st_mtime_ns)
    load_image(path)
    load_thumbnail(path, 16)
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before


def test_suffixes_are_those_of_the_formats() -> None:
    assert {".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".webp", ".gif"} <= IMAGE_SUFFIXES
    assert all(suffix == suffix.lower() and suffix.startswith(".") for suffix in IMAGE_SUFFIXES)
    assert not {".psd", ".dds", ".txt", ".svg", ".heic"} & IMAGE_SUFFIXES


def test_no_beginning_of_a_file_confuses_the_signatures() -> None:
    numbers = np.random.default_rng(0)
    for length in (0, 1, 2, 3, 7, 8, 11, 12, 15, 30, HEAD_BYTES):
        for start in (b"", b"RIFF", b"\0\0\0\x20ftyp", b"BM", b"P6", b"II", b"\xff\xfe", b"\xef\xbb"):
            head = (start + numbers.bytes(length))[:HEAD_BYTES]
            name = identify(head)
            assert name is None or name in FORMATS
            reason, hint = foreign_kind(head)
            assert reason
            assert hint
