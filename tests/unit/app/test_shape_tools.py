"""Rectangle, ellipse, lasso and polygon, through real events on the viewport."""

from __future__ import annotations

import numpy as np
import pytest
from PySide6.QtCore import QEvent, Qt
from PySide6.QtGui import QKeyEvent
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from deeplab_studio.app.canvas import CanvasView
from deeplab_studio.app.canvas.drafts import Draft
from deeplab_studio.app.canvas.polygon_tool import PolygonTool
from deeplab_studio.app.canvas.shape_tools import AreaTool, EllipseTool, LassoTool, RectangleTool
from deeplab_studio.core.classmap import ClassMap, PaintRules
from deeplab_studio.core.drawing import Patch
from deeplab_studio.core.drawing_shapes import Area, Box, Ellipse, Polygon, Region
from deeplab_studio.core.geometry import Rect
from tests.unit.app.canvas_kit import PALETTE, Target, checked_photo, drag, flat_photo, hover, mouse, screen

SHIFT = Qt.KeyboardModifier.ShiftModifier
CTRL = Qt.KeyboardModifier.ControlModifier
ALT = Qt.KeyboardModifier.AltModifier
LEFT, RIGHT, NONE = Qt.MouseButton.LeftButton, Qt.MouseButton.RightButton, Qt.MouseButton.NoButton
HEIGHT, WIDTH = 150, 200
IMAGE = Rect(0, 0, HEIGHT, WIDTH)


@pytest.fixture
def canvas(qtbot: QtBot) -> CanvasView:
    view = CanvasView()
    qtbot.addWidget(view)
    view.resize(420, 320)
    view.show()
    qtbot.waitExposed(view)
    view.set_palette(PALETTE)
    view.set_image(flat_photo(HEIGHT, WIDTH))
    view.set_scale(2.0)
    view.setFocus()
    return view


@pytest.fixture
def target(canvas: CanvasView) -> Target:
    painted = Target(ClassMap.empty(HEIGHT, WIDTH))
    canvas.set_labels(painted.map.labels)
    return painted


def use(canvas: CanvasView, tool: AreaTool) -> AreaTool:
    canvas.set_tool(tool)
    return tool


def laid(area: Area) -> np.ndarray:
    whole = np.zeros((HEIGHT, WIDTH), bool)
    top, left, mask = area.patch(IMAGE)
    whole[top : top + mask.shape[0], left : left + mask.shape[1]] = mask
    return whole


def click(canvas: CanvasView, x: float, y: float, button=LEFT, keys=Qt.KeyboardModifier.NoModifier) -> None:
    drag(canvas, [(x, y)], button, keys)


def double_click(canvas: CanvasView, x: float, y: float) -> None:
    place = canvas.to_viewport(x, y)
    click(canvas, x, y)
    mouse(canvas, QEvent.Type.MouseButtonDblClick, place, LEFT, LEFT)
    mouse(canvas, QEvent.Type.MouseButtonRelease, place, LEFT, NONE)


