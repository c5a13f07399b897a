"""Ratios of densities, target over source: kernel models, their selection, and what keeps weights from degenerating."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from zoo.ops.kernels import inverse_scale, sq_dists
from zoo.ops.rows import blocks, flat, mean, products, sparse, squares, taken

FACTORS = (
    30.0,
    10.0,
    5.0,
    3.0,
    2.0,
    1.5,
    1.0,
    0.7,
    0.5,
    0.3,
    0.2,
    0.1,
)  # bandwidths, over the root mean squared distance
UNIFORM, NARROWER, NARROWEST = 1e4, 0.7, 1e-3  # at the first all ratios are 1; beyond the others steps, and their end
RIDGES = tuple(10.0 ** (p / 2) for p in range(-6, 3))  # 1e-3 to 10, Kanamori et al.'s


def ranked(X: Tensor, origin: Tensor) -> Tensor:
    """Rows sorted by distance from a point [d]: an order in which nothing depends on how the rows came."""
    if sparse(X):  # but for the square of the point, which is the same for all
        key = squares(X) - 2 * products(X, origin[None])[:, 0]
    else:
        key = (X.double() - origin.double()).square().sum(1)
    return torch.argsort(key, stable=True)


def spread(n: int, m: int, device: torch.device) -> Tensor:
    """``min(m, n)`` evenly spaced positions of n.

    >>> spread(10, 3, torch.device("cpu")).tolist()
    [1, 5, 8]
    """
    m = min(m, n)
    return ((torch.arange(m, device=device) * 2 + 1) * n).div(2 * m, rounding_mode="floor")


def ess(w: Tensor) -> float:
    """Effective sample size ``(Σw)² / Σw²`` (Kish), between 1 and n; 0 where all weights are 0.

    >>> ess(torch.tensor([1.0, 1.0, 0.0]))
    2.0
    """
    largest = w.max()
    if float(largest) <= 0:
        return 0.0
    w = w / largest
    return float(w.sum().square() / w.square().sum())


def temper(log_w: Tensor, least: float) -> tuple[Tensor, float]:
    """Weights ``exp(power · log_w)``, scaled to a mean of 1, with the largest power <= 1 that keeps ``ess >= least·n``.

    Shimodaira's (2000) flattened weights w^λ; λ from the effective sample size, as in tempered importance sampling.
    """

    def weights(power: float) -> Tensor:
        return torch.softmax(power * log_w, 0) * len(log_w)

    goal = least * len(log_w)
    if ess(weights(1.0)) >= goal:
        return weights(1.0), 1.0
    low, high = 0.0, 1.0
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if ess(weights(middle)) >= goal else (low, middle)
    return weights(low), low


def evened(w: Tensor, least: float) -> tuple[Tensor, float]:
    """Weights mixed with uniform ones, by the smallest share of these under which ``ess >= least·n``, and that share.

    Where weights are 0 no power of theirs (`temper`) would do. The effective sample size of a mixture with a share of
    1 - b for uniform weights is ``n / (1 + b² (n / ess - 1))``.

    >>> evened(torch.tensor([4.0, 0.0, 0.0, 0.0]), 0.5)[0].mul(1000).round().tolist()
    [2732.0, 423.0, 423.0, 423.0]
    """
    n = len(w)
    spare = n / max(ess(w), 1.0) - 1
    if least <= 0 or spare <= 1 / least - 1:
        return w, 0.0
    own = math.sqrt((1 / least - 1) / spare)
    return own * (w / w.mean()) + (1 - own), 1 - own


class Design(NamedTuple):
    """Squared distances to the centres, rows in ranked order, and the root mean squared distance of pooled rows."""

    source: Tensor
    target: Tensor
    scale: float
    source_order: Tensor


def design(Xs: Tensor, Xt: Tensor, b: float) -> Design:
    """Centres are `b` target points, evenly spaced in the order of their distance from the source's mean."""
    Xs, Xt = flat(Xs).double(), flat(Xt).double()
    origin = mean(Xs)
    s, t = ranked(Xs, origin), ranked(Xt, origin)
    C = taken(Xt, t[spread(len(Xt), int(b), Xt.device)])
    scale = float(inverse_scale(Xs, Xt)) ** -0.5
    return Design(sq_dists(taken(Xs, s), C), sq_dists(taken(Xt, t), C), scale, s)


def unsorted(w: Tensor, order: Tensor) -> Tensor:
    """Values of sorted rows, in the rows' own order."""
    return torch.empty_like(w).index_copy_(0, order, w)


