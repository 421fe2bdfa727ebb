"""Turn what a training run left into the starter models that ship: small files, measured again, each with its card."""

from __future__ import annotations

import argparse
import math
import re
import shutil
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from deeplab_studio.commands.console import Report, say
from deeplab_studio.core.errors import StudioError

if TYPE_CHECKING:
    from deeplab_studio.checkpoints.model import LoadedModel
    from deeplab_studio.checkpoints.native import Provenance
    from deeplab_studio.checkpoints.starters import StarterCard
    from deeplab_studio.core.metrics import ConfusionMatrix
    from deeplab_studio.core.voc import VocDataset
    from deeplab_studio.crf.params import CrfParams

TOTAL_BYTES = 32_000_000
"""All starter models together are no larger: they are part of every installation."""

SAME_LABELS = 0.999
"""Share of pixels that must keep their label for weights to be stored as float16."""

KNOWN = ("background", "cat", "cow", "dog", "horse", "person", "sheep")
"""The classes most of the training photos show."""

VERSIONS = ("v1", "v2", "v3", "v3+")

HEADS = {
    "v1": "the v1 head (one 3x3 convolution with a large field of view, rate 12 at output stride 8) on a compact "
    "residual encoder, not the paper's VGG-16. It is made for the dense CRF after it",
    "v2": "the v2 head (ASPP: 3x3 convolutions at rates 6, 12, 18 and 24 at output stride 8, summed) on a compact "
    "residual encoder and at one scale, not the paper's ResNet-101 at three",
    "v3": "the v3 head (ASPP at rates 6, 12 and 18 at output stride 16, image pooling, batch norm) on a compact "
    "residual encoder, not the paper's ResNet-101",
    "v3+": "the v3+ head (separable ASPP, decoder with low-level features) on a compact residual encoder, not the "
    "paper's Xception-65",
}
"""What each starter is and what it is not."""

COMMAND = "deeplab-studio train models/starter.toml"

DATA = (
    "3,135 photos of Pascal VOC 2012 train and SBD, longest side 320 pixels, most of them of cats, dogs, people and "
    "farm animals; a DeepLabv3 MobileNetV2 of the TensorFlow model zoo as teacher"
)

_RECORDS = frozenset({".csv", ".png"})
_RECORD_BYTES = 500_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the action's arguments."""
    parser.add_argument("run", metavar="RUN", type=Path, help="folder of the training run, with a model per version")
    parser.add_argument("folder", metavar="MODELS", type=Path, help="folder the files and cards go to")
    parser.add_argument(
        "--voc", metavar="VOC_ROOT", type=Path, required=True, help="photos to measure on, never taught"
    )
    parser.add_argument("--split", default="val", metavar="NAME", help="list in ImageSets/Segmentation (val)")
    parser.add_argument("--crf", default="v1-largefov", metavar="PRESET", help="measured with it as well (v1-largefov)")
    parser.add_argument("--side", type=int, metavar="N", help="longer side at which the models see a photo")
    parser.add_argument("--output-stride", type=int, choices=(8, 16), help="at which the models work; the weights stay")
    parser.add_argument("--known", default=",".join(KNOWN), metavar="NAMES", help="classes taught with many photos")
    parser.add_argument("--command", default=COMMAND, metavar="TEXT", help="with which the models were trained")
    parser.add_argument("--data", default=DATA, metavar="TEXT", help="what they were trained on")
    parser.add_argument("--measured-on", metavar="TEXT", help="name of the photos measured on")
    parser.add_argument("--licence", default="MIT", metavar="SPDX", help="of the weights (MIT)")


def run(options: argparse.Namespace, report: Report) -> None:
    """Measure, store and describe every version found in the run.

    Raises
    ------
    StudioError
        If there is nothing to publish, a photo cannot be read, or the files are too large together. Then the folder is
        as it was.
    """
    from deeplab_studio.core.voc import read_voc
    from deeplab_studio.crf.presets import find_preset

    preset = find_preset(options.crf)
    if preset is None:
        raise StudioError(f"there is no CRF preset {options.crf!r}", hint="Name one of the presets.")
    found = {version: path for version in VERSIONS if (path := best_file(options.run, version)) is not None}
    if not found:
        raise StudioError(
            "the run has no model of any version", path=options.run, hint="Name the folder a training run wrote to."
        )
    dataset = read_voc(options.voc, options.split)
    cards = []
    with tempfile.TemporaryDirectory(prefix="deeplab-studio-publish-") as name:
        for path in found.values():
            report.notice(f"{path.name}: measuring on {len(dataset.items)} photos")
            cards.append(_prepare(path, Path(name), dataset, preset.id, preset.params, options, report))
            _tell(cards[-1])
        total = sum(card.bytes for card in cards)
        if total > TOTAL_BYTES:
            raise StudioError(
                f"the models have {total / 1e6:.1f} MB together, more than {TOTAL_BYTES / 1e6:.0f} MB",
                path=options.run,
                hint="Train smaller ones, or find out why float16 changes their labels.",
            )
        options.folder.mkdir(parents=True, exist_ok=True)
        for card in cards:
            _place(card, options.folder)
    _keep_records(options.run, options.folder / "training", report)
    for version in VERSIONS:
        if version not in found:
            report.notice(f"{version}: the run has none, whatever {options.folder} holds stays")


