from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import QObject, Qt, QUrl, Slot
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import QFileDialog, QMessageBox, QPushButton
from pytestqt.qtbot import QtBot

from deeplab_studio.app.model_library import ModelLibraryDialog
from deeplab_studio.app.model_table import (
    BADGE_ROLE,
    CLASSES,
    ELSEWHERE,
    MODEL,
    ON_VOC,
    SECOND_LINE_ROLE,
    STATE,
    VERSION,
)
from deeplab_studio.checkpoints.catalogue import SUPPORTED_DIALECTS, ModelCard, cards, find_card
from deeplab_studio.checkpoints.digest import Digest
from deeplab_studio.checkpoints.download import Patience
from deeplab_studio.checkpoints.library import ModelLibrary
from deeplab_studio.checkpoints.library_index import ModelFacts
from tests.model_server import CONTENT, SHA256, ModelServer, serving
from tests.starter_kit import write_starters

PATIENCE = Patience(connect=5, read=5, attempts=1, pause=0.01)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModelServer]:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    with serving(ModelServer()) as running:
        yield running


@pytest.fixture
def offered(server: ModelServer) -> list[ModelCard]:
    """The real cards of three models, with the server's files behind them."""
    found = []
    for name, digest in (
        ("torchvision-v3-resnet50", Digest("sha256", SHA256)),
        ("kazuto1011-v2-resnet101-voc", None),
        ("keras-v3plus-xception65", Digest("sha256", SHA256[:8])),
    ):
        card = find_card(name)
        assert card is not None
        found.append(
            dataclasses.replace(
                card, url=server.url(f"/{card.file}"), digest=digest, bytes=len(CONTENT) if digest else None
            )
        )
    return found


@pytest.fixture
def library(tmp_path: Path) -> ModelLibrary:
    shipped = tmp_path / "shipped"
    shipped.mkdir()
    return ModelLibrary(tmp_path / "models", shipped)


@pytest.fixture
def dialog(qtbot: QtBot, library: ModelLibrary, offered: list[ModelCard]) -> Iterator[ModelLibraryDialog]:
    made = ModelLibraryDialog(library, offered=offered, patience=PATIENCE)
    qtbot.addWidget(made)
    with qtbot.waitExposed(made):
        made.show()
    yield made
    made.close()


def cell(dialog: ModelLibraryDialog, row: int, column: int) -> str:
    return str(dialog.view.model().index(row, column).data())


def state(dialog: ModelLibraryDialog, row: int = 0) -> str:
    return cell(dialog, row, STATE)


def click(qtbot: QtBot, button: QPushButton) -> None:
    assert button.isVisible()
    assert button.isEnabled()
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


def shown(dialog: ModelLibraryDialog) -> set[str]:
    return {button.text().replace("&", "") for button in dialog.details.findChildren(QPushButton) if button.isVisible()}


def percent(dialog: ModelLibraryDialog) -> float:
    return dialog.details.progress_bar.value() / 10


def choose(qtbot: QtBot, dialog: ModelLibraryDialog, path: Path) -> str:
    """Pick `path` in the file dialog that is open, and return that dialog's title."""
    chooser = dialog.findChild(QFileDialog)
    assert chooser is not None
    chooser.setOption(QFileDialog.Option.DontUseNativeDialog)
    title = chooser.windowTitle()
    chooser.selectFile(str(path))
    chooser.fileSelected.emit(str(path))
    chooser.done(0)
    return title


# --- What is shown ----------------------------------------------------------------------------------------------------


def test_opening_it_fetches_nothing(dialog: ModelLibraryDialog, server: ModelServer, library: ModelLibrary) -> None:
    assert [cell(dialog, row, VERSION) for row in range(3)] == ["v3", "v2", "v3+"]
    assert state(dialog) == "Not installed"
    assert shown(dialog) == {"Download", "Use a file I already have…"}
    assert server.behaviour.requests == []
    assert not library.folder.exists()


def test_figures_from_coco_and_from_voc_stand_in_different_columns(dialog: ModelLibraryDialog) -> None:
    assert (cell(dialog, 0, ON_VOC), cell(dialog, 0, ELSEWHERE)) == ("–", "66.4 · COCO val2017, VOC classes")
    assert (cell(dialog, 1, ON_VOC), cell(dialog, 1, ELSEWHERE)) == ("76.7 → 77.9", "")


