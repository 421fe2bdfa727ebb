"""What the canvas shows. Every test holds at any device pixel ratio: the last one repeats the file at 2."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import weakref
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import QEvent, QPoint, QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QDragEnterEvent, QPalette
from PySide6.QtWidgets import QApplication, QLineEdit, QVBoxLayout, QWidget
from pytestqt.qtbot import QtBot

from deeplab_studio.app.canvas import CanvasView, build_mips
from deeplab_studio.core.geometry import Rect
from tests.unit.app.canvas_kit import PALETTE, as_array, blend, checked_photo, colour_at, flat_photo, hover, screen

RATIO_ENV = "QT_SCALE_FACTOR"
WIDTH, HEIGHT = 300, 220


@pytest.fixture
def canvas(qtbot: QtBot) -> CanvasView:
    view = CanvasView()
    qtbot.addWidget(view)
    view.resize(WIDTH, HEIGHT)
    view.show()
    qtbot.waitExposed(view)
    view.set_palette(PALETTE)
    return view


@pytest.fixture
def labelled(canvas: CanvasView) -> CanvasView:
    """Photo of one colour; class 1 left, class 2 right, void below."""
    canvas.set_image(flat_photo())
    labels = np.full((60, 80), 1, np.uint8)
    labels[:, 40:] = 2
    labels[40:] = 255
    canvas.set_labels(labels)
    canvas.set_opacity(0.5)
    return canvas


PHOTO = (100, 120, 140)


# --- The photo


def test_one_to_one_shows_the_photo_pixel_by_pixel(canvas: CanvasView) -> None:
    photo = checked_photo(500, 700)
    canvas.set_image(photo)
    canvas.zoom_actual()
    shown = screen(canvas)
    corner = canvas.to_image(QPointF(0, 0))
    x, y = round(corner.x()), round(corner.y())
    assert canvas.scale() == 1
    assert shown.shape[:2] == tuple(round(n * canvas.devicePixelRatioF()) for n in (HEIGHT, WIDTH))
    whole = photo[max(y, 0) : y + shown.shape[0], max(x, 0) : x + shown.shape[1]]
    inside = shown[max(-y, 0) :, max(-x, 0) :][: whole.shape[0], : whole.shape[1]]
    assert whole.size > 200 * 200
    np.testing.assert_array_equal(inside, whole)


def test_pixels_are_sharp_squares_when_close(canvas: CanvasView) -> None:
    photo = checked_photo()
    canvas.set_image(photo)
    canvas.set_scale(6)
    for x, y in [(40.2, 30.2), (40.8, 30.8), (35.5, 25.1)]:
        assert colour_at(canvas, x, y) == tuple(photo[int(y), int(x)].tolist())


def test_a_fitted_photo_is_shown_from_a_smaller_level(canvas: CanvasView) -> None:
    rows = np.arange(3000) % 2 * 200  # lines of one pixel: their mean is 100
    canvas.set_image(np.repeat(rows[:, None, None], 4000, axis=1).repeat(3, axis=2).astype(np.uint8))
    assert canvas.scale() < 0.25
    assert abs(np.array(colour_at(canvas, 2000, 1500)) - 100).max() <= 2


def test_prebuilt_levels_and_the_pixels_themselves_look_the_same(canvas: CanvasView) -> None:
    photo = checked_photo(700, 900)
    canvas.set_image(photo)
    plain = screen(canvas)
    canvas.set_image(build_mips(photo))
    np.testing.assert_array_equal(screen(canvas), plain)


def test_tone_changes_what_is_seen_and_nothing_else(canvas: CanvasView) -> None:
    photo = flat_photo(600, 800)
    canvas.set_image(photo)
    canvas.set_tone(brightness=0.2)
    assert colour_at(canvas, 300, 300) == (151, 171, 191)
    canvas.set_tone(gamma=2)
    assert colour_at(canvas, 300, 300) == tuple(round(255 * (c / 255) ** 0.5) for c in PHOTO)
    canvas.zoom_actual()
    assert colour_at(canvas, 300, 300) == tuple(round(255 * (c / 255) ** 0.5) for c in PHOTO)
    canvas.set_tone()
    assert colour_at(canvas, 300, 300) == PHOTO
    assert (photo == PHOTO).all()


def test_tone_reaches_every_part_one_moves_to(canvas: CanvasView) -> None:
    canvas.set_image(flat_photo(2400, 3200))
    canvas.set_scale(0.9)
    screen(canvas)
    canvas.set_tone(contrast=-1)
    for _ in range(6):
        canvas.pan_by(-80, -60)
        shown = screen(canvas)
        assert (shown == 128).all()


def test_the_tone_stays_for_the_next_photo(canvas: CanvasView) -> None:
    canvas.set_tone(brightness=0.2)
    canvas.set_image(flat_photo())
    assert colour_at(canvas, 30, 30) == (151, 171, 191)


@pytest.mark.parametrize("shape", [(1, 1), (1, 900), (900, 1), (3, 5000), (257, 513), (5, 7)])
def test_odd_shapes_are_shown(canvas: CanvasView, shape) -> None:
    canvas.set_image(flat_photo(*shape))
    assert canvas.image_size == shape
    assert colour_at(canvas, shape[1] / 2, shape[0] / 2) == PHOTO
    canvas.set_labels(np.ones(shape, np.uint8))
    canvas.set_opacity(1)
    for scale in (canvas.scale(), 1.0, 4.0):
        canvas.set_scale(scale)
        middle = canvas.to_image(QPointF(WIDTH / 2, HEIGHT / 2))
        assert colour_at(canvas, middle.x(), middle.y()) == (200, 40, 40)


# --- The class map


def test_opacity_mixes_class_colour_and_photo(labelled: CanvasView) -> None:
    for opacity in (0.0, 0.25, 0.5, 1.0):
        labelled.set_opacity(opacity)
        for x, class_id in ((20, 1), (60, 2)):
            got = np.array(colour_at(labelled, x + 0.5, 20.5))
            assert abs(got - blend(PHOTO, PALETTE[class_id], opacity)).max() <= 1.5


def test_hidden_classes_show_the_photo(labelled: CanvasView) -> None:
    labelled.set_hidden(frozenset({1}))
    assert colour_at(labelled, 20.5, 20.5) == PHOTO
    assert colour_at(labelled, 60.5, 20.5) != PHOTO
    labelled.set_hidden(frozenset({2, 255}))
    assert colour_at(labelled, 20.5, 20.5) != PHOTO
    assert colour_at(labelled, 60.5, 20.5) == PHOTO
    assert colour_at(labelled, 60.5, 50.5) == PHOTO


def test_another_palette_changes_the_colours(labelled: CanvasView) -> None:
    palette = PALETTE.copy()
    palette[1] = 9, 90, 190
    labelled.set_opacity(1)
    labelled.set_palette(palette)
    assert colour_at(labelled, 20.5, 20.5) == (9, 90, 190)


def test_void_is_hatched(labelled: CanvasView) -> None:
    shown = screen(labelled)
    box = QRectF(labelled.to_viewport(5, 43), labelled.to_viewport(75, 57))
    ratio = labelled.devicePixelRatioF()
    part = shown[
        round(box.top() * ratio) : round(box.bottom() * ratio), round(box.left() * ratio) : round(box.right() * ratio)
    ]
    dark = (part.sum(axis=2) < sum(PHOTO)).mean()
    light = (part.sum(axis=2) > sum(PHOTO)).mean()
    assert 0.1 < dark < 0.4
    assert light > 0.5
    # Lines run diagonally: what is dark here is dark one up and one to the right.
    mask = part.sum(axis=2) < sum(PHOTO)
    np.testing.assert_array_equal(mask[1:, :-1], mask[:-1, 1:])


def test_the_hatch_stands_still_on_the_photo(labelled: CanvasView) -> None:
    labelled.set_scale(4)
    before = screen(labelled)
    start = labelled.to_viewport(0, 0)
    labelled.pan_by(-13, -9)
    after = screen(labelled)
    shift = (start - labelled.to_viewport(0, 0)) * labelled.devicePixelRatioF()
    dx, dy = round(shift.x()), round(shift.y())
    assert (dx, dy) != (0, 0)
    np.testing.assert_array_equal(after[: after.shape[0] - dy, : after.shape[1] - dx], before[dy:, dx:])


def test_the_bare_photo_and_back(labelled: CanvasView) -> None:
    before = screen(labelled)
    labelled.set_pins(np.ones((60, 80), bool))
    labelled.set_labels_visible(False)
    for x, y in ((20, 20), (60, 20), (20, 50)):
        assert colour_at(labelled, x, y) == PHOTO
    labelled.set_pins(None)
    labelled.set_labels_visible(True)
    np.testing.assert_array_equal(screen(labelled), before)


def test_the_class_maps_memory_is_shared(labelled: CanvasView) -> None:
    labels = np.zeros((60, 80), np.uint8)
    labelled.set_labels(labels)
    labelled.set_opacity(1)
    labels[10:20, 10:20] = 3
    labelled.refresh_labels(Rect(10, 10, 20, 20))
    assert colour_at(labelled, 15, 15) == (40, 40, 200)
    assert colour_at(labelled, 25, 15) == (0, 0, 0)


@pytest.mark.parametrize("scale", [0.11, 0.3, 0.5, 0.77, 1.0, 1.63, 3.3])
@pytest.mark.parametrize("outlines", [False, True])
def test_a_repainted_box_looks_as_if_all_had_been_repainted(canvas: CanvasView, scale, outlines) -> None:
    random = np.random.default_rng(3)
    photo = np.repeat(np.repeat(random.integers(0, 256, (60, 80, 3), np.uint8), 20, 0), 20, 1)
    labels = np.repeat(np.repeat(random.integers(0, 4, (60, 80), np.uint8), 20, 0), 20, 1)
    labels[300:500, 400:700] = 255
    canvas.set_image(photo)
    canvas.set_labels(labels)
    canvas.set_outlines(outlines)
    canvas.set_scale(scale)
    screen(canvas)
    for _ in range(8):
        top, left = random.integers(400, 800), random.integers(600, 1000)
        box = Rect(int(top), int(left), int(top) + 37, int(left) + 61)
        labels[box.slices] = random.integers(0, 4)
        canvas.refresh_labels(box)
        partial = paint_pending(canvas)
    canvas.viewport().update()
    full = paint_pending(canvas)
    assert abs(partial.astype(int) - full).max() <= 1


def paint_pending(canvas: CanvasView) -> np.ndarray:
    """What the window itself holds after painting what it has to: not a fresh grab, which paints everything."""
    QApplication.processEvents()
    window = canvas.window().windowHandle()
    return as_array(window.screen().grabWindow(canvas.winId()).toImage())


def test_a_class_map_of_another_size_is_refused(canvas: CanvasView) -> None:
    canvas.set_image(flat_photo())
    with pytest.raises(ValueError, match="does not fit"):
        canvas.set_labels(np.zeros((60, 81), np.uint8))
    with pytest.raises(ValueError, match="do not fit"):
        canvas.set_pins(np.zeros((61, 80), bool))


# --- Outlines, pins, preview


def test_outlines_follow_the_boundary_at_the_screens_resolution(labelled: CanvasView) -> None:
    labelled.set_outlines(True)
    for scale in (1.0, 3.0, 7.0):
        labelled.set_scale(scale, labelled.to_viewport(40, 20))
        shown = screen(labelled)
        pixel = 1 / labelled.scale()
        assert colour_at(labelled, 40 - 0.5 * pixel, 20.5, shown) == (200, 40, 40)
        assert colour_at(labelled, 40 + 0.5 * pixel, 20.5, shown) == (40, 200, 40)
        beyond = (max(1, round(1.5 * labelled.devicePixelRatioF())) + 0.5) * pixel
        assert colour_at(labelled, 40 - beyond, 20.5, shown) == PHOTO
        assert colour_at(labelled, 40 + beyond, 20.5, shown) == PHOTO


def test_hidden_classes_have_no_outline(labelled: CanvasView) -> None:
    labelled.set_outlines(True)
    labelled.set_hidden(frozenset({2}))
    pixel = 1 / labelled.scale()
    assert colour_at(labelled, 40 - 0.5 * pixel, 20.5) == (200, 40, 40)
    assert colour_at(labelled, 40 + 0.5 * pixel, 20.5) == PHOTO


def test_there_is_no_outline_along_the_rim_of_the_photo(labelled: CanvasView) -> None:
    labelled.set_outlines(True)
    assert colour_at(labelled, 0.2, 20.5) == PHOTO
    assert colour_at(labelled, 79.8, 20.5) == PHOTO


def test_pins_are_dotted_and_only_they(labelled: CanvasView) -> None:
    labelled.set_hidden(frozenset(range(256)))
    pinned = np.zeros((60, 80), bool)
    pinned[10:30, 10:30] = True
    labelled.set_pins(pinned)
    labelled.set_scale(4)
    shown = screen(labelled)
    ratio = labelled.devicePixelRatioF()
    changed = (shown != PHOTO).any(axis=2)
    inside = np.zeros_like(changed)
    corner, end = labelled.to_viewport(10, 10) * ratio, labelled.to_viewport(30, 30) * ratio
    inside[round(corner.y()) : round(end.y()), round(corner.x()) : round(end.x())] = True
    photo = np.zeros_like(changed)
    corner, end = labelled.to_viewport(0, 0) * ratio, labelled.to_viewport(80, 60) * ratio
    photo[max(0, round(corner.y())) : round(end.y()), max(0, round(corner.x())) : round(end.x())] = True
    assert 0.05 < changed[inside].mean() < 0.3
    assert not changed[photo & ~inside].any()
    labelled.set_pins(None)
    assert (screen(labelled)[photo] == PHOTO).all()


def test_a_preview_is_stretched_over_the_photo_and_leaves_the_class_map_alone(labelled: CanvasView) -> None:
    labelled.set_opacity(1)
    before = screen(labelled)
    preview = np.array([[3, 0], [0, 3], [2, 2]], np.uint8)
    labelled.show_preview(preview)
    shown = screen(labelled)
    for x, y, class_id in ((39, 19, 3), (41, 19, 0), (39, 21, 0), (41, 39, 3), (5, 41, 2)):
        assert colour_at(labelled, x, y, shown) == tuple(PALETTE[class_id].tolist())
    labelled.show_preview(None)
    np.testing.assert_array_equal(screen(labelled), before)


def test_another_photo_takes_labels_preview_and_pins_away(labelled: CanvasView) -> None:
    labelled.set_pins(np.ones((60, 80), bool))
    labelled.show_preview(np.ones((3, 3), np.uint8))
    labelled.set_image(flat_photo())
    assert colour_at(labelled, 20, 20) == PHOTO
    labelled.set_image(None)
    assert len(np.unique(screen(labelled).reshape(-1, 3), axis=0)) == 1


# --- The view


def test_a_photo_is_fitted_and_stays_so(canvas: CanvasView, qtbot: QtBot) -> None:
    canvas.set_image(flat_photo(60, 80))
    for size in ((WIDTH, HEIGHT), (500, 200), (120, 300)):
        canvas.resize(*size)
        QApplication.processEvents()
        corner, end = canvas.to_viewport(0, 0), canvas.to_viewport(80, 60)
        assert corner.x() >= 0
        assert corner.y() >= 0
        assert end.x() <= size[0]
        assert end.y() <= size[1]
        assert min(size[0] - (end.x() - corner.x()), size[1] - (end.y() - corner.y())) == pytest.approx(16, abs=0.1)


def test_a_zoomed_view_keeps_its_middle_when_resized(canvas: CanvasView) -> None:
    canvas.set_image(flat_photo(600, 800))
    canvas.set_scale(2)
    canvas.pan_by(-40, 25)
    middle = canvas.to_image(QPointF(WIDTH / 2, HEIGHT / 2))
    canvas.resize(500, 380)
    QApplication.processEvents()
    assert (canvas.to_viewport(middle.x(), middle.y()) - QPointF(250, 190)).manhattanLength() <= 2
    assert canvas.scale() == 2


def test_the_scale_stays_within_its_limits(canvas: CanvasView) -> None:
    canvas.set_image(flat_photo(600, 800))
    fit = canvas.scale()
    for _ in range(60):
        canvas.zoom_by(1.5)
    assert canvas.scale() == 64
    for _ in range(60):
        canvas.zoom_by(1 / 1.5)
    assert canvas.scale() == pytest.approx(fit / 4)


def test_zooming_stops_at_one_to_one_on_the_way_past_it(canvas: CanvasView) -> None:
    canvas.set_image(flat_photo(3000, 4000))
    canvas.set_scale(0.9)
    canvas.zoom_by(1.26)
    assert canvas.scale() == 1
    canvas.zoom_by(1.26)
    assert canvas.scale() == pytest.approx(1.26)
    canvas.set_scale(0.99)
    canvas.zoom_by(1.02)
    assert canvas.scale() == pytest.approx(0.99 * 1.02)


def test_scale_changes_are_told(canvas: CanvasView, qtbot: QtBot) -> None:
    canvas.set_image(flat_photo())
    with qtbot.waitSignal(canvas.zoomChanged, timeout=1000) as told:
        canvas.set_scale(3.5)
    assert told.args == [3.5]


def test_the_next_photo_of_the_same_size_is_shown_at_the_same_place(canvas: CanvasView) -> None:
    canvas.set_image(flat_photo(600, 800))
    canvas.set_scale(3)
    canvas.pan_by(-77, 31)
    before = canvas.viewportTransform()
    canvas.set_image(flat_photo(600, 800), keep_view=True)
    assert canvas.viewportTransform() == before
    canvas.set_image(None)
    canvas.set_image(flat_photo(600, 800), keep_view=True)
    assert canvas.viewportTransform() == before


def test_a_photo_of_another_size_keeps_scale_and_relative_place(canvas: CanvasView) -> None:
    canvas.set_image(flat_photo(600, 800))
    canvas.set_scale(3, canvas.to_viewport(200, 450))
    middle = canvas.to_image(QPointF(WIDTH / 2, HEIGHT / 2))
    canvas.set_image(flat_photo(1200, 400), keep_view=True)
    assert canvas.scale() == 3
    now = canvas.to_image(QPointF(WIDTH / 2, HEIGHT / 2))
    assert now.x() / 400 == pytest.approx(middle.x() / 800, abs=0.01)
    assert now.y() / 1200 == pytest.approx(middle.y() / 600, abs=0.01)


def test_a_fitted_view_fits_the_next_photo(canvas: CanvasView) -> None:
    canvas.set_image(flat_photo(600, 800))
    canvas.set_image(flat_photo(100, 900), keep_view=True)
    assert canvas.to_viewport(0, 0).x() == pytest.approx(8, abs=1)
    canvas.set_scale(5)
    canvas.set_image(flat_photo(600, 800))
    assert canvas.to_viewport(0, 0).y() >= 8


def test_the_photo_cannot_get_lost(canvas: CanvasView) -> None:
    canvas.set_image(flat_photo(600, 800))
    for across, down in ((9e5, 9e5), (-9e5, -9e5)):
        canvas.pan_by(across, down)
        middle = canvas.to_image(QPointF(WIDTH / 2, HEIGHT / 2))
        assert -2 <= middle.x() <= 802
        assert -2 <= middle.y() <= 602


def test_the_pixel_under_the_pointer_is_told(canvas: CanvasView, qtbot: QtBot) -> None:
    canvas.set_image(flat_photo())
    told: list[tuple[int, int]] = []
    canvas.hovered.connect(lambda x, y: told.append((x, y)))
    hover(canvas, canvas.to_viewport(12.5, 30.5))
    hover(canvas, canvas.to_viewport(12.6, 30.6))
    hover(canvas, canvas.to_viewport(79.5, 59.5))
    hover(canvas, canvas.to_viewport(80.5, 59.5))
    hover(canvas, canvas.to_viewport(3.5, 4.5))
    QApplication.sendEvent(canvas.viewport(), QEvent(QEvent.Type.Leave))
    assert told == [(12, 30), (79, 59), (-1, -1), (3, 4), (-1, -1)]


def test_the_pixel_that_moves_under_the_pointer_is_told(canvas: CanvasView) -> None:
    canvas.set_image(flat_photo(600, 800))
    told: list[tuple[int, int]] = []
    hover(canvas, QPointF(100, 100))
    canvas.hovered.connect(lambda x, y: told.append((x, y)))
    canvas.set_scale(5)
    point = canvas.to_image(QPointF(100, 100))
    assert told[-1] == (int(point.x()), int(point.y()))


def test_the_pixel_grid_shows_when_close(canvas: CanvasView) -> None:
    canvas.set_image(flat_photo())
    for scale, grid in ((7.0, False), (16.0, True)):
        canvas.set_scale(scale)
        shown = screen(canvas)
        ratio = canvas.devicePixelRatioF()
        corner = canvas.to_viewport(40, 30) * ratio
        x, y = round(corner.x()), round(corner.y())
        cell = shown[y : y + int(scale), x : x + int(scale)]
        assert (tuple(cell[0, 5].tolist()) != PHOTO) is grid
        assert (tuple(cell[5, 0].tolist()) != PHOTO) is grid
        assert (cell[1:, 1:] == PHOTO).all()


def test_the_surround_follows_the_palette(canvas: CanvasView) -> None:
    lightness = []
    for colour in ("#2b2b2b", "#f0f0f0"):
        palette = QPalette()
        palette.setColor(QPalette.ColorRole.Window, QColor(colour))
        canvas.setPalette(palette)
        red, green, blue = screen(canvas)[2, 2].tolist()
        assert red == green == blue
        assert red < QColor(colour).lightness()
        lightness.append(red)
    assert lightness[0] < lightness[1]


def test_drops_pass_through_to_the_window(canvas: CanvasView) -> None:
    assert not canvas.acceptDrops()
    assert not canvas.viewport().acceptDrops()
    from PySide6.QtCore import QMimeData

    event = QDragEnterEvent(
        QPoint(5, 5),
        Qt.DropAction.CopyAction,
        QMimeData(),
        Qt.MouseButton.LeftButton,
        Qt.KeyboardModifier.NoModifier,
    )
    event.ignore()
    QApplication.sendEvent(canvas.viewport(), event)
    assert not event.isAccepted()


def test_the_pointer_brings_the_focus_unless_somebody_types(qtbot: QtBot) -> None:
    window = QWidget()
    layout = QVBoxLayout(window)
    field, view = QLineEdit(), CanvasView()
    layout.addWidget(field)
    layout.addWidget(view)
    qtbot.addWidget(window)
    window.show()
    qtbot.waitActive(window).__enter__()
    window.activateWindow()
    qtbot.waitUntil(window.isActiveWindow)
    field.setFocus()
    QApplication.sendEvent(view.viewport(), QEvent(QEvent.Type.Enter))
    assert field.hasFocus()
    field.clearFocus()
    QApplication.sendEvent(view.viewport(), QEvent(QEvent.Type.Enter))
    assert view.hasFocus()


# --- Memory


def test_nothing_is_kept_of_photos_no_longer_shown(canvas: CanvasView) -> None:
    photo, labels = flat_photo(700, 900), np.ones((700, 900), np.uint8)
    pinned, preview = np.ones((700, 900), bool), np.ones((350, 450), np.uint8)
    canvas.set_image(photo)
    canvas.set_labels(labels)
    canvas.set_pins(pinned)
    canvas.show_preview(preview)
    for scale in (0.2, 1, 3):
        canvas.set_scale(scale)
        screen(canvas)
    alive = [weakref.ref(array) for array in (photo, labels, pinned, preview)]
    del photo, labels, pinned, preview
    canvas.set_image(None)
    gc.collect()
    assert [array() for array in alive] == [None] * 4


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads the resident memory where Linux tells it")
def test_memory_stays_flat_over_many_photos(canvas: CanvasView) -> None:
    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def show(count: int) -> None:
        for _ in range(count):
            canvas.set_image(flat_photo(1000, 1500))
            canvas.set_labels(np.ones((1000, 1500), np.uint8))
            canvas.set_scale(1)
            canvas.set_tone(brightness=0.1)
            screen(canvas)

    show(20)
    before = resident()
    show(200)
    # One photo with its levels and labels holds 20 MB: had each left even a tenth of that, this would be 400.
    assert resident() - before < 40e6


@pytest.mark.slow
def test_everything_holds_on_a_screen_of_twice_the_resolution() -> None:
    if os.environ.get(RATIO_ENV):
        pytest.skip("this is the repetition")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(Path(__file__)), "-k", "not memory"],
        env={**os.environ, RATIO_ENV: "2"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout
