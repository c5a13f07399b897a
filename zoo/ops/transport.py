"""Optimal transport between uniform samples: exact plans, entropic plans, plans that keep classes apart, Gaussian maps.

Costs are squared Euclidean distances. Their unit is `scale`, so that a regularisation means the same on all data.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from zoo.ops.coral import covariance, sym_power
from zoo.ops.kernels import sq_dists

TINY, HUGE = 1e-100, 1e100  # scalings beyond these are absorbed into the potentials


def scale(Xs: Tensor, Xt: Tensor) -> Tensor:
    """Mean squared distance of a source and a target row once both domains are centred: tr(cov_s) + tr(cov_t).

    A translation of a domain adds ``u_i + v_j`` to the cost and so leaves every plan as it is; hence it must not move
    the unit either. 1 where each domain is a single point.

    >>> X = torch.tensor([[0.0], [2.0]])
    >>> scale(X, X + 100).item()
    2.0
    """
    spreads = [X.flatten(1).double().var(0, correction=0).sum() for X in (Xs, Xt)]
    total = spreads[0] + spreads[1]
    return torch.where(total > 0, total, torch.ones_like(total))


@dataclass(frozen=True)
class Plan:
    """A coupling [n, m]. `error`: L1 distance of its marginals from uniform; f [n], g [m]: dual potentials."""

    P: Tensor
    error: float
    iterations: int
    f: Tensor | None = None
    g: Tensor | None = None


def marginal_error(P: Tensor) -> float:
    """L1 distance of both marginals from the uniform ones, together."""
    n, m = P.shape
    return float((P.sum(1) - 1 / n).abs().sum() + (P.sum(0) - 1 / m).abs().sum())


def emd(C: Tensor, a: Tensor | None = None) -> Plan:
    """The exact plan for a cost [n, m], by POT's network simplex on the CPU. Its time grows faster than n².

    Parameters
    ----------
    a : masses of the rows [n], of sum 1; the same for all unless given. The error is of uniform ones.

    Raises
    ------
    FloatingPointError
        The solver stopped before the optimum.

    >>> plan = emd(torch.tensor([[0.0, 1.0], [1.0, 0.0]]))
    >>> plan.P.tolist(), bool((plan.f[:, None] + plan.g).isclose(plan.P.new_tensor([[0, 1], [1, 0]])).diagonal().all())
    ([[0.5, 0.0], [0.0, 0.5]], True)
    """
    import ot

    C = C.double()
    rows = C.mean(1, keepdim=True)  # the same plans; keeps the solver's tolerance meaningful for far-apart domains
    columns = (C - rows).mean(0)
    C = C - rows - columns
    n, m = C.shape
    masses = torch.full((n,), 1 / n, dtype=torch.float64) if a is None else a.double().cpu()
    b = torch.full((m,), 1 / m, dtype=torch.float64).numpy()
    P, log = ot.emd(masses.numpy(), b, (C - C.min()).cpu().numpy(), numItermax=100_000_000, log=True)
    if log["warning"] is not None:
        raise FloatingPointError(f"exact transport did not finish: {log['warning']}")
    plan, f, g = (torch.as_tensor(x, dtype=torch.float64, device=C.device) for x in (P, log["u"], log["v"]))
    return Plan(plan, marginal_error(plan), 0, f + rows[:, 0] + C.min(), g + columns)


def _soft_min(C: Tensor, g: Tensor, reg: float, chunk: int = 1024) -> Tensor:
    """``-reg log Σ_j exp((g_j - C_ij) / reg)`` [n], some rows at a time."""
    return torch.cat([-reg * torch.logsumexp((g - rows) / reg, 1) for rows in C.split(chunk)])


def sinkhorn(
    C: Tensor, reg: float, tol: float = 1e-4, max_iter: int = 1000, f: Tensor | None = None, g: Tensor | None = None
) -> Plan:
    """The plan that minimises ``<P, C> + reg Σ P log P``; marginals within `tol` in L1 unless `max_iter` ends it.

    Cuturi's scalings by matrix-vector products on a kernel stabilised by dual potentials: every row and column of the
    first kernel holds a 1. Scalings that leave the range of floats are absorbed by a step in the log domain, so there
    is no NaN at any `reg`. Holds one [n, m] matrix in float64 beside the cost (n = m = 10,000: 0.8 GB each).

    >>> sinkhorn(torch.tensor([[0.0, 1.0], [1.0, 0.0]]).double(), 1e-3).P.tolist()
    [[0.5, 0.0], [0.0, 0.5]]
    """
    n, m = C.shape
    if f is None or g is None:
        f = C.min(1).values
        g = torch.cat([(columns - f[:, None]).min(0).values for columns in C.split(1024, 1)])
    u, v = C.new_ones(n), C.new_ones(m)

    def kernel(f: Tensor, g: Tensor) -> Tensor:
        return (f[:, None] + g).sub_(C).div_(reg).exp_()

    K = kernel(f, g)
    done = 0
    for done in range(1, max_iter + 1):
        r = K @ v
        if bool(r.min() < TINY) or bool(v.max() > HUGE):
            g = g + reg * v.log()
            f = _soft_min(C, g, reg) - reg * torch.log(C.new_tensor(float(n)))
            u, v, K = torch.ones_like(u), torch.ones_like(v), kernel(f, g)
        else:
            u = 1 / (n * r)
        s = u @ K
        if bool(s.min() < TINY) or bool(u.max() > HUGE):
            f = f + reg * u.log()
            g = _soft_min(C.T, f, reg) - reg * torch.log(C.new_tensor(float(m)))
            u, v, K = torch.ones_like(u), torch.ones_like(v), kernel(f, g)
            continue
        if bool((v * s - 1 / m).abs().sum() <= tol) or done == max_iter:
            break
        v = 1 / (m * s)
    P = K.mul_(u[:, None]).mul_(v)
    return Plan(P, marginal_error(P), done, f + reg * u.log(), g + reg * v.log())


@dataclass(frozen=True)
class Potentials:
    """Of a plan ``exp(f_i + g_j - C_ij / reg)`` whose marginals are free: what gives any row its part of it.

    The fitted rows' masses were to be `weight` each; ``f = power (log weight - log Σ_j exp(g_j - C_ij / reg))``.
    """

    weight: float
    g: Tensor
    power: float
    reg: float
    log_mass: float = 0.0

    def logs(self, C: Tensor) -> Tensor:
        """The plan's logarithm for costs [m, columns] of rows that weigh as the fitted ones did, as of mass 1."""
        inner = self.g - C.double() / self.reg
        f = self.power * (math.log(self.weight) - inner.logsumexp(1, keepdim=True))
        return f + inner - self.log_mass

    def rows(self, C: Tensor) -> Tensor:
        """Rows of the plan, as of mass 1."""
        return self.logs(C).exp()


