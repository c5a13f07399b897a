from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from zoo.adapters.base import DeepAdapter
from zoo.ops.reversal import warm_up

if TYPE_CHECKING:
    from zoo.nets import Net
    from zoo.task import Task
    from zoo.train import Batch


class Symnets(DeepAdapter):
    """SymNets: a classifier for each domain; both together tell domains apart, by class, and the features prevent it.

    Of their 2C joint scores the first C say source. The classifiers learn the source's classes, and the domains. The
    features confuse the domains, of source samples within the true class, and make the target's scores certain. Source
    and target pass the network one after the other. Predictions are the target classifier's.

    Source: Zhang et al. (2019), eq. 5 to 11.
    """

    title = "SymNets"
    cite = "zhang2019domain"

    def __init__(self) -> None:
        pass

    def setup(self, net: Net, task: Task) -> nn.Module:
        self.target_ = copy.deepcopy(net.head)
        for module in self.target_.modules():
            if callable(reset := getattr(module, "reset_parameters", None)):
                reset()
        return self.target_

    def step(self, net: Net, opt: torch.optim.Optimizer, b: Batch) -> Tensor:
        heads = [*net.head.parameters(), *self.target_.parameters()]
        own = {id(p) for p in heads}
        features = [p for p in net.parameters() if p.requires_grad and id(p) not in own]
        labelled = [(b.xs, b.ys, 1.0)] + ([(b.xl, b.yl, b.budget.target_weight)] if "xl" in vars(b) else [])
        with b.amp():
            zt, zs = net.features(b.xt), [net.features(x) for x, _, _ in labelled]
            p, q = self.joint(net, zs[0]), self.joint(net, zt)
            learnt = torch.stack(
                [
                    weight * (cross_entropy(net.head(z), y) + cross_entropy(self.target_(z), y))
                    for z, (_, y, weight) in zip(zs, labelled, strict=True)
                ]
            ).sum()
            confused = within_class(p, b.ys) + warm_up(b.progress) * (confusion(q) + entropy(q))
        opt.zero_grad(set_to_none=True)
        for loss, moving in ((learnt + tells(p, q), heads), (confused, features)):
            for parameter, g in zip(moving, torch.autograd.grad(loss, moving, retain_graph=True), strict=True):
                parameter.grad = g
        opt.step()
        if b.watched:
            b.terms |= {"source": learnt.detach(), "omega": confused.detach()}
        return (learnt + confused).detach()

    def joint(self, net: Net, z: Tensor) -> Tensor:
        """Log-scores [n, 2C] of both classifiers together."""
        return torch.cat([net.head(z), self.target_(z)], 1).float().log_softmax(1)

    def predict(self, X: Tensor, A: object = None) -> Tensor:
        with torch.no_grad():
            return self.target_(self.model_.embed(X)).float().softmax(1)


def tells(p: Tensor, q: Tensor) -> Tensor:
    """Cross-entropy of the domains, from joint log-scores of source and of target."""
    source, target = p.chunk(2, 1)[0].logsumexp(1), q.chunk(2, 1)[1].logsumexp(1)
    return -source.mean() - target.mean()


def confusion(q: Tensor) -> Tensor:
    """Cross-entropy of the domains against one half each; log 2 at least."""
    source, target = (part.logsumexp(1) for part in q.chunk(2, 1))
    return -(source + target).mean() / 2


def within_class(p: Tensor, y: Tensor) -> Tensor:
    """The same within the true class."""
    source, target = (part.gather(1, y[:, None]) for part in p.chunk(2, 1))
    return -(source + target).mean() / 2


def entropy(q: Tensor) -> Tensor:
    """Mean entropy of the classes, whichever domain."""
    log = torch.logaddexp(*q.chunk(2, 1))
    return -(log.exp() * log).sum(1).mean()
