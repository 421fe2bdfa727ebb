"""A disk of a few megabytes that can be filled up."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path


class Unavailable(Exception):
    """Such a disk cannot be made here; says why."""


class SmallDisk:
    """A file system in memory, for as long as the ``with`` block lasts.

    Parameters
    ----------
    path : Path
        Where it appears; made if missing.
    size : int
        Bytes it holds.

    Raises
    ------
    Unavailable
        From ``with``, if the system or its rights do not allow it.
    """

    def __init__(self, path: Path, size: int) -> None:
        self.path = path
        self._size = size

    @classmethod
    def missing(cls) -> str | None:
        """Say why there can be none here, or None."""
        with tempfile.TemporaryDirectory(prefix="deeplab-studio-disk-") as folder:
            try:
                with cls(Path(folder), 1 << 20):
                    return None
            except Unavailable as error:
                return str(error)

    def __enter__(self) -> SmallDisk:
        if not sys.platform.startswith("linux"):
            raise Unavailable("only Linux makes file systems in memory so simply")
        if shutil.which("mount") is None or os.geteuid() != 0:
            raise Unavailable("only root may mount one; try it within: unshare --user --map-root-user --mount")
        self.path.mkdir(parents=True, exist_ok=True)
        command = ["mount", "-t", "tmpfs", "-o", f"size={self._size}", "tmpfs", str(self.path)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise Unavailable(done.stderr.strip())
        return self

    def __exit__(self, *_error: object) -> None:
        subprocess.run(["umount", "--lazy", str(self.path)], check=False)

    def fill(self) -> None:
        """Take every byte that is left."""
        with self._ballast.open("ab", buffering=0) as file, suppress(OSError):
            for size in (1 << 20, 1 << 12, 1):
                with suppress(OSError):
                    while file.write(bytes(size)):
                        pass

    def free(self) -> None:
        """Give it back."""
        self._ballast.unlink(missing_ok=True)

    @property
    def _ballast(self) -> Path:
        return self.path / "ballast"
