"""A contact sheet: several people, each with every expression."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from PIL import Image

from aucue.facs import EXPRESSIONS, Codebook
from aucue.rendering.painter import render
from aucue.rendering.parameters import FaceParameters, Identity, View
from aucue.rendering.showing import draw_action_units

PEOPLE = (80, 89, 26, 79, 85)
"""Seeds of five rather different people."""


def contact_sheet(
    people: Sequence[int] = PEOPLE,
    expressions: Sequence[str] = EXPRESSIONS,
    size: int = 128,
    seed: int = 0,
    codebook: str | Codebook = "facs",
) -> Image.Image:
    """Render people (rows) with expressions (columns).

    Args:
        people: seeds of the identities.
        expressions: names in the codebook.
        size: side of one picture in pixels.
        seed: of the views and intensities.
        codebook: says which action units make up an expression.

    Returns:
        An RGB picture of len(people) rows and len(expressions) columns.
    """
    book = Codebook.load(codebook)
    rows = []
    for person in people:
        rng = np.random.default_rng([seed, person])
        identity, wall = Identity.draw(person), View.draw(rng).background
        faces = (
            FaceParameters(
                identity, draw_action_units(book[expression], rng, faint=False), _calm(View.draw(rng), wall)
            )
            for expression in expressions
        )
        rows.append(np.concatenate([render(face, size).image for face in faces], axis=1))
    return Image.fromarray(np.concatenate(rows, axis=0))


def _calm(view: View, wall: tuple) -> View:
    """The same wall behind all pictures of a person, no noise to look through."""
    return replace(view, background=wall, noise=0.0, scale=0.24, roll=view.roll / 2)