def searched(score: Callable[[float], float | None]) -> tuple[float, float]:
    """The bandwidth of the largest score, over the root mean squared distance, and that score.

    A grid that contains its optimum: it begins at `UNIFORM`, where the ratio is 1 whatever the samples are, and goes on
    below the least of `FACTORS` as long as the score rises there. A score of None ends it.

    >>> searched(lambda factor: -abs(factor - 0.05))[0]  # below the least of FACTORS
    0.049
    >>> searched(lambda factor: factor)[0]
    10000.0
    """
    best, top = UNIFORM, -math.inf
    ahead = [UNIFORM, *FACTORS]
    while ahead:
        factor = ahead.pop(0)
        new = score(factor)
        if new is None:
            break
        if new > top + 1e-9:
            best, top = factor, new
        if not ahead and best == factor > NARROWEST:
            ahead.append(NARROWER * factor)
    return best, top


# KLIEP ----------------------------------------------------------------------------------------------------------------


def log_basis(D: Design, sigma: float) -> tuple[Tensor, Tensor]:
    """Logarithms of the Gaussians at source [n_s, b] and target rows [n_t, b], each with a mean of 1 on the source."""
    logs, logt = D.source / (-2 * sigma**2), D.target / (-2 * sigma**2)
    norm = torch.logsumexp(logs, 0) - math.log(len(logs))
    return logs - norm, logt - norm


def mixture(log_P: Tensor, tol: float = 1e-8, steps: int = 200) -> tuple[Tensor, float]:
    """Maximise ``mean(log(P β))`` over the simplex by a primal-dual interior-point method; β and a bound on the gap.

    With β_l = α_l · mean_s φ_l this is KLIEP's problem. In the form ``min -mean(log(Pβ)) + Σβ, β >= 0`` the sum is 1 at
    the minimum by itself. By concavity no point is better than β by more than ``max(P'(1 / Pβ)) / n - 1``.
    """
    P = (log_P - log_P.max(1, keepdim=True).values).exp()  # scaling a row adds a constant
    n, b = P.shape
    beta, z = P.new_full((b,), 1 / b), P.new_ones(b)
    best, least = beta, math.inf
    for _ in range(steps):
        f = P @ beta
        G = P / f[:, None]
        g = 1 - G.mean(0)
        total = beta.sum()
        # Of β / Σβ, which is feasible: its gradient is Σβ times this one.
        gap = float((total * (1 - g.min())) - 1)
        if gap < least:
            best, least = beta / total, gap
        if gap <= tol:
            break
        mu = 0.1 * (beta @ z) / b
        H = G.T @ G / n
        ratio = z / beta
        # Scaled by β on both sides, so that the matrix stays well conditioned as β goes to 0.
        root = ratio.rsqrt()
        A = root[:, None] * H * root + torch.eye(b, dtype=P.dtype, device=P.device)
        step = root * torch.linalg.solve(A, root * (mu / beta - g))
        dz = mu / beta - z - ratio * step

        def room(x: Tensor, dx: Tensor) -> float:
            falls = dx < 0
            return min(1.0, 0.99 * float(torch.where(falls, -x / torch.where(falls, dx, -1), math.inf).min()))

        a = room(beta, step)
        value = float(-f.log().mean() + total - mu * beta.log().sum())
        for _ in range(30):  # the primal barrier falls along the step
            new = beta + a * step
            if float(-(P @ new).log().mean() + new.sum() - mu * new.log().sum()) <= value + 1e-12:
                break
            a /= 2
        beta, z = beta + a * step, z + room(z, dz) * dz
    return best, max(least, 0.0)


def held_out(D: Design, sigma: float, folds: int, tol: float = 1e-4) -> float:
    """Mean log-ratio of target rows that were left out: KLIEP's likelihood cross-validation.

    Rows are left out as centres too: at a small sigma the least weight on its own Gaussian, which in many dimensions
    is next to 0 on the source, would make its ratio as large as one likes.
    """
    _, log_t = log_basis(D, sigma)
    n, b = log_t.shape
    fold = torch.arange(n, device=log_t.device) % folds
    centre = spread(n, b, log_t.device) % folds
    total = 0.0
    for i in range(folds):
        kept = log_t[:, centre != i] if bool((centre != i).any()) else log_t
        beta, _ = mixture(kept[fold != i], tol)
        total += float(torch.logsumexp(kept[fold == i] + beta.log(), 1).sum())
    return total / len(log_t)


class Kliep(NamedTuple):
    w: Tensor
    beta: Tensor
    sigma: float
    gap: float
    score: float


