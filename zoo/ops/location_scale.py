"""Location-scale transforms of classes that bring samples to a target's kernel mean."""

from __future__ import annotations

import torch
from torch import Tensor

from zoo.ops.kernels import gaussian

TOL = 1e-9  # of the objective, which starts at 1


def mmd2(Z: Tensor, Xt: Tensor, gamma: float | Tensor, target: float | Tensor = 0.0) -> Tensor:
    """Squared distance of the Gaussian kernel's means (biased), less the target's own term unless it is given."""
    return gaussian(Z, gamma=gamma).mean() - 2 * gaussian(Z, Xt, gamma=gamma).mean() + target


def penalty(W: Tensor, B: Tensor, share: Tensor) -> Tensor:
    """Mean over samples and features of ``(w - 1)² + b²``, for classes [C, d] of the given shares [C]."""
    return (share @ ((W - 1).square() + B.square())).mean()


def match(Xs: Tensor, Y: Tensor, Xt: Tensor, gamma: float | Tensor, reg: float, steps: int) -> tuple[Tensor, Tensor]:
    """W, B [C, d] that minimise ``MMD²(x∘w(y) + b(y), Xt) / MMD²(x, Xt) + reg·penalty`` from the identity, by L-BFGS.

    The division makes `reg` mean the same for all data, kernels and widths; both terms then are of the order of 1.

    Parameters
    ----------
    Y : Tensor [n, C]
        Labels, one-hot, float64.
    steps : int
        Iterations; an iteration costs about one evaluation of the kernels [n, n] and [n, m] and their gradient.
    """
    W = torch.ones(Y.shape[1], Xs.shape[1], dtype=torch.float64, device=Xs.device).requires_grad_()
    B = torch.zeros_like(W).detach().requires_grad_()
    share = Y.mean(0)
    own = gaussian(Xt, gamma=gamma).mean()
    before = mmd2(Xs, Xt, gamma, own)
    if not before > 1e-12:  # the same samples twice: nothing to match
        return W.detach(), B.detach()
    lbfgs = torch.optim.LBFGS(
        [W, B], max_iter=steps, tolerance_grad=1e-7, tolerance_change=TOL, line_search_fn="strong_wolfe"
    )

    def closure() -> Tensor:
        lbfgs.zero_grad()
        loss = mmd2(Xs * (Y @ W) + Y @ B, Xt, gamma, own) / before + reg * penalty(W, B, share)
        loss.backward()
        return loss

    with torch.enable_grad():
        lbfgs.step(closure)
    return W.detach(), B.detach()


def strided(X: Tensor, limit: int, y: Tensor | None = None) -> Tensor:
    """At most `limit` rows' indices, evenly spaced in the order of (label,) distance from the mean: no random numbers.

    >>> strided(torch.tensor([[0.0], [9.0], [4.0], [5.0]]), 2).tolist()  # of distances 4.5, 4.5, 0.5, 0.5
    [2, 0]
    """
    n = len(X)
    if n <= limit:
        return torch.arange(n, device=X.device)
    order = (X.double() - X.double().mean(0)).square().sum(1).argsort(stable=True)
    if y is not None:
        order = order[y[order].argsort(stable=True)]
    return order[torch.arange(limit, device=X.device) * n // limit]
