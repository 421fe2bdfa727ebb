from __future__ import annotations

import threading

import pytest
from pytestqt.qtbot import QtBot

from deeplab_studio.app.jobs import Job, Lane
from deeplab_studio.core.errors import StudioError


@pytest.fixture
def lane(qtbot: QtBot):
    lane = Lane("test")
    yield lane
    lane.close()


def block(lane: Lane, key: str = "blocker") -> tuple[threading.Event, threading.Event]:
    """Keep the lane busy until the second event is set or the job is cancelled; the first says that it runs."""
    running, release = threading.Event(), threading.Event()

    def work(job: Job) -> None:
        running.set()
        while not release.wait(0.005):
            job.token.raise_if_cancelled()

    lane.submit(key, work)
    assert running.wait(5)
    return running, release


def test_a_result_arrives_in_the_windows_thread(lane: Lane, qtbot: QtBot) -> None:
    arrived: list[tuple[int, threading.Thread]] = []
    worker: list[threading.Thread] = []

    def work(job: Job) -> int:
        worker.append(threading.current_thread())
        return 7

    lane.submit("a", work, lambda value: arrived.append((value, threading.current_thread())))
    qtbot.waitUntil(lambda: bool(arrived))
    assert arrived == [(7, threading.main_thread())]
    assert worker[0] is not threading.main_thread()


def test_the_newest_job_of_a_key_wins_and_the_old_one_delivers_nothing(lane: Lane, qtbot: QtBot) -> None:
    got: list[str] = []
    started = threading.Event()
    release = threading.Event()

    def old(job: Job) -> str:
        started.set()
        release.wait(5)  # ends only after it was replaced, without looking at its token
        return "old"

    lane.submit("same", old, got.append)
    assert started.wait(5)
    lane.submit("same", lambda job: "new", got.append)
    release.set()
    qtbot.waitUntil(lambda: bool(got))
    qtbot.wait(20)
    assert got == ["new"]


def test_without_interrupting_the_running_job_delivers_and_only_the_newest_follows(lane: Lane, qtbot: QtBot) -> None:
    got: list[str] = []
    started, release = threading.Event(), threading.Event()

    def first(job: Job) -> str:
        started.set()
        release.wait(5)
        job.token.raise_if_cancelled()
        return "first"

    lane.submit("live", first, got.append, interrupt=False)
    assert started.wait(5)
    for name in ("second", "third"):
        lane.submit("live", lambda job, name=name: name, got.append, interrupt=False)
    release.set()
    qtbot.waitUntil(lambda: len(got) == 2)
    assert got == ["first", "third"]


def test_more_wanted_jobs_go_first_and_a_waiting_one_can_be_raised(lane: Lane, qtbot: QtBot) -> None:
    _, release = block(lane)
    order: list[str] = []
    for name, priority in (("low", 0), ("high", 5), ("low too", 0)):
        lane.submit(name, lambda job: job.key, order.append, priority=priority)
    job = lane.find("low too")
    assert job is not None
    job.priority = 9
    release.set()
    qtbot.waitUntil(lambda: len(order) == 3)
    assert order == ["low too", "high", "low"]


def test_keeping_only_some_cancels_the_rest_including_the_running_one(lane: Lane, qtbot: QtBot) -> None:
    block(lane, "running")
    got: list[str] = []
    lane.submit("keep", lambda job: "keep", got.append)
    lane.submit("drop", lambda job: "drop", got.append)
    lane.keep_only({"keep"})
    assert lane.find("running") is None
    qtbot.waitUntil(lambda: bool(got))
    qtbot.wait(20)
    assert got == ["keep"]


def test_a_failure_comes_back_as_data(lane: Lane, qtbot: QtBot) -> None:
    failures: list[StudioError] = []

    def work(job: Job) -> None:
        raise StudioError("the disk is full", path="/x/mask.png", hint="Free some space.")

    lane.submit("a", work, on_failed=failures.append)
    qtbot.waitUntil(lambda: bool(failures))
    assert str(failures[0]) == "mask.png: the disk is full. Free some space."


def test_an_unexpected_error_is_told_and_reaches_the_exception_hook(lane: Lane, qtbot: QtBot) -> None:
    failures: list[StudioError] = []

    def work(job: Job) -> None:
        raise ZeroDivisionError("oops")

    with qtbot.captureExceptions() as raised:
        lane.submit("a", work, on_failed=failures.append)
        qtbot.waitUntil(lambda: bool(failures))
    assert raised[0][0] is ZeroDivisionError
    assert "ZeroDivisionError: oops" in str(failures[0])
    done: list[int] = []
    lane.submit("b", lambda job: 1, done.append)  # the lane is still alive
    qtbot.waitUntil(lambda: bool(done))


def test_progress_arrives_in_order_before_the_result(lane: Lane, qtbot: QtBot) -> None:
    seen: list[object] = []

    def work(job: Job) -> str:
        for i in range(3):
            job.report(i)
        return "done"

    lane.submit("a", work, seen.append, on_progress=seen.append)
    qtbot.waitUntil(lambda: "done" in seen)
    assert seen == [0, 1, 2, "done"]


def test_busy_says_when_work_begins_and_ends(lane: Lane, qtbot: QtBot) -> None:
    states: list[bool] = []
    lane.busyChanged.connect(states.append)
    lane.submit("a", lambda job: None)
    lane.submit("b", lambda job: None)
    qtbot.waitUntil(lambda: states[-1:] == [False])
    assert states == [True, False]
    block(lane)
    lane.cancel("blocker")
    assert states == [True, False, True, False]


def test_closing_finishes_what_must_be_finished(qtbot: QtBot) -> None:
    saved: list[int] = []
    lane = Lane("disk")
    _, release = block(lane)
    for i in range(5):
        lane.submit(("save", i), lambda job: saved.append(job.key[1]))
    release.set()
    lane.close(finish=True)
    assert saved == [0, 1, 2, 3, 4]
    lane = Lane("predict")
    block(lane)
    lane.submit("never", lambda job: saved.append(99))
    lane.close()
    assert 99 not in saved
