from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from zoo.adapters.base import DeepAdapter
from zoo.adapters.feature.ada_bn import recount
from zoo.errors import Unsupported

if TYPE_CHECKING:
    from zoo.nets import Net
    from zoo.task import Task
    from zoo.train import Batch


class Tent(DeepAdapter):
    """TENT: the source model's batch norm, its scales and shifts alone, learns scores of low entropy on the target.

    Source-free. Each batch gives one step, under its own statistics; there are as many as the target fills, the last
    filled up with samples seen before. In the end statistics are those of the whole target, for `predict`, in which
    nothing moves and no sample sees another. (The authors predict each batch before its step, under its statistics.)

    Source: Wang et al. (2021), section 3, and their code.
    """

    needs = {"model", "Xt"}
    passes = 1
    title = "TENT"
    cite = "wang2021tent"

    def __init__(self) -> None:
        pass

    def setup(self, net: Net, task: Task) -> Any:
        norms = [m for m in net.modules() if isinstance(m, _BatchNorm) and m.affine]
        if not norms:
            raise Unsupported("the network has no batch norm")
        for p in net.parameters():
            p.requires_grad_(False)
        for norm in norms:
            for p in norm.parameters():
                p.requires_grad_(True)

    def omega(self, b: Batch) -> Tensor:
        log = b.lt.float().log_softmax(1)
        return -(log.exp() * log).sum(1).mean()

    def fit(self, task: Task) -> Tent:
        super().fit(task)
        recount(self.model_, task.Xt)
        return self
