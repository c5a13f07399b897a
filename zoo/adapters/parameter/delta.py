from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from zoo.adapters.base import Tuning

if TYPE_CHECKING:
    from zoo.nets import Net
    from zoo.task import Task

UNITS = 16  # at a time


class Delta(Tuning):
    """DELTA: fine-tuning that keeps the features what they were on the samples, the useful ones above all.

    A feature is worth the loss that the source model gains without it, on the labelled target samples (softmax over
    features). The features are f1's outputs; the paper weighs the maps of several layers.

    Parameters
    ----------
    alpha : float
        Multiple of the weighted squared distance of features.
    rate : float
        Learning rate, as a multiple of the suite's.

    Source: Li et al. (2019), eq. 4 to 6.
    """

    cite = "li2019delta"
    space = {"alpha": ("log", 1e-3, 10), "rate": ("log", 0.01, 1)}

    def __init__(self, alpha: float = 0.1, rate: float = 0.3) -> None:
        self.alpha, self.rate = alpha, rate

    def setup(self, net: Net, task: Task) -> None:
        z = net.embed(task.Xl)
        with torch.no_grad():
            self.worth_ = worth(net.head, z, task.yl)

    def groups(self, net: Net) -> list[dict[str, Any]]:
        return [{"params": list(net.parameters()), "rate": self.rate}]

    def omega_batch(self, b: Any, source: Net) -> Tensor:
        with torch.no_grad():
            z0 = source.features(b.xl)
        return self.alpha * (self.worth_ * len(self.worth_) * (b.zl - z0).square()).sum(1).mean()


def worth(head: torch.nn.Module, Z: Tensor, y: Tensor) -> Tensor:
    """Softmax over features [d] of the loss gained without each, from features Z [n, d] and labels [n]."""
    d = Z.shape[1]
    gains = []
    for units in torch.arange(d, device=Z.device).split(UNITS):
        kept = torch.ones(len(units), d, device=Z.device, dtype=Z.dtype).scatter_(1, units[:, None], 0.0)
        logits = head((Z[None] * kept[:, None]).flatten(0, 1))
        loss = cross_entropy(logits, y.repeat(len(units)), reduction="none")
        gains.append(loss.view(len(units), -1).mean(1))
    return torch.cat(gains).softmax(0)  # the loss with all of them is the same constant for each
