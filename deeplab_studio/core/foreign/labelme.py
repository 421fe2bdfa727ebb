"""labelme's JSON files: one per photo, with polygons and other shapes.

Shapes are drawn as labelme's own exporter draws them, in the order of the file, a later shape over an earlier one;
lines are 10 pixels wide and points have a radius of 5, as there. (labelme, ``shape_to_mask``.)
"""

from __future__ import annotations

import base64
import binascii
import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as PilImage
from PIL import ImageDraw

from deeplab_studio.core.classmap import Labels
from deeplab_studio.core.errors import StudioError
from deeplab_studio.core.foreign.json_file import broken, read_json
from deeplab_studio.core.foreign.source import LabelSource, PhotoLabels, SourceClass, named_classes, turned
from deeplab_studio.core.images import MAX_PIXELS, ImageSize
from deeplab_studio.core.labels import VOID

BACKGROUND_NAMES = frozenset({"_background_", "background"})
VOID_NAMES = frozenset({"__ignore__", "ignore", "void"})
_LINE_WIDTH = 10
_POINT_RADIUS = 5
_FEWEST_POINTS = {
    "polygon": 3,
    "rectangle": 2,
    "circle": 2,
    "line": 2,
    "linestrip": 2,
    "point": 1,
    "points": 1,
    "mask": 2,
}


class LabelmeFiles(LabelSource[Path]):
    """labelme's files of some photos.

    Parameters
    ----------
    path : Path
    entries : mapping of Path to Path
        The JSON file of each photo.
    names : sequence of str
        The labels that occur in them.
    """

    format = "labelme"

    def __init__(
        self, path: Path, entries: Mapping[Path, Path], names: Sequence[str], problems: Sequence[StudioError] = ()
    ) -> None:
        super().__init__(path, entries, problems)
        real = [name for name in names if name.casefold() not in BACKGROUND_NAMES | VOID_NAMES]
        self._classes = (SourceClass(0, "background"), *named_classes(real, path, first_id=1))
        self._ids = {each.name: each.id for each in self._classes}

    @property
    def classes(self) -> tuple[SourceClass, ...]:
        """Background, which nobody drew, and the labels in order of their names."""
        return self._classes

    def _read(self, entry: Path, size: ImageSize) -> PhotoLabels:
        content = read_json(entry)
        width, height = stated_size(content, entry) or (size.width, size.height)
        picture = PilImage.new("L", (width, height), 0)
        covered = 0
        for number, shape in enumerate(shapes_of(content, entry), 1):
            where = f"shape {number}"
            name = label_of(shape, entry, where)
            value = self._value(name)
            mask = draw_shape(shape, (width, height), entry, where)
            if value:
                covered += _overlap(picture, mask, value)
            picture.paste(value, (0, 0), mask)
        labels: Labels = np.asarray(picture).copy()
        fitted = turned(labels, size, entry)
        if not covered:
            return fitted
        note = f"{entry.name}: {covered} pixels lie under several shapes; the later shape has them"
        return PhotoLabels(fitted.labels, (*fitted.notes, note))

    def _value(self, name: str) -> int:
        if name.casefold() in VOID_NAMES:
            return VOID
        return 0 if name.casefold() in BACKGROUND_NAMES else self._ids[name]


def shapes_of(content: Mapping[str, Any], path: Path) -> list[Mapping[str, Any]]:
    """The shapes of a file's content; raises a StudioError if they are not as labelme writes them."""
    shapes = content.get("shapes")
    if not isinstance(shapes, list) or not all(isinstance(shape, dict) for shape in shapes):
        raise broken(path, "its list of shapes", "is missing or broken")
    return shapes


def label_of(shape: Mapping[str, Any], path: Path, where: str) -> str:
    """The label of a shape."""
    label = shape.get("label")
    if not isinstance(label, str) or not label.strip():
        raise broken(path, where, "has no label")
    return label


def stated_size(content: Mapping[str, Any], path: Path) -> tuple[int, int] | None:
    """Width and height of the photo that the shapes were drawn on, if the file says."""
    width, height = content.get("imageWidth"), content.get("imageHeight")
    if width is None or height is None:
        return None
    if not (isinstance(width, int) and isinstance(height, int) and 0 < width * height <= MAX_PIXELS and width > 0):
        raise broken(path, "its photo", f"has an impossible size ({width} x {height})")
    return width, height


def draw_shape(shape: Mapping[str, Any], size: tuple[int, int], path: Path, where: str) -> PilImage.Image:
    """The pixels of a shape.

    Parameters
    ----------
    shape : mapping
    size : (int, int)
        Width and height of the photo.
    path, where
        For messages.

    Returns
    -------
    PIL.Image.Image
        Of mode "1".

    Raises
    ------
    StudioError
        If it is of an unknown kind or broken.
    """
    kind = shape.get("shape_type") or "polygon"
    fewest = _FEWEST_POINTS.get(kind)
    if fewest is None:
        raise broken(path, where, f"is of the kind {kind!r}, which is not known")
    points = _points(shape, path, where)
    if len(points) < fewest:
        raise broken(path, where, f"is a {kind} with {len(points)} points instead of {fewest} or more")
    mask = PilImage.new("1", size, 0)
    draw = ImageDraw.Draw(mask)
    if kind == "polygon":
        draw.polygon(points, fill=1, outline=1)
    elif kind == "rectangle":
        draw.rectangle(_box(points), fill=1, outline=1)
    elif kind == "circle":
        (x, y), (rim_x, rim_y) = points[:2]
        radius = math.hypot(rim_x - x, rim_y - y)
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=1, outline=1)
    elif kind in ("line", "linestrip"):
        draw.line(points, fill=1, width=_LINE_WIDTH)
    elif kind in ("point", "points"):
        for x, y in points:
            draw.ellipse(
                (x - _POINT_RADIUS, y - _POINT_RADIUS, x + _POINT_RADIUS, y + _POINT_RADIUS), fill=1, outline=1
            )
    else:
        left, top, _, _ = _box(points)
        mask.paste(_mask_picture(shape, path, where), (round(left), round(top)))
    return mask


def _points(shape: Mapping[str, Any], path: Path, where: str) -> list[tuple[float, float]]:
    try:
        points = [(float(x), float(y)) for x, y in shape["points"]]
    except (KeyError, TypeError, ValueError) as error:
        raise broken(path, where, "has points that are not pairs of numbers") from error
    if not all(math.isfinite(value) and abs(value) < 1e6 for point in points for value in point):
        raise broken(path, where, "has points far outside any photo")
    return points


def _box(points: Sequence[tuple[float, float]]) -> tuple[float, float, float, float]:
    (x0, y0), (x1, y1) = points[:2]
    return min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)


def _mask_picture(shape: Mapping[str, Any], path: Path, where: str) -> PilImage.Image:
    try:
        data = base64.b64decode(shape["mask"], validate=True)
        with PilImage.open(io.BytesIO(data), formats=("PNG",)) as picture:
            if picture.width * picture.height > MAX_PIXELS:
                raise ValueError("too large")
            return picture.convert("L").point(lambda value: 255 if value else 0).convert("1")
    except (KeyError, TypeError, ValueError, OSError, SyntaxError, binascii.Error) as error:
        raise broken(path, where, "has a mask that is no PNG") from error


def _overlap(picture: PilImage.Image, mask: PilImage.Image, value: int) -> int:
    """Pixels of a mask that already have another class."""
    box = mask.getbbox()
    if box is None:
        return 0
    below, inside = np.asarray(picture.crop(box)), np.asarray(mask.crop(box))
    return int(np.count_nonzero(inside & (below != 0) & (below != value)))
