"""Background work: one thread per kind of work, the most wanted job first, results back in the window's thread."""

from __future__ import annotations

import itertools
import logging
import threading
from collections.abc import Callable, Collection, Hashable
from typing import Any

from PySide6.QtCore import QObject, Qt, Signal, Slot

from deeplab_studio.core.cancel import Cancelled, CancelToken
from deeplab_studio.core.errors import StudioError

log = logging.getLogger(__name__)


class Job:
    """One piece of work in a `Lane`. Work functions get it to poll `token` and to `report` progress."""

    def __init__(
        self,
        lane: Lane,
        key: Hashable,
        work: Callable[[Job], Any],
        on_done: Callable[[Any], None] | None,
        on_failed: Callable[[StudioError], None] | None,
        on_progress: Callable[[Any], None] | None,
        priority: int,
        order: int,
    ) -> None:
        self.key = key
        self.token = CancelToken()
        self.priority = priority
        self.on_done = on_done
        self.on_failed = on_failed
        self.on_progress = on_progress
        self._lane = lane
        self._work = work
        self._order = order

    @property
    def rank(self) -> tuple[int, int]:
        """Order of execution: smaller first."""
        return -self.priority, self._order

    def report(self, value: Any) -> None:
        """Hand `value` to the job's `on_progress` in the window's thread; dropped once the job is cancelled."""
        self._lane._deliver.emit(self, "progress", value)

    def run(self) -> tuple[str, Any]:
        """Do the work; how it ended ("done", "failed", "cancelled" or "crashed") and what came out."""
        try:
            self.token.raise_if_cancelled()
            return "done", self._work(self)
        except Cancelled:
            return "cancelled", None
        except StudioError as error:
            return "failed", error
        except MemoryError:
            return "failed", StudioError("the computer ran out of memory", hint="Close other programs and try again.")
        except Exception as error:  # noqa: BLE001  whatever it is, it must reach the window's thread and not end this one
            return "crashed", error


class Lane(QObject):
    """A thread that works through jobs of one kind.

    Results, failures and progress arrive in the thread this object lives in; a cancelled job delivers nothing more. An
    unexpected exception is raised there too, where the program's one exception hook sees it.

    Parameters
    ----------
    name : str
        Name of the thread.
    parent : QObject, optional

    Signals
    -------
    busyChanged : bool
        Whether there is a job running or waiting.
    """

    busyChanged = Signal(bool)
    _deliver = Signal(object, str, object)

    def __init__(self, name: str, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._pending: list[Job] = []
        self._running: Job | None = None
        self._closing = False
        self._was_busy = False
        self._counter = itertools.count()
        self._wake = threading.Condition()
        self._deliver.connect(self._receive, Qt.ConnectionType.QueuedConnection)
        self._thread = threading.Thread(target=self._loop, name=f"deeplab-studio {name}", daemon=True)
        self._thread.start()

    def submit(
        self,
        key: Hashable,
        work: Callable[[Job], Any],
        on_done: Callable[[Any], None] | None = None,
        on_failed: Callable[[StudioError], None] | None = None,
        *,
        on_progress: Callable[[Any], None] | None = None,
        priority: int = 0,
        interrupt: bool = True,
    ) -> Job:
        """Queue `work` in place of an earlier job with the same key.

        Parameters
        ----------
        key : hashable
            What the job is about.
        work : callable
            Called with the job in the lane's thread; its return value goes to `on_done`.
        on_done, on_failed, on_progress : callable, optional
            Called in the window's thread.
        priority : int
            Higher ones first; equal ones in the order they came.
        interrupt : bool
            Whether a running job with the same key is cancelled. If not it ends and delivers first: a picture that
            follows a slider would never be finished otherwise.
        """
        job = Job(self, key, work, on_done, on_failed, on_progress, priority, next(self._counter))
        with self._wake:
            self._drop(lambda other: other.key == key and (interrupt or other is not self._running))
            self._pending.append(job)
            self._wake.notify()
        self._tell_busy()
        return job

    def find(self, key: Hashable) -> Job | None:
        """The job with this key that runs or waits, so that it can be raised in priority instead of asked for twice."""
        with self._wake:
            jobs = [*self._pending, *([self._running] if self._running else [])]
        return next((job for job in jobs if job.key == key and not job.token.cancelled), None)

    def keep_only(self, keys: Collection[Hashable]) -> None:
        """Cancel every job that is not about one of `keys`."""
        with self._wake:
            self._drop(lambda job: job.key not in keys)
        self._tell_busy()

    def cancel(self, key: Hashable) -> None:
        """Cancel the job about `key`, if there is one."""
        with self._wake:
            self._drop(lambda job: job.key == key)
        self._tell_busy()

    @property
    def busy(self) -> bool:
        """Whether a job runs or waits."""
        with self._wake:
            return bool(self._pending) or (self._running is not None and not self._running.token.cancelled)

    def close(self, *, finish: bool = False) -> None:
        """End the thread and wait for it.

        Parameters
        ----------
        finish : bool
            Work through everything that waits first (saving) instead of cancelling it.
        """
        with self._wake:
            self._closing = True
            if not finish:
                self._drop(lambda _job: True)
            self._wake.notify()
        self._thread.join()

    def _drop(self, condition: Callable[[Job], bool]) -> None:
        kept = []
        for job in self._pending:
            if condition(job):
                job.token.cancel()
            else:
                kept.append(job)
        self._pending = kept
        if self._running is not None and condition(self._running):
            self._running.token.cancel()

    def _loop(self) -> None:
        while True:
            with self._wake:
                while not self._pending and not self._closing:
                    self._wake.wait()
                if not self._pending:
                    return
                job = min(self._pending, key=lambda job: job.rank)
                self._pending.remove(job)
                self._running = job
            outcome, value = job.run()
            with self._wake:
                self._running = None
            try:
                self._deliver.emit(job, outcome, value)
            except RuntimeError:  # the window is gone; nobody is left to tell
                return

    @Slot(object, str, object)
    def _receive(self, job: Job, outcome: str, value: Any) -> None:
        try:
            if outcome == "crashed":
                if not job.token.cancelled and job.on_failed is not None:
                    job.on_failed(StudioError(f"an unexpected error stopped it ({type(value).__name__}: {value})"))
                raise value
            if job.token.cancelled:
                return
            if outcome == "progress" and job.on_progress is not None:
                job.on_progress(value)
            elif outcome == "done" and job.on_done is not None:
                job.on_done(value)
            elif outcome == "failed":
                if job.on_failed is not None:
                    job.on_failed(value)
                else:
                    log.warning("%s", value)
        finally:
            if outcome != "progress":
                self._tell_busy()

    def _tell_busy(self) -> None:
        busy = self.busy
        if busy != self._was_busy:
            self._was_busy = busy
            self.busyChanged.emit(busy)
