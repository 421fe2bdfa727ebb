"""A download that is not finished: the bytes so far, where they come from, and who is writing them.

Beside ``model.pth`` lie, until it is complete, ``model.pth.part`` with the bytes and ``model.pth.part.json`` with the
address and the validators of those bytes. ``.locks/model.pth.lock`` is held while a process writes; the system releases
it when that process ends, however it ends.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from deeplab_studio.core.cancel import Cancelled, CancelToken
from deeplab_studio.core.errors import StudioError
from deeplab_studio.core.files import explain_os_error

_POLL_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Origin:
    """Where the bytes of a part come from.

    Parameters
    ----------
    url : str
        The address that was asked, before redirects.
    etag, last_modified : str
        The server's validators of the content; empty if it sent none.
    total : int or None
        Size of the complete file in bytes, as announced.
    """

    url: str
    etag: str = ""
    last_modified: str = ""
    total: int | None = None

    @property
    def validator(self) -> str:
        """What ``If-Range`` may carry: a strong ETag, else the date, else nothing (RFC 9110, section 13.1.5)."""
        return self.etag if self.etag and not self.etag.startswith("W/") else self.last_modified


class PartialFile:
    """The unfinished download of `target`.

    Parameters
    ----------
    target : Path
        The name the complete file will have.
    """

    def __init__(self, target: Path) -> None:
        self.target = target
        self.path = target.with_name(f"{target.name}.part")
        self._sidecar = target.with_name(f"{target.name}.part.json")
        self._lock_path = target.parent / ".locks" / f"{target.name}.lock"

    @property
    def received(self) -> int:
        """Bytes on disk so far."""
        try:
            return self.path.stat().st_size
        except OSError:
            return 0

    @property
    def origin(self) -> Origin | None:
        """Where those bytes come from; None if that was not written down."""
        try:
            return Origin(**json.loads(self._sidecar.read_text("utf-8")))
        except (OSError, ValueError, TypeError):
            return None

    def begin(self, origin: Origin) -> None:
        """Start over with bytes of `origin`. May raise OSError."""
        # In this order: whenever the process dies, no bytes are taken for those of another origin.
        self.path.write_bytes(b"")
        self._sidecar.write_text(json.dumps(asdict(origin)), "utf-8")

    def clear(self) -> None:
        """Forget the bytes. May raise OSError."""
        self.path.unlink(missing_ok=True)
        self._sidecar.unlink(missing_ok=True)

    def finish(self) -> None:
        """Give the file its final name, safely on disk. May raise OSError."""
        with self.path.open("rb+") as file:
            os.fsync(file.fileno())
        self.path.replace(self.target)
        self._sidecar.unlink(missing_ok=True)

    @contextlib.contextmanager
    def held(self, cancel: CancelToken | None = None, waiting: Callable[[], None] | None = None) -> Iterator[None]:
        """Be the only one who writes, waiting for another process or thread that does.

        Parameters
        ----------
        cancel : CancelToken, optional
            Polled while waiting.
        waiting : callable, optional
            Called about ten times a second while waiting.

        Raises
        ------
        StudioError
            If the folder cannot be written to.
        """
        from filelock import FileLock, Timeout

        try:
            self._lock_path.parent.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self._lock_path)
            while True:
                try:
                    lock.acquire(timeout=0)
                    break
                except Timeout:
                    if cancel is not None:
                        cancel.raise_if_cancelled()
                    if waiting is not None:
                        waiting()
                    time.sleep(_POLL_SECONDS)
        except OSError as error:
            raise not_writable(self.target.parent, error) from error
        try:
            yield
        finally:
            lock.release()


def discard(target: Path) -> None:
    """Remove what has arrived of `target` so far, unless another process is writing it.

    Raises
    ------
    StudioError
        If it cannot be removed.
    """
    partial = PartialFile(target)
    if not partial.received and partial.origin is None:
        return
    in_use = CancelToken()
    in_use.cancel()
    with contextlib.suppress(Cancelled), partial.held(in_use):
        try:
            partial.clear()
        except OSError as error:
            raise not_writable(target.parent, error) from error


def not_writable(folder: Path, error: OSError) -> StudioError:
    """Say that nothing can be written to `folder`."""
    reason, hint = explain_os_error(error)
    return StudioError(f"this folder cannot be written to: {reason}", path=folder, hint=hint)
