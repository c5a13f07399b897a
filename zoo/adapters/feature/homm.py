from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from zoo import nets
from zoo.adapters.base import DeepAdapter
from zoo.ops.precision import in_float32

if TYPE_CHECKING:
    from zoo.nets import Net
    from zoo.task import Task
    from zoo.train import Batch

WIDTH, STD = 180, 0.01  # of the adapted layer: its units, and the deviation of its first weights
SURE, RATE, START = 0.75, 0.2, 0.1  # of the clustering: the score that counts, the centres' rate, its first step


class Homm(DeepAdapter):
    """HoMM: the penalty is the squared distance of the domains' high-order moment tensors, each about its own mean.

    The tensors of d^order entries are never made: their inner products are powers of the samples'. So the penalty is
    exact, where the authors' code samples 300,000 entries. As there, the features are a layer of 180 units with tanh,
    here on top of the suite's own. Besides, surely scored target samples are drawn to the running centre of their class
    (the paper's discriminative clustering), from a tenth of the steps on. Source and target pass the network one after
    the other.

    Parameters
    ----------
    weight : float
        Multiple of the penalty, a mean over the tensor's entries; 200 in the authors' code for Office-31.
    order : int
        Of the moments; 4 in that code. 2 compares covariances.
    clustering : float
        Multiple of the clustering: half the squared distances, over batch and classes. In the released script it is
        switched off; the comment beside it says 0.01.

    Source: Chen et al. (2020), eq. 5 to 12, and their code for Office-31.
    """

    title = "HoMM"
    cite = "chen2020homm"
    space = {"weight": ("log", 10, 10000), "order": ("int", 2, 5), "clustering": ("log", 1e-3, 1)}

    def __init__(self, weight: float = 200.0, order: int = 4, clustering: float = 0.01) -> None:
        self.weight, self.order, self.clustering = weight, order, clustering

    def setup(self, net: Net, task: Task) -> nn.Module:
        adapted = nn.Linear(net.width, WIDTH)
        nets.append(net, nn.Sequential(adapted, nn.Tanh()), WIDTH)
        for layer in (adapted, net.head):
            nn.init.trunc_normal_(layer.weight, std=STD, a=-2 * STD, b=2 * STD)  # type: ignore[arg-type]
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
        self.centres_ = nn.Module()
        self.centres_.register_buffer("of", torch.zeros(task.n_classes, WIDTH))
        return self.centres_

    def omega(self, b: Batch) -> Tensor:
        zs, zt = b.zs.float(), b.zt.float()
        loss = self.weight * moment_gap(zs - zs.mean(0), zt - zt.mean(0), self.order) / zs.shape[1] ** self.order
        centres: Tensor = self.centres_.of  # type: ignore[assignment]
        score, label = b.lt.detach().float().softmax(1).max(1)
        members = one_hot(label, len(centres)).to(zt.dtype) * (score > SURE).to(zt.dtype)[:, None]
        spread = (members.sum(1) * (zt - centres[label]).square().sum(1)).sum() / 2
        with torch.no_grad():
            count = members.sum(0)[:, None]
            centres -= RATE * (count * centres - members.T @ zt) / (1 + count)
        started = float(b.progress >= START)
        return loss + started * self.clustering * spread / (len(centres) * len(zt))


@in_float32
def moment_gap(X: Tensor, Y: Tensor, order: int) -> Tensor:
    """``|E x⊗…⊗x - E y⊗…⊗y|²`` of rows, with `order` factors."""
    return (X @ X.T).pow(order).mean() + (Y @ Y.T).pow(order).mean() - 2 * (X @ Y.T).pow(order).mean()
