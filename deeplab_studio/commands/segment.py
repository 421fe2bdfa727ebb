"""Write a class map for every image.

The formats are
  voc     a Pascal VOC data set: JPEGImages, SegmentationClass, ImageSets
  index   8-bit gray PNG, value = class id
  colour  PNG in the colours of the classes
  npy     NumPy array (H, W) uint8 of class ids
"""

from __future__ import annotations

import argparse
import sys
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from deeplab_studio.commands.console import Report, say, say_json
from deeplab_studio.commands.options import add_crf, add_model, crf_params, open_predictor
from deeplab_studio.core.errors import StudioError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from deeplab_studio.core.labels import LabelSet

    ClassMap = npt.NDArray[np.uint8]
    Segment = Callable[[Path], ClassMap]

FORMATS = {"voc": ".png", "index": ".png", "colour": ".png", "npy": ".npy"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command's arguments."""
    parser.add_argument("paths", nargs="+", metavar="PATH", type=Path, help="images, folders or Pascal VOC data sets")
    add_model(parser)
    add_crf(parser)
    parser.add_argument("--out", required=True, metavar="DIR", type=Path, help="folder to write to; made if missing")
    parser.add_argument("--format", choices=tuple(FORMATS), default="voc", help="what to write (voc)")
    parser.add_argument("--resume", action="store_true", help="leave out images whose class map is there and whole")
    parser.add_argument("--json", action="store_true", help="summarise as JSON on stdout")


def run(options: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    """Run the command; its exit code."""
    params = crf_params(options.crf, parser, options.crf_engine)
    from deeplab_studio.core.images import load_image
    from deeplab_studio.engine import segment_image

    report = Report()
    images = _find(options.paths, options.out, report)
    if not images:
        raise StudioError("there is no image to segment", hint="Name images or folders that hold some.")
    predictor = open_predictor(options, report.notice)

    def segment(path: Path) -> ClassMap:
        return segment_image(predictor, load_image(path).pixels, params, crf_engine=options.crf_engine)

    writer = _VocWriter if options.format == "voc" else _FileWriter
    job = writer(options.out, options.format, predictor.classes, report, segment, resume=options.resume)
    with report.progress(len(images), "Segmenting"):
        job.write(images)
    if options.json:
        say_json(
            {
                "out": str(options.out),
                "format": options.format,
                "model": predictor.model_id,
                "crf": params.to_dict() if params else None,
                "written": len(job.written),
                "skipped": job.skipped,
                "failed": report.failures(),
                "files": [str(path) for path in job.written],
            }
        )
    elif sys.stdout.isatty():
        skipped = f", {job.skipped} were there already" if options.resume else ""
        say(f"{len(job.written)} class maps written to {options.out}{skipped}, {len(report.failed)} failed")
    else:
        for path in job.written:
            say(str(path))
        if options.resume:
            report.notice(f"{job.skipped} were there already")
    return 1 if report.failed else 0


def _find(paths: list[Path], out: Path, report: Report) -> list[Path]:
    """The images meant: of a VOC data set its photos alone, and never what an earlier run wrote."""
    from deeplab_studio.core.files import find_images
    from deeplab_studio.core.voc import find_voc

    if any(path.is_dir() and path.resolve() == out.resolve() for path in paths):
        raise StudioError("the class maps would lie among the photos", path=out, hint="Choose another --out.")
    given = [voc / "JPEGImages" if path.is_dir() and (voc := find_voc(path)) else path for path in paths]
    found = find_images(given)
    for problem in found.problems:
        report.fail(problem)
    written = out.absolute()
    if not any(path.absolute() in written.parents for path in given):
        return found.images
    return [path for path in found.images if written not in path.parents]


class _Writer(ABC):
    """What both ways of writing share.

    Parameters
    ----------
    out : Path
    form : str
        One of `FORMATS`.
    label_set : LabelSet
    report : Report
    segment : callable
        Gives the class map of a photo.
    resume : bool
    """

    def __init__(
        self, out: Path, form: str, label_set: LabelSet, report: Report, segment: Segment, *, resume: bool
    ) -> None:
        self.written: list[Path] = []
        self.skipped = 0
        self._out = out
        self._form = form
        self._label_set = label_set
        self._report = report
        self._segment = segment
        self._resume = resume

    @abstractmethod
    def write(self, images: list[Path]) -> None:
        """Segment all and write them."""


class _FileWriter(_Writer):
    """One file per image."""

    def write(self, images: list[Path]) -> None:
        try:
            self._out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StudioError(
                f"it cannot be made ({error.strerror})", path=self._out, hint="Choose another."
            ) from error
        photos = {image.resolve() for image in images}
        for image, name in zip(images, _names(images), strict=True):
            target = self._out / f"{name}{FORMATS[self._form]}"
            try:
                if target.resolve() in photos:
                    raise StudioError(
                        "its class map would write over a photo", path=image, hint="Choose another --out."
                    )
                if self._resume and self._is_whole(target, image):
                    self.skipped += 1
                else:
                    self._save(target, self._segment(image))
                    self.written.append(target)
            except StudioError as error:
                self._report.fail(error)
            self._report.advance()

    def _save(self, target: Path, labels: ClassMap) -> None:
        import numpy as np
        from PIL import Image

        from deeplab_studio.core.files import atomic_write

        with atomic_write(target) as temporary, temporary.open("wb") as file:
            if self._form == "npy":
                np.save(file, labels)
            else:
                pixels = self._label_set.palette()[labels] if self._form == "colour" else labels
                Image.fromarray(pixels).save(file, format="PNG")

    def _is_whole(self, target: Path, image: Path) -> bool:
        """Whether `target` is a complete result for `image`: readable, of its size, in this format and label set."""
        import numpy as np
        from PIL import Image

        from deeplab_studio.core.images import image_size

        if not target.is_file():
            return False
        try:
            if self._form == "npy":
                stored = np.load(target, allow_pickle=False)
            else:
                with Image.open(target) as picture:
                    stored = np.asarray(picture)
        except (OSError, ValueError, SyntaxError, EOFError):
            return False
        width, height = image_size(image)
        shape = (height, width, 3) if self._form == "colour" else (height, width)
        if stored.shape != shape or stored.dtype != np.uint8:
            return False
        return self._form == "colour" or int(stored.max()) < len(self._label_set)


class _VocWriter(_Writer):
    """A Pascal VOC data set, in which a prediction holds no void."""

    def __init__(
        self, out: Path, form: str, label_set: LabelSet, report: Report, segment: Segment, *, resume: bool
    ) -> None:
        super().__init__(out, form, label_set, report, segment, resume=resume)
        self._kept: set[str] = set()

    def write(self, images: list[Path]) -> None:
        from deeplab_studio.core.voc import ExportItem, find_voc, write_voc

        root = find_voc(self._out) or self._out
        items = [
            ExportItem(name, image, lambda image=image, name=name: self._labels(root, image, name))  # type: ignore[misc]
            for image, name in zip(images, _names(images), strict=True)
        ]
        done = write_voc(
            items, self._out, self._label_set, mode="prediction", progress=lambda _: self._report.advance()
        )
        for problem in done.problems:
            self._report.fail(problem)
        for note in done.notes:
            self._report.notice(note)
        masks = [done.root / "SegmentationClass" / f"{item.item_id}.png" for item in done.items]
        self.written = [mask for mask in masks if mask.stem not in self._kept]

    def _labels(self, root: Path, image: Path, name: str) -> ClassMap:
        from deeplab_studio.core.images import image_size
        from deeplab_studio.core.voc import read_mask, safe_id

        item_id = safe_id(name)
        mask = root / "SegmentationClass" / f"{item_id}.png"
        if self._resume and mask.is_file():
            try:
                labels = read_mask(mask)
                if labels.shape[::-1] == image_size(image) and int(labels.max()) < len(self._label_set):
                    self._kept.add(item_id)
                    self.skipped += 1
                    return labels
            except StudioError:
                pass  # damaged: made again
        return self._segment(image)


def _names(images: list[Path]) -> list[str]:
    """A name for every image's output: its own, with suffix and folders as far as needed to tell them apart."""

    def candidates(path: Path) -> list[str]:
        folders = path.parent.parts[1:]
        return [path.stem, path.name, *("_".join([*folders[-n:], path.name]) for n in range(1, len(folders) + 1))]

    names: list[str] = []
    ladders = [candidates(path) for path in images]
    level = [0] * len(images)
    while True:
        names = [ladder[min(step, len(ladder) - 1)] for ladder, step in zip(ladders, level, strict=True)]
        shared = Counter(name.casefold() for name in names)
        clashing = [i for i, name in enumerate(names) if shared[name.casefold()] > 1 and level[i] < len(ladders[i]) - 1]
        if not clashing:
            return names
        for i in clashing:
            level[i] += 1
