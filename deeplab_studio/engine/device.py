"""The processors a network can run on. Importing this module does not load torch."""

from __future__ import annotations

import os
from pathlib import Path

from deeplab_studio.core.errors import StudioError


class DeviceError(StudioError):
    """A device that this machine does not have, or that torch cannot use."""


def available_devices() -> list[str]:
    """Devices of this machine, best first: ``"cuda:0"``, ``"cuda:1"``, ..., ``"mps"``, ``"cpu"``."""
    import torch

    devices = [f"cuda:{i}" for i in range(torch.cuda.device_count())] if torch.cuda.is_available() else []
    if torch.backends.mps.is_available():
        devices.append("mps")
    return [*devices, "cpu"]


def resolve_device(wanted: str = "auto") -> str:
    """The device a request means.

    Parameters
    ----------
    wanted : str
        ``"auto"`` (the best there is), ``"cpu"``, ``"cuda"`` (the first), ``"cuda:1"``, ``"mps"``.

    Returns
    -------
    str
        One of `available_devices`.

    Raises
    ------
    DeviceError
        If this machine does not have it.
    """
    wanted = wanted.strip().lower()
    if wanted == "cpu":
        return wanted  # without asking the drivers, which takes seconds on some machines
    devices = available_devices()
    if wanted == "auto":
        return devices[0]
    device = "cuda:0" if wanted == "cuda" else wanted
    if device not in devices:
        raise DeviceError(
            f"this machine has no device {wanted!r} that torch can use", hint=f"Available: {', '.join(devices)}."
        )
    return device


def device_label(device: str) -> str:
    """What a person calls the device: ``"NVIDIA GeForce RTX 4070 (cuda:0)"``, ``"Apple GPU"``, ``"CPU"``."""
    if device.startswith("cuda"):
        import torch

        return f"{torch.cuda.get_device_name(device)} ({device})"
    return {"mps": "Apple GPU", "cpu": "CPU"}.get(device, device)


def device_memory(device: str) -> tuple[int, int] | None:
    """Memory used and memory there is, in bytes.

    Parameters
    ----------
    device : str
        One of `available_devices`.

    Returns
    -------
    (used, total) or None
        On a GPU by everyone; on the CPU by this process, of the machine's memory. None where it cannot be told.
    """
    if device.startswith("cuda"):
        import torch

        free, total = torch.cuda.mem_get_info(device)
        return total - free, total
    if device == "mps":
        import torch

        return torch.mps.driver_allocated_memory(), torch.mps.recommended_max_memory()
    try:
        resident_pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except FileNotFoundError:  # only Linux has it
        return None
    page = os.sysconf("SC_PAGE_SIZE")
    return resident_pages * page, os.sysconf("SC_PHYS_PAGES") * page
