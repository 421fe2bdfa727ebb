"""The dense CRF beside pydensecrf, on photos of a VOC data set with softened ground truth.

Probabilities: the class mask at an eighth of the size, blurred, part of each object given to a class that is not there,
turned into scores with smooth noise, enlarged bilinearly, softmax over 21 classes. Active classes are those above 0.001
somewhere. The yardstick is pydensecrf's usual call: 21 labels, both lattices built, all iterations, once for every
photo and preset; ours runs right after it, a few times each: new weights (lattices kept), new sigmas (both lattices
built again), a new photo. A figure is the median over photos and presets of the medians, a factor the median of the
factors.

Large photos are the first one enlarged, in processes of their own, so that the peak memory of each is known. Enlarged
photos are smoother than real ones of their size, for both programs.

With ``--busy`` two processes that do nothing but compute run beside some steps; a factor is what they cost.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.crf_child import WORKS
from benchmarks.report import OtherWork, Progress, markdown_table

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from benchmarks.crf_photos import Photo
    from deeplab_studio.crf import CrfParams

NAME = "crf"
DESCRIPTION = "dense CRF beside pydensecrf: speed, agreement, large photos, memory, a busy machine"

PRESETS = ("v1-largefov", "v2-resnet101", "v1-largefov-port")
STEPS = ("new weights", "new sigmas", "new photo")
GOALS = {"new weights": 10, "new sigmas": 6, "new photo": 5}
"""Factors to reach at 500x375 with active labels."""

BUSY_GOAL = 6
_DQ_GOAL = 1e-4


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("voc", type=Path, metavar="VOC_ROOT", help="folder with JPEGImages and SegmentationClass")
    parser.add_argument("--photos", type=int, default=12, help="how many (default: 12)")
    parser.add_argument("--runs", type=int, default=3, help="of each of our steps on each photo (default: 3)")
    parser.add_argument("--threads", type=int, default=2, help="of our engines (default: 2)")
    parser.add_argument("--presets", nargs="+", default=PRESETS, metavar="ID", help=f"default: {' '.join(PRESETS)}")
    parser.add_argument("--engine", default="kernel", choices=["kernel", "torch"], help="ours (default: kernel)")
    parser.add_argument(
        "--megapixels", nargs="*", type=float, default=[1, 4, 12], help="large photos; above 4 without pydensecrf"
    )
    parser.add_argument("--busy", action="store_true", help="steps beside two foreign busy processes too")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the tables as Markdown")


def run(args: argparse.Namespace) -> dict[str, Any]:
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    os.environ.setdefault("OMP_NUM_THREADS", str(args.threads))
    from benchmarks.crf_photos import photos
    from deeplab_studio.crf import find_preset

    presets = {}
    for name in args.presets:
        preset = find_preset(name)
        if preset is None:
            raise SystemExit(f"there is no preset {name!r}")
        presets[name] = preset.params
    others = OtherWork()
    progress = Progress(args.photos * len(presets) + len(args.megapixels) + 1 + args.busy)
    chosen = list(photos(args.voc, args.photos))
    table = Table()
    for photo, (name, params) in itertools.product(chosen, presets.items()):
        progress.step(f"{photo.name} {name}")
        measure(photo, name, params, args, table)
    progress.step("double precision, where both differ most")
    agreement = table.agreement()
    sizes = []
    for megapixels in args.megapixels:
        progress.step(f"{megapixels:g} megapixels")
        sizes += measure_size(chosen[0].enlarged(megapixels), presets[args.presets[0]], args, megapixels)
    busy = []
    if args.busy:
        progress.step("beside two busy processes")
        busy = measure_busy(chosen[:3], presets[args.presets[0]], args)
    progress.close()
    rows = table.rows()
    sections = {"500x375": rows, "agreement": agreement, "large photos": sizes, "busy machine": busy}
    if args.markdown:
        text = "\n\n".join(f"### {title}\n\n{markdown_table(part)}" for title, part in sections.items() if part)
        args.markdown.write_text(f"{text}\n", encoding="utf-8")
    return {"tables": sections, "notes": [*_verdicts(rows, agreement, busy), others.sentence()]}


def figures(value: float | None) -> float | None:
    """Rounded to three figures."""
    return None if value is None else float(f"{value:.3g}")


@dataclass
class Table:
    """What was measured at the photos' own size."""

    milliseconds: dict[tuple[str, str], list[float]] = field(default_factory=dict)
    factors: dict[tuple[str, str], list[float]] = field(default_factory=dict)
    pixels: dict[str, int] = field(default_factory=dict)
    differing: dict[str, int] = field(default_factory=dict)
    worst: dict[str, tuple[float, str, Callable[[], tuple[float, float]]]] = field(default_factory=dict)

    def add(self, which: str, step: str, milliseconds: float, yardstick: float) -> None:
        """Note a time, and the time of the usual call on the same photo with the same preset."""
        self.milliseconds.setdefault((which, step), []).append(milliseconds)
        self.factors.setdefault((which, step), []).append(yardstick / milliseconds)

    def compare(
        self,
        which: str,
        place: str,
        ours: npt.NDArray[np.float32],
        theirs: npt.NDArray[np.float32],
        to_double: Callable[[], npt.NDArray[np.float64]],
    ) -> None:
        """Note how far two results are apart; `to_double` is asked later, at the worst place alone."""
        import numpy as np

        self.pixels[which] = self.pixels.get(which, 0) + ours[0].size
        differing = int((ours.argmax(axis=0) != theirs.argmax(axis=0)).sum())
        self.differing[which] = self.differing.get(which, 0) + differing
        furthest = float(np.abs(ours - theirs).max())
        if furthest > self.worst.get(which, (-1.0,))[0]:

            def deviations() -> tuple[float, float]:
                exact = to_double()
                return float(np.abs(ours - exact).max()), float(np.abs(theirs - exact).max())

            self.worst[which] = furthest, place, deviations

    def rows(self) -> list[dict[str, Any]]:
        """Times and factors."""
        return [
            {
                "step": step,
                "labels": which,
                "ms_median": figures(statistics.median(values)),
                "ms_min": figures(min(values)),
                "ms_max": figures(max(values)),
                "times_faster": figures(statistics.median(self.factors[which, step])),
                "least_times_faster": figures(min(self.factors[which, step])),
            }
            for (which, step), values in self.milliseconds.items()
        ]

    def agreement(self) -> list[dict[str, Any]]:
        """How far ours is from pydensecrf, and at the worst place how far each is from double precision."""
        found = []
        for which, (furthest, place, deviations) in self.worst.items():
            ours, theirs = deviations()
            found.append(
                {
                    "labels": which,
                    "same_labels": 1 - self.differing[which] / self.pixels[which],
                    "differing_px": self.differing[which],
                    "of_px": self.pixels[which],
                    "max_dq": furthest,
                    "where": place,
                    "ours_from_double": ours,
                    "pydensecrf_from_double": theirs,
                }
            )
        return found


