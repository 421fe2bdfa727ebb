"""Label sets that come with the program, and label sets in files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deeplab_studio.core.errors import StudioError
from deeplab_studio.core.label_sets import (
    BUILT_IN,
    built_in,
    builtin_label_set,
    distinct_colours,
    load_label_set,
    save_label_set,
)
from deeplab_studio.core.labels import VOC_LABELS, VOID, LabelClass, LabelSet

COLOURS = st.tuples(*[st.integers(0, 255)] * 3)

SET = LabelSet(
    (LabelClass("하늘", (1, 2, 3)), LabelClass("traffic light", (255, 0, 1)), LabelClass("a", (0, 0, 0))), "x"
)


@pytest.mark.parametrize(
    ("set_id", "classes", "some"),
    [
        ("voc", 21, {0: ("background", (0, 0, 0)), 20: ("tvmonitor", (0, 64, 128))}),
        ("cityscapes", 19, {0: ("road", (128, 64, 128)), 18: ("bicycle", (119, 11, 32))}),
        ("cityscapes-ids", 34, {0: ("unlabeled", (0, 0, 0)), 33: ("bicycle", (119, 11, 32))}),
        ("ade20k", 150, {0: ("wall", (120, 120, 120)), 12: ("person", (150, 5, 61)), 149: ("flag", (92, 0, 255))}),
        ("coco-stuff", 182, {0: ("person", (0, 0, 0)), 181: ("wood", None)}),
        ("coco-stuff-171", 171, {0: ("person", None), 11: ("stop sign", None), 170: ("wood", None)}),
    ],
)  # fmt: skip
def test_the_sets_that_come_with_the_program(set_id: str, classes: int, some: dict[int, tuple[str, object]]) -> None:
    found = built_in(set_id)
    assert len(found.label_set) == classes
    assert found.source
    for class_id, (name, colour) in some.items():
        assert found.label_set[class_id].name == name
        assert colour in (None, found.label_set[class_id].colour)


def test_every_set_that_comes_with_the_program_is_listed() -> None:
    assert {built_in(set_id).id for set_id in BUILT_IN} == set(BUILT_IN)
    with pytest.raises(KeyError):
        built_in("nothing")


def test_values_of_cityscapes_masks_become_train_ids() -> None:
    table, names = built_in("cityscapes").values["labelIds"], builtin_label_set("cityscapes").names
    every = builtin_label_set("cityscapes-ids").names
    assert [names[table[value]] for value in range(34) if table[value] != VOID] == [
        every[value] for value in range(34) if table[value] != VOID
    ]
    assert np.flatnonzero(table != VOID).tolist() == [7, 8, 11, 12, 13, 17, *range(19, 29), 31, 32, 33]


def test_values_of_ade20k_masks_begin_at_one() -> None:
    table = built_in("ade20k").values["annotations"]
    assert (table[0], table[1], table[150], table[151]) == (VOID, 0, 149, VOID)


def test_coco_stuff_without_the_ids_that_never_occur() -> None:
    all_names, used = builtin_label_set("coco-stuff").names, builtin_label_set("coco-stuff-171").names
    table = built_in("coco-stuff-171").values["pixelmaps"]
    assert set(all_names) - set(used) == {
        "street sign", "hat", "shoe", "eye glasses", "plate", "mirror", "window", "desk", "door", "blender",
        "hair brush",
    }  # fmt: skip
    assert all(used[table[value]] == name for value, name in enumerate(all_names) if table[value] != VOID)


@pytest.mark.parametrize("name", ["own.json", "labelmap.txt", "names.txt"])
def test_what_is_saved_reads_back(tmp_path: Path, name: str) -> None:
    save_label_set(tmp_path / name, SET)
    assert load_label_set(tmp_path / name).classes == SET.classes
    save_label_set(tmp_path / name, VOC_LABELS)
    assert load_label_set(tmp_path / name) == VOC_LABELS


def test_json_keeps_the_name_and_other_files_give_theirs(tmp_path: Path) -> None:
    save_label_set(tmp_path / "a.json", SET)
    save_label_set(tmp_path / "streets.txt", SET)
    assert load_label_set(tmp_path / "a.json").name == "x"
    assert load_label_set(tmp_path / "streets.txt").name == "streets"


def test_text_takes_names_with_and_without_colours(tmp_path: Path) -> None:
    path = tmp_path / "l.txt"
    path.write_text("# a comment\nroad 128 64 128\ntraffic light\t#00ff10\n\nsky, 1, 2, 3\nlane 2\n", "utf-8-sig")
    found = load_label_set(path)
    assert found.names == ("road", "traffic light", "sky", "lane 2")
    assert [label.colour for label in found] == [(128, 64, 128), (0, 255, 16), (1, 2, 3), (128, 128, 0)]


def test_json_may_be_a_list_of_names(tmp_path: Path) -> None:
    path = tmp_path / "l.json"
    path.write_text('["sky", {"name": "road", "color": [1, 2, 3]}]')
    assert [(label.name, label.colour) for label in load_label_set(path)] == [("sky", (0, 0, 0)), ("road", (1, 2, 3))]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.txt", b"", "it holds no class"),
        ("a.txt", b"sky\nroad\nsky\n", "two classes are called 'sky'"),
        ("a.txt", b"sky 300 1 1\n", "line 1"),
        ("a.txt", b"\xff\xfe\x00", "not text in UTF-8"),
        ("a.txt", b"ab\x00c\n", "characters that are no text"),
        ("a.txt", "".join(f"c{i}\n" for i in range(256)).encode(), "more than 255 lines"),
        ("labelmap.txt", b"sky:1,2,999::\n", "line 1"),
        ("a.json", b"{", "the JSON is broken (line 1)"),
        ("a.json", b'{"shapes": []}', 'no list "classes"'),
        ("a.json", b'{"classes": [{"title": "x"}]}', "class 0 has no name"),
        ("a.json", b'{"classes": [{"name": "x", "colour": "red"}]}', "'red' is no colour"),
        ("a.json", b'{"classes": []}', "1 to 255 classes, not 0"),
        ("a.json", b'{"format": 2, "classes": ["a"]}', "newer DeepLab Studio"),
        ("a.json", json.dumps([f"c{i}" for i in range(300)]).encode(), "1 to 255 classes"),
        ("a.json", b'{"classes": [{"name": " "}]}', "needs a name"),
        ("a.txt", b"x" * (2 << 20), "too large"),
    ],
)  # fmt: skip
def test_a_bad_file_is_refused_in_one_sentence_that_names_it(
    tmp_path: Path, name: str, content: bytes, words: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(StudioError) as caught:
        load_label_set(path)
    assert words in str(caught.value)
    assert str(caught.value).startswith(f"{name}: ")
    assert caught.value.hint


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    for path in (tmp_path / "none.txt", tmp_path):
        with pytest.raises(StudioError, match="could not be read"):
            load_label_set(path)


def test_a_name_that_text_cannot_hold_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    awkward = LabelSet((LabelClass("# no comment", (1, 2, 3)),))
    with pytest.raises(StudioError, match="Save it as JSON"):
        save_label_set(tmp_path / "l.txt", awkward)
    assert list(tmp_path.iterdir()) == []
    save_label_set(tmp_path / "l.json", awkward)
    assert load_label_set(tmp_path / "l.json").classes == awkward.classes


@given(st.lists(st.tuples(st.text(min_size=1), COLOURS), min_size=1, max_size=5), st.sampled_from(["l.txt", "l.json"]))
def test_any_label_set_reads_back_as_it_was_or_is_refused(
    tmp_path_factory: pytest.TempPathFactory, classes: list[tuple[str, tuple[int, int, int]]], name: str
) -> None:
    try:
        label_set = LabelSet(tuple(LabelClass(text.strip(), colour) for text, colour in classes))
    except ValueError:
        return
    path = tmp_path_factory.mktemp("sets") / name
    try:
        save_label_set(path, label_set)
    except StudioError:
        return
    assert load_label_set(path).classes == label_set.classes


def test_distinct_colours_are_far_from_one_another_and_from_those_taken() -> None:
    taken = [label.colour for label in VOC_LABELS]
    colours = distinct_colours(20, taken)
    assert len(set(colours)) == 20
    assert not set(colours) & set(taken)
    everything = np.array([*colours, *taken], int)
    gaps = np.abs(everything[:20, None] - everything[None]).sum(-1)
    gaps[np.arange(20), np.arange(20)] = 999
    assert gaps.min() >= 40
