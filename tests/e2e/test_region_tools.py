"""Superpixels, growing, the CRF brush and copied regions in the real window, with real events."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from PySide6.QtCore import QEvent, Qt
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from deeplab_studio.app.canvas.picture_drafts import PictureDraft
from deeplab_studio.app.window import MainWindow
from deeplab_studio.core.classmap import PaintRules
from tests.e2e.crf_kit import CAT, DOG, make_scores, truth, write_photo
from tests.e2e.kit import wait_for_photo
from tests.unit.app.canvas_kit import drag, hover, mouse

SHIFT, CONTROL, NONE = (
    Qt.KeyboardModifier.ShiftModifier,
    Qt.KeyboardModifier.ControlModifier,
    Qt.KeyboardModifier.NoModifier,
)
RIGHT = Qt.MouseButton.RightButton
CIRCLE, SQUARE = 1, 2
"""What `truth` calls the two shapes."""


@pytest.fixture
def shapes(tmp_path: Path) -> list[Path]:
    """Two photos of the same two shapes and one of another size."""
    folder = tmp_path / "photos"
    folder.mkdir()
    return [
        write_photo(folder / "a.png"),
        write_photo(folder / "b.png"),
        write_photo(folder / "c.png", height=150, width=200),
    ]


@pytest.fixture
def opened(window: MainWindow, shapes: list[Path], qtbot: QtBot) -> MainWindow:
    window.open_paths([shapes[0].parent])
    wait_for_photo(qtbot, window, shapes[0])
    window.empty_state.paintRequested.emit()
    return window


def idle(qtbot: QtBot, window: MainWindow) -> None:
    """Wait until the region tools have nothing left to do."""
    for _ in range(2):
        qtbot.waitUntil(lambda: not window.region_tools.lane.busy, timeout=30_000)
        QApplication.processEvents()


def press(window: MainWindow, key: Qt.Key, keys: Qt.KeyboardModifier = NONE) -> None:
    """A key on the canvas, as Qt sends it: first it asks whether a shortcut may have it."""
    override = QKeyEvent(QEvent.Type.ShortcutOverride, key, keys)
    override.ignore()
    QApplication.sendEvent(window.canvas, override)
    assert override.isAccepted()
    for kind in (QEvent.Type.KeyPress, QEvent.Type.KeyRelease):
        QApplication.sendEvent(window.canvas, QKeyEvent(kind, key, keys))


def steps(window: MainWindow) -> list[str]:
    return list(window.session.current.history.names)


def draft(window: MainWindow) -> PictureDraft | None:
    return window.canvas._layers._draft


def middle(shape: int) -> tuple[float, float]:
    """x and y of a shape's middle in the larger photos."""
    y, x = np.argwhere(truth(240, 320) == shape).mean(axis=0)
    return float(x), float(y)


def scribble(shape: int, reach: float = 30) -> list[tuple[float, float]]:
    x, y = middle(shape)
    return [(x - reach, y), (x, y), (x + reach, y)]


def overlap(labels: np.ndarray, class_id: int, shape: int) -> float:
    here, there = labels == class_id, truth(240, 320) == shape
    return float((here & there).sum() / max(1, (here | there).sum()))


# --- Superpixels ----------------------------------------------------------------------------------------------------


def test_superpixels_are_painted_whole_and_undone_in_one_step(opened: MainWindow, qtbot: QtBot) -> None:
    qtbot.keyClick(opened, Qt.Key.Key_S)
    tool = opened.region_tools.superpixels
    assert opened.canvas.tool is tool
    qtbot.waitUntil(lambda: tool.found is not None, timeout=30_000)
    opened.session.painting.set_active_class(DOG)
    labels = opened.session.current.class_map.labels
    drag(opened.canvas, scribble(CIRCLE))
    painted = labels == DOG
    assert painted[tuple(int(v) for v in reversed(middle(CIRCLE)))]
    pieces = found_pieces(tool.found.colours)
    for number in np.unique(pieces[painted]):
        assert painted[pieces == number].all()
    assert steps(opened) == ["Superpixels"]
    assert (opened.session.current.class_map.pinned == painted).all()
    drag(opened.canvas, scribble(CIRCLE)[:2], button=RIGHT)
    assert steps(opened)[-1] == "Superpixels erased"
    qtbot.keyClick(opened, Qt.Key.Key_Z, CONTROL)
    np.testing.assert_array_equal(labels == DOG, painted)
    qtbot.keyClick(opened, Qt.Key.Key_Z, CONTROL)
    assert not labels.any()


