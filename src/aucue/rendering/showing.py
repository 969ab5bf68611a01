"""What a face shows: intensities of action units, drawn as people show expressions."""

import numpy as np

from aucue.facs import ACTION_UNITS

NOISE_INTENSITY = 0.12
"""No action unit outside an expression is stronger than this; neutral faces have nothing else."""

INTENSITY = (0.3, 1.0)
"""Of the action units that make an expression."""

_MOUTH_OPEN = frozenset({25, 26, 27})
_MOUTH_SHUT = frozenset({24})


def draw_action_units(
    units: tuple[int, ...], rng: np.random.Generator, faint: bool = True
) -> dict[int, float]:
    """Intensities of one showing of an expression.

    As with people, expressions are strong or faint, incomplete, and mixed: the showing has a strength of
    its own, around which its units vary within `INTENSITY`; in four showings of ten one unit of a larger set
    stays away, in three a unit of no part in it joins in; lips that are pressed (AU24) are not parted at the
    same time. Whatever else moves stays below `NOISE_INTENSITY`, in neutral faces everything.

    Args:
        units: the expression's action units; none for neutral.
        rng: where chance comes from.
        faint: without it, every unit of the expression is there and strong, and no other joins in.

    Returns:
        Intensity per number, of all 20 units.
    """
    noise = NOISE_INTENSITY * rng.random(len(ACTION_UNITS)) * (rng.random(len(ACTION_UNITS)) < 0.6)
    intensities = dict(zip(ACTION_UNITS, noise.tolist(), strict=True))
    chosen = set(units)
    if not chosen:
        return intensities
    if chosen & _MOUTH_SHUT and chosen & _MOUTH_OPEN:
        chosen -= _MOUTH_OPEN if rng.random() < 0.6 else _MOUTH_SHUT
    shut = bool(chosen & _MOUTH_SHUT)
    if faint and len(chosen) > 2 and rng.random() < 0.4:
        chosen.discard(int(rng.choice(sorted(chosen))))
    others = sorted(set(ACTION_UNITS) - set(units) - {43})
    if faint and rng.random() < 0.3 and others:
        intensities[int(rng.choice(others))] = float(rng.uniform(0.15, 0.6))
    strength = rng.uniform(0.4 if faint else 0.8, 0.95)
    for number in sorted(chosen):
        intensities[number] = float(np.clip(strength * rng.uniform(0.65, 1.35), *INTENSITY))
    if shut:
        intensities |= dict.fromkeys(_MOUTH_OPEN, 0.0)
    return intensities
