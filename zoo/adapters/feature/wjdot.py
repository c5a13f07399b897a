from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid, one_hot

from zoo.adapters.base import Adapter
from zoo.errors import BadInput
from zoo.ops.kernels import sq_dists
from zoo.ops.priors import simplex
from zoo.ops.transport import emd, scale

if TYPE_CHECKING:
    from zoo.task import Task


class Wjdot(Adapter):
    """Weighted joint distribution transport: a classifier of the target and the weights of the sources that suit it.

    Minimises, over a classifier f and weights α of sum 1, the cost of transporting the sources' samples and one-hot
    labels, each source of mass α_i, to the target's samples and what f says of them; the cost of a pair is
    ``|x - x'|² + |y - beta f(x')|²``. Each step solves for the exact plan, takes a step of Adam on f, of a layer with a
    sigmoid, and one of the projected gradient on α, which the plan's dual potentials give. It ends early where the
    target samples have come no nearer to the mean of their pseudo-class for `patience` steps, at the f before these.
    The certificate holds α, ``source_0`` and on. With one source f alone is learnt.

    Parameters
    ----------
    beta : float
        Of what f says, as the code has it; at 1 the cost is the paper's.
    lr : float
        Step of Adam, and of α.
    max_iter, patience : int
        Most steps; steps without a gain after which it ends.

    Differs from the code: squared distances are in the unit of `ot_sinkhorn`, and the samples that end it are those
    that f is adapted to, as there is no other target part.

    Source: Turrisi, Flamary, Rakotomamonjy and Pontil (2022, UAI), algorithm 1, and their code
    (``object_recognition.py``, its early stopping by distances).
    """

    learner = "own"
    deterministic = False
    needs = {"Xs", "ys", "ds", "Xt"}
    title = "WJDOT"
    cite = "turrisi2022multi"
    space = {"beta": ("log", 0.1, 10), "lr": ("log", 1e-3, 0.1)}

    def __init__(self, beta: float = 0.3, lr: float = 0.01, max_iter: int = 1000, patience: int = 100) -> None:
        self.beta, self.lr, self.max_iter, self.patience = beta, lr, max_iter, patience

    def fit(self, task: Task) -> Wjdot:
        if self.beta <= 0 or self.lr <= 0 or self.max_iter < 1 or self.patience < 0:
            got = f"{self.beta}, {self.lr}, {self.max_iter} and {self.patience}"
            raise BadInput(f"wjdot: beta and lr are above 0, max_iter at least 1, patience at least 0, got {got}")
        Y, X = one_hot(task.ys, task.n_classes).double(), task.Xt.flatten(1).double()
        D = task.shared(sq_dists, "Xs", "Xt").double() / float(scale(task.Xs, task.Xt))
        share = one_hot(task.ds, task.n_sources).double()
        share = share / share.sum(0)  # a source's mass is spread evenly over its samples
        alpha = share.new_full((task.n_sources,), 1 / task.n_sources)
        drawn = torch.rand(X.shape[1] + 1, task.n_classes, generator=task.generator, device=X.device, dtype=X.dtype)
        self.W_ = ((2 * drawn - 1) / X.shape[1] ** 0.5).requires_grad_()  # the last row is the bias
        opt = torch.optim.Adam([self.W_], lr=self.lr)
        best, kept, waited = float("inf"), self.W_.detach().clone(), 0
        self.objectives_: list[float] = []
        for _ in range(self.max_iter):
            cost = D + sq_dists(Y, self.beta * self._said(X))
            plan = emd(cost.detach(), share @ alpha)
            loss = (plan.P * cost).sum()
            self.objectives_.append(float(loss.detach()))
            opt.zero_grad()
            loss.backward()
            opt.step()
            assert plan.f is not None
            alpha = simplex(alpha - self.lr * (share.T @ plan.f))
            apart = spread(X, self._said(X.detach()).argmax(1), task.n_classes)
            if apart - 0.001 > best:
                waited += 1
                if waited > self.patience:
                    self.W_.data.copy_(kept)
                    break
            else:
                best, kept, waited = apart, self.W_.detach().clone(), 0
        self.W_ = self.W_.detach()
        self.certificate_ = {f"source_{i}": float(a) for i, a in enumerate(alpha)}
        self.certificate_ |= {"objective": self.objectives_[-1], "iterations": float(len(self.objectives_))}
        return self

    def _said(self, X: Tensor) -> Tensor:
        return torch.sigmoid(X @ self.W_[:-1] + self.W_[-1])

    def predict(self, X: Tensor, A: Any = None) -> Tensor:
        return logsigmoid(X.flatten(1).double() @ self.W_[:-1] + self.W_[-1]).softmax(1)  # of rows that sum to 1


def spread(X: Tensor, y: Tensor, n_classes: int) -> float:
    """The sum of distances of samples [n, d] from the mean of their class [n].

    >>> spread(torch.tensor([[0.0], [2.0], [5.0]]), torch.tensor([0, 0, 1]), 2)
    2.0
    """
    Y = one_hot(y, n_classes).to(X.dtype)
    means = (Y.T @ X) / Y.sum(0).clamp_min(1)[:, None]
    return float((X - means[y]).norm(dim=1).sum())
