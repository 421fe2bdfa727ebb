"""What a person is told when something cannot be done."""

from __future__ import annotations

import os
from pathlib import Path


class StudioError(Exception):
    """A failure that is the input's or the machine's, told in one sentence.

    Every part of the program raises this (or a subclass) for anything a person can do something about; anything else
    that escapes is a bug of ours.

    Parameters
    ----------
    reason : str
        Why it failed, as a clause without a capital and without a full stop: ``"the file is empty"``.
    path : path-like, optional
        The file or folder it is about. Only its name leads the sentence; the whole path stays in `path`.
    hint : str, optional
        The next step, as a full sentence: ``"Export it again as PNG."``
    """

    def __init__(self, reason: str, *, path: str | os.PathLike[str] | None = None, hint: str | None = None) -> None:
        self.reason = reason
        self.path = Path(path) if path is not None else None
        self.hint = hint
        super().__init__(reason)

    def __str__(self) -> str:
        subject = f"{self.path.name or self.path}: " if self.path is not None else ""
        sentence = f"{subject}{self.reason.rstrip('.')}."
        return f"{sentence} {self.hint}" if self.hint else sentence
