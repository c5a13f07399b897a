"""Message passing in plain torch: sparse matrices that multiply dense ones, and the matrices of a graph."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from zoo.graph import Graph


class Sparse:
    """A constant sparse matrix that multiplies dense ones; gradients go through its transpose, kept in CSR as well.

    >>> S = Sparse.of(torch.tensor([0, 1, 1]), torch.tensor([1, 0, 1]), torch.ones(3), (2, 2))
    >>> (S @ torch.eye(2)).tolist()
    [[0.0, 1.0], [1.0, 1.0]]
    """

    def __init__(self, csr: Tensor | None, transposed: Tensor | None, shape: tuple[int, int]) -> None:
        self.csr, self.transposed, self.shape = csr, transposed, shape

    @classmethod
    def of(cls, rows: Tensor, columns: Tensor, values: Tensor, shape: tuple[int, int]) -> Sparse:
        """From the places of its entries, each once."""
        if values.is_meta:
            return cls(None, None, shape)
        csr = _csr(rows, columns, values, shape)
        return cls(csr, _csr(columns, rows, values, shape[::-1]), shape)

    @classmethod
    def symmetric(cls, rows: Tensor, columns: Tensor, values: Tensor, n: int) -> Sparse:
        """A symmetric one, which is its own transpose."""
        if values.is_meta:
            return cls(None, None, (n, n))
        csr = _csr(rows, columns, values, (n, n))
        return cls(csr, csr, (n, n))

    @classmethod
    def features(cls, x: Tensor) -> Sparse:
        """From a tensor in CSR."""
        counts = x.crow_indices().diff()
        rows = torch.arange(x.shape[0], device=x.device).repeat_interleave(counts)
        return cls.of(rows, x.col_indices().long(), x.values(), (x.shape[0], x.shape[1]))

    @classmethod
    def blocks(cls, parts: Sequence[Sparse], diagonal: bool = True) -> Sparse:
        """Matrices along a diagonal, or one below the other."""
        n = sum(p.shape[0] for p in parts)
        d = sum(p.shape[1] for p in parts) if diagonal else parts[0].shape[1]
        if parts[0].csr is None:
            return cls(None, None, (n, d))
        rows, columns, values = [], [], []
        down = right = 0
        for p in parts:
            r, c, v = p.entries()
            rows.append(r + down)
            columns.append(c + right)
            values.append(v)
            down, right = down + p.shape[0], right + (p.shape[1] if diagonal else 0)
        made = cls.symmetric if diagonal and all(p.transposed is p.csr for p in parts) else cls.of
        shape: Any = n if made == cls.symmetric else (n, d)
        return made(torch.cat(rows), torch.cat(columns), torch.cat(values), shape)

    def entries(self) -> tuple[Tensor, Tensor, Tensor]:
        """Rows, columns and values of its entries."""
        assert self.csr is not None
        rows = torch.arange(self.shape[0], device=self.csr.device).repeat_interleave(self.csr.crow_indices().diff())
        return rows, self.csr.col_indices().long(), self.csr.values()

    def t(self) -> Sparse:
        return Sparse(self.transposed, self.csr, self.shape[::-1])

    def __matmul__(self, H: Tensor) -> Tensor:
        with torch.autocast(H.device.type if not H.is_meta else "cpu", enabled=False):
            product: Tensor = _Product.apply(H.float() if self.csr is None else H.to(self.csr.dtype), self)
        return product


class _Product(torch.autograd.Function):
    """Sparse times dense; torch's own gradient of it makes the transpose anew at every step."""

    @staticmethod
    def forward(ctx: Any, H: Tensor, S: Sparse) -> Tensor:
        ctx.S, ctx.by_columns = S, H.stride() == (1, H.shape[0]) and 1 not in H.shape
        return H.new_empty(S.shape[0], H.shape[1]) if S.csr is None else S.csr @ H

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        grad = ctx.S.t() @ grads[0]
        # In the memory format of H, often a weight transposed: fused optimisers walk both side by side.
        return grad.T.contiguous().T if ctx.by_columns else grad, None


