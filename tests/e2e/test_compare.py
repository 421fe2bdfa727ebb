"""Comparing models in the real window: panes, differences, taking over, ground truth, the story of the versions."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from PySide6.QtCore import QEvent, QPoint, Qt, QTimer
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from deeplab_studio.app.compare.board import Pane
from deeplab_studio.app.compare.choice import PaneChoice
from deeplab_studio.app.compare.data_set_dialog import DataSetDialog
from deeplab_studio.app.compare.desk import Desk
from deeplab_studio.app.compare.vote_dialog import VoteDialog
from deeplab_studio.app.document import CrfSettings
from deeplab_studio.app.export_dialog import ExportDialog
from deeplab_studio.app.settings import Settings
from deeplab_studio.app.theme import Theme
from deeplab_studio.app.window import MainWindow
from deeplab_studio.checkpoints.library import ModelLibrary
from deeplab_studio.checkpoints.model import LoadedModel
from deeplab_studio.checkpoints.native import Provenance, save_native
from deeplab_studio.checkpoints.starters import starter_id
from deeplab_studio.core.agreement import component_at, majority
from deeplab_studio.core.labels import VOC_LABELS
from deeplab_studio.core.metrics import ConfusionMatrix
from deeplab_studio.core.voc import validate_voc
from deeplab_studio.core.voc.masks import write_mask
from tests.e2e.crf_kit import send_mouse
from tests.e2e.kit import wait_for_photo
from tests.starter_kit import card_of, drawn_model

VERSIONS = ("v1", "v2", "v3", "v3+")
OFF, ON = CrfSettings(False), CrfSettings(True)


def varied(model: LoadedModel) -> LoadedModel:
    """The same model with biases that give every class its share of a picture of noise."""
    noise = torch.randn(1, 3, 73, 97, generator=torch.Generator().manual_seed(1))
    ends = [
        module
        for module in model.network.modules()
        if isinstance(module, torch.nn.Conv2d) and module.out_channels == len(model.classes) and module.bias is not None
    ]
    with torch.inference_mode():
        spread = model.network(noise)[0].flatten(1)
    with torch.no_grad():
        for module in ends:
            module.bias -= spread.mean(dim=1) / len(ends)
    return model


@pytest.fixture(scope="module")
def starters(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("starters")
    paths = {}
    for version in VERSIONS:
        path = folder / f"{starter_id(version)}.safetensors"
        save_native(varied(drawn_model(version)), path, half=True, provenance=Provenance(source="a test"))
        path.with_suffix(".json").write_text(card_of(path, version).dump(), "utf-8")
        paths[version] = path
    return paths


@pytest.fixture
def comparing_window(qtbot: QtBot, qapp: object, tmp_path: Path, starters: dict[str, Path]) -> Iterator[MainWindow]:
    library = ModelLibrary(tmp_path / "models", next(iter(starters.values())).parent)
    window = MainWindow(Settings(tmp_path / "settings.ini"), Theme(qapp, "light"), library)
    qtbot.addWidget(window)
    window.resize(1400, 900)
    window.show()
    qtbot.waitExposed(window)
    # Before a photo is open: a model that comes later is asked about it, whether or not it has a mask.
    qtbot.waitUntil(lambda: window.session.predictions.model is not None, timeout=60_000)
    yield window
    window.close()


@pytest.fixture
def data_set(tmp_path: Path) -> Path:
    """Two photos of Pascal VOC's layout, the first with a mask."""
    root = tmp_path / "set"
    for folder in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        (root / folder).mkdir(parents=True)
    truth = np.zeros((120, 160), np.uint8)
    truth[30:90, 40:80] = 8
    truth[30:90, 100:140] = 12
    truth[28:30] = 255
    for number in range(2):
        small = np.random.default_rng(number).integers(0, 256, (6, 8, 3), np.uint8)
        photo = cv2.resize(small, (160, 120), interpolation=cv2.INTER_CUBIC)
        assert cv2.imwrite(str(root / f"JPEGImages/photo{number}.jpg"), photo)
    write_mask(root / "SegmentationClass/photo0.png", truth, VOC_LABELS)
    (root / "ImageSets/Segmentation/val.txt").write_text("photo0\n", "utf-8")
    return root


