"""The maximum mean discrepancy."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

WIDEST, KERNELS = 4.0, 5  # multiples of the mean squared distance: 4, 2, 1, 1/2, 1/4; Long et al. (2015)


def multi_gaussian(X: Tensor, *, gamma: float | None = None, kernels: int = KERNELS) -> Tensor:
    """The sum of Gaussian kernels ``exp(-gamma·2^j·d²)`` over all pairs of rows of X [n, d], j below `kernels`.

    Parameters
    ----------
    gamma : float, optional
        Of the widest kernel; default: ``1 / (4·mean d²)``, the mean being a constant to the gradient, since otherwise
        scaling the features would be a way out.

    In float32 at least, whatever autocast says. Each kernel is the last one's square, and the gradient has a closed
    form, so that one exponential and two matrix products are all that is needed.

    >>> multi_gaussian(torch.tensor([[0.0], [2.0]]), gamma=0.25, kernels=1)[0, 1].exp().item()  # exp(exp(-1))
    1.4446678161621094
    """
    X = X if X.dtype == torch.float64 else X.float()
    centred = X.detach() - X.detach().mean(0)
    if gamma is None:  # the mean over pairs is twice the variance
        scale = (2 / (len(X) - 1)) * centred.square().sum()
        slope: float | Tensor = -1 / (WIDEST * scale.clamp_min(torch.finfo(X.dtype).tiny ** 0.5))  # finite if all equal
    else:
        slope = -gamma
    return _Gaussians.apply(X, centred, slope, kernels)


class _Gaussians(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, X: Tensor, centred: Tensor, slope: float | Tensor, kernels: int) -> Tensor:
        device = "cpu" if X.is_meta else X.device.type  # meta has no autocast
        with torch.autocast(device, enabled=False):  # distances cancel in bfloat16
            norms = centred.square().sum(1)
            D = torch.addmm(norms[:, None] + norms, centred, centred.T, alpha=-2).clamp_min_(0)
        kernel = D.mul_(slope).exp_()
        total, derivative = kernel.clone(), kernel.clone()
        for j in range(1, kernels):
            kernel.square_()
            total += kernel
            derivative.add_(kernel, alpha=2**j)
        ctx.save_for_backward(centred, derivative.mul_(slope))  # of the sum by d²
        return total

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        centred, derivative = ctx.saved_tensors
        G = grads[0] * derivative
        G = G + G.T
        return 2 * (G.sum(1)[:, None] * centred - G @ centred), None, None, None


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
