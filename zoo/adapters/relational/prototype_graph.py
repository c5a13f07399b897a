from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize, one_hot

from zoo.adapters.base import DeepAdapter

if TYPE_CHECKING:
    from zoo.nets import Net
    from zoo.task import Task
    from zoo.train import Batch


class PrototypeGraph(DeepAdapter):
    """Prototypes of both domains' classes pass messages along a graph, then to samples; the two halves are made alike.

    2C nodes are the mean features of source classes and, weighted by scores, of target classes; edges are affinities.
    Nodes take up what their neighbours hold, samples what the nodes hold, and the net's classifier reads the result:
    nodes and source samples are to be of their class, target samples certain. The affinities within the source, within
    the target and between them are to agree, so that classes relate to one another the same way everywhere.

    Parameters
    ----------
    weight : float
        Multiple of the disagreement of affinities; the paper's λ_1.
    alpha : float
        What a node or sample takes from its neighbours, against its own features; between 0 and 1.
    temperature : float
        Edges are exp((cosine - 1) / temperature).
    memory : float
        What a prototype keeps of itself per new sample of its class; the paper's β, which is per batch.

    Source: Wang et al. (2020), LtC-MSDA, with one source. Unlike there, messages are weighted means without weights to
    learn, samples send none (so that scores are row-wise), and edges are of cosines, as a Gaussian of width 0.005 goes
    with the features' scale. Its local relation alignment, whose weight is next to nothing, is left out.
    """

    refresh_every = 100
    cite = "wang2020learning"
    space = {"weight": ("log", 1, 100), "alpha": ("uniform", 0.1, 0.9), "temperature": ("log", 0.03, 0.5)}

    def __init__(self, weight: float = 20.0, alpha: float = 0.5, temperature: float = 0.1, memory: float = 0.7) -> None:
        self.weight, self.alpha, self.temperature, self.memory = weight, alpha, temperature, memory

    def fit(self, task: Task) -> PrototypeGraph:
        super().fit(task)
        self.refresh(self.model_, task)
        return self

    @torch.no_grad()
    def refresh(self, net: Net, task: Task) -> None:
        """Prototypes of all samples."""
        zs, zt = net.embed(task.Xs).float(), net.embed(task.Xt).float()
        sources, targets = one_hot(task.ys, task.n_classes).to(zs.dtype), net.head(zt).float().softmax(1)
        self.prototypes_ = torch.cat([means(zs, sources)[0], means(zt, targets)[0]])

    def omega(self, b: Batch) -> Tensor:
        zs, zt, C = b.zs.float(), b.zt.float(), b.ls.shape[1]
        weights = one_hot(b.ys, C).to(zs.dtype), b.lt.detach().float().softmax(1)
        new, mass = (torch.cat(x) for x in zip(means(zs, weights[0]), means(zt, weights[1]), strict=True))
        kept = (self.memory**mass)[:, None]
        P = kept * self.prototypes_ + (1 - kept) * new
        self.prototypes_ = P.detach()
        classes = torch.arange(C, device=zs.device).repeat(2)
        Q = nodes(P, self.alpha, self.temperature)
        scores = [b.net.head(Q), *(b.net.head(self._heard(z, P, Q)) for z in (zs, zt))]
        log = scores[2].float().log_softmax(1)
        loss = cross_entropy(scores[0], classes) + cross_entropy(scores[1], b.ys) - (log.exp() * log).mean()
        return loss + self.weight * disagreement(affinity(P, P, self.temperature))

    def _heard(self, z: Tensor, P: Tensor, Q: Tensor) -> Tensor:
        return heard(z, affinity(z, P, self.temperature), Q, self.alpha)

    @torch.no_grad()
    def predict(self, X: Tensor, A: Any = None) -> Tensor:
        P = self.prototypes_
        Q = nodes(P, self.alpha, self.temperature)
        z = self.model_.embed(X).float()
        return self.model_.head(self._heard(z, P, Q)).float().softmax(1)


def means(z: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """The mean row [C, d] under each column of the weights [n, C], and the columns' sums; 0 where the sum is."""
    mass = weights.sum(0)
    return (weights.T @ z) / torch.where(mass > 0, mass, 1)[:, None], mass


def affinity(Z: Tensor, P: Tensor, temperature: float) -> Tensor:
    """Edges [n, m] in (0, 1]; 1 between rows of one direction."""
    return ((normalize(Z, dim=1) @ normalize(P, dim=1).T - 1) / temperature).exp()


def heard(Z: Tensor, A: Tensor, P: Tensor, alpha: float) -> Tensor:
    """Rows Z after a message: alpha parts of the mean of P under the edges A [n, m].

    >>> heard(torch.zeros(1, 1), torch.tensor([[1.0, 3.0]]), torch.tensor([[0.0], [4.0]]), 0.5).tolist()
    [[1.5]]
    """
    return (1 - alpha) * Z + alpha * (A @ P) / A.sum(1, keepdim=True).clamp_min(torch.finfo(A.dtype).tiny)


def nodes(P: Tensor, alpha: float, temperature: float) -> Tensor:
    """Prototypes after the messages of all others."""
    A = affinity(P, P, temperature)
    return heard(P, A * (1 - torch.eye(len(P), dtype=A.dtype, device=A.device)), P, alpha)


def disagreement(A: Tensor) -> Tensor:
    """Mean squared difference of two blocks of the edges [2C, 2C]: within source, within target, between."""
    C = len(A) // 2
    ss, tt, st = A[:C, :C], A[C:, C:], A[:C, C:]
    return ((ss - tt).square() + (st - ss).square() + (st - tt).square()).mean() / 3
