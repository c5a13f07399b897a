"""The maximum mean discrepancy."""

from __future__ import annotations

import torch
from torch import Tensor

from zoo.ops.kernels import sq_dists

WIDEST, KERNELS = 4.0, 5  # multiples of the mean squared distance: 4, 2, 1, 1/2, 1/4; Long et al. (2015)


def multi_gaussian(X: Tensor) -> Tensor:
    """The mean of Gaussian kernels over all pairs of rows, ``exp(-d² / (c·mean d²))`` for c from 1/4 to 4.

    The mean distance is a constant to the gradient: otherwise scaling the features would be a way out. Each c is half
    the last, so that its kernel is the last one's square: one exponential for all.
    """
    D = sq_dists(X)
    n = len(X)
    scale = (D.detach().sum() / (n * (n - 1))).clamp_min(torch.finfo(D.dtype).tiny)
    kernel = total = torch.exp(D / (-WIDEST * scale))
    for _ in range(KERNELS - 1):
        kernel = kernel * kernel
        total = total + kernel
    return total / KERNELS


def mmd2(K: Tensor, n: int, *, unbiased: bool = True) -> Tensor:
    """Squared MMD of the first `n` rows of a joint kernel matrix against the others.

    Parameters
    ----------
    K : Tensor [n + m, n + m]
        Kernel values of both samples together.
    unbiased : bool
        Leave out the diagonals, so that the mean over draws from one distribution is 0 (and single values may be
        negative).

    >>> mmd2(torch.tensor([[1.0, 0.5], [0.5, 1.0]]), 1, unbiased=False).item()
    1.0
    """
    m = len(K) - n
    ss, tt, st = K[:n, :n], K[n:, n:], K[:n, n:]
    if unbiased:
        within = (ss.sum() - ss.trace()) / (n * (n - 1)) + (tt.sum() - tt.trace()) / (m * (m - 1))
    else:
        within = ss.mean() + tt.mean()
    return within - 2 * st.mean()
