from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from deeplab_studio.engine import DeviceError, available_devices, device_label, device_memory, resolve_device


def test_the_cpu_is_always_there_and_comes_last() -> None:
    assert available_devices()[-1] == "cpu"


def test_auto_takes_the_best_device() -> None:
    assert resolve_device("auto") == available_devices()[0]


@pytest.mark.parametrize("wanted", ["cpu", " CPU "])
def test_the_cpu_is_taken_without_asking_the_drivers(wanted: str) -> None:
    code = (
        "import sys\n"
        "from deeplab_studio.engine import resolve_device\n"
        f"print(resolve_device({wanted!r}), 'torch' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["cpu", "False"]


@pytest.mark.parametrize("wanted", ["cuda:99", "quantum"])
def test_a_device_that_is_not_there_is_an_error_naming_those_that_are(wanted: str) -> None:
    with pytest.raises(DeviceError, match=wanted) as caught:
        resolve_device(wanted)
    assert "cpu" in str(caught.value.hint)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has CUDA")
def test_cuda_without_cuda_is_an_error() -> None:
    with pytest.raises(DeviceError, match="cuda"):
        resolve_device("cuda")


@pytest.mark.parametrize("device", available_devices())
def test_every_device_has_a_name_and_tells_its_memory(device: str) -> None:
    assert device_label(device)
    memory = device_memory(device)
    if memory is None:
        assert not sys.platform.startswith("linux")
    else:
        used, total = memory
        assert 0 <= used <= total


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_cuda_is_the_first_one() -> None:
    assert resolve_device("cuda") == "cuda:0"
