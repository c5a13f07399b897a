from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from zoo.adapters.base import DeepAdapter
from zoo.errors import BadInput
from zoo.ops.adversary import discriminator, domain_accuracy, domain_losses
from zoo.ops.reversal import reverse
from zoo.train import descend

if TYPE_CHECKING:
    from zoo.graph import Graph
    from zoo.nets import Net
    from zoo.task import Task
    from zoo.train import Batch


class StructReweight(DeepAdapter):
    """StruRW: the source's edges count as often as edges between such classes occur in the target; with DANN.

    What comes along an edge between classes i and j, normalised as in the plain graph, is multiplied by
    ``1 - share + share · B_t[i, j] / B_s[i, j]``, B the probability of an edge between two nodes of these classes: by
    ``1 - share`` where the target has no such edge, by 1 where it has no such nodes. The target's classes are the
    network's own guesses, made anew every 20 steps from `start` on; the authors also use labels of target validation
    nodes, which there are none of here.

    Parameters
    ----------
    share : float
        Between 0, the plain graphs, and 1.
    start : float
        Share of the steps before the first reweighting; the authors' is 200 of 300.
    weight : float
        Most of the reversed gradient, which grows as the share of the steps. 0: no discriminator's pull (StruRW-ERM).
    hidden : int
        Width of the discriminator's hidden layer.

    Source: Liu et al. (2023), section 4 (StruRW-Adv), and their code. The network is the suite's, with self-loops,
    which keep their weight; theirs has none.
    """

    needs = {"Xs", "ys", "Xt", "As", "At"}
    refresh_every = 20
    title = "StruRW"
    cite = "liu2023structural"
    space = {"share": ("uniform", 0.1, 1.0), "weight": ("log", 0.01, 1)}

    def __init__(self, share: float = 0.5, start: float = 0.667, weight: float = 0.2, hidden: int = 50) -> None:
        self.share, self.start, self.weight, self.hidden = share, start, weight, hidden

    def setup(self, net: Net, task: Task) -> nn.Module:
        if not 0 <= self.share <= 1:
            raise BadInput(f"struct_reweight: share is between 0 and 1, got {self.share}")
        self.refreshes_ = 0
        self.edges_ = torch.ones(len(task.As.edges), device=task.As.edges.device)
        self.discriminator_ = discriminator(net.width, self.hidden)
        return self.discriminator_

    def omega(self, b: Batch) -> Tensor:
        z = torch.cat([b.zs, b.zt])
        logits = self.discriminator_(reverse(z, min(b.progress, self.weight)))
        if b.watched:
            b.terms["domain_accuracy"] = domain_accuracy(logits.detach(), len(b.zs))
        return domain_losses(logits, len(b.zs))

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
    """How often two nodes of classes i and j are joined, both ways counted [n_classes, n_classes]; nan without such."""
    Y = Y.to(torch.float64)
    ends = Y[graph.edges[:, 0]].T @ Y[graph.edges[:, 1]]
    size = Y.sum(0)
    return (ends + ends.T) / (size[:, None] * size)


def ratios(B_s: Tensor, B_t: Tensor) -> Tensor:
    """``B_t / B_s``, and 1 where that is not a number or not finite."""
    found = B_t / B_s
    return torch.where(found.isfinite(), found, 1).float()
