from __future__ import annotations

import base64
import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PilImage
from pycocotools import mask as coco_mask

from deeplab_studio.core.cancel import Cancelled, CancelToken
from deeplab_studio.core.errors import StudioError
from deeplab_studio.core.foreign import count_source, find_labels
from deeplab_studio.core.images import examine_size
from deeplab_studio.core.labels import VOC_LABELS, LabelSet
from deeplab_studio.core.voc import write_labelmap, write_mask


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    """Two photos of 8 x 6 pixels."""
    folder = tmp_path / "photos"
    folder.mkdir()
    paths = [folder / "dog_1.jpg", folder / "dog_2.jpg"]
    for path in paths:
        PilImage.new("RGB", (8, 6), (90, 120, 60)).save(path)
    return paths


@pytest.fixture
def labels() -> np.ndarray:
    values = np.zeros((6, 8), np.uint8)
    values[1:4, 2:6] = 12
    values[4, :] = 255
    return values


def read(source, photo: Path) -> np.ndarray:
    return source.read(photo, examine_size(photo)).labels


def save_png(path: Path, values: np.ndarray, mode: str | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    PilImage.fromarray(values, mode).save(path)
    return path


def test_palette_masks_come_back_bit_for_bit_under_vocs_names(tmp_path, photos, labels):
    (tmp_path / "masks").mkdir()
    write_mask(tmp_path / "masks/dog_1.png", labels, VOC_LABELS)
    source = find_labels(tmp_path / "masks", photos)
    assert source.photos == [photos[0]]
    assert np.array_equal(read(source, photos[0]), labels)
    assert source.name_of(12) == "dog"


def test_a_jpeg_among_the_masks_is_the_problem_of_its_photo_alone(tmp_path, photos, labels):
    save_png(tmp_path / "masks/dog_2.png", labels)
    PilImage.new("RGB", (8, 6)).save(tmp_path / "masks/dog_1.png", format="JPEG")
    found = count_source(find_labels(tmp_path / "masks", photos))
    assert found.usable == [photos[1]]
    assert "is a JPEG" in str(found.problems[0])


def test_gray_masks_have_ids_that_nothing_names(tmp_path, photos, labels):
    save_png(tmp_path / "gray/dog_2_mask.png", labels)
    source = find_labels(tmp_path / "gray", photos)
    assert source.photos == [photos[1]]
    assert source.classes == ()
    assert source.name_of(12) == "class 12"
    assert np.array_equal(read(source, photos[1]), labels)


def test_class_names_beside_the_masks_are_used(tmp_path, photos, labels):
    save_png(tmp_path / "set/SegmentationClass/dog_1.png", np.minimum(labels, 1))
    (tmp_path / "set/class_names.txt").write_text("nothing\nbeast\n")
    source = find_labels(tmp_path / "set", photos)
    assert [each.name for each in source.classes] == ["nothing", "beast"]


def test_colour_masks_become_the_classes_of_their_labelmap(tmp_path, photos, labels):
    animals = LabelSet.from_names(["background", "cat", "horse"])
    ids = np.where(labels == 12, 2, labels).astype(np.uint8)
    colours = animals.palette()[ids]
    save_png(tmp_path / "cvat/SegmentationClass/dog_1.png", colours)
    write_labelmap(tmp_path / "cvat/labelmap.txt", animals)
    source = find_labels(tmp_path / "cvat", photos)
    assert source.format == "CVAT colour masks"
    assert [each.name for each in source.classes] == ["background", "cat", "horse"]
    assert np.array_equal(read(source, photos[0]), ids)


def test_a_colour_that_no_class_has_is_named_with_its_count(tmp_path, photos):
    colours = np.zeros((6, 8, 3), np.uint8)
    colours[0, :3] = (1, 2, 3)
    save_png(tmp_path / "cvat/dog_1.png", colours)
    write_labelmap(tmp_path / "cvat/labelmap.txt", LabelSet.from_names(["background", "cat"]))
    source = find_labels(tmp_path / "cvat", photos)
    with pytest.raises(StudioError, match=r"3 pixels .* \(1, 2, 3\)"):
        read(source, photos[0])


def test_colour_masks_without_a_labelmap_are_refused(tmp_path, photos):
    save_png(tmp_path / "cvat/dog_1.png", np.full((6, 8, 3), 7, np.uint8))
    with pytest.raises(StudioError, match=r"no labelmap\.txt"):
        find_labels(tmp_path / "cvat", photos)


def test_two_classes_of_one_colour_are_refused(tmp_path, photos):
    save_png(tmp_path / "cvat/dog_1.png", np.full((6, 8, 3), 7, np.uint8))
    (tmp_path / "cvat/labelmap.txt").write_text("background:0,0,0::\ncat:9,9,9::\ndog:9,9,9::\n")
    with pytest.raises(StudioError, match="cat and dog have the same colour"):
        find_labels(tmp_path / "cvat", photos)


@pytest.mark.parametrize("pattern", ["{name}/{photo}.png", "{photo}/{name}.png", "{photo}_{name}.png"])
def test_black_and_white_masks_are_laid_over_each_other(tmp_path, photos, pattern):
    cat, dog = np.zeros((6, 8), np.uint8), np.zeros((6, 8), np.uint8)
    cat[:3], dog[2:] = 255, 255
    for name, values in (("cat", cat), ("dog", dog)):
        save_png(tmp_path / "set" / pattern.format(name=name, photo="dog_1"), values)
    source = find_labels(tmp_path / "set", photos)
    assert [each.name for each in source.classes] == ["background", "cat", "dog"]
    found = source.read(photos[0], examine_size(photos[0]))
    assert np.array_equal(found.labels, np.repeat([1, 1, 2, 2, 2, 2], 8).reshape(6, 8))
    assert "8 pixels are in several masks" in found.notes[0]


def test_a_folder_of_black_and_white_masks_is_the_class_it_is_called(tmp_path, photos):
    values = np.zeros((6, 8), np.uint8)
    values[2:, 3:] = 255
    for photo in photos:
        save_png(tmp_path / "cat" / f"{photo.stem}.png", values)
    source = find_labels(tmp_path / "cat", photos)
    assert [each.name for each in source.classes] == ["background", "cat"]
    assert np.array_equal(read(source, photos[1]), values // 255)


def test_jpeg_masks_are_refused_because_they_lose_ids(tmp_path, photos):
    (tmp_path / "masks").mkdir()
    PilImage.fromarray(np.arange(48, dtype=np.uint8).reshape(6, 8)).save(tmp_path / "masks/dog_1.jpg")
    with pytest.raises(StudioError, match="JPEG, which changes class ids"):
        find_labels(tmp_path / "masks", photos)


def test_a_mask_that_lies_as_the_photo_is_stored_is_turned_with_it(tmp_path):
    photo = tmp_path / "photos/turned.jpg"
    photo.parent.mkdir()
    exif = PilImage.Exif()
    exif[0x0112] = 6
    PilImage.new("RGB", (8, 6)).save(photo, exif=exif)
    stored = np.arange(48, dtype=np.uint8).reshape(6, 8) % 21
    save_png(tmp_path / "masks/turned.png", stored)
    source = find_labels(tmp_path / "masks", [photo])
    found = source.read(photo, examine_size(photo))
    assert np.array_equal(found.labels, np.rot90(stored, -1))
    assert "turned with it" in found.notes[0]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_turning_agrees_with_pillow(orientation):
    from PIL import ImageOps

    from deeplab_studio.core.images import ImageSize

    stored = np.arange(6, dtype=np.uint8).reshape(2, 3)
    picture = PilImage.fromarray(stored)
    picture.getexif()[0x0112] = orientation
    upright = np.asarray(ImageOps.exif_transpose(picture))
    size = ImageSize(upright.shape[1], upright.shape[0], orientation)
    assert np.array_equal(size.upright(stored), upright)
    assert size.stored == (3, 2)


def test_a_mask_of_another_size_is_named_with_both_sizes(tmp_path, photos):
    save_png(tmp_path / "masks/dog_1.png", np.zeros((5, 8), np.uint8))
    source = find_labels(tmp_path / "masks", photos)
    with pytest.raises(StudioError, match="8 x 5 pixels, the photo has 8 x 6"):
        read(source, photos[0])


def shape(label: str, points: list, kind: str = "polygon", **more: object) -> dict:
    return {"label": label, "points": points, "shape_type": kind, **more}


def save_labelme(folder: Path, photo: Path, shapes: list, **more: object) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / f"{photo.stem}.json"
    content = {"version": "5.5.0", "shapes": shapes, "imagePath": photo.name, "imageWidth": 8, "imageHeight": 6, **more}
    path.write_text(json.dumps(content))
    return path


def test_labelmes_shapes_are_drawn_in_their_order(tmp_path, photos):
    bits = io.BytesIO()
    PilImage.fromarray(np.array([[255, 0], [255, 255]], np.uint8)).convert("1").save(bits, "PNG")
    save_labelme(
        tmp_path / "json",
        photos[0],
        [
            shape("cat", [[0, 0], [7, 0], [7, 2], [0, 2]]),
            shape("dog", [[2, 1], [4, 4]], "rectangle"),
            shape("void", [[6, 5], [7, 5]], "rectangle"),
            shape("cat", [[0, 4], [1, 5]], "mask", mask=base64.b64encode(bits.getvalue()).decode()),
        ],
    )
    source = find_labels(tmp_path / "json", photos)
    assert [each.name for each in source.classes] == ["background", "cat", "dog"]
    found = source.read(photos[0], examine_size(photos[0]))
    wanted = np.zeros((6, 8), np.uint8)
    wanted[0:3] = 1
    wanted[1:5, 2:5] = 2
    wanted[5, 6:8] = 255
    wanted[4, 0] = wanted[5, 0] = wanted[5, 1] = 1
    assert np.array_equal(found.labels, wanted)
    assert "6 pixels lie under several shapes" in found.notes[0]


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (shape("cat", [[0, 0], [1, 1]]), "shape 1 is a polygon with 2 points"),
        (shape("cat", [[0, 0], [1, "x"], [2, 2]]), "not pairs of numbers"),
        (shape("cat", [[0, 0], [1, 1e9], [2, 2]]), "far outside"),
        (shape("cat", [[0, 0]], "blob"), "kind 'blob'"),
        (shape("cat", [[0, 0], [1, 1]], "mask", mask="AAAA"), "a mask that is no PNG"),
    ],
)
def test_a_broken_shape_is_named(tmp_path, photos, broken, reason):
    save_labelme(tmp_path / "json", photos[0], [broken])
    source = find_labels(tmp_path / "json", photos)
    with pytest.raises(StudioError, match=reason):
        read(source, photos[0])


