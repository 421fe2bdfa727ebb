"""The one thing on the scene: the photo with its class map over it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QImage, QPainter
from PySide6.QtWidgets import QGraphicsItem, QStyleOptionGraphicsItem, QWidget

from deeplab_studio.app.canvas import screen
from deeplab_studio.app.canvas.drafts import Draft
from deeplab_studio.app.canvas.mips import LabelMips, PhotoMips, TileGrid, level_for
from deeplab_studio.app.canvas.picture_drafts import PictureDraft, draw_cells
from deeplab_studio.core.geometry import Rect
from deeplab_studio.core.labels import VOID, voc_palette

Bytes = npt.NDArray[np.uint8]

CRISP_SCALE = 2.0
"""From this many device pixels per image pixel on, image pixels are drawn as sharp squares."""

GRID_SCALE = 8.0
"""Device pixels per image pixel from which on the pixel grid shows."""

_GRID_OPACITY = 0.43

_VOID_FILL = 0.7
"""Void is hatched; the fill under the hatch is this much of the others' opacity."""


def tone_table(brightness: float, contrast: float, gamma: float) -> Bytes | None:
    """What a change of tone makes of each 8-bit level.

    Parameters
    ----------
    brightness : float
        -1 (black) to 1 (white); 0 changes nothing.
    contrast : float
        -1 (flat gray) to 1 (two levels); 0 changes nothing. The slope through mid-gray is ``tan((contrast + 1) pi/4)``.
    gamma : float
        Above 0; more than 1 lifts the shadows, less deepens them: ``out = in ** (1 / gamma)``.

    Returns
    -------
    (256,) uint8 array, or None where nothing would change

    Raises
    ------
    ValueError
        If a value is out of range.
    """
    if not (-1 <= brightness <= 1 and -1 <= contrast <= 1 and gamma > 0):
        raise ValueError(f"no such tone: brightness {brightness}, contrast {contrast}, gamma {gamma}")
    if brightness == 0 and contrast == 0 and gamma == 1:
        return None
    level = (np.arange(256) / 255) ** (1 / gamma)
    slope = np.tan((min(contrast, 0.999) + 1) * np.pi / 4)
    level = (level - 0.5) * slope + 0.5 + brightness
    table: Bytes = np.rint(np.clip(level, 0, 1) * 255).astype(np.uint8)
    return table


def image_over(pixels: Bytes | npt.NDArray[np.uint32], layout: QImage.Format) -> QImage:
    """A QImage on the memory of an array, which it keeps alive; nothing is copied."""
    height, width = pixels.shape[:2]
    return QImage(pixels.data, width, height, pixels.strides[0], layout)


class PhotoLayer:
    """The photo as Qt draws it fastest, with its tone, made square by square as the eye gets to it.

    Opening a photo so costs nothing but its levels, and a change of tone only what is on the screen. Each level is one
    image, drawn whole under the painter's clip: drawing it in pieces would leave seams when it is smoothed.
    """

    def __init__(self, mips: PhotoMips) -> None:
        self.mips = mips
        self._tone: Bytes | None = None
        self._shown: dict[int, tuple[Bytes, QImage, TileGrid]] = {}

    def set_tone(self, table: Bytes | None) -> None:
        """Draw through a (256,) uint8 table from now on; as it is with None."""
        self._tone = table
        for _, _, grid in self._shown.values():
            grid.clear()

    def image(self, level: int, rect: Rect) -> QImage:
        """The image of a level, valid under `rect` (pixels of that level)."""
        import cv2

        pixels = self.mips.levels[level]
        if level not in self._shown:
            buffer = np.empty((*pixels.shape[:2], 4), np.uint8)
            self._shown[level] = (
                buffer,
                image_over(buffer, QImage.Format.Format_RGB32),
                TileGrid(*pixels.shape[:2]),
            )
        buffer, image, grid = self._shown[level]
        for tile in grid.take_stale(rect):
            source = pixels[tile.slices]
            toned = source if self._tone is None else cv2.LUT(source, self._tone)
            # RGB32 is 0xffRRGGBB in the machine's byte order: blue first.
            cv2.cvtColor(toned, cv2.COLOR_RGB2BGRA, dst=buffer[tile.slices])
        return image


@dataclass
class _Look:
    """How class maps are shown."""

    palette: Bytes = field(default_factory=voc_palette)
    opacity: float = 0.5
    hidden: frozenset[int] = frozenset()
    outlines: bool = False

    def fill_colours(self) -> screen.Argb:
        """Premultiplied colour of every id."""
        return self._colours(0.0 if self.outlines else self.opacity, _VOID_FILL)

    def line_colours(self) -> screen.Argb:
        """Premultiplied colour of the boundary inside every class."""
        # Lines are thin: they get their full strength at half the opacity of a fill.
        return self._colours(min(1.0, 2 * self.opacity), 1.0)

    def _colours(self, opacity: float, void_share: float) -> screen.Argb:
        return np.array(
            [
                0 if i in self.hidden else screen.premultiplied(colour, opacity * (void_share if i == VOID else 1))
                for i, colour in enumerate(self.palette.tolist())
            ],
            np.uint32,
        )


