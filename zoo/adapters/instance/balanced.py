from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from zoo.adapters.base import Adapter
from zoo.errors import BadInput
from zoo.ops.rows import joined

if TYPE_CHECKING:
    from zoo.task import Task


class Balanced(Adapter):
    """Balanced weighting: trains on source and labelled target samples, whose total weights are 1 - gamma and gamma.

    With a 1-NN base, which has no use for weights, it is the plain union and gamma has no effect. Source: Wu and
    Dietterich (2004), where auxiliary data enter the loss with a weight of their own; 0.5 is ours.

    Parameters
    ----------
    gamma : float
        The labelled target samples' share of the total weight, strictly between 0 and 1.
    """

    title = "Balanced weighting"
    cite = "wu2004improving"
    needs = {"Xs", "ys", "Xl", "yl"}
    tasks = {"classification", "regression"}
    learner = "base"
    sparse = True
    space = {"gamma": ("linear", 0.05, 0.95)}

    def __init__(self, gamma: float = 0.5) -> None:
        self.gamma = gamma

    def fit(self, task: Task) -> Balanced:
        if not 0 < self.gamma < 1:
            raise BadInput(f"balanced: gamma is strictly between 0 and 1, got {self.gamma}")
        X, y = joined(task.Xs, task.Xl), torch.cat([task.ys, task.yl])
        n, m = len(task.Xs), len(task.Xl)
        w = torch.full((n + m,), (1 - self.gamma) * (n + m) / n, dtype=torch.float64, device=X.device)
        w[n:] = self.gamma * (n + m) / m
        self.model_ = task.learner.fit(X, y, task.n_classes, *([w] if task.learner.weighted else []))
        return self
