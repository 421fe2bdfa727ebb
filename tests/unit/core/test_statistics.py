"""Totals of a data set, and the tables written of them."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from deeplab_studio.core.errors import StudioError
from deeplab_studio.core.item_figures import Figures
from deeplab_studio.core.labels import LabelSet
from deeplab_studio.core.project import Item
from deeplab_studio.core.statistics import summarise, write_classes, write_images

PETS = LabelSet.from_names(["background", "고양이", "dog, wet"], name="Pets")

ITEMS = [
    Item(n, f"{n}.jpg", Path(f"/d/{n}.jpg"), state, f"photo {n}")
    for n, state in enumerate(("new", "done", "reviewed", "done", "empty"))
]
FIGURES = {
    1: Figures({0: 60, 1: 20, 255: 20}, 0.25, 0.5, 7, 10.0, "net"),
    2: Figures({0: 100}, None, None, None, 30.0),
    3: Figures({1: 10, 7: 10}, seconds=50.0),
    0: Figures(seconds=5.0),
    99: Figures({0: 1000}, seconds=1000.0),
}


def read(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.reader(file))


def test_totals_are_those_of_the_items_listed() -> None:
    statistics = summarise(ITEMS, FIGURES, PETS)
    rows = {total.class_id: (total.images, total.pixels) for total in statistics.classes}
    assert rows == {0: (2, 160), 1: (2, 30), 2: (0, 0), 7: (1, 10), 255: (1, 20)}
    assert [total.class_id for total in statistics.classes] == [0, 1, 2, 7, 255]
    shares = {total.class_id: total.share for total in statistics.classes}
    assert shares[0] == pytest.approx(0.8)
    assert shares[255] == pytest.approx(20 / 220)
    assert sum(share for class_id, share in shares.items() if class_id != 255) == pytest.approx(1)
    assert (statistics.images, statistics.labelled) == (5, 3)
    assert statistics.states == {"new": 1, "done": 2, "reviewed": 1, "empty": 1}
    assert (statistics.seconds, statistics.median_seconds) == (95.0, 30.0)


def test_nothing_is_nothing() -> None:
    statistics = summarise([], {}, PETS)
    assert statistics.median_seconds is None
    assert all(total.share == 0 for total in statistics.classes)


def test_the_table_of_classes_is_read_back(tmp_path: Path) -> None:
    write_classes(tmp_path / "classes.csv", summarise(ITEMS, FIGURES, PETS))
    head, *rows = read(tmp_path / "classes.csv")
    assert head == ["id", "class", "images", "pixels", "share"]
    assert rows[1] == ["1", "고양이", "2", "30", "0.150000"]
    assert rows[2][1] == "dog, wet"
    assert rows[-1][:2] == ["255", "void"]


def test_the_table_of_images_is_read_back(tmp_path: Path) -> None:
    write_images(tmp_path / "images.csv", ITEMS, FIGURES, PETS)
    head, *rows = read(tmp_path / "images.csv")
    assert head[-4:] == ["background", "고양이", "dog, wet", "void"]
    table = [dict(zip(head, row, strict=True)) for row in rows]
    assert table[1]["uncertainty"] == "0.250000"
    assert table[1]["changed_pixels"] == "7"
    assert table[1]["고양이"] == "20"
    assert table[0]["background"] == ""
    assert table[2]["disagreement"] == ""
    assert [row["state"] for row in table] == [item.state for item in ITEMS]


def test_a_name_that_is_no_text_does_not_stop_the_table(tmp_path: Path) -> None:
    odd = Item(1, "caf\udce9.jpg", Path("/d/caf\udce9.jpg"), "new", "caf_")
    write_images(tmp_path / "images.csv", [odd], {}, PETS)
    assert read(tmp_path / "images.csv")[1][1] == "caf?.jpg"


def test_a_folder_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(StudioError, match=r"classes\.csv"):
        write_classes(tmp_path / "missing" / "classes.csv", summarise([], {}, PETS))
