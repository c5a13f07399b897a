from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from zoo.adapters.base import DeepAdapter
from zoo.errors import BadInput
from zoo.ops.adversary import discriminator
from zoo.train import forward, objective

if TYPE_CHECKING:
    from zoo.nets import Net
    from zoo.task import Task
    from zoo.train import Batch


class Wdgrl(DeepAdapter):
    """WDGRL: a critic estimates the Wasserstein distance of the domains' features, which the features then lower.

    Each step trains the critic `n` times on the batch's features, and then the network once. Source and target pass the
    network one after the other.

    Parameters
    ----------
    weight : float
        Multiple of the estimated distance; the paper's λ.
    n : int
        Steps of the critic for each of the network.
    penalty : float
        Holds the critic's gradient at length 1 between the domains; the paper's γ.
    hidden : int
        Width of the critic's hidden layer; the paper's is 100.

    The defaults are those of the authors' script for Amazon reviews: network and critic learn at a tenth of the usual
    rate (1e-4, by Adam). Their other scripts have another `weight` (0.01, 0.1), and for Office ten steps at 1e-3.

    Source: Shen et al. (2018), algorithm 1, and their code.
    """

    rates = {"features": 0.1, "head": 0.1, "extra": 0.1}
    title = "WDGRL"
    cite = "shen2018wasserstein"
    tasks = {"classification", "regression"}
    space = {"weight": ("log", 0.01, 10), "n": ("int", 1, 10)}

    def __init__(self, weight: float = 1.0, n: int = 5, penalty: float = 10.0, hidden: int = 100) -> None:
        self.weight, self.n, self.penalty, self.hidden = weight, n, penalty, hidden

    def setup(self, net: Net, task: Task) -> nn.Module:
        if self.n < 1:
            raise BadInput(f"wdgrl: n is at least 1, got {self.n}")
        self.critic_ = discriminator(net.width, self.hidden)
        return self.critic_

    def step(self, net: Net, opt: torch.optim.Optimizer, b: Batch) -> Tensor:
        critic = list(self.critic_.parameters())
        moving = [p for p in net.parameters() if p.requires_grad]
        with b.amp():
            forward(net, b)
        zs, zt = b.zs.detach().float(), b.zt.detach().float()
        for _ in range(self.n):
            short = gradient_penalty(self.critic_, zs, zt, b.generator)
            _descend(opt, self.penalty * short - gap(self.critic_, zs, zt), critic)
        with b.amp():
            loss = objective(net, b)
        _descend(opt, loss, moving)
        return loss.detach()

    def omega(self, b: Batch) -> Tensor:
        return self.weight * gap(self.critic_, b.zs, b.zt)


def gap(critic: nn.Module, zs: Tensor, zt: Tensor) -> Tensor:
    """How much more the critic gives the source; the Wasserstein-1 distance if it is the best of slope at most 1."""
    return critic(zs).mean() - critic(zt).mean()


def gradient_penalty(critic: nn.Module, zs: Tensor, zt: Tensor, generator: torch.Generator | None) -> Tensor:
    """Mean squared deviation of the critic's slope from 1, at both domains' samples and at points between them."""
    n = min(len(zs), len(zt))
    share = torch.rand(n, 1, generator=generator, device=zs.device)
    z = torch.cat([share * zs[:n] + (1 - share) * zt[:n], zs, zt]).requires_grad_()
    (slope,) = torch.autograd.grad(critic(z).sum(), z, create_graph=True)
    return ((slope.square().sum(1) + 1e-12).sqrt() - 1).square().mean()


def _descend(opt: torch.optim.Optimizer, loss: Tensor, moving: list[nn.Parameter]) -> None:
    opt.zero_grad(set_to_none=True)
    for p, g in zip(moving, torch.autograd.grad(loss, moving), strict=True):
        p.grad = g
    opt.step()
