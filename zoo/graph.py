"""The noun of graph suites: nodes with features, and undirected edges between them. Imports no torch by itself."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from zoo.noun import Noun


@dataclass(frozen=True, eq=False, repr=False)
class Graph(Noun):
    """An undirected graph without loops. In a Task its arrays are tensors.

    Attributes
    ----------
    edges : int array [m, 2]
        Each edge once, the smaller node first, in ascending order, so that their order tells nothing.
    x : array [n, d], or sparse CSR
        Features of the nodes, float32.
    weights : array [m], optional
        Weights of the edges; 1 where there are none.
    key : str
        Digest of the content, where the arrays are tensors.
    notes : tuple of str
        What was left out or assumed at loading, a line each; subgraphs have none.

    >>> g = Graph.build([(2, 0), (0, 2), (1, 1), (1, 2)], np.eye(3, dtype=np.float32))
    >>> g, g.edges.tolist(), g.induced(np.array([2, 0])).edges.tolist()
    (Graph(3 nodes, 2 edges, 9f551f05fc5c219b), [[0, 2], [1, 2]], [[0, 1]])
    """

    sent: ClassVar[tuple[str, ...]] = ("edges", "x", "weights", "key")

    edges: Any
    x: Any
    weights: Any = None
    key: str = ""
    notes: tuple[str, ...] = ()

    @classmethod
    def build(cls, edges: Any, x: Any) -> Graph:
        """From edges in any order and direction; those that stand twice count once, loops not at all."""
        pairs = np.sort(np.asarray(edges, np.int64).reshape(-1, 2), axis=1)
        pairs = pairs[pairs[:, 0] < pairs[:, 1]]
        codes = np.unique(pairs[:, 0] * x.shape[0] + pairs[:, 1])
        return cls(np.stack(np.divmod(codes, max(x.shape[0], 1)), 1).astype(np.int32), x)

    @property
    def n(self) -> int:
        """Number of nodes."""
        return int(self.x.shape[0])

    def __len__(self) -> int:
        return self.n

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.x.shape)

    @property
    def dtype(self) -> Any:
        return self.x.dtype

    @cached_property
    def digest(self) -> str:
        """sha256 of the content; the same for dense and sparse features."""
        if self.key:
            return self.key
        found = hashlib.sha256(repr((self.shape, len(self.edges))).encode())
        found.update(np.ascontiguousarray(self.edges, np.int32).data)
        for part in _sparse_parts(self.x):
            found.update(np.ascontiguousarray(part).data)
        return found.hexdigest()

    def __repr__(self) -> str:
        return f"Graph({self.n} nodes, {len(self.edges)} edges, {self.digest[:16]})"

    def induced(self, rows: np.ndarray) -> Graph:
        """The subgraph of some nodes: node k of it is node ``rows[k]`` of this one."""
        place = np.full(self.n, -1)
        place[rows] = np.arange(len(rows))
        edges = place[self.edges]
        return Graph.build(edges[(edges >= 0).all(1)], self.x[rows])

    def with_features(self, x: Any) -> Graph:
        return replace(self, x=x)

    def to(self, device: Any) -> Graph:
        """The graph with its arrays as tensors on a device."""
        import torch

        x, weights = self.x, self.weights
        if is_sparse(x):
            start, columns, values = (torch.from_numpy(a.copy()) for a in (x.indptr, x.indices, x.data))
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", "Sparse (CSR|invariant)", UserWarning)
                x = torch.sparse_csr_tensor(start, columns, values, self.shape, check_invariants=True)
        elif isinstance(x, np.ndarray):
            x = torch.from_numpy(x.copy())
        weights = None if weights is None else torch.as_tensor(weights).to(device)
        return Graph(torch.as_tensor(self.edges).long().to(device), x.to(device), weights, self.digest)


def joined(graphs: Sequence[Graph]) -> Graph:
    """Several graphs as one, no edges between them; nodes are counted on."""
    if len(graphs) == 1:
        return graphs[0]
    first = np.cumsum([0, *(g.n for g in graphs)])
    edges = np.concatenate([g.edges + offset for g, offset in zip(graphs, first, strict=False)])
    return Graph(edges.astype(np.int32), stacked([g.x for g in graphs]))


def is_sparse(X: Any) -> bool:
    """Whether it is a scipy matrix; no array of numpy has `indptr`."""
    return hasattr(X, "indptr")


def stacked(parts: Sequence[Any]) -> Any:
    """Rows of several arrays, or sparse matrices, one below the other."""
    if len(parts) == 1:
        return parts[0]
    if any(map(is_sparse, parts)):
        from scipy.sparse import csr_matrix, vstack

        return csr_matrix(vstack(parts))
    return np.concatenate(parts)


def _sparse_parts(x: Any) -> tuple[np.ndarray, ...]:
    """Where the values that are not 0 stand, row by row, and what they are."""
    if is_sparse(x):
        x = x.tocsr().sorted_indices()
        x.eliminate_zeros()
        rows = np.repeat(np.arange(x.shape[0]), np.diff(x.indptr))
        columns, values = x.indices, x.data
    else:
        rows, columns = np.nonzero(x)
        values = np.asarray(x)[rows, columns]
    return rows.astype(np.int64), columns.astype(np.int64), values.astype(np.float32)
