from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from zoo.adapters.base import Reweighting
from zoo.adapters.instance.kmm import Kmm
from zoo.errors import BadInput
from zoo.ops import qp
from zoo.ops.graphs import knn_graph

if TYPE_CHECKING:
    from zoo.task import Task


class MsdaKmm(Reweighting):
    """Two-stage weighting: each source's samples are weighed by kernel mean matching, each source by its smoothness.

    First every source by itself is matched with the target by `kmm`, and a classifier trained on it under those weights
    says the classes of the target. Then the sources get the weights β of sum 1 under which what their classifiers say
    together changes least between target neighbours: ``min Σ_c β'H_c'LH_cβ`` with H_c, for each class, what each
    classifier says, and L the Laplacian of the target's neighbour graph. A sample's weight is β times its own, so that
    a source counts by β whatever its size. The certificate holds β, ``source_0`` and on. With one source it is `kmm`.

    Parameters
    ----------
    k : int
        Neighbours of a target sample in the graph, which the paper leaves open.
    B, eps, gamma, ess : float
        Of `kmm`.

    A classifier that says the same of all samples is smoothest, and takes the whole weight. The paper adds labelled
    target samples; this takes none, and of several classes what is said of each.

    Source: Sun et al. (2011), "2SW-MDA", section 3.
    """

    needs = {"Xs", "ys", "ds", "Xt"}
    tasks = {"classification"}
    title = "2SW-MDA"
    cite = "sun2011two"
    sparse = True
    space = {"k": ("int", 3, 30), "gamma": ("log", 1e-3, 10), "ess": ("float", 0.1, 0.9)}

    def __init__(self, k: int = 10, B: float = 1000.0, eps: float = 0.0, gamma: float = 0.0, ess: float = 0.3) -> None:
        self.k, self.B, self.eps, self.gamma, self.ess = k, B, eps, gamma, ess

    def weights(self, task: Task) -> Tensor:
        if self.k < 1:
            raise BadInput(f"msda_kmm: k is at least 1, got {self.k}")
        found = torch.zeros(len(task.ys), dtype=torch.float64, device=task.device)
        said = []
        for i in range(task.n_sources):
            first = Kmm(self.B, self.eps, self.gamma, self.ess).fit(task.alone(i))
            rows = task.ds == i
            found[rows] = first.weights_.to(found) / int(rows.sum())
            said.append(one_hot(first.predict(task.Xt).argmax(1), task.n_classes).to(found))
        beta = smoothest(torch.stack(said), knn_graph(task.Xt, self.k) if len(said) > 1 and len(task.Xt) > 1 else None)
        self.certificate_ = {f"source_{i}": float(b) for i, b in enumerate(beta)}
        return found * beta[task.ds]


def smoothest(said: Tensor, W: Tensor | None) -> Tensor:
    """The weights β of sum 1 under which ``Σ_j β_j said_j`` [sources, n, classes] differs least along a graph W.

    Where several are as smooth, the nearest to equal ones.

    >>> W = torch.tensor([[0.0, 1.0], [1.0, 0.0]], dtype=torch.float64)
    >>> smoothest(torch.tensor([[[1.0], [1.0]], [[1.0], [0.0]]], dtype=torch.float64), W)  # the first is constant
    tensor([1., 0.], dtype=torch.float64)
    """
    k, n, _ = said.shape
    even = said.new_full((k,), 1 / k)
    if W is None:
        return even
    H = said.permute(1, 2, 0).reshape(n, -1)  # each class, each source
    changes = (W @ torch.ones_like(H[:, :1])) * H - W @ H
    Q = torch.einsum("ncs,nct->st", H.view(n, -1, k), changes.view(n, -1, k))
    Q = (Q + Q.T) / 2
    size = Q.diagonal().mean()
    if not float(size) > 0:
        return even
    return qp.solve(
        Q / size + 1e-9 * torch.eye(k, dtype=Q.dtype, device=Q.device), torch.zeros_like(even), 1.0, 1.0, 1.0
    ).w
