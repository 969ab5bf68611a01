"""Layers that are put in the place of others: of these, what is not torch's own would be lost."""

from torch import nn

from aucue.errors import InputError


def check_plain(part: nn.Module, path: str, setting: str, remedy: str) -> None:
    """Refuse to replace a layer that pads or weighs in a way of its own.

    Args:
        part: A convolution or a pooling layer.
        path: Its name in the network.
        setting: What asks for the replacement.
        remedy: What to do instead.

    Raises:
        InputError: It is of a class that builds on torch's.
    """
    if type(part) not in (nn.Conv2d, nn.MaxPool2d):
        raise InputError(
            f"{setting}: '{path}' is a {type(part).__name__}, not torch's own layer, and what it does beyond "
            f"that would be lost; {remedy}."
        )
