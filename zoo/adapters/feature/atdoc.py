from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize

from zoo.adapters.base import DeepAdapter
from zoo.ops.precision import in_float32
from zoo.train import descend

if TYPE_CHECKING:
    from zoo.nets import Net
    from zoo.task import Task
    from zoo.train import Batch


class Atdoc(DeepAdapter):
    """ATDOC: a target sample's label is what its nearest neighbours in a memory of all target samples say.

    The variant of neighbourhood aggregation. The memory keeps every sample's last features and sharpened scores, those
    divided by the sums of their classes so that no class takes all; it is written after each step, by the network in
    evaluation mode. Samples weigh by how sure their neighbours are, the weights summing to 1. The source's labels are
    smoothed. Source and target pass the network one after the other.

    Parameters
    ----------
    weight : float
        Multiple of the penalty at the end of its linear warm-up; the paper's λ, its code's `tar_par`.
    k : int
        Neighbours of a sample.

    Source: Liang et al. (2021), eq. 4 to 6, and their code.
    """

    label_smoothing = 0.1
    title = "ATDOC"
    cite = "liang2021domain"
    space = {"weight": ("log", 0.05, 2), "k": ("int", 1, 20)}

    def __init__(self, weight: float = 0.2, k: int = 5) -> None:
        self.weight, self.k = weight, k

    def setup(self, net: Net, task: Task) -> nn.Module:
        n = len(task.Xt)
        self.memory_ = nn.Module()
        self.memory_.register_buffer("features", normalize(torch.rand(n, net.width), dim=1))
        self.memory_.register_buffer("scores", torch.full((n, task.n_classes), 1 / task.n_classes))
        return self.memory_

    def omega(self, b: Batch) -> Tensor:
        F: Tensor = self.memory_.features  # type: ignore[assignment]
        S: Tensor = self.memory_.scores  # type: ignore[assignment]
        near = neighbours(normalize(b.zt.detach().float(), dim=1), F, b.idt, self.k)
        sure, label = S[near].mean(1).max(1) if near.shape[1] else b.lt.detach().float().softmax(1).max(1)
        losses = cross_entropy(b.lt.float(), label, reduction="none")
        return self.weight * b.progress * (sure * losses).sum() / sure.sum().clamp_min(torch.finfo(sure.dtype).tiny)

    def step(self, net: Net, opt: torch.optim.Optimizer, b: Batch) -> Tensor:
        loss = descend(net, opt, b)
        training = [m for m in net.modules() if m.training]
        net.eval()
        with b.amp(), torch.no_grad():
            z = net.features(b.xt)
            p = net.head(z).float().softmax(1)
        for module in training:  # what a suite froze stays in evaluation mode
            module.training = True
        self.memory_.features[b.idt] = normalize(z.float(), dim=1)  # type: ignore[operator, index]
        self.memory_.scores[b.idt] = sharpened(p)  # type: ignore[operator, index]
        return loss


def sharpened(p: Tensor) -> Tensor:
    """Squared scores over their sums in each class.

    >>> sharpened(torch.tensor([[0.5, 0.5], [1.0, 0.0]])).tolist()
    [[0.20000000298023224, 1.0], [0.800000011920929, 0.0]]
    """
    return p.square() / p.square().sum(0).clamp_min(torch.finfo(p.dtype).tiny)


@in_float32
def neighbours(z: Tensor, F: Tensor, own: Tensor, k: int) -> Tensor:
    """Rows [b, k] of F nearest to each z by cosine, its `own` row left out; fewer where F has no more."""
    cosines = z @ F.T
    cosines.scatter_(1, own[:, None], -2.0)
    return cosines.topk(min(k, len(F) - 1), 1).indices
