"""Writing YOLO's polygons (Ultralytics, "segment" task): photos, one text file each, and ``data.yaml``.

The format knows no holes and no void. A hole is joined to the outline around it by a cut, there and back along the
shortest line between them, which is how a single polygon can go around both.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image as PilImage

from deeplab_studio.core.classmap import Labels
from deeplab_studio.core.errors import StudioError
from deeplab_studio.core.files import atomic_write, explain_os_error
from deeplab_studio.core.foreign.writer import LabelledPhoto, LabelWriter, make_folder, void_note, write_text
from deeplab_studio.core.images import load_image
from deeplab_studio.core.labels import MAX_CLASSES, VOID, LabelSet, is_background
from deeplab_studio.core.metrics import ConfusionMatrix

Outline = npt.NDArray[np.int32]
"""(N, 2): x and y of the corners, in pixels."""

_COPIED = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"})
"""Photos that YOLO reads as they are."""


class YoloWriter(LabelWriter):
    """``images/train``, ``labels/train``, the same for val, and ``data.yaml``.

    Attributes
    ----------
    kept : ConfusionMatrix
        The class maps, and what Ultralytics draws from the polygons (``cv2.fillPoly``, in the order of the file).
    """

    def __init__(self, out: Path, label_set: LabelSet) -> None:
        super().__init__(out, label_set)
        self._first = int(is_background(label_set[0].name))
        drawn = len(label_set) - self._first
        if drawn >= MAX_CLASSES:
            raise StudioError(
                f"it has {drawn} classes and no background",
                path=out,
                hint="Make its first class a background: YOLO has no class for what no polygon covers.",
            )
        self.kept = ConfusionMatrix(drawn + 1)
        self._splits: set[str] = set()

    def _add(self, photo: LabelledPhoto) -> None:
        for kind in ("images", "labels"):
            make_folder(self.out / kind / photo.split)
        self._splits.add(photo.split)
        height, width = photo.labels.shape
        lines = []
        for class_id in np.unique(photo.labels).tolist():
            if self._first <= class_id != VOID:
                for outline in outlines(photo.labels == class_id):
                    # The middle of a pixel, so that whoever rounds down finds the pixel.
                    places = (outline + 0.5) / (width, height)
                    lines.append(f"{class_id - self._first} " + " ".join(f"{value:.6f}" for value in places.flat))
        _copy_photo(photo, self.out / "images" / photo.split)
        write_text(self.out / "labels" / photo.split / f"{photo.name}.txt", "".join(f"{line}\n" for line in lines))
        truth = photo.labels if self._first else np.where(photo.labels == VOID, np.uint8(VOID), photo.labels + 1)
        self.kept.add(truth, draw(lines, (height, width)))

    def _finish(self) -> list[str]:
        names = self.label_set.names[self._first :]
        splits = sorted(self._splits) or ["train"]
        lines = ["path: ."]
        lines += [f"{split}: images/{split if split in splits else splits[0]}" for split in ("train", "val")]
        # JSON's strings are YAML's too.
        lines += ["names:", *(f"  {i}: {json.dumps(name, ensure_ascii=False)}" for i, name in enumerate(names))]
        write_text(self.out / "data.yaml", "".join(f"{line}\n" for line in lines))
        notes = void_note(self.void, "are left out, for YOLO has no void: they read back as background")
        if len(splits) == 1:
            notes.append("All photos are in one list: data.yaml names it for training and for validation.")
        if self.kept.pixels:
            miou = self.kept.miou()
            notes.append(
                f"Polygons are not the class map: drawn again as Ultralytics does they have a mean IoU of {miou:.4f} "
                f"with it, {1 - miou:.4f} is lost."
            )
        return notes


def outlines(inside: npt.NDArray[np.bool_]) -> Iterator[Outline]:
    """A polygon around every connected region, its holes joined to it.

    Parameters
    ----------
    inside : (H, W) bool array

    Yields
    ------
    (N, 2) int32 array
        At least three corners; those of a region of one or two pixels repeat.
    """
    import cv2

    found, tree = cv2.findContours(inside.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    for number, (_, _, child, parent) in enumerate(tree[0].tolist() if found else ()):
        if parent >= 0:
            continue
        holes = []
        while child >= 0:
            holes.append(np.asarray(found[child], np.int32)[:, 0])
            child = tree[0][child][0]
        outline = _joined(np.asarray(found[number], np.int32)[:, 0], holes)
        yield outline if len(outline) >= 3 else np.resize(outline, (3, 2))


def draw(lines: Sequence[str], shape: tuple[int, int]) -> Labels:
    """What Ultralytics makes of a label file: (H, W) uint8, class ids one higher than in the file, 0 elsewhere."""
    import cv2

    labels: Labels = np.zeros(shape, np.uint8)
    for line in lines:
        number, *values = line.split()
        places = np.array(values, np.float32).reshape(-1, 2) * (shape[1], shape[0])
        cv2.fillPoly(labels, [places.astype(np.int32)], int(number) + 1)
    return labels


def _joined(outline: Outline, holes: list[Outline]) -> Outline:
    """One polygon around an outline and its holes, joined from left to right."""
    for hole in sorted(holes, key=lambda each: int(each[:, 0].min())):
        at, to = _nearest(outline, hole)
        around = np.concatenate([hole[to:], hole[: to + 1]])
        outline = np.concatenate([outline[: at + 1], around, outline[at:]])
    return outline


def _nearest(outline: Outline, hole: Outline) -> tuple[int, int]:
    """The two nearest corners, as places in both."""
    best = (int(np.iinfo(np.int64).max), 0, 0)
    for start in range(0, len(hole), 256):  # in parts: every pair takes eight bytes
        between = outline[:, None].astype(np.int64) - hole[None, start : start + 256]
        squared = (between**2).sum(axis=2)
        at, to = np.unravel_index(int(squared.argmin()), squared.shape)
        best = min(best, (int(squared[at, to]), int(at), int(to) + start))
    return best[1:]


def _copy_photo(photo: LabelledPhoto, folder: Path) -> None:
    upright = photo.size.orientation == 1
    suffix = photo.path.suffix.lower()
    try:
        if upright and suffix in _COPIED:
            data = photo.path.read_bytes()
        else:
            suffix, buffer = ".jpg", BytesIO()
            PilImage.fromarray(load_image(photo.path).pixels).save(buffer, format="JPEG", quality=95, subsampling=0)
            data = buffer.getvalue()
    except OSError as error:
        reason, hint = explain_os_error(error)
        raise StudioError(f"it could not be read because {reason}", path=photo.path, hint=hint) from error
    with atomic_write(folder / f"{photo.name}{suffix}") as temporary:
        temporary.write_bytes(data)
