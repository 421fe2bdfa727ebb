"""Writing labelme's JSON files: one per photo, with a mask for every connected region."""

from __future__ import annotations

import base64
import io
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as PilImage

from deeplab_studio.core.errors import StudioError
from deeplab_studio.core.foreign.labelme import BACKGROUND_NAMES, VOID_NAMES
from deeplab_studio.core.foreign.writer import LabelledPhoto, LabelWriter, Regions, all_regions, make_folder, write_text
from deeplab_studio.core.labels import VOID, LabelSet, is_background

VERSION = "5.5.0"
"""Of labelme's format: the first 5.x releases have shapes of the kind "mask"."""

_VOID_NAME = "__ignore__"


class LabelmeWriter(LabelWriter):
    """A ``NAME.json`` per photo. A background of id 0 is what nobody drew; void is drawn as ``__ignore__``.

    Shapes are of the kind "mask", so no pixel moves. The photos stay where they are; the files name them.
    """

    def __init__(self, out: Path, label_set: LabelSet) -> None:
        super().__init__(out, label_set)
        self._first = int(is_background(label_set[0].name))
        for class_id, name in enumerate(label_set.names):
            if name.casefold() in VOID_NAMES or (name.casefold() in BACKGROUND_NAMES and class_id >= self._first):
                raise StudioError(
                    f"labelme would not take {name!r} for a class of its own",
                    path=out,
                    hint="Rename it in the label set editor first.",
                )
        make_folder(out)

    def _add(self, photo: LabelledPhoto) -> None:
        height, width = photo.labels.shape
        shapes = [
            shape
            for class_ids in (range(self._first, len(self.label_set)), range(VOID, VOID + 1))
            for regions in all_regions(photo.labels, class_ids)
            for shape in self._shapes(regions)
        ]
        content = {
            "version": VERSION,
            "flags": {},
            "shapes": shapes,
            "imagePath": _path_from(self.out, photo.path),
            "imageData": None,
            "imageHeight": height,
            "imageWidth": width,
        }
        write_text(self.out / f"{photo.name}.json", json.dumps(content, ensure_ascii=False, indent=1))

    def _finish(self) -> list[str]:
        return []

    def _shapes(self, regions: Regions) -> list[dict[str, Any]]:
        name = _VOID_NAME if regions.class_id == VOID else self.label_set[regions.class_id].name
        shapes: list[dict[str, Any]] = []
        for number, (left, top, width, height) in enumerate(regions.boxes.tolist(), 1):
            inside = regions.numbers[top : top + height, left : left + width] == number
            buffer = io.BytesIO()
            PilImage.fromarray(inside.astype(np.uint8)).save(buffer, format="PNG")
            shapes.append(
                {
                    "label": name,
                    "points": [[left, top], [left + width - 1, top + height - 1]],
                    "group_id": None,
                    "description": "",
                    "shape_type": "mask",
                    "flags": {},
                    "mask": base64.b64encode(buffer.getvalue()).decode("ascii"),
                }
            )
        return shapes


def _path_from(folder: Path, photo: Path) -> str:
    try:
        return Path(os.path.relpath(photo, folder)).as_posix()
    except ValueError:  # on another drive
        return photo.absolute().as_posix()
