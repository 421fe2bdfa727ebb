"""What a gesture would paint if it ended now, at the resolution of the screen."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from deeplab_studio.app.canvas import screen
from deeplab_studio.app.canvas.mips import LabelMips, level_for
from deeplab_studio.core.classmap import PaintRules
from deeplab_studio.core.drawing import Mask
from deeplab_studio.core.drawing_shapes import Area
from deeplab_studio.core.geometry import Rect


@dataclass(frozen=True, eq=False)
class Draft:
    """An area that is not painted yet.

    Parameters
    ----------
    area : Area
        In image pixels; it may reach beyond the image.
    class_id : int
        What it would become.
    rules : PaintRules
        Which of its pixels would.
    outlined : bool
        Whether only its rim is drawn, over classes that stay as they are.
    """

    area: Area
    class_id: int = 0
    rules: PaintRules = field(default_factory=PaintRules)
    outlined: bool = False

    @property
    def box(self) -> Rect:
        """A box around everything it shows; it may reach beyond the image."""
        return self.area.box

    @property
    def has_rims(self) -> bool:
        """Whether `draw_rims` draws anything."""
        return self.outlined

    def over(self, classes: screen.Bytes, exposure: screen.Exposure, mips: LabelMips) -> screen.Bytes:
        """The classes on the screen, (h, w) uint8, as they are with the draft."""
        return classes if self.outlined else drafted(classes, self, exposure, mips)

    def draw_rims(self, picture: screen.Argb, exposure: screen.Exposure, mips: LabelMips, width: int) -> None:
        """Draw its rim, lines of `width` device pixels; see `draw_rim`."""
        if self.outlined:
            draw_rim(picture, self, exposure, mips, width)


def covered(area: Area, exposure: screen.Exposure, mips: LabelMips) -> Mask:
    """The device pixels under whose middle the area is.

    Parameters
    ----------
    area : Area
    exposure : Exposure
    mips : LabelMips
        The class map; pixels beside it count as the nearest inside.

    Returns
    -------
    (exposure.height, exposure.width) bool array
    """
    k = level_for(exposure.scale, mips.last_level)
    rows, columns = exposure.rows(mips.height) >> k, exposure.columns(mips.width) >> k
    top, left = int(rows[0]), int(columns[0])
    bounds = Rect(top, left, int(rows[-1]) + 1, int(columns[-1]) + 1)
    patch = area.patch(bounds, 1 << k)
    grid = np.zeros((bounds.height, bounds.width), np.uint8)
    height, width = patch.mask.shape
    first, start = patch.top - top, patch.left - left
    grid[first : first + height, start : start + width] = patch.mask
    return screen.pick(grid, rows - top, columns - left).view(np.bool_)


def drafted(classes: screen.Bytes, draft: Draft, exposure: screen.Exposure, mips: LabelMips) -> screen.Bytes:
    """The classes on the screen, (h, w) uint8, as they would be with the draft painted."""
    where = covered(draft.area, exposure, mips)
    allowed = draft.rules.allowed(np.ascontiguousarray(classes))
    if allowed is not None:
        where = where & allowed
    return np.where(where, np.uint8(draft.class_id), classes)


def draw_rim(picture: screen.Argb, draft: Draft, exposure: screen.Exposure, mips: LabelMips, width: int) -> None:
    """Draw a white line inside the rim of a draft and a dark one outside, `width` device pixels each."""
    import cv2

    where = covered(draft.area, exposure.grown(width), mips).astype(np.uint8)
    around = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * width + 1, 2 * width + 1))
    part = np.s_[width:-width, width:-width]
    inside = where[part] != 0
    picture[(cv2.dilate(where, around)[part] != 0) & ~inside] = screen.premultiplied((0, 0, 0), 0.75)
    picture[inside & (cv2.erode(where, around)[part] == 0)] = screen.premultiplied((255, 255, 255), 1.0)
