"""The fully connected CRF behind one interface."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol, get_args

import numpy as np
import numpy.typing as npt

from deeplab_studio.core.cancel import CancelToken
from deeplab_studio.crf.backends import Backend, Engine, require_engine
from deeplab_studio.crf.evidence import Evidence, Unaries, gather_evidence
from deeplab_studio.crf.params import CrfParams

if TYPE_CHECKING:
    from deeplab_studio.crf.kernel_core import KernelCore
    from deeplab_studio.crf.reference_core import ReferenceCore
    from deeplab_studio.crf.torch_core import TorchCore

OnIteration = Callable[[int, "npt.NDArray[np.float32]"], None]


class _Core(Protocol):
    def run(
        self, evidence: Evidence, params: CrfParams, cancel: CancelToken | None, on_iteration: OnIteration | None
    ) -> npt.NDArray[np.float32]: ...

    def labels(self, evidence: Evidence, params: CrfParams, cancel: CancelToken | None) -> npt.NDArray[np.uint8]: ...

    def prepare(self, params: CrfParams, cancel: CancelToken | None) -> object: ...


class DenseCRF:
    """Mean-field inference in a fully connected CRF over one picture.

    Energy and kernels of Krähenbühl and Koltun (NIPS 2011) with Potts compatibility, filtered on permutohedral
    lattices (Adams, Baek, Davis, 2010). All engines give what pydensecrf gives, up to rounding.

    The lattices of the sigmas used last are kept: new weights, another number of iterations or other probabilities
    reuse them, and a new sigma rebuilds the lattice of its own kernel only.

    Parameters
    ----------
    image : (H, W, 3) uint8 array
        The picture, RGB. Any strides; it is copied if it is not contiguous and must not be changed afterwards.
    engine : {"auto", "kernel", "torch", "reference"}
        "kernel" is the compiled one (CPU), "torch" runs on `device`, "reference" is pydensecrf in a child process, to
        compare with; "auto" takes the kernel where it is there, else torch.
    device : str
        Torch device of the torch engine; the others ignore it.
    threads : int, optional
        Threads of the kernel, at least 1; as many as there are CPUs, 8 at most, if omitted. Results of different
        numbers of threads differ by rounding only; those of the same number are the same to the last bit.

    Raises
    ------
    ValueError
        If the image is not (H, W, 3) uint8 with at least one pixel, or the engine is unknown.
    StudioError
        If the kernel or pydensecrf was asked for and is not there.

    Notes
    -----
    Calls on one object wait for each other; different objects may be used from different threads at once. The
    interpreter lock is free while an engine computes. The reference keeps no lattices: pydensecrf bakes the weights
    into them.
    """

    def __init__(
        self,
        image: npt.ArrayLike,
        engine: Engine = "auto",
        *,
        device: str = "cpu",
        threads: int | None = None,
    ) -> None:
        pixels = np.asarray(image)
        if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8 or pixels.size == 0:
            raise ValueError(f"the image is {pixels.dtype} {pixels.shape}, it must be uint8 (height, width, 3)")
        if engine not in get_args(Engine):
            raise ValueError(f"engine is {engine!r}, it must be one of {', '.join(get_args(Engine))}")
        if threads is not None and threads < 1:
            raise ValueError(f"threads is {threads}, it must be at least 1")
        self.height, self.width = pixels.shape[:2]
        self.engine: Backend = require_engine(engine)
        self._lock = threading.Lock()
        contiguous = np.ascontiguousarray(pixels)
        if not contiguous.flags.writeable:
            contiguous = contiguous.copy()  # torch warns about memory it may not write
        self._core: _Core
        if self.engine == "kernel":
            self._core = _kernel_core(contiguous, threads)
        elif self.engine == "torch":
            self._core = _torch_core(contiguous, device)
        else:
            self._core = _reference_core(contiguous)

    def prepare(self, params: CrfParams, cancel: CancelToken | None = None) -> None:
        """Build the lattices that `infer` with these parameters needs, ahead of it.

        Raises
        ------
        ValueError
            If a sigma is too small for a picture of this size (beyond 20,000 pixels at half a pixel).
        Cancelled
            If `cancel` was set; what was complete by then is kept.
        """
        with self._lock:
            self._core.prepare(params, cancel)

    def infer(
        self,
        probabilities: npt.NDArray[np.floating[Any]] | Unaries,
        params: CrfParams | None = None,
        pinned: npt.NDArray[np.signedinteger[Any]] | None = None,
        cancel: CancelToken | None = None,
        on_iteration: OnIteration | None = None,
    ) -> npt.NDArray[np.float32]:
        """Marginals of the labels after `params.iterations` mean-field iterations.

        Parameters
        ----------
        probabilities : (C, H, W) float array or Unaries
            Probability of each label, 0..1, 1 <= C <= 255. The unary energy is -log of it, clipped to 1e-5..1 as
            pydensecrf's `unary_from_softmax` does. They need not sum to 1. NaN counts as 0, and where all labels are 0
            the pixel has no opinion of its own. Who runs the same probabilities many times turns them into `Unaries`
            once, which saves the check and the logarithm.
        params : CrfParams, optional
            The defaults if omitted.
        pinned : (H, W) signed integer array, optional
            Channel index where a person has decided, -1 where the pixel is free. A decided pixel's marginal is 1 for
            that label in every iteration, so it pulls others and is pulled by none.
        cancel : CancelToken, optional
            Polled between iterations and while lattices are built.
        on_iteration : callable, optional
            Called after each iteration with its number, from 1, and the marginals as a new array.

        Returns
        -------
        (C, H, W) float32 ndarray
            Non-negative, summing to 1 over C.

        Raises
        ------
        ValueError
            If shapes do not fit the picture, a probability is outside 0..1, a pinned channel does not exist, or a
            sigma is too small for a picture of this size.
        Cancelled
            If `cancel` was set.
        StudioError
            If pydensecrf crashed.
        """
        wanted = params or CrfParams()
        evidence = gather_evidence(probabilities, pinned, self.height, self.width)
        with self._lock:
            if cancel is not None:
                cancel.raise_if_cancelled()
            if evidence.groups > 1:
                return self._core.run(evidence, wanted, cancel, on_iteration)
            # Labels that cannot be told apart share the pixel evenly, whatever the kernels do.
            even = np.full(evidence.values.shape, 1 / len(evidence.values), np.float32)
            for iteration in range(1, wanted.iterations + 1):
                if on_iteration is not None:
                    on_iteration(iteration, even.copy())
            return even

    def labels(
        self,
        probabilities: npt.NDArray[np.floating[Any]] | Unaries,
        params: CrfParams | None = None,
        pinned: npt.NDArray[np.signedinteger[Any]] | None = None,
        cancel: CancelToken | None = None,
    ) -> npt.NDArray[np.uint8]:
        """The likeliest label of every pixel: ``infer(...).argmax(axis=0)`` without ever storing the marginals.

        Parameters
        ----------
        probabilities, params, pinned, cancel
            As of `infer`, which raises the same errors.

        Returns
        -------
        (H, W) uint8 ndarray
            Channel index; of equally likely labels the first.
        """
        evidence = gather_evidence(probabilities, pinned, self.height, self.width)
        with self._lock:
            if cancel is not None:
                cancel.raise_if_cancelled()
            if evidence.groups > 1:
                return self._core.labels(evidence, params or CrfParams(), cancel)
            return np.zeros((self.height, self.width), np.uint8)


def _kernel_core(image: npt.NDArray[np.uint8], threads: int | None) -> KernelCore:
    from deeplab_studio.crf.kernel_core import KernelCore

    return KernelCore(image, threads)


def _torch_core(image: npt.NDArray[np.uint8], device: str) -> TorchCore:
    from deeplab_studio.crf.torch_core import TorchCore

    return TorchCore(image, device)


def _reference_core(image: npt.NDArray[np.uint8]) -> ReferenceCore:
    from deeplab_studio.crf.reference_core import ReferenceCore

    return ReferenceCore(image)