class TestRectangle:
    @pytest.fixture
    def tool(self, canvas: CanvasView, target: Target) -> RectangleTool:
        return use(canvas, RectangleTool(target))

    def test_it_covers_the_pixels_of_both_corners_and_is_one_step(self, canvas, target, tool) -> None:
        drag(canvas, [(20.5, 30.5), (60, 50), (80.5, 60.5)])
        assert np.array_equal(target.map.labels == 1, laid(Box(Rect(30, 20, 61, 81))))
        assert target.names == ["Rectangle"]
        assert len(target.edits) == 1
        assert target.map.pinned.sum() == 31 * 61

    def test_the_corners_may_be_set_in_any_order(self, canvas, target, tool) -> None:
        drag(canvas, [(80.5, 60.5), (20.5, 30.5)])
        assert np.array_equal(target.map.labels == 1, laid(Box(Rect(30, 20, 61, 81))))

    def test_with_shift_it_is_a_square(self, canvas, target, tool) -> None:
        drag(canvas, [(80.5, 60.5), (60.5, 100.5)], keys=SHIFT)
        assert np.array_equal(target.map.labels == 1, laid(Box(Rect(60, 40, 101, 81))))

    def test_with_alt_it_starts_at_the_middle(self, canvas, target, tool) -> None:
        drag(canvas, [(80.5, 60.5), (90.5, 65.5)], keys=ALT)
        assert np.array_equal(target.map.labels == 1, laid(Box(Rect(55, 70, 66, 91))))

    def test_keys_count_as_soon_as_they_go_down(self, canvas, target, tool) -> None:
        drag(canvas, [(80.5, 60.5), (90.5, 65.5)], release=False)
        QTest.keyPress(canvas, Qt.Key.Key_Shift)
        assert tool.area() == Box(Rect(60, 80, 71, 91))
        QTest.keyRelease(canvas, Qt.Key.Key_Shift)
        assert tool.area() == Box(Rect(60, 80, 66, 91))
        tool.cancel()

    def test_nothing_is_painted_before_the_button_goes_up(self, canvas, target, tool) -> None:
        drag(canvas, [(20, 30), (80, 60)], release=False)
        assert tool.busy
        assert not target.map.labels.any()
        assert not target.map.stroke_open

    def test_escape_takes_it_back(self, canvas, target, tool) -> None:
        before = screen(canvas)
        drag(canvas, [(20, 30), (80, 60)], release=False)
        assert not np.array_equal(screen(canvas), before)
        QTest.keyClick(canvas, Qt.Key.Key_Escape)
        assert not tool.busy
        assert np.array_equal(screen(canvas), before)
        mouse(canvas, QEvent.Type.MouseButtonRelease, canvas.to_viewport(90, 90), LEFT, NONE)
        assert not target.map.labels.any()
        assert target.names == []

    def test_the_right_button_erases(self, canvas, target, tool) -> None:
        target.map.labels[:] = 2
        drag(canvas, [(20.5, 30.5), (30.5, 40.5)], RIGHT)
        assert (target.map.labels == 0).sum() == 121
        assert target.names == ["Rectangle erased"]

    def test_it_may_reach_beyond_the_image(self, canvas, target, tool) -> None:
        canvas.set_scale(1.0)
        drag(canvas, [(-30, 140.5), (20.5, 400)])
        assert np.array_equal(target.map.labels == 1, laid(Box(Rect(140, 0, 150, 21))))

    def test_a_click_paints_nothing(self, canvas, target, tool) -> None:
        click(canvas, 50, 50)
        assert target.names == []

    def test_rules_hold(self, canvas, target, tool) -> None:
        target.map.labels[:, 50:] = 3
        target.rules = PaintRules(protect=frozenset({3}))
        drag(canvas, [(0.5, 0.5), (199.5, 149.5)])
        assert (target.map.labels[:, :50] == 1).all()
        assert (target.map.labels[:, 50:] == 3).all()

    def test_nothing_begins_where_nothing_can_be_painted(self, canvas, target, tool) -> None:
        target.open = False
        drag(canvas, [(20, 30), (80, 60)], release=False)
        assert not tool.busy

    def test_taking_up_another_tool_keeps_what_was_drawn(self, canvas, target, tool) -> None:
        drag(canvas, [(20.5, 30.5), (30.5, 40.5)], release=False)
        canvas.set_tool(LassoTool(target))
        assert (target.map.labels == 1).sum() == 121


def test_an_ellipse_fills_the_box(canvas: CanvasView, target: Target) -> None:
    use(canvas, EllipseTool(target))
    drag(canvas, [(20.5, 30.5), (80.5, 60.5)])
    assert np.array_equal(target.map.labels == 1, laid(Ellipse(Rect(30, 20, 61, 81))))
    assert target.names == ["Ellipse"]


class TestLasso:
    @pytest.fixture
    def tool(self, canvas: CanvasView, target: Target) -> LassoTool:
        return use(canvas, LassoTool(target))

    def test_what_is_drawn_around_is_filled(self, canvas, target, tool) -> None:
        line = [(20, 20), (100, 25), (110, 90), (60, 120), (15, 80)]
        drag(canvas, line)
        points = [(p.x(), p.y()) for p in (canvas.to_image(canvas.to_viewport(x, y)) for x, y in line)]
        assert np.array_equal(target.map.labels == 1, laid(Polygon(points)))
        assert target.names == ["Lasso"]

    def test_the_right_button_erases(self, canvas, target, tool) -> None:
        target.map.labels[:] = 2
        drag(canvas, [(20, 20), (60, 20), (60, 60), (20, 60)], RIGHT)
        assert (target.map.labels == 0).sum() == 1600

    def test_escape_takes_it_back(self, canvas, target, tool) -> None:
        drag(canvas, [(20, 20), (60, 20), (60, 60), (20, 60)], release=False)
        assert tool.busy
        QTest.keyClick(canvas, Qt.Key.Key_Escape)
        assert not tool.busy
        assert not target.map.labels.any()

    def test_points_nobody_can_tell_apart_are_one(self, canvas, target, tool) -> None:
        drag(canvas, [(20 + i / 100, 20) for i in range(100)], release=False)
        assert len(tool._points) <= 4
        tool.cancel()

    def test_it_may_leave_the_image(self, canvas, target, tool) -> None:
        canvas.set_scale(1.0)
        drag(canvas, [(-20, -20), (50, -20), (50, 40), (-20, 40)])
        assert np.array_equal(target.map.labels == 1, laid(Box(Rect(0, 0, 40, 50))))

    def test_a_click_or_a_line_paints_nothing(self, canvas, target, tool) -> None:
        click(canvas, 50, 50)
        drag(canvas, [(10, 10), (100, 100)])
        assert target.edits == []


