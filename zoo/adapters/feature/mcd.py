from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from zoo.adapters.base import DeepAdapter
from zoo.errors import BadInput

if TYPE_CHECKING:
    from zoo.nets import Net
    from zoo.task import Task
    from zoo.train import Batch


WIDE, SMALL, DROPOUT = 1000, 100, 0.5


class Mcd(DeepAdapter):
    """MCD: two classifiers disagree on the target as much as they can, the features make them agree.

    Each step has the paper's three: both classifiers and the features learn the source (A); the classifiers alone learn
    it and to disagree (B); the features alone learn agreement, `n` times (C). Source and target pass the network one
    after the other. Predictions are the mean of both classifiers' scores.

    Both classifiers are those of the authors' code: three layers with batch norm and dropout of a half, 1,000 units
    wide (VisDA), or 100 beside networks for small images (digits).

    Parameters
    ----------
    n : int
        Steps C for each A and B; 4 is the paper's choice for digits.

    Source: Saito et al. (2018), section 3.3.
    """

    title = "MCD"
    cite = "saito2018maximum"
    space = {"n": ("int", 1, 8)}

    def __init__(self, n: int = 4) -> None:
        self.n = n

    def setup(self, net: Net, task: Task) -> nn.Module:
        if self.n < 1:
            raise BadInput(f"mcd: n is at least 1, got {self.n}")
        wide = WIDE if len(net.domains) > 1 else SMALL
        n_classes = [m for m in net.head.modules() if isinstance(m, nn.Linear)][-1].out_features
        net.head, self.second_ = (_classifier(net.width, wide, n_classes) for _ in range(2))
        return self.second_

    def step(self, net: Net, opt: torch.optim.Optimizer, b: Batch) -> Tensor:
        heads = [*net.head.parameters(), *self.second_.parameters()]
        own = {id(p) for p in heads}
        features = [p for p in net.parameters() if p.requires_grad and id(p) not in own]

        labelled = [(b.xs, b.ys, 1.0)] + ([(b.xl, b.yl, b.budget.target_weight)] if "xl" in vars(b) else [])

        def both(x: Tensor, y: Tensor, fixed: bool) -> Tensor:
            z = net.features(x).detach() if fixed else net.features(x)
            return cross_entropy(net.head(z), y) + cross_entropy(self.second_(z), y)

        def move(loss: Tensor, moving: list[nn.Parameter]) -> None:
            opt.zero_grad(set_to_none=True)
            for p, g in zip(moving, torch.autograd.grad(loss, moving), strict=True):
                p.grad = g
            opt.step()

        with b.amp():
            learnt = torch.stack([weight * both(x, y, False) for x, y, weight in labelled]).sum()
        move(learnt, [*features, *heads])
        with b.amp():
            kept = torch.stack([weight * both(x, y, True) for x, y, weight in labelled]).sum()
            apart = kept - self.discrepancy(net, net.features(b.xt).detach())
        move(apart, heads)
        for _ in range(self.n):
            with b.amp():
                omega = self.discrepancy(net, net.features(b.xt))
            move(omega, features)
        if b.watched:
            b.terms |= {"source": learnt.detach(), "omega": omega.detach()}
        return (learnt + omega).detach()

    def discrepancy(self, net: Net, z: Tensor) -> Tensor:
        """Mean absolute difference of the two classifiers' scores (eq. 9)."""
        return (net.head(z).softmax(1) - self.second_(z).softmax(1)).abs().mean()

    def predict(self, X: Tensor, A: object = None) -> Tensor:
        with torch.no_grad():
            z = self.model_.embed(X)
            return (self.model_.head(z).float().softmax(1) + self.second_(z).float().softmax(1)) / 2


def _classifier(width: int, hidden: int, n_classes: int) -> nn.Module:
    layers: list[nn.Module] = []
    for i in (width, hidden):
        layers += [nn.Dropout(DROPOUT), nn.Linear(i, hidden), nn.BatchNorm1d(hidden), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(hidden, n_classes))
