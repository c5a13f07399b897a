"""Second moments: covariances and roots of symmetric matrices."""

from __future__ import annotations

import torch
from torch import Tensor

from zoo.ops.subspaces import Spectrum


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


def times_power(X: Tensor, s: Spectrum, reg: float, power: float) -> Tensor:
    """``X (C + reg I)^power`` for the covariance C of a spectrum, in float64 and without a matrix [d, d].

    Outside the r directions of C the power is that of reg alone. As in `sym_power`, directions of no variance give 0.

    >>> from zoo.ops.subspaces import spectrum
    >>> s = spectrum(torch.tensor([[0.0, 1.0], [2.0, 1.0]]))  # variances 2 and 0
    >>> times_power(torch.ones(1, 2), s, 2.0, -0.5).round(decimals=4).tolist()
    [[0.5, 0.7071]]
    """
    X = X.double()
    values = s.values + reg
    floor = (s.values[:1].sum() + reg) * X.shape[1] * torch.finfo(X.dtype).eps
    kept = values > floor
    roots = torch.where(kept, torch.where(kept, values, 1).pow(power), 0)
    rest = reg**power if reg > floor else 0.0
    return rest * X + ((X @ s.vectors) * (roots - rest)) @ s.vectors.T


def coral(X: Tensor, source: Spectrum, target: Spectrum, reg: float, *, centre: bool) -> Tensor:
    """Source rows mapped as by Sun et al. (2016): whitened by the source's covariance + reg·I, coloured by the other's.

    With `centre` they are taken around the source's mean and put around the target's. In this order a product costs
    n·d·r, which with few rows or low ranks is far less than the map's own d³.
    """
    X = X.double() - source.mean if centre else X
    X = times_power(times_power(X, source, reg, -0.5), target, reg, 0.5)
    return X + target.mean if centre else X
