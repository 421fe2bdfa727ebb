"""The dense CRF beside pydensecrf, on photos of a VOC data set with softened ground truth.

Probabilities: the class mask at an eighth of the size, blurred, part of each object given to a class that is not there,
turned into scores with smooth noise, enlarged bilinearly, softmax over 21 classes. Active classes are those above 0.001
somewhere. The yardstick is pydensecrf's usual call: 21 labels, both lattices built, all iterations. Every candidate
takes its turn on every photo; a figure is the median over the runs, a row the median over photos and presets. `cpu_ms`
is the processor time of all threads together, which a busy machine lengthens less.
"""

from __future__ import annotations

import argparse
import itertools
import os
import statistics
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from deeplab_studio.crf import CrfParams

NAME = "crf"
DESCRIPTION = "dense CRF: new weights, new sigmas and new picture beside pydensecrf, with the agreement of the results"

_ACTIVE = 1e-3
_PRESETS = ("v1-largefov", "v2-resnet101", "v1-largefov-port")
_YARDSTICK = "pydensecrf, 21 labels"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("voc", type=Path, metavar="VOC_ROOT", help="folder with JPEGImages and SegmentationClass")
    parser.add_argument("--photos", type=int, default=12, help="how many (default: 12)")
    parser.add_argument("--runs", type=int, default=3, help="of each candidate on each photo (default: 3)")
    parser.add_argument("--threads", type=int, default=2, help="of our engines (default: 2)")
    parser.add_argument("--presets", nargs="+", default=_PRESETS, metavar="ID", help=f"default: {' '.join(_PRESETS)}")
    parser.add_argument("--engines", nargs="+", default=["kernel"], choices=["kernel", "torch"], help="default: kernel")
    parser.add_argument("--megapixels", type=float, help="enlarge the photos, and sigmas with them, to this size")


def run(args: argparse.Namespace) -> dict[str, Any]:
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    os.environ.setdefault("OMP_NUM_THREADS", str(args.threads))
    import numpy as np

    from deeplab_studio.crf import DenseCRF, find_preset

    milliseconds: dict[str, list[float]] = defaultdict(list)
    processor: dict[str, list[float]] = defaultdict(list)
    factors: dict[str, list[float]] = defaultdict(list)
    furthest: dict[str, float] = defaultdict(float)
    differing: dict[str, int] = defaultdict(int)
    pixels = 0
    others = _OtherWork()
    for name, image, p in _photos(args.voc, args.photos, args.megapixels):
        active = p.reshape(len(p), -1).max(axis=1) > _ACTIVE
        few = np.ascontiguousarray(p[active] / p[active].sum(axis=0))
        for preset_id in args.presets:
            preset = find_preset(preset_id)
            if preset is None:
                raise SystemExit(f"there is no preset {preset_id!r}")
            params = preset.params if args.megapixels is None else preset.params.scaled(_enlargement(image))
            candidates: dict[str, Callable[[], Any]] = {
                _YARDSTICK: partial(_pydensecrf, image, p, params),
                "pydensecrf, active labels": partial(_pydensecrf, image, few, params),
            }
            for engine in args.engines:
                for which, given in (("active", few), ("21", p)):
                    candidates |= _ours(f"{engine}, {which} labels", engine, image, given, params, args.threads)

            times: dict[str, list[float]] = defaultdict(list)
            busy: dict[str, list[float]] = defaultdict(list)
            for _ in range(args.runs):
                for candidate, action in candidates.items():
                    start, start_busy = time.perf_counter(), time.process_time()
                    action()
                    times[candidate].append(1000 * (time.perf_counter() - start))
                    busy[candidate].append(1000 * (time.process_time() - start_busy))
            yardstick = statistics.median(times[_YARDSTICK])
            for candidate, values in times.items():
                milliseconds[candidate].append(statistics.median(values))
                processor[candidate].append(statistics.median(busy[candidate]))
                factors[candidate].append(yardstick / statistics.median(values))

            pixels += image.shape[0] * image.shape[1]
            for which, given in (("active", few), ("21", p)):
                expected = _pydensecrf(image, given, params)
                for engine in args.engines:
                    q = DenseCRF(image, engine, threads=args.threads).infer(given, params)
                    label = f"{engine}, {which} labels"
                    furthest[label] = max(furthest[label], float(np.abs(q - expected).max()))
                    differing[label] += int((q.argmax(axis=0) != expected.argmax(axis=0)).sum())
        print(f"{name}: {image.shape[1]} x {image.shape[0]}, {int(active.sum())} active classes")

    rows = [
        {
            "work": candidate,
            "ms_median": statistics.median(values),
            "ms_min": min(values),
            "ms_max": max(values),
            "cpu_ms": statistics.median(processor[candidate]),
            "times_faster": statistics.median(factors[candidate]),
        }
        for candidate, values in milliseconds.items()
    ]
    agreement = [
        {"engine": label, "max_dq": furthest[label], "argmax_agreement": 1 - differing[label] / pixels}
        for label in furthest
    ]
    notes = [
        f"{a['engine']}: argmax agreement {a['argmax_agreement']:.6%}, largest difference {a['max_dq']:.1e}"
        for a in agreement
    ]
    notes.append(others.sentence())
    return {"rows": rows, "agreement": agreement, "notes": notes}


