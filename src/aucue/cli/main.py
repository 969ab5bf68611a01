"""`aucue COMMAND ...`: finds the command, runs it, and turns deliberate errors into one line and a status."""

import difflib
import sys
from collections.abc import Sequence
from importlib import import_module

from aucue.errors import AucueError

COMMANDS = {
    "demo": "draw faces, train with and without guidance, compare and explain: needs no photographs",
    "cue": "the map of action units that an expert would expect, drawn over photographs",
    "prepare": "a labelled collection of photographs -> a set of aligned faces with landmarks",
    "train": "a prepared set -> a classifier, guided or not",
    "evaluate": "accuracy and interpretability of a classifier on a prepared set, with controls",
    "benchmark": "a grid of settings and seeds -> tables, guided beside unguided, with confidence intervals",
    "explain": "photographs and videos -> expression, probabilities and where the evidence was seen",
    "serve": "a web page on this machine: photographs -> expressions, and where the evidence was seen",
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
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(_USAGE.format(commands="\n".join(f"  {name:<15}{text}" for name, text in COMMANDS.items())))
        return 0 if arguments else 2
    if arguments[0] in ("-V", "--version"):
        from aucue import __version__

        print(f"aucue {__version__}")
        return 0
    try:
        return _run(arguments[0], arguments[1:])
    except AucueError as error:
        print(f"aucue {arguments[0]}: {error}", file=sys.stderr)
        return 2
    except (PermissionError, NotADirectoryError, IsADirectoryError) as error:  # of a path the user chose
        print(f"aucue {arguments[0]}: {error.strerror}: {error.filename}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\naucue: interrupted", file=sys.stderr)
        return 130
    except SystemExit as leave:  # a parser's --help or complaint; `main` itself always returns
        return leave.code if isinstance(leave.code, int) else 0 if leave.code is None else 1


def _run(name: str, argv: list[str]) -> int:
    if name not in COMMANDS:
        nearest = difflib.get_close_matches(name, COMMANDS, n=1)
        hint = f"did you mean {nearest[0]}?" if nearest else f"choose {', '.join(COMMANDS)}"
        print(f"aucue: unknown command {name}; {hint}", file=sys.stderr)
        return 2
    module = import_module(f"aucue.cli.{name.replace('-', '_')}")
    if hasattr(module, "run"):
        return module.run(argv)

    from aucue.cli.arguments import run_command

    return run_command(module.command, argv, prog=f"aucue {name}")


if __name__ == "__main__":
    sys.exit(main())
