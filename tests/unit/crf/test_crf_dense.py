from __future__ import annotations

import threading
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from deeplab_studio.core.cancel import Cancelled, CancelToken
from deeplab_studio.crf import PRESETS, CrfParams, DenseCRF, Unaries, crf_backend
from tests.unit.crf.crf_kit import (
    ENGINES,
    brute_force_marginals,
    picture,
    probabilities,
    pydensecrf_marginals,
)

every_engine = pytest.mark.parametrize("engine", ENGINES)


# --- Equal to pydensecrf --------------------------------------------------------------------------------------------


@every_engine
@pytest.mark.parametrize("preset", PRESETS, ids=[preset.id for preset in PRESETS])
def test_every_preset_equals_pydensecrf(engine, preset):
    image, p = picture(90, 121, seed=1), probabilities(90, 121, 21, seed=1)
    expected = pydensecrf_marginals(image, p, preset.params)
    q = DenseCRF(image, engine).infer(p, preset.params)
    assert np.abs(q - expected).max() <= 1e-4
    assert (q.argmax(axis=0) == expected.argmax(axis=0)).mean() >= 0.9999


@every_engine
@pytest.mark.parametrize("normalization", ["symmetric", "after"])
@pytest.mark.parametrize("labels", [2, 3, 4, 5, 6, 8, 13, 22, 23, 60])
def test_every_number_of_labels_equals_pydensecrf(engine, labels, normalization):
    image, p = picture(53, 47), probabilities(53, 47, labels)
    params = CrfParams(4, 30, 8, 3, 2, 5, normalization)
    q = DenseCRF(image, engine).infer(p, params)
    assert np.abs(q - pydensecrf_marginals(image, p, params)).max() <= 1e-4


