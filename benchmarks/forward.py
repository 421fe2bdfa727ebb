"""DeepLabv3 from pixels to labels beside torchvision's own, on the same weights, on the CPU.

What is timed begins with the normalised image and ends with the class of every pixel; both upsample the logits and take
the largest. torchvision runs as its documentation has it (eval mode, ``no_grad``, default memory layout), with the
auxiliary head its published weights bring along, which it computes and throws away; a row without that head is given
too. `near_ties` counts the pixels with another label whose two best classes are closer to each other than twice the
largest difference of a logit: rounding decides them. The variants take turns, so that a busy machine slows all of them;
`cpu_ms` is the processor time of all threads. Peak memory is that of a process of its own which loads the weights and
predicts twice.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import torch

    Prediction = tuple[np.ndarray, Callable[[], np.ndarray]]
    """The class of every pixel, and what gives the logits of every `EVERY`th."""

    Predict = Callable[[], Prediction]

NAME = "forward"
DESCRIPTION = "DeepLabv3 from pixels to labels and loading a checkpoint, beside torchvision and torch.load"

NETWORKS = {"mobilenet_v3_large": "tv_v3_mobilenet_v3_large", "resnet50": "tv_v3_resnet50"}
"""Builder in torchvision -> parity fixture with weights for it."""

EVERY = 9

THEIRS, WITHOUT_AUX, OURS, FAST = "torchvision", "torchvision, no auxiliary head", "ours", "ours, fast precision"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--fixtures", type=Path, help="folder of the parity fixtures, for their weights (else random)")
    parser.add_argument("--height", type=int, default=520, help="rows of the photo (default: 520)")
    parser.add_argument("--width", type=int, default=693, help="columns of the photo (default: 693)")
    parser.add_argument("--runs", type=int, default=7, help="runs of each (default: 7)")
    parser.add_argument("--threads", type=int, default=2, help="of torch (default: 2)")
    parser.add_argument("--only", choices=tuple(NETWORKS), help="only this network")


def run(args: argparse.Namespace) -> dict[str, Any]:
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    os.environ["OMP_NUM_THREADS"] = str(args.threads)
    import torch

    torch.set_num_threads(args.threads)
    rows: list[dict[str, Any]] = []
    weights = "the weights of the parity fixtures" if args.fixtures else "random weights"
    what = f"{args.width} x {args.height} pixels, {args.threads} threads, median of {args.runs}"
    notes = [f"{what}, torch {torch.__version__}, {weights}"]
    result: dict[str, Any] = {"rows": rows, "notes": notes, "speed": {}, "loading": {}}
    with tempfile.TemporaryDirectory(prefix="deeplab-studio-forward-") as folder:
        for name in NETWORKS if args.only is None else [args.only]:
            checkpoint = _checkpoint(name, args.fixtures, Path(folder) / f"{name}.pth")
            measured = _measure(name, checkpoint, args)
            for variant, row in measured.items():
                who = {OURS: "ours", THEIRS: "theirs"}.get(variant)
                row["peak_mb"] = _peak(who, name, checkpoint, args) if who else None
                rows.append(row)
            ratio = measured[THEIRS]["median_ms"] / measured[OURS]["median_ms"]
            bare = measured[WITHOUT_AUX]["median_ms"] / measured[OURS]["median_ms"]
            result["speed"][name] = ratio
            notes.append(f"{name}: {ratio:.2f} times as fast as torchvision, {bare:.2f} without its auxiliary head")
            result["loading"][name] = loading = _loading(checkpoint, args.runs)
            notes.append(
                f"{name}: {loading['megabytes']:.0f} MB loaded in {loading['ours_ms']:.0f} ms, "
                f"{loading['ratio']:.2f} times what torch.load alone takes ({loading['torch_load_ms']:.0f} ms)"
            )
    return result


def _checkpoint(name: str, fixtures: Path | None, path: Path) -> Path:
    import torch

    if fixtures is not None:
        from benchmarks.parity import recipe

        recipe(fixtures).write_checkpoint(str(fixtures / NETWORKS[name]), str(path))
        return path
    torch.manual_seed(0)
    network = _torchvision(name)
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d) and module.running_var is not None:
                module.running_var.uniform_(0.5, 1.5)
    torch.save(network.state_dict(), path)
    return path


def _torchvision(name: str) -> torch.nn.Module:
    from torchvision.models import segmentation

    build: Callable[..., torch.nn.Module] = getattr(segmentation, f"deeplabv3_{name}")
    return build(weights=None, weights_backbone=None, aux_loss=True).eval()


def _measure(name: str, checkpoint: Path, args: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """Every variant: the labels it gives, and how long it took."""
    import numpy as np
    import torch

    pixels = _photo(args.height, args.width, name, args.fixtures)
    theirs = _torchvision(name)
    theirs.load_state_dict(torch.load(checkpoint, map_location="cpu", weights_only=True))
    bare = _torchvision(name)
    bare.load_state_dict(theirs.state_dict())
    bare.aux_classifier = None  # type: ignore[assignment]
    variants: dict[str, Predict] = {
        THEIRS: _their_labels(theirs, pixels),
        WITHOUT_AUX: _their_labels(bare, pixels),
        OURS: _our_labels(checkpoint, pixels, "exact"),
        FAST: _our_labels(checkpoint, pixels, "fast"),
    }
    reference, logits = variants[THEIRS]()
    with torch.no_grad():
        best, second = bare(_normalised(pixels))["out"][0].topk(2, 0).values.numpy()
    rows: dict[str, dict[str, Any]] = {}
    for variant, predict in variants.items():
        labels, scores = predict()
        differ, error = labels != reference, float(np.abs(scores() - logits()).max())
        rows[variant] = {
            "network": name,
            "variant": variant,
            "labels_differ": int(np.count_nonzero(differ)),
            "near_ties": None if variant == FAST else int(np.count_nonzero(differ & (best - second < 2 * error))),
            "max_logit_difference": error,
        }
    walls: dict[str, list[float]] = {variant: [] for variant in variants}
    busy: dict[str, list[float]] = {variant: [] for variant in variants}
    for _ in range(args.runs):
        for variant, predict in variants.items():
            start, start_busy = time.perf_counter(), time.process_time()
            predict()
            walls[variant].append(1000 * (time.perf_counter() - start))
            busy[variant].append(1000 * (time.process_time() - start_busy))
    for variant, row in rows.items():
        row |= {
            "median_ms": round(statistics.median(walls[variant])),
            "best_ms": round(min(walls[variant])),
            "slowest_ms": round(max(walls[variant])),
            "cpu_ms": round(statistics.median(busy[variant])),
            "ratio": statistics.median(walls[THEIRS]) / statistics.median(walls[variant]),
        }
    return rows


def _photo(height: int, width: int, name: str = "", fixtures: Path | None = None) -> np.ndarray:
    """The fixture's photo at this size, or smooth colours with grain."""
    import cv2
    import numpy as np

    if fixtures is not None:
        from PIL import Image

        given = Image.open(fixtures / NETWORKS[name] / "input.png").convert("RGB")
        return np.array(given.resize((width, height), Image.Resampling.BICUBIC))
    random = np.random.default_rng(0)
    small = random.integers(0, 256, (height // 60 + 2, width // 60 + 2, 3), np.uint8)
    photo = cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
    return cv2.add(photo, random.integers(0, 16, photo.shape, np.uint8))


def _normalised(pixels: np.ndarray) -> torch.Tensor:
    import torch

    image = torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255
    mean, std = (torch.tensor(values)[:, None, None] for values in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    return ((image - mean) / std).contiguous()


def _their_labels(network: torch.nn.Module, pixels: np.ndarray) -> Predict:
    import torch

    image = _normalised(pixels)

    def predict() -> Prediction:
        with torch.no_grad():
            logits = network(image)["out"]
            return logits.argmax(1)[0].byte().numpy(), lambda: logits[0, :, ::EVERY, ::EVERY].numpy()

    return predict


def _our_labels(checkpoint: Path, pixels: np.ndarray, precision: Any) -> Predict:
    import numpy as np

    from deeplab_studio.checkpoints import load_checkpoint
    from deeplab_studio.engine import Predictor

    predictor = Predictor(load_checkpoint(checkpoint), "cpu", size="native", precision=precision)
    predictor.predict(pixels)  # the first photo of the fast one is computed twice

    def predict() -> Prediction:
        scores = predictor.predict(pixels)
        height, width = pixels.shape[:2]
        places = [[(y, x) for x in range(0, width, EVERY)] for y in range(0, height, EVERY)]
        return scores.class_map(), lambda: np.array([[scores.at(*at) for at in row] for row in places]).transpose(
            2, 0, 1
        )

    return predict


def _loading(checkpoint: Path, runs: int) -> dict[str, float]:
    """Milliseconds to load a checkpoint, and torch.load alone; taking turns, from the disk's cache."""
    import torch

    from deeplab_studio.checkpoints import load_checkpoint

    times: dict[str, list[float]] = {"ours": [], "theirs": []}
    for n in range(runs + 1):
        start = time.perf_counter()
        state = torch.load(checkpoint, weights_only=True)
        between = time.perf_counter()
        del state
        start_ours = time.perf_counter()
        model = load_checkpoint(checkpoint)
        end = time.perf_counter()
        _ = model.sha256  # computed beside what comes next, which shall not be the next load
        del model
        if n:
            times["theirs"].append(1000 * (between - start))
            times["ours"].append(1000 * (end - start_ours))
    ours, theirs = (statistics.median(times[who]) for who in ("ours", "theirs"))
    size = checkpoint.stat().st_size / 1e6
    return {"megabytes": size, "ours_ms": ours, "torch_load_ms": theirs, "ratio": ours / theirs}


def _peak(who: str, name: str, checkpoint: Path, args: argparse.Namespace) -> float | None:
    """Peak resident memory, in megabytes (10^6 bytes), of a process that loads and predicts twice."""
    command = [
        sys.executable,
        "-m",
        "benchmarks.forward",
        who,
        name,
        str(checkpoint),
        str(args.height),
        str(args.width),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    peak: float | None = json.loads(done.stdout)
    return round(peak) if peak is not None else None


def _child(who: str, name: str, checkpoint: str, height: str, width: str) -> None:
    import torch

    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    pixels = _photo(int(height), int(width))
    if who == "ours":
        predict = _our_labels(Path(checkpoint), pixels, "exact")
    else:
        network = _torchvision(name)
        network.load_state_dict(torch.load(checkpoint, map_location="cpu", weights_only=True))
        predict = _their_labels(network, pixels)
        predict()
    predict()
    peak = None
    with contextlib.suppress(OSError):  # Linux alone tells the peak of the program without that of its parent
        lines = Path("/proc/self/status").read_text("ascii").splitlines()
        peak = next(int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith("VmHWM:"))
    sys.stdout.write(json.dumps(peak))


if __name__ == "__main__":
    _child(*sys.argv[1:])
