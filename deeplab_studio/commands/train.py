"""Teach models: one compact encoder with the heads of one version or several, on a data set in Pascal VOC layout.

CONFIG is a TOML file, see docs/training.md. A run that was interrupted, even killed, goes on with --resume.
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deeplab_studio.commands.console import Report, say
from deeplab_studio.commands.options import add_device
from deeplab_studio.core.errors import StudioError

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from deeplab_studio.networks.profile import Version
    from deeplab_studio.training.loop import Trainer

_INTERRUPTED = 130


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command's arguments."""
    parser.add_argument("config", metavar="CONFIG", type=Path, help="TOML file that says what is taught, and how")
    parser.add_argument("--resume", action="store_true", help="go on from the last checkpoint, if there is one")
    parser.add_argument("--output", metavar="DIR", type=Path, help="folder of the run instead of the one in CONFIG")
    parser.add_argument(
        "--crops",
        type=_positive,
        metavar="N",
        help="end after N crops in all instead of as many as CONFIG says; a resumed run's learning rate goes from "
        "where it is to zero there",
    )
    parser.add_argument("--threads", type=_positive, metavar="N", help="processors to use (all)")
    add_device(parser)


def _positive(text: str) -> int:
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return value


def run(options: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    """Run the command; its exit code."""
    from deeplab_studio.training.config import read_config

    config = read_config(options.config)
    if options.output is not None:
        config = replace(config, output=options.output.resolve())
    # Before photos are decoded and a teacher is asked, which takes minutes.
    resumes = (config.output / "checkpoint.pt").exists()
    if resumes and not options.resume:
        raise StudioError(
            "there is a run in this folder already",
            path=config.output,
            hint="Go on with --resume, or give another folder with --output.",
        )
    if options.crops is not None and not resumes:
        config = replace(config, schedule=replace(config.schedule, crops=options.crops))

    from deeplab_studio.engine import resolve_device
    from deeplab_studio.training.loop import Trainer
    from deeplab_studio.training.precision import is_out_of_memory
    from deeplab_studio.training.prepare import prepare

    _use_processors(options.threads)
    device = resolve_device(options.device)
    report = Report()
    display = _Display(report)
    try:
        with display.shown():
            material = prepare(
                config, device, on_problem=report.fail, on_notice=display.notice, progress=display.preparing
            )
            trainer = Trainer(config, material, device, display.notice, display.training)
            if resumes:
                trainer.resume(options.crops)
                display.notice(f"Going on after {trainer.crops} of {trainer.plan.total} crops.")
            elif options.resume:
                display.notice("There is no checkpoint to go on from: starting anew.")
            with _stopped_by_signals(trainer):
                finished = trainer.run()
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise StudioError("there is not enough memory to train", hint="Close other programs.") from error
    if not finished:
        display.notice(f"Stopped after {trainer.crops} crops; go on with --resume.")
        return _INTERRUPTED
    for version in config.versions:
        _evaluate(trainer, version, device, parser)
    return 1 if report.failed else 0


def _use_processors(count: int | None) -> None:
    """Leave the making of crops to its own thread, and torch to `count` others."""
    import cv2
    import torch

    cv2.setNumThreads(1)
    if count is not None:
        torch.set_num_threads(count)


@contextmanager
def _stopped_by_signals(trainer: Trainer) -> Iterator[None]:
    """Let Ctrl+C and a request to terminate end the run with a checkpoint."""

    def stop(_number: int, _frame: object) -> None:
        trainer.stop()

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _evaluate(trainer: Trainer, version: Version, device: str, parser: argparse.ArgumentParser) -> None:
    """Score a finished model as ``deeplab-studio evaluate`` does, on photos at their own size."""
    from deeplab_studio.commands import evaluate

    data, path = trainer.config.data, trainer.model_path(version)
    say(str(path))
    options: dict[str, Any] = {
        "root": data.val,
        "split": data.val_split or None,
        "model": str(path),
        "device": device,
        "crf": "none",
        "json": str(path.with_suffix(".json")),
    }
    scored = argparse.ArgumentParser(prog=parser.prog)
    evaluate.add_arguments(scored)
    evaluate.run(argparse.Namespace(**{**vars(scored.parse_args([".", "--model", "."])), **options}), scored)


class _Display:
    """Progress on a terminal; elsewhere sentences alone."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._doing = ""

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Show a progress bar while in the block, if stderr is a terminal."""
        if not sys.stderr.isatty():
            yield
            return
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[told]}"),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=Console(stderr=True), transient=True) as self._bar:
            try:
                yield
            finally:
                self._bar = None

    def notice(self, text: str) -> None:
        """Tell something on stderr."""
        if self._bar is not None:
            self._bar.console.print(text, markup=False, highlight=False, soft_wrap=True)
        else:
            self._report.notice(text)

    def preparing(self, doing: str, done: int, count: int) -> None:
        """Show how far the preparation is."""
        self._show(doing, done, count, "")

    def training(self, crops: int, total: int, loss: float) -> None:
        """Show how far training is."""
        self._show("Training", crops, total, f"loss {loss:.2f}")

    def _show(self, doing: str, done: int, count: int, told: str) -> None:
        if self._bar is None:
            return
        if doing != self._doing or self._task is None:
            if self._task is not None:
                self._bar.remove_task(self._task)
            self._doing, self._task = doing, self._bar.add_task(doing, total=count, told="", completed=done)
        self._bar.update(self._task, completed=done, total=count, told=told)
