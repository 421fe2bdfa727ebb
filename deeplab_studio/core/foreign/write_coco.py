"""Writing COCO's ``instances.json`` (Lin et al. 2014): the connected regions of every class as run lengths."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from deeplab_studio.core.foreign.writer import (
    LabelledPhoto,
    LabelWriter,
    all_regions,
    make_folder,
    void_note,
    write_text,
)
from deeplab_studio.core.labels import LabelSet, is_background

FILE_NAME = "instances.json"


class CocoWriter(LabelWriter):
    """One file for all photos. Categories are the classes in their order, but for a background of id 0.

    COCO has no void and no objects that a class map could tell: every connected region of a class becomes an
    annotation, with ``iscrowd`` 0 and run lengths, which hold every pixel where a polygon would not.
    """

    def __init__(self, out: Path, label_set: LabelSet) -> None:
        super().__init__(out, label_set)
        make_folder(out)
        self._drawn = range(int(is_background(label_set[0].name)), len(label_set))
        self._images: list[dict[str, Any]] = []
        self._annotations: list[dict[str, Any]] = []

    def _add(self, photo: LabelledPhoto) -> None:
        height, width = photo.labels.shape
        number = len(self._images) + 1
        self._images.append({"id": number, "file_name": photo.path.name, "width": width, "height": height})
        for regions in all_regions(photo.labels, self._drawn):
            lengths = run_lengths(regions.numbers)
            for box, area, encoded in zip(regions.boxes.tolist(), regions.areas.tolist(), lengths, strict=True):
                self._annotations.append(
                    {
                        "id": len(self._annotations) + 1,
                        "image_id": number,
                        "category_id": regions.class_id + 1 - self._drawn.start,
                        "segmentation": encoded,
                        "area": area,
                        "bbox": box,
                        "iscrowd": 0,
                    }
                )

    def _finish(self) -> list[str]:
        categories = [
            {"id": class_id + 1 - self._drawn.start, "name": self.label_set[class_id].name, "supercategory": ""}
            for class_id in self._drawn
        ]
        content = {"images": self._images, "annotations": self._annotations, "categories": categories}
        write_text(self.out / FILE_NAME, json.dumps(content, ensure_ascii=False))
        return void_note(self.void, "are left out, for COCO has no void: they read back as background")


def run_lengths(numbers: npt.NDArray[np.int32]) -> Iterator[dict[str, Any]]:
    """Regions as COCO's compressed run lengths, all from one pass over the picture.

    Parameters
    ----------
    numbers : (H, W) int32 array
        1 to N inside the regions, 0 elsewhere.

    Yields
    ------
    dict
        ``size`` and ``counts`` (text) of region 1, 2, ... N.
    """
    from pycocotools import mask as coco_mask

    height, width = numbers.shape
    flat = numbers.T.reshape(-1)  # column by column, as COCO counts
    edges = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    starts = np.concatenate([[0], edges])
    ends = np.concatenate([edges, [flat.size]])
    owners = flat[starts]
    order = np.argsort(owners, kind="stable")
    bounds = np.searchsorted(owners[order], np.arange(1, int(flat.max(initial=0)) + 2))
    for first, last in pairwise(bounds):
        runs = order[first:last]
        begin, end = starts[runs], ends[runs]
        gaps = begin - np.concatenate([[0], end[:-1]])
        counts = np.stack([gaps, end - begin], axis=1).reshape(-1).tolist()
        if end[-1] < flat.size:
            counts.append(int(flat.size - end[-1]))
        encoded = coco_mask.frPyObjects({"size": [height, width], "counts": counts}, height, width)
        yield {"size": [height, width], "counts": encoded["counts"].decode("ascii")}
