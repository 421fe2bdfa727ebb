"""One CRF on one large photo in a process of its own, for its time and its peak memory.

``python -m benchmarks.crf_child WORK FOLDER THREADS`` with WORK one of `WORKS`. The folder holds ``image.npy``,
``probabilities.npy`` or ``logits.npy`` and ``params.json``; they are read without temporary copies, so that what the
peak grows by is the CRF's. Prints one line of JSON.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

WORKS = ("pydensecrf", "kernel", "window")
"""pydensecrf called as usual; our kernel, giving marginals too; what the window does, from scores to a class map."""


def peak_mb() -> float:
    """The most memory this process ever held, in megabytes."""
    status = Path("/proc/self/status")
    if status.exists():
        # Not ru_maxrss: Linux lets a child begin with the figure of its parent.
        line = next(line for line in status.read_text("ascii").splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / (1e6 / 1024)
    if sys.platform == "win32":
        raise SystemExit("the peak of a process is not known on Windows")
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def _timed(action: Callable[[], object]) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def main() -> None:
    work, folder, threads = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    os.environ["OMP_NUM_THREADS"] = str(threads)
    import numpy as np

    from benchmarks.crf_photos import Photo, run_pydensecrf
    from deeplab_studio.crf import CrfParams, DenseCRF

    params = CrfParams.from_dict(json.loads((folder / "params.json").read_text("utf-8")))
    image = np.load(folder / "image.npy")
    if work == "window":
        print(json.dumps(_window(Photo("", image, np.load(folder / "logits.npy")), params)))
        return
    p = np.load(folder / "probabilities.npy")
    figures: dict[str, Any] = {}
    if work == "pydensecrf":
        import pydensecrf.densecrf  # noqa: F401  not part of the first call

        before = peak_mb()
        figures["first_s"] = _timed(lambda: run_pydensecrf(image, p, params))
    else:
        before = peak_mb()
        crf = DenseCRF(image, "kernel", threads=threads)
        figures["build_s"] = _timed(lambda: crf.prepare(params))
        figures["first_s"] = figures["build_s"] + _timed(lambda: crf.infer(p, params))
        # The peak of the first call is what pydensecrf's is compared with.
        figures |= {"peak_mb": peak_mb(), "added_mb": peak_mb() - before}
        weights = replace(params, appearance_weight=params.appearance_weight * 1.1)
        figures["weights_s"] = _timed(lambda: crf.infer(p, weights))
        wider = replace(
            params,
            appearance_position_sigma=params.appearance_position_sigma * 1.01,
            smoothness_sigma=params.smoothness_sigma * 1.01,
        )
        figures["sigmas_s"] = _timed(lambda: crf.infer(p, wider))
    print(json.dumps({"peak_mb": peak_mb(), "added_mb": peak_mb() - before, **figures}))


def _window(photo: Any, params: Any) -> dict[str, Any]:
    """The exact result and the drag's preview of a photo, as the window computes them."""
    from deeplab_studio.engine.refiner import Refiner

    before = peak_mb()
    refiner = Refiner(photo.image, photo.scores())
    figures: dict[str, Any] = {"scale": refiner.scale, "classes": len(refiner._classes)}
    figures["probabilities_s"] = _timed(lambda: refiner._stage(False, None))
    figures["first_s"] = _timed(lambda: refiner.refine(params))
    weights = replace(params, appearance_weight=params.appearance_weight * 1.1)
    figures["weights_s"] = _timed(lambda: refiner.refine(weights))
    figures |= {"peak_mb": peak_mb(), "added_mb": peak_mb() - before}

    refiner.refine(params, preview=True)
    steps = [replace(params, appearance_weight=params.appearance_weight * (1 + n / 50)) for n in range(2, 7)]
    wider = [
        replace(params, appearance_position_sigma=params.appearance_position_sigma * (1 + n / 50)) for n in range(1, 6)
    ]
    for name, moves in (("preview_weight_ms", steps), ("preview_sigma_ms", wider)):
        times = [1000 * _timed(partial(refiner.refine, move, preview=True)) for move in moves]
        figures[name] = statistics.median(times)
    height, width = refiner.refine(params, preview=True).shape
    return {**figures, "preview": f"{width}x{height}"}


if __name__ == "__main__":
    main()
