"""Check Pascal VOC data sets, and convert labels between formats.

  validate ROOT          everything that a reader of Pascal VOC would stumble over
  convert SRC DST        a Pascal VOC data set, or labels of another program with --photos, written as --to says

What can be written with --to
  voc         Pascal VOC: palette PNG, every mask bit for bit, photos and lists with it
  index       gray PNG, value = class id
  cvat        CVAT's "Segmentation mask 1.1": RGB masks and labelmap.txt
  coco        COCO instances: run lengths of every connected region; void is left out
  labelme     one JSON file per photo, with masks
  cityscapes  *_gtFine_labelIds.png, if the classes have Cityscapes' names; void becomes unlabeled
  yolo        YOLO polygons with the photos; what polygons lose is measured and told
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from deeplab_studio.commands.console import Report, say, say_json
from deeplab_studio.core.errors import StudioError

if TYPE_CHECKING:
    from deeplab_studio.core.convert import LabelledData

FORMATS = ("voc", "index", "cvat", "coco", "labelme", "cityscapes", "yolo")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command's arguments."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    validate = actions.add_parser("validate", help="name every violation of the conventions, with what to do")
    validate.add_argument("root", metavar="ROOT", type=Path, help="the data set, or a folder around it")
    validate.add_argument("--prediction", action="store_true", help="the masks are results, which may not hold void")
    validate.add_argument("--json", action="store_true", help="write the violations as JSON")
    convert = actions.add_parser("convert", help="write labels in another format")
    convert.add_argument(
        "source", metavar="SRC", type=Path, help="a Pascal VOC data set, or a file or folder of labels"
    )
    convert.add_argument("target", metavar="DST", type=Path, help="folder to write to: new, or empty")
    convert.add_argument("--to", required=True, choices=FORMATS, help="what to write")
    convert.add_argument("--photos", metavar="DIR", type=Path, help="the photos, if SRC is labels of another program")
    convert.add_argument("--split", metavar="NAME", help="only this list of a Pascal VOC data set")
    convert.add_argument(
        "--classes", metavar="FILE", type=Path, help="names of the classes, for masks that come without them"
    )
    convert.add_argument("--json", action="store_true", help="summarise as JSON on stdout")


def run(options: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    """Run the command; its exit code."""
    if options.action == "validate":
        return _validate(options)
    if options.split and options.photos:
        parser.error("--split is for Pascal VOC data sets, --photos for labels of other programs")
    return _convert(options)


def _validate(options: argparse.Namespace) -> int:
    from deeplab_studio.core.voc import validate_voc

    report = Report()
    with _percent(report, "Checking") as progress:
        found = validate_voc(options.root, prediction=options.prediction, progress=progress)
    if options.json:
        violations = [{"path": str(each.path), "reason": each.reason, "fix": each.fix} for each in found]
        say_json({"root": str(options.root), "violations": violations})
    else:
        for each in found:
            say(f"{each.path}: {each.reason}. {each.fix}")
        report.notice(f"{len(found)} violations" if found else "nothing to correct")
    return 1 if found else 0


def _convert(options: argparse.Namespace) -> int:
    from deeplab_studio.core.convert import convert

    report = Report()
    data = _open(options, report)
    with _percent(report, "Converting") as progress:
        done = convert(data, options.target, options.to, progress=progress)
    for problem in done.problems:
        report.fail(problem)
    for note in done.notes:
        report.notice(note)
    if options.json:
        say_json(
            {
                "out": str(done.root),
                "format": options.to,
                "classes": list(data.label_set.names),
                "written": len(done.written),
                "failed": report.failures(),
                "notes": done.notes,
            }
        )
    else:
        say(f"{len(done.written)} class maps written to {done.root}, {len(report.failed)} left out")
    return 1 if report.failed else 0


def _open(options: argparse.Namespace, report: Report) -> LabelledData:
    from deeplab_studio.core.convert import open_foreign, open_voc
    from deeplab_studio.core.files import find_images
    from deeplab_studio.core.label_sets import load_label_set
    from deeplab_studio.core.voc import find_voc

    source: Path = options.source
    if options.photos is None:
        if find_voc(source) is None:
            raise StudioError(
                "it is no Pascal VOC data set, and other labels do not say where their photos are",
                path=source,
                hint="Name the folder of the photos with --photos.",
            )
        return open_voc(source, options.split)
    found = find_images([options.photos])
    for problem in found.problems:
        report.notice(str(problem))
    classes = None if options.classes is None else load_label_set(options.classes)
    with _percent(report, "Reading") as progress:
        return open_foreign(source, found.images, classes, progress=progress)


@contextmanager
def _percent(report: Report, doing: str) -> Iterator[Callable[[float], None]]:
    """A progress bar of a hundred steps; gives what to call with the share done."""
    done = 0

    def tell(share: float) -> None:
        nonlocal done
        while done < round(100 * share):
            done += 1
            report.advance()

    with report.progress(100, doing):
        yield tell
