from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from zoo import nets
from zoo.adapters.base import DeepAdapter

if TYPE_CHECKING:
    from zoo.nets import Net
    from zoo.task import Task
    from zoo.train import Batch


WIDTH, DROPOUT = 1000, 0.5


class Afn(DeepAdapter):
    """AFN: the norms of both domains' features grow, step by step: features of small norm transfer worst.

    The stepwise variant (SAFN): every norm is to be `delta` longer than it is. As in the authors' code the features are
    a layer of 1,000 units with batch norm and a dropout of a half that keeps their length on average, here on top of
    the suite's own. Source and target pass the network one after the other.

    Parameters
    ----------
    weight : float
        Multiple of the penalty; the paper's λ.
    delta : float
        The paper's Δr.

    Source: Xu et al. (2019), eq. 7.
    """

    title = "AFN"
    cite = "xu2019larger"
    tasks = {"classification", "regression"}
    space = {"weight": ("log", 0.01, 1), "delta": ("log", 0.1, 10)}

    def __init__(self, weight: float = 0.05, delta: float = 1.0) -> None:
        self.weight, self.delta = weight, delta

    def setup(self, net: Net, task: Task) -> Any:
        layers = nn.Linear(net.width, WIDTH), nn.BatchNorm1d(WIDTH), nn.ReLU(), LengthKept(DROPOUT)
        nets.append(net, nn.Sequential(*layers), WIDTH)

    def omega(self, b: Batch) -> Tensor:
        return self.weight * (longer(b.zs.float(), self.delta) + longer(b.zt.float(), self.delta))


class LengthKept(nn.Dropout):
    """Dropout after which the squared length of a row is, on average, what it was."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * ((1 - self.p) ** 0.5 if self.training else 1.0)


def longer(Z: Tensor, step: float) -> Tensor:
    """Mean squared distance of the norms from what they are plus `step`, the latter a constant."""
    norms = (Z.square().sum(1) + 1e-12).sqrt()
    return (norms - norms.detach() - step).square().mean()