def test_a_file_that_is_cut_off_is_a_problem_and_the_others_go_on(tmp_path, photos):
    save_labelme(tmp_path / "json", photos[0], [shape("cat", [[0, 0], [3, 0], [3, 3]])])
    cut = save_labelme(tmp_path / "json", photos[1], [])
    cut.write_text(cut.read_text()[:40])
    source = find_labels(tmp_path / "json", photos)
    assert source.photos == [photos[0]]
    assert "not valid JSON" in str(source.problems[0])


def coco(tmp_path: Path, annotations: list, name: str = "dog_1.jpg") -> Path:
    path = tmp_path / "instances.json"
    content = {
        "images": [{"id": 7, "file_name": f"train/{name}", "width": 8, "height": 6}],
        "annotations": [{"id": 100 + i, "image_id": 7, **each} for i, each in enumerate(annotations)],
        "categories": [{"id": 18, "name": "dog"}, {"id": 900, "name": "cat"}],
    }
    path.write_text(json.dumps(content))
    return path


def test_coco_polygons_and_run_lengths_are_drawn_as_pycocotools_draws_them(tmp_path, photos):
    polygon = [1, 1, 6.5, 1, 6.5, 4.2, 1, 4.2]
    small = np.zeros((6, 8), np.uint8, order="F")
    small[2:4, 2:4] = 1
    runs = coco_mask.encode(small)
    path = coco(
        tmp_path,
        [
            {"category_id": 900, "segmentation": {"size": [6, 8], "counts": runs["counts"].decode()}, "area": 4},
            {"category_id": 18, "segmentation": [polygon], "area": 18, "iscrowd": 0},
        ],
    )
    source = find_labels(path, photos)
    assert [each.name for each in source.classes] == ["background", "dog", "cat"]
    wanted = coco_mask.decode(coco_mask.frPyObjects([polygon], 6, 8))[..., 0].astype(np.uint8)
    wanted[small > 0] = 2
    found = source.read(photos[0], examine_size(photos[0]))
    assert np.array_equal(found.labels, wanted)
    assert found.notes