def best_file(run: Path, version: str) -> Path | None:
    """The model of a version a run left: ``best/v3+.safetensors``, or ``NAME-v3plus.safetensors``."""
    plain = version.replace("+", "plus")
    candidates = [run / "best" / f"{name}.safetensors" for name in (version, plain)]
    candidates += sorted(run.glob(f"*-{plain}.safetensors"))
    return next((path for path in candidates if path.is_file()), None)


def _prepare(
    path: Path,
    folder: Path,
    dataset: VocDataset,
    crf: str,
    params: CrfParams,
    options: argparse.Namespace,
    report: Report,
) -> StarterCard:
    """The model in its final form, in a temporary folder, and its card."""
    from deeplab_studio.checkpoints import load_checkpoint
    from deeplab_studio.checkpoints.digest import sha256_of
    from deeplab_studio.checkpoints.native import Provenance, read_header, save_native
    from deeplab_studio.checkpoints.starters import StarterCard, StarterResult, starter_id

    _refuse_float16(path)
    trained = load_checkpoint(path)
    header = read_header(path)
    origin = header.provenance if header is not None else Provenance()
    origin = replace(origin, licence=options.licence)
    model = replace(
        _in_use(trained, options.output_stride, options.side), title=f"Starter {trained.version}", path=path
    )
    exact, half = folder / "exact.safetensors", folder / f"{starter_id(model.version)}.safetensors"
    save_native(model, exact, provenance=origin)
    save_native(model, half, half=True, provenance=origin)
    measured = _measure(half, exact, dataset, params, report)
    stored_as = "float16"
    if measured.agreement < SAME_LABELS:
        report.notice(f"{path.name}: float16 keeps only {measured.agreement:.4%} of the labels; stored as float32")
        shutil.copyfile(exact, half)
        measured, stored_as = _measure(half, exact, dataset, params, report), "float32"
    known = [name.strip() for name in options.known.split(",") if name.strip() in model.classes.names]
    names = dataset.label_set.names
    plain, refined = (dict(zip(names, iou, strict=True)) for iou in (measured.iou, measured.refined))
    return StarterCard(
        id=starter_id(model.version),
        title=model.title,
        version=model.version,
        description=f"A small model to begin with: {HEADS[model.version]}. Trained from scratch on few photos; the "
        "full models of its version know all classes better.",
        path=half,
        bytes=half.stat().st_size,
        sha256=sha256_of(half),
        licence=options.licence,
        parameters=sum(parameter.numel() for parameter in model.network.parameters()),
        stored_as=stored_as,
        agreement=measured.agreement,
        command=_command(options, origin),
        data=options.data,
        known=tuple(known),
        hardly_known=tuple(name for name in model.classes.names if name not in known),
        result=StarterResult(
            measured_on=options.measured_on or f"{measured.images} photos of Pascal VOC 2012 {options.split}",
            images=measured.images,
            iou=plain,
            miou=mean_iou(plain.values()),
            miou_known=mean_iou(plain[name] for name in known if name in plain),
            pixel_accuracy=round(measured.pixel_accuracy, 4),
            crf=crf,
            miou_crf=mean_iou(refined.values()),
            miou_known_crf=mean_iou(refined[name] for name in known if name in refined),
        ),
    )


def _refuse_float16(path: Path) -> None:
    """What float16 changes can be measured from float32 weights alone."""
    import safetensors

    with safetensors.safe_open(path, framework="numpy") as content:
        kinds = {content.get_slice(name).get_dtype() for name in content.keys()}  # noqa: SIM118  no mapping
    if kinds != {"F32"}:
        raise StudioError(
            "its weights are stored as float16 already", path=path, hint="Train with half = false and publish again."
        )


