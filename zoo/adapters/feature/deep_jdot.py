from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor
from torch.nn.functional import log_softmax

from zoo.adapters.base import DeepAdapter
from zoo.ops.kernels import sq_dists
from zoo.ops.transport import emd

if TYPE_CHECKING:
    from zoo.train import Batch


class DeepJdot(DeepAdapter):
    """DeepJDOT: the penalty is the cost of transporting each source batch, features and labels, to the target's scores.

    The plan is exact, by POT on the host, and constant to the gradient. Source and target pass the network one after
    the other, as in the authors' code.

    Parameters
    ----------
    alpha : float
        Weight of the squared distance of features.
    tradeoff : float
        Weight of the cross-entropy of a target sample's scores under a source sample's label; the paper's λ_t.

    Source: Damodaran et al. (2018), eq. 6 and 7.
    """

    cite = "damodaran2018deepjdot"
    host_sync = True
    space = {"alpha": ("log", 1e-4, 1), "tradeoff": ("log", 1e-4, 1)}

    def __init__(self, alpha: float = 0.001, tradeoff: float = 0.0001) -> None:
        self.alpha, self.tradeoff = alpha, tradeoff

    def cost(self, b: Batch) -> Tensor:
        """The joint cost [source rows, target rows]."""
        labels = -log_softmax(b.lt.double(), 1).T[b.ys]
        return self.alpha * sq_dists(b.zs, b.zt) + self.tradeoff * labels

    def plan(self, C: Tensor) -> Tensor:
        """The transport plan of a cost; constant."""
        return emd(C.detach()).P

    def omega(self, b: Batch) -> Tensor:
        C = self.cost(b)
        return (self.plan(C) * C).sum()