def opened(qtbot: QtBot, window: MainWindow, root: Path, number: int = 0) -> MainWindow:
    """The photo with a mask on screen, or the one that is predicted."""
    window.open_paths([root])
    wait_for_photo(qtbot, window, root / "JPEGImages/photo0.jpg")
    if number:
        window.session.step(number)
        wait_for_photo(qtbot, window, root / f"JPEGImages/photo{number}.jpg")
        qtbot.waitUntil(lambda: window.session.current.labelled, timeout=30_000)
    return window


def settled(qtbot: QtBot, window: MainWindow) -> Desk:
    """Wait until everything is computed and shown."""
    desk = window.comparing.desk
    assert desk is not None

    def idle() -> bool:
        return not (desk.answers.lane.busy or desk.analysis.lane.busy or window.session.disk.busy)

    for _ in range(4):  # what one lane delivers may be work for another
        qtbot.waitUntil(idle, timeout=60_000)
        QApplication.processEvents()
    return desk


def compare(qtbot: QtBot, window: MainWindow, *choices: PaneChoice, layout: str = "grid") -> Desk:
    window.comparing.compare(choices, layout)
    return settled(qtbot, window)


def two(starters: dict[str, Path]) -> tuple[PaneChoice, PaneChoice]:
    return PaneChoice("model", starters["v1"], OFF), PaneChoice("model", starters["v3"], OFF)


def point(pane: Pane, x: float, y: float) -> QPoint:
    return pane.canvas.to_viewport(x + 0.5, y + 0.5).toPoint()


def export(qtbot: QtBot, window: MainWindow, out: Path) -> None:
    def fill_in() -> None:
        dialog = QApplication.activeModalWidget()
        assert isinstance(dialog, ExportDialog)
        dialog.folder_edit.setText(str(out))
        with qtbot.waitSignal(dialog.exported, timeout=60_000):
            qtbot.mouseClick(dialog.export_button, Qt.MouseButton.LeftButton)
        dialog.reject()

    QTimer.singleShot(0, fill_in)
    qtbot.keyClick(window, Qt.Key.Key_E, Qt.KeyboardModifier.ControlModifier)


def test_a_region_is_taken_over_from_a_pane_and_exported(
    comparing_window: MainWindow, qtbot: QtBot, data_set: Path, starters: dict[str, Path], tmp_path: Path
) -> None:
    window = opened(qtbot, comparing_window, data_set, 1)
    desk = compare(qtbot, window, *two(starters))
    pane = desk.panes.shown[1]
    said = pane.answer.labels
    document = window.session.current
    before = document.class_map.labels.copy()
    y, x = np.argwhere(said != before)[0].tolist()
    window.actions_["compare_take_region"].trigger()
    steps = window.session.edits.position
    qtbot.mouseClick(pane.canvas.viewport(), Qt.MouseButton.LeftButton, pos=point(pane, x, y))
    settled(qtbot, window)

    region = component_at(said == said[y, x], y, x)
    np.testing.assert_array_equal(document.class_map.labels, np.where(region, said, before))
    np.testing.assert_array_equal(document.class_map.pinned, region)
    assert window.session.edits.position == steps + 1
    assert document.item.state == "in progress"

    expected = document.class_map.labels.copy()
    qtbot.keyClick(window, Qt.Key.Key_D, Qt.KeyboardModifier.ShiftModifier)
    export(qtbot, window, tmp_path / "out")
    root = next((tmp_path / "out").rglob("JPEGImages")).parent
    assert validate_voc(root) == []
    written = np.asarray(Image.open(root / "SegmentationClass/photo1.png"))
    np.testing.assert_array_equal(written, expected)

    window.session.undo()
    window.session.undo()
    np.testing.assert_array_equal(document.class_map.labels, before)
    assert not document.class_map.pinned.any()


