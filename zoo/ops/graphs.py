"""Sparse neighbour graphs, and labels spreading along them."""

from __future__ import annotations

import math
import warnings

import torch
from torch import Tensor

from zoo.ops.kernels import sq_dists


def neighbours(X: Tensor, Y: Tensor, k: int, *, loops: bool = True, chunk: int = 2048) -> tuple[Tensor, Tensor]:
    """Squared distances and indices [n, k] of the k rows of Y nearest to each row of X, nearest first.

    Parameters
    ----------
    loops : bool
        With False, X is Y and a row is not its own neighbour.
    chunk : int
        Rows of X at a time, so that no [n, m] matrix is held.
    """
    found = []
    for start in range(0, len(X), chunk):
        D = sq_dists(X[start : start + chunk], Y)
        if not loops:
            rows = torch.arange(len(D), device=D.device)
            D[rows, rows + start] = torch.inf
        found.append(D.topk(min(k, len(Y) - (not loops)), largest=False))
    return torch.cat([f.values for f in found]), torch.cat([f.indices for f in found])


def affinities(D: Tensor) -> Tensor:
    """Weights of neighbours from squared distances [n, k], nearest first: ``exp(-(d² - d1²) / mean(d² - d1²))``.

    Relative to the nearest neighbour, so that no row underflows to nothing; the scale is the row's own, so that dense
    and sparse regions are alike. Uniform where all neighbours are equally far.

    >>> affinities(torch.tensor([[1.0, 1.0], [0.0, 2.0]])).tolist()
    [[1.0, 1.0], [1.0, 0.1353352814912796]]
    """
    beyond = D - D[:, :1]
    scale = beyond.mean(1, keepdim=True)
    return torch.exp(-beyond / torch.where(scale > 0, scale, 1))


def knn_graph(X: Tensor, k: int) -> Tensor:
    """The symmetric affinity matrix [n, n] of the k-nearest-neighbour graph of rows, sparse CSR, float64."""
    D, columns = neighbours(X, X, k, loops=False)
    n, k = columns.shape
    rows = torch.arange(n, device=X.device).repeat_interleave(k)
    both = torch.stack([torch.cat([rows, columns.flatten()]), torch.cat([columns.flatten(), rows])])
    half = affinities(D).flatten() / 2
    return _csr(torch.sparse_coo_tensor(both, torch.cat([half, half]), (n, n), check_invariants=True).coalesce())


def normalised(W: Tensor) -> Tensor:
    """``D^-½ W D^-½`` of a sparse CSR affinity matrix whose degrees are D."""
    W = W.to_sparse_coo().coalesce()
    rows, columns = W.indices()
    degree = W.values().new_zeros(len(W)).index_add(0, rows, W.values())
    root = torch.where(degree > 0, degree, 1).rsqrt()
    values = W.values() * root[rows] * root[columns]
    return _csr(torch.sparse_coo_tensor(W.indices(), values, W.shape, check_invariants=True).coalesce())


def spread(S: Tensor, Y: Tensor, alpha: float, *, tol: float = 1e-10) -> Tensor:
    """``(1 - alpha) (I - alpha S)⁻¹ Y`` (Zhou et al. 2004) by power iteration, for S with eigenvalues in [-1, 1].

    The error shrinks by alpha a step, so that the number of steps is known beforehand. All terms are non-negative:
    a row stays exactly 0 where no label reaches it.
    """
    start = (1 - alpha) * Y
    F = start
    for _ in range(math.ceil(math.log(tol) / math.log(alpha))):
        F = torch.addmm(start, S, F, alpha=alpha)
    return F


def _csr(W: Tensor) -> Tensor:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sparse CSR tensor support is in beta", UserWarning)
        return W.to_sparse_csr()
