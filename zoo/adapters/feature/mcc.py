from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from zoo.adapters.base import DeepAdapter
from zoo.ops.precision import in_float32

if TYPE_CHECKING:
    from zoo.train import Batch


class Mcc(DeepAdapter):
    """MCC: the penalty is how often the target's class scores hesitate between two classes.

    It reads the target's scores alone. Source and target pass the network one after the other.

    Parameters
    ----------
    weight : float
        Multiple of the penalty.
    temperature : float
        Divides the target's logits; the paper's T.

    Source: Jin et al. (2020), eq. 3 to 8.
    """

    title = "MCC"
    cite = "jin2020minimum"
    space = {"weight": ("log", 0.1, 10), "temperature": ("log", 1, 5)}

    def __init__(self, weight: float = 1.0, temperature: float = 2.5) -> None:
        self.weight, self.temperature = weight, temperature

    def omega(self, b: Batch) -> Tensor:
        return self.weight * confusion(b.lt, self.temperature)


@in_float32
def confusion(logits: Tensor, temperature: float) -> Tensor:
    """Mean off-diagonal share of the class correlations of a batch, certain samples weighing more."""
    p = torch.softmax(logits / temperature, 1)
    certain = 1 + torch.exp(torch.special.xlogy(p, p).sum(1)).detach()
    certain = len(p) * certain / certain.sum()
    C = (p * certain[:, None]).T @ p
    C = C / C.sum(1, keepdim=True)
    return (C.sum() - C.trace()) / p.shape[1]