class TestPolygon:
    CORNERS = ((20.0, 20.0), (120.0, 30.0), (100.0, 110.0))

    @pytest.fixture
    def tool(self, canvas: CanvasView, target: Target) -> PolygonTool:
        return use(canvas, PolygonTool(target))

    def draw(self, canvas: CanvasView, *corners: tuple[float, float]) -> None:
        for x, y in corners or self.CORNERS:
            click(canvas, x, y)

    def test_enter_fills_the_corners_clicked(self, canvas, target, tool) -> None:
        self.draw(canvas)
        assert not target.map.labels.any()
        QTest.keyClick(canvas, Qt.Key.Key_Return)
        assert np.array_equal(target.map.labels == 1, laid(Polygon(self.CORNERS)))
        assert target.names == ["Polygon"]
        assert not tool.busy

    def test_a_double_click_sets_the_last_corner_and_fills(self, canvas, target, tool) -> None:
        self.draw(canvas, *self.CORNERS[:2])
        double_click(canvas, *self.CORNERS[2])
        assert np.array_equal(target.map.labels == 1, laid(Polygon(self.CORNERS)))
        assert not tool.busy

    def test_a_click_on_the_first_corner_fills(self, canvas, target, tool) -> None:
        self.draw(canvas)
        click(canvas, 21, 21)
        assert np.array_equal(target.map.labels == 1, laid(Polygon(self.CORNERS)))

    def test_backspace_and_undo_and_the_other_button_take_the_last_corner_back(self, canvas, target, tool) -> None:
        self.draw(canvas, *self.CORNERS, (10, 60), (12, 50), (14, 40))
        QTest.keyClick(canvas, Qt.Key.Key_Backspace)
        QTest.keyClick(canvas, Qt.Key.Key_Z, CTRL)
        click(canvas, 150, 100, RIGHT)
        QTest.keyClick(canvas, Qt.Key.Key_Return)
        assert np.array_equal(target.map.labels == 1, laid(Polygon(self.CORNERS)))

    def test_taking_back_every_corner_ends_it(self, canvas, target, tool) -> None:
        self.draw(canvas)
        for _ in range(3):
            QTest.keyClick(canvas, Qt.Key.Key_Backspace)
        assert not tool.busy

    def test_a_corner_can_be_dragged(self, canvas, target, tool) -> None:
        self.draw(canvas, (20, 20), (120, 30), (150, 140))
        drag(canvas, [(150, 140), (120, 120), (100, 110)])
        QTest.keyClick(canvas, Qt.Key.Key_Enter)
        assert np.array_equal(target.map.labels == 1, laid(Polygon(self.CORNERS)))

    def test_the_first_corner_can_be_dragged_without_closing(self, canvas, target, tool) -> None:
        self.draw(canvas, (40, 60), *self.CORNERS[1:])
        drag(canvas, [(40, 60), (30, 30), (20, 20)])
        assert tool.busy
        QTest.keyClick(canvas, Qt.Key.Key_Return)
        assert np.array_equal(target.map.labels == 1, laid(Polygon(self.CORNERS)))

    def test_alt_takes_a_corner_out_and_ctrl_puts_one_into_a_side(self, canvas, target, tool) -> None:
        self.draw(canvas, (20, 20), (70, 100), (120, 30), (100, 110))
        click(canvas, 70, 100, keys=ALT)
        click(canvas, 110, 70, keys=CTRL)
        assert tool._points == [(20, 20), (120, 30), (110, 70), (100, 110)]
        tool.cancel()

    def test_shift_keeps_sides_to_45_degrees(self, canvas, target, tool) -> None:
        click(canvas, 20, 20)
        click(canvas, 100, 26, keys=SHIFT)
        click(canvas, 104, 80, keys=SHIFT)
        (_, first), (x, second), (last, _) = tool._points
        assert second == pytest.approx(first)
        assert last == pytest.approx(x)
        tool.cancel()

    def test_the_draft_follows_the_pointer(self, canvas, target, tool) -> None:
        self.draw(canvas, *self.CORNERS[:2])
        assert tool.area() is None
        hover(canvas, canvas.to_viewport(100, 110))
        assert np.array_equal(laid(tool.area()), laid(Polygon(self.CORNERS)))
        tool.cancel()

    def test_escape_drops_it(self, canvas, target, tool) -> None:
        before = screen(canvas)
        self.draw(canvas)
        QTest.keyClick(canvas, Qt.Key.Key_Escape)
        assert not tool.busy
        assert np.array_equal(screen(canvas), before)
        assert target.names == []

    def test_begun_with_the_right_button_it_erases(self, canvas, target, tool) -> None:
        target.map.labels[:] = 2
        for x, y in self.CORNERS:
            click(canvas, x, y, RIGHT)
        QTest.keyClick(canvas, Qt.Key.Key_Return)
        assert np.array_equal(target.map.labels == 0, laid(Polygon(self.CORNERS)))

    def test_zooming_and_panning_keep_the_corners(self, canvas, target, tool) -> None:
        self.draw(canvas, *self.CORNERS[:2])
        canvas.set_scale(1.0)
        canvas.pan_by(13, -7)
        click(canvas, *self.CORNERS[2])
        QTest.keyClick(canvas, Qt.Key.Key_Return)
        assert np.array_equal(target.map.labels == 1, laid(Polygon(self.CORNERS)))

    def test_another_image_gets_none_of_it(self, canvas, target, tool) -> None:
        self.draw(canvas, *self.CORNERS[:2])
        canvas.set_image(flat_photo(40, 50))
        assert not tool.busy
        assert target.edits == []

    def test_keys_are_left_to_the_window_while_there_is_no_polygon(self, canvas, target, tool) -> None:
        for key in (Qt.Key.Key_Backspace, Qt.Key.Key_Return):
            event = QKeyEvent(QEvent.Type.KeyPress, key, Qt.KeyboardModifier.NoModifier)
            assert not tool.wants(event)
            assert not tool.key(event, pressed=True)


