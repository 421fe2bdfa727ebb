"""The simulated annotator of the benchmark of gestures."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from benchmarks.annotator import Propose, Task, brush, crf_brush, next_gesture, superpixels
from deeplab_studio.core.classmap import ClassMap
from deeplab_studio.core.superpixels import find_superpixels
from deeplab_studio.crf.params import CrfParams
from deeplab_studio.engine.region_refine import Surroundings


@pytest.fixture
def truth() -> np.ndarray:
    """Two things, one with a void rim."""
    labels = np.zeros((90, 120), np.uint8)
    cv2.circle(labels, (40, 45), 27, 255, -1)
    cv2.circle(labels, (40, 45), 25, 3, -1)
    cv2.rectangle(labels, (80, 10), (110, 80), 7, -1)
    return labels


@pytest.fixture
def image(truth: np.ndarray) -> np.ndarray:
    noise = np.random.default_rng(0).integers(0, 12, (*truth.shape, 3), np.uint8)
    return np.stack([30 * truth % 251, 200 - 20 * truth, 11 * truth], axis=2).astype(np.uint8) // 2 + noise


def tools(image: np.ndarray) -> dict[str, Propose]:
    return {
        "brush": brush,
        "superpixels": superpixels(find_superpixels(image, 8)),
        "CRF brush": crf_brush(lambda known: Surroundings(image, known.labels, known.pinned), CrfParams()),
    }


def wrong(task: Task) -> int:
    return int(((task.class_map.labels != task.truth) & (task.truth != 255)).sum())


@pytest.mark.parametrize("name", ["brush", "superpixels", "CRF brush"])
def test_every_gesture_gains_what_it_says_and_the_goal_is_reached(
    name: str, truth: np.ndarray, image: np.ndarray
) -> None:
    task = Task(truth, ClassMap.empty(*truth.shape), goal=0.9)
    gestures = 0
    while not task.reached:
        gesture = next_gesture(task, [brush, tools(image)[name]])
        assert gesture is not None
        before = wrong(task)
        task.do(gesture)
        assert before - wrong(task) == gesture.gain
        gestures += 1
    assert gestures < 40


def test_what_the_crf_adds_is_not_pinned_and_what_the_hand_paints_is(truth: np.ndarray, image: np.ndarray) -> None:
    task = Task(truth, ClassMap.empty(*truth.shape), goal=0.95)
    gesture = next_gesture(task, [tools(image)["CRF brush"]])
    assert gesture is not None
    assert gesture.spread is not None
    task.do(gesture)
    assert task.class_map.pinned.sum() == gesture.patches[0].mask.sum()
    assert task.class_map.pinned.sum() < (task.class_map.labels == gesture.class_id).sum()


def test_void_counts_neither_way_and_a_class_that_is_good_enough_is_left_alone(truth: np.ndarray) -> None:
    labels = truth.copy()
    labels[truth == 255] = 9
    labels[45, 40] = 0
    task = Task(truth, ClassMap(labels), goal=0.95)
    assert task.iou()[7] == 1
    assert task.iou()[3] > 0.99
    assert task.reached
    assert list(task.wrong_pieces()) == []
    assert task.weights(3)[truth == 255].any() == np.False_


def test_where_no_tool_can_gain_anything_there_is_no_gesture(truth: np.ndarray) -> None:
    task = Task(truth, ClassMap.empty(*truth.shape), goal=0.95)
    assert next_gesture(task, [lambda _task, _class, _piece: iter(())]) is None
