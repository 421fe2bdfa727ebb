"""pydensecrf in a child process: the same figures, pins, cancelling, crashes, and that it never outlives its parent."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from deeplab_studio.core.cancel import Cancelled, CancelToken
from deeplab_studio.core.errors import StudioError
from deeplab_studio.crf import PRESETS, CrfParams, DenseCRF, Unaries, reference_available
from tests.unit.crf.crf_kit import brute_force_marginals, picture, probabilities, pydensecrf_marginals

installed = pytest.mark.skipif(not reference_available(), reason="pydensecrf2 is not installed (extra: reference)")
posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signals")


def child_of(crf: DenseCRF) -> subprocess.Popen[bytes]:
    return crf._core._child._process


def wait_until(condition: Callable[[], bool], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)


# --- Results --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def scene() -> tuple[np.ndarray, np.ndarray, DenseCRF]:
    image = picture(80, 101, seed=3)
    return image, probabilities(80, 101, 5, seed=3), DenseCRF(image, "reference")


@installed
@pytest.mark.parametrize("labels", [5, 21], ids=["active labels", "21 labels"])
@pytest.mark.parametrize("preset", PRESETS, ids=[preset.id for preset in PRESETS])
def test_every_preset_is_pydensecrf_to_the_bit_and_our_engine_within_rounding(scene, preset, labels):
    image, few, reference = scene
    p = few
    if labels == 21:
        p = np.zeros((21, *few.shape[1:]), np.float32)
        p[[0, 3, 8, 12, 15]] = few
    q = reference.infer(p, preset.params)
    assert np.array_equal(q, pydensecrf_marginals(image, p, preset.params))
    ours = DenseCRF(image).infer(p, preset.params)
    assert np.abs(q - ours).max() <= 1e-4
    assert (q.argmax(axis=0) == ours.argmax(axis=0)).mean() >= 0.9999


@installed
def test_unaries_and_labels_are_the_same_to_the_bit(scene):
    _, p, reference = scene
    q = reference.infer(p)
    assert np.array_equal(reference.infer(Unaries.of(p)), q)
    assert np.array_equal(reference.labels(Unaries.of(p)), q.argmax(axis=0))


@installed
def test_decided_pixels_are_certain_in_every_iteration_and_pull_as_in_our_engine(scene):
    image, p, reference = scene
    rng = np.random.default_rng(5)
    pinned = np.where(rng.random(p.shape[1:]) < 0.1, rng.integers(0, 5, p.shape[1:]), -1).astype(np.int16)
    seen = []
    q = reference.infer(p, CrfParams(), pinned, on_iteration=lambda i, q: seen.append(q))
    one_hot = np.eye(5, dtype=np.float32)[:, pinned[pinned >= 0]]
    assert all(np.array_equal(step[:, pinned >= 0], one_hot) for step in [*seen, q])
    assert np.abs(q - DenseCRF(image).infer(p, CrfParams(), pinned)).max() <= 1e-4
    assert np.abs(q - reference.infer(p, CrfParams())).max() > 0.5


@installed
def test_decided_pixels_work_as_in_the_sum_over_all_pairs():
    image, p = picture(16, 20), probabilities(16, 20, 3, sharpness=1.0)
    pinned = np.full((16, 20), -1, np.int16)
    pinned[3:8, 4:9] = 2
    params = CrfParams(3, 12, 25, 2, 2, 5)
    expected = brute_force_marginals(image, p, params, pinned)
    assert np.abs(DenseCRF(image, "reference").infer(p, params, pinned) - expected).mean() < 0.02


@installed
def test_every_iteration_is_what_a_shorter_run_gives(scene):
    _, p, reference = scene
    seen = {}
    q = reference.infer(p, CrfParams(iterations=3), on_iteration=lambda i, q: seen.update({i: q}))
    assert list(seen) == [1, 2, 3]
    assert np.array_equal(seen[3], q)
    assert seen[3] is not q
    for i in (1, 2):
        assert np.array_equal(seen[i], reference.infer(p, CrfParams(iterations=i)))


@installed
@pytest.mark.parametrize("params", [CrfParams(iterations=0), CrfParams(appearance_weight=0, smoothness_weight=0)])
def test_without_iterations_or_weights_the_probabilities_come_back(scene, params):
    _, p, reference = scene
    clipped = p.clip(1e-5, 1)
    assert np.allclose(reference.infer(p, params), clipped / clipped.sum(axis=0), atol=1e-6)


@installed
def test_a_sigma_that_pydensecrf_would_silently_wrap_is_refused():
    wide = DenseCRF(np.zeros((4, 9000, 3), np.uint8), "reference")
    with pytest.raises(ValueError, match="a sigma is too small for pydensecrf on a picture of 9000 x 4"):
        wide.infer(probabilities(4, 9000, 2), CrfParams(appearance_position_sigma=0.5))
    assert np.isfinite(wide.infer(probabilities(4, 9000, 2), CrfParams(iterations=1))).all()


# --- The process ----------------------------------------------------------------------------------------------------


@installed
def test_pydensecrf_never_enters_this_process_and_other_threads_go_on():
    code = """
