"""How a network was guided, as its description says: the one answer of files, reports, cards and pages."""

from collections.abc import Mapping, Sequence
from typing import Any

_TERMS = {"weight": "attention", "class_map": "class map", "contrast": "contrast of the class maps"}


def is_guided(guidance: Mapping[str, Any] | None) -> bool:
    """Whether any term of the guidance had a weight.

    Args:
        guidance: as `ModelInfo.guidance`.
    """
    return any(_weight(guidance, term) for term in _TERMS)


def guided_layers(guidance: Mapping[str, Any] | None) -> tuple[str, ...]:
    """The layers whose attention was guided; none where the class map alone was.

    Args:
        guidance: as `ModelInfo.guidance`.
    """
    return _layers(guidance) if _weight(guidance, "weight") else ()


def layer_shown(guidance: Mapping[str, Any] | None, layers: Sequence[str]) -> str:
    """The layer whose attention is shown: the deepest one that the guidance names, else the last.

    That of weight 0 counts too, so that an unguided twin is shown where its guided twin is.

    Args:
        guidance: as `ModelInfo.guidance`.
        layers: all layers of the network, shallow to deep.
    """
    named = _layers(guidance)
    return next((layer for layer in reversed(layers) if layer in named), layers[-1])


def how_guided(guidance: Mapping[str, Any] | None) -> str:
    """How a network was guided, in words: "guided: attention of layer4 (weight 4)", or "not guided".

    Args:
        guidance: as `ModelInfo.guidance`.
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
