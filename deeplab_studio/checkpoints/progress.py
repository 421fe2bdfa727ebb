"""How far a download is and how fast it goes."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

_WINDOW_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a download is: bytes on disk, bytes in all (None if unknown), bytes per second over the last seconds."""

    received: int
    total: int | None
    speed: float

    @property
    def seconds_left(self) -> float | None:
        """Time to go at this speed, or None if that cannot be said."""
        if self.total is None or self.speed <= 0:
            return None
        return max(0.0, (self.total - self.received) / self.speed)


class Meter:
    """Turns byte counts into progress reports, also while none arrive: the speed of a silent server goes to zero.

    Parameters
    ----------
    report : callable or None
        Gets each `Progress`.
    """

    def __init__(self, report: Callable[[Progress], None] | None) -> None:
        self._report = report
        self._received = 0
        self._total: int | None = None
        self._samples: deque[tuple[float, int]] = deque()
        self._last: Progress | None = None

    def start(self, received: int, total: int | None) -> None:
        """Begin to measure from here."""
        self._samples.clear()
        self.update(received, total)

    def update(self, received: int, total: int | None) -> None:
        """Note how far it is."""
        self._received, self._total = received, total

    def tick(self, *, now: bool = False) -> None:
        """Report, at most ten times a second unless it must be `now`, and only news."""
        moment = time.monotonic()
        samples = self._samples
        if self._report is None or not (now or not samples or moment >= samples[-1][0] + 0.1):
            return
        samples.append((moment, self._received))
        while samples[0][0] < moment - _WINDOW_SECONDS:
            samples.popleft()
        start, first = samples[0]
        speed = (self._received - first) / (moment - start) if moment > start else 0.0
        progress = Progress(self._received, self._total, max(0.0, speed))
        if progress != self._last:
            self._last = progress
            self._report(progress)
