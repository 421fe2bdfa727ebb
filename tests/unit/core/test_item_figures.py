"""Figures of a project: counted when a map is saved, compared with the prediction, kept with the project."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from deeplab_studio.core.item_figures import NO_FIGURES, Figures, compare, forget_predictions
from deeplab_studio.core.project import Project


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "photos"
    path.mkdir()
    return path


@pytest.fixture
def project(folder: Path) -> Iterator[Project]:
    with Project.for_folder(folder) as opened:
        yield opened


def add(project: Project, name: str = "a.jpg") -> int:
    return project.add([project.root / name])[0].id


def labels(*rows: str) -> np.ndarray:
    return np.array([[255 if cell == "v" else int(cell) for cell in row] for row in rows], np.uint8)


def test_a_saved_map_is_counted_and_counted_again(project: Project) -> None:
    item = add(project)
    assert project.figures.of(item) == NO_FIGURES
    project.save_map(item, labels("001v", "0011"), None)
    assert project.figures.of(item).pixels == {0: 4, 1: 3, 255: 1}
    assert project.figures.of(item).total == 8
    project.save_map(item, labels("2222", "2222"), None)
    assert project.figures.of(item).pixels == {2: 8}
    assert project.figures.all() == {item: project.figures.of(item)}


def test_what_differs_from_the_prediction_is_known_whichever_is_saved_first(project: Project) -> None:
    first, second = add(project), add(project, "b.jpg")
    now, predicted = labels("0012", "v012"), labels("0000", "0000")
    pinned = now == 2
    project.save_map(first, now, pinned)
    project.figures.save_prediction(first, predicted, "net", 0.25)
    project.figures.save_prediction(second, predicted, "net", 0.25)
    project.save_map(second, now, pinned)
    figures = project.figures.of(first)
    assert figures == project.figures.of(second)
    assert (figures.uncertainty, figures.model) == (0.25, "net")
    assert figures.disagreement == pytest.approx(4 / 7)
    assert figures.changed == 2
    assert np.array_equal(project.figures.prediction(first), predicted)


def test_another_prediction_is_compared_anew_and_the_same_one_is_not_written_again(project: Project) -> None:
    item = add(project)
    project.save_map(item, labels("11"), None)
    told: list[tuple[int, Figures]] = []
    project.figures.changed = lambda *what: told.append(what)
    assert project.figures.save_prediction(item, labels("01"), "net", 0.5)
    assert told == [(item, project.figures.of(item))]
    assert not project.figures.save_prediction(item, labels("01"), "net", 0.5)
    assert len(told) == 1
    assert project.figures.save_prediction(item, labels("11"), "better net", 0.1)
    assert project.figures.of(item).disagreement == 0
    assert project.figures.of(item).model == "better net"


def test_a_prediction_of_another_size_is_not_compared(project: Project) -> None:
    item = add(project)
    project.figures.save_prediction(item, labels("00"), "net", 0.5)
    project.save_map(item, labels("000"), None)
    assert project.figures.of(item).disagreement is None
    project.figures.save_prediction(item, labels("0"), "net", 0.5)
    assert project.figures.of(item).changed is None
    assert project.figures.of(item).uncertainty == 0.5


def test_looking_counting_and_waiting_begin_no_project_file_but_are_in_it_once_there_is_one(folder: Path) -> None:
    with Project.for_folder(folder) as project:
        item, other = add(project), add(project, "b.jpg")
        project.figures.save_prediction(item, labels("01"), "net", 0.5)
        project.figures.add_seconds({item: 3.0})
        project.figures.count(other, labels("77v"))
        assert not project.is_on_disk
        project.set_state(item, "done")
    with Project.for_folder(folder) as project:
        assert project.figures.of(item).uncertainty == 0.5
        assert project.figures.of(item).seconds == 3.0
        assert project.figures.all()[other].pixels == {7: 2, 255: 1}


def test_time_adds_up(project: Project) -> None:
    item, other = add(project), add(project, "b.jpg")
    project.figures.add_seconds({item: 3.0})
    project.figures.add_seconds({item: 1.5, other: 2.0})
    project.save_map(item, labels("0"), None)
    assert project.figures.of(item).seconds == 4.5
    assert project.figures.of(other).seconds == 2.0


def test_predictions_can_be_forgotten_when_class_ids_move(project: Project) -> None:
    item = add(project)
    project.save_map(item, labels("01"), None)
    project.figures.save_prediction(item, labels("00"), "net", 0.5)
    project.figures.add_seconds({item: 1.0})
    with project._writing() as connection:
        forget_predictions(connection)
    assert project.figures.of(item) == Figures({0: 1, 1: 1}, seconds=1.0)
    assert project.figures.prediction(item) is None


def test_a_damaged_prediction_is_as_good_as_none(project: Project) -> None:
    item = add(project)
    project.figures.save_prediction(item, labels("00"), "net", 0.5)
    with project._writing() as connection:
        connection.execute("UPDATE predictions SET labels = x'0102'")
    assert project.figures.prediction(item) is None
    project.save_map(item, labels("01"), None)
    assert project.figures.of(item).disagreement is None


@pytest.mark.parametrize("uncertainty", [-0.1, 1.1, float("nan")])
def test_an_uncertainty_is_a_share(project: Project, uncertainty: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        project.figures.save_prediction(add(project), labels("0"), "net", uncertainty)


def test_states_of_many_items_are_saved_at_once_or_not_at_all(project: Project) -> None:
    ids = [add(project, f"{n}.jpg") for n in range(5)]
    project.set_states(ids[:3], "reviewed")
    assert [item.state for item in project.items()] == ["reviewed"] * 3 + ["new"] * 2
    with pytest.raises(KeyError):
        project.set_states([ids[4], 999], "done")
    assert project.item(ids[4]).state == "new"


MAPS = hnp.arrays(np.uint8, (3, 5), elements=st.sampled_from([0, 1, 2, 255]))


@given(now=MAPS, predicted=MAPS, pinned=hnp.arrays(np.bool_, (3, 5)))
def test_the_comparison_is_what_its_words_say(now: np.ndarray, predicted: np.ndarray, pinned: np.ndarray) -> None:
    decided = now != 255
    expected = (now != predicted)[decided].mean() if decided.any() else 0
    assert compare(now, pinned, predicted) == (pytest.approx(expected), ((now != predicted) & pinned).sum())


def test_the_comparison_of_a_large_map_is_the_same_strip_by_strip(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    now, predicted = rng.integers(0, 3, (2, 50, 41), dtype=np.uint8)
    pinned = rng.random(now.shape) < 0.5
    whole = compare(now, pinned, predicted)
    monkeypatch.setattr("deeplab_studio.core.item_figures._STRIP_PIXELS", 100)
    assert compare(now, pinned, predicted) == whole
    with pytest.raises(ValueError, match="prediction"):
        compare(now, None, predicted[1:])
