"""The bandwidth of a Gaussian kernel under which weights of source samples are judged on rows that were left out."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from zoo.ops.kernels import inverse_scale, sq_dists
from zoo.ops.ratios import ranked, spread
from zoo.ops.rows import flat, mean, taken

GRID = tuple(2.0**p for p in range(-2, 9))  # gammas, over one over the mean squared distance of pooled rows
LARGEST = 2.0**14  # beyond the grid's end it doubles up to here, as long as the likelihood rises
MOST = 800  # rows of a domain that are looked at

Weigh = Callable[[Tensor, Tensor, float], Tensor]


def log_ratio(log_w: Tensor, D: Tensor, gamma: float) -> Tensor:
    """Log-ratio [m] at rows of squared distances D [m, n] to weighted ones: the weights' mean under the same kernel."""
    near = -gamma * D
    return torch.logsumexp(near + log_w, 1) - torch.logsumexp(near, 1)


def likelihood(found: Tensor, within: Tensor) -> float:
    """Mean log-ratio at target rows, less the logarithm of the mean ratio at source rows; 0 of a constant ratio."""
    return float(found.mean() - torch.logsumexp(within, 0)) + math.log(len(within))


def bandwidth(Xs: Tensor, Xt: Tensor, weigh: Weigh) -> tuple[float, float]:
    """The gamma on a grid whose weights have the largest likelihood on rows left out, and that likelihood.

    Each half of both domains is weighed by the method and judged by the other half, without any label of the target: a
    wide kernel leaves the halves' ratio at 1, a narrow one is right on its own half only. At most `MOST` rows of a
    domain, evenly spaced by their distance from the source's mean, so that nothing depends on the order of rows. The
    grid goes on as long as its end is the best. Of equal ones the widest; with fewer than 4 rows one over the mean
    squared distance.

    Parameters
    ----------
    weigh : (rows of the source, rows of the target, gamma) -> weights of these rows of the source
    """
    Xs, Xt = flat(Xs).double(), flat(Xt).double()
    scale = float(inverse_scale(Xs, Xt))
    if min(len(Xs), len(Xt)) < 4:
        return scale, math.nan
    origin = mean(Xs)
    s, t = (ranked(X, origin)[spread(len(X), MOST, X.device)] for X in (Xs, Xt))
    halves = [(s[i::2], t[i::2], s[1 - i :: 2], t[1 - i :: 2]) for i in (0, 1)]
    apart = [
        (sq_dists(taken(Xs, out_s), taken(Xs, in_s)), sq_dists(taken(Xt, out_t), taken(Xs, in_s)))
        for in_s, _, out_s, out_t in halves
    ]
    best, score, ahead = scale, -math.inf, list(GRID)
    for factor in ahead:
        gamma, new = factor * scale, 0.0
        for (in_s, in_t, _, _), (within, across) in zip(halves, apart, strict=True):
            w = weigh(in_s, in_t, gamma)
            log_w = (w / w.mean()).clamp_min(1e-12).log()
            new += likelihood(log_ratio(log_w, across, gamma), log_ratio(log_w, within, gamma)) / 2
        if new > score + 1e-9:
            best, score = gamma, new
            if factor == ahead[-1] < LARGEST:
                ahead.append(2 * factor)
    return best, score