def unbalanced(C: Tensor, b: Tensor, reg: float, reg_m: float, tol: float = 1e-8, max_iter: int = 1000) -> Potentials:
    """Of the plan that minimises ``<P, C> + reg Σ P log P + reg_m KL(P 1 | 1/n) + reg_m KL(P' 1 | b)``.

    Scalings by Chizat et al. (2018), algorithm 2, shrink the distance from the solution by a factor of
    ``(reg_m / (reg_m + reg))²`` at worst. Newton's steps towards where one changes nothing take their place wherever
    they come closer, of which ten or so are enough. Ends where a scaling changes no potential of a column by `tol`.

    >>> C = torch.tensor([[0.0, 1.0], [1.0, 0.0]])
    >>> unbalanced(C, torch.tensor([0.5, 0.5]), 0.01, 0.5).rows(C).round(decimals=3).tolist()
    [[0.5, 0.0], [0.0, 0.5]]
    """
    n, power, log_b = len(C), reg_m / (reg_m + reg), b.double().log()
    g, scaled, before = torch.zeros_like(log_b), log_b, float("inf")
    for _ in range(max_iter):
        P = Potentials(1 / n, g, power, reg).logs(C)
        there = P.logsumexp(0) - g
        change = power * (log_b - there) - g
        off = float(change.abs().max())
        if off < tol:
            break
        if off >= before:  # Newton's step did not come closer
            g, before = scaled, float("inf")
            continue
        scaled, before = g + change, off
        slope = power**2 * P.softmax(0).T @ P.softmax(1)
        g = g + torch.linalg.solve(torch.eye(len(g), dtype=g.dtype, device=g.device) - slope, change)
    return Potentials(1 / n, g, power, reg, float(Potentials(1 / n, g, power, reg).logs(C).logsumexp((0, 1))))