AREAS = (
    Polygon([(10.2, 12.7), (150.9, 30.1), (90.4, 140.8), (60.0, 40.0)]),
    Box(Rect(-20, 31, 77, 160)),
    Ellipse(Rect(21, 33, 120, 190)),
    Region(Patch(10, 20, np.random.default_rng(4).random((90, 120)) < 0.5)),
)


@pytest.mark.parametrize("area", AREAS, ids=lambda area: type(area).__name__)
@pytest.mark.parametrize("scale", [0.37, 0.5, 1.0, 1.9, 9.0])
@pytest.mark.parametrize("outlines", [False, True], ids=["filled", "outlines"])
def test_a_draft_looks_as_it_will_when_it_is_painted(
    canvas: CanvasView, area: Area, scale: float, outlines: bool
) -> None:
    rng = np.random.default_rng(1)
    class_map = ClassMap(np.kron(rng.integers(0, 4, (15, 20)), np.ones((10, 10))).astype(np.uint8))
    canvas.set_image(checked_photo(HEIGHT, WIDTH))
    canvas.set_labels(class_map.labels)
    canvas.set_outlines(outlines)
    canvas.set_opacity(0.6)
    canvas.set_scale(scale)
    rules = PaintRules(protect=frozenset({2}))
    before = screen(canvas)
    canvas.show_draft(Draft(area, 255, rules))
    drafted = screen(canvas)
    canvas.show_draft(None)
    assert np.array_equal(screen(canvas), before)
    stroke = class_map.begin("a", rules)
    stroke.paint(*area.patch(IMAGE), 255)
    stroke.commit()
    canvas.refresh_labels()
    painted = screen(canvas)
    assert not np.array_equal(drafted, before)
    # A middle that lies on a slanted line may round differently on the coarser grid.
    assert (drafted != painted).any(axis=2).mean() < (1e-3 if isinstance(area, Polygon) and scale < 1 else 1e-9)
