"""Drafts of several classes, and boundaries of superpixels, as the eye sees them."""

from __future__ import annotations

import numpy as np
import pytest
from pytestqt.qtbot import QtBot

from deeplab_studio.app.canvas import CanvasView
from deeplab_studio.app.canvas.mips import LabelMips
from deeplab_studio.app.canvas.picture_drafts import Layer, PictureDraft, draw_cells
from deeplab_studio.app.canvas.screen import Exposure
from deeplab_studio.core.classmap import PaintRules
from deeplab_studio.core.geometry import Rect
from tests.unit.app.canvas_kit import as_array, colour_at, screen


def exposure(width: int, height: int, scale: float, x: float = 0.0, y: float = 0.0) -> Exposure:
    return Exposure(0, 0, width, height, scale, x, y, 1.0)


@pytest.mark.parametrize(("scale", "x", "y"), [(1.0, 0.0, 0.0), (3.0, -40.0, -20.0), (0.25, 3.5, 2.0), (0.6, 0.0, 7.0)])
def test_a_draft_is_what_the_class_map_would_look_like(scale: float, x: float, y: float) -> None:
    from deeplab_studio.app.canvas.screen import classes_on_screen

    rng = np.random.default_rng(4)
    labels = rng.integers(0, 3, (600, 700), np.uint8)
    layers = tuple(
        Layer(top, left, rng.integers(3, 9, size, np.uint8), rng.random(size) < 0.5)
        for top, left, size in ((-20, 30, (100, 90)), (300, 350, (400, 500)), (10, 50, (60, 60)))
    )
    rules = PaintRules(protect=frozenset({2}))
    shown = exposure(200, 180, scale, x, y)
    drafted = PictureDraft(layers, rules=rules).over(
        classes_on_screen(LabelMips(labels), shown, 600, 700), shown, LabelMips(labels)
    )
    painted = labels.copy()
    for layer in layers:
        box = layer.box.clipped(600, 700)
        inside = np.s_[box.top - layer.top : box.bottom - layer.top, box.left - layer.left : box.right - layer.left]
        where = layer.mask[inside] & (labels[box.slices] != 2)
        painted[box.slices][where] = layer.labels[inside][where]
    np.testing.assert_array_equal(drafted, classes_on_screen(LabelMips(painted), shown, 600, 700))


def test_the_box_holds_all_layers() -> None:
    mask = np.ones((4, 5), bool)
    draft = PictureDraft((Layer(2, 3, mask.view(np.uint8), mask), Layer(10, 1, mask.view(np.uint8), mask)))
    assert draft.box == Rect(2, 1, 14, 8)
    assert not draft.has_rims
    assert PictureDraft((), (Layer(0, 0, mask.view(np.uint8), mask),)).has_rims


def test_strokes_have_a_white_line_inside_and_a_dark_one_outside(qtbot: QtBot) -> None:
    canvas = CanvasView()
    qtbot.addWidget(canvas)
    canvas.resize(300, 300)
    canvas.show()
    canvas.set_image(np.full((100, 100, 3), 90, np.uint8))
    canvas.set_labels(np.zeros((100, 100), np.uint8))
    canvas.set_hidden(frozenset({0}))
    mask = np.zeros((100, 100), bool)
    mask[30:60, 40:70] = True
    layer = Layer(0, 0, np.full((100, 100), 1, np.uint8), mask)
    canvas.show_draft(PictureDraft((layer,), (layer,)))
    picture = screen(canvas)
    assert min(colour_at(canvas, 40.2, 45, picture)) > 200
    assert max(colour_at(canvas, 39.8, 45, picture)) < 80
    red, green, _ = colour_at(canvas, 55, 45, picture)
    assert red > green + 10  # class 1
    assert colour_at(canvas, 20, 20, picture) == (90, 90, 90)
    canvas.show_draft(None)
    assert (as_array(canvas.viewport().grab().toImage())[150, 150] == 90).all()


def test_boundaries_of_superpixels_show_unless_they_are_too_small() -> None:
    cells = LabelMips(np.kron(np.array([[1, 2], [3, 4]], np.uint8), np.ones((20, 20), np.uint8)))
    picture = np.zeros((40, 40), np.uint32)
    draw_cells(picture, cells, 20, exposure(40, 40, 1.0))
    lines = np.argwhere(picture)
    assert set(np.unique(lines[:, 0][lines[:, 1] == 5])) == {19, 20}
    assert (picture != 0).sum() == 4 * 38 + 4
    small = np.zeros((10, 10), np.uint32)
    draw_cells(small, cells, 20, exposure(10, 10, 0.2))
    assert not small.any()


def test_a_draft_and_superpixels_go_with_the_photo(qtbot: QtBot) -> None:
    canvas = CanvasView()
    qtbot.addWidget(canvas)
    canvas.resize(200, 200)
    canvas.show()
    photo = np.full((50, 50, 3), 128, np.uint8)
    canvas.set_image(photo)
    canvas.set_labels(np.zeros((50, 50), np.uint8))
    canvas.show_cells(np.kron(np.eye(5, dtype=np.uint8), np.ones((10, 10), np.uint8)), 10)
    assert len(np.unique(screen(canvas))) > 2
    canvas.set_image(photo)
    canvas.set_labels(np.zeros((50, 50), np.uint8))
    canvas.set_hidden(frozenset({0}))
    shown = screen(canvas)[60:140, 60:140]
    assert (shown == 128).all()
