"""Models: a file, an address of a hub or nothing (the model in the box) in; a network that looks at faces,
and its card, out.
"""

from aucue.models.card import Card
from aucue.models.files import boxed_model, load_model, save_model
from aucue.models.hub import local_file
from aucue.models.looking import Look
from aucue.models.model import Model, name_of

__all__ = [
    "Card",
    "Look",
    "Model",
    "boxed_model",
    "load_model",
    "local_file",
    "name_of",
    "save_model",
]
