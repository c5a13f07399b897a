from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from zoo.adapters.base import DeepAdapter
from zoo.errors import BadInput
from zoo.ops.adversary import discriminator, domain_accuracy, domain_losses
from zoo.ops.convolution import adjacency, ppmi
from zoo.ops.reversal import reverse
from zoo.seeds import derive

if TYPE_CHECKING:
    from zoo.nets import Net
    from zoo.task import Task
    from zoo.train import Batch

DROPOUT = 0.1  # of the discriminator: the authors'


class Udagcn(DeepAdapter):
    """UDAGCN: convolutions over neighbours and over random walks, mixed by attention, deceive a discriminator.

    The same weights convolve along the edges and along the positive pointwise mutual information (PPMI) of nodes that
    random walks visit together. The target's scores are made certain by their entropy, more and more.

    Parameters
    ----------
    weight : float
        Most of the reversed gradient, which grows as the share of the steps; the authors' is 0.05.
    entropy : float
        Multiple of the target's entropy at the end; the authors' is 0.01.
    length : int
        Longest walk; a walk's length is drawn from 1 to it.
    walks : int
        Walks from each node.
    hidden : int
        Width of the discriminator's hidden layer.

    Source: Wu et al. (2020), sections 4.1 to 4.4, and their code for both losses and the numbers. The PPMI is the
    paper's: that of their code, ``log(p(j|i) n / (Σ_i p(j|i) length))``, has no positive part, and takes roots of row
    sums that may be negative. Theirs also counts returns to the node where a walk began, and adds 0.003 times the mean
    of every weight matrix to the loss.
    """

    needs = {"Xs", "ys", "Xt", "As", "At"}
    title = "UDAGCN"
    cite = "wu2020unsupervised"
    space = {"weight": ("log", 0.01, 1), "entropy": ("log", 0.001, 1), "length": ("int", 2, 10)}

    def __init__(
        self, weight: float = 0.05, entropy: float = 0.01, length: int = 10, walks: int = 40, hidden: int = 40
    ) -> None:
        self.weight, self.entropy = weight, entropy
        self.length, self.walks, self.hidden = length, walks, hidden

    def setup(self, net: Net, task: Task) -> nn.Module:
        if self.length < 1 or self.walks < 1:
            raise BadInput(f"udagcn: length and walks are at least 1, got {self.length} and {self.walks}")
        gcn: Any = net
        seed = derive("walks", getattr(task, "seed", 0))
        gcn.matrices = (adjacency, partial(ppmi, length=self.length, walks=self.walks, seed=seed))
        gcn.mix = Attention(net.width)
        self.discriminator_ = discriminator(net.width, self.hidden, dropout=DROPOUT)
        return self.discriminator_

    def omega(self, b: Batch) -> Tensor:
        z = torch.cat([b.zs, b.zt])
        logits = self.discriminator_(reverse(z, min(b.progress, self.weight)))
        if b.watched:
            b.terms["domain_accuracy"] = domain_accuracy(logits.detach(), len(b.zs))
        log = b.lt.float().log_softmax(1)
        certain = -(log.exp() * log).sum(1).mean()
        return domain_losses(logits, len(b.zs)) + self.entropy * b.progress * certain


class Attention(nn.Module):
    """The mean of several features of a node [n, width], weighed by a softmax of one linear score of each."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.score = nn.Linear(width, 1)

    def forward(self, parts: list[Tensor]) -> Tensor:
        Z = torch.stack(parts, 1)
        return (Z * self.score(Z).softmax(1)).sum(1)
