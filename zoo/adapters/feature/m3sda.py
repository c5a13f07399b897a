from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from zoo.adapters.base import DeepAdapter
from zoo.errors import BadInput
from zoo.ops.sources import parts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from zoo.nets import Net
    from zoo.task import Task
    from zoo.train import Batch


class M3sda(DeepAdapter):
    """M3SDA: moments of all sources' and the target's features meet, and two classifiers agree on the target.

    Each step has three: features and both classifiers learn the sources and the moments (A); the classifiers alone
    learn the sources and to disagree on the target (B); the features alone learn agreement, `n` times (C). A batch
    holds an equal part of each source; every domain passes the network by itself, so that batch norm sees each one's
    statistics. Predictions are the first classifier's, as in the authors' code, which has one pair of linear
    classifiers for all sources.

    Parameters
    ----------
    weight : float
        Of the moments' distance, beside the sum of all sources' and both classifiers' losses.
    n : int
        Steps C for each A and B.
    order : int
        Moments that are matched.

    Differs from the code: every pair of domains counts once, in central moments (its fourth source counts twice in one
    pair, in none with the third, and is not centred); the first moment is that of the paper, the mean, where the code
    compares centred samples in the order of the batch; step B keeps all sources' losses (it drops some).

    Source: Peng et al. (2019), sections 4.1 and 4.2, and their code (``solver_MSDA.py``, ``metric/msda.py``).
    """

    needs = {"Xs", "ys", "ds", "Xt"}
    title = "M3SDA"
    cite = "peng2019moment"
    space = {"weight": ("log", 1e-5, 1), "n": ("int", 1, 8)}

    def __init__(self, weight: float = 0.0005, n: int = 4, order: int = 5) -> None:
        self.weight, self.n, self.order = weight, n, order

    def setup(self, net: Net, task: Task) -> nn.Module:
        if self.n < 1 or self.order < 1:
            raise BadInput(f"m3sda: n and order are at least 1, got {self.n} and {self.order}")
        n_classes = [m for m in net.head.modules() if isinstance(m, nn.Linear)][-1].out_features
        net.head, self.second_ = (nn.Linear(net.width, n_classes) for _ in range(2))
        return self.second_

    def step(self, net: Net, opt: torch.optim.Optimizer, b: Batch) -> Tensor:
        heads = [*net.head.parameters(), *self.second_.parameters()]
        own = {id(p) for p in heads}
        features = [p for p in net.parameters() if p.requires_grad and id(p) not in own]

        def move(loss: Tensor, moving: list[nn.Parameter]) -> None:
            opt.zero_grad(set_to_none=True)
            for p, g in zip(moving, torch.autograd.grad(loss, moving), strict=True):
                p.grad = g
            opt.step()

        with b.amp():
            learnt = self.learnt(net, b)
        move(learnt, [*features, *heads])
        with b.amp():
            apart = self.learnt(net, b, fixed=True) - self.discrepancy(net, b.xt)
        move(apart, heads)
        for _ in range(self.n):
            with b.amp():
                agreed = self.discrepancy(net, b.xt)
            move(agreed, features)
        if b.watched:
            b.terms |= {"source": learnt.detach(), "omega": agreed.detach()}
        return (learnt + agreed).detach()

    def learnt(self, net: Net, b: Batch, fixed: bool = False) -> Tensor:
        """Both classifiers' losses of every source; with features that move, the distance of moments, too."""
        with torch.set_grad_enabled(not fixed):
            zs = [net.features(x) for x in parts(b.xs, b.n_sources)]
            zt, zl = net.features(b.xt), net.features(b.xl) if "xl" in vars(b) else None
        labelled = [(z, y, 1.0) for z, y in zip(zs, parts(b.ys, b.n_sources), strict=True)]
        if zl is not None:
            labelled.append((zl, b.yl, b.budget.target_weight))
        losses = [w * (cross_entropy(net.head(z), y) + cross_entropy(self.second_(z), y)) for z, y, w in labelled]
        whole = torch.stack(losses).sum()
        return whole if fixed else whole + self.weight * moment_distance([*zs, zt], self.order)

    def discrepancy(self, net: Net, x: Tensor) -> Tensor:
        """Mean absolute difference of the two classifiers' scores."""
        z = net.features(x)
        return (net.head(z).softmax(1) - self.second_(z).softmax(1)).abs().mean()


def moment_distance(zs: Sequence[Tensor], order: int) -> Tensor:
    """The distances of all pairs' means and central moments up to an order, over 6, as the code divides.

    >>> moment_distance([torch.zeros(2, 1), torch.full((2, 1), 6.0)], 5).item()
    1.0
    """
    zs = [z.float() for z in zs]
    centred = [z - z.mean(0) for z in zs]
    moments = [
        torch.stack([z.mean(0), *((c**k).mean(0) for k in range(2, order + 1))])
        for z, c in zip(zs, centred, strict=True)
    ]
    return torch.stack([length(a - b).sum() for a, b in combinations(moments, 2)]).sum() / 6


def length(rows: Tensor) -> Tensor:
    """Euclidean length of each row, whose gradient at 0 is 0."""
    squares = rows.square().sum(1)
    away = squares > 0
    return torch.where(away, torch.where(away, squares, 1).sqrt(), 0)
