"""What a classifier says about one face: numbers, maps, a sentence and a picture."""

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from aucue import pictures
from aucue.errors import InputError, OutputExistsError
from aucue.explanation.hiding import IfHidden
from aucue.explanation.units import FaceEvidence, UnitEvidence, where_it_lies
from aucue.explanation.wording import how_sure, percent, rather_than_what, what_adds_up, what_decides
from aucue.faces import Face
from aucue.facs import NEUTRAL, ActionUnit, listed
from aucue.metrics import FAINT
from aucue.pictures import (
    blank,
    in_percent,
    loss_bars,
    normalize,
    overlay,
    overlay_signed,
    panel,
    probability_bars,
    ratio_bars,
)
from aucue.work.files import appearing, write_json

Map = NDArray[np.float32]

FOUND = {
    "plain": "found in the whole picture",
    "tile": "found in a part of the picture",
    "padded": "found after widening the border",
    "turned": "found after turning the picture",
    "given box": "in a box that was given",
    "full-frame": "not found: the whole picture was taken as the face",
    "precomputed": "landmarks were given",
}

LOGITS = 20.0
"""Full colour of signed maps, for every face and model: what a cell adds, in logits, up or down. The mean of
a map is what all cells add together."""

CAVEAT = (
    "Action units are those the expression should show, not detected ones; agreement tells where the model "
    "looked, not whether it is right."
)


