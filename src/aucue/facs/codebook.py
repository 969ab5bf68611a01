"""Codebooks: which action units make up which expression."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeGuard

from aucue.errors import InputError, said
from aucue.facs.action_units import ACTION_UNITS, EXPRESSIONS, NEUTRAL, ActionUnit
from aucue.work.tables import check_keys, did_you_mean, kind, read_mapping

_FOLDER = Path(__file__).with_name("codebooks")
_LONGEST_CHAIN = 16  # codebooks that extend one another

BUNDLED_CODEBOOKS = tuple(sorted(path.stem for path in _FOLDER.glob("*.yaml")))
"""Names that `Codebook.load` accepts besides a path."""


@dataclass(frozen=True)
class Codebook:
    """A table of action units per expression.

    As YAML::

        name: clinic
        extends: facs                     # optional: start from a bundled codebook or another file
        expressions:
          happiness: [6, 12, 25]
          contempt: [12, 14]
        adds:                             # names that are not standard: announced, so that a typo is an error
          expressions: [contempt]
          action_units: {28: Lip Suck}

    Attributes:
        name: Its name, kept with every model trained with it.
        entries: Action-unit numbers (ascending) per expression; neutral is always there and empty.
        action_units: All action units an entry may use, by number: the standard ones and those added.
    """

    name: str
    entries: Mapping[str, tuple[int, ...]]
    action_units: Mapping[int, ActionUnit]

    @classmethod
    def load(cls, codebook: "str | Path | Codebook") -> "Codebook":
        """Load a codebook.

        Args:
            codebook: A bundled name ("facs", "fg2024"), the path of a YAML file, or a finished codebook.

        Returns:
            The codebook.

        Raises:
            InputError: No such codebook, or an entry in it is wrong; the message names the entry.
        """
        if isinstance(codebook, Codebook):
            return codebook
        try:
            return cls._load(codebook, Path(), ())
        except ValueError as error:  # a name that no file can have
            if isinstance(error, InputError):
                raise
            raise InputError(f"{str(codebook)!r} cannot be a codebook: {said(error)}.") from error

    @classmethod
    def from_dict(cls, data: Mapping) -> "Codebook":
        """Build a codebook from a mapping with the keys of the YAML format.

        Args:
            data: Keys `name`, `expressions` and optionally `extends`, `adds`.

        Returns:
            The codebook.

        Raises:
            InputError: An entry is wrong; the message names it.
        """
        if not isinstance(data, Mapping):
            raise InputError(f"A codebook must be a mapping with 'name' and 'expressions', not {kind(data)}.")
        return cls._parse(data, f"codebook {data.get('name', '(without name)')}", Path(), ())

    @classmethod
    def from_content(cls, data: object, where: str) -> "Codebook":
        """Build a codebook that a file carries within itself (a model file). No other file is ever read.

        Args:
            data: What the file says: keys `name`, `expressions` and optionally `adds`.
            where: The file, for errors.

        Returns:
            The codebook.

        Raises:
            InputError: An entry is wrong, or it extends another codebook.
        """
        if not isinstance(data, Mapping):
            raise InputError(f"{where}: its codebook must be a mapping, not {kind(data)}.")
        if data.get("extends") is not None:
            raise InputError(f"{where}: its codebook extends another one; it must be complete in itself.")
        return cls._parse(data, f"{where}, codebook", Path(), ())

    def to_dict(self) -> dict:
        """Return plain values (for YAML or JSON) from which `from_dict` rebuilds this codebook."""
        added = {n: unit.name for n, unit in self.action_units.items() if n not in ACTION_UNITS}
        return {
            "name": self.name,
            "expressions": {expression: list(units) for expression, units in self.entries.items()},
            "adds": {"expressions": [e for e in self.entries if e not in EXPRESSIONS], "action_units": added},
        }

    @property
    def expressions(self) -> tuple[str, ...]:
        """Names of all expressions, the standard ones first, in the order of their class ids."""
        return tuple(self.entries)

    def __getitem__(self, expression: str) -> tuple[int, ...]:
        """Return the action-unit numbers of an expression.

        Raises:
            InputError: The codebook has no such expression.
        """
        if expression not in self.entries:
            raise InputError(
                f"Codebook {self.name} has no expression {expression!r}; it has {', '.join(self.entries)}."
                f"{did_you_mean(expression, self.entries)}"
            )
        return self.entries[expression]

    @classmethod
    def _load(cls, codebook: str | Path, folder: Path, chain: tuple[Path, ...]) -> "Codebook":
        if str(codebook) in BUNDLED_CODEBOOKS:
            path = _FOLDER / f"{codebook}.yaml"
        else:
            path = folder / codebook
            if not path.suffix and not path.exists():
                raise InputError(
                    f"There is no codebook {str(codebook)!r}; give one of {', '.join(BUNDLED_CODEBOOKS)} or"
                    f" the path of a YAML file.{did_you_mean(codebook, BUNDLED_CODEBOOKS)}"
                )
        if path.resolve() in chain:
            raise InputError(f"Codebook {path} extends itself.")
        if len(chain) == _LONGEST_CHAIN:
            raise InputError(f"{chain[-1]}: more than {_LONGEST_CHAIN} codebooks extend one another.")
        return cls._parse(read_mapping(path), str(path), path.parent, (*chain, path.resolve()))

    @classmethod
    def _parse(cls, data: Mapping, where: str, folder: Path, chain: tuple[Path, ...]) -> "Codebook":
        check_keys(data, ("name", "extends", "expressions", "adds"), where)
        name = data.get("name")
        if not isinstance(name, str) or not name:
            raise InputError(f"{where}: 'name' must be a text, not {kind(name)}.")
        extends = data.get("extends")
        if not isinstance(extends, str | Path | None):
            raise InputError(f"{where}: 'extends' must be a codebook's name or path, not {kind(extends)}.")
        base = cls._load(extends, folder, chain) if extends else None
        entries: dict[str, tuple[int, ...]] = dict(base.entries) if base else {NEUTRAL: ()}
        action_units = dict(base.action_units if base else ACTION_UNITS)

        adds = _mapping(data, "adds", where)
        check_keys(adds, ("expressions", "action_units"), f"{where}, adds")
        for number, unit_name in _mapping(adds, "action_units", f"{where}, adds").items():
            unit = _added_action_unit(number, unit_name, action_units, where)
            action_units[unit.number] = unit
        known = {*EXPRESSIONS, *entries, *_added_expressions(adds, entries, where)}

        for expression, units in _mapping(data, "expressions", where).items():
            if expression not in known:
                raise InputError(
                    f"{where}: unknown expression {expression!r}; a new one must be listed under adds:"
                    f" expressions.{did_you_mean(expression, known)}"
                )
            entries[expression] = _action_unit_set(expression, units, action_units, where)
        ordered = [e for e in EXPRESSIONS if e in entries] + [e for e in entries if e not in EXPRESSIONS]
        return cls(name, {expression: entries[expression] for expression in ordered}, action_units)


def _mapping(data: Mapping, key: str, where: str) -> Mapping:
    value = data.get(key)
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise InputError(f"{where}: '{key}' must be a mapping ('key: value' lines), not {kind(value)}.")
    return value


def _added_action_unit(
    number: object, name: object, known: Mapping[int, ActionUnit], where: str
) -> ActionUnit:
    if isinstance(number, str) and number.isdecimal():
        number = int(number)  # JSON, which model files keep their codebook in, has only text as keys
    if not _is_number(number) or number < 1:
        raise InputError(f"{where}, adds: action unit {number!r} must be a positive whole number.")
    if number in known:
        raise InputError(f"{where}, adds: action unit {number} is a duplicate of {known[number]}.")
    if not isinstance(name, str) or not name:
        raise InputError(f"{where}, adds: the name of action unit {number} must be a text, not {kind(name)}.")
    return ActionUnit(number, name)


def _added_expressions(adds: Mapping, known: Mapping, where: str) -> list[str]:
    added = adds.get("expressions")
    if added is None:
        return []
    if not isinstance(added, list | tuple) or not all(isinstance(e, str) and e for e in added):
        raise InputError(f"{where}, adds: 'expressions' must be a list of names, not {added!r}.")
    for index, expression in enumerate(added):
        if expression in EXPRESSIONS or expression in known or expression in added[:index]:
            raise InputError(f"{where}, adds: expression {expression!r} is a duplicate; it is known already.")
    return list(added)


def _action_unit_set(
    expression: str, units: object, known: Mapping[int, ActionUnit], where: str
) -> tuple[int, ...]:
    where = f"{where}, expression {expression}"
    units = [] if units is None else units
    if not isinstance(units, list | tuple):
        raise InputError(f"{where}: must be a list of action-unit numbers such as [6, 12], not {units!r}.")
    for index, number in enumerate(units):
        if not _is_number(number):
            raise InputError(f"{where}: {number!r} is not an action-unit number such as 12.")
        if number not in known:
            numbers = ", ".join(str(n) for n in sorted(known))
            raise InputError(
                f"{where}: unknown action unit {number}; known are {numbers}, others must be listed under"
                " adds: action_units."
            )
        if number in units[:index]:
            raise InputError(f"{where}: action unit {number} is a duplicate.")
    if bool(units) == (expression == NEUTRAL):
        problem = "neutral has no action units" if units else "the set of action units is empty"
        raise InputError(f"{where}: {problem}.")
    return tuple(sorted(units))


def _is_number(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)
