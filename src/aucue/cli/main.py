"""`aucue COMMAND ...`: finds the command, runs it, and turns deliberate errors into one line and a status."""

import errno
import io
import os
import re
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module

from aucue.errors import AucueError, missing_extra
from aucue.work.files import printable
from aucue.work.processes import end_with_parent

COMMANDS = {
    "demo": "draw faces, train with and without guidance, compare and explain: needs no photographs",
    "cue": "the map of action units that an expert would expect, drawn over photographs",
    "prepare": "a labelled collection of photographs -> a set of aligned faces with landmarks",
    "inspect": "a prepared set -> a page of its faces, odd ones first, copies, counts",
    "train": "a prepared set -> a classifier, guided or not",
    "evaluate": "accuracy and interpretability of a classifier on a prepared set, with controls",
    "benchmark": "a grid of settings and seeds -> tables, guided beside unguided, with confidence intervals",
    "explain": "photographs and videos -> expression, probabilities and where the evidence was seen",
    "serve": "a web page on this machine: photographs -> expressions, and where the evidence was seen",
    "models": "the models that can be used by name: in the box, fetched from a hub, on the hub",
    "export": "a model -> ONNX for other runtimes, or a model hub",
    "import-fg2024": "a checkpoint that the authors of the FG 2024 paper release -> a model file",
    "doctor": "versions, devices and files on this machine",
}

_USAGE = """Guided, interpretable facial-expression recognition.

Usage: aucue COMMAND [arguments]

Commands:
{commands}

`aucue COMMAND --help` explains one command, `aucue --version` prints the version."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    A command is a module of `aucue.cli` with either `command(...) -> int`, whose signature and docstring make
    the parser, or `run(argv) -> int`, which parses for itself. Only the module asked for is imported.

    Args:
        argv: Arguments without the program's name; default those of this process.

    Returns:
        Exit status: 0 all went well, 1 something was left undone (the command says what), 2 wrong input,
        130 interrupted.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    _survive_broken_letters()
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(_USAGE.format(commands="\n".join(f"  {name:<15}{text}" for name, text in COMMANDS.items())))
        return 0 if arguments else 2
    if arguments[0] in ("-V", "--version"):
        from aucue import __version__

        print(f"aucue {__version__}")
        return 0
    end_with_parent()  # where another command started this one
    try:
        status = _run(arguments[0], arguments[1:])
        sys.stdout.flush()  # what cannot be printed is said below, not by Python at its end
        return status
    except KeyboardInterrupt:
        _complain("\naucue: interrupted")
        return 130
    except SystemExit as leave:  # a parser's --help or complaint; `main` itself always returns
        return leave.code if isinstance(leave.code, int) else 0 if leave.code is None else 1
    except Exception as error:
        message = _in_one_line(error)
        if message is None:
            raise
        _drop_what_cannot_be_printed()
        _complain(f"aucue {arguments[0]}: {message}")
        return 2


def _in_one_line(error: BaseException) -> str | None:
    """What the user is told of an error; None if it is a bug, whose traceback is wanted."""
    if isinstance(error, ImportError):
        error = missing_extra(error) or error
    if isinstance(error, ModuleNotFoundError) and error.name == "torch":  # see docs/export.md
        return "This needs torch, which is not installed; without it, aucue explain takes --model FILE.onnx."
    if isinstance(error, AucueError):
        return str(error)
    if isinstance(error, MemoryError) or _OUT_OF_MEMORY.search(f"{type(error).__name__}: {error}"):
        return "There is not enough memory; take smaller batches or photographs, or fewer workers."
    cause: BaseException | None = error
    seen: set[int] = set()
    while cause is not None and id(cause) not in seen:  # of an error that is raised anew, a ring
        seen.add(id(cause))
        # libraries wrap what the system said into errors of their own
        if isinstance(cause, OSError) and (cause is error or cause.errno in _REMEDIES):
            return _system_error(cause)
        cause = cause.__cause__ or cause.__context__
    return None


_OUT_OF_MEMORY = re.compile(r"^OutOfMemoryError|^RuntimeError:.*can't allocate memory", re.DOTALL)  # of torch

_REMEDIES = {
    errno.ENOSPC: "free some space and run the same again",
    errno.EDQUOT: "free some space and run the same again",
    errno.EROFS: "choose a folder that can be written to",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.EMFILE: "close programs, or raise the limit (ulimit -n)",
    errno.EPIPE: "whatever was to read the output has ended",
}


def _system_error(error: OSError) -> str:
    """What the system says about a path that the user chose, and what to do."""
    files = " -> ".join(str(file) for file in (error.filename, error.filename2) if file is not None)
    said = f"{error.strerror}: {files}" if files else str(error.strerror or error)
    remedy = _REMEDIES.get(error.errno or 0)
    return f"{said}; {remedy}." if remedy else f"{said}."


def _complain(message: str) -> None:
    """Print an error, the only function that does; names in it may hold anything."""
    with suppress(OSError, ValueError):  # nobody listens
        print("\n".join(printable(line) for line in message.split("\n")), file=sys.stderr)


def _survive_broken_letters() -> None:
    """Let a name that is no Unicode, or has letters the terminal lacks, be printed with escapes."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _drop_what_cannot_be_printed() -> None:
    """Where stdout is full or closed, keep Python from trying once more when it ends."""
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _run(name: str, argv: list[str]) -> int:
    if name not in COMMANDS:
        from aucue.work.tables import did_you_mean

        known = ", ".join(COMMANDS)
        _complain(f"aucue: There is no command '{name}'; choose from {known}.{did_you_mean(name, COMMANDS)}")
        return 2
    module = import_module(f"aucue.cli.{name.replace('-', '_')}")
    if hasattr(module, "run"):
        return module.run(argv)

    from aucue.cli.arguments import run_command

    return run_command(module.command, argv, prog=f"aucue {name}")
