from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from zoo.adapters._streaming import Streaming, by_batch, cross_entropy, descend, follow, moving, optimiser
from zoo.ops.jitter import jittered

if TYPE_CHECKING:
    from zoo.nets import Net
    from zoo.task import Task


class Cotta(Streaming):
    """CoTTA: a student learns what its own running mean says of views of a batch; some weights return to the source.

    Source-free. All weights move, batch norm under each batch's own statistics. The teacher's logits are the mean over
    `views` distorted views where the source model's mean confidence is below `confidence`, else those of the batch
    itself; they are the batch's scores, before the step. The student takes a step down the cross-entropy with them, the
    teacher keeps `decay` of itself, and each weight returns to the source's with probability `restore`.

    Views are those of the authors' code (`zoo.ops.jitter`; mirrored half the time if `flip`); vectors get noise and
    lose entries. The figures are theirs for CIFAR-10-C.

    Source: Wang et al. (2022), eq. 2 to 8, and their code.
    """

    title = "CoTTA"
    cite = "wang2022continual"
    space = {"restore": ("log", 1e-3, 0.1), "confidence": ("uniform", 0.5, 1.0)}

    def __init__(
        self, decay: float = 0.999, restore: float = 0.01, confidence: float = 0.92, views: int = 32, flip: bool = True
    ) -> None:
        self.decay = decay
        self.restore = restore
        self.confidence = confidence
        self.views = views
        self.flip = flip

    def begin(self, net: Net, task: Task) -> None:
        by_batch(net)
        self.moving_ = moving(net, [net])
        self.anchor_, self.teacher_ = (copy.deepcopy(net).requires_grad_(False) for _ in range(2))
        self.source_ = [p.detach().clone() for p in self.moving_]
        self.opt_, self.generator_ = optimiser(self.moving_, task), task.generator

    def logits(self, X: Tensor) -> Tensor:
        with torch.no_grad():
            sure = self.anchor_(X).float().softmax(1).amax(1).mean()
            if bool(sure < self.confidence):
                said = [self.teacher_(jittered(X, self.generator_, self.flip)).float() for _ in range(self.views)]
                found = torch.stack(said).mean(0)
            else:
                found = self.teacher_(X)
        descend(cross_entropy(self.model_(X), found).mean(), self.opt_)
        follow(self.teacher_, self.model_, 1 - self.decay)
        with torch.no_grad():
            for p, start in zip(self.moving_, self.source_, strict=True):
                back = torch.rand(p.shape, generator=self.generator_, device=p.device) < self.restore
                p.copy_(torch.where(back, start, p))
        return found
