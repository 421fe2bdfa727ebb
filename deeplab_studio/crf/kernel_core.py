"""The CRF in compiled code: loading the kernel and driving it, one iteration a call."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from deeplab_studio.core.cancel import Cancelled, CancelToken
from deeplab_studio.crf.evidence import CLIP

if TYPE_CHECKING:
    from deeplab_studio.crf.evidence import Evidence
    from deeplab_studio.crf.params import CrfParams

ABI = 2
"""Version of the kernel's C interface; a library with another one is ignored."""

MAX_THREADS = 8

_CANCELLED, _NO_MEMORY, _SIGMA_TOO_SMALL = 1, 2, 3
_APPEARANCE, _SMOOTHNESS = 0, 1

_StopFunction = ctypes.CFUNCTYPE(ctypes.c_int32)
_Array = ctypes.c_void_p

OnIteration = Callable[[int, "npt.NDArray[np.float32]"], None]


def library_name() -> str:
    """File name of the compiled kernel on this system."""
    return {"win32": "dense_crf.dll", "darwin": "dense_crf.dylib"}.get(sys.platform, "dense_crf.so")


def load_kernel(path: Path) -> ctypes.CDLL | None:
    """The kernel in this file, or None if it is missing, for another machine, or of another version."""
    try:
        library = ctypes.CDLL(str(path))
        version = library.dense_crf_abi
        version.restype = ctypes.c_int32
        if version() != ABI:
            return None
        signatures: dict[str, tuple[Any, list[Any]]] = {
            "dense_crf_create": (ctypes.c_void_p, [_Array, ctypes.c_int64, ctypes.c_int64, ctypes.c_int32]),
            "dense_crf_destroy": (None, [ctypes.c_void_p]),
            "dense_crf_set_kernel": (
                ctypes.c_int32,
                [ctypes.c_void_p, ctypes.c_int32, ctypes.c_float, ctypes.c_float, ctypes.c_int32, _StopFunction],
            ),
            "dense_crf_begin": (
                ctypes.c_int32,
                [
                    *(ctypes.c_void_p, _Array, ctypes.c_int32),
                    *(_Array, ctypes.c_int32) * 2,
                    *(_Array, *(ctypes.c_float,) * 3),
                    *(_Array, _Array),
                ],
            ),
            "dense_crf_step": (ctypes.c_int32, [ctypes.c_void_p, _Array, _Array, ctypes.c_int32]),
        }
        for name, (result, arguments) in signatures.items():
            function = getattr(library, name)
            function.restype, function.argtypes = result, arguments
    except (OSError, AttributeError):
        return None
    return library


@cache
def kernel_library() -> ctypes.CDLL | None:
    """The compiled kernel beside this module, or None where there is none that fits."""
    return load_kernel(Path(__file__).with_name(library_name()))


def default_threads() -> int:
    """Threads the kernel takes by itself: the CPUs this process may use, 8 at most (more only wait for memory)."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(count, MAX_THREADS)


class KernelCore:
    """Mean field for one picture in the compiled kernel, which must be there; it keeps lattices until sigmas change.

    Parameters
    ----------
    image : (H, W, 3) uint8 ndarray
        RGB, C-contiguous.
    threads : int, optional
        At least 1.
    """

    def __init__(self, image: npt.NDArray[np.uint8], threads: int | None = None) -> None:
        self._handle: int | None = None
        library = kernel_library()
        assert library is not None
        self._library = library
        self._image = image  # the kernel reads the pixels whenever it builds a lattice
        height, width = image.shape[:2]
        self._handle = library.dense_crf_create(image.ctypes.data, height, width, threads or default_threads())
        if not self._handle:
            raise MemoryError("no memory for the CRF")

    def __del__(self) -> None:
        if self._handle:
            self._library.dense_crf_destroy(self._handle)

    def prepare(self, params: CrfParams, cancel: CancelToken | None) -> None:
        """Build the lattices with a weight above 0 where there is none for these sigmas."""
        stop = _StopFunction((lambda: int(cancel.cancelled)) if cancel is not None else 0)
        normalization = int(params.normalization == "after")
        wanted = (
            (_APPEARANCE, params.appearance_weight, params.appearance_position_sigma, params.appearance_colour_sigma),
            (_SMOOTHNESS, params.smoothness_weight, params.smoothness_sigma, 0.0),
        )
        for which, weight, position_sigma, colour_sigma in wanted:
            if weight > 0:
                self._check(
                    self._library.dense_crf_set_kernel(
                        self._handle, which, position_sigma, colour_sigma, normalization, stop
                    )
                )

    def run(
        self,
        evidence: Evidence,
        params: CrfParams,
        cancel: CancelToken | None,
        on_iteration: OnIteration | None,
    ) -> npt.NDArray[np.float32]:
        """Marginals `(C, H, W)` float32 of at least two label groups."""
        self.prepare(params, cancel)
        iterations = int(params.iterations)
        q: npt.NDArray[np.float32] = np.empty(evidence.values.shape, np.float32)
        self._start(evidence, params, q if iterations == 0 else None, None)
        for iteration in range(1, iterations + 1):
            if cancel is not None:
                cancel.raise_if_cancelled()
            last = iteration == iterations
            self._step(q if last or on_iteration is not None else None, None, last=last)
            if on_iteration is not None:
                on_iteration(iteration, q.copy() if last else q)
                q = q if last else np.empty_like(q)
        return q

    def labels(self, evidence: Evidence, params: CrfParams, cancel: CancelToken | None) -> npt.NDArray[np.uint8]:
        """The likeliest label of every pixel `(H, W)`; the marginals are nowhere stored."""
        self.prepare(params, cancel)
        iterations = int(params.iterations)
        labels: npt.NDArray[np.uint8] = np.empty(evidence.values.shape[1:], np.uint8)
        self._start(evidence, params, None, labels if iterations == 0 else None)
        for iteration in range(1, iterations + 1):
            if cancel is not None:
                cancel.raise_if_cancelled()
            last = iteration == iterations
            self._step(None, labels if last else None, last=last)
        return labels

    def _start(
        self,
        evidence: Evidence,
        params: CrfParams,
        marginals: npt.NDArray[np.float32] | None,
        labels: npt.NDArray[np.uint8] | None,
    ) -> None:
        """Begin an inference; its evidence must live until the last step."""
        self._check(
            self._library.dense_crf_begin(
                self._handle,
                evidence.values.ctypes.data,
                int(evidence.logs),
                evidence.active.ctypes.data,
                len(evidence.active),
                evidence.rest.ctypes.data,
                len(evidence.rest),
                _address(evidence.pinned),
                CLIP,
                params.appearance_weight,
                params.smoothness_weight,
                _address(marginals),
                _address(labels),
            )
        )

    def _step(
        self, marginals: npt.NDArray[np.float32] | None, labels: npt.NDArray[np.uint8] | None, *, last: bool
    ) -> None:
        """One iteration."""
        more = 0 if last else 1
        self._check(self._library.dense_crf_step(self._handle, _address(marginals), _address(labels), more))

    def _check(self, status: int) -> None:
        if status == _CANCELLED:
            raise Cancelled
        if status == _NO_MEMORY:
            raise MemoryError("no memory for the CRF")
        if status == _SIGMA_TOO_SMALL:
            height, width = self._image.shape[:2]
            raise ValueError(f"a sigma is too small for a picture of {width} x {height} pixels")
        if status:
            raise RuntimeError(f"the CRF kernel answered {status}")


def _address(array: npt.NDArray[Any] | None) -> int | None:
    return None if array is None else int(array.ctypes.data)
