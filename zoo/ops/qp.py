"""Convex quadratic programs over a box cut by a slab, ``0 <= w <= upper, least <= sum(w) <= most``."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Solution:
    """A feasible point with the proof of its quality: ``objective - gap`` is a lower bound of the minimum."""

    w: Tensor
    objective: float
    gap: float
    rounds: int


def project(y: Tensor, upper: float, least: float, most: float) -> Tensor:
    """The nearest point of the set, exactly.

    Clipping is the answer where its sum is in the slab. Otherwise the sum is the slab's nearer side and the answer is
    ``clip(y - tau)``; that sum falls piecewise linearly in tau, with kinks at y - upper and y, so sorting finds tau.

    >>> project(torch.tensor([3.0, 0.0, -1.0], dtype=torch.float64), 2.0, 3.0, 3.0).tolist()
    [2.0, 1.0, 0.0]
    """
    n = len(y)
    inside = y.clamp(0, upper)
    total = inside.sum()
    goal = total.clamp(max(least, 0.0), min(most, n * upper))
    if bool(goal == total):
        return inside
    kinks, order = torch.cat([y - upper, y]).sort()
    # Past y - upper a coordinate falls at rate 1, past y it rests at 0.
    falling = torch.cat([y.new_ones(n), -y.new_ones(n)])[order].cumsum(0)[:-1]
    sums = n * upper - torch.cat([y.new_zeros(1), (falling * kinks.diff()).cumsum(0)])
    i = (torch.searchsorted(-sums, -goal, right=True) - 1).clamp(0, 2 * n - 2)
    tau = kinks[i] + (sums[i] - goal) / falling[i].clamp_min(1)
    return (y - tau).clamp(0, upper)


def lowest(g: Tensor, upper: float, least: float, most: float) -> Tensor:
    """The point of the set where ``g'v`` is least: filled in the order of g, down to g = 0 where the slab allows."""
    values, order = g.sort()
    total = min(max(float((values < 0).sum()) * upper, least), most)
    before = torch.arange(len(g), dtype=g.dtype, device=g.device) * upper
    return torch.zeros_like(g).index_copy(0, order, (total - before).clamp(0, upper))


def solve(
    K: Tensor, q: Tensor, upper: float, least: float, most: float, *, tol: float = 1e-6, max_rounds: int = 500
) -> Solution:
    """Minimise ``w'Kw/2 - q'w`` over the set, K symmetric and positive semi-definite, by blocks of active sets.

    Kernel matrices have few large eigenvalues, so that gradient methods crawl, while few coordinates of the solution
    lie off their bounds. Each round frees the coordinates whose multipliers are most wrong and solves for the free
    ones exactly; every step descends.

    Parameters
    ----------
    K, q : Tensor [n, n] and [n], float64
    upper, least, most : float
        The set; not empty where ``least <= min(most, n * upper)``.
    tol : float
        Stop where the duality gap is below this part of ``|objective|``.
    """
    w = lowest(-q, upper, least, most)
    rounds = 0
    while True:
        Kw = K @ w
        g = Kw - q
        objective = float(w @ (Kw - 2 * q)) / 2
        gap = float(g @ (w - lowest(g, upper, least, most)))
        if gap <= tol * abs(objective) or rounds == max_rounds:
            return Solution(w, objective, max(gap, 0.0), rounds)
        rounds += 1
        free = (w > 0) & (w < upper)
        price = _price(g, w, free, upper, least, most)
        wrong = torch.where(w <= 0, price - g, torch.where(w >= upper, g - price, 0))
        block = max(10, int(free.sum()) // 4)
        worst = wrong.topk(min(block, len(w))).indices
        free = free.index_fill(0, worst[wrong[worst] > 0], True)
        w = _minimise(K, g, w, free.nonzero()[:, 0], upper, least, most)


def _bound(w: Tensor, least: float, most: float) -> tuple[bool, bool]:
    """Whether the sum is at the slab's lower and upper side."""
    total, slack = float(w.sum()), 1e-12 * max(abs(most), 1.0)
    return total <= least + slack, total >= most - slack


def _price(g: Tensor, w: Tensor, free: Tensor, upper: float, least: float, most: float) -> float:
    """The slab's multiplier: what one more unit of the sum is worth; 0 where the slab does not bind."""
    low, high = _bound(w, least, most)
    if not (low or high):
        return 0.0
    if bool(free.any()):
        price = float(g[free].mean())
    else:
        ends = torch.stack([g.masked_fill(w > 0, torch.inf).amin(), g.masked_fill(w < upper, -torch.inf).amax()])
        price = float(ends[ends.isfinite()].mean())
    return price if low and high else max(price, 0.0) if low else min(price, 0.0)


def _minimise(K: Tensor, g: Tensor, w: Tensor, free: Tensor, upper: float, least: float, most: float) -> Tensor:
    """Minimise over the `free` coordinates, dropping those that meet a bound."""
    w, g = w.clone(), g[free].clone()
    ridge = 1e-10 * K.diagonal().max()  # equal rows make K singular
    while len(free):
        H = K[free][:, free]
        L = torch.linalg.cholesky(H + ridge * torch.eye(len(free), dtype=H.dtype, device=H.device))
        step, drift = torch.cholesky_solve(torch.stack([-g, torch.ones_like(g)], 1), L).unbind(1)
        low, high = _bound(w, least, most)
        push = float(step.sum())
        if (low and push < 0) or (high and push > 0):
            step = step - drift * (step.sum() / drift.sum())
        old = w[free]
        rest = float(w.sum() - old.sum())
        new = project(old + step, upper, least - rest, most - rest)
        move = new - old
        kept = (new > 0) & (new < upper)
        done = bool(kept.all())
        if bool(g @ move + move @ H @ move / 2 >= 0):  # clipping went uphill: go to the first bound only
            room = torch.where(step > 0, (upper - old) / step, torch.where(step < 0, -old / step, torch.inf))
            push = float(step.sum())
            side = (most if push > 0 else least) - rest - float(old.sum())
            slab = side / push if abs(push) > 1e-12 * float(step.abs().sum()) else 1.0
            size = max(min(float(room.amin()), slab, 1.0), 0.0)
            kept = room > size
            new = torch.where(kept, old + size * step, torch.where(step > 0, upper, 0.0))
            move = new - old
            done = size >= 1 or (size <= 0 and bool(kept.all()))
        w[free] = new
        if done:
            break
        g = (g + H @ move)[kept]
        free = free[kept]
    return w
