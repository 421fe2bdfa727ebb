"""View panel, model bar, empty state and status area: what is pressed is told, what is set is shown."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtWidgets import QApplication, QMenu, QWidget

from deeplab_studio.app.panels.controls import ElidedLabel, Switch
from deeplab_studio.app.panels.empty_state import RECENT_SHOWN, EmptyState
from deeplab_studio.app.panels.model_bar import DeviceEntry, ModelBar, ModelEntry
from deeplab_studio.app.panels.status import ClassScore, StatusArea, gigabytes
from deeplab_studio.app.panels.view import DEFAULT_OPACITY, NEUTRAL, ViewPanel

LEFT = Qt.MouseButton.LeftButton


class TestViewPanel:
    @pytest.fixture
    def panel(self, qtbot):
        panel = ViewPanel()
        qtbot.addWidget(panel)
        panel.resize(280, 320)
        panel.show()
        panel.tones = []
        panel.toneChanged.connect(lambda *tone: panel.tones.append(tone))
        return panel

    def test_the_opacity_slider_tells_a_share(self, panel, qtbot):
        with qtbot.waitSignal(panel.opacityChanged) as changed:
            slider = panel.opacity.slider
            qtbot.mouseClick(slider, LEFT, pos=QPoint(slider.width() - 2, slider.height() // 2))
        assert changed.args == [1.0]
        assert panel.opacity.box.text() == "100 %"

    def test_a_typed_per_cent_is_a_share(self, panel, qtbot):
        panel.opacity.box.selectAll()
        qtbot.keyClicks(panel.opacity.box, "35")
        with qtbot.waitSignal(panel.opacityChanged) as changed:
            qtbot.keyClick(panel.opacity.box, Qt.Key.Key_Return)
        assert changed.args == [0.35]

    def test_fill_or_outlines(self, panel, qtbot):
        with qtbot.waitSignal(panel.outlinesChanged) as changed:
            qtbot.mouseClick(panel.outline_button, LEFT)
        assert changed.args == [True]
        with qtbot.waitSignal(panel.outlinesChanged) as changed:
            qtbot.mouseClick(panel.fill_button, LEFT)
        assert changed.args == [False]

    def test_check_boxes_tell(self, panel, qtbot):
        with qtbot.waitSignal(panel.pinsChanged) as pins:
            qtbot.mouseClick(panel.pins_box, LEFT, pos=QPoint(6, panel.pins_box.height() // 2))
        with qtbot.waitSignal(panel.labelsVisibleChanged) as labels:
            qtbot.mouseClick(panel.labels_box, LEFT, pos=QPoint(6, panel.labels_box.height() // 2))
        assert (pins.args, labels.args) == ([True], [False])

    def test_the_tone_is_told_whole(self, panel, qtbot):
        panel.brightness.slider.setFocus()
        qtbot.keyClick(panel.brightness.slider, Qt.Key.Key_Right)
        qtbot.keyClick(panel.gamma.slider, Qt.Key.Key_Left)
        assert panel.tones[0][0] > 0
        assert panel.tones[0][1:] == (0.0, 1.0)
        assert panel.tones[-1][2] < 1

    def test_reset_is_offered_for_another_tone_and_goes_back_to_neutral(self, panel, qtbot):
        assert not panel.reset_button.isEnabled()
        panel.set_tone(0.2, -0.1, 2)
        assert panel.tones == []
        qtbot.mouseClick(panel.reset_button, LEFT)
        assert panel.tones == [NEUTRAL]
        assert not panel.reset_button.isEnabled()

    def test_a_double_click_on_a_name_resets_that_one(self, panel, qtbot):
        panel.set_tone(0.2, -0.1, 2)
        qtbot.mouseDClick(panel.contrast.label, LEFT)
        assert panel.tones == [(0.2, 0.0, 2.0)]
        panel.set_opacity(0.1)
        with qtbot.waitSignal(panel.opacityChanged) as changed:
            qtbot.mouseDClick(panel.opacity.label, LEFT)
        assert changed.args == [DEFAULT_OPACITY]

    def test_setters_tell_nobody(self, panel, qtbot):
        signals = [panel.opacityChanged, panel.outlinesChanged, panel.pinsChanged, panel.labelsVisibleChanged]
        heard = []
        for signal in signals:
            signal.connect(heard.append)
        panel.set_opacity(0.2)
        panel.set_outlines(True)
        panel.set_pins(True)
        panel.set_labels_visible(False)
        panel.set_tone(0.5, 0.5, 3)
        assert heard == panel.tones == []
        assert panel.outline_button.isChecked()
        assert not panel.fill_button.isChecked()
        assert panel.tone == (0.5, 0.5, 3)


class TestModelBar:
    MODELS = (
        ModelEntry("a", "DeepLabv3 MobileNetV2", "v3", "21 classes"),
        ModelEntry("b", "DeepLabv3+ Xception-65", "v3+"),
    )

    @pytest.fixture
    def bar(self, qtbot):
        bar = ModelBar()
        qtbot.addWidget(bar)
        bar.resize(1000, 34)
        bar.show()
        return bar

    def test_without_a_model_it_says_so_and_cannot_predict(self, bar):
        assert bar.current_model is None
        assert bar.model_box.placeholderText() == "No model"
        assert not bar.model_box.isEnabled()
        assert not bar.predict_button.isEnabled()
        assert bar.predict_button.toolTip()

    def test_a_chosen_model_is_told_and_a_set_one_is_not(self, bar, qtbot):
        bar.set_models(self.MODELS)
        with qtbot.assertNotEmitted(bar.modelChosen):
            bar.set_model("a")
        bar.model_box.setFocus()
        with qtbot.waitSignal(bar.modelChosen) as chosen:
            qtbot.keyClick(bar.model_box, Qt.Key.Key_Down)
        assert chosen.args == ["b"]
        assert bar.current_model == "b"

    def test_the_version_is_a_badge_and_part_of_what_is_read_aloud(self, bar):
        bar.set_models(self.MODELS)
        first, second = (bar.model_box.itemIcon(row).pixmap(30, 16).toImage() for row in (0, 1))
        assert first != second
        assert bar.model_box.itemData(1, Qt.ItemDataRole.AccessibleTextRole) == "DeepLabv3+ Xception-65, v3+"

    def test_the_choice_stays_when_models_are_added(self, bar):
        bar.set_models(self.MODELS[:1])
        bar.set_model("a")
        bar.set_models(reversed(self.MODELS))
        assert bar.current_model == "a"

    def test_devices_this_machine_lacks_are_greyed_and_say_why(self, bar, qtbot):
        reason = "No NVIDIA driver was found"
        bar.set_devices(
            [DeviceEntry("auto", "Auto"), DeviceEntry("cuda:0", "CUDA", False, reason), DeviceEntry("cpu", "CPU")]
        )
        assert not bar.device_box.model().item(1).isEnabled()
        assert bar.device_box.itemData(1, Qt.ItemDataRole.ToolTipRole) == reason
        bar.device_box.setFocus()
        with qtbot.waitSignal(bar.deviceChosen) as chosen:
            qtbot.keyClick(bar.device_box, Qt.Key.Key_Down)
        assert chosen.args == ["cpu"]

    @pytest.mark.parametrize(
        ("button", "signal"),
        [
            ("open_button", "openModelRequested"),
            ("get_button", "getModelsRequested"),
            ("predict_button", "predictRequested"),
            ("automatic_button", "automaticToggled"),
        ],
    )
    def test_buttons_tell(self, bar, qtbot, button, signal):
        bar.set_ready(True)
        with qtbot.waitSignal(getattr(bar, signal)):
            qtbot.mouseClick(getattr(bar, button), LEFT)

    def test_progress_can_be_stopped_and_leaves_no_hole_when_it_is_over(self, bar, qtbot):
        before = bar.predict_button.geometry()
        bar.set_progress("Predicting, tile 3 of 12", 0.25)
        assert bar.job.isVisible()
        assert bar.job.bar.value() == 250
        with qtbot.waitSignal(bar.cancelRequested):
            qtbot.mouseClick(bar.job.cancel_button, LEFT)
        bar.set_progress("Loading the model")
        assert bar.job.bar.maximum() == 0
        bar.set_progress("")
        assert not bar.job.isVisible()
        assert bar.predict_button.geometry() == before


class TestEmptyState:
    @pytest.fixture
    def ground(self, qtbot):
        ground = QWidget()
        qtbot.addWidget(ground)
        ground.resize(800, 500)
        ground.state = EmptyState(ground)
        ground.show()
        return ground

    def test_it_is_hidden_until_there_is_something_to_say(self, ground):
        assert not ground.state.isVisible()

    def test_without_an_image_it_fills_the_canvas_and_follows_it(self, ground):
        ground.state.set_mode("image")
        assert ground.state.geometry() == ground.rect()
        ground.resize(600, 400)
        assert ground.state.geometry() == ground.rect()

    def test_without_a_model_it_is_a_card_in_the_middle(self, ground):
        ground.state.set_mode("model")
        assert ground.rect().contains(ground.state.geometry())
        assert ground.state.width() < ground.width()
        assert (ground.state.geometry().center() - ground.rect().center()).manhattanLength() <= 2

    @pytest.mark.parametrize(
        ("mode", "button", "signal"),
        [
            ("image", "open_images_button", "openImagesRequested"),
            ("image", "open_folder_button", "openFolderRequested"),
            ("model", "get_models_button", "getModelsRequested"),
            ("model", "open_model_button", "openModelRequested"),
            ("model", "paint_button", "paintRequested"),
        ],
    )
    def test_buttons_tell(self, ground, qtbot, mode, button, signal):
        ground.state.set_mode(mode)
        with qtbot.waitSignal(getattr(ground.state, signal)):
            qtbot.mouseClick(getattr(ground.state, button), LEFT)

    def test_just_painting_takes_the_card_away(self, ground, qtbot):
        ground.state.set_mode("model")
        qtbot.mouseClick(ground.state.paint_button, LEFT)
        assert ground.state.mode is None
        assert not ground.state.isVisible()

    def test_recent_things_can_be_opened_again(self, ground, qtbot):
        paths = [Path(f"/data/긴 폴더 이름/{'x' * 120}/{n}") for n in range(9)]
        ground.state.set_recent(paths)
        ground.state.set_mode("image")
        assert len(ground.state.recent_buttons) == RECENT_SHOWN
        assert ground.state.recent_buttons[1].toolTip() == str(paths[1])
        with qtbot.waitSignal(ground.state.recentRequested) as asked:
            qtbot.mouseClick(ground.state.recent_buttons[1], LEFT)
        assert asked.args == [paths[1]]
        ground.state.set_recent(paths[:1])
        assert len(ground.state.recent_buttons) == 1

    def test_what_is_dragged_over_it_is_shown(self, ground):
        ground.state.set_mode("image")
        before = ground.state.grab().toImage()
        ground.state.set_dropping(True)
        assert ground.state.grab().toImage() != before


class TestStatusArea:
    @pytest.fixture
    def area(self, qtbot):
        area = StatusArea()
        qtbot.addWidget(area)
        area.resize(1200, 26)
        area.show()
        return area

    def test_a_message_goes_by_itself(self, area):
        area.show_notice("Opened 12 images")
        assert area.notices.label.text() == "Opened 12 images"
        assert area.notices._timer.isActive()
        area.notices._timer.timeout.emit()
        assert area.notices.current is None

    def test_an_error_stays_and_no_lesser_message_takes_its_place(self, area, qtbot):
        area.show_notice("Opened 12 images")
        area.show_notice("a.jpg: the file is empty. Copy it again.", "error")
        area.show_notice("Predicted", "info")
        assert area.notices.label.text() == "a.jpg: the file is empty. Copy it again."
        assert not area.notices._timer.isActive()
        area.show_notice("b.jpg: the file is empty. Copy it again.", "error")
        assert area.notices.more_label.text() == "+1"
        qtbot.mouseClick(area.notices.close_button, LEFT)
        assert area.notices.label.text() == "b.jpg: the file is empty. Copy it again."
        qtbot.mouseClick(area.notices.close_button, LEFT)
        assert area.notices.current is None

    def test_the_same_error_twice_is_one(self, area):
        for _ in range(3):
            area.show_notice("a.jpg: the file is empty.", "error")
        assert not area.notices.more_label.isVisible()

    def test_a_long_message_is_whole_in_its_tooltip_and_pushes_nothing_out(self, area):
        text = "길고 긴 파일 이름.tiff: " + "it cannot be read because of many reasons, " * 20
        area.show_notice(text, "error")
        assert area.notices.label.toolTip() == text
        assert area.minimumSizeHint().width() <= 1200

    def test_messages_so_far_are_kept(self, area):
        area.show_notice("one")
        area.show_notice("two & three", "warning")
        texts = [action.text() for action in area.history_menu().actions()]
        assert texts[0].endswith("one")
        assert texts[1].endswith("two && three")

    def test_work_under_way_can_be_stopped(self, area, qtbot):
        area.set_job("Exporting", 0.5)
        with qtbot.waitSignal(area.cancelRequested):
            qtbot.mouseClick(area.job.cancel_button, LEFT)
        area.set_job("")
        assert not area.job.isVisible()

    def test_what_is_under_the_cursor_is_shown_and_goes_with_it(self, area):
        area.set_position(1204, 77)
        area.set_class("person", (192, 128, 128), pinned=True)
        area.set_scores([ClassScore(f"class {n}", (n, 0, 0), 1 / (n + 2)) for n in range(5)])
        assert area.position_label.text() == "x 1204  y 77"
        assert area.class_cell.accessibleDescription() == "person"
        assert area.class_cell._pin.isVisible()
        assert area.scores.accessibleDescription() == "class 0 50 %, class 1 33 %, class 2 25 %"
        area.set_position(-1, -1)
        assert area.position_label.text() == ""
        assert area.class_cell.accessibleDescription() == ""
        assert area.scores.accessibleDescription() == ""

    def test_nothing_moves_while_the_cursor_does(self, area):
        area.set_position(1, 1)
        area.set_class("cat")
        before = [child.geometry() for child in (area.scores, area.class_cell, area.zoom_button, area.device_label)]
        area.set_position(10_000, 20_000)
        area.set_class("a class with a rather long name")
        area.set_scores([ClassScore("diningtable", (1, 2, 3), 0.99)])
        QApplication.processEvents()
        after = [child.geometry() for child in (area.scores, area.class_cell, area.zoom_button, area.device_label)]
        assert after == before

    @pytest.mark.parametrize(("scale", "text"), [(1, "100 %"), (0.067, "6.7 %"), (0.333, "33 %"), (16, "1600 %")])
    def test_the_zoom_is_shown(self, area, scale, text):
        area.set_zoom(scale)
        assert area.zoom_button.text() == text

    def test_a_zoom_can_be_chosen(self, area, qtbot):
        menu: QMenu = area.zoom_button.menu()
        asked = []
        area.zoomRequested.connect(asked.append)
        for action in menu.actions():
            action.trigger()
        assert asked == [0.0, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0]

    def test_the_device_and_its_memory_are_always_told(self, area):
        area.set_device("CUDA", (3 << 30, 140 << 30), "NVIDIA H200")
        assert area.device_label.text() == "CUDA  3.0 GB of 140 GB"
        assert "NVIDIA H200" in area.device_label.toolTip()
        area.set_device("CPU")
        assert area.device_label.text() == "CPU"

    @pytest.mark.parametrize(("count", "text"), [(0, "0.0 GB"), (1 << 30, "1.0 GB"), (150 << 30, "150 GB")])
    def test_memory_is_told_in_gigabytes(self, count, text):
        assert gigabytes(count) == text


class TestControls:
    def test_a_switch_is_switched_by_pointer_and_space(self, qtbot):
        switch = Switch("CRF")
        qtbot.addWidget(switch)
        switch.show()
        qtbot.mouseClick(switch, LEFT, pos=QPoint(switch.width() - 3, switch.height() // 2))
        assert switch.isChecked()
        on = switch.grab().toImage()
        qtbot.keyClick(switch, Qt.Key.Key_Space)
        assert not switch.isChecked()
        assert switch.grab().toImage() != on

    def test_an_elided_label_never_asks_for_more_room(self, qtbot):
        label = ElidedLabel("short")
        qtbot.addWidget(label)
        before = label.minimumSizeHint()
        label.setText("a very long text " * 20)
        assert label.minimumSizeHint() == before
