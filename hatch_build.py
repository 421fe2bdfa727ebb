"""Compiles the dense CRF kernel while the package is built, where there is a C++ compiler.

Without one, or when it fails, the package installs all the same and the CRF runs in torch. The kernel is a plain shared
library behind a C interface: one wheel per platform serves every Python. ``python hatch_build.py`` compiles it into the
source tree.

The environment variable DEEPLAB_STUDIO_KERNEL says what to do: ``auto`` (the default), ``off`` (a wheel for every
platform) or ``required`` (fail without the kernel: for builds that are published). CXX names the compiler.
"""

from __future__ import annotations

import os
import platform
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface

    _Interface = BuildHookInterface[Any]
else:
    try:
        from hatchling.builders.hooks.plugin.interface import BuildHookInterface as _Interface
    except ModuleNotFoundError:  # compiling by hand needs no build backend
        _Interface = object

ROOT = Path(__file__).resolve().parent
SOURCES = Path("deeplab_studio", "crf", "kernel")
WINDOWS, MACOS = (platform.system() == name for name in ("Windows", "Darwin"))
LIBRARY_NAME = "dense_crf.dll" if WINDOWS else "dense_crf.dylib" if MACOS else "dense_crf.so"
LIBRARY = Path("deeplab_studio", "crf", LIBRARY_NAME)


class KernelError(Exception):
    """The kernel was not compiled; the message says why."""


class CustomBuildHook(_Interface):
    """Puts the kernel into a wheel, or beside the sources of an editable install."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, and name the platform on a wheel that has the kernel inside."""
        wish = os.environ.get("DEEPLAB_STUDIO_KERNEL", "auto")
        if self.target_name != "wheel" or wish == "off":
            return
        try:
            if version == "editable":
                compile_kernel(ROOT / LIBRARY)
                return
            self._folder = tempfile.TemporaryDirectory(prefix="dense-crf-")
            library = Path(self._folder.name, LIBRARY_NAME)
            compile_kernel(library)
        except KernelError as error:
            if wish == "required":
                raise
            self.app.display_warning(f"The dense CRF kernel was not compiled, the CRF will run in torch: {error}")
            return
        build_data["force_include"][str(library)] = LIBRARY.as_posix()
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{_platform_tag()}"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:  # noqa: ARG002
        """Remove what was compiled for the wheel."""
        folder = getattr(self, "_folder", None)
        if folder is not None:
            folder.cleanup()


def compile_kernel(target: Path) -> None:
    """Compile the kernel into `target`, which is replaced at once and only by a library that was linked.

    Raises
    ------
    KernelError
        If there is no compiler, or it fails.
    """
    sources = sorted(str(path) for path in (ROOT / SOURCES).glob("*.cpp"))
    if not sources:
        raise KernelError(f"no sources in {ROOT / SOURCES}")
    target.parent.mkdir(parents=True, exist_ok=True)
    # Beside the target, so that the last step is a rename: a running program keeps the library it has loaded.
    with tempfile.TemporaryDirectory(prefix=".kernel-", dir=target.parent) as folder:
        built = Path(folder, LIBRARY_NAME)
        command = _msvc_command(sources, built) if WINDOWS else _unix_command(sources, built)
        try:
            done = subprocess.run(
                command,
                cwd=folder,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=600,
                check=False,
                shell=isinstance(command, str),
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise KernelError(str(error)) from error
        if done.returncode or not built.is_file():
            raise KernelError(f"the compiler failed\n{(done.stderr or done.stdout)[-2000:]}")
        try:
            built.replace(target)
        except OSError as error:  # Windows keeps a library that is in use
            raise KernelError(str(error)) from error


def _unix_command(sources: list[str], built: Path) -> list[str]:
    compiler = shlex.split(os.environ.get("CXX", ""))
    if not compiler:
        found = next((path for name in ("c++", "g++", "clang++") if (path := shutil.which(name))), None)
        if found is None:
            raise KernelError("there is no C++ compiler (c++, g++ or clang++) on the PATH")
        compiler = [found]
    # Contraction off: a fused multiply-add moves pixels to another simplex, and results would depend on the machine.
    # hidden: only the C interface is visible, so that no other library's symbols can take the place of ours.
    flags = "-std=c++17 -O3 -shared -fPIC -fvisibility=hidden -ffp-contract=off -pthread".split()
    return [*compiler, *flags, *_mac_architectures(), *sources, "-o", str(built)]


def _mac_architectures() -> list[str]:
    if not MACOS:
        return []
    if os.environ.get("ARCHFLAGS"):
        return shlex.split(os.environ["ARCHFLAGS"])
    if sysconfig.get_platform().endswith("universal2"):
        return ["-arch", "x86_64", "-arch", "arm64"]
    return []


def _msvc_command(sources: list[str], built: Path) -> str:
    cl = ["cl", "/nologo", "/std:c++17", "/O2", "/EHsc", "/MT", "/fp:precise", "/LD", *sources, f"/Fe:{built}"]
    compile_all = subprocess.list2cmdline(cl)
    if shutil.which("cl"):
        return compile_all
    # The compiler is not on the PATH outside a developer prompt; its installer says where it is.
    locator = Path(
        os.environ.get("PROGRAMFILES(X86)", r"C:\Program Files (x86)"),
        "Microsoft Visual Studio",
        "Installer",
        "vswhere.exe",
    )
    try:
        found = subprocess.run(
            [str(locator), "-latest", "-products", "*", "-property", "installationPath"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError) as error:
        raise KernelError("there are no Visual C++ build tools") from error
    prompt = Path(found, "VC", "Auxiliary", "Build", "vcvarsall.bat")
    if not found or not prompt.is_file():
        raise KernelError("there are no Visual C++ build tools")
    architecture = "arm64" if sysconfig.get_platform() == "win-arm64" else "x64"
    return f'call "{prompt}" {architecture} >nul && {compile_all}'


def _platform_tag() -> str:
    tag = sysconfig.get_platform()
    architectures = os.environ.get("ARCHFLAGS", "").split()[1::2] if MACOS else []
    if architectures:
        kind = "universal2" if len(architectures) > 1 else architectures[0]
        tag = f"{tag.rsplit('-', 1)[0]}-{kind}"
    return tag.replace("-", "_").replace(".", "_")


if __name__ == "__main__":
    try:
        compile_kernel(ROOT / LIBRARY)
    except KernelError as error:
        sys.exit(f"The dense CRF kernel was not compiled: {error}")
    sys.stdout.write(f"compiled {LIBRARY}\n")
