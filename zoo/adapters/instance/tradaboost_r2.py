from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from zoo.adapters.base import Adapter
from zoo.errors import BadInput
from zoo.ops.resample import systematic
from zoo.ops.rows import joined, taken

if TYPE_CHECKING:
    from zoo.task import Task


class TradaboostR2(Adapter):
    """TrAdaBoost.R2: TrAdaBoost for real values, by errors as shares of the largest.

    Each round trains the base learner on source and labelled target samples; target samples of large error gain weight,
    source samples of large error lose it at a fixed rate. Rounds end where the target's weighted error reaches a half.
    The last half of the rounds answer, by their median under the logarithm of their odds. With a k-NN base, which
    cannot use weights, samples are drawn by them.

    Parameters
    ----------
    rounds : int

    Source: Pardoe and Stone (2010), section 4.1; errors are AdaBoost.R2's linear ones.
    """

    title = "TrAdaBoost.R2"
    cite = "pardoe2010boosting"
    needs = {"Xs", "ys", "Xl", "yl"}
    learner = "base"
    sparse = True
    tasks = {"regression"}
    space = {"rounds": ("int", 5, 100)}

    def __init__(self, rounds: int = 20) -> None:
        self.rounds = rounds

    def fit(self, task: Task) -> TradaboostR2:
        if self.rounds < 2:
            raise BadInput(f"tradaboost_r2: rounds are at least 2, got {self.rounds}")
        X, y = joined(task.Xs, task.Xl), torch.cat([task.ys, task.yl]).double()
        n = len(task.Xs)
        target = torch.arange(len(X), device=X.device) >= n
        w = torch.ones(len(X), dtype=torch.float64, device=X.device)
        shrink = math.log(1 / (1 + math.sqrt(2 * math.log(max(n, 2)) / self.rounds)))
        said: list[tuple[float, Any]] = []
        for _ in range(self.rounds):
            w = w / w.sum()
            model = self._train(task, X, y, w * len(w))
            off = (model.predict(X)[:, 0].double() - y).abs()
            off = off / off.max().clamp_min(1e-12)
            error = float((w * off)[target].sum() / w[target].sum())
            if error >= 0.5 and said:
                break
            error = min(max(error, 1e-3), 0.5 - 1e-3)  # a round without error would answer alone
            vote = math.log((1 - error) / error)
            said.append((vote, model))
            w = w * torch.exp(off * torch.where(target, vote, shrink))
        self.voters_ = said[len(said) // 2 :]
        self.certificate_ = {"rounds": float(len(said)), "source_share": float(w[~target].sum() / w.sum())}
        return self

    def _train(self, task: Task, X: Tensor, y: Tensor, w: Tensor) -> Any:
        if task.learner.weighted:
            return task.learner.fit(X, y, task.n_classes, w)
        rows = systematic(w.cpu(), 0.5).to(X.device)
        return task.learner.fit(taken(X, rows), y[rows], task.n_classes)

    def predict(self, X: Tensor, A: Any = None) -> Tensor:
        values = torch.stack([model.predict(X)[:, 0] for _, model in self.voters_], 1)
        return weighted_median(values, values.new_tensor([vote for vote, _ in self.voters_]))[:, None]


def weighted_median(values: Tensor, weight: Tensor) -> Tensor:
    """Of each row [n, k], the least value up to which the weights [k] make half of all.

    >>> weighted_median(torch.tensor([[3.0, 1.0, 2.0]]), torch.tensor([5.0, 1.0, 1.0])).tolist()
    [3.0]
    """
    order = values.argsort(1)
    upto = weight[order].cumsum(1)
    middle = (upto >= upto[:, -1:] / 2).int().argmax(1, keepdim=True)
    return values.gather(1, order.gather(1, middle))[:, 0]
