from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from zoo.adapters.base import Adapter
from zoo.errors import Unsupported

if TYPE_CHECKING:
    from zoo.nets import Net
    from zoo.task import Task


class AdaBn(Adapter):
    """AdaBN: the source model, whose batch norm takes the target's statistics in place of the source's.

    They are means over the target in chunks of the network's batch (512), as training would see them, without momentum;
    of a smaller target they are exact. The source is not needed.

    Source: Li et al. (2017), algorithm 1.
    """

    needs = {"model", "Xt"}
    tasks = {"classification", "regression"}
    learner = "net"
    deterministic = False
    title = "AdaBN"
    cite = "li2017revisiting"

    def __init__(self) -> None:
        pass

    @torch.no_grad()
    def fit(self, task: Task) -> AdaBn:
        net = copy.deepcopy(task.model).eval()
        if not any(isinstance(m, _BatchNorm) for m in net.modules()):
            raise Unsupported("the network has no batch norm")
        self.model_ = recount(net, task.Xt)
        return self


@torch.no_grad()
def recount(net: Net, X: Tensor) -> Net:
    """Give every batch norm of a network the statistics of X, in place; returns the network, in evaluation mode."""
    net.eval()
    norms: list[nn.Module] = [m for m in net.modules() if isinstance(m, _BatchNorm)]
    for norm in norms:
        norm.reset_running_stats()  # type: ignore[operator]
        norm.momentum = None  # type: ignore[assignment]  # the mean over all batches
        norm.train()
    X = X if len(X) > 1 else X.repeat_interleave(2, 0)  # one sample has no variance
    device = next(net.parameters()).device
    for x in X.tensor_split(-(-len(X) // net.batch)):  # no chunk of one sample
        net(x.to(device))
    return net.eval()  # type: ignore[no-any-return]
