from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from zoo.adapters.base import DeepAdapter
from zoo.ops.adversary import beside, domain_accuracy, domain_loss
from zoo.ops.reversal import reverse, warm_up

if TYPE_CHECKING:
    from zoo.nets import Net
    from zoo.task import Task
    from zoo.train import Batch


class Dann(DeepAdapter):
    """DANN: a discriminator learns to tell source from target, the features, by reversed gradients, to deceive it.

    Source and target pass the network one after the other, so that batch norm sees each domain's own statistics.

    Parameters
    ----------
    weight : float
        Strength of the reversed gradient at the end of its warm-up; the discriminator itself learns at full rate.
    hidden : int
        Width of the discriminator's layers; 0: the literature's beside the suite's network (`zoo.ops.adversary.beside`:
        two layers of 1,024 with dropout, or one of 100 beside networks for small images).

    Source: Ganin et al. (2016), eq. 9 to 18; the discriminator of large networks is that of Long et al. (2018), code.
    """

    title = "DANN"
    cite = "ganin2016domain"
    tasks = {"classification", "regression"}
    space = {"weight": ("log", 0.1, 10)}

    def __init__(self, weight: float = 1.0, hidden: int = 0) -> None:
        self.weight, self.hidden = weight, hidden

    def setup(self, net: Net, task: Task) -> nn.Module:
        self.discriminator_ = beside(net, net.width, self.hidden)
        return self.discriminator_

    def omega(self, b: Batch) -> Tensor:
        z = torch.cat([b.zs, b.zt])
        logits = self.discriminator_(reverse(z, self.weight * warm_up(b.progress)))
        if b.watched:
            b.terms["domain_accuracy"] = domain_accuracy(logits.detach(), len(b.zs))
        return domain_loss(logits, len(b.zs))
