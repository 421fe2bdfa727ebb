"""Write the network's native logits for one image at its own size, without resizing, as a (C, h, w) float32 array.

They are those of one scale unless --scales multi asks for the fused ones.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from deeplab_studio.commands.console import Report, say, say_json
from deeplab_studio.commands.options import add_device, add_geometry, open_predictor


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command's arguments."""
    parser.add_argument("model", metavar="FILE", help="checkpoint of a DeepLab model")
    parser.add_argument("image", metavar="IMAGE", type=Path)
    parser.add_argument("out", metavar="OUT.npy", type=Path)
    parser.add_argument("--json", action="store_true", help="describe the result as JSON on stdout")
    add_geometry(parser)
    add_device(parser)


def run(options: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    """Run the command; its exit code."""
    if options.out.suffix != ".npy":
        parser.error(f"{options.out}: the output's name must end in .npy")
    import numpy as np

    from deeplab_studio.core.files import atomic_write
    from deeplab_studio.core.images import load_image

    image = load_image(options.image)
    predictor = open_predictor(options, Report().notice)
    logits = predictor.native_logits(image.pixels, several_scales=options.scales == "multi")
    with atomic_write(options.out) as temporary, temporary.open("wb") as file:
        np.save(file, logits)
    if options.json:
        say_json(
            {
                "out": str(options.out),
                "shape": list(logits.shape),
                "model": predictor.model_id,
                "title": predictor.title,
                "classes": list(predictor.classes.names),
                "output_stride": predictor.profile.output_stride,
                "image_size": list(image.pixels.shape[:2]),
                "device": predictor.device,
            }
        )
    else:
        say(str(options.out))
    return 0
