from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from zoo.adapters.base import DeepAdapter

if TYPE_CHECKING:
    from zoo.train import Batch


class Bnm(DeepAdapter):
    """BNM: the target's matrix of class scores is to have a large nuclear norm: certain, and of many classes.

    It reads the target's scores alone. Source and target pass the network one after the other.

    Parameters
    ----------
    weight : float
        Multiple of the penalty, minus the mean singular value. That is the authors' code; their eq. 10 divides the sum
        by the batch, which with fewer classes than samples is less.

    Source: Cui et al. (2020), eq. 10, and their code.
    """

    title = "BNM"
    cite = "cui2020towards"
    space = {"weight": ("log", 0.1, 10)}

    def __init__(self, weight: float = 1.0) -> None:
        self.weight = weight

    def omega(self, b: Batch) -> Tensor:
        p = b.lt.float().softmax(1)
        return -self.weight * torch.linalg.svdvals(p).mean()