def measure(photo: Photo, name: str, params: CrfParams, args: argparse.Namespace, table: Table) -> None:
    """One photo with one preset: pydensecrf once, our steps a few times."""
    from benchmarks.crf_photos import run_double, run_pydensecrf

    yardstick = 0.0
    for which, p in (("21", photo.probabilities()), ("active", photo.active())):
        milliseconds, theirs = _timed(partial(run_pydensecrf, photo.image, p, params))
        yardstick = yardstick or milliseconds  # the usual call has all 21 labels
        table.add(which, "pydensecrf", milliseconds, yardstick)
        ours = None
        for step, times, result in _steps(photo.image, p, params, args):
            table.add(which, step, statistics.median(times), yardstick)
            ours = result if step == "new photo" else ours
        assert ours is not None
        table.compare(which, f"{photo.name} {name}", ours, theirs, partial(run_double, photo.image, p, params))


def _steps(
    image: npt.NDArray[np.uint8], p: npt.NDArray[np.float32], params: CrfParams, args: argparse.Namespace
) -> Iterator[tuple[str, list[float], npt.NDArray[np.float32]]]:
    """What a person does: open a photo, drag a weight, drag sigmas. Name, milliseconds of each run, last result."""
    from deeplab_studio.crf import DenseCRF

    kept = DenseCRF(image, args.engine, threads=args.threads)

    def new_photo(_n: int) -> npt.NDArray[np.float32]:
        return DenseCRF(image, args.engine, threads=args.threads).infer(p, params)

    def new_weights(n: int) -> npt.NDArray[np.float32]:
        return kept.infer(p, replace(params, appearance_weight=params.appearance_weight * (1 + n / 100)))

    def new_sigmas(n: int) -> npt.NDArray[np.float32]:
        return kept.infer(
            p,
            replace(
                params,
                appearance_position_sigma=params.appearance_position_sigma * (1 + n / 100),
                smoothness_sigma=params.smoothness_sigma * (1 + n / 100),
            ),
        )

    kept.infer(p, params)
    for step, action in zip(STEPS, (new_weights, new_sigmas, new_photo), strict=True):
        times = []
        for n in range(1, args.runs + 1):
            milliseconds, result = _timed(partial(action, n))
            times.append(milliseconds)
        yield step, times, result


def _timed(action: Callable[[], npt.NDArray[np.float32]]) -> tuple[float, npt.NDArray[np.float32]]:
    start = time.perf_counter()
    result = action()
    return 1000 * (time.perf_counter() - start), result


def measure_size(photo: Photo, params: CrfParams, args: argparse.Namespace, megapixels: float) -> list[dict[str, Any]]:
    """One large photo, each program in a process of its own; pydensecrf only up to 4 megapixels."""
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _save(folder, photo, photo.scaled(params))
        for which in ("active", "21") if megapixels <= 4 else ("active",):
            p = photo.active() if which == "active" else photo.probabilities()
            _save_probabilities(folder, p)
            labels = len(p)
            del p
            theirs = _child("pydensecrf", folder, args.threads) if megapixels <= 4 else {}
            ours = _child("kernel", folder, args.threads)
            rows.append(_size_row(megapixels, which, labels, ours, theirs))
        if megapixels > 4:
            rows.append(_window_row(megapixels, _child("window", folder, args.threads)))
    return rows


