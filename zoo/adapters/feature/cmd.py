from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from zoo.adapters.base import DeepAdapter

if TYPE_CHECKING:
    from zoo.train import Batch


class Cmd(DeepAdapter):
    """CMD: the penalty is the difference of the domains' means and central moments, up to the fifth.

    Features pass a tanh first, so that they are bounded, as the discrepancy asks for; the interval's length counts as
    1. Source and target pass the network one after the other.

    Parameters
    ----------
    weight : float
        Multiple of the penalty.
    moments : int
        The highest moment; the paper's is 5.

    Source: Zellinger et al. (2017), eq. 8.
    """

    title = "CMD"
    cite = "zellinger2017central"
    tasks = {"classification", "regression"}
    space = {"weight": ("log", 0.1, 10), "moments": ("int", 2, 7)}

    def __init__(self, weight: float = 1.0, moments: int = 5) -> None:
        self.weight, self.moments = weight, moments

    def omega(self, b: Batch) -> Tensor:
        return self.weight * central_moments(b.zs.float().tanh(), b.zt.float().tanh(), self.moments)


def central_moments(X: Tensor, Y: Tensor, highest: int) -> Tensor:
    """Sum of the Euclidean distances of means and of coordinate-wise central moments of rows, 2 to `highest`."""
    x, y = X - X.mean(0), Y - Y.mean(0)
    gaps = [X.mean(0) - Y.mean(0), *(x.pow(k).mean(0) - y.pow(k).mean(0) for k in range(2, highest + 1))]
    return torch.stack([(g.square().sum() + 1e-12).sqrt() for g in gaps]).sum()  # a root has no gradient at 0
