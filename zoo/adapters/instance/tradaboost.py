from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from zoo.adapters.base import Adapter
from zoo.errors import BadInput
from zoo.ops.rows import joined, taken

if TYPE_CHECKING:
    from zoo.task import Task


class Tradaboost(Adapter):
    """TrAdaBoost: boosting in which source samples that disagree with the labelled target samples lose weight.

    Each round trains the base classifier on both; misclassified target samples gain weight as in AdaBoost,
    misclassified source samples lose it at a fixed rate. The rounds of the second half vote, weighted by the log of
    their odds. With more than two classes a round may have an error up to (C - 1) / C, and its vote has log(C - 1)
    added (SAMME). With a 1-NN base, which cannot use weights, samples of too little weight are left out instead.
    Source: Dai et al. (2007), Figure 1.

    Parameters
    ----------
    rounds : int
    """

    title = "TrAdaBoost"
    cite = "dai2007boosting"
    needs = {"Xs", "ys", "Xl", "yl"}
    learner = "base"
    sparse = True
    space = {"rounds": ("int", 5, 100)}

    def __init__(self, rounds: int = 20) -> None:
        self.rounds = rounds

    def fit(self, task: Task) -> Tradaboost:
        if self.rounds < 2:
            raise BadInput(f"tradaboost: rounds are at least 2, got {self.rounds}")
        X, y = joined(task.Xs, task.Xl), torch.cat([task.ys, task.yl])
        n, C = len(task.Xs), task.n_classes
        target = torch.arange(len(X), device=X.device) >= n
        w = torch.ones(len(X), dtype=torch.float64, device=X.device)
        shrink = math.log(1 / (1 + math.sqrt(2 * math.log(max(n, 2)) / self.rounds)))
        self.n_classes_, self.voters_ = C, []
        for round_ in range(self.rounds):
            w = w / w.sum()
            model = self._train(task, X, y, w * len(w))
            wrong = (model.predict(X).argmax(1) != y).double()
            error = float((w * wrong)[target].sum() / w[target].sum())
            error = min(max(error, 1e-3), (1 - 1 / C) * (1 - 1e-3))  # a round without error would vote alone
            vote = math.log((1 - error) / error) + math.log(C - 1)
            if round_ >= self.rounds // 2:
                self.voters_.append((vote, model))
            w = w * torch.exp(wrong * torch.where(target, vote, shrink))
        self.certificate_ = {"source_share": float(w[~target].sum() / w.sum())}
        return self

    def _train(self, task: Task, X: Tensor, y: Tensor, w: Tensor) -> Any:
        if task.learner.weighted:
            return task.learner.fit(X, y, task.n_classes, w)
        kept = w >= 0.1
        return task.learner.fit(taken(X, kept), y[kept], task.n_classes)

    def predict(self, X: Tensor, A: Any = None) -> Tensor:
        votes = [vote * one_hot(m.predict(X).argmax(1), self.n_classes_).double() for vote, m in self.voters_]
        return torch.stack(votes).sum(0) / sum(vote for vote, _ in self.voters_)
