"""Get, convert, check and take apart models.

A model is named by its id in the library, the id of its card, its title, or the path of a file.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deeplab_studio.commands import publish
from deeplab_studio.commands.console import Report, say, say_json, show_table
from deeplab_studio.commands.options import add_geometry, known_models, load_model
from deeplab_studio.core.errors import StudioError

if TYPE_CHECKING:
    from deeplab_studio.checkpoints.catalogue import ModelCard
    from deeplab_studio.checkpoints.library import InstalledModel, ModelLibrary
    from deeplab_studio.checkpoints.starters import StarterCard

PHOTO_SIDES = range(1, 100_001)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command's arguments."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)

    def action(name: str, text: str) -> argparse.ArgumentParser:
        return actions.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")

    each = action("list", "list the models that are here and those that can be got")
    each.add_argument("--json", action="store_true", help="as JSON on stdout")

    each = action("inspect", "take a model apart: version, rates, receptive field, multiply-adds")
    each.add_argument("model", metavar="ID|FILE")
    each.add_argument("--size", type=_size, metavar="WxH", help="size of the photo (500x375, most of Pascal VOC's)")
    add_geometry(each)
    each.add_argument("--json", action="store_true", help="as JSON on stdout")

    each = action("add", "convert checkpoints of any known dialect into the library; the files stay as they are")
    each.add_argument("files", nargs="+", metavar="FILE", type=Path)
    each.add_argument("--classes", metavar="NAMES.txt", type=Path, help="a text file with one class name per line")
    each.add_argument("--half", action="store_true", help="store the convolutions as float16: half the size")
    each.add_argument("--json", action="store_true", help="as JSON on stdout")

    each = action("get", "download models of the catalogue; goes on where an earlier try stopped")
    each.add_argument("ids", nargs="+", metavar="ID")
    each.add_argument("--mirror", default="", metavar="URL", help="address to ask instead of the publisher's")

    each = action("remove", "delete models of the library, or forget files that lie elsewhere")
    each.add_argument("models", nargs="+", metavar="ID")

    each = action("verify", "read models and tell whether they are what they were")
    each.add_argument("models", nargs="*", metavar="ID", help="all of them if none is named")
    each.add_argument("--json", action="store_true", help="as JSON on stdout")

    each = action("export", "write a model as ONNX for any image size, checked against torch")
    each.add_argument("model", metavar="ID|FILE")
    each.add_argument("out", metavar="OUT.onnx", type=Path)
    add_geometry(each)
    each.add_argument("--json", action="store_true", help="as JSON on stdout")

    publish.add_arguments(action("publish", "measure the models of a training run and write them as starter models"))


def run(options: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    """Run the command; its exit code."""
    if options.action == "export" and options.out.suffix != ".onnx":
        parser.error(f"{options.out}: the output's name must end in .onnx")
    from deeplab_studio.checkpoints.library import ModelLibrary

    report = Report()
    actions: dict[str, Callable[[argparse.Namespace, ModelLibrary, Report], None]] = {
        "list": _list,
        "inspect": _inspect,
        "add": _add,
        "get": _get,
        "remove": _remove,
        "verify": _verify,
        "export": _export,
        "publish": lambda options, _library, report: publish.run(options, report),
    }
    library = ModelLibrary()
    actions[options.action](options, library, report)
    for notice in library.notices:
        report.notice(notice)
    return 1 if report.failed else 0


def _size(text: str) -> tuple[int, int]:
    """Height and width of ``WIDTHxHEIGHT``."""
    match = re.fullmatch(r"(\d{1,6})x(\d{1,6})", text)
    if not match or not all(int(side) in PHOTO_SIDES for side in match.groups()):
        raise argparse.ArgumentTypeError(f"{text!r} is no size such as 640x480")
    return int(match[2]), int(match[1])


# --- What is there ----------------------------------------------------------------------------------------------------


def _list(options: argparse.Namespace, library: ModelLibrary, _report: Report) -> None:
    from deeplab_studio.checkpoints.catalogue import SUPPORTED_DIALECTS, cards

    models = library.installed()
    here = {model.card.id for model in models if model.card is not None and model.usable}
    offered = [card for card in cards(SUPPORTED_DIALECTS) if card.id not in here]
    if options.json:
        say_json(
            {
                "folder": str(library.folder),
                "disk_use": library.disk_use(),
                "installed": [_model_entry(model) for model in models],
                "available": [_card_entry(card) for card in offered],
            }
        )
        return
    rows: list[tuple[str, ...]] = [
        (
            model.id,
            model.version,
            model.title,
            _classes(model),
            _megabytes(model.size),
            "starter" if model.starter is not None and model.usable else model.state,
        )
        for model in models
    ]
    rows += [
        (card.id, card.version, card.title, card.class_set, _megabytes(card.size), "available") for card in offered
    ]
    show_table("", ("id", "version", "model", "classes", "size", "state"), rows, numbers=(4,))
    if sys.stdout.isatty():
        say("\nGet what is available with: deeplab-studio models get ID")


def _classes(model: InstalledModel) -> str:
    if model.starter is not None:
        return f"knows {', '.join(model.starter.known)}"
    if model.card is not None:
        return model.card.class_set
    return model.facts.class_set or (str(model.facts.classes) if model.facts.classes else "")


def _model_entry(model: InstalledModel) -> dict[str, Any]:
    return {
        "id": model.id,
        "title": model.title,
        "version": model.version or None,
        "card": model.card.id if model.card is not None else None,
        "path": str(model.path),
        "bytes": model.size,
        "sha256": model.sha256 or None,
        "state": model.state,
        "origin": model.origin,
        "source": model.source or None,
        "classes": model.facts.classes or None,
        "class_set": (model.card.class_set if model.card is not None else model.facts.class_set) or None,
        "starter": _starter_entry(model.starter) if model.starter is not None else None,
    }


def _starter_entry(card: StarterCard) -> dict[str, Any]:
    return {
        "description": card.description,
        "known": list(card.known),
        "hardly_known": list(card.hardly_known),
        "measured_on": card.result.measured_on,
        "miou": card.result.miou,
        "miou_known": card.result.miou_known,
        "iou": dict(card.result.iou),
        "licence": card.licence,
    }


def _card_entry(card: ModelCard) -> dict[str, Any]:
    return {
        "id": card.id,
        "title": card.title,
        "version": card.version,
        "backbone": card.backbone,
        "classes": card.classes,
        "class_set": card.class_set,
        "url": card.url,
        "bytes": card.size,
        "licence": card.licence,
        "caution": card.caution,
        "results": [
            {"measured_on": result.measured_on, "miou": result.miou, "miou_crf": result.miou_crf}
            for result in card.results
        ],
    }


def _megabytes(count: int | None) -> str:
    return "" if count is None else f"{count / 1e6:.1f} MB"


# --- One model --------------------------------------------------------------------------------------------------------


def _inspect(options: argparse.Namespace, library: ModelLibrary, report: Report) -> None:
    from deeplab_studio.checkpoints.native import read_header
    from deeplab_studio.commands import anatomy as texts
    from deeplab_studio.engine.anatomy import TYPICAL_PHOTO, examine

    model = load_model(options, library)
    path = model.path
    header = read_header(path)
    try:
        anatomy = examine(model.profile, model.preprocessing, *(options.size or TYPICAL_PHOTO))
    except ValueError as error:
        raise StudioError(str(error), path=path, hint="Choose a larger --size.") from error
    if options.json:
        say_json(texts.document(model, header, anatomy))
        return
    say(model.title)
    known = library.find(str(path.absolute()))
    starter = known.starter if known is not None else None
    show_table("", ("", ""), texts.facts(model, header, anatomy, starter))
    for title, columns, rows in texts.tables(anatomy):
        say("")
        show_table(title, columns, rows, numbers=range(1, len(columns)))
    for warning in texts.warnings(anatomy):
        report.notice(f"warning: {warning}")


def _export(options: argparse.Namespace, library: ModelLibrary, report: Report) -> None:
    from deeplab_studio.checkpoints.onnx_export import export_onnx

    model = load_model(options, library)
    report.notice(f"Exporting {model.title}; this takes a minute.")
    done = export_onnx(model, options.out)
    if options.json:
        say_json(
            {
                "out": str(options.out),
                "opset": done.opset,
                "sizes": [list(size) for size in done.sizes],
                "max_difference": done.max_difference,
                "input_remainder": done.input_remainder,
                "bytes": options.out.stat().st_size,
            }
        )
        return
    say(str(options.out))
    checked = ", ".join(f"{width} x {height}" for height, width in done.sizes)
    report.notice(f"opset {done.opset}; differs from torch by at most {done.max_difference:.1e} (at {checked} pixels)")
    if done.input_remainder:
        report.notice(f"Height and width of its input must leave {done.input_remainder} when divided by 32.")


# --- Many models ------------------------------------------------------------------------------------------------------


def _add(options: argparse.Namespace, library: ModelLibrary, report: Report) -> None:
    from deeplab_studio.checkpoints.class_names import read_class_names

    names = read_class_names(options.classes) if options.classes is not None else None
    added = []
    with report.progress(len(options.files), "Converting"):
        for path in options.files:
            with report.attempt():
                added.append(library.convert(path, names=names, half=options.half))
            report.advance()
    if options.json:
        say_json({"added": [_model_entry(model) for model in added], "failed": report.failures()})
        return
    for model in added:
        say(model.id)


def _get(options: argparse.Namespace, library: ModelLibrary, report: Report) -> None:
    from deeplab_studio.checkpoints.catalogue import find_card
    from deeplab_studio.checkpoints.download import download

    for card_id in options.ids:
        with report.attempt():
            card = find_card(card_id)
            if card is None:
                raise _no_card(card_id)
            if (model := library.of_card(card)) is not None:
                report.notice(f"{card_id} is here already")
            else:
                target = library.path_for(card)
                with report.transfer(card.title) as tell:
                    done = download(
                        card.url, target, digest=card.digest, size=card.bytes, mirror=options.mirror, progress=tell
                    )
                model = library.register(done, card)
            say(str(model.path))


def _no_card(card_id: str) -> StudioError:
    import difflib

    from deeplab_studio.checkpoints.catalogue import SUPPORTED_DIALECTS, cards

    known = [card.id for card in cards(SUPPORTED_DIALECTS)]
    close = difflib.get_close_matches(card_id, known, n=3, cutoff=0.4)
    hint = f"Did you mean {' or '.join(close)}?" if close else "See deeplab-studio models list."
    return StudioError(f"the catalogue has no model {card_id!r}", hint=hint)


def _remove(options: argparse.Namespace, library: ModelLibrary, report: Report) -> None:
    for name in options.models:
        with report.attempt():
            model = _known(name, library)
            library.remove(model)
            say(str(model.path))


def _verify(options: argparse.Namespace, library: ModelLibrary, report: Report) -> None:
    models = [] if options.models else library.installed()
    for name in options.models:
        with report.attempt():
            models.append(_known(name, library))
    checked = []
    for model in models:
        with report.attempt():
            found = library.verify(model)
            checked.append(found)
            if not options.json:
                say(f"{found.state}\t{found.id}\t{found.path}")
            if found.state == "changed":
                raise StudioError(
                    "its content is not what is known under its name",
                    path=found.path,
                    hint="Get it again, or add it as a model of your own.",
                )
            if found.state == "missing":
                raise StudioError("it is not there any more", path=found.path)
    if options.json:
        say_json({"verified": [_model_entry(model) for model in checked], "failed": report.failures()})


def _known(name: str, library: ModelLibrary) -> InstalledModel:
    model = library.find(name) or library.find(str(Path(name).absolute()))
    if model is None:
        raise StudioError(f"the library has no model {name!r}", hint=known_models(library))
    return model
