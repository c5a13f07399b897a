from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from zoo.adapters.feature.dann import Dann
from zoo.errors import BadInput
from zoo.train import descend

if TYPE_CHECKING:
    from zoo.graph import Graph
    from zoo.nets import Net
    from zoo.task import Task
    from zoo.train import Batch


class StructReweight(Dann):
    """StruRW: the source's edges count as often as edges between such classes occur in the target; with DANN.

    An edge between classes i and j gets the weight ``1 - share + share · B_t[i, j] / B_s[i, j]``, B the probability of
    an edge between two nodes of these classes. The target's classes are the network's own guesses, made anew every 20
    steps from `start` on; the authors also use labels of target validation nodes, which there are none of here.

    Parameters
    ----------
    share : float
        Between 0, plain DANN on the graphs, and 1.
    start : float
        Share of the steps before the first reweighting; the authors' is 200 of 300.
    weight : float
        Strength of the reversed gradient at the end of its warm-up; 0.2 in the authors' code. 0: no discriminator's
        pull (StruRW-ERM).
    hidden : int
        Width of the discriminator's hidden layer.

    Source: Liu et al. (2023), section 4 (StruRW-Adv), and their code.
    """

    needs = {"Xs", "ys", "Xt", "As", "At"}
    refresh_every = 20
    cite = "liu2023structural"
    space = {"share": ("uniform", 0.1, 1.0), "weight": ("log", 0.01, 1)}

    def __init__(self, share: float = 0.5, start: float = 0.5, weight: float = 0.2, hidden: int = 100) -> None:
        super().__init__(weight, hidden)
        self.share, self.start = share, start

    def setup(self, net: Net, task: Task) -> nn.Module:
        if not 0 <= self.share <= 1:
            raise BadInput(f"struct_reweight: share is between 0 and 1, got {self.share}")
        self.refreshes_ = 0
        self.edges_ = torch.ones(len(task.As.edges), device=task.As.edges.device)
        return super().setup(net, task)

    def refresh(self, net: Net, task: Task) -> None:
        begun = self.refreshes_ * self.refresh_every >= self.start * task.learner.budget.steps
        self.refreshes_ += 1
        if begun:
            guessed = net.predict(torch.arange(task.At.n, device=task.At.edges.device))
            ys = torch.zeros(task.As.n, dtype=task.ys.dtype, device=task.ys.device)
            ys[~task.Xs] = task.ys
            B_s, B_t = (
                edge_probabilities(A, one_hot(y, task.n_classes))
                for A, y in ((task.As, ys), (task.At, guessed.argmax(1)))
            )
            self.edges_ = (
                1 - self.share + self.share * ratios(B_s, B_t)[ys[task.As.edges[:, 0]], ys[task.As.edges[:, 1]]]
            )

    def step(self, net: Net, opt: torch.optim.Optimizer, b: Batch) -> Tensor:
        graphs: Any = net.nodes
        if graphs.s.weights is not self.edges_:
            graphs.bind(s=replace(graphs.s, weights=self.edges_))
        return descend(net, opt, b)


def edge_probabilities(graph: Graph, Y: Tensor) -> Tensor:
    """How often two nodes of classes i and j are joined, both ways counted [n_classes, n_classes]."""
    Y = Y.to(torch.float64)
    ends = Y[graph.edges[:, 0]].T @ Y[graph.edges[:, 1]]
    size = Y.sum(0)
    return (ends + ends.T) / (size[:, None] * size).clamp_min(1)


def ratios(B_s: Tensor, B_t: Tensor) -> Tensor:
    """``B_t / B_s``, and 1 where either is 0 or unknown."""
    known = (B_s > 0) & (B_t > 0)
    return torch.where(known, B_t / torch.where(known, B_s, 1), 1).float()
