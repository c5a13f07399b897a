"""Distances and Gaussian kernels on rows."""

from __future__ import annotations

from functools import reduce

import torch
from torch import Tensor

from zoo.ops.rows import joined, mean, products, sparse, squares


def sq_dists(X: Tensor, Y: Tensor | None = None) -> Tensor:
    """Squared Euclidean distances [n, m] of rows, in float64, through one matrix product.

    Rows are centred first, because ``|x|² + |y|² - 2xy`` cancels for data far from the origin. float64 also keeps
    autocast away, under which a product of bfloat16 would leave few correct digits. Sparse rows (of both, CSR) stay
    where they are, for most of them lie near the origin.

    >>> sq_dists(torch.tensor([[0.0, 0.0], [3.0, 4.0]])).tolist()
    [[0.0, 25.0], [25.0, 0.0]]
    """
    if sparse(X):
        Y = X if Y is None else Y
        return products(X, Y).mul_(-2).add_(squares(X)[:, None]).add_(squares(Y)).clamp_min_(0)
    X = X.double()
    Y = X if Y is None else Y.double()
    centre = Y.detach().mean(0)
    X, Y = X - centre, Y - centre
    return (X.square().sum(1)[:, None] + Y.square().sum(1) - 2 * X @ Y.T).clamp_min(0)


def gaussian(X: Tensor, Y: Tensor | None = None, *, gamma: float | Tensor) -> Tensor:
    """The Gaussian kernel ``exp(-gamma |x - y|²)``, [n, m] in float64."""
    return sq_dists(X, Y).mul_(-gamma).exp_()


def inverse_scale(*samples: Tensor) -> Tensor:
    """One over the mean squared distance of two rows of the pooled samples: a gamma that follows the data's units.

    The mean has the closed form 2·tr(cov), the usual median has none. 1 where all rows are equal.

    >>> round(inverse_scale(torch.tensor([[0.0], [1.0]]), torch.tensor([[4.0]])).item(), 6)  # 3 / (1 + 16 + 9)
    0.115385
    """
    if sparse(samples[0]):
        X = reduce(joined, samples)
        spread = (squares(X).sum() - len(X) * mean(X).square().sum()).clamp_min(0) / (len(X) - 1)
    else:
        spread = torch.cat(samples).double().var(0).sum()
    distance = 2 * spread
    return torch.where(distance > 0, 1 / distance, torch.ones_like(distance))
