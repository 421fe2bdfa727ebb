"""Score a model on a Pascal VOC data set: IoU of every class, their mean, pixel accuracy, seconds per image."""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from deeplab_studio.commands.console import Report, say
from deeplab_studio.commands.options import add_crf, add_model, crf_params, open_predictor
from deeplab_studio.core.errors import StudioError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from deeplab_studio.core.labels import LabelSet
    from deeplab_studio.core.metrics import ConfusionMatrix
    from deeplab_studio.core.voc import VocItem


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command's arguments."""
    parser.add_argument("root", metavar="VOC_ROOT", type=Path, help="folder with JPEGImages and SegmentationClass")
    parser.add_argument("--split", default="val", metavar="NAME", help="list in ImageSets/Segmentation (val)")
    add_model(parser)
    add_crf(parser)
    parser.add_argument("--json", metavar="FILE", help="write the result as JSON; - for stdout")


def run(options: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    """Run the command; its exit code."""
    params = crf_params(options.crf, parser, options.crf_engine)
    from deeplab_studio.core.images import load_image
    from deeplab_studio.core.metrics import ConfusionMatrix
    from deeplab_studio.core.voc import read_mask, read_voc
    from deeplab_studio.engine import segment_image

    report = Report()
    dataset = read_voc(options.root, options.split)
    for problem in dataset.problems:
        report.fail(problem)
    predictor = open_predictor(options, report.notice)
    table = classes_onto(predictor.classes, dataset.label_set, dataset.root)
    matrix = ConfusionMatrix(len(dataset.label_set))
    seconds = 0.0
    images = 0

    def score(item: VocItem) -> float:
        if item.mask is None:
            raise StudioError("it has no mask", path=item.image, hint="Label it or take it off the list.")
        truth = read_mask(item.mask)
        pixels = load_image(item.image).pixels
        start = time.perf_counter()
        prediction = table[segment_image(predictor, pixels, params, crf_engine=options.crf_engine)]
        elapsed = time.perf_counter() - start
        try:
            matrix.add(truth, prediction)
        except ValueError as error:
            raise StudioError(str(error), path=item.mask, hint="Correct the mask.") from error
        return elapsed

    with report.progress(len(dataset.items), "Evaluating"):
        for item in dataset.items:
            try:
                seconds += score(item)
                images += 1
            except StudioError as error:
                report.fail(error)
            report.advance()
    if not images:
        raise StudioError("no image of this list could be scored", path=dataset.root, hint="See the reasons above.")
    result: dict[str, object] = {
        "miou": _number(matrix.miou()),
        "pixel_accuracy": _number(matrix.pixel_accuracy()),
        "iou": {name: _number(value) for name, value in zip(dataset.label_set.names, matrix.iou(), strict=True)},
        "images": images,
        "seconds_per_image": seconds / images,
        "model": predictor.model_id,
        "crf": params.to_dict() if params else None,
    }
    _tell(result, dataset.label_set, matrix, options.json)
    return 1 if report.failed else 0


def classes_onto(model: LabelSet, dataset: LabelSet, root: Path) -> npt.NDArray[np.uint8]:
    """The data set's class id of every id of the model, (256,) uint8.

    Raises
    ------
    StudioError
        If the data set lacks one of the model's classes.
    """
    import numpy as np

    from deeplab_studio.core.labels import ClassMapping

    unnamed = model.names == tuple(f"class {i}" for i in range(len(model)))
    if unnamed and len(model) == len(dataset):
        return np.arange(256, dtype=np.uint8)
    mapping = ClassMapping.between(model, dataset)
    if mapping.unmatched:
        few = ", ".join(map(repr, mapping.unmatched[:3]))
        raise StudioError(
            f"the data set has no counterpart for {len(mapping.unmatched)} of the model's {len(model)} classes ({few})",
            path=root,
            hint="Score the model on a data set with its own classes.",
        )
    return mapping.to_target


def _number(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def _tell(result: dict[str, object], label_set: LabelSet, matrix: ConfusionMatrix, json_file: str | None) -> None:
    text = json.dumps(result, indent=2, ensure_ascii=False)
    if json_file == "-":
        say(text)
        return
    if json_file is not None:
        from deeplab_studio.core.files import atomic_write

        with atomic_write(json_file) as temporary:
            temporary.write_text(f"{text}\n", encoding="utf-8")
    rows = [*zip(label_set.names, matrix.iou(), strict=True)]
    summary = (
        ("mIoU", f"{matrix.miou():.4f}"),
        ("pixel accuracy", f"{matrix.pixel_accuracy():.4f}"),
        ("images", str(result["images"])),
        ("s/image", f"{result['seconds_per_image']:.3f}"),
    )
    if not sys.stdout.isatty():
        for name, value in rows:
            say(f"{name}\t{'' if math.isnan(value) else f'{value:.4f}'}")
        for name, text in summary:
            say(f"{name}\t{text}")
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("class", title=str(result["model"]))
    table.add_column("IoU", justify="right")
    for name, value in rows:
        table.add_row(name, "-" if math.isnan(value) else f"{100 * value:.1f}")
    table.add_section()
    for name, text in summary:
        table.add_row(name, text)
    Console().print(table)
