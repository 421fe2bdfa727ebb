"""Which engines there are on this machine."""

from __future__ import annotations

import importlib.util
import sys
from typing import Literal

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
