from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from zoo.adapters._streaming import by_batch, descend, entropy, moving, optimiser
from zoo.adapters.base import DeepAdapter
from zoo.adapters.feature.ada_bn import recount
from zoo.errors import Unsupported
from zoo.ops.doubt import nats
from zoo.train import autocast

if TYPE_CHECKING:
    from zoo.nets import Net
    from zoo.task import Task
    from zoo.train import Batch


class Tent(DeepAdapter):
    """TENT: the source model's batch norm, its scales and shifts alone, learns scores of low entropy on the target.

    Source-free. Each batch gives one step, under its own statistics; there are as many as the target fills, the last
    filled up with samples seen before. In the end statistics are those of the whole target, for `predict`, in which
    nothing moves and no sample sees another. Of a stream each batch is predicted under its own statistics before the
    step that it gives, as the authors do, at a rate that stays.

    Source: Wang et al. (2021), section 3, and their code.
    """

    needs = {"model", "Xt"}
    passes = 1
    stream = True
    predicts = "before"
    title = "TENT"
    cite = "wang2021tent"

    def __init__(self) -> None:
        pass

    def setup(self, net: Net, task: Task) -> Any:
        norms = [m for m in net.modules() if isinstance(m, _BatchNorm) and m.affine]
        if not norms:
            raise Unsupported("the network has no batch norm")
        moving(net, norms)

    def omega(self, b: Batch) -> Tensor:
        return nats(b.lt.float().log_softmax(1)).mean()

    def fit(self, task: Task) -> Tent:
        if not task.has("Xt"):
            return self._begin(task)
        super().fit(task)
        recount(self.model_, task.Xt)
        return self

    def _begin(self, task: Task) -> Tent:
        """Wait for a stream."""
        net = copy.deepcopy(task.model).eval()
        self.setup(net, task)
        by_batch(net)
        self.opt_ = optimiser([p for p in net.parameters() if p.requires_grad], task)
        self.amp_ = autocast(task.learner.budget.precision, torch.device(task.device))
        self.model_ = net
        return self

    @torch.enable_grad()
    def observe(self, X: Tensor) -> Tensor:
        with self.amp_():
            logits = self.model_(X.to(next(self.model_.parameters()).device))
            loss = entropy(logits).mean()
        descend(loss, self.opt_)
        return logits.detach().float().softmax(1)
