"""In which arithmetic a network is computed: float32, or the faster half as wide, whose effect on the labels is told.

Importing this module does not load torch.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import torch

Precision = Literal["exact", "fast"]
Logits = npt.NDArray[np.float32]
Progress = Callable[[float], None]

TOLERATED = 0.1
"""The largest share of changed labels with which fast arithmetic is kept."""


class Arithmetic:
    """The arithmetic of one predictor.

    Fast arithmetic is torch's autocast: convolutions in bfloat16 (CPU, and GPUs that have it) or float16, weights kept
    in float32. The first photo is computed both ways, and what that changes is told.

    Parameters
    ----------
    precision : {"exact", "fast"}

    Attributes
    ----------
    fast : bool
        Whether the next pass is computed in fast arithmetic.
    unproven : bool
        Whether no photo has been computed both ways yet.
    """

    def __init__(self, precision: Precision = "exact") -> None:
        self.fast = precision == "fast"
        self.unproven = self.fast

    def on(self, device: str) -> AbstractContextManager[object]:
        """The context in which a network is to run on `device`."""
        if not self.fast:
            return contextlib.nullcontext()
        import torch

        return torch.autocast(device.partition(":")[0], dtype=_fast_type(device))

    def name(self, device: str) -> str:
        """The arithmetic in use on `device`: ``"float32"``, ``"bfloat16"`` or ``"float16"``."""
        return str(_fast_type(device)).removeprefix("torch.") if self.fast else "float32"

    def prove(
        self,
        run: Callable[[Progress | None], Logits],
        device: str,
        progress: Progress | None,
        notice: Callable[[str], None],
    ) -> Logits:
        """Compute a photo both ways, tell what differs, and go on in fast arithmetic if that is tolerable.

        Parameters
        ----------
        run : callable
            Computes the photo as `fast` says; takes what to call with the fraction done.
        device : str
        progress : callable, optional
        notice : callable
            Gets a sentence.

        Returns
        -------
        (C, h, w) float32 array
            The logits to use.
        """

        def half(offset: float) -> Progress | None:
            return None if progress is None else lambda fraction: progress(offset + fraction / 2)

        try:
            self.fast = False
            if device != "cpu":
                run(None)  # a GPU takes seconds over its first pass, whichever that is
            start = time.perf_counter()
            exact = run(half(0.0))
            middle = time.perf_counter()
            self.fast = True
            fast = run(half(0.5))
        finally:
            self.fast = True  # whatever stopped it, the next photo is tried again
        seconds = middle - start, time.perf_counter() - middle
        self.unproven = False
        kind = self.name(device)
        if not np.isfinite(fast).all():
            self.fast = False
            notice(f"{kind} is not wide enough for the scores of this model; it is computed in float32.")
            return exact
        changed = float(np.mean(exact.argmax(0) != fast.argmax(0)))
        if changed > TOLERATED:
            self.fast = False
            notice(f"{kind} would change {changed:.1%} of the labels of this photo; it is computed in float32.")
            return exact
        notice(
            f"Fast precision ({kind}): {changed:.2%} of the labels of this photo differ from the exact ones, "
            f"{seconds[0] / seconds[1]:.1f} times as fast."
        )
        return fast


def _fast_type(device: str) -> torch.dtype:
    import torch

    if device.startswith("mps"):
        return torch.float16
    if device.startswith("cuda"):
        with torch.cuda.device(device):
            # What older GPUs emulate is slower than float32.
            return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
    return torch.bfloat16
