"""COCO's ``instances_*.json``: polygons and run lengths of many photos in one file (Lin et al. 2014).

Drawn by pycocotools, so that every pixel is where COCO's own evaluation has it. COCO lets objects lie over each other
and a class map does not: large annotations are drawn first, so that small ones stay visible.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from deeplab_studio.core.errors import StudioError
from deeplab_studio.core.foreign.json_file import broken, read_json
from deeplab_studio.core.foreign.source import LabelSource, PhotoIndex, PhotoLabels, SourceClass, named_classes, turned
from deeplab_studio.core.images import MAX_PIXELS, ImageSize


@dataclass(frozen=True, slots=True)
class _Photo:
    path: Path
    width: int
    height: int
    annotations: tuple[Mapping[str, Any], ...]


class CocoFile(LabelSource[_Photo]):
    """The annotations of one COCO file that are about some photos.

    Parameters
    ----------
    path : Path
    photos : sequence of Path
        Those to find in it, by name.

    Raises
    ------
    StudioError
        If it is no COCO file.
    """

    format = "COCO"

    def __init__(self, path: Path, photos: Sequence[Path]) -> None:
        content = read_json(path)
        images, annotations, categories = (
            _objects(content, key, path) for key in ("images", "annotations", "categories")
        )
        names = {_integer(each, "id", path, "a category"): str(each.get("name", "")) for each in categories}
        self._classes = (SourceClass(0, "background"), *named_classes(list(names.values()), path, first_id=1))
        self._ids = {category: place for place, category in enumerate(names, 1)}
        by_image: dict[int, list[Mapping[str, Any]]] = {}
        for each in annotations:
            by_image.setdefault(_integer(each, "image_id", path, "an annotation"), []).append(each)
        entries: dict[Path, _Photo] = {}
        problems: list[StudioError] = []
        index = PhotoIndex(photos)
        for image in images:
            number = _integer(image, "id", path, "an image")
            try:
                photo = index.of_name(str(image.get("file_name", "")), path)
            except StudioError as error:
                problems.append(error)
                continue
            if photo is not None:
                where = f"image {number}"
                width, height = (_integer(image, key, path, where) for key in ("width", "height"))
                if width < 1 or height < 1 or width * height > MAX_PIXELS:
                    raise broken(path, where, f"has an impossible size ({width} x {height})")
                entries[photo] = _Photo(photo, width, height, tuple(by_image.get(number, ())))
        super().__init__(path, entries, problems)

    @property
    def classes(self) -> tuple[SourceClass, ...]:
        """Background, which nobody drew, and the categories in the order of the file."""
        return self._classes

    def _read(self, entry: _Photo, size: ImageSize) -> PhotoLabels:
        labels = np.zeros((entry.height, entry.width), np.uint8)
        covered = 0
        # Crowds first whatever their size: what is inside one was drawn on its own because it counts.
        order = sorted(entry.annotations, key=lambda each: (not each.get("iscrowd"), -_area(each)))
        for each in order:
            category = self._ids.get(each.get("category_id"))  # type: ignore[arg-type]  # any value, only looked up
            if category is None:
                raise broken(
                    self.path, _where(each), f"has the category {each.get('category_id')!r}, which is not listed"
                )
            inside = self._mask(each, entry)
            if inside is not None:
                covered += int(np.count_nonzero(inside & (labels != 0) & (labels != category)))
                labels[inside] = category
        fitted = turned(labels, size, entry.path)
        if not covered:
            return fitted
        note = f"{entry.path.name}: {covered} pixels lie under several objects; the smaller object has them"
        return PhotoLabels(fitted.labels, (*fitted.notes, note))

    def _mask(self, annotation: Mapping[str, Any], entry: _Photo) -> np.ndarray[Any, np.dtype[np.bool_]] | None:
        from pycocotools import mask as coco_mask

        shape = annotation.get("segmentation")
        if not shape:
            return None  # a box without an outline
        where = _where(annotation)
        try:
            if isinstance(shape, dict):
                if list(shape["size"]) != [entry.height, entry.width]:
                    raise broken(
                        self.path, where, f"has run lengths for another size than its photo's ({shape['size']})"
                    )
                encoded = (
                    shape if isinstance(shape["counts"], (str, bytes)) else coco_mask.frPyObjects(shape, *shape["size"])
                )
                return np.asarray(coco_mask.decode(encoded)).astype(bool)
            polygons = [[float(value) for value in polygon] for polygon in shape]
            if any(len(polygon) < 6 or len(polygon) % 2 for polygon in polygons):
                raise broken(self.path, where, "has a polygon of fewer than three points")
            encoded = coco_mask.merge(coco_mask.frPyObjects(polygons, entry.height, entry.width))
            return np.asarray(coco_mask.decode(encoded)).astype(bool)
        except StudioError:
            raise
        except Exception as error:
            raise broken(self.path, where, "has an outline that cannot be drawn") from error


def looks_like_coco(content: Mapping[str, Any]) -> bool:
    """Whether a JSON object is a COCO data set."""
    return all(isinstance(content.get(key), list) for key in ("images", "annotations", "categories"))


def _objects(content: Mapping[str, Any], key: str, path: Path) -> list[Mapping[str, Any]]:
    values = content.get(key)
    if not isinstance(values, list) or not all(isinstance(each, dict) for each in values):
        raise broken(path, f"its list of {key}", "is missing or broken")
    return values


def _integer(values: Mapping[str, Any], key: str, path: Path, where: str) -> int:
    value = values.get(key)
    if not isinstance(value, int):
        raise broken(path, where, f"has no number as {key}")
    return value


def _area(annotation: Mapping[str, Any]) -> float:
    area = annotation.get("area")
    return float(area) if isinstance(area, (int, float)) else 0.0


def _where(annotation: Mapping[str, Any]) -> str:
    return f"annotation {annotation.get('id', '?')}"
