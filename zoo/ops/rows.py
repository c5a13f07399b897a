"""Rows of tensors that may be sparse: what methods do with samples as they come, dense or CSR.

Products of sparse rows go through scipy on the CPU, a block at a time, wherever the rows lie.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

BLOCK = 2**22  # entries of a block of products, each of which scipy holds in 12 bytes before they are filled up


def sparse(X: Tensor) -> bool:
    """Whether rows are sparse."""
    return X.layout == torch.sparse_csr


def to_scipy(X: Tensor) -> Any:
    """Sparse rows as scipy's, which on the CPU share their memory."""
    from scipy.sparse import csr_matrix

    values, columns, ends = (part.detach().cpu().numpy() for part in (X.values(), X.col_indices(), X.crow_indices()))
    return csr_matrix((values, columns, ends), shape=tuple(X.shape))


def of_scipy(X: Any, device: Any = "cpu") -> Tensor:
    """Sparse rows of scipy's, whose memory they share on the CPU."""
    ends, columns, values = map(torch.from_numpy, (X.indptr, X.indices, X.data))
    return _csr(ends, columns, values, X.shape).to(device)


def thin(X: Tensor) -> Tensor:
    """Dense rows [n, d] as sparse ones.

    >>> thin(torch.eye(2)).values().tolist()
    [1.0, 1.0]
    """
    from scipy.sparse import csr_matrix

    return of_scipy(csr_matrix(X.detach().cpu().numpy()), X.device)


def flat(X: Tensor) -> Tensor:
    """Samples as rows [n, d]; sparse ones are."""
    return X if sparse(X) else X.flatten(1)


def joined(A: Tensor, B: Tensor) -> Tensor:
    """The rows of both; sparse where they are.

    >>> joined(thin(torch.eye(2)), thin(torch.ones(1, 2))).to_dense().tolist()
    [[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]
    """
    if not sparse(A):
        return torch.cat([A, B])
    ends = torch.cat([A.crow_indices(), B.crow_indices()[1:] + A.crow_indices()[-1]])
    columns, values = torch.cat([A.col_indices(), B.col_indices()]), torch.cat([A.values(), B.values()])
    return _csr(ends, columns, values, (len(A) + len(B), A.shape[1]))


def taken(X: Tensor, rows: Tensor | slice) -> Tensor:
    """``X[rows]``, rows by number, by mask or from one to another; sparse where X is.

    >>> taken(thin(torch.eye(3)), torch.tensor([2, 0])).to_dense().tolist()
    [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]
    """
    if not sparse(X):
        return X[rows]
    return of_scipy(to_scipy(X)[rows if isinstance(rows, slice) else rows.cpu().numpy()], X.device)


def blocks(X: Tensor, size: int) -> Iterator[Tensor]:
    """Rows, so many at a time, as `Tensor.split` has dense ones."""
    return (taken(X, slice(start, start + size)) for start in range(0, len(X), size))


def mean(X: Tensor) -> Tensor:
    """The mean row [d] in float64."""
    if not sparse(X):
        return X.mean(0, dtype=torch.float64)
    total = X.values().new_zeros(X.shape[1], dtype=torch.float64)
    return total.index_add_(0, X.col_indices().long(), X.values().double()) / max(len(X), 1)


def squares(X: Tensor) -> Tensor:
    """Squared lengths [n] in float64.

    >>> squares(thin(torch.tensor([[3.0, 4.0], [0.0, 0.0]]))).tolist()
    [25.0, 0.0]
    """
    if not sparse(X):
        return X.double().square().sum(1)
    owner = torch.arange(len(X), device=X.device).repeat_interleave(X.crow_indices().diff().long())
    found = X.values().new_zeros(len(X), dtype=torch.float64)
    return found.index_add_(0, owner, X.values().double().square())


def products(A: Tensor, B: Tensor) -> Tensor:
    """``A B'`` [n, m] of sparse rows with sparse ones, or with dense ones [m, d]; dense, in float64.

    >>> products(thin(torch.eye(2)), thin(torch.tensor([[1.0, 2.0]]))).tolist()
    [[1.0], [2.0]]
    """
    a = to_scipy(A).astype("float64")
    b: Any = to_scipy(B).astype("float64").T.tocsr() if sparse(B) else B.detach().cpu().double().numpy().T
    found = torch.empty(len(A), len(B), dtype=torch.float64)
    out, step = found.numpy(), max(1, BLOCK // max(len(B), 1))
    for start in range(0, len(A), step):
        block = a[start : start + step] @ b
        out[start : start + step] = block.toarray() if sparse(B) else block
    return found.to(A.device)


def _csr(ends: Tensor, columns: Tensor, values: Tensor, size: tuple[int, int]) -> Tensor:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that their support is young, and that nobody checks the parts
        return torch.sparse_csr_tensor(ends, columns, values, size=size)
