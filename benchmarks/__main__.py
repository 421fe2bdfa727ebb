"""Run one benchmark: ``python -m benchmarks NAME [options] [--json FILE]``.

A benchmark is a module of this package with ``NAME`` (its own file name), ``DESCRIPTION`` (one line),
``add_arguments(parser)`` and ``run(args) -> dict``. ``rows`` of the result, a list of dicts with the same keys, is
printed as a table, and so are several in ``tables``, by title; ``notes``, a list of sentences, below them; the whole
result goes into the JSON file. The exit status is 1 if ``failed`` of the result is true.
"""

from __future__ import annotations

import argparse
import importlib
import json
import pkgutil
import sys
from pathlib import Path
from types import ModuleType

import benchmarks
from benchmarks.report import describe_machine, format_table


def _find() -> dict[str, ModuleType]:
    names = [module.name for module in pkgutil.iter_modules(benchmarks.__path__) if module.name != "__main__"]
    modules = (importlib.import_module(f"benchmarks.{name}") for name in names)
    return {module.NAME: module for module in modules if hasattr(module, "NAME")}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure the program beside its peers.")
    kinds = parser.add_subparsers(dest="name", metavar="NAME", title="benchmarks")
    modules = _find()
    for name, module in modules.items():
        kind = kinds.add_parser(name, help=module.DESCRIPTION, description=module.DESCRIPTION)
        kind.add_argument("--json", type=Path, metavar="FILE", help="write the figures and the machine to FILE")
        module.add_arguments(kind)
    args = parser.parse_args()
    if args.name is None:
        parser.print_help()
        return 0
    machine = describe_machine()
    result = modules[args.name].run(args)
    if result.get("rows"):
        print(format_table(result["rows"]))
    for title, rows in result.get("tables", {}).items():
        if rows:
            print(f"\n{title}\n{format_table(rows)}")
    for note in result.get("notes", []):
        print(note)
    if args.json:
        document = {"benchmark": args.name, "machine": machine, **result}
        args.json.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return 1 if result.get("failed") else 0


if __name__ == "__main__":
    sys.exit(main())
