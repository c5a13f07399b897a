from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from zoo.adapters.base import DeepAdapter
from zoo.ops.mmd import multi_gaussian
from zoo.ops.precision import in_float32
from zoo.ops.reversal import warm_up

if TYPE_CHECKING:
    from zoo.nets import Net
    from zoo.task import Task
    from zoo.train import Batch


class Dsan(DeepAdapter):
    """DSAN: the penalty is the local MMD: that of each class, target samples belonging to classes by their scores.

    Classes that a batch does not hold in both domains (in the target by its decisions) are left out. Source and target
    pass the network one after the other. The scores are constants to the gradient. The kernel is the sum of five, as in
    the authors' code.

    Parameters
    ----------
    weight : float
        Multiple of the penalty at the end of its warm-up.

    Source: Zhu et al. (2021), eq. 6 to 8.
    """

    title = "DSAN"
    cite = "zhu2021deep"
    space = {"weight": ("log", 0.1, 10)}

    def __init__(self, weight: float = 0.5) -> None:
        self.weight = weight

    def setup(self, net: Net, task: Task) -> Any:
        self.n_classes_ = task.n_classes

    def omega(self, b: Batch) -> Tensor:
        K = multi_gaussian(torch.cat([b.zs, b.zt]))
        loss = local_mmd2(K, one_hot(b.ys, self.n_classes_).to(K.dtype), b.lt.detach().to(K.dtype).softmax(1))
        return self.weight * warm_up(b.progress) * loss


@in_float32
def local_mmd2(K: Tensor, Ys: Tensor, Pt: Tensor) -> Tensor:
    """Mean over classes of the squared MMD of the rows weighted by class membership; biased.

    Parameters
    ----------
    K : Tensor [n + m, n + m], kernel values; Ys : Tensor [n, C], one-hot labels; Pt : Tensor [m, C], scores
    """
    decided = one_hot(Pt.argmax(1), Pt.shape[1]).to(Pt.dtype)
    both = ((Ys.sum(0) > 0) & (decided.sum(0) > 0)).to(K.dtype)
    tiny = torch.finfo(K.dtype).tiny
    W = torch.cat([Ys / Ys.sum(0).clamp_min(tiny), -Pt / Pt.sum(0).clamp_min(tiny)]) * both
    return (K * (W @ W.T)).sum() / both.sum().clamp_min(1)
