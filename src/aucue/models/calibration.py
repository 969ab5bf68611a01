"""From what a network says to the chance of being right: its temperature, its voters, the mix of its faces.

Plain numbers: an exported graph is read with this where there is no torch.
"""

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from aucue.errors import InputError
from aucue.work.tables import read_mapping

Prior = str | os.PathLike[str] | Mapping[str, float]
"""A mix of expressions: `natural`, `even`, a file of shares, or shares by the name of the expression."""


@dataclass(frozen=True)
class CalibrationRecord:
    """What makes the chance of being right of what a network says, and on which faces that was found.

    Attributes:
        temperature: what logits are divided by; it changes no answer.
        faces: which faces it was fitted on, in words; no training saw them.
        number: how many.
        before: expected calibration error there without it.
        after: and with it.
        voters: whether the network was trained on shares of votes (soft labels): what it says without the
            temperature is then the share of voters that it expects.
    """

    temperature: float = 1.0
    faces: str = ""
    number: int = 0
    before: float | None = None
    after: float | None = None
    voters: bool = False


@dataclass(frozen=True)
class PriorRecord:
    """How frequent the expressions are that a network was made for.

    Attributes:
        natural: share of each expression among the training faces, as they come.
        assumed: the shares that its answers are made for: those of the training faces, as far as their
            frequencies were not compensated.
    """

    natural: dict[str, float]
    assumed: dict[str, float]


@dataclass(frozen=True)
class Scale:
    """How logits become probabilities: shifted for a mix of expressions, then divided by the temperature.

    Attributes:
        temperature: of the calibration.
        shifts: what is added to the logit of each class; empty for nothing.
        voters: see `CalibrationRecord`.
    """

    temperature: float = 1.0
    shifts: tuple[float, ...] = ()
    voters: bool = False


def compensated_prior(natural: Mapping[str, float], share: float) -> PriorRecord:
    """The mix that a training is made for that compensates a share of the frequencies.

    Args:
        natural: shares of the training faces, all above 0.
        share: 0 compensates nothing, 1 all: the training is for expressions of equal frequency.
    """
    return PriorRecord(_shares(natural), _shares({name: v ** (1 - share) for name, v in natural.items()}))


def scale_of(calibration: CalibrationRecord | None, shifts: Sequence[float] = ()) -> Scale:
    """How the logits of a model become probabilities.

    Args:
        calibration: of its card; None leaves them as they are.
        shifts: see `shifts_for`.
    """
    known = calibration or CalibrationRecord()
    return Scale(known.temperature, tuple(shifts), known.voters)


def shifts_for(record: PriorRecord | None, classes: Sequence[str], prior: Prior | None) -> tuple[float, ...]:
    """What a mix of expressions adds to the logits: the log of the ratio of its shares and the assumed ones.

    Args:
        record: of the model's card.
        classes: names of the classes.
        prior: the mix; None leaves the model as it is.

    Raises:
        InputError: it is no mix of these classes, or the model does not say which one it is made for.
    """
    if prior is None:
        return ()
    if record is None:
        raise InputError(
            "The model does not say which mix of expressions it was trained for, so it cannot be brought to "
            "another one; leave the prior out."
        )
    wanted = mix_of(record, classes, prior)
    return tuple(math.log(wanted[name] / record.assumed[name]) for name in classes)


def with_mix(record: PriorRecord | None, classes: Sequence[str], prior: Prior | None) -> PriorRecord | None:
    """The record of a model whose logits were brought to another mix."""
    if record is None or prior is None:
        return record
    return replace(record, assumed=mix_of(record, classes, prior))


def mix_of(record: PriorRecord, classes: Sequence[str], prior: Prior) -> dict[str, float]:
    """The share of every class in a mix; they sum to 1.

    Raises:
        InputError: it is no mix of these classes.
    """
    if prior == "natural":
        return _shares(record.natural)
    if prior == "even":
        return dict.fromkeys(classes, 1 / len(classes))
    shares: Mapping[str, object] = prior if isinstance(prior, Mapping) else _read(prior)
    where = "The prior" if isinstance(prior, Mapping) else f"{os.fspath(prior)}: the prior"
    if set(shares) != set(classes):
        raise InputError(f"{where} needs a share of each of {', '.join(classes)}, and of nothing else.")
    return _shares({name: _share(shares[name], f"{where}: the share of {name}") for name in classes})


def _share(value: object, where: str) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < math.inf:
        return float(value)
    raise InputError(f"{where} must be a number above 0, not {value!r}.")


def _read(prior: str | os.PathLike[str]) -> Mapping[str, object]:
    if not Path(prior).is_file():
        raise InputError(
            f"{os.fspath(prior)}: no such prior; give natural, even, or a file (YAML) with a line for each "
            "expression, such as 'happiness: 0.3'."
        )
    return read_mapping(prior if isinstance(prior, str) else Path(prior))


def _shares(values: Mapping[str, float]) -> dict[str, float]:
    total = sum(values.values())
    return {name: value / total for name, value in values.items()}
