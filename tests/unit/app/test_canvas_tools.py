"""What the mouse, the wheel, the pen and the keys do, through real events on the viewport."""

from __future__ import annotations

import numpy as np
import pytest
from PySide6.QtCore import QEvent, QPoint, QPointF, Qt
from PySide6.QtGui import QImage, QKeyEvent, QPainter, QPainterPath
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from deeplab_studio.app.canvas import BrushTool, CanvasView, EraserTool, PanTool, PickerTool
from deeplab_studio.app.canvas.cursors import draw_contrasted
from deeplab_studio.core.classmap import ClassMap
from deeplab_studio.core.drawing import Stamp, dab, sweep
from tests.unit.app.canvas_kit import (
    PALETTE,
    PEN_TURNED,
    Target,
    as_array,
    colour_at,
    drag,
    flat_photo,
    hover,
    mouse,
    pen,
    screen,
    wheel,
)

SHIFT = Qt.KeyboardModifier.ShiftModifier
CTRL = Qt.KeyboardModifier.ControlModifier
ALT = Qt.KeyboardModifier.AltModifier
LEFT, MIDDLE, RIGHT = Qt.MouseButton.LeftButton, Qt.MouseButton.MiddleButton, Qt.MouseButton.RightButton
HEIGHT, WIDTH = 150, 200


@pytest.fixture
def canvas(qtbot: QtBot) -> CanvasView:
    view = CanvasView()
    qtbot.addWidget(view)
    view.resize(420, 320)
    view.show()
    qtbot.waitExposed(view)
    view.set_palette(PALETTE)
    view.set_image(flat_photo(HEIGHT, WIDTH))
    return view


@pytest.fixture
def target(canvas: CanvasView) -> Target:
    painted = Target(ClassMap.empty(HEIGHT, WIDTH))
    canvas.set_labels(painted.map.labels)
    canvas.set_opacity(1)
    return painted


@pytest.fixture
def brush(canvas: CanvasView, target: Target) -> BrushTool:
    tool = BrushTool(target)
    tool.set_size(15)
    canvas.set_tool(tool)
    return tool


def swept(points: list[tuple[float, float]], size: int, shape="round") -> np.ndarray:
    """The pixels a stroke through these points covers."""
    mask = np.zeros((HEIGHT, WIDTH), bool)
    for (x0, y0), (x1, y1) in zip(points, points[1:] or points, strict=False):
        patch = sweep(Stamp(x0, y0, size), Stamp(x1, y1, size), shape, (HEIGHT, WIDTH))
        mask[patch.top : patch.top + patch.mask.shape[0], patch.left : patch.left + patch.mask.shape[1]] |= patch.mask
    return mask


# --- Brush and eraser


def test_a_stroke_paints_what_the_brush_passed_over_as_one_step(canvas: CanvasView, target: Target, brush) -> None:
    points = [(30.5, 30.5), (120.5, 60.5), (125.5, 130.5)]
    drag(canvas, points)
    np.testing.assert_array_equal(target.map.labels == 1, swept(points, 15))
    np.testing.assert_array_equal(target.map.pinned, swept(points, 15))
    assert len(target.edits) == 1
    assert target.names == ["Brush stroke"]
    shown = screen(canvas)
    assert colour_at(canvas, 75.5, 45.5, shown) == (200, 40, 40)
    assert colour_at(canvas, 75.5, 90.5, shown) == (0, 0, 0)


def test_a_stroke_is_on_the_screen_while_the_button_is_down(canvas: CanvasView, target: Target, brush) -> None:
    drag(canvas, [(50.5, 50.5), (90.5, 50.5)], release=False)
    assert brush.busy
    assert target.edits == []
    assert colour_at(canvas, 70.5, 52.5) == (200, 40, 40)


def test_a_stroke_at_the_smaller_levels_shows_too(canvas: CanvasView, qtbot: QtBot) -> None:
    target = Target(ClassMap.empty(2000, 3000))
    canvas.set_image(flat_photo(2000, 3000))
    canvas.set_labels(target.map.labels)
    canvas.set_opacity(1)
    screen(canvas)
    tool = BrushTool(target)
    tool.set_size(200)
    canvas.set_tool(tool)
    drag(canvas, [(500, 500), (2500, 1500)])
    mouse(canvas, QEvent.Type.Leave, QPointF(-5, -5))
    shown = screen(canvas)
    for x, y in ((500, 500), (1500, 1000), (2500, 1500), (1550, 1000)):
        assert colour_at(canvas, x, y, shown) == (200, 40, 40)
    assert colour_at(canvas, 1500, 500, shown) == (0, 0, 0)


