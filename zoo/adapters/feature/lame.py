from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn.functional import normalize

from zoo.adapters._streaming import Streaming
from zoo.errors import BadInput

if TYPE_CHECKING:
    from zoo.nets import Net
    from zoo.task import Task

AFFINITIES = ("rbf", "knn", "linear")


class Lame(Streaming):
    """LAME: no weight moves; the scores of a batch are pulled together where the samples' features are near.

    Source-free. Of a batch with scores P it finds the Y that least contradicts P while near samples share their class,
    ``min Σ_i KL(y_i ‖ p_i) − Σ_ij w_ij y_i·y_j``, by the concave-convex steps ``Y ← softmax(log P + W Y)``. W is over
    features at length 1: a Gaussian as wide as the mean distance to the `k`-th nearest (a sample is its own first), the
    `k` nearest, or products. What a batch is told is told of it alone: nothing is carried to the next.

    Parameters
    ----------
    affinity : 'rbf', 'knn' or 'linear'
    steps : at most; it ends before where the energy changes by less than 1e-8 of itself

    Source: Boudiaf et al. (2022), eq. 4 to 6, and the defaults of their code.
    """

    deterministic = True
    predicts = "after"
    title = "LAME"
    cite = "boudiaf2022parameter"
    space = {"k": ("int", 1, 10)}

    def __init__(self, affinity: str = "rbf", k: int = 5, steps: int = 100) -> None:
        self.affinity = affinity
        self.k = k
        self.steps = steps

    def begin(self, net: Net, task: Task) -> None:
        if self.affinity not in AFFINITIES:
            raise BadInput(f"lame: affinity is one of {', '.join(AFFINITIES)}, got {self.affinity!r}")

    @torch.no_grad()
    def logits(self, X: Tensor) -> Tensor:
        z = self.model_.embed(X)
        log = (self.model_.head(z).float().softmax(1) + 1e-10).log()
        return corrected(log, affinity(normalize(z.float(), dim=1), self.affinity, self.k), self.steps)


def affinity(Z: Tensor, kind: str, k: int) -> Tensor:
    """W [n, n] of features at length 1.

    >>> affinity(torch.eye(3)[[0, 0, 1]], "knn", 1).tolist()
    [[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [1.0, 0.0, 0.0]]
    """
    if kind == "linear":
        return Z @ Z.T
    distance = (Z[:, None] - Z).norm(dim=2)
    if kind == "knn":
        distance.fill_diagonal_(torch.inf)  # no sample is its own neighbour
        near = distance.topk(min(k, len(Z) - 1), largest=False).indices
        return torch.zeros_like(distance).scatter_(1, near, 1.0)
    width = distance.topk(min(k, len(Z)), largest=False).values[:, -1].mean().clamp(min=1e-12)
    return (-(distance**2) / (2 * width**2)).exp()


def corrected(log: Tensor, W: Tensor, steps: int) -> Tensor:
    """Logarithms of the Y [n, C] that log scores and affinities give; rows of ``exp`` sum to 1."""
    found, before = log.log_softmax(1), torch.inf
    for i in range(steps):
        pull = W @ found.exp()
        found = (log + pull).log_softmax(1)
        Y = found.exp()
        energy = float((Y * (found - log - pull)).sum())
        if i > 1 and abs(energy - before) <= 1e-8 * abs(before):
            break
        before = energy
    return found
