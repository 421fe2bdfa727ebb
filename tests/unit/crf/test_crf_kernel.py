from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from deeplab_studio.core.errors import StudioError
from deeplab_studio.crf import CrfParams, DenseCRF, crf_backend, kernel_core
from tests.unit.crf.crf_kit import picture, probabilities

REPOSITORY = Path(__file__).resolve().parents[3]
needs_compiler = pytest.mark.skipif(
    sys.platform == "win32" or not any(shutil.which(name) for name in ("c++", "g++", "clang++")),
    reason="no C++ compiler on the PATH",
)


@pytest.fixture(scope="module")
def hatch_build():
    spec = importlib.util.spec_from_file_location("hatch_build", REPOSITORY / "hatch_build.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def use_library(monkeypatch):
    """Make the CRF see this library, or none, instead of the one beside the package."""

    def choose(library):
        monkeypatch.setattr(kernel_core, "kernel_library", lambda: library)

    return choose


@needs_compiler
@pytest.mark.slow
def test_the_build_compiles_a_kernel_that_computes(hatch_build, tmp_path, use_library):
    target = tmp_path / "built" / kernel_core.library_name()
    hatch_build.compile_kernel(target)
    assert [path.name for path in target.parent.iterdir()] == [target.name]
    library = kernel_core.load_kernel(target)
    assert library is not None

    use_library(library)
    assert crf_backend() == "kernel"
    image, p = picture(40, 50), probabilities(40, 50, 4)
    q = DenseCRF(image).infer(p)
    assert np.abs(q - DenseCRF(image, "torch").infer(p)).max() <= 1e-4


@needs_compiler
def test_a_failing_compiler_leaves_nothing_behind(hatch_build, tmp_path, monkeypatch):
    monkeypatch.setenv("CXX", "false")
    with pytest.raises(hatch_build.KernelError, match="the compiler failed"):
        hatch_build.compile_kernel(tmp_path / kernel_core.library_name())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="Windows finds its compiler by its installer")
def test_a_missing_compiler_is_told(hatch_build, tmp_path, monkeypatch):
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(hatch_build.KernelError, match="no C\\+\\+ compiler"):
        hatch_build.compile_kernel(tmp_path / "kernel.so")


@pytest.mark.parametrize("content", [None, b"", b"\x7fELF and then nothing", b"MZ" + bytes(500)])
def test_a_file_that_is_no_library_of_this_machine_is_ignored(tmp_path, content):
    path = tmp_path / kernel_core.library_name()
    if content is not None:
        path.write_bytes(content)
    assert kernel_core.load_kernel(path) is None


@needs_compiler
@pytest.mark.parametrize(
    "source", ['extern "C" int dense_crf_abi() { return 9999; }', 'extern "C" int something_else() { return 1; }']
)
def test_a_library_of_another_version_or_of_somebody_else_is_ignored(tmp_path, source):
    code, path = tmp_path / "other.cpp", tmp_path / kernel_core.library_name()
    code.write_text(source)
    compiler = next(name for name in ("c++", "g++", "clang++") if shutil.which(name))
    subprocess.run([compiler, "-shared", "-fPIC", str(code), "-o", str(path)], check=True)
    assert kernel_core.load_kernel(path) is None


def test_without_the_kernel_torch_serves(use_library):
    use_library(None)
    assert crf_backend() == "torch"
    image, p = picture(20, 20), probabilities(20, 20, 3)
    assert DenseCRF(image).engine == "torch"
    assert DenseCRF(image).infer(p, CrfParams(iterations=1)).shape == p.shape
    with pytest.raises(StudioError, match=r"kernel is missing\. Install a C\+\+ compiler"):
        DenseCRF(image, "kernel")


def _wheel(folder: Path, **environment: str) -> zipfile.ZipFile:
    pytest.importorskip("hatchling", reason="the build backend is not installed here")
    subprocess.run(
        [sys.executable, "-c", "import sys; from hatchling.build import build_wheel; build_wheel(sys.argv[1])", folder],
        cwd=REPOSITORY,
        env={**os.environ, **environment},
        check=True,
        capture_output=True,
    )
    return zipfile.ZipFile(next(folder.glob("*.whl")))


@needs_compiler
@pytest.mark.slow
def test_a_wheel_with_the_kernel_inside_serves_every_python_of_its_platform(tmp_path):
    with _wheel(tmp_path, DEEPLAB_STUDIO_KERNEL="required") as wheel:
        assert f"deeplab_studio/crf/{kernel_core.library_name()}" in wheel.namelist()
        assert "-py3-none-" in wheel.filename
        assert "-py3-none-any" not in wheel.filename
        metadata = next(name for name in wheel.namelist() if name.endswith(".dist-info/WHEEL"))
        assert "Root-Is-Purelib: false" in wheel.read(metadata).decode()


@pytest.mark.skipif(sys.platform == "win32", reason="CXX has no meaning on Windows")
def test_a_wheel_is_made_when_the_kernel_cannot_be(tmp_path):
    with _wheel(tmp_path, DEEPLAB_STUDIO_KERNEL="auto", CXX="false") as wheel:
        assert wheel.filename.endswith("-py3-none-any.whl")
        assert not [name for name in wheel.namelist() if name.endswith((".so", ".dylib", ".dll"))]