def found_pieces(colours: np.ndarray) -> np.ndarray:
    pieces, count = np.zeros(colours.shape, int), 0
    for colour in np.unique(colours):
        many, here = cv2.connectedComponents((colours == colour).astype(np.uint8), connectivity=4)
        pieces[here > 0] = here[here > 0] + count
        count += many
    return pieces


def test_escape_takes_superpixels_back_and_rules_hold(opened: MainWindow, qtbot: QtBot) -> None:
    opened.toolbox.use("tool_superpixels")
    tool = opened.region_tools.superpixels
    qtbot.waitUntil(lambda: tool.found is not None, timeout=30_000)
    opened.session.painting.set_active_class(DOG)
    labels = opened.session.current.class_map.labels
    drag(opened.canvas, scribble(SQUARE), release=False)
    assert (labels == DOG).any()
    press(opened, Qt.Key.Key_Escape)
    assert not labels.any()
    assert steps(opened) == []
    mouse(opened.canvas, QEvent.Type.MouseButtonRelease, opened.canvas.to_viewport(*middle(SQUARE)))
    opened.session.painting.set_rules(PaintRules(only_over=frozenset({3})))
    drag(opened.canvas, scribble(SQUARE))
    assert not labels.any()


def test_superpixels_follow_the_image_and_the_size(opened: MainWindow, shapes: list[Path], qtbot: QtBot) -> None:
    opened.toolbox.use("tool_superpixels")
    tool = opened.region_tools.superpixels
    qtbot.waitUntil(lambda: tool.found is not None, timeout=30_000)
    first = tool.found
    hover(opened.canvas, opened.canvas.to_viewport(100, 100))
    assert draft(opened).outlined
    qtbot.keyClick(opened, Qt.Key.Key_D)
    wait_for_photo(qtbot, opened, shapes[1])
    qtbot.waitUntil(lambda: tool.found is not None and tool.found is not first, timeout=30_000)
    qtbot.keyClick(opened, Qt.Key.Key_A)
    wait_for_photo(qtbot, opened, shapes[0])
    qtbot.waitUntil(lambda: tool.found is first, timeout=30_000)  # not looked for again
    opened.settings.set("tools/superpixel_size", 8.0)
    qtbot.waitUntil(lambda: tool.found is not None and tool.found.size > 2 * first.size, timeout=30_000)
    opened.toolbox.use("tool_brush")
    assert draft(opened) is None
    assert opened.canvas._layers._cells is None


# --- Growing from strokes -------------------------------------------------------------------------------------------


def grow_two(opened: MainWindow, qtbot: QtBot) -> None:
    qtbot.keyClick(opened, Qt.Key.Key_T)
    assert opened.canvas.tool is opened.region_tools.grow
    for class_id, shape in ((CAT, CIRCLE), (DOG, SQUARE)):
        opened.session.painting.set_active_class(class_id)
        drag(opened.canvas, scribble(shape))
        idle(qtbot, opened)


def test_strokes_of_several_classes_grow_and_are_one_step(opened: MainWindow, qtbot: QtBot) -> None:
    grow_two(opened, qtbot)
    document = opened.session.current
    assert not document.class_map.labels.any()  # a draft so far
    assert isinstance(draft(opened), PictureDraft)
    press(opened, Qt.Key.Key_Return)
    labels = document.class_map.labels
    assert overlap(labels, CAT, CIRCLE) > 0.9
    assert overlap(labels, DOG, SQUARE) > 0.9
    assert steps(opened) == ["Grown from strokes"]
    assert draft(opened) is None
    assert not opened.region_tools.grow.busy
    qtbot.keyClick(opened, Qt.Key.Key_Z, CONTROL)
    assert not labels.any()
    assert not document.class_map.pinned.any()


def test_the_last_stroke_and_all_of_them_can_be_taken_back(opened: MainWindow, qtbot: QtBot) -> None:
    grow_two(opened, qtbot)
    press(opened, Qt.Key.Key_Backspace)
    idle(qtbot, opened)
    assert opened.region_tools.grow._marks.classes == {CAT}
    drag(opened.canvas, scribble(SQUARE), release=False)
    press(opened, Qt.Key.Key_Escape)  # the stroke under way
    assert opened.region_tools.grow._marks.classes == {CAT}
    press(opened, Qt.Key.Key_Z, CONTROL)
    assert not opened.region_tools.grow.busy
    grow_two(opened, qtbot)
    press(opened, Qt.Key.Key_Escape)
    assert not opened.region_tools.grow.busy
    assert draft(opened) is None
    assert not opened.session.current.class_map.labels.any()
    assert steps(opened) == []