def degrees(graph: Graph) -> Tensor:
    """Number of neighbours of each node."""
    ends = graph.edges.T.flatten()
    found = torch.zeros(graph.n, device=ends.device)
    return found.index_add(0, ends, found.new_ones(len(ends)))


def adjacency(graph: Graph) -> Sparse:
    """``D^-½ (A + I) D^-½`` with D the row sums of A + I (Kipf and Welling 2017, the renormalised form).

    Edges' weights multiply their entries, and leave D alone: less of an edge is less of a message.
    """
    (u, v), loops = graph.edges.T, torch.arange(graph.n, device=graph.edges.device)
    root = (degrees(graph) + 1).rsqrt()
    w = root[u] * root[v]
    if graph.weights is not None:
        w = w * graph.weights
    rows, columns = torch.cat([u, v, loops]), torch.cat([v, u, loops])
    return Sparse.symmetric(rows, columns, torch.cat([w, w, root * root]), graph.n)


def ppmi(graph: Graph, length: int, walks: int, seed: int) -> Sparse:
    """``D^-½ (P + I) D^-½`` with P the positive pointwise mutual information of nodes on random walks."""
    rows, columns, counts = walk_counts(graph, length, walks, seed)
    w = mutual_information(rows, columns, counts, graph.n)
    loops = torch.arange(graph.n, device=rows.device)
    rows, columns = torch.cat([rows[w > 0], loops]), torch.cat([columns[w > 0], loops])
    values = torch.cat([w[w > 0], w.new_ones(graph.n)])
    root = w.new_zeros(graph.n).index_add(0, rows, values).rsqrt()
    return Sparse.of(rows, columns, (root[rows] * values * root[columns]).float(), (graph.n, graph.n))


def walk_counts(graph: Graph, length: int, walks: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """How often walks from node i come by node j: rows, columns and counts; of i ≠ j only.

    From each node start `walks` walks, each of a length drawn from 1 to `length`.
    """
    n, ends = graph.n, graph.edges.cpu()
    rows, columns = torch.cat([ends[:, 0], ends[:, 1]]), torch.cat([ends[:, 1], ends[:, 0]])
    neighbours = columns[rows.argsort(stable=True)]
    degree = torch.bincount(rows, minlength=n)
    start = degree.cumsum(0) - degree
    g = torch.Generator().manual_seed(seed)
    origin = torch.arange(n)[degree > 0].repeat(walks)
    here, last = origin, torch.randint(1, length + 1, (len(origin),), generator=g)
    codes = []
    for k in range(length):
        origin, here, last = (a[last > k] for a in (origin, here, last))
        here = neighbours[start[here] + (torch.rand(len(here), generator=g) * degree[here]).long()]
        codes.append((origin * n + here)[origin != here])
    found, counts = torch.cat(codes).unique(return_counts=True)
    device = graph.edges.device
    return (found // n).to(device), (found % n).to(device), counts.to(device)


def mutual_information(rows: Tensor, columns: Tensor, counts: Tensor, n: int) -> Tensor:
    """``max(0, log(p_ij / (p_i p_j)))`` of the entries of a matrix of counts, float64; p_i and p_j its marginals."""
    p = counts.double() / counts.sum()
    first, second = (p.new_zeros(n).index_add(0, index, p) for index in (rows, columns))
    return (p / (first[rows] * second[columns])).log().clamp_min(0)


def _csr(rows: Tensor, columns: Tensor, values: Tensor, shape: tuple[int, int]) -> Tensor:
    order = torch.argsort(rows * shape[1] + columns)
    start = torch.zeros(shape[0] + 1, dtype=torch.int64, device=rows.device)
    start[1:] = torch.bincount(rows, minlength=shape[0]).cumsum(0)
    index = (
        torch.int32 if max(*shape, len(rows)) < 2**31 else torch.int64
    )  # MKL and cuSPARSE are faster with the former
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sparse (CSR|invariant)", UserWarning)
        return torch.sparse_csr_tensor(
            start.to(index), columns[order].to(index), values[order], shape, check_invariants=False
        )