def _ours(
    label: str,
    engine: Any,
    image: npt.NDArray[np.uint8],
    p: npt.NDArray[np.float32],
    params: CrfParams,
    threads: int,
) -> dict[str, Callable[[], Any]]:
    """What a person does: drag a weight, drag a sigma of either kernel, open another picture."""
    from deeplab_studio.crf import DenseCRF

    steps = itertools.count(1)  # a slider never stands where it stood

    def further(value: float) -> float:
        return value * (1 + next(steps) / 100)

    # One object for each, so that nothing but what is named changes from run to run.
    weights, appearance, smoothness = (DenseCRF(image, engine, threads=threads) for _ in range(3))
    for crf in (weights, appearance, smoothness):
        crf.infer(p, params)

    def new_weights() -> None:
        weights.infer(p, replace(params, appearance_weight=further(params.appearance_weight)))

    def new_appearance_sigma() -> None:
        appearance.infer(p, replace(params, appearance_position_sigma=further(params.appearance_position_sigma)))

    def new_smoothness_sigma() -> None:
        smoothness.infer(p, replace(params, smoothness_sigma=further(params.smoothness_sigma)))

    def new_picture() -> None:
        DenseCRF(image, engine, threads=threads).infer(p, params)

    return {
        f"{label}: new weights": new_weights,
        f"{label}: new sigma_alpha": new_appearance_sigma,
        f"{label}: new sigma_gamma": new_smoothness_sigma,
        f"{label}: new picture": new_picture,
    }


def _pydensecrf(image: npt.NDArray[np.uint8], p: npt.NDArray[np.float32], params: CrfParams) -> npt.NDArray[np.float32]:
    import numpy as np
    import pydensecrf.densecrf as dense_crf
    from pydensecrf.utils import unary_from_softmax

    labels, height, width = p.shape
    normalization = {"symmetric": dense_crf.NORMALIZE_SYMMETRIC, "after": dense_crf.NORMALIZE_AFTER}
    common = {"kernel": dense_crf.DIAG_KERNEL, "normalization": normalization[params.normalization]}
    crf = dense_crf.DenseCRF2D(width, height, labels)
    crf.setUnaryEnergy(unary_from_softmax(p))
    crf.addPairwiseGaussian(sxy=params.smoothness_sigma, compat=params.smoothness_weight, **common)
    crf.addPairwiseBilateral(
        sxy=params.appearance_position_sigma,
        srgb=params.appearance_colour_sigma,
        rgbim=image,
        compat=params.appearance_weight,
        **common,
    )
    return np.array(crf.inference(params.iterations)).reshape(p.shape)


def _enlargement(image: npt.NDArray[np.uint8]) -> float:
    return float(max(image.shape[:2]) / 500)


def _photos(root: Path, count: int, megapixels: float | None) -> Any:
    import cv2
    import numpy as np
    from PIL import Image

    masks = sorted((root / "SegmentationClass").glob("*.png"))
    for number, path in enumerate(masks[:: max(1, len(masks) // count)][:count]):
        image = np.array(Image.open(root / "JPEGImages" / f"{path.stem}.jpg").convert("RGB"))
        mask = np.array(Image.open(path))
        if megapixels is not None:
            factor = (megapixels * 1e6 / mask.size) ** 0.5
            image = cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC)
            mask = cv2.resize(mask, image.shape[1::-1], interpolation=cv2.INTER_NEAREST)
        yield path.stem, image, _soften(np.where(mask == 255, 0, mask), np.random.default_rng(number))


def _soften(mask: npt.NDArray[np.uint8], rng: np.random.Generator, labels: int = 21) -> npt.NDArray[np.float32]:
    import cv2
    import numpy as np

    height, width = mask.shape
    small = (max(1, width // 8), max(1, height // 8))
    share = np.stack(
        [
            cv2.GaussianBlur(cv2.resize(plane, small, interpolation=cv2.INTER_AREA), (0, 0), 1.5)
            for plane in (mask == np.arange(labels)[:, None, None]).astype(np.float32)
        ]
    )
    present = np.flatnonzero(share[1:].max(axis=(1, 2)) > 0) + 1
    absent = [label for label in range(1, labels) if label not in present]
    if len(present) and absent:
        other = rng.choice(absent)
        share[other] = 0.3 * share[present[0]] * (np.linspace(0, 1, small[0]) > 0.5)
        share[present[0]] -= share[other]
    noise = [cv2.GaussianBlur(rng.normal(0, 3, small[::-1]).astype(np.float32), (0, 0), 2) for _ in range(labels)]
    scores = np.log(share + 1e-5) + np.stack(noise)
    scores = np.stack([cv2.resize(plane, (width, height), interpolation=cv2.INTER_LINEAR) for plane in scores])
    raised = np.exp(scores - scores.max(axis=0))
    return np.ascontiguousarray(raised / raised.sum(axis=0), np.float32)


class _OtherWork:
    """How many processors other programs used meanwhile, where the system tells."""

    def __init__(self) -> None:
        self._start = self._now()

    def sentence(self) -> str:
        if self._start is None:
            return "What else the machine was doing is not known."
        wall, busy, own = (b - a for a, b in zip(self._start, self._now() or self._start, strict=True))
        return f"Other programs used {max(0.0, (busy - own) / wall):.2f} of {os.cpu_count()} processors meanwhile."

    @staticmethod
    def _now() -> tuple[float, float, float] | None:
        stat = Path("/proc/stat")
        if not stat.exists():
            return None
        user, nice, system = (int(ticks) for ticks in stat.read_text(encoding="ascii").split()[1:4])
        return time.perf_counter(), (user + nice + system) / os.sysconf("SC_CLK_TCK"), time.process_time()
