"""Bucket and magic wand, through real events on the viewport and with a real thread."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from PySide6.QtCore import QEvent, QPointF, Qt
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from deeplab_studio.app.canvas import CanvasView
from deeplab_studio.app.canvas.fill_tools import CONTIGUOUS, GAP, SOURCE, TOLERANCE, FillTool, WandTool
from deeplab_studio.app.jobs import Lane
from deeplab_studio.core.classmap import ClassMap, PaintRules
from deeplab_studio.core.drawing import Patch
from deeplab_studio.core.drawing_regions import as_likely, same_class, similar
from tests.unit.app.canvas_kit import PALETTE, Target, drag, hover, mouse, screen

ALT = Qt.KeyboardModifier.AltModifier
LEFT, RIGHT, NONE = Qt.MouseButton.LeftButton, Qt.MouseButton.RightButton, Qt.MouseButton.NoButton
HEIGHT, WIDTH = 120, 160


def photo_with_steps() -> np.ndarray:
    """Gray steps of 10 levels, 16 pixels wide, from left to right; a gap in the third of the borders."""
    photo = np.repeat(np.repeat(np.arange(10, dtype=np.uint8) * 10, 16)[None], HEIGHT, axis=0)
    return np.repeat(photo[..., None], 3, axis=2).copy()


def two_islands() -> np.ndarray:
    labels = np.zeros((HEIGHT, WIDTH), np.uint8)
    labels[20:50, 20:60] = labels[70:100, 20:60] = 2
    labels[20:100, 100:140] = 3
    return labels


@pytest.fixture
def canvas(qtbot: QtBot) -> CanvasView:
    view = CanvasView()
    qtbot.addWidget(view)
    view.resize(420, 320)
    view.show()
    qtbot.waitExposed(view)
    view.set_palette(PALETTE)
    view.set_image(photo_with_steps())
    view.set_scale(2.0)
    view.setFocus()
    return view


@pytest.fixture
def target(canvas: CanvasView) -> Target:
    painted = Target(ClassMap(two_islands()), photo=photo_with_steps())
    canvas.set_labels(painted.map.labels)
    return painted


@pytest.fixture
def lane(qtbot: QtBot) -> Iterator[Lane]:
    lane = Lane("regions")
    yield lane
    lane.close()


def laid(patch: Patch) -> np.ndarray:
    whole = np.zeros((HEIGHT, WIDTH), bool)
    whole[patch.top : patch.top + patch.mask.shape[0], patch.left : patch.left + patch.mask.shape[1]] = patch.mask
    return whole


def click(canvas: CanvasView, x: float, y: float, button=LEFT, keys=Qt.KeyboardModifier.NoModifier) -> None:
    drag(canvas, [(x, y)], button, keys)


class TestFill:
    @pytest.fixture
    def tool(self, canvas: CanvasView, target: Target, lane: Lane) -> FillTool:
        tool = FillTool(target, lane)
        canvas.set_tool(tool)
        return tool

    def test_a_click_paints_the_region_and_no_other_of_its_class(self, canvas, target, tool) -> None:
        click(canvas, 30.5, 30.5)
        expected = two_islands()
        expected[20:50, 20:60] = 1
        assert np.array_equal(target.map.labels, expected)
        assert target.names == ["Fill"]
        assert len(target.edits) == 1

    def test_with_alt_it_paints_every_pixel_of_the_class(self, canvas, target, tool) -> None:
        click(canvas, 30.5, 30.5, keys=ALT)
        assert np.array_equal(target.map.labels == 1, two_islands() == 2)

    def test_so_it_does_when_regions_need_not_be_connected(self, canvas, target, tool) -> None:
        tool.set_option(CONTIGUOUS.key, False)
        click(canvas, 30.5, 30.5)
        assert np.array_equal(target.map.labels == 1, two_islands() == 2)

    def test_the_right_button_erases(self, canvas, target, tool) -> None:
        click(canvas, 30.5, 30.5, RIGHT)
        assert (target.map.labels == 2).sum() == 30 * 40
        assert target.names == ["Region erased"]

    def test_outside_the_image_nothing_happens(self, canvas, target, tool) -> None:
        canvas.set_scale(1.0)
        click(canvas, -20, 30)
        assert target.names == []

    def test_protected_classes_stay(self, canvas, target, tool) -> None:
        target.rules = PaintRules(protect=frozenset({2}))
        click(canvas, 30.5, 30.5)
        assert np.array_equal(target.map.labels, two_islands())

    def test_the_rim_of_the_region_shows_while_the_pointer_is_on_it(self, canvas, target, tool, lane, qtbot) -> None:
        before = screen(canvas)
        hover(canvas, canvas.to_viewport(30.5, 30.5))
        qtbot.waitUntil(lambda: tool.area() is not None)
        shown = (screen(canvas) != before).any(axis=2)
        inside = canvas.to_viewport(40.5, 35.5)
        rim = canvas.to_viewport(20.2, 35.5)
        assert not shown[int(inside.y()), int(inside.x())]
        assert shown[int(rim.y()), int(rim.x())]
        assert np.array_equal(laid(tool.area().patch_), laid(same_class(target.map.labels, 30, 30)))
        hover(canvas, canvas.to_viewport(-15, -15))
        assert tool.area() is None
        assert np.array_equal(screen(canvas), before)

    def test_the_rim_follows_what_becomes_of_the_region(self, canvas, target, tool, qtbot) -> None:
        hover(canvas, canvas.to_viewport(30.5, 30.5))
        qtbot.waitUntil(lambda: tool.area() is not None)
        target.map.labels[20:100, 20:60] = 2
        canvas.refresh_labels()
        assert tool.area() is None
        qtbot.waitUntil(lambda: tool.area() is not None)
        assert tool.area().patch_.mask.sum() == 80 * 40

    def test_a_second_click_fills_what_is_there_now(self, canvas, target, tool) -> None:
        click(canvas, 30.5, 30.5)
        target.active_class = 3
        click(canvas, 80.5, 110.5)
        assert (target.map.labels == 3).sum() == HEIGHT * WIDTH - 2 * 30 * 40
        assert (target.map.labels == 1).sum() == 30 * 40


class TestWand:
    @pytest.fixture
    def tool(self, canvas: CanvasView, target: Target, lane: Lane) -> WandTool:
        tool = WandTool(target, lane)
        canvas.set_tool(tool)
        tool.set_option(TOLERANCE.key, 5.0)
        return tool

    def settle(self, qtbot: QtBot, tool: WandTool) -> None:
        qtbot.waitUntil(lambda: not tool.busy)

    def test_a_click_takes_the_tolerance_that_is_set(self, canvas, target, tool, qtbot) -> None:
        click(canvas, 72.5, 60.5)
        self.settle(qtbot, tool)
        assert np.array_equal(target.map.labels == 1, laid(similar(target.photo, 60, 72, 0.05)))
        assert target.names == ["Magic wand"]
        columns = np.flatnonzero((target.map.labels == 1)[0])
        assert (columns[0], columns[-1]) == (48, 95)  # 13 levels: one step to either side

    def test_dragging_away_widens_the_tolerance_and_shows_it(self, canvas, target, tool, qtbot) -> None:
        told = []
        tool.optionChanged.connect(lambda key, value: told.append((key, value)))
        start = canvas.to_viewport(72.5, 60.5)
        mouse(canvas, QEvent.Type.MouseButtonPress, start, LEFT, LEFT)
        widths = []
        for away in range(10, 90, 10):
            mouse(canvas, QEvent.Type.MouseMove, start + QPointF(away, 0), NONE, LEFT)
            qtbot.waitUntil(lambda: tool._answer is not None and tool._answer[0] == tool._question())
            widths.append(tool.area().box.width)
        assert widths == sorted(widths)
        assert widths[-1] > widths[0]
        assert told[-1] == (TOLERANCE.key, pytest.approx((80 - 4) * 0.2))
        assert np.array_equal(target.map.labels, two_islands())
        mouse(canvas, QEvent.Type.MouseButtonRelease, start + QPointF(80, 0), LEFT, NONE)
        self.settle(qtbot, tool)
        assert np.array_equal(target.map.labels == 1, laid(similar(target.photo, 60, 72, 0.152)))
        assert len(target.edits) == 1

    def test_escape_takes_it_back(self, canvas, target, tool, qtbot) -> None:
        before = screen(canvas)
        drag(canvas, [(72.5, 60.5), (90, 60)], release=False)
        qtbot.waitUntil(lambda: tool.area() is not None)
        assert not np.array_equal(screen(canvas), before)
        QTest.keyClick(canvas, Qt.Key.Key_Escape)
        assert not tool.busy
        assert np.array_equal(screen(canvas), before)
        assert target.names == []

    def test_what_is_shown_is_what_is_painted_under_the_rules(self, canvas, target, tool, qtbot) -> None:
        target.rules = PaintRules(only_over=frozenset({0}))
        click(canvas, 30.5, 30.5)
        self.settle(qtbot, tool)
        assert not ((target.map.labels == 1) & (two_islands() != 0)).any()
        assert (target.map.labels == 1).any()

    def test_the_right_button_erases(self, canvas, target, tool, qtbot) -> None:
        click(canvas, 30.5, 30.5, RIGHT)
        self.settle(qtbot, tool)
        assert target.names == ["Magic wand erased"]
        assert (target.map.labels == 2).sum() < 2400

    def test_regions_need_not_be_connected(self, canvas, target, tool, qtbot) -> None:
        target.photo[:, 80:] = target.photo[:, :80]
        tool.set_option(CONTIGUOUS.key, False)
        click(canvas, 8.5, 60.5)
        self.settle(qtbot, tool)
        assert np.array_equal((target.map.labels == 1)[:, :80], (target.map.labels == 1)[:, 80:])

    def test_gaps_are_closed(self, canvas, target, tool, qtbot) -> None:
        target.photo[:] = 50
        target.photo[:, 78:82] = 200
        target.photo[60:62, 78:82] = 50
        tool.set_option(GAP.key, 3)
        click(canvas, 20.5, 60.5)
        self.settle(qtbot, tool)
        assert not (target.map.labels == 1)[:, 82:].any()

    def test_on_the_scores_it_takes_what_is_as_likely(self, canvas, target, tool, qtbot) -> None:
        target.likelihood = np.tile(np.linspace(0, 1, 40, dtype=np.float32), (30, 1))
        tool.set_option(SOURCE.key, "scores")
        tool.set_option(TOLERANCE.key, 20.0)
        click(canvas, 100.5, 60.5)
        self.settle(qtbot, tool)
        expected = laid(as_likely(target.likelihood, (HEIGHT, WIDTH), 60, 100, 0.2))
        assert np.array_equal(target.map.labels == 1, expected)
        assert expected[:, 120:].all()

    def test_without_scores_it_takes_the_photo(self, canvas, target, tool, qtbot) -> None:
        tool.set_option(SOURCE.key, "scores")
        click(canvas, 72.5, 60.5)
        self.settle(qtbot, tool)
        assert np.array_equal(target.map.labels == 1, laid(similar(target.photo, 60, 72, 0.05)))

    def test_a_gesture_that_cannot_wait_is_painted_at_once(self, canvas, target, tool) -> None:
        drag(canvas, [(72.5, 60.5)], release=False)
        canvas.finish_gesture()
        assert not tool.busy
        assert (target.map.labels == 1).any()

    def test_another_image_gets_none_of_it(self, canvas, target, tool, lane, qtbot) -> None:
        drag(canvas, [(72.5, 60.5)], release=False)
        tool.cancel()
        canvas.set_image(photo_with_steps())
        qtbot.waitUntil(lambda: not lane.busy)
        assert target.names == []
