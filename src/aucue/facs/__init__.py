"""What an expert in the Facial Action Coding System knows: action units, expressions, codebooks."""

from aucue.facs.action_units import ACTION_UNITS, ALTERNATIVES, EXPRESSIONS, NEUTRAL, ActionUnit, listed
from aucue.facs.codebook import BUNDLED_CODEBOOKS, Codebook

__all__ = [
    "ACTION_UNITS",
    "ALTERNATIVES",
    "BUNDLED_CODEBOOKS",
    "EXPRESSIONS",
    "NEUTRAL",
    "ActionUnit",
    "Codebook",
    "listed",
]
