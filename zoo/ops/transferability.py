"""How well a source model is expected to serve a labelled target sample, before anything is adapted; higher is better.

All four read the target's labels: they judge sources for an experimenter, and are no part of any method.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

WIDEST, GRID, HALVINGS = 1e12, 241, 40  # LogME: range and grid of the ratio alpha / beta, and steps of its refinement


def leep(P: Tensor, y: Tensor) -> float:
    """Log expected empirical prediction ``mean_i log Σ_z p(y_i | z) P_iz`` (Nguyen et al., ICML 2020, equation 2).

    p(y | z) is the empirical conditional of target labels given source classes, both soft: what the best use of
    the source model's probabilities as a dictionary would give. At most 0, which is a one-to-one dictionary without
    doubt; at least -H(y), to which a model of constant probabilities comes.

    Parameters
    ----------
    P : Tensor [n, n_source_classes]
        The source model's probabilities; rows sum to 1.
    y : Tensor [n]
        Target labels as indices.

    >>> leep(torch.eye(2), torch.tensor([1, 0]))
    0.0
    """
    P = P.double()
    joint = _indicators(y).T @ P
    given = joint / joint.sum(0).clamp_min(torch.finfo(P.dtype).tiny)  # a source class of no mass stays at 0
    return (P * given[_index(y)]).sum(1).log().mean().item()


def nce(z: Tensor, y: Tensor) -> float:
    """Negative conditional entropy ``-H(y | z)`` in nats (Tran et al., ICCV 2019), z the source model's decisions.

    It is the log-likelihood of the target labels under the best map from source classes. Between -H(y) and 0.

    Parameters
    ----------
    z, y : Tensor [n]
        Source classes and target labels as indices.

    >>> nce(torch.tensor([3, 3, 5]), torch.tensor([0, 0, 1]))
    0.0
    """
    joint = _indicators(z).T @ _indicators(y) / len(y)
    given = joint / joint.sum(1, keepdim=True)
    return torch.xlogy(joint, given).sum().item()


def log_me(F: Tensor, y: Tensor) -> float:
    """Log maximum evidence a sample (You et al., ICML 2021) of Bayesian linear regression from F to each class's 0/1.

    For each class, ``max over alpha, beta of log N(y_c; 0, I / beta + F F' / alpha) / n``; the mean over the classes
    of y. With t = alpha / beta the best beta is ``n / y'(I + F F' / t)^-1 y``, so that one ratio t is left: it is
    searched on a grid, as there can be several maxima (the paper's fixed point stops at one), then by golden section.
    No intercept, as in the paper: F has to span the constant for the mean of F not to matter. Its scale never does.

    A perfect fit has no maximum (beta grows without bound): t is kept within 1e±12 of the largest squared singular
    value.

    Parameters
    ----------
    F : Tensor [n, d]
        Features or outputs of the source model on the target.
    y : Tensor [n]
        Target labels as indices.
    """
    F, Y = F.double(), _indicators(y)
    n = len(F)
    U, s, _ = torch.linalg.svd(F, full_matrices=False)
    size = s.square() / s.square().max().clamp_min(torch.finfo(F.dtype).tiny)
    along = (U.T @ Y).square().T  # [classes, r]
    beyond = (Y - U @ (U.T @ Y)).square().sum(0)  # what no weights reach

    def evidence(log_t: Tensor) -> Tensor:
        """[classes, k] of log_t [classes, k]; without the constant."""
        shrunk = 1 / (1 + size / log_t.exp()[..., None])  # t / (t + s²)
        left = (beyond[:, None] + (along[:, None] * shrunk).sum(2)).clamp_min(torch.finfo(F.dtype).tiny)
        return (shrunk.log().sum(2) - n * left.log()) / 2

    top = math.log(WIDEST)
    grid = torch.linspace(-top, top, GRID, dtype=F.dtype, device=F.device).expand(Y.shape[1], -1)
    best = evidence(grid).argmax(1, keepdim=True)
    low, high = grid.gather(1, (best - 1).clamp_min(0)), grid.gather(1, (best + 1).clamp_max(GRID - 1))
    golden = (5**0.5 - 1) / 2
    for _ in range(HALVINGS):
        a, b = high - golden * (high - low), low + golden * (high - low)
        left = evidence(a) >= evidence(b)
        low, high = torch.where(left, low, a), torch.where(left, b, high)
    found = evidence((low + high) / 2)[:, 0]
    # n/2 log beta - beta/2 · n / beta - n/2 log 2π, where beta = n / left
    constant = n / 2 * (math.log(n) - 1 - math.log(2 * math.pi))
    return ((found + constant) / n).mean().item()


def h_score(F: Tensor, y: Tensor) -> float:
    """H-score ``trace(cov(F)^+ cov(E[F | y]))`` (Bao et al., ICIP 2019): variance between classes over all variance.

    The sum of the squared canonical correlations of F and y: from 0 to the smaller of rank F and classes - 1, the same
    for F and any invertible linear map of it. With as many features as samples it is classes - 1, whatever F.

    Parameters
    ----------
    F : Tensor [n, d]
        Features or outputs of the source model on the target.
    y : Tensor [n]
        Target labels as indices.

    >>> round(h_score(torch.tensor([[0.0], [0.0], [1.0], [1.0]]), torch.tensor([0, 0, 1, 1])), 12)
    1.0
    """
    F, Y = F.double(), _indicators(y)
    centred = F - F.mean(0)
    U, s, _ = torch.linalg.svd(centred, full_matrices=False)
    # Rounding of the mean is relative to F, not to what is left of it: a constant column has no direction.
    floor = max(F.shape) * torch.finfo(F.dtype).eps * torch.linalg.matrix_norm(F)
    sums = Y.T @ U[:, s > floor]  # trace(U' P U), where P averages within classes
    return (sums.square().sum(1) / Y.sum(0)).sum().item()


def _index(y: Tensor) -> Tensor:
    """Labels numbered by those there are."""
    return y.unique(return_inverse=True)[1]


def _indicators(y: Tensor) -> Tensor:
    """One column of 0/1 a class that there is, in float64."""
    return torch.nn.functional.one_hot(_index(y)).double()