def test_enter_at_once_waits_for_what_grows(opened: MainWindow, qtbot: QtBot) -> None:
    opened.toolbox.use("tool_grow")
    opened.settings.set("tools/scribble_reach", 120)
    opened.session.painting.set_active_class(CAT)
    drag(opened.canvas, scribble(CIRCLE))
    press(opened, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: steps(opened) == ["Grown from strokes"], timeout=30_000)
    assert overlap(opened.session.current.class_map.labels, CAT, CIRCLE) > 0.9


def test_what_is_marked_to_stay_pinned_or_protected_stays(opened: MainWindow, qtbot: QtBot) -> None:
    class_map = opened.session.current.class_map
    x, y = (round(v) for v in middle(CIRCLE))
    class_map.labels[y + 20 : y + 30, x - 20 : x + 20] = 5
    class_map.pinned[y - 30 : y - 20, x - 20 : x + 20] = True
    opened.session.painting.set_rules(PaintRules(protect=frozenset({5})))
    opened.toolbox.use("tool_grow")
    opened.session.painting.set_active_class(CAT)
    drag(opened.canvas, scribble(CIRCLE))
    drag(opened.canvas, [(x, y + 45), (x + 5, y + 45)], button=RIGHT)
    idle(qtbot, opened)
    press(opened, Qt.Key.Key_Enter)
    assert (class_map.labels[y + 20 : y + 30, x - 20 : x + 20] == 5).all()
    assert (class_map.labels[y - 30 : y - 20, x - 20 : x + 20] == 0).all()
    assert class_map.labels[y + 45, x] == 0
    assert (class_map.labels[y, x - 25 : x + 25] == CAT).all()


def test_going_on_keeps_what_has_grown_on_the_image_it_belongs_to(
    opened: MainWindow, shapes: list[Path], qtbot: QtBot
) -> None:
    grow_two(opened, qtbot)
    first = opened.session.current
    opened.session.select(opened.session.items[1].id)
    wait_for_photo(qtbot, opened, shapes[1])
    assert overlap(first.class_map.labels, CAT, CIRCLE) > 0.9
    assert not opened.session.current.class_map.labels.any()
    assert draft(opened) is None


# --- CRF brush ------------------------------------------------------------------------------------------------------


def with_scores(window: MainWindow) -> None:
    document = window.session.current
    document.scores = make_scores(*document.class_map.shape)


@pytest.mark.parametrize("scored", [True, False])
def test_a_scribble_takes_its_shape_and_pins_only_itself(opened: MainWindow, qtbot: QtBot, scored: bool) -> None:
    if scored:
        with_scores(opened)
    qtbot.keyClick(opened, Qt.Key.Key_C, SHIFT)
    tool = opened.region_tools.crf_brush
    assert opened.canvas.tool is tool
    opened.settings.set("tools/scribble_reach", 100)
    opened.session.painting.set_active_class(CAT)
    class_map = opened.session.current.class_map
    drag(opened.canvas, scribble(CIRCLE), release=False)
    qtbot.waitUntil(lambda: tool._region is not None, timeout=30_000)  # while the button is down
    assert isinstance(draft(opened), PictureDraft)
    assert not class_map.labels.any()
    mouse(
        opened.canvas,
        QEvent.Type.MouseButtonRelease,
        opened.canvas.to_viewport(*scribble(CIRCLE)[-1]),
        Qt.MouseButton.LeftButton,
    )
    qtbot.waitUntil(lambda: steps(opened) == ["CRF brush"], timeout=30_000)
    assert overlap(class_map.labels, CAT, CIRCLE) > 0.85
    x, y = (round(v) for v in middle(CIRCLE))
    assert class_map.pinned[y, x]
    assert class_map.pinned.sum() < 0.3 * (class_map.labels == CAT).sum()
    assert not (class_map.pinned & (class_map.labels != CAT)).any()
    assert draft(opened) is None
    qtbot.keyClick(opened, Qt.Key.Key_Z, CONTROL)
    assert not class_map.labels.any()
    assert not class_map.pinned.any()


def test_the_next_scribble_does_not_wait_for_the_last_one(opened: MainWindow, qtbot: QtBot) -> None:
    opened.toolbox.use("tool_crf_brush")
    class_map = opened.session.current.class_map
    for class_id, shape in ((CAT, CIRCLE), (DOG, SQUARE)):
        opened.session.painting.set_active_class(class_id)
        drag(opened.canvas, scribble(shape))
    qtbot.waitUntil(lambda: len(steps(opened)) == 2, timeout=30_000)
    assert steps(opened) == ["CRF brush", "CRF brush"]
    for class_id, shape in ((CAT, CIRCLE), (DOG, SQUARE)):
        x, y = (round(v) for v in middle(shape))
        assert class_map.labels[y, x] == class_id
        assert class_map.pinned[y, x]


