from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from zoo.adapters.base import DeepAdapter
from zoo.ops.adversary import beside, domain_accuracy, domain_losses
from zoo.ops.doubt import nats
from zoo.ops.reversal import reverse, warm_up
from zoo.ops.weights import of_mean_1

if TYPE_CHECKING:
    from zoo.nets import Net
    from zoo.task import Task
    from zoo.train import Batch

FIRST = 1.5  # multiple of the first discriminator's loss, beside the second's


class Iwan(DeepAdapter):
    """IWAN: DANN in which source samples that a second discriminator finds unlike the target count little (partial).

    The first discriminator learns the domains and moves no features; what it holds a source sample to be of the target
    is that sample's weight in the loss of the other, against which the features learn, as in DANN. Weights have mean 1
    in a batch. The target's scores are to be certain. Source and target pass the network together.

    Parameters
    ----------
    weight : float
        Multiple of the discriminators' losses (the first's has 1.5 times that), and so of the reversed gradient.
    entropy : float
        Multiple of the entropy of the target's scores; the paper's γ.
    hidden : int
        Width of the discriminators' layers; 0: the literature's beside the suite's network.

    The configuration is the Transfer-Learning-Library's (``partial_domain_adaptation/iwan.py``), where both domains
    share an encoder that learns the source's classes along. In the authors' Caffe example for Office-31 the source
    model's encoder and classifier stay fixed beside a target encoder, and the reversal ends at .046.

    Source: Zhang et al. (2018), section 3, and the library's code.
    """

    forward = "joint"
    label_sets = {"closed", "partial"}
    title = "IWAN"
    cite = "zhang2018importance"
    space = {"weight": ("log", 0.1, 10), "entropy": ("log", 0.01, 1)}

    def __init__(self, weight: float = 3.0, entropy: float = 0.1, hidden: int = 0) -> None:
        self.weight, self.entropy, self.hidden = weight, entropy, hidden

    def setup(self, net: Net, task: Task) -> nn.Module:
        self.discriminators_ = nn.ModuleList(beside(net, net.width, self.hidden) for _ in range(2))
        return self.discriminators_

    def omega(self, b: Batch) -> Tensor:
        n, z = len(b.zs), torch.cat([b.zs, b.zt])
        first, second = self.discriminators_
        told, logits = first(z.detach()), second(reverse(z, warm_up(b.progress)))
        if b.watched:
            b.terms["domain_accuracy"] = domain_accuracy(logits.detach(), n)
        both = FIRST * domain_losses(told, n) + domain_losses(logits, n, importance(told, n))
        return self.weight * both / 2 + self.entropy * nats(b.lt.float().log_softmax(1)).mean()


def importance(told: Tensor, n: int) -> Tensor:
    """How much the first `n` rows, the source's, are of the target for a discriminator's logits; constants of mean 1.

    >>> importance(torch.tensor([0.0, 100.0, 3.0]), 2).tolist()
    [2.0, 0.0]
    """
    return of_mean_1((-told[:n].detach().float()).sigmoid())
