from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from zoo.adapters.base import Adapter
from zoo.errors import BadInput
from zoo.ops.graphs import affinities, knn_graph, neighbours, normalised, spread
from zoo.ops.links import crossing
from zoo.ops.rows import flat, joined

if TYPE_CHECKING:
    from zoo.task import Task


class LabelPropagation(Adapter):
    """Source labels spread along one nearest-neighbour graph over both domains; new points ask their neighbours.

    Where no label reaches a sample, it gets the source's class frequencies; ``cross_edges`` in the certificate counts
    the edges between the domains, without which that is all of the target.

    Parameters
    ----------
    k : int
        Neighbours of a sample.
    alpha : float
        What a sample takes from its neighbours, against its own label; between 0 and 1.
    """

    learner = "own"
    sparse = True
    cite = "zhou2003learning"
    space = {"k": ("int", 3, 30), "alpha": ("uniform", 0.5, 0.99)}

    def __init__(self, k: int = 10, alpha: float = 0.9) -> None:
        self.k, self.alpha = k, alpha

    def fit(self, task: Task) -> LabelPropagation:
        if self.k < 1 or not 0 < self.alpha < 1:
            raise BadInput(f"label_propagation: k is at least 1 and 0 < alpha < 1, got {self.k} and {self.alpha}")
        labels = one_hot(task.ys, task.n_classes).double()
        self.X_ = flat(joined(task.Xs, task.Xt))
        start = torch.cat([labels, labels.new_zeros(len(task.Xt), task.n_classes)])
        W = knn_graph(self.X_, self.k)
        F = spread(normalised(W), start, self.alpha)
        reached = F.sum(1, keepdim=True)
        self.scores_ = torch.where(reached > 0, F / torch.where(reached > 0, reached, 1), labels.mean(0))
        self.n_source_ = len(labels)
        self.certificate_ = {"cross_edges": float(crossing(W, self.n_source_))}
        return self

    def scores_t(self) -> Tensor:
        """Scores of the fitted Xt."""
        return self.scores_[self.n_source_ :]

    def predict(self, X: Tensor, A: Any = None) -> Tensor:
        D, rows = neighbours(flat(X), self.X_, self.k)
        w = affinities(D)
        return (w[..., None] * self.scores_[rows]).sum(1) / w.sum(1, keepdim=True)
