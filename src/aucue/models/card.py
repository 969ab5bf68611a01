"""The card of a model: what it was trained on, how it was guided, what was measured, what draws its cues."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Self

from aucue.errors import InputError

_TERMS = {"weight": "attention", "class_map": "class map", "contrast": "contrast of the class maps"}


@dataclass
class Card:
    """What a user of a trained network has to know, beside its weights. Plain values only (JSON).

    Attributes:
        classes: names of the classes, in the order of the logits.
        template: name of the face template that crops are aligned to.
        codebook: the codebook that guided it, as `Codebook.to_dict` gives it.
        regions: name of the region model that drew the cues.
        guidance: settings of the guidance: weight, class_map, contrast, layers, loss, attention.
        method: name of the method (backbone, head, regulariser and read-out).
        metrics: figures measured on data the training did not see. Undefined ones (NaN) are stored as null.
        provenance: data, settings, versions, dates. `save_model` adds the versions it runs under.
    """

    classes: tuple[str, ...]
    template: str | None = None
    codebook: dict[str, Any] | None = None
    regions: str | None = None
    guidance: dict[str, Any] | None = None
    method: str = "cam"
    metrics: dict[str, Any] = field(default_factory=dict)
    provenance: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.classes = tuple(self.classes)
        kinds = {"template": str, "codebook": Mapping, "regions": str, "guidance": Mapping}
        for name, kind in {**kinds, "method": str, "metrics": Mapping, "provenance": Mapping}.items():
            value = getattr(self, name)
            if not isinstance(value, kind) and not (name in kinds and value is None):
                raise InputError(f"Model information: '{name}' cannot be {value!r}.")

    @property
    def guided(self) -> bool:
        """Whether any term of the guidance had a weight."""
        return is_guided(self.guidance)

    @property
    def guided_layers(self) -> tuple[str, ...]:
        """The layers whose attention was guided; none where the class map alone was."""
        return guided_layers(self.guidance)

    @property
    def how_guided(self) -> str:
        """How it was guided, in words: "guided: attention of layer4 (weight 4)", or "not guided"."""
        return how_guided(self.guidance)

    def layer_shown(self, layers: Sequence[str]) -> str:
        """The layer whose attention is shown: the deepest one that the guidance names, else the last.

        Args:
            layers: all layers of the network, shallow to deep (`Classifier.layers`).
        """
        return layer_shown(self.guidance, layers)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as a model file stores them."""
        return {name: _plain(value, name) for name, value in asdict(self).items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Rebuild from plain values.

        Raises:
            InputError: an entry is unknown, missing or of a wrong kind.
        """
        if unknown := sorted(values.keys() - {entry.name for entry in fields(cls)}):
            raise InputError(f"Model information: unknown entry '{unknown[0]}'.")
        if "classes" not in values:
            raise InputError("Model information: 'classes' is missing.")
        return cls(**values)


def is_guided(guidance: Mapping[str, Any] | None) -> bool:
    """Whether any term of the guidance had a weight.

    Args:
        guidance: as `Card.guidance`.
    """
    return any(_weight(guidance, term) for term in _TERMS)


def guided_layers(guidance: Mapping[str, Any] | None) -> tuple[str, ...]:
    """The layers whose attention was guided; none where the class map alone was.

    Args:
        guidance: as `Card.guidance`.
    """
    return _layers(guidance) if _weight(guidance, "weight") else ()


def layer_shown(guidance: Mapping[str, Any] | None, layers: Sequence[str]) -> str:
    """The layer whose attention is shown: the deepest one that the guidance names, else the last.

    That of weight 0 counts too, so that an unguided twin is shown where its guided twin is.

    Args:
        guidance: as `Card.guidance`.
        layers: all layers of the network, shallow to deep.
    """
    named = _layers(guidance)
    return next((layer for layer in reversed(layers) if layer in named), layers[-1])


def how_guided(guidance: Mapping[str, Any] | None) -> str:
    """How a network was guided, in words: "guided: attention of layer4 (weight 4)", or "not guided".

    Args:
        guidance: as `Card.guidance`.
    """
    if guidance is None:
        return "guidance not stated"
    terms = []
    for term, name in _TERMS.items():
        if weight := _weight(guidance, term):
            where = f" of {', '.join(_layers(guidance))}" if term == "weight" and _layers(guidance) else ""
            terms.append(f"{name}{where} (weight {weight:g})")
    return f"guided: {', '.join(terms)}" if terms else "not guided"


def _weight(guidance: Mapping[str, Any] | None, term: str) -> float:
    return (guidance or {}).get(term) or 0.0


def _layers(guidance: Mapping[str, Any] | None) -> tuple[str, ...]:
    return tuple((guidance or {}).get("layers") or ())


def _plain(value: Any, where: str) -> Any:
    """Value in JSON's own kinds, NaN and infinity as null."""
    if isinstance(value, Mapping):
        return {str(key): _plain(entry, f"{where}.{key}") for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry, where) for entry in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, str):  # a name of a file need not be text
        return value.encode("utf-8", "backslashreplace").decode()
    if value is None or isinstance(value, bool | int | float):
        return value
    raise InputError(f"Model information: '{where}' is a {type(value).__name__}, which JSON cannot hold.")