def test_panes_move_zoom_and_hide_together_until_they_are_unlinked(
    comparing_window: MainWindow, qtbot: QtBot, data_set: Path, starters: dict[str, Path]
) -> None:
    window = opened(qtbot, comparing_window, data_set)
    desk = compare(qtbot, window, *two(starters), PaneChoice("mine"))
    first, second, third = (pane.canvas for pane in desk.panes.shown)
    assert first.photo is second.photo is window.canvas.photo  # one photo, however many panes
    first.set_scale(4.0)
    first.pan_by(-60, -40)
    for other in (second, third):
        assert other.scale() == first.scale()
        middle = other.place.x - first.place.x, other.place.y - first.place.y
        assert np.abs(middle).max() <= 0.5
    qtbot.mouseMove(first.viewport(), point(desk.panes.shown[0], 80, 60))
    qtbot.waitUntil(lambda: second._ghost is not None and second._ghost[:2] == (80, 60))
    assert first._ghost is None
    window.classes_panel.solo(8)
    assert all(canvas._layers._look.hidden == window.classes_panel.hidden for canvas in (first, second, third))

    window.actions_["compare_link"].trigger()
    first.set_scale(2.0)
    assert (second.scale(), third.scale()) == (4.0, 4.0)
    window.actions_["compare_link"].trigger()
    assert second.scale() == third.scale() == first.scale() == 2.0
    window.actions_["zoom_fit"].trigger()
    assert all(canvas.place.fitted for canvas in (first, second, third))


def test_a_pane_whose_model_fails_says_why_and_the_others_go_on(
    comparing_window: MainWindow, qtbot: QtBot, data_set: Path, starters: dict[str, Path], tmp_path: Path
) -> None:
    broken = tmp_path / "broken.pth"
    broken.write_bytes(b"no model at all")
    window = opened(qtbot, comparing_window, data_set)
    a, b = two(starters)
    desk = compare(qtbot, window, a, PaneChoice("model", broken, OFF), b)
    assert [pane.answer is not None for pane in desk.panes.shown] == [True, False, True]
    notice = desk.panes.shown[1].notice
    assert notice.isVisible()
    assert "broken.pth" in notice.text()
    assert [voice.pane for voice in desk.findings.voices] == [0, 2]
    desk.panes.choose(desk.panes.shown[1], b)
    settled(qtbot, window)
    assert desk.panes.shown[1].answer is not None
    assert not notice.isVisible()


def test_what_is_kept_comes_back_without_work(
    comparing_window: MainWindow, qtbot: QtBot, data_set: Path, starters: dict[str, Path]
) -> None:
    window = opened(qtbot, comparing_window, data_set)
    desk = compare(qtbot, window, *two(starters))
    pane = desk.panes.shown[0]
    plain = pane.answer.labels
    qtbot.mouseClick(pane.header.crf_button, Qt.MouseButton.LeftButton)
    settled(qtbot, window)
    refined = pane.answer
    assert refined.choice.crf.on
    assert refined.crf_seconds > 0
    assert "CRF" in pane.header.facts
    qtbot.mouseClick(pane.header.crf_button, Qt.MouseButton.LeftButton)
    assert not desk.answers.lane.busy
    np.testing.assert_array_equal(pane.answer.labels, plain)
    qtbot.mouseClick(pane.header.crf_button, Qt.MouseButton.LeftButton)
    assert not desk.answers.lane.busy
    np.testing.assert_array_equal(pane.answer.labels, refined.labels)
    for layout in ("compare_row", "compare_split", "compare_grid"):
        window.actions_[layout].trigger()
        assert not desk.answers.lane.busy
        assert all(each.answer is not None for each in desk.panes.shown)
    assert desk.answers.cache.nbytes <= desk.answers.cache.max_bytes


def test_differences_are_gone_through_from_the_largest_on(
    comparing_window: MainWindow, qtbot: QtBot, data_set: Path
) -> None:
    window = opened(qtbot, comparing_window, data_set)
    session = window.session
    desk = compare(qtbot, window, PaneChoice("mine"), PaneChoice("truth"))
    assert not desk.differences
    session.painting.set_active_class(3)
    for top, left, height, width in ((100, 10, 5, 6), (5, 100, 20, 30), (100, 100, 10, 10)):
        assert session.painting.begin("three boxes")
        changed = session.painting.paint(top, left, np.ones((height, width), np.bool_))
        session.painting.commit()
        session.labelsChanged.emit(changed)
    qtbot.waitUntil(lambda: len(desk.differences) == 3, timeout=10_000)  # it follows the brush
    assert [difference.region.pixels for difference in desk.differences] == [600, 100, 30]
    assert [difference.answers for difference in desk.differences] == [(3, 0)] * 3

    qtbot.keyClick(window, Qt.Key.Key_J)
    assert desk.chosen is desk.differences[0]
    qtbot.keyClick(window, Qt.Key.Key_J)
    assert desk.chosen is desk.differences[1]
    for pane in desk.panes.shown:
        place = pane.canvas.place
        assert abs(place.x - 105) < 1
        assert abs(place.y - 105) < 1
    qtbot.keyClick(window, Qt.Key.Key_J, Qt.KeyboardModifier.ShiftModifier)
    assert desk.panel.difference_table.currentRow() == 0

    desk.panes.activate(desk.panes.shown[1])
    window.actions_["compare_take_difference"].trigger()
    labels = session.current.class_map.labels
    assert (labels[5:25, 100:130] == 0).all()
    assert np.count_nonzero(labels == 3) == 130
    qtbot.waitUntil(lambda: len(desk.differences) == 2, timeout=10_000)


