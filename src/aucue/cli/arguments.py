"""The parser of every command, and how it is made from a function's signature and docstring."""

import argparse
import collections.abc
import dataclasses
import inspect
import os
import re
import shutil
import sys
import types
import typing
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NoReturn

import jsonargparse
import yaml
from docstring_parser import parse as parse_docstring

from aucue.errors import AucueError, said
from aucue.work.files import printable
from aucue.work.tables import check_bounds, did_you_mean

_load_yaml = jsonargparse.get_loader("yaml")


def _load(text: str) -> Any:
    """Values and configuration files as jsonargparse reads them, whatever they are.

    Raises:
        yaml.YAMLError: They are no YAML, or would grow beyond measure.
    """
    check_bounds(text)
    try:
        return _load_yaml(text)
    except _STUMBLES as error:
        raise yaml.YAMLError(f"a value cannot be what its tag says ({error})") from error


_STUMBLES = (ValueError, LookupError, AttributeError, TypeError, OverflowError, RecursionError)
jsonargparse.set_loader("yaml", _load, exceptions=(yaml.YAMLError,))


class HelpFormatter(jsonargparse.DefaultHelpFormatter):
    """Help in words: paragraphs of the description are kept, types are shown as FILE, N, X or the choices."""

    def __init__(self, prog: str, **options: Any) -> None:
        options["width"] = min(shutil.get_terminal_size().columns - 2, 100)
        super().__init__(prog, **(options | {"max_help_position": 30}))

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        def fill(paragraph: str) -> str:
            if all(line.startswith(" ") for line in paragraph.splitlines()):
                return paragraph  # an example, line by line
            items = re.split(r"\n(?=- )", paragraph)  # of a list, each one begins a line
            return "\n".join(super(HelpFormatter, self)._fill_text(item, width, indent) for item in items)

        return "\n\n".join(fill(paragraph) for paragraph in text.split("\n\n"))

    def _get_help_string(self, action: argparse.Action) -> str:
        text = (action.help or "").replace("show this help message and exit", "Show this help.")
        default = action.default
        silent = default in (None, argparse.SUPPRESS, jsonargparse.Namespace()) or default is False
        if action.required and action.option_strings:
            return f"{text} (required)"
        if silent or not action.option_strings:
            return text
        return f"{text} (default: {' '.join(default) if isinstance(default, list) else '%(default)s'})"


