from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from zoo.adapters.base import DeepAdapter

if TYPE_CHECKING:
    from zoo.train import Batch


class Afn(DeepAdapter):
    """AFN: the norms of both domains' features grow, step by step: features of small norm transfer worst.

    The stepwise variant (SAFN): every norm is to be `delta` longer than it is. Source and target pass the network one
    after the other.

    Parameters
    ----------
    weight : float
        Multiple of the penalty; the paper's λ.
    delta : float
        The paper's Δr.

    Source: Xu et al. (2019), eq. 7.
    """

    cite = "xu2019larger"
    space = {"weight": ("log", 0.01, 1), "delta": ("log", 0.1, 10)}

    def __init__(self, weight: float = 0.05, delta: float = 1.0) -> None:
        self.weight, self.delta = weight, delta

    def omega(self, b: Batch) -> Tensor:
        return self.weight * (longer(b.zs.float(), self.delta) + longer(b.zt.float(), self.delta))


def longer(Z: Tensor, step: float) -> Tensor:
    """Mean squared distance of the norms from what they are plus `step`, the latter a constant."""
    norms = (Z.square().sum(1) + 1e-12).sqrt()
    return (norms - norms.detach() - step).square().mean()
