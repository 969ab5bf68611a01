"""The card of a model: what it was trained on, how it was guided, what was measured, what draws its cues."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal, Self

from aucue.errors import InputError
from aucue.guidance.names import AttentionKind, Grid, Loss
from aucue.models.calibration import CalibrationRecord, PriorRecord

CueKind = Literal["expression", "all", "landmarks", "wrong", "mask"]

LEARNT_FROM = ("started_from", "taught_by")
"""Entries of a card's provenance, each about a model that the training learnt from."""

_TERMS = {
    "weight": "attention",
    "class_map": "class map",
    "contrast": "contrast of the class maps",
    "gradients": "input gradients",
    "units": "maps of the action units",
    "outside": "evidence outside its region",
    "hidden": "evidence of what is hidden",
}


@dataclass(frozen=True)
class GuidanceRecord:
    """Where a network is asked to look, and how firmly: of a training that is to be, and of a model that is.

    Attributes:
        weight: lambda of the alignment of the attention; with 0 here and below, the unguided twin is trained.
        class_map: weight of the alignment of the class map of the label, beside that of the attention.
        contrast: weight of the contrast of that class map: it is to resemble the cue of the label more than
            those that the other expressions would have on the same face.
        gradients: weight of the alignment of the input gradients: how much the logit of the label changes
            with each pixel, summed over the colours, on the grid of the last layer.
        units: weight of the alignment of the map of each action unit of the label with that unit's region
            (method `units`).
        outside: weight of the share of evidence that every action unit has outside its region, whatever the
            label (method `units`).
        hidden: weight of what hiding may change: half of the faces are seen again with one to six units
            hidden, where no evidence may be left and beside which it has to stay.
        beside: how much it counts, within `hidden`, that evidence stays beside what is hidden; more of it
            makes maps say better which unit decides, and costs accuracy (docs/recipe.md).
        visible: the cue leaves out what the augmentation hides, so that no map is taught to glow on nothing.
        cue: what attention, class map and gradients are aligned with: `expression` (the action units of the
            label), `all` (those that the regions can draw), `landmarks` (a bump at each of them), `mask`
            (masks of your own, a column of the prepared table), or `wrong` (the units of another expression,
            a control). `all`, `landmarks` and `mask` guide neutral faces too.
        layers: names of the aligned layers; null aligns the method's: the last one, with cutmix the one
            before.
        loss: alignment loss between attention and cue, and between class map and cue: `cosine` and others of
            the published code, or `energy`, `rrr` and `l1-mask` of the wider literature.
        attention: which channels make the attention map.
        share: share of the channels, of the two `-share` kinds of attention.
        softmax: bring attention and class map to a softmax over their pixels before they are compared.
        barrier: t of an extended log-barrier on the cosine (Kervadec et al. 2019); null takes 1 - cosine.
        grid: where they are compared: on the grid of the `attention`, or on that of the `cue`.
        first_epoch: first epoch with guidance, from 1.
        last_epoch: last epoch with guidance; null goes on to the end.
    """

    weight: float = 4.0
    class_map: float = 0.0
    contrast: float = 0.0
    gradients: float = 0.0
    units: float = 0.0
    outside: float = 0.0
    hidden: float = 0.0
    beside: float = 0.5
    visible: bool = False
    cue: CueKind = "expression"
    layers: list[str] | None = None
    loss: Loss = "cosine"
    attention: AttentionKind = "mean"
    share: float = 1.0
    softmax: bool = False
    barrier: float | None = None
    grid: Grid = "attention"
    first_epoch: int = 1
    last_epoch: int | None = None

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "GuidanceRecord":
        """Rebuild from plain values; a weight that is not there is 0, and other entries are passed over."""
        known = {entry.name for entry in fields(GuidanceRecord)}
        given = {name: value for name, value in values.items() if name in known}
        return GuidanceRecord(**{"weight": 0.0, **given})

    @property
    def guided(self) -> bool:
        """Whether any term has a weight."""
        return any(getattr(self, term) for term in _TERMS)

    @property
    def guided_layers(self) -> tuple[str, ...]:
        """The layers whose attention is guided; none where the class map alone is."""
        return tuple(self.layers or ()) if self.weight else ()

    def layer_shown(self, layers: Sequence[str]) -> str:
        """The layer whose attention is shown: the deepest one that is named, else the last.

        That of weight 0 counts too, so that an unguided twin is shown where its guided twin is.

        Args:
            layers: all layers of the network, shallow to deep.
        """
        named = self.layers or ()
        return next((layer for layer in reversed(layers) if layer in named), layers[-1])

    def __str__(self) -> str:
        """In words: "guided: attention of layer4 (weight 4)", or "not guided"."""
        terms = []
        for term, name in _TERMS.items():
            if weight := getattr(self, term):
                where = f" of {', '.join(self.layers)}" if term == "weight" and self.layers else ""
                terms.append(f"{name}{where} (weight {weight:g})")
        cue = "" if self.cue == "expression" else f"; cue {self.cue}"
        return f"guided: {', '.join(terms)}{cue}" if terms else "not guided"


