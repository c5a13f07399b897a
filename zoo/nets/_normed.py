"""A linear layer whose rows are directions times lengths of their own.

That of `torch.nn.utils.parametrizations.weight_norm`, which cannot be pickled; an estimator has to be.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import normalize


class Normed(nn.Linear):
    """Weight normalisation, w = g·v/|v| (Salimans and Kingma 2016, eq. 2)."""

    direction: nn.Parameter
    length: nn.Parameter

    @property
    def weight(self) -> Tensor:  # type: ignore[override]
        return self.length * normalize(self.direction, dim=1)


def normed(layer: nn.Linear) -> None:
    """Make a linear layer such a one in its place, with the same weights."""
    start = layer.weight.detach()
    del layer.weight
    layer.__class__ = Normed
    layer.register_parameter("direction", nn.Parameter(start.clone()))
    layer.register_parameter("length", nn.Parameter(start.norm(dim=1, keepdim=True)))