def test_name_hash_and_warning_are_told_before_anything_is_fetched(
    dialog: ModelLibraryDialog, offered: list[ModelCard]
) -> None:
    assert dialog.details.file.text() == offered[0].file
    assert dialog.details.hash.text() == f"sha256 {SHA256}"
    dialog.select(offered[2].id)
    assert "Trained on the VOC validation photos" in dialog.details.notes_text()
    dialog.select(offered[1].id)
    assert dialog.details.hash.text() == "None published"


def test_only_what_can_be_loaded_is_offered_by_default(qtbot: QtBot, library: ModelLibrary) -> None:
    dialog = ModelLibraryDialog(library)
    qtbot.addWidget(dialog)
    assert dialog.view.model().rowCount() == len(cards(SUPPORTED_DIALECTS))


def test_the_filter_finds_backbones_and_publishers(qtbot: QtBot, dialog: ModelLibraryDialog) -> None:
    qtbot.keyClicks(dialog.filter, "kazuto")
    assert dialog.view.model().rowCount() == 1
    dialog.filter.setText("no such model")
    assert dialog.view.model().rowCount() == 0
    assert not dialog.details.isVisible()


def test_the_table_sorts_by_numbers(dialog: ModelLibraryDialog) -> None:
    dialog.view.sortByColumn(ON_VOC, Qt.SortOrder.DescendingOrder)
    assert cell(dialog, 0, ON_VOC) == "76.7 → 77.9"


class Browser(QObject):
    """Takes the place of the web browser."""

    def __init__(self) -> None:
        super().__init__()
        self.opened: list[str] = []

    @Slot(QUrl)
    def open(self, url: QUrl) -> None:
        self.opened.append(url.toString())


def test_the_publishers_page_opens_on_a_click_only(dialog: ModelLibraryDialog, offered: list[ModelCard]) -> None:
    browser = Browser()
    QDesktopServices.setUrlHandler("https", browser, "open")
    try:
        dialog.select(offered[1].id)
        assert browser.opened == []
        dialog.details.source.linkActivated.emit(offered[1].source)
        assert browser.opened == [offered[1].source]
    finally:
        QDesktopServices.unsetUrlHandler("https")


# --- Downloading ------------------------------------------------------------------------------------------------------


def test_a_model_is_downloaded_and_ready(
    qtbot: QtBot, dialog: ModelLibraryDialog, library: ModelLibrary, offered: list[ModelCard]
) -> None:
    with qtbot.waitSignal(dialog.modelReady, timeout=20_000) as ready:
        click(qtbot, dialog.details.download_button)
    path = library.path_for(offered[0])
    assert ready.args == [path]
    assert path.read_bytes() == CONTENT
    assert state(dialog) == "Installed"
    assert shown(dialog) == {"Use this model", "Remove…"}
    assert dialog.disk_use.text().startswith("3.0 MB in ")
    with qtbot.waitSignal(dialog.modelChosen) as chosen:
        click(qtbot, dialog.details.use_button)
    assert chosen.args == [path]
    assert not dialog.isVisible()


def test_pausing_and_resuming(
    qtbot: QtBot, dialog: ModelLibraryDialog, server: ModelServer, library: ModelLibrary, offered: list[ModelCard]
) -> None:
    server.behaviour.stall_after = 1_048_576
    click(qtbot, dialog.details.download_button)
    qtbot.waitUntil(lambda: percent(dialog) > 30, timeout=20_000)
    assert "of 3.0 MB" in dialog.details.progress_text.text()
    assert state(dialog).startswith("Downloading, ")
    click(qtbot, dialog.details.pause_button)
    assert state(dialog) == "Paused"
    assert shown(dialog) == {"Resume", "Cancel", "Use a file I already have…"}
    server.behaviour.stall_after = None
    with qtbot.waitSignal(dialog.modelReady, timeout=20_000):
        click(qtbot, dialog.details.download_button)
    assert library.path_for(offered[0]).read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=1048576-"]