def kliep(D: Design, sigma: float = 0.0, least: float = 0.0, folds: int = 5) -> Kliep:
    """Weights at the source rows (ranked); ``sigma`` 0: the one with the largest held-out log-ratio.

    Widths under whose weights the effective sample size is below ``least·n`` are passed over: where the domains hardly
    overlap, the log-ratio of left-out target rows rises without end as the width falls.
    """
    score, folds = math.nan, min(folds, len(D.target))

    def fitted(sigma: float) -> Kliep:
        log_s, log_t = log_basis(D, sigma)
        beta, gap = mixture(log_t)
        return Kliep(log_s.exp() @ beta, beta, sigma, gap, score)

    def judged(factor: float) -> float | None:
        if ess(fitted(factor * D.scale).w) < least * len(D.source) - 1e-6:
            return None
        return held_out(D, factor * D.scale, folds)

    if not sigma:
        factor, score = searched(judged) if folds > 1 else (1.0, score)
        sigma = factor * D.scale
    return fitted(sigma)


# Least squares --------------------------------------------------------------------------------------------------------


class LeastSquares(NamedTuple):
    w: Tensor
    theta: Tensor
    sigma: float
    ridge: float
    score: float


def loo_scores(S: Tensor, T: Tensor, alpha: float, ridges: tuple[float, ...]) -> list[float]:
    """Leave-one-out values of the squared error for kernel values at source [n_s, b] and target rows [n_t, b].

    Pair i, one source and one target row, is left out of both means; n = min(n_s, n_t) pairs, evenly spaced. That takes
    two rank-one terms from the matrix, so all n solutions come from one inverse (Kanamori et al. 2009, section 3).
    """
    n_s, n_t = len(S), len(T)
    n = min(n_s, n_t)
    phi, psi = S[spread(n_s, n, S.device)], T[spread(n_t, n, T.device)]
    M = alpha / (n_t - 1) * T.T @ T + (1 - alpha) / (n_s - 1) * S.T @ S
    h = (T.sum(0) - psi) / (n_t - 1)
    values, Q = torch.linalg.eigh(M)
    # In the eigenvectors' coordinates the inverse is diagonal whatever the ridge.
    u, v, hq = (alpha / (n_t - 1)) ** 0.5 * psi @ Q, ((1 - alpha) / (n_s - 1)) ** 0.5 * phi @ Q, h @ Q
    scores = []
    for ridge in ridges:
        D = 1 / (values.clamp_min(0) + ridge)
        Du, Dv = u * D, v * D
        uu, uv, vv = 1 - (u * Du).sum(1), -(u * Dv).sum(1), 1 - (v * Dv).sum(1)
        det = uu * vv - uv * uv
        uh, vh = (Du * hq).sum(1), (Dv * hq).sum(1)
        cu, cv = (vv * uh - uv * vh) / det, (uu * vh - uv * uh) / det
        theta = ((hq * D + cu[:, None] * Du + cv[:, None] * Dv) @ Q.T).clamp_min(0)
        rs, rt = (theta * phi).sum(1), (theta * psi).sum(1)
        scores.append(float((alpha / 2 * rt.square() + (1 - alpha) / 2 * rs.square() - rt).mean()))
    return scores


def least_squares(D: Design, alpha: float = 0.0, sigma: float = 0.0, ridge: float = 0.0) -> LeastSquares:
    """(Relative) unconstrained least-squares importance fitting; a sigma or ridge of 0 is chosen by `loo_scores`.

    A bandwidth whose kernel vanishes on the source is passed over: no ratio can be read off there.
    """
    ridges = (ridge,) if ridge else RIDGES

    def scores(s: float) -> list[float]:
        S, T = (D.source / (-2 * s * s)).exp(), (D.target / (-2 * s * s)).exp()
        return [math.inf] * len(ridges) if float(S.amax()) < 1e-12 else loo_scores(S, T, alpha, ridges)

    s, r, best = sigma or D.scale, ridge or 1.0, math.inf
    if min(len(D.source), len(D.target)) > 1:
        if not sigma:
            s = D.scale * searched(lambda factor: -min(scores(factor * D.scale)))[0]
        best, r = min(zip(scores(s), ridges, strict=True))
    S, T = (D.source / (-2 * s * s)).exp(), (D.target / (-2 * s * s)).exp()
    H = alpha / len(T) * T.T @ T + (1 - alpha) / len(S) * S.T @ S
    H.diagonal().add_(r)
    theta = torch.linalg.solve(H, T.mean(0)).clamp_min(0)
    return LeastSquares(S @ theta, theta, s, r, best)


def nearest_counts(Xs: Tensor, Xt: Tensor, chunk: int = 1024) -> Tensor:
    """[n_s]: how many target rows have each source row as their nearest."""
    Xs, Xt = flat(Xs), flat(Xt)
    nearest = torch.cat([sq_dists(x, Xs).argmin(1) for x in blocks(Xt, chunk)])
    return torch.bincount(nearest, minlength=len(Xs)).double()