@dataclass
class Card:
    """What a user of a trained network has to know, beside its weights. Plain values only (JSON).

    Attributes:
        classes: names of the classes, in the order of the logits.
        template: name of the face template that crops are aligned to.
        codebook: the codebook that guided it, as `Codebook.to_dict` gives it.
        regions: what drew the cues: the name of a bundled region model, or the region table itself, as
            `AnatomicalRegions.to_dict` gives it.
        guidance: where it was asked to look; None if that is not known.
        method: name of the method (backbone, head, regulariser and read-out).
        metrics: figures measured on data the training did not see. Undefined ones (NaN) are stored as null.
        provenance: data, settings, versions, dates. `save_model` adds the versions it runs under.
        calibration: what makes the chance of being right of its answers; None leaves them as they are.
        prior: how frequent the expressions are that it was made for; None if that is not known.
    """

    classes: tuple[str, ...]
    template: str | None = None
    codebook: dict[str, Any] | None = None
    regions: str | dict[str, Any] | None = None
    guidance: GuidanceRecord | None = None
    method: str = "cam"
    metrics: dict[str, Any] = field(default_factory=dict)
    provenance: dict[str, Any] = field(default_factory=dict)
    calibration: CalibrationRecord | None = None
    prior: PriorRecord | None = None

    def __post_init__(self) -> None:
        self.classes = tuple(self.classes)
        if isinstance(self.guidance, Mapping):  # as a file has it
            self.guidance = GuidanceRecord.from_dict(self.guidance)
        if isinstance(self.calibration, Mapping):
            self.calibration = CalibrationRecord(**self.calibration)
        if isinstance(self.prior, Mapping):
            self.prior = PriorRecord(**self.prior)
        kinds = {
            "template": str,
            "codebook": Mapping,
            "regions": str | Mapping,
            "guidance": GuidanceRecord,
            "calibration": CalibrationRecord,
            "prior": PriorRecord,
        }
        for name, kind in {**kinds, "method": str, "metrics": Mapping, "provenance": Mapping}.items():
            value = getattr(self, name)
            if not isinstance(value, kind) and not (name in kinds and value is None):
                raise InputError(f"Model information: '{name}' cannot be {value!r}.")
        if self.prior and not all(set(mix) == set(self.classes) for mix in asdict(self.prior).values()):
            raise InputError("Model information: 'prior' needs a share of every class, and of nothing else.")

    @property
    def guided(self) -> bool:
        """Whether any term of the guidance had a weight."""
        return self.guidance is not None and self.guidance.guided

    @property
    def guided_layers(self) -> tuple[str, ...]:
        """The layers whose attention was guided; none where the class map alone was."""
        return () if self.guidance is None else self.guidance.guided_layers

    @property
    def how_guided(self) -> str:
        """How it was guided, in words: "guided: attention of layer4 (weight 4)", or "not guided"."""
        return how_guided(self.guidance)

    @property
    def curves(self) -> dict[str, list[float | None]]:
        """Figures of every epoch of the training, by name ("val/accuracy"); empty where none are told."""
        stored = self.provenance.get("curves")
        if not isinstance(stored, Mapping):
            return {}
        curves = {str(name): values for name, values in stored.items() if isinstance(values, list)}
        return {name: [_number_or_none(value) for value in values] for name, values in curves.items()}

    def layer_shown(self, layers: Sequence[str]) -> str:
        """The layer whose attention is shown: the deepest one that the guidance names, else the last.

        Args:
            layers: all layers of the network, shallow to deep (`Classifier.layers`).
        """
        return layers[-1] if self.guidance is None else self.guidance.layer_shown(layers)

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


def guided_layers(guidance: Mapping[str, Any] | None) -> tuple[str, ...]:
    """The layers whose attention was guided, of what an evaluation stores of a card's guidance."""
    return GuidanceRecord.from_dict(guidance or {}).guided_layers


def how_guided(guidance: GuidanceRecord | Mapping[str, Any] | None) -> str:
    """How a network was guided, in words, of a card's guidance or of what an evaluation stores of it."""
    if guidance is None:
        return "guidance not stated"
    return str(GuidanceRecord.from_dict(guidance) if isinstance(guidance, Mapping) else guidance)


def _number_or_none(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


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
