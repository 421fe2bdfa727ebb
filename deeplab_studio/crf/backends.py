"""Which engines there are on this machine."""

from __future__ import annotations

import importlib.util
import sys
from typing import Literal

from deeplab_studio.core.errors import StudioError

Backend = Literal["kernel", "torch", "reference"]
"""The compiled kernel, torch operations, or pydensecrf."""

Engine = Literal["auto", "kernel", "torch", "reference"]
"""A wish: "auto" is the kernel, or torch where there is none."""


def crf_backend() -> Literal["kernel", "torch"]:
    """Which engine `DenseCRF` takes by itself on this machine."""
    from deeplab_studio.crf.kernel_core import kernel_library

    return "kernel" if kernel_library() is not None else "torch"


def reference_available() -> bool:
    """Whether pydensecrf is installed beside this program. It is not imported to find out.

    A program that was packed into one bundle has no Python to start the child process with, and no pydensecrf either.
    """
    return not getattr(sys, "frozen", False) and importlib.util.find_spec("pydensecrf") is not None


def require_engine(engine: Engine) -> Backend:
    """What computes where this engine is wished for.

    Raises
    ------
    StudioError
        If it is not there, with what to do about it.
    """
    if engine == "auto":
        return crf_backend()
    if engine == "kernel" and crf_backend() != "kernel":
        raise StudioError(
            "the compiled CRF kernel is missing",
            hint="Install a C++ compiler and install the program again, or use the torch engine.",
        )
    if engine == "reference" and not reference_available():
        raise StudioError(
            "pydensecrf is not installed",
            hint="Install it with pip install 'deeplab-studio[reference]', or choose another CRF engine.",
        )
    return engine
