"""Kernel mean matching on a working set: the quadratic programme of `zoo.ops.qp` without its kernel matrix."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from zoo.ops.kernels import sq_dists
from zoo.ops.qp import Solution, lowest, project
from zoo.ops.rows import blocks, sparse, taken

FIRST, MOST_STEPS, POLISH = 800, 300, 3000  # samples to begin with; steps while the set grows, and once it does not
CHUNK = 1024  # rows of the columns held as one tensor, so that a change of the set copies so many at a time
FEWER = 512  # rows that are held in float64 at once


def centred(X: Tensor, Z: Tensor, gamma: float) -> tuple[Tensor, Tensor]:
    """Both around their common mean, as float32 where that will do; sparse rows as they are.

    Distances are got from products, which cancel: float32 does where norms are of the kernel's width.
    """
    if sparse(X):
        return X.float(), Z.float()
    both = torch.cat([X, Z]).double()
    both -= both.mean(0)
    both = both if float(gamma * both.square().sum(1).max()) > 100 else both.float()
    return both[: len(X)], both[len(X) :]


def columns(X: Tensor, Z: Tensor, gamma: float, chunk: int = CHUNK) -> Tensor:
    """The Gaussian kernel [n, m] in the type of X, some rows at a time; X and Z are `centred`."""
    K = torch.empty(len(X), len(Z), dtype=X.dtype, device=X.device)
    if sparse(X):
        for start in range(0, len(X), FEWER):
            D = sq_dists(taken(X, slice(start, start + FEWER)), Z)
            K[start : start + FEWER] = D.mul_(-gamma).exp_()
        return K
    squares = Z.square().sum(1)
    for start in range(0, len(X), chunk):
        rows = X[start : start + chunk]
        D = torch.addmm(squares[None], rows, Z.T, alpha=-2).add_(rows.square().sum(1)[:, None])
        torch.exp(D.clamp_min_(0).mul_(-gamma), out=K[start : start + chunk])
    return K


def row_sums(X: Tensor, Z: Tensor, gamma: float, chunk: int = 1024) -> Tensor:
    """Sums [n] of the rows of the kernel, in float64."""
    return torch.cat([columns(rows, Z, gamma).sum(1, dtype=torch.float64) for rows in blocks(X, chunk)])


def total(X: Tensor, gamma: float, chunk: int = 1024) -> float:
    """The sum of the kernel of X with itself; each pair of blocks once."""
    found = torch.zeros((), dtype=torch.float64, device=X.device)
    for start in range(0, len(X), chunk):
        rows = taken(X, slice(start, start + chunk))
        found += columns(rows, rows, gamma).sum(dtype=torch.float64)
        if start + chunk < len(X):
            found += 2 * row_sums(rows, taken(X, slice(start + chunk, None)), gamma).sum()
    return float(found)


def solve(X: Tensor, q: Tensor, gamma: float, upper: float, least: float, most: float, *, tol: float) -> Solution:
    """Minimise ``w'Kw/2 - q'w`` over ``0 <= w <= upper, least <= sum(w) <= most`` for the Gaussian kernel of X.

    Most weights of kernel mean matching are 0. So a working set of samples is solved for by accelerated projected
    gradients, the gradient of all samples is taken from the set's columns, and the samples whose multipliers are most
    wrong join, while those at rest leave. Memory is n × (working set) in float32; gradients accumulate in float64, and
    within the set they are exact at its start and corrected by a float32 product with the move since, whose rounding
    errors shrink with it (float32 throughout stalls).

    Parameters
    ----------
    X : Tensor [n, d], `centred`
    q : Tensor [n], float64
    tol : float
        Stop where the duality gap is below; in the objective's unit.
    """
    n = len(X)
    size = min(n, max(FIRST, math.ceil(least / upper) + 1))
    S = torch.linspace(0, n - 1, size, device=X.device).round().long().unique()
    C = [columns(rows, taken(X, S), gamma) for rows in blocks(X, CHUNK)]
    K = _square(C, S)
    w = project(q.new_full((len(S),), least / len(S)), upper, least, most)
    g, gap, growing, rounds = K.double() @ w - q[S], math.inf, True, 0
    while True:
        rounds += 1
        goal = max(0.6 * tol, min(0.08 * gap, 50 * tol))
        w, inner = _descend(K, w, g, upper, least, most, goal, MOST_STEPS if growing else POLISH)
        g = torch.cat([part.double() @ w for rows in C for part in rows.split(FEWER)]) - q
        whole = torch.zeros_like(q).index_copy(0, S, w)
        before, gap = gap, float(g @ (whole - lowest(g, upper, least, most)))
        if gap <= tol or rounds == 200 or (len(S) == n and gap > 0.999 * before):
            return Solution(whole, float(w @ (g[S] - q[S])) / 2, max(gap, 0.0), rounds)
        growing = gap > 1.3 * inner
        price = _price(g, whole, upper, least, most)
        wrong = (price - g).index_fill(0, S, 0.0)
        count = min(int((wrong > 0).sum()), max(200, 7 * int((w > 0).sum()) // 10))
        # Neighbours are wrong together, and one of them mends the others: of three times as many, every third.
        worst = wrong.topk(min(3 * count, int((wrong > 0).sum()))).indices
        new = worst[torch.linspace(0, max(len(worst) - 1, 0), count, device=X.device).round().long()]
        kept = (w > 0) | (g[S] < price)
        S, w = torch.cat([S[kept], new]), torch.cat([w[kept], w.new_zeros(len(new))])
        for i, rows in enumerate(blocks(X, CHUNK)):
            C[i] = torch.cat([C[i][:, kept], columns(rows, taken(X, new), gamma)], 1)
        del K  # before the next one is made
        K, g = _square(C, S), g[S]


def _square(C: list[Tensor], S: Tensor) -> Tensor:
    """The rows S of the columns."""
    K = C[0].new_empty(len(S), len(S))
    for i, rows in enumerate(C):
        here = S.div(CHUNK, rounding_mode="floor").eq(i).nonzero()[:, 0]
        K[here] = rows[S[here] - i * CHUNK]
    return K


def _price(g: Tensor, w: Tensor, upper: float, least: float, most: float) -> float:
    """The multiplier of the sum's constraint where it binds, 0 where it does not."""
    slack, amount = 1e-9 * max(abs(most), 1.0), float(w.sum())
    inside = (w > 0) & (w < upper)
    if least + slack < amount < most - slack or not bool(inside.any()):
        return 0.0
    price = float(g[inside].mean())
    return max(price, 0.0) if amount <= least + slack else min(price, 0.0)


def _descend(
    K: Tensor, w: Tensor, g: Tensor, upper: float, least: float, most: float, goal: float, steps: int
) -> tuple[Tensor, float]:
    """Accelerated projected gradients with restarts, from w with gradient g, to a duality gap of `goal`."""
    v = K.new_ones(len(K))
    for _ in range(8):
        v = K @ v
        v = v / v.norm()
    rate = 1 / (1.02 * float(v @ (K @ v)) + 1e-12)
    first, start = w, g
    y, gy, t, gap = w, g, 1.0, math.inf
    for step in range(steps):
        new = project(y - rate * gy, upper, least, most)
        g_new = start + (K @ (new - first).to(K.dtype)).double()
        if step % 25 == 24:
            gap = float(g_new @ (new - lowest(g_new, upper, least, most)))
            if gap <= goal:
                return new, gap
        if float((y - new) @ (new - w)) > 0:
            y, gy, t = new, g_new, 1.0
        else:
            after = (1 + math.sqrt(1 + 4 * t * t)) / 2
            push, t = (t - 1) / after, after
            y, gy = new + push * (new - w), g_new + push * (g_new - g)
        w, g = new, g_new
    return w, gap
