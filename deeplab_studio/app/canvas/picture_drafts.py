"""What a gesture would paint if it ended now, where that is of several classes; and the boundaries of superpixels."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import numpy as np

from deeplab_studio.app.canvas import screen
from deeplab_studio.app.canvas.mips import LabelMips, level_for
from deeplab_studio.core.classmap import Labels, Mask, PaintRules
from deeplab_studio.core.geometry import Rect

_LEAST_CELL = 5
"""Superpixels smaller than this many device pixels have no boundaries drawn: there would be nothing else."""

_CELL_SHADE = 0.28
"""Opacity of the boundaries, dark on one side and light on the other: one of them shows on any photo."""


class LayerLike(Protocol):
    """Classes for some pixels. They may change while they are shown; whoever changes them has the place drawn anew."""

    @property
    def box(self) -> Rect:
        """Where the arrays lie."""
        ...

    @property
    def labels(self) -> Labels:
        """Class ids, uint8, of the box's size."""
        ...

    @property
    def mask(self) -> Mask:
        """Which pixels of the box have one, bool."""
        ...


class Layer(NamedTuple):
    """Classes for some pixels: image row `top`, column `left`, (h, w) uint8 `labels`, (h, w) bool `mask`."""

    top: int
    left: int
    labels: Labels
    mask: Mask

    @property
    def box(self) -> Rect:
        """The box of both arrays."""
        return Rect(self.top, self.left, self.top + self.mask.shape[0], self.left + self.mask.shape[1])


@dataclass(frozen=True, eq=False)
class PictureDraft:
    """Classes that are not painted yet.

    Parameters
    ----------
    layers : tuple of LayerLike
        The later ones cover the earlier ones.
    rims : tuple of LayerLike
        Masks that are shown with a line around them: strokes, or a region that can be moved.
    rules : PaintRules
        Which pixels would be painted.
    """

    layers: tuple[LayerLike, ...]
    rims: tuple[LayerLike, ...] = ()
    rules: PaintRules = field(default_factory=PaintRules)

    @property
    def has_rims(self) -> bool:
        """Whether `draw_rims` draws anything."""
        return bool(self.rims)

    @property
    def box(self) -> Rect:
        """The box around all layers and rims."""
        box: Rect | None = None
        for part in (*self.layers, *self.rims):
            if not part.box.is_empty:
                box = part.box.union(box)
        return box or Rect(0, 0, 0, 0)

    def over(self, classes: screen.Bytes, exposure: screen.Exposure, mips: LabelMips) -> screen.Bytes:
        """The classes on the screen, (h, w) uint8, as they would be with the draft painted."""
        rows, columns = _sampled(exposure, mips)
        allowed = self.rules.allowed(np.ascontiguousarray(classes))
        drafted = classes.copy()
        for layer in self.layers:
            part, here = _part(rows, columns, layer.box)
            if here is None:
                continue
            where = screen.pick(layer.mask.view(np.uint8), *here).view(np.bool_)
            if allowed is not None:
                where = where & allowed[part]
            np.copyto(drafted[part], screen.pick(layer.labels, *here), where=where)
        return drafted

    def draw_rims(self, picture: screen.Argb, exposure: screen.Exposure, mips: LabelMips, width: int) -> None:
        """Draw a white line inside the rim of every stroke and a dark one outside, `width` device pixels each."""
        import cv2

        wider = exposure.grown(width)
        rows, columns = _sampled(wider, mips)
        around = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * width + 1, 2 * width + 1))
        part = np.s_[width:-width, width:-width]
        for rim in self.rims:
            where_on_screen, here = _part(rows, columns, rim.box)
            if here is None:
                continue
            where = np.zeros((len(rows), len(columns)), np.uint8)
            where[where_on_screen] = screen.pick(rim.mask.view(np.uint8), *here)
            if where.any():
                inside = where[part] != 0
                picture[(cv2.dilate(where, around)[part] != 0) & ~inside] = screen.premultiplied((0, 0, 0), 0.6)
                picture[inside & (cv2.erode(where, around)[part] == 0)] = screen.premultiplied((255, 255, 255), 0.9)


def draw_cells(picture: screen.Argb, cells: LabelMips, side: int, exposure: screen.Exposure) -> None:
    """Draw the boundaries between superpixels faintly.

    Parameters
    ----------
    picture : (h, w) uint32 array
        Drawn on.
    cells : LabelMips
        Of the photo's size; neighbouring superpixels have different values.
    side : int
        Side of a superpixel in image pixels, about.
    exposure : Exposure
    """
    if side * exposure.scale < _LEAST_CELL * exposure.device_ratio:
        return
    values = screen.classes_on_screen(cells, exposure.grown(1), cells.height, cells.width)
    here = values[1:-1, 1:-1]
    screen.shade(picture, (here != values[2:, 1:-1]) | (here != values[1:-1, 2:]), 0, _CELL_SHADE)
    screen.shade(picture, (here != values[:-2, 1:-1]) | (here != values[1:-1, :-2]), 255, _CELL_SHADE)


def _sampled(exposure: screen.Exposure, mips: LabelMips) -> tuple[screen.Indices, screen.Indices]:
    """The image row and column that stands for every device row and column, as in the class map beside it."""
    k = level_for(exposure.scale, mips.last_level)
    return exposure.rows(mips.height) >> k << k, exposure.columns(mips.width) >> k << k


def _part(
    rows: screen.Indices, columns: screen.Indices, box: Rect
) -> tuple[tuple[slice, slice], tuple[screen.Indices, screen.Indices] | None]:
    """Which of the sampled rows and columns lie in a box, and where in it; None if none do."""
    top, bottom = (int(index) for index in np.searchsorted(rows, [box.top, box.bottom]))
    left, right = (int(index) for index in np.searchsorted(columns, [box.left, box.right]))
    here = rows[top:bottom] - box.top, columns[left:right] - box.left
    return (slice(top, bottom), slice(left, right)), here if top < bottom and left < right else None
