"""Kill the program at random moments of a labelling run and see what is left.

Every run is the real program: a process that starts, opens a folder of photos in the real window (without a screen) and
is driven by a person made of code, who writes into a journal what is in memory after every step. It is killed with
SIGKILL at a random moment; then its project is opened and compared with the journal. What it holds of an image must
have been true within the last two seconds.

One process has imported the program and forks for every run, and several runs go on at once, because a labelling
program mostly waits: that is what makes five hundred runs a matter of minutes.

After every kill the log of the project is also cut off at random bytes, or filled with rubbish behind them, as by a
power cut: it must open with every transaction before that byte, and no other.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import shutil
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import cut_log
from benchmarks.small_disk import SmallDisk

NAME = "crash"
DESCRIPTION = "kill the program at random moments of a labelling run, and fill its disk: is anything lost?"

PROMISE_S = 2.0
"""Nothing older than this may be lost."""

RETRY_S = 5.0
"""The program tries again this often when the disk was full."""

PHOTOS = 6
SIZE = (240, 320)
DISK_BYTES = 24 << 20
REPOSITORY = Path(__file__).resolve().parents[1]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--runs", type=int, default=50, help="programs to kill (default: 50)")
    parser.add_argument("--full-disk", action="store_true", help="fill the disk during each run")
    parser.add_argument("--cuts", type=int, default=2, help="cut logs per run (default: 2)")
    parser.add_argument(
        "--longest", type=float, default=5.0, help="latest kill after the first picture, in s (default: 5)"
    )
    parser.add_argument("--jobs", type=int, default=3, help="runs at the same time (default: 3)")
    parser.add_argument("--seed", type=int, default=0)


def run(args: argparse.Namespace) -> dict[str, Any]:
    if not hasattr(os, "fork"):
        sys.exit("crash needs fork(), which this system does not have")
    if args.full_disk and (problem := SmallDisk.missing()) is not None:
        sys.exit(f"crash --full-disk needs a small disk of its own: {problem}")
    start = time.monotonic()
    results = kill_programs(
        args.runs,
        full_disk=args.full_disk,
        cuts=args.cuts,
        longest=args.longest,
        jobs=args.jobs,
        seed=args.seed,
        tell=sys.stderr.isatty(),
    )
    return summarise(results, time.monotonic() - start, full_disk=args.full_disk)


@dataclass
class Result:
    """How one run ended.

    Attributes
    ----------
    number : int
    problems : list of str
        What is wrong; empty if it survived.
    lost_s : float
        Age, at the kill, of the oldest thing that is not in the project.
    steps, strokes : int
        How far it had come.
    cuts, cuts_whole : int
        Logs cut, and how many of them opened with what they had to hold.
    told, resumed : bool
        Full disk only: whether the person was told, and whether there was room again before the end.
    """

    number: int
    problems: list[str] = field(default_factory=list)
    lost_s: float = 0.0
    steps: int = 0
    strokes: int = 0
    cuts: int = 0
    cuts_whole: int = 0
    told: bool = False
    resumed: bool = False


def kill_programs(
    runs: int,
    *,
    full_disk: bool,
    cuts: int,
    longest: float,
    jobs: int,
    seed: int,
    promise: float = PROMISE_S,
    tell: bool = False,
) -> list[Result]:
    """Kill that many programs.

    Parameters
    ----------
    runs : int
    full_disk : bool
        Whether the disk fills up in each of them.
    cuts : int
        Logs cut after each.
    longest : float
        Latest moment of a kill in s after the first picture; some come before it.
    jobs : int
        Programs at the same time.
    seed : int
    promise : float
        What may be lost, in s.
    tell : bool
        Whether to say on stderr how far it is.
    """
    done = 0

    def one(number: int) -> Result:
        nonlocal done
        rng = random.Random(f"{seed} {number}")
        with tempfile.TemporaryDirectory(prefix="deeplab-studio-crash-") as name, contextlib.ExitStack() as stack:
            place = Path(name)
            scene = _Full(place, promise, stack) if full_disk else _Plain(place, promise, longest)
            result = scene.play(number, rng, cuts, servers.server())
        done += 1
        if tell:
            print(f"\r{done} of {runs}", end="\n" if done == runs else "", file=sys.stderr, flush=True)
        return result

    with _Servers() as servers, ThreadPoolExecutor(jobs) as pool:
        return list(pool.map(one, range(runs)))


def summarise(results: list[Result], seconds: float, *, full_disk: bool) -> dict[str, Any]:
    """Figures and sentences about runs that took `seconds` all together."""
    failed = [result for result in results if result.problems]
    lost = sorted(result.lost_s for result in results)
    cuts, whole = sum(result.cuts for result in results), sum(result.cuts_whole for result in results)
    notes = [f"run {result.number}: {problem}" for result in failed for problem in result.problems]
    notes.append(f"survived {len(results) - len(failed)} of {len(results)}")
    if cuts:
        notes.append(f"cut logs opened with every whole transaction: {whole} of {cuts}")
    if full_disk:
        told = sum(result.told for result in results)
        resumed = sum(result.resumed for result in results)
        notes.append(f"the disk filled up in each; the person was told in {told}; space was freed again in {resumed}")
    load = f"{os.getloadavg()[0]:.1f} on {os.cpu_count()} processors"
    row = {
        "runs": len(results),
        "survived": len(results) - len(failed),
        "strokes (median)": statistics.median(result.strokes for result in results),
        "lost, median (s)": statistics.median(lost),
        "lost, most (s)": lost[-1],
        "s per run": seconds / len(results),
    }
    return {
        "rows": [row],
        "notes": [*notes, f"load average {load}"],
        "survived": len(results) - len(failed),
        "runs": len(results),
        "cuts": cuts,
        "cuts_whole": whole,
        "lost_s": lost,
        "failed": bool(failed) or whole != cuts,
    }


# --- Starting and killing -------------------------------------------------------------------------------------------


class _Server:
    """A process that forks programs, see `labelling_child`."""

    def __init__(self) -> None:
        environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen", "PYTHONPATH": str(REPOSITORY)}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.labelling_child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
            cwd=REPOSITORY,
        )
        self._read()

    def _read(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline().strip()
        if not line:
            raise RuntimeError("the server of programs has ended")
        return line

    def start(self, home: Path, folder: Path, journal: Path, seed: int) -> int:
        """Start a program; its process id."""
        assert self._process.stdin is not None
        order = {"home": str(home), "folder": str(folder), "journal": str(journal), "seed": seed}
        print(json.dumps(order), file=self._process.stdin, flush=True)
        return int(self._read())

    def wait(self) -> int:
        """Wait for the end of the program started last; how it ended, as `os.waitpid` says it."""
        return int(self._read())

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._process.wait()


class _Servers(contextlib.AbstractContextManager["_Servers"]):
    """A server for every thread."""

    def __init__(self) -> None:
        self._local = threading.local()
        self._all: list[_Server] = []

    def server(self) -> _Server:
        if not hasattr(self._local, "server"):
            self._local.server = _Server()
            self._all.append(self._local.server)
        server: _Server = self._local.server
        return server

    def __exit__(self, *_error: object) -> None:
        for server in self._all:
            server.close()


def make_photos(folder: Path) -> None:
    """Write the photos that are labelled."""
    import cv2
    import numpy as np

    folder.mkdir()
    for number in range(PHOTOS):
        small = np.random.default_rng(number).integers(0, 256, (6, 8, 3), np.uint8)
        photo = cv2.resize(small, SIZE[::-1], interpolation=cv2.INTER_CUBIC)
        (folder / f"{number + 1}.png").write_bytes(cv2.imencode(".png", photo)[1].tobytes())


class _Plain:
    """A run that is killed after a while."""

    def __init__(self, place: Path, promise: float, longest: float) -> None:
        self._place = place
        self._promise = promise
        self._longest = longest

    def play(self, number: int, rng: random.Random, cuts: int, server: _Server) -> Result:
        folder, journal = self._place / "photos", self._place / "journal"
        make_photos(folder)
        pid = server.start(self._place / "home", folder, journal, rng.randrange(1 << 30))
        result = Result(number)
        if number % 12:
            _wait_for_work(journal, result)
            time.sleep(rng.uniform(0, self._longest))
        else:
            time.sleep(rng.uniform(0, 1))
        killed = _kill(pid)
        _check_end(server.wait(), self._place / "home", result)
        lines = read_journal(journal)
        result.cuts, result.cuts_whole = check_cut_logs(folder, rng, cuts, result.problems)
        result.lost_s = examine(folder, lines, killed, result.problems)
        if result.lost_s > self._promise:
            result.problems.append(f"something {result.lost_s:.2f} s old is lost")
        _count(lines, result)
        return result


class _Full:
    """A run whose disk is filled up by somebody else, and perhaps freed again."""

    def __init__(self, place: Path, promise: float, stack: contextlib.ExitStack) -> None:
        self._place = place
        self._promise = promise
        self._disk = stack.enter_context(SmallDisk(place / "disk", DISK_BYTES))

    def play(self, number: int, rng: random.Random, cuts: int, server: _Server) -> Result:
        folder, journal = self._disk.path / "photos", self._place / "journal"
        make_photos(folder)
        pid = server.start(self._place / "home", folder, journal, rng.randrange(1 << 30))
        result = Result(number)
        _wait_for_work(journal, result)
        time.sleep(rng.uniform(0.5, 3.0))
        self._disk.fill()
        full = time.monotonic()
        time.sleep(rng.uniform(2.5, 5.0))
        result.resumed = number % 2 == 1
        deadline = full
        if result.resumed:
            self._disk.free()
            time.sleep(RETRY_S + PROMISE_S + rng.uniform(0, 2))
        killed = _kill(pid)
        _check_end(server.wait(), self._place / "home", result)
        lines = read_journal(journal)
        # Before anything opens the project: that may begin to move the log into the file.
        result.cuts, result.cuts_whole = check_cut_logs(folder, rng, cuts, result.problems)
        if not result.resumed:
            examine(folder, lines, deadline, result.problems, full=True)
            self._disk.free()
        else:
            deadline = killed
        result.lost_s = examine(folder, lines, deadline, result.problems)
        if result.lost_s > self._promise:
            result.problems.append(f"something {result.lost_s:.2f} s old is lost")
        errors = [line for line in lines if line["kind"] == "notice" and line["level"] == "error"]
        result.told = any("disk" in line["text"] for line in errors if line["t"] > full)
        if not result.told and (lost := examine(folder, lines, killed, [])) > self._promise:
            result.problems.append(f"nobody was told that the changes of {lost:.1f} s could not be saved")
        _count(lines, result)
        return result


def _wait_for_work(journal: Path, result: Result) -> None:
    """Wait until the first picture is on the screen."""
    deadline = time.monotonic() + 60
    while not (journal.exists() and b'"now"' in journal.read_bytes()[:4096]):
        if time.monotonic() > deadline:
            said = (journal.parent / "home" / "said.txt").read_text(errors="replace")[-2000:]
            result.problems.append(f"the program has shown no picture for a minute: {said}")
            return
        time.sleep(0.01)


def _kill(pid: int) -> float:
    """Kill a process; the moment just before."""
    now = time.monotonic()
    os.kill(pid, signal.SIGKILL)
    return now


def _check_end(status: int, home: Path, result: Result) -> None:
    if not (os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL):
        said = (home / "said.txt").read_text(errors="replace")[-2000:]
        result.problems.append(f"the program ended by itself ({status}): {said}")


# --- Comparing ------------------------------------------------------------------------------------------------------


def read_journal(path: Path) -> list[dict[str, Any]]:
    """The lines of a journal; the last one may have been cut off by the kill."""
    if not path.exists():
        return []
    lines = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        with contextlib.suppress(ValueError):
            lines.append(json.loads(line))
    return lines


def _count(lines: list[dict[str, Any]], result: Result) -> None:
    result.steps = sum(line["kind"] == "now" for line in lines)
    result.strokes = sum(line.get("what") == "stroke" for line in lines)
    result.problems += [line["text"] for line in lines if line["kind"] == "wrong"]


def examine(
    folder: Path, lines: list[dict[str, Any]], moment: float, problems: list[str], *, full: bool = False
) -> float:
    """Open a project as the program would, and compare it with a journal.

    Parameters
    ----------
    folder : Path
    lines : list of dict
        The journal.
    moment : float
        When the program was killed, on the clock of the journal.
    problems : list of str
        Takes what is wrong, apart from something old being lost.
    full : bool
        Whether the disk is full still, so that nothing can be written.

    Returns
    -------
    float
        Age at that moment, in s, of the oldest thing that is not in the project.
    """
    from deeplab_studio.core.errors import StudioError
    from deeplab_studio.core.project import Project

    truths = [line for line in lines if line["kind"] in ("now", "pending")]
    if not truths:
        return 0.0
    try:
        with Project.for_folder(folder) as project:
            if project.notice is not None and not full:
                problems.append(project.notice)
            found = _read(project, list(truths[0]["items"]), problems)
            if found and not full:
                project.save_setting("opened after a crash", True)
                project.set_states([item.id for item in project.items()], "new")
    except StudioError as error:
        problems.append(f"it does not open: {error}")
        return 0.0
    if not full:
        problems += _other_files(folder)
    if found is None:
        return 0.0
    labels, items = found
    # What was true is true until the next line says otherwise; one that is pending does not say so yet.
    followers = _next_now(truths)
    lost = 0.0
    for photo, values in items.items():
        # A class map and a state are two saves: what is there may be the one of now and the other of a moment ago.
        for part, value in enumerate(values):
            here = [(truth["labels"], truth["items"][photo][part]) for truth in truths]
            if (labels, value) not in here:
                problems.append(f"{('class map', 'state')[part]} of {photo} is as it never was: {value}")
                continue
            after = followers[len(here) - 1 - here[::-1].index((labels, value))]
            while after is not None and here[after] == (labels, value):
                after = followers[after]
            if after is not None:
                lost = max(lost, moment - truths[after]["t"])
    return lost


def _next_now(truths: list[dict[str, Any]]) -> list[int | None]:
    """For every line the next one that is no announcement."""
    following: list[int | None] = []
    upcoming: int | None = None
    for number in range(len(truths) - 1, -1, -1):
        following.append(upcoming)
        if truths[number]["kind"] == "now":
            upcoming = number
    return following[::-1]


def _read(project: Any, photos: list[str], problems: list[str]) -> tuple[str, dict[str, list[str]]] | None:
    """Label set and items of a project as a journal has them."""
    import numpy as np

    from benchmarks.labelling_child import fingerprint, label_fingerprint
    from deeplab_studio.core.errors import StudioError

    nothing = fingerprint(np.zeros(SIZE, np.uint8), np.zeros(SIZE, np.bool_))
    values = {photo: [nothing, "new"] for photo in photos}
    if project.is_on_disk:
        with closing(sqlite3.connect(f"{project.path.as_uri()}?mode=ro", uri=True)) as connection:
            (answer,) = connection.execute("PRAGMA integrity_check").fetchone()
        if answer != "ok":
            problems.append(f"integrity check: {answer}")
    for item in project.items():
        try:
            saved = project.load_map(item.id)
        except StudioError as error:
            problems.append(str(error))
            return None
        values[item.key] = [nothing if saved is None else fingerprint(*saved), item.state]
    return label_fingerprint(project.label_set), values


def _other_files(folder: Path) -> Iterator[str]:
    """What is left in the data set's folder that nobody would want there."""
    from deeplab_studio.core.project import PROJECT_NAME

    for path in folder.iterdir():
        if path.name != PROJECT_NAME and path.suffix != ".png" and not path.name.startswith("."):
            yield f"{path.name} is left in the folder"