@every_engine
@settings(max_examples=40)
@given(
    size=st.tuples(st.integers(1, 14), st.integers(1, 14)),
    labels=st.integers(2, 6),
    seed=st.integers(0, 1000),
    darkness=st.sampled_from([1, 4, 60, 256]),
    sigmas=st.tuples(st.floats(0.5, 150), st.floats(0.5, 40), st.floats(0.5, 20)),
    weights=st.tuples(st.floats(0, 10), st.floats(0, 10)),
    normalization=st.sampled_from(["symmetric", "after"]),
)
def test_any_small_picture_equals_pydensecrf(engine, size, labels, seed, darkness, sigmas, weights, normalization):
    rng = np.random.default_rng(seed)
    image = (rng.integers(0, 256, (*size, 3)) // darkness).astype(np.uint8)
    p = np.ascontiguousarray(rng.dirichlet(np.ones(labels), size).transpose(2, 0, 1), np.float32)
    params = CrfParams(weights[0], sigmas[0], sigmas[1], weights[1], sigmas[2], 4, normalization)
    q = DenseCRF(image, engine).infer(p, params)
    assert np.abs(q - pydensecrf_marginals(image, p, params)).max() <= 1e-4


@every_engine
def test_labels_that_occur_nowhere_change_nothing(engine):
    """Labels at or below the clip share one channel; pydensecrf carries each of them."""
    image, few = picture(60, 80), probabilities(60, 80, 3)
    p = np.zeros((21, 60, 80), np.float32)
    p[[0, 7, 15]] = few
    params = CrfParams(4, 49, 5, 3, 3, 10)
    expected = pydensecrf_marginals(image, p, params)
    q = DenseCRF(image, engine).infer(p, params)
    assert np.abs(q - expected).max() <= 1e-4
    assert (q.argmax(axis=0) == expected.argmax(axis=0)).all()
    assert np.array_equal(q[1], q[20])


@every_engine
def test_real_photos_equal_pydensecrf(engine, shared):
    from PIL import Image

    folder = shared / "data" / "voc"
    for name in ("2007_000129", "2007_000464"):
        image = np.asarray(Image.open(folder / "JPEGImages" / f"{name}.jpg").convert("RGB"))[:200, :301]
        p = probabilities(*image.shape[:2], 5)
        for params in (PRESETS[0].params, PRESETS[1].params):
            expected = pydensecrf_marginals(image, p, params)
            q = DenseCRF(image, engine).infer(p, params)
            assert np.abs(q - expected).max() <= 1e-4
            assert (q.argmax(axis=0) == expected.argmax(axis=0)).mean() >= 0.9999


@every_engine
@pytest.mark.parametrize("normalization", ["symmetric", "after"])
def test_the_lattice_approximates_the_sum_over_all_pairs(engine, normalization):
    image, p = picture(18, 23), probabilities(18, 23, 3, sharpness=1.0)
    params = CrfParams(3, 12, 25, 2, 2, 5, normalization)
    expected = brute_force_marginals(image, p, params)
    q = DenseCRF(image, engine).infer(p, params)
    assert np.abs(q - expected).mean() < 0.02
    assert (q.argmax(axis=0) == expected.argmax(axis=0)).mean() > 0.97
    # Both are far from where they started, so the closeness is the filter's.
    assert np.abs(q - p).mean() > 0.1


@pytest.mark.skipif(crf_backend() != "kernel", reason="no compiled kernel")
@pytest.mark.parametrize("threads", [1, 2, 3, 8])
def test_both_engines_agree_at_any_number_of_threads(threads):
    image, p = picture(150, 211), probabilities(150, 211, 4)
    pinned = np.full((150, 211), -1, np.int16)
    pinned[20:40, 30:60] = 2
    for params in (CrfParams(), CrfParams(4, 121, 5, 3, 3, 6, "after")):
        expected = DenseCRF(image, "torch").infer(p, params, pinned)
        q = DenseCRF(image, "kernel", threads=threads).infer(p, params, pinned)
        assert np.abs(q - expected).max() <= 1e-4


# --- Decided pixels -------------------------------------------------------------------------------------------------


@every_engine
def test_decided_pixels_never_change(engine):
    image, p = picture(40, 50), probabilities(40, 50, 4)
    rng = np.random.default_rng(5)
    pinned = np.where(rng.random((40, 50)) < 0.2, rng.integers(0, 4, (40, 50)), -1).astype(np.int16)
    seen = []
    q = DenseCRF(image, engine).infer(p, CrfParams(), pinned, on_iteration=lambda i, q: seen.append(q))
    decided = pinned >= 0
    one_hot = np.eye(4, dtype=np.float32)[:, pinned[decided]]
    assert all(np.array_equal(step[:, decided], one_hot) for step in [*seen, q])


@every_engine
def test_decided_pixels_pull_their_neighbours(engine):
    image = np.full((30, 30, 3), 120, np.uint8)
    p = np.full((2, 30, 30), 0.5, np.float32)
    p[0] += 0.1
    p[1] -= 0.1
    pinned = np.full((30, 30), -1, np.int16)
    pinned[5:25, 5:25] = 1
    params = CrfParams(4, 20, 10, 3, 3, 10)
    crf = DenseCRF(image, engine)
    assert (crf.infer(p, params).argmax(axis=0) == 0).all()
    assert (crf.infer(p, params, pinned).argmax(axis=0) == 1).sum() > (pinned >= 0).sum()


@every_engine
def test_decided_pixels_work_as_in_the_sum_over_all_pairs(engine):
    image, p = picture(16, 20), probabilities(16, 20, 3, sharpness=1.0)
    pinned = np.full((16, 20), -1, np.int16)
    pinned[3:8, 4:9] = 2
    params = CrfParams(3, 12, 25, 2, 2, 5)
    expected = brute_force_marginals(image, p, params, pinned)
    assert np.abs(DenseCRF(image, engine).infer(p, params, pinned) - expected).mean() < 0.02


@every_engine
def test_a_decided_label_may_be_one_that_the_network_excludes(engine):
    image = picture(20, 20)
    p = np.zeros((5, 20, 20), np.float32)
    p[0] = 1
    pinned = np.full((20, 20), -1, np.int8)
    pinned[4, 4] = 3
    q = DenseCRF(image, engine).infer(p, CrfParams(), pinned)
    assert q[3, 4, 4] == 1
    assert q[:, 4, 4].sum() == 1


# --- Unary terms made once, labels instead of marginals -------------------------------------------------------------


@every_engine
@pytest.mark.parametrize("size", [(40, 48), (37, 45)], ids=["whole blocks", "a rest"])
@pytest.mark.parametrize("iterations", [0, 1, 4])
def test_labels_are_the_likeliest_and_unaries_give_what_probabilities_give(engine, size, iterations):
    image = picture(*size)
    pinned = np.full(size, -1, np.int16)
    pinned[3:9, 4:20] = 6
    for p in (probabilities(*size, 3), np.insert(probabilities(*size, 5), [0, 2, 2, 5], np.float32(0), axis=0)):
        pins = pinned if len(p) > 6 else None
        params = CrfParams(3, 20, 20, 2, 2, iterations)
        crf, unaries = DenseCRF(image, engine), Unaries.of(p)
        q = crf.infer(p, params, pins)
        assert np.allclose(crf.infer(unaries, params, pins), q, atol=1e-5)
        labels = crf.labels(p, params, pins)
        assert labels.dtype == np.uint8
        assert np.array_equal(labels, q.argmax(axis=0))
        assert np.array_equal(crf.labels(unaries, params, pins), crf.infer(unaries, params, pins).argmax(axis=0))


@every_engine
def test_of_equally_likely_labels_the_first_is_taken(engine):
    p = np.full((4, 9, 10), 0.3, np.float32)
    p[0] = 0.1
    assert (DenseCRF(np.zeros((9, 10, 3), np.uint8), engine).labels(p) == 1).all()
    nowhere = np.zeros((3, 9, 10), np.float32)
    assert (DenseCRF(np.zeros((9, 10, 3), np.uint8), engine).labels(nowhere) == 0).all()


@every_engine
def test_labels_can_be_cancelled(engine):
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        DenseCRF(picture(9, 10), engine).labels(probabilities(9, 10, 2), cancel=token)


def test_unaries_leave_the_probabilities_alone_unless_they_may_use_them():
    p = probabilities(20, 21, 3)
    p[0, 3, 3] = np.nan
    before = p.copy()
    unaries = Unaries.of(p)
    assert np.array_equal(p, before, equal_nan=True)
    assert np.allclose(unaries.logs, np.log(np.nan_to_num(before).clip(1e-5, 1)))
    clean = probabilities(20, 21, 3)
    assert Unaries.of(clean, in_place=True).logs is clean
    with pytest.raises(ValueError, match="apply softmax"):
        Unaries.of(clean)
    with pytest.raises(ValueError, match="the picture needs"):
        DenseCRF(picture(20, 22)).infer(unaries)


# --- Lattices are kept ----------------------------------------------------------------------------------------------


@every_engine
def test_a_kept_lattice_gives_the_same_bits_as_a_new_one(engine):
    image = picture(70, 83)
    crf = DenseCRF(image, engine)
    pinned = np.full((70, 83), -1, np.int16)
    pinned[:5] = 1
    for labels, pins, params in [
        (3, None, CrfParams()),
        (3, None, CrfParams(appearance_weight=9, iterations=3)),
        (21, None, CrfParams(appearance_weight=2)),
        (2, None, CrfParams(appearance_position_sigma=30)),
        (3, None, CrfParams(smoothness_sigma=4)),
        (3, pinned, CrfParams(smoothness_sigma=4, normalization="after")),
        (6, None, CrfParams(smoothness_weight=0)),
        (3, None, CrfParams(appearance_weight=0)),
        (3, None, CrfParams()),
    ]:
        p = probabilities(70, 83, labels)
        assert np.array_equal(crf.infer(p, params, pins), DenseCRF(image, engine).infer(p, params, pins))


@every_engine
def test_a_prepared_lattice_gives_the_same_bits(engine):
    image, p = picture(40, 40), probabilities(40, 40, 3)
    crf = DenseCRF(image, engine)
    crf.prepare(CrfParams())
    assert np.array_equal(crf.infer(p, CrfParams()), DenseCRF(image, engine).infer(p, CrfParams()))


@every_engine
def test_every_iteration_is_shown_and_is_what_a_shorter_run_gives(engine):
    image, p = picture(40, 44), probabilities(40, 44, 3)
    crf = DenseCRF(image, engine)
    seen = {}
    q = crf.infer(p, CrfParams(iterations=4), on_iteration=lambda i, q: seen.update({i: q}))
    assert list(seen) == [1, 2, 3, 4]
    assert np.array_equal(seen[4], q)
    for i in (1, 2, 3):
        assert np.array_equal(seen[i], crf.infer(p, CrfParams(iterations=i)))


@every_engine
def test_no_iteration_gives_the_probabilities_back(engine):
    p = probabilities(20, 30, 5).clip(1e-3, 1)
    p /= p.sum(axis=0)
    assert np.allclose(DenseCRF(picture(20, 30), engine).infer(p, CrfParams(iterations=0)), p, atol=1e-6)


@every_engine
def test_without_weights_nothing_changes(engine):
    p = probabilities(20, 30, 5).clip(1e-3, 1)
    p /= p.sum(axis=0)
    q = DenseCRF(picture(20, 30), engine).infer(p, CrfParams(appearance_weight=0, smoothness_weight=0))
    assert np.allclose(q, p, atol=1e-6)


@every_engine
def test_a_smaller_picture_with_scaled_sigmas_behaves_like_the_whole_one(engine):
    import cv2

    image, p = picture(240, 320, noise=4), probabilities(240, 320, 3)
    params = CrfParams(4, 60, 10, 3, 4, 10)
    whole = DenseCRF(image, engine).infer(p, params)
    small_image = cv2.resize(image, (160, 120), interpolation=cv2.INTER_AREA)
    small_p = np.stack([cv2.resize(plane, (160, 120), interpolation=cv2.INTER_AREA) for plane in p])
    whole_small = np.stack([cv2.resize(plane, (160, 120), interpolation=cv2.INTER_AREA) for plane in whole])
    crf = DenseCRF(small_image, engine)
    share = {
        name: (crf.infer(small_p, chosen).argmax(axis=0) == whole_small.argmax(axis=0)).mean()
        for name, chosen in (("scaled", params.scaled(0.5)), ("unscaled", params))
    }
    assert share["scaled"] > 0.98
    assert share["scaled"] > share["unscaled"]


# --- Input ----------------------------------------------------------------------------------------------------------


@every_engine
@settings(max_examples=40)
@given(
    p=st.tuples(st.integers(1, 5), st.integers(1, 7), st.integers(1, 7)).flatmap(
        lambda shape: arrays.arrays(
            np.float32,
            shape,
            elements=st.one_of(st.floats(0, 1, width=32), st.sampled_from([0.0, 1.0, float("nan"), 1e-7, 1e-30])),
        )
    ),
    sigmas=st.tuples(st.floats(0.5, 1e5), st.floats(0.5, 1e4), st.floats(0.5, 1e5)),
    weights=st.tuples(st.floats(0, 1e4), st.floats(0, 1e4)),
    seed=st.integers(0, 100),
)
def test_any_probabilities_give_marginals(engine, p, sigmas, weights, seed):
    image = np.random.default_rng(seed).integers(0, 256, (*p.shape[1:], 3)).astype(np.uint8)
    q = DenseCRF(image, engine).infer(p, CrfParams(weights[0], sigmas[0], sigmas[1], weights[1], sigmas[2], 3))
    assert q.shape == p.shape
    assert q.dtype == np.float32
    assert np.isfinite(q).all()
    assert (q >= 0).all()
    assert np.allclose(q.sum(axis=0), 1, atol=1e-5)


@every_engine
@pytest.mark.parametrize("size", [(1, 1), (1, 2), (1, 40), (40, 1), (2, 3), (1, 5000)])
def test_pictures_of_one_row_column_or_pixel(engine, size):
    p = probabilities(*size, 3)
    q = DenseCRF(picture(*size), engine).infer(p, CrfParams())
    assert q.shape == (3, *size)
    assert np.allclose(q.sum(axis=0), 1, atol=1e-5)


@every_engine
def test_one_label_is_certain(engine):
    seen = []
    crf = DenseCRF(picture(5, 6), engine)
    q = crf.infer(np.zeros((1, 5, 6), np.float32), CrfParams(iterations=2), on_iteration=lambda i, q: seen.append(i))
    assert (q == 1).all()
    assert seen == [1, 2]


@every_engine
def test_a_pixel_without_an_opinion_takes_its_neighbours(engine):
    image = np.full((9, 9, 3), 90, np.uint8)
    p = np.zeros((3, 9, 9), np.float32)
    p[1] = 1
    p[:, 4, 4] = np.nan
    q = DenseCRF(image, engine).infer(p, CrfParams())
    assert q[1, 4, 4] > 0.9


@every_engine
def test_254_labels(engine):
    p = probabilities(12, 13, 254)
    q = DenseCRF(picture(12, 13), engine).infer(p, CrfParams(iterations=2))
    assert np.allclose(q.sum(axis=0), 1, atol=1e-5)


@every_engine
def test_a_factor_common_to_all_labels_has_no_effect(engine):
    image, p = picture(20, 21), probabilities(20, 21, 3, sharpness=0.5)
    crf = DenseCRF(image, engine)
    assert np.allclose(crf.infer(p), crf.infer(p / 2), atol=1e-5)


@every_engine
def test_the_image_may_be_a_view_or_read_only(engine):
    image, p = picture(30, 31), probabilities(30, 31, 3)
    read_only = image.copy()
    read_only.flags.writeable = False
    expected = DenseCRF(image, engine).infer(p)
    assert np.array_equal(DenseCRF(read_only, engine).infer(p), expected)
    mirrored = np.ascontiguousarray(image[:, ::-1])[:, ::-1]
    assert np.array_equal(DenseCRF(mirrored, engine).infer(p), expected)
    assert np.array_equal(DenseCRF(np.asfortranarray(image), engine).infer(np.asfortranarray(p)), expected)
    assert np.allclose(DenseCRF(image, engine).infer(p.astype(np.float64)), expected, atol=1e-6)


@every_engine
def test_the_input_is_left_alone(engine):
    image, p = picture(20, 21), probabilities(20, 21, 3)
    p[0, 3, 3] = np.nan
    pinned = np.full((20, 21), -1, np.int16)
    pinned[2, 2] = 1
    before = image.copy(), p.copy(), pinned.copy()
    DenseCRF(image, engine).infer(p, CrfParams(), pinned)
    assert all(np.array_equal(a, b, equal_nan=True) for a, b in zip((image, p, pinned), before, strict=True))


@pytest.mark.parametrize(
    ("p", "sentence"),
    [
        (np.zeros((3, 5, 7), np.float32), "the picture needs \\(labels, 5, 6\\)"),
        (np.zeros((5, 6), np.float32), "the picture needs"),
        (np.zeros((0, 5, 6), np.float32), "0 labels"),
        (np.zeros((256, 5, 6), np.float32), "256 labels"),
        (np.zeros((3, 5, 6), np.int32), "must be floating point"),
        (np.full((3, 5, 6), 4.2, np.float32), "apply softmax"),
        (np.full((3, 5, 6), -4.2, np.float32), "apply softmax"),
        (np.full((3, 5, 6), np.inf, np.float32), "apply softmax"),
    ],
)
def test_probabilities_that_do_not_fit_are_refused(p, sentence):
    with pytest.raises(ValueError, match=sentence):
        DenseCRF(picture(5, 6)).infer(p)


@pytest.mark.parametrize(
    ("pinned", "sentence"),
    [
        (np.full((5, 7), -1, np.int16), "pinned has shape"),
        (np.full((5, 6), 3, np.int16), "between -1 \\(free\\) and 2"),
        (np.full((5, 6), -2, np.int16), "between -1 \\(free\\) and 2"),
        (np.zeros((5, 6), np.uint8), "signed integer"),
        (np.zeros((5, 6), bool), "signed integer"),
    ],
)
def test_pinned_pixels_that_do_not_fit_are_refused(pinned, sentence):
    with pytest.raises(ValueError, match=sentence):
        DenseCRF(picture(5, 6)).infer(probabilities(5, 6, 3), CrfParams(), pinned)


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((5, 6), np.uint8),
        np.zeros((5, 6, 4), np.uint8),
        np.zeros((5, 6, 3), np.float32),
        np.zeros((0, 6, 3), np.uint8),
    ],
)
def test_images_of_another_kind_are_refused(image):
    with pytest.raises(ValueError, match="must be uint8"):
        DenseCRF(image)


