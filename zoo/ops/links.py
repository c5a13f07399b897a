"""Edges of a graph over two domains that lead from one to the other."""

from __future__ import annotations

from torch import Tensor


def crossing(W: Tensor, n: int) -> int:
    """How many edges lead from the first `n` nodes to the others in a symmetric sparse matrix [., .].

    >>> import torch
    >>> crossing(torch.tensor([[0.0, 1, 2], [1, 0, 0], [2, 0, 0]]).to_sparse(), 1)
    2
    """
    W = W.to_sparse_coo().coalesce()
    rows, columns = W.indices()
    return int(((rows < n) & (columns >= n) & (W.values() != 0)).sum())