def _save(folder: Path, photo: Photo, params: CrfParams) -> None:
    import numpy as np

    np.save(folder / "image.npy", photo.image)
    np.save(folder / "logits.npy", photo.logits)
    (folder / "params.json").write_text(json.dumps(params.to_dict()), encoding="utf-8")


def _save_probabilities(folder: Path, p: npt.NDArray[np.float32]) -> None:
    import numpy as np

    np.save(folder / "probabilities.npy", p)


def _child(work: str, folder: Path, threads: int) -> dict[str, Any]:
    assert work in WORKS
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.crf_child", work, folder, str(threads)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"the measurement of {work} failed:\n{done.stderr}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _size_row(
    megapixels: float, which: str, labels: int, ours: dict[str, Any], theirs: dict[str, Any]
) -> dict[str, Any]:
    first = theirs.get("first_s")
    return {
        "size": f"{megapixels:g} MP",
        "labels": f"{which} ({labels})" if which == "active" else which,
        "pydensecrf_s": figures(first),
        "new_photo_s": figures(ours["first_s"]),
        "new_weights_s": figures(ours["weights_s"]),
        "new_sigmas_s": figures(ours["sigmas_s"]),
        "times_faster": None if first is None else figures(first / ours["first_s"]),
        "pydensecrf_peak_mb": figures(theirs.get("peak_mb")),
        "peak_mb": figures(ours["peak_mb"]),
        "pydensecrf_added_mb": figures(theirs.get("added_mb")),
        "added_mb": figures(ours["added_mb"]),
        "preview_weight_ms": None,
        "preview_sigma_ms": None,
    }


def _window_row(megapixels: float, found: dict[str, Any]) -> dict[str, Any]:
    exact = "exact" if found["scale"] == 1 else f"at {found['scale']:.2f} of the width"
    return {
        "size": f"{megapixels:g} MP",
        "labels": f"in the window, {exact} ({found['classes']})",
        "pydensecrf_s": None,
        "new_photo_s": figures(found["first_s"]),
        "new_weights_s": figures(found["weights_s"]),
        "new_sigmas_s": None,
        "times_faster": None,
        "pydensecrf_peak_mb": None,
        "peak_mb": figures(found["peak_mb"]),
        "pydensecrf_added_mb": None,
        "added_mb": figures(found["added_mb"]),
        "preview_weight_ms": figures(found["preview_weight_ms"]),
        "preview_sigma_ms": figures(found["preview_sigma_ms"]),
    }


def measure_busy(photos: list[Photo], params: CrfParams, args: argparse.Namespace) -> list[dict[str, Any]]:
    """The steps on a quiet machine and beside two foreign processes that keep two processors busy."""
    quiet: dict[str, list[float]] = {}
    crowded: dict[str, list[float]] = {}
    for photo in photos:
        p = photo.active()
        for step, times, _ in _steps(photo.image, p, params, args):
            quiet.setdefault(step, []).extend(times)
        with _busy_processes(2):
            for step, times, _ in _steps(photo.image, p, params, args):
                crowded.setdefault(step, []).extend(times)
    return [
        {
            "step": step,
            "quiet_ms": figures(statistics.median(quiet[step])),
            "busy_ms": figures(statistics.median(times)),
            "busy_worst_ms": figures(max(times)),
            "factor": figures(statistics.median(times) / statistics.median(quiet[step])),
            "worst_factor": figures(max(times) / statistics.median(quiet[step])),
        }
        for step, times in crowded.items()
    ]


@contextmanager
def _busy_processes(count: int) -> Iterator[None]:
    processes = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        time.sleep(0.5)
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def _verdicts(rows: list[dict[str, Any]], agreement: list[dict[str, Any]], busy: list[dict[str, Any]]) -> list[str]:
    notes = []
    for row in rows:
        if row["labels"] == "active" and row["step"] in GOALS:
            goal = GOALS[row["step"]]
            verdict = "reached" if row["times_faster"] >= goal else "missed"
            notes.append(f"{row['step']}: {row['times_faster']:.1f}x, goal {goal}x: {verdict}.")
    for each in agreement:
        verdict = "reached" if each["max_dq"] <= _DQ_GOAL else "missed"
        notes.append(
            f"{each['labels']} labels: {each['same_labels']:.6%} of the labels are pydensecrf's, marginals differ by "
            f"up to {each['max_dq']:.1e}, goal {_DQ_GOAL:g}: {verdict}. That is at {each['where']}, where ours "
            f"are {each['ours_from_double']:.1e} from double precision, pydensecrf's "
            f"{each['pydensecrf_from_double']:.1e}."
        )
    if busy:
        worst = max(row["worst_factor"] for row in busy)
        verdict = "reached" if worst <= BUSY_GOAL else "missed"
        notes.append(f"Beside two busy processes a step took at most {worst:.1f}x, goal {BUSY_GOAL}x: {verdict}.")
    return notes
