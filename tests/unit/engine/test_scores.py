from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from deeplab_studio.core.geometry import Rect
from deeplab_studio.core.labels import LabelSet
from deeplab_studio.engine.scores import AxisMap, Scores


def scores_of(
    logits: np.ndarray,
    image: tuple[int, int],
    *,
    shown: tuple[int, int] | None = None,
    padded: tuple[int, int] | None = None,
    align_corners: bool = False,
) -> Scores:
    shown = shown or image
    padded = padded or shown
    rows, columns = (
        AxisMap.of_network(
            pixels=image[i],
            shown=shown[i],
            padded=padded[i],
            cells=logits.shape[1 + i],
            align_corners=align_corners,
        )
        for i in (0, 1)
    )
    names = LabelSet.from_names(f"class {i}" for i in range(len(logits)))
    return Scores(logits, rows, columns, image, names, "test")


def random_logits(classes: int, height: int, width: int, seed: int = 0) -> np.ndarray:
    return (3 * np.random.default_rng(seed).standard_normal((classes, height, width))).astype(np.float32)


def upsampled(logits: np.ndarray, size: tuple[int, int], align_corners: bool) -> torch.Tensor:
    batch = torch.from_numpy(logits)[None]
    return functional.interpolate(batch, size, mode="bilinear", align_corners=align_corners)[0]


def every_pixel(scores: Scores) -> np.ndarray:
    height, width = scores.image_size
    return np.stack([[scores.at(y, x) for x in range(width)] for y in range(height)]).transpose(2, 0, 1)


SIZES = [
    ((31, 41), (241, 321)),
    ((16, 20), (121, 160)),
    ((9, 7), (64, 50)),
    ((1, 1), (5, 4)),
    ((4, 1), (30, 3)),
    ((7, 9), (7, 9)),
    ((8, 8), (5, 5)),
]


@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize(("cells", "image"), SIZES)
def test_upsampling_is_torchs(cells: tuple[int, int], image: tuple[int, int], align_corners: bool) -> None:
    logits = random_logits(5, *cells)
    scores = scores_of(logits, image, align_corners=align_corners)
    expected = upsampled(logits, image, align_corners)
    np.testing.assert_allclose(every_pixel(scores), expected.numpy(), atol=1e-4)
    np.testing.assert_allclose(scores.probabilities(), expected.softmax(0).numpy(), atol=1e-5)
    differing = scores.class_map() != expected.argmax(0).numpy()
    top = expected.topk(2, dim=0).values
    assert not (differing & ((top[0] - top[1]).numpy() > 1e-4)).any()


@pytest.mark.parametrize("align_corners", [False, True])
def test_padding_is_cut_off_after_the_upsampling(align_corners: bool) -> None:
    logits = random_logits(4, 65, 65)
    scores = scores_of(logits, (375, 500), padded=(513, 513), align_corners=align_corners)
    expected = upsampled(logits, (513, 513), align_corners)[:, :375, :500]
    # Torch computes where a pixel lies in single precision.
    np.testing.assert_allclose(scores.probabilities(), expected.softmax(0).numpy(), atol=1e-4)


def test_a_resized_photo_gets_its_scores_back_where_they_belong() -> None:
    """A ramp in the resized photo's coordinates is a ramp in the photo's own, pixel centres on pixel centres."""
    shown, image = (80, 120), (40, 240)
    ramp = np.broadcast_to((np.arange(15) + 0.5) * 8, (10, 15)).astype(np.float32)
    scores = scores_of(np.stack([ramp, -ramp]), image, shown=shown)
    row = np.array([scores.at(20, x)[0] for x in range(8, 232)])
    np.testing.assert_allclose(row, (np.arange(8, 232) + 0.5) * 120 / 240, atol=1e-3)


@given(
    classes=st.integers(1, 8),
    cells=st.tuples(st.integers(1, 6), st.integers(1, 6)),
    image=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    align_corners=st.booleans(),
    seed=st.integers(0, 2**16),
)
def test_the_class_map_is_the_argmax_of_the_upsampled_scores(
    classes: int, cells: tuple[int, int], image: tuple[int, int], align_corners: bool, seed: int
) -> None:
    scores = scores_of(random_logits(classes, *cells, seed), image, align_corners=align_corners)
    exact = every_pixel(scores)
    chosen = scores.class_map()
    assert chosen.shape == image
    assert chosen.dtype == np.uint8
    picked = np.take_along_axis(exact, chosen[None].astype(np.intp), 0)[0]
    np.testing.assert_allclose(picked, exact.max(0), atol=1e-4)


def test_a_class_that_wins_only_between_cells_is_found() -> None:
    """Two classes trade places from one cell to the next; a third is second at both and ahead halfway."""
    logits = np.array([[[10.0, 0.0]], [[0.0, 10.0]], [[6.0, 6.0]]], np.float32)
    assert set(scores_of(logits, (1, 20)).class_map().ravel()) == {0, 1, 2}


def test_probabilities_of_some_classes_at_another_size() -> None:
    logits = random_logits(6, 10, 12)
    scores = scores_of(logits, (80, 96))
    expected = upsampled(logits, (40, 48), align_corners=False).softmax(0).numpy()
    np.testing.assert_allclose(scores.probabilities((40, 48), [4, 1]), expected[[4, 1]], atol=1e-5)


def test_padding_before_the_photo_is_cut_off_too() -> None:
    logits = random_logits(4, 16, 16)
    expected = upsampled(logits, (128, 128), align_corners=True)[:, 20:110, 16:128]
    maps = [
        AxisMap.of_network(pixels=n, shown=n, padded=128, cells=16, align_corners=True, before=before)
        for n, before in ((90, 20), (112, 16))
    ]
    names = LabelSet.from_names("abcd")
    scores = Scores(logits, maps[0], maps[1], (90, 112), names, "test")
    np.testing.assert_allclose(every_pixel(scores), expected, atol=5e-5)


