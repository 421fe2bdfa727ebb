"""Hashes files are known by."""

from __future__ import annotations

import hashlib
import string
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from deeplab_studio.core.cancel import CancelToken
from deeplab_studio.core.errors import StudioError
from deeplab_studio.core.files import explain_os_error

_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class Digest:
    """A published hash of a file.

    Parameters
    ----------
    kind : {"sha256", "git-blob"}
        "sha256": the whole SHA-256 or its first eight or more digits, as torchvision and MMSegmentation put them into
        file names. "git-blob": the id git gives the file, SHA-1 over ``blob SIZE NUL`` and the content.
    value : str
        Hexadecimal digits, lower case.

    Raises
    ------
    ValueError
        If `value` is not such a hash.
    """

    kind: Literal["sha256", "git-blob"]
    value: str

    def __post_init__(self) -> None:
        length = {"sha256": range(8, 65), "git-blob": range(40, 41)}[self.kind]
        if len(self.value) not in length or not set(self.value) <= set(string.digits + "abcdef"):
            raise ValueError(f"{self.value!r} is no {self.kind} hash")

    def __str__(self) -> str:
        if self.kind == "git-blob":
            return f"git blob {self.value}"
        return f"sha256 {self.value}" if len(self.value) == 64 else f"sha256 {self.value}…"

    def matches(self, path: Path, sha256: str | None = None, cancel: CancelToken | None = None) -> bool:
        """Tell whether the file at `path` has this hash.

        Parameters
        ----------
        path : Path
            The file; read only if its `sha256` does not answer the question.
        sha256 : str, optional
            Its SHA-256, if that is known already.
        cancel : CancelToken, optional
            Polled while the file is read.

        Raises
        ------
        StudioError
            If the file cannot be read.
        """
        if self.kind == "git-blob":
            return self._git_blob(path, cancel) == self.value
        return (sha256 or sha256_of(path, cancel)).startswith(self.value)

    @staticmethod
    def _git_blob(path: Path, cancel: CancelToken | None) -> str:
        try:
            hasher = hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)
            _feed(hasher, path, cancel)
        except OSError as error:
            raise _unreadable(path, error) from error
        return hasher.hexdigest()


def sha256_of(path: Path, cancel: CancelToken | None = None) -> str:
    """Return the SHA-256 of a file as 64 hexadecimal digits.

    Raises
    ------
    StudioError
        If the file cannot be read.
    """
    hasher = hashlib.sha256()
    try:
        _feed(hasher, path, cancel)
    except OSError as error:
        raise _unreadable(path, error) from error
    return hasher.hexdigest()


def _feed(hasher: hashlib._Hash, path: Path, cancel: CancelToken | None) -> None:
    with path.open("rb", buffering=0) as file:
        while block := file.read(_BLOCK):
            if cancel is not None:
                cancel.raise_if_cancelled()
            hasher.update(block)


def _unreadable(path: Path, error: OSError) -> StudioError:
    reason, hint = explain_os_error(error)
    return StudioError(f"it cannot be read: {reason}", path=path, hint=hint)
