"""Another picture in place of the class map: stages of the pipeline, and numbers as colours."""

from __future__ import annotations

import numpy as np
import pytest

from deeplab_studio.app.canvas import CanvasView
from tests.unit.app.canvas_kit import PALETTE, blend, colour_at, flat_photo

PHOTO = (100, 120, 140)


@pytest.fixture
def canvas(qtbot) -> CanvasView:
    canvas = CanvasView()
    qtbot.addWidget(canvas)
    canvas.resize(320, 240)
    canvas.show()
    canvas.set_palette(PALETTE)
    canvas.set_opacity(0.5)
    canvas.set_image(flat_photo())
    canvas.set_labels(np.ones((60, 80), np.uint8))
    return canvas


def test_values_are_drawn_in_the_colours_given(canvas: CanvasView) -> None:
    colours = np.zeros((256, 4), np.uint8)
    colours[7] = (10, 250, 30, 255)
    colours[9] = (250, 10, 30, 51)
    canvas.show_overlay(np.array([[7, 9], [0, 7]], np.uint8), colours)
    assert colour_at(canvas, 20, 15) == (10, 250, 30)
    assert np.abs(np.subtract(colour_at(canvas, 60, 15), blend(PHOTO, (250, 10, 30), 0.2))).max() <= 1.5
    assert colour_at(canvas, 20, 45) == PHOTO


def test_without_colours_the_values_are_classes(canvas: CanvasView) -> None:
    canvas.show_preview(np.full((3, 3), 3, np.uint8))
    canvas.show_overlay(np.full((6, 8), 2, np.uint8))
    assert np.abs(np.subtract(colour_at(canvas, 20, 15), blend(PHOTO, PALETTE[2], 0.5))).max() <= 1.5
    canvas.set_hidden(frozenset({2}))
    assert colour_at(canvas, 20, 15) == PHOTO


def test_the_class_map_comes_back(canvas: CanvasView) -> None:
    before = colour_at(canvas, 20, 15)
    canvas.show_overlay(np.zeros((1, 1), np.uint8), np.zeros((256, 4), np.uint8))
    assert colour_at(canvas, 20, 15) == PHOTO
    canvas.show_overlay(None)
    assert colour_at(canvas, 20, 15) == before


def test_the_overlay_gives_way_to_the_bare_photo_and_goes_with_the_photo(canvas: CanvasView) -> None:
    colours = np.full((256, 4), 255, np.uint8)
    canvas.show_overlay(np.zeros((4, 4), np.uint8), colours)
    canvas.set_labels_visible(False)
    assert colour_at(canvas, 20, 15) == PHOTO
    canvas.set_labels_visible(True)
    assert colour_at(canvas, 20, 15) == (255, 255, 255)
    canvas.set_image(flat_photo())
    assert colour_at(canvas, 20, 15) == PHOTO