def test_probabilities_taken_where_the_network_saw_the_photo_are_resized_to_it() -> None:
    logits = random_logits(5, 12, 16)
    seen = scores_of(logits, (96, 128), align_corners=True)
    outer = scores_of(logits, (61, 77), shown=(96, 128), align_corners=True)
    scores = replace(outer, seen=seen)
    on_input = upsampled(logits, (96, 128), align_corners=True).softmax(0)
    expected = functional.interpolate(on_input[None], (61, 77), mode="bilinear", align_corners=False)[0]
    np.testing.assert_allclose(scores.probabilities(), expected, atol=1e-5)
    np.testing.assert_allclose(scores.probabilities(classes=[3, 1]), expected[[3, 1]], atol=1e-5)
    np.testing.assert_allclose(scores.probabilities().sum(0), 1, atol=1e-5)
    chosen = torch.from_numpy(scores.class_map().astype(np.int64))[None]
    np.testing.assert_allclose(expected.gather(0, chosen)[0], expected.amax(0), atol=1e-5)
    np.testing.assert_array_equal(scores.at(3, 4), outer.at(3, 4))


def test_probabilities_sum_to_one() -> None:
    total = scores_of(random_logits(21, 9, 9), (70, 65)).probabilities().sum(0)
    np.testing.assert_allclose(total, 1, atol=1e-5)


def test_large_logits_do_not_overflow() -> None:
    scores = scores_of(1e4 * random_logits(3, 4, 4), (30, 30))
    assert np.isfinite(scores.probabilities()).all()


def test_active_classes_are_those_seen_somewhere() -> None:
    logits = np.full((5, 8, 8), -20, np.float32)
    logits[1] = 0
    logits[3, 2, 2] = 0.5
    logits[4, 5, 5] = -10
    scores = scores_of(logits, (64, 64))
    assert scores.active_classes(1e-3) == [1, 3]
    assert scores.active_classes(1e-6) == [1, 3, 4]
    peaks = scores.probabilities().max(axis=(1, 2))
    assert scores.active_classes(1e-3) == list(np.flatnonzero(peaks > 1e-3))


def test_a_pixel_outside_is_an_error() -> None:
    scores = scores_of(random_logits(2, 3, 3), (10, 12))
    with pytest.raises(IndexError, match="outside"):
        scores.at(10, 0)


def test_the_class_map_of_a_large_photo_takes_little_memory() -> None:
    code = (
        "import resource, numpy as np\n"
        "from deeplab_studio.engine.scores import AxisMap, Scores\n"
        "from deeplab_studio.core.labels import VOC_LABELS\n"
        "axis = lambda n, c: AxisMap.of_network(pixels=n, shown=n, padded=n, cells=c, align_corners=False)\n"
        "logits = np.random.default_rng(0).standard_normal((21, 65, 98)).astype(np.float32)\n"
        "scores = Scores(logits, axis(4000, 65), axis(6000, 98), (4000, 6000), VOC_LABELS, 'x')\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "labels = scores.class_map()\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, labels.nbytes // 1024)\n"
    )
    if not sys.platform.startswith("linux"):
        pytest.skip("peak memory is read the Linux way")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    grown, result = map(int, done.stdout.split())
    assert grown < result + 64 * 1024  # kilobytes; all scores upsampled would be 2 GB


def test_scores_need_no_torch() -> None:
    code = (
        "import sys; import deeplab_studio.engine; assert 'torch' not in sys.modules and 'PySide6' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_uncertainty_goes_from_certain_to_all_alike() -> None:
    certain = np.full((5, 4, 6), -40, np.float32)
    certain[2] = 40
    assert scores_of(certain, (32, 48)).uncertainty() == pytest.approx(0, abs=1e-6)
    assert scores_of(np.zeros((5, 4, 6), np.float32), (32, 48)).uncertainty() == pytest.approx(1)
    assert scores_of(np.zeros((1, 4, 6), np.float32), (32, 48)).uncertainty() == 0


def test_uncertainty_is_the_mean_entropy_of_the_photo_without_its_padding() -> None:
    logits = np.kron(random_logits(4, 3, 3), np.ones((1, 4, 4), np.float32))
    scores = scores_of(logits, (96, 96))
    probabilities = scores.probabilities().astype(np.float64)
    entropy = -(probabilities * np.log(probabilities)).sum(axis=0).mean() / np.log(4)
    assert scores.uncertainty() == pytest.approx(entropy, abs=0.05)
    logits[:, :, 6:] = 0
    logits[0, :, :6] += 30
    assert scores_of(logits, (96, 44), padded=(96, 96)).uncertainty() < 0.01


def test_a_part_of_the_photo_has_the_scores_it_has_in_the_whole() -> None:
    rng = np.random.default_rng(5)
    rows = AxisMap.of_network(pixels=60, shown=60, padded=64, cells=9, align_corners=True)
    columns = AxisMap.of_network(pixels=80, shown=80, padded=80, cells=11, align_corners=False)
    labels = LabelSet.from_names(["a", "b", "c"])
    whole = Scores(rng.normal(0, 3, (3, 9, 11)).astype(np.float32), rows, columns, (60, 80), labels, "m")
    part = whole.cropped(Rect(13, 7, 50, 80))
    assert part.image_size == (37, 73)
    np.testing.assert_allclose(part.probabilities(), whole.probabilities()[:, 13:50, 7:80], atol=1e-5)
    np.testing.assert_array_equal(part.class_map(), whole.class_map()[13:50, 7:80])
    with pytest.raises(ValueError, match="no part"):
        whole.cropped(Rect(13, 7, 61, 80))
