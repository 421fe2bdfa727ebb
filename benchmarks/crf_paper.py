"""The label maps of the authors of DeepLab v1: whether our CRF does to them what theirs did.

The folder holds ``img``, ``gt``, and the authors' own label maps before (``res_none``) and after (``res_crf``) their
CRF. Label maps hold no scores, so these are made up: `soften` averages the labels before the CRF over cells of 8 x 8
pixels (the network's own resolution), blurs them by one cell, enlarges them bilinearly, and gives 10 % of every pixel
evenly to all classes. What the CRF gains on that is compared with what theirs gained; a sanity check, no more.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.crf_photos import LABELS, cell_shares

NAME = "crf_paper"
DESCRIPTION = "the DeepLab v1 authors' label maps, softened, through our CRF with the paper's parameters"

PRESETS = ("v1-largefov", "v1", "v1-msc", "v2-script")

CELL = 8
BLUR = 1.0
EVENLY = 0.1

Bytes = npt.NDArray[np.uint8]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="folder with img, gt, res_none and res_crf")
    parser.add_argument("--presets", nargs="+", default=PRESETS, metavar="ID", help=f"default: {' '.join(PRESETS)}")


def run(args: argparse.Namespace) -> dict[str, Any]:
    rows = measure(args.folder, args.presets)
    theirs, ours = rows[1]["gain"], rows[2]["gain"]
    verdict = "reached" if ours >= theirs / 2 > 0 else "missed"
    note = f"{rows[2]['label_maps']}: {ours / theirs:.0%} of what the authors' CRF gained, goal 50 %: {verdict}."
    return {"rows": rows, "notes": [f"{len(_names(args.folder))} photos. {note}"]}


def measure(folder: Path, presets: Sequence[str]) -> list[dict[str, Any]]:
    """The mIoU of the authors' label maps before and after their CRF, and after ours with each preset."""
    from PIL import Image

    from deeplab_studio.crf import DenseCRF, Unaries, find_preset

    names = _names(folder)
    before = {name: _read(folder, "res_none", name) for name in names}
    start = _miou(folder, names, before.__getitem__)
    rows = [{"label_maps": "authors, before the CRF", "miou": start, "gain": 0.0}]

    def add(title: str, labels: Callable[[str], Bytes]) -> None:
        miou = _miou(folder, names, labels)
        rows.append({"label_maps": title, "miou": miou, "gain": miou - start})

    add("authors, after their CRF", lambda name: _read(folder, "res_crf", name))
    crfs = {name: DenseCRF(np.array(Image.open(folder / "img" / f"{name}.jpg").convert("RGB"))) for name in names}
    softened = {name: Unaries.of(soften(before[name]), in_place=True) for name in names}
    for preset_id in presets:
        preset = find_preset(preset_id)
        if preset is None:
            raise SystemExit(f"there is no preset {preset_id!r}")
        params = preset.params
        add(f"ours, {preset_id}", lambda name, params=params: crfs[name].labels(softened[name], params))  # type: ignore[misc]
    add("softened, no CRF", lambda name: softened[name].logs.argmax(axis=0).astype(np.uint8))
    return rows


def soften(labels: Bytes) -> npt.NDArray[np.float32]:
    """Probabilities (21, H, W) of a network that would have said these labels."""
    import cv2

    height, width = labels.shape
    cells = (max(1, round(width / CELL)), max(1, round(height / CELL)))
    share = np.stack(
        [
            cv2.resize(cv2.GaussianBlur(plane, (0, 0), BLUR), (width, height), interpolation=cv2.INTER_LINEAR)
            for plane in cell_shares(labels, cells)
        ]
    )
    share *= np.float32(1 - EVENLY) / share.sum(axis=0)
    share += np.float32(EVENLY / LABELS)
    return np.asarray(share, np.float32)


def _miou(folder: Path, names: Sequence[str], labels: Callable[[str], Bytes]) -> float:
    from deeplab_studio.core.metrics import ConfusionMatrix

    matrix = ConfusionMatrix(LABELS)
    for name in names:
        matrix.add(_read(folder, "gt", name), labels(name))
    return matrix.miou()


def _names(folder: Path) -> list[str]:
    return [path.stem for path in sorted((folder / "img").glob("*.jpg"))]


def _read(folder: Path, part: str, name: str) -> Bytes:
    from PIL import Image

    return np.array(Image.open(folder / part / f"{name}.png"))
