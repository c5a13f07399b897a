from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from zoo.adapters.base import Tuning
from zoo.errors import BadInput

if TYPE_CHECKING:
    from zoo.nets import Net
    from zoo.task import Task


class Lora(Tuning):
    """LoRA: the source's weights stay; to each a product of two thin matrices is added, and they are trained.

    Linear and convolutional layers of f1 get one (of a convolution as a matrix of its outputs by the rest); biases and
    norms stay as they are, statistics included, and the classifier is trained whole. In the end the products are added
    to the weights, so that the model costs no more than the source's.

    Parameters
    ----------
    rank : int
        Inner width of the products, where the weight itself has no lower rank.
    alpha : float
        The products count ``alpha / rank``.
    rate : float
        Learning rate, as a multiple of the suite's.

    Source: Hu et al. (2022), eq. 3.
    """

    title = "LoRA"
    cite = "hu2022lora"
    space = {"rank": ("log", 1, 64), "rate": ("log", 0.1, 10)}

    def __init__(self, rank: int = 8, alpha: float = 8.0, rate: float = 1.0) -> None:
        self.rank, self.alpha, self.rate = rank, alpha, rate

    def setup(self, net: Net, task: Task) -> None:
        if self.rank < 1:
            raise BadInput(f"lora: rank is at least 1, got {self.rank}")
        head = set(map(id, net.head.modules()))
        for layer in list(net.modules()):
            if isinstance(layer, nn.Linear | nn.Conv1d | nn.Conv2d) and id(layer) not in head:
                low = LowRank(layer.weight, self.rank, self.alpha)
                parametrize.register_parametrization(layer, "weight", low)

    def groups(self, net: Net) -> list[dict[str, Any]]:
        low = [p for m in net.modules() if isinstance(m, LowRank) for p in m.parameters()]
        return [{"params": [*low, *net.head.parameters()], "rate": self.rate}]

    def fit(self, task: Task) -> Lora:
        super().fit(task)
        for layer in list(self.model_.modules()):
            if parametrize.is_parametrized(layer, "weight"):
                parametrize.remove_parametrizations(layer, "weight", leave_parametrized=True)
        return self


class LowRank(nn.Module):
    """A weight plus a product that starts at zero."""

    def __init__(self, weight: Tensor, rank: int, alpha: float) -> None:
        super().__init__()
        rows, columns = len(weight), weight[0].numel()
        rank = min(rank, rows, columns)
        like: dict[str, Any] = {"device": weight.device, "dtype": weight.dtype}
        self.A, self.B = nn.Parameter(torch.empty(rank, columns, **like)), nn.Parameter(torch.zeros(rows, rank, **like))
        nn.init.kaiming_uniform_(self.A, a=math.sqrt(5))
        self.scale = alpha / rank

    def forward(self, weight: Tensor) -> Tensor:
        return weight + self.scale * (self.B @ self.A).view_as(weight)
