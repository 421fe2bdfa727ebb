"""Changing the label set of a project together with its class maps."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import numpy as np
import pytest

from deeplab_studio.core.cancel import Cancelled, CancelToken
from deeplab_studio.core.errors import StudioError
from deeplab_studio.core.labels import VOC_LABELS, VOID, LabelSet
from deeplab_studio.core.project import Project
from deeplab_studio.core.project_labels import KEPT_STEPS, MAPPINGS
from deeplab_studio.core.relabel import LabelDraft, Relabelling

FOUR = LabelSet.from_names(["background", "cat", "dog", "sheep"], name="pets")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = Project.open(tmp_path / "p.dlsproj", root=tmp_path, label_set=FOUR)
    project.add([tmp_path / f"{i}.jpg" for i in range(6)])
    return project


def maps_of(project: Project) -> dict[int, np.ndarray]:
    return {item_id: project.load_map(item_id)[0] for item_id in sorted(project.items_with_maps())}


def fill(project: Project, seed: int = 0) -> dict[int, np.ndarray]:
    """Random class maps for four of six images, pins on some."""
    rng = np.random.default_rng(seed)
    for item in project.items()[:4]:
        labels = rng.choice(np.array([0, 1, 2, 3, VOID], np.uint8), (20 + item.id, 30))
        project.save_map(item.id, labels, labels == 2)
    return maps_of(project)


def merge(source: str, target: str) -> Relabelling:
    draft = LabelDraft(FOUR)
    names = FOUR.names
    draft.delete(names.index(source), names.index(target))
    return draft.relabelling(f"Merge {source} into {target}")


def assert_counts_fit(project: Project) -> None:
    for item_id, labels in maps_of(project).items():
        ids, counts = np.unique(labels, return_counts=True)
        assert project.figures.of(item_id).pixels == dict(zip(ids.tolist(), counts.tolist(), strict=True))


def test_merging_changes_every_map_and_the_label_set_and_keeps_the_pins(project: Project, tmp_path: Path) -> None:
    before = fill(project)
    pins = {item_id: project.load_map(item_id)[1] for item_id in before}
    change = merge("cat", "dog")
    outcome = project.labels.relabel(change, 1)
    assert project.label_set == change.new
    after = maps_of(project)
    assert all(np.array_equal(after[i], change(before[i])) for i in before)
    assert all(np.array_equal(project.load_map(i)[1], pins[i]) for i in before)
    assert outcome.pixels == sum(int((change(labels) != labels).sum()) for labels in before.values())
    assert outcome.stamps == {item_id: project.labels.stamp(item_id) for item_id in before}
    assert_counts_fit(project)
    project.close()
    with Project.open(tmp_path / "p.dlsproj", root=tmp_path) as again:
        assert again.label_set == change.new
        assert all(np.array_equal(labels, after[i]) for i, labels in maps_of(again).items())


def test_a_merge_can_be_taken_back_bit_for_bit_and_made_again(project: Project) -> None:
    before = fill(project)
    change = merge("cat", "dog")
    project.labels.relabel(change, 1)
    merged = maps_of(project)
    project.labels.take_back(change, 1)
    assert project.label_set == FOUR
    assert all(np.array_equal(labels, before[i]) for i, labels in maps_of(project).items())
    assert_counts_fit(project)
    project.labels.relabel(change, 1)
    assert all(np.array_equal(labels, merged[i]) for i, labels in maps_of(project).items())


def test_what_was_painted_after_a_merge_survives_taking_it_back(project: Project) -> None:
    before = fill(project)
    change = merge("cat", "dog")
    project.labels.relabel(change, 1)
    item_id = min(before)
    labels = maps_of(project)[item_id].copy()
    labels[:5] = 2  # sheep, in the ids after the merge
    project.save_map(item_id, labels, None)
    project.labels.take_back(change, 1)
    expected = before[item_id].copy()
    expected[:5] = 3
    assert np.array_equal(maps_of(project)[item_id], expected)


def test_a_class_added_cannot_be_taken_back_while_images_hold_it(project: Project) -> None:
    fill(project)
    draft = LabelDraft(FOUR)
    draft.add("cow", (1, 2, 3))
    change = draft.relabelling("Add cow")
    outcome = project.labels.relabel(change, 1)
    assert outcome.stamps == {}
    project.save_map(5, np.full((4, 4), 4, np.uint8), None)
    with pytest.raises(StudioError, match="1 image would lose cow"):
        project.labels.take_back(change, 1)
    assert project.label_set == change.new
    project.save_map(5, np.zeros((4, 4), np.uint8), None)
    project.labels.take_back(change, 1)
    assert project.label_set == FOUR


def test_only_what_cannot_be_computed_back_is_kept(project: Project, tmp_path: Path) -> None:
    fill(project)
    project.save_map(5, np.full((4, 4), 2, np.uint8), None)  # dog alone: a merge into dog loses nothing of it
    reader = sqlite3.connect(tmp_path / "p.dlsproj")

    def kept() -> int:
        return int(reader.execute("SELECT count(*) FROM kept_maps").fetchone()[0])

    draft = LabelDraft(FOUR)
    draft.move(3, 1)
    reorder = draft.relabelling("Reorder")
    project.labels.relabel(reorder, 1)
    assert kept() == 0
    project.labels.take_back(reorder, 1)
    project.labels.relabel(merge("cat", "dog"), 2)
    assert kept() == 4
    project.labels.forget_kept()
    assert kept() == 0
    reader.close()


def test_the_oldest_changes_are_forgotten(project: Project) -> None:
    fill(project)
    forgotten: set[int] = set()
    for step in range(1, KEPT_STEPS + 3):
        draft = LabelDraft(project.label_set)
        draft.add(f"again {step}", (1, 2, 3))
        draft.delete(draft.rows[1].key, into=None)
        for item_id, labels in maps_of(project).items():
            if not (labels == 1).any():
                labels = labels.copy()
                labels[0] = 1
                project.save_map(item_id, labels, None)
        forgotten |= project.labels.relabel(draft.relabelling(), step).forgotten
    assert forgotten == {1, 2}


def test_a_cancelled_change_changes_nothing(project: Project) -> None:
    before = fill(project)
    token = CancelToken()

    def stop_half_way(fraction: float) -> None:
        if fraction >= 0.5:
            token.cancel()

    with pytest.raises(Cancelled):
        project.labels.relabel(merge("cat", "dog"), 1, token, stop_half_way)
    assert project.label_set == FOUR
    assert all(np.array_equal(labels, before[i]) for i, labels in maps_of(project).items())
    project.labels.relabel(merge("cat", "dog"), 1)  # nothing is left in the way


def test_a_failure_while_saving_changes_nothing(project: Project) -> None:
    before = fill(project)
    with project._writing() as connection:
        connection.execute(
            "CREATE TRIGGER full BEFORE UPDATE ON maps WHEN NEW.item_id = 3 "
            "BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END"
        )
    with pytest.raises(StudioError, match="the disk is full"):
        project.labels.relabel(merge("cat", "dog"), 1)
    assert project.label_set == FOUR
    assert all(np.array_equal(labels, before[i]) for i, labels in maps_of(project).items())
    assert_counts_fit(project)


def test_a_map_saved_while_the_others_are_computed_is_changed_too(project: Project) -> None:
    fill(project)
    late = np.full((9, 9), 1, np.uint8)

    def save_late(fraction: float) -> None:
        if fraction == 1.0 and 6 not in project.items_with_maps():
            project.save_map(6, late, None)

    change = merge("cat", "dog")
    project.labels.relabel(change, 1, progress=save_late)
    assert np.array_equal(project.load_map(6)[0], change(late))


def test_a_damaged_map_stays_and_the_others_change(project: Project) -> None:
    before = fill(project)
    with project._writing() as connection:
        connection.execute("UPDATE maps SET crc = 1 WHERE item_id = 2")
    change = merge("cat", "dog")
    outcome = project.labels.relabel(change, 1)
    assert outcome.damaged == 1
    assert np.array_equal(project.load_map(1)[0], change(before[1]))
    with pytest.raises(StudioError, match="damaged"):
        project.load_map(2)


def test_masks_beside_the_photos_follow_through_a_table(project: Project) -> None:
    project.figures.count(1, np.array([[1, 1, 2, 3]], np.uint8))
    change = merge("cat", "dog")
    project.labels.relabel(change, 1)
    table = project.labels.mask_table()
    assert table is not None
    assert table[[0, 1, 2, 3, VOID]].tolist() == [0, 1, 1, 2, VOID]
    assert project.figures.of(1).pixels == {1: 3, 2: 1}
    second = LabelDraft(change.new)
    second.move(2, 0)
    project.labels.relabel(second.relabelling(), 2)
    assert project.labels.mask_table()[[0, 1, 2, 3]].tolist() == [1, 2, 2, 0]  # type: ignore[index]
    project.labels.take_back(second.relabelling(), 2)
    project.labels.take_back(change, 1)
    assert project.labels.mask_table() is None
    assert project.figures.of(1).pixels == {1: 2, 2: 1, 3: 1}


def test_remembered_mappings_follow_the_names(project: Project) -> None:
    fill(project)
    project.save_setting(MAPPINGS, {"model": {"kitty": "cat", "wolf": "dog", "sky": None}})
    draft = LabelDraft(FOUR)
    draft.rename(2, "hound")
    draft.delete(1, into=None)
    change = draft.relabelling()
    project.labels.relabel(change, 1)
    assert project.setting(MAPPINGS) == {"model": {"kitty": None, "wolf": "hound", "sky": None}}
    project.labels.take_back(change, 1)
    assert project.setting(MAPPINGS) == {"model": {"kitty": "cat", "wolf": "dog", "sky": None}}


def test_predictions_of_before_are_dropped_only_if_ids_move(project: Project) -> None:
    fill(project)
    project.figures.save_prediction(1, np.zeros((21, 30), np.uint8), "model", 0.5)
    draft = LabelDraft(FOUR)
    draft.rename(1, "kitten")
    project.labels.relabel(draft.relabelling(), 1)
    assert project.figures.of(1).uncertainty == 0.5
    second = LabelDraft(project.label_set)
    second.move(1, 2)
    project.labels.relabel(second.relabelling(), 2)
    assert project.figures.prediction(1) is None


def test_a_project_that_only_lives_in_memory_becomes_a_file(tmp_path: Path) -> None:
    with Project.open(tmp_path / "p.dlsproj", root=tmp_path) as project:
        project.add([tmp_path / "1.jpg"])
        draft = LabelDraft(VOC_LABELS)
        draft.delete(20, into=None)
        project.labels.relabel(draft.relabelling(), 1)
        assert project.is_on_disk
        assert len(project.label_set) == 20


def test_leftovers_of_a_killed_run_are_in_nobodys_way(project: Project, tmp_path: Path) -> None:
    before = fill(project)
    project.labels.relabel(merge("cat", "dog"), 1)
    project.close()
    with Project.open(tmp_path / "p.dlsproj", root=tmp_path) as again:
        draft = LabelDraft(again.label_set)
        draft.delete(1, into=None)
        change = draft.relabelling()
        again.labels.relabel(change, 1)
        again.labels.take_back(change, 1)
        assert all(np.array_equal(labels, merge("cat", "dog")(before[i])) for i, labels in maps_of(again).items())
