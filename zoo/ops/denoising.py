"""Marginalised denoising: reconstruct rows from copies with features struck out, without making the copies."""

from __future__ import annotations

import torch
from torch import Tensor

RIDGE = 1e-8  # relative to the mean diagonal: features that are 0 everywhere leave Q singular, which no data can tell


def scatter(*samples: Tensor) -> Tensor:
    """``X'X`` [d + 1, d + 1] of the pooled rows in float64, with a last feature that is always 1.

    >>> scatter(torch.tensor([[2.0]]), torch.tensor([[3.0]])).tolist()
    [[13.0, 5.0], [5.0, 2.0]]
    """
    total = torch.zeros((), dtype=torch.float64, device=samples[0].device)
    for X in samples:
        for rows in X.flatten(1).split(8192):
            rows = torch.cat([rows.double(), rows.new_ones(len(rows), 1, dtype=torch.float64)], 1)
            total = total + rows.T @ rows
    return total


def denoiser(S: Tensor, p: float) -> Tensor:
    """W [d, d + 1] that best restores rows of scatter S from themselves, each feature struck out with probability p.

    ``E[P] E[Q]⁻¹`` of Chen et al. (2012), equations 3 and 4; the last feature, the bias, is never struck out.

    >>> denoiser(scatter(torch.tensor([[1.0], [-1.0]])), 0.5).round(decimals=6).tolist()  # uncorrelated: nothing to use
    [[1.0, 0.0]]
    """
    q = torch.full_like(S[0], 1 - p)
    q[-1] = 1
    Q = S * torch.outer(q, q)
    Q.diagonal().copy_(q * S.diagonal())
    Q.diagonal()[:-1].add_(RIDGE * S.diagonal()[:-1].mean())
    P = S[:-1] * q
    return torch.cholesky_solve(P.T, torch.linalg.cholesky(Q)).T


def hidden(X: Tensor, W: Tensor) -> Tensor:
    """``tanh(W (x, 1))`` of rows."""
    return torch.addmm(W[:, -1], X, W[:, :-1].T).tanh_()