import sys, threading, time
sys.path[:] = {path!r}
import numpy as np
from deeplab_studio.crf import CrfParams, DenseCRF
from tests.unit.crf.crf_kit import picture, probabilities
crf, p = DenseCRF(picture(200, 200), "reference"), probabilities(200, 200, 6)
worker = threading.Thread(target=lambda: crf.infer(p, CrfParams(iterations=20)))
worker.start()
ticks = 0
while worker.is_alive():
    time.sleep(0.001)
    ticks += 1
print(ticks > 20, any(name.split(".")[0] == "pydensecrf" for name in sys.modules))
"""
    done = subprocess.run(
        [sys.executable, "-c", code.format(path=sys.path)], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.split() == ["True", "False"]


@installed
def test_a_cancelled_run_ends_the_process_in_the_middle_and_the_next_run_starts_another():
    image, p = picture(200, 300), probabilities(200, 300, 21)
    crf, token, seen = DenseCRF(image, "reference"), CancelToken(), []
    crf.prepare(CrfParams())
    first = child_of(crf)

    def cancel_soon(iteration, _q):
        seen.append(iteration)
        token.cancel()

    with pytest.raises(Cancelled):
        crf.infer(p, CrfParams(iterations=100), cancel=token, on_iteration=cancel_soon)
    assert len(seen) < 100
    assert first.poll() is not None
    params = CrfParams(iterations=1)
    assert np.abs(crf.infer(p, params, cancel=CancelToken()) - DenseCRF(image).infer(p, params)).max() <= 1e-4
    assert child_of(crf) is not first


@installed
def test_a_listener_that_raises_leaves_the_object_usable(scene):
    _, p, _ = scene
    crf = DenseCRF(picture(80, 101), "reference")

    def stop(_iteration, _q):
        raise Cancelled

    with pytest.raises(Cancelled):
        crf.infer(p, CrfParams(), on_iteration=stop)
    assert np.array_equal(crf.infer(p), DenseCRF(picture(80, 101), "reference").infer(p))


@installed
@posix
def test_a_crash_becomes_one_sentence_and_the_next_run_works(scene):
    _, p, _ = scene
    crf = DenseCRF(picture(80, 101), "reference")
    expected = crf.infer(p)

    def crash(_iteration, _q):
        child_of(crf).send_signal(signal.SIGSEGV)

    with pytest.raises(StudioError) as raised:
        crf.infer(p, CrfParams(iterations=50), on_iteration=crash)
    assert str(raised.value).startswith("pydensecrf crashed (Segmentation fault")
    assert "Choose another CRF engine" in str(raised.value)
    assert np.array_equal(crf.infer(p), expected)


@installed
def test_the_process_ends_with_its_object():
    crf = DenseCRF(picture(20, 20), "reference")
    crf.infer(probabilities(20, 20, 2), CrfParams(iterations=1))
    process = child_of(crf)
    assert process.poll() is None
    del crf
    wait_until(lambda: process.poll() is not None)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{pid}/stat")
    # Where nobody waits for orphans, a process that is over stays listed as a zombie.
    return not status.exists() or status.read_text(encoding="ascii").rpartition(")")[2].split()[0] != "Z"


@installed
@posix
@pytest.mark.parametrize("busy", [False, True], ids=["idle", "computing"])
def test_the_process_does_not_outlive_a_parent_that_is_killed(busy):
    code = """
import sys, threading, time
sys.path[:] = {path!r}
from deeplab_studio.crf import CrfParams, DenseCRF
from tests.unit.crf.crf_kit import picture, probabilities
crf, p = DenseCRF(picture(200, 200), "reference"), probabilities(200, 200, 8)
def told(iteration, q):
    if iteration == 2:
        print(crf._core._child._process.pid, flush=True)
crf.infer(p, CrfParams(iterations={iterations}), on_iteration=told)
time.sleep(60)
"""
    parent = subprocess.Popen(
        [sys.executable, "-c", code.format(path=sys.path, iterations=100 if busy else 2)],
        stdout=subprocess.PIPE,
        text=True,
    )
    child = int(parent.stdout.readline())
    assert _runs(child)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    wait_until(lambda: not _runs(child))


# --- Where it is not installed --------------------------------------------------------------------------------------


@pytest.mark.parametrize("bundled", [False, True])
def test_where_it_is_not_installed_it_is_not_offered_and_says_how_to_get_it(monkeypatch, bundled):
    spec = importlib.machinery.ModuleSpec("pydensecrf", None) if bundled else None
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: spec)
    monkeypatch.setattr(sys, "frozen", bundled, raising=False)
    assert not reference_available()
    with pytest.raises(StudioError, match="pydensecrf is not installed") as raised:
        DenseCRF(picture(5, 5), "reference")
    assert "deeplab-studio[reference]" in str(raised.value)