@pytest.mark.parametrize(
    ("annotation", "reason"),
    [
        ({"category_id": 5, "segmentation": [[0, 0, 1, 1, 2, 0]]}, "category 5, which is not listed"),
        ({"category_id": 18, "segmentation": [[0, 0, 1, 1]]}, "fewer than three points"),
        ({"category_id": 18, "segmentation": {"size": [3, 3], "counts": [9]}}, "another size"),
        ({"category_id": 18, "segmentation": {"size": [6, 8]}}, "cannot be drawn"),
    ],
)
def test_a_broken_annotation_is_named(tmp_path, photos, annotation, reason):
    source = find_labels(coco(tmp_path, [annotation]), photos)
    with pytest.raises(StudioError, match=reason):
        read(source, photos[0])


def test_cityscapes_ids_are_found_by_their_names(tmp_path):
    photo = tmp_path / "leftImg8bit/val/ulm/ulm_0_1_leftImg8bit.png"
    save_png(photo, np.zeros((6, 8, 3), np.uint8))
    ids = np.full((6, 8), 7, np.uint8)
    ids[0] = 26
    save_png(tmp_path / "gtFine/val/ulm/ulm_0_1_gtFine_labelIds.png", ids)
    save_png(tmp_path / "gtFine/val/ulm/ulm_0_1_gtFine_instanceIds.png", ids)
    source = find_labels(tmp_path / "gtFine", [photo])
    assert source.format == "Cityscapes label ids"
    assert (source.name_of(7), source.name_of(26)) == ("road", "car")
    assert np.array_equal(read(source, photo), ids)


