"""``deeplab-studio voc`` in a process of its own, on real files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from deeplab_studio.core.foreign import find_labels
from deeplab_studio.core.images import examine_size
from deeplab_studio.core.labels import VOC_LABELS, VOID
from deeplab_studio.core.voc import ExportItem, read_mask, read_voc, write_voc

REPOSITORY = Path(__file__).resolve().parents[2]
LABELS = np.zeros((12, 16), np.uint8)
LABELS[2:8, 3:12] = 12
LABELS[1, 3:12] = VOID


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "deeplab_studio.cli", "voc", *map(str, arguments)],
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY), "PYTHONIOENCODING": "utf-8"},
    )


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "photos").mkdir()
    items = []
    for name in ("a", "b"):
        photo = tmp_path / f"photos/{name}.jpg"
        Image.new("RGB", (16, 12), (90, 120, 60)).save(photo)
        items.append(ExportItem(name, photo, LABELS.copy, "train" if name == "a" else "val"))
    write_voc(items, tmp_path / "voc", VOC_LABELS)
    return tmp_path / "voc"


def test_a_good_data_set_has_nothing_to_correct(root: Path) -> None:
    done = run("validate", root)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "nothing to correct\n")


def test_every_violation_is_named_with_file_and_fix(root: Path) -> None:
    Image.fromarray(LABELS).save(root / "SegmentationClass/a.png")
    (root / "SegmentationClass/b.png").unlink()
    done = run("validate", root)
    assert done.returncode == 1
    assert done.stderr == "3 violations\n"
    lines = done.stdout.splitlines()
    assert "val.txt: it names b, which has no mask. Add the mask, or remove the line." in lines[0]
    assert lines[1].startswith(f"{root / 'ImageSets/Segmentation/trainval.txt'}: it names b, which has no mask")
    assert f"{root / 'SegmentationClass/a.png'}: it is a gray PNG instead of a palette PNG. " in lines[2]
    found = json.loads(run("validate", root, "--json").stdout)["violations"]
    assert [Path(each["path"]).name for each in found] == ["val.txt", "trainval.txt", "a.png"]
    assert all(each["reason"] and each["fix"] for each in found)


def test_void_is_a_violation_of_predictions_only(root: Path) -> None:
    assert run("validate", root, "--prediction").returncode == 1


def test_what_is_no_data_set_is_refused_in_a_sentence(tmp_path: Path) -> None:
    done = run("validate", tmp_path)
    assert done.returncode == 1
    assert "there is no Pascal VOC data set here" in done.stderr
    assert "Traceback" not in done.stderr


def test_from_voc_to_cvat_and_back(root: Path, tmp_path: Path) -> None:
    there = run("convert", root, tmp_path / "cvat", "--to", "cvat", "--json")
    assert there.returncode == 0
    told = json.loads(there.stdout)
    assert (told["written"], told["failed"], told["notes"]) == (2, [], [])
    photos = root / "JPEGImages"
    back = run("convert", tmp_path / "cvat", tmp_path / "again", "--to", "voc", "--photos", photos)
    assert back.returncode == 0, back.stderr
    assert back.stdout == f"2 class maps written to {tmp_path / 'again'}, 0 left out\n"
    for item in read_voc(tmp_path / "again").items:
        assert item.mask is not None
        assert np.array_equal(read_mask(item.mask), LABELS)
    assert run("validate", tmp_path / "again").returncode == 0


def test_what_coco_cannot_keep_is_told(root: Path, tmp_path: Path) -> None:
    done = run("convert", root, tmp_path / "coco", "--to", "coco")
    assert done.returncode == 0
    assert done.stderr == "18 void pixels are left out, for COCO has no void: they read back as background.\n"
    (photo, _) = photos = sorted((root / "JPEGImages").iterdir())
    source = find_labels(tmp_path / "coco", photos)
    read = source.read(photo, examine_size(photo)).labels
    assert np.array_equal(read, np.where(LABELS == VOID, 0, LABELS))


def test_one_broken_mask_is_named_and_the_rest_is_written(root: Path, tmp_path: Path) -> None:
    (root / "SegmentationClass/a.png").write_bytes(b"broken")
    done = run("convert", root, tmp_path / "gray", "--to", "index", "--json")
    assert done.returncode == 1
    told = json.loads(done.stdout)
    assert told["written"] == 1
    assert [Path(each["path"]).name for each in told["failed"]] == ["a.png"]
    assert "a.png" in done.stderr


def test_wrong_usage_and_missing_photos(root: Path, tmp_path: Path) -> None:
    assert run("convert", root, tmp_path / "x", "--to", "bmp").returncode == 2
    assert run("convert", root, tmp_path / "x", "--to", "voc", "--split", "val", "--photos", root).returncode == 2
    (tmp_path / "masks").mkdir()
    done = run("convert", tmp_path / "masks", tmp_path / "x", "--to", "voc")
    assert done.returncode == 1
    assert "Name the folder of the photos with --photos." in done.stderr
