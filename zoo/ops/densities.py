"""Densities of two samples on their principal components, and classifiers that tell one from the other."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from zoo.ops.kernels import sq_dists


class Principal(NamedTuple):
    source: Tensor
    target: Tensor
    values: Tensor


def principal(Xs: Tensor, Xt: Tensor, k: float) -> Principal:
    """Both samples in the (at most) k leading principal components of the pooled rows, with the variances there.

    Components of no variance are left out; one column of zeros where there is no other.
    """
    Xs, Xt = Xs.flatten(1).double(), Xt.flatten(1).double()
    X = torch.cat([Xs, Xt])
    X = X - X.mean(0)
    n, d = X.shape
    small = n < d
    values, vectors = torch.linalg.eigh(X @ X.T if small else X.T @ X)
    keep = values > values[-1] * 1e-10
    values, vectors = values[keep].flip(0)[: int(k)], vectors[:, keep].flip(1)[:, : int(k)]
    if not len(values):
        return Principal(Xs.new_zeros(len(Xs), 1), Xs.new_zeros(len(Xt), 1), Xs.new_ones(1))
    Z = vectors * values.sqrt() if small else X @ vectors
    return Principal(Z[: len(Xs)], Z[len(Xs) :], values / max(n - 1, 1))


def ledoit_wolf(X: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and Ledoit and Wolf's (2004) covariance: shrunk towards a multiple of I by what minimises the risk."""
    n, d = X.shape
    mean = X.mean(0)
    X = X - mean
    C = X.T @ X / n
    mu = C.diagonal().mean()
    delta = (C.square().sum() - d * mu * mu).clamp_min(0)
    beta = ((X.square().T @ X.square()).sum() / n - C.square().sum()) / n
    share = torch.where(delta > 0, torch.minimum(beta, delta) / torch.where(delta > 0, delta, 1), 0.0).clamp_min(0)
    return mean, (1 - share) * C + share * mu * torch.eye(d, dtype=X.dtype, device=X.device)


def log_gaussian(X: Tensor, mean: Tensor, C: Tensor) -> Tensor:
    """Log density of N(mean, C) at rows."""
    L = torch.linalg.cholesky(C)
    z = torch.linalg.solve_triangular(L, (X - mean).T, upper=False)
    return -z.square().sum(0) / 2 - L.diagonal().log().sum() - X.shape[1] / 2 * math.log(2 * math.pi)


def log_kde(X: Tensor, sample: Tensor, C: Tensor, chunk: int = 1024, *, left_out: bool = False) -> Tensor:
    """Log density at rows of X of Gaussians N(·, C) put on each row of the sample; in chunks of X.

    With `left_out`, X is the sample (of two rows at least) and each row is judged by the others: its own Gaussian would
    be most of what it finds, in ten dimensions and more nearly all of it.
    """
    L = torch.linalg.cholesky(C)
    Z, Y = (torch.linalg.solve_triangular(L, A.T, upper=False).T for A in (X, sample))
    count = len(sample) - left_out
    norm = L.diagonal().log().sum() + X.shape[1] / 2 * math.log(2 * math.pi) + math.log(count)
    found = []
    for start in range(0, len(Z), chunk):
        D = sq_dists(Z[start : start + chunk], Y)
        if left_out:
            D.diagonal(start).fill_(torch.inf)
        found.append(torch.logsumexp(D / -2, 1))
    return torch.cat(found) - norm


def scott(sample: Tensor, pooled: Tensor) -> Tensor:
    """Scott's bandwidth matrix ``n^(-2/(d+4)) · cov``; of the pooled rows where the sample has too few."""
    n, d = sample.shape

    def cov(X: Tensor) -> Tensor:
        X = X - X.mean(0)
        return X.T @ X / max(len(X) - 1, 1)

    P = cov(pooled)
    C = cov(sample) if n > d else P
    floor = 1e-6 * P.diagonal().mean() + (0.0 if float(P.diagonal().mean()) > 0 else 1.0)
    if float(torch.linalg.eigvalsh(C)[0]) < float(floor):
        C = C + floor * torch.eye(d, dtype=C.dtype, device=C.device)
    return n ** (-2 / (d + 4)) * C


