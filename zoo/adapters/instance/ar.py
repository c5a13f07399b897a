from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, normalize

from zoo.adapters._reweighed import Reweighed
from zoo.errors import BadInput
from zoo.ops.adversary import beside
from zoo.ops.doubt import nats
from zoo.ops.priors import simplex

if TYPE_CHECKING:
    from zoo.nets import Net
    from zoo.task import Task
    from zoo.train import Batch

BATCH, RATE, PENALTY = 36, 1e-3, 100.0  # of the critic; its penalty rises from 0 to that
FACTOR, TRIES, HALVINGS = 1.2, 60, 60  # of rho's adjustment; of the bisection


class Ar(Reweighed):
    """AR: source samples weigh as brings them, for a critic of the domains, nearest to the target (partial).

    Ten times a run a new critic learns to give the source more than the target; the weights then minimise the source's
    weighted mean, at a mean squared distance of at most ρ from 1. ρ is changed by a factor of 1.2 until that mean is
    within `bound` of the target's. The network learns the weighted source, and certain scores on the target, which move
    its features only. Features are brought to one length before the classifier, whose rows have length 1, and before
    the critic. Source and target pass the network one after the other.

    Parameters
    ----------
    entropy : float
        Multiple of the entropy of the target's scores.
    rho : float
        The paper's ρ, before it is changed.
    bound : float
        How far from the target's the source's weighted mean may be.
    radius : float
        Length of the features: 10 in the authors' code for Office-Home, 8.5 for Office-31.
    updates : int
        How often a run measures the weights.
    n : int
        Steps of the critic for each step between two measurings: 3,000 to 500.
    hidden : int
        Width of the critic's layers; 0: the literature's beside the suite's network. The critic takes most of a fit.

    The other defaults are those of the authors' code for Office-Home. As there, the critic's penalty is on norms over
    the samples of a batch, feature by feature, and its dropout is on as well when it is asked for the samples' values.

    Source: Gu et al. (2021), section 3, and their code.
    """

    label_sets = {"closed", "partial"}
    title = "AR"
    cite = "gu2021adversarial"
    space = {"entropy": ("log", 0.01, 1), "rho": ("log", 1, 20), "radius": ("log", 5, 20)}

    def __init__(
        self,
        entropy: float = 0.1,
        rho: float = 5.0,
        bound: float = 5.0,
        radius: float = 10.0,
        updates: int = 10,
        n: int = 6,
        hidden: int = 1024,
    ) -> None:
        self.entropy, self.rho, self.bound, self.radius = entropy, rho, bound, radius
        self.updates, self.n, self.hidden = updates, n, hidden

    def setup(self, net: Net, task: Task) -> None:
        if self.rho <= 0:
            raise BadInput(f"ar: rho is above 0, got {self.rho}")
        self.begin(task, len(task.Xs))
        net.head = Sphere(net.width, task.n_classes, self.radius)

    def weight_of(self, b: Batch) -> Tensor:
        return self.weights_[b.ids]

    def measure(self, net: Net, b: Batch) -> Tensor:
        Z = [self.radius * normalize(net.embed(X).to(b.xs.device).float(), dim=1) for X in self.data[::2]]
        critic = beside(net, net.width, self.hidden).to(Z[0].device).train()
        train(critic, Z[0], Z[1], self.n * self.between(b), b.generator)
        with torch.no_grad():
            source, target = (critic(z) for z in Z)
        return nearest(source, target, self.rho, self.bound)

    def omega(self, b: Batch) -> Tensor:
        return self.entropy * nats(b.net.head(b.zt, fixed=True).float().log_softmax(1)).mean()


class Sphere(nn.Module):
    """Logits are products of features at one length and rows at length 1, and a bias of at most that length."""

    def __init__(self, width: int, n_classes: int, radius: float) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.empty(n_classes, width)), nn.Parameter(torch.zeros(n_classes))
        self.radius = radius
        nn.init.xavier_uniform_(self.weight)

    def forward(self, z: Tensor, fixed: bool = False) -> Tensor:
        weight, bias = (p.detach() if fixed else p for p in (self.weight, self.bias))
        return linear(self.radius * normalize(z, dim=1), normalize(weight, dim=1), self.radius * bias.tanh())


def train(critic: nn.Module, zs: Tensor, zt: Tensor, steps: int, generator: torch.Generator | None) -> None:
    """Let the critic give the source more than the target, under a penalty that grows with the steps."""
    opt = torch.optim.Adam(critic.parameters(), lr=RATE, fused=zs.device.type != "meta")
    size = min(BATCH, len(zs), len(zt))

    def batches(z: Tensor) -> Tensor:
        each = len(z) // size  # of a pass
        passes = [torch.rand(len(z), generator=generator, device=z.device).argsort() for _ in range(-(-steps // each))]
        return torch.cat([rows[: each * size].view(each, size) for rows in passes])

    for i, (own, others) in enumerate(zip(batches(zs)[:steps], batches(zt)[:steps], strict=True)):
        s, t = zs[own], zt[others]
        share = torch.rand(size, 1, generator=generator, device=s.device)
        gap = critic(s).mean() - critic(t).mean()
        loss = PENALTY * i / steps * steep(critic, s, t, share) - gap
        opt.zero_grad(set_to_none=True)
        loss.backward()
        opt.step()


def steep(critic: nn.Module, s: Tensor, t: Tensor, share: Tensor) -> Tensor:
    """How far from 1 the norms of the critic's gradient are, over samples of the source, the target, and between."""
    z = torch.stack([s + share * (t - s), s, t]).detach().requires_grad_()
    (slope,) = torch.autograd.grad(critic(z).sum(), z, create_graph=True)
    return ((slope.square().sum(1) + 1e-12).sqrt() - 1).square().mean()


def nearest(source: Tensor, target: Tensor, rho: float, bound: float) -> Tensor:
    """Weights of source samples [n] by the critic's values, with ρ changed until the gap that is left is in bounds."""
    if source.is_meta:
        return torch.ones_like(source)
    values, mean = source.double().cpu(), float(target.double().mean())
    for _ in range(TRIES):
        w = least(values, rho)
        gap = float((w * values).mean()) - mean
        if abs(gap) <= bound or (gap > 0 and rho >= len(values)):
            break
        rho = rho * FACTOR if gap > 0 else rho / FACTOR
    return w.to(source.device, source.dtype)


def least(values: Tensor, rho: float) -> Tensor:
    """Non-negative weights of mean 1 and of the least weighted sum, with a mean squared distance of at most ρ from 1.

    They are the nearest of such weights to ``1 - values / scale``; the scale is found by bisection.

    >>> least(torch.tensor([0.0, 1.0, 1.0, 2.0]), 0.5).round(decimals=6).tolist()
    [2.0, 1.0, 1.0, 0.0]
    >>> least(torch.tensor([0.0, 1.0, 1.0, 2.0]), 9.0).round(decimals=6).tolist()
    [4.0, 0.0, 0.0, 0.0]
    """
    v = values.double() - values.double().min()
    high = float(v.std(correction=0)) / rho**0.5  # where no weight would be cut off at 0
    low = 1e-9 * high
    if not high:
        return torch.ones_like(v)

    def at(scale: float) -> Tensor:
        return len(v) * simplex(-v / scale / len(v))

    for _ in range(HALVINGS):
        middle = (low * high) ** 0.5
        if float((at(middle) - 1).square().mean()) > rho:
            low = middle
        else:
            high = middle
    return at(high)
