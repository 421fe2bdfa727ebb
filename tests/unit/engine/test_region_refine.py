"""The CRF brush on photos whose truth is known."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from deeplab_studio.core.cancel import Cancelled, CancelToken
from deeplab_studio.core.drawing import Patch, Stamp, sweep
from deeplab_studio.core.labels import VOC_LABELS, ClassMapping, LabelSet
from deeplab_studio.crf import CrfParams
from deeplab_studio.engine.region_refine import Surroundings, redecide
from deeplab_studio.engine.scores import AxisMap, Scores

HEIGHT, WIDTH = 150, 200
DOG = 12


def photo_and_truth() -> tuple[np.ndarray, np.ndarray]:
    """A noisy photo of a red disc on green, and where the disc is."""
    truth = cv2.circle(np.zeros((HEIGHT, WIDTH), np.uint8), (90, 75), 40, 1, -1).astype(bool)
    photo = np.where(truth[..., None], (190, 80, 70), (70, 120, 80)) + np.random.default_rng(2).normal(
        0, 8, (HEIGHT, WIDTH, 3)
    )
    return photo.clip(0, 255).astype(np.uint8), truth


def scribble() -> Patch:
    return sweep(Stamp(65, 75, 5), Stamp(115, 75, 5), "round", (HEIGHT, WIDTH))


def drawn(patch: Patch) -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[patch.top : patch.top + patch.mask.shape[0], patch.left : patch.left + patch.mask.shape[1]] = patch.mask
    return mask


def overlap(here: np.ndarray, there: np.ndarray) -> float:
    return float((here & there).sum() / (here | there).sum())


def unsure_scores(label_set: LabelSet = VOC_LABELS) -> Scores:
    """A model that takes everything for background, a little."""
    logits = np.zeros((len(label_set), 10, 13), np.float32)
    logits[0] = 4.0
    rows, columns = (
        AxisMap.of_network(pixels=pixels, shown=pixels, padded=pixels, cells=cells, align_corners=False)
        for pixels, cells in ((HEIGHT, 10), (WIDTH, 13))
    )
    return Scores(logits, rows, columns, (HEIGHT, WIDTH), label_set, "made by hand")


def known(*, pinned: np.ndarray | None = None, scores: Scores | None = None) -> Surroundings:
    photo, _ = photo_and_truth()
    mapping = ClassMapping.between(scores.label_set, VOC_LABELS) if scores else None
    nothing = np.zeros((HEIGHT, WIDTH), np.uint8)
    return Surroundings(photo, nothing, nothing.astype(bool) if pinned is None else pinned, scores, mapping)


@pytest.mark.parametrize("scores", [None, unsure_scores(), unsure_scores(LabelSet.from_names(["background", "sky"]))])
@pytest.mark.parametrize("max_pixels", [500_000, 6000])
def test_a_scribble_takes_the_shape_it_lies_in(scores: Scores | None, max_pixels: int) -> None:
    _, truth = photo_and_truth()
    found = drawn(redecide(known(scores=scores), scribble(), DOG, CrfParams(), reach=1.0, max_pixels=max_pixels))
    assert overlap(found, truth) > (0.93 if max_pixels > 10_000 else 0.85)
    assert found[drawn(scribble())].all()


def test_pinned_pixels_stay_and_hold_against_the_scribble() -> None:
    pinned = np.zeros((HEIGHT, WIDTH), bool)
    pinned[85:110, 50:130] = True
    found = drawn(redecide(known(pinned=pinned), scribble(), DOG, CrfParams(), reach=1.0))
    assert not found[pinned].any()
    assert found[60:70, 80:100].all()
    across = sweep(Stamp(90, 50, 5), Stamp(90, 100, 5), "round", (HEIGHT, WIDTH))
    found = drawn(redecide(known(pinned=pinned), across, DOG, CrfParams(), reach=1.0))
    assert found[drawn(across)].all()  # the scribble itself is a person's word
    np.testing.assert_array_equal(found & pinned, drawn(across) & pinned)


def test_what_does_not_hold_together_with_the_scribble_stays() -> None:
    photo, truth = photo_and_truth()
    other = cv2.circle(np.zeros((HEIGHT, WIDTH), np.uint8), (165, 75), 15, 1, -1).astype(bool)
    photo[other] = (190, 80, 70)
    around = Surroundings(photo, np.zeros((HEIGHT, WIDTH), np.uint8), np.zeros((HEIGHT, WIDTH), bool))
    found = drawn(redecide(around, scribble(), DOG, CrfParams(), reach=3.0))
    assert not found[other].any()
    assert found[truth].mean() > 0.9


def test_void_can_be_scribbled_and_a_class_the_model_does_not_know() -> None:
    _, truth = photo_and_truth()
    for class_id in (255, 200):
        found = drawn(redecide(known(scores=unsure_scores()), scribble(), class_id, CrfParams(), reach=1.0))
        assert overlap(found, truth) > 0.9


def test_a_scribble_at_the_rim_or_outside() -> None:
    rim = sweep(Stamp(-20, 3, 9), Stamp(10, 3, 9), "round", (HEIGHT, WIDTH))
    assert redecide(known(), rim, DOG, CrfParams()).mask.any()
    assert redecide(known(), Patch(-50, -50, np.ones((4, 4), bool)), DOG, CrfParams()).mask.size == 0
    assert redecide(known(), Patch(5, 5, np.zeros((4, 4), bool)), DOG, CrfParams()).mask.size == 0


def test_it_stops_when_asked_to() -> None:
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        redecide(known(), scribble(), DOG, CrfParams(), cancel=token)
