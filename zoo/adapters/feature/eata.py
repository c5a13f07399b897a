from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.adapters._streaming import Streaming, by_batch, descend, entropy, moving, norms, optimiser

if TYPE_CHECKING:
    from zoo.nets import Net
    from zoo.task import Task


class Eata(Streaming):
    """EATA: entropy of samples that are sure and new falls; what mattered to the source holds its parameters back.

    The scales and shifts of normalisation layers move, batch norm under each batch's own statistics. Samples count
    whose entropy is below ``margin·ln C`` and whose scores have a cosine below `similarity` with the running mean of
    those that counted, by ``exp(margin·ln C − entropy)``. The penalty is `weight` times ``Σ F (θ − θ_source)²``, F the
    diagonal Fisher information of the source model's own decisions. A batch is predicted before its step.

    F is measured on `samples` of the source, whose labels it is not given (the authors take 2000 from ImageNet's
    validation set; without the source there are none). The figures are the paper's for ten classes of small images
    (ImageNet: 0.05 and 2000). The suite's optimiser and rate stand in place of SGD with momentum .9.

    Source: Niu et al. (2022), eq. 2 to 9, and their code.
    """

    needs = {"model", "Xs"}
    title = "EATA"
    cite = "niu2022efficient"
    space = {"margin": ("uniform", 0.1, 1.0), "similarity": ("log", 0.02, 1.0), "weight": ("log", 0.1, 5000)}

    def __init__(
        self, margin: float = 0.4, similarity: float = 0.4, weight: float = 1.0, samples: int = 2000, decay: float = 0.9
    ) -> None:
        self.margin = margin
        self.similarity = similarity
        self.weight = weight
        self.samples = samples
        self.decay = decay

    def begin(self, net: Net, task: Task) -> None:
        self.moving_ = moving(net, norms(net))
        by_batch(net)
        self.limit_, self.mean_ = self.margin * math.log(task.n_classes), None
        rows = torch.randperm(len(task.Xs), generator=task.generator, device=task.device)[: self.samples]
        size, device = task.learner.budget.batch_size, next(net.parameters()).device
        batches = [task.Xs[r.to(task.Xs.device)].to(device) for r in rows.split(size) if len(r) > 1]
        with torch.enable_grad():
            self.fisher_ = fisher(net, batches, self.moving_)
        self.source_ = [p.detach().clone() for p in self.moving_]
        self.opt_ = optimiser(self.moving_, task)

    def logits(self, X: Tensor) -> Tensor:
        found = self.model_(X)
        h, scores = entropy(found), found.detach().float().softmax(1)
        counts = h < self.limit_
        if self.mean_ is not None:
            counts = counts & (F.cosine_similarity(self.mean_[None], scores).abs() < self.similarity)
        if bool(counts.any()):
            w = (self.limit_ - h[counts].detach()).exp()
            kept = zip(self.fisher_, self.moving_, self.source_, strict=True)
            hold = torch.stack([(f * (p - start) ** 2).sum() for f, p, start in kept]).sum()
            descend((w * h[counts]).mean() + self.weight * hold, self.opt_)
            mean = scores[counts].mean(0)
            self.mean_ = mean if self.mean_ is None else self.decay * self.mean_ + (1 - self.decay) * mean
        return found


def fisher(net: nn.Module, batches: list[Tensor], parameters: list[nn.Parameter]) -> list[Tensor]:
    """Mean squared gradients, over batches, of the cross-entropy with the network's own decisions."""
    total = [torch.zeros_like(p) for p in parameters]
    for X in batches:
        logits = net(X)
        gradients = torch.autograd.grad(F.cross_entropy(logits, logits.argmax(1)), parameters)
        total = [f + g**2 / len(batches) for f, g in zip(total, gradients, strict=True)]
    return total
