from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from zoo.adapters.base import DeepAdapter
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
        Strength of the reversed gradient at the end of its warm-up; the discriminator itself learns at full rate. The
        default is the paper's. (0.3 scores higher on ``quickstart``; but only the target's labels say so.)
    hidden : int
        Width of the discriminator's hidden layer; the default is that of the paper's smallest network (its Figure 4a).
    """

    cite = "ganin2016domain"
    space = {"weight": ("log", 0.1, 10)}

    def __init__(self, weight: float = 1.0, hidden: int = 100) -> None:
        self.weight, self.hidden = weight, hidden

    def setup(self, net: Net, task: Task) -> nn.Module:
        self.discriminator_ = nn.Sequential(
            nn.Linear(net.width, self.hidden),
            nn.ReLU(),
            nn.Linear(self.hidden, 1),
            nn.Flatten(0),
        )
        return self.discriminator_

    def omega(self, b: Batch) -> Tensor:
        z = torch.cat([b.zs, b.zt])
        logits = self.discriminator_(reverse(z, self.weight * warm_up(b.progress)))
        is_source = torch.cat([logits.new_ones(len(b.zs)), logits.new_zeros(len(b.zt))])
        return binary_cross_entropy_with_logits(logits, is_source)