def test_cancelling_deletes_what_has_arrived(
    qtbot: QtBot, dialog: ModelLibraryDialog, server: ModelServer, library: ModelLibrary
) -> None:
    server.behaviour.stall_after = 1_000_000
    click(qtbot, dialog.details.download_button)
    qtbot.waitUntil(lambda: percent(dialog) > 30, timeout=20_000)
    click(qtbot, dialog.details.cancel_button)
    assert state(dialog) == "Not installed"
    qtbot.waitUntil(lambda: library.disk_use() == 0, timeout=20_000)
    assert shown(dialog) == {"Download", "Use a file I already have…"}


def test_cancelling_and_closing_at_once_deletes_it_too(
    qtbot: QtBot, dialog: ModelLibraryDialog, server: ModelServer, library: ModelLibrary
) -> None:
    server.behaviour.stall_after = 1_000_000
    click(qtbot, dialog.details.download_button)
    qtbot.waitUntil(lambda: percent(dialog) > 30, timeout=20_000)
    click(qtbot, dialog.details.cancel_button)
    dialog.close()
    assert library.disk_use() == 0


def test_closing_pauses_and_the_next_window_goes_on(
    qtbot: QtBot, dialog: ModelLibraryDialog, server: ModelServer, library: ModelLibrary, offered: list[ModelCard]
) -> None:
    server.behaviour.stall_after = 1_048_576
    click(qtbot, dialog.details.download_button)
    qtbot.waitUntil(lambda: percent(dialog) > 30, timeout=20_000)
    dialog.close()
    server.behaviour.stall_after = None
    again = ModelLibraryDialog(library, offered=offered, patience=PATIENCE)
    qtbot.addWidget(again)
    again.show()
    assert state(again) == "Paused"
    with qtbot.waitSignal(again.modelReady, timeout=20_000):
        click(qtbot, again.details.download_button)
    again.close()
    assert server.ranges == [None, "bytes=1048576-"]


def test_two_downloads_wait_for_each_other(
    qtbot: QtBot, dialog: ModelLibraryDialog, server: ModelServer, library: ModelLibrary, offered: list[ModelCard]
) -> None:
    server.behaviour.pause = 0.01
    click(qtbot, dialog.details.download_button)
    qtbot.waitUntil(lambda: state(dialog).startswith("Downloading"), timeout=20_000)
    dialog.select(offered[1].id)
    click(qtbot, dialog.details.download_button)
    assert state(dialog, 1) == "Waiting"
    qtbot.waitUntil(lambda: state(dialog, 1) == "Installed", timeout=20_000)
    assert state(dialog, 0) == "Installed"
    assert len(library.installed()) == 2


def test_a_failure_says_what_to_do_and_can_be_tried_again(
    qtbot: QtBot, dialog: ModelLibraryDialog, server: ModelServer, offered: list[ModelCard]
) -> None:
    server.behaviour.content = b"<html>log in</html>"
    click(qtbot, dialog.details.download_button)
    qtbot.waitUntil(lambda: state(dialog) == "Failed", timeout=20_000)
    sentence = dialog.details.problem_text()
    assert sentence.startswith(f"{offered[0].file}: the server sends a web page instead of the file.")
    assert sentence.endswith(f"use that file (sha256 {SHA256}).")
    assert shown(dialog) == {"Try again", "Use a file I already have…"}
    server.behaviour.content = CONTENT
    with qtbot.waitSignal(dialog.modelReady, timeout=20_000):
        click(qtbot, dialog.details.download_button)
    assert dialog.details.problem_text() == ""


def test_the_mirror_is_asked_and_remembered(qtbot: QtBot, dialog: ModelLibraryDialog, server: ModelServer) -> None:
    dialog.mirror.setFocus()
    with qtbot.waitSignal(dialog.mirrorChanged) as changed:
        qtbot.keyClicks(dialog.mirror, server.url("/mirror/{file}"))
        qtbot.keyClick(dialog.mirror, Qt.Key.Key_Tab)
    assert changed.args == [server.url("/mirror/{file}")]
    with qtbot.waitSignal(dialog.modelReady, timeout=20_000):
        click(qtbot, dialog.details.download_button)
    assert [path for path, _ in server.behaviour.requests] == ["/mirror/deeplabv3_resnet50_coco-cd0a2569.pth"]


