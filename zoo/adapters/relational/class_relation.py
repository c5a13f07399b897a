from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import one_hot

from zoo.adapters.base import DeepAdapter
from zoo.ops.adversary import discriminator, domain_accuracy, domain_loss

if TYPE_CHECKING:
    from zoo.nets import Net
    from zoo.task import Task
    from zoo.train import Batch


class ClassRelation(DeepAdapter):
    """Soft labels: target samples score the other classes as the source's samples of their class do; domains confused.

    The source model's mean softened scores of a class are that class's soft label: how it relates to the others (a
    bottle is more like a mug than like a keyboard). In the paper labelled target samples are trained on the soft labels
    of their classes. So are those granted here (`labels: K`); a target sample without a label is trained on the mean of
    the soft labels under its own present scores, which are taken as constants. Domain confusion as in the paper: a
    discriminator learns the domains, the features to leave it undecided.

    Parameters
    ----------
    soft : float
        Multiple of the cross-entropy with soft labels; the paper's ν.
    confuse : float
        Multiple of the domain confusion; the paper's λ.
    temperature : float
        Divides the logits of both; the paper's τ.
    hidden : int
        Width of the discriminator's hidden layer.

    Source: Tzeng et al. (2015), eq. 2 to 8.
    """

    needs = {"Xs", "ys", "Xt", "model"}
    title = "Soft labels"
    cite = "tzeng2015simultaneous"
    space = {"soft": ("log", 0.01, 3), "confuse": ("log", 0.001, 1), "temperature": ("uniform", 1, 5)}

    def __init__(self, soft: float = 0.1, confuse: float = 0.01, temperature: float = 2.0, hidden: int = 256) -> None:
        self.soft, self.confuse, self.temperature, self.hidden = soft, confuse, temperature, hidden

    def setup(self, net: Net, task: Task) -> nn.Module:
        with torch.no_grad():
            logits = task.model.head(task.model.embed(task.Xs)).float()
        self.relation_ = relation(logits, task.ys, task.n_classes, self.temperature)
        self.discriminator_ = discriminator(net.width, self.hidden)
        return self.discriminator_

    def omega(self, b: Batch) -> Tensor:
        p = b.lt.detach().float().softmax(1)
        loss = soft_loss(b.lt, p, self.relation_, self.temperature)
        if "ll" in vars(b):
            labels = one_hot(b.yl, len(self.relation_)).to(p.dtype)
            loss = loss + soft_loss(b.ll, labels, self.relation_, self.temperature)
        z, n = torch.cat([b.zs, b.zt]), len(b.zs)
        logits = self.discriminator_(z.detach())
        fixed = {k: v.detach() for k, v in self.discriminator_.named_parameters()}
        if b.watched:
            b.terms["domain_accuracy"] = domain_accuracy(logits.detach(), n)
        confusion = undecided(functional_call(self.discriminator_, fixed, (z,)))
        return self.soft * loss + self.confuse * confusion + domain_loss(logits, n)


def relation(logits: Tensor, y: Tensor, n_classes: int, temperature: float) -> Tensor:
    """The soft label [C, C] of every class: mean softened scores of its samples; even where it has none."""
    members = one_hot(y, n_classes).to(logits.dtype)
    sums = members.T @ (logits / temperature).softmax(1)
    n = members.sum(0)[:, None]
    return torch.where(n > 0, sums / n.clamp_min(1), 1 / n_classes)


def soft_loss(logits: Tensor, p: Tensor, soft: Tensor, temperature: float) -> Tensor:
    """Cross-entropy of softened scores with the mean soft label under class weights p [n, C]."""
    return -(p @ soft * (logits.float() / temperature).log_softmax(1)).sum(1).mean()


def undecided(logits: Tensor) -> Tensor:
    """Cross-entropy of even odds with a discriminator's: least where it cannot tell, each domain being one half.

    >>> round(undecided(torch.zeros(3)).item(), 4)  # log 2
    0.6931
    """
    return (nn.functional.softplus(logits) + nn.functional.softplus(-logits)).mean() / 2
