"""What commands tell: results on stdout, everything else on stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from deeplab_studio.core.errors import StudioError

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from deeplab_studio.checkpoints.progress import Progress as Received


def say(text: str) -> None:
    """Write a line of the result."""
    sys.stdout.write(f"{text}\n")


def say_json(value: object) -> None:
    """Write the result as JSON."""
    say(json.dumps(value, indent=2, ensure_ascii=False))


def show_table(
    title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], *, numbers: Collection[int] = ()
) -> None:
    """Write rows under column names: as a table on a terminal, else one line each with tabs between.

    Parameters
    ----------
    title : str
        Line above the table; only on a terminal.
    columns : sequence of str
        Names of the columns; all empty for a table without a head.
    rows : sequence of sequences of str
    numbers : collection of int
        Columns set to the right.
    """
    if not sys.stdout.isatty():
        for row in rows:
            say("\t".join(row))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title or None, title_justify="left", box=None, pad_edge=False, show_header=any(columns))
    for n, column in enumerate(columns):
        table.add_column(column, justify="right" if n in numbers else "left", overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    Console(highlight=False).print(table)


class Report:
    """Counts what failed, and tells it while a progress bar may be running."""

    def __init__(self) -> None:
        self.failed: list[StudioError] = []
        self._bar: tuple[Progress, TaskID] | None = None

    @contextmanager
    def progress(self, total: int, doing: str) -> Iterator[None]:
        """Show a progress bar while in the block, if stderr is a terminal."""
        if not sys.stderr.isatty():
            yield
            return
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            self._bar = bar, bar.add_task(doing, total=total)
            try:
                yield
            finally:
                self._bar = None

    @contextmanager
    def transfer(self, doing: str) -> Iterator[Callable[[Received], None]]:
        """Show how far a download is while in the block, if stderr is a terminal; gives what to call with progress."""
        if not sys.stderr.isatty():
            yield lambda _progress: None
            return
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
            TransferSpeedColumn,
        )

        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
        with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task(doing, total=None)
            yield lambda progress: bar.update(task, completed=progress.received, total=progress.total)

    def advance(self) -> None:
        """Count one more of the total as done."""
        if self._bar is not None:
            bar, task = self._bar
            bar.advance(task)

    def fail(self, error: StudioError) -> None:
        """Note an input that failed and name it, with the reason."""
        self.failed.append(error)
        self.notice(f"{error.path}: {error.reason}. {error.hint or ''}".rstrip() if error.path else str(error))

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """Note what fails in the block as the failure of one input, and go on after it."""
        try:
            yield
        except StudioError as error:
            self.fail(error)

    def notice(self, text: str) -> None:
        """Tell something on stderr."""
        if self._bar is not None:
            self._bar[0].console.print(text, markup=False, highlight=False, soft_wrap=True)
        else:
            sys.stderr.write(f"{text}\n")

    def failures(self) -> list[dict[str, str | None]]:
        """What failed, for JSON."""
        return [{"path": str(error.path) if error.path else None, "reason": error.reason} for error in self.failed]
