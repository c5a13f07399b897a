from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from zoo.adapters.base import DeepAdapter
from zoo.adapters.feature.gvb import Bridged
from zoo.ops.adversary import beside, domain_accuracy, domain_loss
from zoo.ops.multilinear import certainty
from zoo.ops.reversal import reverse, warm_up

if TYPE_CHECKING:
    from zoo.nets import Net
    from zoo.task import Task
    from zoo.train import Batch


class Toalign(DeepAdapter):
    """ToAlign: aligns the target's class scores with those of the part of the source's features that its class needs.

    A source sample's features are multiplied by the gradient of its class's logit, rescaled to the norm they had; a
    discriminator reads the class scores of that part, and of the target's whole features. As in the authors' code it
    reads scores: features that were multiplied have signs that the target's, after a ReLU, never have, and a
    discriminator of them is right whatever the network does.

    Parameters
    ----------
    weight : float
        Strength of the reversed gradient at the end of its warm-up.
    entropy : bool
        Weigh samples by ``exp(-H)`` of their scores; through the weights too the gradient is reversed.
    vanish : float
        Multiple of the mean absolute value of what the classifier's logits are less by: the sum of three linear layers
        (heuristic domain adaptation, which the authors' code builds on).
    hidden : int
        Width of the discriminator's layers; 0: the literature's beside the suite's network.

    Source and target pass the network one after the other.

    Source: Wei et al. (2021), eq. 3 to 6, and their code for Office-Home.
    """

    title = "ToAlign"
    cite = "wei2021toalign"
    space = {"weight": ("log", 0.1, 10)}

    def __init__(self, weight: float = 1.0, entropy: bool = True, vanish: float = 1.0, hidden: int = 0) -> None:
        self.weight, self.entropy, self.vanish, self.hidden = weight, entropy, vanish, hidden

    def setup(self, net: Net, task: Task) -> nn.Module:
        net.head = Bridged(net.head, Sum([nn.Linear(net.width, task.n_classes) for _ in range(3)]))
        self.discriminator_ = beside(net, task.n_classes, self.hidden)
        return self.discriminator_

    def omega(self, b: Batch) -> Tensor:
        n = len(b.zs)
        p = torch.cat([b.net.head(decisive(b)), b.lt]).float().softmax(1)
        told = reverse(p, self.weight * warm_up(b.progress))
        logits = self.discriminator_(told)
        if b.watched:
            b.terms["domain_accuracy"] = domain_accuracy(logits.detach(), n)
        bridges = b.net.head.bridge(torch.cat([b.zs, b.zt])).abs().mean()
        weight = certainty(told, n, plus=0) if self.entropy else None
        return domain_loss(logits, n, weight) + self.vanish * bridges


class Sum(nn.ModuleList):
    """The sum of what modules say."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.stack([module(x) for module in self]).sum(0)


def decisive(b: Batch) -> Tensor:
    """Source features times the gradient of the true class's logit, at their old norm; that gradient is a constant."""
    z = b.zs.detach().requires_grad_()
    with torch.enable_grad():
        (w,) = torch.autograd.grad(b.net.head(z).gather(1, b.ys[:, None]).sum(), z)
    part = w * b.zs
    tiny = torch.finfo(part.dtype).eps
    norms = [(x.square().sum(1, keepdim=True) + tiny).sqrt() for x in (b.zs, part)]
    scale = norms[0] / norms[1]
    return scale * part
