from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from zoo.adapters.base import DeepAdapter
from zoo.ops.adversary import discriminator, domain_accuracy, domain_loss
from zoo.ops.multilinear import certainty
from zoo.ops.reversal import reverse, warm_up

if TYPE_CHECKING:
    from zoo.nets import Net
    from zoo.task import Task
    from zoo.train import Batch


class Gvb(DeepAdapter):
    """GVB: bridges take what is a domain's own out of the class scores and the discriminator, and are to vanish.

    A discriminator reads the class scores, less what its own bridge says; the classifier's logits are less its bridge,
    too. Samples weigh by their certainty, as in CDAN+E. Source and target pass the network one after the other.

    Parameters
    ----------
    weight : float
        Strength of the reversed gradient at the end of its warm-up.
    vanish : float
        Multiple of the bridges' mean absolute values; the paper's μ.
    hidden : int
        Width of the discriminator's hidden layer.

    Source: Cui et al. (2020), eq. 4 to 11.
    """

    cite = "cui2020gradually"
    space = {"weight": ("log", 0.1, 10), "vanish": ("log", 0.1, 10)}

    def __init__(self, weight: float = 1.0, vanish: float = 1.0, hidden: int = 256) -> None:
        self.weight, self.vanish, self.hidden = weight, vanish, hidden

    def setup(self, net: Net, task: Task) -> nn.Module:
        net.head = Bridged(net.head, nn.Linear(net.width, task.n_classes))
        self.discriminator_ = Bridged(
            discriminator(task.n_classes, self.hidden), nn.Sequential(nn.Linear(task.n_classes, 1), nn.Flatten(0))
        )
        return self.discriminator_

    def omega(self, b: Batch) -> Tensor:
        n = len(b.zs)
        p = torch.cat([b.ls, b.lt]).float().softmax(1)
        told = reverse(p, self.weight * warm_up(b.progress))
        logits = self.discriminator_(told)
        if b.watched:
            b.terms["domain_accuracy"] = domain_accuracy(logits.detach(), n)
        bridges = (
            b.net.head.bridge(torch.cat([b.zs, b.zt])).abs().mean() + self.discriminator_.bridge(told).abs().mean()
        )
        return domain_loss(logits, n, certainty(p.detach(), n)) + self.vanish * bridges


class Bridged(nn.Module):
    """A module less its bridge."""

    def __init__(self, module: nn.Module, bridge: nn.Module) -> None:
        super().__init__()
        self.module, self.bridge = module, bridge

    def forward(self, x: Tensor) -> Tensor:
        return self.module(x) - self.bridge(x)
