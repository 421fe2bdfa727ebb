"""What a power cut may leave of SQLite's write-ahead log, and what a file with such a log has to hold.

The format is at https://www.sqlite.org/fileformat2.html#walformat. All of it is read off the bytes, without SQLite.
"""

from __future__ import annotations

import random
import struct
from pathlib import Path
from typing import NamedTuple

HEADER, FRAME_HEADER = 32, 24


class Log(NamedTuple):
    """A write-ahead log.

    Attributes
    ----------
    page_size : int
    commits : list of (int, int)
        Of every transaction in it, oldest first: where its last frame ends, and how many pages the file then has.
    moved : int
        Where the last frame ends that is in the database file already, or was just being written there. A power cut
        takes nothing before it: SQLite has waited for the log to be on the disk before it moved them.
    """

    page_size: int
    commits: list[tuple[int, int]]
    moved: int


def read_log(project: Path) -> Log:
    """Read the log of a project as a killed program left it."""
    data = project.with_name(f"{project.name}-wal").read_bytes()
    index = project.with_name(f"{project.name}-shm")
    if len(data) < HEADER:
        return Log(4096, [], 0)
    page_size = struct.unpack_from(">I", data, 8)[0]
    salts, frame = data[16:24], FRAME_HEADER + page_size
    commits = []
    for start in range(HEADER, len(data) - frame + 1, frame):
        if data[start + 8 : start + 16] != salts:
            break  # left over from before the log was begun again
        pages = struct.unpack_from(">I", data, start + 4)[0]
        if pages:
            commits.append((start + frame, pages))
    moved = 0
    if index.exists():
        state = index.read_bytes()[:136]
        if len(state) == 136 and state[32:40] == salts:
            done, attempted = (struct.unpack_from("=I", state, place)[0] for place in (96, 128))
            moved = HEADER + max(done, attempted) * frame
    return Log(page_size, commits, moved)


def cut(project: Path, log: Log, rng: random.Random) -> int:
    """Cut the log of a project off at a random byte, or spoil everything behind it; how much of it is whole."""
    path = project.with_name(f"{project.name}-wal")
    data = path.read_bytes()
    at = rng.randint(min(log.moved, len(data)), len(data))
    tail = len(data) - at
    noise = {
        "cut": b"",
        "noise": rng.randbytes(tail),
        "zeros": bytes(tail),
        "more": rng.randbytes(rng.randint(0, 9000)),
    }
    spoilt = data[:at] + noise[rng.choice(list(noise))]
    path.write_bytes(spoilt)
    project.with_name(f"{project.name}-shm").unlink(missing_ok=True)
    while at < min(len(data), len(spoilt)) and spoilt[at] == data[at]:
        at += 1  # zeros may take the place of zeros
    return at


def with_whole_transactions(project: Path, log: Log, whole: int, target: Path) -> None:
    """Write a database without a log: that of `project` with every transaction that ends within `whole` bytes."""
    data = project.with_name(f"{project.name}-wal").read_bytes()
    pages = project.read_bytes()
    last = max((commit for commit in log.commits if commit[0] <= whole), default=None)
    if last is not None:
        size, frame = log.page_size, FRAME_HEADER + log.page_size
        content = bytearray(pages.ljust(last[1] * size, b"\0"))
        for start in range(HEADER, last[0], frame):
            page = struct.unpack_from(">I", data, start)[0]
            content[(page - 1) * size : page * size] = data[start + FRAME_HEADER : start + frame]
        pages = bytes(content[: last[1] * size])
    # Bytes 18 and 19 say that there is a log; without one it is an ordinary database.
    target.write_bytes(pages[:18] + b"\1\1" + pages[20:])
