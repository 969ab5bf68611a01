"""Reading the YAML tables of this package and of its users, with errors that name the file and the line."""

import difflib
from collections.abc import Hashable, Iterable, Mapping
from pathlib import Path

import yaml

from aucue.errors import InputError


class _Loader(yaml.SafeLoader):
    """Safe loader that refuses a key given twice, of which plain YAML would silently keep the last."""


def _mapping_without_duplicates(loader: _Loader, node: yaml.MappingNode) -> dict:
    seen = set()
    for key_node, _ in node.value:
        key = loader.construct_object(key_node, deep=True)
        if not isinstance(key, Hashable):
            raise yaml.constructor.ConstructorError(
                problem="a key is a list or mapping", problem_mark=key_node.start_mark
            )
        if key in seen:
            raise yaml.constructor.ConstructorError(
                problem=f"duplicate entry {key!r}", problem_mark=key_node.start_mark
            )
        seen.add(key)
    return loader.construct_mapping(node, deep=True)


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping_without_duplicates)


def read_mapping(path: str | Path) -> dict:
    """Read a YAML file whose top level is a mapping.

    Args:
        path: The file.

    Returns:
        Its content, made of plain Python values.

    Raises:
        InputError: The file cannot be read, is no YAML, repeats a key or holds no mapping.
    """
    try:
        content = yaml.load(Path(path).read_text(encoding="utf-8"), Loader=_Loader)
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read: {_reason(error)}.") from error
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise InputError(f"{path}{line}: {error.problem}.") from error
    except yaml.YAMLError as error:
        raise InputError(f"{path} is not a YAML text file: {error}.") from error
    if not isinstance(content, dict):
        raise InputError(f"{path} must hold a mapping (`key: value` lines), not {kind(content)}.")
    return content


def check_keys(data: Mapping, allowed: tuple[str, ...], where: str) -> None:
    """Refuse entries of a table that mean nothing.

    Args:
        data: The mapping.
        allowed: Entries it may have.
        where: File or place, for the error.

    Raises:
        InputError: An entry is none of the allowed ones.
    """
    for key in data:
        if key not in allowed:
            raise InputError(
                f"{where}: unknown entry {key!r}; allowed are {', '.join(allowed)}."
                f"{did_you_mean(key, allowed)}"
            )


def _reason(error: OSError | UnicodeDecodeError) -> str:
    return "it is not UTF-8 text" if isinstance(error, UnicodeDecodeError) else error.strerror or str(error)


def kind(value: object) -> str:
    """Say in a YAML author's words what a value is, for error messages."""
    names = {
        dict: "a mapping",
        list: "a list",
        tuple: "a list",
        str: "text",
        bool: "true/false",
        type(None): "nothing",
    }
    return names.get(type(value), f"{value!r}")


def did_you_mean(word: object, known: Iterable[str]) -> str:
    """Return " Did you mean ...?" for the closest of the known words, or the empty string."""
    close = difflib.get_close_matches(str(word).lower(), list(known), n=1, cutoff=0.6)
    return f" Did you mean {close[0]!r}?" if close else ""