# --- Own files --------------------------------------------------------------------------------------------------------


def test_an_own_file_is_shown_as_what_it_turned_out_to_be(
    dialog: ModelLibraryDialog, library: ModelLibrary, tmp_path: Path
) -> None:
    path = tmp_path / "epoch-40.pth"
    path.write_bytes(b"weights")
    library.add(path)
    dialog.refresh()
    assert [cell(dialog, 3, column) for column in (VERSION, MODEL, CLASSES)] == ["", "epoch-40.pth", ""]
    library.add(path, facts=ModelFacts("DeepLabv3+ Xception-65 (jfzhang95)", "v3+", 4))
    dialog.refresh()
    texts = [cell(dialog, 3, column) for column in (VERSION, MODEL, CLASSES)]
    assert texts == ["v3+", "DeepLabv3+ Xception-65 (jfzhang95)", "4"]
    assert dialog.view.model().index(3, MODEL).data(SECOND_LINE_ROLE) == str(path)


def test_a_file_i_have_is_compared_and_used(
    qtbot: QtBot, dialog: ModelLibraryDialog, tmp_path: Path, server: ModelServer, offered: list[ModelCard]
) -> None:
    mine = tmp_path / "r50.pth"
    mine.write_bytes(CONTENT)
    click(qtbot, dialog.details.own_button)
    with qtbot.waitSignal(dialog.modelReady, timeout=20_000) as ready:
        title = choose(qtbot, dialog, mine)
    assert title == f"Choose {offered[0].file}, sha256 {SHA256}"
    assert ready.args == [mine]
    assert state(dialog) == "Own file"
    assert server.behaviour.requests == []
    assert mine.read_bytes() == CONTENT