def test_escape_takes_a_scribble_back_that_is_still_being_decided(opened: MainWindow, qtbot: QtBot) -> None:
    opened.toolbox.use("tool_crf_brush")
    opened.session.painting.set_active_class(CAT)
    drag(opened.canvas, scribble(CIRCLE))
    assert opened.region_tools.crf_brush.busy
    press(opened, Qt.Key.Key_Escape)
    idle(qtbot, opened)
    assert steps(opened) == []
    assert not opened.session.current.class_map.labels.any()
    assert draft(opened) is None


def test_the_right_button_scribbles_class_0(opened: MainWindow, qtbot: QtBot) -> None:
    class_map = opened.session.current.class_map
    circle = (truth(240, 320) == CIRCLE).astype(np.uint8)
    too_large = cv2.dilate(circle, np.ones((31, 31), np.uint8)).astype(bool)
    class_map.labels[too_large] = CAT
    opened.toolbox.use("tool_crf_brush")
    x, y = middle(CIRCLE)
    above = y - 72 - 8  # the circle's radius, and half the way through what is too much
    drag(opened.canvas, [(x - 30, above + 6), (x, above), (x + 30, above + 6)], button=RIGHT)
    qtbot.waitUntil(lambda: steps(opened) == ["CRF brush"], timeout=30_000)
    spilled = too_large & (circle == 0)
    spilled[round(y - 60) :] = False
    assert (class_map.labels[spilled] == 0).mean() > 0.6
    assert (class_map.labels[circle > 0] == CAT).mean() > 0.98


# --- Regions from image to image ------------------------------------------------------------------------------------


def paint_circle(window: MainWindow) -> np.ndarray:
    """Put the circle into the class map as a person would have; its mask."""
    here = truth(240, 320) == CIRCLE
    painting = window.session.painting
    painting.set_active_class(CAT)
    assert painting.begin("Brush stroke")
    window.canvas.refresh_labels(painting.paint(0, 0, here))
    painting.commit()
    return here


def test_a_region_is_copied_to_the_next_image_and_moved(opened: MainWindow, shapes: list[Path], qtbot: QtBot) -> None:
    here = paint_circle(opened)
    qtbot.keyClick(opened, Qt.Key.Key_S, SHIFT)
    drag(opened.canvas, [middle(CIRCLE)])
    qtbot.waitUntil(lambda: opened.region_tools.region.selected, timeout=10_000)
    assert not opened.actions_["paste_region"].isEnabled()
    qtbot.keyClick(opened, Qt.Key.Key_C, CONTROL)
    assert "pixels copied" in opened.status_area.notices.history[-1].text
    qtbot.keyClick(opened, Qt.Key.Key_D)
    wait_for_photo(qtbot, opened, shapes[1])
    qtbot.keyClick(opened, Qt.Key.Key_V, CONTROL | SHIFT)
    labels = opened.session.current.class_map.labels
    assert not labels.any()
    x, y = middle(CIRCLE)
    drag(opened.canvas, [(x, y), (x + 20, y - 4)])
    press(opened, Qt.Key.Key_Down)
    press(opened, Qt.Key.Key_Right, SHIFT)
    press(opened, Qt.Key.Key_Return)
    np.testing.assert_array_equal(labels == CAT, np.roll(here, (-3, 30), axis=(0, 1)))
    assert steps(opened) == ["Paste region"]
    assert opened.session.current.class_map.pinned[labels == CAT].all()
    qtbot.keyClick(opened, Qt.Key.Key_V, CONTROL | SHIFT)
    press(opened, Qt.Key.Key_Escape)
    assert steps(opened) == ["Paste region"]


def test_a_rectangle_of_several_classes_goes_to_a_photo_of_another_size(
    opened: MainWindow, shapes: list[Path], qtbot: QtBot
) -> None:
    paint_circle(opened)
    opened.session.current.class_map.labels[100:110, 90:100] = 255
    opened.toolbox.use("tool_region")
    drag(opened.canvas, [(60.5, 80.5), (90, 90), (119.5, 129.5)])
    copied = opened.region_tools.region.copy()
    assert (copied.top, copied.left, copied.mask.shape) == (80, 60, (50, 60))
    opened.region_tools.copy_region()
    opened.session.select(opened.session.items[2].id)
    wait_for_photo(qtbot, opened, shapes[2])
    opened.region_tools.paste_region()
    assert "another size" in opened.status_area.notices.history[-1].text
    press(opened, Qt.Key.Key_Return)
    np.testing.assert_array_equal(opened.session.current.class_map.labels[80:130, 60:120], copied.labels)


