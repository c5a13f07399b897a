from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from zoo.adapters.base import Tuning
from zoo.errors import BadInput, Unsupported

if TYPE_CHECKING:
    from zoo.nets import Net
    from zoo.task import Task


class StochNorm(Tuning):
    """StochNorm: fine-tuning whose batch norm takes, channel by channel at random, the moving statistics instead.

    So the few samples' statistics are not overfitted.

    Parameters
    ----------
    p : float
        Probability of the batch's statistics: 1 is batch norm, 0 the moving statistics alone.
    rate : float
        Learning rate, as a multiple of the suite's.

    Source: Kou et al. (2020), algorithm 1.
    """

    title = "StochNorm"
    cite = "kou2020stochastic"
    space = {"p": ("uniform", 0, 1), "rate": ("log", 0.01, 1)}

    def __init__(self, p: float = 0.5, rate: float = 0.3) -> None:
        self.p, self.rate = p, rate

    def setup(self, net: Net, task: Task) -> None:
        if not 0 <= self.p <= 1:
            raise BadInput(f"stoch_norm: p is a probability, got {self.p}")
        norms = [
            (parent, name, child)
            for parent in net.modules()
            for name, child in parent.named_children()
            if isinstance(child, _BatchNorm)
        ]
        if not norms:
            raise Unsupported("the network has no batch norm")
        for parent, name, child in norms:
            setattr(parent, name, Stochastic(child, self.p))

    def groups(self, net: Net) -> list[dict[str, Any]]:
        return [{"params": list(net.parameters()), "rate": self.rate}]


class Stochastic(nn.Module):
    """A batch norm that draws, for each channel, whose statistics it uses."""

    def __init__(self, norm: Any, p: float) -> None:
        super().__init__()
        self.norm, self.p = norm, p

    def forward(self, x: Tensor) -> Tensor:
        n = self.norm
        # Copies: the other branch moves the statistics in place before this one's gradient is taken.
        mean, var = n.running_mean.clone(), n.running_var.clone()
        moving = nn.functional.batch_norm(x, mean, var, n.weight, n.bias, False, 0.0, n.eps)
        if not self.training:
            return moving
        size = [1, -1, *[1] * (x.dim() - 2)]
        drawn = (torch.rand(x.shape[1], device=x.device) < self.p).to(x.dtype).view(size)
        return drawn * n(x) + (1 - drawn) * moving
