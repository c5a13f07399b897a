from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from zoo.adapters.base import DeepAdapter
from zoo.ops.adversary import discriminator, domain_accuracy, domain_loss

if TYPE_CHECKING:
    from zoo.nets import Net
    from zoo.task import Task
    from zoo.train import Batch


class Adda(DeepAdapter):
    """ADDA: a target encoder that starts as the source's, and learns to be taken for it by a discriminator.

    The source model is trained beforehand (and shared: its cost is in `shared_s`) and stays as it is, batch-norm
    statistics included; so does its classifier, which reads the target encoder in the end. The target encoder sees
    target batches only. It maximises the discriminator's error by inverted labels, not by reversed gradients.

    As in the authors' code the discriminator has two layers, and it and the encoder learn at a fifth of the rate that
    trained the source model (2e-4 after 1e-3), by Adam with β1 = .5 where the suite's optimiser is Adam. That code lets
    the discriminator read logits, so that the classifier moves too; here it reads features, as eq. 9 does.

    Parameters
    ----------
    hidden : int
        Width of the discriminator's two hidden layers.

    Source: Tzeng et al. (2017), eq. 9.
    """

    needs = {"Xs", "ys", "Xt", "model"}
    rates = {"features": 0.2, "head": 0.2, "extra": 0.2}
    beta1 = 0.5
    title = "ADDA"
    cite = "tzeng2017adversarial"
    space = {"hidden": ("log", 100, 1000)}

    def __init__(self, hidden: int = 500) -> None:
        self.hidden = hidden

    def setup(self, net: Net, task: Task) -> nn.Module:
        net.load_state_dict(task.model.state_dict())
        self.source_ = copy.deepcopy(task.model).eval()
        self.discriminator_ = discriminator(net.width, self.hidden, self.hidden)
        return self.discriminator_

    def step(self, net: Net, opt: torch.optim.Optimizer, b: Batch) -> Tensor:
        with torch.no_grad():
            zs = self.source_.features(b.xs)
        with b.amp():
            zt = net.features(b.xt)
            n = len(zs)
            logits = self.discriminator_(torch.cat([zs, zt.detach()]))
            tells = domain_loss(logits, n)
            told = torch.cat([logits[:n].detach(), self.discriminator_(zt)])
            taken = domain_loss(-told, n)  # each domain as if it were the other; the source's part is a constant
            if "xl" in vars(b):
                taken = taken + b.budget.target_weight * nn.functional.cross_entropy(net(b.xl), b.yl)
        encoder = [p for p in net.parameters() if p.requires_grad and id(p) not in set(map(id, net.head.parameters()))]
        critic = list(self.discriminator_.parameters())
        opt.zero_grad(set_to_none=True)
        for loss, moving in ((tells, critic), (taken, encoder)):
            for p, g in zip(moving, torch.autograd.grad(loss, moving, retain_graph=True), strict=True):
                p.grad = g
        opt.step()
        if b.watched:
            b.terms |= {"omega": taken.detach(), "domain_accuracy": domain_accuracy(logits.detach(), n)}
        return (tells + taken).detach()
