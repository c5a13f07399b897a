"""Adaptation regularisation: kernel least squares on the source that matches both domains and is smooth on a graph."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from zoo.ops.graphs import neighbours
from zoo.ops.joint import Ridge, cosine_laplacian, mmd_root, on_simplex
from zoo.ops.kernels import gaussian
from zoo.ops.links import crossing
from zoo.ops.subspaces import landmarks

EXACT = 3000  # samples of both domains up to which the kernel is whole
GAMMA = 0.5  # one over twice the squared bandwidth, which is the mean squared length of rows, hence 1


class Expansion(NamedTuple):
    """A function per class in a Gaussian kernel's space, as an expansion.

    Attributes
    ----------
    rows : the samples that carry it; root : a factor of the low-rank kernel, None where the kernel is whole
    weights : coefficients [len(rows) or rank, n_classes]
    certificate : share of the kernel's trace left out, edges between the domains, solutions, labels that the last of
        them changed
    """

    rows: Tensor
    root: Tensor | None
    weights: Tensor
    certificate: dict[str, float]

    def scores(self, X: Tensor) -> Tensor:
        """Class scores of rows [n, d], projected onto the simplex."""
        K = gaussian(X, self.rows, gamma=GAMMA)
        return on_simplex((K if self.root is None else K @ self.root) @ self.weights)


def adapted(
    X: Tensor,
    ys: Tensor,
    n_classes: int,
    *,
    size: float,
    smooth: float,
    matching: float,
    marginal: float,
    conditional: float,
    p: int,
    T: int,
    most: int,
) -> Expansion:
    """Solve in closed form, again with the target labels that it gives, until none changes.

    Long et al. (2014), eq. 12 to 17, with the MMD matrix over its Frobenius norm; the labels that it starts from are
    1-NN's. With more than `EXACT` samples the kernel is of low rank (Nyström). The graph is sparse throughout.

    Parameters
    ----------
    X : rows of length 1 of source and target [n_s + n_t, d], the source first
    ys : labels of the source [n_s]
    size, smooth, matching : weights of the function's norm, of its variation along the graph, of the two domains' MMD
    marginal, conditional : parts of the MMD
    p : neighbours (cosine) in the graph
    T : largest number of solutions
    most : landmarks of a low-rank kernel
    """
    n_s, n_t = len(ys), len(X) - len(ys)
    rows, root, error = X, None, 0.0
    if len(X) <= EXACT:
        K = gaussian(X, gamma=GAMMA)
    else:
        rows, root, error = landmarks(X, min(most, len(X)), GAMMA)
        K = gaussian(X, rows, gamma=GAMMA) @ root
    labelled = torch.cat([X.new_ones(n_s), X.new_zeros(n_t)])
    Y = torch.cat([one_hot(ys, n_classes).double(), X.new_zeros(n_t, n_classes)])
    L = cosine_laplacian(X, p)
    ridge = Ridge(K, labelled, L, Y, smooth, size, low_rank=root is not None)
    yt = ys[neighbours(X[n_s:], X[:n_s], 1)[1][:, 0]]
    certificate = {"nystrom_error": error, "cross_edges": float(crossing(L, n_s))}
    for step in range(T):
        E = mmd_root(ys, yt, n_t, n_classes, marginal, conditional)
        weights, F = ridge.solve(matching**0.5 * E)
        new = F[n_s:].argmax(1)
        changed = int((new != yt).sum())
        certificate |= {"iterations": step + 1.0, "changed": float(changed)}
        yt = new
        if not changed:
            break
    return Expansion(rows, root, weights, certificate)