class LayersItem(QGraphicsItem):
    """Photo, class map or preview, boundaries, void's hatch and the pins' veil, in image coordinates."""

    def __init__(self) -> None:
        super().__init__()
        self.setFlag(QGraphicsItem.GraphicsItemFlag.ItemUsesExtendedStyleOption)  # for the exposed rectangle
        self._photo: PhotoLayer | None = None
        self._tone: Bytes | None = None
        self._labels: LabelMips | None = None
        self._preview: LabelMips | None = None
        self._overlay: tuple[LabelMips, screen.Argb | None] | None = None
        self._pins: LabelMips | None = None
        self._draft: Draft | PictureDraft | None = None
        self._cells: tuple[LabelMips, int] | None = None
        self._labels_visible = True
        self._look = _Look()
        self._fill = self._look.fill_colours()
        self._lines = self._look.line_colours()

    @property
    def size(self) -> tuple[int, int] | None:
        """(height, width) of the photo."""
        return (self._photo.mips.height, self._photo.mips.width) if self._photo else None

    def _photo_size(self) -> tuple[int, int]:
        return self.size or (0, 0)

    @property
    def photo(self) -> PhotoLayer | None:
        """The photo, to be shown on other canvases too."""
        return self._photo

    def set_photo(self, photo: PhotoMips | PhotoLayer | None) -> None:
        """Show another photo, without labels, preview, overlay and pins; that of another canvas with its tone."""
        self.prepareGeometryChange()
        if isinstance(photo, PhotoMips):
            photo = PhotoLayer(photo)
            photo.set_tone(self._tone)
        self._photo = photo
        self._labels = self._preview = self._overlay = self._pins = self._draft = self._cells = None
        self.update()

    def set_tone(self, table: Bytes | None) -> None:
        """Draw photos through a table of `tone_table`."""
        self._tone = table
        if self._photo:
            self._photo.set_tone(table)
        self.update()

    def set_labels(self, labels: Bytes | None) -> None:
        """Show a class map of the photo's size, sharing its memory."""
        if labels is not None and labels.shape != self.size:
            raise ValueError(f"a class map of {labels.shape} does not fit a photo of {self.size}")
        self._labels = LabelMips(labels) if labels is not None else None
        self.update()

    def set_preview(self, labels: Bytes | None) -> None:
        """Show another class map, of any size, stretched over the photo, instead."""
        self._preview = LabelMips(labels) if labels is not None else None
        self.update()

    def set_overlay(self, values: Bytes | None, colours: Bytes | None = None) -> None:
        """Show an 8-bit picture of any size, stretched over the photo, instead of class map, preview and pins.

        It is drawn in the classes' colours, or in `colours`: (256, 4) uint8, RGBA with straight alpha.
        """
        if values is None:
            self._overlay = None
        else:
            fill = None if colours is None else screen.premultiplied_table(colours)
            self._overlay = LabelMips(values), fill
        self.update()

    def set_pins(self, pinned: npt.NDArray[np.bool_] | None) -> None:
        """Veil the pinned pixels, sharing the mask's memory."""
        if pinned is not None and pinned.shape != self.size:
            raise ValueError(f"pins of {pinned.shape} do not fit a photo of {self.size}")
        self._pins = LabelMips(pinned.view(np.uint8)) if pinned is not None else None
        self.update()

    def set_cells(self, colours: Bytes | None, side: int = 0) -> None:
        """Show where the values of an array of the photo's size change: superpixels of about `side` pixels."""
        self._cells = (LabelMips(colours), side) if colours is not None else None
        self.update()

    def set_draft(self, draft: Draft | PictureDraft | None, scale: float) -> None:
        """Show what a gesture would paint, at `scale` device pixels per image pixel."""
        for each in (self._draft, draft):
            if each is not None:
                self.expose(each.box.clipped(*self._photo_size()), scale)
        self._draft = draft

    def set_labels_visible(self, visible: bool) -> None:
        """Show everything, or the bare photo."""
        self._labels_visible = visible
        self.update()

    def set_look(
        self,
        *,
        palette: Bytes | None = None,
        opacity: float | None = None,
        hidden: frozenset[int] | None = None,
        outlines: bool | None = None,
    ) -> None:
        """Change how class maps look; what is not given stays."""
        look = self._look
        self._look = _Look(
            look.palette if palette is None else palette,
            look.opacity if opacity is None else opacity,
            look.hidden if hidden is None else hidden,
            look.outlines if outlines is None else outlines,
        )
        self._fill = self._look.fill_colours()
        self._lines = self._look.line_colours()
        self.update()

    def refresh(self, rect: Rect | None, scale: float) -> None:
        """Show the shared class map (and pins) as they are now inside `rect`, at `scale` device pixels per pixel."""
        if self._labels is not None:
            self._labels.refresh(rect)
        if self._pins is not None:
            self._pins.refresh(rect)
        if rect is None:
            self.update()
            return
        self.expose(rect, scale)

    def expose(self, rect: Rect, scale: float) -> None:
        """Draw a box of image pixels anew."""
        # Smaller levels show one pixel for many, and lines reach a few device pixels beyond the classes they part.
        margin = max(1.0, 2 / scale) + 6 / scale
        box = QRectF(rect.left, rect.top, rect.width, rect.height)
        self.update(box.adjusted(-margin, -margin, margin, margin))

    def boundingRect(self) -> QRectF:
        """The photo's rectangle."""
        height, width = self._photo_size()
        return QRectF(0, 0, width, height)

    def paint(self, painter: QPainter, option: QStyleOptionGraphicsItem, widget: QWidget | None = None) -> None:
        """Draw what is exposed, each layer from the level that fits the screen."""
        if self._photo is None:
            return
        bounds = self.boundingRect()
        exposed: QRectF = option.exposedRect & bounds
        if exposed.isEmpty():
            return
        painter.save()
        try:
            # The last pixel of a smaller level may stand for less than a full block and reach beyond the photo.
            painter.setClipRect(bounds, Qt.ClipOperation.IntersectClip)
            scale = painter.deviceTransform().m11()
            self._paint_photo(painter, self._photo, exposed, scale)
            self._paint_overlay(painter, exposed, scale)
        finally:
            painter.restore()  # Qt crashes on a painter that is not handed back as it came

    def _paint_photo(self, painter: QPainter, photo: PhotoLayer, exposed: QRectF, scale: float) -> None:
        k = level_for(scale, len(photo.mips.levels) - 1)
        height, width = photo.mips.levels[k].shape[:2]
        step = 1 << k
        reach = 2  # smoothing reads neighbours
        needed = Rect(
            int(exposed.top() / step) - reach,
            int(exposed.left() / step) - reach,
            int(exposed.bottom() / step) + 1 + reach,
            int(exposed.right() / step) + 1 + reach,
        )
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, scale < CRISP_SCALE)
        painter.drawImage(QRectF(0, 0, width * step, height * step), photo.image(k, needed))

    def _paint_overlay(self, painter: QPainter, exposed: QRectF, scale: float) -> None:
        size = self._photo_size()
        labels = (self._preview or self._labels) if self._labels_visible and self._look.opacity > 0 else None
        pins = self._pins if self._labels_visible else None
        colours = None
        if self._overlay is not None and self._labels_visible:
            (labels, colours), pins = self._overlay, None
        grid = scale >= GRID_SCALE
        rimmed = self._draft if self._draft is not None and self._draft.has_rims else None
        cells = self._cells if self._labels_visible and self._overlay is None else None
        if labels is None and pins is None and rimmed is None and cells is None and not grid:
            return
        to_device = painter.deviceTransform()
        box = to_device.mapRect(exposed).toAlignedRect()
        exposure = screen.Exposure(
            box.left(),
            box.top(),
            box.width(),
            box.height(),
            scale,
            to_device.dx(),
            to_device.dy(),
            to_device.m11() / painter.worldTransform().m11(),
        )
        if labels is None:
            picture = np.zeros((exposure.height, exposure.width), np.uint32)
        elif colours is not None:
            picture = screen.paint_classes(screen.classes_on_screen(labels, exposure, *size), colours)
        elif self._look.outlines:
            picture = np.zeros((exposure.height, exposure.width), np.uint32)
            thickness = max(1, round(1.5 * exposure.device_ratio))
            classes = self._classes(labels, exposure.grown(thickness))
            screen.draw_outlines(picture, classes, self._lines, thickness)
        else:
            classes = self._classes(labels, exposure)
            picture = screen.paint_classes(classes, self._fill)
            if VOID not in self._look.hidden:
                screen.draw_hatch(picture, classes, exposure, self._fill, self._look.opacity)
        if pins is not None:
            screen.draw_pins(picture, screen.classes_on_screen(pins, exposure, *size).view(np.bool_), exposure)
        if cells is not None:
            draw_cells(picture, *cells, exposure)
        if rimmed is not None and self._labels is not None:
            rimmed.draw_rims(picture, exposure, self._labels, max(1, round(1.25 * exposure.device_ratio)))
        if grid:
            screen.draw_grid(picture, exposure, *size, _GRID_OPACITY * min(1.0, scale / GRID_SCALE - 0.5))
        painter.resetTransform()
        # What is left is the way from the widget's coordinates to the device's: its ratio, and a shift when only a part
        # of the window is grabbed.
        from_device, _ = painter.deviceTransform().inverted()
        image = image_over(picture, QImage.Format.Format_ARGB32_Premultiplied)
        image.setDevicePixelRatio(exposure.device_ratio)
        painter.drawImage(from_device.map(QPointF(box.topLeft())), image)

    def _classes(self, labels: LabelMips, exposure: screen.Exposure) -> Bytes:
        """The class under every device pixel, with what the gesture under way would paint."""
        classes = screen.classes_on_screen(labels, exposure, *self._photo_size())
        draft = self._draft
        # A picture in the place of the classes covers what would become of them, too.
        if draft is None or self._labels is None or self._overlay is not None:
            return classes
        return draft.over(classes, exposure, self._labels)
