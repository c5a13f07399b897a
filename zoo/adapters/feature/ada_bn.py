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
    of a smaller target they are exact. The source is not needed. Of a stream they are means over the batches so far,
    that which is predicted among them.

    Source: Li et al. (2017), algorithm 1.
    """

    needs = {"model", "Xt"}
    tasks = {"classification", "regression"}
    learner = "net"
    deterministic = False
    stream = True
    predicts = "after"
    title = "AdaBN"
    cite = "li2017revisiting"

    def __init__(self) -> None:
        pass

    @torch.no_grad()
    def fit(self, task: Task) -> AdaBn:
        net = copy.deepcopy(task.model).eval()
        if not any(isinstance(m, _BatchNorm) for m in net.modules()):
            raise Unsupported("the network has no batch norm")
        self.model_ = recount(net, task.Xt) if task.has("Xt") else counting(net)
        return self

    @torch.no_grad()
    def observe(self, X: Tensor) -> Tensor:
        x = X.to(next(self.model_.parameters()).device)
        count(self.model_, x)
        return self.model_.predict(x)  # type: ignore[no-any-return]


@torch.no_grad()
def recount(net: Net, X: Tensor) -> Net:
    """Give every batch norm of a network the statistics of X, in place; returns the network, in evaluation mode."""
    counting(net)
    X = X if len(X) > 1 else X.repeat_interleave(2, 0)  # one sample has no variance
    device = next(net.parameters()).device
    for x in X.tensor_split(-(-len(X) // net.batch)):  # no chunk of one sample
        count(net, x.to(device))
    return net


def counting(net: Net) -> Net:
    """A network that has counted no batch yet, in place; in evaluation mode."""
    net.eval()
    for norm in (m for m in net.modules() if isinstance(m, _BatchNorm)):
        norm.reset_running_stats()
        norm.momentum = None  # the mean over all batches
    return net


@torch.no_grad()
def count(net: nn.Module, x: Tensor) -> None:
    """Let a batch join the statistics."""
    for m in net.modules():
        m.training = isinstance(m, _BatchNorm)
    net(x)
    net.eval()
