"""Options several commands share."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import TYPE_CHECKING

from deeplab_studio.core.errors import StudioError
from deeplab_studio.networks.profile import OUTPUT_STRIDES

if TYPE_CHECKING:
    from collections.abc import Callable

    from deeplab_studio.checkpoints.library import ModelLibrary
    from deeplab_studio.checkpoints.model import LoadedModel
    from deeplab_studio.crf.backends import Engine
    from deeplab_studio.crf.params import CrfParams
    from deeplab_studio.engine import Predictor


def add_model(parser: argparse.ArgumentParser) -> None:
    """Add ``--model``, ``--output-stride``, ``--scales``, ``--device``, ``--size`` and ``--precision``."""
    parser.add_argument("--model", required=True, metavar="ID|FILE", help="checkpoint file, or model of the library")
    add_geometry(parser)
    add_device(parser)
    parser.add_argument(
        "--size",
        choices=("model", "native"),
        default="model",
        help="at which size the network sees a photo: its authors' (model) or the photo's own, in tiles (native)",
    )
    parser.add_argument(
        "--precision",
        choices=("exact", "fast"),
        default="exact",
        help="float32 (exact), or bfloat16 or float16, which is faster and changes some labels (fast)",
    )


def add_geometry(parser: argparse.ArgumentParser) -> None:
    """Add ``--output-stride`` and ``--scales``."""
    parser.add_argument(
        "--output-stride",
        type=int,
        choices=OUTPUT_STRIDES,
        help="input pixels per feature cell: 8 is finer and costs more than 16 (as published)",
    )
    parser.add_argument(
        "--scales",
        choices=("single", "multi"),
        help="look at a photo once, or at the published scales too, where the model has some (as published)",
    )


def add_device(parser: argparse.ArgumentParser) -> None:
    """Add ``--device``."""
    parser.add_argument(
        "--device", default="auto", type=_device, metavar="auto|cpu|cuda|mps", help="where to run (auto); also cuda:1"
    )


def add_crf(parser: argparse.ArgumentParser) -> None:
    """Add ``--crf`` and ``--crf-engine``."""
    parser.add_argument(
        "--crf",
        default="none",
        metavar="none|PRESET|k=v,...",
        help="sharpen with the dense CRF: a preset or parameters such as w1=4,sa=67,sb=3,w2=3,sg=1,it=10 (none)",
    )
    parser.add_argument(
        "--crf-engine",
        choices=("auto", "kernel", "torch", "reference"),
        default="auto",
        help="what computes the CRF: the compiled kernel, torch on --device, or pydensecrf (reference), which is slow; "
        "all give the same (the kernel, or torch where it is missing)",
    )


def _device(text: str) -> str:
    if not re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", text):
        raise argparse.ArgumentTypeError(f"{text!r} is none of auto, cpu, cuda, cuda:N, mps")
    return text


def crf_params(text: str, parser: argparse.ArgumentParser, engine: Engine = "auto") -> CrfParams | None:
    """What ``--crf`` asks for; ends the program with the usage if it makes no sense.

    Raises
    ------
    StudioError
        If it asks for the CRF and the engine is not there.
    """
    if text == "none":
        return None
    from deeplab_studio.crf.backends import require_engine
    from deeplab_studio.crf.params import parse_params
    from deeplab_studio.crf.presets import PRESETS, find_preset

    preset = find_preset(text)
    if preset is None and "=" not in text:
        parser.error(f"--crf {text}: no such preset; there are none, {', '.join(preset.id for preset in PRESETS)}")
    try:
        params = preset.params if preset is not None else parse_params(text)
    except ValueError as error:
        parser.error(f"--crf: {error}")
    require_engine(engine)
    return params


def open_predictor(options: argparse.Namespace, on_notice: Callable[[str], None]) -> Predictor:
    """The predictor that the options of `add_model` ask for."""
    from deeplab_studio.checkpoints.library import ModelLibrary
    from deeplab_studio.engine import Predictor, resolve_device

    device = resolve_device(options.device)
    library = ModelLibrary()
    return Predictor(
        load_model(options, library),
        device,
        on_notice,
        size=getattr(options, "size", "model"),
        precision=getattr(options, "precision", "exact"),
    )


def load_model(options: argparse.Namespace, library: ModelLibrary) -> LoadedModel:
    """The model that ``--model``, ``--output-stride`` and ``--scales`` ask for.

    Raises
    ------
    StudioError
        If there is no such model, or it does not leave stride or scales open.
    """
    from deeplab_studio.checkpoints.model import Geometry

    model = library.load(find_model(options.model, library))
    return model.at(Geometry(options.output_stride, options.scales))


def find_model(wanted: str, library: ModelLibrary) -> Path:
    """The file itself, or that of a model of the library, by its id, its title or the id of its card.

    Raises
    ------
    StudioError
        If there is neither.
    """
    path = Path(wanted)
    if path.exists():
        return path
    if model := library.find(wanted):
        return model.path
    from deeplab_studio.checkpoints.catalogue import find_card

    if find_card(wanted) is not None:
        raise StudioError(
            f"the model {wanted!r} is not on this machine", hint=f"Get it with deeplab-studio models get {wanted}."
        )
    raise StudioError(
        "there is neither such a file nor such a model in the library", path=path, hint=known_models(library)
    )


def known_models(library: ModelLibrary) -> str:
    """A sentence that names the models of the library."""
    return f"Models there: {', '.join(model.id for model in library.installed()) or 'none'}."
