from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from zoo.adapters.base import Adapter
from zoo.graph import Graph
from zoo.ops.convolution import degrees

if TYPE_CHECKING:
    from zoo.task import Task


class Degree(Adapter):
    """A node's number of neighbours as its only feature: what a graph's plainest statistic gets.

    The feature is the logarithm of one more than the degree, z-scored over each graph, so that networks of different
    size and density are compared by rank and spread; the base classifier is trained on the source's.
    """

    needs = {"Xs", "ys", "As", "At"}
    learner = "base"

    def fit(self, task: Task) -> Degree:
        self.At_ = task.At
        self.model_ = task.learner.fit(standing(task.As)[task.Xs], task.ys, task.n_classes)
        return self

    def predict(self, X: Tensor, A: Any = None) -> Tensor:
        return self.model_.predict(standing(self.At_ if A is None else A)[X])


def standing(graph: Graph) -> Tensor:
    """The z-score of ``log(1 + degree)`` of each node [n, 1] within its graph."""
    level = torch.log1p(degrees(graph).double())
    return ((level - level.mean()) / level.std(correction=0).clamp_min(1e-12))[:, None]
