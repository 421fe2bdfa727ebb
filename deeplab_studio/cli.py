"""The command line: the window, or the same pipeline without a screen.

Only argparse is imported here, so that help and wrong usage answer at once and the window does not wait for what it
does not need.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence

from deeplab_studio import __version__
from deeplab_studio.core.errors import StudioError

PROGRAM = "deeplab-studio"
DONE, SOME_FAILED, WRONG_USAGE, INTERRUPTED = 0, 1, 2, 130

COMMANDS = {
    "segment": "write a class map for every image",
    "evaluate": "score a model on a Pascal VOC data set",
    "compare": "compare models, with a report",
    "logits": "write the network's own scores of one image",
    "models": "get, convert, check and take apart models",
    "voc": "check Pascal VOC data sets, convert labels",
    "train": "teach models on a Pascal VOC data set",
}
"""Every command and what it does; each is a module of `deeplab_studio.commands`."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments without the program's name; those of the process if omitted.

    Returns
    -------
    int
        Exit code: 0 done, 1 some inputs failed, 2 wrong usage, 130 interrupted.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    for stream in (sys.stdout, sys.stderr):
        # A file name the terminal cannot show must not end the run.
        if reconfigure := getattr(stream, "reconfigure", None):
            reconfigure(errors="backslashreplace")
    try:
        if arguments and arguments[0] in COMMANDS:
            return _run_command(arguments[0], arguments[1:])
        return _run_window(arguments)
    except StudioError as error:
        sys.stderr.write(f"{PROGRAM}: {error}\n")
        return SOME_FAILED
    except KeyboardInterrupt:
        sys.stderr.write("\n")
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read the output has seen enough; Python would complain again when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return SOME_FAILED


def _run_command(name: str, arguments: list[str]) -> int:
    command = importlib.import_module(f"deeplab_studio.commands.{name}")
    parser = argparse.ArgumentParser(
        prog=f"{PROGRAM} {name}", description=command.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    command.add_arguments(parser)
    code: int = command.run(parser.parse_args(arguments), parser)
    return code


def _run_window(arguments: list[str]) -> int:
    commands = "\n".join(f"  {name:10}{text}" for name, text in COMMANDS.items())
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description="Label images for semantic segmentation: DeepLab proposes, you correct.",
        epilog=f"commands (each has its own --help):\n{commands}\n\n"
        "A file or folder called like a command is opened with ./ before its name, as in ./segment.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("paths", nargs="*", metavar="PATH", help="images, folders or Pascal VOC data sets to open")
    parser.add_argument("--selftest", action="store_true", help="predict, refine and export once in the real window")
    parser.add_argument("--version", action="version", version=f"DeepLab Studio {__version__}")
    options = parser.parse_args(arguments)
    if options.selftest:
        if options.paths:
            parser.error("--selftest takes no PATH")
        from deeplab_studio.app.selftest import run as run_selftest

        return run_selftest()
    from deeplab_studio.app.main import run

    return run(options.paths)


if __name__ == "__main__":
    sys.exit(main())