class Parser(jsonargparse.ArgumentParser):
    """jsonargparse's parser, with mistakes reported in one line that names the nearest option."""

    def __init__(self, *args: Any, **options: Any) -> None:
        options.setdefault("formatter_class", HelpFormatter)
        super().__init__(*args, **options)

    def parse_args(self, *args: Any, **options: Any) -> Any:
        """Parse; what jsonargparse stumbles over (`!!timestamp x`) is a mistake like any other."""
        try:
            return super().parse_args(*args, **options)
        except AucueError:
            raise
        except _STUMBLES as error:
            self.error(f"A value cannot be read: {type(error).__name__}: {said(error)}")

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Print one line on stderr and exit with status 2."""
        self.exit(2, f"{self.prog}: {self._in_one_line(message)} See {self.prog} --help.\n")

    def _in_one_line(self, message: str) -> str:
        # argparse and jsonargparse phrase the same mistakes in many ways, some over several lines.
        told = _shortened(self._told(message))
        return printable(told if told.endswith((".", "?")) else f"{told}.")

    def _told(self, message: str) -> str:
        if unknown := re.search(r"[Uu]nrecognized arguments?: (\S+)", message):
            return self._unknown(unknown[1])
        if missing := re.search(r"required: (.+)", message):
            return f"Missing: {', '.join(self._option(name.strip()) for name in missing[1].split(','))}"
        if key := re.search(r'(?:Parser )?[Kk]ey "([\w.]+)"', message):
            value = re.findall(r"(?:Got value|Given value): ?(.+)", message)
            expected = re.search(r"Expected an? (?:<class '(\w+)'>|typing\.(Literal\[.+?\]))", message)
            if value and expected:
                wanted = expected[1] or "one of " + expected[2].removeprefix("Literal")[1:-1].replace("'", "")
                wanted = _PLAIN.get(wanted, wanted)
                return f"{self._option(key[1])}: expected {wanted}, got {value[-1].strip()}"
            message = message.replace(key[0], self._option(key[1]))
        return " ".join(message.split())

    def _unknown(self, given: str) -> str:
        if not given.startswith("-"):
            return f"Unexpected argument '{given}'"
        known = [option for action in self._actions for option in action.option_strings]
        return f"There is no option '{given}'.{did_you_mean(given.split('=')[0], known)}"

    def _option(self, destination: str) -> str:
        for action in self._actions:
            if action.dest == destination:
                return action.option_strings[0] if action.option_strings else str(action.metavar)
        return destination


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


_LONGEST = 300  # letters of a complaint: values that are shown may be anything
_PLAIN = {"int": "a whole number", "float": "a number", "bool": "true or false"}


def run_command(command: Callable[..., int], argv: Sequence[str], prog: str) -> int:
    """Call a command with arguments parsed from its own signature.

    Parameters before the `*` are positional, and may be left out if they have a default; a list takes one or
    more values. Keyword-only parameters are options, spelt with dashes. A flag is a bool; `--no-NAME`
    switches off one that is on. Help texts come from the Google-style docstring.

    Args:
        command: Typed function that returns an exit status.
        argv: Arguments after the command's name.
        prog: Name shown in help and errors, as `aucue explain`.

    Returns:
        The command's exit status.
    """
    parser = Parser(prog=prog, description=describe(command)[0])
    add_parameters(parser, command)
    return command(**arguments_of(command, parse(parser, argv)))


def describe(function: Callable[..., Any]) -> tuple[str, dict[str, str]]:
    """What the docstring of a function or class says: paragraphs, and a text per parameter."""
    documentation = parse_docstring(inspect.getdoc(function) or "")
    paragraphs = (documentation.short_description, documentation.long_description)
    helps = {entry.arg_name: " ".join((entry.description or "").split()) for entry in documentation.params}
    return "\n\n".join(text for text in paragraphs if text), helps


def add_parameters(
    parser: Any, function: Callable[..., Any], positional: bool = True, skip: Collection[str] = ()
) -> None:
    """Add the parameters of a function or class to a parser.

    Args:
        parser: A `Parser`, or a group of one.
        function: Typed; its docstring has the helps. A parameter that is a dataclass stands for its fields.
        positional: Whether parameters are positional unless they are keyword-only.
        skip: Parameters that are left out.
    """
    hints, helps = _hints(function), describe(function)[1]
    for name, parameter in inspect.signature(function).parameters.items():
        if name in skip:
            continue
        if dataclasses.is_dataclass(hints[name]):  # a record of settings: an option for each
            add_parameters(parser, hints[name], positional=False)
            continue
        kind = parameter.kind if positional else inspect.Parameter.KEYWORD_ONLY
        _add(parser, parameter.replace(kind=kind), hints[name], helps.get(name, ""))


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    """The types of the parameters of a function or class."""
    return typing.get_type_hints(function.__init__ if inspect.isclass(function) else function)


def parse(parser: Parser, argv: Sequence[str]) -> Mapping[str, Any]:
    """Parsed arguments by the names of parameters."""
    end = argv.index("--") if "--" in argv else len(argv)  # what comes after is names of files, not options
    options = [_renamed(parser, _dashed(argument)) for argument in argv[:end]]
    return parser.parse_args([*options, *argv[end:]]).as_dict()


def arguments_of(
    function: Callable[..., Any], settings: Mapping[str, Any], skip: Collection[str] = ()
) -> dict[str, Any]:
    """What a function or class is to be called with.

    Raises:
        InputError: A record of settings refuses them.
    """
    hints = _hints(function)
    return {
        name: hints[name](**arguments_of(hints[name], settings))
        if dataclasses.is_dataclass(hints[name])
        else settings[name]
        for name in inspect.signature(function).parameters
        if name not in skip
    }


def _add(parser: Any, parameter: inspect.Parameter, hint: Any, text: str) -> None:
    """Add one parameter of a command to its parser."""
    required = parameter.default is inspect.Parameter.empty
    positional = parameter.kind is not inspect.Parameter.KEYWORD_ONLY
    name = parameter.name if positional else f"--{parameter.name.replace('_', '-')}"
    options: dict[str, Any] = {"help": text}
    if hint is bool and parameter.default is False:
        parser.add_argument(name, action="store_true", **options)
        return
    if hint is bool:
        parser.add_argument(name, action=jsonargparse.ActionYesNo(no_prefix="no-"), default=True, **options)
        return
    lists = [member for member in _members(hint) if typing.get_origin(member) in _LISTS]
    if lists:
        hint = typing.get_args(lists[0])[0]
        options["nargs"] = "+"
    elif any(typing.get_origin(member) is os.PathLike for member in _members(hint)):
        hint = Path | None
    elif str in _members(hint):
        hint = str | None
    default = list(parameter.default) if isinstance(parameter.default, tuple) else parameter.default
    metavar = _metavar(hint, parameter.name, text)
    if metavar:
        options["metavar"] = parameter.name.upper().rstrip("S") if positional else metavar
    if not positional:
        options |= {"required": True} if required else {"default": default}
    elif not required:
        options |= {"nargs": "?", "default": default}
    parser.add_argument(name, type=hint, **options)


_LISTS = (list, tuple, collections.abc.Sequence)


def _metavar(hint: Any, name: str, text: str) -> str | None:
    """How a value is named in the help; None lets the parser list the choices."""
    members = _members(hint)
    if any(typing.get_origin(member) is Literal for member in members):
        return None
    if members == [Path]:
        return "DIR" if text.startswith("Folder") or name == "root" else "FILE"
    return {int: "N", float: "X"}.get(members[0], name.upper())


def _members(hint: Any) -> list[Any]:
    """The members of a union without None, or the hint itself."""
    if typing.get_origin(hint) not in (typing.Union, types.UnionType):
        return [hint]
    return [member for member in typing.get_args(hint) if member is not type(None)]


_RENAMED = {"--method": "--readout"}  # old names of options, accepted for one release


def _renamed(parser: Parser, argument: str) -> str:
    """The present name of an option, with a notice where it was given by the old one."""
    name, equals, value = argument.partition("=")
    known = {option for action in parser._actions for option in action.option_strings}
    present = _RENAMED.get(name)
    if present is None or name in known or present not in known:
        return argument
    print(
        f"{parser.prog}: {name} is now called {present}; the next release drops the old name.",
        file=sys.stderr,
    )
    return present + equals + value


def _dashed(argument: str) -> str:
    """Accept --batch_size for --batch-size."""
    if not argument.startswith("--"):
        return argument
    name, equals, value = argument.partition("=")
    return name.replace("_", "-") + equals + value