def test_a_class_a_lasso_a_whole_pane_and_the_majority_are_taken_over(
    comparing_window: MainWindow, qtbot: QtBot, data_set: Path, starters: dict[str, Path]
) -> None:
    window = opened(qtbot, comparing_window, data_set, 1)
    desk = compare(qtbot, window, *two(starters), PaneChoice("model", starters["v2"], OFF))
    document, edits = window.session.current, window.session.edits
    before = document.class_map.labels.copy()
    maps = [pane.answer.labels for pane in desk.panes.shown]
    pane = desk.panes.shown[0]

    y, x = np.argwhere(maps[0] != before)[0].tolist()
    window.actions_["compare_take_class"].trigger()
    qtbot.mouseClick(pane.canvas.viewport(), Qt.MouseButton.LeftButton, pos=point(pane, x, y))
    settled(qtbot, window)
    same = maps[0] == maps[0][y, x]
    np.testing.assert_array_equal(document.class_map.labels, np.where(same, maps[0], before))
    window.session.undo()
    np.testing.assert_array_equal(document.class_map.labels, before)

    window.actions_["compare_take_lasso"].trigger()
    corners = [point(pane, *corner) for corner in ((20, 20), (140, 20), (140, 100), (20, 100))]
    viewport = pane.canvas.viewport()
    qtbot.mousePress(viewport, Qt.MouseButton.LeftButton, pos=corners[0])
    for corner in corners[1:]:
        qtbot.mouseMove(viewport, corner)
    qtbot.mouseRelease(viewport, Qt.MouseButton.LeftButton, pos=corners[-1])
    pinned = document.class_map.pinned
    assert pinned[30:90, 30:130].all()
    assert not pinned[:15].any()
    np.testing.assert_array_equal(document.class_map.labels[pinned], maps[0][pinned])
    window.session.undo()

    window.actions_["compare_pan"].trigger()
    desk.panes.activate(desk.panes.shown[2])
    window.actions_["compare_take_whole"].trigger()
    np.testing.assert_array_equal(document.class_map.labels, maps[2])
    assert document.class_map.pinned.all()
    window.session.undo()

    window.actions_["compare_vote"].trigger()
    dialog = desk.dialog
    assert isinstance(dialog, VoteDialog)
    dialog.boxes[1].setValue(3)
    steps = edits.position
    qtbot.mouseClick(dialog.take_button, Qt.MouseButton.LeftButton)
    settled(qtbot, window)
    np.testing.assert_array_equal(document.class_map.labels, majority(maps, [1, 3, 1]))
    assert edits.position == steps + 1


def test_protected_classes_are_not_taken_over(
    comparing_window: MainWindow, qtbot: QtBot, data_set: Path, starters: dict[str, Path]
) -> None:
    window = opened(qtbot, comparing_window, data_set, 1)
    desk = compare(qtbot, window, *two(starters))
    document = window.session.current
    before = document.class_map.labels.copy()
    window.classes_panel.set_protected({8})
    window.classes_panel.protectedChanged.emit(frozenset({8}))
    desk.take_whole(desk.panes.shown[0])
    after = document.class_map.labels
    assert (after[before == 8] == 8).all()
    np.testing.assert_array_equal(after[before != 8], desk.panes.shown[0].answer.labels[before != 8])


