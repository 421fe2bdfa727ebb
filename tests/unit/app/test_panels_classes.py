"""The list of classes: active, hidden, alone, protected, and what may be painted over."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtWidgets import QMenu

from deeplab_studio.app.panels.class_rows import Part, share_text
from deeplab_studio.app.panels.classes import CHOSEN, EVERYTHING, UNLABELLED, ClassesPanel
from deeplab_studio.core.labels import VOC_LABELS, VOID, LabelSet

EVERY = frozenset(range(256))


@pytest.fixture
def panel(qtbot):
    panel = ClassesPanel()
    qtbot.addWidget(panel)
    panel.set_label_set(VOC_LABELS)
    panel.resize(280, 540)
    panel.show()
    panel.hidden_seen, panel.protected_seen, panel.over_seen, panel.active_seen = [], [], [], []
    panel.hiddenChanged.connect(panel.hidden_seen.append)
    panel.protectedChanged.connect(panel.protected_seen.append)
    panel.onlyOverChanged.connect(panel.over_seen.append)
    panel.activeChanged.connect(panel.active_seen.append)
    return panel


def centre(panel, class_id, part) -> QPoint:
    return panel.list.part_rect(class_id, part).center()


def click(qtbot, panel, class_id, part=Part.NAME, modifier=Qt.KeyboardModifier.NoModifier):
    qtbot.mouseClick(panel.list.viewport(), Qt.MouseButton.LeftButton, modifier, centre(panel, class_id, part))


def actions(menu: QMenu) -> dict:
    return {action.text(): action for action in menu.actions() if action.text()}


class TestRows:
    def test_all_classes_and_void_are_listed_and_the_voc_classes_fit_480_pixels(self, panel):
        assert panel._model.ids == [*range(21), VOID]
        assert 21 * panel.list.row_height() <= 440
        panel.resize(280, 480)
        assert panel.list.viewport().rect().contains(panel.list.part_rect(20, Part.NAME))

    def test_names_are_the_label_sets(self, panel):
        index = panel._model.index(15)
        assert index.data() == "person"
        assert panel._model.index(21).data() == "void"

    def test_a_row_is_told_in_words_too(self, panel):
        panel.set_present({5: 0.123})
        panel.set_hidden({5})
        panel.set_protected({5})
        sentence = panel._model.index(5).data(Qt.ItemDataRole.AccessibleTextRole)
        assert sentence == "bottle, key 5, 12.3 % of the image, hidden, protected"

    def test_void_says_what_it_is(self, panel):
        tip = panel.list._tip(VOID, Part.NAME)
        assert "255" in tip
        assert "left out of training and scoring" in tip
        assert "Key V" in tip

    def test_ids_of_the_image_that_are_no_class_get_a_row(self, panel):
        panel.set_present({0: 0.9, 77: 0.1})
        assert panel._model.ids == [*range(21), 77, VOID]
        assert panel._model.index(21).data() == "class 77"
        panel.set_present({0: 1.0})
        assert 77 not in panel._model.ids

    def test_keys_are_the_digits_of_the_ids_until_others_are_set(self, panel):
        assert "Key 9" in panel.list._tip(9, Part.NAME)
        panel.set_keys({15: "1"})
        assert "Key 1" in panel.list._tip(15, Part.NAME)
        assert "Key" not in panel.list._tip(9, Part.NAME)

    @pytest.mark.parametrize(
        ("share", "text"),
        [(0, ""), (1e-7, "<0.1 %"), (0.00123, "0.1 %"), (0.5, "50.0 %"), (0.9994, "99.9 %"), (1, "100 %")],
    )
    def test_shares_have_as_many_digits_as_matter(self, share, text):
        assert share_text(share) == text


class TestActive:
    def test_a_click_chooses(self, panel, qtbot):
        click(qtbot, panel, 7)
        assert panel.active_seen == [7]
        assert panel.active == 7

    def test_void_can_be_chosen(self, panel, qtbot):
        click(qtbot, panel, VOID)
        assert panel.active_seen == [VOID]

    def test_arrow_keys_choose(self, panel, qtbot):
        panel.set_active(3)
        qtbot.keyClick(panel.list, Qt.Key.Key_Down)
        qtbot.keyClick(panel.list, Qt.Key.Key_Up)
        qtbot.keyClick(panel.list, Qt.Key.Key_End)
        assert panel.active_seen == [4, 3, VOID]

    def test_set_active_shows_and_tells_nobody(self, panel):
        panel.set_active(12)
        assert panel.active_seen == []
        assert panel.list.currentIndex().row() == 12

    def test_the_active_row_looks_different(self, panel):
        before = panel.list.viewport().grab().toImage()
        panel.set_active(12)
        after = panel.list.viewport().grab().toImage()
        row = panel.list.part_rect(12, Part.NAME)
        assert after.pixelColor(1, row.center().y()) != before.pixelColor(1, row.center().y())


class TestVisibility:
    def test_the_eye_hides_and_shows_without_choosing_the_class(self, panel, qtbot):
        click(qtbot, panel, 4, Part.EYE)
        click(qtbot, panel, 6, Part.EYE)
        click(qtbot, panel, 4, Part.EYE)
        assert panel.hidden_seen == [{4}, {4, 6}, {6}]
        assert panel.active_seen == []

    def test_a_drag_over_the_eyes_gives_all_of_them_the_first_ones_state(self, panel, qtbot):
        panel.set_hidden({5})
        view = panel.list.viewport()
        qtbot.mousePress(view, Qt.MouseButton.LeftButton, pos=centre(panel, 3, Part.EYE))
        for class_id in (4, 5, 6):
            qtbot.mouseMove(view, centre(panel, class_id, Part.EYE))
        qtbot.mouseRelease(view, Qt.MouseButton.LeftButton, pos=centre(panel, 6, Part.EYE))
        assert panel.hidden == {3, 4, 5, 6}

    @pytest.mark.parametrize(
        ("part", "modifier"),
        [(Part.SOLO, Qt.KeyboardModifier.NoModifier), (Part.EYE, Qt.KeyboardModifier.AltModifier)],
    )
    def test_one_class_alone_and_back_to_what_was_hidden_before(self, panel, qtbot, part, modifier):
        panel.set_hidden({2, 15})
        click(qtbot, panel, 15, part, modifier)
        assert panel.hidden == EVERY - {15}
        click(qtbot, panel, 8, part, modifier)
        assert panel.hidden == EVERY - {8}
        click(qtbot, panel, 8, part, modifier)
        assert panel.hidden == {2}

    def test_space_hides_the_row(self, panel, qtbot):
        panel.set_active(9)
        qtbot.keyClick(panel.list, Qt.Key.Key_Space)
        assert panel.hidden_seen == [{9}]

    def test_show_all_is_offered_only_while_something_is_hidden(self, panel, qtbot):
        assert not panel.show_all_button.isEnabled()
        click(qtbot, panel, 4, Part.EYE)
        assert panel.show_all_button.isEnabled()
        qtbot.mouseClick(panel.show_all_button, Qt.MouseButton.LeftButton)
        assert panel.hidden == frozenset()

    def test_setters_tell_nobody(self, panel):
        panel.set_hidden({1, 2})
        panel.set_protected({3})
        panel.set_only_over({4})
        assert (panel.hidden, panel.protected, panel.only_over) == ({1, 2}, {3}, {4})
        assert panel.hidden_seen == panel.protected_seen == panel.over_seen == []


class TestRules:
    def test_the_lock_protects(self, panel, qtbot):
        click(qtbot, panel, 2, Part.LOCK)
        click(qtbot, panel, 0, Part.LOCK)
        assert panel.protected_seen == [{2}, {0, 2}]
        qtbot.mouseClick(panel.unprotect_button, Qt.MouseButton.LeftButton)
        assert panel.protected == frozenset()

    def test_all_but_one_can_be_protected(self, panel):
        actions(panel.row_menu(15))["Protect all but person"].trigger()
        assert panel.protected_seen == [frozenset([*range(21), VOID]) - {15}]

    def choose(self, qtbot, panel, rule):
        panel.rule_box.setFocus()
        panel.rule_box.setCurrentIndex(rule)
        panel.rule_box.activated.emit(rule)

    def test_everything_only_unlabelled_or_only_chosen_classes(self, panel, qtbot):
        assert panel.rule_box.currentIndex() == EVERYTHING
        assert panel.rule_box.itemText(UNLABELLED) == "Only background"
        self.choose(qtbot, panel, UNLABELLED)
        assert panel.over_seen == [{0}]
        self.choose(qtbot, panel, EVERYTHING)
        assert panel.over_seen == [{0}, None]

    def test_classes_are_chosen_by_their_check_marks(self, panel, qtbot):
        self.choose(qtbot, panel, CHOSEN)
        click(qtbot, panel, 3, Part.CHOSEN)
        click(qtbot, panel, 0, Part.CHOSEN)
        assert panel.over_seen == [{0}, {0, 3}, {3}]
        assert panel.rule_box.currentIndex() == CHOSEN
        click(qtbot, panel, 5)
        assert panel.active_seen == [5]

    def test_chosen_classes_come_back_when_the_rule_does(self, panel, qtbot):
        self.choose(qtbot, panel, CHOSEN)
        click(qtbot, panel, 3, Part.CHOSEN)
        self.choose(qtbot, panel, EVERYTHING)
        self.choose(qtbot, panel, CHOSEN)
        assert panel.only_over == {0, 3}

    @pytest.mark.parametrize(
        ("only_over", "rule"), [(None, EVERYTHING), ({0}, UNLABELLED), ({0, 4}, CHOSEN), (frozenset(), CHOSEN)]
    )
    def test_a_rule_can_be_restored(self, panel, only_over, rule):
        panel.set_only_over(only_over)
        assert panel.rule_box.currentIndex() == rule
        assert panel.only_over == only_over

    def test_one_class_can_be_the_rule_from_its_menu(self, panel):
        actions(panel.row_menu(8))["Paint only over cat"].trigger()
        assert panel.over_seen == [{8}]
        assert panel.rule_box.currentIndex() == CHOSEN
        actions(panel.row_menu(0))["Paint only over background"].trigger()
        assert panel.over_seen == [{8}, {0}]
        assert panel.rule_box.currentIndex() == UNLABELLED


class TestLongSets:
    @pytest.fixture
    def long_panel(self, panel):
        panel.set_label_set(LabelSet.from_names([f"{word} {n}" for n in range(127) for word in ("건물", "Tree")]))
        return panel

    def test_the_filter_is_there_for_long_sets_only(self, panel, long_panel):
        assert long_panel.filter_edit.isVisible()
        panel.set_label_set(VOC_LABELS)
        assert not panel.filter_edit.isVisible()

    def test_the_filter_finds_names_without_case_and_ids(self, long_panel, qtbot):
        assert len(long_panel._model.ids) == 255
        qtbot.keyClicks(long_panel.filter_edit, "tree 12")
        assert [long_panel._model.index(row).data() for row in range(8)] == [
            f"Tree {n}" for n in (12, 120, 121, 122, 123, 124, 125, 126)
        ]
        long_panel.filter_edit.setText("건물 7")
        assert long_panel._model.rowCount() == 11
        long_panel.filter_edit.setText("253")
        assert long_panel._model.ids == [253]

    def test_enter_takes_the_first_match(self, long_panel, qtbot):
        qtbot.keyClicks(long_panel.filter_edit, "tree 40")
        qtbot.keyClick(long_panel.filter_edit, Qt.Key.Key_Return)
        assert long_panel.active_seen == [81]

    def test_typing_never_changes_the_active_class(self, long_panel, qtbot):
        long_panel.set_active(2)
        qtbot.keyClicks(long_panel.filter_edit, "tree 9")
        long_panel.filter_edit.clear()
        assert long_panel.active_seen == []
        assert long_panel.list.currentIndex().row() == 2

    def test_only_what_is_in_the_image_can_be_listed(self, long_panel, qtbot):
        long_panel.set_present({0: 0.5, 200: 0.4, 9: 0.1})
        qtbot.mouseClick(long_panel.present_button, Qt.MouseButton.LeftButton)
        assert long_panel._model.ids == [0, 9, 200]
        long_panel.set_present({1: 1.0})
        assert long_panel._model.ids == [1]