def test_a_click_is_a_dab(canvas: CanvasView, target: Target, brush: BrushTool) -> None:
    brush.set_shape("square")
    drag(canvas, [(50.5, 60.5)])
    assert (target.map.labels[53:68, 43:58] == 1).all()
    assert (target.map.labels == 1).sum() == 15 * 15


def test_the_second_of_two_quick_clicks_counts(canvas: CanvasView, target: Target, brush) -> None:
    at = canvas.to_viewport(100.5, 100.5)
    mouse(canvas, QEvent.Type.MouseButtonDblClick, at, LEFT, LEFT)
    mouse(canvas, QEvent.Type.MouseButtonRelease, at, LEFT)
    assert target.map.labels[100, 100] == 1
    assert len(target.edits) == 1


def test_a_stroke_may_run_out_of_the_image_and_back(canvas: CanvasView, target: Target, brush) -> None:
    points = [(5.5, 75.5), (-30.5, 75.5), (-30.5, 20.5), (30.5, 20.5)]
    drag(canvas, points)
    np.testing.assert_array_equal(target.map.labels == 1, swept(points, 15))


def test_shift_draws_straight_from_the_last_stroke(canvas: CanvasView, target: Target, brush) -> None:
    drag(canvas, [(20.5, 20.5), (30.5, 25.5)])
    drag(canvas, [(150.5, 100.5)], keys=SHIFT)
    np.testing.assert_array_equal(target.map.labels == 1, swept([(20.5, 20.5), (30.5, 25.5), (150.5, 100.5)], 15))
    assert len(target.edits) == 2


def test_shift_has_nothing_to_go_on_from_in_a_new_image(canvas: CanvasView, target: Target, brush) -> None:
    drag(canvas, [(20.5, 20.5)])
    canvas.set_image(flat_photo(HEIGHT, WIDTH))
    other = Target(ClassMap.empty(HEIGHT, WIDTH))
    canvas.set_labels(other.map.labels)
    target.map = other.map
    drag(canvas, [(150.5, 100.5)], keys=SHIFT)
    np.testing.assert_array_equal(other.map.labels == 1, swept([(150.5, 100.5)], 15))


def test_the_right_button_erases(canvas: CanvasView, target: Target, brush) -> None:
    drag(canvas, [(20.5, 50.5), (150.5, 50.5)])
    drag(canvas, [(80.5, 50.5)], button=RIGHT)
    assert target.map.labels[50, 80] == 0
    assert target.map.labels[50, 40] == 1
    assert target.names == ["Brush stroke", "Eraser stroke"]


def test_the_eraser_erases_with_either_button(canvas: CanvasView, target: Target) -> None:
    target.map.labels[:] = 2
    tool = EraserTool(target)
    tool.set_size(9)
    canvas.set_tool(tool)
    drag(canvas, [(50.5, 50.5)])
    drag(canvas, [(90.5, 50.5)], button=RIGHT)
    assert target.map.labels[50, 50] == target.map.labels[50, 90] == 0
    assert (target.map.labels == 0).sum() == 2 * dab(Stamp(50.5, 50.5, 9)).mask.sum()


def test_escape_takes_the_stroke_back(canvas: CanvasView, target: Target, brush) -> None:
    drag(canvas, [(50.5, 50.5), (90.5, 50.5)], release=False)
    QTest.keyClick(canvas, Qt.Key.Key_Escape)
    assert not target.map.labels.any()
    assert not brush.busy
    assert colour_at(canvas, 70.5, 50.5) == (0, 0, 0)
    mouse(canvas, QEvent.Type.MouseMove, canvas.to_viewport(95, 95), held=LEFT)
    mouse(canvas, QEvent.Type.MouseButtonRelease, canvas.to_viewport(95, 95), LEFT)
    assert not target.map.labels.any()
    assert target.edits == []


def test_another_button_does_not_end_or_double_a_stroke(canvas: CanvasView, target: Target, brush) -> None:
    drag(canvas, [(50.5, 50.5)], release=False)
    drag(canvas, [(60.5, 50.5)], button=RIGHT)
    assert brush.busy
    assert len(target.names) == 1