def gaussian_log_ratio(P: Principal) -> Tensor:
    """Log-ratio at the source rows of two shrunk Gaussians, in components scaled to variance 1.

    A sample without variance (a single row) is given that of the pooled rows, which is I there.
    """
    scale = P.values.sqrt()
    at, logs = P.source / scale, []
    for Z in (P.target / scale, at):
        mean, C = ledoit_wolf(Z)
        if float(C.diagonal().mean()) < 1e-6:
            C = torch.eye(len(C), dtype=C.dtype, device=C.device)
        C = C + 1e-9 * torch.eye(len(C), dtype=C.dtype, device=C.device)  # columns that are constant in one domain
        logs.append(log_gaussian(at, mean, C))
    return logs[0] - logs[1]


def kernel_log_ratio(P: Principal) -> Tensor:
    """Log-ratio at the source rows of two kernel density estimates with Scott's bandwidths, the source's left out.

    A single source row has no others: the ratio is then 1.
    """
    if len(P.source) < 2:
        return P.source.new_zeros(len(P.source))
    pooled = torch.cat([P.source, P.target])
    target = log_kde(P.source, P.target, scott(P.target, pooled))
    return target - log_kde(P.source, P.source, scott(P.source, pooled), left_out=True)


def logistic(X: Tensor, y: Tensor, reg: float, start: Tensor | None = None, tol: float = 1e-12) -> Tensor:
    """Newton's method for ``mean(log loss) + reg/2 |v|²``; [d + 1] coefficients, the last one the free intercept."""
    n, d = X.shape
    X1 = torch.cat([X, X.new_ones(n, 1)], 1)
    ridge = torch.cat([X.new_full((d,), reg), X.new_zeros(1)])
    v = X.new_zeros(d + 1) if start is None else start.clone()

    def loss(v: Tensor) -> float:
        z = X1 @ v
        return float((torch.nn.functional.softplus(z) - y * z).mean() + (ridge * v * v).sum() / 2)

    now = loss(v)
    for _ in range(100):
        p = torch.sigmoid(X1 @ v)
        g = (p - y) @ X1 / n + ridge * v
        H = (X1 * (p * (1 - p))[:, None]).T @ X1 / n
        H.diagonal().add_(ridge + 1e-12)
        step = torch.linalg.solve(H, g)
        if float(g @ step) <= tol**2 or float(g.abs().max()) <= tol:
            break
        size = 1.0
        while (new := loss(v - size * step)) > now + 1e-15 and size > 1e-8:
            size /= 2
        if size <= 1e-8:
            break
        v, now = v - size * step, new
    return v


REGS = tuple(10.0**p for p in range(4, -5, -1))  # under the first all weights are 1
SMALLEST = 1e-8  # beyond the others the search goes on down to here, as long as the loss falls


class Logits(NamedTuple):
    source: Tensor
    reg: float
    loss: float


def domain_logits(P: Principal, rank_s: Tensor, rank_t: Tensor, reg: float = 0.0, folds: int = 5) -> Logits:
    """Out-of-fold log-odds of source rows to be of the target; ``reg`` 0: the one of the least out-of-fold log loss.

    `rank_s`, `rank_t`: the rows' ranks, by which folds are dealt, so that they do not depend on the rows' order.
    """
    X = torch.cat([P.source, P.target]) / P.values.mean().sqrt()
    y = torch.cat([X.new_zeros(len(P.source)), X.new_ones(len(P.target))])
    fold = torch.cat([rank_s % folds, rank_t % folds])
    starts: list[Tensor | None] = [None] * folds

    def judged(r: float) -> Logits:
        z = X.new_zeros(len(X))
        for i in range(folds):
            out = fold == i
            seen = ~out
            if not 0 < float(y[seen].mean()) < 1:  # the only target sample was left out
                seen = torch.ones_like(out)
            v = starts[i] = logistic(X[seen], y[seen], r, starts[i])
            z[out] = X[out] @ v[:-1] + v[-1]
        return Logits(z[: len(P.source)], r, float((torch.nn.functional.softplus(z) - y * z).mean()))

    if reg:
        return judged(reg)
    best, ahead = judged(REGS[0]), list(REGS[1:])
    for r in ahead:
        new = judged(r)
        if new.loss < best.loss - 1e-9:
            best = new
            if r == ahead[-1] and r > 2 * SMALLEST:
                ahead.append(r / 10)
    return best
