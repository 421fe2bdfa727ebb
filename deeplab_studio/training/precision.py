"""What the processor can do: which numbers it computes with, and whether its memory suffices."""

from __future__ import annotations

import torch


def computes_bfloat16(wanted: str, device: str) -> bool:
    """Whether convolutions compute in bfloat16: as wide a range as float32, so that no loss has to be scaled.

    Parameters
    ----------
    wanted : {"auto", "bfloat16", "float32"}
        "auto" is bfloat16 where the processor has instructions for it.
    device : str
        ``"cpu"``, ``"cuda:0"``, ``"mps"``.
    """
    if wanted != "auto":
        return wanted == "bfloat16"
    if device.startswith("cuda"):
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return device == "cpu" and bool(torch.cpu._is_avx512_bf16_supported())


def autocast(device: str, bfloat16: bool) -> torch.autocast:
    """Convolutions in bfloat16 while in the context, if wanted."""
    return torch.autocast(device.split(":")[0], torch.bfloat16, enabled=bfloat16)


def is_out_of_memory(error: Exception) -> bool:
    """Whether memory ran out: CUDA has an exception of its own for it, the others say it in words."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    text = str(error).lower()
    return any(words in text for words in ("out of memory", "not enough memory", "can't allocate memory"))
