"""The clock counts while a person works, and only then."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QCoreApplication, QEvent, QPoint, Qt
from PySide6.QtGui import QFocusEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QWidget
from pytestqt.qtbot import QtBot

from deeplab_studio.app.activity import ActivityClock


class Time:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def clock(qtbot: QtBot, time: Time) -> ActivityClock:
    window = QWidget()
    qtbot.addWidget(window)
    window.show()
    qtbot.waitExposed(window)
    clock = ActivityClock(window, time)
    clock.told = []
    clock.counted.connect(lambda *what: clock.told.append(what))
    clock.watch()
    return clock


def act_at(clock: ActivityClock, time: Time, *moments: float) -> None:
    for moment in moments:
        time.now = 1000.0 + moment
        clock.act()


def test_time_between_acts_counts(clock: ActivityClock, time: Time) -> None:
    clock.set_item(7)
    act_at(clock, time, 0, 10, 30)
    clock.tell()
    assert clock.told == [(7, 30.0)]
    clock.tell()
    assert clock.told == [(7, 30.0)]


def test_a_rest_counts_for_a_minute_at_most(clock: ActivityClock, time: Time) -> None:
    clock.set_item(7)
    act_at(clock, time, 0, 600, 610)
    clock.tell()
    assert clock.told == [(7, 60.0 + 10.0)]


def test_time_away_from_the_window_does_not_count(clock: ActivityClock, time: Time) -> None:
    clock.set_item(7)
    act_at(clock, time, 0, 5)
    time.now += 3
    QCoreApplication.sendEvent(clock._handle, QFocusEvent(QEvent.Type.FocusOut))
    act_at(clock, time, 40, 42)
    clock.tell()
    assert clock.told == [(7, 8.0 + 2.0)]


def test_another_image_begins_its_own_time(clock: ActivityClock, time: Time) -> None:
    clock.set_item(7)
    act_at(clock, time, 0, 4)
    clock.set_item(8)
    act_at(clock, time, 10)
    clock.set_item(None)
    act_at(clock, time, 20, 30)
    clock.tell()
    assert clock.told == [(7, 4.0), (8, 6.0)]


def test_looking_without_touching_anything_counts_nothing(clock: ActivityClock, time: Time) -> None:
    clock.set_item(7)
    time.now += 500
    clock.tell()
    assert clock.told == []


def test_keys_and_the_mouse_are_acts(clock: ActivityClock, time: Time) -> None:
    clock.set_item(7)
    QTest.mouseMove(clock._handle, QPoint(3, 3))
    QTest.mouseClick(clock._handle, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, QPoint(5, 5))
    time.now += 5
    QTest.keyClick(clock._handle, Qt.Key.Key_A)
    clock.tell()
    assert clock.told == [(7, 5.0)]
