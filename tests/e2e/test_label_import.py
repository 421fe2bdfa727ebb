"""Labels of other programs, brought in through the real window."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PilImage
from pycocotools import mask as coco_mask
from PySide6.QtCore import QMimeData, QPoint, Qt, QUrl
from PySide6.QtGui import QDropEvent
from PySide6.QtWidgets import QDialogButtonBox
from pytestqt.qtbot import QtBot

from deeplab_studio.app.label_import_dialog import LabelImportDialog
from deeplab_studio.app.panels.mapping_table import NEW, SKIP
from deeplab_studio.app.window import MainWindow
from deeplab_studio.core import project_labels
from deeplab_studio.core.labels import VOC_LABELS, VOID, LabelClass, LabelSet
from deeplab_studio.core.relabel import Relabelling, with_classes
from deeplab_studio.core.voc import write_labelmap, write_mask
from tests.e2e.kit import wait_for_photo

LEFT = Qt.MouseButton.LeftButton
CAT, DOG = (VOC_LABELS.names.index(name) for name in ("cat", "dog"))
SHAPE = (240, 320)


@pytest.fixture
def open_window(window: MainWindow, photos: list[Path], qtbot: QtBot) -> MainWindow:
    window.settings.set("model/paint_only", True)
    window.open_paths([photos[0].parent])
    wait_for_photo(qtbot, window, photos[0])
    return window


def drawn(class_id: int = DOG) -> np.ndarray:
    labels = np.zeros(SHAPE, np.uint8)
    labels[40:120, 60:200] = class_id
    labels[36:40, 60:200] = VOID
    return labels


def write_masks(folder: Path, photos: list[Path], label_set: LabelSet = VOC_LABELS) -> Path:
    folder.mkdir()
    for photo in photos:
        write_mask(folder / f"{photo.stem}.png", drawn(), label_set)
    return folder


def write_coco(path: Path, photos: list[Path], category: str = "dog") -> Path:
    shape = coco_mask.encode(np.asfortranarray((drawn() == DOG).astype(np.uint8)))
    shape["counts"] = shape["counts"].decode()
    images = [{"id": i, "file_name": p.name, "width": 320, "height": 240} for i, p in enumerate(photos)]
    annotations = [
        {"id": i, "image_id": i, "category_id": 18, "segmentation": shape, "area": 11200, "iscrowd": 0}
        for i in range(len(photos))
    ]
    path.write_text(
        json.dumps({"images": images, "annotations": annotations, "categories": [{"id": 18, "name": category}]})
    )
    return path


def write_labelme(path: Path, photo: Path, **more: object) -> Path:
    shape = {"label": "dog", "points": [[60, 40], [199, 40], [199, 119], [60, 119]], "shape_type": "polygon"}
    path.write_text(
        json.dumps({"shapes": [shape], "imagePath": photo.name, "imageWidth": 320, "imageHeight": 240, **more})
    )
    return path


def dialog_of(window: MainWindow) -> LabelImportDialog:
    dialog = window.label_sets.dialog
    assert isinstance(dialog, LabelImportDialog)
    return dialog


def look(window: MainWindow, path: Path, qtbot: QtBot) -> LabelImportDialog:
    window.actions_["import_labels"].trigger()
    dialog = dialog_of(window)
    dialog.look(path)
    qtbot.waitUntil(lambda: dialog.found is not None, timeout=10_000)
    return dialog


def look_in_vain(window: MainWindow, path: Path, qtbot: QtBot) -> str:
    window.actions_["import_labels"].trigger()
    dialog = dialog_of(window)
    dialog.look(path)
    qtbot.waitUntil(lambda: bool(dialog.problem.text()), timeout=10_000)
    assert not import_button(dialog).isEnabled()
    text = dialog.problem.text()
    dialog.reject()
    return text


def import_button(dialog: LabelImportDialog) -> object:
    return dialog.buttons.button(QDialogButtonBox.StandardButton.Ok)


def settle(window: MainWindow, qtbot: QtBot) -> None:
    qtbot.waitUntil(
        lambda: not window.session.edits.frozen and not window.session.disk.busy and not window.session.unsaved,
        timeout=10_000,
    )


def bring_in(window: MainWindow, dialog: LabelImportDialog, qtbot: QtBot) -> None:
    qtbot.mouseClick(import_button(dialog), LEFT)
    qtbot.waitUntil(lambda: window.label_sets.dialog is None, timeout=10_000)
    settle(window, qtbot)


def brush(window: MainWindow, class_id: int = CAT) -> None:
    painting = window.session.painting
    painting.set_active_class(class_id)
    assert painting.begin("Brush stroke")
    painting.paint(200, 200, np.ones((20, 20), bool))
    painting.commit()


def state(window: MainWindow) -> list[str]:
    return [item.state for item in window.session.items]


def palette_masks(folder: Path, photos: list[Path]) -> Path:
    return write_masks(folder / "masks", photos)


def gray_masks(folder: Path, photos: list[Path]) -> Path:
    (folder / "gray").mkdir()
    for photo in photos:
        PilImage.fromarray(drawn()).save(folder / "gray" / f"{photo.stem}_mask.png")
    (folder / "gray/class_names.txt").write_text("\n".join(VOC_LABELS.names))
    return folder / "gray"


def colour_masks(folder: Path, photos: list[Path]) -> Path:
    pets = LabelSet.from_names(["background", "dog"])
    (folder / "cvat/SegmentationClass").mkdir(parents=True)
    ids = np.where(drawn() == DOG, 1, drawn())
    for photo in photos:
        PilImage.fromarray(pets.palette()[ids]).save(folder / "cvat/SegmentationClass" / f"{photo.stem}.png")
    write_labelmap(folder / "cvat/labelmap.txt", pets)
    return folder / "cvat"


def binary_masks(folder: Path, photos: list[Path]) -> Path:
    for name in ("dog", "cat"):
        (folder / "layers" / name).mkdir(parents=True)
        for photo in photos:
            inside = (drawn() == DOG) & (name == "dog")
            PilImage.fromarray((inside * 255).astype(np.uint8)).save(folder / "layers" / name / f"{photo.stem}.png")
    return folder / "layers"


def labelme_files(folder: Path, photos: list[Path]) -> Path:
    (folder / "labelme").mkdir()
    for photo in photos:
        write_labelme(folder / "labelme" / f"{photo.stem}.json", photo)
    return folder / "labelme"


def coco_file(folder: Path, photos: list[Path]) -> Path:
    return write_coco(folder / "instances.json", photos)


@pytest.mark.parametrize(
    ("write", "void"),
    [
        (palette_masks, True),
        (gray_masks, True),
        (colour_masks, True),
        (binary_masks, False),
        (labelme_files, False),
        (coco_file, False),
    ],
)
def test_every_format_arrives_pixel_by_pixel(
    open_window: MainWindow,
    photos: list[Path],
    tmp_path: Path,
    qtbot: QtBot,
    write: Callable[[Path, list[Path]], Path],
    void: bool,
) -> None:
    window = open_window
    dialog = look(window, write(tmp_path, photos), qtbot)
    assert not dialog.table.undecided()
    assert dialog.summary.text() == "3 photos get labels."
    bring_in(window, dialog, qtbot)
    expected = drawn() if void else np.where(drawn() == VOID, 0, drawn())
    class_map = window.session.current.class_map
    assert np.array_equal(class_map.labels, expected)
    assert np.array_equal(class_map.pinned, expected != VOID)
    assert state(window) == ["in progress"] * 3
    window.session.step(1)
    wait_for_photo(qtbot, window, photos[1])
    assert np.array_equal(window.session.current.class_map.labels, expected)


def test_one_undo_takes_all_of_it_back_and_redo_brings_it_again(
    open_window: MainWindow, photos: list[Path], tmp_path: Path, qtbot: QtBot
) -> None:
    window = open_window
    brush(window)
    before = window.session.current.class_map.labels.copy()
    dialog = look(window, write_coco(tmp_path / "c.json", photos, category="hound"), qtbot)
    assert [row.name for row in dialog.table.undecided()] == ["hound"]
    assert not import_button(dialog).isEnabled()
    qtbot.mouseClick(dialog.add_button, LEFT)
    qtbot.mouseClick(dialog.replace_button, LEFT, pos=QPoint(8, 8))
    assert dialog.summary.text() == "3 photos get labels."
    bring_in(window, dialog, qtbot)
    assert window.session.label_set.names[-1] == "hound"
    assert window.actions_["undo"].text() == "&Undo Import labels of 3 photos"
    hound = len(VOC_LABELS)
    assert (window.session.current.class_map.labels[40:120, 60:200] == hound).all()
    window.actions_["undo"].trigger()
    settle(window, qtbot)
    assert window.session.label_set == VOC_LABELS
    assert np.array_equal(window.session.current.class_map.labels, before)
    assert state(window) == ["in progress", "new", "new"]
    assert window.session.labelled_items() == {window.session.items[0].id}
    window.actions_["undo"].trigger()  # the stroke from before
    assert not window.session.current.class_map.labels.any()
    window.actions_["redo"].trigger()
    window.actions_["redo"].trigger()
    settle(window, qtbot)
    assert (window.session.current.class_map.labels[40:120, 60:200] == hound).all()
    assert state(window) == ["in progress"] * 3


def test_strokes_under_an_import_go_when_it_can_no_longer_be_taken_back(
    open_window: MainWindow, photos: list[Path], tmp_path: Path, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(project_labels, "KEPT_STEPS", 1)
    window = open_window
    brush(window)
    dialog = look(window, write_masks(tmp_path / "masks", photos), qtbot)
    dialog.replace_button.setChecked(True)
    bring_in(window, dialog, qtbot)
    change, _ = with_classes(VOC_LABELS, [LabelClass("hound", (1, 2, 3))])
    window.session.edits.relabel(Relabelling(change.old, change.new, change.table, "Add class hound"))
    settle(window, qtbot)
    window.session.undo()
    settle(window, qtbot)
    assert window.session.edits.undo_name is None
    assert np.array_equal(window.session.current.class_map.labels, drawn())


def test_labels_of_ones_own_are_kept_unless_asked(
    open_window: MainWindow, photos: list[Path], tmp_path: Path, qtbot: QtBot
) -> None:
    window = open_window
    brush(window)
    mine = window.session.current.class_map.labels.copy()
    dialog = look(window, write_masks(tmp_path / "masks", photos[:2]), qtbot)
    assert dialog.summary.text() == "1 photo gets labels. There are none for 1."
    assert dialog.kept_label.text() == "1 has a class map already:"
    bring_in(window, dialog, qtbot)
    assert np.array_equal(window.session.current.class_map.labels, mine)
    assert state(window) == ["in progress", "in progress", "new"]


def test_leaving_a_class_out_keeps_what_is_there_and_is_remembered(
    open_window: MainWindow, photos: list[Path], tmp_path: Path, qtbot: QtBot
) -> None:
    window = open_window
    brush(window)
    mine = window.session.current.class_map.labels.copy()
    dialog = look(window, write_coco(tmp_path / "c.json", photos, category="hound"), qtbot)
    dialog.table.choose([0], SKIP)
    dialog.table.choose([1], DOG)
    dialog.replace_button.setChecked(True)
    bring_in(window, dialog, qtbot)
    expected = mine.copy()
    expected[40:120, 60:200] = DOG
    assert np.array_equal(window.session.current.class_map.labels, expected)
    again = look(window, write_coco(tmp_path / "d.json", photos, category="hound"), qtbot)
    assert again.table.targets() == {0: SKIP, 1: DOG}
    again.reject()


def test_what_cannot_be_used_is_named_with_its_reason(
    open_window: MainWindow, photos: list[Path], tmp_path: Path, qtbot: QtBot
) -> None:
    window = open_window
    folder = write_masks(tmp_path / "masks", photos)
    PilImage.fromarray(drawn()[::2, ::2].copy()).save(folder / f"{photos[1].stem}.png")
    PilImage.new("RGB", (320, 240)).save(folder / f"{photos[2].stem}.png", format="JPEG")
    dialog = look(window, folder, qtbot)
    assert dialog.summary.text() == "1 photo gets labels. 2 cannot be used."
    assert dialog.details.isVisibleTo(dialog)
    text = dialog.details.toPlainText()
    assert "the labels are for 160 x 120 pixels, the photo has 320 x 240" in text
    assert "is a JPEG, which changes class ids" in text
    bring_in(window, dialog, qtbot)
    assert state(window) == ["in progress", "new", "new"]


def test_ids_that_nothing_names_can_be_matched_or_become_classes(
    open_window: MainWindow, photos: list[Path], tmp_path: Path, qtbot: QtBot
) -> None:
    window = open_window
    folder = tmp_path / "gray"
    folder.mkdir()
    labels = drawn()
    labels[:10] = 77
    PilImage.fromarray(labels).save(folder / f"{photos[0].stem}.png")
    dialog = look(window, folder, qtbot)
    assert [row.name for row in dialog.table.undecided()] == ["class 0", f"class {DOG}", "class 77"]
    qtbot.mouseClick(dialog.ids_button, LEFT)
    assert [row.name for row in dialog.table.undecided()] == ["class 77"]
    dialog.table.choose([77], NEW)
    bring_in(window, dialog, qtbot)
    assert window.session.label_set.names[-1] == "class 77"
    expected = np.where(labels == 77, len(VOC_LABELS), labels)
    assert np.array_equal(window.session.current.class_map.labels, expected)


def test_json_masks_and_folders_that_are_no_labels_are_refused_in_a_sentence(
    open_window: MainWindow, photos: list[Path], tmp_path: Path, qtbot: QtBot
) -> None:
    broken = tmp_path / "broken.json"
    broken.write_text('{"images": [')
    assert "is not valid JSON" in look_in_vain(open_window, broken, qtbot)
    jpeg = tmp_path / "jpeg"
    jpeg.mkdir()
    PilImage.new("L", (320, 240)).save(jpeg / f"{photos[0].stem}.jpg")
    assert "is a JPEG, which changes class ids" in look_in_vain(open_window, jpeg, qtbot)
    (tmp_path / "nothing").mkdir()
    assert "no masks and no JSON" in look_in_vain(open_window, tmp_path / "nothing", qtbot)


def test_shapes_over_each_other_are_told_in_the_details(
    open_window: MainWindow, photos: list[Path], tmp_path: Path, qtbot: QtBot
) -> None:
    shapes = [{"label": name, "points": [[0, 0], [9, 9]], "shape_type": "rectangle"} for name in ("dog", "cat")]
    path = write_labelme(tmp_path / "over.json", photos[0], shapes=shapes)
    dialog = look(open_window, path, qtbot)
    assert "100 pixels lie under several shapes" in dialog.details.toPlainText()
    dialog.reject()


def drop(window: MainWindow, paths: list[Path]) -> None:
    mime = QMimeData()
    mime.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
    window.dropEvent(QDropEvent(QPoint(50, 50), Qt.DropAction.CopyAction, mime, LEFT, Qt.KeyboardModifier.NoModifier))


def test_photos_and_their_json_can_be_dropped_together(
    window: MainWindow, photos: list[Path], tmp_path: Path, qtbot: QtBot
) -> None:
    window.settings.set("model/paint_only", True)
    drop(window, [*photos, write_labelme(tmp_path / f"{photos[1].stem}.json", photos[1])])
    qtbot.waitUntil(lambda: window.label_sets.dialog is not None, timeout=10_000)
    dialog = dialog_of(window)
    qtbot.waitUntil(lambda: dialog.found is not None, timeout=10_000)
    assert dialog.summary.text() == "1 photo gets labels. There are none for 2."
    dialog.reject()


def test_a_json_dropped_on_an_empty_window_asks_for_the_photos(
    window: MainWindow, photos: list[Path], tmp_path: Path, qtbot: QtBot
) -> None:
    drop(window, [write_coco(tmp_path / "c.json", photos)])
    told = window.status_area.notices.history
    qtbot.waitUntil(lambda: any("Open the photos first" in notice.text for notice in told), timeout=10_000)
    assert window.label_sets.dialog is None


def test_undoing_a_change_of_classes_meanwhile_ends_the_dialog(
    open_window: MainWindow, photos: list[Path], tmp_path: Path, qtbot: QtBot
) -> None:
    window = open_window
    change, _ = with_classes(VOC_LABELS, [LabelClass("hound", (1, 2, 3))])
    window.session.edits.relabel(Relabelling(change.old, change.new, change.table, "Add class hound"))
    settle(window, qtbot)
    look(window, write_coco(tmp_path / "c.json", photos), qtbot)
    window.session.undo()
    assert window.label_sets.dialog is None
    settle(window, qtbot)
    assert window.session.label_set == VOC_LABELS


def test_stopping_leaves_the_data_set_as_it_was(
    open_window: MainWindow, photos: list[Path], tmp_path: Path, qtbot: QtBot
) -> None:
    window = open_window
    dialog = look(window, write_coco(tmp_path / "c.json", photos, category="hound"), qtbot)
    dialog.add_missing()
    qtbot.mouseClick(import_button(dialog), LEFT)
    dialog.reject()
    assert window.label_sets.dialog is dialog  # it waits until all is as it was
    settle(window, qtbot)
    assert window.session.label_set == VOC_LABELS
    assert state(window) == ["new"] * 3
    assert dialog.isVisible()
    assert import_button(dialog).isEnabled()
    dialog.reject()
    assert window.label_sets.dialog is None


def test_labelme_masks_in_png_are_drawn(
    open_window: MainWindow, photos: list[Path], tmp_path: Path, qtbot: QtBot
) -> None:
    buffer = io.BytesIO()
    PilImage.fromarray(np.ones((10, 20), np.uint8)).save(buffer, "PNG")
    text = base64.b64encode(buffer.getvalue()).decode()
    shape = {"label": "cat", "points": [[5, 6], [24, 15]], "shape_type": "mask", "mask": text}
    dialog = look(open_window, write_labelme(tmp_path / "m.json", photos[0], shapes=[shape]), qtbot)
    bring_in(open_window, dialog, qtbot)
    expected = np.zeros(SHAPE, np.uint8)
    expected[6:16, 5:25] = CAT
    assert np.array_equal(open_window.session.current.class_map.labels, expected)
