"""The CRF by pydensecrf, the yardstick, in a child process."""

from __future__ import annotations

import math
import signal
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from deeplab_studio.core.cancel import Cancelled, CancelToken
from deeplab_studio.core.errors import StudioError
from deeplab_studio.crf.reference_child import Message, receive, send

if TYPE_CHECKING:
    from deeplab_studio.crf.evidence import Evidence
    from deeplab_studio.crf.params import CrfParams

_START = "import sys; sys.path[:] = {path!r}; from deeplab_studio.crf.reference_child import main; main()"

_POLL_SECONDS = 0.02
_LAST_SECONDS = 5.0
_LARGEST_COORDINATE = 32_767

OnIteration = Callable[[int, "npt.NDArray[np.float32]"], None]


class ReferenceCore:
    """Mean field for one picture in pydensecrf, which must be there; every run builds both lattices.

    The child process starts with the first run and ends with this object, with the program, or when a run is cancelled;
    the next run starts another one.

    Parameters
    ----------
    image : (H, W, 3) uint8 ndarray
        RGB, C-contiguous.
    """

    def __init__(self, image: npt.NDArray[np.uint8]) -> None:
        self._image = image
        self._child: _Child | None = None

    def prepare(self, params: CrfParams, cancel: CancelToken | None) -> None:
        """Start the child process; pydensecrf itself has nothing that could be prepared."""
        self._check_sigmas(params)
        if cancel is not None:
            cancel.raise_if_cancelled()
        self._started()

    def run(
        self,
        evidence: Evidence,
        params: CrfParams,
        cancel: CancelToken | None,
        on_iteration: OnIteration | None,
    ) -> npt.NDArray[np.float32]:
        """Marginals `(C, H, W)` float32. All labels are computed, also those that occur nowhere.

        A decided pixel's marginals are set to 1 and 0 before the first and after every iteration.

        Raises
        ------
        StudioError
            If the child process crashes, or has too little memory.
        """
        self._check_sigmas(params)
        child = self._started()
        arrays: list[npt.NDArray[np.generic]] = [evidence.values]
        if evidence.pinned is not None:
            free = np.int16(-1)
            arrays.append(np.where(evidence.pinned < 0, free, evidence.active.astype(np.int16)[evidence.pinned]))
        request = {
            "params": params.to_dict(),
            "logs": evidence.logs,
            "every": on_iteration is not None,
            "image": not child.has_image,
        }
        if not child.has_image:
            arrays.insert(0, self._image)
        try:
            with child.killed_by(cancel):
                child.ask(request, *arrays)
                child.has_image = True
                while True:
                    answer, found = child.answer()
                    if "failed" in answer:
                        raise StudioError(answer["failed"], hint="Choose another CRF engine.")
                    if not found:
                        continue
                    marginals: npt.NDArray[np.float32] = found[0]
                    last = answer["iteration"] == int(params.iterations)
                    if on_iteration is not None and answer["iteration"] > 0:
                        on_iteration(answer["iteration"], marginals.copy() if last else marginals)
                    if last:
                        return marginals
        except BaseException as error:
            # It may be in the middle of an answer that nobody wants to hear the rest of.
            self._child = None
            gone = isinstance(error, (EOFError, OSError))
            status = child.end(wait=gone)
            if gone and cancel is not None and cancel.cancelled:
                raise Cancelled from error
            if gone:
                raise _crash(status) from error
            raise

    def labels(self, evidence: Evidence, params: CrfParams, cancel: CancelToken | None) -> npt.NDArray[np.uint8]:
        """The likeliest label of every pixel `(H, W)`."""
        labels: npt.NDArray[np.uint8] = self.run(evidence, params, cancel, None).argmax(axis=0).astype(np.uint8)
        return labels

    def _started(self) -> _Child:
        if self._child is None or not self._child.alive:
            self._child = _Child()
        return self._child

    def _check_sigmas(self, params: CrfParams) -> None:
        """Refuse sigmas at which the lattice's coordinates do not fit the 16 bits that pydensecrf has for them."""
        height, width = self._image.shape[:2]
        position, colour = params.appearance_position_sigma, params.appearance_colour_sigma
        appearance = [width / position, height / position, *3 * [255 / colour]]
        smoothness = [width / params.smoothness_sigma, height / params.smoothness_sigma]
        for weight, reach in ((params.appearance_weight, appearance), (params.smoothness_weight, smoothness)):
            corners = len(reach) + 1
            scale = math.sqrt(2 / 3) * corners
            spread = [r * scale / math.sqrt((i + 1) * (i + 2)) for i, r in enumerate(reach)]
            largest = max(sum(spread), *((i + 1) * s for i, s in enumerate(spread))) + 2 * corners
            if weight > 0 and largest > _LARGEST_COORDINATE:
                raise ValueError(f"a sigma is too small for pydensecrf on a picture of {width} x {height} pixels")


class _Child:
    """One child process."""

    def __init__(self) -> None:
        self.has_image = False
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _START.format(path=sys.path)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
            )
        except OSError as error:
            raise StudioError(
                f"pydensecrf's process cannot be started ({error.strerror})", hint="Choose another CRF engine."
            ) from error
        self._end = weakref.finalize(self, _kill, self._process)

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def ask(self, request: Message, *arrays: npt.NDArray[np.generic]) -> None:
        send(_open(self._process.stdin), request, *arrays)

    def answer(self) -> tuple[Message, list[npt.NDArray[np.float32]]]:
        return receive(_open(self._process.stdout))

    @contextmanager
    def killed_by(self, cancel: CancelToken | None) -> Iterator[None]:
        """End the process as soon as `cancel` is set: it cannot be told while it computes."""
        if cancel is None:
            yield
            return
        over = threading.Event()

        def watch() -> None:
            while not cancel.cancelled:
                if over.wait(_POLL_SECONDS):
                    return
            self._process.kill()

        watcher = threading.Thread(target=watch, name="deeplab-studio pydensecrf", daemon=True)
        watcher.start()
        try:
            yield
        finally:
            over.set()
            watcher.join()

    def end(self, *, wait: bool) -> int:
        """End the process; what it ended with. A process that ends by itself may still be at it: `wait` for that."""
        if wait:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_LAST_SECONDS)
        self._end()
        return self._process.returncode


def _kill(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.kill()
    process.wait()
    for stream in (process.stdin, process.stdout):
        with suppress(OSError):  # what was still to be written has no reader any more
            _open(stream).close()


def _open(stream: IO[bytes] | None) -> IO[bytes]:
    assert stream is not None  # both were asked for
    return stream


def _crash(status: int) -> StudioError:
    how = (signal.strsignal(-status) or f"signal {-status}") if status < 0 else f"exit status {status}"
    return StudioError(
        f"pydensecrf crashed ({how})", hint="Choose another CRF engine, or other parameters if you need this one."
    )