def test_an_unknown_engine_or_no_thread_is_refused():
    with pytest.raises(ValueError, match="engine is 'cuda'"):
        DenseCRF(picture(3, 3), "cuda")
    with pytest.raises(ValueError, match="threads is 0"):
        DenseCRF(picture(3, 3), threads=0)


# --- Cancelling, threads --------------------------------------------------------------------------------------------


class _PolledToken(CancelToken):
    """Asks to stop at the n-th poll."""

    __slots__ = ("left",)

    def __init__(self, polls: int) -> None:
        super().__init__()
        self.left = polls

    @property
    def cancelled(self) -> bool:
        self.left -= 1
        return self.left < 0

    def raise_if_cancelled(self) -> None:
        if self.cancelled:
            raise Cancelled


@every_engine
def test_a_cancelled_run_stops_between_iterations(engine):
    token, seen = CancelToken(), []

    def stop_at_two(i, q):
        seen.append(i)
        if i == 2:
            token.cancel()

    crf = DenseCRF(picture(30, 30), engine)
    p = probabilities(30, 30, 3)
    with pytest.raises(Cancelled):
        crf.infer(p, CrfParams(), cancel=token, on_iteration=stop_at_two)
    assert seen == [1, 2]
    assert np.array_equal(crf.infer(p, CrfParams()), DenseCRF(picture(30, 30), engine).infer(p, CrfParams()))


