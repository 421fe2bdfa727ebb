"""Small data sets in Pascal VOC layout that a network can learn in seconds, and configurations for them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from deeplab_studio.core.labels import LabelSet
from deeplab_studio.core.voc import write_class_names, write_mask

CLASSES = LabelSet.from_names(["background", "sky", "grass"])


def write_set(root: Path, count: int, *, size: tuple[int, int] = (64, 48), seed: int = 0) -> Path:
    """Photos of blue and green rectangles on grey, with their masks; in no list."""
    rng = np.random.default_rng(seed)
    for folder in ("JPEGImages", "SegmentationClass"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    write_class_names(root / "class_names.txt", CLASSES)
    for i in range(count):
        width, height = size
        mask = np.zeros((height, width), np.uint8)
        for class_id in (1, 2):
            top, left = rng.integers(0, height - 16), rng.integers(0, width - 16)
            mask[top : top + 16 + rng.integers(8), left : left + 16 + rng.integers(8)] = class_id
        colours = np.array([[128, 128, 128], [70, 110, 220], [60, 190, 70]])
        pixels = np.clip(colours[mask] + rng.normal(0, 12, (height, width, 3)), 0, 255).astype(np.uint8)
        name = f"{root.name}{i:03}"
        Image.fromarray(pixels).save(root / "JPEGImages" / f"{name}.png")
        write_mask(root / "SegmentationClass" / f"{name}.png", mask, CLASSES)
    return root


def write_config(folder: Path, train: Path, val: Path, /, **changes: str) -> Path:
    """A configuration of a few short steps; `changes` replace whole lines by what they begin with."""
    lines = f"""
name = "tiny"
versions = ["v3"]
output = "run"
seed = 3
checkpoint_seconds = 3600
log_steps = 10
precision = "float32"
[data]
train = "{train.as_posix()}"
val = "{val.as_posix()}"
train_split = ""
val_split = ""
photo_side = 64
cache = "cache"
[schedule]
crops = 24
batch = 4
learning_rate = 0.003
warmup = 4
phases = [{{ until = 1.0, crop = 33, scale = [0.5, 1.0] }}]
[evaluation]
every = 0
side = 65
output_stride = 16
""".strip().splitlines()
    for start, line in changes.items():
        lines = [line if old.split(" =")[0] == start else old for old in lines]
    path = folder / "tiny.toml"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path
