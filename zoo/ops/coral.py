"""Second moments: covariances and roots of symmetric matrices."""

from __future__ import annotations

import torch
from torch import Tensor


def covariance(X: Tensor) -> Tensor:
    """Covariance [d, d] of rows with n - 1, in float64; zeros for a single row.

    >>> covariance(torch.tensor([[0.0, 1.0], [2.0, 1.0]])).tolist()
    [[2.0, 0.0], [0.0, 0.0]]
    """
    X = X.double()
    X = X - X.mean(0)
    return X.T @ X / max(len(X) - 1, 1)


def sym_power(C: Tensor, power: float) -> Tensor:
    """A power of a symmetric positive semi-definite matrix; directions of no variance stay at 0 (pseudo-inverse).

    >>> sym_power(torch.tensor([[4.0, 0.0], [0.0, 0.0]]), -0.5).tolist()
    [[0.5, 0.0], [0.0, 0.0]]
    """
    values, vectors = torch.linalg.eigh(C)
    floor = values[-1].clamp_min(0) * len(C) * torch.finfo(C.dtype).eps
    kept = values > floor
    roots = torch.where(kept, torch.where(kept, values, 1).pow(power), 0)
    return (vectors * roots) @ vectors.T


def coral(Xs: Tensor, Xt: Tensor, reg: float) -> Tensor:
    """The map [d, d] of Sun et al. (2016): whiten by the source's covariance + reg·I, colour by the target's."""
    eye = reg * torch.eye(Xs.shape[1], dtype=torch.float64, device=Xs.device)
    return sym_power(covariance(Xs) + eye, -0.5) @ sym_power(covariance(Xt) + eye, 0.5)