def test_another_tool_keeps_the_stroke_so_far(canvas: CanvasView, target: Target, brush) -> None:
    drag(canvas, [(50.5, 50.5), (90.5, 50.5)], release=False)
    canvas.set_tool(PanTool())
    assert len(target.edits) == 1
    assert target.map.labels[50, 70] == 1


def test_a_release_that_went_elsewhere_ends_the_stroke(canvas: CanvasView, target: Target, brush) -> None:
    drag(canvas, [(50.5, 50.5)], release=False)
    hover(canvas, canvas.to_viewport(120, 120))
    assert len(target.edits) == 1
    assert target.map.labels[120, 120] == 0


def test_nothing_is_painted_where_painting_is_refused(canvas: CanvasView, target: Target, brush) -> None:
    target.open = False
    drag(canvas, [(50.5, 50.5), (90.5, 50.5)])
    assert not target.map.labels.any()
    assert not brush.busy


def test_nothing_is_painted_without_an_image(canvas: CanvasView, target: Target, brush) -> None:
    canvas.set_image(None)
    drag(canvas, [(50.5, 50.5), (90.5, 50.5)])
    assert target.names == []


def test_pen_pressure_narrows_the_brush(canvas: CanvasView, target: Target, brush: BrushTool) -> None:
    brush.set_size(40)
    for kind, x, pressure in (
        (QEvent.Type.TabletPress, 50.5, 0.25),
        (QEvent.Type.TabletMove, 100.5, 0.5),
        (QEvent.Type.TabletRelease, 100.5, 0.0),
    ):
        assert pen(canvas, kind, x, 75.5, pressure)
    heights = (target.map.labels == 1).sum(axis=0)
    assert heights[50] in (10, 11)
    assert heights[100] in (20, 21)
    assert (np.diff(heights[52:98].astype(int)) >= 0).all()
    assert len(target.edits) == 1


def test_the_other_end_of_the_pen_erases(canvas: CanvasView, target: Target, brush) -> None:
    target.map.labels[:] = 1
    pen(canvas, QEvent.Type.TabletPress, 50.5, 50.5, 1.0, PEN_TURNED)
    pen(canvas, QEvent.Type.TabletRelease, 50.5, 50.5, 0.0, PEN_TURNED)
    assert target.map.labels[50, 50] == 0


# --- Size and cursor


def test_the_wheel_with_ctrl_or_alt_changes_the_size(canvas: CanvasView, brush: BrushTool, qtbot: QtBot) -> None:
    scale = canvas.scale()
    sizes: list[int] = []
    brush.optionChanged.connect(lambda _key, size: sizes.append(size))
    wheel(canvas, 1, QPointF(200, 150), CTRL)
    wheel(canvas, 1, QPointF(200, 150), ALT, sideways=True)  # as some systems turn it
    wheel(canvas, -2, QPointF(200, 150), CTRL)
    assert sizes == [16, 18, 15]
    assert canvas.scale() == scale


def test_sizes_grow_by_a_pixel_at_least_and_stay_in_range(brush: BrushTool) -> None:
    brush.set_size(1)
    for size in (2, 3, 4):
        brush.change_size(1)
        assert brush.size == size
    for _ in range(5):
        brush.change_size(-1)
    assert brush.size == 1
    for _ in range(200):
        brush.change_size(1)
    assert brush.size == 2000
    brush.set_size(999_999)
    assert brush.size == 2000


def test_parts_of_a_notch_add_up(brush: BrushTool) -> None:
    brush.set_size(10)
    for _ in range(10):
        brush.change_size(0.1)
    assert brush.size == 11


def test_the_cursor_has_the_size_of_the_brush(canvas: CanvasView, brush: BrushTool) -> None:
    canvas.set_scale(2)
    brush.set_size(60)
    hover(canvas, canvas.to_viewport(100, 75))
    with_cursor = screen(canvas)
    QApplication.sendEvent(canvas.viewport(), QEvent(QEvent.Type.Leave))
    rows, columns = np.nonzero((with_cursor != screen(canvas)).any(axis=2))
    assert np.ptp(rows) + 1 == pytest.approx(120, abs=5)
    assert np.ptp(columns) + 1 == pytest.approx(120, abs=5)
    middle = canvas.to_viewport(100, 75) * canvas.devicePixelRatioF()
    assert (rows.min() + rows.max()) / 2 == pytest.approx(middle.y(), abs=1.5)
    assert (columns.min() + columns.max()) / 2 == pytest.approx(middle.x(), abs=1.5)


