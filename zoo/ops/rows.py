"""Rows of tensors that may be sparse."""

from __future__ import annotations

import torch
from torch import Tensor


def joined(A: Tensor, B: Tensor) -> Tensor:
    """The rows of both; sparse where they are.

    >>> joined(torch.eye(2).to_sparse_csr(), torch.ones(1, 2).to_sparse_csr()).to_dense().tolist()
    [[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]
    """
    if A.layout != torch.sparse_csr:
        return torch.cat([A, B])
    ends = torch.cat([A.crow_indices(), B.crow_indices()[1:] + A.crow_indices()[-1]])
    columns, values = torch.cat([A.col_indices(), B.col_indices()]), torch.cat([A.values(), B.values()])
    return torch.sparse_csr_tensor(ends, columns, values, size=(len(A) + len(B), A.shape[1]))
