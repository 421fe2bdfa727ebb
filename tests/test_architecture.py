"""The house stays in order: imports point one way, Qt stays in the app, torch stays out of the core."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
PACKAGE = REPOSITORY / "deeplab_studio"
MAX_LINES = 600

LAYERS: dict[str, set[str]] = {
    "core": set(),
    "networks": {"core"},
    "checkpoints": {"networks", "core"},
    "crf": {"core"},
    "training": {"checkpoints", "networks", "crf", "core"},
    "engine": {"checkpoints", "networks", "crf", "core"},
    "app": {"engine", "training", "checkpoints", "networks", "crf", "core"},
    "commands": {"app", "engine", "training", "checkpoints", "networks", "crf", "core"},
    "cli": {"commands", "app", "engine", "training", "checkpoints", "networks", "crf", "core"},
    "__main__": {"cli"},
}
"""Part of the package -> the parts below it, which it may import. `commands` belongs to `cli`."""

QT = {"PySide6", "shiboken6", "PyQt5", "PyQt6", "qtpy", "superqt", "qtawesome"}
TORCH = {"torch", "torchvision"}

DISTRIBUTIONS = {
    "PySide6-Essentials": {"PySide6", "shiboken6"},
    "opencv-python-headless": {"cv2"},
    "numpy": {"numpy"},
    "pillow": {"PIL"},
    "torch": {"torch"},
    "qtawesome": {"qtawesome"},
    "platformdirs": {"platformdirs"},
    "httpx": {"httpx"},
    "filelock": {"filelock"},
    "rich": {"rich"},
    "h5py": {"h5py"},
    "pycocotools": {"pycocotools"},
    "safetensors": {"safetensors"},
    "typing-extensions": {"typing_extensions"},
    "tomli": {"tomli"},
    "pydensecrf2": {"pydensecrf"},
    "onnx": {"onnx"},
    "onnxscript": {"onnxscript"},
    "onnxruntime": {"onnxruntime"},
}
"""What pyproject.toml installs with the program and with its extras `reference` and `onnx` -> the names it goes by."""

DECLARED = set().union(*DISTRIBUTIONS.values())


class Import(NamedTuple):
    name: str
    line: int
    level: int
    on_import: bool
    """Whether it happens when the module is imported, not in a function and not for the type checker alone."""


def _imports(tree: ast.AST) -> Iterator[Import]:
    def walk(node: ast.AST, on_import: bool) -> Iterator[Import]:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(alias.name, node.lineno, 0, on_import)
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            yield Import(module, node.lineno, node.level, on_import)
            # `from deeplab_studio import app` imports a part, not a name.
            if module == PACKAGE.name:
                for alias in node.names:
                    yield Import(f"{module}.{alias.name}", node.lineno, node.level, on_import)
        elif isinstance(node, ast.Call) and node.args:
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            first = node.args[0]
            if called in ("import_module", "__import__") and isinstance(first, ast.Constant):
                yield Import(str(first.value), node.lineno, 0, on_import)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            on_import = False
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            for statement in node.body:
                yield from walk(statement, False)
            for statement in node.orelse:
                yield from walk(statement, on_import)
            return
        for child in ast.iter_child_nodes(node):
            yield from walk(child, on_import)

    yield from walk(tree, True)


def violations(package: Path) -> list[str]:
    """Return one line per broken rule under `package`: ``file:line: what is wrong, and what to do``."""
    found = []
    for path in sorted(package.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        where = path.relative_to(package.parent).as_posix()
        part = path.relative_to(package).parts[0].removesuffix(".py")
        if (lines := text.count("\n")) > MAX_LINES:
            found.append(f"{where}:{MAX_LINES}: {lines} lines, more than {MAX_LINES}; split the module")
        if part != "__init__" and part not in LAYERS:
            found.append(f"{where}:1: {part} is in no layer; give it a place in LAYERS of {Path(__file__).name}")
            continue
        below = LAYERS.get(part, set())
        for item in _imports(ast.parse(text, filename=str(path))):
            at = f"{where}:{item.line}"
            top, _, rest = item.name.partition(".")
            if item.level:
                found.append(f"{at}: relative import; write it from {package.name} on")
                continue
            if top == package.name:
                target = rest.partition(".")[0]
                if target in LAYERS and target not in below | {part}:
                    allowed = ", ".join(sorted(below)) or "no other part"
                    found.append(f"{at}: {part} imports {item.name}; {part} may import {allowed}")
                continue
            if top in QT and part != "app":
                found.append(f"{at}: {part} imports {item.name}; only app may import Qt")
            if top in TORCH and part == "core":
                found.append(f"{at}: core imports {item.name}; core works without torch")
            if top in TORCH and part in ("app", "cli", "commands") and item.on_import:
                found.append(f"{at}: {part} imports {item.name} when it is imported; import it where it is used")
            if top not in DECLARED and top not in sys.stdlib_module_names:
                found.append(f"{at}: {item.name} is no dependency in pyproject.toml")
    return found


def test_the_dependencies_are_those_of_the_project_file() -> None:
    tomllib = pytest.importorskip("tomllib", reason="the standard library reads TOML from Python 3.11 on")
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    required = [*project["dependencies"], *extras["reference"], *extras["onnx"]]
    assert {re.split("[<>=!~; ]", item)[0] for item in required} == set(DISTRIBUTIONS)


def test_the_package_keeps_the_rules() -> None:
    found = violations(PACKAGE)
    assert not found, "\n" + "\n".join(found)


@pytest.mark.parametrize(
    ("file", "code", "line", "words"),
    [
        ("core/bad.py", "import numpy\nimport torch\n", 2, "core works without torch"),
        ("core/bad.py", "def f():\n    from torch import nn\n", 2, "core works without torch"),
        ("core/bad.py", "from PySide6.QtCore import Qt\n", 1, "only app may import Qt"),
        ("cli.py", "def f():\n    import qtawesome\n", 2, "only app may import Qt"),
        ("engine/bad.py", "from deeplab_studio.app.x import W\n", 1, "engine may import checkpoints, core, crf"),
        ("engine/bad.py", "from deeplab_studio import app\n", 1, "engine imports deeplab_studio.app"),
        ("networks/bad.py", "import importlib\nimportlib.import_module('deeplab_studio.checkpoints')\n", 2, "networks"),
        ("crf/deep/bad.py", "import typing as t\nif t.TYPE_CHECKING:\n import deeplab_studio.engine\n", 3, "crf"),
        ("training/bad.py", "import deeplab_studio.engine\n", 1, "training imports deeplab_studio.engine"),
        ("engine/bad.py", "import deeplab_studio.training\n", 1, "engine imports deeplab_studio.training"),
        ("app/bad.py", "import deeplab_studio.cli\n", 1, "app imports deeplab_studio.cli"),
        ("app/bad.py", "import torch\n", 1, "import it where it is used"),
        ("app/bad.py", "class C:\n    import torch\n", 2, "import it where it is used"),
        ("core/bad.py", "from . import errors\n", 1, "relative import"),
        ("networks/bad.py", "import torchvision\n", 1, "no dependency"),
        ("helpers.py", "", 1, "is in no layer"),
        ("core/long.py", "x = 1\n" * (MAX_LINES + 1), MAX_LINES, "split the module"),
    ],
)  # fmt: skip
def test_a_broken_rule_is_named_with_file_and_line(tmp_path: Path, file: str, code: str, line: int, words: str) -> None:
    path = tmp_path / "deeplab_studio" / file
    path.parent.mkdir(parents=True)
    path.write_text(code)
    (found,) = violations(tmp_path / "deeplab_studio")
    assert found.startswith(f"deeplab_studio/{file}:{line}: ")
    assert words in found


@pytest.mark.parametrize(
    ("file", "code"),
    [
        ("app/good.py", "import PySide6\nimport deeplab_studio.engine\ndef f():\n    import torch\n"),
        ("app/typed.py", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import torch\n"),
        ("engine/good.py", "import torch\nfrom deeplab_studio.core.errors import StudioError\n"),
        ("cli.py", "def main():\n    from deeplab_studio.app.main import run\n"),
        ("core/good.py", "from deeplab_studio.core.good import x\nfrom deeplab_studio import __version__\n"),
    ],
)
def test_what_the_design_allows_is_no_violation(tmp_path: Path, file: str, code: str) -> None:
    path = tmp_path / "deeplab_studio" / file
    path.parent.mkdir(parents=True)
    path.write_text(code)
    assert violations(tmp_path / "deeplab_studio") == []


IMPORT_ALL = """
import importlib, pathlib, sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in BLOCKED:
            raise ImportError(f"{name} is blocked")

sys.meta_path.insert(0, Blocked())
for part in PARTS:
    # By file name: the compiled CRF kernel ends like an extension module, but it is a plain library.
    for path in sorted(pathlib.Path("deeplab_studio", part).rglob("*.py")):
        importlib.import_module(".".join(path.with_suffix("").parts).removesuffix(".__init__"))
"""


@pytest.mark.parametrize(
    ("parts", "blocked"),
    [
        (["core"], QT | TORCH),
        (["crf", "networks", "checkpoints", "training", "engine"], QT | {"torchvision"}),
    ],
    ids=["core without torch and Qt", "everything below the app without Qt"],
)
def test_the_parts_below_the_app_import_without(parts: list[str], blocked: set[str]) -> None:
    parts = [part for part in parts if (PACKAGE / part).is_dir()]
    code = f"BLOCKED = {blocked!r}\nPARTS = {parts!r}\n{IMPORT_ALL}"
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