def check_cut_logs(folder: Path, rng: random.Random, cuts: int, problems: list[str]) -> tuple[int, int]:
    """Cut copies of a killed project's log; how many there were, and how many opened with what they had to hold."""
    from deeplab_studio.core.errors import StudioError
    from deeplab_studio.core.project import PROJECT_NAME, Project

    original = folder / PROJECT_NAME
    if not original.exists() or not original.with_name(f"{PROJECT_NAME}-wal").exists():
        return 0, 0
    log = cut_log.read_log(original)
    whole_ones = 0
    for _ in range(cuts):
        with tempfile.TemporaryDirectory(prefix="deeplab-studio-cut-") as name:
            place = Path(name)
            for part in ("", "-wal"):
                shutil.copyfile(folder / f"{PROJECT_NAME}{part}", place / f"{PROJECT_NAME}{part}")
            whole = cut_log.cut(place / PROJECT_NAME, log, rng)
            expected = place / "expected"
            cut_log.with_whole_transactions(original, log, whole, expected)
            try:
                with Project.for_folder(place) as project:
                    opened = [(item.id, item.state, project.load_map(item.id) is not None) for item in project.items()]
                    assert project.notice is None, project.notice
                after, before = _content(place / PROJECT_NAME), _content(expected)
            except (StudioError, sqlite3.Error, AssertionError) as error:
                problems.append(f"log cut at {whole}: {error}")
                continue
            differing = [name for name in before.keys() | after.keys() if before.get(name) != after.get(name)]
            if differing or {row[0] for row in opened} != {row[0] for row in before["items"]}:
                problems.append(f"log cut at {whole}: other rows than those of its transactions in {differing}")
                continue
            whole_ones += 1
    return cuts, whole_ones


def _content(path: Path) -> dict[str, list[tuple[Any, ...]]]:
    """All rows of all tables of a database, which has to be whole."""
    with closing(sqlite3.connect(f"{path.as_uri()}?immutable=1", uri=True)) as connection:
        (answer,) = connection.execute("PRAGMA integrity_check").fetchone()
        if answer != "ok":
            raise sqlite3.DatabaseError(answer)
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        return {name: connection.execute(f"SELECT * FROM {name} ORDER BY 1, 2").fetchall() for name in tables}
