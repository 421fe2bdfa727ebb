"""Photos too large for the memory are refined at a reduced size."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from deeplab_studio.core.labels import LabelSet
from deeplab_studio.crf import Backend, crf_backend, reference_available
from deeplab_studio.crf.params import CrfParams
from deeplab_studio.engine.refiner import EXACT_BYTES, Refiner, _scale_within, bytes_per_pixel
from deeplab_studio.engine.scores import AxisMap, Scores

HEIGHT, WIDTH = 120, 160


def scene() -> tuple[np.ndarray, Scores]:
    """A disc, and scores that know roughly where it is."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    disc = (rows - 60) ** 2 + (columns - 80) ** 2 < 40**2
    photo = np.where(disc[..., None], (200, 60, 40), (40, 90, 160)).astype(np.uint8)
    coarse = cv2.resize(disc.astype(np.float32), (20, 15), interpolation=cv2.INTER_AREA)
    logits = np.stack([2 - 4 * coarse, 4 * coarse - 2, np.full_like(coarse, -30)])
    axis = AxisMap.of_network(pixels=HEIGHT, shown=HEIGHT, padded=HEIGHT, cells=15, align_corners=False)
    labels = LabelSet.from_names(["background", "disc", "never"])
    return photo, Scores(logits.astype(np.float32), axis, axis, (HEIGHT, WIDTH), labels, "test")


def test_a_photo_that_fits_is_refined_at_its_own_size() -> None:
    refiner = Refiner(*scene())
    assert refiner.scale == 1.0
    assert refiner.refine(CrfParams()).shape == (HEIGHT, WIDTH)


def test_a_photo_that_does_not_fit_is_refined_smaller_and_almost_alike() -> None:
    photo, scores = scene()
    exact = Refiner(photo, scores).refine(CrfParams(appearance_position_sigma=20))
    wanted = HEIGHT * WIDTH * bytes_per_pixel(crf_backend(), 2)
    bounded = Refiner(photo, scores, exact_bytes=wanted // 4)
    assert 0.35 < bounded.scale < 0.5
    labels = bounded.refine(CrfParams(appearance_position_sigma=20))
    assert labels.shape == (HEIGHT, WIDTH)
    assert set(np.unique(labels)) == {0, 1}
    assert np.mean(labels != exact) < 0.02
    assert bounded._stages[False].size == (round(HEIGHT * bounded.scale), round(WIDTH * bounded.scale))


def test_a_photo_of_twelve_megapixels_is_exact_with_ten_classes_and_one_of_a_hundred_is_not() -> None:
    for pixels, classes, exact in ((12_000_000, 10, True), (12_000_000, 21, False), (100_000_000, 2, False)):
        scale = _scale_within(EXACT_BYTES, pixels, bytes_per_pixel("kernel", classes))
        assert (scale == 1) == exact
        assert pixels * scale**2 * bytes_per_pixel("kernel", classes) <= EXACT_BYTES


@pytest.mark.parametrize("engine", ["torch", "reference"])
def test_engines_that_take_more_memory_work_at_a_smaller_size(engine: Backend) -> None:
    photo, scores = scene()
    if engine == "reference" and not reference_available():
        pytest.skip("pydensecrf2 is not installed")
    limit = HEIGHT * WIDTH * bytes_per_pixel("kernel", 2)
    assert Refiner(photo, scores, exact_bytes=limit, engine=engine).scale < 1


def test_decided_pixels_count_at_the_reduced_size_too() -> None:
    photo, scores = scene()
    evidence = np.full((HEIGHT, WIDTH), -1, np.int16)
    evidence[:20, :20] = 2
    bounded = Refiner(photo, scores, exact_bytes=HEIGHT * WIDTH * bytes_per_pixel(crf_backend(), 2) // 4)
    labels = bounded.refine(CrfParams(), evidence)
    assert (labels[2:17, 2:17] == 2).all()
