"""Masks as PNG files."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from deeplab_studio.core.errors import StudioError
from deeplab_studio.core.labels import VOC_LABELS, LabelClass, LabelSet, voc_palette
from deeplab_studio.core.voc import read_mask, write_mask

PIXELS = np.array([[0, 1, 20], [255, 15, 7]], np.uint8)


def chunks(path: Path) -> dict[bytes, bytes]:
    """The chunks of a PNG, read without any library."""
    data, found, at = path.read_bytes(), {}, 8
    while at < len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        found.setdefault(data[at + 4 : at + 8], data[at + 8 : at + 8 + length])
        at += 12 + length
    return found


def gray_png(path: Path, values: list[int], depth: int) -> None:
    """A gray PNG of one row with few bits per pixel, which Pillow cannot write."""
    bits = "".join(f"{value:0{depth}b}" for value in values)
    row = b"\0" + int(bits, 2).to_bytes(len(bits) // 8, "big")
    parts = (
        (b"IHDR", struct.pack(">IIBBBBB", len(values), 1, depth, 0, 0, 0, 0)),
        (b"IDAT", zlib.compress(row)),
        (b"IEND", b""),
    )
    body = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in parts
    )
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)


@pytest.mark.parametrize("labels", [PIXELS, np.zeros((1, 1), np.uint8), np.full((3, 5), 255, np.uint8)])
def test_written_bytes_are_an_8_bit_palette_png_with_256_entries(tmp_path: Path, labels: np.ndarray) -> None:
    write_mask(tmp_path / "m.png", labels, VOC_LABELS)
    found = chunks(tmp_path / "m.png")
    width, height, depth, colour_type = struct.unpack(">IIBB", found[b"IHDR"][:10])
    assert (width, height, depth, colour_type) == (*labels.shape[::-1], 8, 3)
    assert found[b"PLTE"] == voc_palette().tobytes()
    assert found[b"PLTE"][-3:] == bytes((224, 224, 192))
    assert b"tRNS" not in found


def test_a_label_sets_own_colours_are_the_palette(tmp_path: Path) -> None:
    label_set = LabelSet((LabelClass("sky", (1, 2, 3)), LabelClass("sea", (9, 8, 7))))
    write_mask(tmp_path / "m.png", np.array([[0, 1, 255]], np.uint8), label_set)
    palette = np.frombuffer(chunks(tmp_path / "m.png")[b"PLTE"], np.uint8).reshape(-1, 3)
    np.testing.assert_array_equal(palette[:2], [(1, 2, 3), (9, 8, 7)])
    np.testing.assert_array_equal(palette[2:], voc_palette()[2:])


@given(labels=hnp.arrays(np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, max_side=40), elements=st.integers(0, 255)))
def test_any_map_reads_back_bit_for_bit(tmp_path_factory: pytest.TempPathFactory, labels: np.ndarray) -> None:
    path = tmp_path_factory.mktemp("masks") / "m.png"
    write_mask(path, labels, LabelSet.from_names(map(str, range(255))))
    np.testing.assert_array_equal(read_mask(path), labels)
    with Image.open(path) as image:
        assert image.mode == "P"
        np.testing.assert_array_equal(np.asarray(image), labels)


def test_a_view_that_is_not_contiguous_is_written_as_seen(tmp_path: Path) -> None:
    labels = np.arange(20, dtype=np.uint8).reshape(4, 5)[::-1, ::2]
    write_mask(tmp_path / "m.png", labels, VOC_LABELS)
    np.testing.assert_array_equal(read_mask(tmp_path / "m.png"), labels)


def test_ids_without_a_class_are_not_written(tmp_path: Path) -> None:
    with pytest.raises(StudioError, match="class id 21"):
        write_mask(tmp_path / "m.png", np.array([[21]], np.uint8), VOC_LABELS)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_palette_pngs_of_few_bits_are_read(tmp_path: Path, depth: int) -> None:
    labels = np.arange(1 << depth, dtype=np.uint8).reshape(2, -1)
    image = Image.fromarray(labels)
    image.putpalette(voc_palette().tobytes())
    image.save(tmp_path / "m.png", bits=depth)
    assert chunks(tmp_path / "m.png")[b"IHDR"][8] == depth
    np.testing.assert_array_equal(read_mask(tmp_path / "m.png"), labels)


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_gray_pngs_of_few_bits_keep_their_ids(tmp_path: Path, depth: int) -> None:
    values = [number % (1 << depth) for number in range(16)]
    gray_png(tmp_path / "m.png", values, depth)
    np.testing.assert_array_equal(read_mask(tmp_path / "m.png"), [values])


def test_gray_index_pngs_are_read(tmp_path: Path) -> None:
    Image.fromarray(PIXELS).save(tmp_path / "m.png")
    labels = read_mask(tmp_path / "m.png", image_size=(3, 2), label_set=VOC_LABELS)
    np.testing.assert_array_equal(labels, PIXELS)
    labels[0, 0] = 3  # can be edited


def _rgb(path: Path) -> None:
    Image.new("RGB", (3, 2), (128, 0, 0)).save(path, "PNG")


def _rgba(path: Path) -> None:
    Image.new("RGBA", (3, 2)).save(path, "PNG")


def _gray_alpha(path: Path) -> None:
    Image.new("LA", (3, 2)).save(path, "PNG")


def _sixteen(path: Path) -> None:
    Image.fromarray(np.array([[0, 1000, 2]], np.uint16)).save(path, "PNG")


def _jpeg(path: Path) -> None:
    Image.fromarray(PIXELS).save(path, "JPEG")


def _tiff(path: Path) -> None:
    Image.fromarray(PIXELS).save(path, "TIFF")


def _cut(path: Path) -> None:
    rng = np.random.default_rng(0)
    write_mask(path, rng.integers(0, 21, (200, 200), dtype=np.uint8), VOC_LABELS)
    path.write_bytes(path.read_bytes()[:9000])


def _cut_in_the_header(path: Path) -> None:
    write_mask(path, PIXELS, VOC_LABELS)
    path.write_bytes(path.read_bytes()[:20])


def _huge(path: Path) -> None:
    gray_png(path, [0] * 8, 8)
    data = bytearray(path.read_bytes())
    data[16:24] = struct.pack(">II", 1 << 30, 1 << 30)
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (_rgb, "colours"),
        (_rgba, "colours"),
        (_gray_alpha, "transparency"),
        (_sixteen, "16 bits"),
        (_jpeg, "JPEG, which changes class ids"),
        (_tiff, "TIFF"),
        (lambda path: path.write_bytes(b""), "empty"),
        (lambda path: path.write_text("hello"), "not an image"),
        (_cut, "damaged"),
        (_cut_in_the_header, "damaged"),
        (_huge, "more than any photo"),
        (lambda path: None, "no longer there"),
        (lambda path: path.mkdir(), "folder"),
    ],
)
def test_what_is_no_mask_is_refused_with_file_reason_and_next_step(tmp_path: Path, make, reason: str) -> None:
    path = tmp_path / "photo 1.png"
    make(path)
    with pytest.raises(StudioError, match=reason) as caught:
        read_mask(path)
    assert str(caught.value).startswith("photo 1.png: ")
    assert caught.value.hint


def test_another_size_than_the_photo_is_refused(tmp_path: Path) -> None:
    write_mask(tmp_path / "m.png", PIXELS, VOC_LABELS)
    with pytest.raises(StudioError, match="3 x 2 pixels, its photo 4 x 2"):
        read_mask(tmp_path / "m.png", image_size=(4, 2))
    with pytest.raises(StudioError, match="on its side"):
        read_mask(tmp_path / "m.png", image_size=(2, 3))


def test_unknown_ids_are_named(tmp_path: Path) -> None:
    Image.fromarray(np.array([[77, 255, 0, 99]], np.uint8)).save(tmp_path / "m.png")
    with pytest.raises(StudioError, match=r"class ids 77, 99, the label set ends at 20 \(tvmonitor\)"):
        read_mask(tmp_path / "m.png", label_set=VOC_LABELS)


def test_a_mask_that_is_replaced_stays_if_the_new_one_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.png"
    write_mask(path, PIXELS, VOC_LABELS)
    before = path.read_bytes()
    with pytest.raises(StudioError):
        write_mask(path, np.array([[200]], np.uint8), VOC_LABELS)
    assert path.read_bytes() == before


def test_the_masks_of_the_release_come_out_as_they_went_in(shared: Path, tmp_path: Path) -> None:
    masks = sorted((shared / "data/voc/SegmentationClass").glob("*.png"))[::8]
    assert masks
    for mask in masks:
        labels = read_mask(mask, label_set=VOC_LABELS)
        write_mask(tmp_path / mask.name, labels, VOC_LABELS)
        np.testing.assert_array_equal(read_mask(tmp_path / mask.name), labels)
        ours, theirs = chunks(tmp_path / mask.name), chunks(mask)
        assert ours[b"IHDR"] == theirs[b"IHDR"]
        assert ours[b"PLTE"] == theirs[b"PLTE"]


def test_odd_masks_are_read_or_refused_as_listed(shared: Path) -> None:
    folder = shared / "data/odd/made_here"
    size = (300, 200)
    for name in ("mask_palette_ok", "mask_gray_indices", "mask_with_void255"):
        assert read_mask(folder / f"{name}.png", image_size=size, label_set=VOC_LABELS).shape == (200, 300)
    for name in ("mask_jpeg_lossy.jpg", "mask_rgb_colours.png", "mask_with_unknown_class77.png", "rgb16.png"):
        with pytest.raises(StudioError) as caught:
            read_mask(folder / name, image_size=size, label_set=VOC_LABELS)
        assert name in str(caught.value)
