"""Drives a canvas as a hand would, and reads it as an eye would."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PySide6.QtCore import QEvent, QPoint, QPointF, Qt
from PySide6.QtGui import QImage, QInputDevice, QMouseEvent, QPointingDevice, QTabletEvent, QWheelEvent
from PySide6.QtWidgets import QApplication

from deeplab_studio.app.canvas import CanvasView
from deeplab_studio.core.classmap import ClassMap, Edit, PaintRules, Stroke
from deeplab_studio.core.geometry import Rect

PALETTE = np.zeros((256, 3), np.uint8)
PALETTE[:4] = (0, 0, 0), (200, 40, 40), (40, 200, 40), (40, 40, 200)
PALETTE[255] = (224, 224, 192)


def flat_photo(height: int = 60, width: int = 80, colour: tuple[int, int, int] = (100, 120, 140)) -> np.ndarray:
    return np.full((height, width, 3), colour, np.uint8)


def checked_photo(height: int = 60, width: int = 80) -> np.ndarray:
    """A photo in which every pixel tells where it is."""
    y, x = np.mgrid[:height, :width]
    return np.stack([x % 256, y % 256, (x * 7 + y * 13) % 256], axis=2).astype(np.uint8)


def screen(canvas: CanvasView) -> np.ndarray:
    """What is on the viewport: (h, w, 3) uint8 RGB in device pixels."""
    QApplication.processEvents()
    return as_array(canvas.viewport().grab().toImage())


def as_array(image: QImage) -> np.ndarray:
    """(h, w, 3) uint8 RGB of an image in device pixels."""
    image = image.convertToFormat(QImage.Format.Format_RGB888)
    rows = np.frombuffer(image.constBits(), np.uint8).reshape(image.height(), image.bytesPerLine())
    return rows[:, : image.width() * 3].reshape(image.height(), image.width(), 3).copy()


def colour_at(canvas: CanvasView, x: float, y: float, picture: np.ndarray | None = None) -> tuple[int, int, int]:
    """The colour on the screen at image coordinates."""
    shown = screen(canvas) if picture is None else picture
    place = canvas.to_viewport(x, y) * canvas.devicePixelRatioF()
    red, green, blue = shown[int(place.y()), int(place.x())].tolist()
    return red, green, blue


def blend(below: tuple[int, int, int], above: np.ndarray | tuple[int, int, int], alpha: float) -> np.ndarray:
    return np.asarray(below) * (1 - alpha) + np.asarray(above) * alpha


def mouse(
    canvas: CanvasView,
    kind: QEvent.Type,
    at: QPointF,
    button: Qt.MouseButton = Qt.MouseButton.NoButton,
    held: Qt.MouseButton = Qt.MouseButton.NoButton,
    keys: Qt.KeyboardModifier = Qt.KeyboardModifier.NoModifier,
) -> None:
    place = canvas.viewport().mapToGlobal(at)
    QApplication.sendEvent(canvas.viewport(), QMouseEvent(kind, at, place, button, held, keys))


def drag(
    canvas: CanvasView,
    points: list[tuple[float, float]],
    button: Qt.MouseButton = Qt.MouseButton.LeftButton,
    keys: Qt.KeyboardModifier = Qt.KeyboardModifier.NoModifier,
    release: bool = True,
) -> None:
    """Press at the first point, move over the others, let go at the last; points are image coordinates."""
    places = [canvas.to_viewport(x, y) for x, y in points]
    mouse(canvas, QEvent.Type.MouseButtonPress, places[0], button, button, keys)
    for place in places[1:]:
        mouse(canvas, QEvent.Type.MouseMove, place, Qt.MouseButton.NoButton, button, keys)
    if release:
        mouse(canvas, QEvent.Type.MouseButtonRelease, places[-1], button, Qt.MouseButton.NoButton, keys)


def hover(canvas: CanvasView, at: QPointF, keys: Qt.KeyboardModifier = Qt.KeyboardModifier.NoModifier) -> None:
    mouse(canvas, QEvent.Type.MouseMove, at, keys=keys)


def wheel(
    canvas: CanvasView,
    notches: float,
    at: QPointF,
    keys: Qt.KeyboardModifier = Qt.KeyboardModifier.NoModifier,
    *,
    sideways: bool = False,
    fingers: QPoint | None = None,
) -> None:
    """Turn the wheel, or move two fingers on a touchpad by logical pixels."""
    turned = QPoint(0, round(120 * notches)) if not sideways else QPoint(round(120 * notches), 0)
    phase = Qt.ScrollPhase.NoScrollPhase if fingers is None else Qt.ScrollPhase.ScrollUpdate
    event = QWheelEvent(
        at,
        canvas.viewport().mapToGlobal(at),
        fingers or QPoint(),
        turned,
        Qt.MouseButton.NoButton,
        keys,
        phase,
        False,
    )
    QApplication.sendEvent(canvas.viewport(), event)


PEN = QPointingDevice(
    "pen",
    7,
    QInputDevice.DeviceType.Stylus,
    QPointingDevice.PointerType.Pen,
    QInputDevice.Capability.Position | QInputDevice.Capability.Pressure,
    1,
    2,
)
PEN_TURNED = QPointingDevice(
    "pen, turned",
    8,
    QInputDevice.DeviceType.Stylus,
    QPointingDevice.PointerType.Eraser,
    QInputDevice.Capability.Position | QInputDevice.Capability.Pressure,
    1,
    2,
)


def pen(canvas: CanvasView, kind: QEvent.Type, x: float, y: float, pressure: float, device=PEN) -> bool:
    at = canvas.to_viewport(x, y)
    left = Qt.MouseButton.LeftButton
    button = Qt.MouseButton.NoButton if kind == QEvent.Type.TabletMove else left
    held = Qt.MouseButton.NoButton if kind == QEvent.Type.TabletRelease else left
    keys = Qt.KeyboardModifier.NoModifier
    place = canvas.viewport().mapToGlobal(at)
    event = QTabletEvent(kind, device, at, place, pressure, 0.0, 0.0, 0.0, 0.0, 0.0, keys, button, held)
    QApplication.sendEvent(canvas.viewport(), event)
    return event.isAccepted()


class Target:
    """The smallest thing one can paint on: a class map and a list of what was done."""

    def __init__(self, class_map: ClassMap, value: int = 1, photo: np.ndarray | None = None) -> None:
        self.map = class_map
        self.active_class = value
        self.photo = photo
        self.rules = PaintRules()
        self.likelihood: np.ndarray | None = None
        self.picked: list[tuple[int, int]] = []
        self.edits: list[Edit | None] = []
        self.names: list[str] = []
        self.changed: list[Rect] = []
        self.open = True
        self._stroke: Stroke | None = None
        self._erase = False

    @property
    def labels(self) -> np.ndarray:
        return self.map.labels

    def probability(self, class_id: int) -> Callable[[], np.ndarray] | None:
        return None if self.likelihood is None else lambda: self.likelihood

    def ready(self) -> bool:
        return self.open

    def begin(self, name: str, *, erase: bool = False) -> bool:
        if not self.ready():
            return False
        self.names.append(name)
        self._stroke, self._erase = self.map.begin(name, self.rules), erase
        return True

    def paint(self, top: int, left: int, mask: np.ndarray) -> Rect | None:
        assert self._stroke is not None
        rect = self._stroke.paint(top, left, mask, 0 if self._erase else self.active_class)
        if rect is not None:
            self.changed.append(rect)
        return rect

    def put(self, top: int, left: int, labels: np.ndarray, mask: np.ndarray, *, pin: bool = True) -> Rect | None:
        assert self._stroke is not None
        return self._stroke.put(top, left, labels, mask, pin=pin)

    def restore(self, rect: Rect | None = None) -> Rect | None:
        assert self._stroke is not None
        return self._stroke.restore(rect)

    def commit(self) -> None:
        assert self._stroke is not None
        self.edits.append(self._stroke.commit())
        self._stroke = None

    def abort(self) -> Rect | None:
        assert self._stroke is not None
        rect = self._stroke.abort()
        self._stroke = None
        return rect

    def pick(self, x: int, y: int) -> None:
        self.picked.append((x, y))