def test_close_up_the_cursor_goes_around_the_pixels_it_would_paint(canvas: CanvasView, brush: BrushTool) -> None:
    brush.set_size(5)
    canvas.set_scale(20, canvas.to_viewport(100, 75))
    hover(canvas, canvas.to_viewport(100.4, 75.4))
    with_cursor = screen(canvas)
    QApplication.sendEvent(canvas.viewport(), QEvent(QEvent.Type.Leave))
    changed = (with_cursor != screen(canvas)).any(axis=2)
    mask = np.zeros((HEIGHT, WIDTH), bool)
    patch = dab(Stamp(100.4, 75.4, 5))
    mask[patch.top : patch.top + 5, patch.left : patch.left + 5] = patch.mask
    for y in range(72, 80):
        for x in range(97, 105):
            at = canvas.to_viewport(x + 0.5, y + 0.5) * canvas.devicePixelRatioF()
            lines_below = (np.diff(changed[int(at.y()) :, int(at.x())].astype(int)) == 1).sum()
            assert lines_below % 2 == mask[y, x]


def test_a_tiny_brush_is_shown_by_the_crosshair_alone(canvas: CanvasView, brush: BrushTool) -> None:
    brush.set_size(2)
    before = screen(canvas)
    hover(canvas, canvas.to_viewport(100, 75))
    np.testing.assert_array_equal(screen(canvas), before)
    assert not brush.cursor().pixmap().isNull()


@pytest.mark.parametrize("level", [0, 60, 128, 200, 255])
def test_the_cursor_shows_on_any_background(qapp, level: int) -> None:
    image = QImage(60, 60, QImage.Format.Format_RGB32)
    image.fill(level << 16 | level << 8 | level)
    painter = QPainter(image)
    path = QPainterPath()
    path.addEllipse(QPointF(30, 30), 20, 20)
    draw_contrasted(painter, path)
    painter.end()
    assert abs(as_array(image).astype(int) - level).max() > 100


def test_the_cursor_leaves_no_trace(canvas: CanvasView, target: Target, brush: BrushTool) -> None:
    before = screen(canvas)
    brush.set_size(80)
    for x in range(10, 190, 15):
        hover(canvas, canvas.to_viewport(x, 70))
        QApplication.processEvents()
        wheel(canvas, 0.1, canvas.to_viewport(x, 70), sideways=True)  # pans under the cursor
        QApplication.processEvents()
        wheel(canvas, -0.1, canvas.to_viewport(x, 70), sideways=True)
    QApplication.sendEvent(canvas.viewport(), QEvent(QEvent.Type.Leave))
    QApplication.processEvents()
    window = canvas.windowHandle()
    np.testing.assert_array_equal(as_array(window.screen().grabWindow(canvas.winId()).toImage()), before)


# --- Picker, pan, zoom


def test_the_picker_tells_the_pixel(canvas: CanvasView, target: Target) -> None:
    canvas.set_tool(PickerTool(target))
    drag(canvas, [(10.5, 20.5), (11.5, 20.5), (-9, 20)])
    assert target.picked == [(10, 20), (11, 20)]


@pytest.mark.parametrize("button", [LEFT, MIDDLE])
def test_the_picture_follows_the_hand(canvas: CanvasView, button) -> None:
    if button == MIDDLE:
        canvas.set_tool(BrushTool(Target(ClassMap.empty(HEIGHT, WIDTH))))
    start = canvas.to_image(QPointF(200, 150))
    drag(canvas, [(start.x(), start.y())], button=button, release=False)
    mouse(canvas, QEvent.Type.MouseMove, QPointF(243, 111), held=button)
    assert (canvas.to_viewport(start.x(), start.y()) - QPointF(243, 111)).manhattanLength() < 1.5
    assert canvas.viewport().cursor().shape() == Qt.CursorShape.ClosedHandCursor
    mouse(canvas, QEvent.Type.MouseButtonRelease, QPointF(243, 111), button)
    place = canvas.viewportTransform()
    hover(canvas, QPointF(300, 200))
    assert canvas.viewportTransform() == place


