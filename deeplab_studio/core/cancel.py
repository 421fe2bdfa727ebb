"""Cooperative cancelling of long work."""

from __future__ import annotations

import threading


class Cancelled(Exception):
    """Raised inside a job whose result is no longer wanted. Never shown to a person."""


class CancelToken:
    """A flag one thread sets and another one polls.

    Long functions take ``cancel: CancelToken | None = None`` and call `raise_if_cancelled` between steps that take no
    longer than a few tens of milliseconds.
    """

    __slots__ = ("_event",)

    def __init__(self) -> None:
        self._event = threading.Event()

    def cancel(self) -> None:
        """Ask the job to stop; safe from any thread, any number of times."""
        self._event.set()

    @property
    def cancelled(self) -> bool:
        """Whether the job was asked to stop."""
        return self._event.is_set()

    def raise_if_cancelled(self) -> None:
        """Raise `Cancelled` if the job was asked to stop."""
        if self._event.is_set():
            raise Cancelled
