from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import kl_div

from zoo.adapters.feature.dann import Dann
from zoo.errors import Unsupported
from zoo.ops.adversary import discriminator, domain_accuracy, domain_loss

if TYPE_CHECKING:
    from zoo.nets import Net
    from zoo.task import Task
    from zoo.train import Batch

PROBE = 1e-2  # length of the probe that finds the direction, in deviations of the input


class Vada(Dann):
    """VADA: a discriminator is deceived; the target is scored surely, both domains alike after small perturbations.

    The perturbation is the worst of its length to first order (virtual adversarial training, one power iteration). So
    class boundaries leave the regions where samples are. Source and target pass the network one after the other.

    Parameters
    ----------
    weight, hidden
        Those of ``dann``; here one hidden layer.
    certain : float
        Multiple of the target's entropy and of its perturbed divergence; the paper's λ_t.
    smooth : float
        Multiple of the source's perturbed divergence; the paper's λ_s.
    radius : float
        Length of the perturbation, as a share of the inputs' root mean square deviation times √d. The authors' 3.5, on
        32 × 32 × 3 inputs normalised each by itself, is 0.063.

    As in the authors' code predictions are of a running mean of the parameters (decay .998), Adam's β1 is .5, and the
    features learn by inverted domain labels, at `weight` from the first step on, not by reversed gradients.

    Source: Shu et al. (2018), eq. 2 to 8, and their code; Miyato et al. (2018), algorithm 1.
    """

    ema = 0.998
    beta1 = 0.5
    tasks = {"classification"}
    title = "VADA"
    cite = "shu2018dirt"
    space = {"certain": ("log", 1e-3, 1), "smooth": ("log", 0.1, 10), "radius": ("log", 0.03, 1)}

    def __init__(
        self,
        weight: float = 0.01,
        hidden: int = 100,
        certain: float = 0.01,
        smooth: float = 1.0,
        radius: float = 0.063,
    ) -> None:
        super().__init__(weight, hidden)
        self.certain, self.smooth, self.radius = certain, smooth, radius

    def setup(self, net: Net, task: Task) -> nn.Module:
        self.discriminator_ = discriminator(net.width, self.hidden)
        return self.discriminator_

    def omega(self, b: Batch) -> Tensor:
        if not b.xt.is_floating_point():
            raise Unsupported("perturbs inputs, and photographs that are trained on as files are whole numbers")
        log = b.lt.float().log_softmax(1)
        entropy = -(log.exp() * log).sum(1).mean()
        steady = [worst(b.net, x, logits, self.radius, b.generator) for x, logits in ((b.xs, b.ls), (b.xt, b.lt))]
        n, z = len(b.zs), torch.cat([b.zs, b.zt])
        logits = self.discriminator_(z.detach())
        fixed = {k: v.detach() for k, v in self.discriminator_.named_parameters()}
        confused = domain_loss(-functional_call(self.discriminator_, fixed, (z,)), n)
        if b.watched:
            b.terms["domain_accuracy"] = domain_accuracy(logits.detach(), n)
        return (
            domain_loss(logits, n)
            + self.weight * confused
            + self.smooth * steady[0]
            + self.certain * (entropy + steady[1])
        )


def worst(net: Net, x: Tensor, logits: Tensor, radius: float, generator: torch.Generator | None) -> Tensor:
    """Mean divergence of the scores at ``x + r`` from those at x, r of the worst direction; x's are constants."""
    before = logits.detach().float().log_softmax(1)
    d = torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype)
    size = x.detach().std(0, correction=0).square().mean().sqrt() * math.sqrt(x[0].numel())
    d = unit(d).requires_grad_()
    (g,) = torch.autograd.grad(divergence(before, net(x + PROBE * size * d)), d)
    return divergence(before, net(x + radius * size * unit(g.detach())))


def unit(d: Tensor) -> Tensor:
    """Samples at length 1."""
    norm = d.flatten(1).norm(dim=1).clamp_min(torch.finfo(d.dtype).tiny)
    return d / norm.view(-1, *[1] * (d.dim() - 1))


def divergence(before: Tensor, logits: Tensor) -> Tensor:
    """Mean Kullback-Leibler divergence from log-scores to logits."""
    return kl_div(logits.float().log_softmax(1), before, reduction="batchmean", log_target=True)
