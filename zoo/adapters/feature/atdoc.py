from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize

from zoo.adapters.base import DeepAdapter
from zoo.ops.precision import in_float32

if TYPE_CHECKING:
    from zoo.nets import Net
    from zoo.task import Task
    from zoo.train import Batch


class Atdoc(DeepAdapter):
    """ATDOC: a target sample's label is what its nearest neighbours in a memory of all target samples say.

    The variant of neighbourhood aggregation. The memory keeps every sample's last features and sharpened scores, those
    divided by their classes' sums so that no class takes all. Samples weigh by how sure their neighbours are. Source
    and target pass the network one after the other.

    Parameters
    ----------
    weight : float
        Multiple of the penalty at the end of its linear warm-up; the paper's λ.
    k : int
        Neighbours of a sample.

    Source: Liang et al. (2021), eq. 4 to 6.
    """

    cite = "liang2021domain"
    space = {"weight": ("log", 0.05, 2), "k": ("int", 1, 20)}

    def __init__(self, weight: float = 0.2, k: int = 5) -> None:
        self.weight, self.k = weight, k

    def setup(self, net: Net, task: Task) -> nn.Module:
        n = len(task.Xt)
        self.memory_ = nn.Module()
        self.memory_.register_buffer("features", normalize(torch.randn(n, net.width), dim=1))
        self.memory_.register_buffer("scores", torch.full((n, task.n_classes), 1 / task.n_classes))
        return self.memory_

    def omega(self, b: Batch) -> Tensor:
        F: Tensor = self.memory_.features  # type: ignore[assignment]
        S: Tensor = self.memory_.scores  # type: ignore[assignment]
        z, p = normalize(b.zt.detach().float(), dim=1), b.lt.detach().float().softmax(1)
        near = neighbours(z, F, b.idt, self.k)
        sure, label = S[near].mean(1).max(1) if near.shape[1] else p.max(1)
        loss = (sure * cross_entropy(b.lt.float(), label, reduction="none")).mean()
        sharp = p.square() / p.sum(0).clamp_min(torch.finfo(p.dtype).tiny)
        F[b.idt], S[b.idt] = z, sharp / sharp.sum(1, keepdim=True)
        return self.weight * b.progress * loss


@in_float32
def neighbours(z: Tensor, F: Tensor, own: Tensor, k: int) -> Tensor:
    """Rows [b, k] of F nearest to each z by cosine, its `own` row left out; fewer where F has no more."""
    cosines = z @ F.T
    cosines.scatter_(1, own[:, None], -2.0)
    return cosines.topk(min(k, len(F) - 1), 1).indices
