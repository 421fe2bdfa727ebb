"""Every unusual, broken and hostile file of the reference data, opened in a process of its own."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from deeplab_studio.core.files import find_images
from deeplab_studio.core.image_formats import FORMATS, IMAGE_SUFFIXES

pytest.importorskip("resource", reason="memory is limited with a module that only POSIX systems have")

REPOSITORY = Path(__file__).parents[3]
MEMORY_LIMIT = 2_000_000_000
SECONDS = 300
# The inventory's verdict comes from a second attempt, which passes because the first one's half picture was kept.
REFUSED_RIGHTLY = {
    "corrupt/python-pillow/broken_data_stream.png",
    "corrupt/python-pillow/truncated_end_chunk.png",
}


@pytest.fixture(scope="module")
def folder(request: pytest.FixtureRequest) -> Path:
    shared = Path(os.environ.get("DEEPLAB_STUDIO_SHARED", REPOSITORY.parent / "shared"))
    odd = shared / "data" / "odd"
    if not odd.is_dir():
        pytest.skip(f"no reference data at {odd}")
    return odd


@pytest.fixture(scope="module")
def inventory(folder: Path) -> dict[str, dict[str, str]]:
    with (folder / "INVENTORY.tsv").open(encoding="utf-8", newline="") as file:
        return {row["path"]: row for row in csv.DictReader(file, delimiter="\t")}


@pytest.fixture(scope="module")
def child(folder: Path) -> tuple[dict[str, dict[str, Any]], str, int]:
    """Results by name, what was printed beside them, and the peak memory in bytes."""
    process = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("odd_files_child.py")), str(folder), str(MEMORY_LIMIT)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
    )
    try:
        output, errors = process.communicate(timeout=SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        output, errors = process.communicate()
        pytest.fail(f"took more than {SECONDS} s, the last file was {output.splitlines()[-1:]}")
    lines = [json.loads(line) for line in output.splitlines()]
    assert process.returncode == 0, f"died at {lines[-1:]}: {errors[-2000:]}"
    results = {line["name"]: line for line in lines if len(line) > 1}
    peak = results.pop("")["peak"]
    return results, errors, peak


Child = tuple[dict[str, dict[str, Any]], str, int]


def test_every_file_opens_sanely_or_is_refused_in_a_sentence(child: Child, folder: Path) -> None:
    results, _, _ = child
    assert len(results) >= 171
    for name, result in results.items():
        if "refused" in result:
            path = folder / name
            text = result["refused"]
            assert text.startswith(f"{path.name}: "), name
            assert result["about"] == str(path), name
            assert "\n" not in text, name
            assert 10 < len(result["reason"]) < 200, name
            assert result["hint"].endswith("."), name
            assert "Error" not in text, name
        else:
            assert result["sane"], name
            assert result["header_size"] == result["size"], name
            longest = max(result["thumbnail"][:2])
            assert longest == min(96, max(result["size"])), name


def test_what_pillow_opens_in_a_format_of_ours_opens(child: Child, inventory: dict[str, dict[str, str]]) -> None:
    results, _, _ = child
    for name, row in inventory.items():
        is_ours = row["format"] in FORMATS or row["format"] == "MPO"
        should_open = row["load"] == "ok" and is_ours and name not in REFUSED_RIGHTLY
        assert ("refused" not in results[name]) == should_open, (name, results[name])


def test_formats_sizes_and_orientations_are_those_of_the_inventory(
    child: Child, inventory: dict[str, dict[str, str]]
) -> None:
    results, _, _ = child
    compared = 0
    for name, result in results.items():
        if "refused" in result:
            continue
        row = inventory[name]
        assert result["format"] == {"MPO": "JPEG"}.get(row["format"], row["format"])
        width, height = (int(number) for number in row["size"].split("x"))
        # The inventory has the size of a TIFF already turned, that of the others as stored.
        if result["orientation"] >= 5 and row["format"] != "TIFF":
            width, height = height, width
        assert result["size"] == [width, height], name
        if row["exif_orientation"].isdigit():
            assert result["orientation"] == int(row["exif_orientation"]), name
        frames = int(row["frames"])
        assert any(note.startswith(f"first of {frames} ") for note in result["notes"]) == (frames > 1), name
        compared += 1
    assert compared > 100


def test_pixels_are_those_of_pillow_where_nothing_had_to_be_said(child: Child) -> None:
    results, _, _ = child
    compared = {
        name: result["from_pillow"] for name, result in results.items() if result.get("from_pillow") is not None
    }
    assert len(compared) > 60
    assert {name: distance for name, distance in compared.items() if distance} == {}


def test_memory_stays_under_two_gigabytes(child: Child) -> None:
    assert child[2] < MEMORY_LIMIT


def test_nothing_of_pythons_own_reaches_the_console(child: Child) -> None:
    assert "Warning" not in child[1]
    assert "Traceback" not in child[1]


def test_the_rest_of_a_dropped_folder_is_found(folder: Path) -> None:
    found = find_images(folder)
    assert found.problems == []
    names = {path.relative_to(folder).as_posix() for path in found.images}
    expected = {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and path.suffix.lower() in IMAGE_SUFFIXES
    }
    assert names == expected
    assert len(names) > 140
