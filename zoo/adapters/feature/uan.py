from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from zoo.adapters.feature._doubting import Doubting
from zoo.ops.adversary import beside, domain_accuracy, domain_losses
from zoo.ops.doubt import entropy
from zoo.ops.reversal import reverse, warm_up
from zoo.ops.weights import of_mean_1

if TYPE_CHECKING:
    from zoo.nets import Net
    from zoo.task import Task
    from zoo.train import Batch

COOLED = 10.0  # what the source's logits are divided by before their entropy is taken, as in the authors' code


class Uan(Doubting):
    """UAN: DANN of those samples that seem to be of shared classes; unknown is what is like neither source nor a class.

    For any label sets. A second discriminator, which the features do not deceive, says how much a sample d is like the
    source's, and the entropy H of its scores, as a share of the largest, how little like any class. Source samples
    weigh by H - d (logits over 10), target samples by d - H, scaled to between 0 and a mean of 1; a target sample with
    d - H below `least` is unknown. Source batches hold as many samples of each class; in the authors' code on average.
    The warm-up is over the run's progress, theirs for Office-31 over its first quarter; the bottleneck is the suite's,
    theirs a linear layer. Source and target pass the network one after the other.

    Parameters
    ----------
    weight : float
        Strength of the reversed gradient at the end of its warm-up.
    least : float
        What d - H is of a known sample at least; the paper's w0.
    hidden : int
        Width of the discriminators' layers; 0: the literature's beside the suite's network. They start as PyTorch draws
        them, as in the authors' code.
    twice : bool
        Whether the source's classification loss takes the softmax of the class scores once more, as the authors' code
        does; the paper's is of the scores themselves.

    Source: You et al. (2019), section 3, and their code.
    """

    label_sets = {"closed", "partial", "open", "universal"}
    balanced = True
    title = "UAN"
    cite = "you2019universal"
    space = {"weight": ("log", 0.1, 10), "least": ("linear", -0.9, 0.5)}

    def __init__(self, weight: float = 1.0, least: float = -0.5, hidden: int = 0, twice: bool = True) -> None:
        self.weight, self.least, self.hidden, self.twice = weight, least, hidden, twice

    def setup(self, net: Net, task: Task) -> nn.Module:
        both = nn.ModuleList(beside(net, net.width, self.hidden) for _ in range(2))
        for layer in both.modules():
            if isinstance(layer, nn.Linear):
                layer.reset_parameters()
        self.discriminator_, self.apart_ = both
        return both

    def omega(self, b: Batch) -> Tensor:
        n = len(b.zs)
        z = torch.cat([b.zs, b.zt])
        told = self.apart_(z.detach()).float()
        logits = self.discriminator_(reverse(z, self.weight * warm_up(b.progress)))
        if b.watched:
            b.terms["domain_accuracy"] = domain_accuracy(logits.detach(), n)
        with torch.no_grad():
            d = told.sigmoid()
            ws = weights(entropy((b.ls.float() / COOLED).softmax(1)) - d[:n])
            wt = weights(d[n:] - entropy(b.lt.float().softmax(1)))
        loss = domain_losses(logits, n, ws, wt) + domain_losses(told, n)
        if self.twice:  # in the place of the source's loss, which the loop adds
            loss = loss + cross_entropy(b.ls.float().softmax(1), b.ys) - cross_entropy(b.ls.float(), b.ys)
        return loss

    def doubt(self, z: Tensor, p: Tensor) -> Tensor:
        return entropy(p) - self.apart_(z).float().sigmoid()

    def range(self) -> tuple[float, float, float]:
        return -self.least, -1.0, 1.0


def weights(w: Tensor) -> Tensor:
    """From 0, which the least has, to a mean of 1; where all are equal, 1.

    >>> weights(torch.tensor([1.0, 2.0, 3.0])).tolist(), weights(torch.ones(2)).tolist()
    ([0.0, 1.0, 2.0], [1.0, 1.0])
    """
    w = w - w.min()
    return torch.where(w.max() > 0, of_mean_1(w), torch.ones_like(w))
