from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize, one_hot

from zoo.adapters.base import DeepAdapter
from zoo.nets._domains import SOURCE, TARGET, per_domain, switch

if TYPE_CHECKING:
    from zoo.nets import Net
    from zoo.task import Task
    from zoo.train import Batch

ITERATIONS, SETTLED = 30, 0.005  # of k-means, at most; and the mean move of the centres that ends it
KERNELS, FEW, LEAST, MOST = 5, 3, 1e-5, 1e5  # FEW: sure samples that a class needs; LEAST, MOST: of d²/γ


class Can(DeepAdapter):
    """CAN: the penalty is the discrepancy of the same class across domains less that of different classes.

    The network starts from the source model and has a batch norm for each domain. Every 100 steps the target's classes
    are estimated by spherical k-means of its features, from the source's class centres; samples far from their centre
    are left out, and so are classes with fewer than 3 of the others. Each step learns the source from an ordinary batch
    and aligns a second one, drawn class by class: `classes` of them, `per_class` samples of each domain. Features and
    scores are aligned, each under the sum of five kernels, whose width is of the pair of classes compared. In the
    authors' code training ends when the clusters have settled; here the suite's steps decide.

    Parameters
    ----------
    weight : float
        Multiple of the penalty; the paper's β.
    classes, per_class : int
        Of the aligned batch.
    threshold : float
        Farthest from the centre, as half of one minus the cosine, that a sample counts; 1: all count.

    Source: Kang et al. (2019), eq. 3 to 6, and their code for Office-31.
    """

    needs = {"Xs", "ys", "Xt", "model"}
    refresh_every = 100
    title = "CAN"
    cite = "kang2019contrastive"
    space = {"weight": ("log", 0.05, 5), "threshold": ("log", 0.02, 1)}

    def __init__(self, weight: float = 0.3, classes: int = 10, per_class: int = 3, threshold: float = 0.05) -> None:
        self.weight, self.classes, self.per_class, self.threshold = weight, classes, per_class, threshold

    def setup(self, net: Net, task: Task) -> Any:
        net.load_state_dict(task.model.state_dict())
        per_domain(net)
        self.data = task.Xs, task.Xt  # no trailing underscore: a checkpoint does not hold them

    def refresh(self, net: Net, task: Task) -> None:
        switch(net, SOURCE)
        zs = net.embed(task.Xs).float()
        switch(net, TARGET)
        zt = net.embed(task.Xt).float()
        self.source_ = one_hot(task.ys.to(zs.device), task.n_classes).T.to(zs.dtype)
        start = self.source_ @ zs
        centres = spherical_kmeans(zt, start)
        far, label = apart(zt, centres).min(1)
        label = matched(apart(centres, start))[label]
        self.target_ = one_hot(label, task.n_classes).T.to(zs.dtype) * (far < self.threshold)
        self.known_ = ((self.target_.sum(1) >= FEW) & (self.source_.sum(1) >= 1)).to(zs.dtype)

    def step(self, net: Net, opt: torch.optim.Optimizer, b: Batch) -> Tensor:
        drawn = (torch.rand(self.known_.shape, generator=b.generator, device=b.xs.device) + self.known_).topk(
            min(self.classes, len(self.known_))
        )
        k = min(self.per_class, len(self.data[0]), len(self.data[1]))
        xs, xt = (
            X[rows(members[drawn.indices], k, b.generator).to(X.device)].to(b.xs.device)
            for X, members in zip(self.data, (self.source_, self.target_), strict=True)
        )
        with b.amp():
            switch(net, SOURCE)
            learnt, zs = cross_entropy(net(b.xs), b.ys), net.features(xs)
            switch(net, TARGET)
            zt = net.features(xt)
            if "xl" in vars(b):
                learnt = learnt + b.budget.target_weight * cross_entropy(net(b.xl), b.yl)
            scores = [net.head(z).float().softmax(1) for z in (zs, zt)]
            known, total = self.known_[drawn.indices], len(self.known_)
            omega = self.weight * contrast([(zs.float(), zt.float()), (scores[0], scores[1])], known, total)
        loss = learnt + omega
        opt.zero_grad(set_to_none=True)
        loss.backward()
        opt.step()
        if b.watched:
            b.terms |= {"source": learnt.detach(), "omega": omega.detach()}
        return loss.detach()


def rows(members: Tensor, k: int, generator: torch.Generator | None) -> Tensor:
    """`k` rows of each class, one class after the other, from who is a member [classes, n]; of too few, others too."""
    u = torch.rand(members.shape, generator=generator, device=members.device)
    return (u + members).topk(k, 1).indices.flatten()


def apart(X: Tensor, Y: Tensor) -> Tensor:
    """Half of one minus the cosines, [n, m]."""
    return (1 - normalize(X, dim=1) @ normalize(Y, dim=1).T) / 2


def spherical_kmeans(Z: Tensor, start: Tensor) -> Tensor:
    """Class centres [C, d], sums of the rows whose cosine is highest; one that loses all its rows starts again."""
    centres, done = start, torch.zeros((), dtype=torch.bool, device=Z.device)
    for _ in range(ITERATIONS):
        members = one_hot(apart(Z, centres).argmin(1), len(start)).to(Z.dtype)
        some = (members.sum(0) > 0).to(Z.dtype)[:, None]
        moved = some * (members.T @ Z) + (1 - some) * start
        settled = apart(moved, centres).diagonal().mean() < SETTLED
        centres = torch.where(done, centres, moved)
        done = done | settled
    return centres


def matched(cost: Tensor) -> Tensor:
    """For each row its column of the least total cost, one to one."""
    from scipy.optimize import linear_sum_assignment

    if cost.is_meta:
        return cost.argmin(1)
    return torch.as_tensor(linear_sum_assignment(cost.cpu().numpy())[1], device=cost.device)


def contrast(layers: list[tuple[Tensor, Tensor]], known: Tensor, n_classes: int) -> Tensor:
    """Discrepancies of equal classes less those of different ones, over the pairs of known classes.

    Parameters
    ----------
    layers : rows of both domains, class by class, as many of each
    known : Tensor [classes], 1 or 0
    n_classes : what sums over classes and over pairs are divided by, C and C (C - 1), however many are here
    """
    D = torch.stack([discrepancies(S, T, len(known)) for S, T in layers]).sum(0)
    pairs = known[:, None] * known
    equal = (D.diagonal() * known).sum()
    return equal / n_classes - ((D * pairs).sum() - equal) / max(n_classes * (n_classes - 1), 1)


def discrepancies(S: Tensor, T: Tensor, classes: int) -> Tensor:
    """Squared MMD [classes, classes] of each source class and each target class, under the pair's own five kernels."""
    k = len(S) // classes
    s, t = S.view(classes, k, -1), T.view(classes, k, -1)
    ss, tt = ((x[:, :, None] - x[:, None]).square().sum(-1) for x in (s, t))  # [classes, k, k]
    st = (s[:, None, :, None] - t[None, :, None]).square().sum(-1)  # [classes, classes, k, k]
    within = ss.sum((1, 2))[:, None] + tt.sum((1, 2)) + 2 * st.sum((2, 3))
    width = (within / (4 * k * k - 2 * k)).detach()

    def kernel(d: Tensor) -> Tensor:
        found = d.new_zeros(classes, classes)
        for j in range(KERNELS):
            gamma = (width * 2.0 ** (j - KERNELS // 2)).clamp_min(LEAST)[..., None, None]
            found = found + (-(d / gamma).clamp(LEAST, MOST)).exp().mean((2, 3))
        return found

    return kernel(ss[:, None]) + kernel(tt[None]) - 2 * kernel(st)