def _in_use(model: LoadedModel, output_stride: int | None, side: int | None) -> LoadedModel:
    """The model at the output stride and photo size at which it is to be used; the other stride can be chosen."""
    from deeplab_studio.checkpoints.model import SizeRule
    from deeplab_studio.networks.starter import at_output_stride, network_at_output_stride

    network = network_at_output_stride(model.network, output_stride or model.output_stride)
    other = at_output_stride(network.profile, 8 if network.profile.output_stride == 16 else 16)
    model = replace(model, network=network, profile=network.profile, profiles=(network.profile, other))
    if side is not None:
        model = replace(model, preprocessing=replace(model.preprocessing, size=SizeRule("longer", side)))
    return model


@dataclass(frozen=True)
class _Measured:
    """IoU per class without and with the CRF, None where a class does not occur."""

    iou: Sequence[float | None]
    refined: Sequence[float | None]
    pixel_accuracy: float
    agreement: float
    images: int


def _measure(stored: Path, exact: Path, dataset: VocDataset, params: CrfParams, report: Report) -> _Measured:
    """Score the file as it ships, on the CPU, and compare its labels with those of the exact weights."""
    from deeplab_studio.checkpoints import load_checkpoint
    from deeplab_studio.commands.evaluate import classes_onto
    from deeplab_studio.core.images import load_image
    from deeplab_studio.core.metrics import ConfusionMatrix
    from deeplab_studio.core.voc import read_mask
    from deeplab_studio.engine import Predictor
    from deeplab_studio.engine.refiner import Refiner

    ships, reference = (Predictor(load_checkpoint(path), "cpu") for path in (stored, exact))
    table = classes_onto(ships.classes, dataset.label_set, dataset.root)
    plain, refined = (ConfusionMatrix(len(dataset.label_set)) for _ in range(2))
    same = pixels = images = 0
    with report.progress(len(dataset.items), stored.stem):
        for item in dataset.items:
            if item.mask is None:
                raise StudioError("it has no mask", path=item.image, hint="Label it or take it off the list.")
            truth, photo = read_mask(item.mask), load_image(item.image).pixels
            scores = ships.predict(photo)
            labels = scores.class_map()
            same += int((labels == reference.predict(photo).class_map()).sum())
            pixels += labels.size
            plain.add(truth, table[labels])
            refined.add(truth, table[Refiner(photo, scores).refine(params)])
            images += 1
            report.advance()
    if not images:
        raise StudioError("it lists no photos", path=dataset.root, hint="Choose another list with --split.")
    return _Measured(_numbers(plain), _numbers(refined), plain.pixel_accuracy(), same / pixels, images)


def _numbers(matrix: ConfusionMatrix) -> list[float | None]:
    return [None if math.isnan(value) else round(float(value), 4) for value in matrix.iou()]


def mean_iou(values: Iterable[float | None]) -> float:
    """Mean of IoU, 0..1, over the classes that occur; 0 if none does."""
    known = [value for value in values if value is not None]
    return round(sum(known) / len(known), 4) if known else 0.0


def _command(options: argparse.Namespace, origin: Provenance) -> str:
    crops = re.search(r"(\d+) crops", origin.source)
    command: str = options.command
    return f"{command} (best after {int(crops[1]):,} crops)" if crops else command


def _place(card: StarterCard, folder: Path) -> None:
    from deeplab_studio.core.files import atomic_write

    target = folder / card.path.name
    with atomic_write(target) as temporary:
        shutil.copyfile(card.path, temporary)
    with atomic_write(folder / f"{card.id}.json") as temporary:
        temporary.write_text(replace(card, path=target).dump(), "utf-8")
    say(str(target))


def _keep_records(run: Path, folder: Path, report: Report) -> None:
    """Copy logs and curves of the run, as far as they are small."""
    for path in sorted(run.iterdir()):
        if path.suffix not in _RECORDS or not path.is_file():
            continue
        if path.stat().st_size > _RECORD_BYTES:
            report.notice(f"{path.name} was not copied: it is larger than {_RECORD_BYTES / 1e6} MB")
            continue
        folder.mkdir(parents=True, exist_ok=True)
        say(str(shutil.copy(path, folder / path.name)))


def _tell(card: StarterCard) -> None:
    result = card.result
    say(
        f"{card.id}\t{card.bytes / 1e6:.1f} MB {card.stored_as}, {card.agreement:.3%} of the labels kept\t"
        f"mIoU {result.miou:.3f}, of the known classes {result.miou_known:.3f}\t"
        f"with {result.crf} {result.miou_crf:.3f}, {result.miou_known_crf:.3f}"
    )