@dataclass(frozen=True, eq=False)
class Explanation:
    """One face, explained.

    Attributes:
        expression: What is explained: the most probable class (`answer`), unless another one was asked for.
        probabilities: Probability per class, in the model's order; they sum to 1.
        votes: Share of voters that the model expects to name each class, of a model that was trained on votes
            and calibrated; else the probabilities.
        calibrated: Whether probabilities were made chances of being right on held-out faces; else they are
            what the network says.
        attention: Channel mean (h, w) of each feature layer, any range, shallow to deep.
        class_maps: Class map (h, w) in [0, 1] of each class at the resolution of the last layer.
        layer: The layer whose attention is shown: the deepest guided one, or the last of the network.
        cue: The map (S, S) in [0, 1] that an expert would expect for that expression on this face, S
            the model's input size; None where there is none (see `why_no_cue`).
        action_units: Those that the codebook expects for the expression.
        codebook: Name of the codebook.
        attention_cosines: Agreement of each layer's attention with the cue (ATT-COS); empty without a cue.
        class_map_cosine: Agreement of the expression's class map with the cue (CAM-COS); None without a cue.
        uniform_cosine: What an even map, the same everywhere, scores; None without a cue.
        evidence: How much of attention and class map lies in the regions of action units.
        log_odds_map: What each cell (h, w) adds to the expression against the other classes, in logits,
            signed: M_c - sum_k q_k M_k of the head's own maps M, with q how probable the others are among
            themselves; all zero for a method whose map knows no class.
        contributions: What each action unit adds to the logit of the expression, by FACS number, most first.
            With the bias of the expression they are the logit: an identity. Empty for a network without maps
            of units.
        if_hidden: What the expression loses when regions are hidden: what decides. None where that was not
            measured, or the face has no landmarks.
        face: The aligned face.
    """

    expression: str
    probabilities: Mapping[str, float]
    votes: Mapping[str, float]
    calibrated: bool
    attention: Mapping[str, Map]
    class_maps: Mapping[str, Map]
    layer: str
    cue: Map | None
    action_units: tuple[ActionUnit, ...]
    codebook: str
    attention_cosines: Mapping[str, float]
    class_map_cosine: float | None
    uniform_cosine: float | None
    evidence: FaceEvidence
    log_odds_map: Map
    contributions: Mapping[int, float]
    if_hidden: IfHidden | None
    face: Face

    def __repr__(self) -> str:
        about = (
            "" if self.class_map_cosine is None else f", class map {self.class_map_cosine:.2f} as expected"
        )
        size = self.face.size
        return f"<Explanation: {self.expression} {in_percent(self.probability)}{about}, crop {size} x {size}>"

    def _repr_html_(self) -> str:
        """Picture and sentence, for notebooks."""
        uri = pictures.to_data_uri(self.picture(tile_size=224), "jpeg")
        said = escape(self.sentence)
        return f'<img src="{uri}" alt="{said}" style="max-width:100%"><p>{said}</p>'

    @property
    def answer(self) -> str:
        """The most probable class."""
        return max(self.probabilities, key=self.probabilities.__getitem__)

    @property
    def probability(self) -> float:
        """Probability of the expression."""
        return self.probabilities[self.expression]

    def class_map(self, expression: str | None = None) -> Map:
        """Where the evidence for a class was seen.

        Args:
            expression: A class of the model; default the one that is explained.

        Returns:
            Map (h, w) in [0, 1], stretched to its own range.

        Raises:
            InputError: The model has no such class.
        """
        expression = self.expression if expression is None else expression
        if expression not in self.class_maps:
            raise InputError(f"The model has no class {expression!r}; it has {', '.join(self.class_maps)}.")
        return self.class_maps[expression]

    @property
    def has_evidence(self) -> bool:
        """Whether the class map of the expression shows evidence: a cell that adds `FAINT` logits or more.

        Of a method whose maps are not in logits, every map that is not the same everywhere does.
        """
        signed = self.log_odds_map
        return bool(self.class_map().any()) and not (signed.any() and signed.max() < FAINT)

    @property
    def drawn_class_map(self) -> Map:
        """The class map as it is drawn: without evidence zero, not stretched until it looks strong."""
        return self.class_map() if self.has_evidence else np.zeros_like(self.class_map())

    @property
    def why_not_measured(self) -> str:
        """Why it is not known what decides; empty where it is."""
        if self.if_hidden is not None:
            return ""
        if not self.face.has_landmarks:
            return "What decides cannot be measured without landmarks."
        return "What decides was not measured."

    @property
    def why_no_cue(self) -> str:
        """Why there is no expected map; empty where there is one."""
        if self.cue is not None:
            return ""
        if self.expression == NEUTRAL:
            return "A neutral face shows no action unit, so no map is expected."
        if not self.action_units:
            return (
                f"Codebook {self.codebook} has no action units for {self.expression}, so no map is expected."
            )
        if not self.face.has_landmarks:
            return "The face has no landmarks, so the expected map cannot be drawn."
        return "The regions of the expected action units lie outside the picture."

    @property
    def unit_evidence(self) -> tuple[UnitEvidence, ...]:
        """How much of attention and class map lies in the region of each action unit of the
        expression, by number; empty without a cue.
        """
        return self.evidence.expected

    @property
    def finding(self) -> str:
        """What can be said about this face, in words."""
        known = self.calibrated and self.votes != self.probabilities
        voters = self.votes if known else None
        said = [how_sure(self.expression, self.probabilities, voters, self.calibrated)]
        if self.if_hidden:
            said.append(what_decides(self.if_hidden))
            if self.expression == self.answer:
                said.append(rather_than_what(self.if_hidden))
        elif not self.face.has_landmarks:
            said.append(self.why_not_measured.rstrip("."))
        if self.contributions:
            said.append(what_adds_up(self.expression, self.contributions))
        if self.unit_evidence:
            lies = where_it_lies(self.evidence, self.expression, not self.has_evidence)
            said.append(f"{lies}; where a map lies is not what decides" if self.has_evidence else lies)
        said = [part[0].upper() + part[1:] for part in said if part]
        if self.cue is None:
            said.append(self.why_no_cue.rstrip("."))
        else:
            attention = self.attention_cosines[self.layer]
            said.append(
                f"Agreement with the map expected for {self.expression}: attention {attention:.2f}, "
                f"class map {self.class_map_cosine:.2f} (an even map: {self.uniform_cosine:.2f})"
            )
        if self.face.how == "full-frame":
            said.append("No face was found, so the whole picture was taken as one")
        if self.face.doubt:
            said.append(f"This face {'is ' if self.face.doubt[0] in 'ts' else ''}{self.face.doubt}")
        return ". ".join(said) + "."

    @property
    def sentence(self) -> str:
        """The finding, with what it does not mean."""
        return self.finding if self.cue is None else f"{self.finding} {CAVEAT}"

    def picture(
        self,
        theme: Literal["light", "dark"] = "light",
        tile_size: int = 336,
        opacity: float = 0.5,
        heading: str | None = None,
    ) -> Image.Image:
        """Face, attention, class map, the same in logits, expected map, shares per action unit, what decides
        and probabilities on a grid.

        Args:
            theme: Colours.
            tile_size: Side of each of the eight tiles in pixels.
            opacity: Share of the maps' colours over the face, in [0, 1].
            heading: Default the expression with its probability.

        Returns:
            One picture.
        """
        crop, side = self.face.crop, (tile_size, tile_size)
        expected, units, agreement, class_agreement = [blank(side, "", theme)] * 2 + [""] * 2
        if self.cue is None:
            expected = blank(side, self.why_no_cue, theme, font_size=tile_size * 0.055)
        else:
            expected = overlay(crop, self.cue, opacity)
            units = self._unit_bars(side, theme) if self.unit_evidence else units  # too small to be measured
            agreement = f"\nagreement {self.attention_cosines[self.layer]:.2f}"
            class_agreement = f"\nagreement {self.class_map_cosine:.2f}"
        tiles = {
            "Face": (crop, self.face.doubt or FOUND.get(self.face.how, self.face.how)),
            "Attention": (
                overlay(crop, normalize(self.attention[self.layer]), opacity),
                f"activity of {self.layer}{agreement}",
            ),
            "Class map": (
                overlay(crop, self.drawn_class_map, opacity),
                f"where the map for {self.expression} lies, stretched{class_agreement}"
                if self.has_evidence
                else f"without evidence for {self.expression}{class_agreement}",
            ),
            "In logits": (
                overlay_signed(crop, self.log_odds_map, LOGITS, min(1.0, 1.6 * opacity)),
                f"against the other classes, red for {self.expression}, blue against it; full colour is "
                f"{LOGITS:.0f} logits a cell, here {_range(self.log_odds_map)}",
            ),
            "Expected": (expected, listed(self.action_units) if self.cue is not None else ""),
            "Action units": (
                units,
                "Share of the class map in each region, and times chance (the line); grey: attention",
            ),
            "What decides": (
                self._loss_bars(side, theme),
                "Probability lost with a place hidden, and what is left; tick: with as much hidden elsewhere"
                if self.if_hidden
                else "",
            ),
            "Probabilities": (
                probability_bars(self.probabilities, side, self.expression, theme),
                "Heat maps: dark is low, light is high, each on its own scale",
            ),
        }
        return panel(
            [tile for tile, _ in tiles.values()],
            list(tiles),
            [caption for _, caption in tiles.values()],
            columns=4,
            tile_size=tile_size,
            heading=heading or f"{self.expression}, {percent(self.probability)}",
            footnote=self.sentence,
            theme=theme,
        )

    def _unit_bars(self, size: tuple[int, int], theme: Literal["light", "dark"]) -> Image.Image:
        """How dense both maps are in the regions of the expected action units."""
        units = self.unit_evidence
        return ratio_bars(
            [f"AU{unit.unit.number} {unit.unit.region}" for unit in units],
            [f"{percent(unit.class_map.share)}, {unit.class_map.ratio:.1f}x" for unit in units],
            np.array([[unit.class_map.ratio, unit.attention.ratio] for unit in units]),
            size,
            theme,
        )

    def _loss_bars(self, size: tuple[int, int], theme: Literal["light", "dark"]) -> Image.Image:
        """What the expression loses when regions are hidden, with their controls."""
        found = self.if_hidden
        if found is None:
            return blank(size, self.why_not_measured, theme, font_size=size[0] * 0.055)
        regions = found.regions
        return loss_bars(
            [f"{region.name} ({region.numbers})" for region in regions],
            [
                percent(region.without[self.expression]) if region.seen else "cannot be seen"
                for region in regions
            ],
            np.array([region.loss.points for region in regions]),
            np.array([region.control.points if region.control else np.nan for region in regions]),
            size,
            theme,
            marked=[region.matters for region in regions],
        )

    def to_dict(self) -> dict[str, Any]:
        """Everything but the maps and the picture, in plain values for JSON."""
        face = self.face
        return {
            "expression": self.expression,
            "answer": self.answer,
            "probabilities": dict(self.probabilities),
            "votes": dict(self.votes),
            "calibrated": self.calibrated,
            "action_units": [{"number": unit.number, "name": unit.name} for unit in self.action_units],
            "codebook": self.codebook,
            "layer": self.layer,
            "attention_cosines": dict(self.attention_cosines),
            "class_map_cosine": self.class_map_cosine,
            "uniform_cosine": self.uniform_cosine,
            "why_no_cue": self.why_no_cue,
            **self.evidence.to_dict(),
            "contributions": {f"AU{number}": round(value, 4) for number, value in self.contributions.items()},
            "if_hidden": self.if_hidden.to_dict() if self.if_hidden else None,
            "sentence": self.sentence,
            "face": face.to_dict(),
        }

    def save(
        self, folder: str | Path, name: str = "explanation", overwrite: bool = False
    ) -> tuple[Path, Path]:
        """Write `<name>.png` (the picture) and `<name>.json` (the numbers).

        Args:
            folder: Where to; made if it does not exist.
            name: File name without ending.
            overwrite: Replace existing files.

        Returns:
            Paths of the picture and of the numbers.

        Raises:
            OutputExistsError: One of the files exists and `overwrite` is not set.
        """
        paths = Path(folder) / f"{name}.png", Path(folder) / f"{name}.json"
        for path in paths:
            if path.exists() and not overwrite:
                raise OutputExistsError(f"{path} exists; choose another folder or ask to overwrite it.")
        paths[0].parent.mkdir(parents=True, exist_ok=True)
        with appearing(paths[0]) as unfinished:
            self.picture().save(unfinished)
        write_json(paths[1], self.to_dict())
        return paths


def _range(signed: Map) -> str:
    """From what to what a signed map reaches: "-1.2 to +8.4"."""
    return f"{signed.min():+.1f} to {signed.max():+.1f}"
