"""labelmap.txt and class_names.txt."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deeplab_studio.core.errors import StudioError
from deeplab_studio.core.labels import VOC_LABELS, LabelClass, LabelSet
from deeplab_studio.core.voc import read_class_names, read_labelmap, write_class_names, write_labelmap

COLOURS = st.tuples(*[st.integers(0, 255)] * 3)


def test_it_is_written_as_cvat_writes_it(tmp_path: Path) -> None:
    write_labelmap(tmp_path / "labelmap.txt", VOC_LABELS)
    lines = (tmp_path / "labelmap.txt").read_bytes().split(b"\n")
    assert lines[:3] == [b"# label:color_rgb:parts:actions", b"background:0,0,0::", b"aeroplane:128,0,0::"]
    assert lines[-2:] == [b"tvmonitor:0,64,128::", b""]
    assert len(lines) == 23


def test_both_files_read_back(tmp_path: Path) -> None:
    label_set = LabelSet(
        (LabelClass("하늘", (1, 2, 3)), LabelClass("road, wet", (255, 0, 1)), LabelClass("a b", (0, 0, 0)))
    )
    write_labelmap(tmp_path / "l.txt", label_set)
    assert read_labelmap(tmp_path / "l.txt").classes == label_set.classes
    write_class_names(tmp_path / "c.txt", label_set)
    assert (tmp_path / "c.txt").read_text("utf-8") == "하늘\nroad, wet\na b\n"
    assert read_class_names(tmp_path / "c.txt").names == label_set.names


def test_vocs_own_classes_are_recognised(tmp_path: Path) -> None:
    write_labelmap(tmp_path / "l.txt", VOC_LABELS)
    write_class_names(tmp_path / "c.txt", VOC_LABELS)
    assert read_labelmap(tmp_path / "l.txt") == read_class_names(tmp_path / "c.txt") == VOC_LABELS


@given(st.lists(st.tuples(st.text(min_size=1), COLOURS), min_size=1, max_size=5))
def test_any_label_set_reads_back_as_it_was_or_is_refused(
    tmp_path_factory: pytest.TempPathFactory, classes: list[tuple[str, tuple[int, int, int]]]
) -> None:
    try:
        label_set = LabelSet(tuple(LabelClass(*entry) for entry in classes))
    except ValueError:
        return
    path = tmp_path_factory.mktemp("l") / "labelmap.txt"
    try:
        write_labelmap(path, label_set)
    except StudioError:
        assert not path.exists()
    else:
        assert read_labelmap(path).classes == label_set.classes


@pytest.mark.parametrize("name", ["a:b", "#hash", " blank", "blank ", "two\nlines", "a\x1e"])
def test_names_the_format_cannot_hold_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(StudioError, match="Rename the class"):
        write_labelmap(tmp_path / "labelmap.txt", LabelSet((LabelClass(name, (1, 2, 3)),)))
    assert list(tmp_path.iterdir()) == []


def test_cvats_files_are_read(tmp_path: Path) -> None:
    path = tmp_path / "labelmap.txt"
    text = "\ufeff# label:color_rgb:parts:actions\r\n\r\nbackground:0,0,0::\r\ncat:10,20,30:head,tail:sit\r\ndog\r\n"
    path.write_text(f"{text}ignored:224,224,192::\n", "utf-8", newline="")
    assert read_labelmap(path).classes == (
        LabelClass("background", (0, 0, 0)),
        LabelClass("cat", (10, 20, 30)),
        LabelClass("dog", (0, 128, 0)),
    )


def test_labelmes_ignore_line_takes_no_id(tmp_path: Path) -> None:
    (tmp_path / "c.txt").write_text("__ignore__\n_background_\ncat\n")
    assert read_class_names(tmp_path / "c.txt").names == ("_background_", "cat")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"background:0,0,0::\ncat:1,2::\n", "line 2"),
        (b"cat:1,2,300::\n", "line 1"),
        (b"cat:a,b,c::\n", "line 1"),
        (b":1,2,3::\n", "line 1"),
        (b"cat:1,2,3::\ncat:3,2,1::\n", "'cat'"),
        (b"# nothing\n", "1 to 255"),
        (b"\xff\xfe\x00\xd8", "UTF-8"),
        (b"".join(b"c%d:1,2,3::\n" % i for i in range(256)), "1 to 255"),
    ],
)
def test_what_cannot_be_understood_is_refused_with_its_place(tmp_path: Path, text: bytes, words: str) -> None:
    path = tmp_path / "labelmap.txt"
    path.write_bytes(text)
    with pytest.raises(StudioError, match=words) as caught:
        read_labelmap(path)
    assert str(caught.value).startswith("labelmap.txt: ")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(StudioError, match=r"labelmap\.txt"):
        read_labelmap(tmp_path / "labelmap.txt")
