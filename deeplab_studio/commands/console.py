"""What commands tell: results on stdout, everything else on stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from deeplab_studio.core.errors import StudioError

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


def say(text: str) -> None:
    """Write a line of the result."""
    sys.stdout.write(f"{text}\n")


def say_json(value: object) -> None:
    """Write the result as JSON."""
    say(json.dumps(value, indent=2, ensure_ascii=False))


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

    def advance(self) -> None:
        """Count one more of the total as done."""
        if self._bar is not None:
            bar, task = self._bar
            bar.advance(task)

    def fail(self, error: StudioError) -> None:
        """Note an input that failed and name it, with the reason."""
        self.failed.append(error)
        self.notice(f"{error.path}: {error.reason}. {error.hint or ''}".rstrip() if error.path else str(error))

    def notice(self, text: str) -> None:
        """Tell something on stderr."""
        if self._bar is not None:
            self._bar[0].console.print(text, markup=False, highlight=False, soft_wrap=True)
        else:
            sys.stderr.write(f"{text}\n")

    def failures(self) -> list[dict[str, str | None]]:
        """What failed, for JSON."""
        return [{"path": str(error.path) if error.path else None, "reason": error.reason} for error in self.failed]
