from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from zoo.adapters.base import DeepAdapter
from zoo.ops.adversary import domain_accuracy, domain_loss
from zoo.ops.reversal import reverse, warm_up

if TYPE_CHECKING:
    from zoo.nets import Net
    from zoo.task import Task
    from zoo.train import Batch


class Grade(DeepAdapter):
    """GRADE: a discriminator sees every layer's node features and the scores, that is subtrees of every depth.

    A layer's feature of a node tells of the subtree of that depth around it, so that the discriminator's loss over all
    layers measures the graph subtree discrepancy; the network learns to raise it, by reversed gradients. The layers
    are computed in a pass of their own.

    Parameters
    ----------
    weight : float
        Multiple of the discriminator's loss; the authors' is 0.01.

    Source: Wu et al. (2023), section 4, and their code (GRADE-N, Jensen-Shannon).
    """

    needs = {"Xs", "ys", "Xt", "As", "At"}
    title = "GRADE"
    cite = "wu2023non"
    space = {"weight": ("log", 0.001, 1)}

    def __init__(self, weight: float = 0.01) -> None:
        self.weight = weight

    def setup(self, net: Net, task: Task) -> nn.Module:
        gcn: Any = net
        width = len(gcn.body) * net.width + task.n_classes
        self.discriminator_ = nn.Sequential(nn.Linear(width, 1), nn.Flatten(0))
        return self.discriminator_

    def omega(self, b: Batch) -> Tensor:
        layers = b.net.layers(torch.cat([b.xs, b.xt]))
        subtrees = torch.cat([*layers, b.net.head(layers[-1])], 1)
        logits = self.discriminator_(reverse(subtrees, warm_up(b.progress)))
        if b.watched:
            b.terms["domain_accuracy"] = domain_accuracy(logits.detach(), len(b.xs))
        return self.weight * domain_loss(logits, len(b.xs))