def test_space_pans_instead_of_painting(canvas: CanvasView, target: Target, brush) -> None:
    canvas.setFocus()
    QTest.keyPress(canvas, Qt.Key.Key_Space)
    assert canvas.viewport().cursor().shape() == Qt.CursorShape.OpenHandCursor
    start = canvas.to_image(QPointF(200, 150))
    mouse(canvas, QEvent.Type.MouseButtonPress, QPointF(200, 150), LEFT, LEFT)
    mouse(canvas, QEvent.Type.MouseMove, QPointF(230, 170), held=LEFT)
    mouse(canvas, QEvent.Type.MouseButtonRelease, QPointF(230, 170), LEFT)
    QTest.keyRelease(canvas, Qt.Key.Key_Space)
    assert (canvas.to_viewport(start.x(), start.y()) - QPointF(230, 170)).manhattanLength() < 1.5
    assert not target.map.labels.any()
    drag(canvas, [(50.5, 50.5)])
    assert target.map.labels[50, 50] == 1


def test_the_wheel_zooms_at_the_pointer(canvas: CanvasView) -> None:
    at = QPointF(133, 97)
    point = canvas.to_image(at)
    scales = [canvas.scale()]
    for _ in range(9):
        wheel(canvas, 1, at)
        scales.append(canvas.scale())
        assert (canvas.to_viewport(point.x(), point.y()) - at).manhattanLength() <= 1.01
    assert np.diff(scales).min() > 0
    for _ in range(9):
        wheel(canvas, -1, at)
        assert (canvas.to_viewport(point.x(), point.y()) - at).manhattanLength() <= 1.01


def test_small_turns_of_a_fine_wheel_add_up_to_a_notch(canvas: CanvasView) -> None:
    start = canvas.scale()
    for _ in range(15):
        wheel(canvas, 8 / 120, QPointF(200, 150))
    fine = canvas.scale()
    canvas.zoom_fit()
    wheel(canvas, 1, QPointF(200, 150))
    assert fine == pytest.approx(canvas.scale())
    assert fine > start


def test_two_fingers_move_the_picture(canvas: CanvasView) -> None:
    scale = canvas.scale()
    before = canvas.to_viewport(50, 50)
    wheel(canvas, 0.1, QPointF(200, 150), fingers=QPoint(7, -11))
    assert canvas.to_viewport(50, 50) - before == QPointF(7, -11)
    assert canvas.scale() == scale


def test_shift_and_the_wheel_move_the_picture_sideways(canvas: CanvasView) -> None:
    before = canvas.to_viewport(50, 50)
    wheel(canvas, -1, QPointF(200, 150), SHIFT)
    moved = canvas.to_viewport(50, 50) - before
    assert moved.x() < 0
    assert moved.y() == 0


@pytest.mark.parametrize("key", [Qt.Key.Key_Left, Qt.Key.Key_PageDown, Qt.Key.Key_B, Qt.Key.Key_Escape])
def test_keys_nobody_uses_go_on_to_the_window(canvas: CanvasView, brush, key) -> None:
    before = canvas.viewportTransform()
    event = QKeyEvent(QEvent.Type.KeyPress, key, Qt.KeyboardModifier.NoModifier)
    canvas.keyPressEvent(event)
    assert not event.isAccepted()
    assert canvas.viewportTransform() == before


def test_a_shortcut_does_not_take_escape_from_a_stroke(canvas: CanvasView, target: Target, brush) -> None:
    override = QKeyEvent(QEvent.Type.ShortcutOverride, Qt.Key.Key_Escape, Qt.KeyboardModifier.NoModifier)
    override.ignore()
    QApplication.sendEvent(canvas, override)
    assert not override.isAccepted()
    drag(canvas, [(50.5, 50.5)], release=False)
    QApplication.sendEvent(canvas, override)
    assert override.isAccepted()


def test_shift_shows_the_way_of_a_straight_stroke(canvas: CanvasView, target: Target, brush) -> None:
    drag(canvas, [(30.5, 30.5)])
    canvas.setFocus()
    hover(canvas, canvas.to_viewport(150.5, 100.5))
    plain = screen(canvas)
    QTest.keyPress(canvas, Qt.Key.Key_Shift)
    assert colour_at(canvas, 90.5, 65.5) != colour_at(canvas, 90.5, 65.5, plain)
    QTest.keyRelease(canvas, Qt.Key.Key_Shift)
    np.testing.assert_array_equal(screen(canvas), plain)