@every_engine
@pytest.mark.parametrize("polls", [0, 1, 2, 3])
def test_a_run_cancelled_at_any_poll_leaves_the_object_usable(engine, polls):
    image, p = picture(400, 420), probabilities(400, 420, 2)
    crf = DenseCRF(image, engine)
    with pytest.raises(Cancelled):
        crf.infer(p, CrfParams(), cancel=_PolledToken(polls))
    params = CrfParams(iterations=1)
    assert np.array_equal(crf.infer(p, params), DenseCRF(image, engine).infer(p, params))


@every_engine
def test_two_pictures_at_once_give_what_they_give_alone(engine):
    work = [(picture(120, 130, seed), probabilities(120, 130, 3 + seed, seed)) for seed in range(3)]
    alone = [DenseCRF(image, engine).infer(p) for image, p in work]
    together = [[] for _ in work]

    def run(which):
        image, p = work[which]
        together[which] += [DenseCRF(image, engine).infer(p) for _ in range(3)]

    threads = [threading.Thread(target=run, args=(which,)) for which in range(len(work))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(np.allclose(q, expected, atol=1e-6) for qs, expected in zip(together, alone, strict=True) for q in qs)
    assert all(len(qs) == 3 for qs in together)


@every_engine
def test_one_object_serves_several_threads_in_turn(engine):
    image, p = picture(80, 90), probabilities(80, 90, 3)
    crf = DenseCRF(image, engine)
    choices = [CrfParams(), CrfParams(appearance_position_sigma=20), CrfParams(smoothness_sigma=3)]
    expected = [DenseCRF(image, engine).infer(p, params) for params in choices]
    found = [None] * len(choices)

    def run(which):
        found[which] = crf.infer(p, choices[which])

    threads = [threading.Thread(target=run, args=(which,)) for which in range(len(choices))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(np.array_equal(q, wanted) for q, wanted in zip(found, expected, strict=True))


@every_engine
def test_other_threads_run_while_it_computes(engine):
    image, p = picture(500, 500), probabilities(500, 500, 6)
    crf = DenseCRF(image, engine)
    ticks, done = 0, threading.Event()

    def compute():
        crf.infer(p, CrfParams(iterations=20))
        done.set()

    worker = threading.Thread(target=compute)
    worker.start()
    while not done.is_set():
        time.sleep(0.001)
        ticks += 1
    worker.join()
    assert ticks > 20
