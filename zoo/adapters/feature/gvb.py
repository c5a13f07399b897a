from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from zoo.adapters.base import DeepAdapter
from zoo.ops.adversary import beside, domain_accuracy, domain_loss
from zoo.ops.multilinear import certainty
from zoo.ops.reversal import reverse, warm_up

if TYPE_CHECKING:
    from zoo.nets import Net
    from zoo.task import Task
    from zoo.train import Batch


class Gvb(DeepAdapter):
    """GVB: bridges take what is a domain's own out of the class scores and the discriminator, and are to vanish.

    A discriminator reads the class scores; its logit is less what its own bridge says, which reads its hidden features,
    and the classifier's logits are less theirs, which reads the network's. Samples weigh by ``exp(-H)`` of their
    scores, and through the weights too the gradient is reversed. Source and target pass the network one after the
    other.

    Parameters
    ----------
    weight : float
        Strength of the reversed gradient at the end of its warm-up.
    vanish : float
        Multiple of the bridges' mean absolute values; the paper's μ.
    hidden : int
        Width of the discriminator's layers; 0: the literature's beside the suite's network.

    Source: Cui et al. (2020), eq. 4 to 11, and their code, GVB-GD.
    """

    title = "GVB"
    cite = "cui2020gradually"
    space = {"weight": ("log", 0.1, 10), "vanish": ("log", 0.1, 10)}

    def __init__(self, weight: float = 1.0, vanish: float = 1.0, hidden: int = 0) -> None:
        self.weight, self.vanish, self.hidden = weight, vanish, hidden

    def setup(self, net: Net, task: Task) -> nn.Module:
        net.head = Bridged(net.head, nn.Linear(net.width, task.n_classes))
        hidden = beside(net, task.n_classes, self.hidden)[:-2]
        width = [m for m in hidden if isinstance(m, nn.Linear)][-1].out_features
        ends = [nn.Sequential(nn.Linear(width, 1), nn.Flatten(0)) for _ in range(2)]
        self.discriminator_ = nn.Sequential(hidden, Bridged(*ends))
        for module in (*net.head.modules(), *self.discriminator_.modules()):
            if isinstance(module, nn.Linear):
                nn.init.kaiming_normal_(module.weight)
                nn.init.zeros_(module.bias)
        return self.discriminator_

    def omega(self, b: Batch) -> Tensor:
        n = len(b.zs)
        p = torch.cat([b.ls, b.lt]).float().softmax(1)
        told = reverse(p, self.weight * warm_up(b.progress))
        h = self.discriminator_[0](told)
        ends: Bridged = self.discriminator_[1]  # type: ignore[assignment]
        logits = ends(h)
        if b.watched:
            b.terms["domain_accuracy"] = domain_accuracy(logits.detach(), n)
        bridges = b.net.head.bridge(torch.cat([b.zs, b.zt])).abs().mean() + ends.bridge(h).abs().mean()
        return domain_loss(logits, n, certainty(told, n, plus=0)) + self.vanish * bridges


class Bridged(nn.Module):
    """A module less its bridge."""

    def __init__(self, module: nn.Module, bridge: nn.Module) -> None:
        super().__init__()
        self.module, self.bridge = module, bridge

    def forward(self, x: Tensor) -> Tensor:
        return self.module(x) - self.bridge(x)
