"""Reading, writing and checking data sets."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from deeplab_studio.core.cancel import Cancelled, CancelToken
from deeplab_studio.core.errors import StudioError
from deeplab_studio.core.images import load_image
from deeplab_studio.core.labels import VOC_LABELS, LabelClass, LabelSet
from deeplab_studio.core.voc import (
    ExportItem,
    find_voc,
    read_mask,
    read_voc,
    split_of,
    validate_voc,
    write_mask,
    write_voc,
)

PETS = LabelSet(
    (LabelClass("background", (0, 0, 0)), LabelClass("cat", (200, 10, 10)), LabelClass("dog", (10, 10, 200)))
)


def photo(path: Path, size: tuple[int, int] = (8, 6), orientation: int = 1, **options: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(len(path.name))
    image = Image.fromarray(rng.integers(0, 255, (size[1], size[0], 3), dtype=np.uint8))
    exif = Image.Exif()
    if orientation != 1:
        exif[0x0112] = orientation
    image.save(path, exif=exif, **options)
    return path


def class_map(size: tuple[int, int] = (8, 6), value: int = 1) -> np.ndarray:
    labels = np.zeros(size[::-1], np.uint8)
    labels[2:4, 2:5] = value
    return labels


def item(path: Path, name: str | None = None, labels: np.ndarray | None = None) -> ExportItem:
    return ExportItem(name or path.stem, path, lambda: class_map() if labels is None else labels)


def everything(root: Path) -> set[str]:
    return {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    return [photo(tmp_path / "in" / f"p{number}.jpg") for number in range(10)]


# --- Writing --------------------------------------------------------------------------------------------------------


def test_an_export_has_every_file_and_nothing_else(tmp_path: Path, photos: list[Path]) -> None:
    steps: list[float] = []
    report = write_voc(map(item, photos), tmp_path / "a/out", PETS, progress=steps.append)
    root = tmp_path / "a/out"
    assert report.root == root
    assert report.exported == 10
    assert report.problems == []
    assert steps == pytest.approx(np.arange(1, 11) / 10)
    lists = {f"ImageSets/Segmentation/{name}.txt" for name in ("train", "val", "trainval")}
    files = {
        f"{kind}/p{n}{end}" for n in range(10) for kind, end in (("JPEGImages", ".jpg"), ("SegmentationClass", ".png"))
    }
    assert everything(root) == lists | files | {"labelmap.txt", "class_names.txt"}
    assert validate_voc(root) == []
    dataset = read_voc(root)
    assert dataset.label_set.classes == PETS.classes
    assert [entry.name for entry in dataset.items] == [f"p{n}" for n in range(10)]
    for entry in dataset.items:
        assert entry.mask is not None
        np.testing.assert_array_equal(read_mask(entry.mask), class_map())


def test_upright_jpegs_are_copied_byte_for_byte(tmp_path: Path) -> None:
    paths = [photo(tmp_path / "in" / name, format="JPEG") for name in ("a.jpg", "b.JPG", "c.jpeg", "d.png")]
    report = write_voc(map(item, paths), tmp_path / "out", PETS)
    assert [entry.photo for entry in report.items] == ["copied"] * 4
    for path in paths:
        assert (tmp_path / "out/JPEGImages" / f"{path.stem}.jpg").read_bytes() == path.read_bytes()
    assert "4 copied byte for byte" in report.summary()


@pytest.mark.parametrize("orientation", range(2, 9))
def test_turned_jpegs_are_written_upright_without_exif(tmp_path: Path, orientation: int) -> None:
    path = photo(tmp_path / "in/a.jpg", (80, 60), orientation)
    upright = load_image(path)
    size = (upright.width, upright.height)
    report = write_voc([item(path, labels=class_map(size))], tmp_path / "out", PETS)
    assert [entry.photo for entry in report.items] == ["re-encoded"]
    assert "re-encoded" in report.summary()
    with Image.open(tmp_path / "out/JPEGImages/a.jpg") as image:
        assert image.format == "JPEG"
        assert image.size == size
        assert dict(image.getexif()) == {}
        assert [component[1:3] for component in image.layer] == [(1, 1)] * 3  # 4:4:4
    assert validate_voc(tmp_path / "out") == []


def test_other_formats_become_jpeg(tmp_path: Path) -> None:
    paths = [photo(tmp_path / "in/a.png"), photo(tmp_path / "in/b.bmp"), photo(tmp_path / "in/c.tif")]
    Image.new("L", (8, 6), 90).save(tmp_path / "in/d.png")
    Image.new("RGBA", (8, 6)).save(tmp_path / "in/e.webp")
    Image.fromarray(np.arange(48, dtype=np.uint16).reshape(6, 8) * 1000).save(tmp_path / "in/f.png")
    paths += [tmp_path / "in" / name for name in ("d.png", "e.webp", "f.png")]
    report = write_voc(map(item, paths), tmp_path / "out", PETS)
    assert [entry.photo for entry in report.items] == ["re-encoded"] * 6
    assert validate_voc(tmp_path / "out") == []


def test_lists_name_each_item_once_and_follow_from_the_id(tmp_path: Path, photos: list[Path]) -> None:
    write_voc(map(item, photos), tmp_path / "out", PETS, val_share=0.4)
    splits = read_voc(tmp_path / "out").splits
    assert splits["val"] == tuple(p.stem for p in photos if split_of(p.stem, 0.4) == "val")
    assert splits["trainval"] == tuple(sorted(splits["train"] + splits["val"]))
    assert 0 < len(splits["val"]) < 10
    write_voc(map(item, photos[:3]), tmp_path / "few", PETS, val_share=0.4)
    few = read_voc(tmp_path / "few").splits
    assert set(few["val"]) <= set(splits["val"])
    assert set(few["train"]) <= set(splits["train"])


@pytest.mark.parametrize(("share", "count"), [(0.0, 0), (1.0, 10)])
def test_all_or_nothing_can_be_held_back(tmp_path: Path, photos: list[Path], share: float, count: int) -> None:
    write_voc(map(item, photos), tmp_path / "out", PETS, val_share=share)
    assert len((tmp_path / "out/ImageSets/Segmentation/val.txt").read_text().split()) == count


def test_the_share_of_validation_items_is_about_what_was_asked_for() -> None:
    val = sum(split_of(f"2007_{number:06}", 0.2) == "val" for number in range(10_000))
    assert 1900 < val < 2100


def test_same_names_in_other_folders_get_their_own_ids(tmp_path: Path) -> None:
    paths = [photo(tmp_path / "in" / name) for name in ("x/a.jpg", "y/a.jpg", "y z/a.jpg")]
    items = [item(p, p.relative_to(tmp_path / "in").with_suffix("").as_posix()) for p in paths]
    together = write_voc(items, tmp_path / "out", PETS)
    ids = [entry.item_id for entry in together.items]
    assert len(set(ids)) == 3
    assert ids[:2] == ["x__a", "y__a"]
    alone = write_voc(items[2:], tmp_path / "alone", PETS)
    assert alone.items[0].item_id == ids[2]
    assert alone.items[0].name == "y z/a"
    assert "differs from their name" in alone.summary()
    assert validate_voc(tmp_path / "out") == []


def test_two_items_of_one_id_are_not_written_over_each_other(tmp_path: Path, photos: list[Path]) -> None:
    report = write_voc([item(photos[0], "a"), item(photos[1], "A"), item(photos[2], "b")], tmp_path / "out", PETS)
    assert [entry.item_id for entry in report.items] == ["a", "b"]
    (problem,) = report.problems
    assert problem.path == photos[1]


def test_adding_keeps_and_replacing_replaces(tmp_path: Path, photos: list[Path]) -> None:
    out = tmp_path / "out"
    write_voc(map(item, photos[:6]), out, PETS)
    lists = read_voc(out).splits
    kept = (out / "SegmentationClass/p1.png").read_bytes()
    report = write_voc([item(photos[0], labels=class_map(value=2)), *map(item, photos[6:])], out, PETS)
    assert report.exported == 5
    assert (out / "SegmentationClass/p1.png").read_bytes() == kept
    np.testing.assert_array_equal(read_mask(out / "SegmentationClass/p0.png"), class_map(value=2))
    merged = read_voc(out).splits
    assert len(merged["trainval"]) == 10
    assert all(set(lists[name]) <= set(merged[name]) for name in lists)
    assert validate_voc(out) == []


def test_a_foreign_split_is_respected(tmp_path: Path, photos: list[Path]) -> None:
    out = tmp_path / "out"
    write_voc(map(item, photos), out, PETS, val_share=0.0)
    lists = out / "ImageSets/Segmentation"
    (lists / "train.txt").write_text("p3\np1\n")
    (lists / "val.txt").write_text("p9\np2\n")
    (lists / "test.txt").write_text("p5\n")
    (lists / "trainval.txt").unlink()
    write_voc(map(item, photos), out, PETS, val_share=0.0)
    splits = read_voc(out).splits
    assert splits["train"] == ("p3", "p1", "p0", "p4", "p6", "p7", "p8")
    assert splits["val"] == ("p9", "p2")
    assert splits["test"] == ("p5",)
    assert "p5" not in splits["trainval"]


def test_another_label_set_is_refused_before_anything_is_written(tmp_path: Path, photos: list[Path]) -> None:
    out = tmp_path / "out"
    write_voc(map(item, photos[:2]), out, PETS)
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    swapped = LabelSet.from_names(["background", "dog", "cat"])
    with pytest.raises(StudioError, match="1 is 'cat' there and 'dog' here") as caught:
        write_voc(map(item, photos), out, swapped)
    assert caught.value.path == out
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


def test_a_data_set_without_class_names_counts_as_vocs(tmp_path: Path, photos: list[Path]) -> None:
    out = tmp_path / "out"
    write_voc(map(item, photos[:2]), out, VOC_LABELS)
    (out / "labelmap.txt").unlink()
    (out / "class_names.txt").unlink()
    with pytest.raises(StudioError, match="'aeroplane' there and 'cat' here"):
        write_voc(map(item, photos), out, PETS)
    assert write_voc(map(item, photos), out, VOC_LABELS).exported == 10


def test_classes_can_be_added_at_the_end_and_colours_stay(tmp_path: Path, photos: list[Path]) -> None:
    out = tmp_path / "out"
    write_voc(map(item, photos[:2]), out, PETS)
    more = LabelSet((*PETS.classes[:2], LabelClass("dog", (1, 1, 1)), LabelClass("horse", (9, 9, 9))))
    report = write_voc([item(photos[2], labels=class_map(value=3))], out, more)
    assert any("colours" in note for note in report.notes)
    assert read_voc(out).label_set.classes == (*PETS.classes, LabelClass("horse", (9, 9, 9)))
    assert write_voc([item(photos[3])], out, PETS).exported == 1
    assert len(read_voc(out).label_set) == 4
    assert validate_voc(out) == []


def test_a_prediction_holds_no_void(tmp_path: Path, photos: list[Path]) -> None:
    void = class_map(value=255)
    items = [item(photos[0], labels=void), item(photos[1])]
    assert write_voc(items, tmp_path / "truth", PETS).exported == 2
    report = write_voc(items, tmp_path / "refused", PETS, mode="prediction")
    assert [entry.name for entry in report.items] == ["p1"]
    assert "p0.jpg: it has 6 void pixels" in str(report.problems[0])
    report = write_voc(items, tmp_path / "mapped", PETS, mode="prediction", void_as=2)
    np.testing.assert_array_equal(read_mask(report.root / "SegmentationClass/p0.png"), class_map(value=2))
    assert validate_voc(report.root, prediction=True) == []
    assert any("void" in str(v) for v in validate_voc(tmp_path / "truth", prediction=True))


@pytest.mark.parametrize("mode", ["ground-truth", "prediction"])
def test_ids_without_a_class_are_left_out_in_both_modes(tmp_path: Path, photos: list[Path], mode) -> None:
    report = write_voc([item(photos[0], labels=class_map(value=3)), item(photos[1])], tmp_path / "out", PETS, mode=mode)
    assert report.exported == 1
    assert "p0.jpg: its class map holds class id 3" in str(report.problems[0])


def test_a_bad_item_is_named_and_the_rest_exported(tmp_path: Path, photos: list[Path]) -> None:
    def fails() -> np.ndarray:
        raise StudioError("no class map", path=photos[3])

    photos[1].write_bytes(photos[1].read_bytes()[:100])
    photos[2].unlink()
    items = [item(p) for p in photos]
    items[0] = item(photos[0], labels=class_map((9, 6)))
    items[3] = ExportItem("p3", photos[3], fails)
    report = write_voc(items, tmp_path / "out", PETS)
    assert [problem.path for problem in report.problems] == photos[:4]
    assert [entry.name for entry in report.items] == [p.stem for p in photos[4:]]
    assert "4 left out" in report.summary()
    assert validate_voc(tmp_path / "out") == []


def test_nothing_exported_leaves_nothing(tmp_path: Path, photos: list[Path]) -> None:
    report = write_voc([item(photos[0], labels=class_map(value=99))], tmp_path / "new/out", PETS)
    assert report.exported == 0
    assert not (tmp_path / "new").exists()
    (tmp_path / "there").mkdir()
    assert write_voc([], tmp_path / "there", PETS).exported == 0
    assert list((tmp_path / "there").iterdir()) == []


def test_cancelling_leaves_whole_items_in_the_lists(tmp_path: Path, photos: list[Path]) -> None:
    token = CancelToken()
    with pytest.raises(Cancelled):
        write_voc(
            map(item, photos), tmp_path / "out", PETS, cancel=token, progress=lambda f: f < 0.35 or token.cancel()
        )
    dataset = read_voc(tmp_path / "out")
    assert dataset.splits["trainval"] == ("p0", "p1", "p2", "p3")
    assert validate_voc(tmp_path / "out") == []


def test_options_out_of_range_are_refused(tmp_path: Path) -> None:
    for options in ({"mode": "results"}, {"val_share": 1.5}, {"void_as": 3}):
        with pytest.raises(ValueError, match=next(iter(options))):
            write_voc([], tmp_path, PETS, **options)


def test_exporting_into_the_data_set_the_photos_lie_in_leaves_them_alone(tmp_path: Path) -> None:
    root = tmp_path / "voc"
    paths = [photo(root / "JPEGImages" / name) for name in ("a.jpg", "b 1.jpg", "c.png")]
    turned = photo(root / "JPEGImages/d.jpg", (6, 8), 6)
    write_mask_folder = root / "SegmentationClass"
    write_mask_folder.mkdir()
    before = {p: p.read_bytes() for p in (*paths, turned)}
    report = write_voc([item(p) for p in (*paths, turned)], root, PETS)
    assert [(entry.item_id, entry.photo) for entry in report.items] == [("a", "kept"), ("b 1", "kept"), ("c", "kept")]
    assert [problem.path for problem in report.problems] == [turned]
    assert {p: p.read_bytes() for p in root.joinpath("JPEGImages").iterdir()} == before
    assert {p.name for p in write_mask_folder.iterdir()} == {"a.png", "b 1.png", "c.png"}


def test_links_in_the_target_are_not_followed(tmp_path: Path, photos: list[Path]) -> None:
    out = tmp_path / "out"
    write_voc([item(photos[0])], out, PETS)
    original = photo(tmp_path / "originals/x.jpg", (30, 20))
    before = original.read_bytes()
    (out / "JPEGImages/p1.jpg").symlink_to(original)
    write_voc([item(photos[1])], out, PETS)
    assert original.read_bytes() == before
    assert (out / "JPEGImages/p1.jpg").read_bytes() == photos[1].read_bytes()


def test_a_file_in_the_way_is_named(tmp_path: Path, photos: list[Path]) -> None:
    (tmp_path / "out").write_text("mine")
    with pytest.raises(StudioError) as caught:
        write_voc([item(photos[0])], tmp_path / "out", PETS)
    assert caught.value.hint
    assert (tmp_path / "out").read_text() == "mine"


def test_a_list_that_cannot_be_read_is_not_written_over(tmp_path: Path, photos: list[Path]) -> None:
    write_voc([item(photos[0])], tmp_path / "out", PETS)
    listed = tmp_path / "out/ImageSets/Segmentation/train.txt"
    listed.write_bytes(b"\xff\xfe\x00\xd8")
    with pytest.raises(StudioError, match=r"train\.txt"):
        write_voc([item(photos[1])], tmp_path / "out", PETS)
    assert listed.read_bytes() == b"\xff\xfe\x00\xd8"


def _in_a_child(code: str, *arguments: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.skipif(sys.platform == "win32", reason="needs the file size limit of POSIX")
def test_a_disk_that_fills_up_leaves_no_half_file_and_names_the_path(tmp_path: Path) -> None:
    small = photo(tmp_path / "in/a.jpg")
    large = photo(tmp_path / "in/b.jpg", (300, 300))
    assert large.stat().st_size > 20_000
    told = _in_a_child(
        """
        import resource, sys
        from pathlib import Path
        import numpy as np
        from deeplab_studio.core.errors import StudioError
        from deeplab_studio.core.labels import VOC_LABELS
        from deeplab_studio.core.voc import ExportItem, write_voc
        small, large, out = map(Path, sys.argv[1:])
        items = [
            ExportItem("a", small, lambda: np.zeros((6, 8), np.uint8)),
            ExportItem("b", large, lambda: np.zeros((300, 300), np.uint8)),
        ]
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
        try:
            write_voc(items, out, VOC_LABELS)
        except StudioError as error:
            print(error.path, "|", error)
        """,
        small,
        large,
        tmp_path / "out",
    )
    assert told.startswith(str(tmp_path / "out/JPEGImages/b.jpg"))
    assert {path for path in everything(tmp_path / "out") if "b." in path or "tmp" in path or "/." in path} == set()
    assert read_voc(tmp_path / "out").splits["trainval"] == ("a",)
    assert validate_voc(tmp_path / "out") == []


@pytest.mark.skipif(sys.platform == "win32", reason="needs the permissions of POSIX")
def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    path = photo(tmp_path / "in/a.jpg")
    sealed = tmp_path / "sealed"
    sealed.mkdir(mode=0o555)
    for folder in (tmp_path, *tmp_path.parents):
        if folder == Path(tempfile.gettempdir()):
            break
        folder.chmod(folder.stat().st_mode | 0o055)
    told = _in_a_child(
        """
        import os, sys
        from pathlib import Path
        import numpy as np
        from deeplab_studio.core.errors import StudioError
        from deeplab_studio.core.labels import VOC_LABELS
        from deeplab_studio.core.voc import ExportItem, write_voc
        if os.geteuid() == 0:
            os.setuid(65534)
        try:
            item = ExportItem("a", Path(sys.argv[1]), lambda: np.zeros((6, 8), np.uint8))
            write_voc([item], Path(sys.argv[2]), VOC_LABELS)
        except StudioError as error:
            print(error)
        """,
        path,
        sealed,
    )
    assert "permission is denied" in told
    assert list(sealed.iterdir()) == []


# --- Other people's readers -----------------------------------------------------------------------------------------


def test_torchvision_loads_a_nested_export(tmp_path: Path, photos: list[Path]) -> None:
    torchvision = pytest.importorskip("torchvision", reason="torchvision is only compared with")
    report = write_voc(map(item, photos), tmp_path / "out", PETS, nested=True, val_share=0.4)
    assert report.root == tmp_path / "out/VOCdevkit/VOC2012"
    assert find_voc(tmp_path / "out") == report.root
    total = 0
    for split in ("train", "val"):
        loaded = torchvision.datasets.VOCSegmentation(tmp_path / "out", year="2012", image_set=split)
        total += len(loaded)
        for image, mask in loaded:
            assert image.size == mask.size
            assert mask.mode == "P"
            np.testing.assert_array_equal(np.asarray(mask), class_map())
    assert total == 10
    # The folder that was chosen the first time is enough to go on with.
    assert write_voc(map(item, photos[:1]), tmp_path / "out", PETS).root == report.root


# --- Reading --------------------------------------------------------------------------------------------------------


def test_the_release_is_read_and_comes_out_bit_for_bit(shared: Path, tmp_path: Path) -> None:
    dataset = read_voc(shared / "data/voc")
    assert dataset.label_set == VOC_LABELS
    assert dataset.label_source == ""
    assert dataset.problems == []
    assert len(dataset.items) == len(dataset.splits["val"]) == 236
    assert [entry.name for entry in read_voc(shared / "data/voc", "val").items] == list(dataset.splits["val"])
    sample = dataset.items[::12]

    def labels(mask: Path | None) -> Callable[[], np.ndarray]:
        assert mask is not None
        return lambda: read_mask(mask)

    report = write_voc(
        [ExportItem(entry.name, entry.image, labels(entry.mask)) for entry in sample], tmp_path / "out", VOC_LABELS
    )
    assert [entry.photo for entry in report.items] == ["copied"] * len(sample)
    for before, after in zip(sample, read_voc(tmp_path / "out").items, strict=True):
        assert after.image.read_bytes() == before.image.read_bytes()
        assert after.mask is not None
        np.testing.assert_array_equal(read_mask(after.mask), labels(before.mask)())
    assert validate_voc(tmp_path / "out") == []


def test_photos_without_mask_and_other_suffixes_are_items(tmp_path: Path) -> None:
    for name in ("b.png", "a.jpg", "c10.JPEG", "c2.webp", ".hidden.jpg"):
        photo(tmp_path / "JPEGImages" / name)
    (tmp_path / "JPEGImages/notes.txt").touch()
    (tmp_path / "SegmentationClass").mkdir()
    write_mask(tmp_path / "SegmentationClass/b.png", class_map(), VOC_LABELS)
    dataset = read_voc(tmp_path)
    assert [(entry.name, entry.mask is not None) for entry in dataset.items] == [
        ("a", False),
        ("b", True),
        ("c2", False),
        ("c10", False),
    ]
    assert dataset.splits == {}
    assert dataset.label_set == VOC_LABELS


def test_a_missing_list_is_refused_and_the_others_named(tmp_path: Path, photos: list[Path]) -> None:
    write_voc(map(item, photos), tmp_path / "out", PETS)
    with pytest.raises(StudioError, match=r"no list test\.txt .*train, trainval, val"):
        read_voc(tmp_path / "out", "test")


def test_what_is_listed_but_missing_is_a_problem_not_an_end(tmp_path: Path, photos: list[Path]) -> None:
    write_voc(map(item, photos), tmp_path / "out", PETS)
    (tmp_path / "out/JPEGImages/p3.jpg").unlink()
    dataset = read_voc(tmp_path / "out", "trainval")
    assert len(dataset.items) == 9
    assert [problem.path for problem in dataset.problems] == [tmp_path / "out/JPEGImages/p3.jpg"]


def test_of_two_photos_with_one_id_the_jpg_is_taken(tmp_path: Path) -> None:
    make = [photo(tmp_path / "JPEGImages" / name) for name in ("a.bmp", "a.jpg", "a.png")]
    (tmp_path / "SegmentationClass").mkdir()
    dataset = read_voc(tmp_path)
    assert [entry.image for entry in dataset.items] == [make[1]]
    assert len(dataset.problems) == 2


def test_unnamed_classes_beyond_vocs_are_numbered(tmp_path: Path) -> None:
    photo(tmp_path / "JPEGImages/a.jpg")
    (tmp_path / "SegmentationClass").mkdir()
    Image.fromarray(class_map(value=40)).save(tmp_path / "SegmentationClass/a.png")
    label_set = read_voc(tmp_path).label_set
    assert len(label_set) == 41
    assert label_set.names[40] == "class 40"


def test_class_names_are_enough(tmp_path: Path, photos: list[Path]) -> None:
    write_voc(map(item, photos[:1]), tmp_path / "out", PETS)
    (tmp_path / "out/labelmap.txt").unlink()
    dataset = read_voc(tmp_path / "out")
    assert dataset.label_set.names == PETS.names
    assert dataset.label_source == "class_names.txt"


# --- Checking -------------------------------------------------------------------------------------------------------


def _gray(root: Path) -> None:
    Image.fromarray(class_map()).save(root / "SegmentationClass/p0.png")


def _four_bits(root: Path) -> None:
    image = Image.fromarray(class_map())
    image.putpalette(PETS.palette().tobytes())
    image.save(root / "SegmentationClass/p0.png", bits=4)


def _other_palette(root: Path) -> None:
    write_mask(root / "SegmentationClass/p0.png", class_map(), VOC_LABELS)


def _unknown_id(root: Path) -> None:
    write_mask(root / "SegmentationClass/p0.png", class_map(value=9), VOC_LABELS)


def _jpeg_mask(root: Path) -> None:
    Image.fromarray(class_map()).save(root / "SegmentationClass/p0.jpg")


def _jpeg_called_png(root: Path) -> None:
    Image.fromarray(class_map()).save(root / "SegmentationClass/p0.png", "JPEG")


def _wrong_size(root: Path) -> None:
    write_mask(root / "SegmentationClass/p0.png", class_map((7, 6)), PETS)


def _turned_photo(root: Path) -> None:
    photo(root / "JPEGImages/p0.jpg", (6, 8), 6)


def _png_photo(root: Path) -> None:
    (root / "JPEGImages/p0.jpg").unlink()
    photo(root / "JPEGImages/p0.png")


def _png_called_jpg(root: Path) -> None:
    photo(root / "JPEGImages/p0.jpg", format="PNG")


def _broken_photo(root: Path) -> None:
    path = root / "JPEGImages/p0.jpg"
    path.write_bytes(path.read_bytes()[:200])


def _no_photo(root: Path) -> None:
    (root / "JPEGImages/p0.jpg").unlink()


def _no_mask(root: Path) -> None:
    (root / "SegmentationClass/p0.png").unlink()


def _no_masks(root: Path) -> None:
    for path in (root / "SegmentationClass").iterdir():
        path.unlink()
    (root / "SegmentationClass").rmdir()


def _no_lists(root: Path) -> None:
    for path in (root / "ImageSets/Segmentation").iterdir():
        path.unlink()


def _append(name: str, line: str) -> Callable[[Path], None]:
    def damage(root: Path) -> None:
        path = root / name
        path.write_text(path.read_text() + line)

    return damage


def _blank_in_name(root: Path) -> None:
    for folder, suffix in (("JPEGImages", "jpg"), ("SegmentationClass", "png")):
        (root / folder / f"p0.{suffix}").rename(root / folder / f"p 0.{suffix}")


TRAIN = "ImageSets/Segmentation/train.txt"


@pytest.mark.parametrize(
    ("damage", "where", "words"),
    [
        (_gray, "p0.png", "gray PNG"),
        (_four_bits, "p0.png", "4 bits per pixel"),
        (_four_bits, "p0.png", "16 entries instead of 256"),
        (_other_palette, "p0.png", "its colour of cat"),
        (_unknown_id, "p0.png", "ids without a class: 9"),
        (_jpeg_mask, "p0.jpg", "masks are PNG"),
        (_jpeg_called_png, "p0.png", "JPEG"),
        (_wrong_size, "p0.png", "7 x 6 pixels, its photo 8 x 6"),
        (_turned_photo, "p0.jpg", "orientation 6"),
        (_png_photo, "p0.png", "a PNG file"),
        (_png_called_jpg, "p0.jpg", "a PNG file"),
        (_broken_photo, "p0.jpg", "cut short"),
        (_no_photo, "p0.png", "no photo"),
        (_no_photo, "trainval.txt", "p0, which has no photo"),
        (_no_mask, "trainval.txt", "p0, which has no mask"),
        (_no_masks, "SegmentationClass", "missing"),
        (_no_lists, "Segmentation", "none of train.txt"),
        (_append(TRAIN, "p0.jpg\n"), "train.txt", "p0.jpg, which is not there"),
        (_append(TRAIN, "gone\n"), "train.txt", "gone, which is not there"),
        (_append(TRAIN, "x\nx\n"), "train.txt", "x 2 times"),
        (_append("ImageSets/Segmentation/val.txt", "p0\n"), "val.txt", "which train.txt names too"),
        (_append("ImageSets/Segmentation/trainval.txt", "p1\np2\n"), "trainval.txt", "2 times"),
        (_append(TRAIN, "p_new\n"), "trainval.txt", "not train.txt and val.txt together"),
        (_append("class_names.txt", "horse\n"), "class_names.txt", "other classes than labelmap.txt"),
        (_append("labelmap.txt", "a:b\n"), "labelmap.txt", "line 5"),
        (_blank_in_name, "p 0.jpg", "blanks"),
    ],
)
def test_every_breach_is_explained_with_file_and_fix(
    tmp_path: Path, photos: list[Path], damage: Callable[[Path], None], where: str, words: str
) -> None:
    write_voc(map(item, photos[:3]), tmp_path / "out", PETS, val_share=0.0)
    assert validate_voc(tmp_path / "out") == []
    damage(tmp_path / "out")
    found = validate_voc(tmp_path / "out")
    assert any(v.path.name == where and words in v.reason and v.fix for v in found), [str(v) for v in found]


def test_the_release_is_valid(shared: Path) -> None:
    steps: list[float] = []
    assert validate_voc(shared / "data/voc", progress=steps.append) == []
    assert steps[-1] == 1.0


def test_checking_can_be_cancelled(tmp_path: Path, photos: list[Path]) -> None:
    write_voc(map(item, photos[:2]), tmp_path / "out", PETS)
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        validate_voc(tmp_path / "out", cancel=token)
