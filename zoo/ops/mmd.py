"""The maximum mean discrepancy."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from zoo.ops.kernels import sq_dists

MULTIPLES = (0.25, 0.5, 1.0, 2.0, 4.0)  # of the mean squared distance; Long et al. (2015)


def multi_gaussian(X: Tensor, multiples: Sequence[float] = MULTIPLES) -> Tensor:
    """The mean of Gaussian kernels over all pairs of rows, ``exp(-d² / (c·mean d²))`` for each multiple c.

    The mean distance is a constant to the gradient: otherwise scaling the features would be a way out.
    """
    D = sq_dists(X)
    n = len(X)
    scale = (D.detach().sum() / (n * (n - 1))).clamp_min(torch.finfo(D.dtype).tiny)
    return torch.stack([torch.exp(-D / (c * scale)) for c in multiples]).mean(0)


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
