"""Putting class maps from elsewhere into a project, taking that back, making it again."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import numpy as np
import pytest

from deeplab_studio.core import project_labels
from deeplab_studio.core.cancel import Cancelled, CancelToken
from deeplab_studio.core.errors import StudioError
from deeplab_studio.core.labels import LabelSet
from deeplab_studio.core.project import Project
from deeplab_studio.core.project_imports import IncomingMaps, NowMap
from deeplab_studio.core.relabel import LabelDraft, Relabelling

FOUR = LabelSet.from_names(["background", "cat", "dog", "sheep"], name="pets")
SAME = LabelDraft(FOUR).relabelling("Import labels")
SHAPE = (12, 16)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = Project.open(tmp_path / "p.dlsproj", root=tmp_path, label_set=FOUR)
    project.add([tmp_path / f"{i}.jpg" for i in range(5)])
    return project


def arriving(item_id: int, classes: int = 4) -> np.ndarray:
    return np.random.default_rng(item_id).integers(0, classes, SHAPE, np.uint8)


def incoming(project: Project, ids: list[int], classes: int = 4) -> IncomingMaps:
    numbers = {project.item(item_id).path: item_id for item_id in ids}

    def read(photo: Path, _now: NowMap) -> tuple[np.ndarray, np.ndarray]:
        labels = arriving(numbers[photo], classes)
        return labels, labels != 1

    return IncomingMaps({item_id: photo for photo, item_id in numbers.items()}, read)


def with_cow() -> Relabelling:
    draft = LabelDraft(FOUR)
    draft.add("cow", (1, 2, 3))
    return draft.relabelling("Import labels")


def everything(project: Project) -> dict[int, tuple[object, ...]]:
    """Class map, pins, state and counts of every item."""
    found = {}
    for item in project.items():
        saved = project.load_map(item.id)
        maps = (None, None) if saved is None else (saved[0].tobytes(), saved[1].tobytes())
        found[item.id] = (*maps, item.state, dict(project.figures.of(item.id).pixels))
    return found


def test_class_maps_arrive_with_pins_states_and_counts(project: Project) -> None:
    outcome = project.labels.relabel(SAME, 1, incoming=incoming(project, [1, 2]))
    labels, pinned = project.load_map(2)
    assert np.array_equal(labels, arriving(2))
    assert np.array_equal(pinned, labels != 1)
    assert [item.state for item in project.items()] == ["in progress"] * 2 + ["new"] * 3
    assert outcome.states == {1: "in progress", 2: "in progress"}
    assert outcome.stamps == {i: project.labels.stamp(i) for i in (1, 2)}
    assert outcome.pixels == int((arriving(1) > 0).sum() + (arriving(2) > 0).sum())
    assert sum(project.figures.of(1).pixels.values()) == labels.size
    assert project.figures.uncounted() == []


def test_it_is_taken_back_whole_and_made_again(project: Project, tmp_path: Path) -> None:
    old = np.full((5, 7), 3, np.uint8)
    project.save_map(2, old, old == 3, state="reviewed")
    before = everything(project)
    project.labels.relabel(SAME, 1, incoming=incoming(project, [1, 2, 3]))
    after = everything(project)
    outcome = project.labels.take_back(SAME, 1)
    assert everything(project) == before
    assert outcome.states == {1: "new", 2: "reviewed", 3: "new"}
    assert outcome.stamps == {1: None, 2: project.labels.stamp(2), 3: None}
    project.labels.relabel(SAME, 1)
    assert everything(project) == after
    project.labels.take_back(SAME, 1)
    assert everything(project) == before
    project.labels.close()
    with sqlite3.connect(tmp_path / "p.dlsproj") as connection:
        assert connection.execute("SELECT count(*) FROM replaced_maps").fetchone() == (0,)


def test_new_classes_come_and_go_with_the_class_maps_that_need_them(project: Project) -> None:
    before = everything(project)
    change = with_cow()
    project.labels.relabel(change, 1, incoming=incoming(project, [1, 2], classes=5))
    assert project.label_set == change.new
    project.labels.take_back(change, 1)
    assert project.label_set == FOUR
    assert everything(project) == before


def test_an_image_painted_since_keeps_all_of_it(project: Project) -> None:
    project.labels.relabel(SAME, 1, incoming=incoming(project, [1, 2]))
    painted = arriving(1)
    painted[0] = 2
    project.save_map(1, painted, None)
    project.labels.take_back(SAME, 1)
    assert np.array_equal(project.load_map(1)[0], painted)
    assert project.load_map(2) is None


def test_a_new_class_painted_with_since_stops_the_way_back(project: Project) -> None:
    change = with_cow()
    project.labels.relabel(change, 1, incoming=incoming(project, [1, 2], classes=5))
    project.save_map(1, np.full(SHAPE, 4, np.uint8), None)
    before = everything(project)
    with pytest.raises(StudioError, match="1 image would lose cow"):
        project.labels.take_back(change, 1)
    assert everything(project) == before


def test_the_counts_of_a_mask_beside_the_photo_come_back(project: Project) -> None:
    project.figures.count(1, np.full(SHAPE, 3, np.uint8))
    before = everything(project)
    project.labels.relabel(SAME, 1, incoming=incoming(project, [1]))
    assert dict(project.figures.of(1).pixels) != {3: 192}
    project.labels.take_back(SAME, 1)
    assert everything(project) == before


def test_a_merge_between_is_taken_back_first(project: Project) -> None:
    before = everything(project)
    project.labels.relabel(SAME, 1, incoming=incoming(project, [1, 2]))
    draft = LabelDraft(FOUR)
    draft.delete(1, 2)
    merge = draft.relabelling("Merge")
    project.labels.relabel(merge, 2)
    project.labels.take_back(merge, 2)
    project.labels.take_back(SAME, 1)
    assert everything(project) == before


def test_what_cannot_be_read_is_told_and_the_rest_arrives(project: Project) -> None:
    maps = incoming(project, [1, 2])

    def read(photo: Path, now: NowMap) -> tuple[np.ndarray, np.ndarray]:
        if photo.name == "0.jpg":
            raise StudioError("its mask is gone", path=photo)
        return maps.read(photo, now)

    outcome = project.labels.relabel(SAME, 1, incoming=IncomingMaps(maps.photos, read))
    assert [str(problem) for problem in outcome.problems] == ["0.jpg: its mask is gone."]
    assert project.items_with_maps() == {2}


def test_the_map_there_is_handed_to_who_reads(project: Project) -> None:
    old = np.full(SHAPE, 3, np.uint8)
    project.save_map(1, old, old == 3)
    seen: list[NowMap] = []

    def read(_photo: Path, now: NowMap) -> tuple[np.ndarray, np.ndarray]:
        seen.append(now)
        return arriving(1), arriving(1) > 0

    photos = {item_id: project.item(item_id).path for item_id in (1, 2)}
    project.labels.relabel(SAME, 1, incoming=IncomingMaps(photos, read))
    assert seen[0] is not None
    assert np.array_equal(seen[0][0], old)
    assert seen[1] is None


def test_stopping_leaves_everything_as_it_was(project: Project) -> None:
    token, before = CancelToken(), everything(project)
    maps = incoming(project, [1, 2, 3])

    def read(photo: Path, now: NowMap) -> tuple[np.ndarray, np.ndarray]:
        token.cancel()
        return maps.read(photo, now)

    with pytest.raises(Cancelled):
        project.labels.relabel(with_cow(), 1, token, incoming=IncomingMaps(maps.photos, read))
    assert everything(project) == before
    assert project.label_set == FOUR
    project.labels.relabel(SAME, 2, incoming=maps)
    assert project.items_with_maps() == {1, 2, 3}


def test_steps_beyond_those_kept_name_the_images_they_release(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(project_labels, "KEPT_STEPS", 2)
    for step, item_id in enumerate([1, 2, 3], 1):
        outcome = project.labels.relabel(SAME, step, incoming=incoming(project, [item_id]))
    assert outcome.forgotten == {1}
    assert outcome.released == {1: 1}


def test_ids_may_not_move_while_class_maps_come_in(project: Project) -> None:
    draft = LabelDraft(FOUR)
    draft.delete(1, 2)
    with pytest.raises(ValueError, match="ids stay"):
        project.labels.relabel(draft.relabelling(), 1, incoming=incoming(project, [1]))


def test_a_mere_prediction_does_not_count_as_labelled(project: Project) -> None:
    project.save_map(1, arriving(1), None)
    project.save_map(2, arriving(2), None, state="in progress")
    project.save_map(3, arriving(3), arriving(3) == 1)
    assert project.labels.labelled_items() == {2, 3}
