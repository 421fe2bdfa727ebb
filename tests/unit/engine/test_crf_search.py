"""Searching CRF parameters: the grid, the score, the order, and whether it finds what is there."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from deeplab_studio.core.cancel import Cancelled, CancelToken
from deeplab_studio.core.labels import ClassMapping, LabelSet
from deeplab_studio.core.metrics import ConfusionMatrix
from deeplab_studio.crf.params import CrfParams
from deeplab_studio.crf.sizes import on_photo
from deeplab_studio.engine import crf_search
from deeplab_studio.engine.crf_search import Axis, Found, Sample, Trial, default_axes, search, trial_count
from deeplab_studio.engine.refiner import Refiner
from deeplab_studio.engine.scores import AxisMap, Scores

LABELS = LabelSet.from_names(["background", "disc", "bar"])
START = CrfParams(0.5, 20, 2, 0.5, 1, iterations=5)


def make_sample(seed: int, height: int = 60, width: int = 80) -> Sample:
    """A disc and a bar in colours of their own; coarse, shifted scores that only the colours can put right."""
    rng = np.random.default_rng(seed)
    truth = np.zeros((height, width), np.uint8)
    cv2.circle(truth, (int(rng.integers(20, 40)), int(rng.integers(20, 40))), 13, 1, -1)
    cv2.rectangle(truth, (55, 10), (70, 50), 2, -1)
    colours = np.array([(60, 90, 60), (200, 60, 60), (70, 70, 210)], np.float32)
    photo = np.clip(colours[truth] + rng.normal(0, 6, (height, width, 3)), 0, 255).astype(np.uint8)
    planes = [
        cv2.resize((np.roll(truth, 3, axis=1) == i).astype(np.float32), (10, 8), interpolation=cv2.INTER_AREA)
        for i in range(3)
    ]
    logits = np.log(np.stack(planes) + 0.05).astype(np.float32)
    rows, columns = (
        AxisMap.of_network(pixels=pixels, shown=pixels, padded=pixels, cells=cells, align_corners=False)
        for pixels, cells in ((height, 8), (width, 10))
    )
    truth[0] = 255
    scores = Scores(logits, rows, columns, (height, width), LABELS, "test")
    return Sample(f"photo {seed}", photo, scores, truth, ClassMapping.between(LABELS, LABELS))


@pytest.fixture(scope="module")
def samples() -> list[Sample]:
    return [make_sample(seed) for seed in range(3)]


AXES = (Axis("appearance_weight", 0.5, 8), Axis("appearance_colour_sigma", 2, 40, log=True))


def test_it_finds_parameters_that_are_better_than_where_it_began(samples: list[Sample]) -> None:
    found = search(samples, START, AXES, 3, rounds=2)
    assert found.start.params == START
    assert found.best.miou > found.start.miou + 0.02
    assert found.best.miou > found.without
    assert found.best.params.smoothness_weight == START.smoothness_weight  # what is not searched stays
    assert len({trial.params for trial in found.trials}) == len(found.trials) <= 1 + trial_count(AXES, 2)


def test_it_is_the_same_every_time(samples: list[Sample]) -> None:
    assert search(samples, START, AXES, 3, rounds=2) == search(samples, START, AXES, 3, rounds=2)


def test_every_figure_is_that_of_the_parameters_alone(samples: list[Sample]) -> None:
    found = search(samples, START, AXES, 3, rounds=1)
    for trial in (found.start, found.trials[3], found.best):
        matrix = ConfusionMatrix(3)
        for sample in samples:
            matrix.add(sample.truth, sample.refined(trial.params))
        assert trial.miou == matrix.miou()
    matrix = ConfusionMatrix(3)
    for sample in samples:
        matrix.add(sample.truth, sample.refined(replace(START, iterations=0)))
    assert found.without == matrix.miou()


def test_later_rounds_look_closer_around_the_best(samples: list[Sample]) -> None:
    seen: list[Found] = []
    fractions: list[float] = []

    def progress(fraction: float, found: Found) -> None:
        fractions.append(fraction)
        seen.append(found)

    found = search(samples, START, AXES, 3, rounds=3, progress=progress)
    assert fractions == sorted(fractions)
    assert fractions[0] == 0
    assert fractions[-1] == 1
    assert seen[-1] == found
    first_round = {trial.params.appearance_weight for trial in found.trials[:9]}
    assert first_round == {0.5, 4.25, 8}
    assert len({trial.params.appearance_weight for trial in found.trials}) > 3


def test_values_of_a_round() -> None:
    axis = Axis("appearance_weight", 0, 8, 3)
    assert axis.values(None, 0) == [0, 4, 8]
    assert axis.values(4, 1) == [2, 4, 6]
    assert axis.values(8, 1) == [6, 7, 8]
    assert axis.values(8, 2) == [7, 7.5, 8]
    log = Axis("appearance_position_sigma", 10, 1000, 3, log=True)
    assert log.values(None, 0) == [10, 100, 1000]
    assert log.values(100, 1) == [31.6, 100, 316]


def test_a_centre_outside_the_range_is_tried_again() -> None:
    assert 20 in Axis("appearance_weight", 0, 8, 3).values(20, 1)


@pytest.mark.parametrize(
    "wrong", [("a", 1, 1, 3, False), ("a", 2, 1, 3, False), ("a", 0, 1, 3, True), ("a", 0, 1, 1, False)]
)
def test_ranges_that_are_none_are_refused(wrong: tuple[str, float, float, int, bool]) -> None:
    with pytest.raises(ValueError, match="no range"):
        Axis(*wrong)


def test_the_default_ranges_hold_what_was_published() -> None:
    from deeplab_studio.crf.presets import PRESETS

    for axis in default_axes():
        for preset in PRESETS:
            if preset.id != "v1-largefov-port":
                assert axis.low <= getattr(preset.params, axis.field) <= axis.high


def test_large_photos_are_searched_on_at_a_reduced_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crf_search, "SAMPLE_PIXELS", 1200)
    small = make_sample(0)
    assert small.truth.shape == (30, 40)
    assert small.refined(START).shape == (30, 40)
    assert set(np.unique(small.truth)) <= {0, 1, 2, 255}


def test_parameters_are_relative_to_the_photo(samples: list[Sample]) -> None:
    sample = samples[0]
    wide = replace(START, appearance_weight=4, appearance_position_sigma=120)
    alone = Refiner(sample._refiner._image, sample._refiner.scores).refine(on_photo(wide, 60, 80))
    np.testing.assert_array_equal(sample.refined(wide), alone)


def test_cancelled(samples: list[Sample]) -> None:
    token = CancelToken()

    def progress(_fraction: float, found: Found) -> None:
        if len(found.trials) > 3:
            token.cancel()

    with pytest.raises(Cancelled):
        search(samples, START, AXES, 3, cancel=token, progress=progress)


def test_nothing_to_search_is_refused(samples: list[Sample]) -> None:
    for arguments in (([], START, AXES, 3), (samples, START, (), 3)):
        with pytest.raises(ValueError, match="needs"):
            search(*arguments)


def test_the_first_of_equals_is_the_best() -> None:
    trials = tuple(Trial(replace(START, appearance_weight=w), 0.5) for w in (1, 2))
    assert Found(0.4, trials[0], trials).best is trials[0]
