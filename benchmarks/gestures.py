"""How many gestures it takes from a model's prediction to masks that are as good as the ground truth.

A simulated annotator (`benchmarks.annotator`) corrects real predictions of real photos until every class of the ground
truth has 95 % intersection over union. It does so with the brush alone, with the brush and the superpixels, with the
brush and the CRF brush, and with all of them; at every step it takes the tool that corrects most. A gesture is what the
program undoes in one step. Photos that it cannot bring there within the bound count with the bound.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import numpy as np

    from benchmarks.annotator import Propose
    from deeplab_studio.core.labels import ClassMapping
    from deeplab_studio.engine.scores import Scores

NAME = "gestures"
DESCRIPTION = "gestures from a prediction to 95 % IoU: brush, superpixels, CRF brush"

SHARED = Path(os.environ.get("DEEPLAB_STUDIO_SHARED", Path(__file__).resolve().parents[2] / "shared"))
MODEL = SHARED / "data/weights/deeplabv3_mnv2_1.0_voc_trainaug_fp16.npz"
METHODS = ("brush", "brush + superpixels", "brush + CRF brush", "all three")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--photos", type=int, default=40, help="photos, evenly spread over the list (default: 40)")
    parser.add_argument("--voc", type=Path, default=SHARED / "data/voc", help="folder of a Pascal VOC data set")
    parser.add_argument("--model", type=Path, default=MODEL, help="checkpoint that predicts")
    parser.add_argument("--goal", type=float, default=0.95, help="IoU of every class (default: 0.95)")
    parser.add_argument("--most", type=int, default=60, help="gestures per photo at most (default: 60)")
    parser.add_argument("--methods", default=",".join(METHODS), help=f"of {', '.join(METHODS)} (default: all)")
    parser.add_argument("--superpixel", type=float, default=2.5, help="size in %% of the longer side (default: 2.5)")


class Photo(NamedTuple):
    """A photo with its truth and what a model says about it."""

    name: str
    image: np.ndarray
    truth: np.ndarray
    scores: Scores
    mapping: ClassMapping


class Corrected(NamedTuple):
    """How the work on one photo ended."""

    name: str
    method: str
    gestures: int
    reached: bool
    start_iou: float
    end_iou: float
    tools: dict[str, int]
    seconds: float


def run(args: argparse.Namespace) -> dict[str, Any]:
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    for path in (args.voc, args.model):
        if not path.exists():
            sys.exit(f"gestures needs {path}; name another with --voc and --model")
    methods = [name.strip() for name in args.methods.split(",")]
    if not set(methods) <= set(METHODS):
        sys.exit(f"--methods takes {', '.join(METHODS)}")
    photos = load_photos(args.voc, args.model, args.photos)
    results = []
    for number, photo in enumerate(photos, 1):
        results += [correct(photo, method, args.goal, args.most, args.superpixel) for method in methods]
        if sys.stderr.isatty():
            print(
                f"\r{number} of {len(photos)}", end="\n" if number == len(photos) else "", file=sys.stderr, flush=True
            )
    rows = [_row(method, [each for each in results if each.method == method], args.most) for method in methods]
    starts = [each.start_iou for each in results if each.method == methods[0]]
    before = f"{len(photos)} photos, mean IoU of their classes before: {statistics.mean(starts):.3f}"
    return {
        "rows": rows,
        "notes": [f"{before}; goal: every class at {args.goal:g}; at most {args.most} gestures each"],
        "photos": [each._asdict() for each in results],
    }


def load_photos(root: Path, checkpoint: Path, count: int) -> list[Photo]:
    """Photos with ground truth, evenly spread over the data set, predicted."""
    from deeplab_studio.checkpoints import load_checkpoint
    from deeplab_studio.core.images import load_image
    from deeplab_studio.core.labels import VOC_LABELS, ClassMapping
    from deeplab_studio.core.voc import read_mask, read_voc
    from deeplab_studio.engine import Predictor

    items = [item for item in read_voc(root).items if item.mask is not None]
    step = max(1, len(items) // count)
    model = load_checkpoint(checkpoint)
    predictor = Predictor(model, device="cpu")
    mapping = ClassMapping.between(model.classes, VOC_LABELS)
    photos = []
    for item in items[::step][:count]:
        assert item.mask is not None
        image = load_image(item.image).pixels
        photos.append(Photo(item.image.stem, image, read_mask(item.mask), predictor.predict(image), mapping))
    return photos


def correct(photo: Photo, method: str, goal: float, most: int, superpixel_percent: float) -> Corrected:
    """Correct one photo's prediction.

    Parameters
    ----------
    photo : Photo
    method : str
        One of `METHODS`.
    goal : float
        Intersection over union that every class has to reach.
    most : int
        Gestures at most.
    superpixel_percent : float
        Size of the superpixels in percent of the photo's longer side.
    """
    from benchmarks.annotator import Task, next_gesture
    from deeplab_studio.core.classmap import ClassMap

    start = time.perf_counter()
    task = Task(photo.truth, ClassMap(photo.mapping.to_target[photo.scores.class_map()]), goal)
    before = statistics.mean(task.iou().values())
    tools = _tools(photo, method, superpixel_percent)
    used: Counter[str] = Counter()
    while not task.reached and used.total() < most:
        gesture = next_gesture(task, tools)
        if gesture is None:
            break
        task.do(gesture)
        used[gesture.tool] += 1
    after = statistics.mean(task.iou().values())
    seconds = time.perf_counter() - start
    return Corrected(photo.name, method, used.total(), task.reached, before, after, dict(used), seconds)


def _tools(photo: Photo, method: str, superpixel_percent: float) -> list[Propose]:
    from benchmarks.annotator import brush, crf_brush, superpixels
    from deeplab_studio.core.classmap import ClassMap
    from deeplab_studio.core.superpixels import MAX_SIZE, MIN_SIZE, find_superpixels
    from deeplab_studio.crf.params import CrfParams
    from deeplab_studio.crf.sizes import on_photo
    from deeplab_studio.engine.region_refine import Surroundings

    tools = [brush]
    if method in ("brush + superpixels", "all three"):
        size = round(max(photo.image.shape[:2]) * superpixel_percent / 100)
        tools.append(superpixels(find_superpixels(photo.image, min(max(size, MIN_SIZE), MAX_SIZE))))
    if method in ("brush + CRF brush", "all three"):

        def known(class_map: ClassMap) -> Surroundings:
            return Surroundings(photo.image, class_map.labels, class_map.pinned, photo.scores, photo.mapping)

        tools.append(crf_brush(known, on_photo(CrfParams(), *photo.truth.shape)))
    return tools


def _row(method: str, results: Sequence[Corrected], most: int) -> dict[str, Any]:
    counts = [each.gestures if each.reached else most for each in results]
    tools: Counter[str] = Counter()
    for each in results:
        tools.update(each.tools)
    return {
        "method": method,
        "photos": len(results),
        "reached": sum(each.reached for each in results),
        "gestures, median": statistics.median(counts),
        "gestures, total": sum(counts),
        "with": ", ".join(f"{tool} {count}" for tool, count in tools.most_common()),
        "mean IoU after": statistics.mean(each.end_iou for each in results),
        "s per photo": statistics.mean(each.seconds for each in results),
    }
