"""Starts the program; nothing else."""

import sys


def _start() -> int:
    try:
        from deeplab_studio.cli import main

        return main()
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing == "deeplab_studio":
            raise
        sys.exit(
            f"DeepLab Studio needs {missing}, which {sys.executable} does not have. Let make set everything up:\n"
            "    make run\n"
            "or install what it needs into this Python and start it again:\n"
            f"    {sys.executable} -m pip install -e .\n"
            f"    {sys.executable} main.py"
        )


if __name__ == "__main__":
    if not (3, 10) <= sys.version_info[:2] < (3, 14):
        sys.exit(f"DeepLab Studio needs Python 3.10 to 3.13; {sys.executable} is {sys.version.split()[0]}.")
    sys.exit(_start())
