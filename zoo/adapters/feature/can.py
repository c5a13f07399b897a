from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn.functional import normalize, one_hot

from zoo.adapters.base import DeepAdapter
from zoo.ops.mmd import multi_gaussian
from zoo.ops.precision import in_float32

if TYPE_CHECKING:
    from zoo.nets import Net
    from zoo.task import Task
    from zoo.train import Batch

ITERATIONS = 10  # of spherical k-means


class Can(DeepAdapter):
    """CAN: the penalty is the MMD of the same class across domains less that of different classes.

    The target's classes are estimated every 100 steps by spherical k-means of its features, from the source's class
    centres. Batches are drawn as for every other method, not class by class as in the paper; classes that a batch does
    not hold in both domains are left out. Source and target pass the network one after the other.

    Parameters
    ----------
    weight : float
        Multiple of the penalty; the paper's β.

    Source: Kang et al. (2019), eq. 3 to 6.
    """

    refresh_every = 100
    cite = "kang2019contrastive"
    space = {"weight": ("log", 0.05, 5)}

    def __init__(self, weight: float = 0.3) -> None:
        self.weight = weight

    def refresh(self, net: Net, task: Task) -> None:
        zs, zt = (normalize(net.embed(X).float(), dim=1) for X in (task.Xs, task.Xt))
        self.n_classes_ = task.n_classes
        self.labels_ = spherical_kmeans(zt, normalize(one_hot(task.ys, task.n_classes).to(zs.dtype).T @ zs, dim=1))

    def omega(self, b: Batch) -> Tensor:
        K = multi_gaussian(torch.cat([b.zs, b.zt]))
        labels = b.ys, self.labels_[b.idt]
        return self.weight * contrast(K, *(one_hot(y, self.n_classes_).to(K.dtype) for y in labels))


def spherical_kmeans(Z: Tensor, centres: Tensor) -> Tensor:
    """Labels [n] of unit rows Z, from unit centres [C, d]; a centre that loses all its samples stays."""
    for _ in range(ITERATIONS):
        members = one_hot((Z @ centres.T).argmax(1), len(centres)).to(Z.dtype)
        some = (members.sum(0) > 0).to(Z.dtype)[:, None]
        centres = some * normalize(members.T @ Z, dim=1) + (1 - some) * centres
    return (Z @ centres.T).argmax(1)


@in_float32
def contrast(K: Tensor, Ys: Tensor, Yt: Tensor) -> Tensor:
    """Mean discrepancy of equal classes less that of different ones, over classes that are in both domains.

    Parameters
    ----------
    K : Tensor [n + m, n + m], kernel values; Ys [n, C], Yt [m, C] : one-hot labels
    """
    n = len(Ys)
    both = ((Ys.sum(0) > 0) & (Yt.sum(0) > 0)).to(K.dtype)
    Ms, Mt = ((Y / Y.sum(0).clamp_min(1)).T for Y in (Ys, Yt))
    within_s, within_t = (Ms @ K[:n, :n] * Ms).sum(1), (Mt @ K[n:, n:] * Mt).sum(1)
    D = within_s[:, None] + within_t - 2 * Ms @ K[:n, n:] @ Mt.T
    pairs = both[:, None] * both
    same, other = (D.diagonal() * both).sum(), (D * pairs).sum() - (D.diagonal() * both).sum()
    count = both.sum()
    return same / count.clamp_min(1) - other / (count * (count - 1)).clamp_min(1)
