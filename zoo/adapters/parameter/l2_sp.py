from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from zoo.adapters.base import Tuning

if TYPE_CHECKING:
    from zoo.nets import Net


class L2Sp(Tuning):
    """L2-SP: fine-tuning that is pulled back to the source's parameters, the starting point, instead of to zero.

    The paper pulls a new classifier to zero; here the classes are the source's, so that its classifier is a starting
    point as well.

    Parameters
    ----------
    alpha : float
        Multiple of half the squared distance from the source's parameters: 0 is fine-tuning, infinity the source model.
    rate : float
        Learning rate, as a multiple of the suite's.

    Source: Li et al. (2018), eq. 2.
    """

    title = "L2-SP"
    cite = "li2018explicit"
    space = {"alpha": ("log", 1e-3, 1), "rate": ("log", 0.01, 1)}

    def __init__(self, alpha: float = 0.01, rate: float = 0.3) -> None:
        self.alpha, self.rate = alpha, rate

    def groups(self, net: Net) -> list[dict[str, Any]]:
        return [{"params": list(net.parameters()), "rate": self.rate}]

    def omega(self, net: Net, source: Net) -> Tensor:
        pairs = zip(net.parameters(), source.parameters(), strict=True)
        return self.alpha / 2 * torch.stack([(p - p0).square().sum() for p, p0 in pairs]).sum()
