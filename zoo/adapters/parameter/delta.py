from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from zoo.adapters.base import Tuning

if TYPE_CHECKING:
    from zoo.nets import Net
    from zoo.task import Task

UNITS, SOFTNESS = 16, 5  # features at a time; what standardised gains are divided by


class Delta(Tuning):
    """DELTA: fine-tuning that keeps the features what they were on the samples, the useful ones above all.

    A feature is worth the loss that the source model gains without it, on the labelled target samples: gains are
    standardised, divided by 5 and pass a softmax over the features. The features are f1's outputs; the authors weigh
    the maps of four layers. Sums are over the batch, as in their code, where it has 64 samples.

    Parameters
    ----------
    alpha : float
        Multiple of half the weighted squared distance of features.
    beta : float
        Multiple of half the classifier's squared parameters.
    rate : float
        Learning rate, as a multiple of the suite's.

    Source: Li et al. (2019), eq. 4 to 6, and their code.
    """

    title = "DELTA"
    cite = "li2019delta"
    space = {"alpha": ("log", 1e-4, 1), "beta": ("log", 1e-4, 1), "rate": ("log", 0.01, 1)}

    def __init__(self, alpha: float = 0.01, beta: float = 0.01, rate: float = 0.3) -> None:
        self.alpha, self.beta, self.rate = alpha, beta, rate

    def setup(self, net: Net, task: Task) -> None:
        z = net.embed(task.Xl)
        with torch.no_grad():
            self.worth_ = worth(net.head, z, task.yl)

    def groups(self, net: Net) -> list[dict[str, Any]]:
        return [{"params": list(net.parameters()), "rate": self.rate}]

    def omega(self, net: Net, source: Net) -> Tensor:
        return self.beta / 2 * torch.stack([p.square().sum() for p in net.head.parameters()]).sum()

    def omega_batch(self, b: Any, source: Net) -> Tensor:
        with torch.no_grad():
            z0 = source.features(b.xl)
        return self.alpha / 2 * (self.worth_ * len(self.worth_) * (b.zl - z0).square()).sum()


def worth(head: torch.nn.Module, Z: Tensor, y: Tensor) -> Tensor:
    """Attention to each feature [d], summing to 1, from features Z [n, d] and labels [n]."""
    d = Z.shape[1]
    gains = []
    for units in torch.arange(d, device=Z.device).split(UNITS):
        kept = torch.ones(len(units), d, device=Z.device, dtype=Z.dtype).scatter_(1, units[:, None], 0.0)
        logits = head((Z[None] * kept[:, None]).flatten(0, 1))
        loss = cross_entropy(logits, y.repeat(len(units)), reduction="none")
        gains.append(loss.view(len(units), -1).mean(1))
    gain = torch.cat(gains)  # the loss with all of them is the same constant for each
    spread = gain.std(correction=0).clamp_min(torch.finfo(gain.dtype).tiny)
    return ((gain - gain.mean()) / spread / SOFTNESS).softmax(0)
