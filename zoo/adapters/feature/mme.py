from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, linear, normalize

from zoo.adapters.base import DeepAdapter
from zoo.ops.reversal import reverse

if TYPE_CHECKING:
    from zoo.nets import Net
    from zoo.task import Task
    from zoo.train import Batch


class Mme(DeepAdapter):
    """MME: class prototypes move towards the target where its scores are uncertain, the features towards prototypes.

    Semi-supervised: it needs labelled target samples. The classifier is a cosine one; on unlabelled target samples it
    maximises the entropy of the scores, and the features, by reversed gradients, minimise it. As in the authors' code
    each step is two of the optimiser: one on the mean loss of labelled samples, source and target in one batch, and one
    on the entropy; and prototypes are not of length 1, features are.

    Parameters
    ----------
    weight : float
        Multiple of the entropy; the paper's λ.
    temperature : float
        Divides the cosines; the paper's T.

    Source: Saito et al. (2019), eq. 2 to 4.
    """

    needs = {"Xs", "ys", "Xt", "Xl", "yl"}
    title = "MME"
    cite = "saito2019semi"
    space = {"weight": ("log", 0.01, 1), "temperature": ("log", 0.02, 0.2)}

    def __init__(self, weight: float = 0.1, temperature: float = 0.05) -> None:
        self.weight, self.temperature = weight, temperature

    def setup(self, net: Net, task: Task) -> Any:
        net.head = Cosine(net.width, task.n_classes, self.temperature)

    def step(self, net: Net, opt: torch.optim.Optimizer, b: Batch) -> Tensor:
        with b.amp():
            learnt = cross_entropy(net(torch.cat([b.xs, b.xl])), torch.cat([b.ys, b.yl]))
        move(opt, learnt)
        with b.amp():
            b.zt = net.features(b.xt)
            omega = self.omega(b)
        move(opt, omega)
        if b.watched:
            b.terms |= {"source": learnt.detach(), "omega": omega.detach()}
        return (learnt + omega).detach()

    def omega(self, b: Batch) -> Tensor:
        log = b.net.head(reverse(b.zt, 1.0)).float().log_softmax(1)
        return self.weight * (log.exp() * log).sum(1).mean()


def move(opt: torch.optim.Optimizer, loss: Tensor) -> None:
    """One step down a loss."""
    opt.zero_grad(set_to_none=True)
    loss.backward()
    opt.step()


class Cosine(nn.Module):
    """Logits are products of features at length 1 and prototypes, over a temperature."""

    def __init__(self, width: int, n_classes: int, temperature: float) -> None:
        super().__init__()
        self.weight, self.temperature = nn.Parameter(torch.empty(n_classes, width)), temperature
        nn.init.xavier_normal_(self.weight)

    def forward(self, z: Tensor) -> Tensor:
        return linear(normalize(z, dim=1), self.weight) / self.temperature
