"""When the changes of a control are told: often enough to look live, and once more when they are over."""

from __future__ import annotations

from PySide6.QtCore import QObject, QTimer, Signal


class Pace(QObject):
    """Thins a stream of values out, and tells when it has come to rest.

    The first value passes at once; of those that follow within `interval` only the newest does, when it is over. After
    `rest` without a value, or when `settle` is called, the last one is sent through `settled`.

    Parameters
    ----------
    interval : int
        Shortest time between two values of `changing`, in milliseconds.
    rest : int
        Time without a value after which it is settled, in milliseconds.

    Attributes
    ----------
    changing : Signal(object)
        A value on the way; a newer one makes it worthless.
    settled : Signal(object)
        The value that stays. No older value is sent through `changing` after it.
    """

    changing = Signal(object)
    settled = Signal(object)

    def __init__(self, interval: int = 16, rest: int = 150, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._interval = QTimer(self, singleShot=True, interval=interval)
        self._rest = QTimer(self, singleShot=True, interval=rest)
        self._interval.timeout.connect(self._pass_on)
        self._rest.timeout.connect(self.settle)
        self._latest: object = None
        self._waiting = False
        self._unsettled = False

    def push(self, value: object) -> None:
        """A new value."""
        self._latest = value
        self._waiting = self._unsettled = True
        self._rest.start()
        if not self._interval.isActive():
            self._pass_on()

    def settle(self) -> None:
        """The last value stays; nothing happens if it was settled already."""
        if not self._unsettled:
            return
        self.drop()
        self.settled.emit(self._latest)

    def drop(self) -> None:
        """Forget what has not been told."""
        self._interval.stop()
        self._rest.stop()
        self._waiting = self._unsettled = False

    def _pass_on(self) -> None:
        if self._waiting:
            self._waiting = False
            self._interval.start()
            self.changing.emit(self._latest)
