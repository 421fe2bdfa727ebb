"""A person's own presets, and files of presets."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deeplab_studio.core.errors import StudioError
from deeplab_studio.crf.params import CrfParams
from deeplab_studio.crf.preset_store import FORMAT, PresetStore, read_presets, write_presets
from deeplab_studio.crf.presets import PRESETS

SOFT = CrfParams(2, 40, 12, 1, 2, 5)
HARD = CrfParams(9, 120, 4, 3, 3, 10, "after")


@pytest.fixture
def store(tmp_path: Path) -> PresetStore:
    return PresetStore(tmp_path / "config" / "crf-presets.json")


def test_presets_are_there_again_in_the_next_run(store: PresetStore) -> None:
    store.save("soft", SOFT, "Saved by hand")
    store.save("하드", HARD, "")
    again = PresetStore(store.path)
    assert [(each.name, each.params, each.source) for each in again.load()] == [
        ("soft", SOFT, "Saved by hand"),
        ("하드", HARD, ""),
    ]
    assert {each.id for each in again.presets}.isdisjoint(preset.id for preset in PRESETS)


def test_without_a_file_there_are_none(store: PresetStore) -> None:
    assert store.load() == ()
    assert not store.path.exists()


def test_the_default_place_is_the_persons_configuration(user_folders: Path) -> None:
    assert PresetStore().path.is_relative_to(user_folders)


def test_a_name_is_used_once(store: PresetStore) -> None:
    store.save("mine", SOFT, "")
    store.save("  MINE ", HARD, "")
    assert [(each.name, each.params) for each in store.presets] == [("MINE", HARD)]


@pytest.mark.parametrize("name", ["", "   ", "x" * 61, PRESETS[0].name, PRESETS[3].name.upper()])
def test_names_that_do_not_do_are_refused_in_a_sentence(store: PresetStore, name: str) -> None:
    with pytest.raises(StudioError) as refused:
        store.save(name, SOFT, "")
    assert refused.value.hint
    assert not store.path.exists()


def test_renaming_and_deleting(store: PresetStore) -> None:
    soft, hard = store.save("soft", SOFT, ""), store.save("hard", HARD, "")
    with pytest.raises(StudioError, match="Hard"):
        store.rename(soft, "Hard")
    renamed = store.rename(soft, "softer")
    store.delete(hard)
    assert PresetStore(store.path).load() == (renamed,)
    assert store.rename(renamed, "Softer").name == "Softer"


def test_a_damaged_file_is_told_and_kept(store: PresetStore) -> None:
    store.path.parent.mkdir()
    store.path.write_text('{"format": "deeplab-studio-crf-pre')
    with pytest.raises(StudioError, match=r"line 1"):
        store.load()
    store.save("soft", SOFT, "")
    assert [each.name for each in PresetStore(store.path).load()] == ["soft"]
    assert store.path.with_name("crf-presets.json.damaged").read_text().startswith('{"format"')


def test_exported_presets_are_taken_up_elsewhere(store: PresetStore, tmp_path: Path) -> None:
    store.save("soft", SOFT, "")
    store.save("mine", SOFT, "")
    write_presets(tmp_path / "mine.json", store.presets)
    other = PresetStore(tmp_path / "other.json")
    other.save("soft", SOFT, "")
    other.save("Mine", HARD, "")
    assert [each.name for each in other.take_up(tmp_path / "mine.json")] == ["mine (2)"]
    assert [(each.name, each.params) for each in other.load()] == [("soft", SOFT), ("Mine", HARD), ("mine (2)", SOFT)]
    assert other.take_up(tmp_path / "mine.json") == []


def test_a_built_in_preset_that_was_exported_is_not_taken_up_twice(store: PresetStore, tmp_path: Path) -> None:
    write_presets(tmp_path / "all.json", PRESETS)
    assert store.take_up(tmp_path / "all.json") == []


BAD = {
    "empty": b"",
    "binary": b"\x89PNG\r\n\x1a\n\xff\xfe",
    "broken": b'{"format": "deeplab-studio-crf-presets",\n "version": 1,\n oops',
    "a list": b"[1, 2]",
    "other json": b'{"name": "package.json"}',
    "newer": json.dumps({"format": FORMAT, "version": 2, "presets": []}).encode(),
    "no list": json.dumps({"format": FORMAT, "version": 1}).encode(),
    "row": json.dumps({"format": FORMAT, "version": 1, "presets": [7]}).encode(),
    "no name": json.dumps({"format": FORMAT, "version": 1, "presets": [{"params": {}}]}).encode(),
    "no params": json.dumps({"format": FORMAT, "version": 1, "presets": [{"name": "x"}]}).encode(),
    "range": json.dumps(
        {"format": FORMAT, "version": 1, "presets": [{"name": "x", "params": {"smoothness_sigma": -1}}]}
    ).encode(),
    "unknown": json.dumps({"format": FORMAT, "version": 1, "presets": [{"name": "x", "params": {"w9": 1}}]}).encode(),
    "deep": b"[" * 100_000,
    "large": b" " * (1 << 21),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_file_is_one_clear_sentence_and_changes_nothing(kind: str, store: PresetStore, tmp_path: Path) -> None:
    store.save("soft", SOFT, "")
    path = tmp_path / "bad presets.json"
    path.write_bytes(BAD[kind])
    with pytest.raises(StudioError) as refused:
        store.take_up(path)
    sentence = str(refused.value)
    assert sentence.startswith("bad presets.json: ")
    assert refused.value.hint
    assert "\n" not in sentence
    assert [each.name for each in PresetStore(store.path).load()] == ["soft"]


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StudioError):
        PresetStore(tmp_path / "file" / "crf-presets.json").save("soft", SOFT, "")


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(st.text() | st.sampled_from(["format", "version", "presets", "name", "params"]), inner)
        ),
    )
)
def test_anything_else_is_refused(tmp_path_factory: pytest.TempPathFactory, document: object) -> None:
    path = tmp_path_factory.mktemp("any") / "any.json"
    path.write_text(json.dumps({"format": FORMAT, "version": 1, "presets": [document]}))
    with pytest.raises(StudioError):
        read_presets(path)
