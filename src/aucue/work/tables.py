"""Reading the YAML tables of this package and of its users, with errors that name the file and the line.

A table may come from anybody: its size, its depth and what its aliases grow to are bounded before anything is
built of it.
"""

import difflib
from collections.abc import Hashable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from aucue.errors import InputError, said

LARGEST = 1 << 18
"""Bytes that a table may have: a hundred times what tables have."""

_DEEPEST = 50  # lists and mappings within one another
_COPIES = 1000  # entries that all aliases (`*name`) of a table together stand for
_LONGEST = 1 << 63  # whole numbers stay below; no table needs more, and Python cannot print any


class _Loader(yaml.SafeLoader):
    """Safe loader that refuses a key given twice, of which plain YAML would silently keep the last, and says
    where a value is that cannot be what it looks like (the 45th of a month).
    """

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            value = super().construct_object(node, deep)
        except (ValueError, LookupError, AttributeError, TypeError, OverflowError) as error:
            raise _impossible(node) from error
        if isinstance(value, int) and abs(value) >= _LONGEST:
            raise _impossible(node)
        return value


def _impossible(node: yaml.Node) -> yaml.MarkedYAMLError:
    text = node.value if isinstance(node, yaml.ScalarNode) else ""
    text = text if len(text) <= 40 else f"{text[:40]}..."
    kind_of_node = node.tag.rpartition(":")[2]
    return yaml.constructor.ConstructorError(
        problem=f"{text!r} cannot be read as {kind_of_node}", problem_mark=node.start_mark
    )


def _mapping_without_duplicates(loader: _Loader, node: yaml.MappingNode) -> dict:
    if not isinstance(node, yaml.MappingNode):
        raise yaml.constructor.ConstructorError(
            problem="a tag of a mapping stands before something else", problem_mark=node.start_mark
        )
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


def check_bounds(text: str) -> None:
    """Find out, before anything is built, whether a YAML text would grow beyond measure.

    Args:
        text: The text.

    Raises:
        yaml.YAMLError: It is no YAML, too long or too deep, or its aliases multiply it.
    """
    _check_length(text)
    growth = _Growth()
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if problem := growth.problem_with(event):
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=event.start_mark)


def _check_length(content: bytes | str) -> None:
    if len(content) > LARGEST:
        raise yaml.YAMLError(f"it has more than {LARGEST >> 10} KiB, too much for a table")


class _Growth:
    """How many entries a table has that is read piece by piece, with what its aliases stand for."""

    def __init__(self) -> None:
        self._entries = self._copies = 0
        self._sizes: dict[str, int] = {}  # entries of each anchor's value; 0 while it is not complete
        self._opened: list[tuple[str | None, int]] = []  # lists, mappings: their anchor, entries before them

    def problem_with(self, event: yaml.Event) -> str | None:
        """Count a piece; what is wrong with it, if anything."""
        if isinstance(event, yaml.CollectionEndEvent):
            anchor, before = self._opened.pop()
            if anchor:
                self._sizes[anchor] = self._entries - before
        elif isinstance(event, yaml.AliasEvent):
            return self._problem_with_alias(event.anchor)
        elif isinstance(event, yaml.NodeEvent):
            nested = isinstance(event, yaml.CollectionStartEvent)
            if event.anchor:
                self._sizes[event.anchor] = 0 if nested else 1
            if nested:
                self._opened.append((event.anchor, self._entries))
            self._entries += 1
            if len(self._opened) > _DEEPEST:
                return f"more than {_DEEPEST} lists or mappings within one another"
        return None

    def _problem_with_alias(self, anchor: str) -> str | None:
        size = self._sizes.get(anchor, 1)  # of one that does not exist, the loader complains
        if not size:
            return f"*{anchor} stands within itself"
        self._entries += size
        self._copies += size
        return f"*{anchor} multiplies the table; write out what is meant" if self._copies > _COPIES else None


def parse_yaml(content: bytes | str, where: str, mapping_tags: Sequence[str] = ()) -> Any:
    """Build plain Python values of a YAML text that anybody may have written.

    Args:
        content: The text, or the bytes of a file.
        where: File or entry, for the error.
        mapping_tags: Foreign tags (`!munch.Munch`) that stand before mappings and mean nothing.

    Raises:
        InputError: It is no YAML or no UTF-8, repeats a key, has what cannot be (the 45th of a month), or is
            too large, too deep, or multiplied by aliases.
    """
    loader = type("_TaggedLoader", (_Loader,), {})
    for tag in mapping_tags:
        loader.add_constructor(tag, _mapping_without_duplicates)
    try:
        _check_length(content)
        text = content if isinstance(content, str) else content.decode("utf-8")
        check_bounds(text)
        return yaml.load(text, Loader=loader)
    except UnicodeDecodeError as error:
        raise InputError(f"{where} cannot be read: it is not UTF-8 text.") from error
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise InputError(f"{where}{line}: {error.problem or error.context}.") from error
    except yaml.YAMLError as error:
        raise InputError(f"{where} is not a YAML table: {said(error)}.") from error


def read_mapping(path: str | Path, mapping_tags: Sequence[str] = ()) -> dict:
    """Read a YAML file whose top level is a mapping.

    Args:
        path: The file.
        mapping_tags: See `parse_yaml`.

    Returns:
        Its content, made of plain Python values.

    Raises:
        InputError: The file cannot be read, is refused by `parse_yaml`, or holds no mapping.
    """
    try:
        with open(path, "rb") as file:
            raw = file.read(LARGEST + 1)
    except (OSError, ValueError) as error:  # ValueError: a name with a zero byte
        raise InputError(f"{path} cannot be read: {said(error)}.") from error
    content = parse_yaml(raw, str(path), mapping_tags)
    if not isinstance(content, dict):
        raise InputError(f"{path} must hold a mapping ('key: value' lines), not {kind(content)}.")
    return content


def check_keys(data: Mapping, allowed: tuple[str, ...], where: str) -> None:
    """Refuse entries of a table that mean nothing.

    Args:
        data: The mapping.
        allowed: Entries it may have.
        where: File or entry, for the error.

    Raises:
        InputError: An entry is none of the allowed ones.
    """
    for key in data:
        if key not in allowed:
            raise InputError(
                f"{where}: unknown entry {key!r}; allowed are {', '.join(allowed)}."
                f"{did_you_mean(key, allowed)}"
            )


def check_among(value: object, known: Iterable[str], what: str) -> None:
    """Refuse a word that is none of those that have a meaning.

    Args:
        value: The word.
        known: Those that have one.
        what: What it is given for, for the error.

    Raises:
        InputError: It is none of them.
    """
    words = list(known)
    if value not in words:
        raise InputError(
            f"{what} must be {' or '.join(map(repr, words))}, not {value!r}.{did_you_mean(value, words)}"
        )


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
    return names.get(type(value), str(value))


def did_you_mean(word: object, known: Iterable[str]) -> str:
    """Return " Did you mean ...?" for the closest of the known words, or the empty string."""
    close = difflib.get_close_matches(str(word).lower(), list(known), n=1, cutoff=0.6)
    return f" Did you mean {close[0]!r}?" if close else ""