def test_of_photos_of_one_name_the_one_in_the_folder_of_the_mask_is_meant(tmp_path):
    photos = [tmp_path / f"photos/{folder}/1.png" for folder in ("a", "b")]
    for photo in photos:
        save_png(photo, np.zeros((6, 8, 3), np.uint8))
    save_png(tmp_path / "masks/b/1.png", np.ones((6, 8), np.uint8))
    assert find_labels(tmp_path / "masks", photos).photos == [photos[1]]
    save_png(tmp_path / "other/1.png", np.ones((6, 8), np.uint8))
    with pytest.raises(StudioError):
        find_labels(tmp_path / "other", photos)


def test_what_has_nothing_to_do_with_the_photos_says_so(tmp_path, photos):
    save_png(tmp_path / "masks/cow.png", np.zeros((6, 8), np.uint8))
    with pytest.raises(StudioError, match="none of them has the name of an open photo"):
        find_labels(tmp_path / "masks", photos)
    (tmp_path / "empty").mkdir()
    with pytest.raises(StudioError, match="no masks and no JSON"):
        find_labels(tmp_path / "empty", photos)
    other = tmp_path / "other.json"
    other.write_text("{}")
    with pytest.raises(StudioError, match="neither labelme's nor COCO's"):
        find_labels(other, photos)


def test_counting_names_what_cannot_be_used(tmp_path, photos, labels):
    save_png(tmp_path / "masks/dog_1.png", labels)
    save_png(tmp_path / "masks/dog_2.png", np.zeros((2, 2), np.uint8))
    seen: list[float] = []
    counts = count_source(find_labels(tmp_path / "masks", photos), seen.append)
    assert counts.usable == [photos[0]]
    assert (counts.pixels[12], counts.images[12], counts.pixels[255]) == (12, 1, 8)
    assert len(counts.problems) == 1
    assert seen[-1] <= 1
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        count_source(find_labels(tmp_path / "masks", photos), cancel=token)


def test_every_voc_mask_comes_back_bit_for_bit(shared):
    root = shared / "data/voc"
    photos = sorted((root / "JPEGImages").glob("*.jpg"))[:40]
    source = find_labels(root / "SegmentationClass", photos)
    assert len(source.photos) == len(photos)
    for photo in photos:
        wanted = np.asarray(PilImage.open(root / "SegmentationClass" / f"{photo.stem}.png"))
        assert np.array_equal(read(source, photo), wanted)
