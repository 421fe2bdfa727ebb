"""Own presets, the CRF on all images and the search of parameters, in the real window."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import Qt, QTimer
from PySide6.QtWidgets import QApplication, QInputDialog, QMessageBox
from pytestqt.qtbot import QtBot

from deeplab_studio.app.crf_batch_dialog import CrfBatchDialog
from deeplab_studio.app.crf_search_dialog import CrfSearchDialog
from deeplab_studio.app.window import MainWindow
from deeplab_studio.core.project import Project
from deeplab_studio.crf.params import CrfParams
from tests.e2e.crf_kit import give_scores, load_model, wait_idle, write_photo
from tests.e2e.kit import wait_for_photo

OWN = CrfParams(7, 33, 12, 2, 1.5, 4, "after")


@pytest.fixture
def answers(qtbot: QtBot) -> Iterator[list[str | None]]:
    """What is typed into the dialogs that come up, one after the other; None cancels, "yes" agrees to a question."""
    waiting: list[str | None] = []

    def look() -> None:
        dialog = QApplication.activeModalWidget()
        if not waiting or dialog is None:
            return
        if isinstance(dialog, QMessageBox) and waiting[0] == "yes":
            waiting.pop(0)
            dialog.button(QMessageBox.StandardButton.Yes).click()
        elif isinstance(dialog, QInputDialog) and waiting[0] != "yes":
            text = waiting.pop(0)
            if text is not None:
                dialog.setTextValue(text)
            (dialog.reject if text is None else dialog.accept)()

    timer = QTimer(interval=10)
    timer.timeout.connect(look)
    timer.start()
    yield waiting
    timer.stop()
    assert not waiting


@pytest.fixture
def scored(window: MainWindow, qtbot: QtBot, tmp_path: Path) -> MainWindow:
    photo = write_photo(tmp_path / "shapes.png")
    window.open_paths([photo])
    wait_for_photo(qtbot, window, photo)
    give_scores(qtbot, window)
    window.crf_panel.use(OWN)
    wait_idle(qtbot, window)
    return window


def offered(window: MainWindow) -> list[str]:
    box = window.crf_panel.preset_box
    return [box.itemText(i) for i in range(box.count())]


def said(window: MainWindow) -> str:
    return window.status_area.notices.history[-1].text


def test_a_preset_is_saved_found_in_the_next_window_renamed_and_deleted(
    scored: MainWindow, new_window: Callable[[], MainWindow], answers: list[str | None], qtbot: QtBot
) -> None:
    actions = scored.actions_
    assert not actions["preset_rename"].isEnabled()
    assert not actions["preset_export"].isEnabled()
    assert scored.crf_panel.preset_box.currentText() == "Custom"
    answers.append("  soft   fur ")
    actions["preset_save"].trigger()
    assert scored.crf_panel.preset_box.currentText() == "soft fur"
    assert actions["preset_rename"].isEnabled()
    scored.crf_panel.use(CrfParams())
    assert not actions["preset_rename"].isEnabled()

    second = new_window()
    qtbot.waitUntil(lambda: "soft fur" in offered(second))
    second.crf_panel.preset_box.setCurrentText("soft fur")
    second.crf_panel.preset_box.activated.emit(second.crf_panel.preset_box.currentIndex())
    assert second.crf_panel.params == OWN
    answers.append("v1")
    second.actions_["preset_rename"].trigger()
    assert "built-in" in said(second)
    answers.append("hard fur")
    second.actions_["preset_rename"].trigger()
    assert second.crf_panel.preset_box.currentText() == "hard fur"
    assert "soft fur" not in offered(second)
    answers.append("yes")
    second.actions_["preset_delete"].trigger()
    assert "hard fur" not in offered(second)
    assert second.crf_panel.params == OWN


def test_a_cancelled_name_saves_nothing(scored: MainWindow, answers: list[str | None]) -> None:
    before = offered(scored)
    answers.append(None)
    scored.actions_["preset_save"].trigger()
    assert offered(scored) == before


def test_saving_under_the_same_name_asks_and_replaces(scored: MainWindow, answers: list[str | None]) -> None:
    presets = scored.crf_tools.presets
    answers.append("fur")
    scored.actions_["preset_save"].trigger()
    scored.crf_panel.use(CrfParams(9))
    answers.append("FUR")
    answers.append("yes")
    scored.actions_["preset_save"].trigger()
    assert [preset.params for preset in presets._store.presets] == [CrfParams(9)]


def test_presets_go_out_and_come_in_as_files(scored: MainWindow, answers: list[str | None], tmp_path: Path) -> None:
    answers.append("fur")
    scored.actions_["preset_save"].trigger()
    presets = scored.crf_tools.presets
    presets.write(tmp_path / "mine")
    assert json.loads((tmp_path / "mine.json").read_text("utf-8"))["presets"][0]["name"] == "fur"
    answers.append("yes")
    scored.actions_["preset_delete"].trigger()
    presets.read(tmp_path / "mine.json")
    assert "fur" in offered(scored)
    assert "'fur'" in said(scored)
    presets.read(tmp_path / "mine.json")
    assert "already" in said(scored)
    bad = tmp_path / "notes.json"
    bad.write_text("{ not json")
    presets.read(bad)
    assert said(scored).startswith("notes.json: line 1 is not valid JSON.")


# The CRF on all images, with a real model


def copy_photos(shared: Path, folder: Path, count: int) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    return [Path(shutil.copy(path, folder)) for path in sorted((shared / "data/voc/JPEGImages").iterdir())[:count]]


@pytest.fixture
def folder(window: MainWindow, qtbot: QtBot, shared: Path, tmp_path: Path) -> Path:
    """Five photos open with a model; the third is done and holds a pinned square, the others are new."""
    folder = tmp_path / "photos"
    photos = copy_photos(shared, folder, 5)
    window.settings.set("model/automatic", False)
    with Project.for_folder(folder) as project:
        items = project.add(photos)
        labels = np.zeros(window_size(photos[2]), np.uint8)
        labels[10:60, 10:60] = 20
        project.save_map(items[2].id, labels, labels == 20, state="done")
    load_model(qtbot, window, shared)
    window.open_paths([folder])
    wait_for_photo(qtbot, window, photos[0])
    return folder


def window_size(path: Path) -> tuple[int, int]:
    from deeplab_studio.core.images import image_size

    return image_size(path)[::-1]


def batch_dialog(window: MainWindow) -> CrfBatchDialog:
    window.actions_["crf_all"].trigger()
    assert isinstance(window.crf_tools.dialog, CrfBatchDialog)
    return window.crf_tools.dialog


def run(qtbot: QtBot, dialog: CrfBatchDialog) -> str:
    qtbot.mouseClick(dialog.start_button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: not dialog.running, timeout=120_000)
    return dialog.result_label.text()


@pytest.mark.slow
def test_all_images_are_predicted_refined_and_saved(window: MainWindow, folder: Path, qtbot: QtBot) -> None:
    window.crf_panel.set_params(OWN)
    dialog = batch_dialog(window)
    assert "(4)" in dialog.open_button.text()
    assert "(5)" in dialog.all_button.text()
    assert run(qtbot, dialog) == "4 of 4 images refined."
    dialog.reject()
    document = window.session.current
    assert document.history.names == ["CRF on all images"]
    assert window.crf_panel.params == document.crf.params == OWN
    window.close()
    with Project.for_folder(folder) as project:
        for number, item in enumerate(project.items()):
            labels, pinned = project.load_map(item.id)
            if number == 2:
                assert item.state == "done"
                assert (labels == 20).sum() == 2500  # finished images are left alone
                assert project.crf(item.id) is None
            else:
                assert item.state == "new"
                assert labels.any()
                assert not pinned.any()
                assert project.crf(item.id) == {"on": True, **OWN.to_dict()}
                assert 0 < project.figures.of(item.id).uncertainty < 1


@pytest.mark.slow
def test_finished_images_too_if_asked_and_pinned_pixels_stay(window: MainWindow, folder: Path, qtbot: QtBot) -> None:
    dialog = batch_dialog(window)
    dialog.all_button.setChecked(True)
    dialog.reopen_box.setChecked(True)
    assert run(qtbot, dialog) == "5 of 5 images refined."
    done = window.session.items[2]
    assert done.state == "in progress"
    window.close()
    with Project.for_folder(folder) as project:
        labels, pinned = project.load_map(done.id)
        assert (labels[10:60, 10:60] == 20).all()
        assert pinned.sum() == 2500
        assert labels[pinned == 0].any()


@pytest.mark.slow
def test_a_batch_is_stopped_and_what_it_did_stays(window: MainWindow, folder: Path, qtbot: QtBot) -> None:
    dialog = batch_dialog(window)
    qtbot.mouseClick(dialog.start_button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: dialog.batch.summary.refined >= 1, timeout=60_000)
    qtbot.mouseClick(dialog.stop_button, Qt.MouseButton.LeftButton)
    assert dialog.result_label.text().startswith("Stopped: ")
    assert not dialog.running
    assert dialog.start_button.isEnabled()
    dialog.reject()
    assert window.crf_tools.dialog is None
    wait_idle(qtbot, window)
    qtbot.waitUntil(lambda: not window.session.disk.busy and not window.session.unsaved)
    with_maps = window.session.project.items_with_maps()
    assert 1 <= len(with_maps) <= 4


@pytest.mark.slow
def test_broken_photos_are_named_and_the_rest_goes_on(window: MainWindow, folder: Path, qtbot: QtBot) -> None:
    broken = window.session.items[4].path
    qtbot.waitUntil(lambda: not window.session.disk.busy and not window.session.unsaved)
    broken.write_bytes(b"\xff\xd8\xff nothing")
    dialog = batch_dialog(window)
    text = run(qtbot, dialog)
    assert text.startswith("3 of 4 images refined.")
    assert broken.name in text


@pytest.mark.slow
def test_a_person_works_on_while_a_batch_runs(window: MainWindow, folder: Path, qtbot: QtBot) -> None:
    dialog = batch_dialog(window)
    qtbot.mouseClick(dialog.start_button, Qt.MouseButton.LeftButton)
    window.session.painting.set_active_class(5)
    assert window.session.painting.begin("Brush stroke")
    window.session.painting.paint(0, 0, np.ones((30, 30), bool))
    qtbot.waitUntil(lambda: dialog.batch is None or dialog.batch._done >= 2, timeout=60_000)
    window.session.painting.commit()
    qtbot.waitUntil(lambda: not dialog.running, timeout=120_000)
    labels = window.session.current.class_map.labels
    assert (labels[:30, :30] == 5).all()
    assert (labels[30:, 30:] != 0).any()


def test_a_window_that_may_only_look_begins_nothing(
    window: MainWindow, folder: Path, new_window: Callable[[], MainWindow], qtbot: QtBot, shared: Path
) -> None:
    second = new_window()
    load_model(qtbot, second, shared)
    second.open_paths([folder])
    qtbot.waitUntil(lambda: second.session.current is not None, timeout=10_000)
    assert second.session.read_only
    dialog = batch_dialog(second)
    assert not dialog.start_button.isEnabled()


def test_nothing_is_begun_without_a_model(window: MainWindow, folder: Path, qtbot: QtBot) -> None:
    dialog = batch_dialog(window)
    dialog._session.predictions.unload()
    qtbot.mouseClick(dialog.start_button, Qt.MouseButton.LeftButton)
    assert "Choose a model first" in dialog.result_label.text()
    assert not dialog.running


# The search


@pytest.fixture
def voc(window: MainWindow, qtbot: QtBot, shared: Path, tmp_path: Path) -> Path:
    """Four photos of Pascal VOC, three with masks."""
    root = tmp_path / "VOC"
    masks = sorted((shared / "data/voc/SegmentationClass").iterdir())[:4]
    (root / "JPEGImages").mkdir(parents=True)
    (root / "SegmentationClass").mkdir()
    for number, mask in enumerate(masks):
        shutil.copy(shared / f"data/voc/JPEGImages/{mask.stem}.jpg", root / "JPEGImages")
        if number < 3:
            shutil.copy(mask, root / "SegmentationClass")
    window.settings.set("model/automatic", False)
    load_model(qtbot, window, shared)
    window.open_paths([root])
    qtbot.waitUntil(lambda: window.session.current is not None, timeout=10_000)
    return root


def search_dialog(window: MainWindow) -> CrfSearchDialog:
    window.actions_["crf_search"].trigger()
    assert isinstance(window.crf_tools.dialog, CrfSearchDialog)
    return window.crf_tools.dialog


@pytest.mark.slow
def test_parameters_are_found_plotted_and_used_on_a_click(window: MainWindow, voc: Path, qtbot: QtBot) -> None:
    dialog = search_dialog(window)
    assert dialog.count_box.maximum() == 3
    dialog.count_box.setValue(2)
    dialog.rounds_box.setValue(1)
    for row in dialog._rows:
        row.box.setChecked(row.axis.field in ("appearance_weight", "appearance_colour_sigma"))
    assert set(dialog._plots) == {"appearance_weight", "appearance_colour_sigma"}
    assert not dialog.use_button.isEnabled()
    qtbot.mouseClick(dialog.start_button, Qt.MouseButton.LeftButton)
    assert dialog.stop_button.isVisible()
    qtbot.waitUntil(lambda: not dialog._lane.busy and dialog.found is not None, timeout=180_000)
    qtbot.waitUntil(lambda: dialog.use_button.isEnabled(), timeout=5_000)
    found = dialog.found
    assert len(found.trials) in (9, 10)
    assert found.best.miou >= found.start.miou
    plot = dialog._plots["appearance_weight"]
    assert max(score for _, score in plot.envelope) == found.best.miou
    assert f"{100 * found.best.miou:.2f} % at best" in dialog.result_label.text()
    qtbot.mouseClick(dialog.use_button, Qt.MouseButton.LeftButton)
    assert window.crf_panel.params == found.best.params


@pytest.mark.slow
def test_a_stopped_search_keeps_the_best_so_far(window: MainWindow, voc: Path, qtbot: QtBot) -> None:
    dialog = search_dialog(window)
    dialog.count_box.setValue(1)
    qtbot.mouseClick(dialog.start_button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: dialog.found is not None and len(dialog.found.trials) > 4, timeout=120_000)
    qtbot.mouseClick(dialog.stop_button, Qt.MouseButton.LeftButton)
    assert "Stopped" in dialog.result_label.text()
    assert dialog.start_button.isVisible()
    dialog.close()
    assert window.crf_tools.dialog is None


def test_without_ground_truth_the_search_says_what_to_do(window: MainWindow, folder: Path, qtbot: QtBot) -> None:
    window.session.set_state(window.session.items[2].id, "new")
    dialog = search_dialog(window)
    assert not dialog.start_button.isEnabled()
    assert "Mark labelled images as done" in dialog.estimate_label.text()
    dialog.reject()
    window.session.set_state(window.session.items[2].id, "done")
    dialog = search_dialog(window)
    assert dialog.start_button.isEnabled()
    dialog._rows[0].low.setValue(50)
    assert not dialog.start_button.isEnabled()
    assert "ranges" in dialog.estimate_label.text()
