"""Pictures of the stages, made in the background: for the canvas, and small ones for the strip."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from deeplab_studio.app.panels.colour_bar import colour_table
from deeplab_studio.engine.stages import UPSAMPLED, Changes, Stage, Trace, as_levels, compare

if TYPE_CHECKING:
    from deeplab_studio.app.panels.stages import View
    from deeplab_studio.core.labels import ClassMapping

Bytes = npt.NDArray[np.uint8]

OPACITY = 0.85
"""Of colour maps over the photo: its edges shine through."""

WEIGHTS_OPACITY = 0.7
"""Of the kernel's weights: it matters what lies under them."""

CHANGED_OPACITY = 0.9

_VEIL = (128, 128, 128, 110)
"""Over pixels that did not change: takes contrast from the photo, so that changes show in dark and bright colours."""

CLEAR = np.zeros((256, 4), np.uint8)
"""A table that draws nothing."""


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture in place of the class map.

    Parameters
    ----------
    values : (h, w) uint8 array
    colours : (256, 4) uint8 array or None
        RGBA of every value; None if the values are class ids of the project.
    changes : Changes, optional
        What the picture shows, in the project's class ids.
    scale : float
        Pixels of the photo that one pixel of the picture stands for.
    """

    values: Bytes
    colours: Bytes | None
    changes: Changes | None = None
    scale: float = 1.0


NOTHING = Picture(np.zeros((1, 1), np.uint8), CLEAR)


@dataclass(frozen=True)
class Wish:
    """What is to be shown of a stage.

    Parameters
    ----------
    stage : Stage
    view : {"classes", "probability", "entropy", "changes"}
    class_id : int
        The model's, for "probability".
    """

    stage: Stage
    view: View
    class_id: int


def picture_of(trace: Trace, wish: Wish, mapping: ClassMapping, palette: Bytes) -> Picture:
    """What the canvas shows for a wish.

    Parameters
    ----------
    trace : Trace
    wish : Wish
    mapping : ClassMapping
        From the model's classes to the project's.
    palette : (256, 3) uint8 array
        Colours of the project's classes.
    """
    stage = wish.stage
    if stage.name == "photo":
        return NOTHING
    if wish.view == "probability":
        return Picture(as_levels(trace.probability(stage, wish.class_id), 1), colour_table("viridis", OPACITY))
    if wish.view == "entropy":
        return Picture(as_levels(trace.entropy(stage), trace.entropy_range), colour_table("inferno", OPACITY))
    if wish.view == "classes":
        return Picture(mapping.to_target[trace.class_map(stage)], None)
    before = mapping.to_target[trace.class_map(UPSAMPLED)]
    after = before if stage.name == "coarse" else mapping.to_target[trace.class_map(stage)]
    height, width = trace.scores.image_size
    return picture_of_changes(compare(before, after), palette, height * width / after.size)


def picture_of_changes(changes: Changes, palette: Bytes, scale: float = 1.0) -> Picture:
    """Changed pixels in the colour of their new class."""
    colours = np.empty((256, 4), np.uint8)
    colours[:, :3] = palette
    colours[:, 3] = round(255 * CHANGED_OPACITY)
    colours[changes.unchanged] = _VEIL
    return Picture(changes.picture, colours, changes, scale)


def on_thumbnail(photo: Bytes, picture: Picture, palette: Bytes, hidden: frozenset[int], opacity: float) -> Bytes:
    """A picture laid over a small photo.

    Parameters
    ----------
    photo : (h, w, 3) uint8 array
    picture : Picture
        Of any size; stretched over the photo.
    palette : (256, 3) uint8 array
    hidden : frozenset of int
        Classes that are not drawn.
    opacity : float
        Of classes, 0..1.

    Returns
    -------
    (h, w, 3) uint8 array
    """
    import cv2

    colours = picture.colours
    if colours is None:
        colours = np.empty((256, 4), np.uint8)
        colours[:, :3] = palette
        colours[:, 3] = round(255 * opacity)
        colours[list(hidden), 3] = 0
    height, width = photo.shape[:2]
    values = cv2.resize(picture.values, (width, height), interpolation=cv2.INTER_NEAREST)
    over = colours[values].astype(np.float32)
    alpha = over[:, :, 3:] / 255
    mixed: Bytes = np.rint(photo * (1 - alpha) + over[:, :, :3] * alpha).astype(np.uint8)
    return mixed


def shrunk(photo: Bytes, longest: int) -> Bytes:
    """A photo (H, W, 3) made so small that no side is longer than `longest`; itself if it is."""
    import cv2

    height, width = photo.shape[:2]
    scale = longest / max(height, width)
    if scale >= 1:
        return photo
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(cv2.resize(photo, size, interpolation=cv2.INTER_AREA), np.uint8)
