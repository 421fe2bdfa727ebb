"""Compare models, with and without the dense CRF: on a Pascal VOC data set against its ground truth, or on photos."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from deeplab_studio.commands.console import Report, say_json, show_table
from deeplab_studio.commands.options import add_device, crf_params, find_model
from deeplab_studio.core.errors import StudioError

if TYPE_CHECKING:
    from deeplab_studio.engine.comparison import Contestant


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command's arguments."""
    parser.add_argument("root", metavar="IMAGE_OR_VOC", type=Path, help="a photo, or a Pascal VOC data set")
    parser.add_argument(
        "--model", action="append", required=True, metavar="ID|FILE", help="a model; give it once for each"
    )
    parser.add_argument(
        "--crf",
        action="append",
        metavar="none|PRESET|k=v,...",
        help="run every model with it; give it once for each (none, and the version's own parameters)",
    )
    parser.add_argument("--split", default="val", metavar="NAME", help="list in ImageSets/Segmentation (val)")
    parser.add_argument("--report", required=True, metavar="DIR", type=Path, help="folder for the report")
    parser.add_argument("--json", action="store_true", help="write the content of report.json to stdout too")
    add_device(parser)


def run(options: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    """Run the command; its exit code."""
    crfs = [(text, crf_params(text, parser)) for text in dict.fromkeys(options.crf or ["none"])]
    report = Report()
    contestants = _contestants(options, crfs, report)
    if options.root.is_file():
        return _compare_photo(options, contestants, report)
    return _compare_dataset(options, contestants, report)


def _contestants(options: argparse.Namespace, crfs: list, report: Report) -> list[Contestant]:  # type: ignore[type-arg]
    from deeplab_studio.checkpoints.library import ModelLibrary
    from deeplab_studio.engine import Predictor, resolve_device
    from deeplab_studio.engine.comparison import Contestant

    device = resolve_device(options.device)
    library = ModelLibrary()
    contestants: list[Contestant] = []
    for wanted in dict.fromkeys(options.model):
        model = library.load(find_model(wanted, library))
        name = model.title
        if any(each.name == name for each in contestants):
            name = f"{name} ({wanted})"
        contestants.append(Contestant(name, model.version, Predictor(model, device, report.notice), crfs))
    return contestants


def _compare_dataset(options: argparse.Namespace, contestants: list[Contestant], report: Report) -> int:
    from deeplab_studio.core.voc import read_voc
    from deeplab_studio.engine.comparison import Comparison, SharedClasses
    from deeplab_studio.engine.comparison_report import report_json, write_report

    dataset = read_voc(options.root, options.split)
    for problem in dataset.problems:
        report.fail(problem)
    shared = SharedClasses.of(dataset.label_set, [each.predictor.classes for each in contestants])
    notes = [f"{len(dataset.items)} items of the list {options.split} of {dataset.root.name}."]
    if shared.left_out:
        few = ", ".join(shared.left_out[:8]) + (" and others" if len(shared.left_out) > 8 else "")
        notes.append(f"Compared on {len(shared.label_set)} classes; not every model knows {few}.")
        report.notice(notes[-1])
    comparison = Comparison(contestants, shared)
    with report.progress(len(dataset.items), "Comparing"):
        comparison.run(dataset.items, on_failure=report.fail, on_done=report.advance)
    if not comparison.outcomes[0].images:
        raise StudioError("no image of this list could be scored", path=dataset.root, hint="See the reasons above.")
    title = f"Comparison on {dataset.root.name}"
    write_report(options.report, title, comparison.outcomes, shared.label_set, notes, report.failed)
    if options.json:
        say_json(report_json(comparison.outcomes, shared.label_set, notes, report.failed))
    else:
        rows = [
            (
                each.model,
                each.version,
                each.crf,
                f"{100 * each.matrix.miou():.2f}",
                f"{100 * each.matrix.pixel_accuracy():.2f}",
                f"{each.seconds / each.images:.3f}",
            )
            for each in comparison.outcomes
        ]
        show_table(title, ("model", "version", "CRF", "mIoU", "pixel accuracy", "s/image"), rows, numbers=(3, 4, 5))
        sys.stderr.write(f"{options.report / 'report.html'}\n")
    return 1 if report.failed else 0


def _compare_photo(options: argparse.Namespace, contestants: list[Contestant], report: Report) -> int:
    import time

    from deeplab_studio.core.images import load_image
    from deeplab_studio.core.labels import ClassMapping
    from deeplab_studio.engine.comparison import union_of
    from deeplab_studio.engine.photo_report import PhotoAnswer, photo_json, write_photo_report
    from deeplab_studio.engine.refiner import Refiner

    image = load_image(options.root)
    for note in image.notes:
        report.notice(f"{options.root.name}: {note}")
    label_set = union_of([each.predictor.classes for each in contestants])
    answers: list[PhotoAnswer] = []
    for each in contestants:
        table = ClassMapping.between(each.predictor.classes, label_set).to_target
        start = time.perf_counter()
        scores = each.predictor.predict(image.pixels)
        predicted = time.perf_counter() - start
        for name, params in each.crfs:
            start = time.perf_counter()
            labels = scores.class_map() if params is None else Refiner(image.pixels, scores).refine(params)
            seconds = predicted + time.perf_counter() - start
            title = each.name if params is None else f"{each.name} + CRF {name}"
            answers.append(PhotoAnswer(title, each.predictor.model_id, each.version, params, table[labels], seconds))
    write_photo_report(options.report, options.root.name, image.pixels, answers, label_set)
    if options.json:
        say_json(photo_json(options.root.name, answers, label_set))
    else:
        sys.stderr.write(f"{options.report / 'report.html'}\n")
    return 0