def test_copying_without_a_selection_says_what_to_do(opened: MainWindow, qtbot: QtBot) -> None:
    qtbot.keyClick(opened, Qt.Key.Key_C, CONTROL)
    assert opened.canvas.tool is opened.region_tools.region
    assert "click a region" in opened.status_area.notices.history[-1].text
    drag(opened.canvas, [middle(CIRCLE)])
    qtbot.waitUntil(lambda: opened.region_tools.region.selected, timeout=10_000)
    press(opened, Qt.Key.Key_Escape)
    assert not opened.region_tools.region.selected


def test_the_class_map_of_the_previous_image_is_taken_over(
    opened: MainWindow, shapes: list[Path], qtbot: QtBot
) -> None:
    def notice() -> str:
        return opened.status_area.notices.history[-1].text

    opened.region_tools.copy_previous()
    assert "none before" in notice()
    qtbot.keyClick(opened, Qt.Key.Key_D)
    wait_for_photo(qtbot, opened, shapes[1])
    opened.region_tools.copy_previous()
    qtbot.waitUntil(lambda: "no class map yet" in notice())
    qtbot.keyClick(opened, Qt.Key.Key_A)
    wait_for_photo(qtbot, opened, shapes[0])
    here = paint_circle(opened)
    qtbot.keyClick(opened, Qt.Key.Key_D)
    wait_for_photo(qtbot, opened, shapes[1])
    class_map = opened.session.current.class_map
    x, y = (round(v) for v in middle(CIRCLE))
    class_map.pinned[y, x] = True
    qtbot.keyClick(opened, Qt.Key.Key_C, CONTROL | SHIFT)
    expected = here.copy()
    expected[y, x] = False
    qtbot.waitUntil(lambda: class_map.labels.any())
    np.testing.assert_array_equal(class_map.labels == CAT, expected)
    assert steps(opened) == ["Class map of a.png"]
    assert class_map.pinned.sum() == 1
    qtbot.keyClick(opened, Qt.Key.Key_D)
    wait_for_photo(qtbot, opened, shapes[2])
    opened.region_tools.copy_previous()
    qtbot.waitUntil(lambda: "b.png" in notice() and "320 x 240" in notice())
    assert not opened.session.current.class_map.labels.any()


# --- What can go wrong ----------------------------------------------------------------------------------------------


def test_a_scribble_without_memory_for_the_crf_is_still_painted(
    opened: MainWindow, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_memory(*_what: object, **_more: object) -> None:
        raise MemoryError

    monkeypatch.setattr("deeplab_studio.engine.region_refine.redecide", no_memory)
    opened.toolbox.use("tool_crf_brush")
    opened.session.painting.set_active_class(CAT)
    drag(opened.canvas, scribble(CIRCLE))
    qtbot.waitUntil(lambda: steps(opened) == ["CRF brush"], timeout=30_000)
    x, y = (round(v) for v in middle(CIRCLE))
    assert opened.session.current.class_map.labels[y, x] == CAT
    assert "memory" in opened.status_area.notices.history[-1].text


def test_the_keys_of_the_brush_size_change_the_superpixels(opened: MainWindow, qtbot: QtBot) -> None:
    opened.toolbox.use("tool_superpixels")
    before, brush = opened.settings.get("tools/superpixel_size"), opened.settings.get("tools/brush_size")
    qtbot.keyClick(opened, Qt.Key.Key_BracketRight)
    assert opened.settings.get("tools/superpixel_size") > before
    assert opened.settings.get("tools/brush_size") == brush
    qtbot.waitUntil(lambda: opened.region_tools.superpixels.found is not None, timeout=30_000)
    opened.toolbox.use("tool_grow")
    scribbles = opened.settings.get("tools/scribble_size")
    qtbot.keyClick(opened, Qt.Key.Key_BracketLeft)
    assert opened.settings.get("tools/scribble_size") < scribbles
    assert opened.settings.get("tools/brush_size") == brush


def test_closing_the_window_keeps_what_has_grown(opened: MainWindow, qtbot: QtBot, shapes: list[Path]) -> None:
    grow_two(opened, qtbot)
    document = opened.session.current
    opened.close()
    assert overlap(document.class_map.labels, CAT, CIRCLE) > 0.9
    from deeplab_studio.core.project import Project

    (place,) = shapes[0].parent.glob("*.dlsproj")
    with Project.open(place) as project:
        saved = project.load_map(document.item.id)
        assert saved is not None
        np.testing.assert_array_equal(saved[0], document.class_map.labels)