def test_panes_are_scored_against_the_mask(
    comparing_window: MainWindow, qtbot: QtBot, data_set: Path, starters: dict[str, Path]
) -> None:
    window = opened(qtbot, comparing_window, data_set)
    desk = compare(qtbot, window, *two(starters), PaneChoice("mine"), PaneChoice("truth"))
    truth = desk.truth
    assert set(np.unique(truth).tolist()) == {0, 8, 12, 255}
    assert [score.pane for score in desk.findings.scores] == [0, 1, 2]  # the truth is not held against itself
    for pane, score in zip(desk.panes.shown[:3], desk.findings.scores, strict=True):
        matrix = ConfusionMatrix(len(VOC_LABELS) + 1)
        matrix.add(truth, np.where(pane.answer.labels == 255, np.uint8(0), pane.answer.labels))
        np.testing.assert_array_equal(score.matrix.counts, matrix.counts)
    assert desk.findings.scores[2].matrix.miou() == 1
    assert desk.findings.scores[2].mean_boundary == 1
    assert desk.panel.tabs.isTabVisible(1)
    assert desk.panel.score_table.rowCount() == 3 + 3
    window.actions_["compare_show_errors"].trigger()
    settled(qtbot, window)
    assert [text.split(":")[0] for text in desk.view.key.texts] == ["missed", "false", "confused"]
    desk.show_charts()
    assert desk.dialog.tabs.count() == 1 + 3
    desk.dialog.close()

    window.session.step(1)  # this one has no mask
    wait_for_photo(qtbot, window, data_set / "JPEGImages/photo1.jpg")
    settled(qtbot, window)
    assert desk.truth is None
    assert desk.mode == "classes"
    assert not desk.panel.tabs.isTabVisible(1)
    assert "no ground truth" in desk.panes.shown[3].notice.text()


def test_the_story_opens_the_four_versions(
    comparing_window: MainWindow, qtbot: QtBot, data_set: Path, starters: dict[str, Path]
) -> None:
    window = opened(qtbot, comparing_window, data_set)
    window.actions_["compare_story"].trigger()
    desk = settled(qtbot, window)
    shown = desk.panes.shown
    assert [pane.choice.path for pane in shown] == [starters[version] for version in VERSIONS]
    assert [pane.answer.model.version for pane in shown] == list(VERSIONS)
    assert [pane.choice.crf.on for pane in shown] == [True, True, False, False]
    for pane, paper in zip(shown, ("1412.7062", "1606.00915", "1706.05587", "1802.02611"), strict=True):
        title, facts, text, reference = pane.card.texts
        assert pane.card.isVisible()
        assert pane.card.height() > 100
        assert pane.canvas.geometry().bottom() < pane.card.geometry().top()
        assert title.startswith(pane.answer.model.version)
        assert "output stride" in facts
        assert len(text) > 100
        assert paper in reference
        assert "multiply-adds" in pane.header.facts