def group_objective(P: Tensor, C: Tensor, Y: Tensor, reg: float, eta: float) -> float:
    """``<P, C> + reg Σ P log P + eta Σ_j Σ_c |P[class c, j]|_2`` for one-hot source labels Y [n, classes]."""
    groups = (Y.T @ P.square()).sqrt().sum()
    return float((P * C).sum() + reg * torch.special.xlogy(P, P).sum() + eta * groups)


def group_lasso(
    C: Tensor, Y: Tensor, reg: float, eta: float, tol: float = 1e-4, max_iter: int = 20
) -> tuple[Plan, float, float]:
    """The plan that minimises `group_objective` by generalised conditional gradient; its objective and duality gap.

    Each step solves an entropic problem whose cost holds the group term's gradient, then searches along the way there.
    Ends at a gap of `tol` (the entropic marginals' tolerance too), or after `max_iter` steps.
    """
    plan = sinkhorn(C, reg, tol)
    P, value, gap, steps = plan.P, group_objective(plan.P, C, Y, reg, eta), 0.0, 0
    while steps < max_iter:
        steps += 1
        norms = (Y.T @ P.square()).sqrt().clamp_min(TINY)
        slope = (P / (Y @ norms)).mul_(eta).add_(C)
        plan = sinkhorn(slope, reg, tol, f=plan.f, g=plan.g)
        way = plan.P - P
        entropies = [torch.special.xlogy(Q, Q).sum() for Q in (P, plan.P)]
        gap = float(reg * (entropies[0] - entropies[1]) - (slope * way).sum())
        if gap <= tol:
            break
        step = 1.0
        while step > 1e-6:
            there = P + step * way
            new = group_objective(there, C, Y, reg, eta)
            if new <= value - 1e-4 * step * gap:
                P, value = there, new
                break
            step /= 2
        else:  # the marginals' tolerance hides what is left to gain
            break
    return Plan(P, marginal_error(P), steps, plan.f, plan.g), value, gap


def barycentres(P: Tensor, Xt: Tensor) -> Tensor:
    """Where a plan sends each source row: the mean of the target rows, weighted by its row of the plan."""
    return (P @ Xt.double()) / P.sum(1, keepdim=True)


def move_with(X: Tensor, Xs: Tensor, shift: Tensor, chunk: int = 2048) -> Tensor:
    """Rows of X moved by what `shift` [n, d] moves their nearest row of Xs by; Xs itself by its own."""
    if X is Xs:
        return (X.double() + shift).to(X.dtype)
    nearest = torch.cat([sq_dists(rows, Xs).argmin(1) for rows in X.split(chunk)])
    return (X.double() + shift[nearest]).to(X.dtype)


def monge(Xs: Tensor, Xt: Tensor, reg: float) -> tuple[Tensor, Tensor, Tensor]:
    """The optimal map between the Gaussians of two samples, ``x -> (x - ms) A + mt``; gives A, ms and mt.

    ``A = S^-½ (S^½ T S^½)^½ S^-½`` (Knott and Smith, 1984), `reg` times the mean variance added to each diagonal.
    """
    S, T = covariance(Xs), covariance(Xt)
    for M in (S, T):
        M.diagonal().add_(reg * M.diagonal().mean())
    half, back = sym_power(S, 0.5), sym_power(S, -0.5)
    A = back @ sym_power(half @ T @ half, 0.5) @ back
    return (A + A.T) / 2, Xs.double().mean(0), Xt.double().mean(0)
