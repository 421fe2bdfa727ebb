"""What is written in a format reads back as it was."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as PilImage
from pycocotools import mask as coco_mask

from deeplab_studio.commands import voc as command
from deeplab_studio.core.cancel import Cancelled, CancelToken
from deeplab_studio.core.convert import FORMATS, LabelledData, convert, open_foreign, open_voc
from deeplab_studio.core.errors import StudioError
from deeplab_studio.core.foreign import find_labels, match_classes
from deeplab_studio.core.foreign.write_coco import run_lengths
from deeplab_studio.core.foreign.write_yolo import draw, outlines
from deeplab_studio.core.foreign.writer import regions_of
from deeplab_studio.core.images import examine_size
from deeplab_studio.core.label_sets import builtin_label_set
from deeplab_studio.core.labels import VOC_LABELS, VOID, LabelClass, LabelSet
from deeplab_studio.core.voc import read_mask, read_voc, validate_voc, write_mask

PETS = LabelSet.from_names(["background", "cat", "dog", "sheep"])
SHAPE = (30, 40)

MASKS_KEPT = ("index", "cvat", "labelme")
"""Formats that keep every pixel, void too."""


def hand_made() -> dict[str, np.ndarray]:
    """Class maps with what goes wrong most easily."""
    rng = np.random.default_rng(0)
    ring = np.zeros(SHAPE, np.uint8)
    ring[4:26, 4:36] = 1
    ring[10:20, 10:30] = 0
    ring[13:16, 14:20] = 2
    ring[3, 4:36] = VOID
    return {
        "ring": ring,
        "noise": rng.choice(np.array([0, 1, 2, 3, VOID], np.uint8), SHAPE),
        "empty": np.zeros(SHAPE, np.uint8),
        "full": np.full(SHAPE, 3, np.uint8),
        "void": np.full(SHAPE, VOID, np.uint8),
        "dots": (np.indices(SHAPE).sum(0) % 2).astype(np.uint8),
        "one pixel": np.array([[2]], np.uint8),
        "one row": np.array([[0, 1, 1, VOID, 3]], np.uint8),
    }


def dataset(folder: Path, maps: dict[str, np.ndarray], label_set: LabelSet = PETS) -> LabelledData:
    (folder / "photos").mkdir(parents=True)
    photos = {}
    for name, labels in maps.items():
        photos[name] = folder / "photos" / f"{name}.png"
        PilImage.fromarray(np.full((*labels.shape, 3), 90, np.uint8)).save(photos[name])
    return LabelledData(photos, maps.__getitem__, label_set)


def read_back(out: Path, data: LabelledData) -> dict[str, np.ndarray]:
    """What `find_labels` reads, in the ids of the data set by the names of the classes."""
    source = find_labels(out, list(data.photos.values()))
    targets = match_classes(source.classes, data.label_set, {})
    table = np.full(256, 254, np.uint8)
    table[VOID] = VOID
    table[list(targets)] = list(targets.values())
    by_path = {photo: source.read(photo, examine_size(photo)).labels for photo in source.photos}
    return {name: table[by_path[path]] for name, path in data.photos.items()}


def assert_same(found: dict[str, np.ndarray], meant: dict[str, np.ndarray]) -> None:
    assert {name for name in meant if not np.array_equal(found[name], meant[name])} == set()


@pytest.mark.parametrize("form", MASKS_KEPT)
def test_every_pixel_comes_back(tmp_path: Path, form: str) -> None:
    maps = hand_made()
    data = dataset(tmp_path, maps)
    report = convert(data, tmp_path / "out", form)
    assert report.written == list(maps)
    assert report.problems == report.notes == []
    assert_same(read_back(tmp_path / "out", data), maps)


def test_coco_keeps_every_pixel_but_void_and_says_so(tmp_path: Path) -> None:
    maps = hand_made()
    data = dataset(tmp_path, maps)
    report = convert(data, tmp_path / "out", "coco")
    void = sum(int((labels == VOID).sum()) for labels in maps.values())
    assert report.notes == [f"{void:,} void pixels are left out, for COCO has no void: they read back as background."]
    found = read_back(tmp_path / "out", data)
    assert_same(found, {name: np.where(labels == VOID, 0, labels) for name, labels in maps.items()})
    content = json.loads((tmp_path / "out/instances.json").read_text())
    assert [each["name"] for each in content["categories"]] == ["cat", "dog", "sheep"]
    assert [each["id"] for each in content["categories"]] == [1, 2, 3]


@pytest.mark.parametrize("form", [*MASKS_KEPT, "coco"])
def test_a_first_class_that_is_no_background_is_a_class_too(tmp_path: Path, form: str) -> None:
    maps = {"a": np.array([[0, 0, 1], [1, 0, 0]], np.uint8)}
    data = dataset(tmp_path, maps, LabelSet.from_names(["road", "car"]))
    convert(data, tmp_path / "out", form)
    assert_same(read_back(tmp_path / "out", data), maps)


def test_an_annotation_of_coco_is_a_region_with_its_box_and_area(tmp_path: Path) -> None:
    labels = np.zeros(SHAPE, np.uint8)
    labels[2:5, 3:9] = 1
    labels[20:22, 30:31] = 1
    convert(dataset(tmp_path, {"a": labels}), tmp_path / "out", "coco")
    found = json.loads((tmp_path / "out/instances.json").read_text())["annotations"]
    assert [(each["bbox"], each["area"]) for each in found] == [([3, 2, 6, 3], 18), ([30, 20, 1, 2], 2)]
    assert [each["id"] for each in found] == [1, 2]


@given(st.integers(0, 2**32 - 1), st.integers(1, 12), st.integers(1, 12))
def test_run_lengths_are_those_of_pycocotools(seed: int, height: int, width: int) -> None:
    labels = np.random.default_rng(seed).integers(0, 2, (height, width), np.uint8)
    numbers = regions_of(labels, 1).numbers
    for number, found in enumerate(run_lengths(numbers), 1):
        expected = coco_mask.encode(np.asfortranarray((numbers == number).astype(np.uint8)))
        assert found["counts"].encode() == expected["counts"]


def test_cityscapes_gets_its_own_ids(tmp_path: Path) -> None:
    label_set = LabelSet.from_names(["road", "person", "car"])
    maps = {"aachen_000000_000019_leftImg8bit": np.array([[0, 1, 2, VOID]], np.uint8)}
    data = dataset(tmp_path, maps, label_set)
    report = convert(data, tmp_path / "out", "cityscapes")
    mask = tmp_path / "out/aachen_000000_000019_gtFine_labelIds.png"
    assert read_mask(mask).tolist() == [[7, 24, 26, 0]]
    assert "1 void pixels became unlabeled" in report.notes[0]


def test_all_of_cityscapes_classes_come_back(tmp_path: Path) -> None:
    label_set = builtin_label_set("cityscapes-ids")
    maps = {"a": np.arange(len(label_set), dtype=np.uint8)[None]}
    data = dataset(tmp_path, maps, label_set)
    convert(data, tmp_path / "out", "cityscapes")
    assert_same(read_back(tmp_path / "out", data), maps)


def test_classes_that_cityscapes_does_not_have_are_refused(tmp_path: Path) -> None:
    with pytest.raises(StudioError, match="no class called background, cat, dog, sheep"):
        convert(dataset(tmp_path, {}), tmp_path / "out", "cityscapes")
    assert not (tmp_path / "out").exists()


def test_cvat_needs_a_colour_for_every_class(tmp_path: Path) -> None:
    same = LabelSet((LabelClass("a", (1, 2, 3)), LabelClass("b", (1, 2, 3))))
    with pytest.raises(StudioError, match="b has the same as a"):
        convert(dataset(tmp_path, {}, same), tmp_path / "out", "cvat")
    void = LabelSet((LabelClass("a", (224, 224, 192)),))
    with pytest.raises(StudioError, match="a has the same as void"):
        convert(dataset(tmp_path / "2", {}, void), tmp_path / "out", "cvat")


def test_cvats_files_are_where_it_looks(tmp_path: Path) -> None:
    maps = {"a": np.array([[0, 1, VOID]], np.uint8)}
    convert(dataset(tmp_path, maps), tmp_path / "out", "cvat")
    assert (tmp_path / "out/ImageSets/Segmentation/default.txt").read_text() == "a\n"
    with PilImage.open(tmp_path / "out/SegmentationClass/a.png") as picture:
        assert picture.mode == "RGB"
        assert np.asarray(picture).tolist() == [[[0, 0, 0], [128, 0, 0], [224, 224, 192]]]
    lines = (tmp_path / "out/labelmap.txt").read_text().splitlines()
    assert lines[0] == "# label:color_rgb:parts:actions"
    assert lines[1] == "background:0,0,0::"
    assert lines[-1] == "ignored:224,224,192::"


def test_names_that_labelme_takes_for_something_else_are_refused(tmp_path: Path) -> None:
    for number, name in enumerate(("void", "_background_")):
        label_set = LabelSet.from_names(["background", name])
        with pytest.raises(StudioError, match="labelme would not take"):
            convert(dataset(tmp_path / str(number), {}, label_set), tmp_path / "out", "labelme")


def test_labelmes_files_name_the_photo(tmp_path: Path) -> None:
    convert(dataset(tmp_path, {"a": np.ones((2, 3), np.uint8)}), tmp_path / "out", "labelme")
    content = json.loads((tmp_path / "out/a.json").read_text())
    assert content["imagePath"] == "../photos/a.png"
    assert (content["imageWidth"], content["imageHeight"]) == (3, 2)
    assert content["shapes"][0]["points"] == [[0, 0], [2, 1]]


# YOLO


def test_yolo_tells_what_is_lost_and_holes_stay_holes(tmp_path: Path) -> None:
    maps = {"ring": hand_made()["ring"]}
    data = dataset(tmp_path, maps)
    report = convert(data, tmp_path / "out", "yolo")
    assert "32 void pixels are left out" in report.notes[0]
    assert "mean IoU of 1.0000" in report.notes[-1]
    (split,) = [path.name for path in (tmp_path / "out/labels").iterdir()]
    lines = (tmp_path / f"out/labels/{split}/ring.txt").read_text().splitlines()
    assert [line.split()[0] for line in lines] == ["0", "1"]
    assert np.array_equal(draw(lines, SHAPE), np.where(maps["ring"] == VOID, 0, maps["ring"]))
    assert (tmp_path / f"out/images/{split}/ring.png").read_bytes() == data.photos["ring"].read_bytes()
    assert '  1: "dog"' in (tmp_path / "out/data.yaml").read_text().splitlines()


@given(st.integers(0, 2**32 - 1))
def test_polygons_lose_no_pixel_of_a_class(seed: int) -> None:
    import cv2

    rng = np.random.default_rng(seed)
    inside = cv2.resize(rng.random((7, 9), np.float32), (45, 35)) > 0.5
    drawn = np.zeros(inside.shape, np.uint8)
    for outline in outlines(inside):
        assert len(outline) >= 3
        cv2.fillPoly(drawn, [outline], 1)
    # A cut between a hole and its outline may run over another hole: that adds a line, and takes nothing away.
    assert not (inside & (drawn == 0)).any()
    assert np.count_nonzero((drawn == 1) & ~inside) <= 10


def test_yolo_turns_photos_that_are_stored_lying(tmp_path: Path) -> None:
    labels = np.zeros((40, 30), np.uint8)
    labels[5:20, 5:20] = 2
    data = dataset(tmp_path, {"a": labels})
    photo = tmp_path / "photos/turned.jpg"
    exif = PilImage.Exif()
    exif[0x0112] = 6
    PilImage.new("RGB", (40, 30)).save(photo, exif=exif)
    convert(LabelledData({"a": photo}, data.read, PETS), tmp_path / "out", "yolo")
    (copied,) = (tmp_path / "out/images").rglob("a.jpg")
    assert examine_size(copied).orientation == 1
    assert (examine_size(copied).width, examine_size(copied).height) == (30, 40)


# Reading and what goes wrong


def voc_root(folder: Path) -> Path:
    for name in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        (folder / name).mkdir(parents=True)
    for name, labels in (("a", [[0, 1, 2]]), ("b", [[VOID, 20, 0]]), ("c", [[15, 15, 15]])):
        PilImage.new("RGB", (3, 1)).save(folder / f"JPEGImages/{name}.jpg")
        write_mask(folder / f"SegmentationClass/{name}.png", np.array(labels, np.uint8), VOC_LABELS)
    PilImage.new("RGB", (3, 1)).save(folder / "JPEGImages/d.jpg")
    for name, text in (("train", "b\n"), ("val", "a\n"), ("test", "d\n")):
        (folder / f"ImageSets/Segmentation/{name}.txt").write_text(text)
    return folder


def test_voc_keeps_masks_photos_and_lists(tmp_path: Path) -> None:
    root = voc_root(tmp_path / "voc")
    report = convert(open_voc(root), tmp_path / "out", "voc")
    assert report.written == ["a", "b", "c"]
    assert report.notes == ["1 photos without a mask were left out."]
    for name in report.written:
        before, after = (folder / f"SegmentationClass/{name}.png" for folder in (root, tmp_path / "out"))
        assert np.array_equal(read_mask(before), read_mask(after))
        photo = f"JPEGImages/{name}.jpg"
        assert (root / photo).read_bytes() == (tmp_path / "out" / photo).read_bytes()
    assert read_voc(tmp_path / "out").splits == {"train": ("b",), "val": ("a",), "test": ()}
    assert validate_voc(tmp_path / "out") == []


def test_only_one_list_if_asked(tmp_path: Path) -> None:
    report = convert(open_voc(voc_root(tmp_path / "voc"), "val"), tmp_path / "out", "voc")
    assert report.written == ["a"]
    assert read_voc(tmp_path / "out").splits == {"val": ("a",)}


def test_masks_of_other_programs_become_voc(tmp_path: Path) -> None:
    maps = hand_made()
    data = dataset(tmp_path, maps)
    convert(data, tmp_path / "cvat", "cvat")
    found = open_foreign(tmp_path / "cvat", list(data.photos.values()))
    assert found.label_set.classes == PETS.classes
    convert(found, tmp_path / "voc", "voc")
    for item in read_voc(tmp_path / "voc").items:
        name = next(name for name in maps if name.split()[-1] in item.name)
        assert item.mask is not None
        assert np.array_equal(read_mask(item.mask), maps[name])


def test_ids_without_names_are_numbered_or_named_as_asked(tmp_path: Path) -> None:
    (tmp_path / "gray").mkdir()
    data = dataset(tmp_path, {"a": np.array([[0, 3, VOID]], np.uint8)})
    PilImage.fromarray(data.read("a")).save(tmp_path / "gray/a.png")
    photos = list(data.photos.values())
    assert open_foreign(tmp_path / "gray", photos).label_set.names == ("class 0", "class 1", "class 2", "class 3")
    assert open_foreign(tmp_path / "gray", photos, PETS).label_set == PETS


def test_a_broken_mask_is_left_out_and_named(tmp_path: Path) -> None:
    root = voc_root(tmp_path / "voc")
    PilImage.new("L", (9, 9)).save(root / "SegmentationClass/b.png")
    for number, form in enumerate(("voc", "index")):
        report = convert(open_voc(root), tmp_path / f"out{number}", form)
        assert report.written == ["a", "c"]
        assert "9 x 9" in str(report.problems[0])


def test_two_photos_of_one_name_are_told_apart_by_nobody(tmp_path: Path) -> None:
    data = dataset(tmp_path, {"a": np.ones((2, 3), np.uint8)})
    (tmp_path / "photos/again").mkdir()
    twin = shutil.copy(data.photos["a"], tmp_path / "photos/again/a.png")
    for folder in ("", "again"):
        (tmp_path / "masks" / folder).mkdir(parents=True, exist_ok=True)
        write_mask(tmp_path / "masks" / folder / "a.png", data.read("a"), PETS)
    found = open_foreign(tmp_path / "masks", [*data.photos.values(), Path(twin)])
    assert list(found.photos) == ["a"]
    assert found.problems


def test_a_folder_with_something_in_it_is_refused(tmp_path: Path) -> None:
    data = dataset(tmp_path, {})
    with pytest.raises(StudioError, match="something in it already"):
        convert(data, tmp_path, "index")


def test_cancelling_leaves_only_whole_files(tmp_path: Path) -> None:
    data, token = dataset(tmp_path, hand_made()), CancelToken()
    with pytest.raises(Cancelled):
        convert(data, tmp_path / "out", "index", progress=lambda _share: token.cancel(), cancel=token)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["ring.png"]


def test_an_unknown_format_is_a_mistake_of_ours(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no format"):
        convert(dataset(tmp_path, {}), tmp_path / "out", "bmp")
    assert command.FORMATS == FORMATS


# Real masks


@pytest.mark.slow
def test_every_mask_of_voc_reads_back_bit_for_bit(shared: Path, tmp_path: Path) -> None:
    data = open_voc(shared / "data/voc")
    report = convert(data, tmp_path / "out", "voc")
    assert len(report.written) == len(data.photos) > 100
    assert report.problems == []
    for name in report.written:
        original, written = (
            folder / f"SegmentationClass/{name}.png" for folder in (shared / "data/voc", tmp_path / "out")
        )
        with PilImage.open(original) as before, PilImage.open(written) as after:
            assert after.mode == "P"
            assert np.array_equal(np.asarray(before), np.asarray(after))
    assert read_voc(tmp_path / "out").splits == read_voc(shared / "data/voc").splits


@pytest.mark.parametrize("form", ["index", "cvat", "labelme", "coco"])
def test_real_masks_read_back(shared: Path, tmp_path: Path, form: str) -> None:
    whole = open_voc(shared / "data/voc")
    photos = dict(list(whole.photos.items())[:20])
    data = LabelledData(photos, whole.read, whole.label_set, whole.splits)
    convert(data, tmp_path / "out", form)
    maps = {name: whole.read(name) for name in photos}
    if form == "coco":
        maps = {name: np.where(labels == VOID, 0, labels) for name, labels in maps.items()}
    assert_same(read_back(tmp_path / "out", data), maps)