def test_the_line_of_the_split_parts_the_picture(
    comparing_window: MainWindow, qtbot: QtBot, data_set: Path, starters: dict[str, Path]
) -> None:
    window = opened(qtbot, comparing_window, data_set)
    desk = compare(qtbot, window, *two(starters), layout="split")
    first, second = desk.panes.shown
    board = desk.view.board
    assert first.canvas.geometry() == second.canvas.geometry()
    board.set_split(0.25)
    width = first.canvas.width()
    assert abs(second.canvas.mask().boundingRect().left() - width / 4) <= 1
    second.canvas.set_scale(3.0)
    assert first.canvas.place == second.canvas.place
    handle = board.handle
    qtbot.mousePress(handle, Qt.MouseButton.LeftButton, pos=handle.rect().center())
    qtbot.mouseMove(handle, handle.rect().center() + QPoint(width // 4, 0))
    qtbot.mouseRelease(handle, Qt.MouseButton.LeftButton)
    assert abs(handle.share - 0.5) < 0.02
    window.actions_["compare_add"].trigger()
    settled(qtbot, window)
    assert board.arrangement == "grid"
    assert second.canvas.mask().isEmpty()


def test_models_of_other_classes_are_compared_on_those_they_share(
    comparing_window: MainWindow, qtbot: QtBot, data_set: Path, starters: dict[str, Path], tmp_path: Path
) -> None:
    names = [f"thing {i}" if 1 <= i <= 18 else name for i, name in enumerate(VOC_LABELS.names)]
    other = tmp_path / "other.safetensors"
    save_native(drawn_model("v3+").with_class_names(names), other, half=True, provenance=Provenance(source="a test"))
    window = opened(qtbot, comparing_window, data_set)
    desk = compare(qtbot, window, two(starters)[0], PaneChoice("model", other, OFF))
    assert desk.findings.shared == (0, 19, 20)
    assert "aeroplane" in desk.findings.left_out
    assert not desk.panel.note.isHidden()
    assert "3 classes" in desk.panel.note.text()
    assert set(np.unique(desk.findings.voices[0].labels).tolist()) <= {0, 19, 20}


def test_going_back_lets_go_of_networks_and_photos_and_keeps_the_panes(
    comparing_window: MainWindow, qtbot: QtBot, data_set: Path, starters: dict[str, Path]
) -> None:
    window = opened(qtbot, comparing_window, data_set)
    qtbot.keyClick(window, Qt.Key.Key_K, Qt.KeyboardModifier.ControlModifier)
    desk = settled(qtbot, window)
    assert window.comparing.on
    assert not window.canvas.isVisible()
    assert not window.toolbox.bar.isVisible()
    a, b = two(starters)
    compare(qtbot, window, a, b.with_crf(ON))
    qtbot.keyClick(desk.panes.shown[0].canvas, Qt.Key.Key_Escape)
    assert not window.comparing.on
    assert window.canvas.isVisible()
    assert window.toolbox.bar.isVisible()
    settled(qtbot, window)
    assert not desk.answers._predictors
    assert desk.answers._refiner is None
    assert all(pane.canvas.photo is None and pane.answer is None for pane in desk.panes._pool)

    window.actions_["compare"].trigger()
    assert desk.choices == [a, b.with_crf(ON)]
    assert all(pane.answer is not None for pane in desk.panes.shown)  # at once: it was kept
    saved = window.settings.get("compare/panes")
    assert [PaneChoice.from_saved(each) for each in saved["panes"]] == [a, b.with_crf(ON)]


def test_models_are_measured_over_the_data_set(
    comparing_window: MainWindow, qtbot: QtBot, data_set: Path, starters: dict[str, Path], tmp_path: Path
) -> None:
    window = opened(qtbot, comparing_window, data_set)
    desk = compare(qtbot, window, *two(starters))
    window.actions_["compare_data_set"].trigger()
    dialog = desk.dialog
    assert isinstance(dialog, DataSetDialog)
    dialog.folder_edit.setText(str(tmp_path / "report"))
    qtbot.mouseClick(dialog.start_button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: not dialog.running, timeout=60_000)
    assert dialog.measured is not None, dialog.result_label.text()
    report = json.loads((tmp_path / "report/report.json").read_text("utf-8"))
    assert [(each["model"], each["crf"] is not None) for each in report["models"]] == [
        (name, crf) for name in ("Starter v1", "Starter v3") for crf in (False, True)
    ]
    first = desk.findings.scores[0].matrix
    assert report["models"][0]["miou"] == pytest.approx(first.miou())
    assert [problem.path.name for problem in dialog.measured.problems] == ["photo1.jpg"]
    assert dialog.table.rowCount() == 4
    dialog.close()


def test_a_slider_of_a_pane_is_followed_and_settles(
    comparing_window: MainWindow, qtbot: QtBot, data_set: Path, starters: dict[str, Path]
) -> None:
    window = opened(qtbot, comparing_window, data_set)
    a, b = two(starters)
    desk = compare(qtbot, window, a.with_crf(ON), b)
    pane = desk.panes.shown[0]
    qtbot.mouseClick(pane.header.parameters_button, Qt.MouseButton.LeftButton)
    popup = desk.popup
    assert popup.isVisible()
    slider = popup.panel.row("appearance_weight").slider
    send_mouse(slider, QEvent.Type.MouseButtonPress, 0.2)
    for share in (0.4, 0.9):
        with qtbot.waitSignal(desk.answers.previewed, timeout=30_000):
            send_mouse(slider, QEvent.Type.MouseMove, share)
    send_mouse(slider, QEvent.Type.MouseButtonRelease, 0.9)
    qtbot.waitUntil(lambda: pane.choice.crf.params == popup.panel.params, timeout=10_000)
    settled(qtbot, window)
    assert pane.answer.choice.crf.params == popup.panel.params
    assert desk.panes.shown[1].choice == b
    popup.hide()
