"""How long a person works on each image."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from PySide6.QtCore import QEvent, QObject, QTimer, Signal
from PySide6.QtWidgets import QWidget

if TYPE_CHECKING:
    from PySide6.QtGui import QWindow

REST_S = 60.0
"""Who has not touched anything for so long is not working on the image any more."""

TELL_MS = 30_000
"""Time that was counted is told at least this often."""

_ACTS = frozenset(
    {
        QEvent.Type.MouseMove,
        QEvent.Type.MouseButtonPress,
        QEvent.Type.MouseButtonRelease,
        QEvent.Type.Wheel,
        QEvent.Type.KeyPress,
        QEvent.Type.TabletMove,
        QEvent.Type.TabletPress,
        QEvent.Type.TouchBegin,
        QEvent.Type.TouchUpdate,
        QEvent.Type.NativeGesture,
    }
)


class ActivityClock(QObject):
    """Counts the time a person works: the window is active and was touched within the last `REST_S` seconds.

    Parameters
    ----------
    window : QWidget
        The window; `watch` must be called once it is on screen.
    clock : callable, optional
        Seconds that never go back.

    Signals
    -------
    counted : int, float
        Item, and seconds worked on it since the last time.
    """

    counted = Signal(int, float)

    def __init__(self, window: QWidget, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(window)
        self._window = window
        self._clock = clock
        self._item: int | None = None
        self._sum = 0.0
        self._from: float | None = None
        """From when on time is to be counted; None while the person is away."""
        self._acted = 0.0
        self._teller = QTimer(self, singleShot=True, interval=TELL_MS)
        self._teller.timeout.connect(self.tell)
        self._handle: QWindow | None = None

    def watch(self) -> None:
        """Watch the window from now on: all its input comes by here, and nothing else does."""
        self._handle = self._window.windowHandle()
        if self._handle is not None:
            self._handle.installEventFilter(self)

    def set_item(self, item_id: int | None) -> None:
        """The person works on another item, or on none."""
        if item_id != self._item:
            self.tell()
            self._item = item_id
            if item_id is None:
                self._from = None

    def act(self) -> None:
        """The person did something."""
        now = self._clock()
        self._settle(now)
        self._acted = now
        if self._item is not None and self._from is None:
            self._from = now

    def leave(self) -> None:
        """The window is no longer the active one."""
        self._settle(self._clock())
        self._from = None

    def tell(self) -> None:
        """Tell what was counted so far."""
        self._settle(self._clock())
        self._teller.stop()
        if self._item is not None and self._sum > 0:
            self.counted.emit(self._item, self._sum)
        self._sum = 0.0

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Notice what the person does."""
        kind = event.type()
        if kind in _ACTS:
            self.act()
        elif kind == QEvent.Type.FocusOut:
            self.leave()
        return False

    def _settle(self, now: float) -> None:
        """Add the time since the last call, as far as the person was there."""
        if self._from is None:
            return
        until = min(now, self._acted + REST_S)
        self._sum += max(until - self._from, 0.0)
        self._from = now if now <= self._acted + REST_S else None
        if self._sum > 0 and not self._teller.isActive():
            self._teller.start()
