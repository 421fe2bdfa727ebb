"""Changing a label set that class maps refer to."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deeplab_studio.core.labels import MAX_CLASSES, VOC_LABELS, VOID, LabelSet
from deeplab_studio.core.relabel import LabelDraft, Relabelling, changed_by, move_ids

FOUR = LabelSet.from_names(["background", "cat", "dog", "sheep"], name="pets")
MAP = np.array([[0, 1, 2], [3, 77, VOID]], np.uint8)


def test_a_new_class_changes_no_map() -> None:
    draft = LabelDraft(FOUR)
    draft.add("cow", (1, 2, 3))
    change = draft.relabelling("Add cow")
    assert change.new.names == ("background", "cat", "dog", "sheep", "cow")
    assert not change.moves_ids
    assert change.is_bijective
    assert np.array_equal(change(MAP), MAP)


def test_renaming_and_recolouring_change_no_map() -> None:
    draft = LabelDraft(FOUR)
    draft.rename(1, "  kitten ")
    draft.recolour({2: (9, 9, 9)})
    change = draft.relabelling()
    assert change.new[1].name == "kitten"
    assert change.new[2].colour == (9, 9, 9)
    assert not change.moves_ids
    assert (draft.changes().renamed, draft.changes().recoloured) == ((("cat", "kitten"),), ("dog",))


def test_reordering_moves_pixels_with_their_class_and_can_be_inverted() -> None:
    draft = LabelDraft(FOUR)
    draft.move(3, 1)
    change = draft.relabelling()
    assert change.new.names == ("background", "sheep", "cat", "dog")
    assert change(MAP).tolist() == [[0, 2, 3], [1, 77, VOID]]
    assert change.is_bijective
    assert np.array_equal(change.inverse()(change(MAP)), MAP)
    assert not change.loses(MAP)
    assert draft.changes().kinds == ["reordered"]


def test_merging_and_deleting_into_void() -> None:
    draft = LabelDraft(FOUR)
    draft.delete(1, into=2)
    draft.delete(3, into=None)
    change = draft.relabelling()
    assert change.new.names == ("background", "dog")
    assert change(MAP).tolist() == [[0, 1, 1], [VOID, 77, VOID]]
    assert not change.is_bijective
    with pytest.raises(ValueError, match="nothing says any more"):
        change.inverse()
    changes = draft.changes()
    assert (changes.merged, changes.deleted, changes.reordered) == ((("cat", "dog"),), ("sheep",), False)


def test_a_merged_class_may_be_merged_again_and_its_pixels_follow() -> None:
    draft = LabelDraft(FOUR)
    draft.delete(1, into=2)
    draft.delete(2, into=3)
    assert draft.relabelling().table[:4].tolist() == [0, 1, 1, 1]
    draft.delete(3, into=None)
    assert draft.relabelling().table[:4].tolist() == [0, VOID, VOID, VOID]


def test_only_maps_that_hold_what_is_lost_have_to_be_kept() -> None:
    draft = LabelDraft(FOUR)
    draft.delete(1, into=2)
    change = draft.relabelling()
    assert change.loses(np.array([[0, 1]], np.uint8))
    assert not change.loses(np.array([[0, 2, 3, VOID]], np.uint8))  # dog stays dog, sheep only moves
    assert change.back[1] == 2
    assert change.back[2] == 3


def test_taking_a_merge_back_keeps_what_was_painted_since() -> None:
    draft = LabelDraft(FOUR)
    draft.delete(1, into=2)
    change = draft.relabelling()
    before = np.array([[1, 2, 3, 0]], np.uint8)
    now = change(before)
    now[0, 3] = 1  # dog, painted over background
    now[0, 2] = 0
    assert change.restored(before, now).tolist() == [[1, 2, 0, 2]]
    assert change.restored(None, now).tolist() == [[2, 2, 0, 2]]


def test_ids_without_a_class_stay_or_become_void_but_never_a_class_by_the_way() -> None:
    draft = LabelDraft(FOUR)
    draft.add("cow", (1, 1, 1))
    change = draft.relabelling()
    assert (change.table[4], change.table[5], change.table[77]) == (VOID, 5, 77)


def test_an_id_without_a_class_can_be_adopted_merged_or_deleted() -> None:
    draft = LabelDraft(FOUR)
    draft.set_strangers([0, 4, 77, 90, VOID])
    assert [(row.key, row.known) for row in draft.rows[4:]] == [(4, False), (77, False), (90, False)]
    assert draft.row(77).name == "class 77"
    draft.rename(77, "cow")
    draft.delete(4, into=1)
    draft.delete(90, into=None)
    change = draft.relabelling()
    assert change.new.names[-1] == "cow"
    assert (change.table[77], change.table[4], change.table[90]) == (4, 1, VOID)


def test_going_over_to_another_label_set() -> None:
    draft = LabelDraft(FOUR)
    draft.replace_with(VOC_LABELS, {0: 0, 1: 8, 2: 12, 3: VOID})
    change = draft.relabelling()
    assert change.new == VOC_LABELS
    assert change.table[:4].tolist() == [0, 8, 12, VOID]
    assert draft.changes().title


def test_changes_one_after_the_other_are_one_change() -> None:
    first, second = LabelDraft(FOUR), LabelDraft(FOUR)
    first.move(3, 0)
    one = first.relabelling("Reorder")
    second = LabelDraft(one.new)
    second.delete(0, into=None)
    two = second.relabelling("Delete sheep")
    both = one.then(two)
    assert np.array_equal(both(MAP), two(one(MAP)))
    assert (both.old, both.new, both.description) == (FOUR, two.new, "Reorder · Delete sheep")
    with pytest.raises(ValueError, match="does not start"):
        two.then(one)


def test_what_is_hidden_follows_its_class() -> None:
    draft = LabelDraft(FOUR)
    draft.delete(1, into=None)
    change = draft.relabelling()
    assert move_ids(change.table, {0, 1, 2, VOID, 80}) == {0, 1, VOID, 80}


@pytest.mark.parametrize("name", ["", "  ", "dog"])
def test_names_are_unique_and_not_empty(name: str) -> None:
    draft = LabelDraft(FOUR)
    with pytest.raises(ValueError, match=r"needs a name|already"):
        draft.add(name, (0, 0, 0))
    with pytest.raises(ValueError, match=r"needs a name|already"):
        draft.rename(1, name)
    assert draft.label_set() == FOUR


def test_there_are_as_many_classes_as_a_map_can_hold_and_at_least_one() -> None:
    draft = LabelDraft(LabelSet.from_names(f"c{i}" for i in range(MAX_CLASSES)))
    with pytest.raises(ValueError, match="at most 255"):
        draft.add("one more", (0, 0, 0))
    single = LabelDraft(LabelSet.from_names(["only"]))
    with pytest.raises(ValueError, match="needs a class"):
        single.delete(0, into=None)
    with pytest.raises(ValueError, match="into itself"):
        draft.delete(3, into=3)


def test_a_free_name_is_numbered() -> None:
    draft = LabelDraft(FOUR)
    assert draft.free_name("cow") == "cow"
    assert draft.free_name("cat") == "cat 2"


def test_the_preview_counts_images_and_pixels() -> None:
    table = np.arange(256, dtype=np.uint8)
    table[1] = 2
    assert changed_by(table, {7: {0: 100, 1: 5}, 8: {2: 3}, 9: {1: 1}}) == (2, 6)


@pytest.mark.parametrize("table", [np.zeros(256, np.uint8), np.arange(255, dtype=np.uint8)])
def test_void_stays_void(table: np.ndarray) -> None:
    with pytest.raises(ValueError, match="void stays void"):
        Relabelling(FOUR, FOUR, table)


OPERATIONS = st.lists(
    st.tuples(st.sampled_from(["add", "move", "merge", "void", "rename"]), st.integers(0, 30), st.integers(0, 30)),
    max_size=15,
)


@given(OPERATIONS)
def test_after_any_editing_every_pixel_is_of_the_class_it_was_put_into(operations: list[tuple[str, int, int]]) -> None:
    draft = LabelDraft(FOUR)
    fate: dict[int, int | None] = dict.fromkeys(range(4), None) | {i: i for i in range(4)}
    for number, (kind, a, b) in enumerate(operations):
        rows = draft.rows
        first, second = rows[a % len(rows)].key, rows[b % len(rows)].key
        if kind == "add":
            draft.add(f"new {number}", (1, 2, 3))
        elif kind == "move":
            draft.move(first, b % len(rows))
        elif kind == "rename":
            draft.rename(first, f"renamed {number}")
        elif len(rows) > 1 and first != second:
            into = second if kind == "merge" else None
            draft.delete(first, into)
            fate = {origin: into if key == first else key for origin, key in fate.items()}
    change = draft.relabelling()
    keys = [row.key for row in draft.rows]
    for origin, key in fate.items():
        assert change.table[origin] == (VOID if key is None else keys.index(key))
    labels = np.arange(256, dtype=np.uint8)[:4].reshape(2, 2)
    kept = labels if change.loses(labels) else None
    assert np.array_equal(change.restored(kept, change(labels)), labels)
    if change.is_bijective:
        assert np.array_equal(change.inverse()(change(labels)), labels)
