"""Logits beside those of the published implementations, on the fixtures that hold both weights and answers."""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from deeplab_studio.checkpoints import LoadedModel
    from deeplab_studio.engine.scores import Scores

NAME = "parity"
DESCRIPTION = "largest difference of the logits from those of every published implementation"

TOLERANCE = 1e-3
MULTI_SCALE_TOLERANCE = 3e-3
"""Float32 coordinates of the resized image alone give up to 7e-4."""

_NEAR_TIE_SHARE = 1e-3
"""Of the pixels, where a fixture does not count its near ties."""


@dataclass(frozen=True, slots=True)
class Difference:
    """How far one array is from the published implementation's.

    Attributes
    ----------
    array : str
        Its name in the fixture.
    value : float
        Largest absolute difference of logits, or number of pixels with another label.
    allowed : float
        How large it may be.
    """

    array: str
    value: float
    allowed: float

    @property
    def is_labels(self) -> bool:
        """Whether it counts pixels."""
        return self.array.startswith("labels")


def recipe(fixtures: Path) -> ModuleType:
    """The fixtures' own module that rebuilds checkpoints."""
    spec = importlib.util.spec_from_file_location("fixture_recipe", fixtures / "recipe.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def peers(fixtures: Path) -> list[str]:
    """Names of the published implementations there are fixtures of."""
    return sorted(folder.name for folder in fixtures.iterdir() if (folder / "logits.npz").is_file())


def differences(folder: Path, checkpoint: Path) -> Iterator[Difference]:
    """Compare every array of one fixture.

    Parameters
    ----------
    folder : Path
        The fixture.
    checkpoint : Path
        Its checkpoint, rebuilt.
    """
    from PIL import Image

    described = json.loads((folder / "meta.json").read_text("utf-8"))["arrays"]
    runs = _Runs(checkpoint, np.asarray(Image.open(folder / "input.png").convert("RGB")))
    with np.load(folder / "logits.npz") as arrays:
        for name in arrays.files:
            theirs, ours = arrays[name], runs.array(name)
            if ours.shape != theirs.shape:
                raise AssertionError(f"{folder.name}: {name} is {ours.shape}, not {theirs.shape}")
            if name.startswith("labels"):
                allowed = described[name].get("near_ties", int(_NEAR_TIE_SHARE * theirs.size))
                yield Difference(name, int(np.count_nonzero(ours != theirs)), allowed)
            else:
                several = "msc" in name or name.startswith("native_s0")
                yield Difference(
                    name, float(np.abs(ours - theirs).max()), MULTI_SCALE_TOLERANCE if several else TOLERANCE
                )


class _Runs:
    """Our answers for one checkpoint, each computed once."""

    def __init__(self, checkpoint: Path, image: np.ndarray) -> None:
        from deeplab_studio.checkpoints import load_checkpoint

        self.checkpoint, self.image = checkpoint, image
        self.model = load_checkpoint(checkpoint)
        self.scores: dict[str, Scores] = {}

    def array(self, name: str) -> np.ndarray:
        from deeplab_studio.checkpoints import load_checkpoint

        image, model = self.image, self.model
        if name == "native":
            return self._predictor(model).native_logits(image)
        if name == "native_crop1":
            return self._predictor(model).native_logits(np.ascontiguousarray(image[:-1, :-1]))
        if name == "native_os8":
            return self._predictor(load_checkpoint(self.checkpoint, output_stride=8)).native_logits(image)
        if name.startswith("native_s0"):
            return self._branch(int(name[-3:]) / 100)
        run, _, rest = {
            "upsampled_s9": "single/s9",
            "upsampled_msc_s9": "scale-factor/s9",
            "labels": "scale-factor/labels" if model.profile.multi_scale else "single/labels",
            "labels_size": "floor/labels",
            "labels_single": "single/labels",
            "labels_protocol": "published/labels",
            "native_msc": "scale-factor/logits",
            "native_msc_size": "floor/logits",
            "native_pad513": "published/logits",
            "native_preset": "published/logits",
            "native_letterbox_s4": "published/logits_s4",
        }[name].partition("/")
        scores = self._scores(run)
        if rest == "labels":
            return scores.class_map()
        if rest == "s9":
            height, width = scores.image_size
            sampled = [[scores.at(y, x) for x in range(0, width, 9)] for y in range(0, height, 9)]
            return np.asarray(sampled).transpose(2, 0, 1)
        return scores.logits[:, ::4, ::4] if rest == "logits_s4" else scores.logits

    def _predictor(self, model: LoadedModel) -> Any:
        from deeplab_studio.engine import Predictor

        return Predictor(model, "cpu", size="native")

    def _scores(self, run: str) -> Scores:
        from deeplab_studio.engine import Predictor

        if run not in self.scores:
            model, size = self.model, "native"
            if run == "published":
                size = "model"
            elif run == "single":
                model = model.with_multi_scale(None)
            else:
                model = model.with_multi_scale(replace(model.profile.multi_scale, size=run))
            self.scores[run] = Predictor(model, "cpu", size=size).predict(self.image)
        return self.scores[run]

    def _branch(self, scale: float) -> np.ndarray:
        import torch

        from deeplab_studio.engine.preprocess import normalise
        from deeplab_studio.networks.multi_scale import resized

        image = normalise(self.image, self.model.preprocessing, *self.image.shape[:2])
        x = torch.from_numpy(image).permute(2, 0, 1)[None]
        rule = replace(self.model.profile.multi_scale, size="scale-factor")
        with torch.inference_mode():
            return self.model.network.one_scale(resized(x, scale, rule))[0].numpy()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    shared = os.environ.get("DEEPLAB_STUDIO_SHARED", Path(__file__).resolve().parents[2] / "shared")
    parser.add_argument(
        "fixtures",
        type=Path,
        nargs="?",
        default=Path(shared) / "fixtures",
        help="folder of the parity fixtures, with their recipe.py (fixtures/ in DEEPLAB_STUDIO_SHARED)",
    )
    parser.add_argument("--only", metavar="TEXT", default="", help="only fixtures with TEXT in their name")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the table into FILE")


def run(args: argparse.Namespace) -> dict[str, Any]:
    from deeplab_studio.checkpoints import load_checkpoint

    if not (args.fixtures / "recipe.py").is_file():
        raise SystemExit(f"no parity fixtures at {args.fixtures}")
    rebuild = recipe(args.fixtures)
    rows: list[dict[str, Any]] = []
    titles: dict[str, str] = {}
    within = True
    for name in peers(args.fixtures):
        if args.only not in name:
            continue
        with tempfile.TemporaryDirectory() as folder:
            checkpoint = Path(folder) / f"{name}.pth"
            rebuild.write_checkpoint(str(args.fixtures / name), str(checkpoint))
            titles[name] = load_checkpoint(checkpoint).title
            for found in differences(args.fixtures / name, checkpoint):
                ok = found.value <= found.allowed
                within = within and ok
                figure = f"{found.value:.0f} px" if found.is_labels else f"{found.value:.1e}"
                allowed = f"{found.allowed:.0f} px" if found.is_labels else f"{found.allowed:.0e}"
                rows.append(
                    {"peer": name, "array": found.array, "difference": figure, "allowed": allowed, "within": ok}
                )
    if args.markdown:
        args.markdown.write_text(_document(rows, titles), encoding="utf-8")
    return {"rows": rows, "notes": ["Everything is within tolerance." if within else "NOT everything is in tolerance."]}


def _document(rows: list[dict[str, Any]], titles: dict[str, str]) -> str:
    lines = []
    for name, title in titles.items():
        own = [row for row in rows if row["peer"] == name]
        cells = {True: "", False: " (over)"}
        lines.append(f"| {title} | | |")
        lines += [
            f"| &emsp;`{row['array']}` | {row['difference']}{cells[row['within']]} | {row['allowed']} |" for row in own
        ]
    return _INTRODUCTION + "\n".join(lines) + "\n\n" + _ARRAYS


_INTRODUCTION = """# Do the scores equal those of the authors' own code?

For every published implementation a checkpoint with random weights was written in its own file layout, and its own code
computed what it makes of one photo of 321 x 241 pixels. The program reads the same file and the same photo. The table
shows the largest absolute difference of the logits, whose standard deviation is about 3, and the number of pixels of
77,361 that got another label; at those, two classes are equally likely but for rounding. The implementations' own
rounding error, single against double precision, is up to 2.5e-4.

Made by `python -m benchmarks parity --markdown docs/parity.md`. Which files can be read, and how those without fixture
were checked, is in [checkpoints.md](checkpoints.md).

| | difference | allowed |
|---|---|---|
"""

_ARRAYS = """## What is compared

| array | meaning |
|---|---|
| `native` | logits at the network's own resolution, photo at its own size, one scale |
| `native_crop1` | the same for a photo that is a row and a column smaller: sizes of the other parity |
| `native_os8` | the same file at output stride 8 |
| `native_pad513`, `native_letterbox_s4`, `native_preset` | logits after the implementation's own resizing and padding |
| `native_msc`, `native_msc_size` | three scales fused; the image made smaller as torch does since 1.6, and as before |
| `native_s050`, `native_s075` | two of the three scales on their own |
| `upsampled_s9`, `upsampled_msc_s9` | logits on the photo, every ninth row and column |
| `labels`, `labels_size`, `labels_single` | class map: of all scales; the same with `_size`; of one scale |
| `labels_protocol` | the class map after the implementation's own resizing and padding |
"""
