"""A data set of rendered faces: people, their expressions, and optionally a planted shortcut."""

import colorsys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from aucue.data.sources.expected import Finding
from aucue.data.sources.source import SPLITS, Sample
from aucue.errors import InputError
from aucue.facs import ACTION_UNITS, EXPRESSIONS, Codebook
from aucue.rendering.painter import render
from aucue.rendering.parameters import FaceParameters, Identity, Sticker, View
from aucue.rendering.showing import draw_action_units

IMAGES_PER_PERSON = (3, 7)


def mark_colours(count: int) -> list[tuple[float, float, float]]:
    """Well separated colours, one per class: (count,) sRGB triples."""
    return [colorsys.hsv_to_rgb(i / count, 0.85, 0.95) for i in range(count)]


@dataclass(frozen=True)
class _Plan:
    """What is decided of a split before anything is rendered."""

    person: np.ndarray
    """(n,) number of the person on each picture."""
    label: np.ndarray
    """(n,) class id."""


class SyntheticSource:
    """Rendered faces with exact landmarks and known action units.

    Classes are balanced in every split (counts differ by one at most). Each person shows three to seven
    different expressions and belongs to one split alone. Pictures are rendered when they are asked for, from
    the seed alone: the same arguments give the same bytes.

    With `shortcut`, a round sticker beside the temple betrays the label: its colour is the label's own in a
    share `shortcut_strength` of the training and validation pictures, and that of a wrong class in every test
    picture.

    Args:
        train: number of training pictures.
        val: number of validation pictures.
        test: number of test pictures.
        seed: of everything random.
        size: side of the square pictures in pixels.
        shortcut: plant the sticker.
        classes: the expressions, in the order of their ids.
        codebook: says which action units make up an expression (name, path or `Codebook`).
        shortcut_strength: share of training and validation pictures whose sticker tells the truth.

    Raises:
        InputError: A negative count, an unknown expression or one with an action unit that cannot be
            rendered, fewer than two classes with a shortcut.
    """

    name = "synthetic"
    findings: tuple[Finding, ...] = ()

    def __init__(
        self,
        train: int = 2500,
        val: int = 500,
        test: int = 1000,
        *,
        seed: int = 0,
        size: int = 112,
        shortcut: bool = False,
        classes: tuple[str, ...] = EXPRESSIONS,
        codebook: str | Codebook = "facs",
        shortcut_strength: float = 0.95,
    ) -> None:
        self.counts = dict(zip(SPLITS, (train, val, test), strict=True))
        self.seed, self.size = seed, size
        self.shortcut, self.shortcut_strength = shortcut, shortcut_strength
        self.classes = tuple(classes)
        self.codebook = Codebook.load(codebook)
        self._check()

    def _check(self) -> None:
        for split, count in self.counts.items():
            if count < 0:
                raise InputError(
                    f"A synthetic set cannot have {count} pictures in its {split} split; give 0 or more."
                )
        if not self.classes or len(set(self.classes)) < len(self.classes):
            raise InputError("A synthetic set needs at least one class and each class once.")
        if self.shortcut and len(self.classes) < 2:
            raise InputError("A planted shortcut needs at least two classes: its colour must be able to lie.")
        if not 0 <= self.shortcut_strength <= 1:
            raise InputError(f"shortcut_strength is a share between 0 and 1, not {self.shortcut_strength}.")
        for expression in self.classes:
            unknown = set(self.codebook[expression]) - set(ACTION_UNITS)
            if unknown:
                raise InputError(
                    f"The synthetic faces cannot show AU{min(unknown)}, which {expression} asks for."
                )

    @property
    def provenance(self) -> Mapping[str, Any]:
        """Every setting the pictures depend on."""
        return {
            "generator": "aucue.rendering",
            "version": 1,
            "counts": self.counts,
            "seed": self.seed,
            "size": self.size,
            "classes": list(self.classes),
            "codebook": self.codebook.to_dict(),
            "shortcut": self.shortcut_strength if self.shortcut else None,
            "licence": "MIT (rendered by aucue, shows no real person)",
        }

    def __len__(self) -> int:
        """Number of pictures over all splits."""
        return sum(self.counts.values())

    def __getitem__(self, index: int) -> Sample:
        """Render a picture.

        Args:
            index: from 0; training, validation, then test pictures.

        Raises:
            IndexError: No such picture.
        """
        split, position = self._locate(index)
        face = self.parameters(index)
        label = int(self._plans[split].label[position])
        rendering = render(face, self.size)
        identity = face.identity
        return Sample(
            key=f"{split}/{position:05d}",
            label=self.classes[label],
            split=split,
            image=rendering.image,
            landmarks=rendering.landmarks,
            person=f"{split}-{int(self._plans[split].person[position]):04d}",
            attributes={
                "action_units": {
                    f"AU{number}": round(value, 3) for number, value in face.action_units.items()
                },
                "skin_tone": round(identity.tone, 3),
                "age": round(identity.age, 1),
                "mark": None if face.mark is None else self.classes[self._mark_class(split, position, label)],
            },
        )

    def parameters(self, index: int) -> FaceParameters:
        """Everything that decides a picture, without rendering it."""
        split, position = self._locate(index)
        plan = self._plans[split]
        label = int(plan.label[position])
        rng = self._rng(split, position, 1)
        identity_seed = int(self._rng(split, int(plan.person[position]), 2).integers(2**31))
        return FaceParameters(
            identity=Identity.draw(identity_seed),
            action_units=draw_action_units(self.codebook[self.classes[label]], rng),
            view=View.draw(rng),
            skew=float(np.clip(rng.normal() * 0.06, -0.15, 0.15)),
            mark=self._mark(split, position, label) if self.shortcut else None,
        )

    def _mark(self, split: str, position: int, label: int) -> Sticker:
        return Sticker(mark_colours(len(self.classes))[self._mark_class(split, position, label)])

    def _mark_class(self, split: str, position: int, label: int) -> int:
        """The class whose colour the sticker has."""
        rng = self._rng(split, position, 3)
        if split != "test" and rng.random() < self.shortcut_strength:
            return label
        return int((label + rng.integers(1, len(self.classes))) % len(self.classes))

    def _rng(self, split: str, number: int, purpose: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, SPLITS.index(split), number, purpose])

    def _locate(self, index: int) -> tuple[str, int]:
        if not 0 <= index < len(self):
            raise IndexError(f"no picture {index}: the set has {len(self)}")
        for split, count in self.counts.items():
            if index < count:
                return split, index
            index -= count
        raise AssertionError

    @cached_property
    def _plans(self) -> dict[str, _Plan]:
        return {split: self._plan(split, count) for split, count in self.counts.items()}

    def _plan(self, split: str, count: int) -> _Plan:
        """Deal balanced labels to people, each of whom shows different expressions."""
        rng = self._rng(split, 0, 0)
        dealt = np.zeros(len(self.classes), int)
        persons, labels = [], []
        person = 0
        low, high = (min(bound, len(self.classes)) for bound in IMAGES_PER_PERSON)
        while len(labels) < count:
            pictures = min(int(rng.integers(low, high + 1)), count - len(labels))
            # The least dealt classes first, ties in random order.
            chosen = np.lexsort((rng.random(len(dealt)), dealt))[:pictures]
            dealt[chosen] += 1
            labels += chosen.tolist()
            persons += [person] * pictures
            person += 1
        return _Plan(np.array(persons, int), np.array(labels, int))
