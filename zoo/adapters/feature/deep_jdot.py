from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import Tensor
from torch.nn.functional import log_softmax, one_hot

from zoo.adapters.base import DeepAdapter
from zoo.ops.kernels import sq_dists
from zoo.ops.transport import emd

if TYPE_CHECKING:
    from zoo.nets import Net
    from zoo.task import Task
    from zoo.train import Batch


class DeepJdot(DeepAdapter):
    """DeepJDOT: the penalty is the cost of transporting each source batch, features and labels, to the target's scores.

    As in the authors' code the network starts from the source model, source batches hold as many samples of each class,
    and the plan is that of ``α |z_s - z_t|² + |y_s - p_t|²``, the squared distance of one-hot labels from scores at
    full weight; the loss under it has the cross-entropy of the labels in that one's place. The plan is exact, by POT on
    the host, and constant to the gradient; it is of the training pass, where theirs is of one in evaluation mode, which
    differs by dropout and batch norm alone. Source and target pass the network one after the other.

    Parameters
    ----------
    alpha : float
        Weight of the squared distance of features, in the plan and in the loss.
    tradeoff : float
        Weight of the cross-entropy of a target sample's scores under a source sample's label in the loss; the paper's
        λ_t, the code's `tloss`.

    Source: Damodaran et al. (2018), eq. 6 and 7, and their code.
    """

    needs = {"Xs", "ys", "Xt", "model"}
    balanced = True
    title = "DeepJDOT"
    cite = "damodaran2018deepjdot"
    host_sync = True
    space = {"alpha": ("log", 1e-4, 1), "tradeoff": ("log", 1e-4, 1)}

    def __init__(self, alpha: float = 0.001, tradeoff: float = 0.0001) -> None:
        self.alpha, self.tradeoff = alpha, tradeoff

    def setup(self, net: Net, task: Task) -> Any:
        net.load_state_dict(task.model.state_dict())

    def plan(self, C: Tensor) -> Tensor:
        """The transport plan of a cost; constant."""
        return emd(C.detach()).P

    def omega(self, b: Batch) -> Tensor:
        D, log = sq_dists(b.zs, b.zt), log_softmax(b.lt.double(), 1)
        labels = one_hot(b.ys, log.shape[1]).to(log.dtype)
        P = self.plan(self.alpha * D + sq_dists(labels, log.exp()))
        return (P * (self.alpha * D - self.tradeoff * (labels @ log.T))).sum()
