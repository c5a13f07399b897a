from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from zoo.adapters._reweighed import Reweighed
from zoo.ops.adversary import beside, domain_accuracy, domain_loss
from zoo.ops.reversal import reverse, warm_up

if TYPE_CHECKING:
    from zoo.nets import Net
    from zoo.task import Task
    from zoo.train import Batch

DEVIATIONS = (0.01, 0.01, 0.3)  # of the discriminator's initial weights, layer by layer


class Pada(Reweighed):
    """PADA: DANN in which source classes that the network sees little of in the target count little (partial).

    The weight of a class is its mean score over the target, all 1 until it is measured for the first time. It is that
    of the class's samples in the source's classification loss, whose weights have mean 1 in a batch, and, divided by
    the batch's largest, in the discriminator's loss, where target samples have weight 1. Source and target pass the
    network together.

    Parameters
    ----------
    weight : float
        Strength of the reversed gradient at the end of its warm-up.
    updates : int
        How often a run measures the weights: in the authors' code every 500 of the 10,000 steps of the warm-up.
    hidden : int
        Width of the discriminator's layers; 0: the literature's beside the suite's network. Two layers start as in the
        authors' code: weights of deviation .01, .01 and .3, biases of 0.

    Source: Cao et al. (2018), section 3.2, and their code in PyTorch.
    """

    forward = "joint"
    label_sets = {"closed", "partial"}
    title = "PADA"
    cite = "cao2018partial"
    space = {"weight": ("log", 0.1, 10), "updates": ("log", 5, 50)}

    def __init__(self, weight: float = 1.0, updates: int = 20, hidden: int = 0) -> None:
        self.weight, self.updates, self.hidden = weight, updates, hidden

    def setup(self, net: Net, task: Task) -> nn.Module:
        self.begin(task, task.n_classes)
        self.discriminator_ = beside(net, net.width, self.hidden)
        layers = [m for m in self.discriminator_ if isinstance(m, nn.Linear)]
        for layer, deviation in zip(layers, DEVIATIONS, strict=False) if len(layers) == len(DEVIATIONS) else ():
            nn.init.normal_(layer.weight, std=deviation)
            nn.init.zeros_(layer.bias)
        return self.discriminator_

    def omega(self, b: Batch) -> Tensor:
        n, w = len(b.zs), self.weight_of(b)
        logits = self.discriminator_(reverse(torch.cat([b.zs, b.zt]), self.weight * warm_up(b.progress)))
        if b.watched:
            b.terms["domain_accuracy"] = domain_accuracy(logits.detach(), n)
        w = w / w.max().clamp_min(torch.finfo(w.dtype).tiny)
        return domain_loss(logits, n, torch.cat([w, w.new_ones(len(b.zt))]))
