"""Units first, then the expression: logits that are sums over action units, each with a map of its own."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from aucue.classifiers.heads import Head
from aucue.errors import InputError
from aucue.facs import Codebook

_START = -1.0  # bias of a unit before training: softplus gives .31, so that little is seen at first
_SUM = 3.0  # weights of an expression's units together, where a head starts from another
_NOTHING_SEEN = 1.0  # bias of an expression without units there


class ActionUnitHead(Head):
    """One map per action unit, from which the logits follow through the codebook.

    E_u = softplus(v_u F + d_u) is what is seen of unit u, never negative, and logit_c = sum_u w_cu mean(E_u)
    + b_c with w_cu > 0 for the units of expression c and 0 for all others. So the logit is, but for b_c, a
    sum over the expression's units, and its class map M_c = sum_u w_cu E_u a sum of theirs. An expression
    without units (neutral) has b_c alone: it is what is left when little is seen.

    Args:
        channels: C, channels of the last feature maps.
        classes: K, number of classes.
        units: action units of each class (FACS numbers), K lists; that of neutral is empty.

    Attributes:
        units: the U units that occur, ascending: the order of `unit_maps`.
        own: which units speak for which class, bool (K, U).

    Raises:
        InputError: `units` has not one list per class, or names no unit.
    """

    own: Tensor

    def __init__(self, channels: int, classes: int, units: list):
        super().__init__(channels, classes)
        rows = _checked(units, classes)
        self.units = tuple(sorted(set().union(*rows)))
        own = torch.tensor([[unit in row for unit in self.units] for row in rows])
        self.register_buffer("own", own, persistent=False)
        self.conv = nn.Conv2d(channels, len(self.units), kernel_size=1)
        nn.init.xavier_uniform_(self.conv.weight)
        nn.init.constant_(self.conv.bias, _START)  # pyright: ignore[reportArgumentType]
        self.size = nn.Parameter(torch.zeros(classes, len(self.units)))
        self.bias = nn.Parameter(torch.zeros(classes))

    @property
    def weight(self) -> Tensor:
        """w, (K, U): what a unit counts for each class; 0 for those of other expressions."""
        return softplus(self.size) * self.own

    @torch.no_grad()
    def start_from(self, weight: Tensor) -> None:
        """See in each unit, to begin with, what a linear head saw in the expressions that have it.

        v_u is the mean of their weights beside the mean of all classes; every expression weighs its units
        alike, and neutral ones start as if something had to be seen for any other.

        Args:
            weight: (K, C) of a linear head on averaged features of the same classes.

        Raises:
            InputError: it has another shape.
        """
        if weight.shape != (self.classes, self.channels):
            raise InputError(
                f"units: a linear head of {self.classes} classes and {self.channels} channels is needed, not "
                f"of {tuple(weight.shape)}."
            )
        own = self.own.to(weight)
        beside = weight - weight.mean(dim=0, keepdim=True)
        self.conv.weight.copy_(((own.T @ beside) / own.sum(dim=0)[:, None])[..., None, None])
        nn.init.constant_(self.conv.bias, _START)  # pyright: ignore[reportArgumentType]
        each = _SUM / own.sum(dim=1, keepdim=True).clamp(min=1)
        self.size.copy_(each.expm1().log().expand_as(own))
        self.bias.copy_(_NOTHING_SEEN * (own.sum(dim=1) == 0))

    def unit_maps(self, features: Tensor) -> Tensor:
        """What is seen of each unit (B, U, h, w), not negative, of last feature maps (B, C, h, w)."""
        return softplus(self.conv(features))

    def forward(self, features: Tensor) -> Tensor:
        """Logits (B, K) of last feature maps (B, C, h, w)."""
        return self.unit_maps(features).mean(dim=(2, 3)) @ self.weight.T + self.bias

    def class_maps(self, features: Tensor) -> Tensor:
        """Class maps (B, K, h, w), not negative; their means are the logits but for the bias."""
        return self.of_units(self.unit_maps(features))

    def of_units(self, maps: Tensor) -> Tensor:
        """Class maps (B, K, h, w) of unit maps (B, U, h, w)."""
        return torch.einsum("ku,buhw->bkhw", self.weight, maps)


def units_of_classes(classes: Sequence[str], codebook: Codebook) -> list[list[int]]:
    """Action units of each class, as the head takes them; a class that the codebook lacks has none."""
    return [list(codebook[name]) if name in codebook.expressions else [] for name in classes]


def _checked(units: Any, classes: int) -> list[set[int]]:
    if not isinstance(units, list) or len(units) != classes:
        raise InputError(f"units: one list of action units per class is needed, {classes} in all.")
    for row in units:
        if not isinstance(row, list) or not all(type(unit) is int and 0 < unit < 1000 for unit in row):
            raise InputError(f"units: {row!r:.60} is no list of action-unit numbers such as [6, 12, 25].")
    if not any(units):
        raise InputError("units: no class has an action unit; choose another method for these classes.")
    return [set(row) for row in units]
