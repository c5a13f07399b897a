from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from zoo.adapters._reweighed import Reweighed
from zoo.errors import BadInput
from zoo.ops.adversary import beside, domain_accuracy, is_source
from zoo.ops.doubt import nats
from zoo.ops.reversal import reverse, warm_up

if TYPE_CHECKING:
    from zoo.nets import Net
    from zoo.task import Task
    from zoo.train import Batch


class Ba3us(Reweighed):
    """BA3US: source samples fill up the target that a discriminator sees, ever fewer, and source classes are weighed.

    For partial label sets: aligned so, a target of few classes is not pulled apart over all of the source's. A tenth of
    a run after another, the class weights are measured (mean scores over the target; all 1 in the first tenth), and a
    tenth fewer source samples stand on the target's side: of the first quarter of a batch none in the last tenth. The
    discriminator weighs samples by ``1 + exp(-H)`` of their scores, source ones by their class too; through the entropy
    the gradient is reversed. The target's scores are to be certain, and a source sample's other classes equally likely
    (complement entropy), the more so the less certain it is. The passes of source, target and filling are separate.

    Parameters
    ----------
    weight : float
        Strength of the reversed gradient at the end of its warm-up.
    entropy : float
        Multiple of the entropy of the target's scores.
    complement : float
        Multiple of the complement entropy's penalty: 1 in the authors' code for Office-Home, 5 for Office-31.
    mu : int
        A batch of m target samples is filled up by ``m // mu`` source samples in the beginning; 0: by none.
    updates : int
        Parts of a run.
    hidden : int
        Width of the discriminator's layers; 0: the literature's beside the suite's network.

    Source: Liang et al. (2020), section 3, and their code.
    """

    label_sets = {"closed", "partial"}
    title = "BA3US"
    cite = "liang2020balanced"
    space = {"weight": ("log", 0.1, 10), "entropy": ("log", 0.01, 1), "complement": ("log", 0.1, 10)}

    def __init__(
        self,
        weight: float = 1.0,
        entropy: float = 0.1,
        complement: float = 1.0,
        mu: int = 4,
        updates: int = 10,
        hidden: int = 0,
    ) -> None:
        self.weight, self.entropy, self.complement = weight, entropy, complement
        self.mu, self.updates, self.hidden = mu, updates, hidden

    def setup(self, net: Net, task: Task) -> nn.Module:
        if self.mu < 0:
            raise BadInput(f"ba3us: mu is at least 0, got {self.mu}")
        self.begin(task, task.n_classes)
        self.discriminator_ = beside(net, net.width, self.hidden)
        return self.discriminator_

    def step(self, net: Net, opt: torch.optim.Optimizer, b: Batch) -> Tensor:
        if k := self.filling(b):
            X, y, _ = self.data
            # Of one sample batch norm would make nothing: another one goes with it.
            rows = torch.rand(len(X), generator=b.generator, device=b.xs.device).topk(min(max(k, 2), len(X))).indices
            b.xm, b.ym = X[rows.to(X.device)].to(b.xs.device), y[rows[:k].to(y.device)].to(b.xs.device)
        return super().step(net, opt, b)

    def filling(self, b: Batch) -> int:
        """How many source samples a step puts on the target's side."""
        left = max(self.updates - b.step // self.between(b), 0)
        return len(b.xt) // self.mu * left // self.updates if self.mu else 0

    def omega(self, b: Batch) -> Tensor:
        z, scores, y, n, m = [b.zs, b.zt], [b.ls, b.lt], b.ys, len(b.zs), len(b.zt)
        if "xm" in vars(b):
            zm = b.net.features(b.xm)[: len(b.ym)]
            z, scores, y = [*z, zm], [*scores, b.net.head(zm)], torch.cat([b.ys, b.ym])
        strength, w = self.weight * warm_up(b.progress), self.weights_
        logits = self.discriminator_(reverse(torch.cat(z), strength))
        if b.watched:
            b.terms["domain_accuracy"] = domain_accuracy(logits[: n + m].detach(), n)
        sure = 1 + (-nats(reverse(torch.cat(scores).float().log_softmax(1), strength))).exp()
        losses = binary_cross_entropy_with_logits(logits, is_source(logits, n), reduction="none")
        source = mean(torch.cat([losses[:n], losses[n + m :]]), w[y] * torch.cat([sure[:n], sure[n + m :]]))
        target, share = mean(losses[n : n + m], sure[n : n + m]), 1 + (len(y) - n) / m
        lt = b.lt.float().log_softmax(1)
        return (
            (share * source + target) / (share + 1)
            + self.entropy * nats(lt).mean()
            + self.complement * complement(b.ls.float(), b.ys, w[b.ys])
        )


def mean(values: Tensor, weight: Tensor) -> Tensor:
    """Weighted mean; what the weights sum to is a constant to the gradient."""
    return (weight * values).sum() / weight.detach().sum().clamp_min(torch.finfo(weight.dtype).tiny)


def complement(logits: Tensor, y: Tensor, weight: Tensor) -> Tensor:
    """How unequally likely a sample's other classes than its own are: minus the entropy of their scores, over its most.

    The mean over samples, each weighed by `weight` and by the score that its own class lacks, as constants.

    >>> complement(torch.zeros(2, 3), torch.tensor([0, 2]), torch.ones(2)).item()
    -1.0
    """
    rest = torch.arange(logits.shape[1] - 1, device=logits.device)
    others = logits.gather(1, rest + (rest >= y[:, None]).long()).log_softmax(1)
    lacks = 1 - logits.detach().softmax(1).gather(1, y[:, None])[:, 0] + 1e-7
    return mean(-nats(others), weight * lacks) / math.log(max(len(rest), 2))
