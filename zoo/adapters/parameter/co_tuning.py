from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from zoo.adapters.base import Tuning

if TYPE_CHECKING:
    from zoo.nets import Net
    from zoo.task import Task


class CoTuning(Tuning):
    """Co-Tuning: fine-tuning in which the source's classifier goes on, taught what the source model sees in a class.

    A copy of the source's classifier is trained beside the target's, at the features' rate: for a sample of class y its
    soft label is the mean of the source model's scores of that class's labelled target samples. That is the paper's
    direct estimate of p(y_s | y_t); the authors' code has the reverse one, by a calibrated logistic regression that
    held-out samples tune, and here there are none.

    Parameters
    ----------
    tradeoff : float
        Multiple of the copy's cross-entropy; the paper's λ.
    rate : float
        Learning rate, as a multiple of the suite's.

    Source: You et al. (2020), eq. 4 and algorithm 1.
    """

    title = "Co-Tuning"
    cite = "you2020co"
    space = {"tradeoff": ("log", 0.1, 10), "rate": ("log", 0.01, 1)}

    def __init__(self, tradeoff: float = 2.3, rate: float = 0.3) -> None:
        self.tradeoff, self.rate = tradeoff, rate

    def setup(self, net: Net, task: Task) -> nn.Module:
        self.relation_ = relation(net.predict(task.Xl), task.yl, task.n_classes)
        self.source_head_ = copy.deepcopy(net.head)
        return self.source_head_

    def groups(self, net: Net) -> list[dict[str, Any]]:
        return [{"params": [*net.parameters(), *self.source_head_.parameters()], "rate": self.rate}]

    def omega_batch(self, b: Any, source: Net) -> Tensor:
        log = self.source_head_(b.zl).float().log_softmax(1)
        return -self.tradeoff * (self.relation_[b.yl] * log).sum(1).mean()


def relation(P: Tensor, y: Tensor, n_classes: int) -> Tensor:
    """Mean scores [n_classes, C] of the samples of each class; uniform for a class without samples."""
    Y = one_hot(y, n_classes).to(P.dtype)
    count = Y.sum(0)[:, None]
    uniform = torch.full_like(P[:1], 1 / P.shape[1])
    return torch.where(count > 0, Y.T @ P / count.clamp_min(1), uniform)