def test_another_file_is_refused_with_both_hashes(qtbot: QtBot, dialog: ModelLibraryDialog, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.pth"
    wrong.write_bytes(b"no model")
    click(qtbot, dialog.details.own_button)
    choose(qtbot, dialog, wrong)
    qtbot.waitUntil(lambda: state(dialog) == "Failed", timeout=20_000)
    assert f"expected was sha256 {SHA256}" in dialog.details.problem_text()


def test_a_model_of_my_own_becomes_a_row(qtbot: QtBot, dialog: ModelLibraryDialog, tmp_path: Path) -> None:
    mine = tmp_path / "plants.pth"
    mine.write_bytes(b"weights")
    click(qtbot, dialog.add_button)
    with qtbot.waitSignal(dialog.modelReady, timeout=20_000):
        choose(qtbot, dialog, mine)
    assert dialog.view.model().rowCount() == 4
    assert state(dialog, 3) == "Own file"
    assert dialog.details.file.text() == "plants.pth"


def test_a_file_put_into_the_folder_is_looked_into(
    qtbot: QtBot, library: ModelLibrary, offered: list[ModelCard]
) -> None:
    library.folder.mkdir()
    library.path_for(offered[1]).write_bytes(b"weights")
    dialog = ModelLibraryDialog(library, offered=[find_card(offered[1].id) or offered[1]])
    qtbot.addWidget(dialog)
    dialog.show()
    qtbot.waitUntil(lambda: library.installed()[0].state == "ready", timeout=20_000)
    qtbot.waitUntil(lambda: dialog.details.hash.text().startswith("sha256 "), timeout=20_000)
    dialog.close()


def test_a_changed_file_is_told_and_can_be_kept(qtbot: QtBot, library: ModelLibrary, tmp_path: Path) -> None:
    mine = tmp_path / "plants.pth"
    mine.write_bytes(b"weights")
    library.add(mine)
    mine.write_bytes(b"other weights")
    dialog = ModelLibraryDialog(library, offered=[])
    qtbot.addWidget(dialog)
    dialog.show()
    qtbot.waitUntil(lambda: state(dialog) == "Changed", timeout=20_000)
    assert "not what is known under its name" in dialog.details.problem_text()
    with qtbot.waitSignal(dialog.modelReady, timeout=20_000):
        click(qtbot, dialog.details.accept_button)
    assert state(dialog) == "Own file"
    dialog.close()


def test_removing_asks_first(
    qtbot: QtBot, dialog: ModelLibraryDialog, library: ModelLibrary, offered: list[ModelCard]
) -> None:
    with qtbot.waitSignal(dialog.modelReady, timeout=20_000):
        click(qtbot, dialog.details.download_button)
    path = library.path_for(offered[0])
    click(qtbot, dialog.details.remove_button)
    box = dialog.findChild(QMessageBox)
    assert box is not None
    assert box.text() == f"Delete {path.name}? This frees 3.0 MB."
    box.button(QMessageBox.StandardButton.Cancel).click()
    assert path.exists()
    qtbot.waitUntil(lambda: dialog.findChild(QMessageBox) is None)
    click(qtbot, dialog.details.remove_button)
    box = dialog.findChild(QMessageBox)
    assert box is not None
    with qtbot.waitSignal(dialog.modelsChanged):
        next(button for button in box.buttons() if "Delete" in button.text()).click()
    assert not path.exists()
    assert state(dialog) == "Not installed"


def test_a_damaged_list_of_models_is_told(qtbot: QtBot, library: ModelLibrary, offered: list[ModelCard]) -> None:
    library.folder.mkdir()
    (library.folder / "index.json").write_text("{")
    dialog = ModelLibraryDialog(library, offered=offered)
    qtbot.addWidget(dialog)
    box = dialog.findChild(QMessageBox)
    assert box is not None
    assert "could not be understood" in box.text()
    box.close()


# --- Starter models ---------------------------------------------------------------------------------------------------


@pytest.fixture
def with_starters(qtbot: QtBot, library: ModelLibrary, offered: list[ModelCard]) -> Iterator[ModelLibraryDialog]:
    assert library.shipped is not None
    write_starters(library.shipped, ("v2", "v3+"))
    made = ModelLibraryDialog(library, offered=offered, patience=PATIENCE)
    qtbot.addWidget(made)
    with qtbot.waitExposed(made):
        made.show()
    qtbot.waitUntil(lambda: all(model.state == "ready" for model in library.installed()))
    yield made
    made.close()


def test_starters_come_first_and_say_what_they_know(with_starters: ModelLibraryDialog) -> None:
    dialog = with_starters
    assert [cell(dialog, row, MODEL) for row in range(2)] == ["Starter v2", "Starter v3+"]
    index = dialog.view.model().index(0, MODEL)
    assert index.data(BADGE_ROLE) == "starter"
    assert index.data(SECOND_LINE_ROLE) == "knows cat, dog, person"
    assert dialog.view.model().index(2, MODEL).data(BADGE_ROLE) is None
    assert (cell(dialog, 0, CLASSES), cell(dialog, 0, STATE)) == ("21, knows 4", "Built in")
    assert cell(dialog, 0, ELSEWHERE) == "50.0 · 4 VOC classes"
    assert "Hardly knows aeroplane, bicycle" in index.data(Qt.ItemDataRole.ToolTipRole)
    assert "The v2 head on a compact encoder." in dialog.details.notes_text()
    assert dialog.details.licence.text() == "MIT"
    assert shown(dialog) == {"Use this model", "Full v2 models"}


def test_a_starter_leads_to_the_full_models_of_its_version(qtbot: QtBot, with_starters: ModelLibraryDialog) -> None:
    dialog = with_starters
    dialog.filter.setText("starter")
    dialog.view.selectRow(1)
    assert dialog.details.full_button.text() == "&Full v3+ models"
    click(qtbot, dialog.details.full_button)
    current = dialog.view.currentIndex()
    assert dialog.view.model().index(current.row(), VERSION).data() == "v3+"
    assert "Download" in shown(dialog)


def test_a_damaged_starter_asks_for_the_program_to_be_installed_again(
    qtbot: QtBot, library: ModelLibrary, offered: list[ModelCard]
) -> None:
    assert library.shipped is not None
    (card,) = write_starters(library.shipped, ("v2",))
    card.path.write_bytes(card.path.read_bytes()[:-1])
    made = ModelLibraryDialog(library, offered=offered, patience=PATIENCE)
    qtbot.addWidget(made)
    with qtbot.waitExposed(made):
        made.show()
    made.select(str(card.path))
    assert "Install the program again" in made.details.problem_text()
    assert shown(made) == {"Full v2 models"}
    made.close()
