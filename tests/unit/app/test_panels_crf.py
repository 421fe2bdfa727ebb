"""The CRF panel: what moves is heard while it moves and once more when it rests."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QWheelEvent
from PySide6.QtWidgets import QApplication, QScrollArea, QWidget

from deeplab_studio.app.panels.controls import NumberRow
from deeplab_studio.app.panels.crf import CrfPanel
from deeplab_studio.app.panels.pace import Pace
from deeplab_studio.crf.params import SIGMA_MIN, CrfParams
from deeplab_studio.crf.presets import PRESETS

FIELDS = {
    "appearance_weight": 7.5,
    "appearance_position_sigma": 121.25,
    "appearance_colour_sigma": 5.5,
    "smoothness_weight": 2.25,
    "smoothness_sigma": 3.75,
    "iterations": 4,
}


@pytest.fixture
def panel(qtbot):
    panel = CrfPanel()
    qtbot.addWidget(panel)
    panel.set_presets(PRESETS)
    panel.set_params(PRESETS[0].params)
    panel.resize(300, 460)
    panel.show()
    panel.told = []
    panel.paramsChanging.connect(lambda params: panel.told.append(("changing", params)))
    panel.paramsSettled.connect(lambda params: panel.told.append(("settled", params)))
    return panel


def kinds(panel) -> list[str]:
    return [kind for kind, _ in panel.told]


def wheel(widget: QWidget, notches: int) -> None:
    place = QPointF(widget.rect().center())
    event = QWheelEvent(
        place,
        widget.mapToGlobal(place),
        QPoint(),
        QPoint(0, 120 * notches),
        Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier,
        Qt.ScrollPhase.NoScrollPhase,
        False,
    )
    QApplication.sendEvent(widget, event)


def type_number(qtbot, box, text: str, end=Qt.Key.Key_Return) -> None:
    box.setFocus()
    box.selectAll()
    qtbot.keyClicks(box, text)
    if end is not None:
        qtbot.keyClick(box, end)


class TestPace:
    def test_the_first_value_passes_at_once_and_the_last_one_settles(self, qtbot):
        pace = Pace(interval=40, rest=80)
        heard = []
        pace.changing.connect(lambda value: heard.append(("changing", value)))
        pace.settled.connect(lambda value: heard.append(("settled", value)))
        with qtbot.waitSignal(pace.settled):
            for value in range(10):
                pace.push(value)
            assert heard == [("changing", 0)]
        assert heard == [("changing", 0), ("changing", 9), ("settled", 9)]

    def test_settling_overtakes_what_waits_and_happens_once(self, qtbot):
        pace = Pace(interval=1000, rest=1000)
        heard = []
        pace.changing.connect(lambda value: heard.append(("changing", value)))
        pace.settled.connect(lambda value: heard.append(("settled", value)))
        pace.push(1)
        pace.push(2)
        pace.settle()
        pace.settle()
        assert heard == [("changing", 1), ("settled", 2)]

    def test_nothing_is_told_after_drop(self, qtbot):
        pace = Pace(interval=5, rest=10)
        heard = []
        pace.changing.connect(heard.append)
        pace.settled.connect(heard.append)
        pace.push(1)
        pace.push(2)
        pace.drop()
        qtbot.wait(40)
        assert heard == [1]


class TestTyping:
    @pytest.mark.parametrize("field", FIELDS)
    def test_a_typed_number_counts_with_enter_and_is_settled_at_once(self, panel, qtbot, field):
        type_number(qtbot, panel._rows[field].box, str(FIELDS[field]))
        assert panel.told[-1] == ("settled", panel.params)
        assert getattr(panel.params, field) == FIELDS[field]
        assert type(getattr(panel.params, field)) is type(getattr(CrfParams(), field))

    def test_half_a_number_is_not_heard(self, panel, qtbot):
        type_number(qtbot, panel._rows["appearance_position_sigma"].box, "12", end=None)
        assert panel.told == []
        qtbot.keyClick(panel._rows["appearance_position_sigma"].box, Qt.Key.Key_Tab)
        assert panel.told[-1][0] == "settled"
        assert panel.params.appearance_position_sigma == 12

    def test_numbers_beyond_the_slider_can_be_typed(self, panel, qtbot):
        row = panel._rows["appearance_position_sigma"]
        type_number(qtbot, row.box, "750")
        assert panel.params.appearance_position_sigma == 750
        assert row.slider.value() == row.slider.maximum()

    def test_a_number_no_crf_can_have_is_brought_back_into_range(self, panel, qtbot):
        type_number(qtbot, panel._rows["smoothness_sigma"].box, "0.01")
        assert panel.params.smoothness_sigma >= SIGMA_MIN

    def test_enter_without_a_change_tells_nothing(self, panel, qtbot):
        box = panel._rows["appearance_weight"].box
        box.setFocus()
        qtbot.keyClick(box, Qt.Key.Key_Return)
        assert panel.told == []

    def test_values_have_no_needless_digits(self, panel):
        panel.set_params(CrfParams(4, 67, 3.25, 3, 1))
        assert panel._rows["appearance_weight"].box.text() == "4"
        assert panel._rows["appearance_position_sigma"].box.text() == "67 px"
        assert panel._rows["appearance_colour_sigma"].box.text() == "3.25"

    def test_what_is_not_touched_keeps_all_its_digits(self, panel, qtbot):
        panel.set_params(CrfParams(appearance_weight=3.14159))
        type_number(qtbot, panel._rows["iterations"].box, "7")
        assert panel.params == CrfParams(appearance_weight=3.14159, iterations=7)


class TestSlider:
    def test_a_drag_is_heard_on_the_way_and_settled_on_release(self, panel, qtbot):
        row = panel._rows["appearance_position_sigma"]
        slider = row.slider
        middle = slider.height() // 2
        qtbot.mousePress(slider, Qt.MouseButton.LeftButton, pos=QPoint(10, middle))
        with qtbot.waitSignal(panel.paramsChanging):
            for x in range(12, slider.width() - 8, 8):
                qtbot.mouseMove(slider, QPoint(x, middle))
        qtbot.mouseRelease(slider, Qt.MouseButton.LeftButton, pos=QPoint(slider.width() - 8, middle))
        assert panel.told[-1] == ("settled", panel.params)
        assert "changing" in kinds(panel)
        assert panel.params.appearance_position_sigma > 60
        assert row.box.value() == pytest.approx(panel.params.appearance_position_sigma)

    def test_a_click_on_the_groove_goes_there(self, panel, qtbot):
        slider = panel._rows["appearance_weight"].slider
        place = QPoint(slider.width() * 3 // 4, slider.height() // 2)
        qtbot.mouseClick(slider, Qt.MouseButton.LeftButton, pos=place)
        assert panel.params.appearance_weight == pytest.approx(15 * 3 / 4, abs=1)
        assert panel.told[-1][0] == "settled"

    def test_wheel_steps_are_heard_and_settle_when_they_stop(self, panel, qtbot):
        slider = panel._rows["iterations"].slider
        slider.setFocus()
        before = panel.params.iterations
        with qtbot.waitSignal(panel.paramsSettled):
            wheel(slider, 1)
            wheel(slider, 1)
            assert kinds(panel) == ["changing"]
        assert panel.told[-1] == ("settled", panel.params)
        assert panel.params.iterations > before

    def test_arrow_keys_settle_when_they_stop(self, panel, qtbot):
        slider = panel._rows["smoothness_sigma"].slider
        slider.setFocus()
        with qtbot.waitSignal(panel.paramsSettled) as settled:
            qtbot.keyClick(slider, Qt.Key.Key_Right)
            qtbot.keyClick(slider, Qt.Key.Key_Right)
        assert settled.args == [panel.params]
        assert panel.params.smoothness_sigma > PRESETS[0].params.smoothness_sigma

    def test_spin_buttons_and_the_wheel_over_the_number_step(self, panel, qtbot):
        box = panel._rows["appearance_weight"].box
        box.setFocus()
        with qtbot.waitSignal(panel.paramsSettled):
            wheel(box, 1)
        stepped = panel.params.appearance_weight
        assert stepped > 4
        with qtbot.waitSignal(panel.paramsSettled):
            qtbot.keyClick(box, Qt.Key.Key_Down)
        assert panel.params.appearance_weight < stepped

    def test_every_change_is_followed_by_one_settled(self, panel, qtbot):
        slider = panel._rows["appearance_weight"].slider
        slider.setFocus()
        for _ in range(3):
            with qtbot.waitSignal(panel.paramsSettled):
                qtbot.keyClick(slider, Qt.Key.Key_Right)
        assert kinds(panel).count("settled") == 3
        assert kinds(panel)[-1] == "settled"

    def test_sigmas_move_by_factors(self, qtbot):
        parent = QWidget()
        qtbot.addWidget(parent)
        row = NumberRow("σ", 1, 100, log=True, parent=parent)
        row.set_value(10)
        assert row.slider.value() == (row.slider.minimum() + row.slider.maximum()) // 2

    @pytest.mark.parametrize("value", [1, 3, 10.5, 67, 121, 200])
    def test_slider_and_number_agree(self, panel, value):
        row = panel._rows["appearance_position_sigma"]
        row.set_value(value)
        position = row.slider.value()
        row.set_value(1)
        row.slider.setValue(position)
        assert row.value == pytest.approx(value, rel=0.01)

    def test_in_a_scroll_area_the_wheel_scrolls_until_the_control_has_the_focus(self, qtbot):
        area, panel, heard = QScrollArea(), CrfPanel(), []
        qtbot.addWidget(area)
        panel.paramsChanging.connect(heard.append)
        panel.setFixedHeight(3000)
        area.setWidget(panel)
        area.resize(300, 200)
        area.show()
        area.activateWindow()
        row = panel._rows["appearance_weight"]
        area.setFocus()
        qtbot.waitUntil(area.hasFocus)
        for part in (row.slider, row.box):
            wheel(part, 1)
        assert heard == []
        row.slider.setFocus()
        wheel(row.slider, 1)
        assert len(heard) == 1


class TestPresets:
    def choose(self, qtbot, panel, index):
        panel.preset_box.setFocus()
        while panel.preset_box.currentIndex() != index:
            key = Qt.Key.Key_Down if panel.preset_box.currentIndex() < index else Qt.Key.Key_Up
            qtbot.keyClick(panel.preset_box, key)

    def test_choosing_one_sets_everything_and_is_settled(self, panel, qtbot):
        self.choose(qtbot, panel, 1)
        assert panel.params == PRESETS[1].params
        assert panel.told[-1] == ("settled", PRESETS[1].params)

    def test_the_source_is_in_the_tooltip(self, panel):
        for index, preset in enumerate(PRESETS):
            assert preset.source in panel.preset_box.itemData(index, Qt.ItemDataRole.ToolTipRole)
        assert PRESETS[0].source in panel.preset_box.toolTip()

    def test_a_change_makes_it_custom_and_changing_back_names_it_again(self, panel, qtbot):
        type_number(qtbot, panel._rows["iterations"].box, "9")
        assert panel.preset_box.currentText() == "Custom"
        type_number(qtbot, panel._rows["iterations"].box, str(PRESETS[0].params.iterations))
        assert panel.preset_box.currentText() == PRESETS[0].name

    def test_custom_values_come_back(self, panel, qtbot):
        type_number(qtbot, panel._rows["iterations"].box, "9")
        custom = panel.params
        panel.preset_box.setCurrentIndex(2)
        panel.preset_box.activated.emit(2)
        assert panel.params == PRESETS[2].params
        panel.preset_box.setCurrentIndex(len(PRESETS))
        panel.preset_box.activated.emit(len(PRESETS))
        assert panel.params == custom

    def test_reset_goes_back_to_the_first(self, panel, qtbot):
        panel.set_params(PRESETS[3].params)
        qtbot.mouseClick(panel.reset_button, Qt.MouseButton.LeftButton)
        assert panel.params == PRESETS[0].params
        assert panel.told[-1] == ("settled", PRESETS[0].params)

    def test_a_double_click_on_a_name_resets_that_one(self, panel, qtbot):
        panel.set_params(CrfParams(9, 50, 10, 9, 9, 9))
        qtbot.mouseDClick(panel._rows["smoothness_sigma"].label, Qt.MouseButton.LeftButton)
        assert panel.params == CrfParams(9, 50, 10, 9, PRESETS[0].params.smoothness_sigma, 9)

    def test_the_normalisation_is_a_parameter(self, panel, qtbot):
        panel.set_params(CrfParams(normalization="symmetric"))
        panel.normalization_box.setFocus()
        qtbot.keyClick(panel.normalization_box, Qt.Key.Key_Down)
        assert panel.params == CrfParams(normalization="after")
        assert panel.told[-1] == ("settled", panel.params)


class TestState:
    def test_set_params_shows_exactly_and_tells_nobody(self, panel, qtbot):
        params = CrfParams(3.14159, 700.5, 2.71828, 0, 0.5, 100, "after")
        panel.set_params(params)
        qtbot.wait(200)
        assert panel.params == params
        assert panel.told == []

    def test_set_params_forgets_a_change_that_was_not_told(self, panel, qtbot):
        slider = panel._rows["appearance_weight"].slider
        slider.setFocus()
        qtbot.keyClick(slider, Qt.Key.Key_Right)
        panel.told.clear()
        panel.set_params(PRESETS[1].params)
        qtbot.wait(200)
        assert panel.told == []

    def test_the_switch_tells_and_greys_the_parameters(self, panel, qtbot):
        with qtbot.waitSignal(panel.toggled) as toggled:
            qtbot.mouseClick(panel.switch, Qt.MouseButton.LeftButton)
        assert toggled.args == [False]
        assert not panel._rows["iterations"].box.isEnabled()
        with qtbot.assertNotEmitted(panel.toggled):
            panel.set_on(True)
        assert panel.is_on()
        assert panel._rows["iterations"].box.isEnabled()

    def test_without_scores_it_says_why(self, panel):
        panel.set_available(False, "There is no prediction to refine")
        assert not panel.switch.isEnabled()
        assert panel._status.text() == "There is no prediction to refine"
        panel.set_available(True)
        panel.set_status("Exact, 38 ms", "exact")
        assert panel.switch.isEnabled()
        assert panel._status.text() == "Exact, 38 ms"

    def test_every_parameter_explains_itself_and_has_a_name_to_read_aloud(self, panel):
        for row in panel._rows.values():
            assert len(row.label.toolTip()) > 40
            assert row.slider.accessibleName() == row.box.accessibleName() == row.label.text()

    def test_long_texts_do_not_widen_the_panel(self, panel):
        before = panel.minimumSizeHint().width()
        panel.set_status("정확한 결과를 계산하는 중입니다. 잠시만 기다려 주세요. " * 4, "waiting")
        assert panel.minimumSizeHint().width() == before
        assert before <= 320
