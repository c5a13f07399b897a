from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from zoo.adapters.base import DeepAdapter

if TYPE_CHECKING:
    from zoo.train import Batch


class Ddc(DeepAdapter):
    """DDC: the penalty is the squared distance of the domains' mean features, the MMD of a linear kernel.

    Source and target pass the network one after the other: the paper's has no batch norm, so that there a pass of both
    together is the same.

    Parameters
    ----------
    weight : float
        Multiple of the penalty; the paper's λ.

    Source: Tzeng et al. (2014), eq. 1 and 2.
    """

    title = "DDC"
    cite = "tzeng2014deep"
    tasks = {"classification", "regression"}
    space = {"weight": ("log", 0.025, 2.5)}

    def __init__(self, weight: float = 0.25) -> None:
        self.weight = weight

    def omega(self, b: Batch) -> Tensor:
        return self.weight * (b.zs.float().mean(0) - b.zt.float().mean(0)).square().sum()
